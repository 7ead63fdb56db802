package logintest

import (
	"crypto/subtle"
	"mime"
	"net/http"
	"net/url"
)

// Methods of client authentication (OpenID Connect Core section 9, RFC 8705
// section 2).
const (
	methodBasic      = "client_secret_basic"
	methodPost       = "client_secret_post"
	methodSecretJWT  = "client_secret_jwt"
	methodKeyJWT     = "private_key_jwt"
	methodTLS        = "tls_client_auth"
	methodSelfSigned = "self_signed_tls_client_auth"
	methodNone       = "none"
)

var authMethods = []string{methodBasic, methodPost, methodSecretJWT, methodKeyJWT, methodTLS, methodSelfSigned, methodNone}

// invalidClient is the answer to a client that did not authenticate.
func invalidClient(description string) *refusal { return &refusal{"invalid_client", description} }

// admit checks that the request posts a form and authenticates a client.
// Otherwise it answers with an error and returns false.
func (p *Provider) admit(w http.ResponseWriter, r *http.Request) (Client, bool) {
	w.Header().Set("Cache-Control", "no-store")
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Method != http.MethodPost || kind != "application/x-www-form-urlencoded" {
		refuse(w, http.StatusBadRequest, &refusal{"invalid_request", "POST a form"})
		return Client{}, false
	}
	if name, ok := repeated(r.PostForm); ok {
		refuse(w, http.StatusBadRequest, &refusal{"invalid_request", name + " occurs twice"})
		return Client{}, false
	}
	client, why := p.authenticateClient(r)
	if why != nil {
		if _, _, basic := r.BasicAuth(); basic {
			w.Header().Set("WWW-Authenticate", `Basic realm="token endpoint"`)
		}
		refuse(w, http.StatusUnauthorized, why)
		return Client{}, false
	}
	return client, true
}

func refuse(w http.ResponseWriter, status int, why *refusal) {
	writeJSON(w, status, map[string]any{"error": why.code, "error_description": why.description})
}

// authenticateClient accepts exactly one authentication method (RFC 6749
// section 2.3), and only the one that is registered: nothing is tried.
func (p *Provider) authenticateClient(r *http.Request) (Client, *refusal) {
	form := r.PostForm
	basic := r.Header.Get("Authorization") != ""
	asserted := form.Has("client_assertion") || form.Has("client_assertion_type")
	switch {
	case basic && form.Has("client_secret"), basic && asserted, asserted && form.Has("client_secret"):
		return Client{}, invalidClient("the client authenticates in two ways")
	case asserted:
		return p.assertedClient(r)
	}
	id, secret := form.Get("client_id"), form.Get("client_secret")
	if basic {
		user, password, ok := r.BasicAuth()
		basicID, err1 := url.QueryUnescape(user) // section 2.3.1
		basicSecret, err2 := url.QueryUnescape(password)
		if !ok || err1 != nil || err2 != nil || id != "" && id != basicID {
			return Client{}, invalidClient("the Authorization header is not the client's")
		}
		id, secret = basicID, basicSecret
	}
	client, known := p.clients[id]
	if !known {
		return Client{}, invalidClient("the client is unknown")
	}
	method := methodNone
	switch {
	case basic:
		method = methodBasic
	case form.Has("client_secret"):
		method = methodPost
	case client.usesCertificate():
		if !client.presents(r) {
			return Client{}, invalidClient("the client must present its certificate")
		}
		method = client.AuthMethod
	}
	if client.AuthMethod != "" && method != client.AuthMethod {
		return Client{}, invalidClient("the client must authenticate with " + client.AuthMethod)
	}
	if subtle.ConstantTimeCompare([]byte(client.Secret), []byte(secret)) != 1 {
		return Client{}, invalidClient("the client did not authenticate")
	}
	return client, nil
}
