package core

import (
	"encoding/binary"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/vault"
)

// loginURL returns the URL of a login that ends at returnTo. If at is nil, the user
// chooses the provider: on the application's own page, if there is one.
func (a *Authenticator) loginURL(r *http.Request, at *registration, returnTo string) string {
	return a.loginURLWith(r, at, LoginOptions{ReturnTo: returnTo})
}

// loginURLWith is like loginURL, with all options except Provider. The parameter at
// replaces Provider. The URL is for the host of r.
func (a *Authenticator) loginURLWith(r *http.Request, at *registration, options LoginOptions) string {
	if at == nil {
		return a.loginURLAt(r, "", options)
	}
	return a.loginURLAt(r, at.config.Name, options)
}

// loginURLAt is like loginURLWith, with the name of the provider. It is empty if the user
// chooses.
func (a *Authenticator) loginURLAt(r *http.Request, name string, options LoginOptions) string {
	path, query := a.config.Pages.LoginPath, a.loginQuery(r, name, options)
	if name == "" && options.plain() {
		path = a.signInPath()
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

// loginQuery returns the parameters of loginURLAt.
func (a *Authenticator) loginQuery(r *http.Request, name string, options LoginOptions) url.Values {
	query := make(url.Values, 3)
	if name != "" && a.sole() == nil {
		query.Set("provider", name)
	}
	if returnTo := a.returnTo(options.ReturnTo); returnTo != a.config.Pages.Home {
		query.Set("return_to", returnTo)
	}
	if with := options.seal(a.attempts.on(r), a.now()); with != "" {
		query.Set("with", with)
	}
	return query
}

// plain reports whether a link to the login needs no sealed parameter.
func (o LoginOptions) plain() bool {
	return o.Payload == "" && o.AuthorizationDetails == "" && len(o.AuthParams) == 0 && !o.Require.bindsLogin()
}

// withSeal is the name under which options are sealed in the login's parameter with, in
// the chooser's links and in login_url. Only this application can create a valid value.
//
// A value is valid for attemptLifetime. An older link starts an ordinary login. The
// page's guard then asks for another login if the session does not meet its requirement.
//
// A value with a payload is for one browser only: the browser's key is part of the name.
// Otherwise an attacker could send a user a link with the attacker's payload, and the
// user's login would be linked to the attacker's account. Such a value begins with
// payloadWith, so that one that does not open is refused, and starts no ordinary login.
const (
	withSeal    = "with"
	payloadWith = "p."

	// maxLinkDetails is the limit for authorization details in a link, in bytes. A link has
	// no longer ones.
	maxLinkDetails = 2 << 10
)

// seal returns the parameter with. It is empty if the options are the defaults.
func (o LoginOptions) seal(sealer seal.HostSealer, now time.Time) string {
	if o.Payload != "" {
		return payloadWith + sealer.Seal(withSeal+" "+o.browser, o.encode(now))
	}
	if o.plain() {
		return ""
	}
	return sealer.Seal(withSeal, o.encode(now))
}

// open takes AuthParams, AuthorizationDetails, Require and Payload from the parameter with. It ignores a value
// that is not ours, was sealed with a former key, or is too old. It returns false if the
// value has a payload and is one of these, or of another browser.
func (o *LoginOptions) open(sealer seal.HostSealer, with, browser string, now time.Time) bool {
	name := withSeal
	with, withPayload := strings.CutPrefix(with, payloadWith)
	if withPayload {
		name += " " + browser
	}
	record, ok := sealer.Open(name, with)
	if !ok {
		return !withPayload
	}
	sealed, at, ok := decodeOptions(record)
	if !ok || now.Sub(at).Abs() > attemptLifetime || withPayload && browser == "" { // clocks of replicas may differ
		return !withPayload
	}
	o.AuthParams, o.AuthorizationDetails, o.Require, o.Payload = sealed.AuthParams, sealed.AuthorizationDetails, sealed.Require, sealed.Payload
	return true
}

// forBrowser returns options whose links work only in the browser of t, if they have a
// payload.
func (a *Authenticator) forBrowser(t *turn, options LoginOptions) LoginOptions {
	if options.Payload != "" {
		options.browser = a.attempts.keepBrowserKey(t.w, t.r)
	}
	return options
}

// loginURLFor is like loginURLWith, for the browser of t.
func (a *Authenticator) loginURLFor(t *turn, options LoginOptions) string {
	name := t.name
	if t.at != nil {
		name = t.at.config.Name
	}
	return a.loginURLAt(t.r, name, a.forBrowser(t, options))
}

// browserKey returns the browser's key, or "". It is random, and in a cookie of its own.
func (s *attempts) browserKey(r *http.Request) string {
	if key, ok := vault.Value(r, s.browser); ok && isRandomText(key) {
		return key
	}
	return ""
}

// keepBrowserKey returns the browser's key, and keeps it for as long as a link is valid.
func (s *attempts) keepBrowserKey(w http.ResponseWriter, r *http.Request) string {
	key := s.browserKey(r)
	if key == "" {
		key = randomTexts(1)
	}
	s.cookies.Set(w, s.browser, key, attemptLifetime)
	return key
}

// errPayloadLost is a login whose payload is lost. A login without it would do something
// else than the user wants, so the page offers none.
func errPayloadLost(why string) *Error {
	failure := fail(codeUnknownAttempt, errors.New("a login with a payload does not continue without it: "+why))
	failure.Public = "This has ended, or it was started in another browser. Please go back to the page where you started, and try again. If you see this page again, allow cookies for this site."
	return failure
}

// encode encodes the time in seconds, and then AuthParams, Require, Payload and
// AuthorizationDetails as five length-prefixed strings.
func (o LoginOptions) encode(now time.Time) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	b = seal.AppendString(b, o.AuthParams.Encode())
	b = seal.AppendString(b, strconv.FormatInt(int64(o.Require.MaxAge), 10))
	b = seal.AppendString(b, o.Require.acrValues())
	b = seal.AppendString(b, o.Payload)
	if len(o.AuthorizationDetails) > maxLinkDetails {
		return seal.AppendString(b, "")
	}
	return seal.AppendString(b, o.AuthorizationDetails)
}

func decodeOptions(record string) (o LoginOptions, at time.Time, ok bool) {
	if len(record) < 8 {
		return o, at, false
	}
	at = time.Unix(int64(seal.Uint64At(record, 0)), 0)
	var params, age, acr string
	rest := record[8:]
	for _, s := range []*string{&params, &age, &acr, &o.Payload, &o.AuthorizationDetails} {
		if *s, rest, ok = seal.CutString(rest); !ok {
			return o, at, false
		}
	}
	query, err1 := url.ParseQuery(params)
	maxAge, err2 := strconv.ParseInt(age, 10, 64)
	if rest != "" || err1 != nil || err2 != nil {
		return o, at, false
	}
	o.AuthParams = query
	o.Require = Requirement{MaxAge: time.Duration(maxAge), ACR: strings.Fields(acr)}
	return o, at, true
}

// forgetBrowserKey ends the browser's links with a payload.
func (s *attempts) forgetBrowserKey(w http.ResponseWriter, r *http.Request) {
	if vault.Has(r, s.browser) {
		s.cookies.Remove(w, s.browser)
	}
}
