package provider

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/hostile"
)

// A clerk is a provider that records the forms posted to it, and answers with tokens.
type clerk struct {
	metadata map[string]any
	forms    []url.Values
	headers  []http.Header
}

func (c *clerk) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := map[string]any{
		"issuer": hostile.Issuer, "authorization_endpoint": hostile.Issuer + "/authorize", "token_endpoint": hostile.Issuer + "/token",
		"revocation_endpoint": hostile.Issuer + "/revoke", "jwks_uri": hostile.Issuer + "/jwks",
	}
	maps.Copy(answer, c.metadata)
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		form, _ := url.ParseQuery(string(body))
		c.forms, c.headers = append(c.forms, form), append(c.headers, r.Header)
		answer = map[string]any{"access_token": "access", "token_type": "Bearer", "refresh_token": "refresh"}
	}
	encoded, err := json.Marshal(answer)
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(encoded)), Request: r}, err
}

// clientOf returns a provider without OpenID Connect, where c is all that differs.
func clientOf(at *clerk, c Config) *oauth2Provider {
	c.Issuer, c.ClientID, c.Client, c.Now = hostile.Issuer, "app", NewClient(&http.Client{Transport: at}), func() time.Time { return hostile.Time }
	c.FetchUser = func(context.Context, *http.Client, *Tokens) (map[string]any, error) {
		return map[string]any{"sub": "ada"}, nil
	}
	return newOAuth2Provider(c)
}

func keyOf(t testing.TB, signer crypto.Signer, keyID, alg string) *SigningKey {
	t.Helper()
	key, err := NewSigningKey(signer, keyID, alg)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func secretOf(secret string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return secret, nil }
}

var (
	rsaKey, _  = rsa.GenerateKey(rand.Reader, 2048)
	p256Key, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	noCert     = func() (*tls.Certificate, error) { return nil, errors.New("no certificate") }
	longSecret = strings.Repeat("canary-secret-", 5)
)

func TestHowAClientAuthenticates(t *testing.T) {
	t.Parallel()
	key := []*SigningKey{keyOf(t, p256Key, "", "")}
	secret := secretOf("secret")
	for _, test := range []struct {
		config    Config
		announced string
		want      string // a method, or a part of the error
	}{
		{Config{}, "", authNone},
		{Config{}, "client_secret_basic private_key_jwt", authNone},
		{Config{Secret: secret}, "", authSecretBasic},
		{Config{Secret: secret}, "client_secret_post", authSecretPost},
		{Config{Secret: secret}, "client_secret_post client_secret_basic", authSecretBasic},
		{Config{Secret: secret}, "client_secret_jwt client_secret_post", authSecretPost},
		{Config{Secret: secret}, "client_secret_jwt", authSecretJWT},
		{Config{Secret: secret}, "none private_key_jwt", `has "none private_key_jwt", and this client can use ["client_secret_basic" "client_secret_post" "client_secret_jwt"]`},
		{Config{Secret: secret, AuthMethod: authSecretPost}, "client_secret_basic", authSecretPost},
		{Config{Secret: secret, AuthMethod: authSecretBasic}, "private_key_jwt", authSecretBasic},
		{Config{Secret: secret, AuthMethod: authSecretJWT}, "", authSecretJWT},
		{Config{Secret: secret, AuthMethod: authSecretJWT}, "client_secret_basic", `token_endpoint_auth_methods_supported has "client_secret_basic", and Client.AuthMethod is client_secret_jwt`},
		{Config{AuthMethod: authSecretPost}, "client_secret_post", authNone},
		{Config{SigningKeys: key}, "", authPrivateKeyJWT},
		{Config{SigningKeys: key}, "client_secret_basic private_key_jwt", authPrivateKeyJWT},
		{Config{SigningKeys: key}, "client_secret_basic none", `and this client can use ["private_key_jwt"]`},
		{Config{SigningKeys: key, SignedRequest: true}, "client_secret_basic none", authNone},
		{Config{SigningKeys: key, SignedRequest: true}, "client_secret_basic", `and this client can use ["private_key_jwt"]`},
		{Config{SigningKeys: key, Secret: secret}, "", authSecretBasic},
		{Config{SigningKeys: key, Secret: secret}, "client_secret_basic private_key_jwt", authPrivateKeyJWT},
		{Config{SigningKeys: key, Secret: secret}, "client_secret_basic none", authSecretBasic},
		{Config{SigningKeys: key, Secret: secret, AuthMethod: authSecretBasic}, "private_key_jwt", authSecretBasic},
		{Config{SigningKeys: key, Secret: secret, AuthMethod: authPrivateKeyJWT}, "", authPrivateKeyJWT},
		{Config{SigningKeys: key, AuthMethod: authPrivateKeyJWT}, "client_secret_basic", "Client.AuthMethod is private_key_jwt"},
		{Config{Certificate: noCert}, "", authTLS},
		{Config{Certificate: noCert}, "self_signed_tls_client_auth client_secret_basic", authSelfSignedTLS},
		{Config{Certificate: noCert}, "none", authNone},
		{Config{Certificate: noCert, Secret: secret}, "client_secret_basic", authSecretBasic},
		{Config{Certificate: noCert, Secret: secret}, "client_secret_basic tls_client_auth", authTLS},
		{Config{Certificate: noCert, SigningKeys: key}, "tls_client_auth private_key_jwt", authPrivateKeyJWT},
		{Config{Certificate: noCert, SigningKeys: key, AuthMethod: authTLS}, "tls_client_auth private_key_jwt", authTLS},
		{Config{Certificate: noCert, AuthMethod: authTLS}, "self_signed_tls_client_auth", "Client.AuthMethod is tls_client_auth"},
	} {
		got, err := test.config.authMethod(strings.Fields(test.announced))
		if err != nil {
			got = err.Error()
		}
		if strings.HasPrefix(got, "discovery: ") != (got != test.want) || !strings.Contains(got, test.want) {
			t.Errorf("%v, %v, %q: got %s, want %s", test.config.AuthMethod, test.config.Secret != nil, test.announced, got, test.want)
		}
	}
}

