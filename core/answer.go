package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
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
	maxPostedUser = 4 << 10  // of user, which a session may have to keep
)

// postedParams are what a callback knows (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC
// 9207), and what Apple adds.
var postedParams = [...]string{"state", "code", "iss", "error", "error_description", "user"}

// bounce answers the provider's form (OAuth 2.0 Form Post Response Mode). It
// comes from another site, so that the browser keeps back all cookies of ours:
// they are Lax, and stay so. A page of our own, which sends the browser to the
// callback once more by GET, is no other site, and then they come. Until then
// nothing is looked up, remembered or sent anywhere: whoever makes a form could
// as well have made the link.
func (a *Authenticator) bounce(t *turn) error {
	t.again = new(LoginOptions)
	answer, err := posted(t.w, t.r, t.at.config.Requests.FormPostUser)
	if err != nil {
		return err
	}
	// A path of ours, and a query of letters, digits and +-_.~%&= alone: no part
	// of it can end the URL, the attribute or the tag.
	to := html.EscapeString(t.at.callbackPath + "?" + answer.Encode())
	servePage(t.w, http.StatusOK, page{
		title: "One moment",
		head:  `<meta http-equiv="refresh" content="0;url=` + to + `">`,
		main:  `<p>Your login provider has answered.</p>` + "\n" + `<nav><a class="main" href="` + to + `">Continue</a></nav>`,
	})
	return nil
}

// posted returns the form's parameters that a callback knows: doubled if they
// are, because that is the callback's to refuse. What is in the URL is no part of
// the form. The parameter user is one of them only if the provider is known to send it.
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
				return nil, errBadCallback("a form with %d bytes of %s", len(value), name)
			}
			answer.Add(name, value)
		}
	}
	return answer, nil
}

// readForm parses a form of bounded size, which a middleware may have done
// already. What is malformed is left out, as in a URL's query.
func readForm(w http.ResponseWriter, r *http.Request) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		return fmt.Errorf("a POST of %q, which is no form", told.Clip(kind))
	}
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	}
	if tooBig := new(http.MaxBytesError); errors.As(r.ParseForm(), &tooBig) {
		return fmt.Errorf("a form of more than %d bytes", tooBig.Limit)
	}
	return nil
}

// addUser adds what came beside the code as the parameter user, if it can be
// what Apple sends and the provider has not said it itself. It is not worth a
// failed login.
func addUser(c provider.Claims, values []string) {
	user, ok := only(values)
	if !ok || len(user) > maxPostedUser {
		return
	}
	for name := range c { // in any case: the browser's must not be taken for the provider's
		if strings.EqualFold(name, "user") {
			return
		}
	}
	if _, err := provider.DecodeClaims([]byte(user)); err == nil {
		c["user"] = json.RawMessage(user)
	}
}

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

// only returns the value of a parameter that occurs once and is not empty: no
// parameter may be repeated (RFC 6749 section 3.1).
func only(values []string) (string, bool) {
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}

// validCode reports whether code can be one (RFC 6749 appendix A.11), and of a
// size that providers send: the browser must not make the token request fail
// for its form.
func validCode(code string) bool {
	const most = 8 << 10 // bytes
	return len(code) <= most && provider.IsPrintable(code)
}
