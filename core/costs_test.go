package core

import (
	"bytes"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// What an anonymous request, or one answer of a hostile provider, costs at most.
// The tests of this file measure the memory of the whole process, so they do not
// run beside others.

// costs runs f, and demands that it allocates no more than so many bytes. The time
// is a bound for slow machines; usually it is a hundredth.
func costs(t *testing.T, name string, most uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begun := time.Now()
	f()
	took := time.Since(begun)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > most || took > 3*time.Second {
		t.Errorf("%s: %d bytes, want at most %d, in %s", name, got, most, took)
	} else {
		t.Logf("%s: %d bytes in %s", name, got, took)
	}
}

// fill repeats a piece until what it makes has nearly 1 MB, which is what an
// answer may have.
func fill(begin, piece, end string) []byte {
	n := (maxProviderBytes - len(begin) - len(end)) / len(piece)
	return []byte(begin + strings.Repeat(piece, n) + end)
}

// worstKeySets are as large as an answer may be.
func worstKeySets(t testing.TB) map[string][]byte {
	t.Helper()
	key := func(edit func(map[string]any)) string {
		k := rsaKey(4096)
		delete(k, "kid")
		k["e"] = "f____w"
		edit(k)
		encoded, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		return string(encoded)
	}
	params := elliptic.P521().Params()
	x := base64.RawURLEncoding.EncodeToString(params.Gx.FillBytes(make([]byte, 66)))
	y := base64.RawURLEncoding.EncodeToString(params.Gy.FillBytes(make([]byte, 66)))
	const begin, end = `{"keys":[`, `{}]}`
	return map[string][]byte{
		"RSA keys of 4096 bits":     fill(begin, key(func(map[string]any) {})+",", end),
		"keys of the curve P-521":   fill(begin, `{"kty":"EC","crv":"P-521","x":"`+x+`","y":"`+y+`"},`, end),
		"keys of one name":          fill(begin, key(func(k map[string]any) { k["kid"] = "1" })+",", end),
		"weak keys with long names": fill(begin, `{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"`+strings.Repeat("k", 5000)+`"},`, end),
		"one enormous key":          fill(begin+`{"kty":"RSA","e":"AQAB","n":"`, "_", `"},`+end),
		"one enormous exponent":     fill(begin+`{"kty":"RSA","n":"AQAB","e":"`, "_", `"},`+end),
		"numbers":                   fill(begin, "0,", end),
		"objects":                   fill(begin, "{},", end),
		"members":                   fill(begin+`{"kty":"RSA"`, `,"a":0`, `},`+end),
		"certificates":              fill(begin+`{"kty":"RSA","n":"AQAB","e":"AQAB","x5c":["AA=="`, `,"AA=="`, `]},`+end),
		"arrays in arrays":          fill(begin, "[", ""),
	}
}

func TestKeySetsCostLittle(t *testing.T) {
	for name, body := range worstKeySets(t) {
		var set *keySet
		costs(t, name+", read", 16<<20, func() { set, _ = fetchKeys(t.Context(), answering(body), "https://id.example.test/jwks") })
		if set == nil {
			continue
		}
		if len(set.keys) > maxKeys || len(set.skipped) > maxKeys+1 {
			t.Errorf("%s: %d keys, %d skipped", name, len(set.keys), len(set.skipped))
		}
		for _, alg := range []string{"RS256", "PS512", "ES512"} {
			for _, kid := range []string{"", `,"kid":"1"`} {
				token := forged(`{"alg":"`+alg+`"`+kid+`}`, fuzzPayload)
				signed, err := jose.ParseSignedCompact(token, asymmetric)
				if err != nil {
					t.Fatal(err)
				}
				costs(t, name+", for a token of "+alg+kid, 2<<20, func() {
					if _, err := new(keys).verifyWith(t.Context(), set, signed); err == nil {
						t.Error("a forged token passes")
					}
				})
			}
		}
	}
}

// forged is a token whose signature has the length that one by the largest key has.
func forged(header string, payload []byte) string {
	length := 512
	if strings.Contains(header, "ES512") {
		length = 132
	}
	signature := bytes.Repeat([]byte{1}, length)
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Nothing that an anonymous request can send to the logout's address costs much,
// and nothing that could not pass has the provider asked.
func TestLogoutTokensCostLittle(t *testing.T) {
	sets := worstKeySets(t)
	unread := "could not pass"
	for name, form := range map[string]string{
		"nothing":                         "",
		"64 KB":                           "logout_token=" + strings.Repeat("a", maxForm),
		"64 KB of parameters":             strings.Repeat("a&", maxForm/2-1),
		"a token of 17 KB, " + unread:     "logout_token=" + forged(`{"alg":"RS256"}`, manyMembers(2000)),
		"dots, " + unread:                 "logout_token=" + strings.Repeat(".", maxLogoutToken),
		"of another issuer, " + unread:    "logout_token=" + forged(`{"alg":"RS256"}`, fuzzLogout("iss", `"https://other.example.test"`)),
		"of another client, " + unread:    "logout_token=" + forged(`{"alg":"RS256"}`, fuzzLogout("aud", `"other"`)),
		"expired, " + unread:              "logout_token=" + forged(`{"alg":"RS256"}`, fuzzLogout("exp", `1`)),
		"an ID token, " + unread:          "logout_token=" + forged(`{"alg":"RS256"}`, fuzzPayload),
		"deep, " + unread:                 "logout_token=" + forged(`{"alg":"RS256"}`, []byte(strings.Repeat("[", 11<<10))),
		"many members":                    "logout_token=" + forged(`{"alg":"RS256"}`, manyMembers(1000)),
		"a signature of nobody's":         "logout_token=" + forged(`{"alg":"RS256"}`, fuzzLogout("sub", `"ada"`)),
		"a signature of nobody's, of PSS": "logout_token=" + forged(`{"alg":"PS512"}`, fuzzLogout("sub", `"ada"`)),
		"a key of its own":                "logout_token=" + forged(`{"alg":"RS256","jwk":{"kty":"RSA","n":"`+strings.Repeat("_", 8<<10)+`","e":"AQAB"}}`, fuzzLogout("sub", `"ada"`)),
		"certificates of its own":         "logout_token=" + forged(`{"alg":"RS256","x5c":["AA=="`+strings.Repeat(`,"AA=="`, 1000)+`]}`, fuzzLogout("sub", `"ada"`)),
		"a header of many members":        "logout_token=" + forged(`{"alg":"RS256"`+members(1000)+`}`, fuzzLogout("sub", `"ada"`)),
	} {
		told, asked := new(revokedKeys), 0
		a := hostileAuth(t, told, sets["RSA keys of 4096 bits"], &asked)
		r := httptest.NewRequest("POST", "/auth/backchannel-logout", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		most := uint64(4 << 20)
		if !strings.HasSuffix(name, unread) {
			most += 28 << 20 // the keys, which are fetched twice at most, and eight tries each time
		}
		costs(t, name, most, func() {
			if err := a.BackChannelLogout(httptest.NewRecorder(), r); err == nil || told.told != 0 {
				t.Errorf("%s: passes", name)
			}
		})
		if asked > 3 || strings.HasSuffix(name, unread) && asked > 0 {
			t.Errorf("%s: the provider is asked %d times", name, asked)
		}
	}
}

func members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":0`, i)
	}
	return b.String()
}

func manyMembers(n int) []byte {
	p := string(fuzzLogout("sub", `"ada"`))
	return []byte(p[:len(p)-1] + members(n) + "}")
}

// hostileAuth is an application whose provider serves these keys, and counts what
// it is asked.
func hostileAuth(t testing.TB, told *revokedKeys, set []byte, asked *int) *Authenticator {
	t.Helper()
	metadata, err := json.Marshal(map[string]any{
		"issuer": fuzzProvider.Issuer, "authorization_endpoint": fuzzProvider.Issuer + "/a", "token_endpoint": fuzzProvider.Issuer + "/t",
		"jwks_uri": fuzzProvider.Issuer + "/jwks", "id_token_signing_alg_values_supported": []string{"RS256", "PS512", "ES512"},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := goodConfig()
	config.Providers = []Provider{*fuzzProvider}
	config.Logout.Revocations, config.Logger = told, slog.New(slog.DiscardHandler)
	config.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		*asked++
		body := metadata
		if r.URL.Path == "/jwks" {
			body = set
		}
		return &http.Response{StatusCode: http.StatusOK, Request: r, Header: make(http.Header), Body: io.NopCloser(bytes.NewReader(body))}, nil
	})}
	a, err := newAt(config, func() time.Time { return fuzzTime })
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
	state := url.Values{"state": {strings.Repeat("A", 43)}, "code": {"c"}, "iss": {fuzzProvider.Issuer}}.Encode()
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
			costs(t, name+", "+route.name, 8<<20, func() { _ = route.handle(httptest.NewRecorder(), r) })
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
