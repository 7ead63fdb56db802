package core_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

var decryptionRSA, _ = rsa.GenerateKey(rand.Reader, 2048)

func onCurve(curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

var decryptionEC = onCurve(elliptic.P256())

// decrypter is an RSA key that nobody can read.
type decrypter struct {
	key   *rsa.PrivateKey
	asked *atomic.Int32
	fails error
}

func (k decrypter) Public() crypto.PublicKey { return k.key.Public() }

func (k decrypter) Decrypt(random io.Reader, text []byte, options crypto.DecrypterOpts) ([]byte, error) {
	k.asked.Add(1)
	if k.fails != nil {
		return nil, k.fails
	}
	return k.key.Decrypt(random, text, options)
}

// encryptsTo registers a public key to which the provider encrypts.
func encryptsTo(t testing.TB, public crypto.PublicKey, alg, enc string) func(*logintest.Client) {
	t.Helper()
	encoded, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: public, Use: "enc"}}})
	if err != nil {
		t.Fatal(err)
	}
	return func(c *logintest.Client) {
		c.Keys = encoded
		c.EncryptIDToken, c.EncryptUserInfo = logintest.Encryption{Alg: alg, Enc: enc}, logintest.Encryption{Alg: alg, Enc: enc}
	}
}

func decryptsWith(keys ...crypto.PrivateKey) func(*core.Config) {
	return func(c *core.Config) { c.Providers[0].Client.DecryptionKeys = keys }
}

// encrypted returns a JWE. The options may change the header.
func encrypted(t testing.TB, text string, key any, alg, enc string, change ...func(*jose.EncrypterOptions)) string {
	t.Helper()
	options := new(jose.EncrypterOptions)
	for _, f := range change {
		f(options)
	}
	encrypter, err := jose.NewEncrypter(jose.ContentEncryption(enc), jose.Recipient{Algorithm: jose.KeyAlgorithm(alg), Key: key, PBES2Count: 1000}, options) // by default it takes long, and a busy machine too long
	if err != nil {
		t.Fatal(err)
	}
	object, err := encrypter.Encrypt([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	token, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// Tokens that are encrypted in each accepted way log a user in, and refresh. The provider
// gets the signed ID token as hint for the logout, which it can read.
func TestEncryptedLogins(t *testing.T) {
	t.Parallel()
	onP384, _ := ecdh.P384().GenerateKey(rand.Reader)
	onP384Public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P384(), onP384.PublicKey().Bytes())
	if err != nil {
		t.Fatal(err)
	}
	onP521 := onCurve(elliptic.P521())
	for _, test := range []struct {
		name    string
		private crypto.PrivateKey
		public  crypto.PublicKey
		algs    []string
	}{
		{"an RSA key", decryptionRSA, decryptionRSA.Public(), []string{"RSA-OAEP", "RSA-OAEP-256"}},
		{"an RSA key in a KMS", decrypter{key: decryptionRSA, asked: new(atomic.Int32)}, decryptionRSA.Public(), []string{"RSA-OAEP", "RSA-OAEP-256"}},
		{"a key on P-256", decryptionEC, decryptionEC.Public(), []string{"ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"}},
		{"an ECDH key on P-384", onP384, onP384Public, []string{"ECDH-ES", "ECDH-ES+A256KW"}},
		{"a key on P-521", onP521, onP521.Public(), []string{"ECDH-ES"}},
	} {
		for _, alg := range test.algs {
			for _, enc := range []string{"A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"} {
				t.Run("rule 159: "+test.name+", "+alg+", "+enc, func(t *testing.T) {
					t.Parallel()
					var inner string
					g := newRigOf(t, encryptsTo(t, test.public, alg, enc), keepTokens, decryptsWith(test.private), func(c *core.Config) {
						c.Providers[0].Requests.UserInfo = true
					})
					var seen atomic.Int32
					g.provider.Misbehave(logintest.Faults{Encrypted: func(signed, encrypted string) string {
						seen.Add(1)
						if claimsIn(t, signed)["nonce"] != nil {
							inner = signed
						}
						return encrypted
					}})
					g.login()
					if seen.Load() != 2 {
						t.Errorf("%d encrypted tokens", seen.Load())
					}
					to := g.logoutRequest().Query()
					if got := to.Get("id_token_hint"); got == "" || got != inner {
						t.Errorf("the hint is %q, want %q", got, inner)
					}
				})
			}
		}
	}
}

// A key that was replaced still decrypts, as does one with a name that we do not know.
func TestEncryptionKeysRotate(t *testing.T) {
	t.Parallel()
	next := onCurve(elliptic.P256())
	asked := new(atomic.Int32)
	for name, keys := range map[string][]crypto.PrivateKey{
		"rule 165: the first": {decryptionEC, next}, "rule 165: the second": {next, decryptionEC}, "rule 165: among others": {decrypter{decryptionRSA, asked, nil}, next, decryptionEC},
		"rule 166: more than are tried": {onCurve(elliptic.P256()), next, onCurve(elliptic.P256()), onCurve(elliptic.P256()), decryptionEC},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRigOf(t, encryptsTo(t, decryptionEC.Public(), "ECDH-ES", "A256GCM"), decryptsWith(keys...))
			if name != "rule 166: more than are tried" {
				g.login()
				return
			}
			page := g.get(origin + "/me")
			if page.Status != http.StatusBadGateway || !strings.Contains(g.log.String(), "none of Client.DecryptionKeys decrypts it") {
				t.Errorf("got %d: %s", page.Status, g.log.String())
			}
			g.provider.Misbehave(logintest.Faults{Encrypted: func(signed, _ string) string { // by its name, it is found
				return encrypted(t, signed, jose.JSONWebKey{Key: decryptionEC.Public(), KeyID: thumbprint(t, decryptionEC)}, "ECDH-ES", "A256GCM")
			}})
			g.login()
		})
	}
	if asked.Load() != 0 {
		t.Error("an RSA key was asked about ECDH-ES")
	}
}

