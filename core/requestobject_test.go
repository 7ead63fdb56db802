package core_test

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// signs makes an application sign its requests by a key, and authenticate by its secret.
func signs(signer crypto.Signer) func(*core.Config) {
	return func(c *core.Config) {
		c.Providers[0].Client.SigningKeys = []core.SigningKey{{Signer: signer}}
		c.Providers[0].Client.AuthMethod = "client_secret_basic"
		c.Providers[0].Requests.SignedRequest = true
	}
}

// requiresSigned is a registration whose requests have to be signed.
func requiresSigned(t testing.TB, signers ...crypto.Signer) func(*logintest.Client) {
	return func(c *logintest.Client) { c.RequireSignedRequest, c.Keys = true, jwksOf(t, signers...) }
}

// object verifies a request object, and returns its header and claims.
func object(t testing.TB, token string, signer crypto.Signer) (jose.Header, map[string]any) {
	t.Helper()
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.PS256, jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return signed.Signatures[0].Header, claims
}

// The signed request has all parameters, for this provider and a short time. Beside it is
// only what OpenID Connect demands, and nothing if it is pushed.
func TestSignedRequests(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		register func(*logintest.Client)
		change   func(*core.Config)
		signer   crypto.Signer
		alg      string
		beside   []string // parameters of the URL, or of the form
	}{
		{"in the URL", requiresSigned(t, clientKey), signs(clientKey), clientKey, "ES256", []string{"client_id", "request", "response_type", "scope"}},
		{"pushed", func(c *logintest.Client) { requiresSigned(t, clientKey)(c); requiresPAR(c) }, signs(clientKey), clientKey, "ES256", []string{"client_id", "request"}},
		{"pushed with a client assertion", func(c *logintest.Client) { requiresSigned(t, clientKey)(c); requiresPAR(c); byKey(t)(c) },
			func(c *core.Config) {
				signs(clientKey)(c)
				c.Providers[0].ClientSecret, c.Providers[0].Client.AuthMethod = "", ""
			}, clientKey, "ES256",
			[]string{"client_assertion", "client_assertion_type", "client_id", "request"}},
		{"by an RSA key", requiresSigned(t, rsaKey), signs(rsaKey), rsaKey, "PS256", []string{"client_id", "request", "response_type", "scope"}},
		{"because the provider requires it", func(c *logintest.Client) { requiresSigned(t, clientKey)(c); byKey(t)(c) }, signedBy(clientKey), clientKey, "ES256",
			[]string{"client_id", "request", "response_type", "scope"}},
		{"without OpenID Connect", requiresSigned(t, clientKey), func(c *core.Config) {
			signs(clientKey)(c)
			plainOAuth2(c)
			c.Providers[0].Issuer = issuer
		}, clientKey, "ES256", []string{"client_id", "request"}},
	} {
		t.Run("rules 146, 147: "+test.name, func(t *testing.T) {
			t.Parallel()
			g := newRigOf(t, test.register, test.change, func(c *core.Config) {
				c.Providers[0].Requests.AuthParams = url.Values{
					"resource": {"https://a.example.test", "https://b.example.test"}, "ui_locales": {"de"}, "claims": {`{"id_token":{"email":null}}`},
				}
				if test.name == "in the URL" {
					c.Providers[0].Requests.AuthParams.Set("max_age", "3600")
				}
			})
			to, err := url.Parse(g.visit(origin + "/auth/login?return_to=/me").Header.Get("Location"))
			if err != nil || !strings.HasPrefix(to.String(), issuer+"/authorize?") {
				t.Fatalf("leads to %v, %v", to, err)
			}
			form := to.Query()
			if form.Has("request_uri") {
				form = g.pushed()
			}
			var beside []string
			for name := range form {
				beside = append(beside, name)
			}
			if slices.Sort(beside); !slices.Equal(beside, test.beside) {
				t.Errorf("got %v, want %v", beside, test.beside)
			}
			header, claims := object(t, form.Get("request"), test.signer)
			if header.Algorithm != test.alg || header.KeyID != thumbprint(t, test.signer) || header.ExtraHeaders[jose.HeaderType] != "oauth-authz-req+jwt" {
				t.Errorf("the header is %v", header)
			}
			now := float64(g.now().Unix())
			times := []float64{claims["nbf"].(float64), claims["iat"].(float64), claims["exp"].(float64)}
			if !slices.IsSorted(times) || times[1] > now || times[1] < now-5 || times[2] < now+30 || times[2]-times[0] > 3600 {
				t.Errorf("nbf, iat and exp are %v, at %v", times, now)
			}
			state, _ := claims["state"].(string)
			if g.auth.AttemptCookie(state) == "" || claims["jti"] == "" {
				t.Errorf("got %v", claims)
			}
			want := map[string]any{
				"iss": "app", "client_id": "app", "aud": issuer, "response_type": "code", "redirect_uri": callbackURL, "code_challenge_method": "S256",
				"ui_locales": "de", "resource": []any{"https://a.example.test", "https://b.example.test"},
				"claims": map[string]any{"id_token": map[string]any{"email": nil}}, "scope": "openid profile email", "max_age": nil,
				"request": nil, "request_uri": nil, "sub": nil, "client_secret": nil, "client_assertion": nil, "code_verifier": nil,
			}
			if test.name == "without OpenID Connect" {
				want["scope"], want["nonce"] = nil, nil
			}
			if test.name == "in the URL" {
				want["max_age"] = 3600.0
			}
			for name, value := range want {
				if fmt.Sprint(claims[name]) != fmt.Sprint(value) {
					t.Errorf("%s: got %v, want %v", name, claims[name], value)
				}
			}
			if test.beside[0] == "client_id" && slices.Contains(test.beside, "scope") && (form.Get("scope") != claims["scope"] || form.Get("response_type") != "code") {
				t.Errorf("beside it is %v", form)
			}
			if page := g.get(to.String()); page.URL != origin+"/me" || string(page.Body) != "I am ada" {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
		})
	}
}

