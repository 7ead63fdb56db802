package core

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// LookupConfig finds providers in the application's own table, beside
// [Config.Providers]. A business application has one for each customer, and its
// administrators add and change them while it runs. The zero value finds none.
//
// The settings of a looked-up provider come from a customer. Find says which settings a
// customer may choose.
type LookupConfig struct {
	// Find returns the provider with a name, or nil if there is none. It is asked for each
	// login, callback, step-up, refresh and logout, and before a grant is refreshed, so its
	// answer may change at any time. A guarded request that needs no step-up and no refresh
	// does not ask it.
	//
	// A name has 1 to 64 letters, digits, "-", "_" and ".". It begins and ends with a letter
	// or a digit, and has no "..". Find is not asked for other names, nor for those of
	// Config.Providers. Provider.Name must be empty or that name. A changed ClientSecret,
	// and changed functions, are used at once. After other changes, metadata and keys are
	// fetched again. So return the same HTTPClient each time. A Signer of a key that is in
	// use already is not replaced. If Issuer, ClientID or the callback changes, logins in
	// progress fail with provider_changed. Do not modify a Provider that Find has returned.
	//
	// Do not give the name of a former customer to another: sessions of the former
	// customer's users continue, with that name as [User.Provider], until they end. Use each
	// name once, or call [Authenticator.LogoutProvider] first.
	//
	// A customer may choose Issuer, ClientID and ClientSecret. With AnyAddress, an Issuer
	// can lead requests to any address of the application's network. Never let a customer
	// choose Endpoints or Checks: with keys or endpoints of its own, it could pretend to be
	// any issuer. Several providers may have one Issuer, because a customer can name that of
	// another. So two users are the same only if their [User.Provider] is, too.
	//
	// An error means that the table is unavailable: the request fails with
	// lookup_unavailable, status 503, and no session ends. A provider with a mistake in its
	// fields gives provider_invalid, status 503. Find must be safe for concurrent use. Nil:
	// there are no looked-up providers.
	Find func(ctx context.Context, name string) (*Provider, error)

	// Choose returns the name of the provider for what a user typed on our page: an e-mail
	// address or an organization. An empty name means that there is none, and the page asks
	// again. typed has at most 256 bytes, on one line and in UTF-8. Choose decides about
	// letter case, and whether the domain of an address is enough. What a user types proves
	// nothing about the user. An e-mail address is passed on as login_hint.
	//
	// At the beginning of a login without a provider, and of every login by the login's
	// route, Choose is asked with typed empty. If the request says which customer it is for,
	// by its host or a cookie of yours, return that name: the login goes there at once, and
	// for other providers the route answers provider_unknown. Otherwise return an empty
	// name.
	//
	// A page of your own posts a form with the field customer to [PageConfig.LoginPath],
	// with return_to. Only a POST is looked up, and only from the same origin. A GET fills
	// the field in, because URLs are in logs, and any site can link to them.
	//
	// An error fails the login with lookup_unavailable, status 503. Choose must be safe for
	// concurrent use. It may return names of Config.Providers. It needs Find. Nil: the page
	// asks for nothing, and lists Config.Providers.
	Choose func(r *http.Request, typed string) (name string, err error)

	// SendLink sends a link to the e-mail address that was typed. The link begins the login
	// at the provider that Choose has found. With SendLink, the page and its time are the
	// same for every address, so they do not reveal which customers exist. Without it, the
	// redirect to a provider reveals that.
	//
	// SendLink does not hide the names of providers: the login's route redirects only for a
	// name that exists. If that matters, use random names, and not those of customers.
	//
	// The link has the host on which the address was typed. If customers bring hosts of
	// their own, Choose must name the customer of each, and then no link is sent there.
	//
	// Anyone can type any address, any number of times. SendLink must limit how many links
	// it sends to one address, and from one client, and Choose must not be slow. Other
	// sites, frames, prefetches and scripts send nothing.
	//
	// Choose and SendLink then run after the request, for at most 64 links at once. Further
	// links are dropped, and logged. Their context ends after 30 seconds, and the request
	// that Choose gets has no body. So SendLink should put the mail into a queue. Errors and
	// panics are logged, without what was typed. SendLink must be safe for concurrent use,
	// and needs Choose. Nil: the page redirects to the provider at once.
	SendLink func(ctx context.Context, typed, link string) error

	// MaxKept is the number of looked-up providers whose metadata and keys are kept in
	// memory. The least recently used ones are dropped, and fetched again when they are
	// needed. A negative number is an error of [New]. Zero: 1000.
	MaxKept int

	// AnyAddress switches off the network guard of looked-up providers: see
	// [EndpointConfig.PublicOnly]. A customer's administrator can then make the application
	// send requests into the network in which it runs. Set it for development and tests, whose providers
	// are on this machine or in memory, or if the transport of HTTPClient refuses private
	// addresses itself. False: looked-up providers must be on the Internet.
	AnyAddress bool
}

const defaultMaxKept = 1000

// A lookup finds registrations of looked-up providers. It keeps those that were used last,
// because each has the provider's metadata and keys. A nil lookup finds none.
//
// Its lock is never held while Find or a provider is asked, so no customer waits for
// another's.
type lookup struct {
	ask  func(ctx context.Context, name string) (*Provider, error)
	make func(name string, found Provider) (*registration, error)
	most int

	mu   sync.Mutex
	kept map[string]*list.Element // of order, by name
	used list.List                // of *registration, the last used one first
}

func newLookup(config *Config, make func(string, Provider) (*registration, error)) *lookup {
	if config.Lookup.Find == nil {
		return nil
	}
	return &lookup{ask: config.Lookup.Find, make: make, most: config.Lookup.MaxKept, kept: map[string]*list.Element{}}
}

