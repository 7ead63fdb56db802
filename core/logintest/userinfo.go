package logintest

import (
	"io"
	"net/http"
)

// serveUserInfo is the UserInfo endpoint (OpenID Connect Core section 5.3). It
// accepts access tokens in the Authorization header only.
func (p *Provider) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	t, ok := p.authorized(w, r, "userinfo", p.url(UserInfo))
	if !ok {
		return
	}
	claims := t.grant.user.claims(t.scopes)
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
	claims["iss"], claims["aud"] = p.issuer, t.grant.client
	faults.SignedUserInfo(header, claims)
	w.Header().Set("Content-Type", "application/jwt")
	io.WriteString(w, p.Sign(header, claims))
}
