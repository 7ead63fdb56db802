package core

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

const fuzzLogoutHeader = `{"alg":"EdDSA","kid":"1","typ":"logout+jwt"}`

// fuzzLogout are claims of a logout token that pass, with one set to value.
func fuzzLogout(name, value string) []byte {
	claims := map[string]json.RawMessage{
		"iss": []byte(`"https://id.example.test"`), "aud": []byte(`"app"`), "sub": []byte(`"ada"`), "sid": []byte(`"s"`), "jti": []byte(`"j"`),
		"iat": []byte("1700000000"), "exp": []byte("1700000300"), "events": []byte(`{"` + logoutEvent + `":{}}`),
	}
	claims[name] = []byte(value)
	encoded, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	return encoded
}

// revokedKeys are Revocations that only count what they are told.
type revokedKeys struct{ told int }

func (r *revokedKeys) Revoke(context.Context, string, time.Time, time.Time) error {
	r.told++
	return nil
}

func (r *revokedKeys) RevokedAt(context.Context, ...string) (time.Time, error) {
	return time.Time{}, nil
}

// fuzzAuth is an application of the provider whose key is known.
func fuzzAuth(t *testing.T, told *revokedKeys) *Authenticator {
	t.Helper()
	metadata, err := json.Marshal(map[string]any{
		"issuer": fuzzProvider.Issuer, "authorization_endpoint": fuzzProvider.Issuer + "/a", "token_endpoint": fuzzProvider.Issuer + "/t",
		"jwks_uri": fuzzProvider.Issuer + "/jwks", "id_token_signing_alg_values_supported": []string{"EdDSA", "none", "HS256"},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := goodConfig()
	config.Providers = []Provider{*fuzzProvider}
	config.Logout.Revocations, config.Logger = told, slog.New(slog.DiscardHandler)
	config.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		body := metadata
		if r.URL.Path == "/jwks" {
			body = fuzzJWKS()
		}
		return &http.Response{StatusCode: http.StatusOK, Request: r, Header: make(http.Header), Body: io.NopCloser(bytes.NewReader(body))}, nil
	})}
	a, err := newAt(config, func() time.Time { return fuzzTime })
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Whatever is posted, what ends a session is one token that the provider has
// signed. TOKEN in a form stands for that.
func FuzzLogoutToken(f *testing.F) {
	good := fuzzToken(fuzzLogoutHeader, fuzzLogout("sub", `"ada"`))
	parts := strings.Split(good, ".")
	for _, seed := range []string{
		"logout_token=TOKEN", "", "logout_token=", "logout_token", "=TOKEN", "TOKEN", "logout_token=TOKEN&logout_token=TOKEN", "logout_token=TOKEN&logout_token=",
		"a=b&logout_token=TOKEN&c=%zz", "logout_token=TOKEN;logout_token=x", "logout%5Ftoken=TOKEN", "Logout_Token=TOKEN", "logout_token[]=TOKEN", "logout_token=TOKEN%0A",
		"logout_token=+TOKEN", "logout_token=TOKEN=", "logout_token=" + parts[0] + "." + parts[1] + ".", "logout_token=" + parts[0] + "..", "logout_token=a.b.c",
		"logout_token=eyJhbGciOiJub25lIn0." + parts[1] + ".", "logout_token=" + parts[0] + "." + parts[1] + "%00." + parts[2],
		"logout_token=" + fuzzToken(fuzzHeader, fuzzPayload), `{"logout_token":"TOKEN"}`, "\x00\xff&&&", strings.Repeat("a&", 40000) + "logout_token=TOKEN",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, form string) {
		told := new(revokedKeys)
		body := strings.ReplaceAll(form, "TOKEN", good)
		r := httptest.NewRequest("POST", "/auth/backchannel-logout", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		err := fuzzAuth(t, told).BackChannelLogout(w, r) // a new one, which waits for no keys
		if failure := new(Error); err != nil && (!errors.As(err, &failure) || failure.Status != http.StatusBadRequest || failure.Code != codeLogoutToken) {
			t.Fatalf("%q: got %v", form, err)
		}
		switch tokens := logoutTokensIn(body); {
		case err == nil && (told.told != 2 || w.Code != http.StatusOK || w.Body.Len() != 0):
			t.Fatalf("%q: got %d, and %d are written", form, w.Code, told.told)
		case err == nil && (len(tokens) != 1 || !genuine(tokens[0]) || !strings.Contains(body, parts[1])):
			t.Fatalf("%q passes with %q", form, tokens)
		case err != nil && told.told != 0:
			t.Fatalf("%q is refused, and %d are written", form, told.told)
		case err != nil && body == "logout_token="+good:
			t.Fatalf("the genuine one: %v", err)
		}
	})
}

