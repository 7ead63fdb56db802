package logintest_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

func parClient() logintest.Client {
	return keyClient(func(c *logintest.Client) { c.RequirePAR = true })
}

func TestPushedLogin(t *testing.T) {
	t.Parallel()
	for name, client := range methods() {
		if name == "client_secret_basic" {
			continue // TestTheRegisteredMethodOnly pushes with it
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client.RequirePAR = true
			s := newStrongBench(t, client)
			got := s.send(logintest.PAR, s.request())
			uri, _ := got.body["request_uri"].(string)
			if got.status != http.StatusCreated || !strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:") || got.body["expires_in"] != 60.0 || got.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("got %d %v", got.status, got.body)
			}
			s.now = s.now.Add(59 * time.Second)
			_, query := s.authorize(url.Values{"client_id": {"app"}, "request_uri": {uri}})
			if query.Get("state") != "the-state" || query.Get("iss") != issuer {
				t.Errorf("got %v", query)
			}
			if claims := payload(t, s.mustRedeem(query.Get("code"))["id_token"]); claims["nonce"] != "the-nonce" {
				t.Errorf("got %v", claims)
			}
		})
	}
}

// The URL of a pushed request has client_id and request_uri, and nothing else.
func TestPushedRequestRules(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(s *strongBench, query url.Values){
		"another client's":      func(_ *strongBench, q url.Values) { q.Set("client_id", "other") },
		"no client":             func(_ *strongBench, q url.Values) { q.Del("client_id") },
		"client_id twice":       func(_ *strongBench, q url.Values) { q.Add("client_id", "app") },
		"twice":                 func(_ *strongBench, q url.Values) { q.Add("request_uri", q.Get("request_uri")) },
		"unknown":               func(_ *strongBench, q url.Values) { q.Set("request_uri", q.Get("request_uri")+"x") },
		"an address":            func(_ *strongBench, q url.Values) { q.Set("request_uri", "https://app.example.test/request") },
		"expired":               func(s *strongBench, _ url.Values) { s.now = s.now.Add(time.Minute) },
		"with a scope":          func(_ *strongBench, q url.Values) { q.Set("scope", "openid") },
		"with the same state":   func(_ *strongBench, q url.Values) { q.Set("state", "the-state") },
		"with a redirect_uri":   func(_ *strongBench, q url.Values) { q.Set("redirect_uri", callback) },
		"with a response_type":  func(_ *strongBench, q url.Values) { q.Set("response_type", "code") },
		"plain parameters":      func(s *strongBench, q url.Values) { q.Del("request_uri"); maps.Copy(q, s.request()) },
		"plain parameters, too": func(s *strongBench, q url.Values) { maps.Copy(q, s.request()) },
		"used": func(s *strongBench, q url.Values) {
			if _, got := s.authorize(q); got.Get("code") == "" {
				s.t.Errorf("first: got %v", got)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStrongBench(t, parClient())
			pushed := s.push(s.request())
			query := maps.Clone(pushed)
			spoil(s, query)
			if status, got := s.authorize(query); status != http.StatusBadRequest || len(got) != 0 {
				t.Errorf("got %d %v", status, got)
			}
			if name == "used" || name == "expired" {
				return
			}
			if _, got := s.authorize(pushed); got.Get("code") == "" {
				t.Errorf("the right request: got %v", got)
			}
		})
	}
}

// What the authorization endpoint would refuse is refused when it is pushed.
func TestPushingRules(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		spoil func(url.Values)
		error string
	}{
		{"a request_uri", func(f url.Values) { f.Set("request_uri", "urn:x") }, "invalid_request"},
		{"another redirect_uri", func(f url.Values) { f.Set("redirect_uri", callback+"/") }, "invalid_request"},
		{"no redirect_uri", func(f url.Values) { f.Del("redirect_uri") }, "invalid_request"},
		{"no challenge", func(f url.Values) { f.Del("code_challenge") }, "invalid_request"},
		{"plain challenge", func(f url.Values) { f.Set("code_challenge_method", "plain") }, "invalid_request"},
		{"another response_type", func(f url.Values) { f.Set("response_type", "token") }, "unsupported_response_type"},
		{"a parameter twice", func(f url.Values) { f.Add("state", "x") }, "invalid_request"},
		{"a malformed dpop_jkt", func(f url.Values) { f.Set("dpop_jkt", "x") }, "invalid_request"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStrongBench(t, parClient())
			form := s.authenticated(s.request())
			test.spoil(form)
			s.post(logintest.PAR, form).refused(t, 400, test.error)
		})
	}
}

// A user may take longer to log in than a browser to arrive, and a page may be
// loaded again.
func TestPushedRequestWaitsForTheUser(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, parClient())
	asked := true
	s.provider.Authenticate = func(w http.ResponseWriter, _ *http.Request) (logintest.User, bool) {
		return logintest.User{Subject: "bob"}, !asked
	}
	late := s.push(s.request())
	query := s.push(s.request())
	for range 2 {
		if status, _ := s.authorize(query); status != http.StatusOK {
			t.Errorf("got %d", status)
		}
		s.now = s.now.Add(4 * time.Minute)
	}
	asked = false
	if _, got := s.authorize(query); got.Get("code") == "" {
		t.Errorf("got %v", got)
	}
	if status, got := s.authorize(query); status != http.StatusBadRequest {
		t.Errorf("used twice: got %d %v", status, got)
	}
	if status, got := s.authorize(late); status != http.StatusBadRequest {
		t.Errorf("never begun: got %d %v", status, got)
	}
}

func TestPushedIsEdited(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, parClient())
	s.provider.Misbehave(logintest.Faults{Pushed: func(response map[string]any) { response["request_uri"] = "urn:x" }})
	if got := s.push(s.request()); got.Get("request_uri") != "urn:x" {
		t.Errorf("got %v", got)
	}
}
