package logintest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"sync"
)

// HTTPClient returns a client that reaches the provider in memory. Requests to
// other origins fail. Responses are streamed: slow bodies, canceled contexts
// and closed connections behave as they do on a network.
func (p *Provider) HTTPClient() *http.Client {
	if p.network != nil {
		return &http.Client{Transport: p.network}
	}
	origin := ""
	if issuer, err := url.Parse(p.issuer); err == nil {
		origin = originOf(issuer)
	}
	return InMemory(map[string]http.Handler{origin: p})
}

// InMemory returns a client that reaches handlers in memory, as
// [Provider.HTTPClient] does. The keys are origins, such as
// https://app.example.test. The client keeps no cookies: use it for calls from
// one server to another ([Provider.Outbound]).
func InMemory(handlers map[string]http.Handler) *http.Client {
	return &http.Client{Transport: memoryTransport(maps.Clone(handlers))}
}

type memoryTransport map[string]http.Handler

func (t memoryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	handler := t[originOf(r.URL)]
	if handler == nil {
		return nil, fmt.Errorf("logintest: no handler for %s, only for %q", originOf(r.URL), slices.Sorted(maps.Keys(t)))
	}
	return serve(handler, r)
}

// serve lets handler answer a client's request.
func serve(handler http.Handler, r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancel(r.Context())
	received := r.Clone(ctx)
	received.RequestURI = r.URL.RequestURI()
	received.RemoteAddr = "192.0.2.1:1234" // an address for documentation (RFC 5737)
	received.URL = &url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
	if received.Host == "" {
		received.Host = r.URL.Host
	}
	if r.URL.Scheme == "https" {
		received.TLS = &tls.ConnectionState{HandshakeComplete: true, ServerName: r.URL.Hostname()}
	}
	if received.Body == nil {
		received.Body = http.NoBody
	}
	read, write := io.Pipe()
	answer := &memoryResponse{header: make(http.Header), body: write, begun: make(chan struct{})}
	go answer.run(handler, received, cancel)

	select {
	case <-answer.begun:
	case <-r.Context().Done():
		write.CloseWithError(r.Context().Err())
		return nil, r.Context().Err()
	}
	if answer.err != nil {
		cancel()
		return nil, answer.err
	}
	stop := context.AfterFunc(r.Context(), func() { write.CloseWithError(r.Context().Err()) })
	return &http.Response{
		StatusCode: answer.status, Status: fmt.Sprintf("%d %s", answer.status, http.StatusText(answer.status)),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: answer.sent, Body: &memoryBody{read, stop}, ContentLength: -1, Request: r,
	}, nil
}

// memoryBody releases the context when it is closed.
type memoryBody struct {
	*io.PipeReader
	stop func() bool
}

func (b *memoryBody) Close() error {
	b.stop()
	return b.PipeReader.Close()
}

// memoryResponse is the handler's side of a response.
type memoryResponse struct {
	header http.Header
	body   *io.PipeWriter

	once   sync.Once
	begun  chan struct{} // closed when status and sent, or err, are final
	status int
	sent   http.Header
	err    error
}

func (m *memoryResponse) run(handler http.Handler, r *http.Request, done func()) {
	defer done()
	defer func() {
		switch cause := recover(); {
		case cause == nil:
			m.WriteHeader(http.StatusOK)
			m.body.CloseWithError(r.Context().Err()) // usually nil: the end of the body
		case cause == http.ErrAbortHandler:
			m.fail(io.ErrUnexpectedEOF)
		default:
			m.fail(fmt.Errorf("logintest: the handler panicked: %v\n%s", cause, debug.Stack()))
		}
	}()
	handler.ServeHTTP(m, r)
}

// fail closes the connection, before or within the body.
func (m *memoryResponse) fail(err error) {
	m.once.Do(func() {
		m.err = err
		close(m.begun)
	})
	m.body.CloseWithError(err)
}

func (m *memoryResponse) Header() http.Header { return m.header }

func (m *memoryResponse) WriteHeader(status int) {
	m.once.Do(func() {
		m.status, m.sent = status, m.header.Clone()
		close(m.begun)
	})
}

func (m *memoryResponse) Write(b []byte) (int, error) {
	m.WriteHeader(http.StatusOK)
	n, err := m.body.Write(b)
	if errors.Is(err, io.ErrClosedPipe) {
		return n, http.ErrHandlerTimeout // the reader has closed the body
	}
	return n, err
}

// Flush sends the header. Written data is never buffered.
func (m *memoryResponse) Flush() { m.WriteHeader(http.StatusOK) }
