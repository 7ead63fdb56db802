package replicas_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// Ada ends all her sessions from one browser. Bob's session continues.
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
	laptop.Header = http.Header{"Sec-Fetch-Site": nil} // an old browser, which sends only the Origin
	if page := post(t, laptop, p.url+"/logout-everywhere", nil); page.Status != 200 || page.URL != p.url+"/" || !strings.Contains(string(page.Body), "You are not logged in") {
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

// A session that ends at the provider ends on all replicas. Other sessions continue.
func TestBackChannelLogout(t *testing.T) {
	t.Parallel()
	p := start(t)
	phone, tablet, laptop := p.loginIn(t, "home", "ada"), p.loginIn(t, "home", "ada"), p.loginIn(t, "office", "ada")
	// During this logout, the provider posts a logout token.
	if page := post(t, phone, p.url+"/auth/logout", nil); page.Status != 200 || !strings.Contains(string(page.Body), "You are not logged in") {
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

// backChannelLogout posts a logout token to the balancer.
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
