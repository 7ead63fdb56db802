package provider

import (
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"time"
)

const (
	providerTimeout   = 10 * time.Second // for a whole answer, drips included
	maxProviderBytes  = 1 << 20          // of one answer
	maxProviderHeader = 64 << 10         // bytes of its header, if the transport is ours
)

// NewClient returns a client for the provider's endpoints, made from
// custom if there is one. It follows no redirects, because a code, a secret or
// a token would go along, and bounds every answer in time and size: getJSON, which
// sends none of them, has it follow some. The caller's client is not changed.
func NewClient(custom *http.Client) *http.Client {
	client := new(http.Client)
	if custom != nil {
		*client = *custom
	}
	capped := cappedTransport{client.Transport, client.Timeout}
	if capped.timeout == 0 {
		capped.timeout = providerTimeout
	}
	if capped.base == nil {
		capped.base = defaultTransport()
	}
	// The client's own time-out would take a goroutine for each request.
	client.Transport, client.Timeout = capped, 0
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// defaultTransport is [http.DefaultTransport] that takes a smaller header: its
// 10 MB of short lines would become more than 100 MB of map, for each request.
func defaultTransport() http.RoundTripper {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // the program has put in one of its own
	}
	ours := standard.Clone()
	ours.MaxResponseHeaderBytes = maxProviderHeader
	return ours
}

// cappedTransport ends an answer that takes longer than timeout, body included,
// and makes reading more than maxProviderBytes of it an [http.MaxBytesError].
type cappedTransport struct {
	base    http.RoundTripper
	timeout time.Duration
}

func (t cappedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(r.Context(), t.timeout)
	response, err := t.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	// net/http quotes a Location that is no URL in its error, and it may repeat a secret.
	if _, err := response.Location(); err != nil {
		response.Header.Del("Location")
	}
	response.Body = timedBody{http.MaxBytesReader(nil, response.Body, maxProviderBytes), cancel}
	return response, nil
}

// timedBody is a body whose time is over when it is closed.
type timedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b timedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}

// A tokenAnswer is the answer to one token request. It is read here, because
// x/oauth2 goes by the Content-Type, which providers get wrong, and passes on
// only the text of what ended the reading.
type tokenAnswer struct {
	base   http.RoundTripper
	status int // 0: there was no answer
	body   []byte
	err    error // that ended the reading
}

// watch returns a copy of client for one token request, and its answer.
func watch(client *http.Client) (*http.Client, *tokenAnswer) {
	watched, answer := *client, &tokenAnswer{base: client.Transport}
	watched.Transport = answer
	return &watched, answer
}

// RoundTrip reads the body, which the base bounds, and labels it by its content.
func (a *tokenAnswer) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := a.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	a.status = response.StatusCode
	if a.body, a.err = io.ReadAll(response.Body); a.err != nil {
		return nil, a.err
	}
	a.body = bytes.TrimSpace(a.body) // a form may end in a line break
	labelled := *response
	labelled.Header = make(http.Header)
	maps.Copy(labelled.Header, response.Header)
	labelled.Header.Set("Content-Type", "application/json")
	if !isJSON(a.body) && isForm(a.body) {
		labelled.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	labelled.Body, labelled.ContentLength = io.NopCloser(bytes.NewReader(a.body)), int64(len(a.body))
	return &labelled, nil
}
