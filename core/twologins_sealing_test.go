package core_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A recordStore shows the last record of each name to every browser, and deletes none.
type recordStore map[string]string

func (s recordStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return s.New(r, name)
}

func (s recordStore) New(_ *http.Request, name string) (*sessions.Session, error) {
	session := sessions.NewSession(s, name)
	session.IsNew = s[name] == ""
	if !session.IsNew {
		session.ID, session.Values["pixy"] = "the only one", s[name]
	}
	return session, nil
}

func (s recordStore) Save(_ *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	if session.Options.MaxAge > 0 {
		s[session.Name()], _ = session.Values["pixy"].(string)
		http.SetCookie(w, sessions.NewCookie(session.Name(), "its-place", session.Options))
	}
	return nil
}

// A side is one of two logins that differ in one thing.
type side struct {
	change func(*core.Config)
	prefix string // of the cookies' names: "__Host-" or nothing
	name   string // Sessions.CookieName
	at     string // the origin
	dir    string // of the login's routes
	store  recordStore
}

func newSide(change func(*core.Config), store recordStore) side {
	c := core.Config{RedirectURL: callbackURL, Sessions: core.SessionConfig{CookieName: "pixy"}}
	change(&c)
	u, err := url.Parse(c.RedirectURL)
	if err != nil {
		panic(err)
	}
	s := side{name: c.Sessions.CookieName, at: u.Scheme + "://" + u.Host, dir: strings.TrimSuffix(u.Path, "callback"), store: store}
	if u.Scheme == "https" {
		s.prefix = "__Host-"
	}
	s.change = func(c *core.Config) {
		keepTokens(c)
		change(c)
		if store != nil {
			c.Sessions.Store = store
		}
	}
	return s
}

// sealed is what logins at this side have put away, by the end of its cookie's name.
func (s side) sealed(cookies []*http.Cookie) map[string]string {
	values := make(map[string]string)
	for _, c := range cookies {
		_, kind, _ := strings.Cut(c.Name, s.name+"-")
		values[kind] = c.Value
		if kind == "session" || kind == "tokens" {
			values[kind] = c.Value[1:] // the number of parts
		}
	}
	for name, value := range s.store {
		_, kind, _ := strings.Cut(name, s.name+"-")
		values[kind] = value
	}
	return values
}

