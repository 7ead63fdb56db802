package logintest_test

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"

	"github.com/pixyauth/pixy/core/logintest"
)

// A bazaar is a login with a provider for each customer. It works. Do not copy it: it
// checks no signatures. Each switch is one more weakness.
type bazaar struct {
	shared      bool // all customers share one callback
	hosts       bool // each customer has a host
	anyUser     bool // a customer's page shows any user
	byIssuer    bool // a customer's page shows any user of the issuer
	anyCallback bool // a callback takes any customer's answer
	anyIss      bool // the iss of an answer is not compared
	anyMetadata bool // the issuer of metadata is not compared
	anyIDToken  bool // the issuer of an ID token is not compared
	anyHost     bool // cookies are good at any host
	forwarded   bool // believes X-Forwarded-Host
	absolute    bool // believes the host of an absolute request target
	unbound     bool // a login belongs to a name, and not to an issuer
	hints       bool // sends all ID tokens to the provider at the logout
	chosenByIss bool // begins a login at the provider with an iss
	guesses     bool // takes an unknown name for the first customer's
	fails       bool // fails with 500 for an unknown name
	queue       bool // asks one provider after the other
	reads       bool // reads all that a provider sends
	ends        bool // ends a session by any logout token
	framed      bool // ends a session by any frame

	client  *http.Client
	mu      sync.Mutex
	table   map[string]string // names to issuers
	ended   map[string]bool   // sessions, by a sub or sid
	oneOnly sync.Mutex
}

func (a *bazaar) add(name, issuer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.table == nil {
		a.table, a.ended = make(map[string]string), make(map[string]bool)
	}
	a.table[name] = issuer
}

// issuer returns the customer's name and issuer.
func (a *bazaar) issuer(name string) (string, string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.table[name] == "" && a.guesses {
		name = "acme"
	}
	return name, a.table[name]
}

func (a *bazaar) target() logintest.Target {
	t := logintest.Target{
		RedirectURL: "https://app.example.test/auth/callback/{provider}", Private: "/private/{provider}",
		LoginPath: "/auth/login/{provider}", LogoutPath: "/auth/logout", AddCustomer: a.add,
	}
	if a.shared {
		t.RedirectURL = "https://app.example.test/auth/callback"
	}
	if a.hosts {
		t.RedirectURL = "https://{provider}.example.test/auth/callback/{provider}"
	}
	if a.ends {
		t.BackChannelLogout = "/auth/backchannel-logout"
	}
	if a.framed {
		t.FrontChannelLogout = "/auth/frontchannel-logout"
	}
	t.Start = func(p *logintest.Provider) http.Handler {
		a.client = p.HTTPClient()
		mux := http.NewServeMux()
		mux.HandleFunc("GET /auth/login/{name}", a.login)
		mux.HandleFunc("GET /auth/callback", a.callback)
		mux.HandleFunc("GET /auth/callback/{name}", a.callback)
		mux.HandleFunc("POST /auth/logout", a.logout)
		mux.HandleFunc("/auth/backchannel-logout", a.backChannel)
		mux.HandleFunc("/auth/frontchannel-logout", func(w http.ResponseWriter, _ *http.Request) { a.set(w, "session", nil) })
		mux.HandleFunc("/private/{name}", a.private)
		return mux
	}
	return t
}

