package core_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const apiOrigin = "https://api.example.test"

// A dpopRig is an application whose /accounts asks an API on behalf of the user. The
// provider binds tokens, and its API accepts bound tokens only.
type dpopRig struct {
	*rig
	api *apiServer
}

// An apiServer is a resource server that keeps what it was asked.
type apiServer struct {
	protected http.Handler
	mu        sync.Mutex
	got       []*http.Request
}

func (s *apiServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.got = append(s.got, r.Clone(context.Background()))
	s.mu.Unlock()
	s.protected.ServeHTTP(w, r)
}

func (s *apiServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

func useDPoP(c *core.Config) { c.Providers[0].Client.DPoP = true }

func newDPoPRig(t testing.TB, register func(*logintest.Client), change ...func(*core.Config)) *dpopRig {
	t.Helper()
	g := new(dpopRig)
	g.api = new(apiServer)
	g.rig = newRigOf(t, func(c *logintest.Client) { c.DPoP = true; register(c) }, append([]func(*core.Config){keepTokens, useDPoP}, change...)...)
	g.api.protected = g.provider.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.Path, body)
	}))
	g.serve(g.newAuth(append([]func(*core.Config){keepTokens, useDPoP, g.reaches}, change...)...))
	return g
}

// reaches lets the application reach the API.
func (g *dpopRig) reaches(c *core.Config) {
	c.HTTPClient = logintest.InMemory(map[string]http.Handler{issuer: g.provider, apiOrigin: g.api, "https://other.example.test": g.api})
}

// serve makes auth the application's process.
func (g *dpopRig) serve(auth *core.Authenticator) {
	g.auth = auth
	app := g.app(auth)
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/accounts" {
			app.ServeHTTP(w, r)
			return
		}
		authenticated, err := auth.Authenticate(w, r)
		if err == nil && r.URL.Query().Has("refresh") {
			err = auth.Refresh(w, authenticated)
		}
		if err != nil {
			auth.ServeError(w, r, err)
			return
		}
		fmt.Fprint(w, asked(core.Client(authenticated.Context(), "api.example.test")))
	}))
}

// restart is a new process of the application, with its registration kept.
func (g *dpopRig) restart(change ...func(*core.Config)) {
	g.t.Helper()
	g.serve(g.newAuth(append([]func(*core.Config){keepTokens, useDPoP, g.reaches}, change...)...))
}

// asked returns the API's answer, or the error.
func asked(client *http.Client) string {
	response, err := client.Get(apiOrigin + "/accounts?owner=ada")
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	return fmt.Sprintf("%d %s", response.StatusCode, body)
}

const accounts = "200 GET /accounts "

// accounts is what the application's /accounts shows.
func (g *dpopRig) accounts(query ...string) string {
	g.t.Helper()
	return string(g.fetch("GET", origin+"/accounts"+strings.Join(query, "")).Body)
}

// fine logs ada in, and asks the API.
func (g *dpopRig) fine() {
	g.t.Helper()
	g.login()
	if got := g.accounts(); got != accounts {
		g.t.Fatalf("the API: got %s; the log: %s", got, g.log.String())
	}
}

// proofKey returns the thumbprint of the key that signed a request's proof.
func proofKey(t testing.TB, header http.Header) string {
	t.Helper()
	signed, err := jose.ParseSignedCompact(header.Get("DPoP"), []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	sum, err := signed.Signatures[0].Protected.JSONWebKey.Thumbprint(5) // crypto.SHA256
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum)
}
