package provider

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/internal/hostile"
)

func TestWhatIsReachedAtInternalURL(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ issuer, internal, endpoint, want string }{
		{"https://id.example.test/a", "http://keycloak:8080", "https://id.example.test/b?c=%2F", "http://keycloak:8080/b?c=%2F"},
		{"https://id.example.test/a", "http://keycloak:8080/", "https://id.example.test", "http://keycloak:8080"},
		{"https://id.example.test/a", "https://keycloak", "HTTPS://ID.example.test:443/b%2Fc", "https://keycloak/b%2Fc"},
		{"http://id.example.test:80", "https://keycloak", "http://id.example.test/b", "https://keycloak/b"},
		{"https://id.example.test", "https://keycloak", "https://id.example.test:8443/b", ""},
		{"https://id.example.test", "https://keycloak", "http://id.example.test/b", ""},
		{"https://id.example.test", "https://keycloak", "https://api.id.example.test/b", ""},
		{"https://id.example.test", "https://keycloak", "", ""},
		{"https://id.example.test", "", "https://id.example.test/b", ""},
		{"https://id.example.test/{tenantid}/", "https://keycloak", "https://id.example.test/common/b", "https://keycloak/common/b"},
	} {
		config := Config{Issuer: test.issuer, Endpoints: Endpoints{InternalURL: test.internal}}
		if test.want == "" {
			test.want = test.endpoint
		}
		if got := config.reach(test.endpoint); got != test.want {
			t.Errorf("%s: got %s, want %s", test.endpoint, got, test.want)
		}
	}
}

// Names below localhost are this machine, whatever a resolver or a proxy says. All other
// names are the transport's business.
func TestStayLocal(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		address string
		fails   string // to dial
		want    []string
		proxied bool
	}{
		{"id.localhost:8080", "", []string{"127.0.0.1:8080"}, false},
		{"a.b.localhost:443", "127.0.0.1:443", []string{"127.0.0.1:443", "[::1]:443"}, false},
		{"localhost:80", "", []string{"localhost:80"}, true},
		{"idlocalhost:80", "", []string{"idlocalhost:80"}, true},
		{"id.localhost.example.test:80", "", []string{"id.localhost.example.test:80"}, true},
		{"127.0.0.1:80", "127.0.0.1:80", []string{"127.0.0.1:80"}, true},
	} {
		var dialed []string
		down := errors.New("connection refused")
		transport := &http.Transport{
			DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
				if dialed = append(dialed, address); address == test.fails {
					return nil, down
				}
				return new(net.TCPConn), nil
			},
			Proxy: func(*http.Request) (*url.URL, error) { return url.Parse("http://proxy.example.test") },
		}
		stayLocal(transport)
		conn, err := transport.DialContext(t.Context(), "tcp", test.address)
		if reached := len(test.want) > 1 || test.fails == ""; !slices.Equal(dialed, test.want) || (conn != nil) != reached || (err == nil) != reached {
			t.Errorf("%s: dialed %q: %v", test.address, dialed, err)
		}
		proxy, err := transport.Proxy(&http.Request{URL: &url.URL{Scheme: "http", Host: test.address}})
		if err != nil || (proxy != nil) != test.proxied {
			t.Errorf("%s: got the proxy %v, %v", test.address, proxy, err)
		}
	}
	bare := new(http.Transport)
	if stayLocal(bare); bare.DialContext != nil || bare.Proxy != nil {
		t.Error("what is nil was replaced")
	}
	if got, ok := NewClient(nil).Transport.(cappedTransport).base.(*http.Transport); !ok || got.Proxy == nil {
		t.Errorf("got %v", got)
	} else if proxy, err := got.Proxy(&http.Request{URL: &url.URL{Scheme: "http", Host: "id.localhost"}}); proxy != nil || err != nil {
		t.Errorf("got the proxy %v, %v", proxy, err)
	}
}

// If both addresses of this machine fail, the error is about the first.
func TestStayLocalWhenNothingListens(t *testing.T) {
	t.Parallel()
	transport := &http.Transport{DialContext: func(_ context.Context, _, address string) (net.Conn, error) { return nil, errors.New(address) }}
	stayLocal(transport)
	if conn, err := transport.DialContext(t.Context(), "tcp", "id.localhost:1"); conn != nil || err == nil || err.Error() != "127.0.0.1:1" {
		t.Errorf("got %v, %v", conn, err)
	}
}

