package preset_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
	"github.com/pixyauth/pixy/core/preset"
)

// Quirks of OpenID providers.

// thin is a provider with name and e-mail only in UserInfo.
func thin(_, claims map[string]any) {
	for _, name := range []string{"name", "given_name", "family_name", "email", "email_verified"} {
		delete(claims, name)
	}
}

// silent is a provider without RFC 9207, and without PKCE in its metadata.
func silent(f logintest.Faults) logintest.Faults {
	discovery := f.Discovery
	f.Discovery = func(m map[string]any) {
		delete(m, "authorization_response_iss_parameter_supported")
		delete(m, "code_challenge_methods_supported")
		if discovery != nil {
			discovery(m)
		}
	}
	f.Authorization = func(q url.Values) { q.Del("iss") }
	return f
}

func TestLoginsAtOpenIDProviders(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		quirk    string
		preset   core.Provider
		issuer   string
		faults   logintest.Faults
		verified bool // e-mail
		userInfo int  // requests
	}{
		{"Google: by the book", preset.Google(client), "https://accounts.google.com", logintest.Faults{}, true, 0},
		{"Slack: looks at no challenge", preset.Slack(client), "https://slack.com", silent(logintest.Faults{NoPKCE: true}), true, 0},
		{"Okta: a thin ID token", preset.Okta("example.okta.com", client), "https://example.okta.com", logintest.Faults{IDToken: thin}, true, 1},
		{"Okta: another server", preset.Okta("https://example.okta.com/oauth2/default/", client), "https://example.okta.com/oauth2/default", logintest.Faults{IDToken: thin}, true, 1},
		{"Auth0: a final slash", preset.Auth0("example.eu.auth0.com", client), "https://example.eu.auth0.com/", silent(logintest.Faults{}), true, 0},
		{"Auth0: a final slash that was given", preset.Auth0("https://login.example.test/", client), "https://login.example.test/", logintest.Faults{}, true, 0},
		{"Cognito: UserInfo that spells booleans", preset.Cognito("eu-central-1_AbCdEfGhI", client), "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI",
			silent(logintest.Faults{UserInfo: func(c map[string]any) { c["email_verified"] = "true" }}), true, 0},
		{"Cognito: in China", preset.Cognito("cn-north-1_AbCdEfGhI", client), "https://cognito-idp.cn-north-1.amazonaws.com.cn/cn-north-1_AbCdEfGhI", logintest.Faults{}, true, 0},
		{"GitLab: gitlab.com", preset.GitLab("", client), "https://gitlab.com", silent(logintest.Faults{IDToken: thin}), true, 1},
		{"GitLab: your own", preset.GitLab("https://gitlab.example.test/", client), "https://gitlab.example.test", silent(logintest.Faults{IDToken: thin}), true, 1},
		{"Keycloak: a realm", preset.Keycloak("https://keycloak.example.test", "staff", client), "https://keycloak.example.test/realms/staff", logintest.Faults{}, true, 0},
		{"Keycloak: of old", preset.Keycloak("keycloak.example.test/auth/", "staff", client), "https://keycloak.example.test/auth/realms/staff", logintest.Faults{}, true, 0},
		{"ZITADEL: an audience of many and a thin ID token", preset.ZITADEL("id.example.test", client, "project", "sibling"), "https://id.example.test", silent(logintest.Faults{IDToken: manyAudiences}), true, 1},
		{"authentik: a slash, and no address is verified", preset.Authentik("https://authentik.example.test", "my-app", client), "https://authentik.example.test/application/o/my-app/",
			silent(logintest.Faults{IDToken: func(_, c map[string]any) { c["email_verified"] = false }}), false, 0},
		{"Dex: says what the connector says", preset.Dex("https://dex.example.test/dex", client), "https://dex.example.test/dex",
			silent(logintest.Faults{IDToken: func(_, c map[string]any) { c["email_verified"] = false }}), false, 0},
		{"Ory: a thin ID token", preset.Ory("https://slug.projects.oryapis.com", client), "https://slug.projects.oryapis.com", silent(logintest.Faults{IDToken: thin}), true, 1},
		{"Ory: Hydra of old, with a slash", preset.Ory("https://hydra.example.test/", client), "https://hydra.example.test/", silent(logintest.Faults{IDToken: thin}), true, 1},
	} {
		t.Run(test.quirk, func(t *testing.T) {
			t.Parallel()
			provider := newProvider(test.issuer, test.faults)
			a := newApp(t, test.preset, web{host(t, test.issuer): provider})
			user := a.login()
			if user.Key() != test.issuer+" ada" || user.Name != "Ada Lovelace" || user.Email != "ada@example.test" || user.EmailVerified != test.verified {
				t.Errorf("got %+v", user)
			}
			if got := provider.Count(logintest.UserInfo); got != test.userInfo {
				t.Errorf("%d UserInfo requests, want %d", got, test.userInfo)
			}
			if name := strings.SplitN(test.quirk, ":", 2)[0]; !strings.EqualFold(test.preset.Name, name) {
				t.Errorf("is named %q", test.preset.Name)
			}
			out, err := a.browser.Post(origin+"/auth/logout", nil)
			if err != nil || out.Status != 200 || provider.Count(logintest.EndSession) != 1 {
				t.Errorf("logout: %v, %d requests", err, provider.Count(logintest.EndSession))
			}
		})
	}
}

