package core

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/told"
)

// Login begins a login: it seals a new attempt into a cookie and sends the
// browser to the provider with the S256 challenge of its verifier. Where the
// person ends afterwards is the query parameter return_to, if it is a path of
// this application, else [PageConfig.Home]. It does not look whether somebody is logged in.
// [Authenticator.LoginWith] does it by what the application's own code says.
//
// With several providers, the query parameter provider names one; without it,
// the answer is a page on which the person chooses.
//
// A third party, such as the provider's own portal, may begin a login (OpenID
// Connect Core section 4), by GET or POST: iss must be the Issuer of a
// configured OpenID provider, login_hint is passed on, and the person ends at
// target_link_uri if that is on RedirectURL's origin.
//
// Only a navigation begins a login. Prefetches, frames and fetch requests get
// an [*Error] with status 403: each would leave an attempt that nobody ends.
// While the provider is down and has never been up, it is [ErrUnavailable].
func (a *Authenticator) Login(w http.ResponseWriter, r *http.Request) error {
	t := &turn{w: w, r: r}
	return a.conclude(t, a.login(t))
}

func (a *Authenticator) login(t *turn) error {
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
	options := LoginOptions{Provider: query.Get("provider"), ReturnTo: query.Get("return_to")}
	options.open(a.attempts.sealer, query.Get("with"), a.now())
	return a.loginWith(t, options)
}

// misplaced reports whether a router serves the login under a prefix. Its paths are
// whole: the callback would end in 404, after the user has logged in.
func (a *Authenticator) misplaced(r *http.Request) error {
	asked := r.URL.Path
	if strings.HasPrefix(r.RequestURI, "/") { // without what a router has taken away
		asked, _, _ = strings.Cut(r.RequestURI, "?")
	}
	if prefix, ok := strings.CutSuffix(asked, a.config.Pages.LoginPath); ok && strings.HasPrefix(prefix, "/") {
		failure := fail(codeInternal, fmt.Errorf(
			"a router serves Pages.LoginPath %s under the prefix %q, so the callback would not be found; mount the routes where their paths are whole, "+
				"and give a RedirectURL with the whole path of the callback", a.config.Pages.LoginPath, told.Clip(prefix)))
		failure.Public, failure.operator = cannotLogIn, true
		return failure
	}
	return nil
}

// sole returns the registration that needs no choice, or nil.
func (a *Authenticator) sole() *registration {
	if len(a.registrations) == 1 {
		return a.registrations[0]
	}
	return nil
}

// begin sends the browser to the provider with a new attempt, or, if it is not
// said which, to where the person chooses one.
func (a *Authenticator) begin(t *turn, options LoginOptions, restart bool) error {
	if t.at == nil {
		redirect(t.w, a.loginURLWith(nil, options))
		return nil
	}
	attempt := newAttempt(t.at.id, a.returnTo(options.ReturnTo), restart, a.now())
	more, err := options.bind(&t.at.config, attempt)
	if err != nil {
		t.again = nil // it would be the same
		return err
	}
	to, err := t.at.authorizationURL(t.r.Context(), attempt, more)
	if err != nil {
		again := options // a copy, so that a login that begins allocates none
		t.again = &again
		return err
	}
	a.attempts.save(t.w, t.r, attempt)
	redirect(t.w, to)
	return nil
}

// returnTo returns s, percent-encoded, if it is a place in this application, and Home
// otherwise. One of the login's own routes is Home, too: that would be a circle.
// Nothing else decides where a browser goes on our side.
func (a *Authenticator) returnTo(s string) string {
	s, ok := safeReturnTo(s)
	if !ok {
		return a.config.Pages.Home
	}
	path := pathOf(s)
	if slices.ContainsFunc(a.routes, func(route Route) bool { return route.Path == path }) {
		return a.config.Pages.Home
	}
	return s
}

// loginURL is where a login that ends at returnTo can be begun: at a certain
// provider, or, if at is nil, at one that the person chooses.
func (a *Authenticator) loginURL(at *registration, returnTo string) string {
	return a.loginURLWith(at, LoginOptions{ReturnTo: returnTo})
}