func TestReadKeys(t *testing.T) {
	t.Parallel()
	const good = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	for _, test := range []struct{ name, text, want string }{
		{"a key", `{"keys":[` + good + `]}`, ""},
		{"a key of another kind beside it", `{"keys":[{"kty":"EC","crv":"secp256k1"},` + good + `]}`, ""},
		{"a weak key beside it", `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"},` + good + `]}`, ""},
		{"a key, in 1 MB", strings.Repeat(" ", maxProviderBytes-len(good)-11) + `{"keys":[` + good + `]}`, ""},
		{"a key, in a byte more", strings.Repeat(" ", maxProviderBytes-len(good)-10) + `{"keys":[` + good + `]}`, "has more than 1048576 bytes"},
		{"a weak key", `{"keys":[{"kty":"RSA","kid":"weak","n":"AQAB","e":"AQAB"}]}`, `weak`},
		{"a key for encryption", `{"keys":[` + strings.Replace(good, `{`, `{"use":"enc",`, 1) + `]}`, "has no key that can verify signatures"},
		{"a secret", `{"keys":[{"kty":"oct","k":"c2VjcmV0"},` + good + `]}`, "has a private or a symmetric key"},
		{"a private part of another kind", `{"keys":[{"kty":"EC","crv":"secp256k1","d":"c2VjcmV0"},` + good + `]}`, "has a private or a symmetric key"},
		{"what is no key", `{"keys":[7,` + good + `]}`, "is not a JWK set"},
		{"no array", `{"keys":` + good + `}`, "is not a JWK set"},
		{"no keys", `{}`, "is not a JWK set"},
		{"null", `{"keys":null}`, "has no key that can verify signatures"},
		{"half of it", `{"keys":[` + good, "is not a JWK set"},
		{"nothing", ``, "is not a JWK set"},
	} {
		set, err := ReadKeys([]byte(test.text))
		if test.want == "" && (err != nil || len(set.keys) != 1) || test.want != "" && (err == nil || set != nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %v, want %q in it", test.name, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "c2VjcmV0") {
			t.Errorf("%s: the secret is in %v", test.name, err)
		}
	}
}

