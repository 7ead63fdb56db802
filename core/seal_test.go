package core

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"
)

var (
	keyA = []byte("0123456789abcdef0123456789abcdef")
	keyB = []byte("fedcba9876543210fedcba9876543210")
)

func testSealer(t testing.TB, purpose string, keys ...[]byte) *sealer {
	t.Helper()
	s, err := newSealer(purpose, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealOpensUnderSameNamePurposeAndKeyOnly(t *testing.T) {
	t.Parallel()
	value := testSealer(t, purposeSession, keyA).seal("name", []byte("secret"))
	if strings.Contains(value, "secret") {
		t.Fatal("the plaintext is in the sealed value")
	}
	for _, test := range []struct {
		name   string
		sealer *sealer
		under  string
		value  string
		opens  bool
	}{
		{"as it was sealed", testSealer(t, purposeSession, keyA), "name", value, true},
		{"former key", testSealer(t, purposeSession, keyB, keyA), "name", value, true},
		{"other key", testSealer(t, purposeSession, keyB), "name", value, false},
		{"other purpose", testSealer(t, purposeAttempt, keyA), "name", value, false},
		{"other name", testSealer(t, purposeSession, keyA), "names", value, false},
		{"cut short", testSealer(t, purposeSession, keyA), "name", value[:len(value)-4], false},
		{"longer", testSealer(t, purposeSession, keyA), "name", value + "AAAA", false},
		{"empty", testSealer(t, purposeSession, keyA), "name", "", false},
		{"padded", testSealer(t, purposeSession, keyA), "name", value + "=", false},
		{"line break", testSealer(t, purposeSession, keyA), "name", value + "\n", false},
		{"line breaks in the middle", testSealer(t, purposeSession, keyA), "name", value[:8] + "\r\n" + value[8:], false},
		{"line breaks before the key's id", testSealer(t, purposeSession, keyA), "name", "\n\n" + value, false},
		{"not base64", testSealer(t, purposeSession, keyA), "name", "!" + value[1:], false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			plaintext, ok := test.sealer.open(test.under, test.value)
			if ok != test.opens {
				t.Fatalf("opens: got %v, want %v", ok, test.opens)
			}
			if ok && string(plaintext) != "secret" {
				t.Fatalf("got %q", plaintext)
			}
		})
	}
}

func TestSealRefusesEveryChangedCharacter(t *testing.T) {
	t.Parallel()
	t.Run("rules 11, 101: any character", func(t *testing.T) {
		t.Parallel()
		s := testSealer(t, purposeSession, keyA)
		value := s.seal("name", []byte("secret"))
		for i := range value {
			for _, c := range []byte("A_z") {
				changed := value[:i] + string(c) + value[i+1:]
				if _, ok := s.open("name", changed); ok && changed != value {
					t.Fatalf("opens with character %d changed", i)
				}
			}
		}
	})
}

// Two keys may share an id; then both must be tried.
func TestSealOpensWhenKeyIDsCollide(t *testing.T) {
	t.Parallel()
	first, second := testSealer(t, purposeSession, keyA), testSealer(t, purposeSession, keyB, keyA)
	second.keys[0].id = first.keys[0].id
	if _, ok := second.open("name", first.seal("name", []byte("x"))); !ok {
		t.Fatal("does not open behind a key with the same id")
	}
}

// A key whose id is nought must not take nothing for it.
func TestSealOpensNoLineBreaks(t *testing.T) {
	t.Parallel()
	s := testSealer(t, purposeSession, keyA)
	s.keys[0].id = [keyIDSize]byte{}
	for _, lineBreak := range []string{"\n", "\r"} {
		if plaintext, ok := s.open("", strings.Repeat(lineBreak, 100)); ok {
			t.Errorf("%q opens to %q", lineBreak, plaintext)
		}
	}
}

func TestSealNeverRepeats(t *testing.T) {
	t.Parallel()
	s := testSealer(t, purposeSession, keyA)
	seen := make(map[string]bool)
	for range 1000 {
		value := s.seal("name", []byte("secret"))
		if seen[value] {
			t.Fatal("sealed to the same value twice")
		}
		seen[value] = true
	}
}

// What is opened is in memory that is used again, and must not stay there.
func TestOpenLeavesNoPlaintextBehind(t *testing.T) {
	t.Parallel()
	s := testSealer(t, purposeSession, keyA)
	value := s.seal("name", []byte(strings.Repeat("secret", 100)))
	for range 100 { // a pool may give another one, and does so now and then under the race detector
		if _, ok := s.open("name", value); !ok {
			t.Fatal("does not open")
		}
		workspace := workspaces.Get().(*[]byte)
		if bytes.Contains((*workspace)[:cap(*workspace)], []byte("secret")) {
			t.Fatal("the plaintext is still there")
		}
		workspaces.Put(workspace)
	}
}

func FuzzOpen(f *testing.F) {
	s := testSealer(f, purposeSession, keyA, keyB)
	good := s.seal("name", []byte("secret"))
	f.Add(good)
	f.Add("")
	f.Add(good[:10])
	f.Add(good[:10] + "\n" + good[10:])
	f.Fuzz(func(t *testing.T, value string) {
		// Nonces are random, so other processes of the fuzzer have sealed the same
		// plaintext to other values.
		plaintext, ok := s.open("name", value)
		if ok && plaintext != "secret" {
			t.Fatalf("%q opens to %q, which was never sealed", value, plaintext)
		}
		if ok && len(value) != len(good) {
			t.Fatalf("%q is another spelling", value)
		}
	})
}

// Records come from under the seal, but a former version of this package, or
// somebody who has the key, may have sealed anything.
func FuzzRecords(f *testing.F) {
	now := time.Unix(1e9, 0)
	f.Add(newAttempt("provider", "/me", false, now).encode())
	f.Add((&session{ends: instantOf(now), seen: instantOf(now), user: User{Issuer: "i", Subject: "s", EmailVerified: true}}).encode())
	f.Add(LoginOptions{AuthParams: url.Values{"prompt": {"login"}}, Require: Requirement{MaxAge: time.Hour, ACR: []string{"a", "b"}}}.encode(now))
	f.Add(append((&session{user: User{Issuer: "i", Subject: "s"}}).encode(), "more"...))
	f.Add((&tokens{access: "a", refresh: "r", nonce: "n", expires: now, refreshDue: now}).encode())
	f.Add([]byte{1})
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, encoded []byte) {
		record := string(encoded)
		if s, ok := decodeSession(record); ok {
			if again, ok := decodeSession(string(s.encode())); !ok || *again != *s {
				t.Fatalf("a session changes when it is sealed anew: %+v, %+v", s, again)
			}
		}
		if k, ok := decodeTokens(record); ok {
			if again, ok := decodeTokens(string(k.encode())); !ok || *again != *k {
				t.Fatalf("tokens change when they are sealed anew: %+v, %+v", k, again)
			}
		}
		if a, ok := decodeAttempt(record); ok {
			if again, ok := decodeAttempt(string(a.encode())); !ok || *again != *a {
				t.Fatalf("an attempt changes when it is sealed anew: %+v, %+v", a, again)
			}
		}
		if o, at, ok := decodeOptions(record); ok {
			if again, then, ok := decodeOptions(string(o.encode(at))); !ok || !then.Equal(at) || !bytes.Equal(again.encode(then), o.encode(at)) {
				t.Fatalf("options change when they are sealed anew: %+v, %+v", o, again)
			}
		}
	})
}
