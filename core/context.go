package core

import (
	"context"
	"errors"
	"net/http"

	"golang.org/x/oauth2"
)

// attached is the result of one guard, loader or test, in a request's context. All
// Authenticators share one context key. Each result links to the previous one, so that a
// request costs one lookup and little memory. It is the context itself, which saves an
// allocation for each request.
type attached struct {
	context.Context // the outer one; see in

	user    *User          // nil: anonymous
	by      *Authenticator // nil: set by a test
	session *session       // nil: anonymous, or set by a test
	request *http.Request  // that passed the guard; nil: no session to read tokens from
	tokens  *requestTokens // nil: not used yet; see refresher.of
	token   *apiToken      // set by a test, or of a login in OnLogin and FetchUser
	outer   *attached      // the previous result; nil: none
}

type attachedKey struct{}

// innermost returns the last result in a context, or nil.
func innermost(ctx context.Context) *attached {
	found, _ := ctx.Value(attachedKey{}).(*attached)
	return found
}

// in returns a context in which here is the innermost result. It is called once.
func (here *attached) in(ctx context.Context) context.Context {
	here.Context = ctx
	return here
}

func (here *attached) Value(key any) any {
	if key == (attachedKey{}) {
		return here
	}
	return here.Context.Value(key)
}

// of returns the last result of a, or of a test that has set a user. It returns nil if
// there is none.
func (here *attached) of(a *Authenticator) *attached {
	for ; here != nil; here = here.outer {
		if here.by == a || here.by == nil && here.user != nil {
			return here
		}
	}
	return nil
}

// passed returns the last result of a, or of a test, if it has a user, or nil.
func (here *attached) passed(a *Authenticator) *attached {
	if mine := here.of(a); mine != nil && mine.user != nil {
		return mine
	}
	return nil
}

// User returns the user that a guard or loader of a found in the request, or nil. It
// returns nil if neither has passed r, even if another Authenticator has found a user. A
// user from [ContextWithUser] is a user of every Authenticator.
func (a *Authenticator) User(r *http.Request) *User {
	if mine := innermost(r.Context()).passed(a); mine != nil {
		return mine.user
	}
	return nil
}

// UserFromContext returns the user that the innermost guard or loader found, or nil if it
// found none. With several Authenticators, the innermost guard is the one that ran last
// before the handler. Use [Authenticator.User] to get the user of one Authenticator.
func UserFromContext(ctx context.Context) *User {
	if found := innermost(ctx); found != nil {
		return found.user
	}
	return nil
}

// ContextWithUser returns a context with user as the logged-in user. Use it in tests of
// guarded handlers: every guard passes such a request, unless [Requirement.Allow] does not.
func ContextWithUser(ctx context.Context, user *User) context.Context {
	here := &attached{user: user, outer: innermost(ctx)}
	if here.outer != nil {
		here.token = here.outer.token
	}
	return here.in(ctx)
}

// again makes the result of an outer guard or loader of a the innermost one.
func (a *Authenticator) again(r *http.Request, mine *attached) *http.Request {
	last := innermost(r.Context())
	if mine == last {
		return r
	}
	here := &attached{user: mine.user, by: mine.by, session: mine.session, request: mine.request, token: mine.token, outer: last}
	if here.request != nil {
		here.tokens = a.refresher.of(mine) // shared, so that both see a refresh
	}
	return r.WithContext(here.in(r.Context()))
}

// nobody makes an anonymous result the innermost one, if the innermost one has a user.
func (a *Authenticator) nobody(r *http.Request) *http.Request {
	last := innermost(r.Context())
	if last == nil || last.user == nil {
		return r
	}
	return r.WithContext((&attached{by: a, outer: last}).in(r.Context()))
}

