package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/vault"
)

// Authenticator logs people in. Make one with [New], share it: it is safe for
// concurrent use and needs no closing. What it knows is the provider's metadata
// and keys, and nothing of any user, but for the outcomes of logins, for a minute, and
// the sealed outcomes of refreshes, for five, if it keeps tokens without
// [TokenConfig.Refreshes]. The oldest make room for others. While it fetches something or
// refreshes tokens, a goroutine of its own does so, which ends by itself: within the
// time-out of HTTPClient, and for a refresh within a minute, if Store and
// Client.SecretFunc heed their context.
type Authenticator struct {
	config        Config
	registrations registrations
	attempts      *attempts
	landings      *landings
	flights       flights
	sessions      *sessionKeeper
	tokens        *tokenKeeper
	refresher     *refresher
	hints         *logoutHints
	crossOrigin   *http.CrossOriginProtection
	origin        string // of RedirectURL
	routes        []Route
	now           func() time.Time
}

// HandlerFunc serves a request or returns an error, never both: with an error,
// neither status nor body has been written, though cookies may have been set.
// The error is an [*Error] and has been logged. Give it to
// [Authenticator.ServeError], or answer in your own way.
type HandlerFunc func(http.ResponseWriter, *http.Request) error

// Route is a place where an Authenticator wants to be called.
type Route struct {
	Method string
	Path   string
	Handle HandlerFunc
}

// New returns an Authenticator, or an error that names everything that is wrong
// with config. It does not use the network: an application starts, and serves
// whoever is logged in, while its provider is down. To fail early instead, call
// [Authenticator.Discover].
func New(config Config) (*Authenticator, error) {
	return newAt(config, time.Now)
}

func newAt(config Config, now func() time.Time) (*Authenticator, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	redirect, err := url.Parse(config.RedirectURL)
	if err != nil {
		return nil, err
	}
	a := &Authenticator{
		config:        config,
		registrations: register(config, redirect.Path, now),
		origin:        redirect.Scheme + "://" + strings.TrimSuffix(strings.ToLower(redirect.Host), usualPorts[redirect.Scheme]),
		crossOrigin:   http.NewCrossOriginProtection(),
		flights:       flights{now: now},
		now:           now,
	}
	// A proxy may rewrite Host, which is what Origin is compared with otherwise.
	if err := a.crossOrigin.AddTrustedOrigin(a.origin); err != nil {
		return nil, err
	}
	if err := a.openCookies(redirect.Scheme == "https"); err != nil {
		return nil, err
	}
	a.refresher = &refresher{shared: config.Tokens.Refreshes, sessions: a.sessions, tokens: a.tokens, hints: a.hints, log: a.log, now: now}
	if a.refresher.shared == nil {
		a.refresher.shared = &memoryRefreshes{now: now}
	}
	a.routes = a.listRoutes()
	return a, nil
}

// Format prints no more than what a is, whatever the verb: it holds secrets.
func (a *Authenticator) Format(f fmt.State, _ rune) { fmt.Fprint(f, "pixy.Authenticator") }

// openCookies sets up what is kept in browsers. Secure cookies carry a prefix
// that makes browsers refuse them from anybody but this very host (RFC 6265bis
// section 4.1.3); on http, for development, that cannot be had.
func (a *Authenticator) openCookies(secure bool) error {
	host, path := "", ""
	if secure {
		host, path = "__Host-", "__Secure-" // __Host- demands Path=/
	}
	name := a.config.Sessions.CookieName
	keys := keyring{
		redirectURL: a.config.RedirectURL, cookieName: name, vault: "cookies",
		sessionKeys: append([][]byte{a.config.SessionKey}, a.config.Sessions.OldKeys...),
	}
	if a.config.Sessions.Store != nil {
		keys.vault = "store"
	}
	attemptSealer, err1 := keys.sealer(purposeAttempt)
	sessionSealer, err2 := newSessionSealer(keys)
	hintSealer, err3 := keys.sealer(purposeLogoutHint)
	tokenSealer, err4 := keys.vaultSealer(purposeTokens)
	landingSealer, err5 := keys.sealer(purposeLanding)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return err
	}
	everywhere := vault.Kind{Path: "/", Secure: secure}
	vaultOf := func(name string) vault.Vault {
		if a.config.Sessions.Store != nil {
			return vault.InStore(a.config.Sessions.Store, name, secure)
		}
		return vault.InCookies(name, everywhere)
	}
	a.attempts = &attempts{sealer: attemptSealer, prefix: host + name + "-login-", long: host + name + "-return", cookies: everywhere}
	a.landings = newLandings(landingSealer, host+name+"-landed-", everywhere, &a.config, a.now)
	a.sessions = &sessionKeeper{
		cookie: host + name + "-session",
		vault:  vaultOf(host + name + "-session"), sealer: sessionSealer, registrations: a.registrations, revocations: a.config.Logout.Revocations,
		lifetime: a.config.Sessions.Lifetime, idle: a.config.Sessions.Idle, now: a.now,
	}
	a.tokens = &tokenKeeper{vault: vaultOf(host + name + "-tokens"), sealer: tokenSealer, kept: a.config.Tokens.Keep}
	a.hints = &logoutHints{
		sealer: hintSealer, name: path + name + "-logout", last: host + name + "-last", registrations: a.registrations,
		cookies: vault.Kind{Path: a.config.Logout.Path, Secure: secure}, everywhere: everywhere,
		lifetime: a.config.Sessions.Lifetime + hintOutlives, log: a.log, logger: a.config.Logger,
	}
	if a.config.Sessions.Store != nil {
		a.hints.store = vaultOf(host + name + "-hint")
	}
	return nil
}

