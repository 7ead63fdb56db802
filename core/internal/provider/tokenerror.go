package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/pixyauth/pixy/core/internal/told"
)

// The error codes of token endpoints, by meaning. In each list, those of RFC 6749
// section 5.2 come first, then those of GitHub, Slack, and Facebook (see
// facebookError). A code in no list is about the request.
var (
	grantErrors = []string{
		"invalid_grant",
		"bad_verification_code", "bad_refresh_token",
		"invalid_code", "code_already_used", "code_expired", "invalid_refresh_token", "token_expired", "token_revoked",
		"OAuthException 100", "OAuthException 190",
	}
	clientErrors = []string{
		"invalid_client", "unauthorized_client",
		"incorrect_client_credentials",
		"invalid_client_id", "bad_client_secret",
		"OAuthException 1", "OAuthException 101",
	}
	outageErrors = []string{
		"temporarily_unavailable", "server_error", // of section 4.1.2.1; some providers send them here
		"ratelimited", "service_unavailable", "internal_error", "fatal_error", "request_timeout",
		"OAuthException 2", "OAuthException 4",
	}
)

// isJSON reports whether a trimmed body can only be a JSON object.
func isJSON(body []byte) bool { return bytes.HasPrefix(body, []byte("{")) }

// isForm reports whether a body can be a form: percent-encoded, without white space, and
// with a parameter. It returns false for an HTML page, even if its links have parameters.
func isForm(body []byte) bool {
	return bytes.Contains(body, []byte("=")) && !bytes.ContainsAny(body, "<>{}\" \t\r\n")
}

// providerErrorOf returns the error in a response of the token endpoint, in any of the
// formats that providers use. The code is empty if there is none.
func providerErrorOf(body []byte) Reported {
	switch body = bytes.TrimSpace(body); {
	case isJSON(body):
		var answer struct {
			Error       json.RawMessage `json:"error"`
			Description json.RawMessage `json:"error_description"`
		}
		if json.Unmarshal(body, &answer) != nil {
			return Reported{}
		}
		if isJSON(answer.Error) {
			return facebookError(answer.Error)
		}
		var e Reported
		_ = json.Unmarshal(answer.Error, &e.Code) // ignored if it has another type
		_ = json.Unmarshal(answer.Description, &e.Description)
		return e
	case isForm(body):
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return Reported{}
		}
		return Reported{Code: form.Get("error"), Description: form.Get("error_description")}
	}
	return Reported{}
}

// facebookError reads an error of the Graph API, which is an object. Its code is a
// number, so the code here is its type and its number.
func facebookError(body []byte) Reported {
	var e struct {
		Message string `json:"message"`
		Type    string `json:"type"`
		Code    int    `json:"code"`
	}
	if json.Unmarshal(body, &e) != nil || e.Type == "" {
		return Reported{}
	}
	return Reported{Code: e.Type + " " + strconv.Itoa(e.Code), Description: e.Message}
}

// tokenRefusal returns the error for an error response, by its meaning. It ignores the
// Content-Type. endpoint and client are for the log.
func tokenRefusal(endpoint string, status int, body []byte, client string, secrets ...string) *Error {
	said := providerErrorOf(body)
	var cause error = &Reported{Code: told.Redact(said.Code, secrets...), Description: told.Redact(said.Description, secrets...)}
	switch {
	case said.Code == "" && status/100 == 2:
		cause = fmt.Errorf("it answered %d without an access_token, or with an expires_in that is no number", status)
	case said.Code == "":
		cause = fmt.Errorf("it answered %d without an OAuth error", status)
	}
	text := fmt.Errorf("%s: %w", endpoint, cause)
	switch {
	case slices.Contains(grantErrors, said.Code):
		return &Error{CodeGrantRefused, text}
	case isOutage(status), slices.Contains(outageErrors, said.Code):
		return unavailable(StatusError{status, text})
	case said.Code == "invalid_dpop_proof": // RFC 9449 section 5; some send it with 401
		return &Error{CodeTokenRefused, fmt.Errorf("%w; check the clock here, and which URL the provider has for this endpoint", text)}
	case slices.Contains(clientErrors, said.Code), status == http.StatusUnauthorized: // RFC 6749 section 5.2
		return &Error{CodeClientRefused, fmt.Errorf("%w; %s", text, client)}
	case said.Code != "":
		return &Error{CodeTokenRefused, text}
	}
	return bad(CodeTokenResponse, "%w", text)
}
