package logintest

import (
	"io"
	"net/http"
)

// serveUserInfo is the UserInfo endpoint (OpenID Connect Core section 5.3). It
// accepts access tokens in the Authorization header only.
func (p *Provider) serveUserInfo(w http.ResponseWriter, r *http.Request) {
	t, ok := p.authorized(w, r, "userinfo", p.urlFor(r, UserInfo))
	if !ok {
		return
	}
	claims := t.grant.user.claims(t.scopes)
	faults := p.misbehaviour()
	if faults.UserInfo != nil {
		faults.UserInfo(claims)
	}
	w.Header().Set("Cache-Control", "no-store")
	client := p.clients[t.grant.client]
	if faults.SignedUserInfo == nil && client.EncryptUserInfo == (Encryption{}) {
		writeJSON(w, http.StatusOK, claims)
		return
	}
	header := map[string]any{"alg": client.signingAlg(), "kid": p.signingKeys().rsaID}
	claims["iss"], claims["aud"] = p.issuer, t.grant.client
	if faults.SignedUserInfo != nil {
		faults.SignedUserInfo(header, claims)
	}
	body, err := p.encrypt(r.Context(), client, client.EncryptUserInfo, p.Sign(header, claims))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jwt")
	io.WriteString(w, body)
}
