package logintest

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

const codeLifetime = time.Minute

// A grant holds what an authorization code was issued for.
type grant struct {
	client      string
	redirectURI string
	challenge   string
	nonce       string
	scopes      []string
	user        User
	authTime    time.Time
	sid         string
	acr         string
	details     string // authorization_details, or ""
	key         string // thumbprint of a DPoP key, or "": the code needs a proof with it
	expires     time.Time
	used        bool
	revoked     bool // the code or a refresh token was used twice, or the grant was revoked
}

// refusal is an error response of OAuth 2.0.
type refusal struct{ code, description string }

// serveAuthorization is the authorization endpoint (RFC 6749 section 3.1).
func (p *Provider) serveAuthorization(w http.ResponseWriter, r *http.Request) {
	request, unanswerable := p.resolve(r)
	if request == nil {
		p.badRequest(w, unanswerable)
		return
	}
	if why := p.checkAuthorization(request); why != nil {
		p.respond(w, request, why.values())
		return
	}
	user := p.User
	silent, ok := request.get("prompt") == "none", p.Authenticate == nil
	if silent && !ok && p.Current != nil {
		user, ok = p.Current(r)
	}
	switch anew := !ok || mustAuthenticate(request.parameters, user.AuthTime, p.now()); {
	case anew && silent:
		p.respond(w, request, (&refusal{"login_required", "the user is not logged in"}).values())
		return
	case p.Authenticate != nil && !silent:
		if user, ok = p.Authenticate(w, r); !ok {
			return
		}
	case anew:
		user.AuthTime = time.Time{}
	}
	if user.AuthTime.IsZero() {
		user.AuthTime = p.now()
	}
	code := p.newCode(&grant{
		client: request.client.ID, redirectURI: request.get("redirect_uri"),
		challenge: request.get("code_challenge"), nonce: request.get("nonce"), key: request.key,
		details: request.get("authorization_details"),
		scopes:  strings.Fields(request.get("scope")), user: user.orAda(),
		authTime: user.AuthTime, sid: cmp.Or(user.SessionID, rand.Text()), acr: user.classFor(request.get("acr_values")), expires: p.now().Add(codeLifetime),
	})
	p.respond(w, request, url.Values{"code": {code}})
}

// checkAuthorization checks the parameters of a request whose client and
// redirect URI are known.
func (p *Provider) checkAuthorization(a *authorizationRequest) *refusal {
	request := a.parameters
	if name, ok := repeated(request); ok {
		return &refusal{"invalid_request", name + " occurs twice"}
	}
	if request.Get("response_type") != "code" {
		return &refusal{"unsupported_response_type", "response_type must be code"}
	}
	if maxAge := request.Get("max_age"); maxAge != "" && !isSeconds(maxAge) {
		return &refusal{"invalid_request", "max_age must be a number of seconds"}
	}
	if a.client.Scope != "" && request.Get("scope") != a.client.Scope {
		return &refusal{"invalid_scope", "scope must be " + a.client.Scope}
	}
	for _, why := range []*refusal{a.checkResponseMode(), a.checkDetails()} {
		if why != nil {
			return why
		}
	}
	if key := request.Get("dpop_jkt"); key != "" && !validChallenge.MatchString(key) {
		return &refusal{"invalid_request", "dpop_jkt is not the base64url of a SHA-256 hash"}
	}
	if p.misbehaviour().NoPKCE {
		return nil
	}
	return checkChallenge(request)
}

// respond sends the browser back to the client, with iss (RFC 9207) and state.
func (p *Provider) respond(w http.ResponseWriter, request *authorizationRequest, response url.Values) {
	if !p.useUp(request) {
		p.badRequest(w, "The request_uri has been used.")
		return
	}
	response.Set("iss", p.issuer)
	if state := request.get("state"); state != "" {
		response.Set("state", state)
	}
	if request.signsResponse() {
		response = p.signResponse(request.client, response)
	}
	if edit := p.misbehaviour().Authorization; edit != nil {
		edit(response)
	}
	redirectURI := request.get("redirect_uri")
	w.Header().Set("Cache-Control", "no-store")
	if request.postsResponse() {
		postForm(w, redirectURI, response)
		return
	}
	w.Header().Set("Location", withQuery(redirectURI, response))
	w.WriteHeader(http.StatusSeeOther)
}

