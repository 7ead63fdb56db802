package core_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A circle is a setup in which a login succeeds, and the guard finds nobody.
type circle struct {
	name  string
	setup func(g *rig) // what is wrong
	opens string       // the page that the user opens; empty: /me
	asked int          // authorization requests at most; zero: 2
	cause string       // in the log
	own   string       // in the log, with a sign-in page; empty: cause
}

var circles = []circle{
	{name: "the browser refuses the session's cookie", setup: withAnswers(without("-session=")), cause: "refused or dropped"},
	{name: "a proxy drops all cookies of the callback's answers", asked: 3, cause: "refused or dropped", setup: withAnswers(onlyAttempts)},
	{name: "it refuses a second part of it", cause: "a part of the cookie was dropped", setup: func(g *rig) {
		g.provider.Misbehave(logintest.Faults{IDToken: func(_, c map[string]any) { c["groups"] = noise(4000) }})
		withAnswers(without("-session-2="))(g)
	}},
	{name: "a proxy drops the session's cookie from requests", cause: "refused or dropped", setup: func(g *rig) {
		withRequests(g, func(r *http.Request) { dropCookies(r, "-session") })
	}},
	{name: "a proxy removes all cookies on the way to the page", cause: "a proxy removes cookies", setup: func(g *rig) {
		withRequests(g, func(r *http.Request) {
			if r.URL.Path == "/me" {
				r.Header.Del("Cookie")
			}
		})
	}},
	{name: "the Store loses sessions", cause: "the Store loses sessions", setup: func(g *rig) {
		g.serve(g.newAuth(func(c *core.Config) { c.Sessions.Store = forgetful{newMemoryStore()} }))
	}},
	{name: "each replica has a Store of its own", cause: "different Stores", setup: func(g *rig) {
		store := func(c *core.Config) { c.Sessions.Store = newMemoryStore() }
		g.split(g.newAuth(store), g.newAuth(store))
	}},
	{name: "one replica has a Store, and the other none", cause: "one has none", setup: func(g *rig) {
		g.split(g.newAuth(), g.newAuth(func(c *core.Config) { c.Sessions.Store = newMemoryStore() }))
	}},
	{name: "the guard's replica has another key, and the page is home", opens: "/", asked: 7, cause: "belongs to another Authenticator or process", setup: func(g *rig) {
		other := g.newAuth(func(c *core.Config) { c.SessionKey = []byte("another key of thirty-two bytes!") })
		g.browser.Serve(origin, g.everyPage(g.auth, other))
	}},
	{name: "the guard's clock is a day ahead, and its attempts are over at the callback", asked: 3, cause: "clocks of replicas differ", setup: func(g *rig) {
		g.split(g.auth, g.newAuthAt(24*time.Hour))
	}},
	{name: "the guard's clock is a minute ahead of what may be idle", cause: "clocks of replicas differ", setup: func(g *rig) {
		idle := func(c *core.Config) { c.Sessions.Idle = 2 * time.Minute }
		g.split(g.newAuth(idle), g.newAuthAt(3*time.Minute, idle))
	}},
	{name: "the login's clock is behind what may be idle", cause: "clocks of replicas differ", setup: func(g *rig) {
		idle := func(c *core.Config) { c.Sessions.Idle = 2 * time.Minute }
		g.split(g.newAuthAt(-3*time.Minute, idle), g.newAuth(idle))
	}},
	{name: "each session is revoked as soon as it begins", asked: 6, cause: "revoked as soon as it begins", setup: func(g *rig) {
		g.serve(g.newAuth(func(c *core.Config) { c.Logout.Revocations = revokeAll{g.now} }))
	}},
	{name: "revocations of the future", cause: "revoked as soon as it begins", setup: func(g *rig) {
		g.serve(g.newAuth(func(c *core.Config) { c.Logout.Revocations = revokesAll{} }))
	}},
	{name: "two logins on one page, with one name of cookies", asked: 6, cause: "same Sessions.CookieName", own: "belongs to another Authenticator", setup: func(g *rig) {
		g.provider = logintest.NewProvider(issuer, logintest.Client{
			ID: "app", Secret: "canary-client-secret", RedirectURIs: []string{callbackURL, origin + "/staff/auth/callback"},
		})
		g.browser.Serve(issuer, g.provider)
		g.auth = g.newAuth()
		staff := g.newAuth(func(c *core.Config) { c.RedirectURL = origin + "/staff/auth/callback" })
		g.browser.Serve(origin, nested(g, g.auth, staff))
	}},
	{name: "the provider refuses each refresh", cause: "a refresh is refused", setup: func(g *rig) {
		g.provider.Misbehave(logintest.Faults{RefreshError: "invalid_grant", Token: func(m map[string]any) { m["expires_in"] = 1 }})
		g.auth = g.newAuth(keepTokens)
		withRequests(g, func(*http.Request) { g.advance(2 * time.Second) })
	}},
	{name: "the application is its own guard", asked: 3, cause: "refused or dropped", setup: func(g *rig) {
		app := g.app(g.auth)
		g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/me" {
				http.Redirect(w, r, "/auth/login?return_to=/me", http.StatusSeeOther)
				return
			}
			app.ServeHTTP(&droppingWriter{w, without("-session=")}, r)
		}))
	}},
}

