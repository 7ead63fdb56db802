package core_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A twin is an application with two logins on one host: ada is logged in at the
// shop, grace is staff.
type twin struct {
	*tokenRig
	shop, staff *core.Authenticator
	cookies     map[string][]*http.Cookie
	tokens      map[string]string
}

func newTwin(t *testing.T, change ...func(*core.Config)) *twin {
	t.Helper()
	g := newTokenRig(t, change...)
	both := &twin{tokenRig: g, shop: g.auth, cookies: make(map[string][]*http.Cookie), tokens: make(map[string]string)}
	both.staff = g.newAuth(append(change, keepTokens, func(c *core.Config) { c.Sessions.CookieName = "staff" })...)
	for subject, auth := range map[string]*core.Authenticator{"ada": both.shop, "grace": both.staff} {
		g.browser.Forget("", "")
		g.browser.Serve(origin, g.tokenApp(auth))
		g.provider.User = logintest.User{Subject: subject}
		g.login()
		both.cookies[subject], both.tokens[subject] = g.browser.Cookies(origin), g.token()
	}
	return both
}

// request comes with the cookies of users.
func (b *twin) request(users ...string) *http.Request {
	r := httptest.NewRequest("GET", origin+"/page", nil)
	for _, user := range users {
		for _, c := range b.cookies[user] {
			r.AddCookie(c)
		}
	}
	return r
}

type layer func(http.ResponseWriter, *http.Request) (*http.Request, error)

// Every guard and loader has an answer of its own, also "nobody". The innermost
// one is what the package function gives.
func TestEachLoginAnswersForItself(t *testing.T) {
	t.Parallel()
	b := newTwin(t)
	tested := func(_ http.ResponseWriter, r *http.Request) (*http.Request, error) {
		return r.WithContext(core.ContextWithUser(r.Context(), &core.User{Issuer: "test", Subject: "test"})), nil
	}
	tokenOnly := func(_ http.ResponseWriter, r *http.Request) (*http.Request, error) {
		return r.WithContext(core.ContextWithToken(r.Context(), &oauth2.Token{AccessToken: "test"})), nil
	}
	shop, staff := b.shop.Authenticate, b.staff.Authenticate
	mayShop, mayStaff := b.shop.LoadUser, b.staff.LoadUser
	for name, test := range map[string]struct {
		users              []string
		layers             []layer
		want, shop, staff  string // UserFromContext and User; "": nil
		token              string // of whom; "": ErrNoToken
		sameAsBeforeTheEnd bool   // the last layer returns the request that it has got
	}{
		"no layer":                               {[]string{"ada"}, nil, "", "", "", "", false},
		"one guard":                              {[]string{"ada"}, []layer{shop}, "ada", "ada", "", "ada", false},
		"one loader, nobody":                     {[]string{"grace"}, []layer{mayShop}, "", "", "", "", true},
		"the staff's loader inside, a customer":  {[]string{"ada"}, []layer{mayShop, mayStaff}, "", "ada", "", "", false},
		"… once more":                            {[]string{"ada"}, []layer{mayShop, mayStaff, mayStaff}, "", "ada", "", "", true},
		"… and the shop's again":                 {[]string{"ada"}, []layer{mayShop, mayStaff, mayShop}, "ada", "ada", "", "ada", false},
		"… and both again":                       {[]string{"ada"}, []layer{mayShop, mayStaff, mayShop, mayStaff}, "", "ada", "", "", false},
		"the shop's loader behind staff's guard": {[]string{"ada", "grace"}, []layer{staff, mayShop}, "ada", "ada", "grace", "ada", false},
		"… for staff who are no customers":       {[]string{"grace"}, []layer{staff, mayShop}, "", "", "grace", "", false},
		"guards in turns":                        {[]string{"ada", "grace"}, []layer{shop, staff, shop, staff}, "grace", "ada", "grace", "grace", false},
		"two guards of one login":                {[]string{"ada"}, []layer{shop, shop, mayShop}, "ada", "ada", "", "ada", true},
		"a test's user":                          {nil, []layer{tested, shop, staff, mayShop}, "test", "test", "test", "", true},
		"a test's user behind a guard":           {[]string{"ada"}, []layer{shop, tested, staff}, "test", "test", "test", "", true},
		"a test's token":                         {nil, []layer{tokenOnly, mayShop}, "", "", "", "test", true},
		"a test's token behind a guard":          {[]string{"ada"}, []layer{shop, tokenOnly}, "ada", "ada", "", "test", false},
		"… and the guard again":                  {[]string{"ada"}, []layer{shop, tokenOnly, shop}, "ada", "ada", "", "test", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := b.request(test.users...)
			last := r
			for _, layer := range test.layers {
				passed, err := layer(httptest.NewRecorder(), r)
				if err != nil {
					t.Fatal(err)
				}
				last, r = r, passed
			}
			if len(test.layers) > 0 && (r == last) != test.sameAsBeforeTheEnd {
				t.Errorf("the last layer returns the same request: %v", r == last)
			}
			got := [...]string{subjectOf(core.UserFromContext(r.Context())), subjectOf(b.shop.User(r)), subjectOf(b.staff.User(r))}
			if want := [...]string{test.want, test.shop, test.staff}; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			token, err := tokenOf(r.Context())
			want := b.tokens[test.token]
			if test.token == "test" {
				want = "test"
			}
			if token != want || (want == "") != errors.Is(err, core.ErrNoToken) {
				t.Errorf("token: got %.9q, %v, want %s's", token, err, test.token)
			}
		})
	}
}

