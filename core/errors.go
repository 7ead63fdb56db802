package core

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// What can go wrong, sorted by what a caller can do about it. Every error of an
// [Authenticator]'s handlers is an [*Error], and wraps one of these unless only
// its Code tells more: a wrong method, a login that is no navigation, a session
// that is too large.
var (
	// ErrNoSession: nobody is logged in. Status 401. Send them to log in.
	ErrNoSession = errors.New("pixy: nobody is logged in")

	// ErrStepUp: somebody is logged in, but too long ago or too weakly for a
	// [Requirement]. Status 401 (RFC 9470 section 3). Send them to log in once more.
	ErrStepUp = errors.New("pixy: a more recent or stronger login is needed")

	// ErrUnknownAttempt: a callback that belongs to no login which this browser
	// has begun, or whose login is over. Status 400. Let them try again.
	ErrUnknownAttempt = errors.New("pixy: no such login attempt in this browser")

	// ErrRefused: the provider, or OnLogin, said no, or the provider does not
	// confirm what a [Requirement] asks for. Status 403, or 502 if the provider
	// refused the application and not the person.
	ErrRefused = errors.New("pixy: login refused")

	// ErrUntrusted: an answer failed a check, and nothing of it was used. Status
	// 400 if the browser brought it, or if it is a logout token, 502 if the provider
	// sent it.
	ErrUntrusted = errors.New("pixy: answer not trusted")

	// ErrUnavailable: the provider, the session store, Revocations, Refreshes or
	// Client.SecretFunc cannot be reached, or are failing, or OnLogin says so. Status
	// 503 with Retry-After. Sessions that exist are unaffected.
	ErrUnavailable = errors.New("pixy: temporarily unavailable")

	// ErrNoToken: there is no access token for a user, or it has expired and there
	// is no refreshing it. Status 401. A login gets another: see
	// [Authenticator.LoginWith].
	ErrNoToken = errors.New("pixy: no access token")

	// ErrCrossOrigin: another site tried to log this browser out. Status 403.
	ErrCrossOrigin = errors.New("pixy: cross-origin request")
)

// Error is why a request was not served: one text for the log and another for
// the person. Neither holds a code, state, nonce, verifier, token, cookie or
// key.
//
// OnLogin may return an *Error to choose the status, code and public text of
// its refusal; zero fields mean 403, "login_refused" and a sentence of ours.
type Error struct {
	Status    int    // HTTP status
	Code      string // stable and machine-readable; the package documentation lists them
	Public    string // for the person: says what to do next, holds nothing from outside
	Reference string // short and random; the log line of this failure carries it too
	Err       error  // for the log

	loginURL string        // where a login can be started, if that helps
	from     *registration // whose answer it was, if that is known
	needs    LoginOptions  // what a login has to be
	expected bool          // what users do every day: logged at Info
	operator bool          // only the operator can mend it: no page says that trying again helps
}

// Error returns the text for the log. Do not show it to the person: that is
// what Public is for.
func (e *Error) Error() string {
	if e.Err == nil {
		return "pixy: " + cmp.Or(e.Code, e.Public)
	}
	cause := strings.TrimPrefix(e.Err.Error(), "pixy: ")
	if e.Code == "" { // OnLogin's, before it is given one
		return "pixy: " + cause
	}
	return "pixy: " + e.Code + ": " + cause
}

// LoginURL returns where the person can log in to come back, or try again: a path
// of this application, maybe with a query. It is empty if a login is no help.
func (e *Error) LoginURL() string { return e.loginURL }

// Unwrap gives errors.Is and errors.As the cause.
func (e *Error) Unwrap() error { return e.Err }

// StatusCode returns Status. Echo v5's default error handler asks for it.
func (e *Error) StatusCode() int { return e.Status }

// MarshalJSON gives the public part only, as a problem details object (RFC
// 9457), so that an Error is safe wherever a framework serialises it. What a
// [Requirement] asks for has the names of RFC 9470 section 3.
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

// asError gives an *Error that the caller may change.
func asError(err error) *Error {
	failure := new(Error)
	switch known := new(Error); {
	case errors.As(err, &known):
		*failure = *known
	case errors.Is(err, ErrNoSession):
		failure = errNoSession("")
	default:
		failure = fail(codeInternal, err)
	}
	unknown := kinds[codeInternal] // for an application's own
	failure.Status = cmp.Or(failure.Status, unknown.status)
	failure.Code = cmp.Or(failure.Code, codeInternal)
	failure.Public = cmp.Or(failure.Public, unknown.public)
	return failure
}