// Discover fetches the providers' metadata now instead of at the first login,
// and reports what is wrong with it. It is for applications that would rather
// not start than start without a provider. While the metadata is fresh it costs
// nothing, and while there is an older copy that logins can go on with, it is no
// error that there is no newer one. The error has an [*Error] for each provider
// that cannot be used, which wraps [ErrUnavailable] or [ErrUntrusted]; it is not
// logged.
func (a *Authenticator) Discover(ctx context.Context) error {
	return a.registrations.discover(ctx)
}

// Routes lists what to mount: login, a callback for each provider, and logout.
// The callback of a provider with [RequestConfig.FormPost] is there twice, for GET and
// for POST, and there are places for the provider's own logout if there are
// [LogoutConfig.Revocations]. Paths are exact and have no wildcards. A router adapter
// loops over them.
func (a *Authenticator) Routes() []Route { return slices.Clone(a.routes) }

func (a *Authenticator) listRoutes() []Route {
	routes := []Route{
		{http.MethodGet, a.config.Pages.LoginPath, a.Login},
		{http.MethodPost, a.config.Pages.LoginPath, a.Login}, // by a third party
	}
	for _, at := range a.registrations {
		routes = append(routes, Route{http.MethodGet, at.callbackPath, a.Callback})
		if at.config.Requests.FormPost {
			routes = append(routes, Route{http.MethodPost, at.callbackPath, a.Callback})
		}
	}
	routes = append(routes, Route{http.MethodPost, a.config.Logout.Path, a.Logout})
	if a.config.Logout.Revocations != nil {
		routes = append(routes,
			Route{http.MethodPost, a.config.Logout.BackChannelPath, a.BackChannelLogout},
			Route{http.MethodGet, a.config.Logout.FrontChannelPath, a.FrontChannelLogout})
	}
	return routes
}

// report makes err an *Error of its own with a reference, and logs it: once,
// here, without a secret. A stranger at a guarded door is not a failure, nor is a
// step-up.
func (a *Authenticator) report(w http.ResponseWriter, r *http.Request, err error) error {
	if err == nil {
		return nil
	}
	failure := asError(err)
	if errors.Is(err, ErrUnavailable) {
		w.Header().Set("Retry-After", "10") // seconds
	}
	if failure.Reference != "" {
		return err // reported already
	}
	if failure.Code != codeNoSession && failure.Code != codeStepUp {
		a.log(r, failure)
	}
	return failure
}

// log writes the line of a failure, and gives it a reference. Whoever has not waited
// has found no outage: the browser, or a proxy that waits for less.
func (a *Authenticator) log(r *http.Request, failure *Error) {
	failure.Reference = reference()
	var provider Provider // none, if it is not known whose failure it is
	if failure.from != nil {
		provider = failure.from.config
	} else if len(a.registrations) == 1 {
		provider = a.registrations[0].config
	}
	level := slog.LevelWarn
	if failure.expected || errors.Is(failure, ErrUnavailable) && errors.Is(failure, context.Canceled) && errors.Is(r.Context().Err(), context.Canceled) {
		level = slog.LevelInfo
	}
	a.config.Logger.LogAttrs(r.Context(), level, "pixy: request failed",
		slog.String("code", failure.Code),
		slog.String("reference", failure.Reference),
		slog.String("provider", provider.Name),
		slog.String("issuer", provider.Issuer),
		slog.String("error", failure.Error()),
	)
}

// noStore marks an answer as one that nobody may keep, and whose URL nobody may
// pass on: the callback's holds a code.
func noStore(w http.ResponseWriter) {
	values := [...]string{"no-store", "no-referrer"} // one allocation for both
	header := w.Header()
	header["Cache-Control"] = values[:1:1]
	header["Referrer-Policy"] = values[1:]
	if len(header[cdnCacheControl]) > 0 {
		header[cdnCacheControl] = values[:1:1]
	}
}

// redirect answers 303: whatever the method was, a browser goes on with GET.
// There is no body, because the URL may hold a state.
func redirect(w http.ResponseWriter, to string) {
	noStore(w)
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// A turn is one request of a browser on its way through a flow: a login, a callback, a
// challenge. What a failure has to know is in it, and is told once, by conclude.
type turn struct {
	w  http.ResponseWriter
	r  *http.Request
	at *registration // whose login it is, as far as is known

	// again are the options of a login with which the user can try again. Nil: none
	// helps.
	again *LoginOptions
}

// conclude is the edge of a flow: each of its failures gets the provider and the login
// of t, and a reference, and is logged.
func (a *Authenticator) conclude(t *turn, err error) error {
	if err == nil {
		return nil
	}
	if known := new(Error); errors.As(err, &known) {
		failure := *known
		if t.at != nil {
			failure.from = t.at
		}
		if t.again != nil {
			failure.loginURL = a.loginURLWith(t.at, *t.again)
		}
		err = &failure
	}
	return a.report(t.w, t.r, err)
}
