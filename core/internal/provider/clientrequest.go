package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/pixyauth/pixy/core/internal/told"
)

// A clientRequest is a request that this application makes as the registered client: a
// form for the token endpoint or the revocation endpoint.
type clientRequest struct {
	endpoint string // its name, for the log
	url      string
	form     url.Values
	key      *ProofKey // signs a DPoP proof; nil: none
	secrets  []string  // in form; the response may repeat them, so errors have them redacted
}

// A reply is the whole response to a clientRequest.
type reply struct {
	status int
	body   []byte
	nonce  string // for the next DPoP proof; empty: none
	client string // how the client authenticated, for the log
	of     *clientRequest
}

// useNonce is the error of a server that wants another nonce in DPoP proofs.
const useNonce = "use_dpop_nonce"

// post makes a request with client authentication (RFC 6749 section 2.3). It is sent
// once, and once more if the server wants a new nonce in the DPoP proof: then it has not
// used the code or token in the form (RFC 9449 section 8). Any response is a reply. An
// error means that there is none.
func (g *codeGrant) post(ctx context.Context, m *metadata, r clientRequest) (*reply, error) {
	nonce := g.nonces.of(originIn(r.url))
	reply, err := g.send(ctx, m, r, nonce)
	if err == nil && reply.nonce != nonce && reply.wantsNonce() {
		return g.send(ctx, m, r, reply.nonce)
	}
	return reply, err
}

// send makes a request once. Each has an assertion and a proof of its own.
func (g *codeGrant) send(ctx context.Context, m *metadata, r clientRequest, nonce string) (*reply, error) {
	r.form = maps.Clone(r.form)
	proof, err := g.authenticate(ctx, m, r.form)
	if err != nil {
		return nil, err
	}
	r.secrets = slices.Concat(r.secrets, proof.secrets)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader(r.form.Encode()))
	if err != nil {
		return nil, badMetadata("%s: %w", r.endpoint, err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	if proof.basic != "" {
		request.Header.Set("Authorization", proof.basic)
	}
	if r.key != nil {
		proof, err := r.key.prove(request.Method, m.published(request.URL), "", nonce, g.config.Now())
		if err != nil {
			return nil, err
		}
		request.Header.Set("DPoP", proof)
		r.secrets = append(r.secrets, proof, nonce)
	}
	response, err := g.config.strongClient().Do(request)
	if err != nil {
		return nil, unsent(err, r.secrets...)
	}
	defer response.Body.Close()
	fresh := ""
	if r.key != nil {
		fresh = g.nonces.learn(originOf(request.URL), response.Header)
		r.secrets = append(r.secrets, fresh)
	}
	body, err := io.ReadAll(response.Body)
	if tooBig := new(http.MaxBytesError); errors.As(err, &tooBig) {
		return nil, bad(CodeTokenResponse, "the %s's answer is larger than %d bytes", r.endpoint, tooBig.Limit)
	} else if err != nil {
		return nil, unreachable(fmt.Errorf("reading the %s's answer: %w", r.endpoint, err), r.secrets...)
	}
	return &reply{response.StatusCode, body, fresh, proof.String(), &r}, nil
}

// wantsNonce reports whether the server wants the request again, with the nonce of r.
func (r *reply) wantsNonce() bool {
	return r.nonce != "" && (r.status == http.StatusBadRequest || r.status == http.StatusUnauthorized) &&
		providerErrorOf(r.body).Code == useNonce
}

// refusal returns the error that an error response means.
func (r *reply) refusal() *Error {
	return tokenRefusal(r.of.endpoint, r.status, r.body, r.client, r.of.secrets...)
}

// redact returns text without the secrets of the request, nor more.
func (r *reply) redact(text string, more ...string) string {
	return told.Redact(text, append(more, r.of.secrets...)...)
}