// ProviderError is an error that the provider itself reported: at the callback
// (RFC 6749 section 4.1.2.1) or at the token endpoint (section 5.2). Both texts
// come from outside. Description is for logs; escape it anywhere else.
type ProviderError struct {
	Code        string
	Description string
}

// Error returns both texts for the log, quoted and clipped.
func (e *ProviderError) Error() string { return (*provider.Reported)(e).Error() }

// A reportedError has a text, and the provider's error in it as applications see it.
type reportedError struct {
	error
	said *ProviderError
}

func (e reportedError) Unwrap() []error { return []error{e.error, e.said} }

// reference returns what ties a page to its log line. It is for people to read
// out: no secret, and unique enough among the failures of one day.
func reference() string { return rand.Text()[:8] }

func errNoSession(loginURL string) *Error {
	failure := fail(codeNoSession, nil)
	failure.loginURL = loginURL
	return failure
}

// errBadCallback is a callback of a login of ours that does not hold together.
func errBadCallback(format string, args ...any) *Error {
	return fail(provider.CodeCallback, fmt.Errorf(format, args...))
}

func errProviderDown(err error) *Error { return fail(provider.CodeUnavailable, err) }

func errStoreDown(err error) *Error { return fail(codeStore, fmt.Errorf("session store: %w", err)) }

// errMethod is a request by a method that a route does not have.
func errMethod(w http.ResponseWriter, allowed string) *Error {
	w.Header().Set("Allow", allowed)
	return fail(codeMethod, nil)
}

// The codes of failures that the core finds. Those that a provider's room finds are
// its own.
const (
	codeNoSession      = "login_required"
	codeNoToken        = "token_missing"
	codeStepUp         = "step_up_required"
	codeUnknownAttempt = "attempt_unknown"
	codeCancelled      = "access_denied"
	codeRefused        = "provider_refused"
	codeTokensLost     = "tokens_lost"
	codeLoginRefused   = "login_refused"
	codeLoginLater     = "login_unavailable"
	codeUnknownName    = "provider_unknown"
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
	codeGuarded        = "login_guarded"
	codeInternal       = "internal_error"
)

// A kind is what all failures of one code have in common.
type kind struct {
	status   int
	wraps    error  // what errors.Is finds; nil: the code alone tells
	public   string // for the user
	expected bool   // users do it every day: logged at Info
	operator bool   // only the operator can mend it: no page says that trying again helps
}

// Texts that several kinds have.
const (
	pleaseLogIn  = "Please log in to continue."
	cannotLogIn  = "Nobody can log in here at the moment. Please tell us."
	notAtTheTime = "You cannot be logged in at the moment. Please try again in a minute."
	notTrusted   = "The login provider gave an answer that could not be trusted, so you were not logged in. Please try again, and tell us if it happens again."
	notAccepted  = "The login provider does not accept this application. Please tell us."
)

