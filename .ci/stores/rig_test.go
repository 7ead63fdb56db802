package stores_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const (
	issuer        = "https://id.example.test"
	origin        = "https://app.example.test"
	callbackURL   = origin + "/auth/callback"
	sessionCookie = "__Host-pixy-session"
)

// ada is the user who logs in. A store must not contain her data in readable form.
var ada = logintest.User{Subject: "subject-of-ada", Claims: map[string]any{
	"name": "Ada Lovelace", "email": "ada@example.test", "email_verified": true, "department": "analytical engines",
}}

// A rig is an application, its provider and a browser.
type rig struct {
	t        *testing.T
	provider *logintest.Provider
	app      http.Handler
	browser  *logintest.Browser
	log      *syncBuffer
}

func newRig(t *testing.T, store sessions.Store) *rig {
	t.Helper()
	g := &rig{t: t, log: new(syncBuffer)}
	g.provider = logintest.NewProvider(issuer, logintest.Client{
		ID: "app", RedirectURIs: []string{callbackURL}, PostLogoutRedirectURIs: []string{origin + "/"},
	})
	g.provider.User = ada
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: issuer, ClientID: "app"}},
		RedirectURL: callbackURL,
		Logout:      core.LogoutConfig{After: "/"},
		SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
		Sessions: core.SessionConfig{Idle: 20 * time.Minute,
			Store: store},
		HTTPClient: g.provider.HTTPClient(),
		Logger:     slog.New(slog.NewTextHandler(g.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	login := httplogin.New(auth)
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "public") })
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, httplogin.User(r).Subject)
	})))
	g.app = mux
	return g.person()
}

// person returns another user with a separate browser.
func (g *rig) person() *rig {
	other := *g
	other.browser = logintest.NewBrowser()
	other.browser.Serve(issuer, g.provider)
	other.browser.Serve(origin, g.app)
	return &other
}

// get opens a page, and follows redirects.
func (g *rig) get(address string) *logintest.Page {
	g.t.Helper()
	page, err := g.browser.Get(address)
	if err != nil {
		g.t.Fatal(err)
	}
	return page
}

// visit opens a page, and does not follow redirects.
func (g *rig) visit(address string) *logintest.Page {
	g.t.Helper()
	page, err := g.browser.Visit(address)
	if err != nil {
		g.t.Fatal(err)
	}
	return page
}

// fetch requests the guarded page like a script.
func (g *rig) fetch() *logintest.Page {
	g.t.Helper()
	r, err := http.NewRequest(http.MethodGet, origin+"/me", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Accept", "application/json")
	page, err := g.browser.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	return page
}

// with returns the response to another browser with this cookie.
func (g *rig) with(cookie string) *logintest.Page {
	g.t.Helper()
	thief := g.person()
	thief.plant(sessionCookie, cookie)
	return thief.fetch()
}

func (g *rig) plant(name, value string) {
	g.browser.SetCookie(origin, &http.Cookie{Name: name, Value: value, Path: "/", Secure: true})
}

// is checks the status of the guarded page: 401 for an anonymous request.
func (g *rig) is(status int, when string) {
	g.t.Helper()
	page := g.fetch()
	if page.Status != status || status == http.StatusOK && string(page.Body) != ada.Subject {
		g.t.Errorf("%s: got %d %s, want %d", when, page.Status, page.Body, status)
	}
}

// login performs exactly one login. It fails if a second one follows.
func (g *rig) login() {
	g.t.Helper()
	before := g.provider.Count(logintest.Token)
	defer func() {
		g.t.Helper()
		if got := g.provider.Count(logintest.Token) - before; got != 1 {
			g.t.Errorf("it took %d logins to be logged in", got)
		}
	}()
	if page := g.get(origin + "/auth/login?return_to=/me"); page.Status != http.StatusOK || string(page.Body) != ada.Subject {
		g.t.Fatalf("login ended with %d at %s: %s\n%s", page.Status, page.URL, page.Body, g.log.String())
	}
}

func (g *rig) logout() *logintest.Page {
	g.t.Helper()
	page, err := g.browser.Post(origin+"/auth/logout", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	return page
}

// toCallback begins a login, and returns the callback's URL without opening it.
func (g *rig) toCallback() string {
	g.t.Helper()
	next := origin + "/auth/login"
	for !strings.HasPrefix(next, callbackURL) {
		page := g.visit(next)
		if next = page.Header.Get("Location"); next == "" {
			g.t.Fatalf("no redirect from %s: %d", page.URL, page.Status)
		}
	}
	return next
}

// session returns the value of the session's cookie.
func (g *rig) session() string {
	for _, c := range g.browser.Cookies(origin) {
		if c.Name == sessionCookie {
			return c.Value
		}
	}
	return ""
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
