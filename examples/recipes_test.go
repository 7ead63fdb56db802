package examples_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// The recipes of README.md: the functions have its code, and the tests run it.

func signInPath(config core.Config) core.Config {
	config.Pages.SignInPath = "/welcome"
	return config
}

func ownLoginPage(login *httplogin.Login, welcome *template.Template, orders http.Handler) http.Handler {
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.HandleFunc("GET /welcome", func(w http.ResponseWriter, r *http.Request) {
		// The template has <a href="/auth/login?provider=Work&return_to={{.}}">Log in with your work account</a>.
		_ = welcome.Execute(w, r.FormValue("return_to"))
	})
	mux.Handle("GET /orders", login.RequireUser(orders))
	return mux
}

func roles(login *httplogin.Login, report http.Handler) http.Handler {
	mux := http.NewServeMux()
	auditors := core.Requirement{Allow: func(u *core.User) bool { return u.Has("roles", "auditor") }}
	mux.Handle("GET /report", login.Require(auditors)(report))
	return mux
}

func nestedRoles(login *httplogin.Login, report http.Handler) http.Handler {
	mux := http.NewServeMux()
	realmRole := func(role string) core.Requirement {
		return core.Requirement{Allow: func(u *core.User) bool {
			var access struct {
				Roles []string `json:"roles"`
			}
			return u.Claim("realm_access", &access) == nil && slices.Contains(access.Roles, role)
		}}
	}
	mux.Handle("GET /report", login.Require(realmRole("auditor"))(report))
	return mux
}

func silent(auth *core.Authenticator, home http.Handler) http.Handler {
	login, mux := httplogin.New(auth), http.NewServeMux()
	login.Mount(mux)
	silently := func(next http.Handler) http.Handler {
		return login.LoadUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, notAsked := r.Cookie("asked")
			if notAsked != nil && httplogin.User(r) == nil && r.Header.Get("Sec-Fetch-Mode") == "navigate" {
				http.SetCookie(w, &http.Cookie{Name: "asked", Value: "1", Path: "/", MaxAge: 3600, HttpOnly: true, SameSite: http.SameSiteLaxMode})
				options := core.LoginOptions{ReturnTo: r.URL.RequestURI(), AuthParams: url.Values{"prompt": {"none"}}}
				if auth.LoginWith(w, r, options) == nil {
					return // to the provider, and back to this page
				}
			}
			next.ServeHTTP(w, r)
		}))
	}
	mux.Handle("GET /{$}", silently(home))
	return mux
}

func singlePage(login *httplogin.Login, files http.Handler) http.Handler {
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.Handle("GET /api/me", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]string{"name": httplogin.User(r).Name})
	})))
	mux.Handle("/", files) // for everybody: the page asks /api/me
	return http.NewCrossOriginProtection().Handler(mux)
}

func subPath(config core.Config) core.Config {
	config.RedirectURL = "https://www.example.com/reader/auth/callback"
	config.BasePath = "/reader"
	return config
}

func containers(config core.Config) core.Config {
	config.Providers[0].Issuer = "http://localhost:9000"
	config.Providers[0].Endpoints.InternalURL = "http://devprovider:9000"
	config.Providers[0].InsecureHTTP = true // for InternalURL; not in production
	return config
}

func severalHosts(config core.Config) core.Config {
	config.Hosts.Names = []string{"red.example.com", "blue.example.com"}
	return config
}

type caller struct{}

// grants is the application's table of grants.
type grants interface {
	Save(ctx context.Context, user string, grant core.Grant) error
	Load(ctx context.Context, user string) (core.Grant, error)
	Delete(ctx context.Context, user string) error
}

func storeGrants(config core.Config, grants grants) core.Config {
	config.Providers[0].Scopes = []string{"openid", "profile", "offline_access"}
	config.OnLogin = func(ctx context.Context, login *core.Login) error {
		if login.Grant.Token.RefreshToken == "" {
			return nil // the provider gives none: this user has no import
		}
		return grants.Save(ctx, login.User.Key(), login.Grant)
	}
	return config
}

func workWhileAway(auth *core.Authenticator, grants grants, callAPI func(*http.Client) error) func(context.Context, string) error {
	importOrders := func(ctx context.Context, user string) error {
		grant, err := grants.Load(ctx, user)
		if err != nil {
			return err
		}
		client := auth.GrantClient(ctx, grant, func(ctx context.Context, fresh core.Grant) error {
			return grants.Save(ctx, user, fresh)
		}, "api.example.com")
		err = callAPI(client)
		if errors.Is(err, core.ErrRefused) {
			return grants.Delete(ctx, user) // and ask the user to log in again
		}
		return err // if not nil, try later
	}
	return importOrders
}

