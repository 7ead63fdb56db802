package provider

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/hostile"
)

func keysIn(t testing.TB, list ...any) *KeySet {
	t.Helper()
	body, err := json.Marshal(map[string]any{"keys": list})
	if err != nil {
		t.Fatal(err)
	}
	set, err := fetchKeys(t.Context(), answering(body), "https://id.example.test/jwks")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// A key with odd additional members is used. A faulty key is skipped with a reason. A key
// for another purpose is ignored.
func TestKeysOfASet(t *testing.T) {
	t.Parallel()
	const used, passedOver = "used", "passed over"
	with := func(name string, value any) func(map[string]any) { return func(k map[string]any) { k[name] = value } }
	for _, test := range []struct {
		name string
		edit func(map[string]any)
		want string // or a part of the reason why the key is skipped
	}{
		{"as it should be", with("use", "sig"), used},
		{"x5c that is no certificate", with("x5c", []string{"AA=="}), used},
		{"x5c of another type", with("x5c", 7), used},
		{"x5t of another length", with("x5t", "AA"), used},
		{"x5t of another type", with("x5t", []string{}), used},
		{"x5t#S256 in hex", with("x5t#S256", "zz"), used},
		{"x5u that is no URL", with("x5u", "://%"), used},
		{"use of another type", with("use", []string{"sig"}), used},
		{"use null", with("use", nil), used},
		{"alg of another type", with("alg", 7), used},
		{"kid of another type", with("kid", 7), used},
		{"key_ops of another type", with("key_ops", "verify"), used},
		{"key_ops null", with("key_ops", nil), used},
		{"key_ops with something odd", with("key_ops", []any{7, "verify"}), used},
		{"issuer of another type", with("issuer", 7), used},
		{"members of other kinds of keys", func(k map[string]any) { k["crv"], k["x"], k["y"], k["pub"] = 7, 7, []int{}, "x" }, used},
		{"private members that are null", func(k map[string]any) { k["d"], k["p"], k["k"] = nil, nil, nil }, used},
		{"unknown members", with("unknown", map[string]any{"a": []any{nil}}), used},
		{"2048 bits", func(k map[string]any) { maps.Copy(k, hostile.RSAKey(2048)) }, used},
		{"4096 bits", func(k map[string]any) { maps.Copy(k, hostile.RSAKey(4096)) }, used},
		{"e of 3", with("e", "Aw"), used},
		{"e of 2^31-1", with("e", "f____w"), used},

		{"use enc", with("use", "enc"), passedOver},
		{"use of its own", with("use", "tls"), passedOver},
		{"kty oct", with("kty", "oct"), passedOver},
		{"kty in small letters", with("kty", "rsa"), passedOver},
		{"kty AKP", with("kty", "AKP"), passedOver},
		{"kty of another type", with("kty", 7), passedOver},
		{"kty missing", func(k map[string]any) { delete(k, "kty") }, passedOver},
		{"an unknown curve", func(k map[string]any) { k["kty"], k["crv"] = "EC", "secp256k1" }, passedOver},
		{"P-224", func(k map[string]any) { k["kty"], k["crv"] = "EC", "P-224" }, passedOver},
		{"Ed448", func(k map[string]any) { k["kty"], k["crv"] = "OKP", "Ed448" }, passedOver},

		{"key_ops without verify", with("key_ops", []string{"sign"}), "key_ops is without verify"},
		{"key_ops empty", with("key_ops", []string{}), "key_ops is without verify"},
		{"1024 bits", func(k map[string]any) { maps.Copy(k, hostile.RSAKey(1024)) }, "an RSA key of 1024 bits; at least 2048"},
		{"2047 bits", func(k map[string]any) { maps.Copy(k, hostile.RSAKey(2047)) }, "an RSA key of 2047 bits"},
		{"4097 bits", func(k map[string]any) { maps.Copy(k, hostile.RSAKey(4097)) }, "RSA modulus size"},
		{"e of 1", with("e", "AQ"), "RSA key"},
		{"e even", with("e", "BA"), "exponent"},
		{"e of 2^31+1", with("e", "gAAAAQ"), "exponent"},
		{"e of 2^64+65537", with("e", "AQAAAAAAAQAB"), "RSA key"},
		{"n missing", func(k map[string]any) { delete(k, "n") }, "missing n"},
		{"n null", with("n", nil), "missing n"},
		{"n a number", with("n", 7), "cannot unmarshal"},
		{"a private key", with("d", "AQAB"), "its private key is published"},
		{"factors", with("p", "AQAB"), "its private key is published"},
		{"factors of another type", with("oth", []any{}), "its private key is published"},
		{"x without its leading zero", func(k map[string]any) {
			k["kty"], k["crv"], k["x"], k["y"] = "EC", "P-256", base64.RawURLEncoding.EncodeToString(make([]byte, 31)), base64.RawURLEncoding.EncodeToString(make([]byte, 32))
		}, "wrong length"},
		{"a point that is on no curve", func(k map[string]any) {
			zeros := base64.RawURLEncoding.EncodeToString(make([]byte, 32))
			k["kty"], k["crv"], k["x"], k["y"] = "EC", "P-256", zeros, zeros
		}, ""},
		{"Ed25519 of 31 bytes", func(k map[string]any) {
			k["kty"], k["crv"], k["x"] = "OKP", "Ed25519", base64.RawURLEncoding.EncodeToString(make([]byte, 31))
		}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			key := hostile.RSAKey(2048)
			key["e"] = "AQAB"
			test.edit(key)
			set := keysIn(t, key)
			switch {
			case test.want == used && (len(set.keys) != 1 || len(set.skipped) != 0),
				test.want == passedOver && (len(set.keys) != 0 || len(set.skipped) != 0):
				t.Errorf("got %+v", set)
			case test.want == used || test.want == passedOver:
			case len(set.keys) != 0 || len(set.skipped) != 1 || !strings.HasPrefix(set.skipped[0], `kid "k": `) || !strings.Contains(set.skipped[0], test.want):
				t.Errorf("got %d keys, and skipped %q", len(set.keys), set.skipped)
			}
		})
	}
}