// What is encrypted in another way, or not for us, is refused before or without its
// content, and the log has nothing of it.
func TestEncryptedTokenRefuses(t *testing.T) {
	t.Parallel()
	ours, other := decryptionEC.Public(), onCurve(elliptic.P256()).Public()
	otherRSA, _ := rsa.GenerateKey(rand.Reader, 2048)
	secret := []byte("canary-client-secret canary-clie")[:32]
	with := func(key any, alg, enc string, change ...func(*jose.EncrypterOptions)) func(*testing.T, string, string) string {
		return func(t *testing.T, signed, _ string) string { return encrypted(t, signed, key, alg, enc, change...) }
	}
	part := func(i int, change func(string) string) func(*testing.T, string, string) string {
		return func(_ *testing.T, _, token string) string {
			parts := strings.Split(token, ".")
			parts[i] = change(parts[i])
			return strings.Join(parts, ".")
		}
	}
	header := func(change func(map[string]any)) func(*testing.T, string, string) string {
		return part(0, func(encoded string) string {
			decoded, _ := base64.RawURLEncoding.DecodeString(encoded)
			var h map[string]any
			_ = json.Unmarshal(decoded, &h)
			change(h)
			decoded, _ = json.Marshal(h)
			return base64.RawURLEncoding.EncodeToString(decoded)
		})
	}
	inner := func(text func(signed string) string) func(*testing.T, string, string) string {
		return func(t *testing.T, signed, _ string) string {
			return encrypted(t, text(signed), ours, "ECDH-ES", "A256GCM")
		}
	}
	for _, test := range []struct {
		name  string
		token func(t *testing.T, signed, encrypted string) string
		keys  []crypto.PrivateKey // nil: ours
		want  string              // in the log; empty: accepted
	}{
		{"nothing wrong", func(_ *testing.T, _, token string) string { return token }, nil, ""},
		{"rule 163: not encrypted", func(_ *testing.T, signed, _ string) string { return signed }, nil, ""},
		{"to an RSA key", with(decryptionRSA.Public(), "RSA-OAEP-256", "A128GCM"), nil, ""},
		{"rule 165: with the name of another", with(jose.JSONWebKey{Key: ours, KeyID: "registered-by-hand"}, "ECDH-ES", "A128GCM"), nil, ""},

		{"rule 159: RSA1_5", with(decryptionRSA.Public(), "RSA1_5", "A128GCM"), nil, `its key by \"RSA1_5\"`},
		{"rule 159: dir", with(secret, "dir", "A256GCM"), nil, `its key by \"dir\"`},
		{"rule 159: the client secret", with(secret, "A256KW", "A256GCM"), nil, `its key by \"A256KW\"`},
		{"rule 159: a password", with("canary-client-secret", "PBES2-HS256+A128KW", "A256GCM"), nil, `its key by \"PBES2-HS256+A128KW\"`},
		{"rule 159: ECDH-ES+A192KW", with(ours, "ECDH-ES+A192KW", "A256GCM"), nil, `its key by \"ECDH-ES+A192KW\"`},
		{"rule 159: A192GCM", with(ours, "ECDH-ES", "A192GCM"), nil, `its content by \"A192GCM\"`},
		{"rule 159: no alg", header(func(h map[string]any) { delete(h, "alg") }), nil, `its key by \"\"`},
		{"rule 159: alg that is no text", header(func(h map[string]any) { h["alg"] = []string{"ECDH-ES"} }), nil, `its key by \"\"`},
		{"rule 159: no enc", header(func(h map[string]any) { delete(h, "enc") }), nil, `its content by \"\"`},
		{"rule 160: compressed", with(ours, "ECDH-ES", "A256GCM", func(o *jose.EncrypterOptions) { o.Compression = jose.DEFLATE }), nil, "compressed (zip)"},
		{"rule 160: zip that is empty", header(func(h map[string]any) { h["zip"] = "" }), nil, "compressed (zip)"},
		{"rule 160: crit", header(func(h map[string]any) { h["crit"] = []string{"x"} }), nil, "has crit"},
		{"rule 161: a changed header", header(func(h map[string]any) { h["x"] = 1 }), nil, "none of Client.DecryptionKeys decrypts it"},
		{"rule 160: no header", part(0, func(string) string { return "" }), nil, "not a JSON object"},
		{"rule 160: a member twice", part(0, func(string) string {
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ECDH-ES","alg":"dir","enc":"A256GCM"}`))
		}), nil, "a member occurs twice"},
		{"rule 161: no epk", header(func(h map[string]any) { delete(h, "epk") }), nil, "none of Client.DecryptionKeys decrypts it"},
		{"rule 161: an epk on another curve", with(onCurve(elliptic.P384()).Public(), "ECDH-ES", "A256GCM"), nil, "none of Client.DecryptionKeys decrypts it"},
		{"rule 161: an epk on no curve", header(func(h map[string]any) { h["epk"].(map[string]any)["y"] = h["epk"].(map[string]any)["x"] }), nil, "none of Client.DecryptionKeys decrypts it"},
		{"rule 160: another encoding", part(4, func(s string) string { return s[:len(s)-1] + "_" }), nil, "not canonical base64url"},
		{"rule 160: a line break", part(4, func(s string) string { return s[:4] + "\n" + s[4:] }), nil, "not canonical base64url"},
		{"rule 161: a changed text", part(3, flipFirst), nil, "none of Client.DecryptionKeys decrypts it"},
		{"rule 161: a changed tag", part(4, flipFirst), nil, "none of Client.DecryptionKeys decrypts it"},
		{"rule 161: a changed nonce", part(2, flipFirst), nil, "none of Client.DecryptionKeys decrypts it"},
		{"rule 161: to another", with(other, "ECDH-ES", "A256GCM"), nil, "none of Client.DecryptionKeys decrypts it"},
		{"rule 161: to another, with our name", with(jose.JSONWebKey{Key: other, KeyID: thumbprint(t, decryptionEC)}, "ECDH-ES", "A256GCM"), nil, "none of Client.DecryptionKeys decrypts it"},
		{"rule 161: to another RSA key", with(otherRSA.Public(), "RSA-OAEP", "A256GCM"), nil, "none of Client.DecryptionKeys decrypts it"},
		{"rule 161: to a kind of key that we do not have", with(otherRSA.Public(), "RSA-OAEP", "A256GCM"), []crypto.PrivateKey{decryptionEC}, "none of Client.DecryptionKeys decrypts it"},
		{"rule 161: without our keys", func(_ *testing.T, _, token string) string { return token }, []crypto.PrivateKey{}, "Client.DecryptionKeys is empty"},
		{"rule 166: too large", part(3, func(string) string { return strings.Repeat("A", 128<<10) }), nil, "which is more than 131072"},

		{"rule 162: encrypted twice", func(t *testing.T, _, token string) string { return encrypted(t, token, ours, "ECDH-ES", "A256GCM") }, nil, "ID token"},
		{"rule 162: claims that are not signed", inner(func(signed string) string {
			payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(signed, ".")[1])
			return string(payload)
		}), nil, "ID token"},
		{"rule 162: alg none", inner(func(signed string) string {
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + strings.Split(signed, ".")[1] + "."
		}), nil, `signed by`},
		{"rule 162: a wrong signature", inner(func(signed string) string {
			at := strings.LastIndexByte(signed, '.') + 1
			return signed[:at] + flipFirst(signed[at:])
		}), nil, "no key of the provider verifies"},
		{"rule 162: nothing", inner(func(string) string { return "" }), nil, "ID token"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			keys := test.keys
			if keys == nil {
				keys = []crypto.PrivateKey{decryptionEC, decryptionRSA}
			}
			register := encryptsTo(t, ours, "ECDH-ES", "A256GCM")
			g := newRigOf(t, register, decryptsWith(keys...))
			var token string
			g.provider.Misbehave(logintest.Faults{Encrypted: func(signed, encrypted string) string {
				token = test.token(t, signed, encrypted)
				return token
			}})
			page := g.get(origin + "/me")
			if test.want == "" {
				if string(page.Body) != "I am ada" {
					t.Errorf("got %d: %s\n%s", page.Status, page.Body, g.log.String())
				}
				return
			}
			if page.Status != http.StatusBadGateway || !strings.Contains(string(page.Body), "<code>id_token_untrusted</code>") || g.logins.Load() != 0 || setsSession(page.Header) {
				t.Errorf("got %d: %s\n%s", page.Status, page.Body, g.log.String())
			}
			if log := g.log.String(); !strings.Contains(log, test.want) || strings.Count(log, "\n") != 1 {
				t.Errorf("logged %s, want %s", log, test.want)
			}
			for piece := range strings.SplitSeq(token, ".") {
				if len(piece) >= 12 && strings.Contains(g.log.String(), piece) {
					t.Errorf("logged %s of the token", piece)
				}
			}
		})
	}
}

