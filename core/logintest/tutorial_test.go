package logintest_test

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// A tutorial is a login as tutorials show it: it works, and every attack of the kit
// succeeds. Do not copy it. Each switch fixes one weakness, or replaces it by another.
type tutorial struct {
	provider *logintest.Provider
	client   *http.Client

	pkce       func(verifier string) (challenge, method string)          // nil: plain
	verifier   string                                                    // "": a new one for each login, in a cookie
	secret     string                                                    // of the client; shown on the private page
	token      bool                                                      // a cookie holds the access token
	state      bool                                                      // compares the state with the cookie
	nonce      bool                                                      // sends a nonce and compares it
	raises     bool                                                      // verifies auth_time and acr after a step-up
	vault      http.HandlerFunc                                          // nil: opens after a step-up
	guarded    bool                                                      // stops an anonymous request in the guard
	mayNext    func(string) bool                                         // allowed pages to return to; nil: all
	onServer   bool                                                      // sessions are in memory, by id
	formPost   bool                                                      // uses response_mode=form_post
	bounce     func(form url.Values) string                              // the URL at which the page for a posted form continues; nil: no page
	cookie     func(*http.Cookie)                                        // changes each cookie that is set
	ends       func(claims map[string]any) string                        // what a logout token ends; nil: its sid, or else its sub
	framed     func(r *http.Request, sid string) bool                    // whether a frame ends a session; nil: always
	oauth2     bool                                                      // requests UserInfo and no ID token
	endsFirst  bool                                                      // ends the session before it checks a callback
	configured bool                                                      // knows its own URL
	own        bool                                                      // begins the session on a page of its own, from a cookie that the login set
	once       bool                                                      // … which that page deletes
	endsBoth   bool                                                      // … and which the logout deletes
	keeps      *keeper                                                   // keeps tokens; nil: they are not kept
	hasty      func(*http.Response) bool                                 // shows a plan, in a cookie that is set before the login is checked, after such token responses
	stays      bool                                                      // keeps a session that exists
	resumes    bool                                                      // logs in at the login's path, if a login has left a cookie; with own
	exempt     func(*http.Request) bool                                  // requests that a guard in front of the router lets through; nil: no guard
	resolve    func(path string) string                                  // the path that the router uses; nil: unchanged
	links      *linker                                                   // links accounts; nil: there is no such page
	enters     *entering                                                 // of the sign-in page; nil: with all weaknesses
	called     *calling                                                  // of the API; nil: with all weaknesses
	strong     *weakness                                                 // pushes, proves, and reads signed and encrypted messages; nil: it does not
	leaving    func(a *tutorial, w http.ResponseWriter, r *http.Request) // the logout; nil: with all weaknesses

	mu       sync.Mutex
	sessions map[string]url.Values

	endings sync.Map // by what has ended: the number of sessions at that time
	begun   atomic.Int64
}

func (a *tutorial) start(p *logintest.Provider) http.Handler {
	a.provider, a.client, a.sessions = p, p.HTTPClient(), make(map[string]url.Values)
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "Welcome") })
	mux.HandleFunc("/auth/login", a.login)
	mux.HandleFunc("/auth/callback", a.callback)
	mux.HandleFunc("/auth/logout", a.logout)
	mux.HandleFunc("/auth/backchannel-logout", a.backChannel)
	mux.HandleFunc("/auth/frontchannel-logout", a.frontChannel)
	mux.HandleFunc("/me", a.me)
	mux.HandleFunc("/enter", a.enter)
	if a.vault == nil {
		a.vault = a.stepUp
	}
	mux.HandleFunc("/vault", a.vault)
	mux.HandleFunc("/auth/callback/two", a.callback)
	mux.HandleFunc("/signin", a.signIn)
	mux.HandleFunc("/api/session", a.apiSession)
	mux.HandleFunc("/api/note", a.apiNote)
	if a.links != nil {
		a.links.start()
		mux.HandleFunc("/link", func(w http.ResponseWriter, r *http.Request) { a.links.begin(a, w, r) })
	}
	return a.guardAll(mux)
}

