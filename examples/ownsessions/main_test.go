package main

import (
	"bufio"
	"bytes"
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

const sessionSecret = "SESSION_KEY=any string of thirty-two bytes or more"

// TestProgram runs the program with its embedded provider, stops it, and runs it
// again: accounts and sessions are still there.
func TestProgram(t *testing.T) {
	t.Parallel()
	binary, addr := build(t), freeAddr(t)
	env := []string{"ADDR=" + addr, sessionSecret, "DATABASE=" + filepath.Join(t.TempDir(), "db"), "BASE_PATH=/reader"}
	home, stop := startProgram(t, binary, env...)
	if want := "http://" + addr + "/reader/"; home != want {
		t.Fatalf("the program prints %s, want %s", home, want)
	}
	browser := logintest.NewBrowser()
	form, err := browser.Get(home + "me")
	if err != nil || !strings.Contains(string(form.Body), "Who are you?") {
		t.Fatal(err, form)
	}
	page, err := browser.Post(form.URL, url.Values{"name": {"Grace <Hopper>"}, "email": {"grace@example.test"}})
	if err != nil || page.URL != home+"me" || !strings.Contains(string(page.Body), "Grace &lt;Hopper&gt;") {
		t.Fatal(err, page)
	}
	stop()

	home, stop = startProgram(t, binary, env...)
	page, err = browser.Get(home + "me")
	if err != nil || page.URL != home+"me" || !strings.Contains(string(page.Body), "Grace &lt;Hopper&gt;") {
		t.Errorf("after a restart: %v %+v", err, page)
	}
	stop()
}

func TestBadVariables(t *testing.T) {
	t.Parallel()
	binary := build(t)
	for variable, want := range map[string]string{
		"SESSION_KEY=short":                         "SessionKey",
		"BASE_PATH=reader":                          "BasePath",
		"DATABASE=/no/such/directory/db":            "DATABASE",
		"OIDC_ISSUER=ftp://id.example.test":         "Issuer",
		"OIDC_ISSUER=https://id.example.test":       "ClientID",
		"OIDC_REDIRECT_URL=http://app.example.test": "OIDC_ISSUER", // not for the embedded provider
		"ADDR=nonsense":                             "",
		"ADDR=:0":                                   "set ADDR=127.0.0.1:",
	} {
		command := exec.Command(binary)
		command.Env = []string{sessionSecret, "ADDR=127.0.0.1:0", variable}
		var output bytes.Buffer
		command.Stderr = &output
		done := time.AfterFunc(20*time.Second, func() { _ = command.Process.Kill() })
		err := command.Run()
		done.Stop()
		var lines []string
		for line := range strings.Lines(output.String()) {
			if !strings.Contains(line, "embedded provider at") && !strings.Contains(line, "DATABASE is not set") {
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
	binary := filepath.Join(t.TempDir(), "ownsessions")
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
