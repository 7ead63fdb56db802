package replicas_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// Two hundred concurrent requests with an expired token.
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
	// A late request.
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

// loginExpired returns a browser after a login whose access token has expired, and the
// response to the callback. The browser has requested no page in between.
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

// shortLived makes a token expire in one second.
func shortLived(response map[string]any) { response["expires_in"] = 1 }
