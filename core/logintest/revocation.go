package logintest

import "net/http"

// serveRevocation is the revocation endpoint (RFC 7009 section 2). It ignores
// token_type_hint.
func (p *Provider) serveRevocation(w http.ResponseWriter, r *http.Request) {
	client, ok := p.admit(w, r)
	if !ok {
		return
	}
	if !r.PostForm.Has("token") {
		refuse(w, http.StatusBadRequest, &refusal{"invalid_request", "token is missing"})
		return
	}
	if !p.revoke(client, r.PostForm.Get("token")) {
		refuse(w, http.StatusBadRequest, &refusal{"invalid_grant", "the token was issued to another client"})
	}
}

// revoke ends an access token, or a refresh token and all tokens of its grant.
// It returns false for a token of another client. An unknown token counts as
// revoked (section 2.2).
func (p *Provider) revoke(client Client, value string) (ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, known := p.tokens[value]
	switch {
	case !known:
	case t.grant.client != client.ID:
		return false
	case t.refresh:
		t.grant.revoked = true
	default:
		t.revoked = true
	}
	return true
}
