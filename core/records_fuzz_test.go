package core

import (
	"bytes"
	"net/url"
	"testing"
	"time"
)

// Records come from under the seal, but a former version of this package, or
// somebody who has the key, may have sealed anything.
func FuzzRecords(f *testing.F) {
	now := time.Unix(1e9, 0)
	f.Add(newAttempt("provider", "/me", false, now).encode())
	carrying := newAttempt("provider", "/me", true, now)
	carrying.payload = "link \x00 7"
	f.Add(carrying.encode())
	f.Add((&session{endsWithBrowser: true, user: User{Issuer: "i", Subject: "s", Data: "account 7"}}).encode())
	f.Add(LoginOptions{Payload: "link 7"}.encode(now))
	f.Add((&session{ends: instantOf(now), seen: instantOf(now), user: User{Issuer: "i", Subject: "s", EmailVerified: true}}).encode())
	f.Add(LoginOptions{AuthParams: url.Values{"prompt": {"login"}}, Require: Requirement{MaxAge: time.Hour, ACR: []string{"a", "b"}}}.encode(now))
	f.Add(append((&session{user: User{Issuer: "i", Subject: "s"}}).encode(), "more"...))
	f.Add((&tokens{Access: "a", Refresh: "r", Nonce: "n", Expires: now, RefreshDue: now}).encode())
	f.Add((&tokens{Access: "a", Key: "L8oWDrMCfEMxMKRSmKY9Mkh1PnJTLBNlSZSTRA3kvz0"}).encode())
	bound := newAttempt("provider", "/me", false, now)
	bound.key = "L8oWDrMCfEMxMKRSmKY9Mkh1PnJTLBNlSZSTRA3kvz0"
	f.Add(bound.encode())
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