// An encrypted UserInfo response may be a signed token or a plain object.
func TestEncryptedUserInfo(t *testing.T) {
	t.Parallel()
	ours := decryptionEC.Public()
	object := func(text string) func(*testing.T, string) string {
		return func(t *testing.T, _ string) string { return encrypted(t, text, ours, "ECDH-ES", "A256GCM") }
	}
	for _, test := range []struct {
		name     string
		response func(t *testing.T, signed string) string
		accepted bool
	}{
		{"rule 164: signed", func(t *testing.T, signed string) string {
			return encrypted(t, signed, ours, "ECDH-ES+A128KW", "A128GCM")
		}, true},
		{"rule 164: an object", object(`{"sub":"ada","more":1}`), true},
		{"rule 164: an object after blanks", object("\n {\"sub\":\"ada\"}"), true},
		{"rule 164: signed and not encrypted", func(_ *testing.T, signed string) string { return signed }, true},

		{"rule 164: an object of another", object(`{"sub":"eve"}`), false},
		{"rule 164: an object of nobody", object(`{}`), false},
		{"rule 164: no object", object(`["ada"]`), false},
		{"rule 164: an object that is not encrypted", func(*testing.T, string) string { return `{"sub":"ada"}` }, false},
		{"rule 164: encrypted twice", func(t *testing.T, signed string) string {
			return encrypted(t, encrypted(t, signed, ours, "ECDH-ES", "A256GCM"), ours, "ECDH-ES", "A256GCM")
		}, false},
		{"rule 164: to another", func(t *testing.T, signed string) string {
			return encrypted(t, signed, onCurve(elliptic.P256()).Public(), "ECDH-ES", "A256GCM")
		}, false},
		{"rule 164: compressed", func(t *testing.T, signed string) string {
			return encrypted(t, signed, ours, "ECDH-ES", "A256GCM", func(o *jose.EncrypterOptions) { o.Compression = jose.DEFLATE })
		}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRigOf(t, func(c *logintest.Client) {
				encryptsTo(t, ours, "ECDH-ES", "A256GCM")(c)
				c.EncryptIDToken = logintest.Encryption{}
			}, decryptsWith(decryptionEC), func(c *core.Config) { c.Providers[0].Requests.UserInfo = true })
			g.provider.Misbehave(logintest.Faults{Encrypted: func(signed, _ string) string { return test.response(t, signed) }})
			page := g.get(origin + "/me")
			if in := string(page.Body) == "I am ada"; in != test.accepted {
				t.Errorf("got %d: %s\n%s", page.Status, page.Body, g.log.String())
			}
			if !test.accepted && (page.Status != http.StatusBadGateway || !strings.Contains(string(page.Body), "userinfo_untrusted")) {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
		})
	}
}

