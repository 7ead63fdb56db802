package core

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// Event is what happened to a login or a session, for [Config.OnEvent]. It has no code,
// state, token, cookie, session id, payload or data, so it may be logged or counted as it
// is. Fields without a meaning for a Kind are empty.
//
//	Kind             what happened; its fields besides Provider, Issuer and Subject
//	login            a login succeeded, or a step-up: Duration
//	login_failed     a login failed, or could not begin: Code, Reference, Duration
//	login_restarted  a login began again by itself, because its callback came too late or without its cookie
//	logout           a session was ended on purpose: By
//	refresh          the provider refreshed tokens: Duration
//	refresh_failed   it did not: Code, Reference, Duration
//	session_ended    a session ended because its refresh was refused (Code refresh_refused),
//	                 its tokens were missing (tokens_lost, Reference), or its looked-up
//	                 provider is gone or another one (provider_unknown, Reference)
//
// More kinds may be added, so ignore a Kind that you do not know.
type Event struct {
	Kind string

	// Provider is the Name of the provider. Empty if it is unknown, as after
	// [Authenticator.LogoutEverywhere] with an issuer that no listed provider has.
	Provider string

	// Issuer and Subject are those of [User]. They come from a checked login, session or
	// logout token, or from a [Grant] of the application. Empty if the user is unknown: for
	// example if a login fails before the ID token was checked, or if a provider ends a
	// session of its own without naming the user. They are empty as well after
	// [Authenticator.LogoutProvider], which is one event for all users.
	Issuer, Subject string

	// Code is the [Error.Code] of a failure. The package documentation lists the codes, and
	// OnLogin may choose others.
	Code string

	// Reference is the [Error.Reference] of a failure: the log line with it has the cause.
	Reference string

	// By says who ended a session: "user" by [Authenticator.Logout], "application" by
	// [Authenticator.EndSession], [Authenticator.LogoutEverywhere] or
	// [Authenticator.LogoutProvider], "provider" by
	// Back-Channel or Front-Channel Logout.
	By string

	// Duration is how long the last request of the login took, with the provider's answers
	// and OnLogin, or how long the provider took to refresh.
	Duration time.Duration
}

// Kinds of events.
const (
	eventLogin         = "login"
	eventLoginFailed   = "login_failed"
	eventRestarted     = "login_restarted"
	eventLogout        = "logout"
	eventRefresh       = "refresh"
	eventRefreshFailed = "refresh_failed"
	eventSessionEnded  = "session_ended"
)

// Values of Event.By.
const (
	byUser        = "user"
	byApplication = "application"
	byProvider    = "provider"
)

// LogValue leaves out the fields that are empty.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", e.Kind)}
	for _, field := range [...]struct{ name, value string }{
		{"provider", e.Provider}, {"issuer", e.Issuer}, {"subject", e.Subject},
		{"code", e.Code}, {"reference", e.Reference}, {"by", e.By},
	} {
		if field.value != "" {
			attrs = append(attrs, slog.String(field.name, field.value))
		}
	}
	if e.Duration != 0 {
		attrs = append(attrs, slog.Duration("duration", e.Duration))
	}
	return slog.GroupValue(attrs...)
}

// tell calls OnEvent. Requests may share what happened, such as the callbacks of one
// login: about identifies it, and events of one kind and code about it are told once. If
// about is empty, each event is told.
func (a *Authenticator) tell(ctx context.Context, about string, e Event) {
	if a.config.OnEvent == nil || about != "" && a.told.before(e.Provider, opaqueKey(e.Kind, e.Code, about), a.now()) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	defer func() {
		if cause := recover(); cause != nil { // it has happened already, and may have in a goroutine of ours
			a.config.Logger.LogAttrs(ctx, slog.LevelWarn, "pixy: Config.OnEvent panicked",
				slog.String("kind", e.Kind),
				slog.String("error", fmt.Sprintf("panic: %v\n%s", cause, debug.Stack())),
			)
		}
	}()
	a.config.OnEvent(ctx, e)
}

// tellLogin tells of a login that has started a session.
func (a *Authenticator) tellLogin(t *turn, of *session) {
	a.tell(t.r.Context(), t.state, eventOf(eventLogin, of).after(a.now().Sub(t.begun)))
}

// tellFailedLogin tells of a failure that was logged. Requests that cannot be a login, such
// as a prefetch of the login page, are none.
func (a *Authenticator) tellFailedLogin(t *turn, err error) {
	if a.config.OnEvent == nil {
		return
	}
	failure := new(Error)
	if t.begun.IsZero() || !errors.As(err, &failure) || failure.Reference == "" {
		return
	}
	switch failure.Code {
	case codeNoNavigation, codeMethod, codeMalformed, codeUnknownHost:
		return
	}
	e := Event{Kind: eventLoginFailed, Provider: a.concerned(failure).Name, Issuer: failure.issuer, Subject: failure.subject}
	if t.user != nil {
		e.Issuer, e.Subject = t.user.Issuer, t.user.Subject
	}
	a.tell(t.r.Context(), t.state, e.failed(failure).after(a.now().Sub(t.begun)))
}

