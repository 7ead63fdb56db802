package replicas_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// One command without settings starts Redis, provider, replicas and balancer, and leaves no
// process behind.
func TestOneCommand(t *testing.T) {
	t.Parallel()
	files := t.TempDir()
	p := run(t, "TMPDIR="+files)
	browser := logintest.NewBrowser()
	form := open(t, browser, p.url+"/me")
	if page := post(t, browser, form.URL, url.Values{"name": {"Grace"}, "email": {"grace@example.test"}}); page.URL != p.url+"/me" || !strings.Contains(string(page.Body), "Answered by replica") {
		t.Fatalf("the login ends with %d at %s\n%s", page.Status, page.URL, page.Body)
	}
	if page := open(t, browser, p.url+"/api"); page.Status != 200 || !strings.Contains(string(page.Body), "grace@example.test") {
		t.Errorf("/api: got %d %s", page.Status, page.Body)
	}
	processes := p.await(t, "all run", all)
	p.interrupt(t)
	if code := p.command.ProcessState.ExitCode(); code != 0 {
		t.Errorf("an interrupt ends it with status %d", code)
	}
	for replica, process := range processes {
		if err := syscall.Kill(process, 0); !errors.Is(err, syscall.ESRCH) {
			t.Errorf("replica %s goes on: %v", replica, err)
		}
	}
	if left, err := os.ReadDir(files); err != nil || len(left) != 0 {
		t.Errorf("Redis has left %v, %v", left, err)
	}
	if strings.Contains(p.log(), "has died") {
		t.Error("a replica has died of the interrupt")
	}
	if strings.Contains(p.log(), "redirect_uris") {
		t.Error("it asks to register with its own provider")
	}
}

// A login on one replica, a refresh on another, a replica that is killed during a login, and
// a session that the provider ends. Bob's session is not affected.
func TestReplicas(t *testing.T) {
	t.Parallel()
	p := start(t)
	for _, want := range []string{"redirect_uris: " + p.url + "/auth/callback\n", "backchannel_logout_uri: " + p.url + "/auth/backchannel-logout\n"} {
		if got := strings.Count(p.log(), want); got != 1 {
			t.Errorf("it prints %q %d times", want, got)
		}
	}
	bob := p.login(t, "bob")

	ada, in := p.loginExpired(t, "ada")
	refreshed := open(t, ada, p.url+"/api")
	if refreshed.Status != 200 || !strings.Contains(string(refreshed.Body), `"ada"`) && !strings.Contains(string(refreshed.Body), "&#34;ada&#34;") {
		t.Errorf("/api: got %d %s", refreshed.Status, refreshed.Body)
	}
	if one, other := in.Header.Get("X-Replica"), refreshed.Header.Get("X-Replica"); one == other || one == "" || other == "" {
		t.Errorf("the login was at replica %q and the refresh at %q", one, other)
	}
	p.everywhere(t, ada, "ada")
	if got := p.provider.Refreshes(); got != 1 {
		t.Errorf("got %d refreshes, want 1", got)
	}

	p.killInMidLogin(t)
	p.everywhere(t, ada, "ada")
	p.everywhere(t, bob, "bob")
	if got := p.provider.Reused(); got != 0 {
		t.Errorf("%d refresh tokens came twice", got)
	}

	p.backChannelLogout(t, logintest.User{Subject: "ada"})
	p.everywhere(t, ada, "")
	p.everywhere(t, bob, "bob")
}

// killInMidLogin kills the replica that is about to redeem Carol's code.
func (p *program) killInMidLogin(t *testing.T) {
	t.Helper()
	processes := p.await(t, "all run", all)
	carol := p.person("carol")
	begun, err := carol.Visit(p.url + "/auth/login?return_to=/me")
	if err != nil {
		t.Fatal(err)
	}
	answered, err := carol.Visit(begun.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	// The balancer uses the replicas in turn: this one is next.
	next := map[string]string{"1": "2", "2": "3", "3": "1"}[begun.Header.Get("X-Replica")]
	before := p.provider.Count(logintest.Token)
	var once sync.Once
	p.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, _ http.ResponseWriter, r *http.Request) (done bool) {
		if e != logintest.Token {
			return false
		}
		once.Do(func() {
			p.kill(t, next)
			select {
			case <-r.Context().Done(): // the client has died
			case <-time.After(patient):
				t.Errorf("replica %s was not the one that redeems the code", next)
			}
			done = true
		})
		return done
	}})
	in := open(t, carol, answered.Header.Get("Location"))
	p.provider.Misbehave(logintest.Faults{})
	if in.Status != 200 || in.URL != p.url+"/me" {
		t.Errorf("carol's login ends with %d at %s\n%s", in.Status, in.URL, in.Body)
	}
	if got := by(in, "/auth/callback"); got == next {
		t.Errorf("replica %s has answered from the grave", got)
	}
	if got := p.provider.Count(logintest.Token) - before; got != 2 {
		t.Errorf("the code was sent %d times, want once by each replica", got)
	}
	p.await(t, "the replica runs again", func(now map[string]int) bool { return all(now) && now[next] != processes[next] })
	p.everywhere(t, carol, "carol")
}