// TokenSource returns a source of the access token of the request's user, for calls to an
// API on behalf of the user. It needs [TokenConfig.Keep], and the context of a request
// that has passed a guard. With several Authenticators, the token belongs to the user of
// the innermost guard. In OnLogin and FetchUser, it returns the token of the new login,
// even without Tokens.Keep. It is safe for concurrent use.
//
// With [ClientConfig.DPoP], the token has the type DPoP, and an API accepts it only with a
// proof for each request. [Client] adds it; [oauth2.Transport] does not.
//
// The guard refreshes tokens early: when it passes a request, the token is valid for
// another minute, or for a quarter of its lifetime if that is less. If an API answers 401
// nevertheless, call [Authenticator.Refresh].
//
// Token does not use the network, unless there is a Store. It never returns the refresh
// token, which can be used only once. Its error wraps [ErrNoToken] if there is no token
// or it has expired, and [ErrUnavailable] if it has expired and cannot be refreshed now.
// The session continues in both cases.
func TokenSource(ctx context.Context) oauth2.TokenSource { return tokenSource{ctx} }

type tokenSource struct{ ctx context.Context }

// An apiToken is an access token, with what a request to an API needs.
type apiToken struct {
	*oauth2.Token
	key string        // thumbprint of the DPoP key; empty: a bearer token, or set by a test
	at  *registration // whose key it is; nil: a bearer token that needs none, or set by a test
}

func (t *tokens) forAPI(at *registration) *apiToken { return &apiToken{t.access(), t.Key, at} }

func (s tokenSource) Token() (*oauth2.Token, error) {
	token, err := s.forAPI()
	if err != nil {
		return nil, err
	}
	return token.Token, nil
}

func (s tokenSource) forAPI() (*apiToken, error) {
	found := innermost(s.ctx)
	switch {
	case found == nil:
		return nil, errNoToken("the request has not passed a guard")
	case found.token != nil:
		return found.token, nil
	case found.by == nil || !found.by.tokens.kept:
		return nil, errNoToken("Config.Tokens.Keep is not set")
	case found.request == nil:
		return nil, errNoToken("the request is anonymous")
	}
	held, err := found.by.refresher.of(found).get()
	at := found.session.registration
	if at == nil && held != nil && held.needProvider() {
		var err error
		if at, err = found.by.bound(s.ctx, found.session.binding()); errors.Is(err, errGone) {
			return nil, errNoToken(errGone.Error())
		} else if err != nil {
			return nil, err
		}
	}
	switch {
	case held != nil && held.Key != "" && !at.provider.Holds(held.Key):
		return nil, errNoToken("the access token is bound to a DPoP key of a session key that is gone from Sessions.OldKeys; it is replaced at the next refresh")
	case held != nil && (!held.expired(found.by.now()) || held.Assumed && err == nil): // an assumed expiry may be wrong
		return held.forAPI(at), nil
	case err != nil:
		return nil, err
	case held == nil:
		return nil, errNoToken("this session has no tokens; log in again")
	}
	return nil, errNoToken("the access token has expired; the guard refreshes it at the next request, if there is a refresh token")
}

// ContextWithToken returns a context in which [TokenSource] returns token. Use it in
// tests of handlers that call APIs. It does not log a user in: combine it with
// [ContextWithUser], in any order.
func ContextWithToken(ctx context.Context, token *oauth2.Token) context.Context {
	if token == nil {
		return contextWith(ctx, nil)
	}
	return contextWith(ctx, &apiToken{Token: token})
}

// contextWithTokens is ContextWithToken for the tokens of a login.
func contextWithTokens(ctx context.Context, at *registration, t *tokens) context.Context {
	return contextWith(ctx, t.forAPI(at))
}

func contextWith(ctx context.Context, token *apiToken) context.Context {
	here := &attached{token: token}
	if last := innermost(ctx); last != nil {
		here.user, here.by, here.session, here.outer = last.user, last.by, last.session, last.outer
	}
	return here.in(ctx)
}

// contextOfLogin returns the context for the application's functions during a login of a.
// Its user is the one that a found in the request. It has no token: neither of that user,
// nor of another Authenticator.
func (a *Authenticator) contextOfLogin(ctx context.Context) context.Context {
	here := &attached{by: a, outer: innermost(ctx)}
	if former := here.outer.passed(a); former != nil {
		here.user, here.session = former.user, former.session
	}
	return here.in(ctx)
}

func errNoToken(why string) *Error {
	return fail(codeNoToken, errors.New(why))
}
