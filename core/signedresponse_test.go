package core_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func signedOnly(c *core.Config) { c.Providers[0].Requests.SignedResponse = true }

func signedByForm(c *core.Config) {
	signedOnly(c)
	c.Providers[0].Requests.FormPost = true
}

func signsResponses(c *logintest.Client) { c.RequireSignedResponse = true }

// newSignedRig is a rig whose provider signs its answers (JARM).
func newSignedRig(t testing.TB, change ...func(*core.Config)) *rig {
	t.Helper()
	return newRigOf(t, signsResponses, append([]func(*core.Config){signedOnly}, change...)...)
}

// flipFirst changes the first character of base64url.
func flipFirst(s string) string {
	if s[0] == 'A' {
		return "B" + s[1:]
	}
	return "A" + s[1:]
}

// claimsIn returns the claims of a signed response.
func claimsIn(t testing.TB, response string) (claims map[string]any) {
	t.Helper()
	parts := strings.Split(response, ".")
	if len(parts) != 3 {
		t.Fatalf("no signed response: %q", response)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		t.Fatalf("no signed response: %q", response)
	}
	return claims
}

func TestALoginWithASignedResponse(t *testing.T) {
	t.Parallel()
	query, form := []string{"GET /me", "GET /authorize", "GET /auth/callback", "GET /me"}, []string{"GET /me", "GET /authorize", "POST /auth/callback", "GET /auth/callback", "GET /me"}
	keys := func(c *core.Config) { c.Providers[0].Endpoints.KeysURL = issuer + "/jwks" }
	for _, test := range []struct {
		name     string
		change   func(*core.Config)
		metadata func(map[string]any)
		mode     string
		way      []string
	}{
		{name: "rule 158: in the URL", change: signedOnly, mode: "jwt", way: query},
		{name: "rule 158: in a form", change: signedByForm, mode: "form_post.jwt", way: form},
		{name: "rule 158: metadata without jwt", change: signedOnly, metadata: func(m map[string]any) {
			m["response_modes_supported"] = []string{"query", "query.jwt"}
		}, mode: "query.jwt", way: query},
		{name: "rule 158: metadata without response modes and algorithms", change: signedOnly, metadata: func(m map[string]any) {
			delete(m, "response_modes_supported")
			delete(m, "authorization_signing_alg_values_supported")
		}, mode: "jwt", way: query},
		{name: "rule 158: an algorithm of the application's choice", change: func(c *core.Config) { signedOnly(c); c.Providers[0].Checks.SigningAlg = "RS256" }, mode: "jwt", way: query},
		{name: "OAuth 2.0 with metadata", change: func(c *core.Config) {
			plainOAuth2(c)
			c.Providers[0].Endpoints = core.EndpointConfig{}
			signedOnly(c)
		}, mode: "jwt", way: query},
		{name: "OAuth 2.0 without metadata", change: func(c *core.Config) { plainOAuth2(c); keys(c); signedOnly(c) }, mode: "jwt", way: query},
		{name: "OAuth 2.0 with an algorithm, in a form", change: func(c *core.Config) {
			plainOAuth2(c)
			keys(c)
			signedByForm(c)
			c.Providers[0].Checks.SigningAlg = "RS256"
		}, mode: "form_post.jwt", way: form},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRigOf(t, signsResponses, test.change)
			g.provider.Misbehave(logintest.Faults{Discovery: test.metadata})
			var way []string
			for _, hop := range g.login().Hops {
				u, err := url.Parse(hop.URL)
				if err != nil {
					t.Fatal(err)
				}
				way = append(way, hop.Method+" "+u.Path)
				if got := u.Query(); hop.Method == "GET" && u.Path == "/auth/callback" && (len(got) != 1 || claimsIn(t, got.Get("response"))["code"] == nil) {
					t.Errorf("the callback has %v", got)
				}
				if u.Path == "/authorize" && !slices.Equal(u.Query()["response_mode"], []string{test.mode}) {
					t.Errorf("asked for %q", u.Query()["response_mode"])
				}
				if hop.Method == http.MethodPost && (hop.RequestHeader.Get("Cookie") != "" || len(hop.Header["Set-Cookie"]) != 0) {
					t.Errorf("cookies at the POST: %q and %q", hop.RequestHeader["Cookie"], hop.Header["Set-Cookie"])
				}
				if u.Path == "/auth/callback" && hop.Header.Get("Referrer-Policy") != "no-referrer" {
					t.Errorf("Referrer-Policy at the callback: %q", hop.Header["Referrer-Policy"])
				}
			}
			if !slices.Equal(way, test.way) {
				t.Errorf("went %q, want %q", way, test.way)
			}
		})
	}
}