func subjectOf(user *core.User) string {
	if user == nil {
		return ""
	}
	return user.Subject
}

// Beside an error there is the request as it was, and nobody is let in by what
// another login has found.
func TestARequestThatIsTurnedAwayStaysAsItWas(t *testing.T) {
	t.Parallel()
	b := newTwin(t)
	r, err := b.shop.LoadUser(httptest.NewRecorder(), b.request("ada"))
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]layer{
		"Authenticate": b.staff.Authenticate,
		"AuthenticateFor": func(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
			return b.staff.AuthenticateFor(w, r, core.Requirement{ACR: []string{"gold"}})
		},
		"AuthenticateFor with a need that cannot be": func(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
			return b.shop.AuthenticateFor(w, r, core.Requirement{ACR: []string{""}})
		},
		"AuthenticateFor, too weak": func(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
			return b.shop.AuthenticateFor(w, r, core.Requirement{ACR: []string{"gold"}})
		},
	} {
		if got, err := call(httptest.NewRecorder(), r); got != r || err == nil {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
	down := newRig(t, func(c *core.Config) { c.Logout.Revocations = brokenRevocations{} }).auth
	for name, call := range map[string]layer{"LoadUser": down.LoadUser, "Authenticate": down.Authenticate} {
		r := b.request("ada")
		if got, err := call(httptest.NewRecorder(), r); got != r || !errors.Is(err, core.ErrUnavailable) {
			t.Errorf("%s, with Revocations down: got %v, %v", name, got, err)
		}
	}
}

// A loader that has found nobody lets nobody pass the guard behind it.
func TestNobodyPassesNoGuard(t *testing.T) {
	t.Parallel()
	b := newTwin(t)
	r := b.request("ada")
	for _, load := range []layer{b.shop.LoadUser, b.staff.LoadUser} {
		var err error
		if r, err = load(httptest.NewRecorder(), r); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := b.staff.Authenticate(httptest.NewRecorder(), r); got != r || !errors.Is(err, core.ErrNoSession) {
		t.Errorf("got %v", err)
	}
}

// Tokens that a guard has had refreshed are those of the same guard further in,
// whatever is between them: the request's cookies still have the former ones.
func TestRefreshedTokensStayWithTheRequest(t *testing.T) {
	t.Parallel()
	b := newTwin(t)
	b.advance(2 * time.Hour)
	r := b.request("ada")
	var tokens []string
	for _, layer := range []layer{b.shop.Authenticate, b.staff.LoadUser, b.shop.Authenticate} {
		var err error
		if r, err = layer(httptest.NewRecorder(), r); err != nil {
			t.Fatal(err)
		}
		token, _ := tokenOf(r.Context())
		tokens = append(tokens, token)
	}
	if tokens[0] == "" || tokens[0] == b.tokens["ada"] || tokens[1] != "" || tokens[2] != tokens[0] {
		t.Error("the inner guard has other tokens than the outer one")
	}
	if got := b.provider.Refreshes(); got != 1 {
		t.Errorf("%d refreshes", got)
	}
}

type brokenRevocations struct{ core.Revocations }

func (brokenRevocations) RevokedAt(context.Context, ...string) (time.Time, error) {
	return time.Time{}, errors.New("down")
}

// In OnLogin and FetchUser, the token is the new login's: also without Tokens.Keep,
// and with a former user in the session. The user in the context is still that former user.
func TestOnLoginGetsTheNewLoginsToken(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*core.Config){
		"Tokens.Keep":         keepTokens,
		"without Tokens.Keep": func(*core.Config) {},
		"OAuth2": func(c *core.Config) {
			keepTokens(c)
			c.Providers[0].Scopes = nil
			c.Providers[0].Endpoints = core.EndpointConfig{AuthURL: issuer + "/authorize", TokenURL: issuer + "/token"}
			c.Providers[0].FetchUser = fetchUser
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var g *tokenRig
			var seen []string // token, former user, by call
			look := func(ctx context.Context) {
				token, err := core.TokenSource(ctx).Token()
				if err != nil || token.RefreshToken != "" || token.Type() != "Bearer" {
					t.Errorf("got %v, %v", token, err)
					return
				}
				seen = append(seen, token.AccessToken+" "+subjectOf(core.UserFromContext(ctx)))
			}
			subject := "ada"
			g = newTokenRig(t, func(c *core.Config) {
				c.Tokens.Keep = false
				change(c)
				c.OnLogin = func(ctx context.Context, _ *core.Login) error { look(ctx); return nil }
				if c.Providers[0].FetchUser != nil {
					c.Providers[0].FetchUser = func(ctx context.Context, _ *http.Client) (map[string]any, error) {
						look(ctx)
						return map[string]any{"sub": subject}, nil
					}
				}
			})
			staff := g.newAuth(keepTokens, func(c *core.Config) { c.Sessions.CookieName = "staff" })
			app := g.app
			g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, load := range []layer{g.auth.LoadUser, staff.LoadUser} {
					if loaded, err := load(w, r); err == nil {
						r = loaded
					}
				}
				app.ServeHTTP(w, r)
			}))
			g.login()
			first := len(seen)
			subject = "grace"
			g.provider.User = logintest.User{Subject: subject}
			if page := g.get(origin + "/auth/login"); page.Status != http.StatusOK || g.whoAmI() != "I am grace" {
				t.Fatalf("the second login ended with %d: %s", page.Status, page.Body)
			}
			if first == 0 || len(seen) != 2*first {
				t.Fatalf("%d calls at the first login, %d at both", first, len(seen))
			}
			issued := make(map[string]bool)
			for i, each := range seen {
				token, former, _ := strings.Cut(each, " ")
				issued[token] = true
				if want := map[bool]string{true: "", false: "ada"}[i < first]; former != want || token == "" {
					t.Errorf("call %d: the user in the context is %q, want %q", i, former, want)
				}
			}
			if len(issued) != 2 {
				t.Errorf("%d tokens in two logins", len(issued))
			}
			if token := g.token(); token != "token_missing" && !strings.HasPrefix(seen[len(seen)-1], token+" ") {
				t.Errorf("OnLogin saw another token than handlers do")
			}
		})
	}
}

// A guard costs what it did when there was one login.
func TestGuardsAllocateLittle(t *testing.T) {
	if crowds > 1 {
		t.Skip("the race detector allocates, too")
	}
	b := newTwin(t)
	r := b.request("ada")
	for name, test := range map[string]struct {
		layer layer
		r     *http.Request
		most  float64
	}{
		"a guard":              {b.shop.Authenticate, r, 5},
		"a loader":             {b.shop.LoadUser, r, 5},
		"a loader with nobody": {b.shop.LoadUser, b.request(), 5},
	} {
		w := httptest.NewRecorder()
		got := testing.AllocsPerRun(200, func() {
			clear(w.Header())
			test.layer(w, test.r)
		})
		t.Logf("%s: %v", name, got)
		if got > test.most {
			t.Errorf("%s: %v allocations, want at most %v", name, got, test.most)
		}
	}
}
