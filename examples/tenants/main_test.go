package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// TestProgram runs the program without settings, and logs in on each host.
func TestProgram(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	home, stop := startProgram(t, build(t), "ADDR="+addr)
	if want := "http://app.localhost:" + port + "/"; home != want {
		t.Fatalf("the program prints %s, want %s", home, want)
	}
	browser := logintest.NewBrowser()
	browser.Transport = onLoopback()
	for _, name := range []string{"acme", "globex"} {
		address := "http://" + name + ".localhost:" + port + "/"
		form, err := browser.Get(address)
		if err != nil || !strings.Contains(string(form.Body), "Who are you?") {
			t.Fatal(err, form)
		}
		page, err := browser.Post(form.URL, url.Values{"name": {"Grace <Hopper>"}, "email": {"grace@example.test"}})
		if err != nil || page.URL != address || !strings.Contains(string(page.Body), "Hello, Grace &lt;Hopper&gt;") {
			t.Errorf("%s: %v %+v", name, err, page)
		}
	}
	stop()
}

// onLoopback returns a transport that finds *.localhost, as browsers do. Not
// every system does.
func onLoopback() *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
	}}
}

// With a database of its own, the program starts no toy providers.
func TestDatabase(t *testing.T) {
	t.Parallel()
	binary, addr := build(t), freeAddr(t)
	env := []string{"ADDR=" + addr, "DATABASE=" + filepath.Join(t.TempDir(), "db"), "DATABASE_KEY=any string of thirty-two bytes or more", "ADMIN_PASSWORD=" + password}
	for range 2 { // the file exists at the second time
		home, stop := startProgram(t, binary, env...)
		browser := logintest.NewBrowser()
		browser.Transport = onLoopback()
		request := &http.Request{Header: make(http.Header)}
		request.SetBasicAuth("", password)
		browser.Header = request.Header
		page, err := browser.Get(home + "admin")
		if err != nil || page.Status != http.StatusOK || !strings.Contains(string(page.Body), "There are none yet.") {
			t.Errorf("%v %+v", err, page)
		}
		stop()
	}
}

func TestBadVariables(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for variable, want := range map[string]string{
		"SESSION_KEY=short":                            "SessionKey",
		"DATABASE=" + filepath.Join(t.TempDir(), "db"): "DATABASE_KEY",
		"OIDC_REDIRECT_URL=http://app.example.test":    "RedirectURL", // http is for loopback
		"OIDC_REDIRECT_URL=http://localhost:8080":      "begin with app.",
		"ADDR=nonsense":                                "ADDR",
		"ADDR=127.0.0.1:-1":                            "",
	} {
		command := exec.Command(binary)
		command.Env = []string{"SESSION_KEY=any string of thirty-two bytes or more", "ADMIN_PASSWORD=" + password, "ADDR=127.0.0.1:0", variable}
		var output bytes.Buffer
		command.Stderr = &output
		done := time.AfterFunc(20*time.Second, func() { _ = command.Process.Kill() })
		err := command.Run()
		done.Stop()
		var lines []string
		for line := range strings.Lines(output.String()) {
			if !strings.Contains(line, "DATABASE is not set") && !strings.Contains(line, "accept any name") {
				lines = append(lines, line)
			}
		}
		if err == nil || len(lines) != 1 || !strings.Contains(lines[0], want) {
			t.Errorf("%s: got %v and\n%s", variable, err, output.String())
		}
	}
}
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "tenants")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return binary
}

// startProgram runs the program, and returns the URL that it prints. Stop
// interrupts it, and requires that it ends well.
func startProgram(t *testing.T, binary string, env ...string) (home string, stop func()) {
	t.Helper()
	command := exec.Command(binary)
	command.Env = env
	output, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	printed := bufio.NewReader(output)
	timer := time.AfterFunc(20*time.Second, func() { _ = command.Process.Kill() })
	for home == "" {
		line, err := printed.ReadString('\n')
		if err != nil {
			t.Fatalf("no URL was printed: %v", err)
		}
		if _, rest, ok := strings.Cut(line, " open "); ok {
			home, _, _ = strings.Cut(rest, " ")
		}
	}
	timer.Stop()
	return home, func() {
		t.Helper()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		if err := command.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		rest, _ := io.ReadAll(printed)
		if err := command.Wait(); err != nil {
			t.Errorf("the program ends with %v: %s", err, rest)
		}
	}
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
