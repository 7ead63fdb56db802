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
)

// LoginOptions say how one login is to be, for [Authenticator.LoginWith]. The
// zero value is what a GET of the login path does.
type LoginOptions struct {
	// Provider is the Name of one. Empty: the only one, or that which the person
	// chooses.
	Provider string

	// ReturnTo is where the user ends: a path of this application, with a query and
	// a fragment if need be. What is not ASCII, and blanks, are percent-encoded. Up
	// to 2 KB are kept, as encoded. Anything else, and empty: [PageConfig.Home].
	ReturnTo string

	// AuthParams are more parameters for the authorization request: login_hint,
	// prompt, ui_locales, acr_values, max_age, resource and so on. They win over
	// those of [RequestConfig.AuthParams], by the same rules. A login that the person
	// begins anew, after one that has failed, is without them.
	AuthParams url.Values

	// Require is what the login has to be, or it fails and leaves the session as
	// it was. It wins over AuthParams, but for a max_age that is less. Zero: nothing.
	Require Requirement

	guarded, excused bool // see attempt
}

// prompt is the parameter prompt of a login at a provider.
func (o LoginOptions) prompt(p *Provider) string {
	if o.AuthParams.Has("prompt") {
		return o.AuthParams.Get("prompt")
	}
	return p.Requests.AuthParams.Get("prompt")
}

// LoginWith is [Authenticator.Login] with what the application has to say about
// this one login, and takes nothing from the request's query. Put behind the
// application's own route, for example, it has a person confirm who they are:
//
//	auth.LoginWith(w, r, core.LoginOptions{
//		ReturnTo:   "/settings",
//		AuthParams: url.Values{"prompt": {"login"}, "login_hint": {email}},
//	})
//
// It is no guard: whoever knows ReturnTo can go there without it. Guard that page
// by [Authenticator.AuthenticateFor].
//
// An option that cannot be is an [*Error] with status 500 that names it, and one
// that the provider cannot fulfil is [ErrRefused]. Nothing is begun then.
func (a *Authenticator) LoginWith(w http.ResponseWriter, r *http.Request, options LoginOptions) error {
	t := &turn{w: w, r: r}
	return a.conclude(t, a.loginWith(t, options))
}

func (a *Authenticator) loginWith(t *turn, options LoginOptions) error {
	noStore(t.w)
	if err := options.check(); err != nil {
		return err
	}
	if !mayNavigate(t.r) {
		again := options // a copy, so that a login that begins allocates none
		t.again = &again
		return fail(codeNoNavigation, nil)
	}
	t.at = a.sole()
	if options.Provider != "" {
		if t.at = a.registrations.named(options.Provider); t.at == nil {
			t.again = &LoginOptions{ReturnTo: options.ReturnTo}
			return errUnknownProvider("provider", options.Provider)
		}
	}
	if t.at == nil {
		a.serveChooser(t.w, options)
		return nil
	}
	return a.begin(t, options, false)
}

// errUnknownProvider is a login at a provider that this application does not have.
// The name comes from outside, and so it goes to the log, quoted and clipped.
func errUnknownProvider(param, value string) *Error {
	return fail(codeUnknownName, fmt.Errorf("the login asks for %s %q, which is none of Config.Providers", param, told.Clip(value)))
}

// check finds mistakes of the application's.
func (o LoginOptions) check() error {
	if len(o.AuthParams) > 0 {
		if faults := paramFaults(o.AuthParams); len(faults) > 0 {
			return errors.New("LoginOptions.AuthParams " + strings.Join(faults, "; LoginOptions.AuthParams "))
		}
	}
	return o.Require.check()
}

// bind returns the parameters of a login at a provider, and has attempt remember
// what the answer must confirm.
func (o LoginOptions) bind(p *Provider, attempt *attempt) (url.Values, error) {
	attempt.guarded, attempt.excused, attempt.silent = o.guarded, o.excused, o.prompt(p) == "none"
	attempt.maxAge = p.Requests.AuthParams.Get("max_age")
	if o.AuthParams.Has("max_age") {
		attempt.maxAge = o.AuthParams.Get("max_age")
	}
	params := o.AuthParams
	if !o.Require.isZero() {
		params = cloneValues(params)
		attempt.required = true
		if attempt.maxAge = lesserAge(attempt.maxAge, o.Require.maxAge()); attempt.maxAge != "" {
			params.Set("max_age", attempt.maxAge)
		}
		if attempt.acr = o.Require.acrValues(); attempt.acr != "" {
			params.Set("acr_values", attempt.acr)
		}
	}
	if p.OAuth2 != nil && (attempt.required || attempt.maxAge != "") {
		return nil, errNoStepUp()
	}
	return params, nil
}

// lesserAge returns the stricter of two values of max_age, of which each may be empty.
func lesserAge(one, two string) string {
	a, err1 := strconv.ParseUint(one, 10, 31)
	b, err2 := strconv.ParseUint(two, 10, 31)
	if err1 != nil || err2 == nil && b < a {
		return two
	}
	return one
}

// options are those of a login that takes the place of a's, as far as they are known.
func (a *attempt) options() LoginOptions {
	o := LoginOptions{ReturnTo: a.returnTo, guarded: a.guarded, excused: a.excused}
	if a.required {
		o.Require.ACR = strings.Fields(a.acr)
		if seconds, err := strconv.ParseUint(a.maxAge, 10, 31); err == nil {
			o.Require.MaxAge = time.Duration(seconds) * time.Second
			o.AuthParams = promptLogin()
		}
	}
	return o
}

// withSeal is the name that options are sealed under where they pass through the
// browser, as the login's parameter with: in the chooser's links and in login_url.
// What is sealed is the application's own; nobody else can make one.
//
// It is good for attemptLifetime. A link that is older begins an ordinary login: what
// the page requires is for its guard to check, which asks for another login then.
const withSeal = "with"

// seal is the parameter with, or empty if there is nothing to say.
func (o LoginOptions) seal(sealer *seal.Sealer, now time.Time) string {
	if len(o.AuthParams) == 0 && o.Require.isZero() {
		return ""
	}
	return sealer.Seal(withSeal, o.encode(now))
}

// open takes AuthParams and Require from the parameter with. One that is not
// ours, of a former key, or too old, says nothing.
func (o *LoginOptions) open(sealer *seal.Sealer, with string, now time.Time) {
	record, ok := sealer.Open(withSeal, with)
	if !ok {
		return
	}
	sealed, at, ok := decodeOptions(record)
	if ok && now.Sub(at).Abs() <= attemptLifetime { // replicas' clocks differ
		o.AuthParams, o.Require = sealed.AuthParams, sealed.Require
	}
}

// encode lays the time, AuthParams and Require out: seconds, and three
// length-prefixed strings.
func (o LoginOptions) encode(now time.Time) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	b = seal.AppendString(b, o.AuthParams.Encode())
	b = seal.AppendString(b, strconv.FormatInt(int64(o.Require.MaxAge), 10))
	return seal.AppendString(b, o.Require.acrValues())
}

func decodeOptions(record string) (o LoginOptions, at time.Time, ok bool) {
	if len(record) < 8 {
		return o, at, false
	}
	at = time.Unix(int64(seal.Uint64At(record, 0)), 0)
	var params, age, acr string
	rest := record[8:]
	for _, s := range []*string{&params, &age, &acr} {
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
