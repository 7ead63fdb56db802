package core_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// secretBy replaces the secret by a function.
func secretBy(f func(context.Context) (string, error)) func(*core.Config) {
	return func(c *core.Config) { c.Providers[0].ClientSecret, c.Providers[0].Client.SecretFunc = "", f }
}

func TestASecretForEachTokenRequest(t *testing.T) {
	t.Parallel()
	var made atomic.Int32
	g := newRig(t, secretBy(func(ctx context.Context) (string, error) {
		made.Add(1)
		return "canary-client-secret", ctx.Err()
	}))
	g.provider.Misbehave(logintest.Faults{Discovery: func(m map[string]any) {
		m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
	}})
	for range 2 {
		g.browser.Forget("", "")
		g.login()
	}
	if got := made.Load(); got != 2 {
		t.Errorf("made %d times in 2 logins", got)
	}
	for _, request := range g.provider.Requests() {
		if request.Endpoint == logintest.Token && request.Form.Get("client_secret") != "canary-client-secret" {
			t.Errorf("the secret is sent as %v", request.Form)
		}
	}
}

// rule 127: the secret that was made is in no log, though the provider repeats it.
func TestASecretThatIsMadeIsNotLogged(t *testing.T) {
	t.Parallel()
	g := newRig(t, secretBy(func(context.Context) (string, error) { return "canary-wrong-secret", nil }))
	g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
		if e != logintest.Token {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"invalid_client","error_description":"not %s"}`, "canary-wrong-secret")
		return true
	}})
	page := g.get(origin + "/me")
	if page.Status != 502 || !strings.Contains(string(page.Body), "client_refused") {
		t.Errorf("got %d %s", page.Status, page.Body)
	}
	if logged := g.log.String(); strings.Contains(logged, "canary-wrong") || !strings.Contains(logged, "[redacted]") {
		t.Errorf("logged as %s", logged)
	}
}

// A secret that cannot be had is an outage, and never a request without one.
func TestASecretThatCannotBeMade(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(context.Context) (string, error){
		"an error": func(context.Context) (string, error) { return "", errors.New("the vault is sealed") },
		"empty":    func(context.Context) (string, error) { return "", nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, secretBy(f))
			page := g.get(origin + "/me")
			if page.Status != 503 || !strings.Contains(string(page.Body), "client_credential_unavailable") {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			if got := g.provider.Count(logintest.Token); got != 0 || g.whoAmI() != "" {
				t.Errorf("%d token requests", got)
			}
		})
	}
}

// A provider with a function prints, and is JSON, like any other.
func TestAProviderWithASecretFunctionPrints(t *testing.T) {
	t.Parallel()
	p := core.Provider{ClientID: "app", Client: core.ClientConfig{SecretFunc: func(context.Context) (string, error) { return "x", nil }}}
	b, err := p.MarshalJSON()
	if err != nil || !strings.Contains(string(b), `"ClientSecret":"[redacted]"`) {
		t.Errorf("got %s %v", b, err)
	}
	if got := fmt.Sprintf("%+v", p); !strings.Contains(got, "client_secret=[redacted]") {
		t.Errorf("got %s", got)
	}
}

// A secret that was left out by mistake makes a public client, silently until the
// provider says no.
func TestAClientThatIsRefusedWithoutASecret(t *testing.T) {
	t.Parallel()
	for secret, says := range map[string]bool{"": true, "another": false} {
		g := newRig(t, func(c *core.Config) { c.Providers[0].ClientSecret = secret })
		if page := g.get(origin + "/me"); page.Status != http.StatusBadGateway || !strings.Contains(string(page.Body), "client_refused") {
			t.Errorf("%q: got %d: %s", secret, page.Status, page.Body)
		}
		if got := strings.Contains(g.log.String(), "there is no ClientSecret"); got != says {
			t.Errorf("%q: logged as %s", secret, g.log.String())
		}
	}
}
