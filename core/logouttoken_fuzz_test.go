package core

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/internal/hostile"
	"github.com/pixyauth/pixy/core/internal/provider"
)

// revokedKeys are Revocations that only count what they are told.
type revokedKeys struct{ told int }

func (r *revokedKeys) Revoke(context.Context, string, time.Time, time.Time) error {
	r.told++
	return nil
}

func (r *revokedKeys) RevokedAt(context.Context, ...string) (time.Time, error) {
	return time.Time{}, nil
}

// fuzzAuth is an application of the provider whose key is known.
func fuzzAuth(t *testing.T, told *revokedKeys) *Authenticator {
	t.Helper()
	metadata, err := json.Marshal(map[string]any{
		"issuer": hostile.Issuer, "authorization_endpoint": hostile.Issuer + "/a", "token_endpoint": hostile.Issuer + "/t",
		"jwks_uri": hostile.Issuer + "/jwks", "id_token_signing_alg_values_supported": []string{"EdDSA", "none", "HS256"},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := goodConfig()
	config.Providers = []Provider{Provider{Issuer: hostile.Issuer, ClientID: "app"}}
	config.Logout.Revocations, config.Logger = told, slog.New(slog.DiscardHandler)
	config.HTTPClient = &http.Client{Transport: hostile.RoundTrip(func(r *http.Request) (*http.Response, error) {
		body := metadata
		if r.URL.Path == "/jwks" {
			body = hostile.JWKS()
		}
		return &http.Response{StatusCode: http.StatusOK, Request: r, Header: make(http.Header), Body: io.NopCloser(bytes.NewReader(body))}, nil
	})}
	a, err := newAt(config, func() time.Time { return hostile.Time })
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Whatever is posted, what ends a session is one token that the provider has
// signed. TOKEN in a form stands for that.
func FuzzLogoutToken(f *testing.F) {
	good := hostile.Token(hostile.LogoutHeader, hostile.LogoutClaims("sub", `"ada"`))
	parts := strings.Split(good, ".")
	for _, seed := range []string{
		"logout_token=TOKEN", "", "logout_token=", "logout_token", "=TOKEN", "TOKEN", "logout_token=TOKEN&logout_token=TOKEN", "logout_token=TOKEN&logout_token=",
		"a=b&logout_token=TOKEN&c=%zz", "logout_token=TOKEN;logout_token=x", "logout%5Ftoken=TOKEN", "Logout_Token=TOKEN", "logout_token[]=TOKEN", "logout_token=TOKEN%0A",
		"logout_token=+TOKEN", "logout_token=TOKEN=", "logout_token=" + parts[0] + "." + parts[1] + ".", "logout_token=" + parts[0] + "..", "logout_token=a.b.c",
		"logout_token=eyJhbGciOiJub25lIn0." + parts[1] + ".", "logout_token=" + parts[0] + "." + parts[1] + "%00." + parts[2],
		"logout_token=" + hostile.Token(hostile.Header, hostile.Payload), `{"logout_token":"TOKEN"}`, "\x00\xff&&&", strings.Repeat("a&", 40000) + "logout_token=TOKEN",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, form string) {
		told := new(revokedKeys)
		body := strings.ReplaceAll(form, "TOKEN", good)
		r := httptest.NewRequest("POST", "/auth/backchannel-logout", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		err := fuzzAuth(t, told).BackChannelLogout(w, r) // a new one, which waits for no keys
		if failure := new(Error); err != nil && (!errors.As(err, &failure) || failure.Status != http.StatusBadRequest || failure.Code != provider.CodeLogoutToken) {
			t.Fatalf("%q: got %v", form, err)
		}
		switch tokens := logoutTokensIn(body); {
		case err == nil && (told.told != 2 || w.Code != http.StatusOK || w.Body.Len() != 0):
			t.Fatalf("%q: got %d, and %d are written", form, w.Code, told.told)
		case err == nil && (len(tokens) != 1 || !hostile.Signed(tokens[0]) || !strings.Contains(body, parts[1])):
			t.Fatalf("%q passes with %q", form, tokens)
		case err != nil && told.told != 0:
			t.Fatalf("%q is refused, and %d are written", form, told.told)
		case err != nil && body == "logout_token="+good:
			t.Fatalf("the genuine one: %v", err)
		}
	})
}

// logoutTokensIn reads a form without net/url's parser of forms.
func logoutTokensIn(form string) (tokens []string) {
	for pair := range strings.SplitSeq(form, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 == nil && err2 == nil && name == "logout_token" && !strings.Contains(pair, ";") {
			tokens = append(tokens, value)
		}
	}
	return tokens
}