func TestSetsThatAreOdd(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `{"keys":null}`, `{"keys":7}`, `{"keys":{}}`, `{"keys":"x"}`, `{"keys":[]}`, `{"keys":[null,7,"x",[],{}]}`} {
		set, err := fetchKeys(t.Context(), answering([]byte(body)), "https://id.example.test/jwks")
		if err != nil || len(set.keys) != 0 || len(set.skipped) != 0 {
			t.Errorf("%s: got %+v, %v", body, set, err)
		}
	}
	if _, err := fetchKeys(t.Context(), answering([]byte(`{"keys":[`)), "https://id.example.test/jwks"); err == nil {
		t.Error("half a set is accepted")
	}
	long := strings.Repeat("k", 1000)
	if set := keysIn(t, map[string]any{"kty": "RSA", "kid": long, "n": long, "e": 7}); len(set.skipped) != 1 || len(set.skipped[0]) > 450 {
		t.Errorf("got %q", set.skipped)
	}
}

// The skipped keys are logged once, even if the set is fetched often, and again if they
// change.
func TestSkippedKeysAreLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	weak, encryption := hostile.RSAKey(1024), hostile.RSAKey(2048)
	encryption["use"] = "enc"
	now, body := time.Now(), []byte(nil)
	serve := func(list ...any) {
		encoded, err := json.Marshal(map[string]any{"keys": list})
		if err != nil {
			t.Fatal(err)
		}
		body = encoded
	}
	serve(weak, encryption)
	k := newKeys(func() time.Time { return now }, nil, func(context.Context) (string, error) { return "https://id.example.test/jwks", nil })
	k.log = slog.New(slog.NewTextHandler(&log, nil))
	k.set.load = func(ctx context.Context) (*KeySet, error) {
		set, err := fetchKeys(ctx, answering(body), "https://id.example.test/jwks")
		k.report(ctx, "https://id.example.test/jwks", set.skipped)
		return set, err
	}
	for _, step := range []struct {
		serve []any
		lines int
	}{{[]any{weak, encryption}, 1}, {[]any{encryption, weak}, 1}, {[]any{encryption}, 1}, {[]any{weak}, 2}, {[]any{weak, hostile.RSAKey(1025)}, 3}} {
		serve(step.serve...)
		now = now.Add(2 * time.Hour)
		if _, err := k.set.get(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(log.String(), "\n"); got != step.lines {
			t.Errorf("%d lines, want %d: %s", got, step.lines, log.String())
		}
	}
	if line := log.String(); !strings.Contains(line, "level=WARN") || !strings.Contains(line, "1024 bits") || strings.Contains(line, "AQAB") {
		t.Errorf("logged %s", line)
	}
}

