package core

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"
)

const (
	maxLinks    = 64               // calls of SendLink at once
	linkTimeout = 30 * time.Second // of each
)

// answerWithLink serves a page which says that a link is sent if there is a login for
// what was typed. It does not look for one first, so the answer and its time are the
// same.
func (a *Authenticator) answerWithLink(t *turn, options LoginOptions) error {
	if !isAddress(t.typed) {
		a.serveChooser(t, options, a.languageOf(t.r).Say(notAnAddress))
		return nil
	}
	options = a.forBrowser(t, options)
	a.sendLinkLater(t, options)
	a.serveLinkSent(t, options)
	return nil
}

// sendLinkLater sends a link in a goroutine. If there are too many, it sends none.
func (a *Authenticator) sendLinkLater(t *turn, options LoginOptions) {
	select {
	case a.links <- struct{}{}:
	default:
		a.log(t.r, fail(codeLookup, fmt.Errorf("Lookup.SendLink: %d links are being sent, so this one is not; let SendLink put them into a queue", maxLinks)))
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.r.Context()), linkTimeout)
	r, origin, typed := t.r.Clone(ctx), t.origin, t.typed
	r.Body = http.NoBody // the server closes that of t.r
	go func() {
		defer func() {
			cancel()
			<-a.links
		}()
		if err := a.sendLink(r, origin, typed, options); err != nil {
			a.log(r, asError(err))
		}
	}()
}

// sendLink sends a link if there is a login for what was typed.
func (a *Authenticator) sendLink(r *http.Request, origin, typed string, options LoginOptions) (err error) {
	defer func() {
		if cause := recover(); cause != nil { // net/http does not recover panics here, so the program would end
			err = fail(codeLookup, fmt.Errorf("panic: %s\n%s", redactTyped(fmt.Sprint(cause), typed), debug.Stack()))
		} else if err != nil {
			err = untold(err, typed)
		}
	}()
	name, err := a.customer(r, typed)
	if err != nil || name == "" {
		return err
	}
	at, err := a.named(r.Context(), name)
	if err != nil || at == nil {
		return err
	}
	link := origin + a.loginURLWith(r, at, options.withTyped(typed))
	if err := a.config.Lookup.SendLink(r.Context(), typed, link); err != nil {
		return fail(codeLookup, fmt.Errorf("Lookup.SendLink: %w", err))
	}
	return nil
}