// Whatever the cause, the browser ends on a page that says so, after one circle at
// most, and the log has one line with the likely cause.
func TestNoCircleIsEndless(t *testing.T) {
	t.Parallel()
	for _, test := range circles {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			test.setup(g)
			if test.opens == "" {
				test.opens = "/me"
			}
			page, hops := g.travel(origin + test.opens)
			body := string(page.Body)
			if page.Status != http.StatusInternalServerError || !strings.Contains(body, "<h1>Your login did not last</h1>") || !strings.Contains(body, "<code>session_lost</code>") {
				t.Fatalf("got %d after %d hops: %s", page.Status, hops, body)
			}
			if !strings.Contains(body, "Allow cookies for this site") || !strings.Contains(body, "please tell us") ||
				!strings.Contains(body, `/auth/login`) || !strings.Contains(body, ">Try again</a>") {
				t.Errorf("the page has no way on: %s", body)
			}
			if test.asked == 0 {
				test.asked = 2
			}
			if got := g.provider.Count(logintest.Authorization); got > test.asked {
				t.Errorf("the provider was asked %d times, want %d at most", got, test.asked)
			}
			lines := slices.DeleteFunc(strings.Split(g.log.String(), "\n"), func(line string) bool { return !strings.Contains(line, "session_lost") })
			if len(lines) != 1 || !strings.Contains(lines[0], test.cause) || !strings.Contains(lines[0], `"level":"WARN"`) {
				t.Errorf("got %d lines, want one that says %q:\n%s", len(lines), test.cause, g.log.String())
			}
		})
	}
}

// travel opens a page and follows redirects for as long as a person would wait.
func (g *rig) travel(u string) (*logintest.Page, int) {
	g.t.Helper()
	for hops := 1; ; hops++ {
		page := g.visit(u)
		to := page.Header.Get("Location")
		if to == "" || hops == 60 {
			return page, hops
		}
		base, _ := url.Parse(page.URL)
		next, err := base.Parse(to)
		if err != nil {
			g.t.Fatal(err)
		}
		u = next.String()
	}
}

func (g *rig) serve(auth *core.Authenticator) {
	g.auth = auth
	g.browser.Serve(origin, g.app(auth))
}

// split has one process serve the login's routes, and another the pages.
func (g *rig) split(login, pages *core.Authenticator) {
	forLogin, forPages := g.app(login), g.app(pages)
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/auth/") {
			forLogin.ServeHTTP(w, r)
		} else {
			forPages.ServeHTTP(w, r)
		}
	}))
}

// newAuthAt is a process whose clock is wrong.
func (g *rig) newAuthAt(ahead time.Duration, change ...func(*core.Config)) *core.Authenticator {
	config := g.config()
	for _, f := range change {
		f(&config)
	}
	auth, err := core.NewAt(config, func() time.Time { return g.now().Add(ahead) })
	if err != nil {
		g.t.Fatal(err)
	}
	return auth
}

// everyPage is an application whose pages are all behind a guard.
func (g *rig) everyPage(login, guard *core.Authenticator) http.Handler {
	forLogin := g.app(login)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/auth/") {
			forLogin.ServeHTTP(w, r)
			return
		}
		guarded(guard, http.NotFoundHandler()).ServeHTTP(w, r)
	})
}

func guarded(auth *core.Authenticator, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authenticated, err := auth.Authenticate(w, r)
		if err == nil {
			next.ServeHTTP(w, authenticated)
		} else if err = auth.Challenge(w, r, err); err != nil {
			auth.ServeError(w, r, err)
		}
	})
}

// nested has /me behind the guards of both.
func nested(g *rig, outer, inner *core.Authenticator) http.Handler {
	forOuter, forInner := g.app(outer), g.app(inner)
	me := guarded(outer, guarded(inner, http.NotFoundHandler()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/me":
			me.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, "/staff/"):
			forInner.ServeHTTP(w, r)
		default:
			forOuter.ServeHTTP(w, r)
		}
	})
}

