package core_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A healing is a callback that is opened when it should not be, or not any
// more, and where its person ends: nowhere that they would not want to be, and
// with one automatic restart at most.
type healing struct {
	name  string
	given func(g *rig, callback *url.URL) *url.URL // what happens before, and what is opened then

	ends     string // path that the browser shows in the end
	user     string // who is logged in there; "": nobody
	restarts int    // logins that the callback begins by itself
	redeems  int    // how often the code in the callback is sent
	logged   int    // lines about logins begun once more without a known reason
	page     string // code on the error page; "": none
}

var healings = []healing{
	{name: "nothing unusual", given: asItIs, ends: "/me", user: "ada", redeems: 1},

	{name: "rules 9, 22: back button or reload after the login", ends: "/me", user: "ada",
		given: func(g *rig, callback *url.URL) *url.URL {
			g.get(callback.String())
			g.advance(59 * time.Second)
			return callback
		}},
	{name: "rules 9, 22: back button or reload, and the outcome is not remembered any more", ends: "/", user: "ada",
		given: func(g *rig, callback *url.URL) *url.URL {
			g.get(callback.String())
			g.advance(time.Minute)
			return callback
		}},
	{name: "rules 9, 22: reload after a login that another login has taken the place of", ends: "/", user: "ada",
		given: func(g *rig, callback *url.URL) *url.URL {
			g.get(callback.String())
			g.get(g.toCallback().String())
			return callback
		}},
	{name: "rules 9, 22: reload after a login and a logout", ends: "/", user: "ada", restarts: 1, logged: 1,
		given: func(g *rig, callback *url.URL) *url.URL {
			g.get(callback.String())
			g.browser.Forget(origin, "")
			return callback
		}},
	{name: "a second tab has logged in meanwhile", ends: "/me", user: "ada", redeems: 1,
		given: func(g *rig, callback *url.URL) *url.URL {
			g.login()
			return callback
		}},
	{name: "logged in elsewhere meanwhile, as somebody else: the last login counts", ends: "/me", user: "ada", redeems: 1,
		given: func(g *rig, callback *url.URL) *url.URL {
			g.provider.User = logintest.User{Subject: "grace"}
			g.login()
			return callback
		}},
	{name: "logged in elsewhere meanwhile, and the attempt has expired", ends: "/me", user: "ada",
		given: func(g *rig, callback *url.URL) *url.URL {
			g.advance(11 * time.Minute)
			g.login()
			return callback
		}},
	{name: "logged in elsewhere meanwhile, and the attempt is gone", ends: "/", user: "ada",
		given: func(g *rig, callback *url.URL) *url.URL {
			g.forgetAttempt(callback)
			g.login()
			return callback
		}},
	{name: "logged in elsewhere meanwhile, and the provider's error comes late", ends: "/", user: "ada",
		given: func(g *rig, callback *url.URL) *url.URL {
			g.forgetAttempt(callback)
			g.login()
			return cancelled(callback)
		}},

	{name: "rule 24: the attempt has expired", ends: "/me", user: "ada", restarts: 1,
		given: func(g *rig, callback *url.URL) *url.URL {
			g.advance(10*time.Minute + time.Second)
			return callback
		}},
	{name: "rule 24: expired, and so has the login begun instead", ends: "/auth/callback", page: "attempt_unknown",
		given: func(g *rig, callback *url.URL) *url.URL {
			g.advance(11 * time.Minute)
			again := follow(g.t, g.browser, g.visit(callback.String()).Header.Get("Location"))
			g.advance(11 * time.Minute)
			return again
		}},
	{name: "rules 9, 20, 23: opened in another browser, which gets a login of its own", ends: "/", user: "ada", restarts: 1, logged: 1,
		given: func(g *rig, callback *url.URL) *url.URL {
			g.browser.Forget("", "")
			return callback
		}},
	{name: "the application's key is another since", ends: "/", user: "ada", restarts: 1, logged: 1,
		given: func(g *rig, callback *url.URL) *url.URL {
			g.browser.Serve(origin, g.app(g.newAuth(func(c *core.Config) { c.SessionKey = []byte("another key of thirty-two bytes!") })))
			return callback
		}},
	{name: "cookies are blocked: one restart, then a page", ends: "/auth/callback", restarts: 1, logged: 1, page: "attempt_unknown",
		given: func(g *rig, callback *url.URL) *url.URL {
			app := g.app(g.auth)
			g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Del("Cookie")
				app.ServeHTTP(w, r)
			}))
			return callback
		}},
	{name: "rule 31: an error of unknown origin, to which nobody is sent back", ends: "/auth/callback", page: "attempt_unknown",
		given: func(g *rig, callback *url.URL) *url.URL {
			g.browser.Forget("", "")
			return cancelled(callback)
		}},
	{name: "rule 31: a stranger's error leaves the login in flight alone", ends: "/me", user: "ada", redeems: 1,
		given: func(g *rig, callback *url.URL) *url.URL {
			for _, state := range []string{"", "&state=x", "&state=" + strings.Repeat("A", 43)} {
				g.visit(callbackURL + "?error=access_denied" + state)
			}
			return callback
		}},
}

