package replicas_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// The session key changes, one replica after another, while users log in and their tokens
// are refreshed. A restart waits for requests in progress. Slow logins therefore hold the
// change at each point where the replicas have different keys.
func TestNewKeyUnderTraffic(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.provider.Misbehave(logintest.Faults{Token: shortLived})
	grace := p.login(t, "grace")
	traffic := p.traffic(t, 2, 1)
	first := p.await(t, "all run", all)

	atTwo := p.hold(t, "held1", "2")
	changed := make(chan *logintest.Page, 1)
	go func() {
		page, _ := logintest.NewBrowser().Post(p.url+"/balancer/rotate", nil)
		changed <- page
	}()
	p.await(t, "replica 1 knows the new key", func(now map[string]int) bool {
		return now["1"] != first["1"] && now["1"] != 0 && now["2"] == 0 && now["3"] == first["3"]
	})
	traffic.rounds(t, 1)

	atThree := p.hold(t, "held2", "3")
	atTwo.release(t)
	second := p.await(t, "replica 2 has it", func(now map[string]int) bool {
		return now["1"] != 0 && now["2"] != first["2"] && now["2"] != 0 && now["3"] == 0
	})
	traffic.rounds(t, 1)

	atTwo = p.hold(t, "held3", "2")
	atThree.release(t)
	p.await(t, "replica 1 seals with it", func(now map[string]int) bool {
		return now["1"] != second["1"] && now["1"] != 0 && now["2"] == 0 && now["3"] != first["3"] && now["3"] != 0
	})
	traffic.rounds(t, 2)

	atTwo.release(t)
	if page := <-changed; page == nil || page.Status != 200 {
		t.Fatalf("the key is not changed: %v", page)
	}
	traffic.rounds(t, 1)
	p.everywhere(t, grace, "grace")
	traffic.stop(t)
	if !strings.Contains(p.log(), "step 2 of 2 is done") || strings.Contains(p.log(), "has died") {
		t.Error("the replicas did not change the key")
	}
	if p.provider.Refreshes() == 0 || p.provider.Reused() != 0 {
		t.Errorf("got %d refreshes, and %d refresh tokens that came twice; want some, and none", p.provider.Refreshes(), p.provider.Reused())
	}
}

// A heldLogin is a login whose token request the provider delays.
type heldLogin struct {
	p         *program
	name      string
	browser   *logintest.Browser
	redeem    func() // lets the provider answer
	callbacks chan *logintest.Page
}

// hold makes a replica wait for the provider in a callback.
func (p *program) hold(t *testing.T, name, replica string) *heldLogin {
	t.Helper()
	answer := make(chan struct{})
	h := &heldLogin{p, name, p.person(name), sync.OnceFunc(func() { close(answer) }), make(chan *logintest.Page, 1)}
	t.Cleanup(h.redeem)
	begun, err := h.browser.Visit(p.url + "/auth/login")
	if err != nil {
		t.Fatal(err)
	}
	answered, err := h.browser.Visit(begun.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	callback, err := url.Parse(answered.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	arrived := make(chan struct{})
	p.provider.Misbehave(logintest.Faults{Token: shortLived, Intercept: func(_ logintest.Endpoint, _ http.ResponseWriter, r *http.Request) bool {
		if r.PostForm.Get("code") == callback.Query().Get("code") {
			close(arrived)
			<-answer
		}
		return false
	}})
	callback.Host = p.address(t, replica)
	go func() {
		page, _ := h.browser.Visit(callback.String())
		h.callbacks <- page
	}()
	select {
	case <-arrived:
	case <-time.After(patient):
		t.Fatalf("replica %s does not redeem %s's code", replica, name)
	}
	return h
}

// release lets the login finish, which must succeed.
func (h *heldLogin) release(t *testing.T) {
	t.Helper()
	h.redeem()
	if page := <-h.callbacks; page == nil || page.Status != 303 {
		t.Fatalf("%s's login was cut off: %v", h.name, page)
	}
	if status, subject, replica, err := h.p.asked(h.browser); status != 200 || subject != h.name {
		t.Errorf("replica %s does not know %s: %d, %q, %v", replica, h.name, status, subject, err)
	}
}