// without drops the cookies whose line has part in it.
func without(part string) func([]string) []string {
	return func(lines []string) []string {
		return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
			return strings.Contains(line, part) && !strings.Contains(line, "Max-Age=0")
		})
	}
}

// onlyAttempts drops all cookies but those with which a login begins.
func onlyAttempts(lines []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool {
		return !strings.Contains(line, "-login-") || strings.Contains(line, "Max-Age=0")
	})
}

// withAnswers has something change the cookies of all answers.
func withAnswers(change func([]string) []string) func(*rig) {
	return func(g *rig) {
		app := g.app(g.auth)
		g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			app.ServeHTTP(&droppingWriter{w, change}, r)
		}))
	}
}

type droppingWriter struct {
	http.ResponseWriter
	change func([]string) []string
}

func (d *droppingWriter) WriteHeader(status int) {
	if kept := d.change(d.Header()["Set-Cookie"]); len(kept) > 0 {
		d.Header()["Set-Cookie"] = kept
	} else {
		d.Header().Del("Set-Cookie")
	}
	d.ResponseWriter.WriteHeader(status)
}

func withRequests(g *rig, change func(*http.Request)) {
	app := g.app(g.auth)
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		change(r)
		app.ServeHTTP(w, r)
	}))
}

func dropCookies(r *http.Request, part string) {
	all := r.Cookies()
	r.Header.Del("Cookie")
	for _, c := range all {
		if !strings.Contains(c.Name, part) {
			r.AddCookie(c)
		}
	}
}

// forgetful is a Store that takes sessions and has none.
type forgetful struct{ *memoryStore }

func (f forgetful) New(r *http.Request, name string) (*sessions.Session, error) {
	session := sessions.NewSession(f, name)
	session.Options, session.IsNew = &sessions.Options{Path: "/"}, true
	return session, nil
}

func (f forgetful) Get(r *http.Request, name string) (*sessions.Session, error) {
	return f.New(r, name)
}

// revokesAll is what Revocations with a clock that is far ahead come to.
type revokesAll struct{}

func (revokesAll) Revoke(context.Context, string, time.Time, time.Time) error { return nil }

func (revokesAll) RevokedAt(context.Context, ...string) (time.Time, error) {
	return time.Now().Add(time.Hour), nil
}

// What looks like a circle and is none: the user ends on the page.
func TestNoCircleIsSeenWhereThereIsNone(t *testing.T) {
	t.Parallel()
	for name, walk := range map[string]func(g *rig){
		"logout, and login again": func(g *rig) {
			for range 4 {
				g.login()
				if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
					g.t.Error(err)
				}
			}
		},
		"logout by the other one of two logins": func(g *rig) {
			staff := g.newAuth(func(c *core.Config) { c.RedirectURL = origin + "/staff/auth/callback" })
			for range 3 {
				g.login()
				r := httptest.NewRequest("POST", origin+"/staff/auth/logout", nil)
				for _, c := range g.browser.Cookies(origin) {
					r.AddCookie(c)
				}
				w := httptest.NewRecorder()
				if err := staff.Logout(w, r); err != nil {
					g.t.Error(err)
				}
				for _, c := range w.Result().Cookies() {
					g.browser.Forget(origin, c.Name)
				}
				g.browser.Forget(origin, "__Host-pixy-session")
			}
		},
		"login as another user, again and again": func(g *rig) {
			for _, subject := range []string{"ada", "grace", "ada", "grace"} {
				g.provider.User = logintest.User{Subject: subject}
				if page := g.get(origin + "/auth/login?return_to=/me"); string(page.Body) != "I am "+subject {
					g.t.Errorf("got %s", page.Body)
				}
			}
		},
		"a session that is revoked": func(g *rig) {
			if err := g.auth.LogoutEverywhere(g.t.Context(), issuer, "ada"); err != nil {
				g.t.Error(err)
			}
			g.advance(time.Second)
		},
		"sessions that are revoked, one after another": func(g *rig) {
			for range 4 {
				g.login()
				g.advance(time.Second)
				if err := g.auth.LogoutEverywhere(g.t.Context(), issuer, "ada"); err != nil {
					g.t.Error(err)
				}
				g.advance(time.Second)
			}
		},
		"a session whose time is over": func(g *rig) {
			for range 3 {
				g.login()
				g.advance(12*time.Hour + time.Second)
			}
		},
		"the session's cookie is deleted once":             func(g *rig) { g.browser.Forget(origin, "__Host-pixy-session") },
		"another page, whose guard does not find the user": func(g *rig) { g.get(origin + "/auth/login?return_to=/public") },
		"reloads of the callback": func(g *rig) {
			callback := g.toCallback()
			for range 4 {
				g.get(callback.String())
			}
		},
		"logins of links whose cookies were dropped, before the first one of a guard": func(g *rig) {
			g.browser.Forget("", "")
			withAnswers(onlyAttempts)(g)
			for range 3 {
				g.visit(g.toCallback().String())
			}
			g.browser.Serve(origin, g.app(g.auth))
		},
		"tabs that are restored together, at one page": func(g *rig) {
			g.browser.Forget("", "")
			var callbacks []string
			for range 6 {
				callbacks = append(callbacks, follow(g.t, g.browser, origin+"/me").String())
			}
			for _, callback := range callbacks {
				if page := g.get(callback); string(page.Body) != "I am ada" {
					g.t.Errorf("got %d: %s", page.Status, page.Body)
				}
			}
		},
	} {
		for _, through := range []string{"", ", through a sign-in page"} {
			if through != "" && strings.HasPrefix(name, "logins of links") {
				continue // may be a circle of the page and a guard
			}
			t.Run(name+through, func(t *testing.T) {
				t.Parallel()
				g := newRig(t, func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) })
				if through != "" {
					g.ownPage, g.signsIn = true, toProvider
					g.serve(g.newAuth(func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) }))
				}
				g.login()
				walk(g)
				g.login()
				if strings.Contains(g.log.String(), "session_lost") {
					t.Errorf("logged %s", g.log.String())
				}
			})
		}
	}
}

