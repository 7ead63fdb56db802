package redislogin_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// A server sends prepared replies in Redis's protocol, and records commands. It does not
// execute them: .ci/stores tests the commands and scripts with a real Redis.
type server struct {
	answer func(command []string) string // one of the replies below

	mu   sync.Mutex
	sent [][]string
}

// Replies (https://redis.io/docs/latest/develop/reference/protocol-spec/).

func bulk(s string) string    { return fmt.Sprintf("$%d\r\n%s\r\n", len(s), s) }
func failure(s string) string { return "-" + s + "\r\n" }

const (
	null = "$-1\r\n"
	done = "+OK\r\n"
)

func array(replies ...string) string {
	return fmt.Sprintf("*%d\r\n%s", len(replies), strings.Join(replies, ""))
}

// nothing is Redis's reply to an MGET of missing keys.
func nothing(command []string) string {
	return array(strings.Split(strings.Repeat(null+"|", len(command)-2)+null, "|")...)
}

// connect returns a client of s that does not retry.
func (s *server) connect(t *testing.T) *redis.Client {
	client := redis.NewClient(&redis.Options{
		Protocol: 2, DisableIdentity: true, MaxRetries: -1, ContextTimeoutEnabled: true,
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go s.serve(far)
			return near, nil
		},
	})
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	for r := bufio.NewReader(conn); ; {
		command, err := readCommand(r)
		if err != nil {
			return
		}
		reply := failure("ERR unknown command")
		if command[0] != "hello" { // Redis 6 has it, but it may fail
			s.mu.Lock()
			s.sent = append(s.sent, command)
			s.mu.Unlock()
			reply = s.answer(command)
		}
		if _, err := io.WriteString(conn, reply); err != nil || reply == "" {
			return // the client has closed the connection
		}
	}
}

func readCommand(r *bufio.Reader) ([]string, error) {
	var n int
	if _, err := fmt.Fscanf(r, "*%d\r\n", &n); err != nil {
		return nil, err
	}
	command := make([]string, n)
	for i := range command {
		var length int
		if _, err := fmt.Fscanf(r, "$%d\r\n", &length); err != nil {
			return nil, err
		}
		text := make([]byte, length+2)
		if _, err := io.ReadFull(r, text); err != nil {
			return nil, err
		}
		command[i] = string(text[:length])
	}
	return command, nil
}

// took returns the commands since it was last called.
func (s *server) took() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	sent := s.sent
	s.sent = nil
	return sent
}
