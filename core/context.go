package core

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// attached is the answer of one guard, loader or test, in a request's context.
// There is one key for all Authenticators. Each entry has a link to the one that
// was there before, so that a request costs one lookup and no more memory.
type attached struct {
	user    *User          // nil: nobody
	by      *Authenticator // nil: by a test
	session *session       // nil: nobody, or by a test
	request *http.Request  // that the guard has let pass; nil: there is no session to read tokens of
	tokens  *requestTokens // nil: not asked for; see refresher.of
	token   *oauth2.Token  // by a test, or of a login that is about to end
	outer   *attached      // what the context had before; nil: nothing
}

type attachedKey struct{}

// innermost returns the last answer that a context has got, or nil.
func innermost(ctx context.Context) *attached {
	found, _ := ctx.Value(attachedKey{}).(*attached)
	return found
}

// in returns a context in which here is the innermost answer.
func (here *attached) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, attachedKey{}, here)
}

// of returns the last answer of a, or of a test that has named a user. It returns
// nil if there is none.
func (here *attached) of(a *Authenticator) *attached {
	for ; here != nil; here = here.outer {
		if here.by == a || here.by == nil && here.user != nil {
			return here
		}
	}
	return nil
}

// passed returns the user that a, or a test, has let pass, or nil.
func (here *attached) passed(a *Authenticator) *attached {
	if mine := here.of(a); mine != nil && mine.user != nil {
		return mine
	}
	return nil
}

// User returns the user of this login who sent r, or nil. It is nil if no guard
// and no loader of this Authenticator has let r pass, whatever other
// Authenticators have found. A user of [ContextWithUser] is a user of every login.
func (a *Authenticator) User(r *http.Request) *User {
	if mine := innermost(r.Context()).passed(a); mine != nil {
		return mine.user
	}
	return nil
}

// UserFromContext returns the user that the innermost guard or loader has found,
// or nil if it has found nobody. With several Authenticators, the innermost one
// is the one that ran last before the handler: use [Authenticator.User] to ask a
// certain one.
func UserFromContext(ctx context.Context) *User {
	if found := innermost(ctx); found != nil {
		return found.user
	}
	return nil
}

// ContextWithUser returns a context in which user is logged in. It is meant for
// tests of protected handlers: every guard lets such a request pass.
func ContextWithUser(ctx context.Context, user *User) context.Context {
	here := &attached{user: user, outer: innermost(ctx)}
	if here.outer != nil {
		here.token = here.outer.token
	}
	return here.in(ctx)
}

// again makes the answer of an outer guard or loader of a the innermost one.
func (a *Authenticator) again(r *http.Request, mine *attached) *http.Request {
	last := innermost(r.Context())
	if mine == last {
		return r
	}
	here := &attached{user: mine.user, by: mine.by, session: mine.session, request: mine.request, token: mine.token, outer: last}
	if here.request != nil {
		here.tokens = a.refresher.of(mine) // the tokens are the same, also if they were refreshed
	}
	return r.WithContext(here.in(r.Context()))
}

// nobody makes "nobody" the innermost answer, if another one would be seen.
func (a *Authenticator) nobody(r *http.Request) *http.Request {
	last := innermost(r.Context())
	if last == nil || last.user == nil {
		return r
	}
	return r.WithContext((&attached{by: a, outer: last}).in(r.Context()))
}

// TokenSource returns what gives the access token of the user of a request, to
// call an API in the user's name. It needs [TokenConfig.Keep], and a context
// that has passed a guard; with several Authenticators, the token is that of the
// innermost guard's user. In OnLogin and FetchUser it gives the token of the new
// login, also without Tokens.Keep. It is safe for concurrent use.
//
// The guard has seen to it that the token is good for a while: a minute, or a
// quarter of its life if that is less. An API that answers 401 all the same is what
// [Authenticator.Refresh] is for. Token never uses the network but for a
// Store. It does not give the refresh token, which is used once and by nobody
// else. Its error wraps [ErrNoToken] if there is no token or it has expired, and
// [ErrUnavailable] if it has expired and cannot be refreshed at the moment; the
// session goes on in both cases.
func TokenSource(ctx context.Context) oauth2.TokenSource { return tokenSource{ctx} }

type tokenSource struct{ ctx context.Context }

func (s tokenSource) Token() (*oauth2.Token, error) {
	found := innermost(s.ctx)
	switch {
	case found == nil:
		return nil, errNoToken("no guard has let this request pass")
	case found.token != nil:
		return found.token, nil
	case found.by == nil || !found.by.tokens.kept:
		return nil, errNoToken("Config.Tokens.Keep is not set")
	case found.request == nil:
		return nil, errNoToken("nobody is logged in")
	}
	held, err := found.by.refresher.of(found).get()
	switch {
	case held != nil && (!held.expired(found.by.now()) || held.Assumed && err == nil): // what is assumed may be wrong
		return held.bearer(), nil
	case err != nil:
		return nil, err
	case held == nil:
		return nil, errNoToken("there are none with this session")
	}
	return nil, errNoToken("the access token has expired; if it can be refreshed, the guard of the next request does")
}

