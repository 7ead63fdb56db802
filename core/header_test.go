package core_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// CHECKLIST 51: the header of an answer is bounded, if the transport is ours.
func TestAnswersWithLargeHeaders(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		client *http.Client
		bytes  int
		status int
	}{
		{"no client, a large header", nil, 32 << 10, http.StatusSeeOther},
		{"no client, a huge header", nil, 128 << 10, http.StatusServiceUnavailable},
		{"no transport, a huge header", new(http.Client), 128 << 10, http.StatusServiceUnavailable},
		{"a transport of their own", &http.Client{Transport: new(http.Transport)}, 128 << 10, http.StatusSeeOther},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			provider := httptest.NewUnstartedServer(nil)
			local := "http://" + provider.Listener.Addr().String()
			op := logintest.NewProvider(local, logintest.Client{ID: "app", RedirectURIs: []string{loopback + "/auth/callback"}})
			provider.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Large", strings.Repeat("a", test.bytes))
				op.ServeHTTP(w, r)
			})
			provider.Start()
			t.Cleanup(provider.Close)

			g := &rig{t: t, provider: op, browser: logintest.NewBrowser()}
			g.auth = g.newAuth(func(c *core.Config) {
				c.Providers = []core.Provider{{Issuer: local, ClientID: "app"}}
				c.RedirectURL, c.HTTPClient = loopback+"/auth/callback", test.client
			})
			g.browser.Serve(loopback, g.app(g.auth))
			if page := g.visit(loopback + "/auth/login"); page.Status != test.status {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			if test.client != nil && test.client.Transport == nil && test.client.Timeout != 0 {
				t.Error("the caller's client has been changed")
			}
		})
	}
	if standard := http.DefaultTransport.(*http.Transport).MaxResponseHeaderBytes; standard != 0 {
		t.Errorf("the default transport has been changed: %d", standard)
	}
}
