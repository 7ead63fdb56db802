package adapters_test

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// A finished Gin application needs at most 15 lines for a login: new and changed
// ones, in the program and in its page, imports and logout button included. The
// result withstands the attacks.
func TestLoginInAFinishedGinApplication(t *testing.T) {
	t.Parallel()
	const folder = "testdata/compared/gin/"
	added := 0
	for _, name := range []string{"main.go", "page.html"} {
		before, after := codeOf(t, folder+"before/"+name), codeOf(t, folder+"after/"+name)
		added += len(after) - common(before, after)
	}
	t.Logf("%d lines are added", added)
	if added > 15 {
		t.Errorf("%d lines are added, want at most 15", added)
	}
	build(t, "compared/gin/before") // must compile, too
	binary := build(t, "compared/gin/after")

	addr := freeAddr(t)
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	target := logintest.Target{
		RedirectURL: "http://" + addr + "/auth/callback", Private: "/notes",
		Issuer: "http://" + server.Listener.Addr().String(), ClientID: "notes",
	}
	target.Start = func(provider *logintest.Provider) http.Handler {
		server.Config.Handler = provider
		server.Start()
		command := exec.Command(binary)
		command.Env = []string{"ADDR=" + addr, "OIDC_ISSUER=" + target.Issuer, "OIDC_CLIENT_ID=notes",
			"OIDC_REDIRECT_URL=" + target.RedirectURL, "SESSION_KEY=the session key of thirty-two bytes", "GIN_MODE=release"}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = command.Process.Kill()
			_ = command.Wait()
		})
		listens(t, addr)
		return httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: addr})
	}
	logintest.Attack(t, target)
}

// codeOf returns the lines of a file that are neither blank nor comments.
func codeOf(t *testing.T, path string) (lines []string) {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(source) {
		if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
			lines = append(lines, string(line))
		}
	}
	return lines
}

// common returns the length of the longest common subsequence, which is what a
// diff leaves as it is.
func common(a, b []string) int {
	row := make([]int, len(b)+1)
	for _, line := range a {
		diagonal := 0
		for j, other := range b {
			above := row[j+1]
			if line == other {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}

func freeAddr(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// listens waits until a program listens on addr.
func listens(t *testing.T, addr string) {
	t.Helper()
	for range 200 {
		if conn, err := net.Dial("tcp", addr); err == nil {
			_ = conn.Close()
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the program does not listen on " + addr)
}

// TestCommon checks how lines are counted.
func TestCommon(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{
		{"a b c", "a b c", 3},
		{"a b c", "a x b c y", 3},
		{"a b c", "a X c", 2},
		{"a b", "b a", 1},
		{"", "a", 0},
	} {
		if got := common(strings.Fields(test.a), strings.Fields(test.b)); got != test.want {
			t.Errorf("%q and %q: got %d, want %d", test.a, test.b, got, test.want)
		}
	}
}
