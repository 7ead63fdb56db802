// Command app is a small application for CI. The variable PROVIDERS sets its
// providers: a JSON array of core.Provider, each with a UserURL, an API that
// returns the user. Plain means that it has no OpenID Connect. With KEEP_TOKENS=true it keeps tokens, so that it can call
// that API at any time, and lets providers end sessions. For code to copy, see
// the examples.
package main

import (
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

type provider struct {
	core.Provider
	UserURL string
	Plain   bool
}

func main() {
	var providers []provider
	if err := json.Unmarshal([]byte(os.Getenv("PROVIDERS")), &providers); err != nil {
		log.Fatal("bad PROVIDERS: ", err)
	}
	config := core.Config{
		RedirectURL: "http://" + os.Getenv("ADDR") + "/auth/callback",
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
		Logout:      core.LogoutConfig{After: "/"},
	}
	if os.Getenv("KEEP_TOKENS") == "true" {
		config.Tokens.Keep, config.Logout.Revocations = true, new(core.MemoryRevocations)
	}
	userURLs := make(map[string]string)
	for _, p := range providers {
		userURLs[p.Issuer] = p.UserURL
		if p.Plain {
			p.FetchUser = fetchUser(p.UserURL)
		}
		config.Providers = append(config.Providers, p.Provider)
	}
	auth, err := core.New(config)
	if err != nil {
		log.Fatal(err)
	}
	login := httplogin.New(auth)
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "home") })
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(me)))
	mux.Handle("/api", login.RequireUser(api(userURLs)))
	server := &http.Server{Addr: os.Getenv("ADDR"), Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// fetchUser calls an API like GitHub's, whose user id is a number.
func fetchUser(userURL string) func(context.Context, *http.Client) (map[string]any, error) {
	return func(ctx context.Context, client *http.Client) (map[string]any, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, userURL, nil)
		if err != nil {
			return nil, err
		}
		response, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		var user struct {
			ID          int64
			Login, Name string
		}
		if err := json.NewDecoder(response.Body).Decode(&user); err != nil || user.ID == 0 {
			return nil, fmt.Errorf("the user API answered %s", response.Status)
		}
		return map[string]any{"sub": strconv.FormatInt(user.ID, 10), "name": user.Name, "preferred_username": user.Login}, nil
	}
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
