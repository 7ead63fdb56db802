package core_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/logintest"
)

func TestKeysMayRotateAtAnyTime(t *testing.T) {
	t.Parallel()
	t.Run("rule 80: between logins and within one", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		for range 4 {
			g.browser.Forget("", "")
			g.login()
			g.provider.RotateKeys()
		}
		callback := g.toCallback()
		g.provider.RotateKeys() // just before signing
		if page := g.get(callback.String()); page.Status != 200 {
			t.Errorf("got %d", page.Status)
		}
	})
}

func TestUnknownKeysDoNotFloodTheProvider(t *testing.T) {
	t.Parallel()
	t.Run("rule 81: a thousand unknown keys, few fetches", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T) {
			g := newRig(t)
			g.login()
			n := 0
			g.provider.Misbehave(logintest.Faults{IDToken: func(header, _ map[string]any) {
				n++
				header["kid"] = fmt.Sprint("unknown", n)
			}})
			start, before := time.Now(), g.provider.Count(logintest.JWKS)
			for range 1000 {
				if page := g.visit(g.toCallback().String()); page.Status != http.StatusBadGateway {
					t.Fatalf("got %d", page.Status)
				}
			}
			seconds := int(time.Since(start) / time.Second)
			if got := g.provider.Count(logintest.JWKS) - before; got > 5+seconds || got > 1000 {
				t.Errorf("%d fetches of the keys in %d seconds, want 5 and one each second", got, seconds)
			}
			// Keys that cannot be had say nothing about the token.
			g.provider.Misbehave(logintest.Faults{
				IDToken: func(header, _ map[string]any) { header["kid"] = "unknown" },
				Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
					if e == logintest.JWKS {
						w.WriteHeader(http.StatusInternalServerError)
					}
					return e == logintest.JWKS
				},
			})
			if page := g.visit(g.toCallback().String()); page.Status != http.StatusServiceUnavailable {
				t.Errorf("with the keys down: got %d", page.Status)
			}
			// The provider goes on, and so does its real rotation.
			g.provider.Misbehave(logintest.Faults{})
			g.provider.RotateKeys()
			if page := g.visit(g.toCallback().String()); page.Status != http.StatusSeeOther {
				t.Errorf("a real rotation is not let through: %d", page.Status)
			}
		})
	})
}

func TestKeySetsHoldMoreThanIsUnderstood(t *testing.T) {
	t.Parallel()
	decoy, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(jose.JSONWebKey{Key: decoy.Public(), Use: "sig", Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	for name, kid := range map[string]bool{"rules 82, 83: with key ids": true, "rules 82, 83: without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.provider.Misbehave(logintest.Faults{
				JWKS: func(set map[string]any) {
					keys := set["keys"].([]any)
					rsa := keys[0].(map[string]any)
					var other map[string]any
					if err := json.Unmarshal(encoded, &other); err != nil {
						panic(err)
					}
					other["kid"] = rsa["kid"] // a decoy of the same name
					set["keys"] = append([]any{
						map[string]any{"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "k"},
						map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
						map[string]any{"kty": "oct", "k": "AAAA", "kid": rsa["kid"]},
						"junk", 7, nil, other,
					}, keys...)
					if !kid {
						for _, key := range set["keys"].([]any) {
							if key, ok := key.(map[string]any); ok {
								delete(key, "kid")
							}
						}
					}
				},
				IDToken: func(header, _ map[string]any) {
					if !kid {
						delete(header, "kid")
					}
				},
			})
			g.login()
		})
	}
	t.Run("rule 83: a key for encryption does not verify", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.provider.Misbehave(logintest.Faults{JWKS: func(set map[string]any) {
			for _, key := range set["keys"].([]any) {
				key.(map[string]any)["use"] = "enc"
			}
		}})
		if page := g.visit(g.toCallback().String()); page.Status != http.StatusBadGateway {
			t.Errorf("got %d", page.Status)
		}
	})
	t.Run("rule 83: a key for another algorithm does not verify", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.provider.Misbehave(logintest.Faults{JWKS: func(set map[string]any) {
			set["keys"].([]any)[0].(map[string]any)["alg"] = "PS256" // and the token is RS256
		}})
		if page := g.visit(g.toCallback().String()); page.Status != http.StatusBadGateway {
			t.Errorf("got %d", page.Status)
		}
	})
	t.Run("rule 81: known keys go on working while the set is down", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.JWKS {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return e == logintest.JWKS
		}})
		for range 3 {
			g.advance(2 * time.Hour) // stale, and the refresh fails
			g.browser.Forget("", "")
			g.login()
		}
	})
}

