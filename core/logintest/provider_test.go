package logintest_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core/logintest"
)

// payload decodes a token without looking at its signature.
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

// A client that nobody wrote for this provider completes a login.
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
		{"no openid", func(q url.Values) { q.Set("scope", "profile") }, true, "invalid_scope"},
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
	// The form's fields do not pass for parameters of the request.
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

func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	escape := url.QueryEscape
	for _, test := range []struct {
		name   string
		client string
		spoil  func(*http.Request, url.Values)
		status int
	}{
		{"basic", "confidential", func(r *http.Request, f url.Values) {
			r.SetBasicAuth("app", escape("s:e%c+r/e t"))
			f.Del("client_id")
		}, 200},
		{"post", "confidential", func(_ *http.Request, f url.Values) { f.Set("client_secret", "s:e%c+r/e t") }, 200},
		{"public", "public", func(*http.Request, url.Values) {}, 200},
		{"basic, not form-encoded", "confidential", func(r *http.Request, _ url.Values) { r.SetBasicAuth("app", "s:e%c+r/e t") }, 401},
		{"basic, wrong", "confidential", func(r *http.Request, _ url.Values) { r.SetBasicAuth("app", "wrong") }, 401},
		{"post, wrong", "confidential", func(_ *http.Request, f url.Values) { f.Set("client_secret", "wrong") }, 401},
		{"no secret", "confidential", func(*http.Request, url.Values) {}, 401},
		{"both", "confidential", func(r *http.Request, f url.Values) {
			r.SetBasicAuth("app", escape("s:e%c+r/e t"))
			f.Set("client_secret", "s:e%c+r/e t")
		}, 401},
		{"bearer", "confidential", func(r *http.Request, f url.Values) { r.Header.Set("Authorization", "Bearer x") }, 401},
		{"a secret for a public client", "public", func(_ *http.Request, f url.Values) { f.Set("client_secret", "x") }, 401},
		{"unknown client", "public", func(_ *http.Request, f url.Values) { f.Set("client_id", "x") }, 401},
		{"nobody", "public", func(_ *http.Request, f url.Values) { f.Del("client_id") }, 401},
		{"doubled parameter", "public", func(_ *http.Request, f url.Values) { f.Add("client_id", "app") }, 400},
		{"unknown grant type", "public", func(_ *http.Request, f url.Values) { f.Set("grant_type", "password") }, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, clients[test.client])
			form := b.form(b.code())
			r, err := http.NewRequest("POST", issuer+"/token", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			test.spoil(r, form)
			r.Body = io.NopCloser(strings.NewReader(form.Encode()))
			response, err := b.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode != test.status {
				t.Fatalf("got %d %s, %v", response.StatusCode, body, err)
			}
			_, _, basic := r.BasicAuth()
			if got := response.Header.Get("WWW-Authenticate") != ""; test.status == 401 && got != basic {
				t.Errorf("WWW-Authenticate: got %v", got)
			}
		})
	}
	t.Run("by GET or JSON", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, clients["public"])
		form := b.form(b.code())
		for _, send := range []func() (*http.Response, error){
			func() (*http.Response, error) { return b.http.Get(issuer + "/token?" + form.Encode()) },
			func() (*http.Response, error) {
				return b.http.Post(issuer+"/token", "application/json", strings.NewReader("{}"))
			},
			func() (*http.Response, error) {
				return b.http.PostForm(issuer+"/token?"+form.Encode(), url.Values{"client_id": {"app"}})
			},
		} {
			response, err := send()
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != http.StatusBadRequest {
				t.Errorf("got %d", response.StatusCode)
			}
		}
	})
}

func TestCodesAreForTheirClientAndTime(t *testing.T) {
	t.Parallel()
	t.Run("other redirect_uri", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, clients["public"])
		form := b.form(b.code())
		form.Set("redirect_uri", callback+"2")
		if status, got := b.token(form); status != 400 || got["error"] != "invalid_grant" {
			t.Errorf("got %d %v", status, got)
		}
	})
	t.Run("other client", func(t *testing.T) {
		t.Parallel()
		provider := logintest.NewProvider(issuer, clients["public"], logintest.Client{ID: "other", RedirectURIs: []string{callback}})
		b := newBench(t, clients["public"])
		b.provider, b.http = provider, provider.HTTPClient()
		b.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		code := b.code()
		form := b.form(code)
		form.Set("client_id", "other")
		if status, got := b.token(form); status != 400 || got["error"] != "invalid_grant" {
			t.Errorf("got %d %v", status, got)
		}
		if status, _ := b.token(b.form(code)); status != 200 {
			t.Errorf("another client used the code up: %d", status)
		}
	})
	t.Run("expired", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, clients["public"])
		now := time.Now()
		b.provider.Now = func() time.Time { return now }
		code := b.code()
		now = now.Add(61 * time.Second)
		if status, got := b.token(b.form(code)); status != 400 || got["error"] != "invalid_grant" {
			t.Errorf("got %d %v", status, got)
		}
	})
	t.Run("used twice: what was issued ends", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, clients["public"])
		code := b.code()
		_, answer := b.token(b.form(code))
		access := answer["access_token"].(string)
		if got := b.userInfo(access)["sub"]; got != "ada" {
			t.Fatalf("got %v", got)
		}
		b.token(b.form(code))
		if got := b.userInfo(access); got != nil {
			t.Errorf("the access token survives: %v", got)
		}
		if status, _ := b.token(b.refresh(answer["refresh_token"].(string))); status != 400 {
			t.Errorf("the refresh token survives: %d", status)
		}
	})
}