// What the browser can change beside a signed request is nothing.
func TestSignedRequestsCannotBeChanged(t *testing.T) {
	t.Parallel()
	g := newRigOf(t, requiresSigned(t, clientKey), signs(clientKey))
	to := g.visit(origin + "/auth/login?return_to=/me").Header.Get("Location")
	page := g.get(to + "&state=forged&nonce=forged&redirect_uri=https://evil.example.test&max_age=0")
	if page.URL != origin+"/me" || string(page.Body) != "I am ada" {
		t.Errorf("got %d at %s", page.Status, page.URL)
	}
}

// Each request has a request object of its own.
func TestSignedRequestsAreNew(t *testing.T) {
	t.Parallel()
	g := newRigOf(t, requiresSigned(t, clientKey), signs(clientKey))
	seen := make(map[any]bool)
	for range 3 {
		to, _ := url.Parse(g.visit(origin + "/auth/login").Header.Get("Location"))
		_, claims := object(t, to.Query().Get("request"), clientKey)
		for _, name := range []string{"jti", "state", "nonce"} {
			if value := claims[name]; value == nil || seen[value] {
				t.Errorf("%s is %v", name, value)
			} else {
				seen[value] = true
			}
		}
	}
}

// The provider's metadata decides about the algorithm, and a fault is found before a user
// is sent away.
func TestDiscoverChecksForSignedRequests(t *testing.T) {
	t.Parallel()
	const field = "request_object_signing_alg_values_supported"
	for _, test := range []struct {
		name   string
		change func(*core.Config)
		lists  map[string]any
		want   string // in the error, or the algorithm
	}{
		{"the algorithm of an RSA key", signs(rsaKey), map[string]any{field: []string{"RS256", "PS256"}}, "PS256"},
		{"the other one", signs(rsaKey), map[string]any{field: []string{"RS256", "ES256"}}, "RS256"},
		{"none listed", signs(clientKey), map[string]any{field: nil}, "ES256"},
		{"not this key's", signs(clientKey), map[string]any{field: []string{"none", "RS256"}}, field + ` has "none RS256"`},
		{"none only", signs(clientKey), map[string]any{field: []string{"none"}}, field + ` has "none"`},
		{"not the one of the configuration", func(c *core.Config) { signs(rsaKey)(c); c.Providers[0].Client.SigningKeys[0].Alg = "PS512" }, map[string]any{field: []string{"RS256"}}, field + " has"},
		{"required, without a key", func(*core.Config) {}, map[string]any{"require_signed_request_object": true}, "require_signed_request_object is true"},
		{"too many listed", signs(clientKey), map[string]any{field: make([]string, 101)}, field + " has 101 values"},
	} {
		t.Run("rules 148, 151: "+test.name, func(t *testing.T) {
			t.Parallel()
			g := newRigOf(t, func(c *logintest.Client) { c.Keys = jwksOf(t, clientKey, rsaKey) }, test.change)
			g.provider.Misbehave(metadata(test.lists))
			err := g.auth.Discover(t.Context())
			page := g.visit(origin + "/me")
			if len(test.want) == 5 {
				to, _ := url.Parse(page.Header.Get("Location"))
				if token := to.Query().Get("request"); err != nil || token == "" || protectedAlg(t, token) != test.want {
					t.Errorf("got %v and %s", err, to)
				}
				return
			}
			if !strings.Contains(fmt.Sprint(err), test.want) || page.Status != http.StatusBadGateway || len(g.cookiesNamed("")) != 0 {
				t.Errorf("got %v, and %d", err, page.Status)
			}
		})
	}
}

