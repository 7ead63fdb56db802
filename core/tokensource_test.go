package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core"
)

// roundTripper answers the requests of a client.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func contextWithClient(ctx context.Context, client *http.Client) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, client)
}

// An access token goes to the hosts that the application names, and to nobody else.
func TestClientSendsTheTokenToNamedHostsOnly(t *testing.T) {
	t.Parallel()
	const api, other = "https://api.example.test", "https://other.example.test"
	for name, test := range map[string]struct {
		hosts  []string
		url    string
		want   string // what was sent, in order
		failed string
	}{
		"rule 114: a named host":               {hosts: []string{"api.example.test"}, url: api + "/", want: "api.example.test/ with token"},
		"in capitals":                          {hosts: []string{"API.example.test"}, url: api + "/", want: "api.example.test/ with token"},
		"with its port":                        {hosts: []string{"api.example.test:443"}, url: api + "/", want: "api.example.test/ with token"},
		"one of two":                           {hosts: []string{"a.example.test", "api.example.test"}, url: api + "/", want: "api.example.test/ with token"},
		"rule 85: in the header alone":         {hosts: []string{"api.example.test"}, url: api + "/?q=1", want: "api.example.test/?q=1 with token"},
		"rule 113: none named":                 {url: api + "/", failed: "to the hosts of Client"},
		"rule 113: another host":               {hosts: []string{"api.example.test"}, url: other + "/", failed: "to the hosts of Client"},
		"a host that ends like it":             {hosts: []string{"api.example.test"}, url: "https://evil-api.example.test/", failed: "to the hosts of Client"},
		"a host below it":                      {hosts: []string{"example.test"}, url: api + "/", failed: "to the hosts of Client"},
		"another port":                         {hosts: []string{"api.example.test"}, url: "https://api.example.test:8443/", failed: "to the hosts of Client"},
		"plain http":                           {hosts: []string{"api.example.test"}, url: "http://api.example.test/", failed: "use https"},
		"its name before an @":                 {hosts: []string{"api.example.test"}, url: "https://api.example.test@other.example.test/", failed: "to the hosts of Client"},
		"a redirect to itself":                 {hosts: []string{"api.example.test"}, url: api + "/to?" + api + "/", want: "api.example.test/to with token, api.example.test/ with token"},
		"rule 114: a redirect to another host": {hosts: []string{"api.example.test"}, url: api + "/to?" + other + "/", want: "api.example.test/to with token", failed: "a redirect to https://other.example.test was not followed"},
		"a redirect to plain http":             {hosts: []string{"api.example.test"}, url: api + "/to?http://api.example.test/", want: "api.example.test/to with token", failed: "a redirect to http://api.example.test was not followed"},
		"a redirect to another and back":       {hosts: []string{"api.example.test"}, url: api + "/to?" + other + "/back", want: "api.example.test/to with token", failed: "to the hosts of Client"},
		"a redirect to another port":           {hosts: []string{"api.example.test"}, url: api + "/to?" + api + ":8443/", want: "api.example.test/to with token", failed: "to the hosts of Client"},
		"a redirect to no web page":            {hosts: []string{"api.example.test"}, url: api + "/to?ftp://api.example.test/", want: "api.example.test/to with token", failed: "to the hosts of Client"},
		"a redirect to another named host":     {hosts: []string{"api.example.test", "other.example.test"}, url: api + "/to?" + other + "/", want: "api.example.test/to with token, other.example.test/ with token"},
		"a redirect with a name before an @":   {hosts: []string{"api.example.test"}, url: api + "/to?https://api.example.test@other.example.test/", want: "api.example.test/to with token", failed: "to the hosts of Client"},
		"a redirect to where it came from":     {hosts: []string{"api.example.test"}, url: api + "/to?/round", want: "api.example.test/to with token" + strings.Repeat(", api.example.test/round with token", 9), failed: "stopped after 10 redirects"},
		"plain http on a loopback host":        {hosts: []string{"127.0.0.1:9000"}, url: "http://127.0.0.1:9000/", want: "127.0.0.1:9000/ with token"},
		"a loopback host that was not named":   {hosts: []string{"127.0.0.1:9000"}, url: "http://127.0.0.1:9001/", failed: "to the hosts of Client"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent []string
			transport := roundTripper(func(r *http.Request) (*http.Response, error) {
				line := r.URL.Host + r.URL.Path
				if r.Header["Cookie"] != nil {
					t.Errorf("sends cookies to %s", r.URL.Host)
				}
				switch r.Header.Get("Authorization") {
				case "Bearer the-token":
					line += " with token"
				case "":
				default:
					t.Errorf("sends %q", r.Header.Get("Authorization"))
				}
				if r.URL.Path == "/" && r.URL.RawQuery != "" {
					line = strings.Replace(line, "/ ", "/?"+r.URL.RawQuery+" ", 1)
				}
				sent = append(sent, line)
				answer := httptest.NewRecorder()
				switch r.URL.Path {
				case "/to":
					http.Redirect(answer, r, r.URL.RawQuery, http.StatusTemporaryRedirect)
				case "/back":
					http.Redirect(answer, r, api+"/", http.StatusTemporaryRedirect)
				case "/round":
					http.Redirect(answer, r, "/round", http.StatusTemporaryRedirect)
				}
				response := answer.Result()
				response.Request = r
				return response, nil
			})
			ctx := core.ContextWithToken(t.Context(), &oauth2.Token{AccessToken: "the-token"})
			ctx = contextWithClient(ctx, &http.Client{Transport: transport})
			response, err := core.Client(ctx, test.hosts...).Get(test.url)
			if err == nil {
				response.Body.Close()
			}
			if got := strings.Join(sent, ", "); got != test.want {
				t.Errorf("sent %q, want %q", got, test.want)
			}
			if test.failed == "" && err != nil || test.failed != "" && (err == nil || !strings.Contains(err.Error(), test.failed)) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "the-token") {
				t.Errorf("the error has the token: %v", err)
			}
		})
	}
}

