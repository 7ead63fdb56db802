package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
)

// An application logs in at Keycloak, which it reaches at another URL than browsers do.
type application struct {
	name     string // client id
	secret   string
	internal string // host name under which it reaches Keycloak
	url      string
	resolves *names

	userInfo string // URL of the endpoint, which serves as an API

	listener net.Listener
	auth     *core.Authenticator
	client   *http.Client // of the provider
	log      lockedBuffer
	steps    strings.Builder // of the story, a line each

	mu     sync.Mutex
	grants []core.Grant // of all logins, in their order
}

func newApplication(name, internal string) (*application, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	resolves := newNames(map[string]string{internal: "127.0.0.1"})
	return &application{
		name: name, secret: "se:cr%et+of/" + name, internal: internal, url: "http://" + listener.Addr().String(),
		resolves: resolves, listener: listener, client: &http.Client{Transport: resolves.transport()},
	}, nil
}

// serve starts the application, for a provider that it reaches at this port.
func (a *application) serve(issuer string, port int) error {
	internal := fmt.Sprintf("http://%s:%d", a.internal, port)
	a.userInfo = internal + "/realms/" + realm + "/protocol/openid-connect/userinfo"
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{
			Issuer: issuer, ClientID: a.name, ClientSecret: a.secret,
			Endpoints:    core.EndpointConfig{InternalURL: internal, HTTPClient: a.client},
			InsecureHTTP: true,
			Requests:     core.RequestConfig{UserInfo: true},
		}},
		RedirectURL: a.url + "/auth/callback",
		SessionKey:  []byte("the session key of " + a.url + ", random in production"),
		Sessions:    core.SessionConfig{CookieName: a.name},
		Tokens:      core.TokenConfig{Keep: true},
		Logout:      core.LogoutConfig{After: "/", Revocations: new(core.MemoryRevocations)},
		OnLogin:     a.onLogin,
		Logger:      slog.New(slog.NewTextHandler(&a.log, nil)),
	})
	if err != nil {
		return err
	}
	a.auth = auth
	login := httplogin.New(auth)
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "home") })
	mux.Handle("GET /me", login.RequireUser(http.HandlerFunc(me)))
	mux.Handle("GET /api", login.RequireUser(http.HandlerFunc(a.callAPI)))
	go func() { _ = http.Serve(a.listener, mux) }()
	return nil
}

func (a *application) onLogin(_ context.Context, login *core.Login) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.grants = append(a.grants, login.Grant)
	return nil
}

// lastGrant returns the grant of the last login.
func (a *application) lastGrant() core.Grant {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.grants[len(a.grants)-1]
}

func me(w http.ResponseWriter, r *http.Request) {
	user := httplogin.User(r)
	var claims map[string]any
	if err := user.Claims(&claims); err != nil {
		http.Error(w, "the claims cannot be read", http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(user)
	_ = json.NewEncoder(w).Encode(claims)
}

// callAPI calls Keycloak's UserInfo endpoint with the user's access token, as an API.
func (a *application) callAPI(w http.ResponseWriter, r *http.Request) {
	token, err := core.TokenSource(r.Context()).Token()
	if err != nil {
		a.auth.ServeError(w, r, err)
		return
	}
	if err := a.usable(r.Context(), token.AccessToken); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	fmt.Fprintf(w, "an access token that expires at %s", token.Expiry.Format(time.RFC3339Nano))
}

// usable returns an error if Keycloak does not accept an access token.
func (a *application) usable(ctx context.Context, accessToken string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.userInfo, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+accessToken)
	response, err := a.client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("ada@example.test"))) {
		err = errors.New("UserInfo answered " + response.Status)
	}
	return err
}

// A lockedBuffer is safe for concurrent use.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
