package core_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"

	"github.com/pixyauth/pixy/core/logintest"
)

// checkRequests is what the suite checks of each login.
func (s *fapiSuite) checkRequests(requests []logintest.Request) {
	s.t.Helper()
	assertions := make(map[string]bool)
	for _, r := range requests {
		if assertion := r.Form.Get("client_assertion"); assertion != "" && assertions[assertion] {
			s.t.Errorf("%s got an assertion again", r.Endpoint)
		} else {
			assertions[assertion] = true
		}
		if signs := r.Form.Has("client_assertion"); (r.Endpoint == logintest.PAR || r.Endpoint == logintest.Token) && signs == s.certificate {
			s.t.Errorf("%s: is there an assertion? %v", r.Endpoint, signs)
		}
		if r.Header.Get("DPoP") != "" && s.bound {
			s.t.Errorf("%s got a DPoP proof", r.Endpoint)
		}
		switch r.Endpoint {
		case logintest.Authorization:
			if len(r.Query) != 2 || r.Query.Get("client_id") != "app" || r.Query.Get("request_uri") == "" {
				s.t.Errorf("authorization request: got %v", r.Query)
			}
		case logintest.PAR:
			s.checkPushed(r.Form)
		case logintest.Token:
			if r.Method != http.MethodPost || r.Form.Get("redirect_uri") != callbackURL || r.Form.Get("code") == "" || r.Form.Get("code_verifier") == "" {
				s.t.Errorf("token request: got %v", r.Form)
			}
		}
	}
}

// checkPushed checks a pushed authorization request. The claims of one that is signed are
// its parameters.
func (s *fapiSuite) checkPushed(form url.Values) {
	s.t.Helper()
	parameter := form.Get
	var claims map[string]any
	if s.jar {
		claims = claimsOf(s.t, form.Get("request"))
		parameter = func(name string) string {
			text, _ := claims[name].(string)
			return text
		}
		if form.Has("redirect_uri") || form.Has("code_challenge") || claims["nbf"] == nil || claims["exp"] == nil || claims["aud"] != s.issuer || claims["iss"] != "app" {
			s.t.Errorf("signed request: got %v with %v", form, claims)
		}
	}
	scope, nonce, mode := "openid accounts", 43, ""
	if s.plain {
		scope, nonce = "accounts", 0
	}
	if s.jarm {
		mode = "jwt"
	}
	details := parameter("authorization_details")
	if signed, ok := claims["authorization_details"]; ok {
		encoded, _ := json.Marshal(signed)
		details = string(encoded)
	}
	if want := map[bool]string{true: fapiDetails}[s.rar]; !sameJSON(details, want) {
		s.t.Errorf("asks for the details %s, want %s", details, want)
	}
	if parameter("response_type") != "code" || parameter("client_id") != "app" || parameter("redirect_uri") != callbackURL ||
		parameter("scope") != scope || parameter("code_challenge_method") != "S256" || parameter("code_challenge") == "" ||
		parameter("state") == "" || len(parameter("nonce")) != nonce || parameter("response_mode") != mode || form.Has("request") != s.jar {
		s.t.Errorf("pushed request: got %v", form)
	}
}

func sameJSON(one, two string) bool {
	var a, b any
	_, _ = json.Unmarshal([]byte(one), &a), json.Unmarshal([]byte(two), &b) // nil, if there is nothing
	return reflect.DeepEqual(a, b)
}
