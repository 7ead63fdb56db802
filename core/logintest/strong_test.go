package logintest_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/logintest"
)

// strongKeys are a client's keys, by algorithm. "other" is nobody's.
var strongKeys = sync.OnceValue(func() map[string]crypto.Signer {
	ec, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	other, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	_, ed, err3 := ed25519.GenerateKey(rand.Reader)
	key, err4 := rsa.GenerateKey(rand.Reader, 2048)
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			panic(err)
		}
	}
	return map[string]crypto.Signer{"ES256": ec, "EdDSA": ed, "PS256": key, "RS256": key, "other": other}
})

// jwks returns a client's JWKS.
func jwks(algs ...string) []byte {
	var set jose.JSONWebKeySet
	for _, alg := range algs {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: strongKeys()[alg].Public(), KeyID: "key-" + alg, Algorithm: alg})
	}
	encoded, err := json.Marshal(set)
	if err != nil {
		panic(err)
	}
	return encoded
}

// edit changes a token before it is signed. The header's key "key" names the key
// that signs, if that is not the one of alg.
type edit func(header, claims map[string]any)

func sign(alg string, header, claims map[string]any, edits ...edit) string {
	header["alg"] = alg
	for _, edit := range edits {
		edit(header, claims)
	}
	name, other := header["key"].(string)
	if !other {
		name, _ = header["alg"].(string)
	}
	delete(header, "key")
	if secret, ok := header["secret"].(string); ok {
		delete(header, "secret")
		return logintest.SignWith([]byte(secret), header, claims)
	}
	return logintest.SignWith(strongKeys()[name], header, claims)
}

// strongBench is a bench whose client follows all rules that its registration
// demands. Its clock stands still until a test moves it.
type strongBench struct {
	*bench
	now    time.Time
	nonces map[string]string // by URL
}

func newStrongBench(t *testing.T, client logintest.Client) *strongBench {
	client.ID, client.RedirectURIs = "app", []string{callback}
	s := &strongBench{bench: newBench(t, client), now: time.Unix(1_800_000_000, 0), nonces: make(map[string]string)}
	s.provider = logintest.NewProvider(issuer, client, logintest.Client{ID: "other", RedirectURIs: []string{callback}})
	s.provider.Now = func() time.Time { return s.now }
	s.http.Transport = s.provider.HTTPClient().Transport
	return s
}

func keyClient(change func(*logintest.Client)) logintest.Client {
	client := logintest.Client{AuthMethod: "private_key_jwt", Keys: jwks("ES256", "EdDSA", "PS256")}
	if change != nil {
		change(&client)
	}
	return client
}

func (s *strongBench) assertion(alg string, edits ...edit) string {
	return sign(alg, map[string]any{"kid": "key-" + alg}, map[string]any{
		"iss": "app", "sub": "app", "aud": issuer, "jti": rand.Text(),
		"iat": s.now.Unix(), "exp": s.now.Add(time.Minute).Unix(),
	}, edits...)
}

// proof returns a DPoP proof.
func (s *strongBench) proof(method, at, access string, edits ...edit) string {
	key := jose.JSONWebKey{Key: strongKeys()["ES256"].Public()}
	claims := map[string]any{"jti": rand.Text(), "htm": method, "htu": at, "iat": s.now.Unix()}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	if nonce := s.nonces[at]; nonce != "" {
		claims["nonce"] = nonce
	}
	return sign("ES256", map[string]any{"typ": "dpop+jwt", "jwk": key}, claims, edits...)
}

func thumbprint(name string) string {
	key := jose.JSONWebKey{Key: strongKeys()[name].Public()}
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// authenticated adds the client's authentication to a form.
func (s *strongBench) authenticated(form url.Values) url.Values {
	form = maps.Clone(form)
	form.Set("client_id", "app")
	switch s.client.AuthMethod {
	case "private_key_jwt":
		form.Set("client_assertion", s.assertion("ES256"))
	case "client_secret_jwt":
		form.Set("client_assertion", s.assertion("HS256", func(h, _ map[string]any) { h["secret"] = s.client.Secret; delete(h, "kid") }))
	default:
		if s.client.Secret != "" {
			form.Set("client_secret", s.client.Secret)
		}
		return form
	}
	form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	return form
}

// answer is a response to the client.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

// post sends a form as it is, with a DPoP proof unless it is "".
func (s *strongBench) post(endpoint logintest.Endpoint, form url.Values, proofs ...string) answer {
	s.t.Helper()
	r, err := http.NewRequest("POST", issuer+string(endpoint), strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, proof := range proofs {
		r.Header.Add("DPoP", proof)
	}
	return s.do(r)
}

func (s *strongBench) do(r *http.Request) answer {
	s.t.Helper()
	response, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	got := answer{response.StatusCode, response.Header, nil}
	_ = json.Unmarshal(body, &got.body) // not every response is JSON
	if nonce := response.Header.Get("DPoP-Nonce"); nonce != "" {
		at := *r.URL
		at.RawQuery = ""
		s.nonces[at.String()] = nonce
	}
	return got
}

// send is what a correct client does: it authenticates, adds a proof if it uses
// DPoP, and repeats a request once that lacked a nonce.
func (s *strongBench) send(endpoint logintest.Endpoint, form url.Values) answer {
	s.t.Helper()
	var got answer
	for range 2 {
		var proofs []string
		if s.client.DPoP && endpoint != logintest.Revocation {
			proofs = append(proofs, s.proof("POST", issuer+string(endpoint), ""))
		}
		got = s.post(endpoint, s.authenticated(form), proofs...)
		if got.body["error"] != "use_dpop_nonce" {
			break
		}
	}
	return got
}

// push returns the URL's parameters for a pushed request.
func (s *strongBench) push(request url.Values) url.Values {
	s.t.Helper()
	got := s.send(logintest.PAR, request)
	uri, _ := got.body["request_uri"].(string)
	if got.status != http.StatusCreated || uri == "" {
		s.t.Fatalf("pushed: got %d %v", got.status, got.body)
	}
	return url.Values{"client_id": {"app"}, "request_uri": {uri}}
}

// newCode begins a login as the client must.
func (s *strongBench) newCode() string {
	s.t.Helper()
	request := s.request()
	if s.client.RequirePAR {
		request = s.push(request)
	}
	_, query := s.authorize(request)
	if query.Get("code") == "" {
		s.t.Fatalf("no code: %v", query)
	}
	return query.Get("code")
}

// login returns the tokens of a login.
func (s *strongBench) login() map[string]any {
	s.t.Helper()
	return s.mustRedeem(s.newCode())
}

func (s *strongBench) mustRedeem(code string) map[string]any {
	s.t.Helper()
	got := s.send(logintest.Token, s.form(code))
	if got.status != http.StatusOK || got.body["access_token"] == nil || got.body["id_token"] == nil {
		s.t.Fatalf("the correct client got %d %v", got.status, got.body)
	}
	return got.body
}

// refused fails unless a request was refused with this error.
func (a answer) refused(t *testing.T, status int, code string) {
	t.Helper()
	if a.status != status || a.body["error"] != code || len(a.body) != 2 {
		t.Errorf("got %d %v, want %d %s", a.status, a.body, status, code)
	}
}