// A callback that is over is opened a few times by a user, and for ever by a circle.
func TestReloadsOfTheCallbackAreCounted(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	callback := g.toCallback().String()
	for range 4 {
		if page := g.visit(callback); page.Header.Get("Location") != "/me" {
			t.Fatalf("got %d: %s", page.Status, page.Body)
		}
	}
	if page := g.visit(callback); page.Status != http.StatusInternalServerError || !strings.Contains(string(page.Body), "session_lost") {
		t.Errorf("the fifth time: got %d: %s", page.Status, page.Body)
	}
}

// When nobody can tell whether the session is good, the callback does not guess.
func TestAnOutageIsNoCircle(t *testing.T) {
	t.Parallel()
	g, l := newLogoutRig(t)
	g.login()
	callback := g.toCallback().String()
	l.fail(errors.New("canary: down"), 0)
	page := g.visit(callback)
	if page.Status != http.StatusServiceUnavailable || setsSession(page.Header) || g.provider.Count(logintest.Token) != 1 {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
}

// Tabs that are restored together, and a session that does not last: the second
// callback says so before it sends its code.
func TestASecondTabNoticesALostSession(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	withAnswers(without("-session="))(g)
	var callbacks []string
	for range 2 {
		callbacks = append(callbacks, follow(t, g.browser, g.visit(origin+"/me").Header.Get("Location")).String())
	}
	g.visit(callbacks[0])
	page := g.visit(callbacks[1])
	if page.Status != http.StatusInternalServerError || !strings.Contains(string(page.Body), "session_lost") {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
	if got := g.provider.Count(logintest.Token); got != 1 || g.logins.Load() != 1 {
		t.Errorf("%d codes were sent", got)
	}
}

// What was lost at one page is not held against another.
func TestACircleIsOfOnePage(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	withAnswers(without("-session="))(g)
	for range 2 {
		g.travel(origin + "/auth/login?return_to=/public")
	}
	if page := g.visit(origin + "/me"); page.Status != http.StatusSeeOther {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
}

// Once the page has been read, a reload or "Try again" begins anew.
func TestAfterACircleTheUserCanTryAgain(t *testing.T) {
	t.Parallel()
	for name, again := range map[string]string{"a reload": "/me", "the button": "/auth/login?return_to=%2Fme"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			withAnswers(without("-session="))(g)
			page, _ := g.travel(origin + "/me")
			if !strings.Contains(string(page.Body), `href="/auth/login?return_to=%2Fme"`) || len(g.cookiesNamed("__Host-pixy-landed-")) != 0 {
				t.Errorf("got %s, %v, %v", page.Body, g.cookiesNamed("__Host-pixy-landed-"), page.Header)
			}
			g.browser.Serve(origin, g.app(g.auth)) // cookies are allowed now
			if page, _ := g.travel(origin + again); string(page.Body) != "I am ada" {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
		})
	}
}

// The button works as well when the attempts of the circle are still in the browser.
func TestAttemptsOfACircleDoNotBarTheButton(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	withAnswers(onlyAttempts)(g)
	if page, _ := g.travel(origin + "/me"); page.Status != http.StatusInternalServerError {
		t.Fatalf("got %d: %s", page.Status, page.Body)
	}
	g.browser.Serve(origin, g.app(g.auth))
	if page, _ := g.travel(origin + "/auth/login?return_to=/me"); string(page.Body) != "I am ada" {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
	g.browser.Forget(origin, "__Host-pixy-session")
	if page, _ := g.travel(origin + "/me"); string(page.Body) != "I am ada" {
		t.Errorf("without the session once: got %d: %s", page.Status, page.Body)
	}
}

// A callback that comes too late, of a user who has logged in meanwhile, ends where it
// was to end. So does one whose login began by a clock that is wrong, if no guard
// shows that the session is lost there.
func TestACallbackThatComesTooLateIsNoCircle(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		from string // where the login begins
		late bool   // it began 11 minutes ago; otherwise a day ahead
		want string
	}{
		"of this guard, begun before":             {"/me", true, "/me"},
		"a link, by a clock that is ahead":        {"/auth/login?return_to=/me", false, "/me"},
		"another guard, by a clock that is ahead": {"/other", false, "/other"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			begins := g.auth
			if !test.late {
				begins = g.newAuthAt(24 * time.Hour)
			}
			g.browser.Serve(origin, g.everyPage(begins, begins))
			callback := follow(t, g.browser, origin+test.from).String()
			if test.late {
				g.advance(11 * time.Minute)
			}
			g.browser.Serve(origin, g.app(g.auth))
			g.get(origin + "/auth/login?return_to=/me")
			if page := g.visit(callback); page.Header.Get("Location") != test.want {
				t.Errorf("got %d to %q: %s", page.Status, page.Header.Get("Location"), page.Body)
			}
		})
	}
}

// A page whose scripts find nobody, and which then opens the login by itself.
func TestScriptsDoNotGoInCirclesEither(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]func(*http.Request){
		"htmx": func(r *http.Request) {
			r.Header.Set("HX-Request", "true")
			r.Header.Set("HX-Current-URL", origin+"/public")
		},
		"fetch": func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Mode", "cors")
			r.Header.Set("Referer", origin+"/public")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			withAnswers(without("-session="))(g)
			statuses := ""
			for range 4 {
				r, _ := http.NewRequest("GET", origin+"/me", nil)
				ask(r)
				page, err := g.browser.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				statuses += " " + http.StatusText(page.Status)
				if page.Status == http.StatusInternalServerError {
					if page.Header.Get("HX-Redirect") != "" {
						t.Error("htmx is sent to the login once more")
					}
					break
				}
				g.travel(origin + "/auth/login?return_to=/public")
			}
			if want := " Unauthorized Unauthorized Internal Server Error"; statuses != want {
				t.Errorf("got%s", statuses)
			}
			if got := strings.Count(g.log.String(), `"code":"session_lost"`); got != 1 {
				t.Errorf("%d lines:\n%s", got, g.log.String())
			}
		})
	}
}

