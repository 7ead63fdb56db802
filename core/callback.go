package core

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// Callback completes a login, when the provider redirects the browser to RedirectURL (RFC
// 6749 section 4.1.2). It finds the attempt by the state, exchanges the code and the
// attempt's verifier for tokens, checks the ID token, and calls OnLogin. Then it starts a
// new session, or calls [OwnSessions.Start], and redirects to the page where the user
// wanted to go. The package documentation lists the checks.
//
// The new session replaces the browser's current one, which is deleted from the Store, and
// revoked if [LogoutConfig.Revocations] is set. But if the current one began while this
// login was under way, in another tab, and both are of one user, they are one session with
// one id: requests of the other tab go on, and one logout ends both.
//
// A callback that fails does not change the user's current session. A callback may come
// without its attempt: after the back button, a reload, a login in another tab, or the
// loss of a cookie. If the request has a session, Callback redirects to a page of the
// application. Otherwise it starts one new login. If that callback also comes without its
// attempt, the browser does not keep cookies, and the error is [ErrUnknownAttempt]. Most
// other errors wrap [ErrRefused], [ErrUntrusted] or [ErrUnavailable].
//
// The code is sent once. For about a minute, further callbacks of the same login, from
// the same browser, get the same outcome: the same session, or the same error. OnLogin is
// not called again. Replicas do not share these outcomes.
//
// A prefetch of the callback changes nothing. It gets status 503, which browsers discard,
// and the code is used when the user opens the page.
//
// At the callback of a looked-up provider, the login must have begun at the provider that
// the path names, or that shares this callback. Its registration must not have changed:
// see [LookupConfig.Find]. If Find returns an error, the login is not used up, and a
// reload of the callback can complete it.
//
// With [RequestConfig.FormPost], or [LookupConfig.Find], Callback answers a POST with a
// page that opens the same URL by GET, with the form's values. Nothing else happens
// before that. An attacker could also send the user a link to that URL. A callback is
// accepted because its state, verifier and nonce belong to an attempt of this browser,
// and not because of its method.
func (a *Authenticator) Callback(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	t := &turn{w: w, r: r, begun: a.now()}
	return a.conclude(t, a.callback(t))
}

func (a *Authenticator) callback(t *turn) error {
	if err := a.checkHost(t); err != nil {
		return err
	}
	place := a.placeOf(t.r)
	t.at, t.name = place.listed, place.name
	methods := http.MethodGet
	if a.lookup != nil || t.at != nil && t.at.config.Requests.FormPost {
		if t.r.Method == http.MethodPost {
			return a.bounce(t, place)
		}
		methods = "GET, POST"
	}
	if t.r.Method != http.MethodGet { // HEAD would use up the code
		return errMethod(t.w, methods)
	}
	if isPrefetch(t.r) { // use nothing up: browsers discard this response
		t.w.WriteHeader(http.StatusServiceUnavailable)
		return nil
	}
	query, err := a.decrypted(t, t.r.URL.Query()) // which skips malformed parameters
	if err != nil {
		return err
	}
	said := provider.Unverified(query)
	attempt := a.match(t.r, said)
	if attempt == nil {
		if a.lookup != nil {
			t.at = place.likely(said)
		}
		return a.heal(t, said, nil)
	}
	options := attempt.options()
	begunAt, err := place.begunAt(t.r.Context(), a, attempt)
	if err != nil { // not the end of the attempt: a reload may succeed
		t.at, t.name, t.state, t.again = nil, attempt.name, attempt.state, &options
		return err
	}
	a.attempts.remove(t.w, t.r, attempt.state) // used once, even if the login fails
	t.state = attempt.state
	if attempt.expired(a.now()) || begunAt == nil && attempt.name == "" {
		if a.lookup != nil {
			t.at, t.name = begunAt, attempt.name
		}
		return a.heal(t, said, attempt)
	}
	t.at, t.name, t.again = begunAt, "", &options
	if err := place.check(attempt, begunAt); err != nil {
		if place.isForeign(attempt) {
			t.name = attempt.name
		}
		return withAnswer(err, said)
	}
	a.hosts.bind(attempt, t.origin, begunAt)
	answer, err := begunAt.answer(t.r.Context(), query)
	if err != nil {
		return withAnswer(err, said)
	}
	return a.finish(t, answer, attempt)
}