// signedRefusals are answers to a browser that has begun the login.
func signedRefusals() []refusal {
	claim := func(name string, value any) func(_, claims map[string]any) {
		return func(_, claims map[string]any) {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
	}
	header := func(name string, value any) func(header, _ map[string]any) {
		return func(header, _ map[string]any) { header[name] = value }
	}
	errorIs := func(code string) func(_, claims map[string]any) {
		return func(_, claims map[string]any) {
			delete(claims, "code")
			claims["error"] = code
		}
	}
	in := func(name string, d time.Duration) func(_, claims map[string]any) { // from now, which is when the answer is signed
		return func(_, claims map[string]any) {
			const lasts = 10 * time.Minute
			claims[name] = claims["exp"].(int64) + int64((d-lasts)/time.Second)
		}
	}
	also := func(name, value string) func(url.Values) {
		return func(q url.Values) { q.Set(name, value) }
	}
	rows := []refusal{
		{name: "nothing wrong"},
		{name: "rule 153: aud as an array of this client", answer: claim("aud", []string{"app"})},
		{name: "rule 157: claims that nobody knows", answer: claim("session_state", map[string]any{"x": 1})},
		{name: "rule 154: a type", answer: header("typ", "JWT")},
		{name: "rule 153: nbf in the past", answer: claim("nbf", 1)},
		{name: "rule 155: parameters of others beside it", callback: also("session_state", "x")},
		{name: "rule 152: PS256, which is announced", answer: header("alg", "PS256")},

		{name: "fapi2-security-profile-final-client-test-ensure-jarm-without-iss-fails", answer: claim("iss", nil), code: "callback_untrusted"},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-with-invalid-iss-fails", answer: claim("iss", issuer+"1"), code: "callback_untrusted"},
		{name: "rule 153: iss with a slash", answer: claim("iss", issuer+"/"), code: "callback_untrusted"},
		{name: "rule 153: iss in an array", answer: claim("iss", []string{issuer}), code: "callback_untrusted"},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-without-aud-fails", answer: claim("aud", nil), code: "callback_untrusted"},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-with-invalid-aud-fails", answer: claim("aud", "app1"), code: "callback_untrusted"},
		{name: "rule 153: aud with another", answer: claim("aud", []string{"app", "other"}), code: "callback_untrusted"},
		{name: "rule 153: aud empty", answer: claim("aud", []string{}), code: "callback_untrusted"},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-without-exp-fails", answer: claim("exp", nil), code: "callback_untrusted"},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-with-expired-exp-fails", answer: in("exp", -time.Second), code: "callback_untrusted"},
		{name: "rule 153: exp in quotes", answer: claim("exp", "9999999999"), code: "callback_untrusted"},
		{name: "rule 153: nbf in the future", answer: in("nbf", 6*time.Minute), code: "callback_untrusted"},
		{name: "rule 153: nbf in quotes", answer: claim("nbf", "1"), code: "callback_untrusted"},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-with-invalid-sig-fails", callback: func(q url.Values) {
			response := q.Get("response")
			at := strings.LastIndexByte(response, '.') + 1
			q.Set("response", response[:at]+flipFirst(response[at:]))
		}, code: "callback_untrusted"},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-signature-is-not-none", answer: header("alg", "none"), code: "callback_untrusted"},
		{name: "rule 152: signed by the public key as a secret", answer: header("alg", "HS256"), code: "callback_untrusted"},
		{name: "rule 152: an algorithm that is not announced", metadata: func(m map[string]any) {
			m["authorization_signing_alg_values_supported"] = []string{"PS256"}
		}, code: "callback_untrusted"},
		{name: "rule 152: another algorithm than the application's", config: func(c *core.Config) { c.Providers[0].Checks.SigningAlg = "RS256" }, answer: header("alg", "PS256"), code: "callback_untrusted"},
		{name: "rule 152: a key that the provider does not have", answer: header("kid", "canary"), code: "callback_untrusted"},
		{name: "rule 152: an extension that nobody knows", answer: header("crit", []string{"x"}), code: "callback_untrusted"},
		{name: "rule 154: a logout token", answer: header("typ", "logout+jwt"), code: "callback_untrusted"},
		{name: "rule 154: an access token", answer: header("typ", "at+jwt"), code: "callback_untrusted"},
		{name: "rule 154: an ID token", answer: claim("sub", "ada"), code: "callback_untrusted"},
		{name: "rule 154: a security event", answer: claim("events", map[string]any{}), code: "callback_untrusted"},
		{name: "rule 152: an escape that was not signed", callback: func(q url.Values) { q.Set("response", q.Get("response")+"=") }, code: "callback_untrusted"},

		{name: "rule 155: a code beside it", callback: also("code", "x"), code: "callback_untrusted"},
		{name: "rule 155: an empty code beside it", callback: also("code", ""), code: "callback_untrusted"},
		{name: "rule 155: iss beside it", callback: also("iss", issuer), code: "callback_untrusted"},
		{name: "rule 155: an error beside it", callback: also("error", "access_denied"), code: "callback_untrusted"},
		{name: "rule 155: a description beside it", callback: also("error_description", "canary"), code: "callback_untrusted"},
		{name: "rule 155: state beside it", callback: func(q url.Values) { q.Set("state", stateIn(q)) }, code: "callback_untrusted"},
		{name: "rule 155: twice, with a state", callback: func(q url.Values) { q.Set("state", stateIn(q)); q.Add("response", q.Get("response")) }, code: "callback_untrusted"},
		{name: "rule 155: empty, with a state", callback: func(q url.Values) { q.Set("state", stateIn(q)); q.Set("response", "") }, code: "callback_untrusted"},
		{name: "rule 155: not signed at all", callback: func(q url.Values) {
			state := stateIn(q)
			clear(q)
			q.Set("state", state)
			q.Set("code", "x")
			q.Set("iss", issuer)
		}, code: "callback_untrusted"},
		{name: "rule 155: an error that is not signed at all", callback: func(q url.Values) {
			state := stateIn(q)
			clear(q)
			q.Set("state", state)
			q.Set("error", "access_denied")
			q.Set("iss", issuer)
		}, code: "callback_untrusted"},

		{name: "rule 157: access denied", answer: errorIs("access_denied"), status: 403, code: "access_denied"},
		{name: "rule 157: another error", answer: errorIs("server_error"), status: 403, code: "provider_refused"},
		{name: "rule 157: error and code", answer: claim("error", "server_error"), status: 403, code: "provider_refused"},
		{name: "rule 157: an error that is no text", answer: claim("error", 7), status: 403, code: "provider_refused"},
		{name: "rule 157: an error that is hostile", answer: errorIs("<script>canary"), status: 403, code: "provider_refused"},
		{name: "rule 152: an error that nobody signed", answer: func(header, claims map[string]any) { errorIs("access_denied")(header, claims); header["alg"] = "none" }, code: "callback_untrusted"},
		{name: "rule 157: neither code nor error", answer: claim("code", nil), code: "callback_untrusted"},
		{name: "rule 157: a code that is no text", answer: claim("code", []string{"x"}), code: "callback_untrusted"},
		{name: "rule 157: a code with control characters", answer: claim("code", "a\r\nb"), code: "callback_untrusted"},
		{name: "rule 157: a code of nobody", answer: claim("code", "made-up"), status: 403, code: "code_refused", spent: true},
		{name: "rule 157: keys unavailable", faults: logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.JWKS {
				w.WriteHeader(http.StatusBadGateway)
			}
			return e == logintest.JWKS
		}}, status: 503, code: "provider_unavailable"},
	}
	for i := range rows {
		rows[i].register = signsResponses
	}
	return rows
}

