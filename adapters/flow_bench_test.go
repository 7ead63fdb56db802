package adapters_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
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

// A replay returns recorded responses of the provider from memory, so that only the
// application is measured.
type replay struct {
	provider http.RoundTripper

	mu      sync.Mutex
	answers map[string][]byte // by path, and at the token endpoint by code
}

func (t *replay) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := r.URL.Path
	if r.Body != nil {
		form, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(form))
		_, code, _ := strings.Cut("&"+string(form), "&code=")
		code, _, _ = strings.Cut(code, "&")
		asked += "?" + code
	}
	t.mu.Lock()
	body, known := t.answers[asked]
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
		t.answers[asked] = body
		t.mu.Unlock()
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}, nil
}

// flow is a list of logins whose requests can be repeated.
type flow struct {
	config    core.Config
	login     *http.Request
	callbacks []*http.Request
	replay    *replay
}

func newFlow(b *testing.B, alg string, logins int, change ...func(*logintest.Client, *core.Config)) *flow {
	b.Helper()
	client := logintest.Client{ID: "app", Secret: "secret", RedirectURIs: []string{origin + "/auth/callback"}}
	config := core.Config{Providers: []core.Provider{{Issuer: issuer, ClientID: "app", ClientSecret: "secret"}}}
	for _, f := range change {
		f(&client, &config)
	}
	provider := logintest.NewProvider(issuer, client)
	provider.User = logintest.User{Subject: "248289761001", Claims: claimsOfAUser()}
	provider.Misbehave(logintest.Faults{IDToken: func(header, _ map[string]any) { header["alg"] = alg }})
	f := &flow{replay: &replay{provider: provider.HTTPClient().Transport, answers: make(map[string][]byte)}}
	f.config = core.Config{
		Providers:   config.Providers,
		RedirectURL: origin + "/auth/callback",
		SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
		HTTPClient:  &http.Client{Transport: f.replay},
		Logger:      slog.New(slog.DiscardHandler),
	}
	mux := http.NewServeMux()
	httplogin.New(f.start(b)).Mount(mux)
	f.login = httptest.NewRequest("GET", origin+"/auth/login?return_to=/private", nil)
	f.login.Header.Set("Cookie", strings.TrimSuffix(otherCookies, "; "))
	for range logins {
		browser := logintest.NewBrowser()
		browser.Serve(issuer, provider)
		browser.Serve(origin, mux)
		begun, err := browser.Visit(origin + "/auth/login?return_to=/private")
		if err != nil {
			b.Fatal(err)
		}
		answered, err := browser.Visit(begun.Header.Get("Location"))
		if err != nil {
			b.Fatal(err)
		}
		callback := httptest.NewRequest("GET", answered.Header.Get("Location"), nil)
		attempt := browser.Cookies(origin)[0]
		callback.Header.Set("Cookie", otherCookies+attempt.Name+"="+attempt.Value)
		f.callbacks = append(f.callbacks, callback)
	}
	return f
}

// start returns an application without remembered logins.
func (f *flow) start(b *testing.B) *core.Authenticator {
	b.Helper()
	auth, err := core.New(f.config)
	if err != nil {
		b.Fatal(err)
	}
	return auth
}

// redirects lets handle answer r, and fails unless it redirects to want.
func redirects(b *testing.B, w *nobody, handle core.HandlerFunc, r *http.Request, want string) {
	clear(w.header)
	w.status = 0
	if err := handle(w, r); err != nil {
		b.Fatal(err)
	}
	if w.status != http.StatusSeeOther || !strings.HasPrefix(w.header.Get("Location"), want) {
		b.Fatalf("got %d to %q", w.status, w.header.Get("Location"))
	}
}

// ends returns a function that finishes one login after another. An application remembers
// the outcome of a login for a while, so after the last login a new application starts with
// the first.
func (f *flow) ends(b *testing.B) func() {
	w, next, auth := &nobody{header: make(http.Header)}, 0, f.start(b)
	return func() {
		if next == len(f.callbacks) {
			next, auth = 0, f.start(b)
		}
		redirects(b, w, auth.Callback, f.callbacks[next], "/private")
		next++
	}
}

func BenchmarkLogin(b *testing.B) {
	f := newFlow(b, "RS256", 0)
	auth, floor := f.start(b), newFloorGuard(b)
	w, floors := &nobody{header: make(http.Header)}, &nobody{header: make(http.Header)}
	compare(b, func() {
		clear(floors.header)
		floor.login(floors)
	}, func() { redirects(b, w, auth.Login, f.login, issuer+"/authorize?") })
}

// login generates three secrets, seals them into a cookie, and redirects.
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
			f := newFlow(b, alg, 200)
			end := f.ends(b)
			for range f.callbacks {
				end() // records the provider's responses
			}
			floor := &floorCallback{floorGuard: newFloorGuard(b), client: &http.Client{Transport: f.replay}, alg: alg}
			floor.readKey(b, f.replay.answers["/jwks"])
			floor.attempt = floor.sealRecord(make([]byte, 200))
			w, next := &nobody{header: make(http.Header)}, 0
			compare(b, func() {
				clear(w.header)
				if err := floor.callback(w, f.callbacks[next].URL.RawQuery); err != nil {
					b.Fatal(err)
				}
				next = (next + 1) % len(f.callbacks)
			}, end)
		})
	}
}

// floorCallback redeems a code, verifies one signature and seals the identity.
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
			if public.Curve == elliptic.P256() { // the curve of ES256
				f.ecdsa = public
			}
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
		Iss, Sub, Aud, Nonce, Name, Email string
		Exp, Iat                          int64
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return err
	}
	user := floorUser{ends: 1 << 40, issuer: claims.Iss, subject: claims.Sub, name: claims.Name, email: claims.Email}
	const attributes = "; Path=/; Max-Age=43200; HttpOnly; Secure; SameSite=Lax"
	header := w.Header()
	header["Cache-Control"] = []string{"no-store"}
	header["Location"] = []string{"/private"}
	header["Set-Cookie"] = []string{
		"__Host-attempt=" + attributes,
		f.name + f.sealRecord(user.encode()) + attributes,
	}
	w.WriteHeader(http.StatusSeeOther)
	return nil
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
