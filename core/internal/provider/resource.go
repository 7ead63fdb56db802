package provider

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/pixyauth/pixy/core/internal/told"
)

// maxDiscarded is how much of the body of a response is read that is not used, so that
// its connection can be used again.
const maxDiscarded = 4 << 10

// Call sends a request for a resource with an access token. The token is a bearer token
// (RFC 6750 section 2.1), or bound to the key with this thumbprint: then the request has a
// proof (RFC 9449 section 7). Call is like [http.RoundTripper], but r is its own.
func (g *codeGrant) Call(base http.RoundTripper, r *http.Request, access, thumbprint string) (*http.Response, error) {
	if thumbprint == "" {
		return callAsBearer(base, r, access)
	}
	key := g.proofKey(thumbprint)
	if key == nil {
		closeBody(r)
		return nil, errors.New("pixy: the access token is bound to a key that this process does not have")
	}
	return g.callWithProof(base, r, r.URL, access, key)
}

func callAsBearer(base http.RoundTripper, r *http.Request, access string) (*http.Response, error) {
	r.Header.Set("Authorization", "Bearer "+access)
	return base.RoundTrip(r)
}

// callWithProof sends a request with a proof for target. If the server wants a new nonce,
// it sends the request once more, unless the body cannot be read again. Then the caller
// gets the response, and the next request has the nonce.
func (g *codeGrant) callWithProof(base http.RoundTripper, r *http.Request, target *url.URL, access string, key *ProofKey) (*http.Response, error) {
	origin := originOf(r.URL)
	nonce := g.resourceNonces.of(origin)
	r.Header.Set("Authorization", "DPoP "+access)
	for again := false; ; again = true {
		proof, err := key.prove(r.Method, target, access, nonce, g.config.Now())
		if err != nil {
			closeBody(r)
			return nil, err
		}
		r.Header.Set("DPoP", proof)
		response, err := base.RoundTrip(r)
		if err != nil {
			return nil, &toldError{told.Redact(err.Error(), proof, access), err}
		}
		fresh := g.resourceNonces.learn(origin, response.Header)
		if again || fresh == "" || fresh == nonce || response.StatusCode != http.StatusUnauthorized || !wantsNonce(response.Header) {
			return response, nil
		}
		next, ok := repeated(r)
		if !ok {
			return response, nil
		}
		discard(response)
		r, nonce = next, fresh
	}
}

// repeated returns a request once more, or false if its body cannot be read again.
func repeated(r *http.Request) (*http.Request, bool) {
	next := r.Clone(r.Context())
	if r.Body == nil || r.Body == http.NoBody {
		return next, true
	}
	if r.GetBody == nil {
		return nil, false
	}
	var err error
	next.Body, err = r.GetBody()
	return next, err == nil
}

// discard ends a response that is not used.
func discard(response *http.Response) {
	io.CopyN(io.Discard, response.Body, maxDiscarded)
	response.Body.Close()
}

// closeBody closes the body of a request, as a RoundTripper must do even if it returns an
// error.
func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
}

// tokenTransport sends the access token of a new login.
type tokenTransport struct {
	grant    *codeGrant
	metadata *metadata
	base     http.RoundTripper
	token    *tokenResponse
}

// RoundTrip implements [http.RoundTripper].
func (t *tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context()) // r belongs to the caller
	if t.token.key == nil {
		return callAsBearer(t.base, r, t.token.access)
	}
	return t.grant.callWithProof(t.base, r, t.metadata.published(r.URL), t.token.access, t.token.key)
}

// clientWith returns a client that sends the access token of a new login. It follows no
// redirect, so the token stays where it is sent.
func (g *codeGrant) clientWith(m *metadata, token *tokenResponse) *http.Client {
	client := *g.config.strongClient()
	client.Transport = &tokenTransport{g, m, client.Transport, token}
	return &client
}

// wantsNonce reports whether a response has the challenge of a server that wants another
// nonce (RFC 9449 section 9).
func wantsNonce(header http.Header) bool {
	for _, value := range header["Www-Authenticate"] {
		if challengesNonce(value) {
			return true
		}
	}
	return false
}

// challengesNonce reads the challenges of a WWW-Authenticate header (RFC 9110 section
// 11.6.1). Schemes and names of parameters are case-insensitive.
func challengesNonce(challenges string) bool {
	scheme := ""
	for {
		challenges = strings.TrimLeft(challenges, " \t,")
		end := strings.IndexAny(challenges, " \t,=\"")
		if end <= 0 {
			return false // the end, or no name
		}
		name := challenges[:end]
		rest := strings.TrimLeft(challenges[end:], " \t")
		if !strings.HasPrefix(rest, "=") {
			scheme, challenges = name, rest
			continue
		}
		value, rest, ok := cutParameter(strings.TrimLeft(rest[1:], " \t"))
		if !ok {
			return false
		}
		if strings.EqualFold(scheme, "DPoP") && strings.EqualFold(name, "error") && value == useNonce {
			return true
		}
		challenges = rest
	}
}

// cutParameter returns the value at the beginning of s, a token or a quoted string, and
// the rest.
func cutParameter(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		end := strings.IndexAny(s, " \t,")
		if end < 0 {
			end = len(s)
		}
		return s[:end], s[end:], true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:], true
		case '\\':
			if i++; i == len(s) {
				return "", "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}
