package core

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"
)

func goodConfig() Config {
	return Config{
		Providers:   []Provider{{Issuer: "https://id.example.test", ClientID: "app"}},
		RedirectURL: "https://app.example.test/auth/callback",
		SessionKey:  keyA,
	}
}

// certificateFor is a certificate for a public key, of which nothing else matters.
func certificateFor(public crypto.PublicKey) *x509.Certificate {
	return &x509.Certificate{PublicKey: public}
}

// sharedConfig is of an application that shares its host.
func sharedConfig() Config {
	c := goodConfig()
	c.BasePath, c.RedirectURL = "/reader", "https://app.example.test/reader/auth/callback"
	return c
}

func twoProviders() Config {
	c := goodConfig()
	c.Providers = []Provider{
		{Name: "one", Issuer: "https://one.example.test", ClientID: "app"},
		{Name: "two", Issuer: "https://two.example.test", ClientID: "app"},
	}
	return c
}

func tenantExample() Provider {
	return Provider{
		Issuer: "https://id.example.test/{tenantid}/v2.0", ClientID: "app",
		Checks: CheckConfig{Tenants: []string{"aaaabbbb-0000-cccc-1111-dddd2222eeee"}},
	}
}

func oauth2Example() Provider {
	return Provider{
		ClientID:  "app",
		Endpoints: EndpointConfig{AuthURL: "https://id.example.test/authorize", TokenURL: "https://id.example.test/token"},
		FetchUser: func(context.Context, *http.Client) (map[string]any, error) { return nil, nil },
	}
}

func ownSessions() *OwnSessions {
	return &OwnSessions{
		Start:         func(http.ResponseWriter, *http.Request, *Login) (bool, error) { return false, nil },
		End:           func(http.ResponseWriter, *http.Request) error { return nil },
		EndByProvider: func(context.Context, string, string, string, string) error { return nil },
	}
}