// A body goes with a redirect among the named hosts and with no other, and the
// error tells nothing of what the other would have been asked.
func TestClientTakesNoBodyElsewhere(t *testing.T) {
	t.Parallel()
	for to, follows := range map[string]bool{
		"https://api.example.test/next":                      true,
		"https://other.example.test/take?code=canary#canary": false,
		"http://api.example.test/take?code=canary":           false,
	} {
		var bodies []string
		transport := roundTripper(func(r *http.Request) (*http.Response, error) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			bodies = append(bodies, r.URL.Host+r.URL.Path+" "+string(body))
			answer := httptest.NewRecorder()
			if r.URL.Path == "/to" {
				answer.Header().Set("Location", to)
				answer.WriteHeader(http.StatusPermanentRedirect)
			}
			response := answer.Result()
			response.Request = r
			return response, nil
		})
		ctx := contextWithClient(core.ContextWithToken(t.Context(), &oauth2.Token{AccessToken: "the-token"}), &http.Client{Transport: transport})
		response, err := core.Client(ctx, "api.example.test").Post("https://api.example.test/to", "text/plain", strings.NewReader("the body"))
		if err == nil {
			response.Body.Close()
		}
		want := []string{"api.example.test/to the body"}
		if follows {
			want = append(want, "api.example.test/next the body")
		}
		if !slices.Equal(bodies, want) || (err == nil) != follows {
			t.Errorf("%s: got %q, %v", to, bodies, err)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("the error has the query: %v", err)
		}
	}
}

// A server of many hosts must not take the request for one of another.
func TestClientAsksWhomItNames(t *testing.T) {
	t.Parallel()
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Host != "" && r.Host != "api.example.test" {
			t.Errorf("asks for %s", r.Host)
		}
		return httptest.NewRecorder().Result(), nil
	})
	ctx := contextWithClient(core.ContextWithToken(t.Context(), &oauth2.Token{AccessToken: "the-token"}), &http.Client{Transport: transport})
	r := httptest.NewRequest("GET", "https://api.example.test/", nil)
	r.RequestURI, r.Host = "", "other.example.test"
	response, err := core.Client(ctx, "api.example.test").Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()

	// A RoundTripper leaves the caller's request as it is.
	if response, err = core.Client(ctx, "api.example.test").Transport.RoundTrip(r); err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if r.Host != "other.example.test" || len(r.Header) != 0 {
		t.Errorf("the caller's request has become one for %s, with %d fields", r.Host, len(r.Header))
	}
}

func TestClientUsesTheTransportOfTheConfig(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t)
	var status int
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/call" {
			g.app.ServeHTTP(w, r)
			return
		}
		r, err := g.auth.Authenticate(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		response, err := core.Client(r.Context(), "id.example.test").Get(issuer + "/userinfo")
		if err != nil {
			t.Error(err)
			return
		}
		response.Body.Close()
		status = response.StatusCode
	}))
	g.login()
	if g.get(origin + "/call"); status != http.StatusOK {
		t.Errorf("the provider answered %d", status)
	}
}

