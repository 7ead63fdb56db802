package core_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func refusals() []refusal {
	rows := append(callbackRefusals(), tokenRefusals()...)
	rows = append(rows, idTokenRefusals()...)
	return append(rows, lastRefusals()...)
}

// What the browser brings: CHECKLIST 27 to 36.
func callbackRefusals() []refusal {
	set := func(name string, values ...string) func(url.Values) {
		return func(query url.Values) { query[name] = values }
	}
	return []refusal{
		{name: "nothing wrong"},
		{name: "unknown parameters", callback: set("session_state", "x")},
		{name: "tokens in the front channel are ignored", callback: set("id_token", "x")},

		{name: "iss of another", callback: set("iss", "https://other.example.test"), code: "callback_untrusted"},
		{name: "iss with a slash", callback: set("iss", issuer+"/"), code: "callback_untrusted"},
		{name: "iss in capitals", callback: set("iss", strings.ToUpper(issuer)), code: "callback_untrusted"},
		{name: "iss with the port", callback: set("iss", issuer+":443"), code: "callback_untrusted"},
		{name: "iss empty", callback: set("iss", ""), code: "callback_untrusted"},
		{name: "iss twice", callback: set("iss", issuer, issuer), code: "callback_untrusted"},
		{name: "iss missing though promised", callback: func(q url.Values) { q.Del("iss") }, code: "callback_untrusted"},
		{name: "iss missing and not promised", callback: func(q url.Values) { q.Del("iss") }, metadata: func(m map[string]any) {
			delete(m, "authorization_response_iss_parameter_supported")
		}},
		{name: "iss wrong and not promised", callback: set("iss", issuer+"1"), metadata: func(m map[string]any) {
			delete(m, "authorization_response_iss_parameter_supported")
		}, code: "callback_untrusted"},

		{name: "access denied", callback: func(q url.Values) { q.Del("code"); q.Set("error", "access_denied") }, status: 403, code: "access_denied"},
		{name: "another error", callback: func(q url.Values) { q.Del("code"); q.Set("error", "server_error") }, status: 403, code: "provider_refused"},
		{name: "error and code", callback: set("error", "server_error"), status: 403, code: "provider_refused"},
		{name: "error with another's iss", callback: func(q url.Values) { q.Set("error", "access_denied"); q.Set("iss", "x") }, code: "callback_untrusted"},

		{name: "code missing", callback: func(q url.Values) { q.Del("code") }, code: "callback_untrusted"},
		{name: "code empty", callback: set("code", ""), code: "callback_untrusted"},
		{name: "code twice", callback: set("code", "a", "b"), code: "callback_untrusted"},
		{name: "code of nobody", callback: set("code", "made-up"), status: 403, code: "code_refused", spent: true},
		{name: "code that is hostile", callback: set("code", "<script>'\"&= "), status: 403, code: "code_refused", spent: true},
		{name: "code with control characters", callback: set("code", "a\r\nb"), code: "callback_untrusted"},
		{name: "code that is not ASCII", callback: set("code", "ä"), code: "callback_untrusted"},
		{name: "code that is huge", callback: set("code", strings.Repeat("a", 100<<10)), code: "callback_untrusted"},
	}
}

