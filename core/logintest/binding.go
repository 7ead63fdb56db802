package logintest

import "net/http"

// A binding is what a token can be used with only: the thumbprints of a DPoP key
// (RFC 9449 section 6) and of a certificate (RFC 8705 section 3). Zero: a bearer
// token.
type binding struct{ key, certificate string }

// bind returns what the tokens of a token request will be bound to. It is called
// before anything is used up, because the client may repeat a request that
// lacked a nonce.
func (p *Provider) bind(w http.ResponseWriter, r *http.Request, client Client) (binding, *refusal) {
	var bound binding
	if client.CertificateBound {
		if bound.certificate = certificateOf(r); bound.certificate == "" {
			return binding{}, &refusal{"invalid_request", "the connection has no client certificate"}
		}
	}
	key, why := p.provenKey(w, r, client, Token)
	if why == nil && key == "" && client.DPoP {
		why = &refusal{"invalid_dpop_proof", "the DPoP proof is missing"}
	}
	bound.key = key
	return bound, why
}

// tokenType returns token_type of access tokens with this binding.
func (b binding) tokenType() string {
	if b.key != "" {
		return "DPoP"
	}
	return "Bearer"
}
