package core

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/pixyauth/pixy/core/internal/told"
)

// A verdict is what an error code of an authorization response means to the
// person who gets the answer.
type verdict int

const (
	unclear        verdict = iota // a code that is not in the table
	cancelled                     // the user, or the provider's policy, said no
	operatorsFault                // the request is refused as it is, whoever logs in
	providersFault                // the provider is out of order
)

// verdicts sort the error codes of RFC 6749 section 4.1.2.1, of its extensions,
// and of providers that have words of their own.
var verdicts = map[string]verdict{
	"access_denied":            cancelled,
	"user_cancelled_authorize": cancelled, // Apple, LinkedIn
	"user_cancelled_login":     cancelled, // LinkedIn
	"user_cancel":              cancelled, // TARA
	"user_cancelled":           cancelled,
	"user_denied":              cancelled, // what Facebook calls error_reason

	"invalid_request":               operatorsFault,
	"unauthorized_client":           operatorsFault,
	"unsupported_response_type":     operatorsFault,
	"invalid_scope":                 operatorsFault,
	"invalid_client":                operatorsFault,
	"unsupported_response_mode":     operatorsFault, // OAuth 2.0 Multiple Response Types
	"invalid_request_uri":           operatorsFault, // OpenID Connect Core section 3.1.2.6
	"invalid_request_object":        operatorsFault,
	"request_not_supported":         operatorsFault,
	"request_uri_not_supported":     operatorsFault,
	"registration_not_supported":    operatorsFault,
	"invalid_target":                operatorsFault, // RFC 8707 section 2
	"invalid_authorization_details": operatorsFault, // RFC 9396 section 5
	"redirect_uri_mismatch":         operatorsFault, // GitHub, Google
	"application_suspended":         operatorsFault, // GitHub
	"invalid_resource":              operatorsFault, // Microsoft
	"unauthorized_scope_error":      operatorsFault, // LinkedIn

	"server_error":            providersFault,
	"temporarily_unavailable": providersFault,
}

// errProviderSaysNo is an error response (RFC 6749 section 4.1.2.1). Its texts
// go to the log alone. The status is the browser's fault in any case: whoever
// edits the URL must not be able to raise an alarm.
func errProviderSaysNo(query url.Values) *Error {
	said := reportedIn(query)
	switch verdicts[strings.ToLower(query.Get("error"))] {
	case cancelled:
		return fail(codeCancelled, said)
	case operatorsFault:
		failure := fail(codeRefused, said)
		failure.Public, failure.operator = "The login provider does not accept how this application asks for a login. Please tell us.", true
		return failure
	case providersFault:
		failure := fail(codeRefused, said)
		failure.Public = "The login provider could not log you in at the moment. Please try again in a minute."
		return failure
	}
	return fail(codeRefused, said)
}

// needsUser reports whether a login with prompt=none has failed because there was
// something for the user to do (OpenID Connect Core section 3.1.2.6).
func needsUser(query url.Values) bool {
	return slices.Contains([]string{
		"login_required", "interaction_required", "consent_required", "account_selection_required",
	}, query.Get("error"))
}

// reportedIn is the error of an authorization response.
func reportedIn(query url.Values) *ProviderError {
	return &ProviderError{Code: told.Clip(query.Get("error")), Description: told.ClipTo(query.Get("error_description"), told.Max)}
}

// withAnswer adds an answer's error to the log's text of err. The answer belongs
// to no login of this browser, or failed a check: anybody can have written it, and
// so it is no [ProviderError] that errors.As would find.
func withAnswer(err error, query url.Values) error {
	if !query.Has("error") {
		return err
	}
	failure := asError(err)
	failure.Err = fmt.Errorf("%w; unverified: %s", failure.Err, reportedIn(query))
	return failure
}
