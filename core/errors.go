package core

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// The kinds of errors, by what the caller can do about them. Every error of an
// [Authenticator]'s handlers is an [*Error]. It wraps one of these, unless only its Code
// tells the kind: for example a wrong method, or a session that is too large.
var (
	// ErrNoSession means that the request is anonymous. Status 401. Redirect the user to
	// the login.
	ErrNoSession = errors.New("pixy: the request is anonymous")

	// ErrStepUp means that the user's login is too old or too weak for a [Requirement].
	// Status 401 (RFC 9470 section 3). Redirect the user to the login again.
	ErrStepUp = errors.New("pixy: a more recent or stronger login is needed")

	// ErrUnknownAttempt means that a callback belongs to no login of this browser, or to
	// a login that has ended. Status 400. The user can try again.
	ErrUnknownAttempt = errors.New("pixy: this browser has no such login attempt")

	// ErrRefused means that the provider or OnLogin refused the login, that the provider
	// did not confirm what a [Requirement] asks for, or that [Requirement.Allow] does not
	// let the user pass. Status 403, or 502 if the provider refused the client and not the
	// user.
	ErrRefused = errors.New("pixy: login refused")

	// ErrUntrusted means that a response failed a check, so nothing in it was used.
	// Status 400 for callbacks and logout tokens, 502 for responses of the provider.
	ErrUntrusted = errors.New("pixy: untrusted response")

	// ErrUnavailable means that the provider, the session store, Revocations, Refreshes, or
	// SecretFunc, a signing key or Certificate of Client failed or cannot be reached, or that
	// OnLogin returned this error. Status 503 with Retry-After. Existing sessions are not ended.
	ErrUnavailable = errors.New("pixy: temporarily unavailable")

	// ErrNoToken means that there is no access token for the user, or that it has expired
	// and cannot be refreshed. Status 401. A new login gets a token: see
	// [Authenticator.LoginWith].
	ErrNoToken = errors.New("pixy: no access token")

	// ErrCrossOrigin means that another site tried to log the user out. Status 403.
	ErrCrossOrigin = errors.New("pixy: cross-origin request")
)

// Error says why a request failed. It has one text for the log and another for the user.
// Neither contains a code, state, nonce, verifier, token, cookie value or key.
//
// OnLogin may return an *Error to choose the status, the code and the public text of its
// failure. The zero values mean 403, "login_refused" and a default text.
type Error struct {
	Status    int    // HTTP status
	Code      string // stable and machine-readable; see the list in the package documentation
	Public    string // for the user: what to do next; never contains text from outside
	Reference string // short and random; also in the log line of this failure
	Err       error  // for the log

	loginURL        string        // where to start a login; empty if a login does not help
	from            *registration // the provider concerned; nil if unknown, or looked up and not asked for
	provider        string        // its name, if from is nil
	needs           LoginOptions  // what the next login must meet
	expected        bool          // normal user behavior: logged at Info
	operator        bool          // only the operator can fix it: no page offers to try again
	issuer, subject string        // of the user whom the provider has confirmed; empty: unknown
}

// Error returns the text for the log. Do not show it to the user: show Public instead.
func (e *Error) Error() string {
	if e.Err == nil {
		return "pixy: " + cmp.Or(e.Code, e.Public)
	}
	cause := strings.TrimPrefix(e.Err.Error(), "pixy: ")
	if e.Code == "" { // from OnLogin, before it gets one
		return "pixy: " + cause
	}
	return "pixy: " + e.Code + ": " + cause
}

// LoginURL returns the URL where the user can log in and return to the page, or try
// again. It is a path of this application, possibly with a query. It is empty if a login
// does not help.
func (e *Error) LoginURL() string { return e.loginURL }

// Unwrap returns Err, for errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// StatusCode returns Status. The default error handler of Echo v5 calls it.
func (e *Error) StatusCode() int { return e.Status }

