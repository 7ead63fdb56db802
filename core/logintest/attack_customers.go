package logintest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// firstCustomer is the customer whose users are Ada and, in the attacks that need no
// customers, Mallory.
const firstCustomer = "acme"

// A network has all origins of customers and their providers. It is safe for concurrent
// use.
type network struct {
	mu       sync.RWMutex
	handlers map[string]http.Handler
}

func (n *network) serve(origin string, handler http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.handlers == nil {
		n.handlers = make(map[string]http.Handler)
	}
	n.handlers[origin] = handler
}

func (n *network) has(origin string) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.handlers[origin] != nil
}

// RoundTrip implements [http.RoundTripper].
func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.RLock()
	handler := n.handlers[originOf(r.URL)]
	n.mu.RUnlock()
	if handler == nil {
		return nil, fmt.Errorf("logintest: no handler for %s", originOf(r.URL))
	}
	return serve(handler, r)
}

const providerMark = "{provider}"

// of returns the target as a customer with this name uses it.
func (t Target) of(name string) (Target, error) {
	if t.AddCustomer == nil {
		return t, nil
	}
	_, address, _ := strings.Cut(t.RedirectURL, "://")
	host, _, _ := strings.Cut(address, "/")
	if !strings.Contains(host+t.Private, providerMark) {
		return t, errors.New("Target.AddCustomer needs {provider} in Private, or in the host of RedirectURL")
	}
	for _, p := range []*string{&t.RedirectURL, &t.Private, &t.StepUp, &t.SignIn, &t.LoginPath, &t.LogoutPath, &t.BackChannelLogout, &t.FrontChannelLogout} {
		*p = strings.ReplaceAll(*p, providerMark, name)
	}
	return t, nil
}

// customer adds a customer of Mallory's, whose provider misbehaves from the beginning. The
// users of this provider have Ada's subject, name and e-mail address.
func (s *siege) customer(faults Faults) *siege {
	n := s.customers.Add(1)
	return s.as(fmt.Sprint("mallory-", n), fmt.Sprintf("https://id-%d.example.test", n), faults)
}

// moved gives the customer another provider.
func (s *siege) moved(faults Faults) *siege {
	return s.as(s.name, fmt.Sprintf("https://id-%d.example.test", s.customers.Add(1)), faults)
}

// sharing adds a customer of Mallory's that names the honest provider's issuer.
func (s *siege) sharing() *siege {
	c := s.named(fmt.Sprint("mallory-", s.customers.Add(1)))
	s.callbacks.Store(c.target.RedirectURL, true)
	c.joins()
	return c
}

// as adds a customer, or gives it another provider.
func (s *siege) as(name, issuer string, faults Faults) *siege {
	c := s.named(name)
	c.target.Issuer, c.provider = issuer, c.newProvider(issuer)
	c.provider.User = s.ada
	for c.provider.signingKeys().rsa.Equal(s.provider.signingKeys().rsa) { // both use the same pool
		c.provider.RotateKeys()
	}
	c.misbehave(faults)
	c.joins()
	return c
}

// named returns the application as a customer with a name uses it.
func (s *siege) named(name string) *siege {
	c := *s
	c.name = name
	c.target, _ = s.template.of(name) // it worked for the
	c.target, _ = c.target.complete() // first customer
	c.target.Issuer = s.target.Issuer
	c.callback, _ = url.Parse(c.target.RedirectURL)
	c.origin = originOf(c.callback)
	return &c
}

// joins adds the customer to the application.
func (s *siege) joins() {
	if issuer, err := url.Parse(s.target.Issuer); err == nil {
		s.network.serve(originOf(issuer), s.provider)
	}
	s.network.serve(s.origin, s.app)
	s.target.AddCustomer(s.name, s.target.Issuer)
}

// servedHonestly performs a login at a second customer.
func (s *siege) servedHonestly() {
	if s.target.AddCustomer == nil {
		return
	}
	c := s.customer(Faults{})
	c.signIn(c.newBrowser(), c.ada)
}

// received reports whether the provider, or the browser on its behalf, has got a secret.
func (s *siege) received(secret string) bool {
	for _, r := range s.provider.Requests() {
		for _, values := range []url.Values{r.Query, r.Form, url.Values(r.Header)} {
			for _, all := range values {
				if strings.Contains(strings.Join(all, " "), secret) {
					return true
				}
			}
		}
	}
	return false
}

// expectOutside requires that a browser is logged in at neither customer.
func (s *siege) expectOutside(b *Browser, c *siege, cause string) {
	s.expect(b, nobody, cause)
	c.expect(b, nobody, cause)
}

// Attacks by one customer of an application on another. Mallory administers a customer,
// and chooses its issuer; what this provider says, Mallory chooses as well.
func (s *siege) customerAttacks() []attack {
	all := []attack{
		{"session of another customer",
			"show a customer's pages only to users who logged in at this customer's provider, because another provider may give its users any subject and e-mail address",
			sessionOfCustomer},
		{"issuer of another customer",
			"tell users apart by the customer, or its provider, where they logged in, and not by the issuer alone, because any customer can name any issuer",
			issuerOfCustomer},
		{"mix-up of two customers",
			"give each customer a callback of its own, or require iss in each answer (RFC 9207), before any token request",
			customersMixedUp},
		{"customer whose registration has changed",
			"bind logins, sessions and tokens to the issuer and the client where they began, and not to the customer's name alone",
			customerChanged},
		{"token of one customer's login at another's provider",
			"send ID tokens, refresh tokens and access tokens to the provider that issued them, and to no other",
			tokensCrossed},
		{"login that names two customers",
			"begin a login for an iss only if it is the issuer of the provider that the request names",
			twoProvidersNamed},
		{"names of customers",
			"look up only names that can be a customer's, answer others with 4xx, and request nothing from a provider for them",
			namesMisspelled},
		{"customer whose provider hangs",
			"let no customer wait for the provider of another: hold no lock, queue or limit while a provider is asked",
			providerHangs},
		{"customer whose provider floods",
			"limit the size of a provider's responses and the number of its keys, for each provider by itself",
			providerFloods},
	}
	if !s.plain {
		all = append(all,
			attack{"metadata of another customer's provider",
				"reject metadata whose issuer is not that of the provider, and keep keys and endpoints for each provider by itself",
				metadataBorrowed},
			attack{"ID token of another customer's provider",
				"accept in an ID token only the issuer of this customer's provider, and only its keys",
				idTokenBorrowed})
	}
	own, err := s.template.of("other") // never an error here
	if err == nil && own.RedirectURL != s.target.RedirectURL {
		all = append(all, attack{"answer at another customer's callback",
			"reject at a customer's callback what belongs to another customer's login, before any token request",
			answeredAtCustomer})
	}
	if !strings.HasPrefix(own.RedirectURL, s.origin+"/") {
		all = append(all, hostAttacks...)
	}
	if s.target.BackChannelLogout != "" && !s.plain {
		all = append(all, attack{"logout token of another customer's provider",
			"end by a logout token only sessions that began at the provider whose keys have signed it",
			toldByCustomer})
	}
	if s.target.FrontChannelLogout != "" && !s.plain {
		all = append(all, attack{"front-channel logout of another customer",
			"end by a front-channel logout only a session that began at the provider with this iss",
			framedByCustomer})
	}
	return all
}
