package provider

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	providerTimeout   = 10 * time.Second // for a whole response, body included
	maxProviderBytes  = 1 << 20          // of one response
	maxProviderHeader = 64 << 10         // bytes of its header, with the default transport
)

// NewClient returns a client for the provider's endpoints. It is a copy of custom, if
// custom is not nil. The client limits the time and size of each response. It follows no
// redirects, because they would take a code, a secret or a token along. Only getJSON,
// which sends none of these, follows some.
func NewClient(custom *http.Client) *http.Client {
	client := new(http.Client)
	if custom != nil {
		*client = *custom
	}
	capped := cappedTransport{base: client.Transport, timeout: client.Timeout}
	if capped.timeout == 0 {
		capped.timeout = providerTimeout
	}
	if capped.base == nil {
		capped.base = defaultTransport()
	}
	// The client's own Timeout would need a goroutine for each request.
	client.Transport, client.Timeout = capped, 0
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return client
}

// defaultTransport returns a copy of [http.DefaultTransport] with a smaller limit for
// headers. Its default of 10 MB in short lines would become a map of more than 100 MB,
// for each request.
func defaultTransport() http.RoundTripper {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport // the program has replaced it
	}
	ours := standard.Clone()
	ours.MaxResponseHeaderBytes = maxProviderHeader
	stayLocal(ours)
	return ours
}

// stayLocal makes a transport resolve all names below localhost to loopback, and use no
// proxy for them (RFC 6761 section 6.3). Plain http is allowed for these names, so no
// resolver may lead them to another machine.
func stayLocal(t *http.Transport) {
	if dial := t.DialContext; dial != nil {
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			host, port, err := net.SplitHostPort(address)
			if err != nil || !isLocalName(host) {
				return dial(ctx, network, address)
			}
			conn, err := dial(ctx, network, net.JoinHostPort("127.0.0.1", port))
			if err != nil {
				if conn, err6 := dial(ctx, network, net.JoinHostPort("::1", port)); err6 == nil {
					return conn, nil
				}
			}
			return conn, err
		}
	}
	if proxy := t.Proxy; proxy != nil {
		t.Proxy = func(r *http.Request) (*url.URL, error) {
			if isLocalName(r.URL.Hostname()) {
				return nil, nil
			}
			return proxy(r)
		}
	}
}

// cappedTransport cancels a response that takes longer than timeout, body included.
// Reading more than maxProviderBytes returns an [http.MaxBytesError].
type cappedTransport struct {
	base    http.RoundTripper
	timeout time.Duration
	public  bool // base is from NewPublicClient
}

func (t cappedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.public {
		if err := checkPublicURL(r.URL); err != nil {
			if r.Body != nil {
				r.Body.Close()
			}
			return nil, fmt.Errorf("the URL %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), t.timeout)
	response, err := t.base.RoundTrip(r.WithContext(ctx))
	if err != nil {
		cancel()
		return nil, err
	}
	// For a Location that is not a URL, net/http returns an error that quotes it. It may
	// repeat a secret, so remove it.
	if _, err := response.Location(); err != nil {
		response.Header.Del("Location")
	}
	response.Body = timedBody{http.MaxBytesReader(nil, response.Body, maxProviderBytes), cancel}
	return response, nil
}

// timedBody is a body that releases its timeout when it is closed.
type timedBody struct {
	io.ReadCloser
	cancel context.CancelFunc
}

func (b timedBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