// loginURLWith is loginURL with all options but Provider, which at stands for.
func (a *Authenticator) loginURLWith(at *registration, options LoginOptions) string {
	query := make(url.Values, 3)
	if at != nil && len(a.registrations) > 1 {
		query.Set("provider", at.config.Name)
	}
	if returnTo := a.returnTo(options.ReturnTo); returnTo != a.config.Pages.Home {
		query.Set("return_to", returnTo)
	}
	if with := options.seal(a.attempts.sealer, a.now()); with != "" {
		query.Set("with", with)
	}
	if len(query) == 0 {
		return a.config.Pages.LoginPath
	}
	return a.config.Pages.LoginPath + "?" + query.Encode()
}

// mayNavigate reports whether r can be a page being opened at the top of a
// window. Browsers say so (Fetch Metadata); what says nothing is given the
// benefit of the doubt.
func mayNavigate(r *http.Request) bool {
	if isPrefetch(r) {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		dest := r.Header.Get("Sec-Fetch-Dest")
		return mode == "navigate" && (dest == "document" || dest == "")
	}
	// Android's WebViews send the name of their application in X-Requested-With.
	return !strings.EqualFold(r.Header.Get("X-Requested-With"), "XMLHttpRequest") && r.Header.Get("HX-Request") == ""
}

func isPrefetch(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		purpose := r.Header.Get(name)
		if purpose == "" {
			continue
		}
		purpose = strings.ToLower(purpose)
		if strings.Contains(purpose, "prefetch") || strings.Contains(purpose, "preview") {
			return true
		}
	}
	return false
}

// maxLoginHint is how long a login_hint of a third party's may be, in bytes.
const maxLoginHint = 256

// loginByThirdParty begins a login because somebody else asks for it, such as the
// provider's own portal (OpenID Connect Core section 4). It does no more than
// begin one, which every link can: who logs in, and whether, is said by the
// provider and by the person, in this browser.
func (a *Authenticator) loginByThirdParty(t *turn, query url.Values) error {
	noStore(t.w)
	issuer, _ := only(query["iss"])
	at := a.registrations.issuedBy(issuer)
	if at == nil {
		t.again = new(LoginOptions)
		return errUnknownProvider("iss", issuer)
	}
	options := LoginOptions{Provider: at.config.Name, ReturnTo: a.targetLink(query["target_link_uri"])}
	if hint, ok := only(query["login_hint"]); ok && validLoginHint(hint) {
		options.AuthParams = url.Values{"login_hint": {hint}}
	}
	return a.loginWith(t, options)
}

// comeByGET has a POST of the login path come again as a GET: section 4 allows
// both. To a POST of another site, browsers add no Lax cookies, so that nobody
// could see to it that not too many logins are in flight; to the GET they do.
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
	query := make(url.Values)
	for _, name := range []string{"provider", "with", "iss", "login_hint"} {
		if values, ok := r.Form[name]; ok {
			query[name] = values
		}
	}
	if to := a.returnTo(r.Form.Get("return_to")); to != a.config.Pages.Home {
		query.Set("return_to", to)
	}
	if to := a.targetLink(r.Form["target_link_uri"]); to != a.config.Pages.Home {
		query.Set("target_link_uri", a.origin+to)
	}
	redirect(t.w, strings.TrimSuffix(provider.WithQuery(a.config.Pages.LoginPath, query), "?"))
	return nil
}

// targetLink is the path of a target_link_uri that is a URL of this
// application, by RedirectURL's origin, and else Home.
func (a *Authenticator) targetLink(values []string) string {
	uri, _ := only(values)
	if len(uri) < len(a.origin) || !strings.EqualFold(uri[:len(a.origin)], a.origin) {
		return a.config.Pages.Home
	}
	return a.returnTo(uri[len(a.origin):]) // which begins with a slash, or the host goes on
}

func validLoginHint(hint string) bool {
	return len(hint) <= maxLoginHint && utf8.ValidString(hint) &&
		!strings.ContainsFunc(hint, func(c rune) bool { return !unicode.IsPrint(c) })
}
