package core

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/told"
)

// LoginOptions are the options of one login, for [Authenticator.LoginWith]. The zero
// value does what a GET of the login path does.
type LoginOptions struct {
	// Provider is the Name of a provider, listed or looked up. Empty: the only provider, or
	// the one that [LookupConfig.Choose] or the user chooses.
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
	// apply. Like AuthParams, it does not apply to a login that the user starts again. A
	// page where the user chooses a provider keeps at most 2 KB; with more, set Provider.
	// Empty: that of the configuration.
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
	if err := a.checkHost(t); err != nil {
		return err
	}
	if err := options.check(); err != nil {
		return err
	}
	if !a.hasProviders() {
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
	name, err := a.nameFor(t, options.Provider)
	if err == nil && name != "" {
		if t.at, err = a.named(t.r.Context(), name); err == nil && t.at == nil {
			err = errUnknownProvider("provider", name)
		}
	}
	if err != nil {
		return options.failed(t, name, err)
	}
	if t.at == nil {
		if n := len(options.AuthorizationDetails); n > maxLinkDetails {
			return fmt.Errorf("LoginOptions.AuthorizationDetails has %d bytes, and a page where the user chooses a provider keeps %d; set LoginOptions.Provider", n, maxLinkDetails)
		}
		return a.choose(t, options)
	}
	return a.begin(t, options, false)
}

// failed sets with which options the user tries again, at the provider with a name. After
// a login at an unknown one, there is nothing that was for that provider.
func (o LoginOptions) failed(t *turn, name string, err error) error {
	if asError(err).Code == codeUnknownName {
		t.again = &LoginOptions{ReturnTo: o.ReturnTo, Payload: o.Payload}
		return err
	}
	t.again, t.name = &o, name
	return err
}

// errUnknownProvider is a request for a provider that there is not. The value comes from
// outside, so it is logged quoted and shortened.
func errUnknownProvider(place, value string) *Error {
	return fail(codeUnknownName, fmt.Errorf("%s %q is no usable provider of Config.Providers or Config.Lookup", place, told.Clip(value)))
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
	if o.AuthorizationDetails != "" {
		if err := provider.CheckDetails(o.AuthorizationDetails); err != nil {
			return fmt.Errorf("LoginOptions.AuthorizationDetails %w", err)
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
	if o.AuthorizationDetails != "" {
		params = cloneValues(params)
		params.Set("authorization_details", o.AuthorizationDetails)
	}
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
