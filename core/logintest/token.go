package logintest

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	accessLifetime  = time.Hour
	refreshLifetime = 24 * time.Hour
	idTokenLifetime = 5 * time.Minute
)

// A token is an access or refresh token. All tokens that descend from one code
// share its grant, and end with it.
type token struct {
	grant   *grant
	refresh bool
	scopes  []string
	expires time.Time
	bound   binding
	used    bool // a refresh token that was used
	revoked bool // an access token that was revoked by itself
}

// serveToken is the token endpoint (RFC 6749 section 3.2).
func (p *Provider) serveToken(w http.ResponseWriter, r *http.Request) {
	client, ok := p.admit(w, r)
	if !ok {
		return
	}
	bound, why := p.bind(w, r, client)
	if why != nil {
		refuse(w, http.StatusBadRequest, why)
		return
	}
	var g *grant
	var scopes []string
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		if g, why = p.redeem(client, r.PostForm, bound); why == nil {
			scopes = g.scopes
			p.join(g)
		}
	case "refresh_token":
		g, scopes, why = p.rotate(client, r.PostForm, bound)
	default:
		why = &refusal{"unsupported_grant_type", "grant_type must be authorization_code or refresh_token"}
	}
	if why != nil {
		refuse(w, http.StatusBadRequest, why)
		return
	}
	response, err := p.issue(r.Context(), g, scopes, bound, r.PostForm.Get("grant_type") == "refresh_token")
	if err != nil {
		refuse(w, http.StatusBadRequest, &refusal{"invalid_request", "the ID token cannot be encrypted: " + err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, response)
}

// redeem uses up a code. An authenticated client has one attempt: after a wrong
// verifier, the code counts as stolen.
func (p *Provider) redeem(client Client, form url.Values, bound binding) (*grant, *refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	g, known := p.codes[form.Get("code")]
	if !known || g.client != client.ID {
		return nil, &refusal{"invalid_grant", "the code is unknown"}
	}
	if g.used {
		g.revoked = true // revokes the tokens that were issued for it (RFC 6749 section 4.1.2)
		return nil, &refusal{"invalid_grant", "the code has been used"}
	}
	g.used = true
	switch {
	case p.now().After(g.expires):
		return nil, &refusal{"invalid_grant", "the code has expired"}
	case form.Get("redirect_uri") != g.redirectURI:
		return nil, &refusal{"invalid_grant", "redirect_uri differs from the authorization request"}
	case g.key != "" && g.key != bound.key:
		return nil, &refusal{"invalid_grant", "the code is bound to another DPoP key"}
	}
	if p.faults.NoPKCE {
		return g, nil
	}
	return g, checkVerifier(g.challenge, form.Get("code_verifier"))
}

// rotate uses up a refresh token. A refresh token that is used twice counts as
// stolen, and all tokens of its grant are revoked (RFC 9700 section 4.14.2).
func (p *Provider) rotate(client Client, form url.Values, bound binding) (*grant, []string, *refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, known := p.tokens[form.Get("refresh_token")]
	if !known || !t.refresh || t.grant.client != client.ID {
		return nil, nil, &refusal{"invalid_grant", "the refresh token is unknown"}
	}
	if t.bound != (binding{}) && t.bound != bound {
		return nil, nil, &refusal{"invalid_grant", "the refresh token is bound to another key"}
	}
	if t.used {
		t.grant.revoked = true
	}
	if t.grant.revoked {
		p.reused++
	}
	if t.grant.revoked || p.now().After(t.expires) {
		return nil, nil, &refusal{"invalid_grant", "the refresh token is no longer valid"}
	}
	scopes := t.scopes
	if form.Has("scope") {
		scopes = strings.Fields(form.Get("scope"))
		for _, scope := range scopes {
			if !slices.Contains(t.scopes, scope) {
				return nil, nil, &refusal{"invalid_scope", "scope has more than the login was granted"}
			}
		}
	}
	if code := p.faults.RefreshError; code != "" {
		return nil, nil, &refusal{code, "Faults.RefreshError is set"}
	}
	t.used = client.rotates() && !p.faults.NoRotation
	p.refreshes++
	return t.grant, scopes, nil
}

// Refreshes returns the number of successful refreshes.
func (p *Provider) Refreshes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.refreshes
}

