package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/told"
)

const (
	maxForm       = 64 << 10 // bytes of a form
	maxPosted     = 8 << 10  // of one parameter
	maxPostedUser = 4 << 10  // of the parameter user, which a session may keep
)

// postedParams are the parameters of a callback (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC
// 9207, JARM), and Apple's parameter user.
var postedParams = [...]string{"state", "code", "iss", "error", "error_description", "response", "user"}

// bounce answers the provider's form (OAuth 2.0 Form Post Response Mode). The form comes
// from another site, so browsers send none of our Lax cookies with it. bounce serves a
// page that opens the callback again by GET. That page is on our site, so browsers send
// the cookies with the GET. Until then, nothing is looked up, stored or sent. An attacker
// who can create such a form could also create the link.
//
// Lookup.Find is not asked either, so with looked-up providers, each callback takes a form,
// and passes on the parameter user. The GET uses it only for a provider that sends it.
func (a *Authenticator) bounce(t *turn, at callbackPlace) error {
	if !at.ours {
		return errBadCallback("the path of the callback names no provider")
	}
	answer, err := posted(t.w, t.r, a.lookup != nil || t.at.config.Requests.FormPostUser)
	if err != nil {
		if _, withPayload, _ := wellFormedState(provider.Unverified(t.r.PostForm).Get("state")); !withPayload {
			t.again = new(LoginOptions)
		}
		return err
	}
	// This is a path of ours, and a query that consists only of letters, digits and
	// +-_.~%&=. So no part of it can end the URL, the attribute or the tag.
	a.serveOneMoment(t.w, t.r, a.languageOf(t.r).Say("Your login provider has answered."), at.path+"?"+answer.Encode())
	return nil
}

// posted returns the form's parameters that a callback uses. It keeps repeated
// parameters, which the callback refuses. It ignores parameters of the URL. It returns
// user only if the provider is configured to send it.
func posted(w http.ResponseWriter, r *http.Request, user bool) (url.Values, error) {
	if err := readForm(w, r); err != nil {
		return nil, errBadCallback("%w", err)
	}
	answer := make(url.Values, len(postedParams))
	for _, name := range postedParams {
		if name == "user" && !user {
			continue
		}
		for _, value := range r.PostForm[name] {
			if len(value) > maxPosted {
				return nil, errBadCallback("the form has %d bytes of %s; the limit is %d", len(value), name, maxPosted)
			}
			answer.Add(name, value)
		}
	}
	return answer, nil
}

// readForm parses a form of limited size. A middleware may have parsed it already.
// Malformed parameters are skipped, as in a URL's query.
func readForm(w http.ResponseWriter, r *http.Request) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		return fmt.Errorf("the POST has Content-Type %q; want application/x-www-form-urlencoded", told.Clip(kind))
	}
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	}
	if tooBig := new(http.MaxBytesError); errors.As(r.ParseForm(), &tooBig) {
		return fmt.Errorf("the form has more than %d bytes", tooBig.Limit)
	}
	return nil
}

// match returns this browser's attempt for a response's state, or nil. The state must
// occur once.
func (a *Authenticator) match(r *http.Request, said url.Values) *attempt {
	state, ok := only(said["state"])
	if !ok {
		return nil
	}
	return a.attempts.find(r, state)
}

// addUser adds the callback's parameter user to the claims, if it can be Apple's and the
// provider's claims have no user. An invalid value is ignored: it must not make the login
// fail.
func addUser(c provider.Claims, values []string) {
	user, ok := only(values)
	if !ok || len(user) > maxPostedUser {
		return
	}
	for name := range c { // ignoring case, so that the browser cannot replace a claim of the provider
		if strings.EqualFold(name, "user") {
			return
		}
	}
	if _, err := provider.DecodeClaims([]byte(user)); err == nil {
		c["user"] = json.RawMessage(user)
	}
}

// A verdict is what an error code of an authorization response means to the user.
type verdict int

