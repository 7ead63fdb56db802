package core_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const publicIP = "8.8.8.8" // of every host, until a test says otherwise

// An internet resolves names as a test says. Connections to public addresses reach the
// provider's server. Those to private addresses would reach it as well, and are counted.
type internet struct {
	server *http.Transport // reaches the server

	mu        sync.Mutex
	addresses map[string]string // by host
	connected []string          // hosts and addresses
}

// dial is the Dial of provider.NewPublicClient.
func (n *internet) dial(ctx context.Context, network, address string, allowed func(string) error) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	ip := n.addresses[host]
	n.mu.Unlock()
	switch ip {
	case "":
		ip = publicIP
	case "down":
		return nil, fmt.Errorf("dial tcp: %s: connection refused", host)
	}
	if err := allowed(net.JoinHostPort(ip, port)); err != nil {
		return nil, fmt.Errorf("dial tcp %s: %w", net.JoinHostPort(ip, port), err)
	}
	n.mu.Lock()
	n.connected = append(n.connected, host+" "+ip)
	n.mu.Unlock()
	return n.server.DialContext(ctx, network, address)
}

// resolve changes the address of a host: empty is a public one, "down" a host that cannot be
// reached.
func (n *internet) resolve(host, ip string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses[host] = ip
}

// all returns the connections so far, each as host and address.
func (n *internet) all() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.connected)
}

// inside returns the connections that were not to publicIP.
func (n *internet) inside() []string {
	return slices.DeleteFunc(n.all(), func(c string) bool { return strings.HasSuffix(c, " "+publicIP) })
}

// A guardedRig is an application whose provider has each endpoint on a host of its own.
type guardedRig struct {
	*tlsRig
	net *internet
}

var guardedHosts = map[string]string{
	"token_endpoint": "token.example.test", "jwks_uri": "keys.example.test", "userinfo_endpoint": "userinfo.example.test",
	"pushed_authorization_request_endpoint": "par.example.test", "revocation_endpoint": "revoke.example.test",
}

// apart puts the endpoints on guardedHosts.
func apart(metadata map[string]any) {
	delete(metadata, "mtls_endpoint_aliases")
	for name, host := range guardedHosts {
		if at, ok := metadata[name].(string); ok {
			metadata[name] = strings.Replace(at, "id.example.test", host, 1)
		}
	}
}

func newGuardedRig(t testing.TB, register func(*logintest.Client), change ...func(*core.Config)) *guardedRig {
	t.Helper()
	g := &guardedRig{tlsRig: newTLSRig(t, false, func(c *logintest.Client) { c.RequirePAR = true; register(c) }), net: &internet{addresses: make(map[string]string)}}
	hosts := map[string]http.Handler{"id.example.test": g.provider}
	for _, host := range guardedHosts {
		hosts[host] = g.provider
	}
	g.net.server = overTLS(t, hosts)
	g.provider.Misbehave(logintest.Faults{Discovery: apart})
	g.restart(change...)
	return g
}

// restart makes a new process of the application, in the internet.
func (g *guardedRig) restart(change ...func(*core.Config)) {
	g.t.Helper()
	config := g.config()
	config.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: g.net.server.TLSClientConfig, DisableKeepAlives: true}}
	config.Tokens.Keep, config.Sessions.Store = true, nil
	config.Providers[0].Requests = core.RequestConfig{UserInfo: true, PAR: true}
	config.Providers[0].Endpoints.PublicOnly = true
	for _, f := range change {
		f(&config)
	}
	auth, err := core.NewOn(config, g.now, g.net.dial)
	if err != nil {
		g.t.Fatal(err)
	}
	g.auth = auth
	g.browser.Serve(origin, g.rig.app(auth))
}

// guardedLookUp looks up the provider, in place of listing it. It is guarded by default.
func guardedLookUp(c *core.Config) {
	c.Providers[0].Endpoints.PublicOnly = false
	customerTable{}.lookUp(c)
	c.Lookup.AnyAddress = false
}

