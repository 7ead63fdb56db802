package core

import (
	"context"
	"net/http"

	"golang.org/x/oauth2"
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
