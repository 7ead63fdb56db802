package core

import (
	"context"
	"io"
	"net/http"
	"time"
)

const (
	providerTimeout   = 10 * time.Second // for a whole answer, drips included
	maxProviderBytes  = 1 << 20          // of one answer
	maxProviderHeader = 64 << 10         // bytes of its header, if the transport is ours
)

// providerClient returns a client for the provider's endpoints, made from
// custom if there is one. It follows no redirects, because a code, a secret or
// a token would go along, and bounds every answer in time and size. The
// caller's client is not changed.
func providerClient(custom *http.Client) *http.Client {
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

// witness holds on to the error that ended the reading of one answer, because
// x/oauth2 passes on its text only.
type witness struct {
	base http.RoundTripper
	err  error
}

// watch returns a copy of client for one request, and the witness of its answer.
func watch(client *http.Client) (*http.Client, *witness) {
	watched, w := *client, &witness{base: client.Transport}
	watched.Transport = w
	return &watched, w
}

func (t *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.base.RoundTrip(r)
	if err == nil {
		response.Body = &witnessedBody{response.Body, t}
	}
	return response, err
}

type witnessedBody struct {
	io.ReadCloser
	witness *witness
}

func (b *witnessedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		b.witness.err = err
	}
	return n, err
}
