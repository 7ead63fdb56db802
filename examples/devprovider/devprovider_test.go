package devprovider_test

import (
	"context"
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core/logintest"
	"github.com/pixyauth/pixy/examples/devprovider"
)

const callback = "http://app.localhost:8080/auth/callback"

// A bench is a provider on a real listener, with a browser and one client.
type bench struct {
	t        *testing.T
	url      string
	browser  *logintest.Browser
	config   oauth2.Config
	verifier string
}

func newBench(t *testing.T, redirectURIs ...string) *bench {
	t.Helper()
	source, err := os.ReadFile("users.json")
	if err != nil {
		t.Fatal(err)
	}
	users, err := devprovider.ParseUsers(source)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	server.Config.Handler = devprovider.Server{
		Issuer: issuer, Users: users, RedirectURIs: redirectURIs,
		Clients: []logintest.Client{{ID: "dev", Secret: "dev-secret"}, {ID: "dev-public"}},
	}.Handler()
	server.Start()
	t.Cleanup(server.Close)
	return &bench{t: t, url: issuer, browser: logintest.NewBrowser(), verifier: oauth2.GenerateVerifier(), config: oauth2.Config{
		ClientID: "dev", ClientSecret: "dev-secret", RedirectURL: callback, Scopes: []string{"openid", "profile", "email", "offline_access"},
		Endpoint: oauth2.Endpoint{AuthURL: issuer + "/authorize", TokenURL: issuer + "/token"},
	}}
}

// request returns an authorization request. Parameters are name=value.
func (b *bench) request(parameters ...string) string {
	options := []oauth2.AuthCodeOption{oauth2.S256ChallengeOption(b.verifier)}
	for _, parameter := range parameters {
		name, value, _ := strings.Cut(parameter, "=")
		options = append(options, oauth2.SetAuthURLParam(name, value))
	}
	return b.config.AuthCodeURL("the-state", options...)
}

func (b *bench) get(address string) *logintest.Page {
	b.t.Helper()
	page, err := b.browser.Visit(address)
	if err != nil {
		b.t.Fatal(err)
	}
	return page
}

// post fills in the form of an authorization request, and does not follow the
// redirect.
func (b *bench) post(address string, form url.Values) *logintest.Page {
	b.t.Helper()
	r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	page, err := b.browser.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	return page
}

// answer returns the authorization response.
func (b *bench) answer(page *logintest.Page) url.Values {
	b.t.Helper()
	location, err := url.Parse(page.Header.Get("Location"))
	if err != nil || page.Status != http.StatusSeeOther || !strings.HasPrefix(location.String(), b.config.RedirectURL+"?") {
		b.t.Fatalf("got %d to %s: %s", page.Status, location, page.Body)
	}
	if got := location.Query(); got.Get("state") == "the-state" && got.Get("iss") == b.url {
		return got
	}
	b.t.Fatalf("state or iss is missing: %s", location)
	return nil
}

// login redeems the code of a page, and returns the token and the ID token's
// claims.
func (b *bench) login(page *logintest.Page) (*oauth2.Token, map[string]any) {
	b.t.Helper()
	token, err := b.config.Exchange(b.t.Context(), b.answer(page).Get("code"), oauth2.VerifierOption(b.verifier))
	if err != nil {
		b.t.Fatal(err)
	}
	return token, claimsOf(b.t, token)
}

func TestListedUser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	page := b.get(b.request("login_hint=grace@example.test"))
	body := string(page.Body)
	if page.Status != 200 || !strings.Contains(body, "believes anybody") || strings.Contains(body, "autofocus") {
		t.Errorf("got %d %s", page.Status, body)
	}
	if ada, grace := strings.Index(body, "Ada Lovelace<small>"), strings.Index(body, "Grace Hopper<small>"); grace < 0 || ada < grace {
		t.Errorf("the expected user is not the first: %s", body)
	}
	token, claims := b.login(b.post(page.URL, url.Values{"user": {"2"}}))
	roles, _ := json.Marshal(claims["roles"])
	if claims["name"] != "Grace Hopper" || string(roles) != `["editor"]` || claims["email_verified"] != true || claims["acr"] != nil {
		t.Errorf("got %v", claims)
	}
	if info := b.userInfo(token); info["picture"] != "https://www.example.test/grace.png" || info["sub"] != claims["sub"] {
		t.Errorf("UserInfo: got %v", info)
	}
	if page := b.post(b.request(), url.Values{"user": {"4"}}); page.Status != http.StatusUnprocessableEntity {
		t.Errorf("a user who is not listed: got %d", page.Status)
	}
}

