package adapters_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// An accounts is the table of an application whose users link logins. An account is
// called after its first login.
type accounts struct {
	mu     sync.Mutex
	logins map[string]string // key of the login to the account
}

// of returns the account of a login, which is created if there is none.
func (a *accounts) of(user *core.User) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.logins == nil {
		a.logins = make(map[string]string)
	}
	if a.logins[user.Key()] == "" {
		a.logins[user.Key()] = user.Subject
	}
	return a.logins[user.Key()]
}

func (a *accounts) link(user *core.User, to string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if has := a.logins[user.Key()]; has != "" && has != to {
		return &core.Error{Public: "This login has an account already."}
	}
	a.logins[user.Key()] = to
	return nil
}

var errAnotherUser = &core.Error{Public: "Another user has logged in meanwhile."}

// linkers are applications whose POST /link links another login, with sessions of pixy
// and with sessions of their own.
var linkers = map[string]func(core.Config) (http.Handler, error){
	"sessions of pixy": func(config core.Config) (http.Handler, error) {
		table := new(accounts)
		config.OnLogin = func(ctx context.Context, login *core.Login) error {
			if login.Payload == "" {
				login.Data = table.of(login.User)
				return nil
			}
			login.Data = login.Payload
			if before := core.UserFromContext(ctx); before == nil || before.Data != login.Payload {
				return errAnotherUser
			}
			return table.link(login.User, login.Payload)
		}
		auth, err := core.New(config)
		if err != nil {
			return nil, err
		}
		login, routes, mux := httplogin.New(auth), http.NewServeMux(), http.NewServeMux()
		login.Mount(routes)
		mux.Handle("/auth/", login.LoadUser(routes))
		mux.Handle("/private", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "the account of ", httplogin.User(r).Data)
		})))
		mux.Handle("POST /link", login.RequireUser(beginLink(auth, func(r *http.Request) string { return httplogin.User(r).Data })))
		return mux, nil
	},
	"sessions of its own": func(config core.Config) (http.Handler, error) {
		table, own := new(accounts), &ownApp{live: make(map[string]core.Login)}
		own.sessions = func(*http.Request) *ownApp { return own }
		account := func(r *http.Request) string {
			own.mu.Lock()
			defer own.mu.Unlock()
			return own.live[ownID(r)].Data
		}
		own.config(&config)
		config.Sessions.Own.Start = func(w http.ResponseWriter, r *http.Request, login *core.Login) (bool, error) {
			if login.Payload == "" {
				login.Data = table.of(login.User)
				return own.start(w, r, login)
			}
			if account(r) != login.Payload {
				return false, errAnotherUser
			}
			return false, table.link(login.User, login.Payload)
		}
		auth, err := core.New(config)
		if err != nil {
			return nil, err
		}
		own.auth = auth
		login, mux := httplogin.New(auth), http.NewServeMux()
		login.Mount(mux)
		mux.HandleFunc("/private", func(w http.ResponseWriter, r *http.Request) {
			if _, ok := own.page(w, r); ok {
				fmt.Fprint(w, "the account of ", account(r))
			}
		})
		mux.HandleFunc("POST /link", beginLink(auth, account))
		return mux, nil
	},
}

// beginLink begins a link for the account of the request.
func beginLink(auth *core.Authenticator, account func(*http.Request) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if account(r) == "" || r.Header.Get("Sec-Fetch-Site") != "same-origin" {
			http.Error(w, "not from our own pages", http.StatusForbidden)
			return
		}
		if err := auth.LoginWith(w, r, core.LoginOptions{ReturnTo: "/private", Payload: account(r)}); err != nil {
			auth.ServeError(w, r, err)
		}
	}
}

// No attack succeeds on links of accounts, and on sessions of the application's own.
func TestAttackLinks(t *testing.T) {
	t.Parallel()
	for name, build := range linkers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := attackedConfig()
			config.Logout.Revocations = nil
			target := logintest.Target{
				Private: "/private", Link: "/link", ClientSecret: config.Providers[0].ClientSecret,
				Start: func(provider *logintest.Provider) http.Handler {
					config.HTTPClient = provider.HTTPClient()
					handler, err := build(config)
					if err != nil {
						t.Fatal(err)
					}
					return handler
				},
			}
			if name == "sessions of its own" {
				target.BackChannelLogout, target.FrontChannelLogout = "/auth/backchannel-logout", "/auth/frontchannel-logout"
			}
			logintest.Attack(t, target)
		})
	}
}

// No attack succeeds on sessions of the application's own, in any framework.
func TestAttackOwnSessions(t *testing.T) {
	t.Parallel()
	for name, build := range ownFrameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			own := &ownApp{live: make(map[string]core.Login)}
			config := attackedConfig(own.config)
			logintest.Attack(t, logintest.Target{
				Private: "/private", ClientSecret: config.Providers[0].ClientSecret,
				BackChannelLogout: "/auth/backchannel-logout", FrontChannelLogout: "/auth/frontchannel-logout",
				Start: startAttacked(t, func(_ *app, auth *core.Authenticator) http.Handler {
					own.auth = auth
					return build(own)
				}, config),
			})
		})
	}
}

// No attack succeeds on an application that is wrapped as a whole, with public paths.
func TestAttackWrapped(t *testing.T) {
	t.Parallel()
	config := attackedConfig()
	logintest.Attack(t, logintest.Target{
		Private: "/private", Public: "/files/", ClientSecret: config.Providers[0].ClientSecret,
		Start: startAttacked(t, func(a *app, auth *core.Authenticator) http.Handler {
			mux := http.NewServeMux() // it redirects to clean paths
			mux.HandleFunc("/files/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "a file") })
			mux.HandleFunc("/private", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, a.page, httplogin.User(r).Subject) })
			lax := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // a router that takes many spellings for the page
				if strings.HasSuffix(strings.ToLower(strings.TrimRight(r.URL.Path, "/. \t\x00")), "private") {
					r.URL.Path, r.URL.RawPath = "/private", ""
				}
				mux.ServeHTTP(w, r)
			})
			return httplogin.New(auth).Wrap(lax, "/files/")
		}, config),
	})
}

// No attack succeeds on an application at /reader, nor on one at /writer of the same host.
func TestAttackBelowABasePath(t *testing.T) {
	t.Parallel()
	below := func(base string) func(*core.Config) {
		return func(c *core.Config) {
			c.BasePath, c.RedirectURL, c.Logout.After = base, origin+base+"/auth/callback", base+"/maybe"
		}
	}
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := attackedConfig(below("/reader"))
			logintest.Attack(t, logintest.Target{
				RedirectURL: config.RedirectURL, Private: "/reader/private", StepUp: "/reader/vault", ClientSecret: config.Providers[0].ClientSecret,
				BackChannelLogout: "/reader/auth/backchannel-logout", FrontChannelLogout: "/reader/auth/frontchannel-logout",
				Other: logintest.OtherLogin{Private: "/writer/private", RedirectURL: origin + "/writer/auth/callback"},
				Start: func(provider *logintest.Provider) http.Handler {
					mux := http.NewServeMux()
					mux.Handle("/reader/", http.StripPrefix("/reader", startAttacked(t, build, config)(provider)))
					mux.Handle("/writer/", http.StripPrefix("/writer", startAttacked(t, build, attackedConfig(below("/writer")))(provider)))
					return mux
				},
			})
		})
	}
}
