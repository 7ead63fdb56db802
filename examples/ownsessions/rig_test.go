package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const (
	issuer = "https://id.example.test"
	origin = "https://app.example.test"
)

// A rig is the application with a provider in memory.
type rig struct {
	*testing.T
	*app
	home     string // the public URL of the application, without a slash at the end
	provider *logintest.Provider
	browser  *logintest.Browser
}

// newRig starts the application under a base path.
func newRig(t *testing.T, basePath string) *rig {
	t.Helper()
	home := origin + basePath
	provider := logintest.NewProvider(issuer, logintest.Client{
		ID: "app", RedirectURIs: []string{home + "/auth/callback"}, PostLogoutRedirectURIs: []string{home + "/"},
		BackChannelLogoutURI: home + "/auth/backchannel-logout",
	})
	a := start(t, provider, basePath)
	r := &rig{T: t, app: a, home: home, provider: provider}
	r.browser = r.newBrowser()
	return r
}

func start(t *testing.T, provider *logintest.Provider, basePath string) *app {
	t.Helper()
	db, err := openDatabase(t.Context(), filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	a, err := newApp(core.Config{
		Providers: []core.Provider{{
			Issuer: provider.Issuer(), ClientID: "app", Scopes: []string{"openid", "profile", "email", "offline_access"},
		}},
		RedirectURL: origin + basePath + "/auth/callback",
		BasePath:    basePath,
		Logout:      core.LogoutConfig{After: basePath + "/"},
		SessionKey:  []byte("a session key of thirty-two bytes or more"),
		HTTPClient:  provider.HTTPClient(),
		Logger:      slog.New(slog.DiscardHandler),
	}, db, provider.Issuer()+"/userinfo")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (r *rig) newBrowser() *logintest.Browser {
	browser := logintest.NewBrowser()
	browser.Serve(origin, r.handler())
	browser.Serve(issuer, r.provider)
	return browser
}

// is chooses the user who logs in next at the provider.
func (r *rig) is(subject string) {
	r.provider.User = logintest.User{
		Subject: subject, SessionID: "session of " + subject,
		Claims: map[string]any{"name": strings.ToUpper(subject), "email": "same@example.test", "email_verified": true},
	}
}

// logIn logs in as a user of the provider, and returns the account.
func (r *rig) logIn(browser *logintest.Browser, subject string) (account string) {
	r.Helper()
	r.is(subject)
	page, err := browser.Get(r.home + "/auth/login?return_to=" + url.QueryEscape(r.path("/me")))
	if err != nil {
		r.Fatal(err)
	}
	if page.Status != http.StatusOK || page.URL != r.home+"/me" || !strings.Contains(string(page.Body), strings.ToUpper(subject)) {
		r.Fatalf("login ends with %d at %s: %s", page.Status, page.URL, page.Body)
	}
	return r.me(browser).Account
}

// answer is what /me says to a program. It is zero for an anonymous request.
type answer struct {
	Account, Subject, Issuer, Name, Email string
	Identities                            []identity
}

func (r *rig) me(browser *logintest.Browser) (a answer) {
	r.Helper()
	request, err := http.NewRequest(http.MethodGet, r.home+"/me", nil)
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Accept", "application/json")
	page, err := browser.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	switch page.Status {
	case http.StatusUnauthorized:
		return answer{}
	case http.StatusOK:
		if err := json.Unmarshal(page.Body, &a); err != nil {
			r.Fatalf("%v: %s", err, page.Body)
		}
		return a
	}
	r.Fatalf("/me: got %d %s", page.Status, page.Body)
	return a
}

func (r *rig) get(browser *logintest.Browser, path string) *logintest.Page {
	r.Helper()
	page, err := browser.Get(r.home + path)
	if err != nil {
		r.Fatal(err)
	}
	return page
}

func (r *rig) post(browser *logintest.Browser, path string) *logintest.Page {
	r.Helper()
	page, err := browser.Post(r.home+path, nil)
	if err != nil {
		r.Fatal(err)
	}
	return page
}

// count returns the number of rows of a table.
func (r *rig) count(table string) (n int) {
	r.Helper()
	if err := r.db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		r.Fatal(err)
	}
	return n
}

// backChannel returns a client that reaches the application, as the provider does.
func (r *rig) backChannel() *http.Client {
	return logintest.InMemory(map[string]http.Handler{origin: r.handler()})
}

// tell posts a logout token for a user of the provider.
func (r *rig) tell(user logintest.User) *logintest.Hop {
	r.Helper()
	token := r.provider.LogoutToken("app", user, nil)
	hop, err := logintest.PostLogoutToken(context.Background(), r.backChannel(), r.home+"/auth/backchannel-logout", token)
	if err != nil {
		r.Fatal(err)
	}
	return hop
}