func TestAlgorithmsOfAssertions(t *testing.T) {
	t.Parallel()
	p384, _ := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	p521, _ := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for _, test := range []struct {
		signer    crypto.Signer // nil: client_secret_jwt
		alg       string
		announced string
		want      string // or a part of the error
	}{
		{rsaKey, "", "", "PS256"},
		{rsaKey, "", "RS256 PS256 ES256", "PS256"},
		{rsaKey, "", "RS256 ES256", "RS256"},
		{rsaKey, "", "PS512", "PS512"},
		{rsaKey, "RS256", "", "RS256"},
		{rsaKey, "RS256", "PS256 RS256", "RS256"},
		{rsaKey, "RS256", "PS256", `signs by ["RS256"], and token_endpoint_auth_signing_alg_values_supported has "PS256"`},
		{rsaKey, "", "ES256", "token_endpoint_auth_signing_alg_values_supported"},
		{p256Key, "", "", "ES256"},
		{p256Key, "", "RS256 ES256", "ES256"},
		{p256Key, "", "ES384", "token_endpoint_auth_signing_alg_values_supported"},
		{p384, "", "ES256 ES384", "ES384"},
		{p521, "", "", "ES512"},
		{ed, "", "EdDSA", "EdDSA"},
		{ed, "", "none", "token_endpoint_auth_signing_alg_values_supported"},
		{nil, "", "", "HS256"},
		{nil, "", "RS256 HS512 HS256", "HS256"},
		{nil, "", "RS256 HS512 HS384", "HS384"},
		{nil, "", "HS512", "HS512"},
		{nil, "", "RS256", `token_endpoint_auth_signing_alg_values_supported has "RS256", and client_secret_jwt signs by`},
	} {
		t.Run("rule 130: "+test.alg+" of "+test.announced, func(t *testing.T) {
			at := &clerk{metadata: map[string]any{"token_endpoint_auth_methods_supported": []string{authPrivateKeyJWT, authSecretJWT}}}
			if test.announced != "" {
				at.metadata["token_endpoint_auth_signing_alg_values_supported"] = strings.Fields(test.announced)
			}
			config := Config{Secret: secretOf(longSecret)}
			if test.signer != nil {
				config = Config{SigningKeys: []*SigningKey{keyOf(t, test.signer, "", test.alg)}}
			}
			p := clientOf(at, config)
			_, err := p.AuthorizationURL(t.Context(), Request{}, nil)
			if err != nil { // before the browser is sent away
				if failure := new(Error); !errors.As(err, &failure) || failure.Code != CodeMetadata || !strings.Contains(err.Error(), test.want) || len(at.forms) > 0 {
					t.Errorf("%T %s %s: got %v", test.signer, test.alg, test.announced, err)
				}
				return
			}
			if _, err := p.Redeem(t.Context(), "code", Request{}); err != nil {
				t.Fatal(err)
			}
			var key any = []byte(longSecret)
			if test.signer != nil {
				key = test.signer.Public()
			}
			signed, err := jose.ParseSignedCompact(at.forms[0].Get("client_assertion"), []jose.SignatureAlgorithm{jose.SignatureAlgorithm(test.want)})
			if err != nil {
				t.Errorf("%T %s %s: want %s: %v", test.signer, test.alg, test.announced, test.want, err)
			} else if _, err := signed.Verify(key); err != nil {
				t.Errorf("%T %s %s: %v", test.signer, test.alg, test.announced, err)
			}
		})
	}
}