// finish takes a provider's answer with its attempt to a session, and answers the
// browser. The order of the steps matters: the code is sent only after the answer is known
// to come from the right provider, and OnLogin is called only after all checks.
func (a *Authenticator) finish(t *turn, answer url.Values, attempt *attempt) error {
	w, r, at, began := t.w, t.r, t.at, t.begun
	if answer.Has("error") {
		if attempt.silent && !attempt.guarded && needsUser(answer) { // a guard would start the login again
			return a.goOnAsNobody(w, r, attempt)
		}
		if a.mayRestart(r, answer, attempt) {
			return a.restart(t, attempt)
		}
		return errProviderSaysNo(answer)
	}
	code, ok := only(answer["code"])
	if !ok || !validCode(code) {
		return errBadCallback("want one valid code parameter, got %d", len(answer["code"]))
	}
	next, err := a.land(w, r, attempt)
	if err != nil {
		return err
	}
	login, err := a.flights.join(r.Context(), attempt.state, at.lookupName(), func(ctx context.Context) (*outcome, error) {
		landed, err := a.redeem(ctx, at, code, answer["user"], attempt, began)
		if err == nil {
			a.sessions.unite(r, &landed.session, attempt)
		}
		return landed, err
	})
	if err != nil {
		return err
	}
	t.user = &login.session.user
	if a.config.Sessions.Own != nil {
		next.login = mark(attempt.state)
		return a.hand(t, login, next.of(login))
	}
	fresh := login.session // has the same id for all callbacks of this login
	fresh.seen = instantOf(a.now())
	if err := a.start(w, r, &fresh, login.tokens); err != nil {
		return err
	}
	a.hints.save(w, r, &fresh, login.idToken)
	a.landings.save(w, r, next.of(login))
	redirect(w, login.returnTo)
	a.tellLogin(t, &fresh)
	return nil
}

// An identity is the user of a login, as the provider and the application see them.
type identity struct {
	provider.Identity
	user User

	// began is when the session begins: when the callback came. So what is revoked while
	// the login is under way, or while OnLogin runs, is revoked.
	began time.Time
}

// redeem exchanges the code for a login that the provider confirms and OnLogin accepts.
// The outcome is for all callbacks of this login.
func (a *Authenticator) redeem(ctx context.Context, at *registration, code string, posted []string, attempt *attempt, began time.Time) (*outcome, error) {
	ctx = a.contextOfLogin(ctx)
	proven, err := at.redeem(ctx, code, attempt)
	if err != nil {
		return nil, err
	}
	if at.config.Requests.FormPostUser {
		addUser(proven.Claims, posted)
	}
	who := &identity{Identity: *proven, user: userOf(proven.Claims, proven.Issuer, proven.Subject), began: began}
	who.user.Provider, who.user.lookedUp = at.config.Name, at.lookedUp
	o, err := a.accept(ctx, at, who, attempt)
	if err != nil {
		failure := asError(err)
		failure.issuer, failure.subject = who.Issuer, who.Subject
		return nil, failure
	}
	return o, nil
}

// accept returns the outcome of a login that the provider confirms, if OnLogin accepts it.
func (a *Authenticator) accept(ctx context.Context, at *registration, who *identity, attempt *attempt) (_ *outcome, err error) {
	if who.user.claims, err = keptClaims(who.Claims, nil); err != nil { // OnLogin sees all
		return nil, err
	}
	login, err := a.decide(ctx, at, who, attempt)
	if err != nil {
		return nil, err
	}
	if a.config.Sessions.Claims != nil {
		if who.user.claims, err = keptClaims(who.Claims, a.config.Sessions.Claims); err != nil {
			return nil, err
		}
	}
	o := a.outcomeOf(at, who, attempt, login)
	if a.config.Sessions.Own != nil {
		o.login, o.mark = login, mark(attempt.state)
	}
	return o, nil
}

// outcomeOf returns the session and tokens of a login, as OnLogin has decided, if login is
// not nil.
func (a *Authenticator) outcomeOf(at *registration, who *identity, attempt *attempt, login *Login) *outcome {
	page := a.returnTo(attempt.returnTo)
	o := &outcome{session: *a.sessions.begin(at, who), idToken: who.IDToken, asked: page, returnTo: page}
	if attempt.required {
		o.session.raised = fingerprint(page)
	}
	if login != nil {
		login.applyTo(o)
	}
	if a.tokens.kept {
		o.tokens = (*tokens)(who.Tokens)
	}
	return o
}

// errBadCallback is a callback that has an attempt and fails a check.
func errBadCallback(format string, args ...any) *Error {
	return fail(provider.CodeCallback, fmt.Errorf(format, args...))
}