// stateIn returns the state in a signed response.
func stateIn(query url.Values) string {
	payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(query.Get("response"), ".")[1])
	var said struct{ State string }
	_ = json.Unmarshal(payload, &said)
	return said.State
}

// In each row one check fails, and nothing has started: neither a token request nor a
// session.
func TestSignedResponseRefuses(t *testing.T) {
	t.Parallel()
	for _, row := range signedRefusals() {
		change := row.change
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row := row // the two differ in config
			row.config = func(c *core.Config) { signedOnly(c); change(c) }
			row.run(t, func(g *rig, change func(url.Values)) *logintest.Page {
				callback := g.toCallback()
				query := callback.Query()
				change(query)
				callback.RawQuery = query.Encode()
				return g.get(callback.String())
			})
		})
		t.Run(row.name+", by form", func(t *testing.T) {
			t.Parallel()
			row := row
			row.config = func(c *core.Config) { signedByForm(c); change(c) }
			row.run(t, func(g *rig, change func(url.Values)) *logintest.Page {
				form := g.toForm()
				change(form)
				return g.bring(form)
			})
		})
	}
}

// A signed response that was not asked for is refused, although it is genuine.
func TestASignedResponseThatWasNotAskedFor(t *testing.T) {
	t.Parallel()
	g := newRigOf(t, func(c *logintest.Client) { c.AuthMethod = "client_secret_basic" }) // such a client may ask for it
	to := g.visit(origin + "/auth/login").Header.Get("Location")
	callback := follow(t, g.browser, to+"&response_mode=jwt").String()
	page := g.get(callback)
	if !strings.Contains(callback, "?response=") || page.Status != 400 || !strings.Contains(string(page.Body), "<code>callback_untrusted</code>") ||
		!strings.Contains(g.log.String(), "Requests.SignedResponse is false") || g.provider.Count(logintest.Token) != 0 {
		t.Errorf("%s: got %d %s\n%s", callback, page.Status, page.Body, g.log.String())
	}
}