// ContextWithToken returns a context for which [TokenSource] gives token. It is
// meant for tests of handlers that call APIs. Nobody is logged in by it:
// that is for [ContextWithUser], before or after.
func ContextWithToken(ctx context.Context, token *oauth2.Token) context.Context {
	here := &attached{token: token}
	if last := innermost(ctx); last != nil {
		here.user, here.by, here.session, here.outer = last.user, last.by, last.session, last.outer
	}
	return here.in(ctx)
}

// contextOfLogin is what the application's functions get during a login of a. Its
// user is the one that a had let pass before, and it has no token: neither the
// former user's, nor one of another Authenticator.
func (a *Authenticator) contextOfLogin(ctx context.Context) context.Context {
	here := &attached{by: a, outer: innermost(ctx)}
	if former := here.outer.passed(a); former != nil {
		here.user, here.session = former.user, former.session
	}
	return here.in(ctx)
}

// Client returns a client that calls APIs in the name of the user of a request:
// it sends their access token, as [TokenSource] gives it, to hosts and to nobody
// else. A host is a name, with a port if it is not 443, such as
// "api.example.com" or "api.example.com:8443"; it is spoken to by https, or by
// http if it is a loopback host.
//
// A request to another host is an error, and so is a redirect to one: name every
// host that a redirect may lead to. Without hosts, each request is an error.
// Errors of the token are those of TokenSource, within a [url.Error].
// The client is for the life of the request: make a new one each time. It uses the
// transport of the client that ctx has for [oauth2.HTTPClient], or else that of
// [Config.HTTPClient], and bounds nothing that it sends and receives.
func Client(ctx context.Context, hosts ...string) *http.Client {
	transport := &bearerTransport{base: apiTransport(ctx), source: TokenSource(ctx), hosts: slices.Clone(hosts)}
	return &http.Client{Transport: transport, CheckRedirect: transport.redirect}
}

// apiTransport is what x/oauth2 would take, or that of the Config.
func apiTransport(ctx context.Context) http.RoundTripper {
	var custom *http.Client
	if found := innermost(ctx); found != nil && found.by != nil {
		custom = found.by.config.HTTPClient
	}
	if theirs, ok := ctx.Value(oauth2.HTTPClient).(*http.Client); ok {
		custom = theirs
	}
	if custom != nil && custom.Transport != nil {
		return custom.Transport
	}
	return http.DefaultTransport
}

// bearerTransport sends an access token in the Authorization header (RFC 6750
// section 2.1), where it may go.
type bearerTransport struct {
	base   http.RoundTripper
	source oauth2.TokenSource
	hosts  []string
}

func (t *bearerTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.named(r.URL) {
		closeBody(r)
		return nil, errUnnamed(r)
	}
	token, err := t.source.Token()
	if err != nil {
		closeBody(r)
		return nil, err
	}
	r = r.Clone(r.Context()) // which is the caller's
	r.Host = ""              // whoever is named is who is asked
	r.Header.Set("Authorization", "Bearer "+token.AccessToken)
	return t.base.RoundTrip(r)
}

// maxRedirects is net/http's own limit.
const maxRedirects = 10

// redirect follows redirects among the named hosts. What another host would be
// asked is left out of its URL, which RoundTrip refuses and the error shows.
func (t *bearerTransport) redirect(r *http.Request, via []*http.Request) error {
	if len(via) >= maxRedirects {
		return fmt.Errorf("pixy: stopped after %d redirects", maxRedirects)
	}
	if !t.named(r.URL) {
		r.URL = &url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host}
	}
	return nil
}

// errUnnamed names the host and nothing else of the URL.
func errUnnamed(r *http.Request) error {
	host := r.URL.Host
	if r.Response != nil {
		return fmt.Errorf("pixy: a redirect to %s://%s was not followed; name %q among the hosts of Client if the access token may go there, and use https", r.URL.Scheme, host, host)
	}
	return fmt.Errorf("pixy: the access token is not for %s://%s; name %q among the hosts of Client, and use https", r.URL.Scheme, host, host)
}

func (t *bearerTransport) named(u *url.URL) bool {
	secure := u.Scheme == "https" || u.Scheme == "http" && provider.IsLoopback(u.Hostname())
	return secure && slices.ContainsFunc(t.hosts, func(host string) bool { return equalHost(u, host) })
}

// usualPorts need not be said, and browsers do not.
var usualPorts = map[string]string{"https": ":443", "http": ":80"}

func equalHost(u *url.URL, host string) bool {
	usual := usualPorts[u.Scheme]
	return strings.EqualFold(strings.TrimSuffix(u.Host, usual), strings.TrimSuffix(host, usual))
}

// closeBody does what a RoundTripper has to also in case of an error.
func closeBody(r *http.Request) {
	if r.Body != nil {
		r.Body.Close()
	}
}

func errNoToken(why string) *Error {
	return fail(codeNoToken, errors.New(why))
}
