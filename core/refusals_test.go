package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func refusals() []refusal {
	rows := append(callbackRefusals(), tokenRefusals()...)
	rows = append(rows, idTokenRefusals()...)
	return append(rows, lastRefusals()...)
}

// What the browser brings.
func callbackRefusals() []refusal {
	set := func(name string, values ...string) func(url.Values) {
		return func(query url.Values) { query[name] = values }
	}
	return []refusal{
		{name: "nothing wrong"},
		{name: "rule 32: unknown parameters", callback: set("session_state", "x")},
		{name: "rule 35: tokens beside the code are ignored", callback: func(q url.Values) { q.Set("id_token", "x"); q.Set("access_token", "x") }},
		{name: "rule 35: tokens in place of the code", callback: func(q url.Values) { q.Del("code"); q.Set("id_token", "x"); q.Set("access_token", "x") }, code: "callback_untrusted"},

		{name: "rule 27: iss of another", callback: set("iss", "https://other.example.test"), code: "callback_untrusted"},
		{name: "rule 27: iss with a slash", callback: set("iss", issuer+"/"), code: "callback_untrusted"},
		{name: "rule 27: iss in capitals", callback: set("iss", strings.ToUpper(issuer)), code: "callback_untrusted"},
		{name: "rule 27: iss with the port", callback: set("iss", issuer+":443"), code: "callback_untrusted"},
		{name: "rule 27: iss percent-encoded", callback: set("iss", strings.Replace(issuer, ".", "%2E", 1)), code: "callback_untrusted"},
		{name: "rule 27: iss cut short", callback: set("iss", issuer[:len(issuer)-1]), code: "callback_untrusted"},
		{name: "rule 27: iss empty", callback: set("iss", ""), code: "callback_untrusted"},
		{name: "rule 33: iss twice", callback: set("iss", issuer, issuer), code: "callback_untrusted"},
		{name: "rule 28: iss missing though promised", callback: func(q url.Values) { q.Del("iss") }, code: "callback_untrusted"},
		{name: "rule 29: iss missing and not promised", callback: func(q url.Values) { q.Del("iss") }, metadata: func(m map[string]any) {
			delete(m, "authorization_response_iss_parameter_supported")
		}},
		{name: "rule 29: iss right and not promised", metadata: func(m map[string]any) {
			delete(m, "authorization_response_iss_parameter_supported")
		}},
		{name: "rule 29: iss wrong and not promised", callback: set("iss", issuer+"1"), metadata: func(m map[string]any) {
			delete(m, "authorization_response_iss_parameter_supported")
		}, code: "callback_untrusted"},

		{name: "access denied", callback: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, status: 403, code: "access_denied"},
		{name: "another error", callback: func(q url.Values) { q.Del("code"); q.Set("error", "server_error") }, status: 403, code: "provider_refused"},
		{name: "rule 34: error and code", callback: set("error", "server_error"), status: 403, code: "provider_refused"},
		{name: "rule 31: error with another's iss", callback: func(q url.Values) { q.Set("error", "access_denied"); q.Set("iss", "x") }, code: "callback_untrusted"},

		{name: "rule 34: neither code nor error", callback: func(q url.Values) { q.Del("code") }, code: "callback_untrusted"},
		{name: "rule 34: code empty", callback: set("code", ""), code: "callback_untrusted"},
		{name: "rule 33: code twice", callback: set("code", "a", "b"), code: "callback_untrusted"},
		{name: "code of nobody", callback: set("code", "made-up"), status: 403, code: "code_refused", spent: true},
		{name: "rule 36: code that is hostile", callback: set("code", "<script>'\"&= "), status: 403, code: "code_refused", spent: true},
		{name: "rule 36: code with control characters", callback: set("code", "a\r\nb"), code: "callback_untrusted"},
		{name: "rule 36: code that is not ASCII", callback: set("code", "ä"), code: "callback_untrusted"},
		{name: "rule 36: code of a megabyte", callback: set("code", strings.Repeat("a", 1<<20)), code: "callback_untrusted"},
		{name: "rule 36: error_description that is hostile", callback: func(q url.Values) {
			q.Set("error", "<script>canary")
			q.Set("error_description", "<script>canary\r\n\x00"+strings.Repeat("a", 1<<20))
		}, status: 403, code: "provider_refused"},
	}
}

