package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/internal/hostile"
	"github.com/pixyauth/pixy/core/logintest"
)

// A linking is an application that links accounts: /link begins a login with a payload.
type linking struct {
	*rig
	payload string
	seen    []string // payloads that OnLogin has had
	refuses error    // what OnLogin returns
}

const canaryPayload = "canary: link account 7"

func newLinking(t *testing.T, change ...func(*core.Config)) *linking {
	t.Helper()
	l := &linking{payload: canaryPayload}
	l.rig = newRig(t, append([]func(*core.Config){l.onLogin}, change...)...)
	l.serveLink(l.rig)
	return l
}

func (l *linking) onLogin(c *core.Config) {
	c.OnLogin = func(_ context.Context, login *core.Login) error {
		l.seen = append(l.seen, login.Payload)
		return l.refuses
	}
}

func (l *linking) serveLink(g *rig) {
	g.handle("/link", func(w http.ResponseWriter, r *http.Request) error {
		return g.auth.LoginWith(w, r, core.LoginOptions{ReturnTo: "/me", Payload: l.payload})
	})
}

// toLinked returns the callback's URL of a login with a payload.
func (l *linking) toLinked() *url.URL { return follow(l.t, l.browser, origin+"/link") }

// saw checks which payloads OnLogin has had.
func (l *linking) saw(want ...string) {
	l.t.Helper()
	if !slices.Equal(l.seen, want) {
		l.t.Errorf("OnLogin saw %q, want %q", l.seen, want)
	}
}

var tryAgain = regexp.MustCompile(`<a class="main" href="([^"]+)">Try again</a>`)

// again returns the URL of the link "Try again", or "".
func again(page *logintest.Page) string {
	if found := tryAgain.FindSubmatch(page.Body); found != nil {
		return origin + html.UnescapeString(string(found[1]))
	}
	return ""
}

// isUnknown checks that a page says that the login is over, and offers no login.
func isUnknown(t *testing.T, page *logintest.Page) {
	t.Helper()
	if page.Status != 400 || !strings.Contains(string(page.Body), "<code>attempt_unknown</code>") || strings.Contains(string(page.Body), "/auth/login") || setsSession(page.Header) {
		t.Errorf("got %d %q: %s", page.Status, page.Header.Get("Location"), page.Body)
	}
}

// A payload belongs to one login, whatever happens in other tabs.
func TestPayloadIsOfOneLogin(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, order := range map[string][]int{"in order": {0, 1, 2, 3}, "the other way round": {3, 2, 1, 0}, "mixed": {1, 3, 0, 2}} {
			t.Run(name, func(t *testing.T) {
				l := newLinking(t, vault)
				callbacks, want := make([]*url.URL, 4), make([]string, 4)
				for i := range callbacks {
					if l.payload = fmt.Sprint("\x00\xff payload ", i); i%2 == 0 {
						callbacks[i] = l.toLinked()
						want[i] = l.payload
					} else {
						callbacks[i] = l.toCallback()
					}
				}
				var expected []string
				for _, i := range order {
					if page := l.get(callbacks[i].String()); string(page.Body) != "I am ada" {
						t.Fatalf("got %d: %s", page.Status, page.Body)
					}
					expected = append(expected, want[i])
				}
				l.saw(expected...)
			})
		}
	})
}

// Nothing that the browser sends sets a payload.
func TestPayloadIsNotTheBrowsers(t *testing.T) {
	t.Parallel()
	l := newLinking(t)
	for _, query := range []string{"payload=x", "Payload=x", "with=x&payload=x"} {
		l.get(origin + "/auth/login?" + query)
		l.get(origin + "/link?" + query)
		callback := l.toCallback()
		l.get(callback.String() + "&" + query)
	}
	l.saw("", canaryPayload, "", "", canaryPayload, "", "", canaryPayload, "")
}

