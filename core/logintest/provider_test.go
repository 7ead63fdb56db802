package logintest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core/logintest"
)

// payload decodes a token without checking its signature.
func payload(t *testing.T, token any) map[string]any {
	t.Helper()
	parts := strings.Split(fmt.Sprint(token), ".")
	if len(parts) != 3 {
		t.Fatalf("not a token: %v", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	var claims map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &claims)
	}
	if err != nil {
		t.Fatal(err)
	}
	return claims
}

// An independent client completes a login.
func TestOtherClientsLogIn(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{issuer, issuer + "/", issuer + "/realms/a", issuer + "/realms/a/"} {
		client := clients["confidential"]
		provider := logintest.NewProvider(issuer, client)
		ctx := oidc.ClientContext(t.Context(), provider.HTTPClient())
		discovered, err := oidc.NewProvider(ctx, issuer)
		if err != nil {
			t.Fatal(err)
		}
		config := oauth2.Config{ClientID: "app", ClientSecret: client.Secret, Endpoint: discovered.Endpoint(), RedirectURL: callback, Scopes: []string{"openid"}}
		verifier := oauth2.GenerateVerifier()
		browser := logintest.NewBrowser()
		browser.Serve("https://id.example.test", provider)
		page, err := browser.Visit(config.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier), oidc.Nonce("n")))
		if err != nil {
			t.Fatal(err)
		}
		back, err := url.Parse(page.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		token, err := config.Exchange(ctx, back.Query().Get("code"), oauth2.VerifierOption(verifier))
		if err != nil {
			t.Fatal(err)
		}
		raw, _ := token.Extra("id_token").(string)
		verified, err := discovered.Verifier(&oidc.Config{ClientID: "app"}).Verify(ctx, raw)
		if err != nil {
			t.Fatal(err)
		}
		if verified.Nonce != "n" || verified.Subject != "ada" || verified.VerifyAccessToken(token.AccessToken) != nil {
			t.Errorf("got %+v", verified)
		}
		info, err := discovered.UserInfo(ctx, config.TokenSource(ctx, token))
		if err != nil || info.Subject != "ada" || info.Email != "" {
			t.Errorf("UserInfo: got %+v, %v", info, err)
		}
	}
}

func TestAuthorizationRequests(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		spoil    func(url.Values)
		redirect bool
		error    string
	}{
		{"nothing unusual", func(url.Values) {}, true, ""},
		{"no state", func(q url.Values) { q.Del("state") }, true, ""},
		{"resource twice", func(q url.Values) { q["resource"] = []string{"a", "b"} }, true, ""},
		{"unknown client", func(q url.Values) { q.Set("client_id", "x") }, false, ""},
		{"client twice", func(q url.Values) { q.Add("client_id", "app") }, false, ""},
		{"no redirect_uri", func(q url.Values) { q.Del("redirect_uri") }, false, ""},
		{"longer redirect_uri", func(q url.Values) { q.Set("redirect_uri", callback+"/x") }, false, ""},
		{"redirect_uri twice", func(q url.Values) { q.Add("redirect_uri", callback) }, false, ""},
		{"implicit", func(q url.Values) { q.Set("response_type", "id_token") }, true, "unsupported_response_type"},
		{"state twice", func(q url.Values) { q.Add("state", "x") }, true, "invalid_request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, clients["public"])
			request := b.request()
			test.spoil(request)
			status, got := b.authorize(request)
			if (status == http.StatusSeeOther) != test.redirect || !test.redirect && status != http.StatusBadRequest {
				t.Fatalf("got %d", status)
			}
			if got.Get("error") != test.error || test.redirect && (got.Get("iss") != issuer || got.Has("code") == (test.error != "")) {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestAuthenticateIsAsked(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	b.provider.Authenticate = func(w http.ResponseWriter, r *http.Request) (logintest.User, bool) {
		if r.PostFormValue("who") == "" {
			fmt.Fprint(w, "who?")
			return logintest.User{}, false
		}
		return logintest.User{Subject: r.PostFormValue("who")}, true
	}
	if status, _ := b.authorize(url.Values{"client_id": {"x"}}); status != http.StatusBadRequest {
		t.Errorf("asked for an invalid request: %d", status)
	}
	if status, got := b.authorize(b.request()); status != http.StatusOK || got.Has("code") {
		t.Errorf("got %d %v", status, got)
	}
	request := b.request()
	request.Set("prompt", "none")
	if _, got := b.authorize(request); got.Get("error") != "login_required" {
		t.Errorf("prompt=none: got %v", got)
	}
	// The form's fields are not parameters of the authorization request.
	response, err := b.http.PostForm(issuer+"/authorize?"+b.request().Encode(), url.Values{"who": {"bob"}, "state": {"forged"}})
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	location, err := url.Parse(response.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if got := location.Query(); got.Get("state") != "the-state" || !got.Has("code") {
		t.Errorf("got %v", got)
	}
	_, answer := b.token(b.form(location.Query().Get("code")))
	if got := payload(t, answer["id_token"])["sub"]; got != "bob" {
		t.Errorf("sub: got %v", got)
	}
}
