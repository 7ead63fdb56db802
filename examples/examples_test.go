// Package examples_test runs the example programs. It builds them, starts them,
// and performs logins with a browser over real sockets.
package examples_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
	"github.com/pixyauth/pixy/examples/devprovider"
)

var examples = []string{"nethttp", "gin", "echo"}

const sessionKey = "any string of thirty-two bytes or more"

// binaries is the directory where TestExamples builds the programs.
var binaries string

func TestExamples(t *testing.T) {
	for _, pattern := range []string{"*/*", "devprovider/cmd/*/*", "../adapters/*/*.go"} {
		sources, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, source := range sources {
			// Stat makes go test run this test again when a source file
			// changes.
			if _, err := os.Stat(source); err != nil {
				t.Fatal(err)
			}
		}
	}
	binaries = t.TempDir()
	arguments := []string{"build", "-o", binaries + string(filepath.Separator), "./devprovider/cmd/devprovider"}
	for _, name := range append(examples, "replicas", "spa") {
		arguments = append(arguments, "./"+name)
	}
	if out, err := exec.Command("go", arguments...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Run("devprovider", testDevProvider)
	for _, name := range examples {
		t.Run(name, func(t *testing.T) {
			t.Run("embedded provider", func(t *testing.T) { testEmbeddedProvider(t, name) })
			t.Run("two processes", func(t *testing.T) { testTwoProcesses(t, name) })
			t.Run("provider down", func(t *testing.T) { testProviderDown(t, name) })
			t.Run("bad variables", func(t *testing.T) { testBadVariables(t, name) })
			t.Run("attacks", func(t *testing.T) { testAttacks(t, name) })
		})
	}
	t.Run("spa", func(t *testing.T) {
		t.Run("embedded provider", testSinglePage)
		t.Run("two processes", func(t *testing.T) { testTwoProcesses(t, "spa") })
		t.Run("provider down", func(t *testing.T) { testProviderDown(t, "spa") })
		t.Run("bad variables", func(t *testing.T) { testBadVariables(t, "spa") })
		t.Run("tokens", testSinglePageTokens)
		t.Run("attacks", func(t *testing.T) { testAttacks(t, "spa") })
	})
	// The other tests of replicas need Redis: see .ci/stores.
	t.Run("replicas", func(t *testing.T) {
		t.Run("no Redis", testNoRedis)
		t.Run("bad variables", func(t *testing.T) { testBadVariables(t, "replicas") })
	})
}

// process is a running example.
type process struct {
	url string
	log *lines
}

// start runs an example until the test ends, and waits for the URL it prints.
func start(t *testing.T, name string, env ...string) *process {
	t.Helper()
	return launch(t, exec.Command(filepath.Join(binaries, name)), env...)
}

// launch is start for a program with arguments.
func launch(t *testing.T, command *exec.Cmd, env ...string) *process {
	t.Helper()
	command.Env = append([]string{"ADDR=" + freeAddr(t), "HOME=" + t.TempDir()}, env...)
	output, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	p := &process{log: new(lines)}
	found := make(chan string, 1)
	go p.log.read(output, found)
	select {
	case p.url = <-found:
	case <-time.After(20 * time.Second):
		t.Fatalf("no URL was printed:\n%s", p.log)
	}
	return p
}

// prints waits until the process has printed text.
func (p *process) prints(t *testing.T, text string) {
	t.Helper()
	for range 600 { // half a minute
		if strings.Contains(p.log.String(), text) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("did not print %q:\n%s", text, p.log)
}

// lines is the output of a process.
type lines struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *lines) read(from io.Reader, found chan<- string) {
	for scanner := bufio.NewScanner(from); scanner.Scan(); {
		l.mu.Lock()
		fmt.Fprintln(&l.all, scanner.Text())
		l.mu.Unlock()
		if _, rest, ok := strings.Cut(scanner.Text(), "open http://"); ok {
			address, _, _ := strings.Cut(rest, "/")
			found <- "http://" + address
		}
	}
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.String()
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

func get(t *testing.T, browser *logintest.Browser, address string) *logintest.Page {
	t.Helper()
	page, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// api requests /me like a program.
func api(t *testing.T, browser *logintest.Browser, method, address string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(method, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json")
	page, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(page.Body, &answer); err != nil {
		t.Fatalf("%d is not JSON: %s", page.Status, page.Body)
	}
	return page.Status, answer
}

func testEmbeddedProvider(t *testing.T, name string) {
	p := start(t, name)
	browser := logintest.NewBrowser()
	if page := get(t, browser, p.url+"/"); page.Status != 200 || !strings.Contains(string(page.Body), "You are not logged in") {
		t.Fatalf("/: got %d %s", page.Status, page.Body)
	}
	if status, answer := api(t, browser, "GET", p.url+"/me"); status != 401 || answer["login_url"] != "/auth/login" {
		t.Errorf("/me for an anonymous program: got %d %v", status, answer)
	}
	form := get(t, browser, p.url+"/me")
	if form.Status != 200 || !strings.Contains(string(form.Body), "Who are you?") {
		t.Fatalf("/me for an anonymous page load: got %d %s", form.Status, form.Body)
	}
	page, err := browser.Post(form.URL, url.Values{"name": {`Grace <Hopper>`}, "email": {"grace@example.test"}})
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != 200 || page.URL != p.url+"/me" || !strings.Contains(string(page.Body), "Grace &lt;Hopper&gt;") {
		t.Fatalf("after login: got %d at %s\n%s", page.Status, page.URL, page.Body)
	}
	for _, method := range []string{"GET", "POST", "DELETE"} {
		status, me := api(t, browser, method, p.url+"/me")
		if status != 200 || me["name"] != "Grace <Hopper>" || me["email"] != "grace@example.test" || me["subject"] == "" || me["issuer"] == "" {
			t.Errorf("%s /me: got %d %v", method, status, me)
		}
		if claims, ok := me["claims"].(map[string]any); !ok || claims["email_verified"] != true {
			t.Errorf("%s /me: got claims %v", method, me["claims"])
		}
	}
	if page := get(t, browser, p.url+"/"); !strings.Contains(string(page.Body), "Hello, Grace") {
		t.Errorf("/ does not greet: %s", page.Body)
	}
	out, err := browser.Post(p.url+"/auth/logout", nil)
	if err != nil {
		t.Fatal(err)
	}
	if out.Status != 200 || out.URL != p.url+"/" || !strings.Contains(string(out.Body), "You are not logged in") {
		t.Errorf("logout ends with %d at %s", out.Status, out.URL)
	}
	if status, _ := api(t, browser, "GET", p.url+"/me"); status != 401 {
		t.Errorf("after logout: got %d", status)
	}
	if !strings.Contains(p.log.String(), "SESSION_KEY is not set") {
		t.Errorf("no warning about a random key:\n%s", p.log)
	}
	if strings.Contains(p.log.String(), "redirect_uris") {
		t.Errorf("asks to register with the embedded provider:\n%s", p.log)
	}
}

// A login begins in one process and ends in another. The session survives both.
func testTwoProcesses(t *testing.T, name string) {
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	first := freeAddr(t)
	provider := devprovider.New(issuer, "http://"+first+"/auth/callback", "http://"+first+"/")
	provider.Authenticate = nil
	server.Config.Handler = provider
	server.Start()
	t.Cleanup(server.Close)

	env := []string{
		"OIDC_ISSUER=" + issuer, "OIDC_CLIENT_ID=pixy-example", "SESSION_KEY=" + sessionKey,
		"OIDC_REDIRECT_URL=http://" + first + "/auth/callback", "OIDC_SCOPES=openid email",
	}
	one := start(t, name, append(env, "ADDR="+first)...)
	one.prints(t, "register with "+issuer+" for client \"pixy-example\":\n"+
		"  redirect_uris: http://"+first+"/auth/callback\n"+
		"  post_logout_redirect_uris: http://"+first+"/\n")
	two := start(t, name, env...)
	browser := logintest.NewBrowser()
	begun, err := browser.Visit(one.url + "/auth/login?return_to=/me")
	if err != nil {
		t.Fatal(err)
	}
	answered, err := browser.Visit(begun.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	callback := strings.Replace(answered.Header.Get("Location"), one.url, two.url, 1)
	ended, err := browser.Visit(callback)
	if err != nil {
		t.Fatal(err)
	}
	if ended.Status != 303 || ended.Header.Get("Location") != "/me" {
		t.Fatalf("the second process answers %d to %q: %s\n%s", ended.Status, ended.Header.Get("Location"), ended.Body, two.log)
	}
	// A third process, with a key that has been rotated since.
	three := start(t, name, append(env, "SESSION_KEY=a new key of thirty-two bytes or more", "OLD_SESSION_KEYS="+sessionKey)...)
	for _, p := range []*process{one, two, three} {
		status, me := api(t, browser, "GET", p.url+"/me")
		if status != 200 || me["subject"] != "ada" || me["issuer"] != issuer {
			t.Errorf("got %d %v", status, me)
		}
		if me["name"] != "" || me["email"] != "ada@example.test" {
			t.Errorf("OIDC_SCOPES was not heeded: %v", me)
		}
	}
}

func testProviderDown(t *testing.T, name string) {
	p := start(t, name, "OIDC_ISSUER=http://"+freeAddr(t), "OIDC_CLIENT_ID=x", "SESSION_KEY="+sessionKey)
	browser := logintest.NewBrowser()
	if page := get(t, browser, p.url+"/"); page.Status != 200 {
		t.Errorf("/: got %d", page.Status)
	}
	if page := get(t, browser, p.url+"/me"); page.Status != 503 || page.Header.Get("Retry-After") == "" {
		t.Errorf("/me: got %d %s", page.Status, page.Body)
	}
}

func testBadVariables(t *testing.T, name string) {
	for variable, want := range map[string]string{
		"SESSION_KEY=short":                              "SessionKey",
		"OLD_SESSION_KEYS=short":                         "Sessions.OldKeys",
		"OIDC_ISSUER=ftp://id.example.test":              "Issuer",
		"OIDC_REDIRECT_URL=http://app.example.test/x":    "OIDC_ISSUER", // not for the embedded provider
		"OIDC_ISSUER=https://id.example.test":            "ClientID",
		"ADDR=nonsense":                                  "",
		"ADDR=:0":                                        "set ADDR=127.0.0.1:",
		"ADDR=0.0.0.0:0":                                 "set ADDR=127.0.0.1:",
		"ADDR=[::]:0 OIDC_ISSUER=https://x":              "set ADDR=127.0.0.1:",
		"OIDC_ISSUER=https://x OIDC_SCOPES=email":        "Scopes",
		"OIDC_ISSUER=https://x OIDC_REDIRECT_URL=/a/b#c": "RedirectURL",
	} {
		command := exec.Command(filepath.Join(binaries, name))
		command.Env = append([]string{"SESSION_KEY=" + sessionKey, "ADDR=127.0.0.1:0", "REDIS_URL=redis://127.0.0.1:1"}, strings.Fields(variable)...)
		var output bytes.Buffer
		command.Stderr = &output
		done := time.AfterFunc(20*time.Second, func() { _ = command.Process.Kill() })
		err := command.Run()
		done.Stop()
		var lines []string
		for line := range strings.Lines(output.String()) {
			if !strings.Contains(line, "embedded provider at") {
				lines = append(lines, line)
			}
		}
		if err == nil || len(lines) != 1 || !strings.Contains(lines[0], want) {
			t.Errorf("%s: got %v and\n%s", variable, err, output.String())
		}
	}
}

func testNoRedis(t *testing.T) {
	for variable, want := range map[string]string{
		"PATH=":                                 "set REDIS_URL", // no redis-server can be found
		"REDIS_URL=ftp://user:canary@127.0.0.1": "bad REDIS_URL",
	} {
		command := exec.Command(filepath.Join(binaries, "replicas"))
		command.Env = []string{"ADDR=127.0.0.1:0", "SESSION_KEY=" + sessionKey, "OIDC_ISSUER=https://id.example.test", variable}
		output, err := command.CombinedOutput()
		if said := string(output); err == nil || strings.Count(said, "\n") != 1 || !strings.Contains(said, want) || strings.Contains(said, "canary") {
			t.Errorf("%s: got %v and\n%s", variable, err, said)
		}
	}
}