// Whole logins with the guard, with each kind of client that connects.
func TestGuardedLogins(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, "the client")
	for _, test := range []struct {
		name     string
		register func(*logintest.Client)
		change   func(*core.Config)
		start    string
	}{
		{"rule 167: a listed provider", func(*logintest.Client) {}, func(*core.Config) {}, "/me"},
		{"rule 167: a looked-up provider", atCustomer, guardedLookUp, "/auth/login?provider=acme&return_to=/me"},
		{"rule 167: a client of its own", func(*logintest.Client) {}, func(c *core.Config) {
			c.Providers[0].Endpoints.HTTPClient, c.HTTPClient = c.HTTPClient, nil
		}, "/me"},
		{"rule 167: a client with a certificate", byCertificate("tls_client_auth", certificate), func(c *core.Config) {
			c.Providers[0].ClientSecret = ""
			presenting(certificate)(c)
		}, "/me"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newGuardedRig(t, test.register, test.change)
			if page := g.get(origin + test.start); string(page.Body) != "I am ada" {
				t.Fatalf("got %d %s\n%s", page.Status, page.Body, g.log.String())
			}
			reached := g.net.all()
			for _, host := range []string{"id.example.test", "token.example.test", "keys.example.test", "userinfo.example.test", "par.example.test"} {
				if !slices.Contains(reached, host+" "+publicIP) {
					t.Errorf("%s was not reached: %q", host, reached)
				}
			}
			if n := g.net.inside(); len(n) > 0 {
				t.Errorf("reached %q", n)
			}
		})
	}
}

// reference is what differs on two pages of one failure.
var reference = regexp.MustCompile(`<code>[0-9A-Z]{8}</code>`)

// A host that resolves to a private address, at any step of a login, before it or during
// it: nothing is connected, nobody is logged in, and the answer is that of a host which
// cannot be reached. Only the log tells.
func TestGuardRefusesPrivateAddresses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, host, ip string }{
		{"rule 167: metadata on a private address", "id.example.test", "10.0.0.1"},
		{"rule 167: metadata on this machine", "id.example.test", "127.0.0.1"},
		{"rule 167: metadata at the cloud's metadata service", "id.example.test", "169.254.169.254"},
		{"rule 167: metadata on this machine, by IPv6", "id.example.test", "::1"},
		{"rule 167: metadata by NAT64", "id.example.test", "64:ff9b::a9fe:a9fe"},
		{"rule 167: pushed requests", "par.example.test", "192.168.0.1"},
		{"rule 167: the token endpoint", "token.example.test", "172.16.0.1"},
		{"rule 167: the keys", "keys.example.test", "100.64.0.1"},
		{"rule 167: UserInfo", "userinfo.example.test", "fd00::1"},
	} {
		for name, change := range map[string]func(*core.Config){"listed": func(*core.Config) {}, "looked up": guardedLookUp} {
			t.Run(test.name+", "+name, func(t *testing.T) {
				t.Parallel()
				start, register := "/me", func(*logintest.Client) {}
				if name == "looked up" {
					start, register = "/auth/login?provider=acme&return_to=/me", atCustomer
				}
				ask := func(ip string) (*guardedRig, *logintest.Page) {
					g := newGuardedRig(t, register, change)
					g.net.resolve(test.host, ip)
					return g, g.get(origin + start)
				}
				_, down := ask("down")
				g, page := ask(test.ip)
				if page.Status != http.StatusServiceUnavailable || page.Status != down.Status || setsSession(page.Header) || g.logins.Load() != 0 || g.whoAmI() != "" {
					t.Errorf("got %d %s", page.Status, page.Body)
				}
				if got, want := reference.ReplaceAllString(string(page.Body), "…"), reference.ReplaceAllString(string(down.Body), "…"); got != want {
					t.Errorf("the page tells of the guard:\n%s\n%s", got, want)
				}
				if n := g.net.inside(); len(n) > 0 {
					t.Errorf("reached %q", n)
				}
				for _, want := range []string{`"code":"provider_unavailable"`, test.host, "network guard", test.ip, "Lookup.AnyAddress", "Endpoints.PublicOnly"} {
					if !strings.Contains(g.log.String(), want) {
						t.Errorf("the log lacks %q:\n%s", want, g.log.String())
					}
				}
			})
		}
	}
}

// The name of a provider leads elsewhere after its metadata was fetched, and back.
func TestGuardRefusesRebinding(t *testing.T) {
	t.Parallel()
	t.Run("rule 167: a name that resolves to another address later", func(t *testing.T) {
		t.Parallel()
		g := newGuardedRig(t, func(*logintest.Client) {})
		g.login()
		callback := g.toCallback()
		g.net.resolve("token.example.test", "10.0.0.1")
		if page := g.get(callback.String()); page.Status != http.StatusServiceUnavailable || setsSession(page.Header) {
			t.Errorf("got %d %s", page.Status, page.Body)
		}
		if g.whoAmI() != "I am ada" {
			t.Error("the session of before has ended")
		}
		g.advance(time.Hour) // tokens and metadata are stale
		g.net.resolve("id.example.test", "127.0.0.1")
		if g.whoAmI() != "I am ada" {
			t.Error("the session has ended")
		}
		if n := g.net.inside(); len(n) > 0 {
			t.Errorf("reached %q", n)
		}
		g.net.resolve("token.example.test", "")
		g.net.resolve("id.example.test", "")
		g.advance(time.Hour)
		g.browser = logintest.NewBrowser()
		g.browser.Serve(issuer, g.provider)
		g.browser.Serve(origin, g.rig.app(g.auth))
		g.login()
	})
}