func bearerBesideSessions(login *httplogin.Login, verify func(context.Context, string) (string, error), api http.Handler) http.Handler {
	mux := http.NewServeMux()
	as := func(key string, w http.ResponseWriter, r *http.Request) {
		api.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), caller{}, key)))
	}
	session := login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		as(httplogin.User(r).Key(), w, r)
	}))
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			session.ServeHTTP(w, r)
			return
		}
		key, err := verify(r.Context(), token) // signature, issuer, audience, expiry: yours
		if err != nil {
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			http.Error(w, "The access token is not valid.", http.StatusUnauthorized)
			return
		}
		as(key, w, r)
	})
	return mux
}

// links is the application's table of accounts and their logins.
type links interface {
	Of(ctx context.Context, key string) (account string, err error) // creates the account if there is none
	Link(ctx context.Context, account, key string) error
}

func linkOnLogin(config core.Config, accounts links) core.Config {
	config.OnLogin = func(ctx context.Context, login *core.Login) (err error) {
		before := core.UserFromContext(ctx) // who was logged in when this login ended, or nil
		account, links := strings.CutPrefix(login.Payload, "link ")
		switch {
		case !links: // a login
			login.Data, err = accounts.Of(ctx, login.User.Key())
		case before == nil || before.Data != account:
			return &core.Error{Public: "Another user has logged in meanwhile. Please log in again, and link then."}
		default:
			login.Data = account
			err = accounts.Link(ctx, account, login.User.Key())
		}
		if err != nil {
			return fmt.Errorf("%w: %w", core.ErrUnavailable, err)
		}
		return nil
	}
	return config
}

func linking(auth *core.Authenticator) http.Handler {
	login, mux := httplogin.New(auth), http.NewServeMux()
	routes := http.NewServeMux()
	login.Mount(routes)
	mux.Handle("/auth/", login.LoadUser(routes))
	mux.Handle("POST /link", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		options := core.LoginOptions{Provider: "Other", ReturnTo: "/me", Payload: "link " + httplogin.User(r).Data}
		if err := auth.LoginWith(w, r, options); err != nil {
			auth.ServeError(w, r, err)
		}
	})))
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, httplogin.User(r).Subject, " of ", httplogin.User(r).Data)
	})))
	return http.NewCrossOriginProtection().Handler(mux)
}

func events(auth *core.Authenticator, messages <-chan string) http.Handler {
	login, mux := httplogin.New(auth), http.NewServeMux()
	mux.Handle("GET /events", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 5*time.Minute) // then the browser reconnects, and is checked again
		defer cancel()
		ctx, end := context.WithDeadline(ctx, auth.Session(r).Ends)
		defer end()
		w.Header().Set("Content-Type", "text/event-stream")
		for {
			select {
			case <-ctx.Done():
				return
			case message := <-messages:
				_, _ = fmt.Fprintf(w, "data: %s\n\n", message)
				_ = http.NewResponseController(w).Flush()
			}
		}
	})))
	return mux
}

// address is the key of the client's address in the context of a request.
type address struct{}

func auditLog(config core.Config, file io.Writer) core.Config {
	audit := slog.New(slog.NewJSONHandler(file, nil))
	config.OnEvent = func(ctx context.Context, e core.Event) {
		audit.InfoContext(ctx, "login", "event", e, "address", ctx.Value(address{}))
	}
	return config
}

// recipe is an application at two providers, Work and Other, and a browser.
func recipe(t *testing.T, change func(*core.Config), app func(*core.Authenticator) http.Handler) *logintest.Browser {
	t.Helper()
	work := logintest.NewProvider("https://work.example.test", logintest.Client{ID: "app", RedirectURIs: []string{"https://app.example.test/auth/callback/Work"}})
	work.User = logintest.User{Subject: "ada", Claims: map[string]any{"name": "Ada", "roles": []string{"auditor"}}}
	other := logintest.NewProvider("https://other.example.test", logintest.Client{ID: "app", RedirectURIs: []string{"https://app.example.test/auth/callback/Other"}})
	other.User = logintest.User{Subject: "42"}
	config := core.Config{
		Providers: []core.Provider{
			{Name: "Work", Issuer: work.Issuer(), ClientID: "app"},
			{Name: "Other", Issuer: other.Issuer(), ClientID: "app"},
		},
		RedirectURL: "https://app.example.test/auth/callback",
		SessionKey:  []byte(sessionKey),
		HTTPClient:  logintest.InMemory(map[string]http.Handler{work.Issuer(): work, other.Issuer(): other}),
		Logger:      slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&config)
	}
	auth, err := core.New(config)
	if err != nil {
		t.Fatal(err)
	}
	browser := logintest.NewBrowser()
	browser.Serve(work.Issuer(), work)
	browser.Serve(other.Issuer(), other)
	browser.Serve("https://app.example.test", app(auth))
	return browser
}

