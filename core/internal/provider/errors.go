package provider

import (
	"fmt"

	"github.com/pixyauth/pixy/core/internal/told"
)

// The codes of an [Error]. The caller chooses its response by them.
const (
	// The provider or its keys are unavailable.
	CodeUnavailable = "provider_unavailable"

	// The client secret is unavailable.
	CodeCredential = "client_credential_unavailable"

	// A response failed a check, and nothing of it was used.
	CodeMetadata       = "provider_metadata_invalid"
	CodePushedResponse = "pushed_response_untrusted"
	CodeTokenResponse  = "token_response_untrusted"
	CodeIDToken        = "id_token_untrusted"
	CodeUserInfo       = "userinfo_untrusted"
	CodeLogoutToken    = "logout_token_untrusted"
	CodeCallback       = "callback_untrusted"

	// The login is genuine and not accepted: its tenant is not allowed, or it is too
	// old or too weak for a Requirement.
	CodeTenant       = "tenant_refused"
	CodeStepUpFailed = "step_up_failed"

	// The provider refuses the pushed authorization request, the code, the refresh token,
	// this client, or another request.
	CodeRequestRefused = "request_refused"
	CodeGrantRefused   = "code_refused"
	CodeRefreshRefused = "refresh_refused"
	CodeClientRefused  = "client_refused"
	CodeTokenRefused   = "token_request_refused"

	// The authorization request is too long for a URL.
	CodeRequestSize = "request_too_large"

	// FetchUser returned an error that the caller shows unchanged.
	CodeFetchUser = "fetch_user"
)

// Error is an error of a [Provider].
type Error struct {
	Code string
	Err  error // without secrets, for a log
}

// Error returns the text of Err.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Reported is an error that the provider reported. Both texts come from outside.
type Reported struct {
	Code        string
	Description string
}

// Error returns both texts for the log, quoted and clipped.
func (e *Reported) Error() string {
	if e.Description == "" {
		return fmt.Sprintf("provider reports %q", told.Clip(e.Code))
	}
	return fmt.Sprintf("provider reports %q: %q", told.Clip(e.Code), told.ClipTo(e.Description, told.Max))
}

// bad returns the error for a response that failed a check.
func bad(code, format string, args ...any) *Error {
	return &Error{code, fmt.Errorf(format, args...)}
}

// badMetadata returns the error for metadata, or a setting, that prevents all logins.
func badMetadata(format string, args ...any) *Error {
	return bad(CodeMetadata, format, args...)
}

func badUserInfo(err error) *Error { return bad(CodeUserInfo, "UserInfo: %w", err) }

func badIDToken(err error) *Error { return bad(CodeIDToken, "ID token: %w", err) }

func badLogoutToken(err error) *Error { return bad(CodeLogoutToken, "logout token: %w", err) }

func unavailable(err error) *Error { return &Error{CodeUnavailable, err} }

// A toldError replaces the text of its cause by one without secrets.
type toldError struct {
	text  string
	cause error
}

func (e *toldError) Error() string { return e.text }
func (e *toldError) Unwrap() error { return e.cause }

// unreachable returns the error for a request without a complete response. net/http
// quotes responses that it cannot read, and these may repeat secrets of the request.
func unreachable(err error, secrets ...string) *Error {
	return unavailable(&toldError{told.Redact(err.Error(), secrets...), err})
}
