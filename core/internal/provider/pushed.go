package provider

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// pushedEndpoint is the name of the endpoint in errors.
const pushedEndpoint = "pushed authorization request endpoint"

// maxRequestURI is the limit for a request_uri, in bytes. RFC 9101 section 5.2 advises
// 512. The browser's URL contains it.
const maxRequestURI = 2 << 10

// preparePush finds out whether authorization requests are pushed: if the application or
// the provider wants it.
func (g *codeGrant) preparePush(m *metadata) error {
	m.pushes = g.config.PAR || m.PARRequired
	switch {
	case !m.pushes || m.PAREndpoint != "":
		return nil
	case m.PARRequired:
		return badMetadata("discovery: require_pushed_authorization_requests is true, and pushed_authorization_request_endpoint is missing; set Endpoints.PARURL")
	}
	return badMetadata("discovery: Requests.PAR is set, and pushed_authorization_request_endpoint is missing; set Endpoints.PARURL, or leave Requests.PAR false")
}

// push sends an authorization request to the provider, and returns the reference that
// replaces its parameters in the browser's URL (RFC 9126 sections 2 and 4). secrets are
// those in params. A proof by key shows that the client has it (RFC 9449 section 10.1),
// and a nonce in the response is then known for the token request.
func (g *codeGrant) push(ctx context.Context, m *metadata, params url.Values, key *ProofKey, secrets ...string) (requestURI string, err error) {
	reply, err := g.post(ctx, m, clientRequest{endpoint: pushedEndpoint, url: m.PAREndpoint, form: params, key: key, secrets: secrets})
	if err != nil {
		return "", pushFailed(err)
	}
	if reply.status/100 != 2 || providerErrorOf(reply.body).Code != "" {
		return "", pushFailed(reply.refusal())
	}
	requestURI, err = readPushed(reply.body)
	if err != nil {
		return "", bad(CodePushedResponse, "%s: %w", pushedEndpoint, err)
	}
	return requestURI, nil
}

// pushFailed returns the error of a pushed request with a code of its own, where that of
// a token request would mislead.
func pushFailed(err error) error {
	known := new(Error)
	if !errors.As(err, &known) {
		return err
	}
	switch known.Code {
	case CodeGrantRefused, CodeTokenRefused:
		return &Error{CodeRequestRefused, known.Err}
	case CodeTokenResponse:
		return &Error{CodePushedResponse, known.Err}
	}
	return err
}

// readPushed reads the response to a pushed request (RFC 9126 section 2.2). The status
// should be 201, and some providers send 200. expires_in may be missing, because the
// browser uses the reference at once. A reference that has expired already is useless.
func readPushed(body []byte) (requestURI string, err error) {
	c, err := DecodeClaims(body)
	if err != nil {
		return "", fmt.Errorf("its answer is %w", err)
	}
	requestURI, ok := c.Text("request_uri")
	switch {
	case !ok || requestURI == "":
		return "", errors.New("its answer has no request_uri")
	case len(requestURI) > maxRequestURI:
		return "", fmt.Errorf("request_uri has %d bytes, which is more than %d", len(requestURI), maxRequestURI)
	case !IsPrintable(requestURI) || strings.Contains(requestURI, " "):
		return "", errors.New("request_uri has characters that no URI has")
	case c["expires_in"] == nil:
		return requestURI, nil
	}
	if lifetime, ok := c.seconds("expires_in"); !ok || lifetime <= 0 {
		return "", errors.New("expires_in is not a positive number of seconds")
	}
	return requestURI, nil
}
