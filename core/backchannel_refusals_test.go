package core_test

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A logoutRow is one thing about a logout token, or about how it comes, that is
// unusual.
type logoutRow struct {
	name     string
	config   func(*core.Config)
	metadata func(document map[string]any)
	header   func(header map[string]any)
	claim    func(claims map[string]any)
	token    func(token, idToken string) string // another token
	request  func(r *http.Request)
	login    string // alg of the ID token before; empty: RS256
	accepted bool
}

// Whoever is meant is logged in, stays so, and nothing is written down.
func TestBackChannelLogoutRefuses(t *testing.T) {
	t.Parallel()
	rows := append(logoutSignatureRows(), logoutClaimRows()...)
	for _, row := range append(rows, logoutRequestRows()...) {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.run(t)
		})
	}
}

func (row logoutRow) run(t *testing.T) {
	t.Helper()
	g, l := newLogoutRig(t, func(c *core.Config) {
		if row.config != nil {
			row.config(c)
		}
	})
	var idToken string
	g.provider.Misbehave(logintest.Faults{
		Discovery:     row.metadata,
		IDToken:       func(header, _ map[string]any) { header["alg"] = cmp.Or(row.login, "RS256") },
		SignedIDToken: func(token string) string { idToken = token; return token },
	})
	g.login()
	l.counts()
	token := g.provider.LogoutToken("app", g.provider.User, func(header, claims map[string]any) {
		if row.header != nil {
			row.header(header)
		}
		if row.claim != nil {
			row.claim(claims)
		}
	})
	if row.token != nil {
		token = row.token(token, idToken)
	}
	w := g.backChannel(token, func(r *http.Request) {
		if row.request != nil {
			row.request(r)
		}
	})
	reads, writes := l.counts()
	if row.accepted {
		if w.Code != http.StatusOK || w.Body.Len() != 0 || writes != 2 || g.whoAmI() != "" {
			t.Errorf("not accepted: %d, %d writes, %s\n%s", w.Code, writes, w.Body, g.log.String())
		}
		return
	}
	if w.Code != http.StatusBadRequest || w.Header().Get("Content-Type") != "application/problem+json" ||
		!strings.Contains(w.Body.String(), `"code":"logout_token_untrusted"`) {
		t.Errorf("got %d: %s", w.Code, w.Body)
	}
	if reads != 0 || writes != 0 {
		t.Errorf("the revocations were asked %d times and told %d times", reads, writes)
	}
	if got := g.whoAmI(); got != "I am ada" {
		t.Errorf("the session: got %q", got)
	}
	line := g.log.String()
	if strings.Count(line, "\n") != 1 || !strings.Contains(line, "logout_token_untrusted") {
		t.Errorf("logged %q", line)
	}
	if signature := token[strings.LastIndex(token, ".")+1:]; len(signature) > 40 && strings.Contains(line, signature[:40]) {
		t.Error("the token is in the log")
	}
}

