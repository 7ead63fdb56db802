package core

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/told"
)

const (
	// refreshPause follows a refresh that failed: for the same tokens, and for all of
	// a provider's if it is down.
	refreshPause = 10 * time.Second

	// outcomeFailed begins an outcome that is no tokens. What follows is why.
	outcomeFailed = "failed."
)

// An outage is what refreshes have found out about a provider. One that fails says
// little: the provider may have something against that one token. If two of
// different tokens fail for an outage within refreshPause, and none succeeds
// between them, refreshes of all users pause.
type outage struct {
	mu    sync.Mutex
	key   string    // of the refresh that failed last; empty: none has, or one has succeeded since
	last  time.Time // when it did
	until time.Time // pause
	cause string    // of the pause
}

func (o *outage) failed(key string, err error, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.key != "" && o.key != key && now.Sub(o.last).Abs() < refreshPause {
		o.until, o.cause = now.Add(refreshPause), pauseCause(err)
	}
	o.key, o.last = key, now
}

func (o *outage) succeeded() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.key, o.until = "", time.Time{}
}

// pauses returns an error during a pause.
func (o *outage) pauses(now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if left := o.until.Sub(now); left <= 0 || left > refreshPause { // the clock may have been set back
		return nil
	}
	return errProviderDown(errors.New(pauseText("refreshes of all users", o.until, o.cause)))
}

// saysOutage reports whether err is about the whole provider: a connection that
// failed, or a gateway's answer. Anything else may be about one token.
func saysOutage(err error) bool {
	failure := new(Error)
	if !errors.As(err, &failure) || failure.Code != provider.CodeUnavailable {
		return false
	}
	var answered provider.StatusError
	if !errors.As(err, &answered) {
		return true
	}
	switch answered.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func pauseText(whose string, until time.Time, cause string) string {
	return fmt.Sprintf("%s pause until %s, after this failure: %s", whose, until.UTC().Format(time.RFC3339), cause)
}

// pauseCause is the text of err without the kinds of errors that it wraps.
func pauseCause(err error) string {
	text := asError(err).Err.Error()
	for _, kind := range []error{ErrUnavailable, ErrUntrusted, ErrRefused} {
		text = strings.TrimPrefix(text, kind.Error()+": ")
	}
	return told.Clip(text)
}

// failed returns the outcome of a refresh that err has ended. It is sealed, as
// tokens are.
func (f *refresher) failed(key string, err error) string {
	text := pauseText("refreshes of these tokens", f.now().Add(refreshPause), pauseCause(err))
	return outcomeFailed + f.tokens.sealer.Seal(outcomeFailed+key, []byte(text))
}

// failure returns why an outcome has no tokens, or nil if it may have some.
func (f *refresher) failure(key, outcome string) error {
	if outcome == outcomeRefused {
		return ErrNoSession
	}
	sealed, failed := strings.CutPrefix(outcome, outcomeFailed)
	if !failed {
		return nil
	}
	text, ok := f.tokens.sealer.Open(outcomeFailed+key, sealed)
	if !ok {
		text = "refreshes of these tokens pause, after one that failed elsewhere"
	}
	return errProviderDown(errors.New(text))
}
