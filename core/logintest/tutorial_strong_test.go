package logintest_test

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/logintest"
)

// A weakness is how a tutorial handles what strong clients do: carelessly. Each
// switch fixes one weakness.
type weakness struct {
	stops    bool                             // ends a login whose request cannot be pushed
	bound    bool                             // demands token_type DPoP
	signed   bool                             // reads signed responses only
	checks   func(header, claims string) bool // whether a signed response is accepted; nil: always
	accepted string                           // algorithm of ID tokens; "": any
}

// strongTarget is the registration of a tutorial with a weakness.
func strongTarget(app *tutorial) logintest.Target {
	return logintest.Target{Start: app.start, Client: logintest.Client{
		RequirePAR: true, DPoP: true, RequireSignedResponse: true, SigningAlg: "ES256",
		Keys: encryptionKeys(), EncryptIDToken: logintest.Encryption{Alg: "ECDH-ES", Enc: "A256GCM"},
	}}
}

func (s *weakness) push(a *tutorial, request url.Values) url.Values {
	request.Set("response_mode", "jwt")
	answer, err := a.client.PostForm(a.provider.Issuer()+"/par", request)
	if err != nil {
		return request
	}
	defer answer.Body.Close()
	var pushed struct {
		URI string `json:"request_uri"`
	}
	if json.NewDecoder(answer.Body).Decode(&pushed) != nil || pushed.URI == "" {
		if s.stops {
			return nil
		}
		return request
	}
	return url.Values{"client_id": {"app"}, "request_uri": {pushed.URI}}
}

func (s *weakness) post(a *tutorial) func(string, url.Values) (*http.Response, error) {
	return func(at string, form url.Values) (*http.Response, error) {
		proof := sign("ES256", map[string]any{"typ": "dpop+jwt", "jwk": jose.JSONWebKey{Key: strongKeys()["ES256"].Public()}},
			map[string]any{"jti": rand.Text(), "htm": "POST", "htu": at, "iat": time.Now().Unix()})
		r, err := http.NewRequest("POST", at, strings.NewReader(form.Encode()))
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("DPoP", proof)
		return a.client.Do(r)
	}
}

// verified returns the parameters of a response, or nil.
func (s *weakness) verified(_ *tutorial, query url.Values) url.Values {
	parts := strings.Split(query.Get("response"), ".")
	if len(parts) != 3 {
		if s.signed {
			return nil
		}
		return query
	}
	header, _ := base64.RawURLEncoding.DecodeString(parts[0])
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	if s.checks != nil && !s.checks(string(header), string(payload)) {
		return nil
	}
	var claims map[string]any
	_ = json.Unmarshal(payload, &claims)
	plain := make(url.Values)
	for name, value := range claims {
		if text, ok := value.(string); ok {
			plain.Set(name, text)
		}
	}
	return plain
}

// reads decrypts the ID token, and reports whether the tokens are accepted.
func (s *weakness) reads(tokens *tokenResponse) bool {
	if s.bound && tokens.Type != "DPoP" {
		return false
	}
	object, err := jose.ParseEncryptedCompact(tokens.ID, []jose.KeyAlgorithm{"ECDH-ES"}, []jose.ContentEncryption{"A256GCM"})
	if err != nil {
		return true
	}
	signed, err := object.Decrypt(strongKeys()["ES256"])
	tokens.ID = string(signed)
	header, _, _ := strings.Cut(tokens.ID, ".")
	decoded, _ := base64.RawURLEncoding.DecodeString(header)
	return err == nil && strings.Contains(string(decoded), s.accepted)
}