// userInfo returns nil if the token is refused.
func (b *bench) userInfo(access string) map[string]any {
	b.t.Helper()
	r, err := http.NewRequest("GET", issuer+"/userinfo", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	response, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusUnauthorized && response.Header.Get("WWW-Authenticate") != "" {
		return nil
	}
	var claims map[string]any
	if err := json.NewDecoder(response.Body).Decode(&claims); err != nil {
		b.t.Fatal(err)
	}
	return claims
}

func TestRefreshTokensRotate(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["confidential"])
	_, first := b.token(b.form(b.code()))
	old := first["refresh_token"].(string)
	status, second := b.token(b.refresh(old))
	if status != 200 || second["refresh_token"] == old || second["access_token"] == first["access_token"] {
		t.Fatalf("got %d %v", status, second)
	}
	before, after := payload(t, first["id_token"]), payload(t, second["id_token"])
	for _, name := range []string{"iss", "sub", "aud", "auth_time"} {
		if before[name] != after[name] {
			t.Errorf("%s: got %v, want %v", name, after[name], before[name])
		}
	}
	wider := b.refresh(second["refresh_token"].(string))
	wider.Set("scope", "openid address")
	if status, got := b.token(wider); status != 400 || got["error"] != "invalid_scope" {
		t.Errorf("wider scope: got %d %v", status, got)
	}
	narrower := b.refresh(second["refresh_token"].(string))
	narrower.Set("scope", "openid")
	status, third := b.token(narrower)
	if status != 200 || third["scope"] != "openid" {
		t.Errorf("narrower scope: got %d %v", status, third)
	}
	if status, _ := b.token(b.refresh(old)); status != 400 {
		t.Errorf("an old one works: %d", status)
	}
	if status, _ := b.token(b.refresh(third["refresh_token"].(string))); status != 400 {
		t.Errorf("the family survives reuse: %d", status)
	}
	request := b.request()
	request.Set("scope", "openid")
	_, answer := b.authorize(request)
	if _, got := b.token(b.form(answer.Get("code"))); got["refresh_token"] != nil {
		t.Error("given without offline_access")
	}
}

func TestScopesLimitClaims(t *testing.T) {
	t.Parallel()
	for scope, want := range map[string]string{"openid": "", "openid profile": "name", "openid email": "email", "openid profile email": "name email"} {
		b := newBench(t, clients["public"])
		b.provider.User = logintest.User{Subject: "s", Claims: map[string]any{"name": "N", "email": "e@example.test", "groups": "g"}}
		request := b.request()
		request.Set("scope", scope)
		_, answer := b.authorize(request)
		_, tokens := b.token(b.form(answer.Get("code")))
		for _, claims := range []map[string]any{payload(t, tokens["id_token"]), b.userInfo(tokens["access_token"].(string))} {
			for _, name := range []string{"name", "email"} {
				if _, got := claims[name]; got != strings.Contains(want, name) {
					t.Errorf("scope %q: %s is there: %v", scope, name, got)
				}
			}
			if claims["groups"] != "g" || claims["sub"] != "s" {
				t.Errorf("got %v", claims)
			}
		}
	}
}

func TestUserInfoTakesTheHeaderOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	_, tokens := b.token(b.form(b.code()))
	access := tokens["access_token"].(string)
	for _, wrong := range []string{"", "x", tokens["refresh_token"].(string)} {
		if got := b.userInfo(wrong); got != nil {
			t.Errorf("%q: got %v", wrong, got)
		}
	}
	response, err := b.http.Get(issuer + "/userinfo?access_token=" + access)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("in the URL: got %d", response.StatusCode)
	}
}

func TestKeysRotate(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	kids := func() string {
		response, err := b.http.Get(issuer + "/jwks")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var set struct {
			Keys []struct{ Kid, D string }
		}
		if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
			t.Fatal(err)
		}
		var kids []string
		for _, key := range set.Keys {
			kids = append(kids, key.Kid)
			if key.D != "" {
				t.Error("a private key is served")
			}
		}
		return strings.Join(kids, " ")
	}
	_, tokens := b.token(b.form(b.code()))
	before := kids()
	b.provider.RotateKeys()
	after := kids()
	for kid := range strings.FieldsSeq(before) {
		if strings.Contains(after, kid) {
			t.Errorf("%s is still there", kid)
		}
	}
	if len(strings.Fields(after)) != 2 {
		t.Errorf("got %q", after)
	}
	// A hint that a former key has signed is as good.
	response, err := b.http.Get(issuer + "/end-session?id_token_hint=" + fmt.Sprint(tokens["id_token"]))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("a former hint: got %d", response.StatusCode)
	}
}

