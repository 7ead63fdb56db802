package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
)

// api is what the page's script calls. It knows the user by the session's
// cookie, which no script can read.
type api struct {
	auth     *core.Authenticator
	login    *httplogin.Login
	userInfo *url.URL

	mu    sync.Mutex
	notes map[string]note // by user; your application has a database
}

func newAPI(auth *core.Authenticator, login *httplogin.Login, userInfo string) (http.Handler, error) {
	where, err := url.Parse(userInfo)
	if err != nil {
		return nil, err
	}
	a := &api{auth: auth, login: login, userInfo: where, notes: make(map[string]note)}
	mux := http.NewServeMux()
	mux.Handle("GET /api/session", login.LoadUser(http.HandlerFunc(a.session)))
	mux.Handle("GET /api/profile", login.RequireUser(http.HandlerFunc(a.profile)))
	mux.Handle("GET /api/note", login.RequireUser(http.HandlerFunc(a.readNote)))
	mux.Handle("POST /api/note", login.RequireUser(http.HandlerFunc(a.saveNote)))
	return http.NewCrossOriginProtection().Handler(mux), nil // pages of other sites must not post here
}

// session tells who is logged in, and until when. It is for everybody: nobody
// is logged in when the page is opened for the first time, and that is no error.
func (a *api) session(w http.ResponseWriter, r *http.Request) {
	user := httplogin.User(r)
	if user == nil {
		answer(w, map[string]any{"user": nil})
		return
	}
	claims, err := claimsOf(user)
	if err != nil {
		http.Error(w, "your claims cannot be read", http.StatusInternalServerError)
		return
	}
	answer(w, map[string]any{
		"user": map[string]any{"key": user.Key(), "subject": user.Subject, "name": user.Name, "email": user.Email, "claims": claims},
		"ends": a.auth.Session(r).Ends,
	})
}

// profile asks an API of the provider with the user's access token, which no
// script sees.
func (a *api) profile(w http.ResponseWriter, r *http.Request) {
	status, body, err := a.callUserInfo(r)
	if err == nil && status == http.StatusUnauthorized { // the token was revoked, or expired early
		if err = a.login.Refresh(w, r); err == nil { // before anything is written
			status, body, err = a.callUserInfo(r)
		}
	}
	if known := new(core.Error); !errors.As(err, &known) && (err != nil || status != http.StatusOK) {
		err = &core.Error{Status: http.StatusBadGateway, Code: "profile_unavailable", Public: "Your profile is not available at the moment.", Err: err}
	}
	if err != nil {
		a.auth.ServeError(w, r, err) // with login_url if a login helps
		return
	}
	answer(w, json.RawMessage(body))
}

// callUserInfo returns what the provider's UserInfo endpoint answers.
func (a *api) callUserInfo(r *http.Request) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	call, err := http.NewRequestWithContext(ctx, http.MethodGet, a.userInfo.String(), nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := httplogin.Client(r, a.userInfo.Host).Do(call) // sends the access token to this host only
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return response.StatusCode, body, err
}

// A note is a text of the user.
type note struct {
	Text string `json:"text"`
}

func (a *api) readNote(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	answer(w, a.notes[httplogin.User(r).Key()])
}

func (a *api) saveNote(w http.ResponseWriter, r *http.Request) {
	var saved note
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 4<<10)).Decode(&saved); err != nil {
		a.auth.ServeError(w, r, &core.Error{Status: http.StatusBadRequest, Code: "bad_note", Public: "This is not a note, or it is too long.", Err: err})
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.notes[httplogin.User(r).Key()] = saved
	answer(w, saved)
}

func claimsOf(user *core.User) (claims map[string]json.RawMessage, err error) {
	err = user.Claims(&claims)
	return claims, err
}

// answer writes JSON for one user, which no cache keeps.
func answer(w http.ResponseWriter, data any) {
	body, err := json.Marshal(data)
	if err != nil { // what an API answered is not JSON
		http.Error(w, "Another server's answer cannot be read.", http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body)
}
