package core

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// A path names one provider or none, with a name that is safe in a URL, and only there
// where a router would find the route as well. Find is asked for such names only.
func FuzzCallbackPath(f *testing.F) {
	for _, seed := range []string{
		"/auth/callback/acme", "/auth/callback/", "/auth/callback", "/auth/callback/a/b", "/auth/callback/..", "/auth/callback/a..b", "/auth/callback/{provider}", "/auth/callback/:provider",
		"/auth/callback/staff", "/auth/callback/a%2fb", "/auth/callback/\"><script>", "//auth/callback/acme", "auth/callback/acme", "", "/", "/auth/backchannel-logout/acme", "/auth/jwks/a.b-c_d",
		"/auth/callback/" + strings.Repeat("a", 65), "/auth/callback/.a", "/auth/callback/a\r\nb", "/auth/callback/acme;x", "/auth/login/acme",
	} {
		f.Add(seed)
	}
	config := goodConfig()
	config.Providers[0].Name, config.KeysPath, config.Logout.Revocations = "staff", "/auth/jwks", new(MemoryRevocations)
	asked := ""
	config.Lookup.Find = func(_ context.Context, name string) (*Provider, error) { asked = name; return nil, nil }
	a, err := New(config)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: path}}
		name, ok := a.nameIn(r)
		if ok && (name == "" || strings.Contains(name, "/") || !strings.HasSuffix(path, "/"+name)) {
			t.Errorf("%q names %q", path, name)
		}
		asked = ""
		if at, err := a.named(context.Background(), name); err != nil || at != nil && at.config.Name != "staff" {
			t.Errorf("%q: got %v, %v", path, at, err)
		}
		if asked != "" && (asked != name || !validProviderName(asked) || asked == "staff" || (&url.URL{Path: "/" + asked}).EscapedPath() != "/"+asked) {
			t.Errorf("%q: Find was asked for %q", path, asked)
		}
		place := a.placeOf(r)
		if strings.HasPrefix(path, "/auth/callback") && place.ours != (path == "/auth/callback" || path == "/auth/callback/staff" || place.name != "" && path == "/auth/callback/"+place.name) {
			t.Errorf("%q is a callback: %v", path, place)
		}
		if place.ours && strings.HasPrefix(path, "/auth/callback") && place.path != path {
			t.Errorf("%q: a form goes on at %q", path, place.path)
		}
	})
}
