package core

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/vault"
)

// Login starts a login. It seals a new attempt into a cookie, and redirects the browser
// to the provider with the S256 challenge of the attempt's verifier. After the login, the
// user returns to the query parameter return_to if that is a path of this application,
// and to [PageConfig.Home] otherwise. Login does not check whether the user is already
// logged in. Use [Authenticator.LoginWith] to set the options in code.
//
// With several providers, the query parameter provider names one. Without it, Login
// redirects to [PageConfig.SignInPath], or serves a page where the user chooses a
// provider. With [LookupConfig.Choose], the page asks for an e-mail address or an
// organization: see there. The parameter login_hint is passed on to the provider.
//
// A third party, such as the provider's portal, may start a login by GET or POST (OpenID
// Connect Core section 4). iss must be the Issuer of one of [Config.Providers], or, with
// the parameter provider, that of the provider with this name. login_hint is passed on. The
// user returns to target_link_uri if that is on the origin of the request.
//
// Only a navigation starts a login. Prefetches, frames and fetch requests get an [*Error]
// with status 403, because they would leave attempts that are never completed. htmx and
// Turbo load the login in full. If the provider is down and its metadata was never
// fetched, or the login is pushed ([RequestConfig.PAR]), the error wraps [ErrUnavailable].
func (a *Authenticator) Login(w http.ResponseWriter, r *http.Request) error {
	t := &turn{w: w, r: r, byRoute: true, begun: a.now()}
	return a.conclude(t, a.login(t))
}

func (a *Authenticator) login(t *turn) error {
	if err := a.checkHost(t); err != nil {
		return err
	}
	if t.r.Method == http.MethodPost {
		return a.comeByGET(t)
	}
	if err := a.misplaced(t.r); err != nil {
		return err
	}
	query := t.r.URL.Query()
	if query.Has("iss") {
		return a.loginByThirdParty(t, query)
	}
	options, err := a.optionsIn(t, query)
	if err != nil {
		return err
	}
	t.typed, _ = readTyped(query[customerParam])
	return a.loginWith(t, options)
}

// optionsIn returns the options of the login that a link of ours, or a form, asks for.
func (a *Authenticator) optionsIn(t *turn, query url.Values) (LoginOptions, error) {
	options := LoginOptions{Provider: query.Get("provider"), ReturnTo: query.Get("return_to"), AuthParams: hintIn(query)}
	if !options.open(a.attempts.on(t.r), query.Get("with"), a.attempts.browserKey(t.r), a.now()) {
		return options, errPayloadLost("the link was made for another browser, or more than 10 minutes ago")
	}
	return options, nil
}

// sole returns the only provider's registration, or nil if there are several, or none.
func (a *Authenticator) sole() *registration {
	if len(a.registrations) == 1 && a.lookup == nil {
		return a.registrations[0]
	}
	return nil
}

// begin redirects the browser to the provider with a new attempt. Without a provider, it
// redirects to the page where the user chooses one. The attempt is saved last, so that a
// login that does not begin leaves none.
func (a *Authenticator) begin(t *turn, options LoginOptions, restart bool) error {
	switch {
	case !a.hasProviders():
		t.again = nil // another login would fail as well
		return fail(codeNoProvider, nil)
	case t.at == nil:
		redirect(t.w, a.loginURLFor(t, options))
		return nil
	}
	if err := a.checkHost(t); err != nil {
		return err
	}
	attempt := newAttempt(t.at.id, a.returnTo(options.ReturnTo), restart, a.now())
	attempt.key, attempt.name = t.at.key, t.at.lookupName()
	a.hosts.bind(attempt, t.origin, t.at)
	more, err := options.bind(&t.at.config, attempt)
	if err != nil {
		t.again = nil // another login would fail as well
		return err
	}
	to, err := t.at.authorizationURL(t.r.Context(), attempt, more)
	if err != nil {
		again := options // a copy, so that the common case does not allocate
		t.again = &again
		return err
	}
	a.attempts.save(t.w, t.r, attempt)
	redirect(t.w, to)
	return nil
}

// returnTo returns s, percent-encoded, if it is a page of this application, and Home
// otherwise. No other function decides where this application redirects a browser.
func (a *Authenticator) returnTo(s string) string {
	if page, ok := a.pageHere(s); ok {
		return page
	}
	return a.config.Pages.Home
}

// pageHere returns s, percent-encoded, if it is a page of this application: a path under
// BasePath, and neither one of the login's own routes, which would redirect in a circle,
// nor the sign-in page. Without BasePath, which a proxy may remove, it must not begin with
// two slashes either.
func (a *Authenticator) pageHere(s string) (string, bool) {
	s, ok := safeReturnTo(s)
	if s == a.config.Pages.Home {
		return s, true // even if it is the sign-in page
	}
	if !ok || !under(s, a.config.BasePath) {
		return s, false
	}
	path := pathOf(s) // begins with BasePath, like s
	stripped := strings.TrimPrefix(path, a.config.BasePath)
	return s, !strings.HasPrefix(stripped, "//") && !a.isRoute(path) && !a.isSignIn(path)
}

