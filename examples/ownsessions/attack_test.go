package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

func TestAttack(t *testing.T) {
	t.Parallel()
	for name, basePath := range map[string]string{"own host": "", "base path": "/reader"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logintest.Attack(t, logintest.Target{
				RedirectURL: origin + basePath + "/auth/callback", Private: basePath + "/me",
				BackChannelLogout:  basePath + "/auth/backchannel-logout",
				FrontChannelLogout: basePath + "/auth/frontchannel-logout",
				Start: func(provider *logintest.Provider) http.Handler {
					return start(t, provider, basePath).handler()
				},
			})
		})
	}
}

// The application lives below its base path, also if a proxy strips it.
func TestBasePath(t *testing.T) {
	t.Parallel()
	for name, proxy := range map[string]func(http.Handler) http.Handler{
		"direct":          func(app http.Handler) http.Handler { return app },
		"stripping proxy": func(app http.Handler) http.Handler { return http.StripPrefix("/reader", app) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "/reader")
			r.browser.Serve(origin, proxy(r.handler()))
			r.is("ada")
			page := r.get(r.browser, "/me")
			if page.Status != 200 || page.URL != r.home+"/me" {
				t.Fatalf("login ends with %d at %s: %s", page.Status, page.URL, page.Body)
			}
			for _, link := range []string{`action="/reader/link"`, `action="/reader/auth/logout"`, `href="/reader/"`} {
				if !strings.Contains(string(page.Body), link) {
					t.Errorf("the page has no %s", link)
				}
			}
			r.is("grace")
			if page := r.post(r.browser, "/link"); page.URL != r.home+"/me" || len(r.me(r.browser).Identities) != 2 {
				t.Errorf("linking ends with %d at %s", page.Status, page.URL)
			}
			if page := r.post(r.browser, "/auth/logout"); page.Status != 200 || page.URL != r.home+"/" {
				t.Errorf("logout ends with %d at %s", page.Status, page.URL)
			}
			if r.me(r.browser).Account != "" {
				t.Error("the session outlives its logout")
			}
		})
	}
}