// present makes a request, by a script, with such values in their places.
func (s side) present(method, target string, values map[string]string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if strings.HasSuffix(r.URL.Path, "/me") {
		r.Header.Set("Sec-Fetch-Mode", "cors")
	}
	clear(s.store)
	for kind, value := range values {
		name := s.prefix + s.name + "-" + kind
		switch {
		case kind == "logout" && s.prefix != "":
			name = "__Secure-" + s.name + "-logout"
		case (kind == "session" || kind == "tokens") && s.store != nil:
			s.store[name], value = value, "its-place"
		case kind == "session" || kind == "tokens":
			value = "1" + value
		}
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	return r
}

// A sealingRig is an application with the login of one side, and the other's.
type sealingRig struct {
	*rig
	one, other side
	app        http.Handler // the other's
}

func newSealingRig(t *testing.T, one, other side) *sealingRig {
	t.Helper()
	g := &sealingRig{rig: &rig{t: t, browser: logintest.NewBrowser()}, one: one, other: other}
	g.provider = logintest.NewProvider(issuer, logintest.Client{
		ID: "app", Secret: "canary-client-secret",
		RedirectURIs: []string{one.at + one.dir + "callback", other.at + other.dir + "callback"},
	})
	g.provider.Now = g.now
	g.browser.Serve(issuer, g.provider)
	g.auth = g.newAuth(one.change)
	g.browser.Serve(one.at, g.rig.app(g.auth))
	g.app = g.rig.app(g.newAuth(other.change))
	return g
}

// ask presents values to the other side.
func (g *sealingRig) ask(method, path string, values map[string]string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	g.app.ServeHTTP(w, g.other.present(method, g.other.at+path, values))
	return w
}

// begun is a login in flight at one: its cookie and its callback's query.
func (g *sealingRig) begun() (map[string]string, string) {
	g.t.Helper()
	browser := logintest.NewBrowser()
	browser.Serve(g.one.at, g.rig.app(g.auth))
	browser.Serve(issuer, g.provider)
	to := g.one.at + g.one.dir + "login?return_to=/me"
	for range 2 {
		page, err := browser.Visit(to)
		if err != nil {
			g.t.Fatal(err)
		}
		to = page.Header.Get("Location")
	}
	_, query, _ := strings.Cut(to, "?")
	return g.one.sealed(browser.Cookies(g.one.at + "/")), query
}

// What one Authenticator has sealed is of no use at another, however they are
// configured: all have one session key, one client and one issuer.
func TestWhatOneLoginSealsNoOtherOpens(t *testing.T) {
	t.Parallel()
	at := func(redirectURL string) func(*core.Config) {
		return func(c *core.Config) { c.RedirectURL = redirectURL }
	}
	same := func(*core.Config) {}
	for name, test := range map[string]struct{ one, other side }{
		"another path":                {newSide(same, nil), newSide(at(origin+"/staff/callback"), nil)},
		"another host":                {newSide(same, nil), newSide(at("https://staging.example.test/auth/callback"), nil)},
		"another scheme":              {newSide(at("https://localhost/auth/callback"), nil), newSide(at("http://localhost/auth/callback"), nil)},
		"another Sessions.CookieName": {newSide(same, nil), newSide(func(c *core.Config) { c.Sessions.CookieName = "staff" }, nil)},
		"another path of a Store":     {newSide(same, make(recordStore)), newSide(at(origin+"/staff/callback"), make(recordStore))},
		"a Store, and none":           {newSide(same, make(recordStore)), newSide(same, nil)},
		"no Store, and one":           {newSide(same, nil), newSide(same, make(recordStore))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newSealingRig(t, test.one, test.other)
			page := g.get(test.one.at + "/me")
			session := test.one.sealed(g.browser.Cookies(test.one.at + test.one.dir + "logout"))
			if string(page.Body) != "I am ada" || session["session"] == "" || session["tokens"] == "" || session["logout"] == "" {
				t.Fatalf("login ended with %d and %d values: %s", page.Status, len(session), page.Body)
			}
			before := g.provider.Count(logintest.Token)
			if w := g.ask("GET", "/me", session); w.Code != http.StatusUnauthorized || len(w.Header()["Set-Cookie"]) != 0 {
				t.Errorf("the other's guard: got %d, %v", w.Code, w.Header())
			}
			if strings.HasPrefix(name, "another") { // attempts and hints are never in a Store
				g.refusesWhatIsInFlight(session)
			}
			if g.provider.Count(logintest.Token) != before || g.logins.Load() != 1 {
				t.Errorf("%d token requests, %d calls of OnLogin", g.provider.Count(logintest.Token), g.logins.Load())
			}
			w := httptest.NewRecorder() // its own guard takes all that
			g.rig.app(g.auth).ServeHTTP(w, test.one.present("GET", test.one.at+"/me", session))
			if w.Code != http.StatusOK {
				t.Errorf("its own guard: got %d", w.Code)
			}
		})
	}
}

func (g *sealingRig) refusesWhatIsInFlight(session map[string]string) {
	g.t.Helper()
	attempt, query := g.begun()
	w := g.ask("GET", g.other.dir+"callback?"+query, attempt)
	if setsSession(w.Header()) || strings.HasPrefix(w.Header().Get("Location"), "/me") {
		g.t.Errorf("the other's callback: got %d, %v", w.Code, w.Header())
	}
	w = g.ask("POST", g.other.dir+"logout", map[string]string{"logout": session["logout"]})
	if to := w.Header().Get("Location"); to != "/" {
		g.t.Errorf("the other's logout leads to %q", to)
	}
	with := g.auth.SealOptions(core.LoginOptions{AuthParams: url.Values{"prompt": {"login"}}})
	w = g.ask("GET", g.other.dir+"login?with="+with, nil)
	if to := w.Header().Get("Location"); !strings.HasPrefix(to, issuer+"/authorize?") || strings.Contains(to, "prompt=") {
		g.t.Errorf("the other's login leads to %q", to)
	}
}