// A page in the answer to another's cookie: what another key, browser or login has
// sealed says nothing.
func TestALandingIsSealed(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.login()
	landing := g.cookiesNamed("__Host-pixy-landed-")
	if len(landing) != 1 || len(landing[0].Value) > 100 {
		t.Fatalf("got %v", landing)
	}
	for name, value := range map[string]string{
		"cut short": landing[0].Value[:20], "made up": strings.Repeat("A", 60), "empty": "",
		"changed": landing[0].Value[:30] + "AAAA" + landing[0].Value[34:],
	} {
		withRequests(g, func(r *http.Request) {
			dropCookies(r, "-session")
			dropCookies(r, "-landed-")
			r.AddCookie(&http.Cookie{Name: landing[0].Name, Value: value})
		})
		for range 3 {
			if page := g.visit(origin + "/me"); page.Status != http.StatusSeeOther {
				t.Errorf("%s: got %d: %s", name, page.Status, page.Body)
			}
		}
	}
}

// revokeAll are Revocations by which everything has just been revoked.
type revokeAll struct{ now func() time.Time }

func (revokeAll) Revoke(context.Context, string, time.Time, time.Time) error { return nil }

func (r revokeAll) RevokedAt(context.Context, ...string) (time.Time, error) { return r.now(), nil }
