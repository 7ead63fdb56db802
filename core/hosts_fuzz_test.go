package core

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// A Host header names a host in one form only, or none. No header leads anywhere but to the
// known host, and an approver sees clean names only.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{
		"app.example.test", "APP.example.test:443", "acme.example.test:8443", "", "app.example.test.", "a:0", "a:00443", "a:443:443", "a@b", "a/b", "[::1]:8443", "[::1",
		"[fe80::1%25eth0]", "127.0.0.1", "127.1", "0x7f.1", "2130706433", "xn--bcher-kva.example", "bücher.example", "\u212a.example", "a\r\nb", "*.example.test", "-", "_", ".", ":443", "1.2.3.4.",
	} {
		f.Add(seed)
	}
	config := goodConfig()
	asked := ""
	config.Hosts = HostConfig{
		Names:   []string{"acme.example.test"},
		Approve: func(_ context.Context, host string) (bool, error) { asked = host; return false, nil },
	}
	a, err := New(config)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, header string) {
		for _, scheme := range []string{"https", "http"} {
			name, ok := hostName(header, scheme)
			if !ok {
				continue
			}
			if again, ok := hostName(name, scheme); !ok || again != name {
				t.Errorf("%q is %q, and that is %q", header, name, again)
			}
			u, err := url.Parse(scheme + "://" + name + "/auth/callback")
			if err != nil || u.Host != name || u.Hostname() == "" || u.User != nil || u.Path != "/auth/callback" || originOf(u) != scheme+"://"+name {
				t.Errorf("%q is %q, of which a URL makes %v, %v", header, name, u, err)
			}
			if strings.ToLower(name) != name || strings.HasSuffix(u.Hostname(), ".") || strings.ContainsFunc(name, func(c rune) bool { return c <= 0x20 || c > 0x7e }) {
				t.Errorf("%q is %q", header, name)
			}
		}
		asked = ""
		r := httptest.NewRequest(http.MethodGet, "/auth/login", nil)
		r.Host = header
		origin, err := a.hosts.originFor(r)
		if known := origin == "https://app.example.test" || origin == "https://acme.example.test"; known != (err == nil) || !known && origin != "" {
			t.Errorf("%q is at %q, %v", header, origin, err)
		}
		if name, _ := hostName(header, "https"); asked != "" && asked != name {
			t.Errorf("%q: Approve was asked about %q", header, asked)
		}
		if sealed := a.hosts.of(r); sealed == "" || strings.ContainsAny(sealed, "\n ") || err != nil && (sealed == "app.example.test" || sealed == "acme.example.test") {
			t.Errorf("%q is sealed for %q", header, sealed)
		}
	})
}
