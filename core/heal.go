package core

import (
	"cmp"
	"net/http"
	"net/url"
)

// heal answers a callback whose attempt is missing or, if over is not nil, expired or of
// a provider that is no longer configured.
func (a *Authenticator) heal(t *turn, query url.Values, over *attempt) error {
	var options LoginOptions
	if over != nil {
		options = over.options()
	}
	state, _ := only(query["state"])
	restarted, withPayload, ok := wellFormedState(state)
	lost := withPayload && over == nil
	if !lost {
		t.again = &options
	}
	if a.config.Sessions.Own != nil {
		if done, err := a.reopen(t, state, over, options.ReturnTo); done {
			return err
		}
	}
	switch session, err := a.sessions.load(t.r); {
	case err != nil:
		return err
	case session != nil:
		page := a.flights.returnTo(state, session)
		if withPayload && page == "" {
			break // the session is of another login, and this one has not done what it is for
		}
		if err := a.landAgain(t.w, t.r, over); err != nil { // the login has succeeded already
			return err
		}
		redirect(t.w, a.returnTo(cmp.Or(page, options.ReturnTo)))
		return nil
	}
	switch {
	case lost:
		return withAnswer(errPayloadLost("its callback came without the login's cookie"), query)
	case !ok || restarted || query.Has("error") || !mayNavigate(t.r):
		return withAnswer(fail(codeUnknownAttempt, nil), query)
	}
	if over == nil {
		if err := a.mayBeginAt(t); err != nil {
			return err
		}
	}
	if err := a.locate(t); err != nil {
		return err
	}
	err := a.begin(t, options, true)
	if err == nil && t.at != nil {
		a.tellRestart(t, over == nil)
	}
	return err
}

// mayBeginAt returns an error if Lookup.Choose says that the request is for another provider
// than that of t. Any site can link to a callback, so it begins no login that the login's
// route does not begin.
func (a *Authenticator) mayBeginAt(t *turn) error {
	name := t.name
	if t.at != nil {
		name = t.at.config.Name
	}
	t.byRoute = true
	_, err := a.nameFor(t, name)
	if err != nil && asError(err).Code == codeUnknownName {
		t.at, t.name = nil, ""
	}
	return err
}

// locate asks Lookup.Find for the provider of t, if only its name is known.
func (a *Authenticator) locate(t *turn) (err error) {
	if t.at != nil || t.name == "" {
		return nil
	}
	if t.at, err = a.named(t.r.Context(), t.name); err == nil && t.at == nil {
		err = errUnknownProvider("callback", t.name)
		t.name = ""
	}
	return err
}

// mayRestart reports whether an error response means that the provider does not know the
// pushed request any more: the user has waited at the provider, or has gone back to it.
// Then the login may begin again by itself, once, like one whose attempt has expired. One
// with prompt=none may not: it would show the user a page.
func (a *Authenticator) mayRestart(r *http.Request, query url.Values, attempt *attempt) bool {
	restarted, _, _ := wellFormedState(attempt.state)
	return query.Get("error") == errRequestURI && !restarted && !attempt.silent && mayNavigate(r)
}

// restart begins the login of attempt again, at the same provider.
func (a *Authenticator) restart(t *turn, attempt *attempt) error {
	err := a.begin(t, attempt.options(), true)
	if err == nil {
		a.tellRestart(t, false)
	}
	return err
}