func TestTypedUser(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	typed := url.Values{"email": {"eve@example.test"}, "name": {"Eve <E>"}, "claims": {"{\"roles\": [\"admin\"],\n\"groups\": }"}}
	page := b.post(b.request(), typed)
	body := html.UnescapeString(string(page.Body))
	if page.Status != http.StatusUnprocessableEntity || !strings.Contains(body, "line 2: not JSON") {
		t.Errorf("got %d %s", page.Status, body)
	}
	for name := range typed {
		if !strings.Contains(body, typed.Get(name)) {
			t.Errorf("%s is lost: %s", name, body)
		}
	}
	typed.Set("claims", `{"roles": ["admin"], "level": 12345678901234567890, "email_verified": false}`)
	_, claims := b.login(b.post(page.URL, typed))
	if roles, _ := json.Marshal(claims["roles"]); string(roles) != `["admin"]` || claims["name"] != "Eve <E>" || claims["email_verified"] != false || claims["level"] != json.Number("12345678901234567890") {
		t.Errorf("got %v", claims)
	}
	for _, bad := range []url.Values{{}, {"email": {"x@example.test"}, "claims": {"[]"}}, {"email": {"x@example.test"}, "claims": {`{"iss": "https://x"}`}}} {
		if page := b.post(b.request(), bad); page.Status != http.StatusUnprocessableEntity {
			t.Errorf("%v: got %d", bad, page.Status)
		}
	}
}

// An application may post its request. The form then has the request's
// parameters.
func TestPostedRequest(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	address, query, _ := strings.Cut(b.request("acr_values=3 4"), "?")
	request, _ := url.ParseQuery(query)
	page := b.post(address, request)
	_, action, _ := strings.Cut(string(page.Body), `action="`)
	action, _, _ = strings.Cut(action, `"`)
	if page.Status != 200 || !strings.Contains(string(page.Body), `name="acr" value="3"`) {
		t.Fatalf("got %d %s", page.Status, page.Body)
	}
	_, claims := b.login(b.post(address+html.UnescapeString(action), url.Values{"email": {"eve@example.test"}, "acr": {"3"}}))
	if claims["acr"] != "3" || claims["name"] != "eve" {
		t.Errorf("got %v", claims)
	}
}

func TestLevels(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for asked, want := range map[string]string{"": "1", "acr_values=2": "2", "acr_values=9": "1"} {
		if _, claims := b.login(b.post(b.request(asked), url.Values{"user": {"1"}})); claims["acr"] != want || claims["sub"] != "ada" {
			t.Errorf("%s: got %v", asked, claims)
		}
	}
}

func TestSilentLogin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	silently := func(want string, parameters ...string) {
		t.Helper()
		page := b.get(b.request(append(parameters, "prompt=none")...))
		if got := b.answer(page); got.Get("error") != want || got.Has("code") == (want != "") {
			t.Errorf("%v: got %v", parameters, got)
		}
	}
	silently("login_required")
	_, first := b.login(b.post(b.request(), url.Values{"user": {"1"}}))
	_, again := b.login(b.get(b.request("prompt=none")))
	if again["sub"] != "ada" || again["sid"] != first["sid"] || again["auth_time"] != first["auth_time"] {
		t.Errorf("got %v after %v", again, first)
	}
	silently("", "max_age=1000")
	silently("login_required", "max_age=0")
	for _, asks := range []string{"", "prompt=login", "prompt=select_account"} {
		if page := b.get(b.request(asks)); page.Status != 200 || !strings.Contains(string(page.Body), "Who are you?") {
			t.Errorf("%s does not ask: %d", asks, page.Status)
		}
	}
	if page := b.get(b.url + "/end-session"); page.Status != 200 || !strings.Contains(string(page.Body), "You are logged out") || !strings.Contains(string(page.Body), "believes anybody") {
		t.Errorf("got %d %s", page.Status, page.Body)
	}
	silently("login_required")
}

