package core_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// CHECKLIST 49 to 51, over a real socket.
func TestTheWireIsBounded(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed to %s", r.URL)
	}))
	t.Cleanup(elsewhere.Close)
	for name, misbehave := range map[string]func(w http.ResponseWriter, r *http.Request){
		"stalls": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		"is huge": func(w http.ResponseWriter, r *http.Request) {
			junk := []byte(strings.Repeat(" ", 1<<20))
			for {
				if _, err := w.Write(junk); err != nil {
					return
				}
			}
		},
		"drips": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Millisecond):
				}
			}
		},
		"closes": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		for _, endpoint := range []logintest.Endpoint{logintest.Discovery, logintest.Token, logintest.JWKS} {
			t.Run(string(endpoint)+" "+name, func(t *testing.T) {
				t.Parallel()
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				local := "http://" + listener.Addr().String()
				provider := logintest.NewProvider(local, logintest.Client{ID: "app", RedirectURIs: []string{callbackURL}})
				provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
					if e == endpoint {
						misbehave(w, r)
					}
					return e == endpoint
				}})
				server := httptest.NewUnstartedServer(provider)
				server.Listener.Close()
				server.Listener = listener
				server.Start()
				t.Cleanup(server.Close)

				g := &rig{t: t, provider: provider, browser: logintest.NewBrowser()}
				g.auth = g.newAuth(func(c *core.Config) {
					c.Providers = []core.Provider{{Issuer: local, ClientID: "app"}}
					c.HTTPClient = &http.Client{Timeout: 300 * time.Millisecond}
				})
				g.browser.Serve(origin, g.app(g.auth))
				page := g.get(origin + "/me")
				if page.Status != http.StatusBadGateway && page.Status != http.StatusServiceUnavailable {
					t.Errorf("got %d: %s", page.Status, page.Body)
				}
				if !strings.Contains(string(page.Body), "Try again") || setsSession(page.Header) {
					t.Errorf("no way on: %s", page.Body)
				}
			})
		}
	}
}