// What the metadata of a guarded provider may say. No request goes to a refused endpoint.
func TestGuardedMetadata(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, "the client")
	set := func(name, to string) func(map[string]any) { return func(m map[string]any) { m[name] = to } }
	for _, test := range []struct {
		name     string
		metadata func(map[string]any)
		want     string // in the log; empty: accepted
	}{
		{"nothing unusual", func(map[string]any) {}, ""},
		{"the browser's endpoints anywhere", func(m map[string]any) { m["end_session_endpoint"] = "https://10.0.0.1:8443/out" }, ""},
		{"rule 168: token endpoint on another port", set("token_endpoint", "https://id.example.test:8443/token"), "token_endpoint has another port than 443"},
		{"rule 168: token endpoint on http", set("token_endpoint", "http://id.example.test/token"), "token_endpoint is not https"},
		{"rule 168: token endpoint by an address", set("token_endpoint", "https://8.8.8.8/token"), "token_endpoint has an IP address"},
		{"rule 168: token endpoint on this machine", set("token_endpoint", "https://id.localhost/token"), "token_endpoint is on this machine"},
		{"rule 168: keys on another port", set("jwks_uri", "https://id.example.test:6379/jwks"), "jwks_uri has another port"},
		{"rule 168: keys by an address", set("jwks_uri", "https://[::ffff:10.0.0.1]/jwks"), "jwks_uri has an IP address"},
		{"rule 168: UserInfo by a number", set("userinfo_endpoint", "https://2130706433/"), "userinfo_endpoint has an IP address"},
		{"rule 168: pushed requests by an address", set("pushed_authorization_request_endpoint", "https://0x7f.1/"), "pushed_authorization_request_endpoint has an IP address"},
		{"rule 168: revocation on another port", set("revocation_endpoint", "https://id.example.test:22/"), "revocation_endpoint has another port"},
		{"rule 168: an alias for clients with a certificate", func(m map[string]any) {
			m["mtls_endpoint_aliases"] = map[string]any{"token_endpoint": "https://id.example.test:9443/token"}
		}, "mtls_endpoint_aliases: token_endpoint has another port"},
		{"rule 168: an alias by an address", func(m map[string]any) {
			m["mtls_endpoint_aliases"] = map[string]any{"userinfo_endpoint": "https://127.0.0.1/userinfo"}
		}, "mtls_endpoint_aliases: userinfo_endpoint has an IP address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newGuardedRig(t, byCertificate("tls_client_auth", certificate), presenting(certificate), func(c *core.Config) { c.Providers[0].ClientSecret = "" })
			g.provider.Misbehave(logintest.Faults{Discovery: func(m map[string]any) { apart(m); test.metadata(m) }})
			err := g.auth.Discover(t.Context())
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if failure := new(core.Error); !errors.As(err, &failure) || failure.Code != "provider_metadata_invalid" || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v", err)
			}
			page := g.get(origin + "/me")
			if page.Status != http.StatusBadGateway || setsSession(page.Header) || strings.Contains(string(page.Body), "guard") {
				t.Errorf("got %d %s", page.Status, page.Body)
			}
			if got := g.net.all(); len(slices.Compact(got)) != 1 || got[0] != "id.example.test "+publicIP {
				t.Errorf("connected to %q", got)
			}
		})
	}
}

// A redirect leads nowhere but to the same origin, whose address is checked again.
func TestGuardedRedirects(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		to, then string // then: the address after the redirect
		code     string
	}{
		"rule 167: to a private address":              {"http://169.254.169.254/latest/meta-data", "", "provider_metadata_invalid"},
		"rule 167: to another host":                   {"https://other.example.test/", "", "provider_metadata_invalid"},
		"rule 167: to itself, which is elsewhere now": {issuer + "/moved", "10.0.0.1", "provider_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuardedRig(t, func(*logintest.Client) {})
			g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
				g.net.resolve("id.example.test", test.then)
				http.Redirect(w, r, test.to, http.StatusFound)
				return true
			}})
			failure := new(core.Error)
			if err := g.auth.Discover(t.Context()); !errors.As(err, &failure) || failure.Code != test.code {
				t.Errorf("got %v", err)
			}
			if got := g.net.all(); len(got) != 1 {
				t.Errorf("connected to %q", got)
			}
		})
	}
}