// A key that is unavailable is an outage, and not a fault of the token. A key that says
// that the text is not for it is none.
func TestDecryptionKeysThatFail(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fails  error
		status int
		code   string
	}{
		{errors.New("kms: access denied"), 503, "client_credential_unavailable"},
		{rsa.ErrDecryption, 502, "id_token_untrusted"},
	} {
		g := newRigOf(t, encryptsTo(t, decryptionRSA.Public(), "RSA-OAEP-256", "A256GCM"), decryptsWith(decrypter{decryptionRSA, new(atomic.Int32), test.fails}))
		page := g.get(origin + "/me")
		if page.Status != test.status || !strings.Contains(string(page.Body), "<code>"+test.code+"</code>") || g.logins.Load() != 0 {
			t.Errorf("%v: got %d %s\n%s", test.fails, page.Status, page.Body, g.log.String())
		}
	}
}

// A signed response may be encrypted as well. It is decrypted only for a browser that is
// logging in, because others could ask for it without end.
func TestEncryptedSignedResponses(t *testing.T) {
	t.Parallel()
	rig := func(t *testing.T, form bool, asked *atomic.Int32, response func(signed string) string) *rig {
		change := signedOnly
		if form {
			change = signedByForm
		}
		g := newRigOf(t, signsResponses, change, decryptsWith(decrypter{decryptionRSA, asked, nil}))
		g.provider.Misbehave(logintest.Faults{Authorization: func(q url.Values) { q.Set("response", response(q.Get("response"))) }})
		return g
	}
	to := func(t *testing.T, text string) string {
		return encrypted(t, text, decryptionRSA.Public(), "RSA-OAEP-256", "A256GCM")
	}
	for name, form := range map[string]bool{"in the URL": false, "in a form": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rig(t, form, new(atomic.Int32), func(signed string) string { return to(t, signed) }).login()
		})
	}
	for name, response := range map[string]func(t *testing.T, signed string) string{
		"rule 162: claims that are not signed": func(t *testing.T, signed string) string {
			payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(signed, ".")[1])
			return to(t, string(payload))
		},
		"rule 162: a wrong signature": func(t *testing.T, signed string) string { return to(t, signed[:len(signed)-8]+"AAAAAAAA") },
		"rule 162: encrypted twice":   func(t *testing.T, signed string) string { return to(t, to(t, signed)) },
		"to another": func(t *testing.T, signed string) string {
			return encrypted(t, signed, rsaKey.Public(), "RSA-OAEP-256", "A256GCM")
		},
		"RSA1_5": func(t *testing.T, signed string) string {
			return encrypted(t, signed, decryptionRSA.Public(), "RSA1_5", "A256GCM")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := rig(t, false, new(atomic.Int32), func(signed string) string { return response(t, signed) })
			page := g.get(g.toCallback().String())
			if page.Status != 400 || setsSession(page.Header) || g.provider.Count(logintest.Token) != 0 || !strings.Contains(string(page.Body), `href="/auth/login"`) && !strings.Contains(string(page.Body), "return_to") {
				t.Errorf("got %d: %s\n%s", page.Status, page.Body, g.log.String())
			}
		})
	}
	t.Run("rule 166: without a login", func(t *testing.T) {
		t.Parallel()
		asked := new(atomic.Int32)
		g := rig(t, false, asked, func(signed string) string { return to(t, signed) })
		callback := g.toCallback().String()
		g.browser.Forget("", "")
		if page := g.get(callback); page.Status != 400 || asked.Load() != 0 || !strings.Contains(string(page.Body), "attempt_unknown") {
			t.Errorf("got %d, decrypted %d times: %s", page.Status, asked.Load(), page.Body)
		}
		g.toCallback()
		g.advance(11 * 60 * 1e9)
		if page := g.get(callback); asked.Load() != 0 {
			t.Errorf("an expired login: got %d, decrypted %d times", page.Status, asked.Load())
		}
	})
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		g := rig(t, false, new(atomic.Int32), func(signed string) string { return to(t, signed) })
		callback := g.toCallback().String()
		for range 2 {
			if page := g.get(callback); page.URL != origin+"/me" || string(page.Body) != "I am ada" {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
		}
		if got := g.provider.Count(logintest.Token); got != 1 {
			t.Errorf("%d token requests", got)
		}
	})
	t.Run("a key that is unavailable", func(t *testing.T) {
		t.Parallel()
		g := newRigOf(t, signsResponses, signedOnly, decryptsWith(decrypter{decryptionRSA, new(atomic.Int32), errors.New("kms: no")}))
		g.provider.Misbehave(logintest.Faults{Authorization: func(q url.Values) { q.Set("response", to(t, q.Get("response"))) }})
		if page := g.get(g.toCallback().String()); page.Status != 503 || g.provider.Count(logintest.Token) != 0 || len(g.cookiesNamed("__Host-pixy-login-")) != 1 {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
	})
}

