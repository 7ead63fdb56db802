package provider

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/hostile"
)

var fuzzConfig = &Config{Issuer: hostile.Issuer, ClientID: "app"}

func keysFrom(body []byte) *keys {
	return newKeys(time.Now, answering(body), func(context.Context) (string, error) { return "https://id.example.test/jwks", nil })
}

// A token without a genuine signature is never accepted, in any encoding.
func FuzzIDToken(f *testing.F) {
	good := hostile.Token(hostile.Header, hostile.Payload)
	parts := strings.Split(good, ".")
	for _, seed := range []string{
		good, "", ".", "..", "a.b.c", parts[0] + "." + parts[1][:len(parts[1])-1] + "R." + parts[2], parts[0] + "." + parts[1] + "\n." + parts[2], parts[0] + "." + parts[1] + ".", parts[0] + ".." + parts[2], good + ".", good + "=", " " + good,
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"1"}`)) + "." + parts[1] + "." + parts[2],
		base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","jwk":{"kty":"OKP","crv":"Ed25519","x":"AA"}}`)) + "." + parts[1] + "." + parts[2],
		`{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
	} {
		f.Add(seed)
	}
	want, err := DecodeClaims(hostile.Payload)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if strings.Count(token, ".") != 2 {
			// Nothing is fetched for a text that cannot be a token.
			checkNoToken(t, token)
			return
		}
		tokens := idTokens{config: fuzzConfig, keys: keysFrom(hostile.JWKS()), now: func() time.Time { return hostile.Time }}
		got, err := tokens.verify(t.Context(), token, "access", "n", Asymmetric)
		if (err == nil) != (got != nil) {
			t.Fatalf("%q: got %v and %v", token, got, err)
		}
		if err == nil && !hostile.Signed(token) {
			t.Fatalf("%q passes without a genuine signature", token)
		}
		if err == nil && !maps.EqualFunc(got, want, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Fatalf("%q passes with %v", token, got)
		}
		if token == good && err != nil {
			t.Fatalf("the genuine one: %v", err)
		}
	})
}

func checkNoToken(t *testing.T, token string) {
	t.Helper()
	tokens := idTokens{now: time.Now, keys: newKeys(time.Now, answering(nil), func(context.Context) (string, error) {
		t.Fatalf("%q has the keys fetched", token)
		return "", nil
	})}
	if _, err := tokens.verify(t.Context(), token, "", "", Asymmetric); err == nil {
		t.Fatalf("%q passes", token)
	}
}

// The claims of a genuinely signed token are checked: a token that passes has one
// audience and one subject, and is valid now.
func FuzzIDTokenClaims(f *testing.F) {
	f.Add(hostile.Header, hostile.Payload)
	for _, typ := range []string{`"at+jwt"`, `"JWT"`, `"application/jwt"`, `null`, `7`, `""`, `"example+jwt"`} {
		f.Add(`{"alg":"EdDSA","typ":`+typ+`}`, hostile.Payload)
	}
	for _, name := range []string{"azp", "auth_time", "at_hash", "events", "nonce", "sub", "aud", "exp"} {
		f.Add(hostile.Header, hostile.Claims(name, "null"))
	}
	f.Add(`{"alg":"EdDSA","crit":["b64"],"b64":false}`, hostile.Payload)
	for _, change := range [][2]string{
		{"aud", `["app","b"]`}, {"aud", `["app"]`}, {"aud", `"application"`}, {"azp", `"b"`}, {"exp", "1e3"}, {"exp", `"1700000300"`}, {"exp", "null"},
		{"nbf", "1800000000"}, {"iat", "1"}, {"sub", `""`}, {"sub", "7"}, {"nonce", `"m"`}, {"iss", `"https://id.example.test/"`}, {"events", "{}"}, {"at_hash", `""`},
	} {
		f.Add(hostile.Header, hostile.Claims(change[0], change[1]))
	}
	f.Add(hostile.Header, []byte(`{"sub":"eve",`+string(hostile.Payload[1:])))
	f.Add(hostile.Header, []byte(`{"SUB":"eve",`+string(hostile.Payload[1:])))
	f.Fuzz(func(t *testing.T, header string, payload []byte) {
		tokens := idTokens{config: fuzzConfig, keys: keysFrom(hostile.JWKS()), now: func() time.Time { return hostile.Time }}
		if _, err := tokens.verify(t.Context(), hostile.Token(header, payload), "access", "n", Asymmetric); err != nil {
			return
		}
		var kind map[string]any
		if err := json.Unmarshal([]byte(header), &kind); err != nil {
			t.Fatalf("header %q passes: %v", header, err)
		}
		if typ, _ := kind["typ"].(string); kind["typ"] != nil && strings.TrimPrefix(strings.ToLower(typ), "application/") != "jwt" {
			t.Fatalf("header %q passes", header)
		}
		// Another kind of reader: it ignores the case of names, and takes the last of two.
		var said struct {
			Issuer   string          `json:"iss"`
			Audience json.RawMessage `json:"aud"`
			Subject  string          `json:"sub"`
			Nonce    string          `json:"nonce"`
			Expires  float64         `json:"exp"`
		}
		decoder := json.NewDecoder(strings.NewReader(string(payload)))
		var exact map[string]json.RawMessage
		if err := json.Unmarshal(payload, &exact); err != nil {
			t.Fatalf("%q passes, and is no JSON object: %v", payload, err)
		}
		for name := range exact {
			for _, ours := range []string{"iss", "aud", "sub", "nonce", "exp"} {
				if name != ours && strings.EqualFold(name, ours) {
					t.Skip("two readers may differ about it; this library matches to the letter")
				}
			}
		}
		if err := decoder.Decode(&said); err != nil {
			t.Fatalf("%q passes: %v", payload, err)
		}
		if aud := string(said.Audience); said.Issuer != "https://id.example.test" || said.Nonce != "n" || said.Subject == "" ||
			said.Expires <= 1_700_000_000 || !strings.Contains(aud, "app") && !strings.Contains(aud, `\u`) {
			t.Fatalf("%q passes", payload)
		}
	})
}

// All keys that are read from any key set are public and for signatures. A token is
// accepted only if the key that signed it is among them.
func FuzzKeySet(f *testing.F) {
	genuine := string(hostile.JWKS())
	for _, seed := range []string{
		genuine, `{}`, `null`, `{"keys":null}`, `{"keys":[null,7,"x",{}]}`, `{"keys":[{"kty":"oct","k":"AAAA","kid":"1"}]}`,
		`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA","kid":"1"}]}`, strings.Replace(genuine, `"sig"`, `"enc"`, 1),
		strings.Replace(genuine, `"EdDSA"`, `"RS256"`, 1), strings.Replace(genuine, `"keys":[`, `"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},`, 1),
		`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},{"kty":"RSA","n":"","e":""},{"kty":"EC","crv":"P-256","x":"","y":""}]}`,
		`{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB","x5c":["AA=="],"x5t":"AA"}]}`,
		strings.Replace(genuine, `"use":"sig"`, `"use":["sig"],"x5c":["AA==",7],"x5t":7,"x5u":"%","key_ops":"verify","n":7,"issuer":null`, 1),
		strings.Replace(genuine, `"use":"sig"`, `"key_ops":["sign"]`, 1), strings.Replace(genuine, `"use":"sig"`, `"d":"AA"`, 1),
		`{"keys":[` + strings.Repeat("{},", 200) + genuine[len(`{"keys":[`):],
	} {
		f.Add([]byte(seed))
	}
	signed, err := jose.ParseSignedCompact(hostile.Token(hostile.Header, hostile.Payload), Asymmetric)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		set, err := fetchKeys(t.Context(), answering(body), "https://id.example.test/jwks")
		if err != nil {
			return
		}
		if len(set.keys) > maxKeys || len(set.skipped) > maxKeys+1 {
			t.Fatalf("%d keys, and %d are skipped", len(set.keys), len(set.skipped))
		}
		present := false
		for _, key := range set.keys {
			if rsaKey, ok := key.Key.(*rsa.PublicKey); !key.IsPublic() || !key.Valid() || len(key.Certificates) > 0 || ok && rsaKey.N.BitLen() < 2048 {
				t.Fatalf("%q has key %+v", body, key)
			}
			public, ok := key.Key.(ed25519.PublicKey)
			present = present || ok && public.Equal(hostile.Key.Public())
		}
		payload, err := new(keys).verifyWith(t.Context(), set, signed)
		if err == nil && (!present || string(payload) != string(hostile.Payload)) {
			t.Fatalf("%q verifies %q", body, payload)
		}
	})
}
