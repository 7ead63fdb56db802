package adapters_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// The provider fetches the client's keys from the application, without a session, and
// accepts a login that one of them signed.
func TestKeysAreServed(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		for _, base := range []string{"", "/reader"} {
			provider := logintest.NewProvider(issuer, logintest.Client{
				ID: "app", AuthMethod: "private_key_jwt", KeysURI: origin + base + "/auth/jwks", RedirectURIs: []string{origin + base + "/auth/callback"},
			})
			s := start(func(c *core.Config) {
				c.BasePath, c.RedirectURL, c.KeysPath, c.Logout.After = base, origin+base+"/auth/callback", base+"/auth/jwks", base+"/maybe"
				c.Providers[0].ClientSecret, c.Providers[0].Client.SigningKeys = "", []core.SigningKey{{Signer: key}}
				c.HTTPClient = provider.HTTPClient()
			})
			provider.Outbound = logintest.InMemory(map[string]http.Handler{origin: s.handler})
			s.browser.Serve(issuer, provider)
			page := s.page(s.browser.Get(origin + base + "/auth/login?return_to=" + base + "/maybe"))
			if got := s.page(s.browser.Get(origin + "/maybe")); string(got.Body) != "ada" {
				t.Errorf("%q: the login ends with %d at %s: %s", base, page.Status, page.URL, page.Body)
			}
			s.browser.Forget("", "")
			for _, method := range []string{"GET", "HEAD"} {
				page := s.do(method, base+"/auth/jwks", http.Header{})
				if page.Status != http.StatusOK || page.Header.Get("Content-Type") != "application/json" || len(page.Header["Set-Cookie"]) > 0 ||
					strings.HasPrefix(string(page.Body), `{"keys":[{`) != (method == "GET") {
					t.Errorf("%q: %s gets %d %v %s", base, method, page.Status, page.Header, page.Body)
				}
			}
			if page := s.do("POST", base+"/auth/jwks", http.Header{}); page.Status != http.StatusMethodNotAllowed && page.Status != http.StatusNotFound || strings.Contains(string(page.Body), "keys") {
				t.Errorf("%q: POST gets %d %s", base, page.Status, page.Body)
			}
		}
	})
}

// A signed response (JARM) logs in by the URL and by a form, and a plain one in its place
// does not. The handler never sees it.
func TestSignedResponses(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		for _, form := range []bool{false, true} {
			provider := logintest.NewProvider(issuer, logintest.Client{
				ID: "app", Secret: "secret", RequireSignedResponse: true, RedirectURIs: []string{origin + "/auth/callback"},
			})
			s := start(func(c *core.Config) {
				c.Providers[0].ClientSecret, c.HTTPClient = "secret", provider.HTTPClient()
				c.Providers[0].Requests.SignedResponse, c.Providers[0].Requests.FormPost = true, form
			})
			s.browser.Serve(issuer, provider)
			page := s.page(s.browser.Get(origin + "/private?tab=1"))
			if page.Status != 200 || string(page.Body) != "ada" || page.URL != origin+"/private?tab=1" || s.app.ran.Load() != 1 {
				t.Fatalf("form %v: got %d at %s: %s", form, page.Status, page.URL, page.Body)
			}
			callback := page.Hops[len(page.Hops)-2]
			if u, err := url.Parse(callback.URL); err != nil || len(u.Query()) != 1 || strings.Count(u.Query().Get("response"), ".") != 2 {
				t.Errorf("form %v: the callback is %s", form, callback.URL)
			}
			s.browser.Forget("", "")
			s.app.ran.Store(0)
			login := s.page(s.browser.Visit(origin + "/private"))
			to, err := url.Parse(login.Header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			plain := url.Values{"state": {to.Query().Get("state")}, "code": {"made-up"}, "iss": {issuer}}
			tokens := provider.Count(logintest.Token)
			page = s.do("GET", "/auth/callback?"+plain.Encode(), http.Header{"Accept": {"text/html"}})
			if page.Status != 400 || !strings.Contains(string(page.Body), "callback_untrusted") || provider.Count(logintest.Token) != tokens || s.app.ran.Load() != 0 {
				t.Errorf("form %v: a plain response gets %d: %s", form, page.Status, page.Body)
			}
		}
	})
}