func logoutSignatureRows() []logoutRow {
	alg := func(alg string) func(map[string]any) { return func(h map[string]any) { h["alg"] = alg } }
	announced := func(algs ...string) func(map[string]any) {
		return func(m map[string]any) { m["id_token_signing_alg_values_supported"] = algs }
	}
	token := func(name string, change func(string) string) logoutRow {
		return logoutRow{name: name, token: func(token, _ string) string { return change(token) }}
	}
	typ := func(name string, value any) logoutRow {
		return logoutRow{name: name, header: func(h map[string]any) { h["typ"] = value }}
	}
	accept := func(row logoutRow) logoutRow { row.accepted = true; return row }
	return []logoutRow{
		{name: "rule 120: nothing wrong", accepted: true},
		{name: "rule 120: alg ES256, announced", header: alg("ES256"), accepted: true},
		{name: "rule 120: kid absent", header: func(h map[string]any) { delete(h, "kid") }, accepted: true},
		{name: "rule 120: alg none", header: alg("none")},
		{name: "rule 120: alg none, announced", header: alg("none"), metadata: announced("none", "RS256")},
		{name: "rule 120: alg HS256 by the public key", header: alg("HS256")},
		{name: "rule 120: alg HS256 by the public key, announced", header: alg("HS256"), metadata: announced("HS256", "RS256")},
		{name: "rule 120: alg ES256, announced, and RS256 is Checks.SigningAlg", header: alg("ES256"), config: signingAlg("RS256"), metadata: announced("ES256", "RS256")},
		{name: "rule 120: alg RS256, which is Checks.SigningAlg", config: signingAlg("RS256"), accepted: true},
		{name: "rule 120: alg ES256, not announced", header: alg("ES256"), metadata: announced("RS256")},
		{name: "rule 120: alg RS256, not announced", metadata: announced("ES256"), login: "ES256"},
		{name: "rule 120: kid unknown", header: func(h map[string]any) { h["kid"] = "unknown" }},
		{name: "rule 120: crit unknown", header: func(h map[string]any) { h["crit"] = []string{"x"}; h["x"] = true }},
		token("rule 120: alg HS256 by the client secret", withHeader(map[string]any{"alg": "HS256"}, []byte("canary-client-secret"))),
		token("rule 120: alg None in capitals, unsigned", withHeader(map[string]any{"alg": "None"}, nil)),
		token("rule 120: no alg, unsigned", withHeader(map[string]any{"typ": "logout+jwt"}, nil)),
		token("rule 120: signature changed", func(token string) string {
			at := len(token) - 20
			return token[:at] + flip(token[at]) + token[at+1:]
		}),
		token("rule 120: signature cut off", func(token string) string { return token[:strings.LastIndex(token, ".")+1] }),
		token("rule 120: signature in another spelling", respelled),
		token("rule 120: signed by somebody else's key of the same name", func(token string) string {
			other := logintest.NewProvider(issuer)
			other.RotateKeys() // or it would share the RSA key
			return other.Sign(decodeToken(token))
		}),
		token("rule 120: key in the token's own header", func(token string) string { return signedByOwnKey(token, true) }),
		token("rule 120: addresses of keys in the token's own header", func(token string) string { return signedByOwnKey(token, false) }),
		token("rule 120: an encrypted token", func(string) string { return "eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d" }),
		token("rule 120: not a token", func(string) string { return "a.b.c" }),
		token("rule 120: many dots", func(string) string { return strings.Repeat(".", 60000) }),

		accept(typ("typ JWT", "JWT")),
		accept(typ("typ null, which says nothing", nil)),
		accept(typ("typ at length, in capitals", "application/LOGOUT+JWT")),
		accept(logoutRow{name: "typ absent", header: func(h map[string]any) { delete(h, "typ") }}),
		typ("rule 122: typ of an access token", "at+jwt"),
		typ("rule 122: typ of another event", "secevent+jwt"),
		typ("rule 122: typ empty", ""),
		typ("rule 122: typ a number", 7),
		{name: "rule 122: an ID token, genuine and fresh", token: func(_, idToken string) string { return idToken }},
	}
}

// respelled is a token with a signature of the same bytes that nobody has signed.
func respelled(token string) string {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := strings.IndexByte(alphabet, token[len(token)-1])
	return token[:len(token)-1] + alphabet[last|1:last|1+1] // the last four bits say nothing
}

