package logintest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

func TestRevocation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		spoil  func(tokens map[string]any, form url.Values) // the form revokes the refresh token
		status int
		ends   string // access, both, or ""
	}{
		{"refresh token", func(map[string]any, url.Values) {}, 200, "both"},
		{"access token", func(m map[string]any, f url.Values) { f.Set("token", m["access_token"].(string)) }, 200, "access"},
		{"a hint", func(_ map[string]any, f url.Values) { f.Set("token_type_hint", "refresh_token") }, 200, "both"},
		{"a wrong hint", func(_ map[string]any, f url.Values) { f.Set("token_type_hint", "access_token") }, 200, "both"},
		{"an unknown hint", func(_ map[string]any, f url.Values) { f.Set("token_type_hint", "x") }, 200, "both"},
		{"unknown token", func(_ map[string]any, f url.Values) { f.Set("token", "x") }, 200, ""},
		{"no token", func(_ map[string]any, f url.Values) { f.Del("token") }, 400, ""},
		{"token twice", func(_ map[string]any, f url.Values) { f.Add("token", "x") }, 400, ""},
		{"no secret", func(_ map[string]any, f url.Values) { f.Del("client_secret") }, 401, ""},
		{"wrong secret", func(_ map[string]any, f url.Values) { f.Set("client_secret", "x") }, 401, ""},
		{"another client", func(_ map[string]any, f url.Values) { f.Set("client_id", "other"); f.Del("client_secret") }, 400, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := clients["confidential"]
			b := newBench(t, client)
			b.provider = logintest.NewProvider(issuer, client, logintest.Client{ID: "other"})
			b.http.Transport = b.provider.HTTPClient().Transport
			first := b.tokens()
			_, tokens := b.refreshed(first)
			bystander := b.tokens()
			form := url.Values{"token": {tokens["refresh_token"].(string)}, "client_id": {"app"}, "client_secret": {client.Secret}}
			test.spoil(tokens, form)
			response, err := b.http.PostForm(issuer+"/revoke", form)
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != test.status || response.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %d %v", response.StatusCode, response.Header)
			}
			if got := b.userInfo(tokens["access_token"].(string)) == nil; got != (test.ends != "") {
				t.Errorf("the access token ended: %v", got)
			}
			if got := b.userInfo(first["access_token"].(string)) == nil; got != (test.ends == "both") {
				t.Errorf("the former access token ended: %v", got)
			}
			if status, _ := b.refreshed(tokens); (status != http.StatusOK) != (test.ends == "both") {
				t.Errorf("the refresh token: got %d", status)
			}
			if got, want := b.provider.Reused(), map[string]int{"both": 1}[test.ends]; got != want {
				t.Errorf("Reused: got %d, want %d", got, want)
			}
			if status, _ := b.refreshed(bystander); status != http.StatusOK || b.userInfo(bystander["access_token"].(string)) == nil {
				t.Error("another login also ended")
			}
			if b.provider.Count(logintest.Revocation) != 1 {
				t.Error("miscounted")
			}
		})
	}
	t.Run("by GET", func(t *testing.T) {
		t.Parallel()
		b := newBench(t, clients["public"])
		tokens := b.tokens()
		response, err := b.http.Get(issuer + "/revoke?client_id=app&token=" + tokens["access_token"].(string))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusBadRequest || b.userInfo(tokens["access_token"].(string)) == nil {
			t.Errorf("got %d", response.StatusCode)
		}
	})
}

func TestDiscoveryAnnouncesEnds(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	response, err := b.http.Get(issuer + string(logintest.Discovery))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var metadata map[string]any
	if err := json.NewDecoder(response.Body).Decode(&metadata); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"revocation_endpoint":                   issuer + "/revoke",
		"backchannel_logout_supported":          true,
		"backchannel_logout_session_supported":  true,
		"frontchannel_logout_supported":         true,
		"frontchannel_logout_session_supported": true,
	} {
		if metadata[name] != want {
			t.Errorf("%s: got %v, want %v", name, metadata[name], want)
		}
	}
	if methods, _ := metadata["revocation_endpoint_auth_methods_supported"].([]any); len(methods) != 3 {
		t.Errorf("got %v", methods)
	}
}
