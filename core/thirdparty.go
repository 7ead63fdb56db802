package core

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pixyauth/pixy/core/internal/provider"
)

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
