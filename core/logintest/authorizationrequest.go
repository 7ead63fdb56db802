package logintest

import (
	"net/http"
	"net/url"
	"time"
)

// An authorizationRequest is a request to the authorization endpoint, wherever
// its parameters come from.
type authorizationRequest struct {
	client     Client
	parameters url.Values
	key        string // thumbprint of the DPoP key to which the code will be bound

	// Of a pushed request. The provider's mu guards them.
	expires     time.Time
	begun, used bool
}

func newAuthorizationRequest(client Client, parameters url.Values) *authorizationRequest {
	return &authorizationRequest{client: client, parameters: parameters, key: parameters.Get("dpop_jkt")}
}

func (a *authorizationRequest) get(name string) string { return a.parameters.Get(name) }

// bindTo binds the code to the DPoP key of a pushed request (RFC 9449 section
// 10.1). No key changes nothing.
func (a *authorizationRequest) bindTo(key string) *refusal {
	if key != "" && a.key != "" && key != a.key {
		return &refusal{"invalid_dpop_proof", "dpop_jkt is not the thumbprint of the proof's key"}
	}
	if key != "" {
		a.key = key
	}
	return nil
}

// resolve returns the authorization request of a browser, or says why there is
// none. Nothing may be sent to a redirect URI then (RFC 6749 section 4.1.2.1).
func (p *Provider) resolve(r *http.Request) (a *authorizationRequest, why string) {
	query := r.URL.Query()
	if r.Method == http.MethodPost && !query.Has("client_id") {
		query = r.PostForm // otherwise, fields of a login form are not parameters
	}
	client, known := p.clients[query.Get("client_id")]
	switch {
	case !known || len(query["client_id"]) != 1:
		return nil, "This client is not registered."
	case query.Has("request_uri"):
		return p.arrive(client, query)
	case client.RequirePAR:
		return nil, "This client must push its authorization requests."
	}
	if query.Has("request") {
		object, why := p.requestObject(r.Context(), client, query.Get("request"))
		switch {
		case len(query["request"]) != 1:
			return nil, "request occurs twice."
		case why != nil:
			return nil, why.description
		}
		query = object
	} else if client.RequireSignedRequest {
		return nil, "This client must sign its authorization requests."
	}
	a = newAuthorizationRequest(client, query)
	redirectURI := query.Get("redirect_uri")
	if len(query["redirect_uri"]) != 1 || !client.registers(client.RedirectURIs, redirectURI) {
		return nil, "This redirect_uri is not registered for this client: " + redirectURI
	}
	return a, ""
}
