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

// A browser keeps cookies, follows redirects, and fills in the server's forms as ada.
type browser struct{ client *http.Client }

// A page is where a browser's redirects ended.
type page struct {
	*http.Response
	body string
}

func (p *page) url() string { return p.Request.URL.String() }

func (p *page) String() string {
	return fmt.Sprintf("%s with %s: %.600s", p.url(), p.Status, strings.Join(strings.Fields(markup.ReplaceAllString(p.body, " ")), " "))
}

var markup = regexp.MustCompile(`(?is)<(style|script|svg)\b.*?</(style|script|svg)>|<[^>]*>`)

func newBrowser(ca *authority) *browser {
	jar, _ := cookiejar.New(nil) // never fails without options
	return &browser{&http.Client{Transport: ca.transport(), Jar: jar}}
}

// get opens an address like a user who typed it.
func (b *browser) get(address string) (*page, error) {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return b.do(r, "none")
}

// post submits a form of a page at an address.
func (b *browser) post(from *url.URL, address string, form url.Values) (*page, error) {
	r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", from.Scheme+"://"+from.Host)
	if from.Host != r.URL.Host {
		return b.do(r, "same-site") // another port of the same host
	}
	return b.do(r, "same-origin")
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

// through fills in forms until a page of the application answers.
func (b *browser) through(page *page, application string) (*page, error) {
	for range 6 {
		var err error
		if to := refresh.FindStringSubmatch(page.body); to != nil {
			page, err = b.get(page.at(to[1]))
		} else if action, fields, ok := page.form(); ok && !strings.HasPrefix(page.url(), application+"/") {
			page, err = b.post(page.Request.URL, action, fields)
		} else {
			return page, nil
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("six forms lead to %s", page)
}

var (
	refresh   = regexp.MustCompile(`<meta http-equiv="refresh" content="0;url=([^"]*)">`)
	formTag   = regexp.MustCompile(`(?is)<form\b[^>]*>.*?</form>`)
	inputTag  = regexp.MustCompile(`(?i)<(?:form|input|button)\b[^>]*>`)
	attribute = regexp.MustCompile(`\s([\w-]+)="([^"]*)"`)
)

// at returns the URL of a link on the page.
func (p *page) at(link string) string {
	target, err := p.Request.URL.Parse(html.UnescapeString(link))
	if err != nil {
		return link
	}
	return target.String()
}

// form fills in the first form of a page, and presses its first button with a name.
func (p *page) form() (action string, fields url.Values, ok bool) {
	fields = make(url.Values)
	pressed := false
	for i, tag := range inputTag.FindAllString(formTag.FindString(p.body), -1) {
		has := make(map[string]string)
		for _, match := range attribute.FindAllStringSubmatch(tag, -1) {
			has[strings.ToLower(match[1])] = html.UnescapeString(match[2])
		}
		name := has["name"]
		switch kind := strings.ToLower(has["type"]); {
		case i == 0:
			action, ok = p.at(has["action"]), true
		case kind == "hidden":
			fields.Set(name, has["value"])
		case kind == "text":
			fields.Set(name, "ada")
		case kind == "password":
			fields.Set(name, password)
		case kind == "submit" && name != "" && !pressed:
			fields.Set(name, has["value"])
			pressed = true
		}
	}
	return action, fields, ok
}