// tellLogout tells of a logout in a browser, if there was something to log out from. The
// user of a session of the application's own is known by the hint.
func (a *Authenticator) tellLogout(ctx context.Context, by string, ended *session, at *registration, hint string) {
	switch {
	case ended != nil:
		e := eventOf(eventLogout, ended)
		e.By = by
		a.tell(ctx, string(ended.id[:]), e)
	case a.config.Sessions.Own != nil && at != nil:
		e := Event{Kind: eventLogout, Provider: at.config.Name, By: by}
		if claims, err := provider.ClaimedBy(hint); err == nil { // verified at the login, and sealed since
			e.Issuer, _ = claims.Text("iss")
			e.Subject, _ = claims.Text("sub")
		}
		a.tell(ctx, "", e)
	}
}

// tellRestart tells that a login began again by itself. To the user it looks like a login
// that asks twice. It is logged if the login's cookie is lost: a few of these are normal,
// but if every login restarts, the configuration is wrong.
func (a *Authenticator) tellRestart(t *turn, lost bool) {
	if lost {
		a.config.Logger.LogAttrs(t.r.Context(), slog.LevelInfo, "pixy: login started again, because the callback came without the login's cookie",
			slog.String("provider", t.at.config.Name),
			slog.String("issuer", t.at.config.Issuer),
			slog.String("hint", "a few of these are normal; if every login starts again, check that users open the application on the host of RedirectURL, and that all replicas have the same SessionKey"),
		)
	}
	a.tell(t.r.Context(), t.state, Event{Kind: eventRestarted, Provider: t.at.config.Name})
}

// eventOf returns an event about a session.
func eventOf(kind string, of *session) Event {
	return Event{Kind: kind, Provider: of.user.Provider, Issuer: of.user.Issuer, Subject: of.user.Subject}
}

// failed returns the event with a failure.
func (e Event) failed(failure *Error) Event {
	e.Code, e.Reference = failure.Code, failure.Reference
	return e
}

// after returns the event with its duration.
func (e Event) after(took time.Duration) Event {
	e.Duration = took
	return e
}

// report returns err as an *Error with a reference, and logs it once, without secrets.
// Anonymous requests and step-ups are expected, so they are not logged.
func (a *Authenticator) report(w http.ResponseWriter, r *http.Request, err error) error {
	if err == nil {
		return nil
	}
	failure := asError(err)
	if errors.Is(err, ErrUnavailable) {
		w.Header().Set("Retry-After", "10") // seconds
	}
	if failure.Reference != "" {
		return err // reported already
	}
	if failure.Code != codeNoSession && failure.Code != codeStepUp {
		a.log(r, failure)
	}
	return failure
}

// log logs a failure of a request, and gives it a reference.
func (a *Authenticator) log(r *http.Request, failure *Error) { a.logIn(r.Context(), failure) }

// logIn logs a failure, and gives it a reference. A canceled request does not mean an
// outage, so it is logged at Info: the browser or a proxy may have stopped waiting.
func (a *Authenticator) logIn(ctx context.Context, failure *Error) {
	failure.Reference = reference()
	provider := a.concerned(failure)
	level := slog.LevelWarn
	if failure.expected || errors.Is(failure, ErrUnavailable) && errors.Is(failure, context.Canceled) && errors.Is(ctx.Err(), context.Canceled) {
		level = slog.LevelInfo
	}
	a.config.Logger.LogAttrs(ctx, level, "pixy: request failed",
		slog.String("code", failure.Code),
		slog.String("reference", failure.Reference),
		slog.String("provider", provider.Name),
		slog.String("issuer", provider.Issuer),
		slog.String("error", failure.Error()),
	)
}

// reference returns the text that links an error page to its log line. It is short,
// because users read it out. It is no secret, and unique enough among the failures of one
// day.
func reference() string { return rand.Text()[:8] }

// concerned returns the provider of a failure, with its Name and Issuer at least, or the
// zero value if it is unknown.
func (a *Authenticator) concerned(failure *Error) Provider {
	at := failure.from
	if at == nil && failure.provider != "" {
		return Provider{Name: failure.provider, Issuer: failure.issuer}
	}
	if at == nil {
		at = a.sole()
	}
	if at == nil {
		return Provider{}
	}
	return at.config
}
