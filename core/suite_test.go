package core_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// suiteIssuer has a path and ends in a slash, as the issuers of the OpenID
// Foundation's suite do.
const suiteIssuer = "https://suite.example.test/test/a/pixy/"

// newSuite is a rig whose provider is like the suite's, and whose application
// asks UserInfo, which is where the suite sees that a login went well.
func newSuite(t *testing.T, change ...func(*core.Config)) *rig {
	t.Helper()
	g := &rig{t: t, browser: logintest.NewBrowser()}
	g.provider = logintest.NewProvider(suiteIssuer, logintest.Client{
		ID: "app", Secret: "canary-client-secret", RedirectURIs: []string{callbackURL},
	})
	g.provider.Now = g.now
	g.browser.Serve("https://suite.example.test", g.provider)
	g.auth = g.newAuth(append([]func(*core.Config){func(c *core.Config) {
		c.Providers[0].Issuer, c.Providers[0].Requests.UserInfo = suiteIssuer, true
		c.Logger = slog.New(slog.NewTextHandler(&g.log, nil))
	}}, change...)...)
	g.browser.Serve(origin, g.app(g.auth))
	return g
}

// install makes the provider that a module needs, and adds the module's faults.
func (m module) install() logintest.Faults {
	faults := m.faults
	faults.Discovery = inTurn(func(document map[string]any) {
		document["id_token_signing_alg_values_supported"] = []string{"none", "RS256", "ES256"}
		delete(document, "code_challenge_methods_supported")
		delete(document, "authorization_response_iss_parameter_supported")
	}, m.faults.Discovery)
	faults.JWKS = inTurn(addSuiteKeys, m.faults.JWKS)
	faults.Authorization = func(query url.Values) { query.Del("iss") }
	return faults
}

// installRotation is install, with new keys when the module's endpoint is asked.
func (m module) installRotation(p *logintest.Provider) logintest.Faults {
	faults := m.install()
	faults.Intercept = func(e logintest.Endpoint, _ http.ResponseWriter, _ *http.Request) bool {
		if e == m.rotate {
			p.RotateKeys()
		}
		return false
	}
	return faults
}

func inTurn(first, then func(map[string]any)) func(map[string]any) {
	return func(document map[string]any) {
		first(document)
		if then != nil {
			then(document)
		}
	}
}

// claim sets a claim of the ID token, or deletes it if value is nil.
func claim(name string, value any) logintest.Faults {
	return logintest.Faults{IDToken: func(_, claims map[string]any) {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}}
}

// signed signs by alg, at a provider that announces other algorithms.
func signed(alg string, announced ...string) logintest.Faults {
	return logintest.Faults{
		Discovery: func(m map[string]any) { m["id_token_signing_alg_values_supported"] = announced },
		IDToken:   func(header, _ map[string]any) { header["alg"] = alg },
	}
}

// corrupted is signed, by the only algorithm announced, and then changed.
func corrupted(alg string) logintest.Faults {
	faults := signed(alg, alg)
	faults.SignedIDToken = func(token string) string {
		at := strings.LastIndex(token, ".") + 5
		return token[:at] + flip(token[at]) + token[at+1:]
	}
	return faults
}

// withoutKeyIDs names no keys, of which there are so many more for signing.
func withoutKeyIDs(more int) logintest.Faults {
	return logintest.Faults{
		JWKS: func(set map[string]any) {
			keys := set["keys"].([]any)
			for i := range more {
				keys = slices.Insert(keys, 0, any(jwk(otherRSA(i+1), "sig", "")), any(jwk(newP256(), "sig", "")))
			}
			for _, key := range keys {
				delete(key.(map[string]any), "kid")
			}
			set["keys"] = keys
		},
		IDToken: func(header, _ map[string]any) { delete(header, "kid") },
	}
}

// addSuiteKeys puts before the provider's two keys what is in every key set of
// the suite: kinds that libraries refuse, keys for encryption, and decoys with
// the key ids of the others.
func addSuiteKeys(set map[string]any) {
	keys := set["keys"].([]any)
	rsaID, ecID := keys[0].(map[string]any)["kid"].(string), keys[1].(map[string]any)["kid"].(string)
	edwards, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	set["keys"] = append([]any{
		map[string]any{"kty": "EC", "crv": "secp256k1", "use": "sig", "kid": "k", "x": "AA", "y": "AA"},
		jwk(edwards, "sig", ecID),
		jwk(newP256(), "sig", rsaID),
		jwk(newP256(), "enc", ecID),
		jwk(otherRSA(1), "enc", rsaID),
	}, keys...)
}

func newP256() any {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key.Public()
}

// otherRSA is the public key that a provider has after so many rotations: one
// of those that the test kit has made already.
func otherRSA(rotations int) any {
	p := logintest.NewProvider("https://other.example.test")
	for range rotations {
		p.RotateKeys()
	}
	response, err := p.HTTPClient().Get("https://other.example.test/jwks")
	if err != nil {
		panic(err)
	}
	defer response.Body.Close()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		panic(err)
	}
	return set.Keys[0].Key
}

func jwk(public any, use, kid string) map[string]any {
	encoded, err := json.Marshal(jose.JSONWebKey{Key: public, Use: use, KeyID: kid})
	if err != nil {
		panic(err)
	}
	var key map[string]any
	if err := json.Unmarshal(encoded, &key); err != nil {
		panic(err)
	}
	return key
}

func count(requests []logintest.Request, e logintest.Endpoint) (n int) {
	for _, r := range requests {
		if r.Endpoint == e {
			n++
		}
	}
	return n
}

// indexOf is the place of the first request to an endpoint that was asked.
func indexOf(requests []logintest.Request, e logintest.Endpoint) int {
	return slices.IndexFunc(requests, func(r logintest.Request) bool { return r.Endpoint == e })
}