const (
	unclear        verdict = iota // not in the table
	cancelled                     // the user canceled, or the provider's policy denied access
	operatorsFault                // the provider refuses the request for every user
	providersFault                // the provider failed
	tooLate                       // the provider does not know the login any more
)

// verdicts sort the error codes of RFC 6749 section 4.1.2.1, of its extensions, and of
// individual providers.
var verdicts = map[string]verdict{
	"access_denied":            cancelled,
	"user_cancelled_authorize": cancelled, // Apple, LinkedIn
	"user_cancelled_login":     cancelled, // LinkedIn
	"user_cancel":              cancelled, // TARA
	"user_cancelled":           cancelled,
	"user_denied":              cancelled, // Facebook's error_reason

	"invalid_request":               operatorsFault,
	"unauthorized_client":           operatorsFault,
	"unsupported_response_type":     operatorsFault,
	"invalid_scope":                 operatorsFault,
	"invalid_client":                operatorsFault,
	"unsupported_response_mode":     operatorsFault, // OAuth 2.0 Multiple Response Types
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

	errRequestURI: tooLate,
}

// errRequestURI is the error for a request_uri that has expired or was used (RFC 9126
// section 2.2, RFC 9101 section 7).
const errRequestURI = "invalid_request_uri"

// errProviderSaysNo is an error response (RFC 6749 section 4.1.2.1). Its texts only go to
// the log. The status is always 403, even for faults of the server: a user who edits the
// URL must not be able to trigger alarms.
func errProviderSaysNo(query url.Values) *Error {
	said := reportedIn(query)
	switch verdicts[strings.ToLower(query.Get("error"))] {
	case cancelled:
		return fail(codeCancelled, said)
	case operatorsFault:
		failure := fail(codeRefused, said)
		failure.Public, failure.operator = requestNotAccepted, true
		return failure
	case providersFault:
		failure := fail(codeRefused, said)
		failure.Public = "The login provider could not log you in at the moment. Please try again in a minute."
		return failure
	case tooLate:
		failure := fail(codeRefused, said)
		failure.Public = "This login has ended at the login provider. Please try again."
		return failure
	}
	return fail(codeRefused, said)
}

// needsUser reports whether a login with prompt=none failed because the user has to do
// something (OpenID Connect Core section 3.1.2.6).
func needsUser(query url.Values) bool {
	return slices.Contains([]string{
		"login_required", "interaction_required", "consent_required", "account_selection_required",
	}, query.Get("error"))
}

// reportedIn returns the error of an authorization response.
func reportedIn(query url.Values) *ProviderError {
	return &ProviderError{Code: told.Clip(query.Get("error")), Description: told.ClipTo(query.Get("error_description"), told.Max)}
}

// withAnswer adds a response's error to the log text of err. The response has no attempt
// in this browser, or failed a check, so its origin is unknown. Therefore errors.As does
// not find a [ProviderError].
func withAnswer(err error, query url.Values) error {
	if !query.Has("error") {
		return err
	}
	failure := asError(err)
	failure.Err = fmt.Errorf("%w; unverified: %s", failure.Err, reportedIn(query))
	return failure
}

// only returns the value of a parameter that occurs once and is not empty. Parameters
// must not be repeated (RFC 6749 section 3.1).
func only(values []string) (string, bool) {
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}

// validCode reports whether code has the characters of a code (RFC 6749 appendix A.11)
// and a size that providers use. A value from the browser must not make the token request
// malformed.
func validCode(code string) bool {
	const most = 8 << 10 // bytes
	return len(code) <= most && provider.IsPrintable(code)
}

func acceptsHTML(r *http.Request) bool { return accepts(r, "text/html") }

func accepts(r *http.Request, contentType string) bool {
	return slices.ContainsFunc(r.Header["Accept"], func(accept string) bool {
		return strings.Contains(strings.ToLower(accept), contentType)
	})
}
