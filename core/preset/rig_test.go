package preset_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
	"github.com/pixyauth/pixy/core/preset"
)

const (
	origin      = "https://app.example.test"
	callbackURL = origin + "/auth/callback"
)

var client = preset.Client{ID: "app", Secret: "canary-client-secret"}

// web serves a test provider and a provider's API under the real host names.
type web map[string]http.Handler

func (w web) RoundTrip(r *http.Request) (*http.Response, error) {
	handler := w[r.URL.Host]
	if handler == nil {
		return nil, &url.Error{Op: r.Method, URL: r.URL.Host, Err: http.ErrNotSupported}
	}
	received := r.Clone(r.Context())
	if received.Body == nil {
		received.Body = http.NoBody
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, received)
	return recorder.Result(), nil
}

// newProvider returns a test provider with a preset's issuer.
func newProvider(issuer string, faults logintest.Faults) *logintest.Provider {
	provider := logintest.NewProvider(issuer, logintest.Client{
		ID: client.ID, Secret: client.Secret, RedirectURIs: []string{callbackURL}, PostLogoutRedirectURIs: []string{origin + "/"},
	})
	provider.Misbehave(faults)
	return provider
}

// app is an application with one preset.
type app struct {
	t       *testing.T
	browser *logintest.Browser
	users   []core.User // who have logged in
	claims  []map[string]any
	log     bytes.Buffer
}

func newApp(t *testing.T, provider core.Provider, web web) *app {
	t.Helper()
	provider.RedirectURL = callbackURL // for which newProvider has a client
	a := &app{t: t, browser: logintest.NewBrowser()}
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{provider},
		RedirectURL: callbackURL,
		SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
		Logout:      core.LogoutConfig{After: "/"},
		HTTPClient:  &http.Client{Transport: web},
		Logger:      slog.New(slog.NewTextHandler(&a.log, nil)),
		OnLogin: func(_ context.Context, login *core.Login) error {
			var claims map[string]any
			if err := login.User.Claims(&claims); err != nil {
				return err
			}
			a.users, a.claims = append(a.users, *login.User), append(a.claims, claims)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, route := range auth.Routes() {
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) {
			if err := route.Handle(w, r); err != nil {
				auth.ServeError(w, r, err)
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r, err := auth.Authenticate(w, r); err == nil {
			w.Write([]byte(core.UserFromContext(r.Context()).Key()))
		}
	})
	a.browser.Serve(origin, mux)
	for host, handler := range web {
		a.browser.Serve("https://"+host, handler)
	}
	return a
}

// login performs a login, and returns the user.
func (a *app) login() core.User {
	a.t.Helper()
	page := a.get(origin + "/auth/login")
	if page.Status != 200 || page.URL != origin+"/" || len(a.users) == 0 {
		a.t.Fatalf("ends with %d at %s: %s\n%s", page.Status, page.URL, page.Body, a.log.String())
	}
	user := a.users[len(a.users)-1]
	if got := string(page.Body); got != user.Key() {
		a.t.Fatalf("%q is logged in, want %q", got, user.Key())
	}
	return user
}

// refused performs a login that must fail with a status and a code.
func (a *app) refused(status int, code string) {
	a.t.Helper()
	page := a.get(origin + "/auth/login")
	if page.Status != status || !strings.Contains(string(page.Body), code) {
		a.t.Errorf("ends with %d, want %d %s: %s\n%s", page.Status, status, code, page.Body, a.log.String())
	}
	if home := a.get(origin + "/"); len(a.users) != 0 || len(home.Body) != 0 {
		a.t.Errorf("logged in: %v, %s", a.users, home.Body)
	}
	if strings.Contains(a.log.String(), client.Secret) {
		a.t.Errorf("the secret is in the log: %s", a.log.String())
	}
}

func (a *app) get(address string) *logintest.Page {
	a.t.Helper()
	page, err := a.browser.Get(address)
	if err != nil {
		a.t.Fatal(err)
	}
	return page
}

func host(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