// logoutTokensIn reads a form without net/url's parser of forms.
func logoutTokensIn(form string) (tokens []string) {
	for pair := range strings.SplitSeq(form, "&") {
		name, value, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(name)
		value, err2 := url.QueryUnescape(value)
		if err1 == nil && err2 == nil && name == "logout_token" && !strings.Contains(pair, ";") {
			tokens = append(tokens, value)
		}
	}
	return tokens
}

// What is genuinely signed is held to the claims: whatever passes says, once,
// that it is a logout, for whom, of whom, and when.
func FuzzLogoutTokenClaims(f *testing.F) {
	for _, header := range []string{fuzzLogoutHeader, fuzzHeader, `{"alg":"EdDSA","typ":"JWT"}`, `{"alg":"EdDSA","typ":"at+jwt"}`, `{"alg":"EdDSA","typ":null}`, `{"alg":"EdDSA","crit":["b64"],"b64":false}`} {
		f.Add(header, fuzzLogout("sub", `"ada"`))
	}
	for _, change := range [][2]string{
		{"aud", `["app","b"]`}, {"aud", `["app"]`}, {"aud", `"application"`}, {"azp", `"b"`}, {"exp", "1e3"}, {"exp", `"1700000300"`}, {"exp", "null"}, {"nbf", "1800000000"},
		{"iat", "1"}, {"iat", "1699996399"}, {"sub", `""`}, {"sub", "7"}, {"sub", "null"}, {"sid", `""`}, {"sid", "[]"}, {"jti", `""`}, {"jti", "1"}, {"nonce", "null"},
		{"iss", `"https://id.example.test/"`}, {"events", "{}"}, {"events", "null"}, {"events", `{"` + logoutEvent + `":null}`}, {"events", `{"` + logoutEvent + `":{},"` + logoutEvent + `":{}}`},
	} {
		f.Add(fuzzLogoutHeader, fuzzLogout(change[0], change[1]))
	}
	genuine := fuzzLogout("sub", `"ada"`)
	f.Add(fuzzLogoutHeader, fuzzPayload)
	f.Add(fuzzLogoutHeader, []byte(`{"sub":"eve",`+string(genuine[1:])))
	f.Add(fuzzLogoutHeader, []byte(`{"SUB":"eve",`+string(genuine[1:])))
	f.Fuzz(func(t *testing.T, header string, payload []byte) {
		tokens := idTokens{provider: fuzzProvider, keys: keysFrom(fuzzJWKS()), now: func() time.Time { return fuzzTime }}
		token, err := tokens.verifyLogout(t.Context(), fuzzToken(header, payload), asymmetric)
		if (err == nil) != (token != nil) {
			t.Fatalf("%q: got %v and %v", payload, token, err)
		}
		if err == nil {
			checkLogoutSaid(t, header, payload, token)
		}
	})
}

// checkLogoutSaid reads the token in another way: names without regard to case,
// the last of two.
func checkLogoutSaid(t *testing.T, header string, payload []byte, token *logoutToken) {
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
	case said.Iss != "https://id.example.test" || token.issuer != said.Iss,
		string(audience) != `"app"` && strings.Trim(strings.ReplaceAll(string(audience), `"app"`, ""), "[,]") != "",
		said.Azp != nil && said.Azp != "app",
		said.Jti == "" || len(said.Jti) > maxJTI || token.jti != said.Jti,
		said.Exp < 1_700_000_001 || said.Iat < 1_700_000_000-3600 || said.Iat > 1_700_000_000+301 || token.issued.Unix() != int64(said.Iat),
		!isLogout || exact["nonce"] != nil && string(exact["nonce"]) != "null",
		said.Sub == nil && said.Sid == nil,
		said.Sub != nil && (*said.Sub == "" || *said.Sub != token.subject) || said.Sub == nil && token.subject != "",
		said.Sid != nil && (*said.Sid == "" || *said.Sid != token.sid) || said.Sid == nil && token.sid != "":
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
