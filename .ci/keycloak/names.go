package main

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// names resolves the host names that it has, and no others, and counts what was asked.
type names struct {
	known map[string]string // name to IP address

	mu    sync.Mutex
	asked map[string]int
}

func newNames(known map[string]string) *names {
	return &names{known: known, asked: make(map[string]int)}
}

// transport returns a transport that resolves these names.
func (n *names) transport() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		n.mu.Lock()
		n.asked[host]++
		n.mu.Unlock()
		ip, ok := n.known[host]
		if !ok {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(ip, port))
	}}
}

// unknown returns a name that was asked for and is not known, or "".
func (n *names) unknown() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name := range n.asked {
		if _, ok := n.known[name]; !ok {
			return name
		}
	}
	return ""
}

func (n *names) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.asked)
}