// opens fails unless a page, or where it leads, has a text.
func opens(t *testing.T, browser *logintest.Browser, path string, status int, text string) {
	t.Helper()
	page, err := browser.Get("https://app.example.test" + path)
	if err != nil || page.Status != status || !strings.Contains(string(page.Body), text) {
		t.Fatalf("%s: got %v %v, want %d with %q", path, page, err, status, text)
	}
}

var says = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "for users") })

func TestRecipeOwnLoginPage(t *testing.T) {
	t.Parallel()
	welcome := template.Must(template.New("").Parse(`<a href="/auth/login?provider=Work&return_to={{.}}">Log in with your work account</a>`))
	browser := recipe(t, func(c *core.Config) { *c = signInPath(*c) }, func(auth *core.Authenticator) http.Handler {
		return ownLoginPage(httplogin.New(auth), welcome, says)
	})
	opens(t, browser, "/orders?page=2", http.StatusOK, `return_to=%2forders%3fpage%3d2"`)
	opens(t, browser, "/auth/login?provider=Work&return_to=%2forders%3fpage%3d2", http.StatusOK, "for users")
	opens(t, browser, "/orders", http.StatusOK, "for users")
}

func TestRecipeRoles(t *testing.T) {
	t.Parallel()
	for provider, want := range map[string]int{"Work": http.StatusOK, "Other": http.StatusForbidden} {
		browser := recipe(t, nil, func(auth *core.Authenticator) http.Handler {
			login, mux := httplogin.New(auth), http.NewServeMux()
			login.Mount(mux)
			mux.Handle("/", roles(login, says))
			return mux
		})
		opens(t, browser, "/auth/login?provider="+provider+"&return_to=/report", want, "")
	}
}

func TestRecipeNestedRoles(t *testing.T) {
	t.Parallel()
	for role, want := range map[string]int{"auditor": http.StatusOK, "user": http.StatusForbidden} {
		user := logintest.User{Subject: "ada", Claims: map[string]any{"realm_access": map[string]any{"roles": []string{role}}}}
		browser := recipe(t, nil, func(auth *core.Authenticator) http.Handler {
			return logintest.SignedIn(nestedRoles(httplogin.New(auth), says), user)
		})
		opens(t, browser, "/report", want, "")
	}
}

func TestRecipeSilent(t *testing.T) {
	t.Parallel()
	home := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user := httplogin.User(r); user != nil {
			_, _ = fmt.Fprint(w, "Hello, ", user.Name)
			return
		}
		_, _ = fmt.Fprint(w, "Hello, guest")
	})
	for name, test := range map[string]struct {
		nobody bool // is logged in at the provider
		want   string
	}{"a user whom the provider knows": {false, "Hello, Ada"}, "nobody": {true, "Hello, guest"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := 0
			browser := recipe(t, func(c *core.Config) { c.Providers = c.Providers[:1] }, func(auth *core.Authenticator) http.Handler {
				app := silent(auth, home)
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/auth/callback/Work" {
						if asked++; test.nobody {
							query := r.URL.Query()
							query.Del("code")
							query.Set("error", "login_required")
							r.URL.RawQuery = query.Encode()
						}
					}
					app.ServeHTTP(w, r)
				})
			})
			for range 8 {
				opens(t, browser, "/", http.StatusOK, test.want)
			}
			if asked != 1 {
				t.Errorf("the provider was asked %d times", asked)
			}
			crawler, err := http.NewRequest("GET", "https://app.example.test/", nil)
			if err != nil {
				t.Fatal(err)
			}
			crawler.Header.Set("Accept", "text/html")
			browser.Forget("", "")
			if page, err := browser.Do(crawler); err != nil || page.Status != http.StatusOK || string(page.Body) != "Hello, guest" {
				t.Errorf("a crawler gets %v, %v", page, err)
			}
		})
	}
}

func TestRecipeSinglePage(t *testing.T) {
	t.Parallel()
	browser := recipe(t, nil, func(auth *core.Authenticator) http.Handler { return singlePage(httplogin.New(auth), says) })
	opens(t, browser, "/auth/login?provider=Work&return_to=/api/me", http.StatusOK, `{"name":"Ada"}`)
}