// A provider that encrypts ID tokens encrypts logout tokens as well.
func TestEncryptedLogoutTokens(t *testing.T) {
	t.Parallel()
	to := func(t *testing.T, text string) string {
		return encrypted(t, text, decryptionEC.Public(), "ECDH-ES", "A256GCM")
	}
	for _, test := range []struct {
		name   string
		token  func(t *testing.T, signed string) string
		keys   []crypto.PrivateKey
		status int
	}{
		{"encrypted", to, []crypto.PrivateKey{decryptionEC}, 200},
		{"not encrypted", func(_ *testing.T, signed string) string { return signed }, []crypto.PrivateKey{decryptionEC}, 200},
		{"rule 162: encrypted twice", func(t *testing.T, signed string) string { return to(t, to(t, signed)) }, []crypto.PrivateKey{decryptionEC}, 400},
		{"rule 162: a wrong signature", func(t *testing.T, signed string) string { return to(t, signed[:len(signed)-8]+"AAAAAAAA") }, []crypto.PrivateKey{decryptionEC}, 400},
		{"to another", to, []crypto.PrivateKey{onCurve(elliptic.P256())}, 400},
		{"without keys", to, nil, 400},
		{"a key that is unavailable", func(t *testing.T, signed string) string {
			return encrypted(t, signed, decryptionRSA.Public(), "RSA-OAEP", "A256GCM")
		}, []crypto.PrivateKey{decrypter{decryptionRSA, new(atomic.Int32), errors.New("kms: no")}}, 503},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g, _ := newLogoutRig(t, decryptsWith(test.keys...))
			g.login()
			w := g.backChannel(test.token(t, g.provider.LogoutToken("app", g.provider.User, func(_, _ map[string]any) {})), func(*http.Request) {})
			want := map[bool]string{true: "", false: "I am ada"}[test.status == 200]
			if got := g.whoAmI(); w.Code != test.status || got != want {
				t.Errorf("got %d, and %q: %s\n%s", w.Code, got, w.Body, g.log.String())
			}
		})
	}
}