// What the token endpoint answers.
func tokenRefusals() []refusal {
	set := func(name string, value any) func(map[string]any) {
		return func(answer map[string]any) { answer[name] = value }
	}
	answer := func(status int, contentType, body string) logintest.Faults {
		return logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e != logintest.Token {
				return false
			}
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Location", "https://elsewhere.example.test/")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}}
	}
	return []refusal{
		{name: "rule 52: token_type in another case", token: set("token_type", "bEARER")},
		{name: "rule 53: unknown members", token: set("x", map[string]any{"y": 1})},
		{name: "rule 54: no expires_in", token: func(m map[string]any) { delete(m, "expires_in") }},
		{name: "rule 54: expires_in a string", token: set("expires_in", "3600")},

		{name: "rule 54: expires_in negative", token: set("expires_in", -1)},
		{name: "rule 54: expires_in null", token: set("expires_in", nil)},

		{name: "rule 52: token_type mac", token: set("token_type", "mac"), status: 502, code: "token_response_untrusted", spent: true},
		{name: "rule 52: token_type missing", token: func(m map[string]any) { delete(m, "token_type") }, status: 502, code: "token_response_untrusted", spent: true},
		{name: "rule 57: access_token missing", token: func(m map[string]any) { delete(m, "access_token") }, status: 502, code: "token_response_untrusted", spent: true},
		{name: "rule 55: id_token missing", token: func(m map[string]any) { delete(m, "id_token") }, status: 502, code: "token_response_untrusted", spent: true},
		{name: "rule 55: id_token empty", token: set("id_token", ""), status: 502, code: "token_response_untrusted", spent: true},
		{name: "rule 55: id_token a number", token: set("id_token", 7), status: 502, code: "token_response_untrusted", spent: true},
		{name: "rule 51: id_token huge", token: set("id_token", strings.Repeat("a", 100<<10)), status: 502, code: "id_token_untrusted", spent: true},
		{name: "rule 54: expires_in absurd", token: set("expires_in", json.Number("1e30")), status: 502, code: "token_response_untrusted", spent: true},

		{name: "rule 57: HTML with 200", faults: answer(200, "text/html", "<h1>canary</h1>"), status: 502, code: "token_response_untrusted", spent: true},
		{name: "rule 57: HTML with 404", faults: answer(404, "text/html", "<h1>canary</h1>"), status: 502, code: "token_response_untrusted", spent: true},
		{name: "rules 48, 57: 500", faults: answer(500, "text/plain", "canary"), status: 503, code: "provider_unavailable", spent: true},
		{name: "rules 48, 57: too many requests", faults: answer(429, "text/plain", "canary"), status: 503, code: "provider_unavailable", spent: true},
		{name: "rule 49: redirect", faults: answer(307, "text/plain", ""), status: 502, code: "token_response_untrusted", spent: true},
		{name: "rule 57: error with 200, in a form, in GitHub's words", faults: answer(200, "application/x-www-form-urlencoded", "error=bad_verification_code&error_description=expired"), status: 403, code: "code_refused", spent: true},
		{name: "rule 57: error with 200", faults: answer(200, "application/json", `{"error":"invalid_grant"}`), status: 403, code: "code_refused", spent: true},
		{name: "rule 57: client refused", faults: answer(401, "application/json", `{"error":"invalid_client"}`), status: 502, code: "client_refused", spent: true},
		{name: "rule 57: client refused, with 400", faults: answer(400, "application/json", `{"error":"invalid_client"}`), status: 502, code: "client_refused", spent: true},
		{name: "rule 57: client not authorized", faults: answer(400, "application/json", `{"error":"unauthorized_client"}`), status: 502, code: "client_refused", spent: true},
		{name: "rule 57: client refused, by a page with 401", faults: answer(401, "text/html", "<h1>canary</h1>"), status: 502, code: "client_refused", spent: true},
		{name: "rule 57: client refused, in other words, with 401", faults: answer(401, "application/json", `{"error":"access_denied","error_description":"Unauthorized"}`), status: 502, code: "client_refused", spent: true},
		{name: "rule 57: a grant that is refused with 401", faults: answer(401, "application/json", `{"error":"invalid_grant"}`), status: 403, code: "code_refused", spent: true},
		{name: "rule 57: a request that is refused", faults: answer(400, "application/json", `{"error":"invalid_request"}`), status: 502, code: "token_request_refused", spent: true},
		{name: "rule 57: a scope that is refused", faults: answer(400, "application/json", `{"error":"invalid_scope"}`), status: 502, code: "token_request_refused", spent: true},
		{name: "rule 57: a grant type that is refused", faults: answer(400, "application/json", `{"error":"unsupported_grant_type"}`), status: 502, code: "token_request_refused", spent: true},
		{name: "rule 57: an error that nobody knows", faults: answer(400, "application/json", `{"error":"on_strike"}`), status: 502, code: "token_request_refused", spent: true},
		{name: "rule 57: an outage by name", faults: answer(400, "application/json", `{"error":"temporarily_unavailable"}`), status: 503, code: "provider_unavailable", spent: true},
		{name: "rule 57: an outage with an error", faults: answer(503, "application/json", `{"error":"invalid_request"}`), status: 503, code: "provider_unavailable", spent: true},

		{name: "rule 57: JSON that says it is text", faults: answer(400, "text/plain; charset=utf-8", ` {"error":"invalid_grant"}`), status: 403, code: "code_refused", spent: true},
		{name: "rule 57: JSON that says it is a page", faults: answer(400, "text/html", `{"error":"invalid_grant"}`), status: 403, code: "code_refused", spent: true},
		{name: "rule 57: JSON that says it is a form", faults: answer(400, "application/x-www-form-urlencoded", `{"error":"invalid_grant"}`), status: 403, code: "code_refused", spent: true},
		{name: "rule 57: JSON that says nothing", faults: answer(400, "", `{"error":"invalid_grant"}`), status: 403, code: "code_refused", spent: true},
		{name: "rule 57: a form that says it is JSON", faults: answer(400, "application/json", "error=invalid_grant&error_description=expired\n"), status: 403, code: "code_refused", spent: true},
		{name: "rule 57: a page that says it is a form", faults: answer(400, "application/x-www-form-urlencoded", "<a href=/?x=y&error=invalid_grant>canary</a>"), status: 502, code: "token_response_untrusted", spent: true},
		{name: "rule 57: a page that mentions an error", faults: answer(200, "text/plain", "error=invalid_grant is <b>canary</b>"), status: 502, code: "token_response_untrusted", spent: true},
		{name: "rule 57: an error that is no text", faults: answer(400, "application/json", `{"error":7}`), status: 502, code: "token_response_untrusted", spent: true},
		{name: "rule 57: an error that is null", faults: answer(400, "application/json", `{"error":null}`), status: 502, code: "token_response_untrusted", spent: true},
		{name: "rule 57: a description that is no text", faults: answer(400, "application/json", `{"error":"invalid_grant","error_description":["x"]}`), status: 403, code: "code_refused", spent: true},

		{name: "rule 57: GitHub, a client", faults: answer(200, "application/json", `{"error":"incorrect_client_credentials","error_description":"The client_id and/or client_secret passed are incorrect."}`), status: 502, code: "client_refused", spent: true},
		{name: "rule 57: GitHub, a redirect URI", faults: answer(200, "application/json", `{"error":"redirect_uri_mismatch"}`), status: 502, code: "token_request_refused", spent: true},
		{name: "rule 57: Slack, a code", faults: answer(200, "application/json", `{"ok":false,"error":"invalid_code"}`), status: 403, code: "code_refused", spent: true},
		{name: "rule 57: Slack, a client", faults: answer(200, "application/json", `{"ok":false,"error":"bad_client_secret"}`), status: 502, code: "client_refused", spent: true},
		{name: "rule 57: Slack, too many requests", faults: answer(200, "application/json", `{"ok":false,"error":"ratelimited"}`), status: 503, code: "provider_unavailable", spent: true},
		{name: "rule 57: Facebook, a code", faults: answer(400, "application/json", `{"error":{"message":"This authorization code has been used.","type":"OAuthException","code":100,"error_subcode":36009}}`), status: 403, code: "code_refused", spent: true},
		{name: "rule 57: Facebook, a secret", faults: answer(400, "text/javascript", `{"error":{"message":"Error validating client secret.","type":"OAuthException","code":1}}`), status: 502, code: "client_refused", spent: true},
		{name: "rule 57: Facebook, a client", faults: answer(400, "application/json", `{"error":{"message":"Error validating application.","type":"OAuthException","code":101}}`), status: 502, code: "client_refused", spent: true},
		{name: "rule 57: Facebook, an outage", faults: answer(400, "application/json", `{"error":{"message":"Service temporarily unavailable","type":"OAuthException","code":2}}`), status: 503, code: "provider_unavailable", spent: true},
		{name: "rule 57: Facebook, another error", faults: answer(400, "application/json", `{"error":{"message":"x","type":"OAuthException","code":7}}`), status: 502, code: "token_request_refused", spent: true},
		{name: "rule 57: an object that is no error of Facebook's", faults: answer(400, "application/json", `{"error":{"code":100}}`), status: 502, code: "token_response_untrusted", spent: true},
		{name: "rule 57: an object with 200", faults: answer(200, "application/json", `{"error":{"message":"x","type":"OAuthException","code":100}}`), status: 403, code: "code_refused", spent: true},
		{name: "rule 57: Microsoft, a code", faults: answer(400, "application/json", `{"error":"invalid_grant","error_description":"AADSTS54005","error_codes":[54005],"timestamp":"x","trace_id":"x","correlation_id":"x"}`), status: 403, code: "code_refused", spent: true},
		{name: "rule 57: Discord, a code", faults: answer(400, "application/json", `{"error":"invalid_grant","error_description":"Invalid \"code\" in request."}`), status: 403, code: "code_refused", spent: true},

		{name: "rule 51: too large", faults: answer(200, "application/json", `{"x":"`+strings.Repeat("a", 2<<20)+`"}`), status: 502, code: "token_response_untrusted", spent: true},
		{name: "rules 48, 57: closed connection", faults: logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e == logintest.Token {
				panic(http.ErrAbortHandler)
			}
			return false
		}}, status: 503, code: "provider_unavailable", spent: true},
	}
}