func TestRecipeConfigs(t *testing.T) {
	t.Parallel()
	config := core.Config{Providers: []core.Provider{{Issuer: "https://id.example.com", ClientID: "app"}}, SessionKey: []byte(sessionKey)}
	hosts := config
	hosts.RedirectURL = "https://app.example.com/auth/callback"
	if auth, err := core.New(severalHosts(hosts)); err != nil || len(auth.Registrations()[0].RedirectURIs) != 3 {
		t.Errorf("got %v, %v", auth, err)
	}
	auth, err := core.New(containers(subPath(config)))
	if err != nil || auth.Routes()[len(auth.Routes())-1].Path != "/reader/auth/logout" {
		t.Errorf("got %v, %v", auth.Routes(), err)
	}
}

func TestRecipeBearer(t *testing.T) {
	t.Parallel()
	verify := func(_ context.Context, token string) (string, error) {
		if token != "good" {
			return "", errors.New("not good")
		}
		return "a machine", nil
	}
	show := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, r.Context().Value(caller{})) })
	browser := recipe(t, nil, func(auth *core.Authenticator) http.Handler {
		login, mux := httplogin.New(auth), http.NewServeMux()
		login.Mount(mux)
		mux.Handle("/", bearerBesideSessions(login, verify, show))
		return mux
	})
	opens(t, browser, "/auth/login?provider=Work&return_to=/api/", http.StatusOK, "https://work.example.test ada")
	browser.Header = http.Header{"Authorization": {"Bearer good"}}
	opens(t, browser, "/api/", http.StatusOK, "a machine")
	browser.Header = http.Header{"Authorization": {"Bearer bad"}}
	opens(t, browser, "/api/", http.StatusUnauthorized, "not valid")
}

// memoryLinks is links for a test.
type memoryLinks map[string]string

func (m memoryLinks) Of(_ context.Context, key string) (string, error) {
	if m[key] == "" {
		m[key] = fmt.Sprint("account ", len(m)+1)
	}
	return m[key], nil
}

func (m memoryLinks) Link(_ context.Context, account, key string) error {
	if m[key] != "" {
		return errors.New("this login has an account")
	}
	m[key] = account
	return nil
}

func TestRecipeLinking(t *testing.T) {
	t.Parallel()
	const ada, fortyTwo = "https://work.example.test ada", "https://other.example.test 42"
	start := func() (memoryLinks, *logintest.Browser) {
		accounts := make(memoryLinks)
		browser := recipe(t, func(c *core.Config) { *c = linkOnLogin(*c, accounts) }, linking)
		opens(t, browser, "/auth/login?provider=Work&return_to=/me", http.StatusOK, "ada of account 1")
		return accounts, browser
	}
	t.Run("link", func(t *testing.T) {
		accounts, browser := start()
		page, err := browser.Post("https://app.example.test/link", nil)
		if err != nil || string(page.Body) != "42 of account 1" || accounts[fortyTwo] != accounts[ada] {
			t.Fatalf("got %v %v: %v", page, err, accounts)
		}
		opens(t, browser, "/auth/login?provider=Other&return_to=/me", http.StatusOK, "42 of account 1")
	})
	t.Run("a login is no link", func(t *testing.T) {
		_, browser := start()
		opens(t, browser, "/auth/login?provider=Other&return_to=/me", http.StatusOK, "42 of account 2")
	})
	t.Run("another user has logged in meanwhile", func(t *testing.T) {
		accounts, browser := start()
		callback := begun(t, browser, "https://app.example.test/link")
		accounts[ada] = "account 9" // stands for another user of the browser
		opens(t, browser, "/auth/login?provider=Work&return_to=/me", http.StatusOK, "ada of account 9")
		opens(t, browser, callback, http.StatusForbidden, "Another user has logged in meanwhile.")
		if len(accounts) != 1 {
			t.Errorf("got %v", accounts)
		}
		opens(t, browser, "/me", http.StatusOK, "ada of account 9")
	})
	t.Run("nobody is logged in any more", func(t *testing.T) {
		accounts, browser := start()
		callback := begun(t, browser, "https://app.example.test/link")
		browser.Forget("https://app.example.test", "__Host-pixy-session")
		opens(t, browser, callback, http.StatusForbidden, "Another user has logged in meanwhile.")
		if len(accounts) != 1 {
			t.Errorf("got %v", accounts)
		}
	})
}