func logoutClaimRows() []logoutRow {
	var rows []logoutRow
	set := func(claim string, value any) func(map[string]any) {
		return func(c map[string]any) {
			if from, ok := value.(time.Duration); ok { // from now, which is when the token is issued
				c[claim] = c["iat"].(int64) + int64(from/time.Second)
				return
			}
			if c[claim] = value; value == nil {
				delete(c, claim)
			}
		}
	}
	refuse := func(name, claim string, value any) {
		rows = append(rows, logoutRow{name: name, claim: set(claim, value)})
	}
	accept := func(name, claim string, value any) {
		rows = append(rows, logoutRow{name: name, claim: set(claim, value), accepted: true})
	}
	event := func(value any) map[string]any {
		return map[string]any{"http://schemas.openid.net/event/backchannel-logout": value}
	}
	refuse("rule 121: iss of another", "iss", issuer+"1")
	refuse("rule 121: iss with a slash", "iss", issuer+"/")
	refuse("rule 121: iss missing", "iss", nil)
	refuse("rule 121: iss in an array", "iss", []string{issuer})
	refuse("rule 121: aud of another", "aud", "app1")
	refuse("rule 121: aud missing", "aud", nil)
	refuse("rule 121: aud an empty array", "aud", []string{})
	accept("rule 121: aud an array of one", "aud", []string{"app"})
	refuse("rule 121: aud of two", "aud", []string{"app", "other"})
	refuse("rule 121: azp of another", "azp", "other")
	trust := func(c *core.Config) { c.Providers[0].Checks.TrustedAudiences = []string{"project"} }
	rows = append(rows,
		logoutRow{name: "rule 121: aud of two, one of them trusted, and azp", accepted: true, config: trust, claim: func(c map[string]any) {
			c["aud"], c["azp"] = []string{"app", "project"}, "app"
		}},
		logoutRow{name: "rule 121: aud of two, one of them trusted, without azp", config: trust, claim: set("aud", []string{"app", "project"})},
		logoutRow{name: "rule 121: aud of a trusted one alone", config: trust, claim: set("aud", "project")})
	refuse("rule 121: exp past", "exp", -time.Second)
	refuse("rule 121: exp missing", "exp", nil)
	refuse("rule 121: exp beyond reason", "exp", 1e300)
	refuse("rule 121: iat missing", "iat", nil)
	refuse("rule 121: iat of more than an hour ago", "iat", -61*time.Minute)
	accept("rule 121: iat of nearly an hour ago", "iat", -59*time.Minute)
	refuse("rule 121: iat six minutes ahead", "iat", 6*time.Minute)
	accept("rule 121: iat a minute ahead", "iat", time.Minute)
	for _, date := range []string{"exp", "iat"} {
		rows = append(rows, logoutRow{name: "rule 121: a string for " + date, claim: func(c map[string]any) { c[date] = fmt.Sprint(c[date]) }})
	}
	refuse("rule 121: nbf in the future", "nbf", time.Hour)
	refuse("rule 121: nbf a string", "nbf", "soon")
	accept("rule 121: nbf past", "nbf", -time.Hour)

	refuse("rule 122: events missing", "events", nil)
	refuse("rule 122: events empty", "events", map[string]any{})
	refuse("rule 122: events a string", "events", "http://schemas.openid.net/event/backchannel-logout")
	refuse("rule 122: events an array", "events", []any{event(map[string]any{})})
	refuse("rule 122: another event", "events", map[string]any{"http://schemas.openid.net/event/backchannel-logout2": map[string]any{}})
	refuse("rule 122: the event a string", "events", event("yes"))
	refuse("rule 122: the event an array", "events", event([]any{}))
	refuse("rule 122: the event null", "events", event(nil))
	accept("rule 122: the event with members", "events", event(map[string]any{"reason": "x"}))
	accept("rule 122: one more event", "events", map[string]any{
		"http://schemas.openid.net/event/backchannel-logout": map[string]any{}, "https://example.test/more": 1})
	refuse("rule 121: exp null", "exp", json.RawMessage("null"))
	refuse("rule 122: nonce", "nonce", "n")
	refuse("rule 122: nonce empty", "nonce", "")
	rows = append(rows,
		logoutRow{name: "rule 122: nonce null, which says nothing", claim: func(c map[string]any) { c["nonce"] = nil }, accepted: true},
		logoutRow{name: "rule 122: neither sub nor sid", claim: func(c map[string]any) { delete(c, "sub"); delete(c, "sid") }},
		logoutRow{name: "rule 122: sub without sid", claim: set("sid", nil), accepted: true},
		logoutRow{name: "rule 122: sid without sub", claim: set("sub", nil), accepted: true})
	refuse("rule 122: sub a number", "sub", 7)
	refuse("rule 122: sub empty", "sub", "")
	refuse("rule 122: sub of 256 characters", "sub", strings.Repeat("a", 256))
	refuse("rule 122: sub not ASCII", "sub", "adä")
	refuse("rule 122: sid a number", "sid", 7)
	refuse("rule 122: sid empty", "sid", "")
	refuse("rule 122: sid in an array", "sid", []string{"first"})

	refuse("rule 123: jti missing", "jti", nil)
	refuse("rule 123: jti empty", "jti", "")
	refuse("rule 123: jti a number", "jti", 7)
	refuse("rule 123: jti of 1025 bytes", "jti", strings.Repeat("j", 1025))
	accept("rule 123: jti of 1024 bytes", "jti", strings.Repeat("j", 1024))
	accept("rule 124: an unknown claim", "trace", map[string]any{"x": 1})
	return rows
}