// The state comes first: without an attempt of this browser, no signature is verified, no
// key is fetched, and no code is sent.
func TestASignedResponseWithoutItsAttempt(t *testing.T) {
	t.Parallel()
	forged := func(g *rig, state string) string {
		return callbackURL + "?response=" + g.provider.Sign(map[string]any{"alg": "RS256", "kid": "made-up"}, map[string]any{
			"iss": issuer, "aud": "app", "exp": g.now().Add(time.Minute).Unix(), "state": state, "code": "made-up",
		})
	}
	ours := strings.Repeat("A", 43)
	for name, test := range map[string]struct {
		state  string
		status int
	}{
		"rule 156: state of another form": {"x", 400}, "rule 156: restarted already": {ours + "-r", 400}, "rule 156: with a payload": {ours + "-p", 400}, "rule 156: as ours": {ours, 303},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newSignedRig(t)
			g.toCallback() // of another login, which must survive
			before := len(g.cookiesNamed("__Host-pixy-login-"))
			page := g.visit(forged(g, test.state))
			if page.Status != test.status || setsSession(page.Header) || g.provider.Count(logintest.JWKS) != 0 || g.provider.Count(logintest.Token) != 0 {
				t.Errorf("got %d, %d key requests and %d token requests: %s", page.Status, g.provider.Count(logintest.JWKS), g.provider.Count(logintest.Token), page.Body)
			}
			if got := len(g.cookiesNamed("__Host-pixy-login-")); got < before {
				t.Errorf("%d attempts are left of %d", got, before)
			}
		})
	}
	t.Run("rule 156: the login starts once more", func(t *testing.T) {
		t.Parallel()
		g := newSignedRig(t)
		callback := g.toCallback().String()
		g.browser.Forget("", "")
		if page := g.get(callback); page.Status != http.StatusOK || g.whoAmI() != "I am ada" {
			t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
		}
	})
	t.Run("twice", func(t *testing.T) {
		t.Parallel()
		g := newSignedRig(t)
		callback := g.toCallback().String()
		for range 3 {
			if page := g.get(callback); page.URL != origin+"/me" || string(page.Body) != "I am ada" {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
		}
		if got := g.provider.Count(logintest.Token); got != 1 {
			t.Errorf("%d token requests", got)
		}
	})
	t.Run("rule 156: another browser", func(t *testing.T) {
		t.Parallel()
		g := newSignedRig(t)
		callback := g.toCallback().String()
		g.browser = logintest.NewBrowser()
		g.browser.Serve(origin, g.app(g.auth))
		if page := g.visit(callback); page.Status != http.StatusSeeOther || !strings.HasPrefix(page.Header.Get("Location"), issuer+"/authorize?") || g.provider.Count(logintest.Token) != 0 {
			t.Errorf("got %d %v", page.Status, page.Header)
		}
	})
}

// A login without the user ends as it does without a signature.
func TestASilentLoginWithASignedResponse(t *testing.T) {
	t.Parallel()
	g := newSignedRig(t)
	g.provider.Misbehave(logintest.Faults{SignedAuthorization: func(_, claims map[string]any) {
		delete(claims, "code")
		claims["error"] = "login_required"
	}})
	app := g.app(g.auth)
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/quietly" {
			app.ServeHTTP(w, r)
			return
		}
		if err := g.auth.LoginWith(w, r, core.LoginOptions{ReturnTo: "/public", AuthParams: url.Values{"prompt": {"none"}}}); err != nil {
			g.auth.ServeError(w, r, err)
		}
	}))
	if page := g.get(origin + "/quietly"); page.URL != origin+"/public" || page.Status != http.StatusOK || g.provider.Count(logintest.Token) != 0 || g.log.String() != "" {
		t.Errorf("ends with %d at %s: %s\n%s", page.Status, page.URL, page.Body, g.log.String())
	}
}

