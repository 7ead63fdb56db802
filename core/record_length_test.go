package core

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// A record that is cut short or too long is none, of whatever kind it is: what is
// in it would be another's, or nobody's.
func TestRecordsOfAnotherLengthAreNone(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	session := &session{
		started: 1, ends: 2, seen: 3, refreshDue: 4, raised: 5, client: "app", sid: "sid",
		user: User{Issuer: "https://id.example.test", Subject: "ada", Name: "Ada", Email: "a@example.test", Picture: "p", Data: "account"},
	}
	session.ACR = "acr"
	for kind, record := range map[string]struct {
		whole  []byte
		decode func(string) bool
	}{
		"session": {session.encode(), func(s string) bool { _, ok := decodeSession(s); return ok }},
		"tokens": {
			(&tokens{Access: "AAAA.BBBB.c+c", Refresh: "refresh", Nonce: "nonce", Key: "L8oWDrMCfEMxMKRSmKY9Mkh1PnJTLBNlSZSTRA3kvz0", Expires: now, RefreshDue: now, AuthTime: now}).encode(),
			func(s string) bool { _, ok := decodeTokens(s); return ok },
		},
		"attempt": {
			(&attempt{state: "s", nonce: "n", verifier: "v", provider: "app https://id.example.test", returnTo: "/me", payload: "link", key: "thumbprint", begun: now}).encode(),
			func(s string) bool { _, ok := decodeAttempt(s); return ok },
		},
		"options": {
			LoginOptions{Payload: "link", AuthParams: url.Values{"ui_locales": {"de"}}, Require: Requirement{MaxAge: time.Hour, ACR: []string{"1"}}}.encode(now),
			func(s string) bool { _, _, ok := decodeOptions(s); return ok },
		},
		"claims": {[]byte(`{"sub":"ada","groups":["one","two"]}`), func(s string) bool { _, err := provider.DecodeClaims([]byte(s)); return err == nil }},
	} {
		whole := string(record.whole)
		if !record.decode(whole) {
			t.Fatalf("%s: a whole one does not decode", kind)
		}
		for i := range whole {
			if record.decode(whole[:i]) {
				t.Errorf("%s: %d bytes of %d decode", kind, i, len(whole))
			}
		}
		for _, more := range []string{"\x00", "a", "\x01a", "{}", strings.Repeat("a", 100), whole} {
			if record.decode(whole + more) {
				t.Errorf("%s: one with %d bytes more decodes", kind, len(more))
			}
		}
		if kind == "session" || kind == "tokens" || kind == "attempt" {
			for _, version := range []string{"\x00", string(whole[0] + 1), "\xff"} {
				if record.decode(version + whole[1:]) {
					t.Errorf("%s: version %q decodes", kind, version)
				}
			}
		}
	}
}