// What a key with a certificate signs has the certificate's thumbprint, and so has its JWK.
func TestACertificateForASigningKey(t *testing.T) {
	t.Parallel()
	certificate := certificateOf(t, rsaKey)
	key := keyOf(t, rsaKey, "", "")
	if err := key.Certify(certificateOf(t, p256Key)); err == nil || !strings.Contains(err.Error(), "has a Certificate for another key") {
		t.Errorf("the certificate of another key: got %v", err)
	}
	if err := key.Certify(certificate); err != nil {
		t.Fatal(err)
	}
	at := new(clerk)
	p := clientOf(at, Config{SigningKeys: []*SigningKey{key}, AssertionAudience: "https://id.example.test/tenant/token"})
	if _, err := p.Redeem(t.Context(), "code", Request{}); err != nil {
		t.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(at.forms[0].Get("client_assertion"), []jose.SignatureAlgorithm{jose.PS256})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := signed.Verify(certificate.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(certificate.Raw)
	header := signed.Signatures[0].Protected
	if got, want := header.ExtraHeaders["x5t#S256"], base64.RawURLEncoding.EncodeToString(sum[:]); got != want || header.KeyID != key.Public().KeyID {
		t.Errorf("got x5t#S256 %v and kid %q, want %s", got, header.KeyID, want)
	}
	if claims := string(payload); !strings.Contains(claims, `"aud":"https://id.example.test/tenant/token"`) {
		t.Errorf("got %s", claims)
	}
	published, err := json.Marshal(key.Public())
	if err != nil || !strings.Contains(string(published), `"x5c":[`) || !strings.Contains(string(published), `"x5t#S256":"`) || strings.Contains(string(published), `"d"`) {
		t.Errorf("got %s, %v", published, err)
	}
}

// certificateOf returns a certificate for a key, signed by itself.
func certificateOf(t testing.TB, key crypto.Signer) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: hostile.Time.AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// RFC 7518 section 3.5: the salt is as long as the hash. Our own verification accepts any.
func TestTheSaltOfPSS(t *testing.T) {
	t.Parallel()
	for alg, hash := range map[jose.SignatureAlgorithm]crypto.Hash{jose.PS256: crypto.SHA256, jose.PS384: crypto.SHA384, jose.PS512: crypto.SHA512} {
		token, err := keyOf(t, rsaKey, "", string(alg)).sign(t.Context(), alg, "JWT", map[string]any{"iss": "app"})
		if err != nil {
			t.Fatal(err)
		}
		end := strings.LastIndex(token, ".")
		signature, err := base64.RawURLEncoding.DecodeString(token[end+1:])
		if err != nil {
			t.Fatal(err)
		}
		digest := hash.New()
		digest.Write([]byte(token[:end]))
		if err := rsa.VerifyPSS(&rsaKey.PublicKey, hash, digest.Sum(nil), signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
	}
}

func TestAClientSecretThatIsSigned(t *testing.T) {
	t.Parallel()
	secret, err := keyOf(t, p256Key, "key-1", "").ClientSecret(t.Context(), map[string]any{"iss": "team"})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(secret, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil || signed.Signatures[0].Protected.KeyID != "key-1" {
		t.Fatalf("got %s, %v", secret, err)
	}
	if payload, err := signed.Verify(p256Key.Public()); err != nil || string(payload) != `{"iss":"team"}` {
		t.Errorf("got %s, %v", payload, err)
	}
}

// Each request has an assertion of its own, and nothing else that authenticates.
func TestAssertions(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]Config{
		"rule 129: private_key_jwt":           {SigningKeys: []*SigningKey{keyOf(t, p256Key, "", ""), keyOf(t, rsaKey, "next", "")}},
		"private_key_jwt, with a name":        {SigningKeys: []*SigningKey{keyOf(t, rsaKey, "key-1", "RS256")}},
		"rule 129: client_secret_jwt":         {Secret: secretOf(longSecret), AuthMethod: authSecretJWT},
		"private_key_jwt, beside a secret":    {SigningKeys: []*SigningKey{keyOf(t, p256Key, "", "")}, Secret: secretOf(longSecret), AuthMethod: authPrivateKeyJWT},
		"private_key_jwt, of an Entra tenant": {SigningKeys: []*SigningKey{keyOf(t, p256Key, "", "")}, Tenants: []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := new(clerk)
			p := clientOf(at, config)
			identity, err := p.Redeem(t.Context(), "code", Request{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Refresh(t.Context(), identity.Tokens, "", ""); err != nil {
				t.Fatal(err)
			}
			if err := p.Revoke(t.Context(), identity.Tokens); err != nil {
				t.Fatal(err)
			}
			if len(at.forms) != 3 {
				t.Fatalf("%d requests", len(at.forms))
			}
			seen := make(map[string]bool)
			for i, form := range at.forms {
				if form.Get("client_id") != "app" || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" ||
					form.Has("client_secret") || at.headers[i].Get("Authorization") != "" {
					t.Errorf("sent %v, %v", form, at.headers[i])
				}
				signed, err := jose.ParseSignedCompact(form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.ES256, jose.RS256, jose.HS256})
				if err != nil {
					t.Fatal(err)
				}
				var key any = []byte(longSecret)
				kid := ""
				if strings.Contains(name, "private") {
					key, kid = config.SigningKeys[0].public.Key, config.SigningKeys[0].public.KeyID
				}
				payload, err := signed.Verify(key)
				if header := signed.Signatures[0].Header; err != nil || header.KeyID != kid || header.ExtraHeaders["typ"] != "JWT" || header.JSONWebKey != nil {
					t.Errorf("%v: the header is %+v", err, header)
				}
				var claims map[string]any
				if err := json.Unmarshal(payload, &claims); err != nil {
					t.Fatal(err)
				}
				jti, _ := claims["jti"].(string)
				delete(claims, "jti")
				if got, want := fmt.Sprint(claims), "map[aud:https://id.example.test exp:1.70000006e+09 iat:1.7e+09 iss:app sub:app]"; got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				if len(jti) < 22 || seen[jti] {
					t.Errorf("jti %q", jti)
				}
				seen[jti] = true
			}
		})
	}
}

// brokenSigner is a KMS that repeats in its error what it was to sign.
type brokenSigner struct {
	crypto.Signer
	sign func(input []byte) ([]byte, error)
}

func (s brokenSigner) Sign(_ io.Reader, input []byte, _ crypto.SignerOpts) ([]byte, error) {
	return s.sign(input)
}

var errKMS = errors.New("kms: access denied")

// A key that is unavailable is an outage. Nothing is sent, and no log has the input.
func TestSignersThatFail(t *testing.T) {
	t.Parallel()
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for name, format := range map[string]string{"plainly": "", "a panic": "panic", "text": "%s", "quoted": "%q", "hex": "%x", "HEX": "%X", "numbers": "%v"} {
		for _, key := range []crypto.Signer{p256Key, rsaKey, ed} {
			t.Run(fmt.Sprintf("%s, %T", name, key), func(t *testing.T) {
				t.Parallel()
				var secrets []string
				sign := func(input []byte) ([]byte, error) {
					text := fmt.Sprintf(format, input)
					secrets = append(strings.Split(string(input), "."), strings.Trim(text, `[]"`))
					switch format {
					case "":
						return nil, errKMS
					case "panic":
						panic(string(input))
					}
					return nil, fmt.Errorf("%w for %s (request 7)", errKMS, text)
				}
				at := new(clerk)
				p := clientOf(at, Config{SigningKeys: []*SigningKey{keyOf(t, brokenSigner{key, sign}, "", "")}})
				_, err := p.Redeem(t.Context(), "code", Request{})
				failed := new(Error)
				if !errors.As(err, &failed) || failed.Code != CodeCredential || len(at.forms) > 0 || errors.Is(err, errKMS) != (format != "panic") {
					t.Fatalf("got %v, with %d requests", err, len(at.forms))
				}
				for _, secret := range secrets {
					if len(secret) >= 8 && strings.Contains(err.Error(), secret) {
						t.Errorf("%q is in %v", secret, err)
					}
				}
				if told := strings.Contains(err.Error(), "kms: access denied"); told != (format != "panic") {
					t.Errorf("the log has %v", err)
				}
			})
		}
	}
}

// A signer that hangs delays a request for a limited time, and holds up a limited number
// of goroutines.
func TestSignersThatHang(t *testing.T) {
	t.Parallel()
	release := make(chan bool)
	var asked atomic.Int32
	key := keyOf(t, brokenSigner{p256Key, func([]byte) ([]byte, error) { asked.Add(1); <-release; return nil, errKMS }}, "", "")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var all sync.WaitGroup
	for range maxKeyUses + 10 {
		all.Go(func() {
			failed := new(Error)
			if _, err := key.sign(ctx, "ES256", "JWT", nil); !errors.As(err, &failed) || failed.Code != CodeCredential || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	if got := asked.Load(); got > maxKeyUses {
		t.Errorf("%d at a time", got)
	}
	close(release)
}

// A secret that is too short to sign by is an outage, and not sent in another way.
func TestShortSecretsDoNotSign(t *testing.T) {
	t.Parallel()
	for alg, least := range map[string]int{"HS256": 32, "HS384": 48, "HS512": 64} {
		for _, n := range []int{0, least - 1, least} {
			at := &clerk{metadata: map[string]any{"token_endpoint_auth_signing_alg_values_supported": []string{alg}}}
			p := clientOf(at, Config{AuthMethod: authSecretJWT, Secret: secretOf(strings.Repeat("s", n))})
			_, err := p.Redeem(t.Context(), "code", Request{})
			if failed := new(Error); n < least && (!errors.As(err, &failed) || failed.Code != CodeCredential || len(at.forms) > 0) || n == least && err != nil {
				t.Errorf("%s with %d bytes: got %v, with %d requests", alg, n, err, len(at.forms))
			}
		}
	}
}

func TestKeysThatCannotSign(t *testing.T) {
	t.Parallel()
	small := brokenSigner{Signer: crypto.Signer(&rsa.PrivateKey{PublicKey: rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}})}
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	for _, test := range []struct {
		signer crypto.Signer
		alg    string
		want   string
	}{
		{nil, "", "has no Signer"},
		{(*rsa.PrivateKey)(nil), "", "is it a nil pointer?"},
		{(*ecdsa.PrivateKey)(nil), "", "is it a nil pointer?"},
		{&rsa.PrivateKey{}, "", "or an empty key"},
		{&ecdsa.PrivateKey{}, "", "or an empty key"},
		{small, "", "1024"},
		{p224, "", "or on another curve"},
		{ed25519.PrivateKey(nil), "", "is it a nil pointer?"},
		{p256Key, "RS256", `has Alg "RS256", which is not for its key`},
		{rsaKey, "none", `has Alg "none"`},
		{rsaKey, "HS256", `has Alg "HS256"`},
	} {
		if _, err := NewSigningKey(test.signer, "", test.alg); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%T %s: got %v", test.signer, test.alg, err)
		}
	}
}