// What comes after the ID token, and the provider itself.
func lastRefusals() []refusal {
	onLogin := func(err error) func(*core.Config) {
		return func(c *core.Config) {
			was := c.OnLogin
			c.OnLogin = func(ctx context.Context, login *core.Login) error {
				if login.User.Subject == "before" {
					return was(ctx, login)
				}
				return err
			}
		}
	}
	wantsGold := func(c *core.Config) {
		c.Providers[0].Requests.AuthParams = url.Values{"acr_values": {"gold"}}
		c.OnLogin = func(_ context.Context, login *core.Login) error {
			var claims struct{ ACR string }
			if err := login.User.Claims(&claims); err != nil || login.User.Subject == "after" && claims.ACR != "gold" {
				return errors.New("not gold")
			}
			return nil
		}
	}
	acr := func(value string) func(map[string]any) { return func(c map[string]any) { c["acr"] = value } }
	ignored := func(map[string]any) {}
	nothing := func(_, _ map[string]any) {}
	signed := func(edit func(header, claims map[string]any)) logintest.Faults {
		return logintest.Faults{SignedUserInfo: edit}
	}
	set := func(name string, value any) func(_, claims map[string]any) {
		return func(_, claims map[string]any) {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
	}
	infoFails := func(status int, contentType, body string) logintest.Faults {
		return logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e == logintest.UserInfo {
				w.Header().Set("Content-Type", contentType)
				w.WriteHeader(status)
				fmt.Fprint(w, body)
			}
			return e == logintest.UserInfo
		}}
	}
	claims := func(bytes int) func(map[string]any) {
		return func(c map[string]any) { c["groups"] = noise(bytes) }
	}
	return []refusal{
		{name: "rule 84: UserInfo of the same", config: askUserInfo, userInfo: func(map[string]any) {}},
		{name: "rule 84: UserInfo of another", config: askUserInfo, userInfo: func(c map[string]any) { c["sub"] = "afterinvalid" }, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "rule 84: UserInfo of nobody", config: askUserInfo, userInfo: func(c map[string]any) { delete(c, "sub") }, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "rule 84: UserInfo with a number", config: askUserInfo, userInfo: func(c map[string]any) { c["sub"] = 7 }, status: 502, code: "userinfo_untrusted", spent: true},

		{name: "UserInfo refuses", config: askUserInfo, faults: infoFails(401, "application/json", "{}"), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "UserInfo forbids", config: askUserInfo, faults: infoFails(403, "application/json", `{"error":"insufficient_scope"}`), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "UserInfo is not there", config: askUserInfo, faults: infoFails(404, "text/html", "canary"), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "UserInfo is being mended", config: askUserInfo, faults: infoFails(503, "text/html", "canary"), userInfo: ignored, status: 503, code: "provider_unavailable", spent: true},
		{name: "UserInfo fails", config: askUserInfo, faults: infoFails(500, "text/plain", "canary"), userInfo: ignored, status: 503, code: "provider_unavailable", spent: true},
		{name: "UserInfo in HTML", config: askUserInfo, faults: infoFails(200, "text/html", "<html>canary"), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "rule 86: UserInfo that calls itself signed", config: askUserInfo, faults: infoFails(200, "application/jwt", `{"sub":"after"}`), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "rule 86: signed by the provider, for this client", config: askUserInfo, faults: signed(nothing), userInfo: ignored},
		{name: "rule 86: signed for another client", config: askUserInfo, faults: signed(set("aud", "other")), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "rule 86: signed for nobody", config: askUserInfo, faults: signed(set("aud", nil)), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "rule 86: signed as another issuer", config: askUserInfo, faults: signed(set("iss", issuer+"1")), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "rules 84, 86: signed about another", config: askUserInfo, faults: signed(set("sub", "other")), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "rule 86: not signed at all", config: askUserInfo, faults: signed(func(h, _ map[string]any) { h["alg"] = "none" }), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "rule 86: signed by the public key", config: askUserInfo, faults: signed(func(h, _ map[string]any) { h["alg"] = "HS256" }), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "rules 63, 86: signed by an algorithm that is not Checks.SigningAlg", config: func(c *core.Config) { askUserInfo(c); signingAlg("RS256")(c) }, metadata: func(m map[string]any) { m["userinfo_signing_alg_values_supported"] = []string{"RS256", "ES256"} }, faults: signed(func(h, _ map[string]any) { h["alg"] = "ES256" }), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "rules 75, 86: a token that says to be UserInfo", config: askUserInfo, faults: signed(func(h, _ map[string]any) { h["typ"] = "userinfo+jwt" }), userInfo: ignored},
		{name: "rules 75, 86: a token of a kind that nobody knows", config: askUserInfo, faults: signed(func(h, _ map[string]any) { h["typ"] = "example+jwt" }), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "rules 75, 86: a token of another kind", config: askUserInfo, faults: signed(func(h, _ map[string]any) { h["typ"] = "at+jwt" }), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "rule 51: UserInfo huge", config: askUserInfo, faults: infoFails(200, "application/json", strings.Repeat(" ", 2<<20)), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "UserInfo too busy", config: askUserInfo, faults: infoFails(429, "application/json", "{}"), userInfo: ignored, status: 503, code: "provider_unavailable", spent: true},
		{name: "UserInfo nowhere", config: askUserInfo, userInfo: ignored, metadata: func(m map[string]any) { delete(m, "userinfo_endpoint") }},

		{name: "OnLogin refuses", config: onLogin(errors.New("not on the list")), status: 403, code: "login_refused", spent: true},
		{name: "rule 68: OnLogin refuses a lower acr than it wants", config: wantsGold, claim: acr("silver"), status: 403, code: "login_refused", spent: true},
		{name: "rule 68: OnLogin accepts the acr that it wants", config: wantsGold, claim: acr("gold")},
		{name: "OnLogin refuses in its own words", config: onLogin(&core.Error{Status: 409, Code: "no_seat", Public: "No seat is left."}), status: 409, code: "no_seat", spent: true},

		{name: "rule 105: claims in two cookies", claim: claims(3000)},
		{name: "rule 105: OnLogin passes but the claims do not fit", claim: claims(9000), status: 500, code: "session_too_large", spent: true},

		{name: "keys not to be had", faults: logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e == logintest.JWKS {
				w.WriteHeader(500)
			}
			return e == logintest.JWKS
		}}, status: 503, code: "provider_unavailable", spent: true},
		{name: "keys of somebody else", faults: logintest.Faults{JWKS: func(set map[string]any) { set["keys"] = []any{} }}, status: 502, code: "id_token_untrusted", spent: true},
		{name: "keys not a set", faults: logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e == logintest.JWKS {
				fmt.Fprint(w, "<html>canary")
			}
			return e == logintest.JWKS
		}}, status: 502, code: "provider_metadata_invalid", spent: true},
	}
}
