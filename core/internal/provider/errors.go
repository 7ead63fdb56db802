package provider

import (
	"fmt"

	"github.com/pixyauth/pixy/core/internal/told"
)

// The codes of what can go wrong, by which the caller sorts it.
const (
	// The provider, or its keys, cannot be had at the moment.
	CodeUnavailable = "provider_unavailable"

	// The client secret cannot be had at the moment.
	CodeSecret = "client_secret_unavailable"

	// An answer failed a check, and nothing of it was used.
	CodeMetadata      = "provider_metadata_invalid"
	CodeTokenResponse = "token_response_untrusted"
	CodeIDToken       = "id_token_untrusted"
	CodeUserInfo      = "userinfo_untrusted"
	CodeLogoutToken   = "logout_token_untrusted"
	CodeCallback      = "callback_untrusted"

	// The user logs in as they may not: of another tenant, or too long ago or too
	// weakly for what was required.
	CodeTenant       = "tenant_refused"
	CodeStepUpFailed = "step_up_failed"

	// The provider refuses a grant, at a login and later; this client; the request.
	CodeGrantRefused   = "code_refused"
	CodeRefreshRefused = "refresh_refused"
	CodeClientRefused  = "client_refused"
	CodeTokenRefused   = "token_request_refused"

	// FetchUser has an error of its own, which is the whole of it.
	CodeFetchUser = "fetch_user"
)

// Error is what a Provider says went wrong.
type Error struct {
	Code string
	Err  error // fit for a log
}

// Error returns the text of Err.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Reported is an error that the provider itself reported. Both texts come from
// outside.
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

// bad is an answer that failed a check.
func bad(code, format string, args ...any) *Error {
	return &Error{code, fmt.Errorf(format, args...)}
}

// badMetadata is metadata, or a setting, with which nobody can log in.
func badMetadata(format string, args ...any) *Error {
	return bad(CodeMetadata, format, args...)
}

func badUserInfo(err error) *Error { return bad(CodeUserInfo, "UserInfo: %w", err) }

func badIDToken(err error) *Error { return bad(CodeIDToken, "ID token: %w", err) }

func badLogoutToken(err error) *Error { return bad(CodeLogoutToken, "logout token: %w", err) }

func unavailable(err error) *Error { return &Error{CodeUnavailable, err} }

// A toldError has a text that is fit for the log, in place of its cause's.
type toldError struct {
	text  string
	cause error
}

func (e *toldError) Error() string { return e.text }
func (e *toldError) Unwrap() error { return e.cause }

// unreachable is a request that brought no answer. net/http quotes answers that it
// cannot read, and these may repeat what was sent.
func unreachable(err error, secrets ...string) *Error {
	return unavailable(&toldError{told.Redact(err.Error(), secrets...), err})
}
