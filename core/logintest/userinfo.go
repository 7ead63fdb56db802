package logintest

import (
	"net/http"
	"strings"
)

// serveUserInfo is the UserInfo endpoint (OpenID Connect Core section 5.3). It
// takes access tokens in the Authorization header only.
func (p *Provider) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	value, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	var claims map[string]any
	if ok {
		claims, ok = p.access(value)
	}
	if !ok {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		http.Error(w, "invalid token", http.StatusUnauthorized)
		return
	}
	if edit := p.misbehaviour().UserInfo; edit != nil {
		edit(claims)
	}
	w.Header().Set("Cache-Control", "no-store")
	writeJSON(w, http.StatusOK, claims)
}

// access returns what an access token gives access to.
func (p *Provider) access(value string) (map[string]any, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, known := p.tokens[value]
	if !known || t.refresh || t.grant.revoked || p.now().After(t.expires) {
		return nil, false
	}
	return t.grant.user.claims(t.scopes), true
}