// The keys of one provider may be unavailable, or their KMS may refuse a text that is for
// another key by an error of its own. The token is decrypted by the other provider's key.
func TestEncryptedLogoutTokensOfAnotherProvider(t *testing.T) {
	t.Parallel()
	broken := decrypter{decryptionRSA, new(atomic.Int32), errors.New("kms: invalid ciphertext")}
	other := core.Provider{Name: "other", Issuer: "https://other.example.test", ClientID: "other", Client: core.ClientConfig{DecryptionKeys: []crypto.PrivateKey{broken}}}
	mine, _ := rsa.GenerateKey(rand.Reader, 2048)
	for name, test := range map[string]struct {
		to     *rsa.PrivateKey
		status int
	}{"to the second": {mine, 200}, "to the first, or to nobody": {decryptionRSA, 503}} {
		g, _ := newLogoutRig(t, decryptsWith(mine), func(c *core.Config) { c.Providers = append([]core.Provider{other}, c.Providers...) })
		token := g.provider.LogoutToken("app", g.provider.User, func(_, _ map[string]any) {})
		w := g.backChannel(encrypted(t, token, test.to.Public(), "RSA-OAEP-256", "A256GCM"), func(*http.Request) {})
		if w.Code != test.status || broken.asked.Load() == 0 {
			t.Errorf("%s: got %d: %s\n%s", name, w.Code, w.Body, g.log.String())
		}
	}
}

