package logintest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

const (
	customerSession  = "session of another customer"
	customerIssuer   = "issuer of another customer"
	customerMixUp    = "mix-up of two customers"
	customerMoved    = "customer whose registration has changed"
	customerTokens   = "token of one customer's login at another's provider"
	customerTwo      = "login that names two customers"
	customerNames    = "names of customers"
	customerHangs    = "customer whose provider hangs"
	customerFloods   = "customer whose provider floods"
	customerMetadata = "metadata of another customer's provider"
	customerIDToken  = "ID token of another customer's provider"
	customerCallback = "answer at another customer's callback"
	customerTold     = "logout token of another customer's provider"
	customerFramed   = "front-channel logout of another customer"
	hostCookies      = "cookies of another customer's host"
	hostProvider     = "provider of another customer at a customer's host"
	hostHeaders      = "host of another customer in headers"
)

type customerVariant struct {
	attack string
	app    *bazaar
	want   string
}

// The findings for logins with a provider for each customer.
var customerVariants = []customerVariant{
	{customerSession, &bazaar{anyUser: true}, `a login at another customer's provider, which gives its user Ada's subject and e-mail address, logged the browser in as Ada Lovelace: an application must show a customer's pages only to users who logged in at this customer's provider, because another provider may give its users any subject and e-mail address`},
	{customerSession, &bazaar{hosts: true, anyHost: true, anyUser: true}, "a login at another customer's provider, which"},
	{customerIssuer, &bazaar{byIssuer: true}, "a login at another customer that names the same issuer logged the browser in as Ada Lovelace: an application must tell users apart by the customer,"},
	{customerIssuer, &bazaar{shared: true, byIssuer: true}, "a login at another customer that names the same issuer logged"},
	{customerMixUp, &bazaar{anyCallback: true, anyIss: true}, `the honest provider's answer to a login that began at another customer's provider made the application send the honest provider's code to the other provider: an application must give each customer a callback of its own, or require iss in each answer (RFC 9207), before any token request`},
	{customerMixUp, &bazaar{anyIss: true}, ""},
	{customerMixUp, &bazaar{shared: true, anyIss: true}, "the honest provider's answer to a login that began at another customer's provider made"},
	{customerMixUp, &bazaar{shared: true}, ""},
	{customerMoved, &bazaar{unbound: true, anyIss: true}, "the answer to a login, after the customer had changed its provider, made the application send the code to the new provider: an application must bind logins,"},
	{customerMoved, &bazaar{hints: true}, "after a customer had changed its provider, a token of one provider was sent to another: an application must bind logins,"},
	{customerTokens, &bazaar{hints: true}, "after logins at two customers in one browser, a token of one provider was sent to another: an application must send ID tokens,"},
	{customerTwo, &bazaar{chosenByIss: true}, "a link to a customer's login, with the iss of another customer's provider, began a login there: an application must begin"},
	{customerNames, &bazaar{guesses: true}, `the customer "nobody-of-that-name", which there is not, led to a provider: an application must look up`},
	{customerNames, &bazaar{fails: true}, `the customer "nobody-of-that-name" got status 500:`},
	{customerHangs, &bazaar{queue: true}, "while a customer's provider hangs, a login at another customer's provider did not end within 8s: an application must let"},
	{customerFloods, &bazaar{reads: true}, "32 MB of a response of /.well-known/openid-configuration were read: an application must limit"},
	{customerMetadata, &bazaar{anyMetadata: true, anyIDToken: true, anyIss: true}, "metadata with issuer of another customer's provider logged the browser in as Ada Lovelace: an application must reject metadata"},
	{customerMetadata, &bazaar{shared: true, anyIss: true}, "metadata with authorization_endpoint of another customer's provider made the application send"},
	{customerIDToken, &bazaar{anyIDToken: true}, "an ID token with "},
	{customerCallback, &bazaar{anyCallback: true}, "the answer to a login of one customer, opened at another customer's callback,"},
	{customerTold, &bazaar{ends: true}, "a logout token of another customer's provider ended the session of Ada Lovelace: an application must end"},
	{customerFramed, &bazaar{framed: true}, "a front-channel logout with the issuer of another customer's provider ended the session of Ada Lovelace: an application must end"},
	{hostCookies, &bazaar{hosts: true, anyHost: true}, "the cookies of a session, at another customer's host, logged the browser in as Ada Lovelace: an application must bind a cookie's value to the host"},
	{hostProvider, &bazaar{hosts: true, anyUser: true}, "a login by another customer's provider, at this customer's host, logged the browser in as Ada Lovelace: an application must let users"},
	{hostHeaders, &bazaar{hosts: true, forwarded: true}, "a header with another customer's host changed the redirect_uri to https://mallory-"},
	{hostHeaders, &bazaar{hosts: true, absolute: true}, "a request target with another customer's host changed the redirect_uri to https://mallory-"},
	{hostHeaders, &bazaar{hosts: true}, "a host that is no customer's changed the redirect_uri to https://evil.example.test/auth/callback/acme: an application must take the host"},
}

func TestVariantsOfWeakCustomers(t *testing.T) {
	t.Parallel()
	for i, v := range customerVariants {
		one := variant{attack: v.attack, want: v.want}
		t.Run(one.name(i), func(t *testing.T) {
			t.Parallel()
			one.suffer(t, v.app.target())
		})
	}
}

// Every attack between customers succeeds in at least one variant, and none on a login
// without weaknesses. None is tried on an application with one provider.
func TestAttacksBetweenCustomers(t *testing.T) {
	t.Parallel()
	between := func(name string) bool { return strings.Contains(name, "customer") }
	nothing := func(string) bool { return false }
	for _, app := range []*bazaar{{}, {shared: true}, {hosts: true}} {
		r := attack(app.target(), between)
		if delete(r.failures, hostHeaders); r.fatal != "" || len(r.failures) != 0 {
			t.Errorf("got %s %v", r.fatal, r.failures)
		}
	}
	app := &bazaar{hosts: true, ends: true, framed: true}
	tried := slices.DeleteFunc(attack(app.target(), nothing).names, func(name string) bool { return !between(name) })
	if len(tried) != 17 {
		t.Errorf("tried %d attacks: %q", len(tried), tried)
	}
	for _, name := range tried {
		if !slices.ContainsFunc(customerVariants, func(v customerVariant) bool { return v.attack == name && v.want != "" }) {
			t.Errorf("%s has never been seen to succeed", name)
		}
	}
	if names := attack(logintest.Target{Start: new(tutorial).start}, nothing).names; slices.ContainsFunc(names, between) {
		t.Errorf("with one provider: %q", names)
	}
}

// Without what attacks between customers need, no attacks are run.
func TestAttackRefusesCustomersThatCannotBe(t *testing.T) {
	t.Parallel()
	for want, edit := range map[string]func(*logintest.Target){
		"needs LoginPath and LogoutPath":  func(t *logintest.Target) { t.LoginPath = "" },
		"Target.AddCustomer needs Login":  func(t *logintest.Target) { t.LogoutPath = "" },
		"needs {provider} in Private, or": func(t *logintest.Target) { t.Private = "/private" },
		"ended with status 404 at https://app.example.test/auth/login/acme": func(t *logintest.Target) {
			t.AddCustomer = func(string, string) {}
		},
	} {
		target := new(bazaar).target()
		edit(&target)
		r := attack(target, every)
		if !strings.HasPrefix(r.fatal, "logintest: nothing was attacked") || !strings.Contains(r.fatal, want) || len(r.names) != 0 {
			t.Errorf("got %q and then %v, want %s", r.fatal, r.names, want)
		}
	}
}