func (a *tutorial) setCookie(w http.ResponseWriter, name, value string, maxAge int) {
	c := &http.Cookie{Name: name, Value: value, Path: "/", MaxAge: maxAge}
	if a.cookie != nil {
		a.cookie(c)
	}
	http.SetCookie(w, c)
}

// readCookie returns the first cookie called name, with any prefix.
func readCookie(r *http.Request, name string) (url.Values, bool) {
	for _, c := range r.Cookies() {
		if strings.TrimPrefix(strings.TrimPrefix(c.Name, "__Host-"), "__Secure-") == name {
			values, err := url.ParseQuery(c.Value)
			return values, err == nil
		}
	}
	return nil, false
}

func (a *tutorial) redirectURI(r *http.Request) string {
	if a.configured {
		return "https://app.example.test/auth/callback"
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	return scheme + cmp.Or(r.Header.Get("X-Forwarded-Host"), r.Host) + "/auth/callback"
}

func (a *tutorial) login(w http.ResponseWriter, r *http.Request) {
	if left, _ := readCookie(r, "identity"); a.resumes && left.Has("claims") {
		http.Redirect(w, r, "/enter", http.StatusFound)
		return
	}
	a.loginWith(w, r, nil)
}

// loginWith begins a login with data of the application's own.
func (a *tutorial) loginWith(w http.ResponseWriter, r *http.Request, data url.Values) {
	query := r.URL.Query()
	attempt := url.Values{
		"state": {cmp.Or(query.Get("state"), rand.Text())}, "nonce": {rand.Text()},
		"verifier": {rand.Text() + rand.Text()}, "next": {query.Get("next")},
	}
	if query.Has("step_up") {
		attempt.Set("step_up", "1")
	}
	maps.Copy(attempt, data)
	verifier := attempt.Get("verifier")
	if a.verifier != "" {
		verifier = a.verifier
		attempt.Del("verifier")
	}
	a.setCookie(w, "login", attempt.Encode(), 600)
	a.setCookie(w, "hint", "x", 600)
	request := url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {a.redirectURI(r)}, "scope": {"openid profile email"},
		"state": attempt["state"], "code_challenge": {verifier}, "code_challenge_method": {"plain"},
	}
	if a.pkce != nil {
		challenge, method := a.pkce(verifier)
		request.Set("code_challenge", challenge)
		request.Set("code_challenge_method", method)
	}
	if a.keeps != nil && !a.keeps.online {
		request.Set("scope", "openid profile email offline_access")
	}
	if a.oauth2 {
		request.Set("scope", "profile email")
	}
	if a.nonce {
		request["nonce"] = attempt["nonce"]
	}
	if attempt.Has("step_up") {
		request.Set("max_age", "300")
		request.Set("acr_values", "gold")
	}
	if a.formPost {
		request.Set("response_mode", "form_post")
	}
	if a.strong != nil {
		if request = a.strong.push(a, request); request == nil {
			http.Error(w, "the provider is down", http.StatusServiceUnavailable)
			return
		}
	}
	http.Redirect(w, r, a.provider.Issuer()+"/authorize?"+request.Encode(), http.StatusFound)
}