// How the token comes.
func logoutRequestRows() []logoutRow {
	form := func(r *http.Request) url.Values {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		values, err := url.ParseQuery(string(body))
		if err != nil {
			panic(err)
		}
		return values
	}
	body := func(edit func(url.Values)) func(*http.Request) {
		return func(r *http.Request) {
			values := form(r)
			edit(values)
			r.Body = io.NopCloser(strings.NewReader(values.Encode()))
		}
	}
	kind := func(kind string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Content-Type", kind) }
	}
	accept := func(row logoutRow) logoutRow { row.accepted = true; return row }
	return []logoutRow{
		accept(logoutRow{name: "rule 124: unknown fields", request: body(func(v url.Values) { v.Set("extra", "x"); v.Add("extra", "y") })}),
		accept(logoutRow{name: "rule 124: a form that names its charset", request: kind("application/x-www-form-urlencoded; charset=UTF-8")}),
		accept(logoutRow{name: "rule 124: parameters in the URL beside it", request: func(r *http.Request) { r.URL.RawQuery = "logout_token=x" }}),
		accept(logoutRow{name: "rule 124: by a client that says it reads HTML", request: func(r *http.Request) { r.Header.Set("Accept", "text/html") }}),
		{name: "rule 124: a problem document also to who says to read HTML", claim: func(c map[string]any) { delete(c, "jti") },
			request: func(r *http.Request) { r.Header.Set("Accept", "text/html") }},
		{name: "rule 124: no logout_token", request: body(func(v url.Values) { v.Del("logout_token") })},
		{name: "rule 124: logout_token empty", request: body(func(v url.Values) { v.Set("logout_token", "") })},
		{name: "rule 124: logout_token twice", request: body(func(v url.Values) { v.Add("logout_token", v.Get("logout_token")) })},
		{name: "rule 124: logout_token in the URL", request: func(r *http.Request) {
			r.URL.RawQuery = form(r).Encode()
			r.Body = http.NoBody
		}},
		{name: "rule 124: as JSON", request: kind("application/json")},
		{name: "rule 124: as a token by itself", request: kind("application/logout+jwt")},
		{name: "rule 124: of no type", request: func(r *http.Request) { r.Header.Del("Content-Type") }},
		{name: "rule 124: more than 64 KB", request: body(func(v url.Values) { v.Set("extra", strings.Repeat(rand.Text(), 3000)) })},
		{name: "rule 124: a body that is no form", request: func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("%zz=%;&&=")) }},
		{name: "rule 124: payload that is not base64url", token: func(token, _ string) string {
			parts := strings.Split(token, ".")
			return parts[0] + "." + strings.ReplaceAll(parts[1], "e", "+") + "." + parts[2]
		}},
		{name: "rule 124: payload with a member twice", token: func(token, _ string) string {
			parts := strings.Split(token, ".")
			payload := `{"iss":"` + issuer + `","iss":"` + issuer + `"}`
			return parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + "." + parts[2]
		}},
	}
}
