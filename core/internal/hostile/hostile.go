package hostile

import (
	"bytes"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Issuer is the issuer of the provider. Its client is "app".
const Issuer = "https://id.example.test"

const answerBytes = 1 << 20 // limit of a response

// The provider signs with a fixed Ed25519 key, so that all processes of the fuzzer
// agree on which tokens are genuine.
var (
	Key     = ed25519.NewKeyFromSeed([]byte("0123456789abcdef0123456789abcdef"))
	Time    = time.Unix(1_700_000_000, 0)
	Payload = Claims("sub", `"ada"`)
)

// Claims returns valid claims of an ID token, with one of them set to value.
func Claims(name, value string) []byte {
	claims := map[string]json.RawMessage{
		"iss": []byte(`"https://id.example.test"`), "aud": []byte(`"app"`), "sub": []byte(`"ada"`), "nonce": []byte(`"n"`),
		"iat": []byte("1700000000"), "exp": []byte("1700000300"),
	}
	claims[name] = []byte(value)
	encoded, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return encoded
}

// JWKS returns a key set with the public key of Key.
func JWKS() []byte {
	encoded, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: Key.Public(), KeyID: "1", Algorithm: "EdDSA", Use: "sig"}}})
	if err != nil {
		panic(err)
	}
	return encoded
}

// Token returns a token of header and payload with a genuine signature.
func Token(header string, payload []byte) string {
	signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	return signed + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(Key, []byte(signed)))
}

// Header is the header of a valid ID token.
const Header = `{"alg":"EdDSA","kid":"1"}`

// Signed reports whether Key has signed a token. It does not use a JWT library.
func Signed(token string) bool {
	at := strings.LastIndex(token, ".")
	signature, err := base64.RawURLEncoding.DecodeString(token[at+1:])
	public, ok := Key.Public().(ed25519.PublicKey)
	return ok && err == nil && ed25519.Verify(public, []byte(token[:at]), signature)
}

// RSAKey returns a public RSA key with a modulus of bits bits. Its modulus is not a
// product of two known primes, which reading the key does not need.
func RSAKey(bits int) map[string]any {
	modulus := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	modulus.SetBit(modulus, 0, 1)
	return map[string]any{"kty": "RSA", "kid": "k", "n": base64.RawURLEncoding.EncodeToString(modulus.Bytes()), "e": "AQAB"}
}

// LogoutHeader is the header of a valid logout token.
const LogoutHeader = `{"alg":"EdDSA","kid":"1","typ":"logout+jwt"}`

// LogoutClaims returns valid claims of a logout token, with one of them set to value.
func LogoutClaims(name, value string) []byte {
	claims := map[string]json.RawMessage{
		"iss": []byte(`"https://id.example.test"`), "aud": []byte(`"app"`), "sub": []byte(`"ada"`), "sid": []byte(`"s"`), "jti": []byte(`"j"`),
		"iat": []byte("1700000000"), "exp": []byte("1700000300"), "events": []byte(`{"http://schemas.openid.net/event/backchannel-logout":{}}`),
	}
	claims[name] = []byte(value)
	encoded, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return encoded
}

// RoundTrip is a function that implements [http.RoundTripper].
type RoundTrip func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f RoundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Costs runs f, and fails the test if f allocates more than most bytes, times
// [Slack]. The time limit allows for slow machines: f usually takes a hundredth of it.
func Costs(t *testing.T, name string, most uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	begun := time.Now()
	f()
	took := time.Since(begun)
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > most*Slack || took > 3*Slack*time.Second {
		t.Errorf("%s: %d bytes, want at most %d, in %s", name, got, most*Slack, took)
	} else {
		t.Logf("%s: %d bytes in %s", name, got, took)
	}
}

// fill repeats piece between begin and end, up to nearly answerBytes.
func fill(begin, piece, end string) []byte {
	n := (answerBytes - len(begin) - len(end)) / len(piece)
	return []byte(begin + strings.Repeat(piece, n) + end)
}

// KeySets returns hostile key sets by name, as large as a response may be.
func KeySets(t testing.TB) map[string][]byte {
	t.Helper()
	key := func(edit func(map[string]any)) string {
		k := RSAKey(4096)
		delete(k, "kid")
		k["e"] = "f____w"
		edit(k)
		encoded, err := json.Marshal(k)
		if err != nil {
			t.Fatal(err)
		}
		return string(encoded)
	}
	params := elliptic.P521().Params()
	x := base64.RawURLEncoding.EncodeToString(params.Gx.FillBytes(make([]byte, 66)))
	y := base64.RawURLEncoding.EncodeToString(params.Gy.FillBytes(make([]byte, 66)))
	const begin, end = `{"keys":[`, `{}]}`
	return map[string][]byte{
		"RSA keys of 4096 bits":     fill(begin, key(func(map[string]any) {})+",", end),
		"keys of the curve P-521":   fill(begin, `{"kty":"EC","crv":"P-521","x":"`+x+`","y":"`+y+`"},`, end),
		"keys of one name":          fill(begin, key(func(k map[string]any) { k["kid"] = "1" })+",", end),
		"weak keys with long names": fill(begin, `{"kty":"RSA","n":"AQAB","e":"AQAB","kid":"`+strings.Repeat("k", 5000)+`"},`, end),
		"one enormous key":          fill(begin+`{"kty":"RSA","e":"AQAB","n":"`, "_", `"},`+end),
		"one enormous exponent":     fill(begin+`{"kty":"RSA","n":"AQAB","e":"`, "_", `"},`+end),
		"numbers":                   fill(begin, "0,", end),
		"objects":                   fill(begin, "{},", end),
		"members":                   fill(begin+`{"kty":"RSA"`, `,"a":0`, `},`+end),
		"certificates":              fill(begin+`{"kty":"RSA","n":"AQAB","e":"AQAB","x5c":["AA=="`, `,"AA=="`, `]},`+end),
		"arrays in arrays":          fill(begin, "[", ""),
	}
}

// Forged returns a token with a wrong signature, as long as one by the largest key.
func Forged(header string, payload []byte) string {
	length := 512
	if strings.Contains(header, "ES512") {
		length = 132
	}
	signature := bytes.Repeat([]byte{1}, length)
	return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Members returns n members of a JSON object, each after a comma.
func Members(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"m%d":0`, i)
	}
	return b.String()
}

// ManyMembers returns valid claims of a logout token with n further members.
func ManyMembers(n int) []byte {
	p := string(LogoutClaims("sub", `"ada"`))
	return []byte(p[:len(p)-1] + Members(n) + "}")
}
