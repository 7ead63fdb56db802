package core

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/vault"
)

// Authenticator logs users in. Create one with [New] and share it. It is safe for
// concurrent use, and does not need to be closed.
//
// It keeps the providers' metadata and keys in memory, of looked-up providers for at most
// [LookupConfig.MaxKept]. It keeps no data of users, with two exceptions: the outcomes of
// logins, for a minute, and, without [TokenConfig.Refreshes], the sealed outcomes of
// refreshes, for five minutes. Both are bounded: the oldest outcomes of the provider with
// most are dropped first.
//
// Fetches from the provider and refreshes run in goroutines, which end by themselves. A
// fetch ends within the timeout of HTTPClient. A refresh ends within a minute, if Store,
// Client.SecretFunc and the save of [Authenticator.GrantSource] respect their contexts. A
// signature ends when the Signer returns; nothing waits for it longer than ten seconds.
// Links are sent in at most 64 goroutines, which end within half a minute if Choose, Find
// and SendLink respect their contexts.
type Authenticator struct {
	config        Config
	registrations registrations // of listed providers
	lookup        *lookup       // of looked-up ones; nil: there are none
	links         chan struct{} // has an item for each call of Lookup.SendLink under way
	skipped       []error       // an *Error for each provider that was left out
	attempts      *attempts
	landings      *landings
	flights       flights
	told          recent // events
	sessions      *sessionKeeper
	tokens        *tokenKeeper
	refresher     *refresher
	hints         *logoutHints
	hosts         *hosts
	routes        []Route // with BasePath, each is there twice
	own           ownRoutes
	now           func() time.Time
}

// HandlerFunc serves a request or returns an error, never both. If it returns an error,
// it has written neither status nor body, but it may have set cookies. The error is an
// [*Error], and has been logged. Pass it to [Authenticator.ServeError], or write another
// response.
type HandlerFunc func(http.ResponseWriter, *http.Request) error

// Route is a method and a path of the login, with the handler to mount there.
type Route struct {
	Method string
	Path   string
	Handle HandlerFunc
}

// New returns an Authenticator for config. The error lists everything that is wrong with
// config. New does not use the network, so an application starts, and serves users with a
// session, while the provider is down. To check the provider at startup, call
// [Authenticator.Discover].
func New(config Config) (*Authenticator, error) {
	return newAt(config, time.Now)
}

func newAt(config Config, now func() time.Time) (*Authenticator, error) {
	return newOn(config, now, nil)
}

// newOn is New with another clock, and with another network for guarded providers. A nil
// dial is that of the machine.
func newOn(config Config, now func() time.Time, dial provider.Dial) (*Authenticator, error) {
	config, skipped, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	redirect, err := url.Parse(config.RedirectURL)
	if err != nil {
		return nil, err
	}
	registrar := newRegistrar(&config, now, dial)
	registrations, err := registrar.register()
	if err != nil {
		return nil, err
	}
	a := &Authenticator{
		config:        config,
		lookup:        newLookup(&config, registrar.lookedUp),
		links:         make(chan struct{}, maxLinks),
		registrations: registrations,
		skipped:       skipped,
		hosts:         newHosts(&config, redirect),
		flights:       flights{now: now},
		now:           now,
	}
	if err := a.openCookies(redirect.Scheme == "https"); err != nil {
		return nil, err
	}
	a.refresher = &refresher{
		shared: config.Tokens.Refreshes, sessions: a.sessions, tokens: a.tokens, hints: a.hints,
		bound: a.bound, lookup: a.lookup, log: a.logIn, tell: a.tell, now: now,
	}
	if a.refresher.shared == nil {
		a.refresher.shared = &memoryRefreshes{now: now}
	}
	keys, err := a.serveKeys()
	if err != nil {
		return nil, err
	}
	a.setRoutes(a.listRoutes(keys))
	config.warnOfPlainHTTP()
	return a, nil
}

// Format prints only the name of the type, whatever the verb, because a holds secrets.
func (a *Authenticator) Format(f fmt.State, _ rune) { fmt.Fprint(f, "pixy.Authenticator") }

