package logintest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// serveEndSession is the logout endpoint (OpenID Connect RP-Initiated Logout
// section 2). It ends the session of the id_token_hint. Without a hint, it ends
// no session.
func (p *Provider) serveEndSession(w http.ResponseWriter, r *http.Request) {
	request := r.Form
	if name, ok := repeated(request); ok {
		p.badRequest(w, name+" occurs twice")
		return
	}
	clientID, sid := request.Get("client_id"), ""
	if hint := request.Get("id_token_hint"); hint != "" {
		payload, ok := p.verify(hint) // expired tokens are accepted
		audience := audience(payload)
		if !ok || len(audience) == 0 || clientID != "" && !slices.Contains(audience, clientID) {
			p.badRequest(w, "The id_token_hint is not a token of this provider for this client.")
			return
		}
		clientID, sid = cmp.Or(clientID, audience[0]), sessionOf(payload)
	}
	to := request.Get("post_logout_redirect_uri")
	if to != "" && !p.clients[clientID].registers(p.clients[clientID].PostLogoutRedirectURIs, to) {
		p.badRequest(w, "This post_logout_redirect_uri is not registered for this client: "+to)
		return
	}
	if state := request.Get("state"); to != "" && state != "" {
		to = withQuery(to, url.Values{"state": {state}})
	}
	frames := p.endSession(r.Context(), sid)
	if to != "" && len(frames) == 0 {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	p.loggedOut(w, frames, to)
}

// loggedOut answers with a page that opens frames and then redirects to an
// address, if there is one. A refresh waits until all frames are loaded.
func (p *Provider) loggedOut(w http.ResponseWriter, frames []string, to string) {
	var body strings.Builder
	if to != "" {
		fmt.Fprintf(&body, "<meta http-equiv=\"refresh\" content=\"0;url=%s\">\n", html.EscapeString(to))
	}
	body.WriteString("<p>You are logged out.</p>\n")
	for _, frame := range frames {
		fmt.Fprintf(&body, "<iframe src=\"%s\" hidden></iframe>\n", html.EscapeString(frame))
	}
	p.page(w, http.StatusOK, "Logged out", body.String())
}

// sessionOf returns the claim sid of an ID token, or "".
func sessionOf(payload []byte) string {
	var claims struct {
		SID string `json:"sid"`
	}
	_ = json.Unmarshal(payload, &claims) // a sid that is not a string counts as none
	return claims.SID
}

// audience returns the audience of a token: aud is a string or an array of
// strings.
func audience(payload []byte) []string {
	var one struct {
		Audience string `json:"aud"`
	}
	var many struct {
		Audience []string `json:"aud"`
	}
	if json.Unmarshal(payload, &one) == nil && one.Audience != "" {
		return []string{one.Audience}
	}
	if json.Unmarshal(payload, &many) != nil {
		return nil
	}
	return many.Audience
}