// postForm answers with a page that posts the response to the client (OAuth 2.0
// Form Post Response Mode section 2).
func postForm(w http.ResponseWriter, action string, response url.Values) {
	var fields strings.Builder
	for _, name := range slices.Sorted(maps.Keys(response)) {
		for _, value := range response[name] {
			fmt.Fprintf(&fields, "<input type=\"hidden\" name=\"%s\" value=\"%s\">\n", html.EscapeString(name), html.EscapeString(value))
		}
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	fmt.Fprintf(w, "<!doctype html><title>Logging in</title>\n"+
		"<body onload=\"document.forms[0].submit()\">\n<form method=\"post\" action=\"%s\">\n%s<button>Continue</button>\n</form>",
		html.EscapeString(action), fields.String())
}

func (p *Provider) newCode(g *grant) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prune()
	code := rand.Text()
	p.codes[code] = g
	return code
}

// prune removes expired entries when their number has doubled since the last
// time. The caller holds mu.
func (p *Provider) prune() {
	entries := func() int { return len(p.codes) + len(p.tokens) + len(p.sessions) + len(p.pushed) + len(p.seen) }
	if entries() < max(p.pruneAt, maxRequests) {
		return
	}
	now := p.now()
	maps.DeleteFunc(p.codes, func(_ string, g *grant) bool { return now.After(g.expires.Add(time.Hour)) })
	maps.DeleteFunc(p.tokens, func(_ string, t *token) bool { return now.After(t.expires) })
	maps.DeleteFunc(p.sessions, func(_ string, s *session) bool { return now.After(s.expires) })
	maps.DeleteFunc(p.pushed, func(_ string, a *authorizationRequest) bool { return now.After(a.expires.Add(time.Hour)) })
	maps.DeleteFunc(p.seen, func(_ string, expires time.Time) bool { return now.After(expires) })
	p.pruneAt = 2 * entries()
}

func (r *refusal) values() url.Values {
	return url.Values{"error": {r.code}, "error_description": {r.description}}
}

// registers reports whether a URI is in a list of the client, or allowed anyway.
func (c Client) registers(list []string, uri string) bool {
	return slices.Contains(list, uri) || c.AllowURI != nil && c.AllowURI(uri)
}

func (p *Provider) badRequest(w http.ResponseWriter, why string) {
	p.page(w, http.StatusBadRequest, "Bad request", "<p>"+html.EscapeString(why)+"</p>\n")
}

// page writes a page for the user.
func (p *Provider) page(w http.ResponseWriter, status int, title, body string) {
	if p.Page != nil {
		p.Page(w, status, title, body)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<!doctype html><title>%s</title>\n%s", title, body)
}

// mustAuthenticate reports whether a login requires that the user authenticates
// again (OpenID Connect Core section 3.1.2.1).
func mustAuthenticate(request url.Values, last, now time.Time) bool {
	if slices.Contains(strings.Fields(request.Get("prompt")), "login") {
		return true
	}
	seconds, err := strconv.ParseUint(request.Get("max_age"), 10, 31)
	return err == nil && (seconds == 0 || !last.IsZero() && now.Sub(last) > time.Duration(seconds)*time.Second)
}

func isSeconds(maxAge string) bool {
	_, err := strconv.ParseUint(maxAge, 10, 31)
	return err == nil
}

// classFor returns the claim acr for the acr_values of a request.
func (u User) classFor(acrValues string) string {
	for wanted := range strings.FieldsSeq(acrValues) {
		if slices.Contains(u.ACR, wanted) {
			return wanted
		}
	}
	if len(u.ACR) > 0 {
		return u.ACR[0]
	}
	return ""
}

// orAda returns u, or Ada Lovelace if u has no subject.
func (u User) orAda() User {
	if u.Subject != "" {
		return u
	}
	return User{AuthTime: u.AuthTime, ACR: u.ACR, Subject: "ada", Claims: map[string]any{
		"name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace",
		"email": "ada@example.test", "email_verified": true,
	}}
}

// claims returns the claims that the scopes allow.
func (u User) claims(scopes []string) map[string]any {
	needs := map[string]string{"email": "email", "email_verified": "email"}
	for _, name := range []string{
		"name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile",
		"picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
	} {
		needs[name] = "profile"
	}
	given := make(map[string]any)
	for name, value := range u.Claims {
		if scope, limited := needs[name]; !limited || slices.Contains(scopes, scope) {
			given[name] = value
		}
	}
	given["sub"] = u.Subject
	return given
}
