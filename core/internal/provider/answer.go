package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/pixyauth/pixy/core/internal/told"
)

// maxMoves is how many redirects the request for a document follows.
const maxMoves = 3

// getJSON fetches a document of the provider. The request has no secret, so getJSON
// follows redirects within the document's own origin. The errors are typed. They never
// contain the body, which may be an unrelated page.
func getJSON(ctx context.Context, client *http.Client, from string, into any) error {
	bad := func(err error) *Error {
		return badMetadata("%s: %w; check Issuer and Endpoints", told.Clip(from), err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return bad(err)
	}
	request.Header.Set("Accept", "application/json")
	moving := *client
	moving.CheckRedirect = withinOrigin
	if capped, ok := client.Transport.(cappedTransport); ok {
		moving.Timeout = capped.timeout // for all redirects together
	}
	body, _, err := answerTo(&moving, request, bad)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return bad(fmt.Errorf("it is not the expected JSON: %w", err))
	}
	return nil
}

// A movedError is a redirect that is not followed.
type movedError struct{ text string }

func (e *movedError) Error() string { return e.text }

// withinOrigin is a CheckRedirect that allows redirects to the scheme, host and port of
// the first request only.
func withinOrigin(next *http.Request, via []*http.Request) error {
	if to := originOf(next.URL); to != originOf(via[0].URL) || next.URL.User != nil {
		return &movedError{fmt.Sprintf("it redirects to %q, and redirects are followed within its own origin only", told.Clip(to))}
	}
	if len(via) > maxMoves {
		return &movedError{fmt.Sprintf("it redirects more than %d times", maxMoves)}
	}
	return nil
}

// originOf returns the origin of an http or https URL (RFC 6454 section 4).
func originOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// answerTo returns the body and the media type of a response with status 200. For every
// other response it returns an outage, or the error that bad makes. Errors have the
// secrets redacted.
func answerTo(client *http.Client, request *http.Request, bad func(error) *Error, secrets ...string) (body []byte, kind string, err error) {
	response, err := client.Do(request)
	if moved := new(movedError); errors.As(err, &moved) {
		return nil, "", bad(moved)
	} else if err != nil {
		return nil, "", unreachable(err, secrets...)
	}
	defer response.Body.Close()
	switch status := response.StatusCode; {
	case isOutage(status):
		return nil, "", unavailable(StatusError{status, fmt.Errorf("%s answered %d", told.Clip(request.URL.String()), status)})
	case status/100 == 3:
		return nil, "", bad(fmt.Errorf("it answered %d, a redirect that is not followed", status))
	case status != http.StatusOK:
		return nil, "", bad(fmt.Errorf("it answered %d", status))
	}
	body, err = io.ReadAll(response.Body)
	if tooBig := new(http.MaxBytesError); errors.As(err, &tooBig) {
		return nil, "", bad(fmt.Errorf("it is larger than %d bytes", tooBig.Limit))
	} else if err != nil {
		return nil, "", unreachable(fmt.Errorf("reading %s: %w", told.Clip(request.URL.String()), err), secrets...)
	}
	kind, _, _ = mime.ParseMediaType(response.Header.Get("Content-Type"))
	return body, kind, nil
}

// A StatusError has the status of a response that means that the provider is down or
// busy.
type StatusError struct {
	Status int
	error
}

// Unwrap returns the cause.
func (e StatusError) Unwrap() error { return e.error }

// isOutage reports whether a status means that the provider is down or busy. Other
// statuses are about the request.
func isOutage(status int) bool {
	return status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
}