// signedBy signs with a new key, and returns that key as a member of a set.
func signedBy(t testing.TB, kid string) (*jose.JSONWebSignature, map[string]any) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	options := new(jose.SignerOptions)
	if kid != "" {
		options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: private}, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(`{"iss":"https://id.example.test"}`))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.ParseSignedCompact(compact, Asymmetric)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := jose.JSONWebKey{Key: private.Public(), KeyID: kid}.MarshalJSON()
	key := map[string]any{}
	if err == nil {
		err = json.Unmarshal(encoded, &key)
	}
	if err != nil {
		t.Fatal(err)
	}
	return parsed, key
}

// At most maxKeyTries keys are tried for a token, with and without key ids.
func TestFewKeysAreTriedForAToken(t *testing.T) {
	t.Parallel()
	for _, kid := range []string{"", "same"} {
		signed, key := signedBy(t, kid)
		_, other := signedBy(t, kid)
		for _, test := range []struct {
			before int // keys that fit
			more   any // one that does not fit
			want   string
		}{
			{0, nil, ""},
			{maxKeyTries - 1, nil, ""},
			{maxKeyTries, nil, fmt.Sprintf("more than %d keys of the provider fit", maxKeyTries)},
			{maxKeyTries - 1, map[string]any{"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES384", "x": other["x"], "y": other["y"]}, ""},
			{maxKeyTries - 1, rsaKeyOf(kid), ""},
		} {
			var list []any
			for range test.before {
				list = append(list, other)
			}
			if test.more != nil {
				list = append(list, test.more, test.more)
			}
			list = append(list, key)
			_, err := new(keys).verifyWith(t.Context(), keysIn(t, list...), signed)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("kid %q, %d keys before: got %v", kid, test.before, err)
			}
		}
		over, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := new(keys).verifyWith(over, keysIn(t, key), signed); err == nil || !strings.Contains(err.Error(), "canceled") {
			t.Errorf("when the request is over: got %v", err)
		}
	}
}

func rsaKeyOf(kid string) map[string]any {
	key := hostile.RSAKey(2048)
	key["kid"] = kid
	return key
}

// The error says what is missing.
func TestWhyNoKeyVerifies(t *testing.T) {
	t.Parallel()
	signed, key := signedBy(t, "k")
	_, other := signedBy(t, "k")
	for _, test := range []struct {
		list []any
		want string
	}{
		{nil, `the provider has no key with kid "k"`},
		{[]any{rsaKeyOf("other")}, `the provider has no key with kid "k"`},
		{[]any{rsaKeyOf("k")}, `no key of the provider with kid "k" is for ES256`},
		{[]any{other}, "no key of the provider verifies the signature"},
		{[]any{other, key}, ""},
	} {
		_, err := new(keys).verifyWith(t.Context(), keysIn(t, test.list...), signed)
		if got := fmt.Sprint(err); test.want != got && (test.want != "" || err != nil) {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// An RSA key verifies both kinds of RSA signature, and no other key does.
func TestEachAlgorithmHasItsKindOfKey(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set := keysIn(t, jose.JSONWebKey{Key: &rsaKey.PublicKey}, jose.JSONWebKey{Key: &ecKey.PublicKey})
	for alg, key := range map[jose.SignatureAlgorithm]any{jose.RS256: rsaKey, jose.PS256: rsaKey, jose.PS512: rsaKey, jose.ES256: ecKey} {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, nil)
		if err != nil {
			t.Fatal(err)
		}
		made, err := signer.Sign([]byte(hostile.Payload))
		if err != nil {
			t.Fatal(err)
		}
		token, err := made.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		signed, err := jose.ParseSignedCompact(token, Asymmetric)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := new(keys).verifyWith(t.Context(), set, signed); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}
