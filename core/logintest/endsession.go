package logintest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// serveEndSession is the logout endpoint (OpenID Connect RP-Initiated Logout
// section 2). The provider has no session of its own to end.
func (p *Provider) serveEndSession(w http.ResponseWriter, r *http.Request) {
	request := r.Form
	if name, ok := repeated(request); ok {
		badRequest(w, name+" occurs twice")
		return
	}
	clientID := request.Get("client_id")
	if hint := request.Get("id_token_hint"); hint != "" {
		payload, ok := p.verify(hint) // expired ones are accepted
		audience := audience(payload)
		if !ok || len(audience) == 0 || clientID != "" && !slices.Contains(audience, clientID) {
			badRequest(w, "The id_token_hint is not a token of this provider for this client.")
			return
		}
		clientID = cmp.Or(clientID, audience[0])
	}
	to := request.Get("post_logout_redirect_uri")
	if to == "" {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprint(w, "<!doctype html><title>Logged out</title><p>You are logged out.</p>")
		return
	}
	if !slices.Contains(p.clients[clientID].PostLogoutRedirectURIs, to) {
		badRequest(w, "This post_logout_redirect_uri is not registered for this client: "+to)
		return
	}
	if state := request.Get("state"); state != "" {
		separator := "?"
		if strings.Contains(to, "?") {
			separator = "&"
		}
		to += separator + url.Values{"state": {state}}.Encode()
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// audience returns whom a token is for: aud is a string or an array of strings.
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