func asItIs(_ *rig, callback *url.URL) *url.URL { return callback }

// cancelled is the callback of somebody who has pressed Cancel at the provider.
func cancelled(callback *url.URL) *url.URL {
	query := callback.Query()
	query.Del("code")
	query.Set("error", "access_denied")
	query.Set("error_description", "call 0900")
	u := *callback
	u.RawQuery = query.Encode()
	return &u
}

func (g *rig) forgetAttempt(callback *url.URL) {
	g.browser.Forget(origin, g.auth.AttemptCookie(callback.Query().Get("state")))
}

func TestCallbackHealsItself(t *testing.T) {
	t.Parallel()
	for _, row := range healings {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			callback := g.toCallback()
			opened := row.given(g, callback)
			begun, redeemed := g.provider.Count(logintest.Authorization), g.redeemed(opened)
			page := g.get(opened.String())

			at, err := url.Parse(page.URL)
			if err != nil || at.Path != row.ends {
				t.Errorf("ends at %s, want %s: %d %s", page.URL, row.ends, page.Status, page.Body)
			}
			if got := g.provider.Count(logintest.Authorization) - begun; got != row.restarts {
				t.Errorf("began %d logins by itself, want %d", got, row.restarts)
			}
			if got := strings.Count(g.log.String(), "login started again"); got != row.logged {
				t.Errorf("%d lines say so, want %d", got, row.logged)
			}
			if got := g.redeemed(opened) - redeemed; got != row.redeems {
				t.Errorf("sent the code %d times, want %d", got, row.redeems)
			}
			if got := strings.TrimPrefix(g.whoAmI(), "I am "); got != row.user {
				t.Errorf("%q is logged in, want %q", got, row.user)
			}
			body := string(page.Body)
			if row.page != "" && (page.Status != 400 || !strings.Contains(body, "<code>"+row.page+"</code>") ||
				!strings.Contains(body, "Try again") || strings.Contains(body, "0900")) {
				t.Errorf("got %d, want a page that says %s, how to go on, and nothing from outside: %s", page.Status, row.page, body)
			}
			if row.page == "" && page.Status != 200 {
				t.Errorf("got %d: %s", page.Status, body)
			}
		})
	}
}

// redeemed counts how often the code of a callback was sent to the token endpoint.
func (g *rig) redeemed(callback *url.URL) (times int) {
	for _, request := range g.provider.Requests() {
		if request.Endpoint == logintest.Token && request.Form.Get("code") == callback.Query().Get("code") {
			times++
		}
	}
	return times
}

// A double click, or a reload while the page is loading: two callbacks of one
// login, of which the second comes while the first is at the token endpoint.
func TestCallbacksAtTheSameMomentShareOneOutcome(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		leaves bool // the first one's browser does not wait for the answer
		token  func(answer map[string]any)
		code   string // on both error pages; "": both log in
	}{
		{name: "rules 22, 48: double submit"},
		{name: "rules 22, 48: reload while the page is loading", leaves: true},
		{name: "rules 22, 48: double submit of a login that fails", code: "token_response_untrusted",
			token: func(answer map[string]any) { answer["token_type"] = "mac" }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				goOn := make(chan struct{})
				g.provider.Misbehave(logintest.Faults{Token: row.token, Intercept: func(e logintest.Endpoint, _ http.ResponseWriter, _ *http.Request) bool {
					if e == logintest.Token {
						<-goOn
					}
					return false
				}})
				callback := g.toCallback()
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				answers := make(chan *logintest.Page, 2)
				open := func(ctx context.Context) {
					r, err := http.NewRequestWithContext(ctx, "GET", callback.String(), nil)
					if err != nil {
						t.Error(err)
					}
					r.Header.Set("Accept", "text/html")
					if page, err := g.browser.Do(r); err == nil {
						answers <- page
					}
				}
				go open(ctx)
				synctest.Wait() // the first is at the token endpoint
				go open(t.Context())
				synctest.Wait() // the second waits for it
				want := 2
				if row.leaves {
					want = 1
					leave()
					synctest.Wait()
				}
				close(goOn)
				synctest.Wait()
				if len(answers) != want {
					t.Fatalf("%d answers, want %d", len(answers), want)
				}
				for range want {
					page := <-answers
					if row.code != "" {
						if setsSession(page.Header) || !strings.Contains(string(page.Body), row.code) {
							t.Errorf("got %d: %s", page.Status, page.Body)
						}
					} else if page.Header.Get("Location") != "/me" || !setsSession(page.Header) {
						t.Errorf("got %d to %q: %s", page.Status, page.Header.Get("Location"), page.Body)
					}
				}
				if got := g.provider.Count(logintest.Token); got != 1 {
					t.Errorf("%d token requests, want 1", got)
				}
				if got := g.logins.Load(); row.code == "" && got != 1 {
					t.Errorf("called OnLogin %d times, want once", got)
				}
				if got := g.whoAmI(); (got == "I am ada") != (row.code == "") {
					t.Errorf("%q is logged in", got)
				}
			})
		})
	}
}