// MarshalJSON returns only the public part, as a problem details object (RFC 9457). So an
// Error is safe if a framework serializes it. The members for a [Requirement] are named
// as in RFC 9470 section 3.
func (e *Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Title     string `json:"title"`
		Status    int    `json:"status"`
		Detail    string `json:"detail,omitempty"`
		Code      string `json:"code"`
		Reference string `json:"reference,omitempty"`
		LoginURL  string `json:"login_url,omitempty"`
		MaxAge    int64  `json:"max_age,omitempty"`
		ACRValues string `json:"acr_values,omitempty"`
	}{
		http.StatusText(e.Status), e.Status, e.Public, e.Code, e.Reference, e.loginURL,
		int64(e.needs.Require.MaxAge / time.Second), e.needs.Require.acrValues(),
	})
}

// asError returns err as an *Error that the caller may change.
func asError(err error) *Error {
	failure := new(Error)
	switch known := new(Error); {
	case errors.As(err, &known):
		*failure = *known
	case errors.Is(err, ErrNoSession):
		failure = errNoSession("")
	case errors.Is(err, ErrUnavailable): // of the application
		failure = fail(codeDown, err)
	default:
		failure = fail(codeInternal, err)
	}
	unknown := kinds[codeInternal] // for an *Error of the application
	failure.Status = cmp.Or(failure.Status, unknown.status)
	failure.Code = cmp.Or(failure.Code, codeInternal)
	failure.Public = cmp.Or(failure.Public, unknown.public)
	return failure
}

// ProviderError is an error that the provider reported, at the callback (RFC 6749 section
// 4.1.2.1) or at the token endpoint (section 5.2). Both texts come from outside.
// Description is for logs; escape it everywhere else.
type ProviderError struct {
	Code        string
	Description string
}

// Error returns both texts for the log, quoted and shortened.
func (e *ProviderError) Error() string { return (*provider.Reported)(e).Error() }

// A reportedError wraps an error together with the provider's error, in the type that
// applications see.
type reportedError struct {
	error
	said *ProviderError
}

func (e reportedError) Unwrap() []error { return []error{e.error, e.said} }

func errNoSession(loginURL string) *Error {
	failure := fail(codeNoSession, nil)
	failure.loginURL = loginURL
	return failure
}

func errProviderDown(err error) *Error { return fail(provider.CodeUnavailable, err) }

func errStoreDown(err error) *Error { return fail(codeStore, fmt.Errorf("session store: %w", err)) }

// The codes of failures that this package finds. Package provider has its own.
const (
	codeNoSession      = "login_required"
	codeNoToken        = "token_missing"
	codeStepUp         = "step_up_required"
	codeUnknownAttempt = "attempt_unknown"
	codeCancelled      = "access_denied"
	codeRefused        = "provider_refused"
	codeTokensLost     = "tokens_lost"
	codeLoginRefused   = "login_refused"
	codeNotAllowed     = "not_allowed"
	codeLoginLater     = "login_unavailable"
	codeDown           = "unavailable"
	codeUnknownName    = "provider_unknown"
	codeNoProvider     = "provider_missing"
	codeInvalid        = "provider_invalid"
	codeChanged        = "provider_changed"
	codeLookup         = "lookup_unavailable"
	codeNoNavigation   = "not_a_navigation"
	codeCrossOrigin    = "cross_origin_logout"
	codeMalformed      = "request_malformed"
	codeMethod         = "method_not_allowed"
	codeSessionLost    = "session_lost"
	codeStore          = "store_unavailable"
	codeRevocations    = "revocations_unavailable"
	codeRefreshes      = "refreshes_unavailable"
	codeSessionSize    = "session_too_large"
	codeTokensSize     = "tokens_too_large"
	codeDataSize       = "data_too_large"
	codeGuarded        = "login_guarded"
	codeUnknownHost    = "host_unknown"
	codeInternal       = "internal_error"
)

// A kind is what all failures with one code have in common.
type kind struct {
	status   int
	wraps    error  // what errors.Is finds; nil: only the code tells the kind
	public   string // for the user
	expected bool   // normal user behavior: logged at Info
	operator bool   // only the operator can fix it: no page offers to try again
}