func TestPayloadHasALimit(t *testing.T) {
	t.Parallel()
	l := newLinking(t)
	l.payload = strings.Repeat("p", 1<<10)
	if page := l.get(origin + "/link"); string(page.Body) != "I am ada" {
		t.Errorf("1 KB: got %d: %s", page.Status, page.Body)
	}
	l.saw(l.payload)
	before := l.began()
	l.payload += "p"
	page := l.get(origin + "/link")
	if page.Status != 500 || !strings.Contains(string(page.Body), "<code>data_too_large</code>") || strings.Contains(string(page.Body), "/auth/login") {
		t.Errorf("more: got %d: %s", page.Status, page.Body)
	}
	if !strings.Contains(l.log.String(), "LoginOptions.Payload has 1025 bytes; the limit is 1024") || strings.Contains(l.log.String(), "ppp") {
		t.Errorf("logged as %s", l.log.String())
	}
	if l.began() != before || len(page.Header["Set-Cookie"]) != 0 || l.whoAmI() != "I am ada" {
		t.Errorf("%d logins began, or the session ended: %v", l.began()-before, page.Header)
	}
}

// A callback whose attempt is lost never becomes a login without the payload.
func TestPayloadThatIsLost(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		given func(l *linking, callback *url.URL) *url.URL
		user  bool // a user is logged in
		ends  string
		saw   []string // besides those of the login before
	}{
		{name: "the attempt is gone", given: (*linking).lose},
		{name: "the attempt is gone, and the user is logged in", given: (*linking).lose, user: true},
		{name: "the user canceled, and the attempt is gone", given: func(l *linking, callback *url.URL) *url.URL {
			l.lose(callback)
			return cancelled(callback)
		}},
		{name: "opened in another browser", given: func(l *linking, callback *url.URL) *url.URL {
			l.browser.Forget("", "")
			return callback
		}},
		{name: "dropped for newer ones", given: func(l *linking, callback *url.URL) *url.URL {
			for range 8 {
				l.toLinked()
			}
			return callback
		}},
		{name: "a reload, more than a minute later", user: true, given: func(l *linking, callback *url.URL) *url.URL {
			l.get(callback.String())
			l.advance(time.Minute)
			return callback
		}, saw: []string{canaryPayload}},
		{name: "a reload after a logout", given: func(l *linking, callback *url.URL) *url.URL {
			l.get(callback.String())
			l.browser.Forget(origin, "")
			return callback
		}, saw: []string{canaryPayload}},
		{name: "a reload", user: true, ends: "/me", given: func(l *linking, callback *url.URL) *url.URL {
			l.get(callback.String())
			return callback
		}, saw: []string{canaryPayload}},
		{name: "expired", ends: "/me", given: (*linking).expire, saw: []string{canaryPayload}},
		{name: "expired, and the user is logged in", ends: "/me", user: true, given: (*linking).expire, saw: []string{canaryPayload}},
		{name: "expired, and the login instead is gone", given: func(l *linking, callback *url.URL) *url.URL {
			l.expire(callback)
			return l.lose(follow(l.t, l.browser, l.visit(callback.String()).Header.Get("Location")))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newLinking(t)
			if test.user {
				l.login()
			}
			l.seen = nil
			callback := test.given(l, l.toLinked())
			page := l.get(callback.String())
			if test.ends == "" {
				isUnknown(t, page)
			} else if page.URL != origin+test.ends || string(page.Body) != "I am ada" {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
			l.saw(test.saw...)
			if test.ends == "" && test.user && l.whoAmI() != "I am ada" {
				t.Error("the session ended")
			}
		})
	}
}

func (l *linking) lose(callback *url.URL) *url.URL {
	l.forgetAttempt(callback)
	return callback
}

func (l *linking) expire(callback *url.URL) *url.URL {
	l.advance(10*time.Minute + time.Second)
	return callback
}

// An attempt that has expired twice offers a login with the payload.
func TestPayloadThatExpiresTwice(t *testing.T) {
	t.Parallel()
	l := newLinking(t)
	callback := l.expire(l.toLinked())
	page := l.get(l.expire(follow(t, l.browser, l.visit(callback.String()).Header.Get("Location"))).String())
	to := again(page)
	if page.Status != 400 || to == "" {
		t.Fatalf("got %d: %s", page.Status, page.Body)
	}
	l.get(to)
	l.saw(canaryPayload)
}

// A form that cannot be read offers a login, unless its login has a payload.
func TestPayloadOfABrokenForm(t *testing.T) {
	t.Parallel()
	l := newLinking(t, func(c *core.Config) { c.Providers[0].Requests.FormPost = true })
	for _, withPayload := range []bool{false, true} {
		state := l.asked(origin + "/auth/login").Get("state")
		if withPayload {
			state = l.asked(origin + "/link").Get("state")
		}
		page, err := l.browser.Post(callbackURL, url.Values{"state": {state}, "code": {strings.Repeat("c", 9<<10)}})
		if err != nil || page.Status != 400 || strings.Contains(string(page.Body), "/auth/login") == withPayload {
			t.Errorf("with a payload: %v: got %v %v", withPayload, page, err)
		}
	}
}

