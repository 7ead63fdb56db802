package core

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/internal/hostile"
)

// What an anonymous request, or one answer of a hostile provider, costs at most.
// The tests of this file measure the memory of the whole process, so they do not
// run beside others.

// Nothing that an anonymous request can send to the logout's address costs much,
// and nothing that could not pass has the provider asked.
func TestLogoutTokensCostLittle(t *testing.T) {
	sets := hostile.KeySets(t)
	unread := "could not pass"
	for name, form := range map[string]string{
		"nothing":                         "",
		"64 KB":                           "logout_token=" + strings.Repeat("a", maxForm),
		"64 KB of parameters":             strings.Repeat("a&", maxForm/2-1),
		"a token of 17 KB, " + unread:     "logout_token=" + hostile.Forged(`{"alg":"RS256"}`, hostile.ManyMembers(2000)),
		"dots, " + unread:                 "logout_token=" + strings.Repeat(".", maxLogoutToken),
		"of another issuer, " + unread:    "logout_token=" + hostile.Forged(`{"alg":"RS256"}`, hostile.LogoutClaims("iss", `"https://other.example.test"`)),
		"of another client, " + unread:    "logout_token=" + hostile.Forged(`{"alg":"RS256"}`, hostile.LogoutClaims("aud", `"other"`)),
		"expired, " + unread:              "logout_token=" + hostile.Forged(`{"alg":"RS256"}`, hostile.LogoutClaims("exp", `1`)),
		"an ID token, " + unread:          "logout_token=" + hostile.Forged(`{"alg":"RS256"}`, hostile.Payload),
		"deep, " + unread:                 "logout_token=" + hostile.Forged(`{"alg":"RS256"}`, []byte(strings.Repeat("[", 11<<10))),
		"many members":                    "logout_token=" + hostile.Forged(`{"alg":"RS256"}`, hostile.ManyMembers(1000)),
		"a signature of nobody's":         "logout_token=" + hostile.Forged(`{"alg":"RS256"}`, hostile.LogoutClaims("sub", `"ada"`)),
		"a signature of nobody's, of PSS": "logout_token=" + hostile.Forged(`{"alg":"PS512"}`, hostile.LogoutClaims("sub", `"ada"`)),
		"a key of its own":                "logout_token=" + hostile.Forged(`{"alg":"RS256","jwk":{"kty":"RSA","n":"`+strings.Repeat("_", 8<<10)+`","e":"AQAB"}}`, hostile.LogoutClaims("sub", `"ada"`)),
		"certificates of its own":         "logout_token=" + hostile.Forged(`{"alg":"RS256","x5c":["AA=="`+strings.Repeat(`,"AA=="`, 1000)+`]}`, hostile.LogoutClaims("sub", `"ada"`)),
		"a header of many members":        "logout_token=" + hostile.Forged(`{"alg":"RS256"`+hostile.Members(1000)+`}`, hostile.LogoutClaims("sub", `"ada"`)),
	} {
		told, asked := new(revokedKeys), 0
		a := hostileAuth(t, told, sets["RSA keys of 4096 bits"], &asked)
		r := httptest.NewRequest("POST", "/auth/backchannel-logout", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		most := uint64(4 << 20)
		if !strings.HasSuffix(name, unread) {
			most += 28 << 20 // the keys, which are fetched twice at most, and eight tries each time
		}
		hostile.Costs(t, name, most, func() {
			if err := a.BackChannelLogout(httptest.NewRecorder(), r); err == nil || told.told != 0 {
				t.Errorf("%s: passes", name)
			}
		})
		if asked > 3 || strings.HasSuffix(name, unread) && asked > 0 {
			t.Errorf("%s: the provider is asked %d times", name, asked)
		}
	}
}

// hostileAuth is an application whose provider serves these keys, and counts what
// it is asked.
func hostileAuth(t testing.TB, told *revokedKeys, set []byte, asked *int) *Authenticator {
	t.Helper()
	metadata, err := json.Marshal(map[string]any{
		"issuer": hostile.Issuer, "authorization_endpoint": hostile.Issuer + "/a", "token_endpoint": hostile.Issuer + "/t",
		"jwks_uri": hostile.Issuer + "/jwks", "id_token_signing_alg_values_supported": []string{"RS256", "PS512", "ES512"},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := goodConfig()
	config.Providers = []Provider{Provider{Issuer: hostile.Issuer, ClientID: "app"}}
	config.Logout.Revocations, config.Logger = told, slog.New(slog.DiscardHandler)
	config.HTTPClient = &http.Client{Transport: hostile.RoundTrip(func(r *http.Request) (*http.Response, error) {
		*asked++
		body := metadata
		if r.URL.Path == "/jwks" {
			body = set
		}
		return &http.Response{StatusCode: http.StatusOK, Request: r, Header: make(http.Header), Body: io.NopCloser(bytes.NewReader(body))}, nil
	})}
	a, err := newAt(config, func() time.Time { return hostile.Time })
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// A request's cookies may have 1 MB, which is what net/http takes. Without a login
// they cost little wherever they are sent.
func TestCookiesCostLittle(t *testing.T) {
	asked := 0
	a := hostileAuth(t, new(revokedKeys), nil, &asked)
	if err := a.Discover(t.Context()); err != nil {
		t.Fatal(err)
	}
	state := url.Values{"state": {strings.Repeat("A", 43)}, "code": {"c"}, "iss": {hostile.Issuer}}.Encode()
	for name, cookies := range map[string]string{
		"foreign ones":         strings.Repeat("a=b; ", 200<<10),
		"separators":           strings.Repeat(";", 1<<20),
		"blanks":               strings.Repeat(" ", 1<<20),
		"a session of 1 MB":    "__Host-pixy-session=" + strings.Repeat("A", 1<<20),
		"sessions of one name": strings.Repeat("__Host-pixy-session=AAAA; ", 40<<10),
		"parts of a session":   numbered("__Host-pixy-session-%d=AAAA; ", 30<<10),
		"attempts":             numbered("__Host-pixy-login-%043d=AAAA; ", 16<<10),
		"large attempts":       numbered("__Host-pixy-login-%043d="+strings.Repeat("A", 4000)+"; ", 250),
		"tokens":               numbered("__Host-pixy-tokens-%d="+strings.Repeat("A", 4000)+"; ", 250),
	} {
		for _, route := range []struct {
			name, method, path string
			handle             HandlerFunc
		}{
			{"guard", "GET", "/me", func(w http.ResponseWriter, r *http.Request) error { _, err := a.Authenticate(w, r); return err }},
			{"login", "GET", "/auth/login", a.Login},
			{"callback", "GET", "/auth/callback?" + state, a.Callback},
			{"logout", "POST", "/auth/logout", a.Logout},
		} {
			r := httptest.NewRequest(route.method, "https://app.example.test"+route.path, nil)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			r.Header.Set("Cookie", cookies)
			before := asked
			hostile.Costs(t, name+", "+route.name, 8<<20, func() { _ = route.handle(httptest.NewRecorder(), r) })
			if asked != before {
				t.Errorf("%s, %s: the provider is asked", name, route.name)
			}
		}
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}
