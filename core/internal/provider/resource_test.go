package provider

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const challengeNonce = `DPoP error="use_dpop_nonce", algs="ES256"`

// An api answers requests for a resource, as a list says.
type api struct {
	answers []func(*http.Request) *http.Response
	got     []*http.Request
	bodies  []string
}

func (s *api) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, _ := io.ReadAll(r.Body)
		body = string(b)
		r.Body.Close()
	}
	answer := s.answers[min(len(s.got), len(s.answers)-1)]
	s.got, s.bodies = append(s.got, r), append(s.bodies, body)
	return answer(r), nil
}

type closing struct {
	io.Reader
	closed int
}

func (c *closing) Close() error { c.closed++; return nil }

// A request for a resource is sent a second time in one case only, and never a third time.
func TestAResourceIsAskedAgainForANonce(t *testing.T) {
	t.Parallel()
	wants := response(401, "", "WWW-Authenticate", challengeNonce, "DPoP-Nonce", "nonce-1")
	ok := response(200, "")
	type answers = []func(*http.Request) *http.Response
	for name, test := range map[string]struct {
		answers answers
		body    string
		once    bool // the body can be read only once
		nonces  []string
		status  int
	}{
		"no nonce is wanted":                {answers: answers{ok}, nonces: []string{""}, status: 200},
		"a nonce is wanted":                 {answers: answers{wants, ok}, nonces: []string{"", "nonce-1"}, status: 200},
		"with a body":                       {answers: answers{wants, ok}, body: "order 7", nonces: []string{"", "nonce-1"}, status: 200},
		"with a body that is gone":          {answers: answers{wants, ok}, body: "order 7", once: true, nonces: []string{""}, status: 401},
		"the scheme is written dPoP":        {answers: answers{response(401, "", "WWW-Authenticate", `dPoP error=use_dpop_nonce`, "DPoP-Nonce", "nonce-1"), ok}, nonces: []string{"", "nonce-1"}, status: 200},
		"in the second header":              {answers: answers{response(401, "", "WWW-Authenticate", `Bearer`, "WWW-Authenticate", challengeNonce, "DPoP-Nonce", "nonce-1"), ok}, nonces: []string{"", "nonce-1"}, status: 200},
		"again and again":                   {answers: answers{wants, response(401, "", "WWW-Authenticate", challengeNonce, "DPoP-Nonce", "nonce-2")}, nonces: []string{"", "nonce-1"}, status: 401},
		"no nonce is there":                 {answers: answers{response(401, "", "WWW-Authenticate", challengeNonce), ok}, nonces: []string{""}, status: 401},
		"another error":                     {answers: answers{response(401, "", "WWW-Authenticate", `DPoP error="invalid_token"`, "DPoP-Nonce", "nonce-1"), ok}, nonces: []string{""}, status: 401},
		"another scheme":                    {answers: answers{response(401, "", "WWW-Authenticate", `Bearer error="use_dpop_nonce"`, "DPoP-Nonce", "nonce-1"), ok}, nonces: []string{""}, status: 401},
		"no challenge":                      {answers: answers{response(401, nonceError, "DPoP-Nonce", "nonce-1"), ok}, nonces: []string{""}, status: 401},
		"status 400":                        {answers: answers{response(400, "", "WWW-Authenticate", challengeNonce, "DPoP-Nonce", "nonce-1"), ok}, nonces: []string{""}, status: 400},
		"status 200":                        {answers: answers{response(200, "", "WWW-Authenticate", challengeNonce, "DPoP-Nonce", "nonce-1"), ok}, nonces: []string{""}, status: 200},
		"a nonce that no proof can have in": {answers: answers{response(401, "", "WWW-Authenticate", challengeNonce, "DPoP-Nonce", "a\"b"), ok}, nonces: []string{""}, status: 401},
	} {
		t.Run("rules 135, 137: "+name, func(t *testing.T) {
			t.Parallel()
			key, server := newTestProofKey(t), &api{answers: test.answers}
			g, _ := newTestGrant(nil, key)
			var body io.Reader
			if test.body != "" {
				body = strings.NewReader(test.body)
			}
			r, err := http.NewRequestWithContext(t.Context(), "PUT", "https://api.example.test/orders?id=7", body)
			if err != nil {
				t.Fatal(err)
			}
			if test.once {
				r.GetBody = nil
			}
			response, err := g.Call(server, r, "access-1", key.Thumbprint)
			if err != nil || response.StatusCode != test.status {
				t.Fatalf("got %v, %v", response, err)
			}
			var nonces []string
			for i, r := range server.got {
				p := read(t, r.Header.Get("DPoP"))
				nonces = append(nonces, p.text("nonce"))
				if r.Header.Get("Authorization") != "DPoP access-1" || len(r.Header["Dpop"]) != 1 || p.text("htu") != "https://api.example.test/orders" || p.text("htm") != "PUT" || p.text("ath") == "" || p.key != key.Thumbprint {
					t.Errorf("got %v, %v", r.Header, p.claims)
				}
				if server.bodies[i] != test.body {
					t.Errorf("request %d has the body %q", i, server.bodies[i])
				}
				if i > 0 && p.text("jti") == read(t, server.got[0].Header.Get("DPoP")).text("jti") {
					t.Error("jti was used twice")
				}
			}
			if !slices.Equal(nonces, test.nonces) {
				t.Errorf("got the nonces %q, want %q", nonces, test.nonces)
			}
			if fresh := server.answers[min(len(server.got), len(server.answers))-1](r).Header.Get("DPoP-Nonce"); validNonce(fresh) && g.resourceNonces.of("https://api.example.test:443") != fresh {
				t.Error("the nonce is not kept for the next request")
			}
			if g.nonces.last != nil {
				t.Error("the authorization server gets the nonce of a resource")
			}
		})
	}
}

