package core_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// What the ID token says. All logins here ask UserInfo too: the access token
// must not be used before the ID token has passed.
func idTokenRefusals() []refusal {
	rows := append(claimRefusals(), signatureRefusals()...)
	for i := range rows {
		config := rows[i].config
		rows[i].config = func(c *core.Config) {
			c.Providers[0].Requests.UserInfo = true
			if config != nil {
				config(c)
			}
		}
	}
	return rows
}

func claimRefusals() []refusal {
	var rows []refusal
	type text time.Duration // from now, as text
	set := func(claim string, value any) func(map[string]any) {
		return func(c map[string]any) {
			switch from := value.(type) { // from now, which is when the token is issued
			case time.Duration:
				c[claim] = c["iat"].(int64) + int64(from/time.Second)
				return
			case text:
				c[claim] = fmt.Sprint(c["iat"].(int64) + int64(time.Duration(from)/time.Second))
				return
			}
			if c[claim] = value; value == nil {
				delete(c, claim)
			}
		}
	}
	refuse := func(name, claim string, value any) {
		rows = append(rows, refusal{name: name, status: 502, code: "id_token_untrusted", spent: true, claim: set(claim, value)})
	}
	accept := func(name, claim string, value any) {
		rows = append(rows, refusal{name: name, claim: set(claim, value)})
	}
	refuse("rule 58: iss of another", "iss", issuer+"1")
	refuse("rule 58: iss with a slash", "iss", issuer+"/")
	refuse("rule 58: iss in capitals", "iss", strings.ToUpper(issuer))
	refuse("rule 58: iss missing", "iss", nil)
	refuse("rule 58: iss in an array", "iss", []string{issuer})
	refuse("rule 59: aud of another", "aud", "app1")
	refuse("rule 59: aud missing", "aud", nil)
	refuse("rule 59: aud a number", "aud", 1)
	refuse("rule 59: aud an array of another", "aud", []string{"app1"})
	refuse("rule 59: aud an empty array", "aud", []string{})
	accept("rule 59: aud an array of one", "aud", []string{"app"})
	refuse("rule 60: aud of two", "aud", []string{"app", "other"})
	trusting := len(rows) // of those who trust another audience
	accept("rule 60: aud of two, one of them trusted, for this client", "aud", []string{"app", "project"})
	refuse("rule 60: aud of a trusted one alone", "aud", []string{"project"})
	refuse("rule 60: aud of three, one of them not trusted", "aud", []string{"app", "project", "other"})
	refuse("rule 61: aud of two, and no azp", "aud", []string{"app", "project"})
	for i := range rows[trusting:] {
		row := &rows[trusting+i]
		row.config = func(c *core.Config) { c.Providers[0].Checks.TrustedAudiences = []string{"project"} }
		if audience := row.claim; !strings.HasSuffix(row.name, "no azp") {
			row.claim = func(c map[string]any) { audience(c); c["azp"] = "app" }
		}
	}
	refuse("rule 61: azp of another", "azp", "other")
	refuse("rule 61: azp a number", "azp", 1)
	accept("rule 61: azp of this client", "azp", "app")
	refuse("rule 65: exp past", "exp", -6*time.Minute)
	refuse("rule 65: exp missing", "exp", nil)
	refuse("rule 65: exp a string", "exp", text(time.Hour))
	refuse("rule 65: exp beyond 2^53", "exp", 1<<53+2)
	refuse("rule 65: exp beyond reason", "exp", 1e300)
	refuse("rule 66: iat missing", "iat", nil)
	refuse("rule 66: iat a string", "iat", text(0))
	refuse("rule 66: iat an hour ahead", "iat", time.Hour)
	refuse("rule 66: iat a week old", "iat", -7*24*time.Hour)
	accept("rule 66: iat a minute ahead", "iat", time.Minute)
	refuse("nbf in the future", "nbf", time.Hour)
	refuse("nbf a string", "nbf", "soon")
	accept("nbf past", "nbf", -time.Hour)
	refuse("rules 56, 67: nonce of another login", "nonce", strings.Repeat("A", 43))
	refuse("rule 67: nonce missing", "nonce", nil)
	refuse("rule 67: nonce empty", "nonce", "")
	refuse("rule 67: nonce a number", "nonce", 1)
	refuse("rule 70: sub missing", "sub", nil)
	refuse("rule 70: sub empty", "sub", "")
	refuse("rule 70: sub a number", "sub", 7)
	refuse("rule 70: sub of 256 characters", "sub", strings.Repeat("a", 256))
	refuse("rule 70: sub not ASCII", "sub", "adä")
	refuse("rule 70: sub with a line break", "sub", "a\nb")
	refuse("rule 71: at_hash wrong", "at_hash", base64.RawURLEncoding.EncodeToString(make([]byte, 16)))
	refuse("rule 71: at_hash empty", "at_hash", "")
	accept("rule 71: at_hash missing is fine", "at_hash", nil)
	refuse("rule 75: events, which make it a logout token", "events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}})

	first := len(rows) // of those who ask for max_age
	accept("rule 69: auth_time within max_age", "auth_time", -time.Hour)
	refuse("rule 69: auth_time before max_age", "auth_time", -3*time.Hour)
	refuse("rule 69: auth_time missing although max_age was asked for", "auth_time", nil)
	refuse("rule 69: auth_time a string", "auth_time", text(0))
	for i := range rows[first:] {
		rows[first+i].config = func(c *core.Config) { c.Providers[0].Requests.AuthParams = url.Values{"max_age": {"7200"}} }
	}
	return rows
}

func signatureRefusals() []refusal {
	var rows []refusal
	header := func(name string, change func(map[string]any)) {
		rows = append(rows, refusal{name: name, status: 502, code: "id_token_untrusted", spent: true, header: change})
	}
	alg := func(alg string) func(map[string]any) { return func(h map[string]any) { h["alg"] = alg } }
	announced := func(algs ...string) func(map[string]any) {
		return func(m map[string]any) { m["id_token_signing_alg_values_supported"] = algs }
	}
	only := func(name, used string, supported ...string) {
		header(name, alg(used))
		rows[len(rows)-1].metadata = announced(supported...)
	}
	header("rule 63: alg none", alg("none"))
	only("rule 63: alg none, announced", "none", "none", "RS256")
	header("rules 63, 64: alg HS256 by the public key", alg("HS256"))
	only("rules 63, 64: alg HS256 by the public key, and nothing else is announced", "HS256", "HS256")
	only("rule 63: alg ES256, not announced", "ES256", "RS256")
	only("rule 63: alg RS256, not announced", "RS256", "ES256")
	rows = append(rows, refusal{name: "rule 63: alg ES256, announced", header: alg("ES256")})
	header("rule 62: kid unknown", func(h map[string]any) { h["kid"] = "unknown" })
	rows = append(rows, refusal{name: "rule 62: kid absent", header: func(h map[string]any) { delete(h, "kid") }})
	header("rule 74: crit unknown", func(h map[string]any) { h["crit"] = []string{"x"}; h["x"] = true })
	header("rule 75: typ of an access token", func(h map[string]any) { h["typ"] = "at+jwt" })
	header("rule 75: typ of a logout token", func(h map[string]any) { h["typ"] = "logout+jwt" })
	header("rule 75: typ of a kind that nobody knows", func(h map[string]any) { h["typ"] = "example+jwt" })
	header("rule 75: typ empty", func(h map[string]any) { h["typ"] = "" })
	header("rule 75: typ a number", func(h map[string]any) { h["typ"] = 7 })
	header("rule 75: typ of UserInfo", func(h map[string]any) { h["typ"] = "userinfo+jwt" })
	for name, typ := range map[string]any{"in small letters": "jwt", "at length": "application/JWT", "null, which says nothing": nil} {
		rows = append(rows, refusal{name: "rule 75: typ JWT, " + name, header: func(h map[string]any) { h["typ"] = typ }})
	}
	rows = append(rows, refusal{name: "rule 75: typ missing", header: func(h map[string]any) { delete(h, "typ") }})
	for _, used := range []string{"RS256", "RS384", "RS512", "ES384", "EdDSA"} {
		right := refusal{name: "rule 71: at_hash for " + used, header: alg(used), metadata: announced(used)}
		wrong := right
		wrong.name, wrong.status, wrong.code, wrong.spent = "rule 71: at_hash wrong for "+used, 502, "id_token_untrusted", true
		wrong.claim = func(c map[string]any) { c["at_hash"] = flip(c["at_hash"].(string)[0]) + c["at_hash"].(string)[1:] }
		rows = append(rows, right, wrong)
	}
	only("rule 63: alg ES256, announced, and RS256 is Checks.SigningAlg", "ES256", "RS256", "ES256")
	rows[len(rows)-1].config = signingAlg("RS256")
	header("rule 75: typ of a logout token, at length", func(h map[string]any) { h["typ"] = "application/LOGOUT+JWT" })

	signed := func(name string, change func(string) string) {
		rows = append(rows, refusal{name: name, status: 502, code: "id_token_untrusted", spent: true,
			faults: logintest.Faults{SignedIDToken: change}})
	}
	signed("rule 62: signature changed", func(token string) string {
		middle := len(token) - 20
		return token[:middle] + flip(token[middle]) + token[middle+1:]
	})
	signed("rule 62: signature cut off", func(token string) string { return token[:strings.LastIndex(token, ".")+1] })
	signed("rule 62: signature cut short", func(token string) string { return token[:len(token)-8] })
	signed("rule 62: payload of another", func(token string) string {
		parts := strings.Split(token, ".")
		return parts[0] + "." + parts[1][:len(parts[1])-4] + "." + parts[2]
	})
	signed("rule 62: signed by somebody else's key of the same name", func(token string) string {
		other := logintest.NewProvider(issuer)
		other.RotateKeys() // or it would share the RSA key
		header, claims := decodeToken(token)
		return other.Sign(header, claims)
	})
	signed("rule 63: alg None in capitals, unsigned", withHeader(map[string]any{"alg": "None"}, nil))
	signed("rule 63: no alg, unsigned", withHeader(map[string]any{"typ": "JWT"}, nil))
	signed("rule 64: alg HS256 by the client secret", withHeader(map[string]any{"alg": "HS256"}, []byte("canary-client-secret")))
	signed("rule 73: key in the token's own header", func(token string) string { return signedByOwnKey(token, true) })
	signed("rule 73: addresses of keys in the token's own header", func(token string) string { return signedByOwnKey(token, false) })
	signed("rule 72: an encrypted token, which nobody has asked for", func(string) string { return "eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d" })
	signed("rule 76: not a token", func(string) string { return "a.b.c" })
	signed("rule 76: many dots", func(string) string { return strings.Repeat(".", 60000) })
	return rows
}

func signingAlg(alg string) func(*core.Config) {
	return func(c *core.Config) { c.Providers[0].Checks.SigningAlg = alg }
}

func flip(c byte) string {
	if c == 'A' {
		return "B"
	}
	return "A"
}

// decodeToken reads a token without any check.
func decodeToken(token string) (header, claims map[string]any) {
	for i, into := range []*map[string]any{&header, &claims} {
		raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[i])
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			panic(err)
		}
	}
	return header, claims
}

// withHeader replaces a token's header, and signs by HMAC if there is a key.
func withHeader(header map[string]any, key []byte) func(string) string {
	encoded, err := json.Marshal(header)
	if err != nil {
		panic(err)
	}
	return func(token string) string {
		signed := base64.RawURLEncoding.EncodeToString(encoded) + "." + strings.Split(token, ".")[1]
		if key == nil {
			return signed + "."
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(signed))
		return signed + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	}
}

// signedByOwnKey signs a token's claims by a key that nobody knows, which the
// header brings along or says where to find.
func signedByOwnKey(token string, embed bool) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	options := &jose.SignerOptions{EmbedJWK: embed}
	if !embed {
		options.WithHeader("jku", "https://evil.example.test/jwks").WithHeader("x5u", "https://evil.example.test/x5u")
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		panic(err)
	}
	_, claims := decodeToken(token)
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return compact
}