// What the token endpoint answers: CHECKLIST 49 to 57.
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
		{name: "token_type in another case", token: set("token_type", "bEARER")},
		{name: "unknown members", token: set("x", map[string]any{"y": 1})},
		{name: "no expires_in", token: func(m map[string]any) { delete(m, "expires_in") }},
		{name: "expires_in a string", token: set("expires_in", "3600")},

		{name: "token_type mac", token: set("token_type", "mac"), status: 502, code: "token_response_untrusted", spent: true},
		{name: "token_type missing", token: func(m map[string]any) { delete(m, "token_type") }, status: 502, code: "token_response_untrusted", spent: true},
		{name: "access_token missing", token: func(m map[string]any) { delete(m, "access_token") }, status: 502, code: "token_response_untrusted", spent: true},
		{name: "id_token missing", token: func(m map[string]any) { delete(m, "id_token") }, status: 502, code: "token_response_untrusted", spent: true},
		{name: "id_token empty", token: set("id_token", ""), status: 502, code: "token_response_untrusted", spent: true},
		{name: "id_token a number", token: set("id_token", 7), status: 502, code: "token_response_untrusted", spent: true},
		{name: "id_token huge", token: set("id_token", strings.Repeat("a", 100<<10)), status: 502, code: "id_token_untrusted", spent: true},
		{name: "expires_in absurd", token: set("expires_in", json.Number("1e30")), status: 502, code: "token_response_untrusted", spent: true},

		{name: "HTML with 200", faults: answer(200, "text/html", "<h1>welcome</h1>"), status: 502, code: "token_response_untrusted", spent: true},
		{name: "HTML with 404", faults: answer(404, "text/html", "<h1>gone</h1>"), status: 502, code: "token_response_untrusted", spent: true},
		{name: "500", faults: answer(500, "text/plain", "oops"), status: 503, code: "provider_unavailable", spent: true},
		{name: "too many requests", faults: answer(429, "text/plain", "slow down"), status: 503, code: "provider_unavailable", spent: true},
		{name: "redirect", faults: answer(307, "text/plain", ""), status: 502, code: "token_response_untrusted", spent: true},
		{name: "error with 200", faults: answer(200, "application/json", `{"error":"invalid_grant"}`), status: 403, code: "code_refused", spent: true},
		{name: "client refused", faults: answer(401, "application/json", `{"error":"invalid_client"}`), status: 502, code: "client_refused", spent: true},
		{name: "too large", faults: answer(200, "application/json", `{"x":"`+strings.Repeat("a", 2<<20)+`"}`), status: 502, code: "token_response_untrusted", spent: true},
		{name: "closed connection", faults: logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e == logintest.Token {
				panic(http.ErrAbortHandler)
			}
			return false
		}}, status: 503, code: "provider_unavailable", spent: true},
	}
}

