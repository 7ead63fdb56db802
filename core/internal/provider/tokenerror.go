package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core/internal/told"
)

// What the error codes of token endpoints are about. Those of RFC 6749 section 5.2
// come first, then those of GitHub, Slack, and Facebook (see facebookError). A
// code that is in no list is about the request.
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
		"temporarily_unavailable", "server_error", // of section 4.1.2.1, but some give them here
		"ratelimited", "service_unavailable", "internal_error", "fatal_error", "request_timeout",
		"OAuthException 2", "OAuthException 4",
	}
)

// isJSON reports whether a body, without blanks around it, can only be a JSON object.
func isJSON(body []byte) bool { return bytes.HasPrefix(body, []byte("{")) }

// isForm reports whether a body can be a form: percent-encoded, without blanks, with a
// parameter. A page is none, whatever its links have in them.
func isForm(body []byte) bool {
	return bytes.Contains(body, []byte("=")) && !bytes.ContainsAny(body, "<>{}\" \t\r\n")
}

// providerErrorOf finds the error in an answer of the token endpoint, in each of the
// shapes that providers have. Without one, the code is empty.
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
		_ = json.Unmarshal(answer.Error, &e.Code) // of another type: says nothing
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
// number: type and number together are the code here.
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

// tokenRefusal sorts an answer that grants nothing by what it is about, whatever its
// Content-Type. Endpoint and client are for the log.
func tokenRefusal(endpoint string, status int, body []byte, client string, secrets ...string) *Error {
	said := providerErrorOf(body)
	var cause error = &Reported{Code: told.Redact(said.Code, secrets...), Description: told.Redact(said.Description, secrets...)}
	if said.Code == "" {
		cause = fmt.Errorf("it answered %d without an OAuth error", status)
	}
	text := fmt.Errorf("%s: %w", endpoint, cause)
	switch {
	case slices.Contains(grantErrors, said.Code):
		return &Error{CodeGrantRefused, text}
	case isOutage(status), slices.Contains(outageErrors, said.Code):
		return unavailable(StatusError{status, text})
	case slices.Contains(clientErrors, said.Code), status == http.StatusUnauthorized: // RFC 6749 section 5.2
		return &Error{CodeClientRefused, fmt.Errorf("%w; %s", text, client)}
	case said.Code != "":
		return &Error{CodeTokenRefused, text}
	}
	return bad(CodeTokenResponse, "%w", text)
}

// calledItself says how a client that is refused has named and proved itself. Style
// is that of the request.
func (g *codeGrant) calledItself(style oauth2.AuthStyle, secret string) string {
	id := told.Clip(g.config.ClientID)
	switch {
	case secret == "":
		return fmt.Sprintf("client_id is %q, sent by method none: there is no ClientSecret", id)
	case style == oauth2.AuthStyleInHeader:
		return fmt.Sprintf("client_id is %q, sent by method client_secret_basic", id)
	}
	return fmt.Sprintf("client_id is %q, sent by method client_secret_post", id)
}