func protectedAlg(t testing.TB, token string) string {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.PS256, jose.RS256})
	if err != nil {
		t.Fatal(err)
	}
	return signed.Signatures[0].Header.Algorithm
}

// A signer is a key outside of the process, such as in a KMS.
type signer struct {
	crypto.Signer
	sign func() error
}

func (s signer) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	if err := s.sign(); err != nil {
		return nil, err
	}
	return s.Signer.Sign(random, digest, options)
}

// A key that cannot be used is an outage: nobody is sent away, nothing is pushed, and
// sessions go on.
func TestSignedRequestsWithoutTheirKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		fail func() error
		log  string
		took time.Duration
	}{
		{"it fails", func() error { return errors.New("the KMS is down") }, "the KMS is down", 0},
		{"it panics", func() error { panic("canary") }, "panicked", 0},
		{"it is too slow", func() error { time.Sleep(15 * time.Second); return nil }, "deadline exceeded", timeout},
	} {
		for _, register := range []func(*logintest.Client){requiresSigned(t, clientKey), func(c *logintest.Client) { requiresSigned(t, clientKey)(c); requiresPAR(c) }} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				bubble(t, func(t *testing.T) {
					broken := false
					g := newRigOf(t, register, signs(signer{clientKey, func() error {
						if broken {
							return test.fail()
						}
						return nil
					}}))
					g.login()
					g.log.reset()
					broken = true
					cookies, pushed := fmt.Sprint(g.browser.Cookies(origin)), g.provider.Count(logintest.PAR)
					start := time.Now()
					page := g.visit(origin + "/auth/login?return_to=/me")
					if page.Status != 503 || !strings.Contains(string(page.Body), ">Try again<") || page.Header.Get("Retry-After") == "" || time.Since(start) != test.took {
						t.Errorf("got %d after %s: %s", page.Status, time.Since(start), page.Body)
					}
					log := g.log.String()
					if !strings.Contains(log, `"code":"client_credential_unavailable"`) || !strings.Contains(log, test.log) || strings.Contains(log, "canary") || strings.Contains(log, "code_challenge") {
						t.Errorf("logged %s", log)
					}
					if fmt.Sprint(g.browser.Cookies(origin)) != cookies || g.provider.Count(logintest.PAR) != pushed || g.whoAmI() != "I am ada" {
						t.Errorf("%d pushes, and now %q", g.provider.Count(logintest.PAR)-pushed, g.whoAmI())
					}
					time.Sleep(5 * time.Second) // for the slow one
				})
			})
		}
	}
}

// A signed request that the provider refuses is in no log.
func TestRefusedRequestObjectsAreNotLogged(t *testing.T) {
	t.Parallel()
	g := newRigOf(t, func(c *logintest.Client) { requiresSigned(t, clientKey)(c); requiresPAR(c) }, signs(clientKey))
	g.provider.Misbehave(on(logintest.PAR, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		fmt.Fprintf(w, `{"error":"invalid_request_object","error_description":"bad: %s"}`, r.PostForm.Get("request"))
	}))
	page := g.visit(origin + "/me")
	token := g.pushed().Get("request")
	if log := g.log.String(); page.Status != 502 || !strings.Contains(log, "invalid_request_object") || strings.Contains(log, token[:20]) || !strings.Contains(log, "bad: [redacted]") {
		t.Errorf("got %d, and the log says %s", page.Status, log)
	}
}
