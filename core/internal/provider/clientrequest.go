package provider

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/pixyauth/pixy/core/internal/told"
)

// A clientRequest is a request that this application makes as the registered client: a
// form for the token endpoint or the revocation endpoint.
type clientRequest struct {
	endpoint string // its name, for the log
	url      string
	form     url.Values
	secrets  []string // in form; the response may repeat them, so errors have them redacted
}

// A reply is the whole response to a clientRequest.
type reply struct {
	status int
	body   []byte
	client string // how the client authenticated, for the log
	of     *clientRequest
}

// post makes a request with client authentication (RFC 6749 section 2.3). It is sent once.
// Any response is a reply. An error means that there is none.
func (g *codeGrant) post(ctx context.Context, m *metadata, r clientRequest) (*reply, error) {
	proof, err := g.authenticate(ctx, m, r.form)
	if err != nil {
		return nil, err
	}
	r.secrets = append(r.secrets, proof.secrets...)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader(r.form.Encode()))
	if err != nil {
		return nil, badMetadata("%s: %w", r.endpoint, err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", "application/json")
	if proof.basic != "" {
		request.Header.Set("Authorization", proof.basic)
	}
	response, err := g.config.Client.Do(request)
	if err != nil {
		return nil, unreachable(err, r.secrets...)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if tooBig := new(http.MaxBytesError); errors.As(err, &tooBig) {
		return nil, bad(CodeTokenResponse, "the %s's answer is larger than %d bytes", r.endpoint, tooBig.Limit)
	} else if err != nil {
		return nil, unreachable(fmt.Errorf("reading the %s's answer: %w", r.endpoint, err), r.secrets...)
	}
	return &reply{response.StatusCode, body, proof.String(), &r}, nil
}

// refusal returns the error that an error response means.
func (r *reply) refusal() *Error {
	return tokenRefusal(r.of.endpoint, r.status, r.body, r.client, r.of.secrets...)
}

// redact returns text without the secrets of the request, nor more.
func (r *reply) redact(text string, more ...string) string {
	return told.Redact(text, append(more, r.of.secrets...)...)
}
