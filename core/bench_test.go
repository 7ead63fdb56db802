package core_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// guardedRequest is one of a site that has cookies of its own, and a session
// with some 13 claims.
func guardedRequest(b *testing.B) (*rig, *http.Request) {
	g := newRig(b)
	claims := map[string]any{"name": "Ada Lovelace", "email": "ada@example.test", "email_verified": true}
	for i := range 10 {
		claims[fmt.Sprintf("claim_%d", i)] = fmt.Sprintf("a value of some forty characters, number %d", i)
	}
	g.provider.User = logintest.User{Subject: "248289761001", Claims: claims}
	g.login()
	r := httptest.NewRequest("GET", origin+"/me", nil)
	r.Header.Set("Cookie", "theme=dark; _ga=GA1.2.1234567890.1234567890; csrf=0123456789abcdef")
	for _, c := range g.browser.Cookies(origin + "/me") {
		r.AddCookie(c)
	}
	return g, r
}

func BenchmarkGuard(b *testing.B) {
	g, r := guardedRequest(b)
	b.ReportAllocs()
	for b.Loop() {
		w := discard{make(http.Header, 2)}
		authenticated, err := g.auth.Authenticate(w, r)
		if err != nil || core.UserFromContext(authenticated.Context()).Subject == "" {
			b.Fatal(err)
		}
	}
}

func BenchmarkGuardParallel(b *testing.B) {
	g, r := guardedRequest(b)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := g.auth.Authenticate(discard{make(http.Header, 2)}, r); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkGuardStranger(b *testing.B) {
	g, r := guardedRequest(b)
	r.Header.Set("Cookie", "theme=dark; _ga=GA1.2.1234567890.1234567890; csrf=0123456789abcdef")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.auth.Authenticate(discard{make(http.Header, 2)}, r); err == nil {
			b.Fatal("a stranger passes")
		}
	}
}

func BenchmarkLogin(b *testing.B) {
	g := newRig(b)
	r := httptest.NewRequest("GET", origin+"/auth/login?return_to=/me", nil)
	b.ReportAllocs()
	for b.Loop() {
		if err := g.auth.Login(discard{make(http.Header, 4)}, r); err != nil {
			b.Fatal(err)
		}
	}
}

// discard is a response that nobody reads.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
