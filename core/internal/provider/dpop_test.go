package provider

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/base64url"
)

func newTestProofKey(t testing.TB) *ProofKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := NewProofKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// A readProof is a proof as a server reads it.
type readProof struct {
	header, claims map[string]any
	key            string // thumbprint of its jwk, which has signed it
}

func (p readProof) text(claim string) string { s, _ := p.claims[claim].(string); return s }

func read(t testing.TB, proof string) (p readProof) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(proof, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatalf("%q: %v", proof, err)
	}
	payload, err := signed.Verify(signed.Signatures[0].Protected.JSONWebKey)
	if err != nil {
		t.Fatal(err)
	}
	head, err := base64url.Decode(strings.Split(proof, ".")[0])
	if err != nil || json.Unmarshal(head, &p.header) != nil || json.Unmarshal(payload, &p.claims) != nil {
		t.Fatalf("%q", proof)
	}
	thumbprint, err := signed.Signatures[0].Protected.JSONWebKey.Thumbprint(5) // crypto.SHA256
	if err != nil {
		t.Fatal(err)
	}
	p.key = base64url.Encode(thumbprint)
	return p
}

func TestAProofIsForOneRequest(t *testing.T) {
	t.Parallel()
	key, now := newTestProofKey(t), time.Unix(1_800_000_000, 999)
	hash := sha256.Sum256([]byte("access"))
	for _, test := range []struct {
		method, url, access, nonce string
		want                       map[string]any // jti aside
	}{
		{"POST", "https://id.example.test/token", "", "", map[string]any{"htm": "POST", "htu": "https://id.example.test/token"}},
		{"POST", "https://id.example.test/token?a=b#c", "", "n-1", map[string]any{"htm": "POST", "htu": "https://id.example.test/token", "nonce": "n-1"}},
		{"", "https://API.example.test:443", "access", "", map[string]any{"htm": "GET", "htu": "https://api.example.test/", "ath": base64url.Encode(hash[:])}},
		{"PATCH", "https://api.example.test:8443/a%2Fb/%7Bc%7D?", "access", "n", map[string]any{"htm": "PATCH", "htu": "https://api.example.test:8443/a%2Fb/%7Bc%7D", "ath": base64url.Encode(hash[:]), "nonce": "n"}},
		{"GET", "http://127.0.0.1:80/a&b", "", "", map[string]any{"htm": "GET", "htu": "http://127.0.0.1/a&b"}},
		{"GET", "http://[::1]:443/", "", "", map[string]any{"htm": "GET", "htu": "http://[::1]:443/"}},
	} {
		t.Run("rule 134: "+test.method+" "+test.url, func(t *testing.T) {
			target, err := url.Parse(test.url)
			if err != nil {
				t.Fatal(err)
			}
			proof, err := key.prove(test.method, target, test.access, test.nonce, now)
			if err != nil {
				t.Fatal(err)
			}
			got := read(t, proof)
			if jti := got.text("jti"); len(jti) < 26 {
				t.Errorf("jti is %q", jti)
			}
			delete(got.claims, "jti")
			test.want["iat"] = 1.8e9
			if fmt.Sprint(got.claims) != fmt.Sprint(test.want) {
				t.Errorf("got %v, want %v", got.claims, test.want)
			}
			jwk, _ := got.header["jwk"].(map[string]any)
			if len(got.header) != 3 || got.header["typ"] != "dpop+jwt" || got.header["alg"] != "ES256" || got.key != key.Thumbprint {
				t.Errorf("got %v", got.header)
			}
			if len(jwk) != 4 || jwk["kty"] != "EC" || jwk["crv"] != "P-256" || jwk["x"] == nil || jwk["y"] == nil {
				t.Errorf("jwk is %v: nothing but the public key may be in it", jwk)
			}
		})
	}
}

// A tokenServer answers token requests, as a list says.
type tokenServer struct {
	mu      sync.Mutex
	answers []func(*http.Request) *http.Response // the last one again and again
	forms   []url.Values
	proofs  []string
}

func (s *tokenServer) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := s.answers[min(len(s.forms), len(s.answers)-1)]
	s.forms, s.proofs = append(s.forms, form), append(s.proofs, r.Header.Get("DPoP"))
	return answer(r), nil
}

func response(status int, body string, headers ...string) func(*http.Request) *http.Response {
	return func(r *http.Request) *http.Response {
		made := &http.Response{StatusCode: status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(body)), Request: r}
		for i := 0; i < len(headers); i += 2 {
			made.Header.Add(headers[i], headers[i+1])
		}
		return made
	}
}

