package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
	"github.com/pixyauth/pixy/examples/devprovider"
)

// tokenLifetime is short enough for a case to wait until a token expires, and
// long enough for a slow machine to open five pages.
const tokenLifetime = 8 * time.Second

// sessionCookie holds the browser's session at the provider. All logins of the
// browser belong to it.
const sessionCookie = "provider-session"

// A provider has, besides its endpoints, an account page and a page that
// reports what it received.
type provider struct {
	*logintest.Provider

	mu     sync.Mutex
	issued []string                  // access and refresh tokens, oldest first
	known  map[string]logintest.User // by session
}

// knownUser is the context key of the user whom prompt=none is about.
type knownUser struct{}

func newProvider(issuer, application string) http.Handler {
	home, callback := application+"/", application+"/auth/callback"
	registered := func(id string) logintest.Client {
		return logintest.Client{ID: id, RedirectURIs: []string{callback}, PostLogoutRedirectURIs: []string{home}}
	}
	back, front := registered("back"), registered("front")
	back.BackChannelLogoutURI = application + "/auth/backchannel-logout"
	front.FrontChannelLogoutURI = application + "/auth/frontchannel-logout"
	p := &provider{Provider: logintest.NewProvider(issuer, back, front), known: make(map[string]logintest.User)}
	p.AccessTokenLifetime = tokenLifetime
	p.Outbound = onLoopback()
	p.Misbehave(logintest.Faults{Token: p.remember, Intercept: takeTime}) // neither is a fault

	ask := devprovider.New(issuer, callback, home).Authenticate
	p.Authenticate = func(w http.ResponseWriter, r *http.Request) (logintest.User, bool) {
		if user, ok := r.Context().Value(knownUser{}).(logintest.User); ok {
			return user, true
		}
		user, ok := ask(w, r)
		if ok {
			user.SessionID = sessionOf(r)
			p.mu.Lock()
			p.known[user.SessionID] = user
			p.mu.Unlock()
			http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: user.SessionID, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
		}
		return user, ok
	}
	mux := http.NewServeMux()
	mux.Handle("/", p)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("/end-session", p.endSession)
	mux.HandleFunc("GET /account", p.account)
	mux.HandleFunc("POST /withdraw", p.withdraw)
	mux.HandleFunc("GET /seen", p.seen)
	return mux
}

// sessionOf returns the session of a browser, or a new one.
func sessionOf(r *http.Request) string {
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		return cookie.Value
	}
	return rand.Text()
}

// authorize answers prompt=none if the browser has a session here. The test provider, which
// has no sessions, refuses prompt=none, so it does not see that parameter.
func (p *provider) authorize(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	p.mu.Lock()
	user, ok := p.known[sessionOf(r)]
	p.mu.Unlock()
	if ok && query.Get("prompt") == "none" {
		query.Del("prompt")
		r = r.WithContext(context.WithValue(r.Context(), knownUser{}, user))
		r.URL.RawQuery = query.Encode()
	}
	p.ServeHTTP(w, r)
}

// endSession also ends the browser's session.
func (p *provider) endSession(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1})
	p.ServeHTTP(w, r)
}

// remember records the tokens of a response, without changing it.
func (p *provider) remember(response map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.issued = append(p.issued, response["access_token"].(string), response["refresh_token"].(string))
}

// takeTime makes refreshes slow, so that other requests have to wait for them.
func takeTime(_ logintest.Endpoint, _ http.ResponseWriter, r *http.Request) bool {
	if r.PostForm.Get("grant_type") == "refresh_token" {
		time.Sleep(time.Second)
	}
	return false
}

// account is the page where a user logs out and withdraws access.
func (p *provider) account(w http.ResponseWriter, r *http.Request) {
	hint := p.Sign(map[string]any{"alg": "RS256"}, map[string]any{
		"iss": p.Issuer(), "aud": r.FormValue("client"), "sub": "whoever", "sid": sessionOf(r),
	})
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Your account</title><h1>Your account</h1>
<form method="post" action="/end-session"><button name="id_token_hint" value="%s">Log out</button></form>
<form method="post" action="/withdraw"><button name="client_id" value="%s">Withdraw access</button></form></html>`,
		hint, url.QueryEscape(r.FormValue("client")))
}

// withdraw revokes the latest refresh token, and all tokens of the same login.
func (p *provider) withdraw(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	latest := p.issued[len(p.issued)-1]
	p.mu.Unlock()
	form := url.Values{"client_id": {r.FormValue("client_id")}, "token": {latest}}
	response, err := p.HTTPClient().PostForm(p.Issuer()+string(logintest.Revocation), form)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	response.Body.Close()
	w.WriteHeader(response.StatusCode)
	fmt.Fprint(w, "<!doctype html><title>Withdrawn</title><h1>Withdrawn</h1>")
}

// seen reports what the cases check.
func (p *provider) seen(w http.ResponseWriter, r *http.Request) {
	presented := []string{}
	for _, request := range p.Requests() {
		if request.Endpoint == logintest.Token && request.Form.Get("grant_type") == "refresh_token" {
			presented = append(presented, request.Form.Get("refresh_token"))
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"lifetime": tokenLifetime.Milliseconds(), "issued": p.issued, "presented": presented, "granted": p.Refreshes(),
		"revocations": p.Count(logintest.Revocation),
	})
}
