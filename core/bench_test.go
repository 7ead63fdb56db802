package core

import (
	"strings"
	"testing"
	"time"
)

// What the parts cost that a guarded request and a login are made of. What the
// whole costs, against a floor, is measured with the adapters.

func benchSession() *session {
	return &session{
		ends: 1 << 43, seen: 1 << 42,
		user: User{
			Issuer: "https://id.example.test", Subject: "248289761001", Name: "Ada Lovelace", Email: "ada@example.test",
			claims: &sessionClaims{object: `{"name":"Ada Lovelace","more":"` + strings.Repeat("x", 600) + `"}`},
		},
	}
}

func BenchmarkSealSession(b *testing.B) {
	sealer, session := testSessionSealer(b, keyA), benchSession()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sealer.seal("", session); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenSession(b *testing.B) {
	sealer := testSessionSealer(b, keyA)
	value, err := sealer.seal("", benchSession())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := sealer.open("", value); !ok {
			b.Fatal("does not open")
		}
	}
}

func BenchmarkDecodeSession(b *testing.B) {
	record := benchSession().encode()
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := decodeSession(string(record)); !ok {
			b.Fatal("does not decode")
		}
	}
}

func BenchmarkNewAttempt(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		newAttempt("app https://id.example.test", "/private", false, time.Time{}).request().Challenge()
	}
}

// An application with this package starts to listen no later than without.
func BenchmarkNew(b *testing.B) {
	config := Config{
		Providers:   []Provider{{Issuer: "https://id.example.test", ClientID: "app"}},
		RedirectURL: "https://app.example.test/auth/callback",
		SessionKey:  keyA,
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(config); err != nil {
			b.Fatal(err)
		}
	}
}
