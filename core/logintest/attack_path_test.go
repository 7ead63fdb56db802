package logintest_test

import (
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// atReader serves a tutorial below /reader, and nothing elsewhere.
func atReader(app *tutorial) func(*logintest.Provider) http.Handler {
	return func(p *logintest.Provider) http.Handler {
		below := app.start(p)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			page, ok := strings.CutPrefix(r.URL.Path, "/reader/")
			if !ok {
				http.NotFound(w, r)
				return
			}
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = "/"+page, ""
			r.Header.Set("X-Forwarded-Host", r.Host+"/reader") // tutorials trust it
			below.ServeHTTP(w, r)
		})
	}
}

func reader(app *tutorial) logintest.Target {
	return logintest.Target{Start: atReader(app), RedirectURL: "https://app.example.test/reader/auth/callback", Private: "/reader/me"}
}

const returnsOutside = "page to return to outside of the application"

func TestAttackBelowAPath(t *testing.T) {
	t.Parallel()
	clean := func(next string) bool { return strings.HasPrefix(path.Clean(next), "/reader/") }
	for name, test := range map[string]struct {
		mayNext func(string) bool
		want    string
	}{
		"every page":   {nil, `"/other-application" as the page to return to sent the browser out of /reader, to /other-application: an application must return after a login only to pages below its own path,`},
		"a prefix":     {func(next string) bool { return strings.HasPrefix(next, "/reader") }, `"/reader/../other-application" as the page`},
		"a clean path": {func(next string) bool { return clean(next) && !strings.Contains(next, `\`) }, `"/reader/%2e%2e/other-application" as the page`},
		"a prefix without a slash": {func(next string) bool {
			return strings.HasPrefix(next, "/reader") && !strings.Contains(next, "..") && !strings.Contains(next, "%")
		}, `"/reader-too/other-application" as the page`},
		"a backslash": {func(next string) bool { return clean(next) && !strings.Contains(next, "%") }, `"/reader/..\\other-application" as the page`},
		"pages below it": {func(next string) bool {
			return clean(next) && !strings.Contains(next, `\`) && !strings.Contains(next, "%")
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			variant{returnsOutside, nil, test.want}.suffer(t, reader(&tutorial{mayNext: test.mayNext}))
		})
	}
}

// An application at the root, or one that has pages elsewhere, has no path to leave.
func TestAttackFindsOutAPath(t *testing.T) {
	t.Parallel()
	elsewhere := func(start func(*logintest.Provider) http.Handler) func(*logintest.Provider) http.Handler {
		return func(p *logintest.Provider) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/reader/", start(p))
			mux.HandleFunc("/{$}", open)
			return mux
		}
	}
	whole := reader(new(tutorial))
	whole.Start = elsewhere(whole.Start)
	for name, test := range map[string]struct {
		target logintest.Target
		want   bool
	}{
		"below a path":     {reader(new(tutorial)), true},
		"pages elsewhere":  {whole, false},
		"the whole origin": {logintest.Target{Start: new(tutorial).start}, false},
	} {
		r := attack(test.target, func(string) bool { return false })
		if got := slices.Contains(r.names, returnsOutside); r.fatal != "" || got != test.want {
			t.Errorf("%s: got %v, want %v %s", name, got, test.want, r.fatal)
		}
	}
}

// An exempt path that the attacks do not guess is stated in the target.
func TestAttackThroughAPublicPath(t *testing.T) {
	t.Parallel()
	const name = "private page by another spelling"
	app := func() *tutorial { return &tutorial{exempt: below("/files/"), resolve: path.Clean} }
	for public, want := range map[string]string{
		"":             "",
		"/files/":      "an anonymous GET of /files/../me got content of /me:",
		"/files/sub/x": "an anonymous GET of /files/sub/x/../../../me got content of /me:",
	} {
		variant{name, nil, want}.suffer(t, logintest.Target{Start: app().start, Public: public})
	}
	variant{name, nil, "an anonymous GET of /reader/css/../me got content of /reader/me:"}.suffer(t,
		reader(&tutorial{exempt: below("/css/"), resolve: path.Clean}))
}

func TestAttackAtTheCallbackOfAnotherProvider(t *testing.T) {
	t.Parallel()
	const name, two = "answer at the callback of another provider", "/auth/callback/two"
	with := func(app *tutorial, handler http.HandlerFunc) func(*logintest.Provider) http.Handler {
		return func(p *logintest.Provider) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/", app.start(p))
			mux.HandleFunc(two, handler)
			return mux
		}
	}
	late := &tutorial{state: true, configured: true}
	for want, target := range map[string]logintest.Target{
		"the response of a provider, opened at the callback of another provider, logged the browser in as Ada Lovelace: an application must give each provider": {
			Start: (&tutorial{state: true, configured: true}).start, OtherCallback: two},
		"the response of a provider, opened at the callback of another provider, led to a token request:": {
			Start: with(late, func(w http.ResponseWriter, r *http.Request) {
				late.callback(httptest.NewRecorder(), r)
				http.Error(w, "another provider's", http.StatusBadRequest)
			}), OtherCallback: two},
		"": {Start: with(&tutorial{state: true}, http.NotFound), OtherCallback: two},
	} {
		variant{name, nil, want}.suffer(t, target)
	}
	r := attack(logintest.Target{Start: new(tutorial).start}, func(string) bool { return false })
	if slices.Contains(r.names, name) {
		t.Error("the attack was tried without another callback")
	}
}
