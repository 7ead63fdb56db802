// Package replicas_test runs examples/replicas with Redis, and tests what can
// happen to replicas. It uses REDIS_URL, or starts a redis-server.
package replicas_test

import (
	"bufio"
	"cmp"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

const (
	client  = "app"
	secret  = "canary-client-secret"
	key     = "any string of thirty-two bytes or more"
	patient = 30 * time.Second // for things that should take no time
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "pixy")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "replicas")
	code := 1
	if out, err := exec.Command("go", "build", "-C", "../../..", "-race", "-o", binary, "./examples/replicas").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v: %s", err, out)
	} else {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// A program is a running examples/replicas, with its provider.
type program struct {
	url      string
	provider *logintest.Provider
	command  *exec.Cmd
	ended    chan struct{}
	mu       sync.Mutex
	printed  strings.Builder
}

// start runs the program until the test ends. The provider identifies users by the cookie
// "who", and their session by the cookie "sid".
func start(t *testing.T, more ...string) *program {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	p := run(t, append(environment(issuer), more...)...)
	p.provider = logintest.NewProvider(issuer, logintest.Client{
		ID: client, Secret: secret, RedirectURIs: []string{p.url + "/auth/callback"}, PostLogoutRedirectURIs: []string{p.url + "/"},
		BackChannelLogoutURI: p.url + "/auth/backchannel-logout",
	})
	p.provider.Outbound = http.DefaultClient
	p.provider.Authenticate = byCookie
	server.Config.Handler = p.provider
	server.Start()
	t.Cleanup(server.Close)
	return p
}

// byCookie identifies a user by cookies.
func byCookie(_ http.ResponseWriter, r *http.Request) (logintest.User, bool) {
	who, err1 := r.Cookie("who")
	sid, err2 := r.Cookie("sid")
	if err1 != nil || err2 != nil {
		return logintest.User{}, false
	}
	return logintest.User{Subject: who.Value, SessionID: sid.Value, Claims: map[string]any{"name": who.Value}}, true
}

func environment(issuer string) []string {
	return []string{
		"OIDC_ISSUER=" + issuer, "OIDC_CLIENT_ID=" + client, "OIDC_CLIENT_SECRET=" + secret,
		"SESSION_KEY=" + key, "REDIS_URL=" + os.Getenv("REDIS_URL"),
	}
}

// run starts the program with only a few environment variables, and waits for its URL.
func run(t *testing.T, env ...string) *program {
	t.Helper()
	p := &program{command: exec.Command(binary), ended: make(chan struct{})}
	p.command.Env = append([]string{"ADDR=127.0.0.1:0", "HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "GORACE=atexit_sleep_ms=0"}, env...)
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	output, err := p.command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	found := make(chan string, 1)
	go func() {
		p.read(output, found)
		p.command.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.interrupt(t)
		if strings.Contains(p.log(), "DATA RACE") {
			t.Error("there is a data race")
		}
		if t.Failed() {
			t.Logf("the program printed:\n%s", p.log())
		}
	})
	select {
	case p.url = <-found:
	case <-p.ended:
		t.Fatal("the program ended")
	case <-time.After(patient):
		t.Fatal("no URL was printed")
	}
	return p
}

func (p *program) read(output io.Reader, found chan<- string) {
	for lines := bufio.NewScanner(output); lines.Scan(); {
		p.mu.Lock()
		fmt.Fprintln(&p.printed, lines.Text())
		p.mu.Unlock()
		if _, address, ok := strings.Cut(lines.Text(), "open http://"); ok {
			found <- "http://" + strings.TrimSuffix(strings.Fields(address)[0], "/")
		}
	}
}

func (p *program) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.printed.String()
}

// interrupt ends the program like Ctrl-C, which all its processes receive.
func (p *program) interrupt(t *testing.T) {
	t.Helper()
	syscall.Kill(-p.command.Process.Pid, syscall.SIGINT)
	select {
	case <-p.ended:
	case <-time.After(patient):
		p.command.Process.Kill()
		t.Errorf("the program goes on after an interrupt:\n%s", p.log())
	}
}

// processes returns the PIDs of the replicas, by name, from the balancer's page.
func (p *program) processes(t *testing.T) map[string]int {
	t.Helper()
	page := open(t, logintest.NewBrowser(), p.url+"/balancer")
	found := make(map[string]int)
	for _, row := range regexp.MustCompile(`<th[^>]*>(\d)</th><td>[^/]*</td><td>(\d+)</td>`).FindAllSubmatch(page.Body, -1) {
		found[string(row[1])], _ = strconv.Atoi(string(row[2]))
	}
	return found
}

// address returns the address of a replica.
func (p *program) address(t *testing.T, replica string) string {
	t.Helper()
	page := open(t, logintest.NewBrowser(), p.url+"/balancer")
	match := regexp.MustCompile(`<th[^>]*>` + replica + `</th><td>([^<]*)<wbr>(\d+)</td>`).FindSubmatch(page.Body)
	if match == nil {
		t.Fatalf("replica %s is not there", replica)
	}
	return string(match[1]) + string(match[2])
}

// kill ends a replica's process without a warning.
func (p *program) kill(t *testing.T, replica string) {
	t.Helper()
	if page := post(t, logintest.NewBrowser(), p.url+"/balancer/kill", url.Values{"replica": {replica}}); page.Status != 200 {
		t.Errorf("replica %s is not killed: %d %s", replica, page.Status, page.Body)
	}
}

// await waits until as returns true for the processes. A replica that is restarting is not
// among them.
func (p *program) await(t *testing.T, what string, as func(map[string]int) bool) map[string]int {
	t.Helper()
	for deadline := time.Now().Add(patient); ; time.Sleep(5 * time.Millisecond) {
		running := p.processes(t)
		if as(running) {
			return running
		}
		if time.Now().After(deadline) {
			t.Fatalf("in vain: %s; there are %v", what, running)
		}
	}
}

func all(running map[string]int) bool { return len(running) == 3 }

// person opens a browser for a user of this name.
func (p *program) person(name string) *logintest.Browser { return p.personIn(rand.Text(), name) }

// personIn is like person, with a given session at the provider.
func (p *program) personIn(sid, name string) *logintest.Browser {
	browser := logintest.NewBrowser()
	browser.SetCookie(p.provider.Issuer(), &http.Cookie{Name: "who", Value: name, Path: "/"})
	browser.SetCookie(p.provider.Issuer(), &http.Cookie{Name: "sid", Value: sid, Path: "/"})
	return browser
}

// login opens /me with a new browser and logs in.
func (p *program) login(t *testing.T, name string) *logintest.Browser {
	t.Helper()
	return p.loginIn(t, rand.Text(), name)
}

func (p *program) loginIn(t *testing.T, sid, name string) *logintest.Browser {
	t.Helper()
	browser := p.personIn(sid, name)
	if page := open(t, browser, p.url+"/me"); page.Status != 200 || page.URL != p.url+"/me" || !strings.Contains(string(page.Body), "<h1>"+name+"</h1>") {
		t.Fatalf("%s's login ends with %d at %s\n%s", name, page.Status, page.URL, page.Body)
	}
	return browser
}

// asked requests /me like a program, with the browser's cookies. It returns the status, the
// subject, and the replica that answered.
func (p *program) asked(browser *logintest.Browser) (status int, subject, replica string, err error) {
	r, err := http.NewRequest("GET", p.url+"/me", nil)
	if err != nil {
		return 0, "", "", err
	}
	r.Header.Set("Accept", "application/json")
	page, err := browser.Do(r)
	if err != nil {
		return 0, "", "", err
	}
	match := regexp.MustCompile(`"subject":"(\w+)"`).FindSubmatch(page.Body)
	if match != nil {
		subject = string(match[1])
	}
	return page.Status, subject, page.Header.Get("X-Replica"), nil
}

// everywhere checks the user on each replica. Empty name: the requests must be anonymous.
func (p *program) everywhere(t *testing.T, browser *logintest.Browser, name string) {
	t.Helper()
	want := 200
	if name == "" {
		want = 401
	}
	answered := make(map[string]bool)
	for asked := 0; len(answered) < 3 && asked < 100; asked++ { // other requests take turns as well
		status, subject, replica, err := p.asked(browser)
		if err != nil || status != want || subject != name {
			t.Errorf("replica %s: got %d, %q, %v; want %d, %q", replica, status, subject, err, want, name)
			return
		}
		answered[replica] = true
	}
	if len(answered) != 3 {
		t.Errorf("not all replicas were asked: %v", answered)
	}
}

func open(t *testing.T, browser *logintest.Browser, address string) *logintest.Page {
	t.Helper()
	page, err := browser.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func post(t *testing.T, browser *logintest.Browser, address string, form url.Values) *logintest.Page {
	t.Helper()
	page, err := browser.Post(address, form)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// by returns which replica answered the hop to a path.
func by(page *logintest.Page, path string) string {
	for _, hop := range page.Hops {
		if u, err := url.Parse(hop.URL); err == nil && u.Path == path {
			return cmp.Or(hop.Header.Get("X-Replica"), "nobody")
		}
	}
	return ""
}
