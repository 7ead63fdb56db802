package logintest_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

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