// publicKeys is the key of RFC 8037 appendix A.2.
var publicKeys = []byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`)

// endpoints changes endpoints that are given by hand.
func endpoints(change func(*EndpointConfig)) func(*Config) {
	return func(c *Config) {
		c.Providers[0].Endpoints = EndpointConfig{
			AuthURL: "https://id.example.test/a", TokenURL: "https://id.example.test/t", KeysURL: "https://id.example.test/k",
		}
		change(&c.Providers[0].Endpoints)
	}
}

func oauth2With(change func(*EndpointConfig)) func(*Config) {
	return func(c *Config) {
		c.Providers[0] = oauth2Example()
		change(&c.Providers[0].Endpoints)
	}
}

var (
	signingKey, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	otherKey, _   = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
)

// cannedTransport is a transport of a test.
type cannedTransport struct{}

func (cannedTransport) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, http.ErrNotSupported
}

func findNone(context.Context, string) (*Provider, error) { return nil, nil }

func chooseNone(*http.Request, string) (string, error) { return "", nil }

func sendNone(context.Context, string, string) error { return nil }

func publishing(c *Config, keys ...SigningKey) {
	c.KeysPath, c.Providers[0].Client.SigningKeys = "/auth/jwks", keys
}

func TestNewNamesTheFieldAndTheRemedy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string // "": accepted
	}{
		{"nothing unusual", func(c *Config) {}, ""},
		{"loopback on http", func(c *Config) { c.RedirectURL = "http://127.0.0.1:8080/auth/callback" }, ""},
		{"localhost on http", func(c *Config) { c.RedirectURL = "http://localhost:8080/auth/callback" }, ""},
		{"IPv6 loopback on http", func(c *Config) { c.RedirectURL = "http://[::1]:8080/auth/callback" }, ""},
		{"repeated resource", func(c *Config) { c.Providers[0].Requests.AuthParams = url.Values{"resource": {"a", "b"}} }, ""},
		{"issuer with path and slash", func(c *Config) { c.Providers[0].Issuer = "https://id.example.test/a/" }, ""},

		{"several hosts", func(c *Config) {
			c.Hosts.Names = []string{"acme.example.test", "globex.example.test:8443", "xn--bcher-kva.example.test", "a_b.example.test", "192.0.2.1", "[2001:db8::1]", "[2001:db8::2]:8443"}
		}, ""},
		{"hosts below localhost", func(c *Config) {
			c.RedirectURL, c.Hosts.Names = "http://localhost:8080/auth/callback", []string{"acme.localhost:8080", "127.0.0.1:8080", "[::1]:8080"}
		}, ""},
		{"hosts that are approved", func(c *Config) { c.Hosts.Approve = approveAll }, ""},
		{"a host that is empty", hostNames(""), "Hosts.Names[0] is not a host as browsers send it; give one such as acme.example.com"},
		{"a host with a scheme", hostNames("https://acme.example.test"), "Hosts.Names[0] is not a host"},
		{"a host with a path", hostNames("acme.example.test/"), "Hosts.Names[0] is not a host"},
		{"a host with a query", hostNames("acme.example.test?"), "Hosts.Names[0] is not a host"},
		{"a host with a user", hostNames("ada@acme.example.test"), "Hosts.Names[0] is not a host"},
		{"a host in upper case", hostNames("Acme.example.test"), "Hosts.Names[0] is not a host"},
		{"a host with the default port", hostNames("acme.example.test:443"), "Hosts.Names[0] is not a host"},
		{"a host with port 0", hostNames("acme.example.test:0"), "Hosts.Names[0] is not a host"},
		{"a host with a port that is a name", hostNames("acme.example.test:https"), "Hosts.Names[0] is not a host"},
		{"a host with a final dot", hostNames("acme.example.test."), "Hosts.Names[0] is not a host"},
		{"a host with a wildcard", hostNames("*.example.test"), "Hosts.Names[0] is not a host"},
		{"a host with a space", hostNames("acme.example.test "), "Hosts.Names[0] is not a host"},
		{"a host that is not ASCII", hostNames("äcme.example.test"), "Hosts.Names[0] is not a host"},
		{"a host that is half an address", hostNames("127.1"), "Hosts.Names[0] is not a host"},
		{"the second host is none", hostNames("acme.example.test", "-"), "Hosts.Names[1] is not a host"},
		{"a host that is RedirectURL's", hostNames("app.example.test"), "Hosts.Names[0] is the host of RedirectURL already; remove it"},
		{"a host that is RedirectURL's with its port", func(c *Config) {
			c.RedirectURL, c.Hosts.Names = "https://APP.example.test:443/auth/callback", []string{"app.example.test"}
		}, "Hosts.Names[0] is the host of RedirectURL already"},
		{"a host twice", hostNames("acme.example.test", "acme.example.test"), "Hosts.Names[1] is the host of Hosts.Names[0] already; remove it"},
		{"a host with another port", hostNames("app.example.test:8443"), "Hosts.Names[0] differs from the host of RedirectURL in its port only, and cookies ignore ports"},
		{"two hosts with another port", hostNames("acme.example.test", "acme.example.test:8443"), "Hosts.Names[1] differs from the host of Hosts.Names[0] in its port only"},
		{"a host on plain http", func(c *Config) {
			c.RedirectURL, c.Hosts.Names = "http://localhost:8080/auth/callback", []string{"acme.example.test:8080"}
		}, "Hosts.Names[0] would be on plain http, like RedirectURL; give a host such as acme.localhost:8080, or set InsecureHTTP"},
		{"a host on plain http, on purpose", func(c *Config) {
			c.RedirectURL, c.Hosts.Names, c.InsecureHTTP = "http://localhost:8080/auth/callback", []string{"acme.example.test:8080"}, true
		}, ""},
		{"several hosts beside one with a final dot", func(c *Config) {
			c.RedirectURL, c.Hosts.Names = "https://app.example.test./auth/callback", []string{"acme.example.test"}
		}, "RedirectURL has a host that no browser sends as it is, so Hosts cannot compare it"},
		{"one host with a final dot", func(c *Config) { c.RedirectURL = "https://app.example.test./auth/callback" }, ""},
		{"a shared domain", sharedDomain("example.test", "acme.example.test", "example.test"), ""},
		{"a shared domain with ports", func(c *Config) {
			sharedDomain("app.localhost", "acme.app.localhost:8080")(c)
			c.RedirectURL = "http://app.localhost:8080/auth/callback"
		}, ""},
		{"a shared domain of approved hosts", func(c *Config) { sharedDomain("example.test")(c); c.Hosts.Approve = approveAll }, ""},
		{"a shared domain of one host", sharedDomain("example.test"), "Hosts.SharedDomain is set, and there is one host; give Hosts.Names or Hosts.Approve"},
		{"a shared domain with a leading dot", sharedDomain(".example.test", "acme.example.test"), "Hosts.SharedDomain is not a domain; give one such as example.com"},
		{"a shared domain with a final dot", sharedDomain("example.test.", "acme.example.test"), "Hosts.SharedDomain is not a domain"},
		{"a shared domain with a scheme", sharedDomain("https://example.test", "acme.example.test"), "Hosts.SharedDomain is not a domain"},
		{"a shared domain with a port", sharedDomain("example.test:8443", "acme.example.test"), "Hosts.SharedDomain is not a domain"},
		{"a shared domain with a wildcard", sharedDomain("*.example.test", "acme.example.test"), "Hosts.SharedDomain is not a domain"},
		{"a shared domain in upper case", sharedDomain("Example.test", "acme.example.test"), "Hosts.SharedDomain is not a domain"},
		{"a shared domain with an attribute", sharedDomain("example.test; Secure", "acme.example.test"), "Hosts.SharedDomain is not a domain"},
		{"a shared domain that is an address", func(c *Config) {
			sharedDomain("192.0.2.1", "acme.example.test")(c)
			c.RedirectURL = "https://192.0.2.1/auth/callback"
		}, "Hosts.SharedDomain is not a domain"},
		{"a shared domain of one label", sharedDomain("test", "acme.example.test"), "Hosts.SharedDomain is a single label, and browsers refuse cookies for it; give a domain of your own"},
		{"localhost as a shared domain", func(c *Config) {
			sharedDomain("localhost", "acme.localhost:8080")(c)
			c.RedirectURL = "http://localhost:8080/auth/callback"
		}, "or for development app.localhost"},
		{"a shared domain without RedirectURL", sharedDomain("example.com", "acme.example.com"), "Hosts.SharedDomain is not the domain of RedirectURL's host"},
		{"a shared domain that RedirectURL's host ends in", sharedDomain("p.example.test", "acme.p.example.test"), "Hosts.SharedDomain is not the domain of RedirectURL's host"},
		{"a shared domain without one of the hosts", sharedDomain("example.test", "acme.example.test", "acme.example.com"), "Hosts.Names[1] is not in Hosts.SharedDomain; remove it, or leave SharedDomain empty"},
		{"a shared domain that a host ends in", sharedDomain("example.test", "acme.badexample.test"), "Hosts.Names[0] is not in Hosts.SharedDomain"},

		{"no provider", func(c *Config) { c.Providers = nil }, "Providers is empty; give at least one"},
		{"two providers", func(c *Config) { *c = twoProviders() }, ""},
		{"two providers, one with a slash in its name", func(c *Config) { *c = twoProviders(); c.Providers[1].Name = "not/that" }, "Providers[1].Name cannot be the end of a path"},
		{"two providers, one without a name", func(c *Config) { *c = twoProviders(); c.Providers[1].Name = "" }, ""},
		{"two providers, both without a name", func(c *Config) { *c = twoProviders(); c.Providers[0].Name, c.Providers[1].Name = "", "" }, "Providers[1].Name is missing, and so is that of Providers[0]"},
		{"two providers, one named like the other's host", func(c *Config) {
			*c = twoProviders()
			c.RedirectURL, c.Providers[0].Name, c.Providers[1].Name = "http://localhost/auth/callback", "", "localhost"
			c.Providers[0].Issuer = "http://localhost"
		}, "Providers[1].Name is that of Providers[0]"},
		{"one provider with a blank in its name", func(c *Config) { c.Providers[0].Name = "My Company" }, "Providers[0].Name cannot be the end of a path; give at most 64 letters, digits, -, _ or ., beginning and ending with a letter or digit"},
		{"a callback of its own", func(c *Config) { c.Providers[0].RedirectURL = "https://app.example.test/done" }, ""},
		{"a callback of its own, with the usual port", func(c *Config) { c.Providers[0].RedirectURL = "https://APP.example.test:443/done" }, ""},
		{"a callback of its own that is RedirectURL", func(c *Config) { *c = twoProviders(); c.Providers[1].RedirectURL = c.RedirectURL }, ""},
		{"a callback of its own that is no URL", func(c *Config) { c.Providers[0].RedirectURL = "https://[::1" }, "Providers[0].RedirectURL is not an absolute URL"},
		{"a callback of its own that is a path", func(c *Config) { c.Providers[0].RedirectURL = "/done" }, "Providers[0].RedirectURL is not an absolute URL"},
		{"a callback of its own on another host", func(c *Config) { c.Providers[0].RedirectURL = "https://other.example.test/done" }, "Providers[0].RedirectURL has another scheme or host than RedirectURL"},
		{"a callback of its own on another port", func(c *Config) { c.Providers[0].RedirectURL = "https://app.example.test:8443/done" }, "Providers[0].RedirectURL has another scheme or host than RedirectURL"},
		{"a callback of its own on http", func(c *Config) { c.Providers[0].RedirectURL = "http://app.example.test/done" }, "Providers[0].RedirectURL has another scheme or host than RedirectURL"},
		{"a callback of its own with a query", func(c *Config) { c.Providers[0].RedirectURL = "https://app.example.test/done?x=y" }, "Providers[0].RedirectURL has a user name, query or fragment"},
		{"a callback of its own with an empty query", func(c *Config) { c.Providers[0].RedirectURL = "https://app.example.test/done?" }, "Providers[0].RedirectURL has a user name, query or fragment"},
		{"a callback of its own with a fragment", func(c *Config) { c.Providers[0].RedirectURL = "https://app.example.test/done#" }, "Providers[0].RedirectURL has a user name, query or fragment"},
		{"a callback of its own with a user name", func(c *Config) { c.Providers[0].RedirectURL = "https://ada@app.example.test/done" }, "Providers[0].RedirectURL has a user name, query or fragment"},
		{"a callback of its own without a path", func(c *Config) { c.Providers[0].RedirectURL = "https://app.example.test" }, "Providers[0].RedirectURL's path cannot be a route"},
		{"a callback of its own with a wildcard", func(c *Config) { c.Providers[0].RedirectURL = "https://app.example.test/{x}" }, "Providers[0].RedirectURL's path cannot be a route"},
		{"a callback of its own with an escape", func(c *Config) { c.Providers[0].RedirectURL = "https://app.example.test/a%41" }, "Providers[0].RedirectURL's path cannot be a route"},
		{"a callback of its own that is the logout", func(c *Config) { c.Providers[0].RedirectURL = "https://app.example.test/auth/logout" }, "Providers[0].RedirectURL gives the callback /auth/logout, which is another route"},
		{"two providers, one callback", func(c *Config) {
			*c = twoProviders()
			c.Providers[0].RedirectURL, c.Providers[1].RedirectURL = "https://app.example.test/done", "https://app.example.test/done"
		}, "Providers[1].RedirectURL gives the callback of Providers[0]"},
		{"two providers, the callback that the other's name gives", func(c *Config) {
			*c = twoProviders()
			c.Providers[0].RedirectURL = "https://app.example.test/auth/callback/TWO"
		}, "Providers[1].Name gives the callback of Providers[0]"},
		{"two providers, the callback of one without a name", func(c *Config) {
			*c = twoProviders()
			c.Providers[0].RedirectURL, c.Providers[1].Name = c.RedirectURL, ""
		}, "Providers[1].RedirectURL gives the callback of Providers[0]"},
		{"a home that is a callback", func(c *Config) {
			c.Providers[0].RedirectURL, c.Pages.Home = "https://app.example.test/done", "/done"
		}, "Pages.Home is not a page of this application"},
		{"two providers, a name that is a path", func(c *Config) { *c = twoProviders(); c.Providers[0].Name = "a/b" }, "Providers[0].Name cannot be the end of a path"},
		{"a label", func(c *Config) { c.Providers[0].Label = "Müller & Söhne GmbH" }, ""},
		{"the longest label", func(c *Config) { c.Providers[0].Label = strings.Repeat("ü", 64) }, ""},
		{"a label that is too long", func(c *Config) { c.Providers[0].Label = strings.Repeat("u", 65) }, "Providers[0].Label cannot be shown; give at most 64 printable characters"},
		{"a label with a line break", func(c *Config) { c.Providers[0].Label = "Müller\nGmbH" }, "Providers[0].Label cannot be shown"},
		{"a label that turns text around", func(c *Config) { c.Providers[0].Label = "Müller\u202eGmbH" }, "Providers[0].Label cannot be shown"},
		{"a label that is not UTF-8", func(c *Config) { c.Providers[0].Label = "M\xfcller" }, "Providers[0].Label cannot be shown"},
		{"a label of spaces", func(c *Config) { c.Providers[0].Label = " " }, "Providers[0].Label cannot be shown"},
		{"two providers with labels", func(c *Config) { *c = twoProviders(); c.Providers[0].Label, c.Providers[1].Label = "two", "one" }, ""},
		{"two providers with one label", func(c *Config) { *c = twoProviders(); c.Providers[0].Label, c.Providers[1].Label = "Work", "Work" }, "Providers[1].Label is that of Providers[0], so users"},
		{"two providers, a label that is the other's name", func(c *Config) { *c = twoProviders(); c.Providers[0].Label = "two" }, "Providers[1].Label is that of Providers[0], so users"},
		{"two providers of one name", func(c *Config) { *c = twoProviders(); c.Providers[1].Name = "ONE" }, "Providers[1].Name is that of Providers[0]"},
		{"rule 30: two providers with one issuer", func(c *Config) { *c = twoProviders(); c.Providers[1].Issuer = c.Providers[0].Issuer }, "Providers[1].Issuer is that of Providers[0]"},
		{"two providers, a callback that is the login", func(c *Config) { *c = twoProviders(); c.Pages.LoginPath = "/auth/callback/two" }, "Providers[1].Name gives the callback /auth/callback/two, which is another route of the login"},
		{"Checks.SigningAlg", func(c *Config) { c.Providers[0].Checks.SigningAlg = "ES256" }, ""},
		{"Checks.SigningAlg by the client secret", func(c *Config) { c.Providers[0].Checks.SigningAlg = "HS256" }, `Providers[0].Checks.SigningAlg is "HS256"; give one of ["RS256"`},
		{"Checks.SigningAlg none", func(c *Config) { c.Providers[0].Checks.SigningAlg = "none" }, `Providers[0].Checks.SigningAlg is "none"`},
		{"Checks.SigningAlg in small letters", func(c *Config) { c.Providers[0].Checks.SigningAlg = "es256" }, `Providers[0].Checks.SigningAlg is "es256"`},
		{"a secret from a file", func(c *Config) { c.Providers[0].ClientSecret = "secret\n" }, "Providers[0].ClientSecret has a line break"},
		{"the address of the metadata", func(c *Config) { c.Providers[0].Issuer += "/.well-known/openid-configuration" }, "Providers[0].Issuer is where its metadata is"},
		{"scopes in one", func(c *Config) { c.Providers[0].Scopes = []string{"openid email"} }, "Providers[0].Scopes has several in one element"},
		{"no issuer", func(c *Config) { c.Providers[0].Issuer = "" }, "Providers[0].Issuer is missing"},
		{"rule 50: http issuer", func(c *Config) { c.Providers[0].Issuer = "http://id.example.test" }, "Providers[0].Issuer is not an https URL"},
		{"rule 50: http provider, http application", func(c *Config) {
			c.RedirectURL, c.Providers[0].Issuer = "http://127.0.0.1:8080/auth/callback", "http://localhost:9000"
		}, ""},
		{"rule 50: http provider on loopback, https application", func(c *Config) { c.Providers[0].Issuer = "http://127.0.0.1:9000" }, "Providers[0].Issuer is plain http, and RedirectURL is not; use https"},
		{"rule 50: http AuthURL on loopback, https application", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Endpoints.AuthURL = "http://127.0.0.1:9000/a"
		}, "Providers[0].Endpoints.AuthURL is plain http, and RedirectURL is not"},
		{"rule 50: http TokenURL on loopback, https application", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Endpoints.TokenURL = "http://127.0.0.1:9000/t"
		}, "Providers[0].Endpoints.TokenURL is plain http, and RedirectURL is not"},
		{"rule 50: http issuer of OAuth 2.0 by metadata, https application", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Issuer, c.Providers[0].Endpoints.AuthURL, c.Providers[0].Endpoints.TokenURL = "http://[::1]:9000", "", ""
		}, "Providers[0].Issuer is plain http, and RedirectURL is not"},
		{"rule 50: http OAuth 2.0, http application", func(c *Config) {
			c.RedirectURL, c.Providers[0] = "http://127.0.0.1:8080/auth/callback", oauth2Example()
			c.Providers[0].Endpoints.AuthURL, c.Providers[0].Endpoints.TokenURL = "http://127.0.0.1:9000/a", "http://127.0.0.1:9000/t"
		}, ""},
		{"issuer that is very long", func(c *Config) { c.Providers[0].Issuer += "/" + strings.Repeat("a", 4096) }, "Providers[0].Issuer is not an https URL"},
		{"rule 30: two of OAuth 2.0 at one host", func(c *Config) {
			*c = twoProviders()
			c.Providers[0], c.Providers[1] = oauth2Example(), oauth2Example()
			c.Providers[0].Name, c.Providers[1].Name = "one", "two"
		}, "Providers[1].Issuer is that of Providers[0]; an empty Issuer is made of AuthURL's host, so set Issuer on both"},
		{"rule 30: two of OAuth 2.0 at one host, with an issuer each", func(c *Config) {
			*c = twoProviders()
			for i := range c.Providers {
				c.Providers[i].Endpoints, c.Providers[i].FetchUser = oauth2Example().Endpoints, oauth2Example().FetchUser
			}
		}, ""},
		{"rule 30: two of OAuth 2.0 with one issuer", func(c *Config) {
			*c = twoProviders()
			for i := range c.Providers {
				c.Providers[i].Endpoints, c.Providers[i].FetchUser = oauth2Example().Endpoints, oauth2Example().FetchUser
			}
			c.Providers[1].Issuer = c.Providers[0].Issuer
		}, "one issuer can be one provider only"},
		{"issuer with a space", func(c *Config) { c.Providers[0].Issuer = "https://id.example.test/ https://other.example.test" }, "Providers[0].Issuer is not an https URL"},
		{"issuer with query", func(c *Config) { c.Providers[0].Issuer = "https://id.example.test?a" }, "Providers[0].Issuer is not an https URL"},
		{"issuer with password", func(c *Config) { c.Providers[0].Issuer = "https://u:p@id.example.test" }, "Providers[0].Issuer is not an https URL"},
		{"issuer of another scheme", func(c *Config) { c.Providers[0].Issuer = "javascript:alert(1)" }, "Providers[0].Issuer is not an https URL"},
		{"no client", func(c *Config) { c.Providers[0].ClientID = "" }, "Providers[0].ClientID is missing"},
		{"rule 12: no openid", func(c *Config) { c.Providers[0].Scopes = []string{"email"} }, "Providers[0].Scopes lacks openid"},
		{"rule 15: reserved parameter", func(c *Config) { c.Providers[0].Requests.AuthParams = url.Values{"state": {"x"}} }, "AuthParams sets state"},
		{"rule 15: PKCE parameter", func(c *Config) { c.Providers[0].Requests.AuthParams = url.Values{"code_challenge_method": {"plain"}} }, "AuthParams sets code_challenge_method"},
		{"rule 15: DPoP parameter", func(c *Config) { c.Providers[0].Requests.AuthParams = url.Values{"dpop_jkt": {"x"}} }, "AuthParams sets dpop_jkt"},
		{"rule 69: max_age", func(c *Config) { c.Providers[0].Requests.AuthParams = url.Values{"max_age": {"0"}} }, ""},
		{"rule 69: max_age that is no number of seconds", func(c *Config) { c.Providers[0].Requests.AuthParams = url.Values{"max_age": {"1h"}} }, "AuthParams has max_age"},
		{"rule 69: max_age that is negative", func(c *Config) { c.Providers[0].Requests.AuthParams = url.Values{"max_age": {"-1"}} }, "AuthParams has max_age"},
		{"rule 69: max_age that is empty", func(c *Config) { c.Providers[0].Requests.AuthParams = url.Values{"max_age": {""}} }, "AuthParams has max_age"},
		{"rule 15: repeated parameter", func(c *Config) { c.Providers[0].Requests.AuthParams = url.Values{"prompt": {"a", "b"}} }, "AuthParams has 2 values for prompt"},

		{"two secrets", func(c *Config) {
			c.Providers[0].ClientSecret = "x"
			c.Providers[0].Client.SecretFunc = func(context.Context) (string, error) { return "y", nil }
		}, "ClientSecret and Client.SecretFunc are both set"},
		{"a logout that names the client twice", func(c *Config) { c.Providers[0].Requests.LogoutRedirectParam = "client_id" }, "Requests.LogoutRedirectParam is client_id"},
		{"tenants", func(c *Config) { c.Providers[0] = tenantExample() }, ""},
		{"a template without tenants", func(c *Config) { c.Providers[0] = tenantExample(); c.Providers[0].Checks.Tenants = []string{} }, "Checks.Tenants is empty, and Issuer is for many tenants"},
		{"tenants without a template", func(c *Config) { c.Providers[0] = tenantExample(); c.Providers[0].Issuer = "https://id.example.test" }, "Checks.Tenants needs an Issuer with /{tenantid}/"},
		{"tenants of OAuth 2.0", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Checks.Tenants = tenantExample().Checks.Tenants
		}, "Checks.Tenants is for OpenID Connect only; leave it out"},
		{"an issuer that is no URL", func(c *Config) { c.Providers[0].Issuer = "http://[::1" }, "Providers[0].Issuer is not an https URL"},
		{"a template of another kind", func(c *Config) {
			c.Providers[0] = tenantExample()
			c.Providers[0].Issuer = "https://id.example.test/x{tenantid}/"
		}, "Checks.Tenants needs an Issuer with /{tenantid}/"},
		{"a tenant by its domain", func(c *Config) {
			c.Providers[0] = tenantExample()
			c.Providers[0].Checks.Tenants[0] = "contoso.example"
		}, `Checks.Tenants has "contoso.example"; give the tenant's id`},
		{"any tenant at all", func(c *Config) { c.Providers[0] = tenantExample(); c.Providers[0].Checks.Tenants[0] = "*" }, `Checks.Tenants has "*"; give the tenant's id`},
		{"rule 30: a tenant twice, by itself and among many", func(c *Config) {
			*c = twoProviders()
			tenants := tenantExample()
			c.Providers[0].Issuer, c.Providers[0].Checks.Tenants = tenants.Issuer, tenants.Checks.Tenants
			c.Providers[1].Issuer = strings.Replace(tenants.Issuer, "{tenantid}", tenants.Checks.Tenants[0], 1)
		}, "Providers[1].Issuer is that of Providers[0]"},

		{"OAuth 2.0", func(c *Config) { c.Providers[0] = oauth2Example() }, ""},
		{"OAuth 2.0 by metadata", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Issuer, c.Providers[0].Endpoints.AuthURL, c.Providers[0].Endpoints.TokenURL = "https://id.example.test", "", ""
		}, ""},
		{"OAuth 2.0 without endpoints", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Endpoints.AuthURL, c.Providers[0].Endpoints.TokenURL = "", ""
		}, "Endpoints has no AuthURL and TokenURL"},
		{"OAuth 2.0 with a state of its own", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Endpoints.AuthURL += "?tenant=a&state=mine"
		}, `Endpoints.AuthURL has a parameter "state" of its own`},
		{"OAuth 2.0 at a host that is not ASCII", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Endpoints.TokenURL = "https://\u0142.example.test/t"
		}, "Endpoints.TokenURL has a host that is not ASCII"},
		{"OAuth 2.0 with an empty fragment", func(c *Config) { c.Providers[0] = oauth2Example(); c.Providers[0].Endpoints.AuthURL += "#" }, "Endpoints.AuthURL has a fragment"},
		{"OAuth 2.0 with a parameter of its own", func(c *Config) { c.Providers[0] = oauth2Example(); c.Providers[0].Endpoints.AuthURL += "?tenant=a" }, ""},
		{"OAuth 2.0 with half of them", func(c *Config) { c.Providers[0] = oauth2Example(); c.Providers[0].Endpoints.TokenURL = "" }, "Endpoints.TokenURL is missing"},
		{"OAuth 2.0 by http", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Endpoints.AuthURL = "http://id.example.test/a"
		}, "Endpoints.AuthURL is not https"},
		{"OAuth 2.0 without FetchUser", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].FetchUser, c.Providers[0].Issuer = nil, "https://id.example.test"
		}, "Providers[0].Endpoints has AuthURL and TokenURL, and no keys; give KeysURL or Keys, or set FetchUser"},
		{"OAuth 2.0 with keys, for signed responses", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Requests.SignedResponse, c.Providers[0].Endpoints.Keys, c.Providers[0].Checks.SigningAlg = true, publicKeys, "ES256"
		}, ""},
		{"OAuth 2.0 without keys, for signed responses", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Requests.SignedResponse = true
		}, "Providers[0].Endpoints has AuthURL and TokenURL, and no keys; give KeysURL or Keys"},
		{"signed responses with a user", func(c *Config) {
			r := &c.Providers[0].Requests
			r.SignedResponse, r.FormPost, r.FormPostUser = true, true, true
		}, "Requests.FormPostUser and Requests.SignedResponse are both set"},
		{"OAuth 2.0 with keys", oauth2With(func(e *EndpointConfig) { e.Keys = publicKeys }), "Providers[0].Endpoints.Keys is for OpenID Connect only; leave it empty"},
		{"OAuth 2.0 with KeysURL", oauth2With(func(e *EndpointConfig) { e.KeysURL = "https://id.example.test/k" }), "Providers[0].Endpoints.KeysURL is for OpenID Connect only"},
		{"OAuth 2.0 with UserInfoURL", oauth2With(func(e *EndpointConfig) { e.UserInfoURL = "https://id.example.test/u" }), "Providers[0].Endpoints.UserInfoURL is for OpenID Connect only"},
		{"OAuth 2.0 with EndSessionURL", oauth2With(func(e *EndpointConfig) { e.EndSessionURL = "https://id.example.test/e" }), "Providers[0].Endpoints.EndSessionURL is for OpenID Connect only"},
		{"OAuth 2.0 with RevocationURL", oauth2With(func(e *EndpointConfig) { e.RevocationURL = "https://id.example.test/r" }), ""},
		{"OAuth 2.0 with MetadataURL and AuthURL", oauth2With(func(e *EndpointConfig) { e.MetadataURL = "https://id.example.test/m" }), "Providers[0].Endpoints.MetadataURL is not used with AuthURL and TokenURL"},
		{"OAuth 2.0 with MetadataURL and no Issuer", oauth2With(func(e *EndpointConfig) { *e = EndpointConfig{MetadataURL: "https://id.example.test/m"} }), "Endpoints has no AuthURL and TokenURL; give both, or an Issuer"},
		{"OAuth 2.0 at an InternalURL", oauth2With(func(e *EndpointConfig) { e.InternalURL = "https://id.internal" }), ""},

		{"endpoints by hand", endpoints(func(e *EndpointConfig) {}), ""},
		{"all endpoints by hand", endpoints(func(e *EndpointConfig) {
			e.EndSessionURL, e.RevocationURL, e.InternalURL, e.HTTPClient = "https://id.example.test/e", "https://id.example.test/r", "https://id.internal/", new(http.Client)
		}), ""},
		{"Keys by hand", endpoints(func(e *EndpointConfig) { e.KeysURL, e.Keys = "", publicKeys }), ""},
		{"Keys and metadata", endpoints(func(e *EndpointConfig) { *e = EndpointConfig{Keys: publicKeys} }), ""},
		{"KeysURL and Keys", endpoints(func(e *EndpointConfig) { e.Keys = publicKeys }), "Providers[0].Endpoints.KeysURL and Endpoints.Keys are both set; give one of them"},
		{"neither KeysURL nor Keys", endpoints(func(e *EndpointConfig) { e.KeysURL, e.Keys = "", []byte{} }), "Providers[0].Endpoints has AuthURL and TokenURL, and no keys; give KeysURL or Keys"},
		{"Keys that are empty", endpoints(func(e *EndpointConfig) { *e = EndpointConfig{Keys: []byte{}} }), ""},
		{"Keys that are no JSON", endpoints(func(e *EndpointConfig) { e.KeysURL, e.Keys = "", []byte("-----BEGIN PUBLIC KEY-----") }), "Providers[0].Endpoints.Keys is not a JWK set (RFC 7517 section 5); give the provider's public keys"},
		{"Keys that are one key", endpoints(func(e *EndpointConfig) { e.KeysURL, e.Keys = "", publicKeys[9:len(publicKeys)-2] }), "Providers[0].Endpoints.Keys is not a JWK set"},
		{"Keys with none", endpoints(func(e *EndpointConfig) { e.KeysURL, e.Keys = "", []byte(`{"keys":[]}`) }), "Providers[0].Endpoints.Keys has no key that can verify signatures"},
		{"Keys with a private one", endpoints(func(e *EndpointConfig) {
			e.KeysURL, e.Keys = "", bytes.Replace(publicKeys, []byte(`"x"`), []byte(`"d":"AAAA","x"`), 1)
		}), "Providers[0].Endpoints.Keys has a private or a symmetric key"},
		{"Keys with a secret beside a good one", endpoints(func(e *EndpointConfig) {
			e.KeysURL, e.Keys = "", bytes.Replace(publicKeys, []byte(`[`), []byte(`[{"kty":"oct","k":"c2VjcmV0"},`), 1)
		}), "Providers[0].Endpoints.Keys has a private or a symmetric key"},
		{"Keys of more than 1 MB", endpoints(func(e *EndpointConfig) {
			e.KeysURL, e.Keys = "", append(bytes.Repeat([]byte(" "), 1<<20), publicKeys...)
		}), "Providers[0].Endpoints.Keys has more than 1048576 bytes"},
		{"AuthURL alone", endpoints(func(e *EndpointConfig) { e.TokenURL = "" }), "Providers[0].Endpoints.TokenURL is missing; give AuthURL and TokenURL, or neither"},
		{"TokenURL alone", endpoints(func(e *EndpointConfig) { e.AuthURL = "" }), "Providers[0].Endpoints.AuthURL is missing; give AuthURL and TokenURL, or neither"},
		{"AuthURL and MetadataURL", endpoints(func(e *EndpointConfig) { e.MetadataURL = "https://id.example.test/m" }), "Providers[0].Endpoints.MetadataURL is not used with AuthURL and TokenURL; give it, or them"},
		{"MetadataURL with a query", endpoints(func(e *EndpointConfig) { *e = EndpointConfig{MetadataURL: "https://id.example.test/m?p=policy"} }), ""},
		{"MetadataURL that is a path", endpoints(func(e *EndpointConfig) { *e = EndpointConfig{MetadataURL: "/m"} }), "Providers[0].Endpoints.MetadataURL is not an absolute URL; give"},
		{"UserInfoURL alone", endpoints(func(e *EndpointConfig) { e.UserInfoURL = "https://id.example.test/u" }), "Providers[0].Endpoints.UserInfoURL needs Requests.UserInfo; set both"},
		{"Requests.UserInfo without UserInfoURL", func(c *Config) { endpoints(func(e *EndpointConfig) {})(c); c.Providers[0].Requests.UserInfo = true }, "Providers[0].Endpoints.UserInfoURL is missing, and Requests.UserInfo is set"},
		{"Requests.PAR without PARURL", func(c *Config) { endpoints(func(e *EndpointConfig) {})(c); c.Providers[0].Requests.PAR = true }, "Providers[0].Endpoints.PARURL is missing, and Requests.PAR is set; set both"},
		{"Requests.PAR and PARURL", func(c *Config) {
			endpoints(func(e *EndpointConfig) { e.PARURL = "https://id.example.test/par" })(c)
			c.Providers[0].Requests.PAR = true
		}, ""},
		{"PARURL alone", endpoints(func(e *EndpointConfig) { e.PARURL = "https://id.example.test/par" }), "Providers[0].Endpoints.PARURL needs Requests.PAR without metadata; set both"},
		{"PARURL with metadata", endpoints(func(e *EndpointConfig) { *e = EndpointConfig{PARURL: "https://id.example.test/par"} }), ""},
		{"PARURL by http", endpoints(func(e *EndpointConfig) { *e = EndpointConfig{PARURL: "http://id.example.test/par"} }), "Providers[0].Endpoints.PARURL is not https"},
		{"Requests.SignedRequest without a key", func(c *Config) { c.Providers[0].Requests.SignedRequest = true }, "Providers[0].Requests.SignedRequest needs Client.SigningKeys; set both, or neither"},
		{"Requests.SignedRequest with a parameter that is a claim", func(c *Config) {
			c.Providers[0].Requests.SignedRequest, c.Providers[0].Client.SigningKeys = true, []SigningKey{{Signer: signingKey}}
			c.Providers[0].Requests.AuthParams = url.Values{"aud": {"https://api.example.test"}}
		}, "Providers[0].Requests.AuthParams has aud, which a signed request has as a claim of its own"},
		{"that parameter without Requests.SignedRequest", func(c *Config) { c.Providers[0].Requests.AuthParams = url.Values{"aud": {"https://api.example.test"}} }, ""},
		{"Requests.AuthorizationDetails", func(c *Config) { c.Providers[0].Requests.AuthorizationDetails = `[{"type":"payment"}]` }, ""},
		{"rule 149: Requests.AuthorizationDetails that are an object", func(c *Config) { c.Providers[0].Requests.AuthorizationDetails = `{"type":"payment"}` }, "Providers[0].Requests.AuthorizationDetails is not a JSON array; give a JSON array of objects, each with a type"},
		{"rule 149: Requests.AuthorizationDetails without an element", func(c *Config) { c.Providers[0].Requests.AuthorizationDetails = `[]` }, "Providers[0].Requests.AuthorizationDetails has no element"},
		{"rule 149: Requests.AuthorizationDetails with a member twice", func(c *Config) { c.Providers[0].Requests.AuthorizationDetails = `[{"type":"a","x":{"y":1,"y":2}}]` }, "Providers[0].Requests.AuthorizationDetails has a member twice in element 0"},
		{"rule 149: Requests.AuthorizationDetails of 17 KB", func(c *Config) {
			c.Providers[0].Requests.AuthorizationDetails = `[{"type":"` + strings.Repeat("a", 17<<10) + `"}]`
		}, "Providers[0].Requests.AuthorizationDetails has 17421 bytes, which is more than 16384"},
		{"authorization_details in AuthParams", func(c *Config) {
			c.Providers[0].Requests.AuthParams = url.Values{"authorization_details": {`[{"type":"a"}]`}}
		}, "Providers[0].Requests.AuthParams sets authorization_details; use AuthorizationDetails instead"},
		{"dpop_jkt in AuthParams", func(c *Config) { c.Providers[0].Requests.AuthParams = url.Values{"dpop_jkt": {"x"}} }, "Providers[0].Requests.AuthParams sets dpop_jkt, which this library sets itself"},
		{"request in AuthParams", func(c *Config) { c.Providers[0].Requests.AuthParams = url.Values{"request": {"x"}} }, "Providers[0].Requests.AuthParams sets request, which this library sets itself"},
		{"request_uri in AuthParams", func(c *Config) { c.Providers[0].Requests.AuthParams = url.Values{"request_uri": {"x"}} }, "Providers[0].Requests.AuthParams sets request_uri, which this library sets itself"},
		{"RevocationURL with a password", endpoints(func(e *EndpointConfig) { e.RevocationURL = "https://u:p@id.example.test/r" }), "Providers[0].Endpoints.RevocationURL has a user name"},
		{"EndSessionURL by http", endpoints(func(e *EndpointConfig) { e.EndSessionURL = "http://id.example.test/e" }), "Providers[0].Endpoints.EndSessionURL is not https"},
		{"EndSessionURL that is a script", endpoints(func(e *EndpointConfig) { e.EndSessionURL = "javascript:alert(1)" }), "Providers[0].Endpoints.EndSessionURL is not"},
		{"KeysURL by http", endpoints(func(e *EndpointConfig) { e.KeysURL = "http://id.example.test/k" }), "Providers[0].Endpoints.KeysURL is not https"},
		{"rule 15: AuthURL that sets a challenge", endpoints(func(e *EndpointConfig) { e.AuthURL += "?code_challenge=x" }), `Providers[0].Endpoints.AuthURL has a parameter "code_challenge" of its own`},
		{"InternalURL with a path", endpoints(func(e *EndpointConfig) { e.InternalURL = "https://id.internal/realms" }), "Providers[0].Endpoints.InternalURL is more than an origin; give scheme, host and port only"},
		{"InternalURL with a query", endpoints(func(e *EndpointConfig) { e.InternalURL = "https://id.internal?" }), "Providers[0].Endpoints.InternalURL is more than an origin"},
		{"InternalURL without a scheme", endpoints(func(e *EndpointConfig) { e.InternalURL = "id.internal:8080" }), "Providers[0].Endpoints.InternalURL is not an absolute URL"},
		{"rule 50: InternalURL by http", endpoints(func(e *EndpointConfig) { e.InternalURL = "http://id.internal" }), "Providers[0].Endpoints.InternalURL is not https"},
		{"rule 50: InternalURL by http on loopback, https application", endpoints(func(e *EndpointConfig) { e.InternalURL = "http://id.localhost" }), "Providers[0].Endpoints.InternalURL is plain http, and RedirectURL is not"},
		{"rule 50: KeysURL by http on loopback, https application", endpoints(func(e *EndpointConfig) { e.KeysURL = "http://127.0.0.1/k" }), "Providers[0].Endpoints.KeysURL is plain http, and RedirectURL is not"},
		{"rule 50: InsecureHTTP of the provider", func(c *Config) {
			c.Providers[0] = Provider{Issuer: "http://id.lan", ClientID: "app", InsecureHTTP: true, Endpoints: EndpointConfig{InternalURL: "http://id.internal"}}
		}, ""},
		{"rule 50: InsecureHTTP of the provider, loopback, https application", func(c *Config) {
			c.Providers[0].Issuer, c.Providers[0].InsecureHTTP = "http://127.0.0.1:8080", true
		}, ""},
		{"rule 50: InsecureHTTP of the provider, another scheme", func(c *Config) {
			c.Providers[0].Issuer, c.Providers[0].InsecureHTTP = "ftp://id.lan", true
		}, "Providers[0].Issuer is not an https URL"},
		{"rule 50: InsecureHTTP of the provider is not the application's", func(c *Config) {
			c.RedirectURL, c.Providers[0].InsecureHTTP = "http://app.lan/auth/callback", true
		}, "RedirectURL is plain http; use https"},
		{"rule 50: InsecureHTTP of the application is not the provider's", func(c *Config) {
			c.RedirectURL, c.Providers[0].Issuer, c.InsecureHTTP = "http://app.lan/auth/callback", "http://id.lan", true
		}, "Providers[0].Issuer is not an https URL"},
		{"rule 50: InsecureHTTP of another provider", func(c *Config) {
			*c = twoProviders()
			c.Providers[0].Issuer, c.Providers[1].InsecureHTTP = "http://id.lan", true
		}, "Providers[0].Issuer is not an https URL"},
		{"rules 50, 94: InsecureHTTP", func(c *Config) { c.RedirectURL, c.InsecureHTTP = "http://app.lan/auth/callback", true }, ""},
		{"rules 50, 94: InsecureHTTP without need", func(c *Config) { c.InsecureHTTP = true }, ""},
		{"rules 50, 94: http, and the remedy", func(c *Config) { c.RedirectURL = "http://app.lan/auth/callback" }, "or set InsecureHTTP for a private network"},
		{"rule 50: http issuer, and the remedy", func(c *Config) { c.Providers[0].Issuer = "http://id.lan" }, "with InsecureHTTP, for a private network"},
		{"rule 50: http endpoint, and the remedy", endpoints(func(e *EndpointConfig) { e.TokenURL = "http://id.lan/t" }), "or set the provider's InsecureHTTP for a private network"},
		{"rule 50: http on loopback, and the remedy", func(c *Config) { c.Providers[0].Issuer = "http://id.localhost" }, "or set the provider's InsecureHTTP, for a private network"},
		{"rules 50, 94: names below localhost", func(c *Config) {
			c.RedirectURL, c.Providers[0].Issuer = "http://app.localhost:3000/auth/callback", "http://a.b.localhost"
		}, ""},
		{"rules 50, 94: a name that only ends like localhost", func(c *Config) { c.RedirectURL = "http://applocalhost/auth/callback" }, "RedirectURL is plain http"},
		{"rules 50, 94: a name that only begins like localhost", func(c *Config) { c.RedirectURL = "http://localhost.example.test/auth/callback" }, "RedirectURL is plain http"},
		{"Client.AuthMethod", func(c *Config) { c.Providers[0].Client.AuthMethod = "client_secret_post" }, ""},
		{"Client.AuthMethod that is unknown", func(c *Config) { c.Providers[0].Client.AuthMethod = "none" }, `Providers[0].Client.AuthMethod is "none"; give one of ["private_key_jwt"`},
		{"client_secret_jwt", func(c *Config) {
			c.Providers[0].Client.AuthMethod, c.Providers[0].ClientSecret = "client_secret_jwt", strings.Repeat("s", 32)
		}, ""},
		{"rule 130: client_secret_jwt with a short secret", func(c *Config) {
			c.Providers[0].Client.AuthMethod, c.Providers[0].ClientSecret = "client_secret_jwt", strings.Repeat("s", 31)
		}, "Providers[0].ClientSecret has 31 bytes, and Client.AuthMethod client_secret_jwt needs 32 or more"},
		{"client_secret_jwt without a secret", func(c *Config) {
			c.Providers[0].Client.AuthMethod, c.Providers[0].ClientSecret = "client_secret_jwt", ""
		}, "Providers[0].Client.AuthMethod is client_secret_jwt, and ClientSecret is not set"},
		{"private_key_jwt", func(c *Config) { c.Providers[0].Client.SigningKeys = []SigningKey{{Signer: signingKey}} }, ""},
		{"private_key_jwt without a key", func(c *Config) { c.Providers[0].Client.AuthMethod = "private_key_jwt" }, "Providers[0].Client.AuthMethod is private_key_jwt, and Client.SigningKeys is not set"},
		{"a certificate of the signing key", func(c *Config) {
			c.Providers[0].Client.SigningKeys = []SigningKey{{Signer: signingKey, Certificate: certificateFor(signingKey.Public())}}
		}, ""},
		{"a certificate of another key", func(c *Config) {
			c.Providers[0].Client.SigningKeys = []SigningKey{{Signer: signingKey, Certificate: certificateFor(newECKey(elliptic.P256()).Public())}}
		}, "Providers[0].Client.SigningKeys[0] has a Certificate for another key"},
		{"an audience of assertions", func(c *Config) {
			c.Providers[0].Client.SigningKeys, c.Providers[0].Client.AssertionAudience = []SigningKey{{Signer: signingKey}}, "https://id.example.test/token"
		}, ""},
		{"an audience that is no URL", func(c *Config) {
			c.Providers[0].Client.SigningKeys, c.Providers[0].Client.AssertionAudience = []SigningKey{{Signer: signingKey}}, "id.example.test"
		}, `Providers[0].Client.AssertionAudience is "id.example.test"; give the https URL`},
		{"an audience without assertions", func(c *Config) { c.Providers[0].Client.AssertionAudience = "https://id.example.test/token" },
			"Providers[0].Client.AssertionAudience is set, and the client signs no assertions"},
		{"a signing key that is not there", func(c *Config) { c.Providers[0].Client.SigningKeys = []SigningKey{{Signer: signingKey}, {}} }, "Providers[0].Client.SigningKeys[1] has no Signer"},
		{"a signing key that is a nil pointer", func(c *Config) {
			c.Providers[0].Client.SigningKeys = []SigningKey{{Signer: (*ecdsa.PrivateKey)(nil)}}
		}, "Providers[0].Client.SigningKeys[0] has a Signer that panics"},
		{"a signing key with another algorithm", func(c *Config) {
			c.Providers[0].Client.SigningKeys = []SigningKey{{Signer: signingKey, Alg: "PS256"}}
		}, `Providers[0].Client.SigningKeys[0] has Alg "PS256", which is not for its key; give one of ["ES256"]`},
		{"keys that are published", func(c *Config) { publishing(c, SigningKey{Signer: signingKey}, SigningKey{Signer: otherKey}) }, ""},
		{"keys that are published, one of them twice", func(c *Config) { publishing(c, SigningKey{Signer: signingKey}, SigningKey{Signer: signingKey}) }, ""},
		{"decryption keys that are published", func(c *Config) {
			c.KeysPath, c.Providers[0].Client.DecryptionKeys = "/auth/jwks", []crypto.PrivateKey{signingKey}
		}, ""},
		{"a KeysPath without keys", func(c *Config) { c.KeysPath = "/auth/jwks" }, "KeysPath is set, and no provider has Client.SigningKeys or Client.DecryptionKeys"},
		{"a KeysPath that is no route", func(c *Config) { publishing(c, SigningKey{Signer: signingKey}); c.KeysPath = "jwks" }, "KeysPath cannot be a route; give a plain path such as /auth/jwks"},
		{"a KeysPath that is the login", func(c *Config) { publishing(c, SigningKey{Signer: signingKey}); c.KeysPath = "/auth/login" }, "KeysPath and RedirectURL's path must be different paths"},
		{"a KeysPath that is a callback", func(c *Config) {
			publishing(c, SigningKey{Signer: signingKey})
			c.Providers[0].Name, c.KeysPath = "one", "/auth/callback/one"
		}, "Providers[0].Name gives the callback /auth/callback/one, which is another route of the login"},
		{"a KeysPath that is the home", func(c *Config) { publishing(c, SigningKey{Signer: signingKey}); c.Pages.Home = "/auth/jwks" }, "Pages.Home is not a page of this application"},
		{"a KeysPath that is not below BasePath", func(c *Config) { *c = sharedConfig(); publishing(c, SigningKey{Signer: signingKey}) }, "KeysPath is not below BasePath /reader; give it as browsers see it: /reader/auth/jwks"},
		{"two keys of one kid", func(c *Config) {
			c.Providers[0].Client.SigningKeys = []SigningKey{{Signer: signingKey, KeyID: "one"}, {Signer: otherKey, KeyID: "one"}}
		}, `Providers[0].Client.SigningKeys[1] has the KeyID "one" of another key; give each key its own`},
		{"two keys of one kid, at two providers", func(c *Config) {
			*c = twoProviders()
			c.Providers[0].Client.SigningKeys, c.Providers[1].Client.SigningKeys = []SigningKey{{Signer: signingKey, KeyID: "one"}}, []SigningKey{{Signer: otherKey, KeyID: "one"}}
		}, ""},
		{"rule 133: two keys of one kid, at two providers, published", func(c *Config) {
			*c = twoProviders()
			publishing(c, SigningKey{Signer: signingKey, KeyID: "one"})
			c.Providers[1].Client.SigningKeys = []SigningKey{{Signer: otherKey, KeyID: "one"}}
		}, `Providers[1].Client.SigningKeys[0] has the KeyID "one" of another key`},
		{"a key for two purposes", func(c *Config) {
			c.Providers[0].Client.SigningKeys, c.Providers[0].Client.DecryptionKeys = []SigningKey{{Signer: signingKey}}, []crypto.PrivateKey{signingKey}
		}, "Providers[0].Client.DecryptionKeys[0] is a key that both signs and decrypts; use two keys"},
		{"a decryption key without OpenID Connect", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Client.DecryptionKeys = []crypto.PrivateKey{signingKey}
		}, "Providers[0].Client.DecryptionKeys is not used with FetchUser, unless Requests.SignedResponse is set"},
		{"a decryption key for signed responses", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Client.DecryptionKeys, c.Providers[0].Requests.SignedResponse, c.Providers[0].Endpoints.Keys = []crypto.PrivateKey{signingKey}, true, publicKeys
		}, ""},
		{"a decryption key that is no key", func(c *Config) { c.Providers[0].Client.DecryptionKeys = []crypto.PrivateKey{"x"} }, "Providers[0].Client.DecryptionKeys[0] is of type string; give an RSA key"},
		{"a signing key that nothing uses", func(c *Config) {
			c.Providers[0].ClientSecret, c.Providers[0].Client = "x", ClientConfig{SigningKeys: []SigningKey{{Signer: signingKey}}, AuthMethod: "client_secret_post"}
		}, "Providers[0].Client.SigningKeys is not used with Client.AuthMethod client_secret_post; remove it"},
		{"a signing key that is only published", func(c *Config) {
			publishing(c, SigningKey{Signer: signingKey})
			c.Providers[0].ClientSecret, c.Providers[0].Client.AuthMethod = "x", "client_secret_post"
		}, ""},
		{"a certificate", func(c *Config) { c.Providers[0].Client.Certificate = noCertificate }, ""},
		{"a certificate, and a client for it", func(c *Config) {
			c.Providers[0].Client.Certificate, c.HTTPClient = noCertificate, &http.Client{Transport: new(http.Transport)}
		}, ""},
		{"a certificate without a Transport that can present it", func(c *Config) {
			c.Providers[0].Client.Certificate, c.HTTPClient = noCertificate, &http.Client{Transport: cannedTransport{}}
		}, "HTTPClient has a Transport of type core.cannedTransport, which cannot present a certificate; leave it nil, or give an *http.Transport, because Providers[0].Client.Certificate is set"},
		{"a certificate without a provider's Transport that can present it", func(c *Config) {
			c.Providers[0].Client.Certificate, c.Providers[0].Endpoints.HTTPClient = noCertificate, &http.Client{Transport: cannedTransport{}}
		}, "Providers[0].Endpoints.HTTPClient has a Transport of type core.cannedTransport"},
		{"a guarded provider", func(c *Config) { c.Providers[0].Endpoints.PublicOnly = true }, ""},
		{"a guarded provider with its port", func(c *Config) {
			c.Providers[0].Issuer, c.Providers[0].Endpoints.PublicOnly = "https://id.example.test:443", true
		}, ""},
		{"a guarded provider whose browser endpoints are elsewhere", func(c *Config) {
			c.Providers[0].Endpoints = EndpointConfig{PublicOnly: true, AuthURL: "https://10.0.0.1:8443/a", TokenURL: "https://id.example.test/t", KeysURL: "https://id.example.test/k", EndSessionURL: "https://10.0.0.1/e"}
		}, ""},
		{"rule 168: a guarded provider on another port", func(c *Config) {
			c.Providers[0].Issuer, c.Providers[0].Endpoints.PublicOnly = "https://id.example.test:8443", true
		}, "Providers[0].Issuer has another port than 443, the only one that the network guard allows; give an https URL with a public host and without a port, or leave Endpoints.PublicOnly false (for a looked-up provider, set Lookup.AnyAddress)"},
		{"rule 168: a guarded provider by its address", func(c *Config) {
			c.Providers[0].Issuer, c.Providers[0].Endpoints.PublicOnly = "https://8.8.8.8", true
		}, "Providers[0].Issuer has an IP address as host"},
		{"rule 168: a guarded provider on http", func(c *Config) {
			c.Providers[0].Issuer, c.Providers[0].InsecureHTTP, c.Providers[0].Endpoints.PublicOnly = "http://id.example.test", true, true
		}, "Providers[0].Issuer is not https, and the network guard allows https only"},
		{"rule 168: a guarded provider on this machine", func(c *Config) {
			c.Providers[0].Issuer, c.Providers[0].Endpoints.PublicOnly = "https://id.localhost", true
		}, "Providers[0].Issuer is on this machine"},
		{"rule 168: a guarded provider's keys by an address", func(c *Config) {
			c.Providers[0].Endpoints = EndpointConfig{PublicOnly: true, KeysURL: "https://[::1]/k"}
		}, "Providers[0].Endpoints.KeysURL has an IP address as host"},
		{"rule 168: a guarded provider inside", func(c *Config) {
			c.Providers[0].Endpoints = EndpointConfig{PublicOnly: true, InternalURL: "https://keycloak.internal:8443"}
		}, "Providers[0].Endpoints.InternalURL has another port"},
		{"a guarded provider, and a Transport without connections", func(c *Config) {
			c.Providers[0].Endpoints.PublicOnly, c.HTTPClient = true, &http.Client{Transport: cannedTransport{}}
		}, "HTTPClient has a Transport of type core.cannedTransport, whose connections cannot be checked; give an *http.Transport, because Providers[0].Endpoints.PublicOnly is set, or leave Endpoints.PublicOnly false"},
		{"a guarded provider, and a Transport that dials", func(c *Config) {
			c.Providers[0].Endpoints.PublicOnly = true
			c.Providers[0].Endpoints.HTTPClient = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, nil }}}
		}, "Providers[0].Endpoints.HTTPClient has a Transport that makes its own connections, which cannot be checked; leave DialContext, Dial, DialTLSContext and DialTLS nil, because Providers[0].Endpoints.PublicOnly is set"},
		{"a guarded provider with a Transport of its own beside another", func(c *Config) {
			c.HTTPClient = &http.Client{Transport: cannedTransport{}}
			c.Providers[0].Endpoints = EndpointConfig{PublicOnly: true, HTTPClient: new(http.Client)}
		}, ""},
		{"looked-up providers, and a Transport without connections", func(c *Config) {
			c.Lookup.Find, c.HTTPClient = findNone, &http.Client{Transport: cannedTransport{}}
		}, "HTTPClient has a Transport of type core.cannedTransport, whose connections cannot be checked; give an *http.Transport, or set Lookup.AnyAddress and let that transport refuse private addresses"},
		{"looked-up providers at any address", func(c *Config) {
			c.Lookup.Find, c.Lookup.AnyAddress, c.HTTPClient = findNone, true, &http.Client{Transport: cannedTransport{}}
		}, ""},
		{"any address for no providers", func(c *Config) { c.Lookup.AnyAddress = true }, "Lookup.AnyAddress needs Lookup.Find; set both, or neither"},
		{"a choice of customers", func(c *Config) { c.Lookup.Find, c.Lookup.Choose = findNone, chooseNone }, ""},
		{"a choice of no providers", func(c *Config) { c.Lookup.Choose = chooseNone }, "Lookup.Choose needs Lookup.Find; set both (Find may return nil for every name, to choose among Providers)"},
		{"links for customers", func(c *Config) { c.Lookup.Find, c.Lookup.Choose, c.Lookup.SendLink = findNone, chooseNone, sendNone }, ""},
		{"links for no choice", func(c *Config) { c.Lookup.Find, c.Lookup.SendLink = findNone, sendNone }, "Lookup.SendLink needs Lookup.Choose, which finds the provider for an address; set both, or neither"},
		{"a certificate, and a Transport with its own TLS", func(c *Config) {
			c.Providers[0].Client.Certificate, c.HTTPClient = noCertificate, &http.Client{Transport: &http.Transport{DialTLSContext: new(tls.Dialer).DialContext}}
		}, "HTTPClient has a Transport that makes its own TLS connections"},
		{"tls_client_auth without a certificate", func(c *Config) { c.Providers[0].Client.AuthMethod = "tls_client_auth" }, "Client.AuthMethod is tls_client_auth, and Client.Certificate is not set"},
		{"self_signed_tls_client_auth without a certificate", func(c *Config) { c.Providers[0].Client.AuthMethod = "self_signed_tls_client_auth" }, "Client.AuthMethod is self_signed_tls_client_auth, and Client.Certificate is not set"},
		{"OAuth 2.0 with a certificate", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Client = ClientConfig{Certificate: noCertificate, AuthMethod: "tls_client_auth"}
		}, ""},
		{"OAuth 2.0 with a signing key", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Client = ClientConfig{SigningKeys: []SigningKey{{Signer: signingKey}}, AuthMethod: "private_key_jwt"}
		}, ""},
		{"OAuth 2.0 with UserInfo", func(c *Config) { c.Providers[0] = oauth2Example(); c.Providers[0].Requests.UserInfo = true }, "UserInfo is for OpenID Connect only"},
		{"OAuth 2.0 with max_age", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Requests.AuthParams = url.Values{"max_age": {"1"}}
		}, "AuthParams has max_age, which only an ID token"},
		{"OAuth 2.0 with a signed secret", func(c *Config) {
			c.Providers[0] = oauth2Example()
			c.Providers[0].Client.AuthMethod = "private_key_jwt"
		}, "Client.AuthMethod is"},

		{"no key", func(c *Config) { c.SessionKey = nil }, "SessionKey is empty; is its variable set?"},
		{"short key", func(c *Config) { c.SessionKey = keyA[:31] }, "SessionKey has 31 bytes; give 32"},
		{"zero key", func(c *Config) { c.SessionKey = make([]byte, 32) }, "SessionKey is one byte, repeated"},
		{"key of one letter", func(c *Config) { c.SessionKey = bytes.Repeat([]byte("k"), 32) }, "SessionKey is one byte, repeated"},
		{"old key of one letter", func(c *Config) { c.Sessions.OldKeys = [][]byte{keyB, bytes.Repeat([]byte("k"), 40)} }, "Sessions.OldKeys[1] is one byte, repeated"},
		{"negative token lifetime", func(c *Config) { c.Tokens.Lifetime = -time.Hour }, "Tokens.Lifetime is -1h0m0s; give a second or more, or leave it zero for 1h0m0s"},
		{"token lifetime of nearly nothing", func(c *Config) { c.Tokens.Lifetime = time.Second - 1 }, "Tokens.Lifetime is 999.999999ms"},
		{"token lifetime of a second", func(c *Config) { c.Tokens.Lifetime = time.Second }, ""},
		{"short old key", func(c *Config) { c.Sessions.OldKeys = [][]byte{keyB, keyA[:3]} }, "Sessions.OldKeys[1] has 3 bytes"},

		{"no redirect URL", func(c *Config) { c.RedirectURL = "" }, "RedirectURL is not an absolute https URL"},
		{"rule 13: relative redirect URL", func(c *Config) { c.RedirectURL = "/auth/callback" }, "RedirectURL is not an absolute https URL"},
		{"rules 50, 94: http redirect URL", func(c *Config) { c.RedirectURL = "http://app.example.test/auth/callback" }, "RedirectURL is plain http"},
		{"rules 50, 94: http that only looks like loopback", func(c *Config) { c.RedirectURL = "http://127.0.0.1.example.test/auth/callback" }, "RedirectURL is plain http"},
		{"rule 13: fragment", func(c *Config) { c.RedirectURL += "#x" }, "RedirectURL has a user name, query or fragment"},
		{"rule 13: empty fragment", func(c *Config) { c.RedirectURL += "#" }, "RedirectURL has a user name, query or fragment"},
		{"redirect URL of a host that is not ASCII", func(c *Config) { c.RedirectURL = "https://mase\u0142kowski.example/auth/callback" }, "RedirectURL has a host that is not ASCII; give it in its xn-- form"},
		{"the same, escaped", func(c *Config) { c.RedirectURL = "https://mase%C5%82kowski.example/auth/callback" }, "RedirectURL has a host that is not ASCII"},
		{"issuer of a host that is not ASCII", func(c *Config) { c.Providers[0].Issuer = "https://mase\u0142kowski.example" }, "Providers[0].Issuer has a host that is not ASCII; give it in its xn-- form"},
		{"Requests.FormPostUser alone", func(c *Config) { c.Providers[0].Requests.FormPostUser = true }, "Providers[0].Requests.FormPostUser needs Requests.FormPost"},
		{"query", func(c *Config) { c.RedirectURL += "?x=y" }, "RedirectURL has a user name, query or fragment"},
		{"no path", func(c *Config) { c.RedirectURL = "https://app.example.test" }, "RedirectURL's path cannot be a route"},
		{"wildcard", func(c *Config) { c.Pages.LoginPath = "/auth/:name" }, "Pages.LoginPath cannot be a route"},
		{"final slash", func(c *Config) { c.Logout.Path = "/auth/logout/" }, "Logout.Path cannot be a route"},
		{"dots", func(c *Config) { c.Logout.Path = "/auth/../logout" }, "Logout.Path cannot be a route"},
		{"paths that clash", func(c *Config) { c.Pages.LoginPath = "/auth/callback" }, "must be different paths"},
		{"default paths that clash", func(c *Config) { c.RedirectURL = "https://app.example.test/auth/login" }, "must be different paths"},
		{"a back-channel path without revocations", func(c *Config) { c.Logout.BackChannelPath = "/back" }, "Logout.BackChannelPath needs Logout.Revocations"},
		{"own sessions", func(c *Config) { c.Sessions.Own = ownSessions() }, ""},
		{"own sessions with a lifetime", func(c *Config) { c.Sessions.Own, c.Sessions.Lifetime = ownSessions(), time.Hour }, ""},
		{"own sessions, and revocations for logout tokens", func(c *Config) { c.Sessions.Own, c.Logout.Revocations = ownSessions(), new(MemoryRevocations) }, ""},
		{"own sessions, and a path for logout tokens", func(c *Config) { c.Sessions.Own, c.Logout.BackChannelPath = ownSessions(), "/back" }, ""},
		{"own sessions without a start", func(c *Config) { c.Sessions.Own = ownSessions(); c.Sessions.Own.Start = nil }, "Sessions.Own.Start is missing; set it"},
		{"own sessions in a store", func(c *Config) { c.Sessions.Own, c.Sessions.Store = ownSessions(), sessions.NewCookieStore() }, "Sessions.Store is for sessions of pixy, and Sessions.Own is set; leave it out"},
		{"own sessions with an idle limit", func(c *Config) { c.Sessions.Own, c.Sessions.Idle = ownSessions(), time.Hour }, "Sessions.Idle is for sessions of pixy, and Sessions.Own is set; leave it zero"},
		{"own sessions with no claims", func(c *Config) { c.Sessions.Own, c.Sessions.Claims = ownSessions(), []string{} }, "Sessions.Claims is for sessions of pixy, and Sessions.Own is set; leave it nil"},
		{"own sessions with tokens", func(c *Config) { c.Sessions.Own, c.Tokens.Keep = ownSessions(), true }, "Tokens.Keep is for sessions of pixy, and Sessions.Own is set; leave it false"},
		{"own sessions and revocations that end nothing", func(c *Config) {
			c.Sessions.Own, c.Logout.Revocations = ownSessions(), new(MemoryRevocations)
			c.Sessions.Own.EndByProvider = nil
		}, "Logout.Revocations is for sessions of pixy, and Sessions.Own is set; leave it out, or set Own.EndByProvider"},
		{"own sessions and a path for logout tokens that end nothing", func(c *Config) {
			c.Sessions.Own, c.Logout.BackChannelPath = ownSessions(), "/back"
			c.Sessions.Own.EndByProvider = nil
		}, "Logout.BackChannelPath needs Logout.Revocations, or Sessions.Own.EndByProvider"},
		{"own sessions, and a local logout without a route", func(c *Config) {
			c.Sessions.Own, c.Logout.Local = ownSessions(), true
			c.Sessions.Own.End = nil
		}, "Logout.Local is for the logout route, which is not there without Sessions.Own.End; leave it false"},
		{"own sessions, and a local logout", func(c *Config) { c.Sessions.Own, c.Logout.Local = ownSessions(), true }, ""},
		{"a front-channel path without revocations", func(c *Config) { c.Logout.FrontChannelPath = "/front" }, "Logout.FrontChannelPath needs Logout.Revocations"},
		{"a logout where there would be a back channel", func(c *Config) { c.Logout.Path = "/auth/backchannel-logout" }, ""},
		{"a logout where the back channel is", func(c *Config) {
			c.Logout.Path, c.Logout.Revocations = "/auth/backchannel-logout", new(MemoryRevocations)
		}, "must be different paths"},
		{"a front channel where the back channel is", func(c *Config) {
			c.Logout.FrontChannelPath, c.Logout.Revocations = "/auth/backchannel-logout", new(MemoryRevocations)
		}, "must be different paths"},
		{"a callback where the front channel is", func(c *Config) {
			*c = twoProviders()
			c.Logout.FrontChannelPath, c.Logout.Revocations = "/auth/callback/two", new(MemoryRevocations)
		}, "Providers[1].Name gives the callback /auth/callback/two, which is another route of the login"},
		{"wildcard in a back-channel path", func(c *Config) {
			c.Logout.BackChannelPath, c.Logout.Revocations = "/auth/{x}", new(MemoryRevocations)
		}, "Logout.BackChannelPath cannot be a route"},
		{"front-channel path with a query", func(c *Config) {
			c.Logout.FrontChannelPath, c.Logout.Revocations = "/auth/out?x=y", new(MemoryRevocations)
		}, "Logout.FrontChannelPath cannot be a route"},
		{"BasePath", func(c *Config) { *c = sharedConfig() }, ""},
		{"BasePath of two segments", func(c *Config) {
			c.BasePath, c.RedirectURL = "/tools/reader", "https://app.example.test/tools/reader/auth/callback"
		}, ""},
		{"BasePath, and routes that begin with it twice", func(c *Config) {
			c.BasePath, c.RedirectURL = "/auth", "https://app.example.test/auth/auth/callback"
		}, ""},
		{"BasePath with pages", func(c *Config) {
			*c = sharedConfig()
			c.Pages.LoginPath, c.Logout.Path, c.Pages.Home, c.Logout.After = "/reader/in", "/reader/out", "/reader", "/reader?bye"
		}, ""},
		{"BasePath that is the root", func(c *Config) { c.BasePath = "/" }, "BasePath is not a plain path; give one such as /reader"},
		{"BasePath without a slash", func(c *Config) { c.BasePath = "auth" }, "BasePath is not a plain path"},
		{"BasePath with a final slash", func(c *Config) { c.BasePath = "/auth/" }, "BasePath is not a plain path"},
		{"BasePath with dots", func(c *Config) { c.BasePath = "/../auth" }, "BasePath is not a plain path"},
		{"BasePath with an escape", func(c *Config) { c.BasePath = "/%61uth" }, "BasePath is not a plain path"},
		{"BasePath with a wildcard", func(c *Config) { c.BasePath = "/{tenant}" }, "BasePath is not a plain path"},
		{"BasePath that is not ASCII", func(c *Config) { c.BasePath = "/bücher" }, "BasePath is not a plain path"},
		{"BasePath that is a URL", func(c *Config) { c.BasePath = "https://app.example.test/auth" }, "BasePath is not a plain path"},
		{"BasePath, and RedirectURL elsewhere", func(c *Config) { c.BasePath = "/reader" }, "RedirectURL has the path /auth/callback, which is not below BasePath /reader"},
		{"BasePath, and RedirectURL beside it", func(c *Config) { c.BasePath = "/auth/call" }, "RedirectURL has the path /auth/callback, which is not below BasePath /auth/call"},
		{"BasePath that is RedirectURL's path", func(c *Config) { c.BasePath = "/auth/callback" }, "RedirectURL has the path /auth/callback, which is not below"},
		{"BasePath, and a login elsewhere", func(c *Config) { *c = sharedConfig(); c.Pages.LoginPath = "/auth/login" }, "Pages.LoginPath is not below BasePath /reader; give it as browsers see it: /reader/auth/login"},
		{"BasePath, and a login beside it", func(c *Config) { *c = sharedConfig(); c.Pages.LoginPath = "/readers/login" }, "Pages.LoginPath is not below BasePath /reader"},
		{"BasePath, and a login there", func(c *Config) { *c = sharedConfig(); c.Pages.LoginPath = "/reader" }, "Pages.LoginPath is not below BasePath /reader"},
		{"BasePath, and a logout elsewhere", func(c *Config) { *c = sharedConfig(); c.Logout.Path = "/auth/logout" }, "Logout.Path is not below BasePath /reader"},
		{"BasePath, and a back channel elsewhere", func(c *Config) {
			*c = sharedConfig()
			c.Logout.Revocations, c.Logout.BackChannelPath = new(MemoryRevocations), "/back"
		}, "Logout.BackChannelPath is not below BasePath /reader"},
		{"BasePath, and a front channel elsewhere", func(c *Config) {
			*c = sharedConfig()
			c.Logout.Revocations, c.Logout.FrontChannelPath = new(MemoryRevocations), "/front"
		}, "Logout.FrontChannelPath is not below BasePath /reader"},
		{"AppName", func(c *Config) { c.Pages.AppName = "Bücher & mehr" }, ""},
		{"AppName that is too long", func(c *Config) { c.Pages.AppName = strings.Repeat("u", 65) }, "Pages.AppName cannot be shown; give at most 64 printable characters"},
		{"AppName with a line break", func(c *Config) { c.Pages.AppName = "My\nApp" }, "Pages.AppName cannot be shown"},
		{"SignInPath", func(c *Config) { c.Pages.SignInPath = "/signin" }, ""},
		{"SignInPath that is home", func(c *Config) { c.Pages.SignInPath = "/" }, ""},
		{"SignInPath with a final slash and an escape", func(c *Config) { c.Pages.SignInPath = "/anmelden/für%20alle/" }, ""},
		{"SignInPath beside the login", func(c *Config) { c.Pages.SignInPath = "/auth" }, ""},
		{"SignInPath below BasePath", func(c *Config) { *c = sharedConfig(); c.Pages.SignInPath = "/reader/signin" }, ""},
		{"SignInPath without a slash", func(c *Config) { c.Pages.SignInPath = "signin" }, "Pages.SignInPath is not a page of this application; give the path of one, such as /signin, without a query"},
		{"a home that could be a customer's callback", func(c *Config) { lookedUp(c); c.Pages.Home = "/auth/callback/welcome" }, "Pages.Home is not a page of this application"},
		{"a home that could be a customer's logout", func(c *Config) {
			lookedUp(c)
			c.Logout.Revocations, c.Pages.Home = new(MemoryRevocations), "/auth/frontchannel-logout/welcome"
		}, "Pages.Home is not a page of this application"},
		{"a home that could be a customer's callback without BasePath", func(c *Config) {
			*c = sharedConfig()
			lookedUp(c)
			c.BasePath, c.RedirectURL, c.Pages.Home = "/auth", "https://app.example.test/auth/auth/callback", "/auth/callback/welcome"
		}, "Pages.Home is not a page of this application"},
		{"a SignInPath that could be a customer's callback", func(c *Config) { lookedUp(c); c.Pages.SignInPath = "/auth/callback/signin/" }, "Pages.SignInPath is not a page of this application"},
		{"SignInPath elsewhere", func(c *Config) { c.Pages.SignInPath = "https://app.example.test/signin" }, "Pages.SignInPath is not a page of this application"},
		{"SignInPath on another host", func(c *Config) { c.Pages.SignInPath = "//evil.test/signin" }, "Pages.SignInPath is not a page of this application"},
		{"SignInPath with a query", func(c *Config) { c.Pages.SignInPath = "/signin?x" }, "Pages.SignInPath is not a page of this application"},
		{"SignInPath with a fragment", func(c *Config) { c.Pages.SignInPath = "/signin#x" }, "Pages.SignInPath is not a page of this application"},
		{"SignInPath that is the login", func(c *Config) { c.Pages.SignInPath = "/auth/login" }, "Pages.SignInPath is not a page of this application"},
		{"SignInPath that is the login, with a final slash", func(c *Config) { c.Pages.SignInPath = "/auth/login/" }, "Pages.SignInPath is not a page of this application"},
		{"SignInPath that is the login, escaped", func(c *Config) { c.Pages.SignInPath = "/auth/log%69n" }, "Pages.SignInPath is not a page of this application"},
		{"SignInPath that is the logout", func(c *Config) { c.Pages.SignInPath = "/auth/logout" }, "Pages.SignInPath is not a page of this application"},
		{"SignInPath that is a callback", func(c *Config) { *c = twoProviders(); c.Pages.SignInPath = "/auth/callback/two" }, "Pages.SignInPath is not a page of this application"},
		{"BasePath, and SignInPath elsewhere", func(c *Config) { *c = sharedConfig(); c.Pages.SignInPath = "/signin" }, "Pages.SignInPath is not a page of this application under BasePath /reader; give the path of one, such as /reader/signin"},
		{"BasePath, and a home elsewhere", func(c *Config) { *c = sharedConfig(); c.Pages.Home, c.Logout.After = "/", "/reader" }, "Pages.Home is not a page of this application under BasePath /reader; give the path of one, such as /reader/start"},
		{"BasePath, and a home that is a route behind a proxy", func(c *Config) {
			c.BasePath, c.RedirectURL = "/auth", "https://app.example.test/auth/auth/callback"
			c.Pages.Home, c.Logout.After = "/auth/login", "/auth"
		}, "Pages.Home is not a page of this application"},
		{"BasePath, and a logout that ends elsewhere", func(c *Config) { *c = sharedConfig(); c.Logout.After = "/readers" }, "Logout.After is not a path of this application under BasePath /reader; give one such as /reader/goodbye"},
		{"BasePath, and a provider's callback", func(c *Config) {
			*c = sharedConfig()
			c.Providers[0].RedirectURL = "https://app.example.test/reader/auth/google"
		}, ""},
		{"BasePath, and a provider's callback elsewhere", func(c *Config) {
			*c = sharedConfig()
			c.Providers[0].RedirectURL = "https://app.example.test/auth/google"
		}, "Providers[0].RedirectURL has the path /auth/google, which is not below BasePath /reader"},
		{"BasePath, and a provider's callback beside it", func(c *Config) {
			*c = sharedConfig()
			c.Providers[0].RedirectURL = "https://app.example.test/readers/google"
		}, "Providers[0].RedirectURL has the path /readers/google, which is not below BasePath /reader"},
		{"BasePath, and a callback that is another behind a proxy", func(c *Config) {
			c.Providers = twoProviders().Providers
			c.BasePath, c.RedirectURL = "/a", "https://app.example.test/a/auth/callback"
			c.Providers[0].RedirectURL, c.Providers[1].RedirectURL = "https://app.example.test/a/x", "https://app.example.test/a/a/x"
		}, "Providers[1].RedirectURL gives the callback of Providers[0]"},
		{"BasePath, and a callback that another is behind a proxy", func(c *Config) {
			c.Providers = twoProviders().Providers
			c.BasePath, c.RedirectURL = "/a", "https://app.example.test/a/auth/callback"
			c.Providers[0].RedirectURL, c.Providers[1].RedirectURL = "https://app.example.test/a/a/x", "https://app.example.test/a/x"
		}, "Providers[1].RedirectURL gives the callback of Providers[0]"},
		{"BasePath, and a callback that is the login behind a proxy", func(c *Config) {
			c.BasePath, c.RedirectURL, c.Pages.LoginPath = "/a", "https://app.example.test/a/auth/callback", "/a/x"
			c.Providers[0].RedirectURL = "https://app.example.test/a/a/x"
		}, "Providers[0].RedirectURL gives the callback /a/a/x, which is another route of the login"},
		{"BasePath, and a home that is a callback behind a proxy", func(c *Config) {
			c.BasePath, c.RedirectURL = "/a", "https://app.example.test/a/auth/callback"
			c.Providers[0].RedirectURL = "https://app.example.test/a/a/x"
			c.Pages.Home, c.Logout.After = "/a/x", "/a"
		}, "Pages.Home is not a page of this application"},
		{"BasePath, and a login that is the logout behind a proxy", func(c *Config) {
			c.BasePath, c.RedirectURL = "/a", "https://app.example.test/a/callback"
			c.Pages.LoginPath, c.Logout.Path = "/a/a/x", "/a/x"
		}, "must be different paths"},
		{"rule 117: logout to another site", func(c *Config) { c.Logout.After = "https://other.example.test/" }, "Logout.After is not a path"},
		{"rule 117: logout to another host", func(c *Config) { c.Logout.After = "//other.example.test/" }, "Logout.After is not a path"},

		{"a cookie name of its own", func(c *Config) { c.Sessions.CookieName = "staff_2" }, ""},
		{"a cookie name with a hyphen", func(c *Config) { c.Sessions.CookieName = "staff-login" }, "Sessions.CookieName cannot begin"},
		{"a cookie name that browsers know", func(c *Config) { c.Sessions.CookieName = "__Host" }, "Sessions.CookieName cannot begin"},
		{"a cookie name with a blank", func(c *Config) { c.Sessions.CookieName = "staff login" }, "Sessions.CookieName cannot begin"},
		{"a cookie name that is long", func(c *Config) { c.Sessions.CookieName = strings.Repeat("a", 33) }, "Sessions.CookieName cannot begin"},
		{"negative lifetime", func(c *Config) { c.Sessions.Lifetime = -1 }, "Sessions.Lifetime is negative"},
		{"lifetime under a second", func(c *Config) { c.Sessions.Lifetime = time.Millisecond }, "Sessions.Lifetime is 1ms"},
		{"idle under a second", func(c *Config) { c.Sessions.Idle = time.Millisecond }, "Sessions.Idle is 1ms"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			config := goodConfig()
			test.change(&config)
			_, err := New(config)
			switch {
			case test.want == "" && err != nil:
				t.Fatalf("got %v, want no error", err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Fatalf("got %v, want %q in it", err, test.want)
			case err != nil && strings.Contains(err.Error(), "\n"):
				t.Fatalf("more than one fault: %v", err)
			}
		})
	}
}

func TestNewNamesAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := New(Config{Providers: []Provider{{}}})
	if err == nil {
		t.Fatal("accepts nothing at all")
	}
	for _, want := range []string{"Issuer", "ClientID", "RedirectURL", "SessionKey"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

func TestNewCopiesItsConfig(t *testing.T) {
	t.Parallel()
	config := goodConfig()
	config.Providers[0].Requests.AuthParams = url.Values{"prompt": {"login"}}
	a, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	config.Providers[0].Requests.AuthParams.Set("state", "x")
	config.Providers[0].ClientID = "other"
	got := a.config.Providers[0]
	if got.ClientID != "app" || got.Requests.AuthParams.Has("state") {
		t.Errorf("a change made after New took effect: %v", got)
	}
}

func TestRoutesFollowTheRedirectURL(t *testing.T) {
	t.Parallel()
	const revocable = " with revocations"
	for _, test := range []struct{ redirectURL, want string }{
		{"https://app.example.test/auth/callback" + revocable, "GET /auth/login POST /auth/login GET /auth/callback GET /auth/logout POST /auth/logout POST /auth/backchannel-logout GET /auth/frontchannel-logout"},
		{"https://app.example.test/callback" + revocable, "GET /login POST /login GET /callback GET /logout POST /logout POST /backchannel-logout GET /frontchannel-logout"},
		{"https://app.example.test/auth/callback", "GET /auth/login POST /auth/login GET /auth/callback GET /auth/logout POST /auth/logout"},
		{"https://app.example.test/callback", "GET /login POST /login GET /callback GET /logout POST /logout"},
		{"https://app.example.test/a/b/done", "GET /a/b/login POST /a/b/login GET /a/b/done GET /a/b/logout POST /a/b/logout"},
	} {
		config := goodConfig()
		var with bool
		if config.RedirectURL, with = strings.CutSuffix(test.redirectURL, revocable); with {
			config.Logout.Revocations = new(MemoryRevocations)
		}
		a, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, route := range a.Routes() {
			got = append(got, route.Method+" "+route.Path)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: got %v, want %s", test.redirectURL, got, test.want)
		}
	}
}

func TestConfigPrintsWithoutSecrets(t *testing.T) {
	t.Parallel()
	t.Run("rule 127: whatever prints or logs it", func(t *testing.T) {
		t.Parallel()
		config := goodConfig()
		config.Providers[0].ClientSecret = "canary-secret"
		config.Sessions.OldKeys = [][]byte{keyB}
		client := &config.Providers[0].Client
		client.SigningKeys, client.DecryptionKeys = []SigningKey{{Signer: signingKey}}, []crypto.PrivateKey{otherKey}
		var out bytes.Buffer
		auth, err := New(config)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range []any{
			config, &config, config.Providers, config.Providers[0], &config.Providers[0], auth, struct{ A *Authenticator }{auth},
			*client, client, client.SigningKeys, client.SigningKeys[0], &client.SigningKeys[0],
		} {
			fmt.Fprintf(&out, "%v %+v %#v %s %q\n", value, value, value, value, value)
			slog.New(slog.NewJSONHandler(&out, nil)).Info("config", "config", value)
			slog.New(slog.NewTextHandler(&out, nil)).Info("config", "config", value)
		}
		if b, err := json.Marshal(config.Providers); err == nil {
			out.Write(b)
		}
		for _, value := range []any{client, client.SigningKeys} {
			if b, err := json.Marshal(value); err == nil {
				out.Write(b)
			}
		}
		for _, secret := range []string{
			"canary-secret", string(keyA), string(keyB), fmt.Sprint(keyA), fmt.Sprintf("%x", keyA),
			new(big.Int).SetBytes(secretOf(t, signingKey)).String(), fmt.Sprintf("%x", secretOf(t, signingKey)),
			new(big.Int).SetBytes(secretOf(t, otherKey)).String(), fmt.Sprintf("%x", secretOf(t, otherKey)),
		} {
			if strings.Contains(out.String(), strings.Trim(secret, "[]")) {
				t.Errorf("%q is in:\n%s", secret, out.String())
			}
		}
		if !strings.Contains(out.String(), redacted) {
			t.Errorf("nothing says %s", redacted)
		}
	})
}

// New completes a copy: the application may have its Config from elsewhere.
func TestNewCopiesTheListsOfAConfig(t *testing.T) {
	t.Parallel()
	c := goodConfig()
	c.Providers[0] = tenantExample()
	written := strings.ToUpper(c.Providers[0].Checks.Tenants[0])
	c.Providers[0].Checks.Tenants[0] = written
	c.Sessions.Claims = []string{"roles"}
	a, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if c.Sessions.Claims[0] = "email"; a.config.Sessions.Claims[0] != "roles" {
		t.Errorf("a change after New has Sessions.Claims become %q", a.config.Sessions.Claims)
	}
	if got := c.Providers[0].Checks.Tenants[0]; got != written {
		t.Errorf("it has become %q", got)
	}
}

// An issuer is a tenant's if all of it fits the template, and not its tenant alone.
func TestIssuersOfOtherTemplates(t *testing.T) {
	t.Parallel()
	p := tenantExample()
	tenant := p.Checks.Tenants[0]
	for issuer, want := range map[string]bool{
		"https://id.example.test/" + tenant + "/v2.0":   true,
		"https://id.example.test/" + tenant + "/v1.0":   false,
		"https://id.example.test/" + tenant:             false,
		"https://evil.example.test/" + tenant + "/v2.0": false,
		tenant + "/v2.0": false,
		tenant:           false,
		"https://id.example.test/{tenantid}/v2.0": false,
	} {
		if got := p.issues(issuer); got != want {
			t.Errorf("%s: got %v", issuer, got)
		}
	}
}

// Each BasePath gets a cookie name of its own, which New accepts.
func TestEachBasePathHasItsCookies(t *testing.T) {
	t.Parallel()
	names := make(map[string]string)
	for base, want := range map[string]string{
		"": "pixy", "/reader": "pixy_reader", "/Reader": "pixy_Reader", "/a1": "pixy_a1", "/twelve_chars": "pixy_twelve_chars_" + strings.Repeat("?", 8),
		"/a/b": "pixy_a_b_????????", "/a-b": "pixy_a_b_????????", "/a_b": "pixy_a_b_????????", "/a.b": "pixy_a_b_????????", "/a/b/": "pixy_a_b__????????",
		"/twelvechars1": "pixy_twelvechars1", "/thirteenchars": "pixy_thirteenchar_????????", "/thirteencharz": "pixy_thirteenchar_????????",
		"/" + strings.Repeat("a/", 200) + "b": "pixy_a_a_a_a_a_a__????????",
	} {
		got := cookieNameFor(base)
		if len(got) != len(want) || !strings.HasPrefix(got, strings.TrimRight(want, "?")) || len(got) > 32 || strings.Contains(got, "-") || !validName(got) {
			t.Errorf("%s: got %s, want %s", base, got, want)
		}
		if other, ok := names[got]; ok {
			t.Errorf("%s and %s are both %s", base, other, got)
		}
		names[got] = base
	}
	config := sharedConfig()
	config.Sessions.CookieName = "chosen"
	if a, err := New(config); err != nil || a.config.Sessions.CookieName != "chosen" || a.config.Pages.Home != "/reader/" || a.afterLogout(a.hosts.own) != "https://app.example.test/reader/auth/logout" {
		t.Errorf("got %v", err)
	}
	if a, err := New(sharedConfig()); err != nil || a.config.Sessions.CookieName != "pixy_reader" || a.hints.cookies.Path != "/reader/auth/logout" || a.hints.everywhere.Path != "/" {
		t.Errorf("got %v", err)
	}
}

// lookedUp has a provider of each name looked up, beside those that are listed.
func lookedUp(c *Config) {
	c.Lookup.Find = func(context.Context, string) (*Provider, error) { return &c.Providers[0], nil }
}

func approveAll(context.Context, string) (bool, error) { return true, nil }

func hostNames(names ...string) func(*Config) {
	return func(c *Config) { c.Hosts.Names = names }
}

func sharedDomain(domain string, names ...string) func(*Config) {
	return func(c *Config) { c.Hosts.SharedDomain, c.Hosts.Names = domain, names }
}

// secretOf returns the secret number of a key.
func secretOf(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	secret, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return secret
}
