package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/told"
	"github.com/pixyauth/pixy/core/internal/vault"
)

// LoginOptions are the options of one login, for [Authenticator.LoginWith]. The zero
// value does what a GET of the login path does.
type LoginOptions struct {
	// Provider is the Name of a provider. If empty, it is the only provider, or the user
	// chooses one.
	Provider string

	// ReturnTo is the page where the login ends: a path of this application, optionally
	// with a query and a fragment. It is written as browsers see it, with
	// [Config.BasePath]. Spaces and non-ASCII characters are percent-encoded. The limit is
	// 2 KB, after encoding. If it is empty, too long or not such a path, the login ends at
	// [PageConfig.Home].
	ReturnTo string

	// AuthParams are additional parameters of the authorization request, such as
	// login_hint, prompt, ui_locales, acr_values, max_age and resource. They override
	// [RequestConfig.AuthParams], and the same rules apply. They do not apply to a login
	// that the user starts again after one that failed.
	AuthParams url.Values

	// AuthorizationDetails replaces [RequestConfig.AuthorizationDetails]. The same rules
	// apply. Empty: that of the configuration.
	AuthorizationDetails string

	// Require is the requirement that the login must meet. If it does not, the login
	// fails, and the user's session does not change. Require overrides AuthParams, except
	// for a smaller max_age. The zero value requires nothing.
	Require Requirement

	// Payload is data of the application's own for this login, such as the account that it
	// is to link: at most 1 KB. OnLogin gets it as [Login.Payload]. It is sealed, and
	// belongs to this login in this browser: other logins, also in other tabs, do not have
	// it. If the user tries again after a failure, that login has it. If the payload is
	// lost, or a link with it comes from another browser, the error is
	// [ErrUnknownAttempt]. The login never becomes one without its payload. A logout ends
	// such links.
	//
	// It says what this browser began, and not who uses it now. So compare it with
	// [UserFromContext] in OnLogin, and put LoadUser in front of the callback. A ReturnTo
	// of more than 1 KB may not fit beside it, and the login then ends at Home. More than
	// 1 KB is data_too_large. Empty: none.
	Payload string

	guarded, excused bool   // as in attempt
	browser          string // key of the browser that a link with a payload is for
}

// prompt returns the login's parameter prompt at a provider.
func (o LoginOptions) prompt(p *Provider) string {
	if o.AuthParams.Has("prompt") {
		return o.AuthParams.Get("prompt")
	}
	return p.Requests.AuthParams.Get("prompt")
}

// LoginWith is like [Authenticator.Login], but takes its options from the application and
// ignores the request's query. For example, a route of the application can ask the user
// to log in again:
//
//	auth.LoginWith(w, r, core.LoginOptions{
//		ReturnTo:   "/settings",
//		AuthParams: url.Values{"prompt": {"login"}, "login_hint": {email}},
//	})
//
// It does not protect the page at ReturnTo, which users can open without this login.
// Guard that page with [Authenticator.AuthenticateFor].
//
// If an option is invalid, LoginWith returns an [*Error] with status 500 that names the
// option. For a Payload, its code is data_too_large. If the provider cannot fulfil an
// option, the error wraps [ErrRefused]. No login is started in either case.
func (a *Authenticator) LoginWith(w http.ResponseWriter, r *http.Request, options LoginOptions) error {
	t := &turn{w: w, r: r, begun: a.now()}
	return a.conclude(t, a.loginWith(t, options))
}

func (a *Authenticator) loginWith(t *turn, options LoginOptions) error {
	noStore(t.w)
	if err := options.check(); err != nil {
		return err
	}
	if len(a.registrations) == 0 {
		return fail(codeNoProvider, nil)
	}
	if !mayNavigate(t.r) {
		if a.loadInFull(t.w, t.r) {
			return nil
		}
		again := options // a copy, so that the common case does not allocate
		t.again = &again
		return fail(codeNoNavigation, nil)
	}
	t.at = a.sole()
	if options.Provider != "" {
		if t.at = a.registrations.named(options.Provider); t.at == nil {
			t.again = &LoginOptions{ReturnTo: options.ReturnTo, Payload: options.Payload}
			return errUnknownProvider("provider", options.Provider)
		}
	}
	if t.at == nil {
		a.choose(t, options)
		return nil
	}
	return a.begin(t, options, false)
}

