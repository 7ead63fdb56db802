package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
)

// An application is a client of one variant.
type application struct {
	*variant
	ca       *authority
	url      string
	listener net.Listener

	secret      string
	signing     crypto.Signer
	decryption  []crypto.PrivateKey
	certificate *tls.Certificate

	auth  *core.Authenticator
	weak  *application // has the same registration, and lacks what the variant is about
	log   lockedBuffer
	steps strings.Builder // of the story, a line each

	mu       sync.Mutex
	grants   []core.Grant // of all logins, in their order
	callback string       // the parameters of the last callback
}

// newApplication returns an application with its keys, and its weak twin.
func newApplication(v *variant, ca *authority) (*application, error) {
	a, err := newListening(v, ca)
	if err != nil || v.weaken == nil {
		return a, err
	}
	a.weak, err = newListening(v, ca)
	return a, err
}

func newListening(v *variant, ca *authority) (*application, error) {
	certificate, err := issue(ca, "app.example.test")
	if err != nil {
		return nil, err
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*certificate}, MinVersion: tls.VersionTLS12})
	if err != nil {
		return nil, err
	}
	a := &application{variant: v, ca: ca, listener: listener, url: "https://" + listener.Addr().String()}
	a.secret = "se:cr%et+of/" + v.name + ", and long enough for a key of HS256"
	return a, a.makeKeys()
}

func (a *application) makeKeys() (err error) {
	a.certificate, err = issue(a.ca, a.name+".example.test")
	if a.selfSigned && err == nil {
		a.certificate, err = issue(nil, a.name)
	}
	if err != nil {
		return err
	}
	if a.signing, err = a.newKey(); err != nil {
		return err
	}
	oaep, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	ecdh, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	a.decryption = []crypto.PrivateKey{oaep, ecdh}
	return err
}

// serve starts the application. Its registration is that of the client.
func (a *application) serve(client *application, at server) error {
	p := core.Provider{Issuer: at.issuer(a.variant), ClientID: a.name, Requests: core.RequestConfig{UserInfo: true}}
	a.configure(&p, a)
	if a != client {
		a.weaken(&p, client)
	}
	keys := ""
	if p.Client.SigningKeys != nil || p.Client.DecryptionKeys != nil {
		keys = "/auth/jwks"
	}
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{p},
		HTTPClient:  &http.Client{Transport: a.ca.transport()},
		RedirectURL: a.url + "/auth/callback",
		KeysPath:    keys,
		SessionKey:  []byte("the session key of " + a.url + ", random in production"),
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
	mux.Handle("GET /api", login.RequireUser(a.callAPI(at.api(a.variant))))
	go func() { _ = http.Serve(a.listener, a.remember(mux)) }()
	return nil
}

// remember keeps the parameters of callbacks.
func (a *application) remember(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/auth/callback" {
			body, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(bytes.NewReader(body))
			a.mu.Lock()
			a.callback = r.URL.RawQuery + string(body)
			a.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

func (a *application) onLogin(_ context.Context, login *core.Login) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.grants = append(a.grants, login.Grant)
	return nil
}

// last returns the last login's grant, and the parameters of its callback.
func (a *application) last() (grant core.Grant, callback string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.grants[len(a.grants)-1], a.callback
}

func me(w http.ResponseWriter, r *http.Request) {
	_ = json.NewEncoder(w).Encode(httplogin.User(r))
}

// callAPI calls the server's UserInfo endpoint as an API, twice, because a nonce of the
// first response may be for the second. It shows the expiry of the access token.
func (a *application) callAPI(api string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, err := core.TokenSource(r.Context()).Token()
		if err != nil {
			a.auth.ServeError(w, r, err)
			return
		}
		for range 2 {
			if err := usable(core.Client(r.Context(), host(api)), api); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
		}
		fmt.Fprintf(w, "an access token that expires at %s", token.Expiry.Format(time.RFC3339Nano))
	}
}

// usable returns an error if an API does not answer a client.
func usable(client *http.Client, api string) error {
	response, err := client.Get(api)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || len(body) == 0) {
		err = errors.New("the API answered " + response.Status + " " + response.Header.Get("WWW-Authenticate"))
	}
	return err
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	return u.Host
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