// rsaIn returns the RSA key of a set that the provider signs with.
func rsaIn(set map[string]any) map[string]any { return set["keys"].([]any)[0].(map[string]any) }

// A provider that was installed anew has other keys under the same names. Each
// such token has them fetched once more.
func TestANewKeyUnderAnOldName(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.provider.Misbehave(logintest.Faults{
		JWKS:    func(set map[string]any) { rsaIn(set)["kid"] = "1" },
		IDToken: func(header, _ map[string]any) { header["kid"] = "1" },
	})
	g.login()
	for range 3 {
		g.provider.RotateKeys()
		g.browser.Forget("", "")
		g.login()
	}
	if got := g.provider.Count(logintest.JWKS); got != 4 {
		t.Errorf("%d fetches of the keys, want 4", got)
	}
}

// Signatures that fail, of a name that is known, or of none, have the keys fetched
// no more often than unknown names do.
func TestBadSignaturesDoNotFloodTheProvider(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]func(h, _ map[string]any){
		"of a known name": func(_, _ map[string]any) {},
		"without a name":  func(h, _ map[string]any) { delete(h, "kid") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				g := newRig(t)
				g.login()
				logins := g.logins.Load()
				g.provider.Misbehave(logintest.Faults{
					IDToken:       header,
					SignedIDToken: func(token string) string { at := len(token) - 20; return token[:at] + flip(token[at]) + token[at+1:] },
				})
				start, before := time.Now(), g.provider.Count(logintest.JWKS)
				for range 50 {
					if page := g.visit(g.toCallback().String()); page.Status != http.StatusBadGateway {
						t.Fatalf("got %d", page.Status)
					}
				}
				seconds := int(time.Since(start) / time.Second)
				if got := g.provider.Count(logintest.JWKS) - before; got > 5+seconds || got == 0 {
					t.Errorf("%d fetches of the keys in %d seconds, want 5 and one each second", got, seconds)
				}
				if g.logins.Load() != logins {
					t.Error("a user was logged in")
				}
			})
		})
	}
}

// Nobody needs the certificate to verify a signature, and none that Go can parse
// is demanded.
func TestOddCertificatesBesideASoundKey(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.provider.Misbehave(logintest.Faults{JWKS: func(set map[string]any) {
		key := rsaIn(set)
		key["x5c"], key["x5t"], key["x5t#S256"], key["x5u"] = []string{"AA=="}, "AA", 7, "://"
		key["key_ops"], key["use"] = []string{"verify"}, []string{"sig"}
	}})
	g.login()
	if log := g.log.String(); strings.Contains(log, "not used") {
		t.Errorf("logged %s", log)
	}
}

// A key that must not be used verifies nothing, and the log says why at once.
func TestUnfitKeysVerifyNothing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		edit func(key map[string]any)
		want string
	}{
		{"key_ops without verify", func(k map[string]any) { k["key_ops"] = []string{"sign"} }, "key_ops is without verify"},
		{"a private key", func(k map[string]any) { k["d"] = "AQAB" }, "its private key is published"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.provider.Misbehave(logintest.Faults{JWKS: func(set map[string]any) { test.edit(rsaIn(set)) }})
			if page := g.visit(g.toCallback().String()); page.Status != http.StatusBadGateway || g.logins.Load() != 0 || g.whoAmI() != "" {
				t.Errorf("got %d, and %d logins", page.Status, g.logins.Load())
			}
			if log := g.log.String(); strings.Count(log, test.want) != 1 || !strings.Contains(log, `"issuer":"`+issuer+`"`) {
				t.Errorf("logged %s", log)
			}
		})
	}
}
