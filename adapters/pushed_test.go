package adapters_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A guard pushes a signed request for a page that is opened, and for nothing else. If it
// cannot be pushed, the page stays shut, and the next try is as good as the first.
func TestPushedLogins(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		provider := logintest.NewProvider(issuer, logintest.Client{
			ID: "app", AuthMethod: "private_key_jwt", Keys: keys, RedirectURIs: []string{origin + "/auth/callback"},
			RequirePAR: true, RequireSignedRequest: true, AuthorizationDetailsTypes: []string{"payment"},
		})
		s := start(func(c *core.Config) {
			c.Providers[0].ClientSecret, c.Providers[0].Client.SigningKeys = "", []core.SigningKey{{Signer: key, KeyID: "k1"}}
			c.Providers[0].Requests.AuthorizationDetails = `[{"type":"payment"}]`
			c.HTTPClient = provider.HTTPClient()
		})
		s.browser.Serve(issuer, provider)
		for name, header := range map[string]http.Header{
			"fetch":    {"Sec-Fetch-Mode": {"cors"}, "Accept": {"text/html"}},
			"prefetch": {"Sec-Fetch-Mode": {"navigate"}, "Sec-Purpose": {"prefetch"}, "Accept": {"text/html"}},
			"a frame":  {"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}, "Accept": {"text/html"}},
		} {
			if page := s.do("GET", "/private", header); page.Status != http.StatusUnauthorized {
				t.Errorf("%s: got %d", name, page.Status)
			}
		}
		if page := s.do("HEAD", "/private", http.Header{"Accept": {"text/html"}}); page.Status != http.StatusUnauthorized {
			t.Errorf("HEAD: got %d", page.Status)
		}
		if provider.Count(logintest.PAR) != 0 {
			t.Errorf("pushed %d times", provider.Count(logintest.PAR))
		}
		provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.PAR {
				w.WriteHeader(http.StatusBadGateway)
			}
			return e == logintest.PAR
		}})
		page := s.page(s.browser.Get(origin + "/private"))
		if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" || len(s.browser.Cookies(origin)) != 0 || s.app.ran.Load() != 0 {
			t.Errorf("without the provider: got %d, and %d cookies", page.Status, len(s.browser.Cookies(origin)))
		}
		provider.Misbehave(logintest.Faults{})
		begun := s.page(s.browser.Visit(origin + "/private"))
		to, err := url.Parse(begun.Header.Get("Location"))
		if query := to.Query(); err != nil || query.Get("client_id") != "app" || query.Get("request_uri") == "" || len(query) != 2 {
			t.Errorf("leads to %s, %v", to, err)
		}
		if page := s.page(s.browser.Get(to.String())); page.URL != origin+"/private" || string(page.Body) != "ada" || s.app.ran.Load() != 1 {
			t.Errorf("ends with %d at %s: %s", page.Status, page.URL, page.Body)
		}
	})
}
