package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strconv"

	"github.com/pixyauth/pixy/core"
)

// Two providers, one of them without OpenID Connect.
func ExampleConfig_providers() {
	secret, gitHubSecret := os.Getenv("OIDC_CLIENT_SECRET"), os.Getenv("GITHUB_CLIENT_SECRET")
	auth, err := core.New(core.Config{
		Providers: []core.Provider{
			{Name: "Work", Issuer: "https://id.example.com", ClientID: "my-app", ClientSecret: secret},
			{Name: "GitHub", ClientID: "Iv1.0123456789abcdef", ClientSecret: gitHubSecret, FetchUser: gitHubUser, Endpoints: core.EndpointConfig{
				AuthURL:  "https://github.com/login/oauth/authorize",
				TokenURL: "https://github.com/login/oauth/access_token",
			}},
		},
		RedirectURL: "https://app.example.com/auth/callback",
		SessionKey:  []byte("thirty-two random bytes or more!"),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, route := range auth.Routes() {
		fmt.Println(route.Method, route.Path)
	}
	// Output:
	// GET /auth/login
	// POST /auth/login
	// GET /auth/callback/Work
	// GET /auth/callback/GitHub
	// GET /auth/logout
	// POST /auth/logout
}

// A provider that browsers reach at one address, and the application at another.
func ExampleEndpointConfig() {
	secret := os.Getenv("OIDC_CLIENT_SECRET")
	auth, err := core.New(core.Config{
		Providers: []core.Provider{
			{
				Issuer: "https://login.example.com/realms/staff", ClientID: "my-app", ClientSecret: secret,
				Endpoints:    core.EndpointConfig{InternalURL: "http://keycloak.auth.svc:8080"},
				InsecureHTTP: true, // InternalURL is http
			},
		},
		RedirectURL: "https://app.example.com/auth/callback",
		SessionKey:  []byte("thirty-two random bytes or more!"),
		Logger:      slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime})),
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = auth // see the adapters for what to do with it
	// Output:
	// level=WARN msg="pixy: InsecureHTTP: the provider is on plain http, so anyone on the network can read codes, tokens and the client secret, and log in as any user" provider=login.example.com issuer=https://login.example.com/realms/staff
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

func gitHubUser(ctx context.Context, client *http.Client) (map[string]any, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.github.com/user", nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(r) // sends the access token
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var user struct {
		ID   int64
		Name string
	}
	if err := json.NewDecoder(response.Body).Decode(&user); err != nil || user.ID == 0 {
		return nil, fmt.Errorf("GitHub answered %s", response.Status)
	}
	return map[string]any{"sub": strconv.FormatInt(user.ID, 10), "name": user.Name}, nil
}
