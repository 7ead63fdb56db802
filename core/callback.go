package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/vault"
)

// Callback ends a login: the provider has sent the browser back to RedirectURL
// (RFC 6749 section 4.1.2). It finds the attempt that the state belongs to,
// redeems the code with the attempt's verifier, checks the ID token, asks
// OnLogin, starts a new session, and sends the browser to where it wanted to
// go. The package documentation lists the checks.
//
// Every failure leaves the session that was there before as it was. A callback
// without an attempt (back button, reload, second tab, lost cookie) is no
// failure for a user who is logged in, and for others it begins one new
// login by itself; if that one comes back without its attempt too, the browser
// keeps no cookies, and the error is [ErrUnknownAttempt]. The other errors wrap
// [ErrRefused], [ErrUntrusted] or [ErrUnavailable].
//
// The code is sent once. For about a minute, other callbacks of the same login, from
// the same browser, have its outcome: the same session, or the same error. OnLogin
// is not called again. Other replicas do not know of it.
//
// A prefetch of the callback changes nothing. Its answer has status 503, which
// browsers discard, and the code is redeemed when the user comes.
//
// For a provider with [RequestConfig.FormPost], a POST is answered with a page that
// sends the browser here by GET, with what the form had. Nothing else happens
// before that, and so it does no harm that the GET may as well be somebody's link:
// what makes a callback good is the attempt in this browser, to which state,
// verifier and nonce belong, and not the way on which it came.
func (a *Authenticator) Callback(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	t := &turn{w: w, r: r, at: a.registrations.calledBack(r)}
	return a.conclude(t, a.callback(t))
}

func (a *Authenticator) callback(t *turn) error {
	methods := http.MethodGet
	if t.at != nil && t.at.config.Requests.FormPost {
		if t.r.Method == http.MethodPost {
			return a.bounce(t)
		}
		methods = "GET, POST"
	}
	if t.r.Method != http.MethodGet { // HEAD, too, would use the code up
		return errMethod(t.w, methods)
	}
	if isPrefetch(t.r) { // without a person: nothing is used up, and browsers throw such an answer away
		t.w.WriteHeader(http.StatusServiceUnavailable)
		return nil
	}
	query := t.r.URL.Query() // without what is malformed
	attempt := a.match(t.r, query)
	if attempt == nil {
		return a.heal(t, query, nil)
	}
	a.attempts.remove(t.w, t.r, attempt.state) // used up, whatever comes of it
	begunAt := a.registrations.withID(attempt.provider)
	if attempt.expired(a.now()) || begunAt == nil {
		return a.heal(t, query, attempt)
	}
	options, calledBack := attempt.options(), t.at
	t.at, t.again = begunAt, &options
	if calledBack != begunAt { // RFC 9700 section 4.4: one provider's answer for a login at another
		return withAnswer(errBadCallback("the callback of another provider than that of the login"), query)
	}
	if err := a.finish(t, query, attempt); err != nil {
		return err
	}
	redirect(t.w, a.returnTo(attempt.returnTo))
	return nil
}

// match returns the attempt of this browser that the callback's one state
// belongs to, or nil.
func (a *Authenticator) match(r *http.Request, query url.Values) *attempt {
	state, ok := only(query["state"])
	if !ok {
		return nil
	}
	return a.attempts.find(r, state)
}

// finish goes from a matched callback to a session. The order matters: nothing
// is sent anywhere before the answer is known to come from the provider that
// was asked, and nobody is told before everything has been checked.
func (a *Authenticator) finish(t *turn, query url.Values, attempt *attempt) error {
	w, r, at := t.w, t.r, t.at
	if err := at.checkIssuer(r.Context(), query["iss"]); err != nil {
		return withAnswer(err, query)
	}
	if query.Has("error") {
		if attempt.silent && !attempt.guarded && needsUser(query) { // a guard would ask again
			return a.goOnAsNobody(w, r, attempt)
		}
		return errProviderSaysNo(query)
	}
	code, ok := only(query["code"])
	if !ok || !validCode(code) {
		return errBadCallback("%d code parameters, or one that is no code", len(query["code"]))
	}
	next, err := a.land(w, r, attempt)
	if err != nil {
		return err
	}
	login, err := a.flights.join(r.Context(), attempt.state, func(ctx context.Context) (*login, error) {
		who, err := a.redeem(ctx, at, code, query["user"], attempt)
		if err != nil {
			return nil, err
		}
		return a.loginOf(at, who, attempt), nil
	})
	if err != nil {
		return err
	}
	fresh := login.session // of the same id, if another callback has begun it
	fresh.seen = instantOf(a.now())
	if err := a.start(w, r, &fresh, login.tokens); err != nil {
		return err
	}
	a.hints.save(w, r, &fresh, login.idToken)
	a.landings.save(w, next)
	return nil
}

// loginOf is what a callback begins, and another one of the same login once more.
func (a *Authenticator) loginOf(at *registration, who *identity, attempt *attempt) *login {
	l := &login{session: *a.sessions.begin(at, who), idToken: who.IDToken, returnTo: a.returnTo(attempt.returnTo)}
	if attempt.required {
		l.session.raised = fingerprint(l.returnTo)
	}
	if a.tokens.kept {
		l.tokens = (*tokens)(who.Tokens)
	}
	return l
}