const (
	tokenURL    = "https://id.example.test/token"
	nonceError  = `{"error":"use_dpop_nonce"}`
	boundAnswer = `{"access_token":"access","token_type":"DPoP","refresh_token":"refresh"}`
)

func newTestGrant(server http.RoundTripper, keys ...*ProofKey) (*codeGrant, *metadata) {
	return &codeGrant{config: Config{
			ClientID: "app", RedirectURL: "https://app.example.test/cb", ProofKeys: keys, Now: time.Now,
			Client: &http.Client{Transport: server},
		}},
		&metadata{TokenEndpoint: tokenURL, authMethod: authNone}
}

// A token request is sent a second time in one case only, and never a third time.
func TestARequestIsSentAgainForANonce(t *testing.T) {
	t.Parallel()
	wants := response(400, nonceError, "DPoP-Nonce", "nonce-1")
	grants := response(200, boundAnswer)
	for name, test := range map[string]struct {
		answers []func(*http.Request) *http.Response
		nonces  []string // of the proofs
		code    string   // "": tokens
	}{
		"no nonce is wanted":       {[]func(*http.Request) *http.Response{grants}, []string{""}, ""},
		"status 400":               {[]func(*http.Request) *http.Response{wants, grants}, []string{"", "nonce-1"}, ""},
		"status 401":               {[]func(*http.Request) *http.Response{response(401, nonceError, "DPoP-Nonce", "nonce-1"), grants}, []string{"", "nonce-1"}, ""},
		"as a form":                {[]func(*http.Request) *http.Response{response(400, "error=use_dpop_nonce", "DPoP-Nonce", "nonce-1"), grants}, []string{"", "nonce-1"}, ""},
		"a second nonce":           {[]func(*http.Request) *http.Response{wants, response(400, nonceError, "DPoP-Nonce", "nonce-2")}, []string{"", "nonce-1"}, CodeTokenRefused},
		"the same nonce again":     {[]func(*http.Request) *http.Response{wants}, []string{"", "nonce-1"}, CodeTokenRefused},
		"no nonce":                 {[]func(*http.Request) *http.Response{response(400, nonceError)}, []string{""}, CodeTokenRefused},
		"an empty nonce":           {[]func(*http.Request) *http.Response{response(400, nonceError, "DPoP-Nonce", "")}, []string{""}, CodeTokenRefused},
		"two nonces":               {[]func(*http.Request) *http.Response{response(400, nonceError, "DPoP-Nonce", "a", "DPoP-Nonce", "b")}, []string{""}, CodeTokenRefused},
		"a nonce with a space":     {[]func(*http.Request) *http.Response{response(400, nonceError, "DPoP-Nonce", "a b")}, []string{""}, CodeTokenRefused},
		"a nonce that is too long": {[]func(*http.Request) *http.Response{response(400, nonceError, "DPoP-Nonce", strings.Repeat("a", maxNonce+1))}, []string{""}, CodeTokenRefused},
		"a long nonce":             {[]func(*http.Request) *http.Response{response(400, nonceError, "DPoP-Nonce", strings.Repeat("a", maxNonce)), grants}, []string{"", strings.Repeat("a", maxNonce)}, ""},
		"another error":            {[]func(*http.Request) *http.Response{response(400, `{"error":"invalid_grant"}`, "DPoP-Nonce", "nonce-1")}, []string{""}, CodeGrantRefused},
		"an invalid proof":         {[]func(*http.Request) *http.Response{response(400, `{"error":"invalid_dpop_proof"}`, "DPoP-Nonce", "nonce-1")}, []string{""}, CodeTokenRefused},
		"status 200":               {[]func(*http.Request) *http.Response{response(200, nonceError, "DPoP-Nonce", "nonce-1")}, []string{""}, CodeTokenRefused},
		"status 503":               {[]func(*http.Request) *http.Response{response(503, nonceError, "DPoP-Nonce", "nonce-1")}, []string{""}, CodeUnavailable},
	} {
		t.Run("rule 136: "+name, func(t *testing.T) {
			t.Parallel()
			key, server := newTestProofKey(t), &tokenServer{answers: test.answers}
			g, m := newTestGrant(server, key)
			token, err := g.exchange(t.Context(), m, "code-1234", Request{Verifier: "verifier-1234"})
			code := ""
			if refused, ok := err.(*Error); ok {
				code = refused.Code
			}
			if code != test.code || (err == nil) != (token != nil) {
				t.Errorf("got %v, %v, want %q", token, err, test.code)
			}
			var nonces, jtis []string
			for i, proof := range server.proofs {
				p := read(t, proof)
				nonces, jtis = append(nonces, p.text("nonce")), append(jtis, p.text("jti"))
				if p.key != key.Thumbprint || p.text("htu") != tokenURL || p.text("htm") != "POST" || p.claims["ath"] != nil {
					t.Errorf("got %v", p.claims)
				}
				if fmt.Sprint(server.forms[i]) != fmt.Sprint(server.forms[0]) || server.forms[i].Get("code_verifier") != "verifier-1234" {
					t.Errorf("request %d has another form: %v", i, server.forms[i])
				}
			}
			if !slices.Equal(nonces, test.nonces) {
				t.Errorf("got the nonces %q, want %q", nonces, test.nonces)
			}
			if len(jtis) == 2 && jtis[0] == jtis[1] {
				t.Error("jti was used twice")
			}
			if err != nil && (strings.Contains(err.Error(), "nonce-1") || strings.Contains(err.Error(), server.proofs[0])) {
				t.Errorf("told: %v", err)
			}
		})
	}
}

