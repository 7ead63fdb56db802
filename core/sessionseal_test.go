package core

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/internal/seal"
)

func testSessionSealer(t testing.TB, keys ...[]byte) sessionSealer {
	t.Helper()
	s, err := newSessionSealer(keyring{sessionKeys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sealedSession is the value of a session of subject, which has one claim: group.
func sealedSession(t testing.TB, s sessionSealer, subject, group string) string {
	t.Helper()
	object, err := json.Marshal(map[string]string{"group": group})
	if err != nil {
		t.Fatal(err)
	}
	value, err := s.seal("", &session{user: User{
		Issuer: "https://id.example.test", Subject: subject, Name: "Ada Lovelace",
		claims: &sessionClaims{object: string(object)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// groupOf is the claim of a user.
func groupOf(t testing.TB, u *User) string {
	t.Helper()
	var claims struct{ Group string }
	if err := u.Claims(&claims); err != nil {
		t.Fatal(err)
	}
	return claims.Group
}

func TestSessionOpensAsItWasSealed(t *testing.T) {
	t.Parallel()
	s := testSessionSealer(t, keyA)
	t.Run("with claims", func(t *testing.T) {
		t.Parallel()
		found, ok := s.open("", sealedSession(t, s, "ada", "engineers"))
		if !ok || found.user.Subject != "ada" || groupOf(t, &found.user) != "engineers" {
			t.Fatalf("got %+v, %v", found, ok)
		}
	})
	t.Run("without", func(t *testing.T) {
		t.Parallel()
		value, err := s.seal("", &session{user: User{Issuer: "https://id.example.test", Subject: "ada"}})
		if err != nil {
			t.Fatal(err)
		}
		found, ok := s.open("", value)
		if !ok || groupOf(t, &found.user) != "" {
			t.Fatalf("got %+v, %v", found, ok)
		}
	})
}

// Of two good sessions, no third can be made.
func TestSessionOpensOnlyAsItWasSealed(t *testing.T) {
	t.Parallel()
	s := testSessionSealer(t, keyA)
	value := sealedSession(t, s, "ada", "engineers")
	record, claims, _ := strings.Cut(value, ".")
	_, others, _ := strings.Cut(sealedSession(t, s, "ada", "admins"), ".")
	for name, value := range map[string]string{
		"rule 101: claims of another session":              record + "." + others,
		"rule 101: without its claims":                     record + ".",
		"rule 101: nor the dot":                            record,
		"rule 101: twice the claims":                       value + claims,
		"rule 101: a dot more":                             value + ".",
		"rule 101: claims as the record":                   claims + ".",
		"rule 101: claims and record, the other way round": claims + "." + record,
		"rule 101: the claims alone":                       "." + claims,
		"rule 101: a dot alone":                            ".",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if found, ok := s.open("", value); ok {
				t.Errorf("opens: %+v", found)
			}
		})
	}
	t.Run("rule 101: any character changed", func(t *testing.T) {
		t.Parallel()
		for i := range value {
			for _, c := range []byte("A_z.") {
				changed := value[:i] + string(c) + value[i+1:]
				if _, ok := s.open("", changed); ok && changed != value {
					t.Fatalf("opens with character %d changed", i)
				}
			}
		}
	})
}

// A session that is renewed after a change of keys needs the former key no more,
// neither for what it is nor for its claims.
func TestSessionMovesToTheNewKeyAsAWhole(t *testing.T) {
	t.Parallel()
	found, ok := testSessionSealer(t, keyB, keyA).open("", sealedSession(t, testSessionSealer(t, keyA), "ada", "engineers"))
	if !ok {
		t.Fatal("the former key does not open")
	}
	renewed, err := testSessionSealer(t, keyB, keyA).seal("", found)
	if err != nil {
		t.Fatal(err)
	}
	found, ok = testSessionSealer(t, keyB).open("", renewed)
	if !ok || groupOf(t, &found.user) != "engineers" {
		t.Fatalf("got %+v, %v", found, ok)
	}
}

// A record that goes on behind its last field is of another version.
func TestSessionWithMoreInItsRecordIsNone(t *testing.T) {
	t.Parallel()
	record := (&session{user: User{Issuer: "i", Subject: "s"}}).encode()
	if _, ok := decodeSession(string(record)); !ok {
		t.Fatal("as it is: none")
	}
	if s, ok := decodeSession(string(record) + "{}"); ok {
		t.Errorf("got %+v", s)
	}
}

// Claims whose key is gone are an error, and not a user without claims: a
// renewal must not lose them either.
func TestClaimsThatDoNotOpenAreAnError(t *testing.T) {
	t.Parallel()
	s := testSessionSealer(t, keyA)
	found, ok := s.open("", sealedSession(t, s, "ada", "engineers"))
	if !ok {
		t.Fatal("does not open")
	}
	found.user.claims.sealer = testSealer(t, purposeClaims, keyB)
	if err := found.user.Claims(new(map[string]any)); err == nil {
		t.Error("Claims: no error")
	}
	if _, err := s.seal("", found); err == nil {
		t.Error("sealed anew without them")
	}
}

// Claims are compressed once, at login. Renewals seal what they find, without looking into
// it, and reading claims that do not expand is an error.
func TestRenewalsKeepClaimsAsTheyAre(t *testing.T) {
	t.Parallel()
	s := testSessionSealer(t, keyA)
	for name, test := range map[string]struct {
		object string
		groups int // -1: an error
	}{
		"compressed":                {seal.Compress(`{"groups":[` + strings.Repeat(`"engineers",`, 500) + `"admins"]}`), 501},
		"compressed at a login":     {(&sessionClaims{object: `{"groups":[` + strings.Repeat(`"engineers",`, 500) + `"admins"]}`}).compressed().object, 501},
		"not compressed":            {`{"groups":[` + strings.Repeat(`"engineers",`, 500) + `"admins"]}`, 501},
		"small":                     {(&sessionClaims{object: `{"groups":["admins"]}`}).compressed().object, 1},
		"cut short":                 {seal.Compress(`{"groups":[` + strings.Repeat(`"engineers",`, 500) + `"admins"]}`)[:30], -1},
		"of more than 64 KB":        {"\x00\x81\x80\x04", -1},
		"a zero byte before claims": {"\x00" + `{"groups":["admins"]}`, -1},
	} {
		value, err := s.seal("", &session{user: User{Issuer: "https://id.example.test", Subject: "ada", claims: &sessionClaims{object: test.object}}})
		for range 2 {
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			found, ok := s.open("", value)
			if !ok {
				t.Fatalf("%s: does not open", name)
			}
			if kept, err := found.user.claims.unseal(); kept != test.object || err != nil {
				t.Errorf("%s: kept as %d bytes of %d, %v", name, len(kept), len(test.object), err)
			}
			var claims struct{ Groups []string }
			switch err := found.user.Claims(&claims); {
			case test.groups < 0:
				if err == nil || found.user.Has("groups", "admins") || found.user.Claim("groups", &claims.Groups) == nil {
					t.Errorf("%s: got %v", name, err)
				}
			case err != nil || len(claims.Groups) != test.groups || !found.user.Has("groups", "admins"):
				t.Errorf("%s: got %d groups, %v", name, len(claims.Groups), err)
			}
			value, err = s.seal("", found)
		}
	}
	if (*sessionClaims)(nil).compressed() != nil {
		t.Error("no claims become some")
	}
}

// Applications print users, and must not print their cookies by that.
func TestPrintingAUserShowsNoCookie(t *testing.T) {
	t.Parallel()
	s := testSessionSealer(t, keyA)
	value := sealedSession(t, s, "ada", "engineers")
	found, ok := s.open("", value)
	if !ok {
		t.Fatal("does not open")
	}
	_, claims, _ := strings.Cut(value, ".")
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		for _, what := range []any{found.user, &found.user} {
			if printed := fmt.Sprintf(verb, what); strings.Contains(printed, claims[:20]) {
				t.Errorf("%s prints %s", verb, printed)
			}
		}
	}
}

func FuzzOpenSession(f *testing.F) {
	s := testSessionSealer(f, keyA, keyB)
	good := sealedSession(f, s, "ada", "engineers")
	record, claims, _ := strings.Cut(good, ".")
	for _, seed := range []string{good, record, claims, record + ".", "." + claims, claims + "." + record, "."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if found, ok := s.open("", value); ok && (found.user.Subject != "ada" || groupOf(t, &found.user) != "engineers") {
			t.Fatalf("%q opens to %+v, which was never sealed", value, found)
		}
	})
}
