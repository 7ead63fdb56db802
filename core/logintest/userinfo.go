package logintest

import (
	"io"
	"net/http"
	"strings"
)

// serveUserInfo is the UserInfo endpoint (OpenID Connect Core section 5.3). It
// accepts access tokens in the Authorization header only.
func (p *Provider) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	value, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	var claims map[string]any
	var client string
	if ok {
		client, claims, ok = p.access(value)
	}
	if !ok {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		http.Error(w, "invalid token", http.StatusUnauthorized)
		return
	}
	faults := p.misbehaviour()
	if faults.UserInfo != nil {
		faults.UserInfo(claims)
	}
	w.Header().Set("Cache-Control", "no-store")
	if faults.SignedUserInfo == nil {
		writeJSON(w, http.StatusOK, claims)
		return
	}
	header := map[string]any{"alg": "RS256", "kid": p.signingKeys().rsaID}
	claims["iss"], claims["aud"] = p.issuer, client
	faults.SignedUserInfo(header, claims)
	w.Header().Set("Content-Type", "application/jwt")
	io.WriteString(w, p.Sign(header, claims))
}

// access returns the client and the claims of an access token.
func (p *Provider) access(value string) (client string, claims map[string]any, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, known := p.tokens[value]
	if !known || t.refresh || t.revoked || t.grant.revoked || p.now().After(t.expires) {
		return "", nil, false
	}
	return t.grant.client, t.grant.user.claims(t.scopes), true
}
