package stores_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
)

// A proxy connects an application with a server. It records operations, and can be cut to
// simulate a server that is down.
type proxy struct {
	path string // of its socket
	dial func() (net.Conn, error)
	new  func() parser

	listeners chan net.Listener // the next listeners

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	carried  []string
}

// A parser reads one message of a connection. It returns the name of the application's
// operation, or "".
type parser func(*bufio.Reader) (message []byte, operation string, err error)

// newProxy listens on a socket of that name in a new directory.
func newProxy(t *testing.T, name string, dial func() (net.Conn, error), newParser func() parser) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "pixy") // t.TempDir() is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{path: filepath.Join(dir, name), dial: dial, new: newParser, listeners: make(chan net.Listener), conns: make(map[net.Conn]bool)}
	go p.serve()
	p.mend(t)
	t.Cleanup(func() {
		p.cut()
		close(p.listeners)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return p
}

// mend listens, initially and after a cut.
func (p *proxy) mend(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("unix", p.path)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.listener = listener
	p.mu.Unlock()
	p.listeners <- listener
}

// serve runs outside of the testing/synctest bubble that calls mend, because a bubble ends
// only after all its goroutines.
func (p *proxy) serve() {
	for listener := range p.listeners {
		for {
			near, err := listener.Accept()
			if err != nil {
				break // cut
			}
			go p.carry(near)
		}
	}
}

// cut rejects new connections, and closes existing ones.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for conn := range p.conns {
		conn.Close()
	}
	clear(p.conns)
}

// carry copies data until one side closes the connection.
func (p *proxy) carry(near net.Conn) {
	defer near.Close()
	far, err := p.dial()
	if err != nil {
		return
	}
	defer far.Close()
	p.mu.Lock()
	p.conns[near] = true
	p.mu.Unlock()
	go func() {
		_, _ = io.Copy(near, far)
		near.Close()
	}()
	for r, parse := bufio.NewReader(near), p.new(); ; {
		message, operation, err := parse(r)
		if err != nil {
			return
		}
		if operation != "" {
			p.mu.Lock()
			p.carried = append(p.carried, operation) // before the reply
			p.mu.Unlock()
		}
		if _, err := far.Write(message); err != nil {
			return
		}
	}
}

// took returns the operations since its last call, sorted.
func (p *proxy) took() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	carried := p.carried
	p.carried = nil
	slices.Sort(carried)
	return carried
}
