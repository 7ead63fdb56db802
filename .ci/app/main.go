// Command app is a small application for CI, which programs drive. The variable ADDR is
// where it listens, SESSION_KEY its session key, and PROVIDERS its providers: a JSON
// array of core.Provider with the fields of [provider]. With KEEP_TOKENS=true it keeps
// tokens, so that it can call the provider's API at any time, and lets providers end
// sessions. ORIGIN is the application as browsers see it, and http://ADDR without it.
// TLS_CERT and TLS_KEY are PEM files with which it speaks https itself. CA_FILE has the
// authority that the providers' certificates are from, and without it those of the
// system count. It publishes the public keys of its clients at /auth/jwks. For code to copy, see the examples.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
)

func main() {
	handler, err := newApp(os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Addr: os.Getenv("ADDR"), Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	if certificate := os.Getenv("TLS_CERT"); certificate != "" {
		log.Fatal(server.ListenAndServeTLS(certificate, os.Getenv("TLS_KEY")))
	}
	log.Fatal(server.ListenAndServe())
}

// newApp returns the application that the variables describe.
func newApp(getenv func(string) string) (http.Handler, error) {
	var providers []provider
	if err := json.Unmarshal([]byte(getenv("PROVIDERS")), &providers); err != nil {
		return nil, fmt.Errorf("bad PROVIDERS: %w", err)
	}
	config := core.Config{
		RedirectURL: cmp.Or(getenv("ORIGIN"), "http://"+getenv("ADDR")) + "/auth/callback",
		SessionKey:  []byte(getenv("SESSION_KEY")),
		Logout:      core.LogoutConfig{After: "/"},
	}
	if file := getenv("CA_FILE"); file != "" {
		client, err := trusting(file)
		if err != nil {
			return nil, err
		}
		config.HTTPClient = client
	}
	if getenv("KEEP_TOKENS") == "true" {
		config.Tokens.Keep, config.Logout.Revocations = true, new(core.MemoryRevocations)
	}
	userURLs := make(map[string]string)
	for _, p := range providers {
		if err := p.complete(); err != nil {
			return nil, err
		}
		if len(p.Client.SigningKeys) > 0 {
			config.KeysPath = "/auth/jwks"
		}
		userURLs[p.Issuer] = p.UserURL
		config.Providers = append(config.Providers, p.Provider)
	}
	auth, err := core.New(config)
	if err != nil {
		return nil, err
	}
	login := httplogin.New(auth)
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "home") })
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(me)))
	mux.Handle("/api", login.RequireUser(api(userURLs)))
	return mux, nil
}

// fetchUser calls an API like GitHub's, whose user id is a number.
func fetchUser(userURL string) func(context.Context, *http.Client) (map[string]any, error) {
	return func(ctx context.Context, client *http.Client) (map[string]any, error) {
		var user struct {
			ID          int64
			Login, Name string
		}
		if err := fetch(ctx, client, userURL, &user); err != nil {
			return nil, err
		}
		if user.ID == 0 {
			return nil, fmt.Errorf("the user API has no id")
		}
		return map[string]any{"sub": strconv.FormatInt(user.ID, 10), "name": user.Name, "preferred_username": user.Login}, nil
	}
}

// fetchAccounts calls an API that knows no users, such as the accounts of FAPI 2.0's
// tests. All its users are one.
func fetchAccounts(accountsURL string) func(context.Context, *http.Client) (map[string]any, error) {
	return func(ctx context.Context, client *http.Client) (map[string]any, error) {
		var accounts map[string]any
		if err := fetch(ctx, client, accountsURL, &accounts); err != nil {
			return nil, err
		}
		return map[string]any{"sub": "the-owner-of-the-accounts"}, nil
	}
}

func fetch(ctx context.Context, client *http.Client, from string, into any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(into); err != nil || response.StatusCode != http.StatusOK {
		return fmt.Errorf("the API answered %s", response.Status)
	}
	return nil
}

// api returns the response of the API of the user's provider, called with the
// user's access token.
func api(userURLs map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		at, err := url.Parse(userURLs[httplogin.User(r).Issuer])
		if err != nil {
			http.Error(w, "there is no API", http.StatusNotFound)
			return
		}
		response, err := core.Client(r.Context(), at.Host).Get(at.String())
		if err != nil {
			log.Print("the API: ", err)
			http.Error(w, "the API cannot be reached", http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	}
}

func me(w http.ResponseWriter, r *http.Request) {
	user := httplogin.User(r)
	var claims map[string]json.RawMessage
	if err := user.Claims(&claims); err != nil {
		http.Error(w, "your claims cannot be read", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"subject": user.Subject, "issuer": user.Issuer, "name": user.Name, "email": user.Email, "claims": claims,
	})
}
