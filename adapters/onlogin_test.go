package adapters_test

import (
	"context"
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

// onLogin is an OnLogin that decides, and remembers what it has seen.
type onLogin struct {
	mu       sync.Mutex
	calls    atomic.Int32
	payloads []string
	decide   func(*core.Login)
}

func (o *onLogin) set(c *core.Config) {
	c.OnLogin = func(_ context.Context, login *core.Login) error {
		o.calls.Add(1)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.payloads = append(o.payloads, login.Payload)
		if o.decide != nil {
			o.decide(login)
		}
		return nil
	}
}

// data returns what the session of the browser keeps.
func (s *stage) data() string {
	s.t.Helper()
	r, err := http.NewRequest("GET", origin+"/private", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range s.browser.Cookies(origin + "/private") {
		r.AddCookie(c)
	}
	passed, err := s.auth.Authenticate(nowhereWriter{}, r)
	if err != nil {
		return err.Error()
	}
	return s.auth.User(passed).Data
}

type nowhereWriter struct{}

func (nowhereWriter) Header() http.Header         { return make(http.Header) }
func (nowhereWriter) Write(b []byte) (int, error) { return len(b), nil }
func (nowhereWriter) WriteHeader(int)             {}

// callbackOf begins a login, and returns the URL of its callback.
func (s *stage) callbackOf(path string) string {
	s.t.Helper()
	begun := s.page(s.browser.Visit(origin + path))
	return s.page(s.browser.Visit(begun.Header.Get("Location"))).Header.Get("Location")
}

// OnLogin decides about each login, and once for all of its callbacks.
func TestOnLoginDecides(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		decides := &onLogin{decide: func(login *core.Login) {
			login.ReturnTo, login.Data, login.Lifetime, login.EndsWithBrowser = "/maybe?welcome", "account 7", time.Hour, true
		}}
		s := start(decides.set)
		callback := s.callbackOf("/private")
		cookies := s.browser.Cookies(callback)
		answers := make([]*logintest.Page, 3)
		var tabs sync.WaitGroup
		for i := range answers { // at once, each with the cookies that the browser had
			tabs.Go(func() {
				tab := logintest.NewBrowser()
				tab.Serve(origin, s.handler)
				for _, c := range cookies {
					tab.SetCookie(origin, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", Secure: true})
				}
				page, err := tab.Visit(callback)
				if err != nil {
					t.Error(err)
					return
				}
				answers[i] = page
			})
		}
		tabs.Wait()
		for _, page := range answers {
			if page.Status != 303 || page.Header.Get("Location") != "/maybe?welcome" {
				t.Fatalf("got %d to %q: %s", page.Status, page.Header.Get("Location"), page.Body)
			}
			for _, line := range page.Header["Set-Cookie"] {
				if strings.HasPrefix(line, "__Host-pixy-session=") && (strings.Contains(line, "Max-Age") || strings.Contains(line, "Expires")) {
					t.Errorf("got %s", line)
				}
			}
		}
		if got := decides.calls.Load(); got != 1 {
			t.Errorf("OnLogin was called %d times", got)
		}
		if page := s.page(s.browser.Get(callback)); string(page.Body) != "ada" || s.data() != "account 7" {
			t.Errorf("got %d %s, and the session keeps %q", page.Status, page.Body, s.data())
		}

		decides.decide = func(login *core.Login) { login.Data = strings.Repeat("d", 1<<10+1) }
		if page := s.page(s.browser.Get(s.callbackOf("/auth/login"))); page.Status != 500 || !strings.Contains(string(page.Body), "data_too_large") {
			t.Errorf("too much data: got %d %s", page.Status, page.Body)
		}
		decides.decide = func(login *core.Login) { login.ReturnTo = "https://evil.example.test/" }
		if page := s.page(s.browser.Get(s.callbackOf("/auth/login"))); page.Status != 500 || page.URL == "https://evil.example.test/" {
			t.Errorf("another site: got %d %s", page.Status, page.Body)
		}
		if got := s.data(); got != "account 7" {
			t.Errorf("the session before keeps %q", got)
		}
	})
}

// A payload reaches OnLogin with its login, in its browser, and nowhere else.
func TestPayloads(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		decides := new(onLogin)
		s := start(decides.set)
		app := s.handler
		s.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/link" {
				app.ServeHTTP(w, r)
			} else if err := s.auth.LoginWith(w, r, core.LoginOptions{ReturnTo: "/private", Payload: "link 7"}); err != nil {
				s.auth.ServeError(w, r, err)
			}
		}))
		linked, plain := s.callbackOf("/link"), s.callbackOf("/auth/login?return_to=/private")
		for _, callback := range []string{plain, linked} { // of two tabs
			if page := s.page(s.browser.Get(callback)); string(page.Body) != "ada" {
				t.Fatalf("got %d %s", page.Status, page.Body)
			}
		}

		u, err := url.Parse(s.callbackOf("/link"))
		if err != nil {
			t.Fatal(err)
		}
		lost := u.String()
		query := u.Query()
		query.Del("code")
		query.Set("error", "access_denied")
		u.RawQuery = query.Encode()
		_, again, _ := strings.Cut(string(s.page(s.browser.Get(u.String())).Body), `class="main" href="`)
		again, _, _ = strings.Cut(again, `"`)
		again = origin + strings.ReplaceAll(again, "&amp;", "&")
		victim := logintest.NewBrowser()
		victim.Serve(origin, app)
		victim.Serve(issuer, s.provider)
		for _, stolen := range []string{again, lost} {
			if page := s.page(victim.Get(stolen)); page.Status != 400 || !strings.Contains(string(page.Body), "attempt_unknown") || len(page.Hops) != 1 {
				t.Errorf("another browser gets %d after %d hops: %s", page.Status, len(page.Hops), page.Body)
			}
		}
		if page := s.page(s.browser.Get(again)); string(page.Body) != "ada" {
			t.Errorf("trying again: got %d %s", page.Status, page.Body)
		}
		if got := strings.Join(decides.payloads, ","); got != ",link 7,link 7" {
			t.Errorf("OnLogin saw %q", got)
		}
	})
}