// Reused returns how often an invalid refresh token was presented: one that had
// been used, or one of a revoked grant. A grant is revoked when a code or a
// refresh token is used twice, or at the revocation endpoint. For a correct
// application, Reused returns zero.
func (p *Provider) Reused() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reused
}

// issue returns a token response (RFC 6749 section 5.1, OpenID Connect Core
// sections 3.1.3.3 and 12.2).
func (p *Provider) issue(ctx context.Context, g *grant, scopes []string, bound binding, refresh bool) (map[string]any, error) {
	faults := p.misbehaviour()
	lifetime := cmp.Or(p.AccessTokenLifetime, accessLifetime)
	access := p.newToken(&token{grant: g, scopes: scopes, bound: bound, expires: p.now().Add(lifetime)}, p.AccessTokenBytes)
	response := map[string]any{
		"access_token": access,
		"token_type":   bound.tokenType(),
		"expires_in":   int(lifetime.Seconds()),
		"scope":        strings.Join(scopes, " "),
	}
	if g.details != "" {
		response["authorization_details"] = json.RawMessage(g.details)
	}
	client := p.clients[g.client]
	if slices.Contains(g.scopes, "openid") { // otherwise it is plain OAuth 2.0
		idToken, err := p.encrypt(ctx, client, client.EncryptIDToken, p.idToken(g, scopes, access, refresh))
		if err != nil {
			return nil, err
		}
		response["id_token"] = idToken
	}
	if slices.Contains(g.scopes, "offline_access") && !(refresh && (faults.NoRotation || !client.rotates())) {
		// A refresh with less scope does not limit the next one (RFC 6749 section 6).
		t := &token{grant: g, refresh: true, scopes: g.scopes, expires: p.now().Add(refreshLifetime)}
		if client.public() {
			t.bound = bound // others authenticate instead (RFC 9449 section 5)
		}
		response["refresh_token"] = p.newToken(t, 0)
	}
	if faults.Token != nil {
		faults.Token(response)
	}
	if refresh && faults.Refresh != nil {
		faults.Refresh(response)
	}
	return response, nil
}

// newToken stores a token and returns its value of the given length, or longer
// if a secret needs more.
func (p *Provider) newToken(t *token, bytes int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prune()
	value := rand.Text()
	bytes = max(bytes, len(value))
	for len(value) < bytes {
		value += rand.Text()
	}
	value = value[:bytes]
	p.tokens[value] = t
	return value
}

func (p *Provider) idToken(g *grant, scopes []string, access string, refresh bool) string {
	now := p.now()
	claims := g.user.claims(scopes)
	claims["iss"] = p.issuer
	claims["aud"] = g.client
	claims["iat"] = now.Unix()
	claims["exp"] = now.Add(idTokenLifetime).Unix()
	claims["auth_time"] = g.authTime.Unix()
	claims["sid"] = g.sid
	if g.acr != "" {
		claims["acr"] = g.acr
	}
	usual := p.clients[g.client].signingAlg()
	claims["at_hash"] = accessTokenHash(usual, access)
	if !refresh && g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	faults := p.misbehaviour()
	header := map[string]any{"alg": usual, "typ": "JWT", "kid": p.signingKeys().rsaID}
	if faults.IDToken != nil {
		faults.IDToken(header, claims)
	}
	if refresh && faults.RefreshedIDToken != nil {
		faults.RefreshedIDToken(header, claims)
	}
	if alg, _ := header["alg"].(string); claims["at_hash"] == accessTokenHash(usual, access) {
		claims["at_hash"] = accessTokenHash(alg, access) // unless a fault has changed it
	}
	signed := p.Sign(header, claims)
	if faults.SignedIDToken != nil {
		signed = faults.SignedIDToken(signed)
	}
	return signed
}

// accessTokenHash returns at_hash (OpenID Connect Core section 3.1.3.6): the
// left half of the hash, with the hash function of the ID token's algorithm.
func accessTokenHash(alg, access string) string {
	hash := crypto.SHA256
	switch alg {
	case "RS384", "ES384":
		hash = crypto.SHA384
	case "RS512", "EdDSA":
		hash = crypto.SHA512
	}
	sum := hash.New()
	sum.Write([]byte(access))
	return base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:hash.Size()/2])
}
