package core

import (
	"testing"

	"github.com/pixyauth/pixy/core/internal/seal"
)

// Every purpose of every login has a key of its own, also where all logins have
// one session key, and where the texts of two differ only in where they are cut.
func TestEachLoginHasItsOwnKeys(t *testing.T) {
	t.Parallel()
	keys := [][]byte{keyA}
	const at = "https://app.example.test/auth/callback"
	rings := map[string]keyring{
		"one":                {redirectURL: at, cookieName: "pixy", vault: "cookies", sessionKeys: keys},
		"another path":       {redirectURL: at + "2", cookieName: "pixy", vault: "cookies", sessionKeys: keys},
		"another cookie":     {redirectURL: at, cookieName: "staff", vault: "cookies", sessionKeys: keys},
		"cut elsewhere":      {redirectURL: at + "p", cookieName: "ixy", vault: "cookies", sessionKeys: keys},
		"cut elsewhere, too": {redirectURL: at, cookieName: "pixyc", vault: "ookies", sessionKeys: keys},
		"a store":            {redirectURL: at, cookieName: "pixy", vault: "store", sessionKeys: keys},
	}
	type key struct{ ring, purpose string }
	sealers := make(map[key]*seal.Sealer)
	for name, ring := range rings {
		for _, purpose := range []string{purposeAttempt, purposeLogoutHint} {
			sealer, err := ring.sealer(purpose)
			if err != nil {
				t.Fatal(err)
			}
			sealers[key{name, purpose}] = sealer
		}
		sessions, err1 := newSessionSealer(ring)
		tokens, err2 := ring.vaultSealer(purposeTokens)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		sealers[key{name, purposeSession}], sealers[key{name, purposeClaims}], sealers[key{name, purposeTokens}] = sessions.record, sessions.claims, tokens
	}
	for sealed, with := range sealers {
		value := with.Seal("name", []byte("secret"))
		for opened, by := range sealers {
			// What is never in a vault is the same wherever sessions are.
			attempt := sealed.purpose == opened.purpose && (sealed.purpose == purposeAttempt || sealed.purpose == purposeLogoutHint)
			vaults := sealed.ring == "one" && opened.ring == "a store" || sealed.ring == "a store" && opened.ring == "one"
			want := sealed == opened || attempt && vaults
			if _, ok := by.Open("name", value); ok != want {
				t.Errorf("sealed by %v, opened by %v: got %v, want %v", sealed, opened, ok, want)
			}
		}
	}
}

var (
	keyA = []byte("0123456789abcdef0123456789abcdef")
	keyB = []byte("fedcba9876543210fedcba9876543210")
)

func testSealer(t testing.TB, purpose string, keys ...[]byte) *seal.Sealer {
	t.Helper()
	s, err := seal.New(purpose, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
