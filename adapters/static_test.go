package adapters_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	echo4 "github.com/labstack/echo/v4"
	middleware4 "github.com/labstack/echo/v4/middleware"
	echo5 "github.com/labstack/echo/v5"
	middleware5 "github.com/labstack/echo/v5/middleware"

	"github.com/pixyauth/pixy/adapters/echo5login"
	"github.com/pixyauth/pixy/adapters/echologin"
	"github.com/pixyauth/pixy/core"
)

// No spelling of a path bypasses the guard of a file's route. Echo's Static middleware
// decoded paths after the router had matched them
// (GHSA-375p-5qhx-8wq4, GHSA-3pmx-cf9f-34xr).
func TestStaticFilesBehindAGuard(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "admin"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"public.txt": "public", "admin/private.txt": "private"} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, build := range map[string]func(*app, *core.Authenticator) http.Handler{
		"echologin": func(_ *app, auth *core.Authenticator) http.Handler {
			router := echo4.New()
			guarded := router.Group("/admin", echologin.New(auth).RequireUser)
			guarded.GET("/*", func(c echo4.Context) error { return c.File(filepath.Join(root, "admin/private.txt")) })
			router.Group("", middleware4.StaticWithConfig(middleware4.StaticConfig{Root: root, Filesystem: http.Dir("/")})).GET("/*", echo4.NotFoundHandler)
			return router
		},
		"echo5login": func(_ *app, auth *core.Authenticator) http.Handler {
			router := echo5.New()
			guarded := router.Group("/admin", echo5login.New(auth).RequireUser)
			guarded.GET("/*", func(c *echo5.Context) error { return c.File("admin/private.txt") })
			router.Group("", middleware5.StaticWithConfig(middleware5.StaticConfig{Filesystem: os.DirFS(root)})).
				GET("/*", func(*echo5.Context) error { return echo5.ErrNotFound })
			return router
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, new(app), build)
			if page := s.do("GET", "/public.txt", script); page.Status != 200 || string(page.Body) != "public" {
				t.Fatalf("a public file gets %d %s", page.Status, page.Body)
			}
			for _, path := range []string{
				"/admin/private.txt", "/admin%2Fprivate.txt", "/admin%2fprivate.txt", "/%61dmin%2Fprivate.txt", "/admin%252Fprivate.txt",
				"/x/..%2Fadmin/private.txt", "/x/../admin%2Fprivate.txt", "/x/%2e%2e/admin/private.txt", "/.%2Fadmin/private.txt",
				"/%2Fadmin/private.txt", "//admin/private.txt", "/admin%5Cprivate.txt",
			} {
				page := s.do("GET", path, script)
				if page.Status < 400 || strings.Contains(string(page.Body), "private") {
					t.Errorf("%s: got %d %s", path, page.Status, page.Body)
				}
			}
		})
	}
}
