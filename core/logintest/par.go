package logintest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	requestURIPrefix   = "urn:ietf:params:oauth:request_uri:" // RFC 9126 section 2.2
	requestURILifetime = time.Minute

	// loginLifetime is how long a user may take, after the browser has arrived
	// with a request_uri.
	loginLifetime = 10 * time.Minute
)

// servePAR is the pushed authorization request endpoint (RFC 9126 section 2).
// It checks the request as the authorization endpoint does.
func (p *Provider) servePAR(w http.ResponseWriter, r *http.Request) {
	client, ok := p.admit(w, r)
	if !ok {
		return
	}
	a, why := p.pushedRequest(r, client)
	if why == nil {
		var key string
		if key, why = p.provenKey(w, r, client, PAR); why == nil {
			why = a.bindTo(key)
		}
	}
	if why != nil {
		refuse(w, http.StatusBadRequest, why)
		return
	}
	uri := requestURIPrefix + rand.Text()
	a.expires = p.now().Add(requestURILifetime)
	p.mu.Lock()
	p.prune()
	p.pushed[uri] = a
	p.mu.Unlock()
	response := map[string]any{"request_uri": uri, "expires_in": int(requestURILifetime.Seconds())}
	if edit := p.misbehaviour().Pushed; edit != nil {
		edit(response)
	}
	writeJSON(w, http.StatusCreated, response)
}

// pushedRequest returns the authorization request in the body of r.
func (p *Provider) pushedRequest(r *http.Request, client Client) (*authorizationRequest, *refusal) {
	parameters := cloneValues(r.PostForm)
	for _, name := range []string{"client_secret", "client_assertion", "client_assertion_type"} {
		parameters.Del(name)
	}
	parameters.Set("client_id", client.ID)
	switch {
	case parameters.Has("request_uri"):
		return nil, &refusal{"invalid_request", "request_uri cannot be pushed"}
	case parameters.Has("request") && len(parameters) > 2: // section 3
		return nil, &refusal{"invalid_request", "all parameters must be in the request object"}
	case parameters.Has("request"):
		var why *refusal
		if parameters, why = p.requestObject(r.Context(), client, parameters.Get("request")); why != nil {
			return nil, why
		}
	case client.RequireSignedRequest:
		return nil, &refusal{"invalid_request", "this client must sign its authorization requests"}
	}
	a := newAuthorizationRequest(client, parameters)
	if !client.registers(client.RedirectURIs, a.get("redirect_uri")) {
		return nil, &refusal{"invalid_request", "redirect_uri is not registered"}
	}
	return a, p.checkAuthorization(a)
}

// arrive returns the request that a client has pushed, when a browser brings its
// request_uri, or says why there is none.
func (p *Provider) arrive(client Client, query url.Values) (a *authorizationRequest, why string) {
	for name := range query {
		if name != "client_id" && name != "request_uri" {
			return nil, "A request with request_uri must have no other parameter than client_id, but has " + name + "."
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a = p.pushed[query.Get("request_uri")]
	now := p.now()
	switch {
	case len(query["request_uri"]) != 1 || !strings.HasPrefix(query.Get("request_uri"), requestURIPrefix):
		return nil, "The request_uri is not one of this provider."
	case a == nil || a.client.ID != client.ID:
		return nil, "The request_uri is unknown."
	case a.used:
		return nil, "The request_uri has been used."
	case !now.Before(a.expires):
		return nil, "The request_uri has expired."
	}
	if !a.begun { // the user may now take longer than a browser's redirect
		a.begun, a.expires = true, now.Add(loginLifetime)
	}
	return a, ""
}

// useUp reports whether a request has not been answered yet. It may be answered
// once if it was pushed.
func (p *Provider) useUp(a *authorizationRequest) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.used {
		return false
	}
	a.used = a.begun
	return true
}
