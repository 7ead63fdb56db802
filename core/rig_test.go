package core_test

// Tests carry the number of the rule that they show, as in "rule 21: state
// missing", or the name of the OpenID Foundation's module. CONFORMANCE.md lists
// both, and TestConformance holds it to the names: who renames one, renames the other.

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const (
	issuer      = "https://id.example.test"
	origin      = "https://app.example.test"
	callbackURL = origin + "/auth/callback"
)

var sessionKey = []byte("0123456789abcdef0123456789abcdef")

// A rig is an application, its provider and a browser, all in memory.
type rig struct {
	t        testing.TB
	provider *logintest.Provider
	auth     *core.Authenticator
	browser  *logintest.Browser
	logins   atomic.Int32 // calls of OnLogin
	log      syncBuffer
	skew     atomic.Int64                // of all clocks but the browser's, in nanoseconds
	begins   sync.Once                   // sets stopped
	stopped  time.Time                   // what the clocks show without skew, outside a bubble of synctest
	more     map[string]core.HandlerFunc // of the application
	signsIn  func(string) string         // what /signin redirects to, for its return_to; nil: it shows its query
	ownPage  bool                        // new processes have Pages.SignInPath
}

func newRig(t testing.TB, change ...func(*core.Config)) *rig {
	t.Helper()
	return newRigOf(t, func(*logintest.Client) {}, change...)
}

// newRigOf is newRig with another registration at the provider.
func newRigOf(t testing.TB, register func(*logintest.Client), change ...func(*core.Config)) *rig {
	t.Helper()
	g := &rig{t: t, browser: logintest.NewBrowser()}
	client := logintest.Client{
		ID: "app", Secret: "canary-client-secret",
		RedirectURIs: []string{callbackURL}, PostLogoutRedirectURIs: []string{origin + "/", origin + "/auth/logout"},
	}
	register(&client)
	g.provider = logintest.NewProvider(issuer, client)
	g.provider.Now = g.now
	g.browser.Serve(issuer, g.provider)
	g.auth = g.newAuth(change...)
	g.browser.Serve(origin, g.app(g.auth))
	return g
}

// newAuth is one more process of the same application.
func (g *rig) newAuth(change ...func(*core.Config)) *core.Authenticator {
	g.t.Helper()
	config := g.config()
	for _, f := range change {
		f(&config)
	}
	auth, err := core.NewAt(config, g.now)
	if err != nil {
		g.t.Fatal(err)
	}
	return auth
}

func (g *rig) config() core.Config {
	pages := core.PageConfig{}
	if g.ownPage {
		pages.SignInPath = "/signin"
	}
	return core.Config{
		Pages:       pages,
		Providers:   []core.Provider{{Issuer: issuer, ClientID: "app", ClientSecret: "canary-client-secret"}},
		RedirectURL: callbackURL,
		SessionKey:  sessionKey,
		HTTPClient:  g.provider.HTTPClient(),
		Logout:      core.LogoutConfig{After: "/"},
		Logger:      slog.New(slog.NewJSONHandler(&g.log, nil)),
		OnLogin: func(context.Context, *core.Login) error {
			g.logins.Add(1)
			return nil
		},
	}
}

// app serves the login's routes, and /me for users.
func (g *rig) app(auth *core.Authenticator) http.Handler {
	mux := http.NewServeMux()
	mounted := make(map[string]bool) // under all methods, so that a wrong one is core's to refuse
	for _, route := range auth.Routes() {
		if mounted[route.Path] {
			continue
		}
		mounted[route.Path] = true
		mux.HandleFunc(route.Path, func(w http.ResponseWriter, r *http.Request) {
			recorder := &untouched{ResponseWriter: w}
			if err := route.Handle(recorder, r); err != nil {
				if recorder.touched {
					g.t.Errorf("%s %s wrote an answer and returned %v", r.Method, r.URL.Path, err)
				}
				auth.ServeError(w, r, err)
			}
		})
	}
	mux.HandleFunc("/signin", func(w http.ResponseWriter, r *http.Request) {
		if g.signsIn == nil {
			fmt.Fprint(w, "sign in: ", r.URL.RawQuery)
			return
		}
		http.Redirect(w, r, g.signsIn(r.FormValue("return_to")), http.StatusSeeOther)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "public") })
	mux.HandleFunc("/me", func(w http.ResponseWriter, r *http.Request) {
		authenticated, err := auth.Authenticate(w, r)
		if err != nil {
			if err := auth.Challenge(w, r, err); err != nil {
				auth.ServeError(w, r, err)
			}
			return
		}
		fmt.Fprint(w, "I am ", core.UserFromContext(authenticated.Context()).Subject)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r)
		checkSetCookies(g.t, r, w.Header())
	})
}

