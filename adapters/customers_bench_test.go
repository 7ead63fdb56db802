package adapters_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
)

// A market has many providers, each with its own metadata and keys. It answers from memory
// in little time, so that only the application is measured.
type market struct {
	keys   []*ecdsa.PrivateKey
	tokens map[string]string // ID tokens, by code
	asked  int               // requests for metadata and keys
}

func newMarket(b *testing.B, n int) *market {
	b.Helper()
	m := &market{keys: make([]*ecdsa.PrivateKey, n), tokens: make(map[string]string)}
	for i := range m.keys {
		var err error
		if m.keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			b.Fatal(err)
		}
		m.token(b, i, map[string]any{}) // from now on the key has what it computes once
	}
	return m
}

func (m *market) issuer(i int) string { return fmt.Sprintf("https://c%d.example.test", i) }

// RoundTrip implements [http.RoundTripper].
func (m *market) RoundTrip(r *http.Request) (*http.Response, error) {
	name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Host, "c"), ".")
	i, err := strconv.Atoi(name)
	if err != nil {
		return nil, err
	}
	var answer any
	switch at := m.issuer(i); r.URL.Path {
	case "/.well-known/openid-configuration":
		m.asked++
		answer = map[string]any{
			"issuer": at, "authorization_endpoint": at + "/authorize", "token_endpoint": at + "/token", "jwks_uri": at + "/jwks", "userinfo_endpoint": at + "/userinfo",
			"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"}, "id_token_signing_alg_values_supported": []string{"ES256"},
			"code_challenge_methods_supported": []string{"S256"}, "scopes_supported": []string{"openid", "profile", "email"},
		}
	case "/jwks":
		m.asked++
		answer = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: m.keys[i].Public(), KeyID: "1", Algorithm: "ES256", Use: "sig"}}}
	default:
		form, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		query, err := url.ParseQuery(string(form))
		if err != nil {
			return nil, err
		}
		answer = map[string]any{"access_token": "access", "token_type": "Bearer", "expires_in": 3600, "id_token": m.tokens[query.Get("code")]}
		delete(m.tokens, query.Get("code"))
	}
	body, err := json.Marshal(answer)
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}, err
}

// sign makes the ID token of a login whose authorization request is at.
func (m *market) sign(b *testing.B, i int, at *url.URL) (code string) {
	b.Helper()
	claims := claimsOfAUser()
	claims["sub"], claims["nonce"] = "248289761001", at.Query().Get("nonce")
	code = at.Query().Get("state")
	m.tokens[code] = m.token(b, i, claims)
	return code
}

// token signs a token by a provider.
func (m *market) token(b *testing.B, i int, claims map[string]any) string {
	b.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: m.keys[i]}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now().Unix()
	for name, value := range map[string]any{"iss": m.issuer(i), "aud": "app", "iat": now, "exp": now + 300} {
		claims[name] = value
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		b.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		b.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		b.Fatal(err)
	}
	return token
}

// A clientele is an application whose customers are at a market.
type clientele struct {
	*market
	auth   *core.Authenticator
	listed bool // only the first customer, which is in Config.Providers
	next   int
	w      *nobody
}

func newClientele(b *testing.B, m *market, kept int, change ...func(*core.Config)) *clientele {
	b.Helper()
	provider := func(i int) core.Provider {
		return core.Provider{Issuer: m.issuer(i), ClientID: "app", ClientSecret: "secret"}
	}
	config := core.Config{
		RedirectURL: origin + "/auth/callback",
		SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
		HTTPClient:  &http.Client{Transport: m},
		Logger:      slog.New(slog.DiscardHandler),
	}
	if kept == 0 {
		config.Providers = []core.Provider{provider(0)}
	} else {
		config.Lookup = core.LookupConfig{AnyAddress: true, MaxKept: kept, Find: func(_ context.Context, name string) (*core.Provider, error) {
			i, err := strconv.Atoi(strings.TrimPrefix(name, "customer-"))
			found := provider(i)
			return &found, err
		}}
	}
	for _, f := range change {
		f(&config)
	}
	auth, err := core.New(config)
	if err != nil {
		b.Fatal(err)
	}
	return &clientele{market: m, auth: auth, listed: kept == 0, w: &nobody{header: make(http.Header)}}
}

// login begins a login at the next of n customers, and returns the customer.
func (c *clientele) login(b *testing.B, n int) (i int) {
	b.Helper()
	i = c.next % n
	c.next++
	query := "return_to=/private"
	if !c.listed {
		query += "&provider=customer-" + strconv.Itoa(i)
	}
	r := &http.Request{Method: "GET", Host: "app.example.test", URL: &url.URL{Path: "/auth/login", RawQuery: query}, Header: http.Header{"Cookie": {otherCookies}}}
	redirects(b, c.w, c.auth.Login, r, c.issuer(i)+"/authorize?")
	return i
}