// The ID token of a refresh is decrypted as well, and becomes the hint.
func TestARefreshWithAnEncryptedIDToken(t *testing.T) {
	t.Parallel()
	g := newRigOf(t, encryptsTo(t, decryptionEC.Public(), "ECDH-ES+A256KW", "A256CBC-HS512"), keepTokens, decryptsWith(decryptionEC))
	inner, sent := "", 0
	g.provider.Misbehave(logintest.Faults{Encrypted: func(signed, encrypted string) string {
		inner, sent = signed, sent+1
		return encrypted
	}})
	g.login()
	g.advance(time.Hour)
	if got := g.whoAmI(); got != "I am ada" || sent != 2 {
		t.Fatalf("got %q after %d ID tokens: %s", got, sent, g.log.String())
	}
	if got := g.logoutRequest().Query().Get("id_token_hint"); got != inner {
		t.Errorf("the hint is %q, want %q", got, inner)
	}
	g.login()
	g.provider.Misbehave(logintest.Faults{Encrypted: func(signed, _ string) string {
		return encrypted(t, signed, onCurve(elliptic.P256()).Public(), "ECDH-ES", "A256GCM")
	}})
	g.advance(time.Hour)
	if got := g.whoAmI(); got != "" {
		t.Errorf("got %q", got)
	}
}