func TestACallFails(t *testing.T) {
	t.Parallel()
	key := newTestProofKey(t)
	g, _ := newTestGrant(nil, key)
	for name, test := range map[string]struct {
		thumbprint string
		told       string
	}{
		"the key is unknown":           {"unknown", "bound to a key"},
		"the connection fails":         {key.Thumbprint, "[redacted]"},
		"the connection fails, bearer": {"", "EOF"},
	} {
		body := &closing{Reader: strings.NewReader("a")}
		r, err := http.NewRequestWithContext(t.Context(), "POST", "https://api.example.test/", body)
		if err != nil {
			t.Fatal(err)
		}
		cause := errors.New("malformed")
		response, err := g.Call(roundTrip(func(r *http.Request) (*http.Response, error) {
			r.Body.Close()
			if proof := r.Header.Get("DPoP"); proof != "" {
				return nil, fmt.Errorf("%w: %s %s", cause, proof, r.Header.Get("Authorization"))
			}
			return nil, io.EOF
		}), r, "access-1", test.thumbprint)
		if response != nil || err == nil || !strings.Contains(err.Error(), test.told) || strings.Contains(err.Error(), "access-1") || body.closed == 0 {
			t.Errorf("%s: got %v, body closed %d times", name, err, body.closed)
		}
		if test.told == "[redacted]" && !errors.Is(err, cause) {
			t.Errorf("%s: the cause is lost", name)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A proof names the endpoint as the provider publishes it, not the address inside the
// network.
func TestAProofNamesThePublishedEndpoint(t *testing.T) {
	t.Parallel()
	server := &tokenServer{answers: []func(*http.Request) *http.Response{response(200, boundAnswer)}}
	key := newTestProofKey(t)
	g, m := newTestGrant(server, key)
	g.config.Issuer, g.config.InternalURL = "https://id.example.test", "http://keycloak:8080"
	m.UserInfoEndpoint = "https://id.example.test/userinfo?a=b"
	for _, endpoint := range []*string{&m.TokenEndpoint, &m.UserInfoEndpoint} {
		m.reach(endpoint, &g.config)
	}
	token, err := g.exchange(t.Context(), m, "code", Request{})
	if err != nil || m.TokenEndpoint != "http://keycloak:8080/token" || read(t, server.proofs[0]).text("htu") != tokenURL {
		t.Fatalf("got %v, %v", err, read(t, server.proofs[0]).claims)
	}
	resource := &api{answers: []func(*http.Request) *http.Response{response(200, "")}}
	g.config.Client = &http.Client{Transport: resource}
	for _, at := range []struct{ url, want string }{{m.UserInfoEndpoint, "https://id.example.test/userinfo"}, {"http://keycloak:8080/other", "http://keycloak:8080/other"}} {
		if _, err := g.clientWith(m, token).Get(at.url); err != nil {
			t.Fatal(err)
		}
		sent := resource.got[len(resource.got)-1]
		if got := read(t, sent.Header.Get("DPoP")).text("htu"); got != at.want || sent.URL.String() != at.url {
			t.Errorf("%s: got %s", at.url, got)
		}
	}
}

func TestChallengesForANonce(t *testing.T) {
	t.Parallel()
	for challenge, want := range map[string]bool{
		`DPoP error="use_dpop_nonce"`: true, `dpop error=use_dpop_nonce`: true, `DPOP ERROR="use_dpop_nonce"`: true,
		`DPoP algs="ES256 PS256" , error = "use_dpop_nonce",error_description="x"`: true,
		`Bearer realm="a, b", error="invalid_token", DPoP error="use_dpop_nonce"`:  true,
		`Basic YWJj==, DPoP error="use_dpop_nonce"`:                                true,
		`DPoP realm="a\"b", error="use\_dpop_nonce"`:                               true,
		`Negotiate, DPoP error="use_dpop_nonce"`:                                   true,
		`DPoP error="invalid_token", DPoP error="use_dpop_nonce"`:                  true,
		`, ,	DPoP	error="use_dpop_nonce"`:                                          true,
		`DPoP`:                                                                     false, ``: false, `=`: false, `"`: false, `DPoP error`: false, `DPoP error=`: false,
		`DPoP error="use_dpop_nonce`:                                          false,
		`DPoP error="use_dpop_nonce\`:                                         false,
		`Bearer error="use_dpop_nonce"`:                                       false,
		`DPoP, Bearer error="use_dpop_nonce"`:                                 false,
		`Bearer realm="x, DPoP error=use_dpop_nonce"`:                         false,
		`Bearer realm="x\", DPoP error=use_dpop_nonce"`:                       false,
		`DPoP error_description="use_dpop_nonce"`:                             false,
		`DPoP error="USE_DPOP_NONCE"`:                                         false,
		`XDPoP error="use_dpop_nonce"`:                                        false,
		`error="use_dpop_nonce"`:                                              false,
		`DPoP error="invalid_dpop_proof", error_description="use_dpop_nonce"`: false,
	} {
		if got := challengesNonce(challenge); got != want {
			t.Errorf("%s: got %v", challenge, got)
		}
	}
}

// Reading ends, and finds no challenge where the words of one are missing.
func FuzzChallenge(f *testing.F) {
	f.Add(challengeNonce)
	f.Add(`Bearer realm="a\"b", DPoP error=use_dpop_nonce`)
	f.Add(`Basic YWJj==, ="`)
	f.Fuzz(func(t *testing.T, challenge string) {
		lower := strings.ToLower(challenge)
		if challengesNonce(challenge) && (!strings.Contains(lower, "dpop") || !strings.Contains(lower, "error")) {
			t.Errorf("%q", challenge)
		}
		if strings.ContainsAny(challenge, "\\\"") {
			return
		}
		if !challengesNonce(`DPoP error="use_dpop_nonce", ` + challenge) {
			t.Errorf("%q hides the challenge before it", challenge)
		}
	})
}

func TestTargetsOfProofs(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"https://a.example.test":        "https://a.example.test/",
		"HTTPS://A.example.test:443/B?": "https://a.example.test/B",
		"https://a.example.test:80/":    "https://a.example.test:80/",
	} {
		u, err := url.Parse(in)
		if err != nil || proofTarget(u) != want {
			t.Errorf("%s: got %s, %v", in, proofTarget(u), err)
		}
	}
}