// callback ends a login at the next of n customers, and returns how long the callback took.
func (c *clientele) callback(b *testing.B, n int) time.Duration {
	b.Helper()
	i := c.login(b, n)
	to, err := url.Parse(c.w.header.Get("Location"))
	if err != nil {
		b.Fatal(err)
	}
	attempt, _, _ := strings.Cut(c.w.header["Set-Cookie"][0], ";")
	path := "/auth/callback"
	if !c.listed {
		path += "/customer-" + strconv.Itoa(i)
	}
	r := httptest.NewRequest("GET", origin+path+"?state="+to.Query().Get("state")+"&code="+c.sign(b, i, to), nil)
	r.Header.Set("Cookie", otherCookies+attempt)
	begun := time.Now()
	redirects(b, c.w, c.auth.Callback, r, "/private")
	return time.Since(begun)
}

// fetchKeys has the application verify a token whose signature is wrong, so that nothing is
// remembered of it.
func (c *clientele) fetchKeys(b *testing.B, i int) {
	b.Helper()
	token := c.token(b, i, map[string]any{
		"sub": "248289761001", "jti": strconv.Itoa(i), "events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	})
	signature := strings.LastIndexByte(token, '.') + 1
	form := url.Values{"logout_token": {token[:signature] + strings.Repeat("A", len(token)-signature)}}
	r := httptest.NewRequest("POST", origin+"/auth/backchannel-logout/customer-"+strconv.Itoa(i), strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if err := c.auth.BackChannelLogout(c.w, r); err == nil {
		b.Fatal("a token without a signature is accepted")
	}
}

// session returns a request with the session of a user of the first customer.
func (c *clientele) session(b *testing.B) *http.Request {
	b.Helper()
	c.next = 0
	c.callback(b, 1)
	r := httptest.NewRequest("GET", origin+"/private", nil)
	cookies := otherCookies
	for _, line := range c.w.header["Set-Cookie"] {
		if pair, _, _ := strings.Cut(line, ";"); strings.Contains(pair, "pixy-session") {
			cookies += pair
		}
	}
	r.Header.Set("Cookie", cookies)
	return r
}

// guard returns a function that has a guarded request pass.
func (c *clientele) guard(b *testing.B) func() {
	b.Helper()
	handler, r := guards["nethttp"](c.auth), c.session(b)
	return func() {
		clear(c.w.header)
		c.w.status = http.StatusOK
		if handler.ServeHTTP(c.w, r); c.w.status != http.StatusOK {
			b.Fatalf("got %d", c.w.status)
		}
	}
}

// The time of requests as looked-up providers grow in number, each with its own keys, all of
// them in use: as a multiple of that of one listed provider.
func BenchmarkCustomers(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		m := newMarket(b, n)
		listed, all := newClientele(b, m, 0), newClientele(b, m, n)
		for range n {
			all.callback(b, n) // now all have metadata and keys
		}
		listed.callback(b, 1)
		known := m.asked
		b.Run(fmt.Sprintf("guard/%d", n), func(b *testing.B) { compare(b, listed.guard(b), all.guard(b)) })
		b.Run(fmt.Sprintf("login/%d", n), func(b *testing.B) {
			compare(b, func() { listed.login(b, 1) }, func() { all.login(b, n) })
		})
		b.Run(fmt.Sprintf("callback/%d", n), func(b *testing.B) {
			const calls = 50
			took := func(c *clientele, n int) (all float64) {
				for range calls {
					all += float64(c.callback(b, n))
				}
				return all / calls
			}
			var ratios, times []float64
			for b.Loop() {
				least, of := took(listed, 1), took(all, n)
				ratios, times = append(ratios, of/least), append(times, of)
			}
			b.ReportMetric(median(times), "ns/op")
			b.ReportMetric(median(ratios), "floors")
		})
		if m.asked != known {
			b.Fatalf("metadata and keys were fetched again: %d requests after %d", m.asked, known)
		}
	}
}

// The memory of looked-up providers with metadata and keys: that of those that are kept, and
// not of those that are known.
func BenchmarkCustomersMemory(b *testing.B) {
	for _, row := range []struct{ known, kept int }{{100, 100}, {10_000, 10_000}, {10_000, 100}} {
		b.Run(fmt.Sprintf("%d known, %d kept", row.known, row.kept), func(b *testing.B) {
			m := newMarket(b, row.known)
			before, c := heap(), newClientele(b, m, row.kept, func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) })
			for i := range row.known {
				c.login(b, row.known)
				c.fetchKeys(b, i)
			}
			if m.asked < 2*row.known {
				b.Fatalf("%d requests for metadata and keys of %d providers", m.asked, row.known)
			}
			bytes := heap() - before
			runtime.KeepAlive(c)
			runtime.KeepAlive(m)
			for b.Loop() {
			}
			if bytes > float64(16<<10*row.kept) {
				b.Errorf("%.0f bytes for %d kept providers", bytes, row.kept)
			}
			b.ReportMetric(bytes/float64(row.kept), "bytes/kept")
			b.ReportMetric(bytes, "bytes")
		})
	}
}

// heap returns the bytes that are in use.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}
