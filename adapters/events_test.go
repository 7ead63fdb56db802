package adapters_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A login, a refusal, a lost cookie, a refresh and logouts are told, each once.
func TestEvents(t *testing.T) {
	t.Parallel()
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { tellEvents(t, build) })
		})
	}
}

func tellEvents(t *testing.T, build func(*app, *core.Authenticator) http.Handler) {
	var mu sync.Mutex
	var told []string
	var refuses error
	s := newStage(t, new(app), build, func(c *core.Config) {
		c.OnLogin = func(context.Context, *core.Login) error { return refuses }
		c.Tokens.Keep = true
		c.Providers[0].Scopes = []string{"openid", "offline_access"}
		c.Logout.Revocations = new(core.MemoryRevocations)
		c.OnEvent = func(_ context.Context, e core.Event) {
			mu.Lock()
			defer mu.Unlock()
			told = append(told, strings.Join(strings.Fields(strings.Join([]string{e.Kind, e.Subject, e.Code, e.By}, " ")), " "))
			if e.Provider != "id.example.test" || e.Code != "" && e.Reference == "" {
				t.Errorf("told %v", e)
			}
		}
	})
	isTold := func(want ...string) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if got := strings.Join(told, "\n"); got != strings.Join(want, "\n") {
			t.Errorf("told\n%s\nwant\n%s", got, strings.Join(want, "\n"))
		}
		told = nil
	}

	s.do("GET", "/private", script)
	s.do("GET", "/maybe", nil)
	s.do("GET", "/private", http.Header{"Sec-Purpose": {"prefetch"}, "Accept": {"text/html"}})
	isTold()
	s.page(s.browser.Get(origin + "/private"))
	s.do("GET", "/private", script)
	isTold("login ada")
	time.Sleep(2 * time.Hour)
	s.do("GET", "/private", script)
	isTold("refresh ada")
	s.do("POST", "/auth/logout", http.Header{"Sec-Fetch-Site": {"same-origin"}})
	s.do("POST", "/auth/logout", http.Header{"Sec-Fetch-Site": {"same-origin"}})
	isTold("logout ada user")

	callback := s.callbackOf("/private")
	s.browser.Forget(origin, "")
	s.page(s.browser.Get(callback))
	isTold("login_restarted", "login ada")
	client, token := logintest.InMemory(map[string]http.Handler{origin: s.handler}), s.provider.LogoutToken("app", logintest.User{Subject: "ada"}, nil)
	if answer, err := logintest.PostLogoutToken(t.Context(), client, origin+"/auth/backchannel-logout", token); err != nil || answer.Status != 200 {
		t.Errorf("got %v %v", answer, err)
	}
	isTold("logout ada provider")

	s.page(s.browser.Visit(strings.Replace(s.callbackOf("/private"), "code=", "c=", 1)))
	isTold("login_failed callback_untrusted")
	refuses = errors.New("no account")
	s.page(s.browser.Visit(s.callbackOf("/private")))
	isTold("login_failed ada login_refused")
}
