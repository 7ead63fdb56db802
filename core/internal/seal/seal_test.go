package seal

import (
	"bytes"
	"strings"
	"testing"
)

var (
	key1 = []byte("0123456789abcdef0123456789abcdef")
	key2 = []byte("fedcba9876543210fedcba9876543210")
)

func sealerOf(t testing.TB, purpose string, keys ...[]byte) *Sealer {
	t.Helper()
	s, err := New(purpose, keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealOpensUnderSameNamePurposeAndKeyOnly(t *testing.T) {
	t.Parallel()
	value := sealerOf(t, "session", key1).Seal("name", []byte("secret"))
	if strings.Contains(value, "secret") {
		t.Fatal("the plaintext is in the sealed value")
	}
	for _, test := range []struct {
		name   string
		sealer *Sealer
		under  string
		value  string
		opens  bool
	}{
		{"as it was sealed", sealerOf(t, "session", key1), "name", value, true},
		{"former key", sealerOf(t, "session", key2, key1), "name", value, true},
		{"other key", sealerOf(t, "session", key2), "name", value, false},
		{"other purpose", sealerOf(t, "attempt", key1), "name", value, false},
		{"other name", sealerOf(t, "session", key1), "names", value, false},
		{"cut short", sealerOf(t, "session", key1), "name", value[:len(value)-4], false},
		{"longer", sealerOf(t, "session", key1), "name", value + "AAAA", false},
		{"empty", sealerOf(t, "session", key1), "name", "", false},
		{"padded", sealerOf(t, "session", key1), "name", value + "=", false},
		{"line break", sealerOf(t, "session", key1), "name", value + "\n", false},
		{"line breaks in the middle", sealerOf(t, "session", key1), "name", value[:8] + "\r\n" + value[8:], false},
		{"line breaks before the key's id", sealerOf(t, "session", key1), "name", "\n\n" + value, false},
		{"not base64", sealerOf(t, "session", key1), "name", "!" + value[1:], false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			plaintext, ok := test.sealer.Open(test.under, test.value)
			if ok != test.opens {
				t.Fatalf("opens: got %v, want %v", ok, test.opens)
			}
			if ok && string(plaintext) != "secret" {
				t.Fatalf("got %q", plaintext)
			}
		})
	}
}

// A value for one host opens on that host only, wherever its name is.
func TestSealForHosts(t *testing.T) {
	t.Parallel()
	s := sealerOf(t, "session", key1)
	sealed := map[string]string{"": s.Seal("name", []byte("x"))}
	for _, hosts := range []string{"acme.example.test", "globex.example.test", ".example.test", "-"} {
		sealed[hosts] = s.For(hosts).Seal("name", []byte("x"))
	}
	for from, value := range sealed {
		for to := range sealed {
			if _, ok := s.For(to).Open("name", value); ok != (from == to) {
				t.Errorf("from %q to %q: got %v", from, to, ok)
			}
			if _, ok := s.For(to).Open(from+"name", value); ok && from != "" {
				t.Errorf("from %q to %q under the host's name: opens", from, to)
			}
		}
	}
	if value := sealerOf(t, "session", key1, key2).For("a").Seal("name", []byte("x")); value != "" {
		if got, ok := sealerOf(t, "session", key2, key1).For("a").Open("name", value); !ok || got != "x" {
			t.Error("does not open with a former key")
		}
	}
}

func TestSealRefusesEveryChangedCharacter(t *testing.T) {
	t.Parallel()
	t.Run("rules 11, 101: any character", func(t *testing.T) {
		t.Parallel()
		s := sealerOf(t, "session", key1)
		value := s.Seal("name", []byte("secret"))
		for i := range value {
			for _, c := range []byte("A_z") {
				changed := value[:i] + string(c) + value[i+1:]
				if _, ok := s.Open("name", changed); ok && changed != value {
					t.Fatalf("opens with character %d changed", i)
				}
			}
		}
	})
}

// Two keys may share an id; then both must be tried.
func TestSealOpensWhenKeyIDsCollide(t *testing.T) {
	t.Parallel()
	first, second := sealerOf(t, "session", key1), sealerOf(t, "session", key2, key1)
	second.keys[0].id = first.keys[0].id
	if _, ok := second.Open("name", first.Seal("name", []byte("x"))); !ok {
		t.Fatal("does not open behind a key with the same id")
	}
}

// A key whose id is zero must not match an empty value.
func TestSealOpensNoLineBreaks(t *testing.T) {
	t.Parallel()
	s := sealerOf(t, "session", key1)
	s.keys[0].id = [keyIDSize]byte{}
	for _, lineBreak := range []string{"\n", "\r"} {
		if plaintext, ok := s.Open("", strings.Repeat(lineBreak, 100)); ok {
			t.Errorf("%q opens to %q", lineBreak, plaintext)
		}
	}
}

func TestSealNeverRepeats(t *testing.T) {
	t.Parallel()
	s := sealerOf(t, "session", key1)
	seen := make(map[string]bool)
	for range 1000 {
		value := s.Seal("name", []byte("secret"))
		if seen[value] {
			t.Fatal("sealed to the same value twice")
		}
		seen[value] = true
	}
}

// A plaintext must not stay in a buffer of the pool.
func TestOpenLeavesNoPlaintextBehind(t *testing.T) {
	t.Parallel()
	s := sealerOf(t, "session", key1)
	value := s.Seal("name", []byte(strings.Repeat("secret", 100)))
	for range 100 { // a pool may give another one, and does so now and then under the race detector
		if _, ok := s.Open("name", value); !ok {
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
	s := sealerOf(f, "session", key1, key2)
	good := s.Seal("name", []byte("secret"))
	f.Add(good)
	f.Add("")
	f.Add(good[:10])
	f.Add(good[:10] + "\n" + good[10:])
	f.Fuzz(func(t *testing.T, value string) {
		// Nonces are random, so other processes of the fuzzer have sealed the same
		// plaintext to other values.
		plaintext, ok := s.Open("name", value)
		if ok && plaintext != "secret" {
			t.Fatalf("%q opens to %q, which was never sealed", value, plaintext)
		}
		if ok && len(value) != len(good) {
			t.Fatalf("%q is another spelling", value)
		}
	})
}

const benchRecord = 150 // bytes, about what the record of a session has

func BenchmarkSeal(b *testing.B) {
	sealer, record := sealerOf(b, "session", key1), make([]byte, benchRecord)
	b.ReportAllocs()
	for b.Loop() {
		sealer.Seal("name", record)
	}
}

func BenchmarkOpen(b *testing.B) {
	sealer := sealerOf(b, "session", key1)
	value := sealer.Seal("name", make([]byte, benchRecord))
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := sealer.Open("name", value); !ok {
			b.Fatal("does not open")
		}
	}
}

func TestNothingCanBeSealed(t *testing.T) {
	t.Parallel()
	s := sealerOf(t, "session", key1)
	if got, ok := s.Open("name", s.Seal("name", nil)); got != "" || !ok {
		t.Errorf("got %q, %v", got, ok)
	}
}