// The nonce of any response is in the next proof for the same server, and for no other.
func TestANonceIsForTheNextRequest(t *testing.T) {
	t.Parallel()
	t.Run("rule 138: of any response", func(t *testing.T) {
		server := &tokenServer{answers: []func(*http.Request) *http.Response{
			response(200, boundAnswer, "DPoP-Nonce", "nonce-1"),
			response(400, `{"error":"invalid_grant"}`, "DPoP-Nonce", "nonce-2"),
			response(503, "", "DPoP-Nonce", "nonce-3"),
			response(200, boundAnswer),
		}}
		g, m := newTestGrant(server, newTestProofKey(t))
		ask := func() string {
			g.refreshToken(t.Context(), m, &Tokens{Refresh: "refresh-1"})
			return read(t, server.proofs[len(server.proofs)-1]).text("nonce")
		}
		for i, want := range []string{"", "nonce-1", "nonce-2", "nonce-3", "nonce-3"} {
			if got := ask(); got != want {
				t.Errorf("request %d: got %q, want %q", i, got, want)
			}
		}
		m.TokenEndpoint = "https://id.example.test:8443/token"
		if got := ask(); got != "" {
			t.Errorf("another server got %q", got)
		}
		m.TokenEndpoint = "https://ID.example.test:443/other"
		if got := ask(); got != "nonce-3" {
			t.Errorf("the same server got %q", got)
		}
		if len(server.proofs) != 7 {
			t.Errorf("%d requests", len(server.proofs))
		}
	})
}

func TestTheTypeOfTokensIsTheOneAskedFor(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		dpop bool
		kind string
		ok   bool
	}{
		{true, "DPoP", true}, {true, "dpop", true}, {true, "dPoP", true},
		{true, "Bearer", false}, {true, "", false}, {true, "DPoP ", false}, {true, "mac", false},
		{false, "Bearer", true}, {false, "bEARER", true}, {false, "DPoP", false}, {false, "", false},
	} {
		t.Run(fmt.Sprintf("rule 139: DPoP %v, %q", test.dpop, test.kind), func(t *testing.T) {
			server := &tokenServer{answers: []func(*http.Request) *http.Response{response(200, fmt.Sprintf(`{"access_token":"access","token_type":%q}`, test.kind))}}
			g, m := newTestGrant(server)
			if test.dpop {
				g, m = newTestGrant(server, newTestProofKey(t))
			}
			token, err := g.exchange(t.Context(), m, "code", Request{})
			refused, _ := err.(*Error)
			if (token != nil) != test.ok || !test.ok && (refused == nil || refused.Code != CodeTokenResponse) {
				t.Errorf("got %v, %v", token, err)
			}
			if test.ok && (g.tokensOf(token).Key != "") != test.dpop {
				t.Errorf("DPoP %v: tokens have the key %q", test.dpop, g.tokensOf(token).Key)
			}
			if (server.proofs[0] != "") != test.dpop {
				t.Errorf("DPoP %v: the proof is %q", test.dpop, server.proofs[0])
			}
		})
	}
}

// The key of a login or of held tokens signs, and the current one if that is gone.
func TestWhichKeySigns(t *testing.T) {
	t.Parallel()
	current, former, gone := newTestProofKey(t), newTestProofKey(t), newTestProofKey(t)
	for _, test := range []struct{ held, want *ProofKey }{{current, current}, {former, former}, {gone, current}, {&ProofKey{}, current}} {
		server := &tokenServer{answers: []func(*http.Request) *http.Response{response(200, boundAnswer)}}
		g, m := newTestGrant(server, current, former)
		for _, ask := range []func() (*tokenResponse, error){
			func() (*tokenResponse, error) {
				return g.exchange(t.Context(), m, "code", Request{Key: test.held.Thumbprint})
			},
			func() (*tokenResponse, error) {
				return g.refreshToken(t.Context(), m, &Tokens{Refresh: "refresh-1", Key: test.held.Thumbprint})
			},
		} {
			token, err := ask()
			if err != nil || g.tokensOf(token).Key != test.want.Thumbprint || read(t, server.proofs[len(server.proofs)-1]).key != test.want.Thumbprint {
				t.Errorf("got %v, %v", token, err)
			}
		}
		if holds := test.held != gone; g.Holds(test.held.Thumbprint) != holds {
			t.Errorf("holds: want %v", holds)
		}
	}
}

