package adapters_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// If a proxy drops the session's cookie, the browser ends on an error page after one
// circle, and the private handler does not run.
func TestALoginThatDoesNotLast(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start()
		s.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.handler.ServeHTTP(&dropsSession{w}, r)
		}))
		page := s.page(s.browser.Get(origin + "/private?tab=1"))
		body := string(page.Body)
		if page.Status != 500 || !strings.Contains(body, "<code>session_lost</code>") || !strings.Contains(body, `href="/auth/login?return_to=%2Fprivate%3Ftab%3D1">Try again</a>`) {
			t.Errorf("got %d after %d hops: %s", page.Status, len(page.Hops), body)
		}
		if got := s.provider.Count(logintest.Authorization); got != 2 {
			t.Errorf("the provider was asked %d times, want 2", got)
		}
		if got := strings.Count(s.log.String(), "\n"); got != 1 || !strings.Contains(s.log.String(), "refused or dropped") || !strings.Contains(s.log.String(), "level=WARN") {
			t.Errorf("%d log lines, want one with the likely causes:\n%s", got, s.log.String())
		}
		if got := s.app.ran.Load(); got != 0 {
			t.Errorf("the private handler ran %d times", got)
		}
		s.browser.Serve(origin, s.handler)
		if page := s.page(s.browser.Get(origin + "/auth/login?return_to=/private")); page.Status != 200 || string(page.Body) != "ada" {
			t.Errorf("once that is mended: got %d %s", page.Status, page.Body)
		}
	})
}

// dropsSession removes the session's cookie from responses.
type dropsSession struct{ http.ResponseWriter }

func (d *dropsSession) WriteHeader(status int) {
	d.drop()
	d.ResponseWriter.WriteHeader(status)
}

func (d *dropsSession) Write(b []byte) (int, error) {
	d.drop()
	return d.ResponseWriter.Write(b)
}

func (d *dropsSession) drop() {
	d.Header()["Set-Cookie"] = slices.DeleteFunc(d.Header()["Set-Cookie"], func(line string) bool { return strings.Contains(line, "-session=") })
	if len(d.Header()["Set-Cookie"]) == 0 {
		d.Header().Del("Set-Cookie")
	}
}