// What the ID token says: CHECKLIST 58 to 76, and the modules oidcc-client-test-*.
func idTokenRefusals() []refusal {
	const untrusted = "id_token_untrusted"
	now := time.Now()
	var rows []refusal
	claim := func(name, claim string, value any) {
		rows = append(rows, refusal{name: name, status: 502, code: untrusted, spent: true, claim: func(c map[string]any) {
			if c[claim] = value; value == nil {
				delete(c, claim)
			}
		}})
	}
	accept := func(name, claim string, value any) {
		rows = append(rows, refusal{name: name, claim: func(c map[string]any) { c[claim] = value }})
	}
	claim("iss of another", "iss", issuer+"1")
	claim("iss with a slash", "iss", issuer+"/")
	claim("iss missing", "iss", nil)
	claim("aud of another", "aud", "app1")
	claim("aud missing", "aud", nil)
	claim("aud a number", "aud", 1)
	claim("aud of two", "aud", []string{"app", "other"})
	accept("aud an array of one", "aud", []string{"app"})
	claim("azp of another", "azp", "other")
	claim("azp a number", "azp", 1)
	accept("azp of this client", "azp", "app")
	claim("exp past", "exp", now.Add(-6*time.Minute).Unix())
	claim("exp missing", "exp", nil)
	claim("exp a string", "exp", fmt.Sprint(now.Add(time.Hour).Unix()))
	claim("exp beyond reason", "exp", 1e300)
	claim("iat missing", "iat", nil)
	claim("iat a string", "iat", fmt.Sprint(now.Unix()))
	claim("iat an hour ahead", "iat", now.Add(time.Hour).Unix())
	claim("iat a week old", "iat", now.Add(-7*24*time.Hour).Unix())
	accept("iat a minute ahead", "iat", now.Add(time.Minute).Unix())
	claim("nbf in the future", "nbf", now.Add(time.Hour).Unix())
	claim("nbf a string", "nbf", "soon")
	accept("nbf past", "nbf", now.Add(-time.Hour).Unix())
	claim("nonce of another login", "nonce", strings.Repeat("A", 43))
	claim("nonce missing", "nonce", nil)
	claim("nonce empty", "nonce", "")
	claim("nonce a number", "nonce", 1)
	claim("sub missing", "sub", nil)
	claim("sub empty", "sub", "")
	claim("sub a number", "sub", 7)
	claim("sub of 256 characters", "sub", strings.Repeat("a", 256))
	claim("sub not ASCII", "sub", "adä")
	claim("sub with a line break", "sub", "a\nb")
	claim("at_hash wrong", "at_hash", base64.RawURLEncoding.EncodeToString(make([]byte, 16)))
	claim("at_hash empty", "at_hash", "")
	claim("events: a logout token", "events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}})
	rows = append(rows, refusal{name: "at_hash missing is fine", claim: func(c map[string]any) { delete(c, "at_hash") }})

	maxAge := func(name string, authTime any, code string) {
		rows = append(rows, refusal{name: name, code: code, status: 502, spent: true, config: func(c *core.Config) {
			c.Providers[0].AuthParams = url.Values{"max_age": {"300"}}
		}, claim: func(c map[string]any) {
			if c["auth_time"] = authTime; authTime == nil {
				delete(c, "auth_time")
			}
		}})
	}
	maxAge("rule 69: auth_time within max_age", now.Add(-5*time.Minute).Unix(), "")
	maxAge("rule 69: auth_time before max_age", now.Add(-7*time.Minute).Unix(), untrusted)
	maxAge("rule 69: auth_time missing although max_age was asked for", nil, untrusted)
	maxAge("rule 69: auth_time a string", fmt.Sprint(now.Unix()), untrusted)

	header := func(name string, header func(map[string]any)) {
		rows = append(rows, refusal{name: name, status: 502, code: untrusted, spent: true, header: header})
	}
	header("alg none", func(h map[string]any) { h["alg"] = "none" })
	header("alg HS256 by the public key", func(h map[string]any) { h["alg"] = "HS256" })
	header("kid unknown", func(h map[string]any) { h["kid"] = "unknown" })
	header("crit unknown", func(h map[string]any) { h["crit"] = []string{"x"}; h["x"] = true })
	rows = append(rows,
		refusal{name: "alg ES256, announced", header: func(h map[string]any) { h["alg"] = "ES256" }},
		refusal{name: "alg ES256, not announced", status: 502, code: untrusted, spent: true,
			header:   func(h map[string]any) { h["alg"] = "ES256" },
			metadata: func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"RS256"} }},
		refusal{name: "alg none, announced", status: 502, code: untrusted, spent: true,
			header:   func(h map[string]any) { h["alg"] = "none" },
			metadata: func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"none", "RS256"} }},
		refusal{name: "alg HS256, the only one announced", status: 502, code: untrusted, spent: true,
			header:   func(h map[string]any) { h["alg"] = "HS256" },
			metadata: func(m map[string]any) { m["id_token_signing_alg_values_supported"] = []string{"HS256"} }},
		refusal{name: "kid absent", header: func(h map[string]any) { delete(h, "kid") }},
		refusal{name: "typ of an access token", status: 502, code: untrusted, spent: true, header: func(h map[string]any) { h["typ"] = "at+jwt" }},
		refusal{name: "typ of a logout token", status: 502, code: untrusted, spent: true, header: func(h map[string]any) { h["typ"] = "logout+jwt" }},
	)

	signed := func(name string, change func(string) string) {
		rows = append(rows, refusal{name: name, status: 502, code: untrusted, spent: true,
			faults: logintest.Faults{SignedIDToken: change}})
	}
	signed("signature changed", func(token string) string {
		middle := len(token) - 20
		return token[:middle] + flip(token[middle]) + token[middle+1:]
	})
	signed("signature cut off", func(token string) string { return token[:strings.LastIndex(token, ".")+1] })
	signed("payload of another", func(token string) string {
		parts := strings.Split(token, ".")
		return parts[0] + "." + parts[1][:len(parts[1])-4] + "." + parts[2]
	})
	signed("not a token", func(string) string { return "a.b.c" })
	signed("many dots", func(string) string { return strings.Repeat(".", 60000) })
	return rows
}