// manyAudiences are the audiences of a ZITADEL project.
func manyAudiences(header, claims map[string]any) {
	thin(header, claims)
	claims["aud"], claims["azp"] = []string{"app", "project", "sibling"}, "app"
}

func TestRefusalsAtOpenIDProviders(t *testing.T) {
	t.Parallel()
	set := func(name string, value any) func(_, claims map[string]any) {
		return func(_, claims map[string]any) {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
	}
	for _, test := range []struct {
		name   string
		preset core.Provider
		issuer string
		faults logintest.Faults
		code   string
	}{
		{"Google: the legacy issuer", preset.Google(client), "https://accounts.google.com", logintest.Faults{IDToken: set("iss", "accounts.google.com")}, "id_token_untrusted"},
		{"Slack: no nonce, and no PKCE that would help", preset.Slack(client), "https://slack.com", silent(logintest.Faults{NoPKCE: true, IDToken: set("nonce", "")}), "id_token_untrusted"},
		{"Auth0: an issuer without its slash", preset.Auth0("example.auth0.com", client), "https://example.auth0.com", logintest.Faults{}, "provider_metadata_invalid"},
		{"Cognito: the nonce of another provider", preset.Cognito("eu-west-1_A", client), "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A", logintest.Faults{IDToken: set("nonce", "of the pool's own")}, "id_token_untrusted"},
		{"ZITADEL: an audience that is not trusted", preset.ZITADEL("id.example.test", client, "project"), "https://id.example.test", logintest.Faults{IDToken: manyAudiences}, "id_token_untrusted"},
		{"ZITADEL: a token for a sibling", preset.ZITADEL("id.example.test", client, "project", "sibling"), "https://id.example.test",
			logintest.Faults{IDToken: func(h, c map[string]any) { manyAudiences(h, c); c["azp"] = "sibling" }}, "id_token_untrusted"},
		{"authentik: no signing key", preset.Authentik("https://authentik.example.test", "my-app", client), "https://authentik.example.test/application/o/my-app/",
			logintest.Faults{IDToken: func(h, _ map[string]any) { h["alg"] = "HS256" }}, "id_token_untrusted"},
		{"authentik: one issuer for all", preset.Authentik("https://authentik.example.test", "my-app", client), "https://authentik.example.test/application/o/my-app/",
			logintest.Faults{Discovery: func(m map[string]any) { m["issuer"] = "https://authentik.example.test/" }}, "provider_metadata_invalid"},
		{"Keycloak: another realm", preset.Keycloak("https://keycloak.example.test", "staff", client), "https://keycloak.example.test/realms/staff",
			logintest.Faults{IDToken: set("iss", "https://keycloak.example.test/realms/customers")}, "id_token_untrusted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, test.preset, web{host(t, test.issuer): newProvider(test.issuer, test.faults)})
			a.refused(502, test.code)
		})
	}
}

// Cognito's own name of the post-logout redirect parameter.
func TestCognitoLogout(t *testing.T) {
	t.Parallel()
	const issuer = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_A"
	a := newApp(t, preset.Cognito("eu-west-1_A", client), web{host(t, issuer): newProvider(issuer, logintest.Faults{})})
	a.login()
	out, err := a.browser.Post(origin+"/auth/logout", nil)
	if err != nil {
		t.Fatal(err)
	}
	if to := out.Hops[2].Header.Get("Location"); !strings.Contains(to, "logout_uri="+url.QueryEscape(origin+"/")) || !strings.Contains(to, "client_id=app") {
		t.Errorf("leads to %s", to)
	}
}

