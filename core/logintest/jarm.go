package logintest

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// signedResponseLifetime is how long a signed authorization response is valid.
const signedResponseLifetime = 10 * time.Minute

// responseModes are the response modes of strong clients. Others have the first
// two.
var responseModes = []string{"query", "form_post", "jwt", "query.jwt", "form_post.jwt"}

// checkResponseMode checks response_mode. Empty: query.
func (a *authorizationRequest) checkResponseMode() *refusal {
	mode, modes := a.get("response_mode"), responseModes
	if !a.client.strong() {
		modes = modes[:2]
	}
	switch {
	case mode != "" && !slices.Contains(modes, mode):
		return &refusal{"invalid_request", "response_mode must be one of " + strings.Join(modes, ", ")}
	case a.client.RequireSignedResponse && !strings.HasSuffix(mode, "jwt"):
		return &refusal{"invalid_request", "response_mode must be jwt, query.jwt or form_post.jwt"}
	}
	return nil
}

// signsResponse reports whether the response to a request is signed, also if it
// is an error.
func (a *authorizationRequest) signsResponse() bool {
	return a.client.RequireSignedResponse || a.client.strong() && strings.HasSuffix(a.get("response_mode"), "jwt")
}

// postsResponse reports whether the response to a request is a form.
func (a *authorizationRequest) postsResponse() bool {
	mode := a.get("response_mode")
	return mode == "form_post" || mode == "form_post.jwt" && a.signsResponse()
}

// signResponse returns an authorization response as one signed parameter (JWT
// Secured Authorization Response Mode for OAuth 2.0 section 2).
func (p *Provider) signResponse(client Client, response url.Values) url.Values {
	header := map[string]any{"alg": client.signingAlg(), "kid": p.signingKeys().rsaID}
	claims := map[string]any{"aud": client.ID, "exp": p.now().Add(signedResponseLifetime).Unix()}
	for name := range response {
		claims[name] = response.Get(name) // with iss
	}
	if edit := p.misbehaviour().SignedAuthorization; edit != nil {
		edit(header, claims)
	}
	return url.Values{"response": {p.Sign(header, claims)}}
}
