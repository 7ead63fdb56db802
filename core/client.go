package core

import (
	"net/http"
	"time"
)

const (
	providerTimeout  = 10 * time.Second // for a whole answer, drips included
	maxProviderBytes = 1 << 20          // of one answer
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
	if client.Timeout == 0 {
		client.Timeout = providerTimeout
	}
	if client.Transport == nil {
		client.Transport = http.DefaultTransport
	}
	client.Transport = cappedTransport{client.Transport}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// cappedTransport makes reading more than maxProviderBytes of a body an
// [http.MaxBytesError].
type cappedTransport struct{ base http.RoundTripper }

func (t cappedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	response.Body = http.MaxBytesReader(nil, response.Body, maxProviderBytes)
	return response, nil
}