// Texts that several kinds share.
const (
	pleaseLogIn  = "Please log in to continue."
	cannotLogIn  = "Logging in does not work here at the moment. Please tell us."
	notAtTheTime = "You cannot be logged in at the moment. Please try again in a minute."
	notTrusted   = "The login provider sent an answer that could not be trusted, so you were not logged in. Please try again, and tell us if it happens again."
	notAccepted  = "The login provider does not accept this application. Please tell us."

	requestNotAccepted = "The login provider does not accept how this application asks for a login. Please tell us."
)

// kinds has all codes. The package documentation lists the causes.
var kinds = map[string]kind{
	// Log in, or log in again.
	codeNoSession:  {status: http.StatusUnauthorized, wraps: ErrNoSession, public: pleaseLogIn},
	codeNoToken:    {status: http.StatusUnauthorized, wraps: ErrNoToken, public: "This page needs a more recent login. Please log in again."},
	codeStepUp:     {status: http.StatusUnauthorized, wraps: ErrStepUp, public: "This page needs a login that is more recent or stronger than yours. Please log in once more."},
	codeTokensLost: {status: http.StatusUnauthorized, public: pleaseLogIn},

	// The browser's request is not served.
	codeUnknownAttempt:       {status: http.StatusBadRequest, wraps: ErrUnknownAttempt, public: "This login has ended, or it was started in another browser. Please try again. If you see this page again, allow cookies for this site. If that does not help, please tell us."},
	provider.CodeCallback:    {status: http.StatusBadRequest, wraps: ErrUntrusted, public: "The answer of the login provider could not be trusted, so you were not logged in. Please try again, and tell us if it happens again."},
	provider.CodeLogoutToken: {status: http.StatusBadRequest, wraps: ErrUntrusted, public: "The logout token could not be trusted, so no user was logged out."},
	codeMalformed:            {status: http.StatusBadRequest, public: "This request cannot be read. Please try again."},
	codeNoNavigation:         {status: http.StatusForbidden, public: "This login was not started by opening a page. Please open the login page."},
	codeCrossOrigin:          {status: http.StatusForbidden, wraps: ErrCrossOrigin, public: "The request to log out came from another site, so you were not logged out."},
	codeChanged:              {status: http.StatusBadRequest, wraps: ErrUnknownAttempt, public: "The settings of this login provider have changed since you began to log in. Please log in again."},
	codeUnknownName:          {status: http.StatusNotFound, public: "This application does not know that login provider. Please choose another one."},
	codeUnknownHost:          {status: http.StatusMisdirectedRequest, operator: true, public: "This application is not available at this address. Please check the address, and tell us if a link has led you here."},
	codeMethod:               {status: http.StatusMethodNotAllowed, public: "This page does not accept this kind of request. Please go back and try again."},

	// The provider or the application refuses.
	codeCancelled:               {status: http.StatusForbidden, wraps: ErrRefused, expected: true, public: "The login was canceled, or the login provider denied access."},
	codeRefused:                 {status: http.StatusForbidden, wraps: ErrRefused, public: "The login provider could not log you in. Please try again, and tell us if it happens again."},
	provider.CodeGrantRefused:   {status: http.StatusForbidden, wraps: ErrRefused, public: "The login provider did not accept this login. Please try again, and tell us if it happens again."},
	provider.CodeRefreshRefused: {status: http.StatusForbidden, wraps: ErrRefused, public: "The login provider has ended your login. Please log in again."},
	provider.CodeStepUpFailed:   {status: http.StatusForbidden, wraps: ErrRefused, public: "The login provider did not confirm a login that is recent or strong enough for this page. You can try again, or continue with other pages."},
	provider.CodeTenant:         {status: http.StatusForbidden, wraps: ErrRefused, public: "This application does not accept accounts of your organization. Please choose another account."},
	codeLoginRefused:            {status: http.StatusForbidden, wraps: ErrRefused, public: "You are not allowed to use this application with this account."},
	codeNotAllowed:              {status: http.StatusForbidden, wraps: ErrRefused, expected: true, public: "You are logged in, but your account may not open this page. If it should, please tell us."},
	provider.CodeRequestRefused: {status: http.StatusBadGateway, wraps: ErrRefused, operator: true, public: requestNotAccepted},
	provider.CodeClientRefused:  {status: http.StatusBadGateway, wraps: ErrRefused, operator: true, public: notAccepted},
	provider.CodeTokenRefused:   {status: http.StatusBadGateway, wraps: ErrRefused, operator: true, public: notAccepted},

	// The provider's response failed a check.
	provider.CodePushedResponse: {status: http.StatusBadGateway, wraps: ErrUntrusted, public: notTrusted},
	provider.CodeTokenResponse:  {status: http.StatusBadGateway, wraps: ErrUntrusted, public: notTrusted},
	provider.CodeIDToken:        {status: http.StatusBadGateway, wraps: ErrUntrusted, public: notTrusted},
	provider.CodeUserInfo:       {status: http.StatusBadGateway, wraps: ErrUntrusted, public: notTrusted},
	provider.CodeMetadata:       {status: http.StatusBadGateway, wraps: ErrUntrusted, operator: true, public: "This application cannot use the login provider at the moment. Please tell us."},

	// Something is down.
	provider.CodeUnavailable: {status: http.StatusServiceUnavailable, wraps: ErrUnavailable, public: "The login provider cannot be reached at the moment. Please try again in a minute."},
	provider.CodeCredential:  {status: http.StatusServiceUnavailable, wraps: ErrUnavailable, public: notAtTheTime},
	codeNoProvider:           {status: http.StatusServiceUnavailable, operator: true, public: "Nobody can log in at the moment, because this application has no login provider yet. Please tell us."},
	codeInvalid:              {status: http.StatusServiceUnavailable, operator: true, public: "Nobody can log in with this login provider at the moment, because it is not set up correctly. Please tell us."},
	codeLookup:               {status: http.StatusServiceUnavailable, wraps: ErrUnavailable, public: notAtTheTime},
	codeLoginLater:           {status: http.StatusServiceUnavailable, public: notAtTheTime}, // OnLogin's error wraps ErrUnavailable
	codeDown:                 {status: http.StatusServiceUnavailable, public: "This page is not available at the moment. Please try again in a minute."},
	codeStore:                {status: http.StatusServiceUnavailable, wraps: ErrUnavailable, public: "Your session cannot be read at the moment. Please try again in a minute."},
	codeRevocations:          {status: http.StatusServiceUnavailable, wraps: ErrUnavailable, public: "Your session cannot be checked at the moment. Please try again in a minute."},
	codeRefreshes:            {status: http.StatusServiceUnavailable, wraps: ErrUnavailable, public: "Your login cannot be renewed at the moment. Please try again in a minute."},

	// The configuration is wrong.
	codeSessionLost:          {status: http.StatusInternalServerError, public: "You were logged in, but the login did not last. Allow cookies for this site, and try again. If that does not help, please tell us."},
	codeSessionSize:          {status: http.StatusInternalServerError, operator: true, public: "Your profile is too large for this application, so you were not logged in. Please tell us."},
	codeTokensSize:           {status: http.StatusInternalServerError, operator: true, public: "The login provider's answer is too large for this application, so you were not logged in. Please tell us."},
	provider.CodeRequestSize: {status: http.StatusInternalServerError, operator: true, public: cannotLogIn},
	codeDataSize:             {status: http.StatusInternalServerError, operator: true, public: cannotLogIn},
	codeGuarded:              {status: http.StatusInternalServerError, operator: true, public: cannotLogIn},
	codeInternal:             {status: http.StatusInternalServerError, public: "Something went wrong on our side. Please try again, and tell us if it happens again."},
}

// fail returns an *Error with a code. All errors of this package come from here. err is
// for the log. It may be nil if the kind says everything.
func fail(code string, err error) *Error {
	k := kinds[code]
	e := &Error{Status: k.status, Code: code, Public: k.public, Err: err, expected: k.expected, operator: k.operator}
	switch {
	case k.wraps == nil:
	case err == nil:
		e.Err = k.wraps
	default:
		e.Err = fmt.Errorf("%w: %w", k.wraps, err)
	}
	return e
}
