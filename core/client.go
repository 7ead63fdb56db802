package core

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// Client returns an HTTP client that calls APIs on behalf of the request's user. It sends
// the access token of [TokenSource], and only to the given hosts. A host is a name, with
// a port if it is not 443, such as "api.example.com" or "api.example.com:8443". Requests
// must use https; loopback hosts may use http.
//
// A request to another host returns an error, and so does a redirect to one: list every
// host that a redirect may lead to. Without hosts, every request returns an error. Errors
// of TokenSource are wrapped in a [url.Error].
//
// With [ClientConfig.DPoP], each request has a proof that is signed for it (RFC 9449). If
// the API wants a nonce in the proof, the request is sent again, unless it has a body and
// no GetBody: then the response is the API's 401, and the next request has the nonce.
//
// With [ClientConfig.Certificate], the client presents the certificate to these hosts, if
// they ask for one (RFC 8705 section 3). With [Provider.FAPI2], connections have the
// profile's TLS. A transport of [oauth2.HTTPClient] has to do both itself.
//
// The client is valid for one request: create a new one each time. It uses the transport
// of the client that ctx has for [oauth2.HTTPClient], or else that of
// [Config.HTTPClient]. It sets no timeout, and does not limit the size of requests and
// responses.
func Client(ctx context.Context, hosts ...string) *http.Client {
	return apiClient(apiTransport(ctx), tokenSource{ctx}.forAPI, hosts)
}

func apiClient(base http.RoundTripper, token func() (*apiToken, error), hosts []string) *http.Client {
	transport := &tokenTransport{base: base, token: token, hosts: slices.Clone(hosts)}
	return &http.Client{Transport: transport, CheckRedirect: transport.redirect}
}

// apiTransport returns the transport that x/oauth2 would use, or that of the Config.
func apiTransport(ctx context.Context) http.RoundTripper {
	var by *Authenticator
	if found := innermost(ctx); found != nil {
		by = found.by
	}
	return by.apiTransport(ctx)
}

// apiTransport is apiTransport for the Config of a, which may be nil.
func (a *Authenticator) apiTransport(ctx context.Context) http.RoundTripper {
	var custom *http.Client
	if a != nil {
		custom = a.config.HTTPClient
	}
	if theirs, ok := ctx.Value(oauth2.HTTPClient).(*http.Client); ok {
		custom = theirs
	}
	return transportOf(custom)
}

// toAPI returns the transport for calls to APIs with a token of r, which may be nil: base,
// or the strong one of r, if base is the Config's.
func (r *registration) toAPI(base http.RoundTripper) http.RoundTripper {
	if r == nil || r.strong == nil || base != r.usual {
		return base
	}
	return r.strong
}

// transportOf returns the transport of a client, which may be nil.
func transportOf(client *http.Client) http.RoundTripper {
	if client == nil || client.Transport == nil {
		return http.DefaultTransport
	}
	return client.Transport
}

// tokenTransport sends an access token in the Authorization header (RFC 6750 section
// 2.1), to the given hosts only.
type tokenTransport struct {
	base  http.RoundTripper
	token func() (*apiToken, error)
	hosts []string
}

func (t *tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.named(r.URL) {
		closeBody(r)
		return nil, errUnnamed(r)
	}
	token, err := t.token()
	if err != nil {
		closeBody(r)
		return nil, err
	}
	r = r.Clone(r.Context()) // r belongs to the caller
	r.Host = ""              // the Host header must be the checked host
	base := token.at.toAPI(t.base)
	switch {
	case token.key != "":
		return token.at.provider.Call(base, r, token.AccessToken, token.key)
	case strings.EqualFold(token.TokenType, typeDPoP):
		closeBody(r)
		return nil, errNoToken("the token has the type DPoP, and the context does not have its key; use GrantClient for a grant, and no TokenType in a test")
	}
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	return base.RoundTrip(r)
}

// maxRedirects is the limit of net/http.
const maxRedirects = 10

// redirect follows redirects to the given hosts. For another host it removes path and
// query from the URL, because RoundTrip refuses the request and the error shows the URL.
func (t *tokenTransport) redirect(r *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("pixy: stopped after %d redirects", maxRedirects)
	}
	if !t.named(r.URL) {
		r.URL = &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host}
	}
	return nil
}

// errUnnamed names only the host of the URL.
func errUnnamed(r *http.Request) error {
	host := r.URL.Host
	if r.Response != nil {
		return fmt.Errorf("pixy: a redirect to %s://%s was not followed; if the access token may go there, add %q to the hosts of Client, and use https", r.URL.Scheme, host, host)
	}
	return fmt.Errorf("pixy: the access token is not sent to %s://%s; add %q to the hosts of Client, and use https", r.URL.Scheme, host, host)
}

func (t *tokenTransport) named(u *url.URL) bool {
	secure := u.Scheme == "https" || u.Scheme == "http" && provider.IsLoopback(u.Hostname())
	return secure && slices.ContainsFunc(t.hosts, func(host string) bool { return equalHost(u, host) })
}

// usualPorts are the default ports, which browsers omit.
var usualPorts = map[string]string{"https": ":443", "http": ":80"}

// originOf returns the scheme and host of u, as browsers compare them.
func originOf(u *url.URL) string {
	return u.Scheme + "://" + strings.TrimSuffix(strings.ToLower(u.Host), usualPorts[u.Scheme])
}

func equalHost(u *url.URL, host string) bool {
	usual := usualPorts[u.Scheme]
	return strings.EqualFold(strings.TrimSuffix(u.Host, usual), strings.TrimSuffix(host, usual))
}

// closeBody closes the body, as a RoundTripper must do even if it returns an error.
func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
}