// A login that fails can be tried again with its payload, in this browser and nowhere else.
func TestPayloadOfAnotherTry(t *testing.T) {
	t.Parallel()
	for name, fails := range map[string]func(l *linking) *logintest.Page{
		"the user canceled": func(l *linking) *logintest.Page { return l.get(cancelled(l.toLinked()).String()) },
		"OnLogin refuses": func(l *linking) *logintest.Page {
			l.refuses = &core.Error{Public: "Not now."}
			defer func() { l.refuses, l.seen = nil, nil }()
			return l.get(origin + "/link")
		},
		"the provider is down": func(l *linking) *logintest.Page {
			auth := l.newAuth(func(c *core.Config) {
				l.onLogin(c)
				c.HTTPClient = &http.Client{Transport: hostile.RoundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("down") })}
			})
			former := l.auth
			l.auth = auth
			l.serveLink(l.rig)
			page := l.get(origin + "/link")
			l.auth = former
			l.serveLink(l.rig)
			return page
		},
		"a script": func(l *linking) *logintest.Page {
			page := l.fetch("GET", origin+"/link")
			var problem struct {
				LoginURL string `json:"login_url"`
			}
			if err := json.Unmarshal(page.Body, &problem); err != nil {
				l.t.Error(err)
			}
			page.Body = []byte(`<a class="main" href="` + html.EscapeString(problem.LoginURL) + `">Try again</a>`)
			return page
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLinking(t)
			page := fails(l)
			to := again(page)
			if !strings.Contains(to, "with=p.") || strings.Contains(string(page.Body)+l.log.String(), "canary") {
				t.Fatalf("got %d, logged as %s: %s", page.Status, l.log.String(), page.Body)
			}
			mine := l.cookiesNamed("__Host-pixy-browser")
			if len(mine) != 1 {
				t.Fatalf("got %v", mine)
			}

			// Another browser, without a key and with one of its own.
			began := l.provider.Count(logintest.Authorization)
			victim := l.person()
			isUnknown(t, victim.get(to))
			other := *mine[0]
			other.Value = strings.Map(func(c rune) rune { return map[bool]rune{true: 'A', false: 'E'}[c != 'A'] }, other.Value)
			victim.browser.SetCookie(origin, &http.Cookie{Name: other.Name, Value: other.Value, Path: "/", Secure: true})
			isUnknown(t, victim.get(to))
			post, err := victim.browser.Post(origin+"/auth/login", url.Values{"with": {mustQuery(t, to).Get("with")}})
			if err != nil {
				t.Fatal(err)
			}
			isUnknown(t, post)
			if got := victim.provider.Count(logintest.Authorization) - began; got != 0 || len(victim.cookiesNamed("__Host-pixy-login-")) != 0 {
				t.Errorf("%d logins began", got)
			}
			l.saw()

			// This browser.
			for _, damaged := range []string{to + "A", to[:len(to)-4], strings.Replace(to, "with=p.", "with=p.A", 1)} {
				isUnknown(t, l.get(damaged))
			}
			if page := l.get(to); string(page.Body) != "I am ada" {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			l.saw(canaryPayload)
			l.advance(10*time.Minute + 2*time.Second)
			isUnknown(t, l.get(to))
			l.saw(canaryPayload)
			if strings.Contains(l.log.String(), "canary") {
				t.Errorf("logged %s", l.log.String())
			}
		})
	}
}

// The browser's key is as long as its links are valid, and two links have one key.
func TestPayloadsOfTwoTries(t *testing.T) {
	t.Parallel()
	l := newLinking(t)
	first := again(l.get(cancelled(l.toLinked()).String()))
	l.payload = "the second"
	second := again(l.get(cancelled(l.toLinked()).String()))
	l.get(second)
	l.get(first)
	l.saw("the second", canaryPayload)
	for _, value := range []string{"", "short", strings.Repeat("!", 43), l.cookiesNamed("__Host-pixy-browser")[0].Value + "A"} {
		l.browser.SetCookie(origin, &http.Cookie{Name: "__Host-pixy-browser", Value: value, Path: "/", Secure: true})
		isUnknown(t, l.get(first))
		third := again(l.get(cancelled(l.toLinked()).String()))
		l.seen = nil
		l.get(third)
		l.saw("the second")
	}
}