func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

// What comes after the ID token: CHECKLIST 84, 105; and the provider itself.
func lastRefusals() []refusal {
	withUserInfo := func(c *core.Config) { c.Providers[0].UserInfo = true }
	onLogin := func(err error) func(*core.Config) {
		return func(c *core.Config) {
			was := c.OnLogin
			c.OnLogin = func(ctx context.Context, u *core.User) error {
				if u.Subject == "before" {
					return was(ctx, u)
				}
				return err
			}
		}
	}
	ignored := func(map[string]any) {}
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
		return func(c map[string]any) { c["groups"] = strings.Repeat("g", bytes) }
	}
	return []refusal{
		{name: "UserInfo of the same", config: withUserInfo, userInfo: func(map[string]any) {}},
		{name: "UserInfo of another", config: withUserInfo, userInfo: func(c map[string]any) { c["sub"] = "afterinvalid" }, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "UserInfo of nobody", config: withUserInfo, userInfo: func(c map[string]any) { delete(c, "sub") }, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "UserInfo with a number", config: withUserInfo, userInfo: func(c map[string]any) { c["sub"] = 7 }, status: 502, code: "userinfo_untrusted", spent: true},

		{name: "UserInfo refuses", config: withUserInfo, faults: infoFails(401, "application/json", "{}"), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "UserInfo fails", config: withUserInfo, faults: infoFails(500, "text/plain", "oops"), userInfo: ignored, status: 503, code: "provider_unavailable", spent: true},
		{name: "UserInfo in HTML", config: withUserInfo, faults: infoFails(200, "text/html", "<html>"), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "UserInfo signed, which nobody would verify", config: withUserInfo, faults: infoFails(200, "application/jwt", `{"sub":"after"}`), userInfo: ignored, status: 502, code: "userinfo_untrusted", spent: true},
		{name: "UserInfo huge", config: withUserInfo, faults: infoFails(200, "application/json", strings.Repeat(" ", 2<<20)), userInfo: ignored, status: 503, code: "provider_unavailable", spent: true},
		{name: "UserInfo nowhere", config: withUserInfo, userInfo: ignored, metadata: func(m map[string]any) { delete(m, "userinfo_endpoint") }},

		{name: "OnLogin refuses", config: onLogin(errors.New("not on the list")), status: 403, code: "login_refused", spent: true},
		{name: "OnLogin refuses in its own words", config: onLogin(&core.Error{Status: 409, Code: "no_seat", Public: "No seat is left."}), status: 409, code: "no_seat", spent: true},

		{name: "claims in two cookies", claim: claims(3000)},
		{name: "OnLogin passes but the claims do not fit", claim: claims(9000), status: 500, code: "session_too_large", spent: true},

		{name: "keys not to be had", faults: logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e == logintest.JWKS {
				w.WriteHeader(500)
			}
			return e == logintest.JWKS
		}}, status: 503, code: "provider_unavailable", spent: true},
		{name: "keys of somebody else", faults: logintest.Faults{JWKS: func(set map[string]any) { set["keys"] = []any{} }}, status: 502, code: "id_token_untrusted", spent: true},
		{name: "keys not a set", faults: logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e == logintest.JWKS {
				fmt.Fprint(w, "<html>")
			}
			return e == logintest.JWKS
		}}, status: 502, code: "provider_metadata_invalid", spent: true},
	}
}