// now is the time of application and provider. It goes on by advance, and by a microsecond
// with each reading, so that no test depends on how long a busy machine takes. In a bubble
// of synctest it is the bubble's.
func (g *rig) now() time.Time {
	now := time.Now()
	if bubble := now.Year() == 2000; !bubble {
		g.begins.Do(func() { g.stopped = now })
		g.skew.Add(int64(time.Microsecond))
		now = g.stopped
	}
	return now.Add(time.Duration(g.skew.Load()))
}

// advance moves the clocks of application and provider.
func (g *rig) advance(d time.Duration) { g.skew.Add(int64(d)) }

// login walks a whole login.
func (g *rig) login() *logintest.Page {
	g.t.Helper()
	page := g.get(origin + "/me")
	if page.Status != http.StatusOK || !strings.HasPrefix(string(page.Body), "I am ") {
		g.t.Fatalf("login ended with %d at %s: %s", page.Status, page.URL, page.Body)
	}
	return page
}

// toCallback begins a login, and returns the callback's URL without opening it.
func (g *rig) toCallback() *url.URL {
	g.t.Helper()
	return follow(g.t, g.browser, origin+"/auth/login?return_to=/me")
}

// follow walks from a login URL to the callback's URL.
func follow(t testing.TB, browser *logintest.Browser, from string) *url.URL {
	t.Helper()
	for range 5 {
		if strings.HasPrefix(from, callbackURL) {
			u, err := url.Parse(from)
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		page, err := browser.Visit(from)
		if err != nil {
			t.Fatal(err)
		}
		base, _ := url.Parse(page.URL)
		to, err := base.Parse(page.Header.Get("Location"))
		if err != nil || page.Header.Get("Location") == "" {
			t.Fatalf("no redirect from %s: %d %s", page.URL, page.Status, page.Body)
		}
		from = to.String()
	}
	t.Fatalf("did not reach the callback but %s", from)
	return nil
}

func (g *rig) get(u string) *logintest.Page {
	g.t.Helper()
	page, err := g.browser.Get(u)
	if err != nil {
		g.t.Fatal(err)
	}
	return page
}

func (g *rig) visit(u string) *logintest.Page {
	g.t.Helper()
	page, err := g.browser.Visit(u)
	if err != nil {
		g.t.Fatal(err)
	}
	return page
}

// fetch is a request by a script of the application's own page.
func (g *rig) fetch(method, u string) *logintest.Page {
	g.t.Helper()
	r, err := http.NewRequest(method, u, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Sec-Fetch-Dest", "empty")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Accept", "application/json")
	page, err := g.browser.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	return page
}

// whoAmI returns the answer of /me to a script: "" for a stranger.
func (g *rig) whoAmI() string {
	g.t.Helper()
	page := g.fetch("GET", origin+"/me")
	if page.Status == http.StatusUnauthorized {
		return ""
	}
	if page.Status != http.StatusOK {
		g.t.Fatalf("/me answered %d: %s", page.Status, page.Body)
	}
	return string(page.Body)
}

// cookiesNamed returns the cookies that the application would receive.
func (g *rig) cookiesNamed(prefix string) []*http.Cookie {
	var found []*http.Cookie
	for _, cookie := range g.browser.Cookies(origin + "/auth/logout") {
		if strings.HasPrefix(cookie.Name, prefix) {
			found = append(found, cookie)
		}
	}
	return found
}

// setsSession reports whether an answer gives the browser a session.
func setsSession(header http.Header) bool {
	for _, cookie := range (&http.Response{Header: header}).Cookies() {
		if strings.Contains(cookie.Name, "pixy-session") && cookie.MaxAge >= 0 {
			return true
		}
	}
	return false
}

// untouched notices the first byte of an answer.
type untouched struct {
	http.ResponseWriter
	touched bool
}

func (u *untouched) WriteHeader(status int) {
	u.touched = true
	u.ResponseWriter.WriteHeader(status)
}

func (u *untouched) Write(b []byte) (int, error) {
	u.touched = true
	return u.ResponseWriter.Write(b)
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

func (s *syncBuffer) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Reset()
}

// noise is text that takes about n bytes in a session: it is longer, and a session
// compresses its claims.
func noise(n int) string {
	random := make([]byte, n)
	rand.Read(random)
	return base64.RawURLEncoding.EncodeToString(random)
}