// begun posts a form that begins a login, and returns the path of the callback without
// opening it.
func begun(t *testing.T, browser *logintest.Browser, form string) string {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, form, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"same-origin"}}
	page, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if page, err = browser.Visit(page.Header.Get("Location")); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(page.Header.Get("Location"), "https://app.example.test")
}

func TestRecipeEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // a busy machine may need the session's two seconds
		messages := make(chan string, 1)
		messages <- "hello"
		ends := func(c *core.Config) { c.Sessions.Lifetime = 2 * time.Second }
		browser := recipe(t, ends, func(auth *core.Authenticator) http.Handler {
			return logintest.SignedIn(events(auth, messages), logintest.User{})
		})
		began := time.Now()
		opens(t, browser, "/events", http.StatusOK, "data: hello")
		if lasted := time.Since(began); lasted != 2*time.Second {
			t.Errorf("the stream ends after %s, and the session after 2s", lasted)
		}
	})
}

func TestRecipeAuditLog(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	browser := recipe(t, func(c *core.Config) { *c = auditLog(*c, &file) }, func(auth *core.Authenticator) http.Handler {
		mux := http.NewServeMux()
		httplogin.New(auth).Mount(mux)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), address{}, "192.0.2.7")))
		})
	})
	opens(t, browser, "/auth/login?provider=Work", http.StatusNotFound, "")
	opens(t, browser, "/auth/login?provider=Unknown", http.StatusNotFound, "")
	if _, err := browser.Post("https://app.example.test/auth/logout", nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"event":{"kind":"login","provider":"Work","issuer":"https://work.example.test","subject":"ada","duration":`, `},"address":"192.0.2.7"}`,
		`"event":{"kind":"login_failed","code":"provider_unknown","reference":"`,
		`"event":{"kind":"logout","provider":"Work","issuer":"https://work.example.test","subject":"ada","by":"user"}`,
	} {
		if !strings.Contains(file.String(), want) {
			t.Errorf("got %s, want %s", file.String(), want)
		}
	}
}

// memoryGrants has the columns of a table.
type memoryGrants map[string][]byte

func (m memoryGrants) Save(_ context.Context, user string, grant core.Grant) error {
	column, err := json.Marshal(grant)
	m[user] = column
	return err
}

func (m memoryGrants) Load(_ context.Context, user string) (grant core.Grant, err error) {
	return grant, json.Unmarshal(m[user], &grant)
}

func (m memoryGrants) Delete(_ context.Context, user string) error {
	delete(m, user)
	return nil
}

// The job works after the login, refreshes a token that has expired, saves what it gets,
// and deletes a grant that the provider has ended.
func TestRecipeWorkWhileAway(t *testing.T) {
	t.Parallel()
	const user = "https://work.example.test ada"
	stored := make(memoryGrants)
	var job func(context.Context, string) error
	var tokens []string
	browser := recipe(t, func(c *core.Config) { *c = storeGrants(*c, stored) }, func(auth *core.Authenticator) http.Handler {
		job = workWhileAway(auth, stored, func(client *http.Client) error {
			response, err := client.Get("https://api.example.com/orders")
			if err != nil {
				return err
			}
			return response.Body.Close()
		})
		return singlePage(httplogin.New(auth), says)
	})
	opens(t, browser, "/auth/login?provider=Work", http.StatusOK, "for users")
	api := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		tokens = append(tokens, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	})
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, logintest.InMemory(map[string]http.Handler{"https://api.example.com": api}))
	works := func() {
		t.Helper()
		if err := job(ctx, user); err != nil {
			t.Fatal(err)
		}
	}
	expire := func(change func(*core.Grant)) {
		t.Helper()
		grant, err := stored.Load(t.Context(), user)
		if err != nil {
			t.Fatal(err)
		}
		grant.RefreshDue, grant.Token.Expiry = time.Time{}, time.Now().Add(-time.Minute)
		change(&grant)
		if err := stored.Save(t.Context(), user, grant); err != nil {
			t.Fatal(err)
		}
	}
	works()
	works()
	expire(func(*core.Grant) {})
	works()
	works()
	if len(tokens) != 4 || tokens[0] != tokens[1] || tokens[1] == tokens[2] || tokens[2] != tokens[3] {
		t.Errorf("got %q", tokens)
	}
	expire(func(g *core.Grant) { g.Token.RefreshToken = "one that was revoked" })
	if works(); len(stored) != 0 || len(tokens) != 4 {
		t.Errorf("%d grants are left", len(stored))
	}
}