func (a *bazaar) set(w http.ResponseWriter, name string, values url.Values) {
	c := &http.Cookie{Name: "__Host-" + name, Value: url.QueryEscape(values.Encode()), Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if values == nil {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

func (a *bazaar) read(r *http.Request, name string) url.Values {
	c, err := r.Cookie("__Host-" + name)
	if err != nil {
		return nil
	}
	text, _ := url.QueryUnescape(c.Value)
	values, _ := url.ParseQuery(text)
	if !a.anyHost && values.Get("host") != r.Host {
		return nil
	}
	return values
}

func (a *bazaar) redirectURI(r *http.Request, name string) string {
	host := r.Host
	if a.forwarded {
		host = cmp.Or(r.Header.Get("X-Forwarded-Host"), host)
	}
	if u, err := url.Parse(r.RequestURI); err == nil && a.absolute {
		host = cmp.Or(u.Host, host)
	}
	if a.shared {
		return "https://" + host + "/auth/callback"
	}
	return "https://" + host + "/auth/callback/" + name
}

// fetch decodes a provider's response.
func (a *bazaar) fetch(answer *http.Response, err error) (body map[string]any) {
	if err != nil {
		return nil
	}
	defer answer.Body.Close()
	limit := int64(1 << 20)
	if a.reads {
		limit = 1 << 30
	}
	text, _ := io.ReadAll(io.LimitReader(answer.Body, limit))
	_ = json.NewDecoder(bytes.NewReader(text)).Decode(&body)
	return body
}

func (a *bazaar) metadata(issuer string) (map[string]any, bool) {
	metadata := a.fetch(a.client.Get(issuer + "/.well-known/openid-configuration"))
	return metadata, metadata["issuer"] == issuer || a.anyMetadata && metadata != nil
}

func (a *bazaar) login(w http.ResponseWriter, r *http.Request) {
	if a.queue {
		a.oneOnly.Lock()
		defer a.oneOnly.Unlock()
	}
	name, issuer := a.issuer(r.PathValue("name"))
	if iss := r.FormValue("iss"); a.chosenByIss && iss != "" {
		issuer = iss
	}
	if issuer == "" {
		status := http.StatusNotFound
		if a.fails {
			status = http.StatusInternalServerError
		}
		http.Error(w, "no such customer", status)
		return
	}
	metadata, ok := a.metadata(issuer)
	if !ok {
		http.Error(w, "bad metadata", http.StatusBadGateway)
		return
	}
	attempt := url.Values{"host": {r.Host}, "state": {rand.Text()}, "nonce": {rand.Text()}, "verifier": {rand.Text() + rand.Text()}, "name": {name}, "issuer": {issuer}}
	a.set(w, "login", attempt)
	http.Redirect(w, r, fmt.Sprint(metadata["authorization_endpoint"])+"?"+url.Values{
		"response_type": {"code"}, "client_id": {"app"}, "redirect_uri": {a.redirectURI(r, name)}, "scope": {"openid profile email"},
		"state": attempt["state"], "nonce": attempt["nonce"], "code_challenge": {challenge(attempt.Get("verifier"))}, "code_challenge_method": {"S256"},
	}.Encode(), http.StatusFound)
}

func (a *bazaar) callback(w http.ResponseWriter, r *http.Request) {
	query, attempt := r.URL.Query(), a.read(r, "login")
	a.set(w, "login", nil)
	name := attempt.Get("name")
	_, issuer := a.issuer(name)
	switch {
	case attempt == nil || query.Get("state") != attempt.Get("state"),
		!a.shared && !a.anyCallback && name != path.Base(r.URL.Path),
		!a.unbound && issuer != attempt.Get("issuer"),
		!a.anyIss && query.Get("iss") != issuer:
		http.Error(w, "not the answer to this login", http.StatusBadRequest)
		return
	}
	metadata, ok := a.metadata(issuer)
	tokens := a.fetch(a.client.PostForm(fmt.Sprint(metadata["token_endpoint"]), url.Values{
		"grant_type": {"authorization_code"}, "code": query["code"], "redirect_uri": {a.redirectURI(r, name)}, "client_id": {"app"}, "code_verifier": attempt["verifier"],
	}))
	claims := make(map[string]any)
	if parts := strings.Split(fmt.Sprint(tokens["id_token"]), "."); len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &claims)
	}
	if !ok || claims["nonce"] != attempt.Get("nonce") || !a.anyIDToken && claims["iss"] != issuer {
		http.Error(w, "no good token", http.StatusBadGateway)
		return
	}
	session := url.Values{"host": {r.Host}, "name": {name}, "user": {fmt.Sprint(claims["name"])}, "sub": {fmt.Sprint(claims["sub"])}, "sid": {fmt.Sprint(claims["sid"])}}
	a.set(w, "session", session)
	hints := a.read(r, "hints")
	if hints == nil {
		hints = url.Values{"host": {r.Host}}
	}
	hints.Add("hint", fmt.Sprint(tokens["id_token"]))
	a.set(w, "hints", hints)
	http.Redirect(w, r, "/", http.StatusFound)
}

func (a *bazaar) private(w http.ResponseWriter, r *http.Request) {
	session, name := a.read(r, "session"), r.PathValue("name")
	a.mu.Lock()
	ended := a.ended[session.Get("sub")] || a.ended[session.Get("sid")]
	theirs := session.Get("name") == name || a.anyUser || a.byIssuer && a.table[session.Get("name")] == a.table[name]
	a.mu.Unlock()
	if session == nil || ended || !theirs {
		http.Error(w, "not for you", http.StatusForbidden)
		return
	}
	fmt.Fprint(w, "Hello, ", session.Get("user"))
}

func (a *bazaar) logout(w http.ResponseWriter, r *http.Request) {
	session, hints := a.read(r, "session"), a.read(r, "hints")
	if r.Header.Get("Sec-Fetch-Site") != "same-origin" {
		http.Error(w, "another site", http.StatusForbidden)
		return
	}
	a.set(w, "session", nil)
	if _, issuer := a.issuer(session.Get("name")); a.hints && issuer != "" {
		http.Redirect(w, r, issuer+"/end-session?id_token_hint="+strings.Join(hints["hint"], "+"), http.StatusFound)
	}
}

// backChannel ends a session by whatever a token says. The attacks name one user in them.
func (a *bazaar) backChannel(_ http.ResponseWriter, r *http.Request) {
	claims := make(map[string]any)
	if parts := strings.Split(r.FormValue("logout_token"), "."); len(parts) == 3 {
		payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
		_ = json.Unmarshal(payload, &claims)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range []string{"sub", "sid"} {
		if value, ok := claims[name].(string); ok {
			a.ended[value] = name == "sid" // or no later session of the user would be good
		}
	}
}
