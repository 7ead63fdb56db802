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

// An outage records failed refreshes at one provider. A single failure is not enough:
// its cause may be that one token. If two refreshes of different tokens fail because of
// an outage within refreshPause, and none succeeds between them, the refreshes of all
// users pause.
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

// saysOutage reports whether err is about the whole provider: a failed connection or
// an error of a gateway. Other errors may be about one token.
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

// pauseCause returns the text of err without the prefixes of ErrUnavailable,
// ErrUntrusted and ErrRefused.
func pauseCause(err error) string {
	text := asError(err).Err.Error()
	for _, kind := range []error{ErrUnavailable, ErrUntrusted, ErrRefused} {
		text = strings.TrimPrefix(text, kind.Error()+": ")
	}
	return told.Clip(text)
}
