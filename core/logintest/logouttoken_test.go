package logintest_test

import (
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/pixyauth/pixy/core/logintest"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// ada is the user who logs out.
var ada = logintest.User{Subject: "ada", SessionID: "s"}

// header decodes the header of a token.
func header(t *testing.T, token string) map[string]any {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	var header map[string]any
	if err == nil {
		err = json.Unmarshal(raw, &header)
	}
	if err != nil {
		t.Fatal(err)
	}
	return header
}

// An independent verifier accepts the provider's valid logout tokens, and rejects the
// invalid ones.
func TestLogoutTokens(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		user   *logintest.User // nil: ada
		change func(header, claims map[string]any)
		bad    bool           // its signature, iss, aud or exp
		header map[string]any // what differs; nil: absent
		claims map[string]any
	}{
		{name: "genuine"},
		{name: "sub only", user: &logintest.User{Subject: "ada"}, claims: map[string]any{"sid": nil}},
		{name: "sid only", user: &logintest.User{SessionID: "s"}, claims: map[string]any{"sub": nil}},
		{name: "neither", user: &logintest.User{}, claims: map[string]any{"sub": nil, "sid": nil}},
		{name: "ES256", change: func(h, _ map[string]any) { h["alg"] = "ES256" }, header: map[string]any{"alg": "ES256"}},
		{name: "alg none", change: func(h, _ map[string]any) { h["alg"] = "none" }, bad: true, header: map[string]any{"alg": "none"}},
		{name: "HMAC of the public key", change: func(h, _ map[string]any) { h["alg"] = "HS256" }, bad: true, header: map[string]any{"alg": "HS256"}},
		{name: "another typ", change: func(h, _ map[string]any) { h["typ"] = "at+jwt" }, header: map[string]any{"typ": "at+jwt"}},
		{name: "no typ", change: func(h, _ map[string]any) { delete(h, "typ") }, header: map[string]any{"typ": nil}},
		{name: "another issuer", change: change("iss", "x"), bad: true, claims: map[string]any{"iss": "x"}},
		{name: "another audience", change: change("aud", "x"), bad: true, claims: map[string]any{"aud": "x"}},
		{name: "expired", change: change("exp", 1), bad: true, claims: map[string]any{"exp": 1.0}},
		{name: "another iat", change: change("iat", 1), claims: map[string]any{"iat": 1.0}},
		{name: "no jti", change: func(_, c map[string]any) { delete(c, "jti") }, claims: map[string]any{"jti": nil}},
		{name: "no events", change: func(_, c map[string]any) { delete(c, "events") }, claims: map[string]any{"events": nil}},
		{name: "events that are none", change: change("events", "x"), claims: map[string]any{"events": "x"}},
		{name: "a nonce", change: change("nonce", "x"), claims: map[string]any{"nonce": "x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			provider := logintest.NewProvider(issuer, clients["public"])
			now := time.Unix(2e9, 0)
			provider.Now = func() time.Time { return now }
			user := ada
			if test.user != nil {
				user = *test.user
			}
			wantHeader := map[string]any{"alg": "RS256", "typ": "logout+jwt"}
			want := map[string]any{
				"iss": issuer, "aud": "app", "iat": 2e9, "exp": 2e9 + 120, "sub": "ada", "sid": "s",
				"events": map[string]any{logoutEvent: map[string]any{}},
			}
			token := provider.LogoutToken("app", user, test.change)
			ctx := oidc.ClientContext(t.Context(), provider.HTTPClient())
			verifier := oidc.NewVerifier(issuer, oidc.NewRemoteKeySet(ctx, issuer+"/jwks"), &oidc.Config{
				ClientID: "app", SupportedSigningAlgs: []string{"RS256", "ES256"}, Now: provider.Now,
			})
			if _, err := verifier.Verify(ctx, token); (err != nil) != test.bad {
				t.Errorf("verified: %v", err)
			}
			gotHeader, got := header(t, token), payload(t, token)
			jti, _ := got["jti"].(string)
			if _, differs := test.claims["jti"]; (len(jti) < 26) != differs {
				t.Errorf("jti: got %q", jti)
			}
			delete(got, "jti")
			delete(gotHeader, "kid")
			delete(test.claims, "jti")
			if want := with(want, test.claims); !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if want := with(wantHeader, test.header); !reflect.DeepEqual(gotHeader, want) {
				t.Errorf("header: got %v, want %v", gotHeader, want)
			}
		})
	}
}