func TestRefreshAndLogout(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	token, _ := b.login(b.post(b.request(), url.Values{"user": {"1"}}))
	fresh, err := b.config.TokenSource(t.Context(), &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	if err != nil || fresh.AccessToken == token.AccessToken || b.userInfo(fresh)["sub"] != "ada" {
		t.Fatalf("got %v %v", fresh, err)
	}
	for to, want := range map[string]int{
		"http://app.localhost:8080/":  http.StatusSeeOther,
		"https://app.example.test/":   http.StatusBadRequest,
		"http://localhost.evil.test/": http.StatusBadRequest,
	} {
		page := b.get(b.url + "/end-session?" + url.Values{"post_logout_redirect_uri": {to}, "client_id": {"dev"}}.Encode())
		if page.Status != want || want == http.StatusSeeOther && page.Header.Get("Location") != to {
			t.Errorf("%s: got %d", to, page.Status)
		}
	}
}

func TestRedirectURIs(t *testing.T) {
	t.Parallel()
	anywhere := newBench(t)
	listed := newBench(t, "https://app.example.test/cb", "http://127.0.0.1/x")
	for uri, want := range map[string][2]bool{
		"http://127.0.0.1:8080/auth/callback":     {true, false},
		"https://[::1]/":                          {true, false},
		"http://localhost/x?y=z":                  {true, false},
		"http://a.b.LOCALHOST:1/":                 {true, false},
		"http://127.0.0.1/x":                      {true, true},
		"https://app.example.test/cb":             {false, true},
		"https://app.example.test/cb2":            {false, false},
		"http://localhost.evil.test/":             {false, false},
		"http://evillocalhost/":                   {false, false},
		"http://localhost@evil.test/":             {false, false},
		"http://user@localhost/":                  {false, false},
		"http://localhost/#x":                     {false, false},
		"javascript://localhost/%0aalert(1)":      {false, false},
		"//localhost/":                            {false, false},
		"/relative":                               {false, false},
		"http://127.0.0.1.evil.test/":             {false, false},
		"http://0.0.0.0/":                         {false, false},
		"http://192.168.0.1:8080/auth/callback":   {false, false},
		"http://localhost:8080:9000/bad-port":     {false, false},
		"http://127.0.0.1:8080\\@evil.test/":      {false, false},
		"http://[fe80::1%25lo0]:8080/link-local/": {false, false},
	} {
		for i, b := range []*bench{anywhere, listed} {
			page := b.get(b.request("redirect_uri=" + uri))
			if accepted := page.Status == 200; accepted != want[i] || !accepted && page.Status != http.StatusBadRequest {
				t.Errorf("%s, listed %d: got %d", uri, i, page.Status)
			}
		}
	}
	page := anywhere.get(anywhere.request("redirect_uri=https://evil.test/"))
	if !strings.Contains(string(page.Body), "<h1>Bad request</h1>") || !strings.Contains(string(page.Body), "believes anybody") {
		t.Errorf("got %s", page.Body)
	}
}

func TestPKCEAndSecretAreDemanded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if got := b.answer(b.get(b.config.AuthCodeURL("the-state"))); got.Get("error") != "invalid_request" {
		t.Errorf("no challenge: got %v", got)
	}
	for name, spoil := range map[string]func(*oauth2.Config){
		"no secret":        func(c *oauth2.Config) { c.ClientSecret = "" },
		"wrong secret":     func(c *oauth2.Config) { c.ClientSecret = "x" },
		"for another":      func(c *oauth2.Config) { c.ClientID, c.ClientSecret = "dev-public", "" },
		"another callback": func(c *oauth2.Config) { c.RedirectURL += "x" },
	} {
		code := b.answer(b.post(b.request(), url.Values{"user": {"1"}})).Get("code")
		config := b.config
		spoil(&config)
		if _, err := config.Exchange(t.Context(), code, oauth2.VerifierOption(b.verifier)); err == nil {
			t.Errorf("%s: the code was redeemed", name)
		}
	}
	b.config.ClientID, b.config.ClientSecret = "dev-public", ""
	b.login(b.post(b.request(), url.Values{"user": {"1"}}))
}