// signInPath returns the path where an anonymous user begins a login.
func (a *Authenticator) signInPath() string {
	return cmp.Or(a.config.Pages.SignInPath, a.config.Pages.LoginPath)
}

// isSignIn reports whether a decoded path leads to the application's own sign-in page. A
// router may add or remove a final slash.
func (a *Authenticator) isSignIn(path string) bool {
	own := a.config.Pages.SignInPath
	return own != "" && strings.TrimSuffix(path, "/") == strings.TrimSuffix(pathOf(own), "/")
}

// choose lets the user choose a provider: on the application's own page, or on ours. Ours
// is for a login with options, which that page does not pass on, and for a page that has
// just led here without a choice: the browser would go in circles.
func (a *Authenticator) choose(t *turn, options LoginOptions) error {
	if a.config.Pages.SignInPath != "" && options.plain() && t.typed == "" && !vault.Has(t.r, a.attempts.chosen) {
		a.attempts.cookies.Set(t.w, a.attempts.chosen, "1", choosePause)
		redirect(t.w, a.loginURLWith(t.r, nil, options))
		return nil
	}
	if len(a.registrations) == 0 && a.config.Lookup.Choose == nil {
		return errNothingToChoose()
	}
	a.serveChooser(t, options, "")
	return nil
}

// choosePause is the time in which the application's sign-in page gets a user only once
// from the login path.
const choosePause = 5 * time.Second

// maxLoginHint is the maximum length of a login_hint from a browser, in bytes.
const maxLoginHint = 256

// loginByThirdParty starts a login for a third party, such as the provider's portal
// (OpenID Connect Core section 4). Any link can start a login, so this adds no risk: the
// provider and the user of this browser decide who logs in.
func (a *Authenticator) loginByThirdParty(t *turn, query url.Values) error {
	noStore(t.w)
	issuer, _ := only(query["iss"])
	among := a.registrations
	if name, ok := only(query["provider"]); ok && a.lookup != nil {
		at, err := a.named(t.r.Context(), name)
		if err != nil {
			t.again, t.name = new(LoginOptions), name
			return err
		}
		if among = nil; at != nil {
			among = registrations{at}
		}
	}
	at := among.issuedBy(issuer)
	switch {
	case !a.hasProviders():
		return fail(codeNoProvider, nil)
	case at == nil:
		t.again = new(LoginOptions)
		return errUnknownProvider("iss", issuer)
	}
	return a.loginWith(t, LoginOptions{Provider: at.config.Name, ReturnTo: a.targetLink(t.origin, query["target_link_uri"]), AuthParams: hintIn(query)})
}

// comeByGET redirects a POST of the login path to a GET, because section 4 allows both
// methods. Browsers send no Lax cookies with another site's POST, so the number of
// waiting attempts could not be limited. They send them with the GET. Only a POST that
// says what a user typed is answered itself, because that must not be in a URL.
func (a *Authenticator) comeByGET(t *turn) error {
	r := t.r
	const most = 16 << 10 // bytes
	if r.Body != nil {
		r.Body = http.MaxBytesReader(t.w, r.Body, most)
	}
	if err := r.ParseForm(); err != nil {
		t.again = new(LoginOptions)
		return fail(codeMalformed, err)
	}
	if a.config.Lookup.Choose != nil && r.PostForm.Has(customerParam) && !r.Form.Has("provider") && !r.Form.Has("iss") {
		return a.loginByCustomer(t)
	}
	query := make(url.Values)
	for _, name := range []string{"provider", "with", "iss", "login_hint"} {
		if values, ok := r.Form[name]; ok {
			query[name] = values
		}
	}
	if to := a.returnTo(r.Form.Get("return_to")); to != a.config.Pages.Home {
		query.Set("return_to", to)
	}
	if to := a.targetLink(t.origin, r.Form["target_link_uri"]); to != a.config.Pages.Home {
		query.Set("target_link_uri", t.origin+to)
	}
	redirect(t.w, strings.TrimSuffix(provider.WithQuery(a.config.Pages.LoginPath, query), "?"))
	return nil
}

// targetLink returns the path of a target_link_uri on origin, and Home for any other.
func (a *Authenticator) targetLink(origin string, values []string) string {
	uri, _ := only(values)
	if len(uri) < len(origin) || !strings.EqualFold(uri[:len(origin)], origin) {
		return a.config.Pages.Home
	}
	return a.returnTo(uri[len(origin):]) // returnTo requires a leading slash: otherwise the host continues
}

// hintIn returns the parameter login_hint of a request, or nil if it is missing or
// invalid.
func hintIn(query url.Values) url.Values {
	if hint, ok := only(query["login_hint"]); ok && validLoginHint(hint) {
		return url.Values{"login_hint": {hint}}
	}
	return nil
}

func validLoginHint(hint string) bool {
	return len(hint) <= maxLoginHint && utf8.ValidString(hint) &&
		!strings.ContainsFunc(hint, func(c rune) bool { return !unicode.IsPrint(c) })
}
