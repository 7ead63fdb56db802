package replicas_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// One command, with nothing set: Redis, provider, replicas and balancer are there,
// and none of them is left behind.
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
}

// A login on one replica, its tokens refreshed on another, a third that is killed
// in mid-login, and the first session ended by the provider. Bob notices nothing.
func TestReplicas(t *testing.T) {
	t.Parallel()
	p := start(t)
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

// backChannelLogout has the provider post a logout token to the balancer.
func (p *program) backChannelLogout(t *testing.T, whose logintest.User) {
	t.Helper()
	answer, err := logintest.PostLogoutToken(t.Context(), http.DefaultClient, p.url+"/auth/backchannel-logout", p.provider.LogoutToken(client, whose, nil))
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != 200 {
		t.Errorf("the logout token is answered with %d: %s", answer.Status, answer.Body)
	}
}

// What ends at the provider ends on all replicas, and nothing else does.
func TestBackChannelLogout(t *testing.T) {
	t.Parallel()
	p := start(t)
	phone, tablet, laptop := p.loginIn(t, "home", "ada"), p.loginIn(t, "home", "ada"), p.loginIn(t, "office", "ada")
	// At the end of this, the provider tells the application.
	if page := post(t, phone, p.url+"/auth/logout", nil); page.Status != 200 || !strings.Contains(string(page.Body), "stranger") {
		t.Errorf("the logout ends with %d at %s: %s", page.Status, page.URL, page.Body)
	}
	p.everywhere(t, phone, "")
	p.everywhere(t, tablet, "")
	p.everywhere(t, laptop, "ada")
	p.backChannelLogout(t, logintest.User{Subject: "bob", SessionID: "home"})
	p.everywhere(t, laptop, "ada")
	p.backChannelLogout(t, logintest.User{Subject: "ada", SessionID: "office"})
	p.everywhere(t, laptop, "")
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
	// The balancer goes round: it is this one's turn.
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
			case <-r.Context().Done(): // whoever asked is no more
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

// Replicas die one after another, and whoever is logged in does not notice.
func TestKilledUnderTraffic(t *testing.T) {
	t.Parallel()
	p := start(t)
	traffic := p.traffic(t, 3, 0)
	for _, replica := range []string{"1", "2", "3"} {
		gone := p.await(t, "all run", all)[replica]
		p.kill(t, replica)
		p.await(t, "it runs again", func(now map[string]int) bool { return all(now) && now[replica] != gone })
		traffic.rounds(t, 1)
	}
	traffic.stop(t)
	if got := strings.Count(p.log(), "has died"); got != 3 {
		t.Errorf("%d replicas have died, want 3", got)
	}
}

// The session key changes, one replica after another, while people use the
// application, log in, and have their tokens refreshed. A restart waits for
// whoever is being answered: by logins that take their time, the change is held
// wherever the replicas have different keys.
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
	second := p.await(t, "replica 2 knows it, too", func(now map[string]int) bool {
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

// A heldLogin is one whose code the provider is slow to redeem.
type heldLogin struct {
	p         *program
	name      string
	browser   *logintest.Browser
	redeem    func() // lets the provider answer
	callbacks chan *logintest.Page
}

// hold has a replica wait for the provider, in somebody's callback.
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

// release lets the login end, as every other does.
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

// Two hundred requests come at once with a token that has expired.
func TestOneRefresh(t *testing.T) {
	t.Parallel()
	p := start(t)
	ada, _ := p.loginExpired(t, "ada")
	former := ada.Cookies(p.url + "/")
	var answered sync.Map
	var together sync.WaitGroup
	for range 200 {
		together.Go(func() {
			replica, err := callAPI(p.url+"/api", former)
			if err != nil {
				t.Error(err)
			}
			answered.Store(replica, true)
		})
	}
	together.Wait()
	for _, replica := range []string{"1", "2", "3"} {
		if _, ok := answered.Load(replica); !ok {
			t.Errorf("replica %s has answered none", replica)
		}
	}
	// One that is late.
	if _, err := callAPI(p.url+"/api", former); err != nil {
		t.Error(err)
	}
	refreshes := 0
	for _, r := range p.provider.Requests() {
		if r.Endpoint == logintest.Token && r.Form.Get("grant_type") == "refresh_token" {
			refreshes++
		}
	}
	if refreshes != 1 || p.provider.Refreshes() != 1 || p.provider.Reused() != 0 {
		t.Errorf("got %d refresh requests, of which %d succeeded and %d came twice; want 1, 1, 0", refreshes, p.provider.Refreshes(), p.provider.Reused())
	}
}

func callAPI(address string, cookies []*http.Cookie) (replica string, err error) {
	browser := logintest.NewBrowser()
	for _, cookie := range cookies {
		browser.SetCookie(address, cookie)
	}
	page, err := browser.Get(address)
	if err != nil {
		return "", err
	}
	replica = page.Header.Get("X-Replica")
	if page.Status != 200 || len(page.Hops) != 1 || !strings.Contains(string(page.Body), "200 OK") {
		return replica, fmt.Errorf("replica %s answers %d at %s: %s", replica, page.Status, page.URL, page.Body)
	}
	return replica, nil
}

// Ada ends her sessions from one browser. Bob's goes on.
func TestLogoutEverywhere(t *testing.T) {
	t.Parallel()
	p := start(t)
	bob, phone, laptop := p.login(t, "bob"), p.login(t, "ada"), p.login(t, "ada")
	stolen := logintest.NewBrowser()
	for _, cookie := range phone.Cookies(p.url + "/") {
		stolen.SetCookie(p.url, cookie)
	}
	p.everywhere(t, stolen, "ada")
	r, err := http.NewRequest("POST", p.url+"/logout-everywhere", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	if page, err := laptop.Do(r); err != nil {
		t.Error(err)
	} else if page.Status != 403 {
		t.Errorf("another site's form is answered with %d", page.Status)
	}
	p.everywhere(t, laptop, "ada")
	laptop.Header = http.Header{"Sec-Fetch-Site": nil} // an old browser, which tells the Origin only
	if page := post(t, laptop, p.url+"/logout-everywhere", nil); page.Status != 200 || page.URL != p.url+"/" || !strings.Contains(string(page.Body), "stranger") {
		t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
	}
	for _, browser := range []*logintest.Browser{laptop, phone, stolen} {
		p.everywhere(t, browser, "")
	}
	p.everywhere(t, bob, "bob")
	if page := open(t, phone, p.url+"/me"); page.Status != 200 {
		t.Errorf("she cannot log in again: %d", page.Status)
	}
	p.everywhere(t, phone, "ada")
}

// shortLived has a token expire in a second.
func shortLived(response map[string]any) { response["expires_in"] = 1 }

// loginExpired returns a browser after a login whose access token has expired
// since, and the answer to its callback. No page was asked for in between.
func (p *program) loginExpired(t *testing.T, name string) (*logintest.Browser, *logintest.Page) {
	t.Helper()
	p.provider.Misbehave(logintest.Faults{Token: shortLived})
	browser := p.person(name)
	page := &logintest.Page{Hop: logintest.Hop{Header: http.Header{"Location": {p.url + "/auth/login"}}}}
	for range 3 { // login, provider, callback
		var err error
		if page, err = browser.Visit(page.Header.Get("Location")); err != nil || page.Status != 303 {
			t.Fatalf("%s's login ends with %v, %v", name, page, err)
		}
	}
	p.provider.Misbehave(logintest.Faults{})
	for expired := time.Now().Add(time.Second); time.Now().Before(expired); {
		time.Sleep(time.Until(expired))
	}
	return browser, page
}

// Traffic is people who use the application and watch whether it knows them.
type traffic struct {
	people   sync.WaitGroup
	leave    func()         // asks them to
	counts   []atomic.Int64 // of rounds, for each person
	failures chan string
}

// traffic has some people who stay logged in, and some who log in again and again.
func (p *program) traffic(t *testing.T, stay, come int) *traffic {
	t.Helper()
	ended := make(chan struct{})
	all := &traffic{leave: sync.OnceFunc(func() { close(ended) }), counts: make([]atomic.Int64, stay+come), failures: make(chan string, stay+come)}
	t.Cleanup(all.leave)
	for i := range stay + come {
		name := fmt.Sprintf("user%d", i)
		browser := p.login(t, name)
		all.people.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				if i >= stay {
					browser = p.person(name)
					if page, err := browser.Get(p.url + "/me"); err != nil || page.Status != 200 {
						all.failures <- fmt.Sprintf("%s cannot log in: %v, %v", name, page, err)
						return
					}
				}
				for range 3 {
					if status, subject, replica, err := p.asked(browser); err != nil || status != 200 || subject != name {
						all.failures <- fmt.Sprintf("%s is asked by replica %s who they are: %d, %q, %v", name, replica, status, subject, err)
						return
					}
				}
				all.counts[i].Add(1)
			}
		})
	}
	return all
}

// rounds waits until each person has been through so many more.
func (all *traffic) rounds(t *testing.T, n int64) {
	t.Helper()
	deadline := time.After(patient)
	for i := range all.counts {
		for want := all.counts[i].Load() + n + 1; all.counts[i].Load() < want; { // one of them has begun before
			select {
			case failure := <-all.failures:
				t.Fatal(failure)
			case <-deadline:
				t.Fatalf("user%d does nothing", i)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
}

func (all *traffic) stop(t *testing.T) {
	t.Helper()
	all.leave()
	all.people.Wait()
	close(all.failures)
	for failure := range all.failures {
		t.Error(failure)
	}
}

// The attack kit, by way of the balancer.
func TestAttacks(t *testing.T) {
	t.Parallel()
	const redirectURL = "https://app.example.test/auth/callback"
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	issuer := "http://" + server.Listener.Addr().String()
	logintest.Attack(t, logintest.Target{
		RedirectURL: redirectURL, Issuer: issuer, ClientID: client, ClientSecret: secret,
		Start: func(provider *logintest.Provider) http.Handler {
			server.Config.Handler = provider
			server.Start()
			return forward(t, run(t, append(environment(issuer), "OIDC_REDIRECT_URL="+redirectURL)...).url)
		},
	})
}

// forward is a proxy that ends TLS, and passes on whatever is wrong with a request.
func forward(t *testing.T, to string) http.Handler {
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.Out.Header = r.In.Header.Clone()
		r.Out.URL.RawQuery = r.In.URL.RawQuery
	}}
}
