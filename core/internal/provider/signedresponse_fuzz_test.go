package provider

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/internal/hostile"
)

const responsePayload = `{"iss":"https://id.example.test","aud":"app","exp":1700000300,"state":"s","code":"c"}`

func signedAnswerAt(t testing.TB, response string) (url.Values, error) {
	config := &Config{Issuer: hostile.Issuer, ClientID: "app", SignedResponse: true}
	g := &codeGrant{config: *config, idTokens: &idTokens{config: config, keys: keysFrom(hostile.JWKS()), now: func() time.Time { return hostile.Time }}}
	return g.signedAnswer(t.Context(), &metadata{ResponseAlgs: asymmetric()}, url.Values{"response": {response}})
}

// The claims of a genuinely signed response are checked: one that passes is of this
// provider, for this client alone, valid now, and gives what was signed.
func FuzzSignedResponse(f *testing.F) {
	f.Add(hostile.Header, []byte(responsePayload))
	f.Add(hostile.Header, hostile.Payload)
	for _, header := range []string{`{"alg":"EdDSA","typ":"at+jwt"}`, `{"alg":"EdDSA","typ":null}`, `{"alg":"EdDSA","crit":["b64"],"b64":false}`} {
		f.Add(header, []byte(responsePayload))
	}
	for _, change := range []string{
		`"aud":["app"]`, `"aud":["app","b"]`, `"aud":[]`, `"aud":null`, `"iss":null`, `"iss":"https://id.example.test/"`, `"exp":1`, `"exp":"1700000300"`, `"exp":1e30`,
		`"nbf":1800000000`, `"sub":"ada"`, `"events":{}`, `"error":"access_denied"`, `"error":7`, `"state":["s"]`, `"code":null`,
	} {
		var c map[string]json.RawMessage
		if json.Unmarshal([]byte(responsePayload), &c) != nil || json.Unmarshal([]byte("{"+change+"}"), &c) != nil {
			f.Fatal(change)
		}
		encoded, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(hostile.Header, encoded)
	}
	f.Add(hostile.Header, []byte(`{"state":"t",`+responsePayload[1:]))
	f.Fuzz(func(t *testing.T, header string, payload []byte) {
		token := hostile.Token(header, payload)
		unverified := Unverified(url.Values{"response": {token}})
		answer, err := signedAnswerAt(t, token)
		if string(payload) == responsePayload && header == hostile.Header && err != nil {
			t.Fatalf("the genuine one: %v", err)
		}
		if err != nil {
			return
		}
		if answer.Encode() != unverified.Encode() {
			t.Fatalf("%q: verified %v, and before %v", payload, answer, unverified)
		}
		var exact map[string]json.RawMessage
		if err := json.Unmarshal(payload, &exact); err != nil {
			t.Fatalf("%q passes, and is no JSON object: %v", payload, err)
		}
		var expires float64
		var issuer, audience any
		_ = json.Unmarshal(exact["exp"], &expires)
		_ = json.Unmarshal(exact["iss"], &issuer)
		_ = json.Unmarshal(exact["aud"], &audience)
		if list, ok := audience.([]any); ok && len(list) == 1 {
			audience = list[0]
		}
		if issuer != any(hostile.Issuer) || audience != any("app") || int64(expires) <= hostile.Time.Unix() || exact["sub"] != nil && string(exact["sub"]) != "null" {
			t.Fatalf("%q passes", payload)
		}
		for name := range answer {
			var said any
			if _ = json.Unmarshal(exact[name], &said); said != any(answer.Get(name)) && answer.Get(name) != "" {
				t.Fatalf("%q: %s is %q", payload, name, answer.Get(name))
			}
		}
	})
}

// A response without a genuine signature is never accepted, in any encoding, and reading
// its state before that never fails.
func FuzzResponse(f *testing.F) {
	good := hostile.Token(hostile.Header, []byte(responsePayload))
	parts := strings.Split(good, ".")
	for _, seed := range []string{
		good, "", ".", "..", "a.b.c", good + ".", good + "=", parts[0] + "." + parts[1] + ".", parts[0] + ".." + parts[2], parts[0] + "." + parts[1],
		"eyJhbGciOiJub25lIn0." + parts[1] + ".", "eyJhbGciOiJIUzI1NiJ9." + parts[1] + "." + parts[2], parts[0] + "." + parts[1] + "." + parts[2] + "." + parts[1] + "." + parts[2],
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, response string) {
		unverified := Unverified(url.Values{"response": {response}})
		answer, err := signedAnswerAt(t, response)
		if err == nil && (!hostile.Signed(response) || answer.Encode() != unverified.Encode() || answer.Get("state") != "s") {
			t.Fatalf("%q passes with %v", response, answer)
		}
		if response == good && err != nil {
			t.Fatalf("the genuine one: %v", err)
		}
	})
}