// named returns the registration with a name as Find knows it now, or nil if there is
// none.
func (l *lookup) named(ctx context.Context, name string) (*registration, error) {
	if l == nil || !validProviderName(name) {
		return nil, nil
	}
	found, err := l.ask(ctx, name)
	if err != nil {
		return nil, fail(codeLookup, fmt.Errorf("Lookup.Find, asked for %q: %w", name, err))
	}
	if found == nil {
		l.forget(name)
		return nil, nil
	}
	if at := l.use(name, found); at != nil {
		return at, nil
	}
	at, err := l.make(name, *found)
	if err != nil {
		return nil, err
	}
	at.live.Store(found)
	return l.keep(name, at), nil
}

// use returns the registration that is kept for a name, if found has its data, and takes
// over what is live in found.
func (l *lookup) use(name string, found *Provider) *registration {
	l.mu.Lock()
	element := l.kept[name]
	if element == nil {
		l.mu.Unlock()
		return nil
	}
	l.used.MoveToFront(element)
	at := element.Value.(*registration)
	l.mu.Unlock()
	if !at.live.Load().sameAs(found) {
		return nil
	}
	at.live.Store(found)
	return at
}

// keep keeps a new registration, and drops the least recently used one if there are too
// many. If a concurrent request has kept an equal one meanwhile, keep returns that. It
// compares without the lock, because a key may be in a KMS that is slow.
func (l *lookup) keep(name string, fresh *registration) *registration {
	var differs *registration
	for {
		other := l.replace(name, differs, fresh)
		switch {
		case other == differs:
			return fresh
		case other.live.Load().sameAs(fresh.live.Load()):
			return other
		}
		differs = other
	}
}

// replace keeps fresh in place of former, nil for none. It returns what it has found there,
// and does nothing if that is another one.
func (l *lookup) replace(name string, former, fresh *registration) (found *registration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	element := l.kept[name]
	switch {
	case element == nil:
		l.kept[name] = l.used.PushFront(fresh)
		if last := l.used.Back(); l.used.Len() > l.most {
			delete(l.kept, last.Value.(*registration).config.Name)
			l.used.Remove(last)
		}
		return former
	case element.Value.(*registration) == former:
		element.Value = fresh
		return former
	}
	return element.Value.(*registration)
}

// peek returns the registration that is kept for a name, or nil. It does not ask Find.
func (l *lookup) peek(name string) *registration {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if element := l.kept[name]; element != nil {
		return element.Value.(*registration)
	}
	return nil
}

func (l *lookup) forget(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if element := l.kept[name]; element != nil {
		delete(l.kept, name)
		l.used.Remove(element)
	}
}

// named returns the registration with a name, or nil if there is none. It asks
// Lookup.Find.
func (a *Authenticator) named(ctx context.Context, name string) (*registration, error) {
	if at := a.registrations.named(name); at != nil {
		return at, nil
	}
	return a.lookup.named(ctx, name)
}

// hasProviders reports whether a login is possible at all.
func (a *Authenticator) hasProviders() bool { return len(a.registrations) > 0 || a.lookup != nil }

// completeLookedUp checks a provider of Lookup.Find, and sets the defaults of its zero
// fields. c is complete.
func (c *Config) completeLookedUp(name string, found Provider) (Provider, error) {
	p, faults := c.withLookedUp(name, found, fmt.Sprintf("Config.Lookup.Find(%q).", name))
	if len(faults) > 0 {
		return Provider{}, fail(codeInvalid, errors.Join(faults...))
	}
	return p, nil
}

// withLookedUp is completeLookedUp with the name of the provider in the faults' texts.
func (c *Config) withLookedUp(name string, found Provider, prefix string) (Provider, []error) {
	one := *c
	one.Providers, one.SkipFaultyProviders = []Provider{found}, false
	p := &one.Providers[0]
	var faults faults
	if p.Name != "" && p.Name != name {
		faults.add("Providers[0].Name is another name; leave it empty, or return the name that Find was asked for")
	}
	p.Name = name
	p.Endpoints.PublicOnly = p.Endpoints.PublicOnly || !c.Lookup.AnyAddress
	faults = append(faults, one.completeProviders()[0]...)
	c.checkPlace(p, &faults)
	for i, fault := range faults {
		faults[i] = errors.New(strings.NewReplacer("Config.Providers[0].", prefix, "Providers[0].", prefix).Replace(fault.Error()))
	}
	return *p, faults
}

// completeLookup checks Lookup, and sets the defaults of its zero fields.
func (c *Config) completeLookup(faults *faults) {
	l := &c.Lookup
	if l.Find == nil && l.MaxKept != 0 {
		faults.add("Lookup.MaxKept needs Lookup.Find; set both, or neither")
	}
	if l.Choose != nil && l.Find == nil {
		faults.add("Lookup.Choose needs Lookup.Find; set both (Find may return nil for every name, to choose among Providers)")
	}
	if l.SendLink != nil && l.Choose == nil {
		faults.add("Lookup.SendLink needs Lookup.Choose, which finds the provider for an address; set both, or neither")
	}
	if l.MaxKept < 0 {
		faults.add("Lookup.MaxKept is negative; leave it zero for %d", defaultMaxKept)
	}
	if l.Find == nil && l.AnyAddress {
		faults.add("Lookup.AnyAddress needs Lookup.Find; set both, or neither")
	}
	if err := provider.CheckPublicClient(c.HTTPClient); err != nil && l.Find != nil && !l.AnyAddress {
		faults.add("HTTPClient %v, or set Lookup.AnyAddress and let that transport refuse private addresses (in tests with providers in memory, set it as well)", err)
	}
	l.MaxKept = cmp.Or(l.MaxKept, defaultMaxKept)
}
