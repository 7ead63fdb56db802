package logintest_test

import (
	"strings"
	"testing"
	"time"

	"encoding/json"
)

// strongFails are the findings for a careless strong client, by attack.
var strongFails = map[string]struct {
	fixed *weakness
	want  string
}{
	"pushed requests that fail": {&weakness{stops: true},
		"a login whose request was not pushed (status 404) went on to the provider: an application must end a login"},
	"request_uri of another login": {nil, // fixed by a check of the state
		"the response to a request that Mallory has pushed logged the browser in as Ada Lovelace: an application must reject a response whose state"},
	"DPoP stripped from the answer": {&weakness{bound: true},
		"a login whose access token was not bound to its key logged the browser in as Ada Lovelace: an application must reject a token response whose token_type"},
	"ID token with another algorithm": {&weakness{accepted: "ES256"},
		"a login with an ID token by another algorithm logged the browser in as Ada Lovelace: an application must accept only the algorithm"},
	"authorization response that is not signed": {&weakness{signed: true},
		"a callback without a signature logged the browser in as Ada Lovelace: an application must reject a callback without a signed response"},
	"authorization response with alg none": {&weakness{checks: func(header, _ string) bool { return !strings.Contains(header, "none") }},
		"a callback with an authorization response with alg none logged the browser in as Ada Lovelace: an application must verify"},
	"authorization response of another issuer": {&weakness{checks: func(_, c string) bool { return !strings.Contains(c, "evil") }},
		"a callback with an authorization response of another issuer logged the browser in as Ada Lovelace: an application must compare"},
	"authorization response for another client": {&weakness{checks: func(_, c string) bool { return strings.Contains(c, `"aud":"app"`) }},
		"a callback with an authorization response for another client logged the browser in as Ada Lovelace: an application must require its own client_id"},
	"authorization response that has expired": {&weakness{checks: lives},
		"a callback with an authorization response that has expired logged the browser in as Ada Lovelace: an application must reject"},
	"authorization response without exp": {&weakness{checks: lives},
		"a callback with an authorization response without exp logged the browser in as Ada Lovelace: an application must require exp"},
	"authorization response signed with another key": {nil, // fixed in TestAttackStrong of core
		"a callback with a response signed with another key logged the browser in as Ada Lovelace: an application must verify the response's signature"},
}

func lives(_, claims string) bool {
	var c struct{ Exp int64 }
	return json.Unmarshal([]byte(claims), &c) == nil && c.Exp > time.Now().Unix()
}

// Each attack on strong clients finds its weakness, and not the client that lacks
// this weakness alone.
func TestAttackStrongClients(t *testing.T) {
	t.Parallel()
	careless := attack(strongTarget(&tutorial{strong: new(weakness)}), func(name string) bool { return strongFails[name].want != "" })
	if careless.fatal != "" {
		t.Fatal(careless.fatal)
	}
	for name, test := range strongFails {
		if got := careless.failures[name]; !strings.HasPrefix(got, test.want) {
			t.Errorf("%s: got %q", name, got)
		}
		if test.fixed == nil {
			continue
		}
		fixed := attack(strongTarget(&tutorial{strong: test.fixed}), func(other string) bool { return other == name })
		if fixed.fatal != "" || fixed.failures[name] != "" {
			t.Errorf("%s, fixed: got %s %s", name, fixed.fatal, fixed.failures[name])
		}
	}
	plain := attack(strongTarget(&tutorial{strong: new(weakness), state: true}), func(name string) bool { return name == "request_uri of another login" })
	if plain.fatal+plain.failures["request_uri of another login"] != "" {
		t.Errorf("with a state: got %v", plain)
	}
	if weak := attack(strongTarget(&tutorial{}), every); weak.fatal == "" {
		t.Error("a client without these rules was attacked")
	}
}
