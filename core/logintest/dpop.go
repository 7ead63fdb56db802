package logintest

import (
	"crypto"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// proofWindow is how old the iat of a DPoP proof may be, and how far it may be
// in the future.
const proofWindow = time.Minute

// A demand says what a server demands of a DPoP proof.
type demand struct {
	server string // which nonces are valid
	url    string // htu
	nonce  bool   // a nonce is required
	access string // the access token to which the proof belongs, or "": there is none
	algs   []jose.SignatureAlgorithm
}

// provenKey returns the thumbprint of the key with which the client signed the
// DPoP proof of a request to an endpoint of the authorization server, or "" if
// there is no proof.
func (p *Provider) provenKey(w http.ResponseWriter, r *http.Request, client Client, e Endpoint) (string, *refusal) {
	if client.DPoPNonces {
		w.Header().Set("DPoP-Nonce", p.nonce(authorizationServer))
	}
	if len(r.Header.Values("DPoP")) == 0 {
		return "", nil
	}
	return p.checkProof(r, demand{server: authorizationServer, url: p.urlFor(r, e), nonce: client.DPoPNonces, algs: client.algs()})
}

// checkProof checks the DPoP proof of a request (RFC 9449 section 4.3), and
// returns the thumbprint of its key. A proof with a valid signature has used up
// its jti, whatever else is wrong with it.
func (p *Provider) checkProof(r *http.Request, d demand) (key string, why *refusal) {
	invalid := func(why string) (string, *refusal) {
		return "", &refusal{"invalid_dpop_proof", "the DPoP proof is not valid: " + why}
	}
	proofs := r.Header.Values("DPoP")
	if len(proofs) != 1 {
		return invalid("there must be one DPoP header")
	}
	signed, err := jose.ParseSignedCompact(proofs[0], d.algs)
	if err != nil {
		return invalid(err.Error()) // also if jwk has a private key
	}
	header := signed.Signatures[0].Protected
	if typeOf(header) != "dpop+jwt" {
		return invalid("typ must be dpop+jwt")
	}
	jwk := header.JSONWebKey
	if jwk == nil || !jwk.IsPublic() || !fits(jose.JSONWebKey{Key: jwk.Key}, jose.Header{}) {
		return invalid("jwk must be a public key, of 2048 bits or more for RSA")
	}
	payload, err := signed.Verify(jwk.Key)
	if err != nil {
		return invalid("jwk does not verify the signature")
	}
	c, err := parseClaims(payload)
	if err != nil {
		return invalid(err.Error())
	}
	hash, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return invalid(err.Error())
	}
	key = base64.RawURLEncoding.EncodeToString(hash)
	if why := p.checkProofClaims(r, d, key, c); why != "" {
		return invalid(why)
	}
	if nonce, present := c["nonce"]; d.nonce || present {
		if text, _ := nonce.(string); !p.validNonce(d.server, text) {
			return "", &refusal{"use_dpop_nonce", "the DPoP proof needs a nonce of this server"}
		}
	}
	return key, nil
}

// checkProofClaims returns what is wrong with the claims of a proof, or "".
func (p *Provider) checkProofClaims(r *http.Request, d demand, key string, c claims) string {
	now := p.now()
	issued, ok := c.time("iat")
	ath := ""
	if d.access != "" {
		sum := sha256.Sum256([]byte(d.access))
		ath = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	switch jti := c.text("jti"); {
	case jti == "":
		return "jti is missing"
	case !p.once("proof "+key+" "+jti, now.Add(2*proofWindow+time.Second)):
		return "jti has been used: each request needs a proof of its own"
	case c.text("htm") != r.Method:
		return "htm must be " + r.Method
	case c.text("htu") != d.url:
		return "htu must be " + d.url
	case !ok || issued.Before(now.Add(-proofWindow)) || issued.After(now.Add(proofWindow)):
		return "iat is missing, too old or in the future"
	case c.text("ath") != ath || d.access == "" && c["ath"] != nil:
		return "ath must be the hash of the access token, and absent where there is none"
	}
	return ""
}