// core.New reports missing values, before the first login.
func TestPresetsOfNothing(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]core.Provider{
		"Okta": preset.Okta("", client), "Auth0": preset.Auth0("", client), "Cognito": preset.Cognito("pool", client),
		"Keycloak": preset.Keycloak("https://keycloak.example.test", "", client), "authentik": preset.Authentik("", "slug", client),
		"ZITADEL": preset.ZITADEL("", client), "Dex": preset.Dex("", client), "Ory": preset.Ory("", client), "Entra": preset.Entra("", client),
		"a client without an id": preset.Google(preset.Client{}), "Entra of all tenants": preset.EntraMultiTenant(client),
	} {
		_, err := core.New(core.Config{Providers: []core.Provider{p}, RedirectURL: callbackURL, SessionKey: []byte("0123456789abcdef0123456789abcdef")})
		if err == nil || !strings.Contains(err.Error(), "missing") && !strings.Contains(err.Error(), "Checks.Tenants is empty") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// All presets can be used together without changes.
func TestPresetsTogether(t *testing.T) {
	t.Parallel()
	_, err := core.New(core.Config{
		Providers: []core.Provider{
			preset.Google(client), preset.Slack(client), preset.Okta("example.okta.com", client), preset.Auth0("example.auth0.com", client),
			preset.Cognito("eu-west-1_A", client), preset.GitLab("", client), preset.Keycloak("keycloak.example.test", "staff", client),
			preset.ZITADEL("id.example.test", client), preset.Authentik("authentik.example.test", "my-app", client),
			preset.Dex("https://dex.example.test", client), preset.Ory("https://slug.projects.oryapis.com", client),
			preset.LoginGov("secure.login.gov", byKey(core.SigningKey{Signer: rsaKey})), preset.EntraMultiTenant(client, tenant), preset.GitHub(client), preset.Discord(client), preset.Facebook(client),
		},
		RedirectURL: callbackURL, SessionKey: []byte("0123456789abcdef0123456789abcdef"),
	})
	if err != nil {
		t.Error(err)
	}
}

func TestClientsPrintWithoutSecrets(t *testing.T) {
	t.Parallel()
	client := client
	client.SigningKeys = []core.SigningKey{{Signer: rsaKey, KeyID: client.Secret}}
	apple := preset.AppleClient{ServicesID: "com.example.web", PrivateKey: []byte(client.Secret)}
	for _, value := range []any{client, &client, []preset.Client{client}, apple, &apple} {
		for _, format := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			if got := fmt.Sprintf(format, value); strings.Contains(got, client.Secret) || strings.Contains(got, fmt.Sprintf("%x", client.Secret)) {
				t.Errorf("%s prints %s", format, got)
			}
		}
	}
}

// No attack succeeds in an application with a preset.
func TestAttack(t *testing.T) {
	t.Parallel()
	logintest.Attack(t, logintest.Target{RedirectURL: callbackURL + "/Dex", LoginPath: "/auth/login", LogoutPath: "/auth/logout", Start: func(provider *logintest.Provider) http.Handler {
		auth, err := core.New(core.Config{
			Providers:   []core.Provider{preset.Dex(provider.Issuer(), preset.Client{ID: "app"})},
			RedirectURL: callbackURL,
			SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
			HTTPClient:  provider.HTTPClient(),
			Logger:      slog.New(slog.DiscardHandler),
		})
		if err != nil {
			t.Fatal(err)
		}
		return attackable(auth)
	}})
}

// attackable is an application with a guarded page /me, as Attack expects.
func attackable(auth *core.Authenticator) http.Handler {
	mux := http.NewServeMux()
	for _, route := range auth.Routes() {
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) {
			if err := route.Handle(w, r); err != nil {
				auth.ServeError(w, r, err)
			}
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "public") })
	mux.HandleFunc("/me", func(w http.ResponseWriter, r *http.Request) {
		authenticated, err := auth.Authenticate(w, r)
		if err != nil {
			if err := auth.Challenge(w, r, err); err != nil {
				auth.ServeError(w, r, err)
			}
			return
		}
		fmt.Fprint(w, core.UserFromContext(authenticated.Context()).Subject)
	})
	return mux
}