// The chooser's links carry the payload, for this browser.
func TestPayloadPassesThroughTheChooser(t *testing.T) {
	t.Parallel()
	l := &linking{payload: canaryPayload}
	d := newDuo(t, l.onLogin)
	l.rig = d.rig
	l.serveLink(d.rig)
	chooser := l.get(origin + "/link")
	to := link(t, chooser)
	if chooser.Status != 200 || strings.Contains(string(chooser.Body), "canary") || !strings.Contains(to, "with=p.") {
		t.Fatalf("got %d: %s", chooser.Status, chooser.Body)
	}
	isUnknown(t, l.person().get(origin+to))
	if page := l.get(origin + to); string(page.Body) != "I am ada" {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
	l.saw(canaryPayload)
	query := mustQuery(t, to)
	query.Set("provider", "none")
	unknown := l.get(origin + "/auth/login?" + query.Encode())
	if unknown.Status != 404 {
		t.Errorf("got %d: %s", unknown.Status, unknown.Body)
	}
	l.get(origin + link(t, l.get(again(unknown))))
	l.saw(canaryPayload, canaryPayload)
}

// Payloads do not make the cookies of attempts larger than others do.
func TestAttemptsWithPayloadsStayBounded(t *testing.T) {
	t.Parallel()
	for _, payload := range []int{10, 100, 1 << 10} {
		for _, page := range []int{10, 256, 1000, 2048} {
			t.Run(fmt.Sprintf("rule 108: payloads of %d bytes, return-to of %d bytes", payload, page), func(t *testing.T) {
				t.Parallel()
				l := newLinking(t)
				l.handle("/long", func(w http.ResponseWriter, r *http.Request) error {
					return l.auth.LoginWith(w, r, core.LoginOptions{ReturnTo: "/" + strings.Repeat("a", page-1), Payload: strings.Repeat("p", payload), Require: core.Requirement{ACR: []string{strings.Repeat("c", 512)}}})
				})
				bounded := func() {
					t.Helper()
					size, number := 0, 0
					for _, cookie := range l.browser.Cookies(origin) {
						size += len(cookie.Name) + len(cookie.Value)
						number++
					}
					if size > 4<<10+len("__Host-pixy-return") || number > 9 {
						t.Errorf("%d bytes in %d cookies", size, number)
					}
				}
				for i := range 24 {
					if i%3 == 1 {
						l.visit(origin + "/auth/login?return_to=/" + strings.Repeat("b", 2047))
					}
					l.visit(origin + "/long")
					bounded()
				}
				l.provider.User.ACR = []string{strings.Repeat("c", 512)}
				l.seen = nil
				l.get(origin + "/long")
				l.saw(strings.Repeat("p", payload))
			})
		}
	}
}

func mustQuery(t testing.TB, u string) url.Values {
	t.Helper()
	parsed, err := url.Parse(u)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Query()
}

// An application with sessions of its own, whose browser has logged in a moment before.
func TestPayloadThatIsLostWithOwnSessions(t *testing.T) {
	t.Parallel()
	a := newOwnApp(t)
	a.handle("/link", func(w http.ResponseWriter, r *http.Request) error {
		return a.auth.LoginWith(w, r, core.LoginOptions{ReturnTo: "/me", Payload: canaryPayload})
	})
	a.get(a.toCallback().String())
	linked := follow(t, a.browser, origin+"/link")
	a.forgetAttempt(linked)
	isUnknown(t, a.get(linked.String()))
	if got := a.logins.Load(); got != 1 || a.started != 1 {
		t.Errorf("%d logins, and %d sessions started", got, a.started)
	}
}

// A logout ends the browser's links with a payload: the next person at this computer must
// not find one in the history.
func TestPayloadLinksEndAtLogout(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		l := newLinking(t, vault)
		l.login()
		to := again(l.get(cancelled(l.toLinked()).String()))
		l.seen = nil
		l.fetch("POST", origin+"/auth/logout")
		if left := l.cookiesNamed("__Host-pixy-browser"); len(left) != 0 {
			t.Error("a logout leaves the browser's key")
		}
		isUnknown(t, l.get(to))
		l.login()
		isUnknown(t, l.get(to))
		l.saw("")
	})
}
