package adapters_test

import (
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// newKeeping returns a request like newGuarded's, with tokens in a cookie before the
// session's: an access and a refresh token of 1 KB each, like typical signed tokens.
func newKeeping(b *testing.B) *guarded {
	b.Helper()
	provider := logintest.NewProvider(issuer, logintest.Client{ID: "app", RedirectURIs: []string{origin + "/auth/callback"}})
	provider.User = logintest.User{Subject: "248289761001", Claims: claimsOfAUser()}
	provider.AccessTokenBytes = 1 << 10
	provider.Misbehave(logintest.Faults{Token: func(response map[string]any) {
		response["refresh_token"] = strings.Repeat(rand.Text(), 40)[:1<<10]
	}})
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: issuer, ClientID: "app"}},
		RedirectURL: origin + "/auth/callback",
		SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
		HTTPClient:  provider.HTTPClient(),
		Tokens:      core.TokenConfig{Keep: true},
	})
	if err != nil {
		b.Fatal(err)
	}
	browser := logintest.NewBrowser()
	browser.Serve(issuer, provider)
	browser.Serve(origin, frameworks["httplogin"](new(app), auth))
	if page, err := browser.Get(origin + "/private"); err != nil || page.Status != http.StatusOK {
		b.Fatal(page, err)
	}
	g := &guarded{auth: auth, request: httptest.NewRequest("GET", origin+"/private", nil)}
	kept := ""
	for _, c := range browser.Cookies(origin + "/private") {
		if pair := c.Name + "=" + c.Value; strings.Contains(c.Name, "pixy-tokens") {
			kept += pair + "; "
		} else if strings.Contains(c.Name, "pixy-session") {
			g.session = pair
		}
	}
	if len(kept) < 2<<10 {
		b.Fatalf("%d bytes of tokens are kept", len(kept))
	}
	g.setCookies(otherCookies + kept + g.session)
	return g
}