// kinds has all codes. The package documentation says what each is caused by.
var kinds = map[string]kind{
	// Log in, or log in once more.
	codeNoSession:  {status: http.StatusUnauthorized, wraps: ErrNoSession, public: pleaseLogIn},
	codeNoToken:    {status: http.StatusUnauthorized, wraps: ErrNoToken, public: "This needs a login that is more recent. Please log in again."},
	codeStepUp:     {status: http.StatusUnauthorized, wraps: ErrStepUp, public: "This page needs a login that is more recent or stronger than yours. Please log in once more."},
	codeTokensLost: {status: http.StatusUnauthorized, public: pleaseLogIn},

	// The browser's request is not served.
	codeUnknownAttempt:       {status: http.StatusBadRequest, wraps: ErrUnknownAttempt, public: "This login has ended or was begun in another browser. Please try again. If you see this page once more, allow cookies for this site, and tell us if that does not help."},
	provider.CodeCallback:    {status: http.StatusBadRequest, wraps: ErrUntrusted, public: "The answer of the login provider could not be trusted, so you were not logged in. Please try again, and tell us if it happens again."},
	provider.CodeLogoutToken: {status: http.StatusBadRequest, wraps: ErrUntrusted, public: "The logout token could not be trusted, so nobody was logged out."},
	codeMalformed:            {status: http.StatusBadRequest, public: "This request cannot be read. Please try again."},
	codeNoNavigation:         {status: http.StatusForbidden, public: "Logging in works only when a page is opened, not from within one. Please open the login page."},
	codeCrossOrigin:          {status: http.StatusForbidden, wraps: ErrCrossOrigin, public: "The request to log out came from another site, so nobody was logged out."},
	codeUnknownName:          {status: http.StatusNotFound, public: "This application does not know that login provider. Please choose another one."},
	codeMethod:               {status: http.StatusMethodNotAllowed, public: "This page cannot be used that way. Please go back and try again."},

	// Provider or application says no.
	codeCancelled:               {status: http.StatusForbidden, wraps: ErrRefused, expected: true, public: "The login was cancelled, or the login provider denied access."},
	codeRefused:                 {status: http.StatusForbidden, wraps: ErrRefused, public: "The login provider could not log you in. Please try again, and tell us if it happens again."},
	provider.CodeGrantRefused:   {status: http.StatusForbidden, wraps: ErrRefused, public: "The login provider did not accept this login. Please try again, and tell us if it happens again."},
	provider.CodeRefreshRefused: {status: http.StatusForbidden, wraps: ErrRefused, public: "The login provider has ended your login. Please log in again."},
	provider.CodeStepUpFailed:   {status: http.StatusForbidden, wraps: ErrRefused, public: "The login provider did not confirm a login that is recent or strong enough for this page. You can try again, or go on with what you were doing before."},
	provider.CodeTenant:         {status: http.StatusForbidden, wraps: ErrRefused, public: "This application is not open to your organisation's accounts. Please choose another account."},
	codeLoginRefused:            {status: http.StatusForbidden, wraps: ErrRefused, public: "You are not allowed to use this application with this account."},
	provider.CodeClientRefused:  {status: http.StatusBadGateway, wraps: ErrRefused, operator: true, public: notAccepted},
	provider.CodeTokenRefused:   {status: http.StatusBadGateway, wraps: ErrRefused, operator: true, public: notAccepted},

	// The provider's answer failed a check.
	provider.CodeTokenResponse: {status: http.StatusBadGateway, wraps: ErrUntrusted, public: notTrusted},
	provider.CodeIDToken:       {status: http.StatusBadGateway, wraps: ErrUntrusted, public: notTrusted},
	provider.CodeUserInfo:      {status: http.StatusBadGateway, wraps: ErrUntrusted, public: notTrusted},
	provider.CodeMetadata:      {status: http.StatusBadGateway, wraps: ErrUntrusted, operator: true, public: "This application cannot use the login provider at the moment. Please tell us."},

	// Something is down.
	provider.CodeUnavailable: {status: http.StatusServiceUnavailable, wraps: ErrUnavailable, public: "The login provider cannot be reached at the moment. Please try again in a minute."},
	provider.CodeSecret:      {status: http.StatusServiceUnavailable, wraps: ErrUnavailable, public: notAtTheTime},
	codeLoginLater:           {status: http.StatusServiceUnavailable, public: notAtTheTime}, // OnLogin's error wraps ErrUnavailable
	codeStore:                {status: http.StatusServiceUnavailable, wraps: ErrUnavailable, public: "Your session cannot be read at the moment. Please try again in a minute."},
	codeRevocations:          {status: http.StatusServiceUnavailable, wraps: ErrUnavailable, public: "Your session cannot be checked at the moment. Please try again in a minute."},
	codeRefreshes:            {status: http.StatusServiceUnavailable, wraps: ErrUnavailable, public: "Your login cannot be renewed at the moment. Please try again in a minute."},

	// Something is set up wrong.
	codeSessionLost: {status: http.StatusInternalServerError, public: "You were logged in, but the login did not last. Allow cookies for this site, and try again. If that does not help, please tell us."},
	codeSessionSize: {status: http.StatusInternalServerError, operator: true, public: "Your profile is too large for this application, so you were not logged in. Please tell us."},
	codeTokensSize:  {status: http.StatusInternalServerError, operator: true, public: "The login provider's answer is too large for this application, so you were not logged in. Please tell us."},
	codeGuarded:     {status: http.StatusInternalServerError, operator: true, public: cannotLogIn},
	codeInternal:    {status: http.StatusInternalServerError, public: "Something went wrong on our side. Please try again, and tell us if it happens again."},
}

// fail makes every *Error of this package. Err is for the log, and may be nil if the
// kind says it all.
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
