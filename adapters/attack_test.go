package adapters_test

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// No attack succeeds in any framework, on https and on http loopback, with sessions in
// cookies and in a Store.
func TestAttack(t *testing.T) {
	t.Parallel()
	for name, build := range frameworks {
		for scheme, redirectURL := range map[string]string{
			"https": origin + "/auth/callback", "http": "http://127.0.0.1:8080/auth/callback",
		} {
			t.Run(name+" on "+scheme, func(t *testing.T) {
				t.Parallel()
				attack(t, build, redirectURL)
			})
		}
	}
	for name, redirectURL := range map[string]string{
		"ginlogin": origin + "/auth/callback", "httplogin": "http://127.0.0.1:8080/auth/callback",
	} {
		t.Run("form_post with "+name, func(t *testing.T) {
			t.Parallel()
			attack(t, frameworks[name], redirectURL, func(c *core.Config) { c.Providers[0].Requests.FormPost = true })
		})
	}
	t.Run("with a Store", func(t *testing.T) {
		t.Parallel()
		store := sessions.NewFilesystemStore(t.TempDir(), []byte("0123456789abcdef0123456789abcdef"))
		store.MaxLength(0)
		attack(t, frameworks["httplogin"], origin+"/auth/callback", func(c *core.Config) { c.Sessions.Store = store })
	})
	t.Run("without Revocations", func(t *testing.T) {
		t.Parallel()
		attack(t, frameworks["echo5login"], origin+"/auth/callback", func(c *core.Config) { c.Logout.Revocations = nil })
	})
	t.Run("public client, other paths", func(t *testing.T) {
		t.Parallel()
		attack(t, frameworks["httplogin"], origin+"/callback", func(c *core.Config) {
			c.Pages.LoginPath, c.Logout.Path, c.Logout.After = "/sign-in", "/sign-out", "/maybe"
			c.Logout.BackChannelPath, c.Logout.FrontChannelPath = "/op/signed-out", "/op/sign-out"
			c.Providers[0].ClientSecret, c.Providers[0].Requests.UserInfo = "", false
		})
	})
}

// No attack succeeds if tokens are kept: with an API's response on the private page, in
// every framework, and in a Store.
func TestAttackKeptTokens(t *testing.T) {
	t.Parallel()
	keeping := func(t *testing.T, build func(*app, *core.Authenticator) http.Handler, change ...func(*core.Config)) {
		t.Parallel()
		config := attackedConfig(append(change, keepTokens)...)
		logintest.Attack(t, logintest.Target{
			Private: "/call", KeepsTokens: true, ClientSecret: config.Providers[0].ClientSecret,
			Start: startAttacked(t, build, config),
		})
	}
	for name, build := range callers {
		t.Run(name, func(t *testing.T) { keeping(t, build) })
	}
	t.Run("with a Store", func(t *testing.T) {
		store := sessions.NewFilesystemStore(t.TempDir(), []byte("0123456789abcdef0123456789abcdef"))
		store.MaxLength(0)
		keeping(t, callers["httplogin"], func(c *core.Config) { c.Sessions.Store = store })
	})
}

// No attack succeeds in an application with several providers.
func TestAttackOneOfSeveralProviders(t *testing.T) {
	t.Parallel()
	other := logintest.NewProvider("https://other.example.test")
	logintest.Attack(t, logintest.Target{
		RedirectURL: origin + "/auth/callback/one", LoginPath: "/auth/login?provider=one", LogoutPath: "/auth/logout", Private: "/private",
		OtherCallback: "/auth/callback/two",
		Start: func(provider *logintest.Provider) http.Handler {
			auth, err := core.New(core.Config{
				Providers: []core.Provider{
					{Name: "one", Issuer: provider.Issuer(), ClientID: "app"},
					{Name: "two", Issuer: other.Issuer(), ClientID: "app"},
				},
				RedirectURL: origin + "/auth/callback",
				SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
				HTTPClient:  provider.HTTPClient(),
				Logger:      slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			return frameworks["httplogin"](&app{page: "the private page of "}, auth)
		},
	})
}

// No attack succeeds with a provider without OpenID Connect, which has no ID tokens.
func TestAttackWithoutOpenIDConnect(t *testing.T) {
	t.Parallel()
	fetchUser := func(ctx context.Context, client *http.Client) (map[string]any, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+"/userinfo", nil)
		if err != nil {
			return nil, err
		}
		response, err := client.Do(r)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		var user map[string]any
		return user, json.NewDecoder(response.Body).Decode(&user)
	}
	for name, endpoints := range map[string]core.EndpointConfig{
		"endpoints given":   {AuthURL: issuer + "/authorize", TokenURL: issuer + "/token"},
		"found by RFC 8414": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attack(t, frameworks["httplogin"], origin+"/auth/callback", func(c *core.Config) {
				c.Providers = []core.Provider{{Issuer: issuer, ClientID: "app", Scopes: []string{"profile"}, Endpoints: endpoints, FetchUser: fetchUser}}
			})
		})
	}
}

func attack(t *testing.T, build func(*app, *core.Authenticator) http.Handler, redirectURL string, change ...func(*core.Config)) {
	config := attackedConfig(append([]func(*core.Config){func(c *core.Config) { c.RedirectURL = redirectURL }}, change...)...)
	stepUp := "/vault"
	if config.Providers[0].FetchUser != nil { // it cannot meet a Requirement
		stepUp = ""
	}
	backChannel, frontChannel := config.Logout.BackChannelPath, config.Logout.FrontChannelPath
	if config.Logout.Revocations != nil {
		backChannel, frontChannel = cmp.Or(backChannel, "/auth/backchannel-logout"), cmp.Or(frontChannel, "/auth/frontchannel-logout")
	}
	logintest.Attack(t, logintest.Target{
		RedirectURL: redirectURL, Private: "/private", StepUp: stepUp, LoginPath: config.Pages.LoginPath, LogoutPath: config.Logout.Path,
		BackChannelLogout: backChannel, FrontChannelLogout: frontChannel,
		ClientSecret: config.Providers[0].ClientSecret, Start: startAttacked(t, build, config),
	})
}

func attackedConfig(change ...func(*core.Config)) core.Config {
	config := core.Config{
		Providers:   []core.Provider{{Issuer: issuer, ClientID: "app", ClientSecret: "canary-client-secret", Requests: core.RequestConfig{UserInfo: true}}},
		RedirectURL: origin + "/auth/callback",
		SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
		Logout:      core.LogoutConfig{Revocations: new(core.MemoryRevocations)},
		Logger:      slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&config)
	}
	return config
}

// startAttacked is Target.Start.
func startAttacked(t *testing.T, build func(*app, *core.Authenticator) http.Handler, config core.Config) func(*logintest.Provider) http.Handler {
	return func(provider *logintest.Provider) http.Handler {
		config.HTTPClient = provider.HTTPClient()
		auth, err := core.New(config)
		if err != nil {
			t.Fatal(err)
		}
		return build(&app{page: "the private page of "}, auth)
	}
}