// errUnknownProvider is a login at a provider that is not configured. The value comes
// from outside, so it is logged quoted and shortened.
func errUnknownProvider(param, value string) *Error {
	return fail(codeUnknownName, fmt.Errorf("the login asks for %s %q, which is not a usable provider of Config.Providers", param, told.Clip(value)))
}

// plain reports whether a link to the login needs no sealed parameter.
func (o LoginOptions) plain() bool {
	return o.Payload == "" && len(o.AuthParams) == 0 && !o.Require.bindsLogin()
}

// check returns an error for invalid options.
func (o LoginOptions) check() error {
	if len(o.Payload) > maxData {
		return errDataTooLarge("LoginOptions.Payload", len(o.Payload))
	}
	if len(o.AuthParams) > 0 {
		if faults := paramFaults(o.AuthParams); len(faults) > 0 {
			return errors.New("LoginOptions.AuthParams " + strings.Join(faults, "; LoginOptions.AuthParams "))
		}
	}
	if o.Require.Allow != nil {
		return errors.New("LoginOptions.Require.Allow is set; a login does not check it, so give it to the guard of the page, and reject users in OnLogin")
	}
	return o.Require.check()
}

// bind returns the parameters of a login at a provider, and stores in attempt what the
// response must confirm.
func (o LoginOptions) bind(p *Provider, attempt *attempt) (url.Values, error) {
	attempt.guarded, attempt.excused, attempt.silent = o.guarded, o.excused, o.prompt(p) == "none"
	if attempt.payload = o.Payload; attempt.payload != "" {
		attempt.state += payloadMark
	}
	attempt.maxAge = p.Requests.AuthParams.Get("max_age")
	if o.AuthParams.Has("max_age") {
		attempt.maxAge = o.AuthParams.Get("max_age")
	}
	params := o.AuthParams
	if o.Require.bindsLogin() {
		params = cloneValues(params)
		attempt.required = true
		if attempt.maxAge = lesserAge(attempt.maxAge, o.Require.maxAge()); attempt.maxAge != "" {
			params.Set("max_age", attempt.maxAge)
		}
		if attempt.acr = o.Require.acrValues(); attempt.acr != "" {
			params.Set("acr_values", attempt.acr)
		}
	}
	if p.FetchUser != nil && (attempt.required || attempt.maxAge != "") {
		return nil, errNoStepUp()
	}
	return params, nil
}

// options returns the options of a login that replaces a's.
func (a *attempt) options() LoginOptions {
	o := LoginOptions{ReturnTo: a.returnTo, Payload: a.payload, guarded: a.guarded, excused: a.excused}
	if a.required {
		o.Require.ACR = strings.Fields(a.acr)
		if seconds, err := strconv.ParseUint(a.maxAge, 10, 31); err == nil {
			o.Require.MaxAge = time.Duration(seconds) * time.Second
			o.AuthParams = promptLogin()
		}
	}
	return o
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
)

// seal returns the parameter with. It is empty if the options are the defaults.
func (o LoginOptions) seal(sealer *seal.Sealer, now time.Time) string {
	if o.Payload != "" {
		return payloadWith + sealer.Seal(withSeal+" "+o.browser, o.encode(now))
	}
	if o.plain() {
		return ""
	}
	return sealer.Seal(withSeal, o.encode(now))
}

// open takes AuthParams, Require and Payload from the parameter with. It ignores a value
// that is not ours, was sealed with a former key, or is too old. It returns false if the
// value has a payload and is one of these, or of another browser.
func (o *LoginOptions) open(sealer *seal.Sealer, with, browser string, now time.Time) bool {
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
	o.AuthParams, o.Require, o.Payload = sealed.AuthParams, sealed.Require, sealed.Payload
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
	return a.loginURLWith(t.at, a.forBrowser(t, options))
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

// encode encodes the time in seconds, and then AuthParams, Require and Payload as four
// length-prefixed strings.
func (o LoginOptions) encode(now time.Time) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	b = seal.AppendString(b, o.AuthParams.Encode())
	b = seal.AppendString(b, strconv.FormatInt(int64(o.Require.MaxAge), 10))
	b = seal.AppendString(b, o.Require.acrValues())
	return seal.AppendString(b, o.Payload)
}

func decodeOptions(record string) (o LoginOptions, at time.Time, ok bool) {
	if len(record) < 8 {
		return o, at, false
	}
	at = time.Unix(int64(seal.Uint64At(record, 0)), 0)
	var params, age, acr string
	rest := record[8:]
	for _, s := range []*string{&params, &age, &acr, &o.Payload} {
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
