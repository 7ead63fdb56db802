package core_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// The Form Post profile of the OpenID Foundation is the Basic one by form_post.
// Each login is seen to take that way.
func TestFormPostModules(t *testing.T) {
	t.Parallel()
	for _, m := range basicModules() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			g := newSuite(t, byForm)
			forms := countForms(g)
			m.walk(t, g)
			for _, request := range g.provider.Requests() {
				if request.Endpoint == logintest.Authorization && request.Query.Get("response_mode") != "form_post" {
					t.Errorf("asks for response_mode %q", request.Query.Get("response_mode"))
				}
			}
			if *forms != 1 {
				t.Errorf("%d forms were posted", *forms)
			}
		})
	}
	t.Run("oidcc-client-test-form-post-error", func(t *testing.T) {
		t.Parallel()
		g := newSuite(t, byForm, func(c *core.Config) {
			c.Providers[0].Requests.AuthParams = url.Values{"prompt": {"none"}, "max_age": {"0"}}
		})
		g.provider.Authenticate = func(http.ResponseWriter, *http.Request) (logintest.User, bool) {
			t.Error("somebody is asked, in spite of prompt=none")
			return logintest.User{}, false
		}
		forms := countForms(g)
		m := module{code: "provider_refused", early: true, check: func(t *testing.T, requests []logintest.Request) {
			asked := requests[indexOf(requests, logintest.Authorization)].Query
			if asked.Get("response_mode") != "form_post" || asked.Get("prompt") != "none" || asked.Get("max_age") != "0" {
				t.Errorf("asks for %v", asked)
			}
		}}
		m.walk(t, g)
		if *forms != 1 || !strings.Contains(g.log.String(), "login_required") {
			t.Errorf("%d forms were posted, and the log is %s", *forms, g.log.String())
		}
	})
}

// countForms counts what is posted to the application, from now on.
func countForms(g *rig) *int {
	var forms int
	app := g.app(g.auth)
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			forms++
		}
		app.ServeHTTP(w, r)
	}))
	return &forms
}
