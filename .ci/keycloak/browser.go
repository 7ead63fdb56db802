package main

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

const password = "correct horse battery staple"

// A browser keeps cookies, follows redirects, and fills in Keycloak's login form as ada.
type browser struct{ client *http.Client }

// A page is where a browser's redirects ended.
type page struct {
	*http.Response
	body string
}

func (p *page) url() string { return p.Request.URL.String() }

func newBrowser(known *names) *browser {
	jar, _ := cookiejar.New(nil) // never fails without options
	return &browser{&http.Client{Transport: known.transport(), Jar: trustworthy{jar}}}
}

// trustworthy sends Secure cookies over http. Browsers do so on loopback and *.localhost,
// and Keycloak relies on it.
type trustworthy struct{ http.CookieJar }

func secured(u *url.URL) *url.URL {
	secure := *u
	secure.Scheme = "https"
	return &secure
}

func (t trustworthy) Cookies(u *url.URL) []*http.Cookie { return t.CookieJar.Cookies(secured(u)) }

func (t trustworthy) SetCookies(u *url.URL, cookies []*http.Cookie) {
	t.CookieJar.SetCookies(secured(u), cookies)
}

// get opens an address like a user who typed it.
func (b *browser) get(address string) (*page, error) {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return b.do(r, "none")
}

// post submits a form of a page of the same origin.
func (b *browser) post(address string, form url.Values) (*page, error) {
	r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
	return b.do(r, "same-origin")
}

// logOut presses an application's logout button. The page there leads on to the provider.
func (b *browser) logOut(application string) (*page, error) {
	out, err := b.post(application+"/auth/logout", nil)
	if err != nil || out.url() != application+"/auth/logout" {
		return out, err
	}
	return b.get(application + "/auth/logout?continue")
}

func (b *browser) do(r *http.Request, site string) (*page, error) {
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	r.Header.Set("Accept-Language", "en")
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Dest", "document")
	r.Header.Set("Sec-Fetch-Site", site)
	response, err := b.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return &page{response, string(body)}, err
}

var loginForm = regexp.MustCompile(`<form id="kc-form-login"[^>]* action="([^"]*)"`)

// asksForPassword reports whether a page is Keycloak's login form.
func (p *page) asksForPassword() bool { return loginForm.MatchString(p.body) }

// logIn fills in the login form.
func (b *browser) logIn(form *page) (*page, error) {
	found := loginForm.FindStringSubmatch(form.body)
	if found == nil {
		return nil, fmt.Errorf("%s answered %s and has no login form: %.300s", form.url(), form.Status, form.body)
	}
	return b.post(html.UnescapeString(found[1]), url.Values{"username": {"ada"}, "password": {password}, "credentialId": {""}})
}