// A provider that cannot do it is found before the browser is sent there.
func TestDiscoveryOfSignedResponses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*core.Config)
		field  string
		value  any
		want   string // in the error; "": accepted
	}{
		{"rule 158: no mode", signedOnly, "response_modes_supported", []string{"query", "form_post", "form_post.jwt"}, `response_modes_supported has "query form_post form_post.jwt" only`},
		{"rule 158: no mode for forms", signedByForm, "response_modes_supported", []string{"jwt", "query.jwt", "form_post"}, "needs the response mode form_post.jwt"},
		{"rule 158: HMAC only", signedOnly, "authorization_signing_alg_values_supported", []string{"HS256", "none"}, `authorization_signing_alg_values_supported has "HS256 none" only`},
		{"rule 158: another algorithm", func(c *core.Config) { signedOnly(c); c.Providers[0].Checks.SigningAlg = "RS256" }, "authorization_signing_alg_values_supported", []string{"ES256"}, `Checks.SigningAlg is "RS256"`},
		{"rule 158: no keys", func(c *core.Config) {
			plainOAuth2(c)
			c.Providers[0].Endpoints = core.EndpointConfig{}
			signedOnly(c)
		}, "jwks_uri", nil, "jwks_uri is missing"},
		{"one mode", signedOnly, "response_modes_supported", []string{"jwt"}, ""},
		{"plain, with no mode", func(*core.Config) {}, "response_modes_supported", []string{"fragment"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRigOf(t, func(c *logintest.Client) {
				if test.want != "" {
					signsResponses(c)
				}
			}, test.change)
			g.provider.Misbehave(logintest.Faults{Discovery: func(m map[string]any) {
				if m[test.field] = test.value; test.value == nil {
					delete(m, test.field)
				}
			}})
			err := g.auth.Discover(t.Context())
			if test.want == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
			if page := g.visit(origin + "/me"); page.Status != http.StatusBadGateway || g.provider.Count(logintest.Authorization) != 0 {
				t.Errorf("got %d", page.Status)
			}
		})
	}
}

// New keys of the provider are fetched for a response, too.
func TestSignedResponseByANewKey(t *testing.T) {
	t.Parallel()
	g := newSignedRig(t)
	g.login()
	g.browser.Forget("", "")
	g.provider.RotateKeys()
	g.login()
}

// Whatever a browser that has begun a login brings as the signed response: without the
// provider's signature, nothing starts.
func FuzzSignedResponseCallback(f *testing.F) {
	g := newSignedRig(f)
	response, err := g.provider.HTTPClient().Get(issuer + "/jwks")
	if err != nil {
		f.Fatal(err)
	}
	keys, err := io.ReadAll(response.Body)
	if err != nil {
		f.Fatal(err)
	}
	auth := g.newAuth(signedOnly, func(c *core.Config) { c.Providers[0].Endpoints.Keys = keys }) // fetches none
	g.browser.Serve(origin, g.app(auth))
	genuine := g.toCallback().Query().Get("response")
	parts := strings.Split(genuine, ".")
	for _, seed := range []string{
		"", "a.b.c", parts[0] + "." + parts[1] + ".", "eyJhbGciOiJub25lIn0." + parts[1] + ".", parts[0] + "." + parts[1] + "." + strings.Repeat("A", 342),
		genuine + "=", genuine + ".", genuine + "&response=" + genuine, genuine + "&code=x", genuine + "&iss=" + issuer, genuine + "&error=x&state=y",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		if raw == genuine {
			t.Skip()
		}
		r := httptest.NewRequest("GET", callbackURL, nil)
		r.URL.RawQuery = "response=" + raw
		if query := r.URL.Query(); len(query) == 1 && len(query["response"]) == 1 && query.Get("response") == genuine {
			t.Skip("spelled in another way")
		}
		for _, cookie := range g.browser.Cookies(callbackURL) {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		if err := auth.Callback(w, r); err != nil {
			auth.ServeError(w, r, err)
		}
		if w.Code >= 500 || setsSession(w.Header()) || g.provider.Count(logintest.Token) != 0 {
			t.Fatalf("%q: got %d: %s", raw, w.Code, w.Body)
		}
	})
}
