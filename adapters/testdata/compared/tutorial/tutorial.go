// Package tutorial is a login as a careful tutorial writes it: golang.org/x/oauth2
// with PKCE, go-oidc with state and nonce, a gorilla session. It is what pixy is
// compared with. Do not copy it.
package tutorial

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/gorilla/sessions"
	"golang.org/x/oauth2"
)

type app struct {
	oauth2   oauth2.Config
	verifier *oidc.IDTokenVerifier
	store    *sessions.CookieStore
	client   *http.Client
}

// New returns an application with a page /me for users.
func New(issuer, clientID, redirectURL string, key []byte, client *http.Client) (http.Handler, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(context.Background(), client), issuer)
	if err != nil {
		return nil, err
	}
	a := &app{
		oauth2: oauth2.Config{
			ClientID:    clientID,
			RedirectURL: redirectURL,
			Endpoint:    provider.Endpoint(),
			Scopes:      []string{oidc.ScopeOpenID, "profile", "email"},
		},
		verifier: provider.Verifier(&oidc.Config{ClientID: clientID}),
		store:    sessions.NewCookieStore(key),
		client:   client,
	}
	a.store.Options = &sessions.Options{Path: "/", MaxAge: 12 * 60 * 60, HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /auth/login", a.login)
	mux.HandleFunc("GET /auth/callback", a.callback)
	mux.HandleFunc("POST /auth/logout", a.logout)
	mux.Handle("/me", a.requireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, _ := a.store.Get(r, "session")
		fmt.Fprintf(w, "Hello, %s", session.Values["name"])
	})))
	return mux, nil
}

func (a *app) login(w http.ResponseWriter, r *http.Request) {
	state, nonce, verifier := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	session, _ := a.store.Get(r, "login")
	session.Values["state"] = state
	session.Values["nonce"] = nonce
	session.Values["verifier"] = verifier
	if err := session.Save(r, w); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, a.oauth2.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), http.StatusFound)
}

func (a *app) callback(w http.ResponseWriter, r *http.Request) {
	login, err := a.store.Get(r, "login")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	state, _ := login.Values["state"].(string)
	nonce, _ := login.Values["nonce"].(string)
	verifier, _ := login.Values["verifier"].(string)
	if state == "" || r.URL.Query().Get("state") != state {
		http.Error(w, "state did not match", http.StatusBadRequest)
		return
	}
	ctx := oidc.ClientContext(r.Context(), a.client)
	token, err := a.oauth2.Exchange(ctx, r.URL.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		http.Error(w, "failed to exchange token", http.StatusInternalServerError)
		return
	}
	rawIDToken, ok := token.Extra("id_token").(string)
	if !ok {
		http.Error(w, "no id_token in token response", http.StatusInternalServerError)
		return
	}
	idToken, err := a.verifier.Verify(ctx, rawIDToken)
	if err != nil {
		http.Error(w, "failed to verify ID token", http.StatusInternalServerError)
		return
	}
	if idToken.Nonce != nonce {
		http.Error(w, "nonce did not match", http.StatusBadRequest)
		return
	}
	var claims struct {
		Name string `json:"name"`
	}
	if err := idToken.Claims(&claims); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	login.Options.MaxAge = -1
	if err := login.Save(r, w); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	session, _ := a.store.Get(r, "session")
	session.Values["subject"] = idToken.Subject
	session.Values["name"] = claims.Name
	if err := session.Save(r, w); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/me", http.StatusFound)
}

func (a *app) requireUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		session, _ := a.store.Get(r, "session")
		if _, ok := session.Values["subject"].(string); !ok {
			http.Redirect(w, r, "/auth/login", http.StatusFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (a *app) logout(w http.ResponseWriter, r *http.Request) {
	session, _ := a.store.Get(r, "session")
	session.Options.MaxAge = -1
	if err := session.Save(r, w); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
