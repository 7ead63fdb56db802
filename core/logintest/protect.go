package logintest

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Protect returns a resource server, such as a fake API of a test: it calls next
// for requests with a valid access token of this provider in the Authorization
// header, and refuses others with 401. A token that is bound to a DPoP key needs
// the scheme DPoP and a proof for this request (RFC 9449 section 7), and one that
// is bound to a certificate needs that (RFC 8705 section 3). Each server has
// nonces of its own (see [Client.DPoPNonces]).
func (p *Provider) Protect(next http.Handler) http.Handler {
	server := rand.Text()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := url.URL{Scheme: "http", Host: r.Host, Path: r.URL.Path, RawPath: r.URL.RawPath}
		if r.TLS != nil {
			at.Scheme = "https"
		}
		guarded := p.editHeader("", w)
		if _, ok := p.authorized(guarded, r, server, at.String()); ok {
			next.ServeHTTP(guarded, r)
		}
	})
}

// authorized returns the access token of a request to a resource server.
// Otherwise it answers with an error and returns false.
func (p *Provider) authorized(w http.ResponseWriter, r *http.Request, server, at string) (*token, bool) {
	scheme, value, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	t, why := p.access(value), &refusal{"invalid_token", "the access token is not valid"}
	usesDPoP := strings.EqualFold(scheme, "DPoP")
	if t != nil && strings.EqualFold(scheme, t.bound.tokenType()) {
		why = p.checkBinding(w, r, t, demand{server: server, url: at, access: value})
	}
	if why == nil {
		return t, true
	}
	challenge := fmt.Sprintf("Bearer error=%q", why.code)
	if usesDPoP || t != nil && t.bound.key != "" {
		challenge = fmt.Sprintf("DPoP error=%q, algs=%q", why.code, join(asymmetric))
	}
	w.Header().Set("WWW-Authenticate", challenge)
	http.Error(w, why.description, http.StatusUnauthorized)
	return nil, false
}

// checkBinding checks that a request comes from the client to which a token is
// bound.
func (p *Provider) checkBinding(w http.ResponseWriter, r *http.Request, t *token, d demand) *refusal {
	if t.bound.certificate != "" && t.bound.certificate != certificateOf(r) {
		return &refusal{"invalid_token", "the access token is bound to another certificate"}
	}
	if t.bound.key == "" {
		return nil
	}
	client := p.clients[t.grant.client]
	d.algs = client.algs()
	if d.nonce = client.DPoPNonces; d.nonce {
		w.Header().Set("DPoP-Nonce", p.nonce(d.server))
	}
	key, why := p.checkProof(r, d)
	if why == nil && key != t.bound.key {
		why = &refusal{"invalid_token", "the access token is bound to another DPoP key"}
	}
	return why
}

// access returns an access token that is valid, or nil.
func (p *Provider) access(value string) *token {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, known := p.tokens[value]
	if !known || t.refresh || t.revoked || t.grant.revoked || p.now().After(t.expires) {
		return nil
	}
	return t
}