func TestCancel(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cancel := url.Values{"cancel": {"yes"}}
	if got := b.answer(b.post(b.request(), cancel)); got.Get("error") != "access_denied" || got.Has("code") {
		t.Errorf("got %v", got)
	}
	page := b.post(b.request("redirect_uri="+callback+"?a=b"), cancel)
	if location := page.Header.Get("Location"); !strings.HasPrefix(location, callback+"?a=b&") {
		t.Errorf("a redirect URI with a query: got %s", location)
	}
	page = b.post(b.request("response_mode=form_post"), cancel)
	body := string(page.Body)
	if page.Status != 200 || !strings.Contains(body, `action="`+callback+`"`) || !strings.Contains(body, `name="error" value="access_denied"`) || !strings.Contains(body, `name="state" value="the-state"`) {
		t.Errorf("form_post: got %d %s", page.Status, body)
	}
}

func TestHome(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	page := b.get(b.url + "/")
	body := html.UnescapeString(string(page.Body))
	for _, want := range []string{`Issuer:       "` + b.url + `"`, `ClientSecret: "dev-secret"`, `"dev-public"`, "believes anybody", "3 users"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s: %s", want, body)
		}
	}
	for host, want := range map[string]int{"evil.test": http.StatusMisdirectedRequest, "localhost.evil.test": http.StatusMisdirectedRequest, "id.localhost:9000": 200, "[::1]:9000": 200} {
		r, err := http.NewRequest(http.MethodGet, b.url+"/.well-known/openid-configuration", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil || response.StatusCode != want {
			t.Errorf("%s: got %d %v", host, response.StatusCode, err)
		}
	}
}

// An issuer may have a path, and another host than the listener.
func TestIssuerOfAContainer(t *testing.T) {
	t.Parallel()
	const issuer = "http://id.example.test:9000/dev"
	handler := devprovider.Server{Issuer: issuer, Clients: []logintest.Client{{ID: "dev"}}, InsecureAnyHost: true}.Handler()
	for path, want := range map[string]string{"/dev/": issuer, "/dev/.well-known/openid-configuration": `"issuer":"` + issuer + `"`} {
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "http://devprovider:9000"+path, nil))
		if recorder.Code != 200 || !strings.Contains(recorder.Body.String(), want) {
			t.Errorf("%s: got %d %s", path, recorder.Code, recorder.Body)
		}
	}
}

// A registered client is held to its registration.
func TestRegisteredClient(t *testing.T) {
	t.Parallel()
	client, err := logintest.ParseClient([]byte(`{"client_id":"dev","client_secret":"s","require_pushed_authorization_requests":true}`))
	if err != nil {
		t.Fatal(err)
	}
	handler := devprovider.Server{Issuer: "http://localhost:9000", Clients: []logintest.Client{client}}.Handler()
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "http://localhost:9000/authorize?client_id=dev", nil))
	if recorder.Code != 400 || !strings.Contains(recorder.Body.String(), "must push its authorization requests") {
		t.Errorf("got %d %s", recorder.Code, recorder.Body)
	}
}

func (b *bench) userInfo(token *oauth2.Token) map[string]any {
	b.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, b.url+"/userinfo", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	token.SetAuthHeader(r)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err := response.Body.Close(); err != nil {
		b.t.Fatal(err)
	}
	var claims map[string]any
	if err != nil || json.Unmarshal(body, &claims) != nil {
		b.t.Fatalf("got %v %s", err, body)
	}
	return claims
}
