package adapters_test

import (
	"bytes"
	"crypto"
	"crypto/cipher"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A replay answers as the provider once did, from memory: what is measured is
// the application and not the provider.
type replay struct {
	provider http.RoundTripper

	mu      sync.Mutex
	answers map[string][]byte
}

func (t *replay) RoundTrip(r *http.Request) (*http.Response, error) {
	t.mu.Lock()
	body, known := t.answers[r.URL.Path]
	t.mu.Unlock()
	if !known {
		response, err := t.provider.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		if body, err = io.ReadAll(response.Body); err != nil {
			return nil, err
		}
		t.mu.Lock()
		t.answers[r.URL.Path] = body
		t.mu.Unlock()
	}
	if r.Body != nil {
		r.Body.Close()
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}, nil
}

// flow is a login whose requests can be made again and again.
type flow struct {
	auth     *core.Authenticator
	login    *http.Request
	callback *http.Request
	replay   *replay
}

func newFlow(b *testing.B, alg string) *flow {
	b.Helper()
	provider := logintest.NewProvider(issuer, logintest.Client{
		ID: "app", Secret: "secret", RedirectURIs: []string{origin + "/auth/callback"},
	})
	provider.User = logintest.User{Subject: "248289761001", Claims: claimsOfAUser()}
	provider.Misbehave(logintest.Faults{IDToken: func(header, _ map[string]any) { header["alg"] = alg }})
	f := &flow{replay: &replay{provider: provider.HTTPClient().Transport, answers: make(map[string][]byte)}}
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: issuer, ClientID: "app", ClientSecret: "secret"}},
		RedirectURL: origin + "/auth/callback",
		SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
		HTTPClient:  &http.Client{Transport: f.replay},
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	httplogin.New(auth).Mount(mux)
	f.auth = auth
	browser := logintest.NewBrowser()
	browser.Serve(issuer, provider)
	browser.Serve(origin, mux)

	f.login = httptest.NewRequest("GET", origin+"/auth/login?return_to=/private", nil)
	begun, err := browser.Visit(origin + "/auth/login?return_to=/private")
	if err != nil {
		b.Fatal(err)
	}
	answered, err := browser.Visit(begun.Header.Get("Location"))
	if err != nil {
		b.Fatal(err)
	}
	f.callback = httptest.NewRequest("GET", answered.Header.Get("Location"), nil)
	cookie := ""
	for _, c := range browser.Cookies(origin) {
		cookie = c.Name + "=" + c.Value
	}
	f.login.Header.Set("Cookie", strings.TrimSuffix(otherCookies, "; "))
	f.callback.Header.Set("Cookie", otherCookies+cookie)
	return f
}

// serve returns a function that handles r, and fails unless it redirects to want.
func (f *flow) serve(b *testing.B, handle core.HandlerFunc, r *http.Request, want string) func() {
	w := &nobody{header: make(http.Header)}
	return func() {
		clear(w.header)
		w.status = 0
		if err := handle(w, r); err != nil {
			b.Fatal(err)
		}
		if w.status != http.StatusSeeOther || !strings.HasPrefix(w.header.Get("Location"), want) {
			b.Fatalf("got %d to %q", w.status, w.header.Get("Location"))
		}
	}
}

func BenchmarkLogin(b *testing.B) {
	f := newFlow(b, "RS256")
	floor := newFloorGuard(b)
	w := &nobody{header: make(http.Header)}
	compare(b, func() {
		clear(w.header)
		floor.login(w)
	}, f.serve(b, f.auth.Login, f.login, issuer+"/authorize?"))
}

// login draws three secrets, seals them into a cookie, and redirects.
func (f *floorGuard) login(w http.ResponseWriter) {
	secrets := make([]byte, 3*43, 256)
	var random [32]byte
	for i := range 3 {
		rand.Read(random[:])
		base64.RawURLEncoding.Encode(secrets[43*i:], random[:])
	}
	state, nonce, verifier := secrets[:43], secrets[43:86], secrets[86:]
	challenge := sha256.Sum256(verifier)
	header := w.Header()
	header["Cache-Control"] = []string{"no-store"}
	header["Location"] = []string{issuer + "/authorize?response_type=code&client_id=app&redirect_uri=https%3A%2F%2Fapp.example.test%2Fauth%2Fcallback&scope=openid+profile+email" +
		"&state=" + string(state) + "&nonce=" + string(nonce) + "&code_challenge_method=S256&code_challenge=" + base64.RawURLEncoding.EncodeToString(challenge[:])}
	header["Set-Cookie"] = []string{f.name + f.sealRecord(append(secrets, "app https://id.example.test/private"...)) + "; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax"}
	w.WriteHeader(http.StatusSeeOther)
}