func (a *tutorial) callback(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if a.formPost {
		r.ParseForm()
		query = r.Form
	}
	if a.bounce != nil && r.Method == "POST" {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<meta http-equiv="refresh" content="0;url=%s">`, a.bounce(r.PostForm))
		return
	}
	if a.strong != nil {
		if query = a.strong.verified(a, query); query == nil {
			http.Error(w, "no good response", http.StatusBadRequest)
			return
		}
	}
	if a.endsFirst {
		a.setCookie(w, "session", "", -1)
	}
	attempt, _ := readCookie(r, "login")
	a.setCookie(w, "login", "", -1)
	if a.state && query.Get("state") != attempt.Get("state") {
		http.Error(w, "wrong state", http.StatusBadRequest)
		return
	}
	if query.Has("error") {
		a.setCookie(w, "session", "", -1)
		fmt.Fprintf(w, "<p>Login failed: %s</p>", query.Get("error_description"))
		return
	}
	var tokens tokenResponse
	post := a.client.PostForm
	if a.strong != nil {
		post = a.strong.post(a)
	}
	answer, err := post(a.provider.Issuer()+"/token", url.Values{
		"grant_type": {"authorization_code"}, "code": query["code"], "redirect_uri": {a.redirectURI(r)}, "client_id": {"app"},
		"code_verifier": {cmp.Or(query.Get("code_verifier"), a.verifier, attempt.Get("verifier"))}, "client_secret": {a.secret},
	})
	if err == nil {
		err = json.NewDecoder(answer.Body).Decode(&tokens)
	}
	if a.strong != nil && !a.strong.reads(&tokens) {
		err = io.ErrUnexpectedEOF
	}
	claims, ok := tokens.claims()
	if a.oauth2 {
		claims, ok = make(map[string]any), tokens.Access != ""
	}
	if !ok {
		err = io.ErrUnexpectedEOF
	}
	if a.hasty != nil && answer != nil && a.hasty(answer) {
		a.setCookie(w, "plan", fmt.Sprint("plan-of-number-", len(fmt.Sprint(claims["sub"], tokens.Access))), 3600)
	}
	if err != nil || a.nonce && claims["nonce"] != attempt.Get("nonce") {
		http.Error(w, "no good token", http.StatusInternalServerError)
		return
	}
	a.askUserInfo(tokens.Access, claims)
	if a.token {
		a.setCookie(w, "token", base64.StdEncoding.EncodeToString([]byte(tokens.Access)), 3600)
	}
	if a.links != nil {
		if claims = a.links.finish(w, r, attempt, claims); claims == nil {
			return
		}
	}
	if a.own {
		left, _ := json.Marshal(claims)
		a.setCookie(w, "identity", url.Values{"claims": {string(left)}}.Encode(), 3600)
		http.Redirect(w, r, "/enter", http.StatusFound)
		return
	}
	a.begin(w, r, claims)
	if a.keeps != nil {
		a.keeps.keep(a, w, fmt.Sprint(claims["sub"]), &tokens)
	}
	if then, _ := claims["auth_time"].(float64); attempt.Has("step_up") && (!a.raises || time.Since(time.Unix(int64(then), 0)) < time.Hour && claims["acr"] == "gold") {
		a.setCookie(w, "raised", "yes", 300)
	}
	if next := attempt.Get("next"); next != "" && (a.mayNext == nil || a.mayNext(next)) {
		http.Redirect(w, r, next, http.StatusFound)
		return
	}
	fmt.Fprint(w, "You are logged in")
}

type tokenResponse struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	ID      string `json:"id_token"`
	Expires int64  `json:"expires_in"`
	Type    any    `json:"token_type"`
	Error   string `json:"error"`
}

// claims returns the claims of the ID token, without checking its signature.
func (t *tokenResponse) claims() (claims map[string]any, ok bool) {
	parts := strings.Split(t.ID, ".")
	if len(parts) != 3 {
		return nil, false
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	return claims, json.Unmarshal(payload, &claims) == nil
}

// askUserInfo replaces claims by those of UserInfo, without comparing sub.
func (a *tutorial) askUserInfo(token string, claims map[string]any) {
	r, err := http.NewRequest("GET", a.provider.Issuer()+"/userinfo", nil)
	if err != nil {
		return
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if answer, err := a.client.Do(r); err == nil {
		json.NewDecoder(answer.Body).Decode(&claims)
	}
}

// begin stores the session in two cookies, or under the id that the browser already has.
func (a *tutorial) begin(w http.ResponseWriter, r *http.Request, claims map[string]any) {
	if _, ok := readCookie(r, "session"); a.stays && ok {
		return
	}
	session := url.Values{"sub": {fmt.Sprint(claims["sub"])}, "name": {fmt.Sprint(claims["name"])}, "sid": {fmt.Sprint(claims["sid"])}, "number": {fmt.Sprint(a.begun.Add(1))}}
	if !a.onServer {
		a.setCookie(w, "session", session.Encode(), 3600)
		a.setCookie(w, "mail", url.QueryEscape(fmt.Sprint(claims["email"])), 3600)
		return
	}
	id := rand.Text()
	if c, err := r.Cookie("session"); err == nil {
		id = c.Value
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sessions[id] = session
	a.setCookie(w, "session", id, 3600)
}

// enter begins the session from the cookie that the login has left.
func (a *tutorial) enter(w http.ResponseWriter, r *http.Request) {
	left, _ := readCookie(r, "identity")
	var claims map[string]any
	if json.Unmarshal([]byte(left.Get("claims")), &claims) != nil {
		http.Redirect(w, r, "/auth/login", http.StatusFound)
		return
	}
	a.begin(w, r, claims)
	if a.once {
		a.setCookie(w, "identity", "", -1)
	}
	fmt.Fprint(w, "You are logged in")
}

func (a *tutorial) me(w http.ResponseWriter, r *http.Request) {
	session, ok := readCookie(r, "session")
	mail, ok2 := readCookie(r, "mail")
	if a.onServer {
		c, _ := r.Cookie("session")
		a.mu.Lock()
		defer a.mu.Unlock()
		if ok, ok2 = false, true; c != nil {
			session, ok = a.sessions[c.Value], a.sessions[c.Value] != nil
		}
	}
	var answer string
	if ok && a.keeps != nil {
		session, answer = a.keeps.use(a, w, r, session)
		ok = session != nil
	}
	if c, err := r.Cookie("session_chunks"); err == nil {
		n, _ := strconv.Atoi(c.Value)
		_ = make([]string, min(n, 100))
	}
	if !ok || !ok2 || a.ended(session) {
		to := "/auth/login"
		if a.enters != nil && a.enters.guard {
			to = "/signin?next=" + url.QueryEscape(r.URL.RequestURI())
		}
		http.Redirect(w, r, to, http.StatusFound)
		if a.guarded {
			return
		}
	}
	if plan, err := r.Cookie("plan"); err == nil {
		answer += plan.Value
	}
	fmt.Fprintf(w, "<h1>Your secret page</h1>\n<p>Hello, %s</p>\n%v\n%s%s", session.Get("name"), mail, a.secret, answer)
}

// stepUp opens after any return from a step-up.
func (a *tutorial) stepUp(w http.ResponseWriter, r *http.Request) {
	if _, ok := readCookie(r, "raised"); !ok {
		http.Redirect(w, r, "/auth/login?step_up=1", http.StatusFound)
		return
	}
	fmt.Fprint(w, "<h1>Your vault</h1>")
}

// backChannel accepts every token that can be parsed.
func (a *tutorial) backChannel(_ http.ResponseWriter, r *http.Request) {
	claims := make(map[string]any)
	if parts := strings.Split(r.FormValue("logout_token"), "."); len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &claims)
	}
	about := sidOrSub
	if a.ends != nil {
		about = a.ends
	}
	a.endings.Store(about(claims), a.begun.Load())
}

func sidOrSub(claims map[string]any) string {
	if sid, ok := claims["sid"]; ok {
		return fmt.Sprint("sid ", sid)
	}
	return fmt.Sprint("sub ", claims["sub"])
}

// ended reports whether a session existed when a logout token ended it.
func (a *tutorial) ended(session url.Values) bool {
	number, _ := strconv.ParseInt(session.Get("number"), 10, 64)
	for _, about := range []string{"sid " + session.Get("sid"), "sub " + session.Get("sub"), "everybody"} {
		if last, ok := a.endings.Load(about); ok && number <= last.(int64) {
			return true
		}
	}
	return false
}

// frontChannel ends the session without checking the request.
func (a *tutorial) frontChannel(w http.ResponseWriter, r *http.Request) {
	session, _ := readCookie(r, "session")
	if a.framed == nil || a.framed(r, session.Get("sid")) {
		a.setCookie(w, "session", "", -1)
		a.setCookie(w, "mail", "", -1)
	}
}

func (a *tutorial) logout(w http.ResponseWriter, r *http.Request) {
	if a.leaving != nil {
		a.leaving(a, w, r)
		return
	}
	a.end(w)
	http.Redirect(w, r, cmp.Or(r.URL.Query().Get("next"), "/"), http.StatusFound)
}

func (a *tutorial) end(w http.ResponseWriter) {
	a.setCookie(w, "session", "", -1)
	a.setCookie(w, "mail", "", -1)
	if a.endsBoth {
		a.setCookie(w, "identity", "", -1)
	}
}
