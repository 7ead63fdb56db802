package core_test

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A provider that does not keep the profile is refused before the browser is sent there, and
// the log names the clause.
func TestFAPI2ProviderLacksOneThing(t *testing.T) {
	t.Parallel()
	set := func(name string, value any) func(map[string]any) {
		return func(m map[string]any) {
			if m[name] = value; value == nil {
				delete(m, name)
			}
		}
	}
	for _, test := range []struct {
		name, want string
		change     func(map[string]any)
	}{
		{"no pushed requests", "5.3.2.2 (2)", set("pushed_authorization_request_endpoint", nil)},
		{"no PKCE", "5.3.2.2 (5)", set("code_challenge_methods_supported", nil)},
		{"no iss in the callback", "5.3.2.2 (7)", set("authorization_response_iss_parameter_supported", false)},
		{"no method of the profile", "5.3.2.1 (6)", set("token_endpoint_auth_methods_supported", nil)},
		{"no DPoP", "5.3.2.1 (5)", set("dpop_signing_alg_values_supported", nil)},
		{"ID tokens by RS256", "5.4.1 (1)", set("id_token_signing_alg_values_supported", []string{"RS256"})},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newFAPISuite(t, fapiVariant{}, false)
			s.provider.Misbehave(logintest.Faults{Discovery: test.change})
			page := s.get(origin + "/me")
			if !strings.Contains(string(page.Body), "<code>provider_metadata_invalid</code>") || !strings.Contains(s.log.String(), "(FAPI 2.0 Security Profile section "+test.want+")") {
				t.Errorf("got %d %s\n%s", page.Status, page.Body, s.log.String())
			}
			if requests := s.provider.Requests(); count(requests, logintest.Discovery) != len(requests) || s.logins.Load() != 0 {
				t.Errorf("got %v", requests)
			}
		})
	}
}

// Client connects to an API only as the profile says, with and without a certificate.
func TestFAPI2ClientConnectsByTheProfile(t *testing.T) {
	t.Parallel()
	weak := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	weak.Config.ErrorLog = log.New(io.Discard, "", 0)
	weak.TLS = &tls.Config{
		Certificates: []tls.Certificate{fapiKeys().server},
		MaxVersion:   tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA},
	}
	weak.StartTLS()
	t.Cleanup(weak.Close)
	for _, v := range []fapiVariant{{}, {bound: true}} {
		s := newFAPISuite(t, v, false)
		s.provider.Misbehave(logintest.Faults{Discovery: s.metadata})
		if response, err := (&http.Client{Transport: s.browser.Transport}).Get(weak.URL); err != nil {
			t.Fatalf("the transport of the Config does not accept the server: %v", err)
		} else {
			response.Body.Close()
		}
		var failed error
		s.handle("/weak", func(w http.ResponseWriter, r *http.Request) error {
			authenticated, err := s.auth.Authenticate(w, r)
			if err != nil {
				return err
			}
			response, err := core.Client(authenticated.Context(), weak.Listener.Addr().String()).Get(weak.URL)
			if failed = err; err == nil {
				response.Body.Close()
			}
			return nil
		})
		s.login()
		if s.fetch("GET", origin+"/weak"); failed == nil || !strings.Contains(failed.Error(), "handshake failure") {
			t.Errorf("%s: got %v", v, failed)
		}
	}
}