func TestMetadataMustOfferTheProofs(t *testing.T) {
	t.Parallel()
	keys := []*ProofKey{newTestProofKey(t)}
	for name, test := range map[string]struct {
		config    Config
		announced []string
		ok        bool
	}{
		"offered":                {Config{ProofKeys: keys}, []string{"PS256", "ES256"}, true},
		"by other algorithms":    {Config{ProofKeys: keys}, []string{"PS256", "ES384"}, false},
		"not offered":            {Config{ProofKeys: keys}, nil, false},
		"no metadata":            {Config{ProofKeys: keys, Endpoints: Endpoints{AuthURL: "https://a.example.test"}}, nil, true},
		"DPoP is not configured": {Config{}, []string{"PS256"}, true},
	} {
		t.Run("rule 141: "+name, func(t *testing.T) {
			err := test.config.checkProofs(test.announced)
			if (err == nil) != test.ok || err != nil && !strings.HasPrefix(err.Error(), "dpop_signing_alg_values_supported ") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A hostile server, or many, fill no memory.
func TestNoncesAreBounded(t *testing.T) {
	t.Parallel()
	var n nonces
	for i := range 10 * maxNonceServers {
		origin := fmt.Sprintf("https://%d.example.test", i)
		n.learn(origin, http.Header{"Dpop-Nonce": {"a"}})
		if n.learn(origin, http.Header{"Dpop-Nonce": {"b"}}); n.of(origin) != "b" {
			t.Fatalf("%s: got %q", origin, n.of(origin))
		}
	}
	if len(n.last) != maxNonceServers {
		t.Errorf("keeps %d", len(n.last))
	}
	for _, bad := range [][]string{nil, {""}, {"a", "b"}, {"a b"}, {"a\""}, {"a\\"}, {"ä"}, {"a\x7f"}, {strings.Repeat("a", maxNonce+1)}} {
		if got := n.learn("https://x.example.test", http.Header{"Dpop-Nonce": bad}); got != "" || n.of("https://x.example.test") != "" {
			t.Errorf("%q: got %q", bad, got)
		}
	}
}

// Requests at the same time, while the server changes its nonce again and again.
func TestNoncesAtTheSameTime(t *testing.T) {
	t.Parallel()
	const callers = 16
	server := &nonceServer{t: t, seen: make(map[string]bool)}
	g, m := newTestGrant(server, newTestProofKey(t))
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range 20 {
				if _, err := g.refreshToken(t.Context(), m, &Tokens{Refresh: "refresh-1"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if server.refused > callers*20 {
		t.Errorf("%d of %d requests were refused", server.refused, callers*20)
	}
}

// A nonceServer accepts its current nonce and the former one. It changes its nonce every
// now and then.
type nonceServer struct {
	t        testing.TB
	mu       sync.Mutex
	accepted int
	refused  int
	seen     map[string]bool // jti
}

func (s *nonceServer) RoundTrip(r *http.Request) (*http.Response, error) {
	p := read(s.t, r.Header.Get("DPoP"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if jti := p.text("jti"); s.seen[jti] {
		s.t.Errorf("jti %q was used twice", jti)
	} else {
		s.seen[jti] = true
	}
	period := s.accepted / 50
	now := fmt.Sprintf("nonce-%d", period)
	if got := p.text("nonce"); got != now && got != fmt.Sprintf("nonce-%d", period-1) {
		s.refused++
		return response(400, nonceError, "DPoP-Nonce", now)(r), nil
	}
	s.accepted++
	return response(200, boundAnswer, "DPoP-Nonce", now)(r), nil
}

// A refused proof is no refused client, whatever the status.
func TestARefusedProofSaysWhatToCheck(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusUnauthorized} {
		refused := tokenRefusal("token endpoint", status, []byte(`{"error":"invalid_dpop_proof"}`), "the client")
		if text := refused.Error(); refused.Code != CodeTokenRefused || !strings.Contains(text, "check the clock") || strings.Contains(text, "the client") {
			t.Errorf("%d: got %s: %s", status, refused.Code, text)
		}
	}
}
