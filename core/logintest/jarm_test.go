package logintest_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/logintest"
)

// verified returns the claims of a token that the provider's keys have signed.
func (s *strongBench) verified(token string, alg jose.SignatureAlgorithm) map[string]any {
	s.t.Helper()
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{alg})
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := s.http.Get(issuer + string(logintest.JWKS))
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		s.t.Fatal(err)
	}
	for _, key := range set.Key(signed.Signatures[0].Protected.KeyID) {
		if text, err := signed.Verify(key); err == nil {
			var claims map[string]any
			if err := json.Unmarshal(text, &claims); err != nil {
				s.t.Fatal(err)
			}
			return claims
		}
	}
	s.t.Fatalf("no key verifies %s", token)
	return nil
}

func TestSignedResponse(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"", "RS256", "PS256", "ES256", "EdDSA"} {
		for _, mode := range []string{"jwt", "query.jwt"} {
			t.Run(alg+" "+mode, func(t *testing.T) {
				t.Parallel()
				s := newStrongBench(t, keyClient(func(c *logintest.Client) { c.SigningAlg = alg }))
				request := s.request()
				request.Set("response_mode", mode)
				want := jose.RS256
				if alg != "" {
					want = jose.SignatureAlgorithm(alg)
				}
				_, query := s.authorize(request)
				if len(query) != 1 {
					t.Errorf("got %v", query)
				}
				claims := s.verified(query.Get("response"), want)
				if len(claims) != 5 || claims["iss"] != issuer || claims["aud"] != "app" || claims["state"] != "the-state" || claims["exp"] != float64(s.now.Add(10*time.Minute).Unix()) {
					t.Errorf("got %v", claims)
				}
				tokens := s.mustRedeem(claims["code"].(string))
				if claims := s.verified(tokens["id_token"].(string), want); claims["sub"] != "ada" {
					t.Errorf("got %v", claims)
				}
				request.Set("prompt", "none")
				s.provider.Authenticate = func(http.ResponseWriter, *http.Request) (logintest.User, bool) { return logintest.User{}, true }
				_, query = s.authorize(request)
				if claims := s.verified(query.Get("response"), want); len(query) != 1 || claims["error"] != "login_required" || claims["state"] != "the-state" || claims["code"] != nil {
					t.Errorf("an error: got %v", claims)
				}
			})
		}
	}
}

func TestSignedResponseByForm(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, keyClient(nil))
	request := s.request()
	request.Set("response_mode", "form_post.jwt")
	response, err := s.http.Get(issuer + "/authorize?" + request.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	page, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	fields := logintest.HiddenFields(string(page))
	if len(fields) != 1 || s.verified(fields.Get("response"), jose.RS256)["code"] == nil {
		t.Errorf("got %s", page)
	}
}

func TestSignedResponsesAreDemanded(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, keyClient(func(c *logintest.Client) { c.RequireSignedResponse = true }))
	for _, mode := range []string{"", "query", "form_post", "fragment.jwt"} {
		request := s.request()
		request.Set("response_mode", mode)
		response := ""
		if mode != "form_post" {
			_, query := s.authorize(request)
			response = query.Get("response")
		} else {
			continue // TestSignedResponseByForm reads forms
		}
		if claims := s.verified(response, jose.RS256); claims["error"] != "invalid_request" || claims["code"] != nil {
			t.Errorf("%q: got %v", mode, claims)
		}
		s.send(logintest.PAR, request).refused(t, 400, "invalid_request")
	}
}

func TestSignedResponseMisbehaves(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, keyClient(nil))
	request := s.request()
	request.Set("response_mode", "jwt")
	s.provider.Misbehave(logintest.Faults{
		SignedAuthorization: func(header, claims map[string]any) { header["alg"], claims["iss"] = "none", "x"; delete(claims, "exp") },
		Authorization: func(query url.Values) {
			if len(query) != 1 || !strings.HasSuffix(query.Get("response"), ".") {
				t.Errorf("got %v", query)
			}
			query.Set("response", query.Get("response")+"x")
		},
	})
	_, query := s.authorize(request)
	if claims := payload(t, query.Get("response")); claims["iss"] != "x" || claims["exp"] != nil || !strings.HasSuffix(query.Get("response"), ".x") {
		t.Errorf("got %v", query)
	}
}
