package logintest

import (
	"net/http"
	"net/url"
)

// Faults makes a [Provider] misbehave. With the zero value, the provider
// follows the standards. A nil function changes nothing. The functions may be
// called concurrently. They get copies that they may change.
type Faults struct {
	// Discovery edits the metadata.
	Discovery func(metadata map[string]any)

	// Authorization edits the parameters of the authorization response. A signed
	// response is one parameter, response.
	Authorization func(query url.Values)

	// SignedAuthorization edits a signed authorization response (JARM) before it
	// is signed.
	SignedAuthorization func(header, claims map[string]any)

	// NoPKCE makes the provider ignore the code challenge and the verifier,
	// like a provider without RFC 7636. Only the application can then stop a
	// stolen code.
	NoPKCE bool

	// Token edits the token response.
	Token func(response map[string]any)

	// IDToken edits the ID token before it is signed. The header's alg may be
	// RS256, ES256, none (no signature) or HS256 (with the RSA public key as
	// the key, a classic attack).
	IDToken func(header, claims map[string]any)

	// SignedIDToken replaces the signed ID token in compact form.
	SignedIDToken func(token string) string

	// Encrypted replaces an encrypted ID token or UserInfo response in compact
	// form. It also gets the signed token that was encrypted.
	Encrypted func(signed, encrypted string) string

	// Refresh edits the response to a refresh, after Token.
	Refresh func(response map[string]any)

	// RefreshedIDToken edits the ID token of a refresh, after IDToken. The
	// token has no nonce (OpenID Connect Core section 12.2).
	RefreshedIDToken func(header, claims map[string]any)

	// RefreshError is the error code for valid refreshes (RFC 6749 section
	// 5.2), such as invalid_grant. The refresh token stays usable. Empty:
	// refreshes succeed.
	RefreshError string

	// NoRotation makes refreshes return no new refresh token. The old one stays
	// valid.
	NoRotation bool

	// Pushed edits the response to a pushed authorization request.
	Pushed func(response map[string]any)

	// JWKS edits the key set.
	JWKS func(set map[string]any)

	// UserInfo edits the response of the UserInfo endpoint.
	UserInfo func(claims map[string]any)

	// SignedUserInfo makes the UserInfo endpoint return a signed token. It
	// edits the token after UserInfo and before it is signed, as IDToken does.
	SignedUserInfo func(header, claims map[string]any)

	// Header edits the header of a response before it is sent, such as a
	// challenge or a DPoP-Nonce. The endpoint is empty for a server of
	// [Provider.Protect].
	Header func(e Endpoint, status int, header http.Header)

	// Intercept is called first for every request, and reports whether it has
	// answered. It may delay, send the body slowly, redirect, answer with HTML,
	// or panic with [http.ErrAbortHandler] to close the connection. The
	// request's form is parsed: grant_type distinguishes a refresh from a
	// login.
	Intercept func(e Endpoint, w http.ResponseWriter, r *http.Request) bool
}

// Misbehave replaces the faults. Misbehave(Faults{}) removes them.
func (p *Provider) Misbehave(faults Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = faults
}

func (p *Provider) misbehaviour() Faults {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}

// editHeader returns w, with Faults.Header.
func (p *Provider) editHeader(e Endpoint, w http.ResponseWriter) http.ResponseWriter {
	edit := p.misbehaviour().Header
	if edit == nil {
		return w
	}
	return &headerEditor{ResponseWriter: w, edit: func(status int) { edit(e, status, w.Header()) }}
}

type headerEditor struct {
	http.ResponseWriter
	edit func(status int) // nil after the header was sent
}

func (h *headerEditor) WriteHeader(status int) {
	if h.edit != nil {
		h.edit(status)
		h.edit = nil
	}
	h.ResponseWriter.WriteHeader(status)
}

func (h *headerEditor) Write(b []byte) (int, error) {
	if h.edit != nil {
		h.WriteHeader(http.StatusOK)
	}
	return h.ResponseWriter.Write(b)
}

func (h *headerEditor) Unwrap() http.ResponseWriter { return h.ResponseWriter }