func change(claim string, value any) func(header, claims map[string]any) {
	return func(_, claims map[string]any) { claims[claim] = value }
}

// with changes m. A nil value removes the key.
func with(m, differs map[string]any) map[string]any {
	for name, value := range differs {
		if m[name] = value; value == nil {
			delete(m, name)
		}
	}
	return m
}

func TestLogoutTokensAreUnique(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	one, another := b.provider.LogoutToken("app", ada, nil), b.provider.LogoutToken("app", ada, nil)
	if payload(t, one)["jti"] == payload(t, another)["jti"] {
		t.Errorf("got %s twice", one)
	}
}

// Tests can sign with keys that are not the provider's.
func TestSignWith(t *testing.T) {
	t.Parallel()
	provider := logintest.NewProvider(issuer, clients["confidential"])
	var h, c map[string]any
	provider.LogoutToken("app", ada, func(header, claims map[string]any) { h, c = header, claims })

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	token := logintest.SignWith(key, h, c)
	config := &oidc.Config{ClientID: "app"}
	ctx := oidc.ClientContext(t.Context(), provider.HTTPClient())
	if _, err := oidc.NewVerifier(issuer, oidc.NewRemoteKeySet(ctx, issuer+"/jwks"), config).Verify(ctx, token); err == nil {
		t.Error("it is the provider's key")
	}
	if _, err := oidc.NewVerifier(issuer, &oidc.StaticKeySet{PublicKeys: []crypto.PublicKey{key.Public()}}, config).Verify(ctx, token); err != nil {
		t.Error(err)
	}
	if kid := header(t, token)["kid"]; kid == nil || kid != h["kid"] {
		t.Errorf("kid: got %v, want %v", kid, h["kid"])
	}

	h["alg"] = "HS256"
	secret := clients["confidential"].Secret
	token = logintest.SignWith([]byte(secret), h, c)
	dot := strings.LastIndexByte(token, '.')
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(token[:dot]))
	if want := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); token[dot+1:] != want || payload(t, token)["sid"] != "s" {
		t.Errorf("got %s, want %s", token[dot+1:], want)
	}

	defer func() {
		if recover() == nil {
			t.Error("RS256 with bytes does not panic")
		}
	}()
	h["alg"] = "RS256"
	logintest.SignWith([]byte(secret), h, c)
}

func TestPostLogoutToken(t *testing.T) {
	t.Parallel()
	const uri = "https://app.example.test/auth/backchannel-logout"
	client := logintest.InMemory(map[string]http.Handler{
		"https://app.example.test": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, r.Method, " ", r.URL.Path, " ", r.Header.Get("Content-Type"), " ", len(r.Cookies()), " ", r.PostFormValue("logout_token"), " ", r.Form)
		}),
	})
	answer, err := logintest.PostLogoutToken(t.Context(), client, uri, "the+token")
	if err != nil {
		t.Fatal(err)
	}
	want := "POST /auth/backchannel-logout application/x-www-form-urlencoded 0 the+token map[logout_token:[the+token]]"
	if string(answer.Body) != want || answer.Status != http.StatusBadRequest || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %v %s, want %s", answer.Status, answer.Header, answer.Body, want)
	}
	if answer.Method != "POST" || answer.URL != uri {
		t.Errorf("got %s %s", answer.Method, answer.URL)
	}
	if _, err := logintest.PostLogoutToken(t.Context(), client, "https://other.example.test/", "x"); err == nil {
		t.Error("another origin answers")
	}
}
