package core

import (
	"fmt"
	"net/http"

	"github.com/pixyauth/pixy/core/internal/provider"
)

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
