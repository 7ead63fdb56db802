package provider

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/internal/hostile"
)

// The claims of a genuinely signed token are checked: a token that passes has the logout
// event, one audience, a user or session, and a time.
func FuzzLogoutTokenClaims(f *testing.F) {
	for _, header := range []string{hostile.LogoutHeader, hostile.Header, `{"alg":"EdDSA","typ":"JWT"}`, `{"alg":"EdDSA","typ":"at+jwt"}`, `{"alg":"EdDSA","typ":null}`, `{"alg":"EdDSA","crit":["b64"],"b64":false}`} {
		f.Add(header, hostile.LogoutClaims("sub", `"ada"`))
	}
	for _, change := range [][2]string{
		{"aud", `["app","b"]`}, {"aud", `["app"]`}, {"aud", `"application"`}, {"azp", `"b"`}, {"exp", "1e3"}, {"exp", `"1700000300"`}, {"exp", "null"}, {"nbf", "1800000000"},
		{"iat", "1"}, {"iat", "1699996399"}, {"sub", `""`}, {"sub", "7"}, {"sub", "null"}, {"sid", `""`}, {"sid", "[]"}, {"jti", `""`}, {"jti", "1"}, {"nonce", "null"},
		{"iss", `"https://id.example.test/"`}, {"events", "{}"}, {"events", "null"}, {"events", `{"http://schemas.openid.net/event/backchannel-logout":null}`}, {"events", `{"http://schemas.openid.net/event/backchannel-logout":{},"http://schemas.openid.net/event/backchannel-logout":{}}`},
	} {
		f.Add(hostile.LogoutHeader, hostile.LogoutClaims(change[0], change[1]))
	}
	genuine := hostile.LogoutClaims("sub", `"ada"`)
	f.Add(hostile.LogoutHeader, hostile.Payload)
	f.Add(hostile.LogoutHeader, []byte(`{"sub":"eve",`+string(genuine[1:])))
	f.Add(hostile.LogoutHeader, []byte(`{"SUB":"eve",`+string(genuine[1:])))
	f.Fuzz(func(t *testing.T, header string, payload []byte) {
		tokens := idTokens{config: fuzzConfig, keys: keysFrom(hostile.JWKS()), now: func() time.Time { return hostile.Time }}
		token, err := tokens.verifyLogout(t.Context(), hostile.Token(header, payload), Asymmetric)
		if (err == nil) != (token != nil) {
			t.Fatalf("%q: got %v and %v", payload, token, err)
		}
		if err == nil {
			checkLogoutSaid(t, header, payload, token)
		}
	})
}

// checkLogoutSaid reads the token in another way: it ignores the case of names, and takes
// the last of two.
func checkLogoutSaid(t *testing.T, header string, payload []byte, token *LogoutToken) {
	t.Helper()
	var said struct {
		Iss, Jti        string
		Sub, Sid, Nonce *string
		Aud, Azp, Nbf   any
		Iat, Exp        float64
		Events          map[string]any
	}
	var exact map[string]json.RawMessage
	if err := json.Unmarshal(payload, &exact); err != nil {
		t.Fatalf("%q passes, and is no JSON object: %v", payload, err)
	}
	for name := range exact {
		for _, ours := range []string{"iss", "jti", "sub", "sid", "nonce", "aud", "azp", "nbf", "iat", "exp", "events"} {
			if name != ours && strings.EqualFold(name, ours) {
				t.Skip("two readers may differ about it; this library matches to the letter")
			}
		}
	}
	if err := json.Unmarshal(payload, &said); err != nil {
		t.Fatalf("%q passes: %v", payload, err)
	}
	_, isLogout := said.Events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any)
	audience, _ := json.Marshal(said.Aud)
	switch {
	case said.Iss != "https://id.example.test" || token.Issuer != said.Iss,
		string(audience) != `"app"` && strings.Trim(strings.ReplaceAll(string(audience), `"app"`, ""), "[,]") != "",
		said.Azp != nil && said.Azp != "app",
		said.Jti == "" || len(said.Jti) > maxJTI || token.JTI != said.Jti,
		said.Exp < 1_700_000_001 || said.Iat < 1_700_000_000-3600 || said.Iat > 1_700_000_000+301 || token.issued.Unix() != int64(said.Iat),
		!isLogout || exact["nonce"] != nil && string(exact["nonce"]) != "null",
		said.Sub == nil && said.Sid == nil,
		said.Sub != nil && (*said.Sub == "" || *said.Sub != token.Subject) || said.Sub == nil && token.Subject != "",
		said.Sid != nil && (*said.Sid == "" || *said.Sid != token.SID) || said.Sid == nil && token.SID != "":
		t.Fatalf("%q passes as %+v", payload, token)
	}
	var kind map[string]any
	if err := json.Unmarshal([]byte(header), &kind); err != nil {
		t.Fatalf("header %q passes: %v", header, err)
	}
	typ, _ := kind["typ"].(string)
	if typ = strings.TrimPrefix(strings.ToLower(typ), "application/"); kind["typ"] != nil && typ != "jwt" && typ != "logout+jwt" {
		t.Fatalf("a token of type %q passes", typ)
	}
}