// What the configuration gives replaces what the metadata says; only browsers keep the
// public addresses.
func TestDiscoverWithEndpoints(t *testing.T) {
	t.Parallel()
	const issuer, inside = "https://id.example.test", "https://keycloak:8443"
	document := []byte(`{"issuer":"` + issuer + `","authorization_endpoint":"` + issuer + `/a","token_endpoint":"` + issuer + `/t","jwks_uri":"` + issuer + `/k",
		"userinfo_endpoint":"` + issuer + `/u","end_session_endpoint":"` + issuer + `/e","revocation_endpoint":"` + issuer + `/r","id_token_signing_alg_values_supported":["ES256"]}`)
	public := []string{issuer + "/a", issuer + "/t", issuer + "/k", issuer + "/u", issuer + "/e", issuer + "/r"}
	internal := []string{issuer + "/a", inside + "/t", inside + "/k", inside + "/u", issuer + "/e", inside + "/r"}
	other := []string{"https://o/a", "https://o/t", "https://o/k", "https://o/u", "https://o/e", "https://o/r"}
	for _, test := range []struct {
		name  string
		given Endpoints
		asked string   // "": no request
		want  []string // authorization, token, keys, UserInfo, logout and revocation; nil: an error
	}{
		{"nothing", Endpoints{}, issuer + "/.well-known", public},
		{"InternalURL", Endpoints{InternalURL: inside}, inside + "/.well-known", internal},
		{"MetadataURL", Endpoints{MetadataURL: issuer + "/m"}, issuer + "/m", public},
		{"MetadataURL and InternalURL", Endpoints{MetadataURL: issuer + "/m", InternalURL: inside}, inside + "/m", internal},
		{"MetadataURL elsewhere, and InternalURL", Endpoints{MetadataURL: "https://o/m", InternalURL: inside}, "https://o/m", internal},
		{"all but the keys", Endpoints{AuthURL: "https://o/a", TokenURL: "https://o/t"}, "", nil},
		{"all", Endpoints{AuthURL: "https://o/a", TokenURL: "https://o/t", KeysURL: "https://o/k", UserInfoURL: "https://o/u", EndSessionURL: "https://o/e", RevocationURL: "https://o/r", InternalURL: inside}, "", other},
		{"keys only", Endpoints{Keys: new(KeySet), AuthURL: issuer + "/a", TokenURL: issuer + "/t"}, "", []string{issuer + "/a", issuer + "/t", "", "", "", ""}},
		{"some", Endpoints{UserInfoURL: "https://o/u", EndSessionURL: "https://o/e"}, issuer + "/.well-known", []string{issuer + "/a", issuer + "/t", issuer + "/k", "https://o/u", "https://o/e", issuer + "/r"}},
		{"keys and revocation", Endpoints{KeysURL: "https://o/k", RevocationURL: "https://o/r"}, issuer + "/.well-known", []string{issuer + "/a", issuer + "/t", "https://o/k", issuer + "/u", issuer + "/e", "https://o/r"}},
		{"a logout at InternalURL", Endpoints{EndSessionURL: inside + "/e", InternalURL: inside}, inside + "/.well-known", nil},
		{"InternalURL that is the issuer's origin", Endpoints{InternalURL: issuer}, issuer + "/.well-known", public},
	} {
		asked := ""
		client := answering(document)
		base := client.Transport
		client.Transport = hostile.RoundTrip(func(r *http.Request) (*http.Response, error) {
			asked = strings.TrimSuffix(r.URL.String(), "/openid-configuration")
			return base.RoundTrip(r)
		})
		p := newOIDCProvider(Config{Issuer: issuer, ClientID: "app", Endpoints: test.given, Client: client, Now: time.Now})
		m, err := p.metadata.get(t.Context())
		if (err == nil) != (test.want != nil) || asked != test.asked {
			t.Errorf("%s: asked at %q: %v", test.name, asked, err)
			continue
		}
		if err != nil {
			continue
		}
		if got := []string{m.AuthorizationEndpoint, m.TokenEndpoint, m.JWKSURI, m.UserInfoEndpoint, m.EndSessionEndpoint, m.RevocationEndpoint}; !slices.Equal(got, test.want) {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
		if got := len(p.config.algorithms(m.SigningAlgs)); m.Issuer != issuer || (got == len(Asymmetric)) != (test.asked == "") {
			t.Errorf("%s: %d algorithms, issuer %s", test.name, got, m.Issuer)
		}
	}
}

// Each level allows what the one before does, and more.
func TestEndpointsOnPlainHTTP(t *testing.T) {
	t.Parallel()
	for endpoint, from := range map[string]PlainHTTP{
		"https://id.lan/": NoPlainHTTP, "http://localhost/": LoopbackHTTP, "http://id.localhost:8080/": LoopbackHTTP, "http://127.9.9.9/": LoopbackHTTP, "http://[::1]:1/": LoopbackHTTP,
		"http://id.lan/": AnyPlainHTTP, "http://localhost.lan/": AnyPlainHTTP, "http://10.0.0.1/": AnyPlainHTTP, "ftp://localhost/": AnyPlainHTTP + 1, "http:///": AnyPlainHTTP + 1,
		"https://[2001:db8::1]:8443/": NoPlainHTTP, "https://id_1.lan/": NoPlainHTTP,
		"https://a;script-src/": AnyPlainHTTP + 1, "https://a,*/": AnyPlainHTTP + 1, "https://*.lan/": AnyPlainHTTP + 1, "https://a'b/": AnyPlainHTTP + 1,
	} {
		for level := NoPlainHTTP; level <= AnyPlainHTTP; level++ {
			if err := CheckEndpoint(endpoint, level); (err == nil) != (level >= from) {
				t.Errorf("%s at level %d: %v", endpoint, level, err)
			}
		}
	}
	if IsLoopback("id.localhost") || !IsLoopback("localhost") {
		t.Error("a name below localhost is loopback only where this library resolves it")
	}
}