func TestEndSession(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	_, tokens := b.token(b.form(b.code()))
	hint := fmt.Sprint(tokens["id_token"])
	for _, test := range []struct {
		name     string
		request  url.Values
		status   int
		location string
	}{
		{"nothing", url.Values{}, 200, ""},
		{"by hint", url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://app.example.test/"}, "state": {"s"}}, 303, "https://app.example.test/?state=s"},
		{"by client", url.Values{"client_id": {"app"}, "post_logout_redirect_uri": {"https://app.example.test/"}}, 303, "https://app.example.test/"},
		{"unregistered URI", url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {"https://evil.example.test/"}}, 400, ""},
		{"URI without client", url.Values{"post_logout_redirect_uri": {"https://app.example.test/"}}, 400, ""},
		{"forged hint", url.Values{"id_token_hint": {hint[:len(hint)-5] + "AAAAA"}}, 400, ""},
		{"hint of another client", url.Values{"id_token_hint": {hint}, "client_id": {"other"}}, 400, ""},
		{"doubled", url.Values{"client_id": {"app", "app"}}, 400, ""},
	} {
		for _, method := range []string{"GET", "POST"} {
			var response *http.Response
			var err error
			if method == "GET" {
				response, err = b.http.Get(issuer + "/end-session?" + test.request.Encode())
			} else {
				response, err = b.http.PostForm(issuer+"/end-session", test.request)
			}
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != test.status || response.Header.Get("Location") != test.location {
				t.Errorf("%s by %s: got %d to %q", test.name, method, response.StatusCode, response.Header.Get("Location"))
			}
		}
	}
}

func TestFaultsAreHeeded(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	mark := func(m map[string]any) { m["fault"] = "yes" }
	b.provider.Misbehave(logintest.Faults{
		Discovery: mark, Token: mark, JWKS: mark, UserInfo: mark,
		Authorization: func(q url.Values) { q.Set("fault", "yes") },
		IDToken:       func(header, claims map[string]any) { mark(claims); header["alg"] = "none" },
		SignedIDToken: func(token string) string { return token + "x" },
		Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.EndSession {
				w.WriteHeader(http.StatusTeapot)
			}
			return e == logintest.EndSession
		},
	})
	for _, endpoint := range []logintest.Endpoint{logintest.Discovery, logintest.JWKS} {
		response, err := b.http.Get(issuer + string(endpoint))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || !strings.Contains(string(body), `"fault":"yes"`) {
			t.Errorf("%s: got %s", endpoint, body)
		}
	}
	_, query := b.authorize(b.request())
	if query.Get("fault") != "yes" {
		t.Errorf("authorization: got %v", query)
	}
	_, tokens := b.token(b.form(query.Get("code")))
	if tokens["fault"] != "yes" {
		t.Errorf("token: got %v", tokens)
	}
	if token := fmt.Sprint(tokens["id_token"]); payload(t, token)["fault"] != "yes" || !strings.HasSuffix(token, ".x") {
		t.Errorf("ID token: got %s", token)
	}
	if got := b.userInfo(tokens["access_token"].(string)); got["fault"] != "yes" {
		t.Errorf("UserInfo: got %v", got)
	}
	response, err := b.http.Get(issuer + "/end-session")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusTeapot {
		t.Errorf("Intercept: got %d", response.StatusCode)
	}
	b.provider.Misbehave(logintest.Faults{})
	if _, query := b.authorize(b.request()); query.Has("fault") {
		t.Error("it does not end")
	}
}

func TestRequestsAreRecorded(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	b.token(b.form(b.code()))
	requests := b.provider.Requests()
	if len(requests) != 2 || requests[0].Endpoint != logintest.Authorization || requests[1].Endpoint != logintest.Token {
		t.Fatalf("got %v", requests)
	}
	if got := requests[1].Form.Get("code_verifier"); got != verifier {
		t.Errorf("got %q", got)
	}
	if b.provider.Count(logintest.Token) != 1 || b.provider.Count(logintest.JWKS) != 0 {
		t.Error("miscounted")
	}
	for range 5000 { // more than it remembers
		b.authorize(url.Values{})
	}
	if got := b.provider.Count(logintest.Authorization); got != 5001 {
		t.Errorf("counted %d", got)
	}
	if got := len(b.provider.Requests()); got > 4096 {
		t.Errorf("remembers %d", got)
	}
}