// Without a token, nothing is sent.
func TestClientWithoutAToken(t *testing.T) {
	t.Parallel()
	transport := roundTripper(func(*http.Request) (*http.Response, error) {
		t.Error("sent")
		return nil, errors.New("sent")
	})
	for name, ctx := range map[string]func() (*core.Authenticator, *http.Request){
		"nobody": func() (*core.Authenticator, *http.Request) { return nil, httptest.NewRequest("GET", "/", nil) },
		"a user of a test": func() (*core.Authenticator, *http.Request) {
			r := httptest.NewRequest("GET", "/", nil)
			return nil, r.WithContext(core.ContextWithUser(r.Context(), &core.User{Subject: "ada"}))
		},
	} {
		_, r := ctx()
		_, err := core.Client(contextWithClient(r.Context(), &http.Client{Transport: transport}), "api.example.test").Post("https://api.example.test", "text/plain", strings.NewReader("x"))
		if failure := new(core.Error); !errors.Is(err, core.ErrNoToken) || !errors.As(err, &failure) || failure.StatusCode() != http.StatusUnauthorized {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// What a test puts in is for its handler alone, and leaves the user in place.
func TestContextWithToken(t *testing.T) {
	t.Parallel()
	ctx := core.ContextWithUser(t.Context(), &core.User{Subject: "ada"})
	with := core.ContextWithToken(ctx, &oauth2.Token{AccessToken: "x"})
	if token, err := core.TokenSource(with).Token(); err != nil || token.AccessToken != "x" || core.UserFromContext(with).Subject != "ada" {
		t.Errorf("got %v, %v", token, err)
	}
	if _, err := core.TokenSource(ctx).Token(); !errors.Is(err, core.ErrNoToken) {
		t.Errorf("got %v", err)
	}
	other := core.ContextWithToken(t.Context(), &oauth2.Token{AccessToken: "y"})
	if user := core.UserFromContext(other); user != nil {
		t.Errorf("got %v", fmt.Sprint(user))
	}
	other = core.ContextWithUser(other, &core.User{Subject: "grace"}) // the other way round
	if token, err := core.TokenSource(other).Token(); err != nil || token.AccessToken != "y" || core.UserFromContext(other).Subject != "grace" {
		t.Errorf("got %v, %v", token, err)
	}
}

// A user who reads "Please log in again" can do so.
func TestAMissingTokenOffersALogin(t *testing.T) {
	t.Parallel()
	g := newRig(t, keepTokens)
	for header, want := range map[string]string{
		"Accept: text/html":                  `href="/auth/login?return_to=%2Fapi%3Fpage%3D2"`,
		"Accept: application/json":           `"login_url":"/auth/login"`,
		"Referer: " + origin + "/list?tab=1": `"login_url":"/auth/login?return_to=%2Flist%3Ftab%3D1"`,
	} {
		r := httptest.NewRequest("GET", origin+"/api?page=2", nil)
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
		r = r.WithContext(core.ContextWithUser(r.Context(), &core.User{Issuer: issuer, Subject: "ada"}))
		_, err := core.TokenSource(r.Context()).Token()
		if !errors.Is(err, core.ErrNoToken) {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		g.auth.ServeError(w, r, err)
		if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: got %d: %s", header, w.Code, w.Body)
		}
	}
}

// Where a login brings nothing, none is offered: a script that follows the link
// would come back to the same error, again and again.
func TestNoLoginIsOfferedThatIsNoHelp(t *testing.T) {
	t.Parallel()
	g := newRig(t) // which keeps no tokens
	r := httptest.NewRequest("GET", origin+"/api", nil)
	r = r.WithContext(core.ContextWithUser(r.Context(), &core.User{Issuer: issuer, Subject: "ada"}))
	_, missing := core.TokenSource(r.Context()).Token()
	for code, err := range map[string]error{
		"token_missing": missing,
		"bad_api_key":   &core.Error{Status: http.StatusUnauthorized, Code: "bad_api_key", Public: "Who are you?"},
	} {
		w := httptest.NewRecorder()
		g.auth.ServeError(w, r, err)
		if w.Code != http.StatusUnauthorized || !strings.Contains(w.Body.String(), code) || strings.Contains(w.Body.String(), "login_url") {
			t.Errorf("%s: got %d: %s", code, w.Code, w.Body)
		}
	}
}