// openCookies sets up the cookies and seals. Secure cookies have a prefix that makes
// browsers refuse them from other hosts (RFC 6265bis section 4.1.3). Cookies for http,
// which is for development, cannot have the prefix.
func (a *Authenticator) openCookies(secure bool) error {
	host, path := "", ""
	if secure {
		host, path = "__Host-", "__Secure-" // __Host- demands Path=/
	}
	name := a.config.Sessions.CookieName
	keys := a.config.keyring()
	attemptSealer, err1 := keys.sealer(purposeAttempt)
	sessionSealer, err2 := newSessionSealer(keys)
	hintSealer, err3 := keys.sealer(purposeLogoutHint)
	tokenSealer, err4 := keys.vaultSealer(purposeTokens)
	landingSealer, err5 := keys.sealer(purposeLanding)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	everywhere := vault.Kind{Path: "/", Secure: secure}
	shared, ofSession := host, everywhere // of sessions, and of what belongs to them
	if domain := a.config.Hosts.SharedDomain; domain != "" {
		shared, ofSession.Domain = path, domain // __Host- demands no Domain
	}
	vaultOf := func(name string) vault.Vault {
		if a.config.Sessions.Store != nil {
			return vault.InStore(a.config.Sessions.Store, name, ofSession)
		}
		return vault.InCookies(name, ofSession)
	}
	a.attempts = &attempts{on: a.hosts.seal(attemptSealer), prefix: host + name + "-login-", long: host + name + "-return", browser: host + name + "-browser", chosen: host + name + "-choose", cookies: everywhere}
	a.landings = newLandings(a.hosts.seal(landingSealer), host+name+"-landed-", everywhere, &a.config, a.now)
	revocations := a.config.Logout.Revocations
	if a.config.Sessions.Own != nil && revocations == nil {
		revocations = new(MemoryRevocations) // for the ids of logout tokens
	}
	a.sessions = &sessionKeeper{
		own:    a.config.Sessions.Own != nil,
		cookie: shared + name + "-session", hosts: a.hosts,
		vault: vaultOf(shared + name + "-session"), sealer: sessionSealer, registrations: a.registrations, lookedUp: a.lookup != nil,
		revocations: revocations, application: a.config.RedirectURL,
		lifetime: a.config.Sessions.Lifetime, idle: a.config.Sessions.Idle, now: a.now,
	}
	a.tokens = &tokenKeeper{vault: vaultOf(shared + name + "-tokens"), on: a.hosts.sealSessions(tokenSealer), sealer: tokenSealer, kept: a.config.Tokens.Keep}
	a.hints = &logoutHints{
		on: a.hosts.sealSessions(hintSealer), name: path + name + "-logout", last: shared + name + "-last", registrations: a.registrations,
		lookedUp: a.lookup != nil, named: a.named, bound: a.bound,
		own: a.config.Sessions.Own != nil, inStore: shared + name + "-hint", leaving: host + name + "-leaving",
		cookies: vault.Kind{Path: a.config.Logout.Path, Domain: ofSession.Domain, Secure: secure}, ofSession: ofSession, everywhere: everywhere,
		lifetime: a.config.Sessions.Lifetime + hintOutlives, now: a.now, log: a.log, logger: a.config.Logger,
	}
	if a.config.Sessions.Store != nil {
		a.hints.store = vaultOf(a.hints.inStore)
	}
	return nil
}

// Discover fetches the metadata of providers, which otherwise happens at the first login.
// Use it in applications that must not start without their providers, and to try a provider
// that an administrator has added. Without names, it is for all of [Config.Providers]. With
// names, it is for these only, and asks [LookupConfig.Find] for those that are not listed.
// While the metadata is fresh, it does not use the network. If the metadata cannot be
// fetched, but an older copy is still usable, Discover returns no error.
//
// The error contains an [*Error] for each provider that cannot be used. It wraps
// [ErrUnavailable] or [ErrUntrusted], or its code is provider_invalid or, for an unknown
// name, provider_unknown. If [Config.SkipFaultyProviders] left the provider out, its code
// is provider_missing. Discover does not log it.
func (a *Authenticator) Discover(ctx context.Context, names ...string) error {
	if len(names) == 0 {
		return errors.Join(slices.Concat(a.skipped, a.registrations.discover(ctx))...)
	}
	var failures []error
	for _, name := range names {
		at, err := a.named(ctx, name)
		if err == nil && at == nil {
			err = errUnknownProvider("Discover", name)
		}
		if err == nil {
			err = at.discover(ctx)
		}
		if err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

// Routes returns the routes to mount: the login, the callback of each provider, and the
// logout. The logout, and the callback of a provider with [RequestConfig.FormPost], have
// two routes, for GET and POST. With [LogoutConfig.Revocations] or
// [OwnSessions.EndByProvider], there are also routes for the provider's logout requests,
// and with [Config.KeysPath] for the keys. With [LookupConfig.Find], every callback has
// two. Each adapter mounts these routes.
//
// Paths are exact, without wildcards, with one exception. With [LookupConfig.Find], there
// are also routes for all looked-up providers, which end in the segment {provider}. It
// matches any one segment, which is the provider's name. Spell it as your router does.
// Exact paths precede it.
//
// With [Config.BasePath], each route is there twice. The first half has no BasePath, for
// a proxy that removes it. The second half has it.
func (a *Authenticator) Routes() []Route { return slices.Clone(a.routes) }

func (a *Authenticator) listRoutes(keys HandlerFunc) (routes []Route) {
	add := func(path string, handle HandlerFunc, methods ...string) {
		for _, method := range methods {
			routes = append(routes, Route{method, path, handle})
		}
	}
	addEach := func(path string, handle HandlerFunc, methods ...string) {
		add(path, handle, methods...)
		if a.lookup != nil {
			add(path+"/"+anyProvider, handle, methods...)
		}
	}
	add(a.config.Pages.LoginPath, a.Login, http.MethodGet, http.MethodPost) // POST is for our form, and for third parties
	own := urlPath(a.config.RedirectURL)
	for _, at := range a.registrations {
		if at.callbackPath == own && a.lookup != nil {
			continue
		}
		add(at.callbackPath, a.Callback, http.MethodGet)
		if at.config.Requests.FormPost || a.lookup != nil { // a looked-up provider may share it
			add(at.callbackPath, a.Callback, http.MethodPost)
		}
	}
	if a.lookup != nil {
		addEach(own, a.Callback, http.MethodGet, http.MethodPost)
	}
	if a.config.hasLogout() {
		add(a.config.Logout.Path, a.Logout, http.MethodGet, http.MethodPost)
	}
	if a.config.endsByProvider() {
		addEach(a.config.Logout.BackChannelPath, a.BackChannelLogout, http.MethodPost)
		addEach(a.config.Logout.FrontChannelPath, a.FrontChannelLogout, http.MethodGet)
	}
	if path := a.config.KeysPath; path != "" {
		addEach(path, keys, http.MethodGet, http.MethodHead)
	}
	return routes
}