// FetchUser chooses its own URLs, and has a guarded client.
func TestGuardedFetchUser(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ url, want string }{
		"rule 167: a private address":  {"https://userinfo.example.test/userinfo", "is not public"},
		"rule 167: plain http":         {"http://id.example.test/userinfo", "is not https"},
		"rule 167: the cloud's server": {"http://169.254.169.254/latest/meta-data", "is not https"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuardedRig(t, func(*logintest.Client) {}, func(c *core.Config) {
				c.Providers[0].Requests, c.Providers[0].Scopes = core.RequestConfig{}, nil
				c.Providers[0].FetchUser = func(ctx context.Context, client *http.Client) (map[string]any, error) {
					r, err := http.NewRequestWithContext(ctx, "GET", test.url, nil)
					if err != nil {
						return nil, err
					}
					_, err = client.Do(r)
					return nil, err
				}
			})
			g.net.resolve("userinfo.example.test", "10.0.0.1")
			page := g.get(origin + "/me")
			if page.Status != http.StatusServiceUnavailable || setsSession(page.Header) || !strings.Contains(g.log.String(), test.want) {
				t.Errorf("got %d %s\n%s", page.Status, page.Body, g.log.String())
			}
			if n := g.net.inside(); len(n) > 0 {
				t.Errorf("reached %q", n)
			}
		})
	}
}

// With AnyAddress, looked-up providers are reached wherever they are. A provider that the
// table itself guards stays guarded.
func TestLookedUpProvidersAtAnyAddress(t *testing.T) {
	t.Parallel()
	g := newGuardedRig(t, atCustomer)
	any := func(c *core.Config) {
		c.HTTPClient = &http.Client{Transport: g.net.server}
		c.Providers[0].Endpoints.PublicOnly = false
		customerTable{}.lookUp(c)
	}
	g.restart(any)
	if page := g.get(origin + "/auth/login?provider=acme&return_to=/me"); string(page.Body) != "I am ada" {
		t.Fatalf("got %d %s\n%s", page.Status, page.Body, g.log.String())
	}
	if len(g.net.all()) > 0 {
		t.Errorf("guarded connections to %q", g.net.all())
	}
	g.restart(func(c *core.Config) {
		client := c.HTTPClient
		any(c)
		c.HTTPClient = client
		inner := c.Lookup.Find
		c.Lookup.Find = func(ctx context.Context, name string) (*core.Provider, error) {
			p, err := inner(ctx, name)
			if p == nil {
				return p, err
			}
			guarded := *p
			guarded.Endpoints.PublicOnly = true
			return &guarded, err
		}
	})
	if page := g.get(origin + "/auth/login?provider=acme&return_to=/me"); string(page.Body) != "I am ada" || len(g.net.all()) == 0 {
		t.Errorf("got %d %s, connected to %q", page.Status, page.Body, g.net.all())
	}
}

// A customer's issuer that the guard cannot allow whatever it resolves to is a mistake in
// the table, which is found without a request.
func TestLookedUpIssuersThatAreNotPublic(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ issuer, want string }{
		"rule 168: another port": {"https://id.example.test:8443", `Issuer has another port`},
		"rule 168: an address":   {"https://10.0.0.1", `Issuer has an IP address`},
		"rule 168: localhost":    {"https://localhost", `Issuer is on this machine`},
		"rule 168: http":         {"http://localhost", `Issuer is not https`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGuardedRig(t, atCustomer, func(c *core.Config) {
				c.Providers[0].Issuer = test.issuer
				guardedLookUp(c)
			})
			page := g.get(origin + "/auth/login?provider=acme&return_to=/me")
			if page.Status != http.StatusServiceUnavailable || strings.Contains(string(page.Body), "guard") || !strings.Contains(g.log.String(), test.want) || !strings.Contains(g.log.String(), `"code":"provider_invalid"`) {
				t.Errorf("got %d %s\n%s", page.Status, page.Body, g.log.String())
			}
			if len(g.net.all()) > 0 {
				t.Errorf("connected to %q", g.net.all())
			}
		})
	}
}
