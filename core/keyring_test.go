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

// The DPoP key of each registration is its own, and the same in every process. Former
// session keys give the former ones.
func TestEachRegistrationHasItsOwnDPoPKey(t *testing.T) {
	t.Parallel()
	const at, id = "https://app.example.test/auth/callback", "app https://id.example.test"
	ring := keyring{redirectURL: at, cookieName: "pixy", vault: "cookies", sessionKeys: [][]byte{keyA}}
	derive := func(ring keyring, id string) (thumbprints []string) {
		keys, err := ring.proofKeys(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			thumbprints = append(thumbprints, key.Thumbprint)
		}
		return thumbprints
	}
	first := derive(ring, id)
	const want = "jOAtxpO1ubNdWnGKf50D4ZZlUZNS9kBWkzzQPvw1K1k"
	if len(first) != 1 || first[0] != want {
		t.Errorf("got %q, want %s: tokens that are stored are bound to it", first, want)
	}
	seen := map[string]bool{first[0]: true}
	for name, change := range map[string]func(*keyring) string{
		"another path":        func(k *keyring) string { k.redirectURL += "2"; return id },
		"another cookie":      func(k *keyring) string { k.cookieName = "staff"; return id },
		"another session key": func(k *keyring) string { k.sessionKeys = [][]byte{keyB}; return id },
		"another client":      func(*keyring) string { return "b" + id },
		"another provider":    func(*keyring) string { return id + "/" },
	} {
		other := ring
		id := change(&other)
		got := derive(other, id)
		if seen[got[0]] {
			t.Errorf("%s: the same key", name)
		}
		seen[got[0]] = true
	}
	ring.vault = "store"
	if got := derive(ring, id); got[0] != first[0] {
		t.Error("the key depends on where sessions are")
	}
	ring.sessionKeys = [][]byte{keyB, keyA}
	if got := derive(ring, id); len(got) != 2 || got[1] != first[0] || got[0] == first[0] {
		t.Errorf("after a change of the session key: got %q", got)
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