// start begins a session with its tokens, or leaves the browser all that it has:
// the former ones are forgotten, and cookies set, when all has gone well.
func (a *Authenticator) start(w http.ResponseWriter, r *http.Request, fresh *session, with *tokens) error {
	former, formerTokens := a.former(r)
	if former != nil && former.id == fresh.id {
		former, formerTokens = nil, nil // another callback of this login has begun it
	}
	held := vault.Hold()
	if err := a.tokens.start(held, r, fresh, with, a.config.Sessions.Lifetime); err != nil {
		return err
	}
	if err := a.sessions.start(held, r, fresh); err != nil {
		return err
	}
	if err := held.CheckSize(); err != nil {
		return errTokensTooLarge(err)
	}
	if err := a.sessions.vault.Forget(r); err != nil {
		return errStoreDown(fmt.Errorf("forgetting the former session: %w", err))
	}
	held.Release(w)
	if err := a.tokens.vault.Forget(r); err != nil {
		a.log(r, errStoreDown(err)) // without their session they are of no use
	}
	if former != nil {
		if err := a.sessions.void(r.Context(), former); err != nil {
			a.log(r, asError(err)) // the new one is as good without
		}
	}
	if formerTokens != nil && !fresh.shares(former) {
		a.revokeLater(r, former.registration, formerTokens)
	}
	return nil
}

// former returns the session that a login is about to replace, and its tokens, or
// nil for what there is not. An outage does not stop the login.
func (a *Authenticator) former(r *http.Request) (*session, *tokens) {
	if a.config.Logout.Revocations == nil && !a.tokens.kept {
		return nil, nil // a former session is of no interest
	}
	found, err := a.sessions.load(r)
	if err != nil || found == nil {
		return nil, nil
	}
	held, _ := a.tokens.load(r, found)
	return found, held
}

// shares reports whether two sessions may be of one grant at the provider: they are
// of the same user in the same session there, or in sessions that it does not name.
// A provider may revoke a grant as a whole (RFC 7009 section 2.1), and with the
// former tokens the new ones.
func (s *session) shares(other *session) bool {
	return s.registration == other.registration && s.user.Issuer == other.user.Issuer &&
		s.user.Subject == other.user.Subject && s.sid == other.sid
}

// An identity is the outcome of a login, as the application sees it.
type identity struct {
	provider.Identity
	user User
}

// redeem trades the code for somebody whom provider and application both let in.
func (a *Authenticator) redeem(ctx context.Context, at *registration, code string, posted []string, attempt *attempt) (*identity, error) {
	ctx = a.contextOfLogin(ctx)
	proven, err := at.redeem(ctx, code, attempt)
	if err != nil {
		return nil, err
	}
	if at.config.Requests.FormPostUser {
		addUser(proven.Claims, posted)
	}
	who := &identity{Identity: *proven, user: userOf(proven.Claims, proven.Issuer, proven.Subject)}
	if who.user.claims, err = keptClaims(who.Claims, nil); err != nil {
		return nil, err
	}
	if a.config.OnLogin != nil { // which sees all claims, also those that are not kept
		theirs := who.user
		ctx := ContextWithToken(ctx, (*tokens)(who.Tokens).bearer())
		if err := a.config.OnLogin(ctx, &theirs); err != nil {
			return nil, errOnLogin(err)
		}
	}
	if a.config.Sessions.Claims != nil {
		who.user.claims, err = keptClaims(who.Claims, a.config.Sessions.Claims)
	}
	return who, err
}

// heal answers a callback whose attempt is gone or, if it is not nil, over.
func (a *Authenticator) heal(t *turn, query url.Values, over *attempt) error {
	var options LoginOptions
	if over != nil {
		options = over.options()
	}
	t.again = &options
	state, _ := only(query["state"])
	switch session, err := a.sessions.load(t.r); {
	case err != nil:
		return err
	case session != nil: // the login has succeeded already
		if err := a.landAgain(t.w, t.r, over); err != nil {
			return err
		}
		if over == nil {
			options.ReturnTo = a.flights.returnTo(state, session)
		}
		redirect(t.w, a.returnTo(options.ReturnTo))
		return nil
	}
	restarted, ok := wellFormedState(state)
	if !ok || restarted || query.Has("error") || !mayNavigate(t.r) {
		return withAnswer(fail(codeUnknownAttempt, nil), query)
	}
	err := a.begin(t, options, true)
	if err == nil && over == nil && t.at != nil {
		a.logRestart(t.r, t.at)
	}
	return err
}

// logRestart tells of what looks to the person like a login that asks twice. It
// happens now and then to anybody, and to everybody if something is set up wrong.
func (a *Authenticator) logRestart(r *http.Request, at *registration) {
	a.config.Logger.LogAttrs(r.Context(), slog.LevelInfo, "pixy: login begun once more, because its callback came without its cookie",
		slog.String("provider", at.config.Name),
		slog.String("issuer", at.config.Issuer),
		slog.String("hint", "if it is everybody: is the application opened on the host of RedirectURL, and does every process have the same SessionKey?"),
	)
}

// errOnLogin is a refusal by the application, in its words if it gives any, or
// an outage of what it depends on.
func errOnLogin(err error) *Error {
	code := codeLoginRefused
	if errors.Is(err, ErrUnavailable) {
		code = codeLoginLater
	}
	e := fail(code, fmt.Errorf("OnLogin: %w", err))
	if theirs := new(Error); errors.As(err, &theirs) {
		e.Status = cmp.Or(theirs.Status, e.Status)
		e.Code = cmp.Or(theirs.Code, e.Code)
		e.Public = cmp.Or(theirs.Public, e.Public)
	}
	return e
}