func (f *floorGuard) sealRecord(record []byte) string {
	sealed := make([]byte, f.aead.NonceSize(), f.aead.NonceSize()+len(record)+f.aead.Overhead())
	rand.Read(sealed)
	return base64.RawURLEncoding.EncodeToString(f.aead.Seal(sealed, sealed, record, nil))
}

func BenchmarkCallback(b *testing.B) {
	for _, alg := range []string{"RS256", "ES256"} {
		b.Run(alg, func(b *testing.B) {
			f := newFlow(b, alg)
			serve := f.serve(b, f.auth.Callback, f.callback, "/private")
			serve() // fetches what is kept: metadata, keys, the token response
			floor := &floorCallback{floorGuard: newFloorGuard(b), client: &http.Client{Transport: f.replay}, alg: alg}
			floor.readKey(b, f.replay.answers["/jwks"])
			floor.attempt = floor.sealRecord(make([]byte, 200))
			w := &nobody{header: make(http.Header)}
			compare(b, func() {
				clear(w.header)
				if err := floor.callback(w, f.callback.URL.RawQuery); err != nil {
					b.Fatal(err)
				}
			}, serve)
		})
	}
}

// floorCallback redeems a code, verifies one signature and seals a session.
type floorCallback struct {
	*floorGuard
	client  *http.Client
	alg     string
	attempt string
	rsa     *rsa.PublicKey
	ecdsa   *ecdsa.PublicKey
}

func (f *floorCallback) readKey(b *testing.B, document []byte) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(document, &set); err != nil {
		b.Fatal(err)
	}
	for _, key := range set.Keys {
		switch public := key.Key.(type) {
		case *rsa.PublicKey:
			f.rsa = public
		case *ecdsa.PublicKey:
			f.ecdsa = public
		}
	}
}

func (f *floorCallback) callback(w http.ResponseWriter, rawQuery string) error {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return err
	}
	if _, err := openFloor(f.aead, f.attempt); err != nil {
		return err
	}
	form := "grant_type=authorization_code&code=" + url.QueryEscape(query.Get("code")) +
		"&redirect_uri=https%3A%2F%2Fapp.example.test%2Fauth%2Fcallback&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	request, err := http.NewRequest("POST", issuer+"/token", strings.NewReader(form))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("app", "secret")
	response, err := f.client.Do(request)
	if err != nil {
		return err
	}
	var token struct {
		IDToken     string `json:"id_token"`
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
	}
	body, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, &token); err != nil {
		return err
	}
	payload, err := f.verify(token.IDToken)
	if err != nil {
		return err
	}
	var claims struct {
		Iss, Sub, Aud, Nonce string
		Exp, Iat             int64
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return err
	}
	var kept map[string]json.RawMessage
	if err := json.Unmarshal(payload, &kept); err != nil {
		return err
	}
	record, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	const attributes = "; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Lax"
	header := w.Header()
	header["Cache-Control"] = []string{"no-store"}
	header["Location"] = []string{"/private"}
	header["Set-Cookie"] = []string{
		"__Host-attempt=" + attributes,
		f.name + f.sealRecord(record) + attributes,
		"__Host-hint=" + f.sealRecord([]byte(token.IDToken)) + attributes,
	}
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

func openFloor(aead cipher.AEAD, value string) ([]byte, error) {
	sealed, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return nil, err
	}
	n := aead.NonceSize()
	return aead.Open(sealed[n:n], sealed[:n], sealed[n:], nil)
}

func (f *floorCallback) verify(token string) ([]byte, error) {
	end := strings.LastIndexByte(token, '.')
	sum := sha256.Sum256([]byte(token[:end]))
	signature, err := base64.RawURLEncoding.DecodeString(token[end+1:])
	if err != nil {
		return nil, err
	}
	if f.alg == "RS256" {
		if err := rsa.VerifyPKCS1v15(f.rsa, crypto.SHA256, sum[:], signature); err != nil {
			return nil, err
		}
	} else if !ecdsa.Verify(f.ecdsa, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return nil, io.ErrUnexpectedEOF
	}
	_, encoded, _ := strings.Cut(token[:end], ".")
	return base64.RawURLEncoding.DecodeString(encoded)
}
