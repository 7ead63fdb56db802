package logintest

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// Attacks by requests that are not page loads of a user.
var requestAttacks = []attack{
	{"private page for anonymous requests",
		"stop an anonymous request in the guard, so that no part of the page is written, not even after a redirect",
		pageLeaked},
	{"scripts without a session",
		"answer an anonymous request by a script with 401 or 403, because a script cannot log in after a redirect",
		scriptsRedirected},
	{"prefetches and frames",
		"begin logins for page loads only, not for prefetches, frames, images and scripts (Sec-Purpose, Sec-Fetch-Dest)",
		loginsBegunUnasked},
	{"garbage",
		"treat all input as hostile, and answer invalid requests with 4xx",
		garbage},
}

// requestsOf returns a page load, a request by a script, and one by an older
// script.
func requestsOf(method, address string) []*http.Request {
	var requests []*http.Request
	for _, header := range []http.Header{
		{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"none"}, "Accept": {"text/html,*/*;q=0.8"}},
		{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Site": {"same-origin"}, "Accept": {"application/json"}},
		{"X-Requested-With": {"XMLHttpRequest"}, "Accept": {"application/json"}},
	} {
		r, err := http.NewRequest(method, address, nil)
		if err != nil {
			found("Target.Private is not a path (%v)", err)
		}
		r.Header = header
		requests = append(requests, r)
	}
	return requests
}

// pageLeaked compares what anonymous requests get with the content of the
// private page that is the same for all users and on no public page.
func pageLeaked(s *siege) {
	address := s.at(s.target.Private, nil)
	private := s.privateTexts()
	if len(private) == 0 {
		return
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		for _, r := range requestsOf(method, address) {
			if leaks(s.send(s.newBrowser(), r).Body, private) {
				found("an anonymous %s got content of %s, for example %.40q", method, s.target.Private, private[0])
			}
		}
	}
}

// leaks reports whether a page has at least half of the private texts.
func leaks(body []byte, private []string) bool {
	var leaked int
	for _, text := range private {
		if bytes.Contains(body, []byte(text)) {
			leaked++
		}
	}
	return 2*leaked >= len(private)
}

var texts = regexp.MustCompile("[^<>\n\x00]+")

// privateTexts returns the texts of the private page that Ada and Mallory both
// see, and that are on no public page.
func (s *siege) privateTexts() []string {
	pages := make([]string, 2)
	for i, user := range []User{s.ada, s.mallory} {
		b := s.newBrowser()
		s.signIn(b, user)
		page := string(s.private(b).Body)
		for _, mark := range []string{called(user), user.Claims["email"].(string), user.Subject} {
			page = strings.ReplaceAll(page, mark, "\x00")
		}
		pages[i] = page
	}
	var public bytes.Buffer
	for _, path := range []string{"/", "/no-such-page", s.callback.Path} {
		public.Write(s.get(s.newBrowser(), s.at(path, nil), "none").Body)
	}
	var private []string
	for _, text := range texts.FindAllString(pages[0], -1) {
		text = strings.TrimSpace(text)
		if len(text) > 2 && strings.Contains(pages[1], text) && !strings.Contains(public.String(), text) {
			private = append(private, text)
		}
	}
	return private
}

func scriptsRedirected(s *siege) {
	for _, r := range requestsOf(http.MethodGet, s.at(s.target.Private, nil))[1:] {
		page := s.send(s.newBrowser(), r)
		if page.Status != http.StatusUnauthorized && page.Status != http.StatusForbidden {
			found("an anonymous request by a script got status %d from %s", page.Status, s.target.Private)
		}
	}
}

func loginsBegunUnasked(s *siege) {
	for _, unasked := range []struct {
		what   string
		header http.Header
	}{
		{"a prefetch", http.Header{"Sec-Purpose": {"prefetch"}}},
		{"a prerender", http.Header{"Sec-Purpose": {"prefetch;prerender"}}},
		{"a prefetch", http.Header{"Purpose": {"prefetch"}}},
		{"a frame", http.Header{"Sec-Fetch-Dest": {"iframe"}}},
		{"a frame", http.Header{"Sec-Fetch-Dest": {"frame"}}},
		{"an object", http.Header{"Sec-Fetch-Dest": {"object"}}},
		{"an embedded page", http.Header{"Sec-Fetch-Dest": {"embed"}}},
		{"an image", http.Header{"Sec-Fetch-Dest": {"image"}, "Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-User": nil}},
		{"a script", http.Header{"Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-User": nil}},
	} {
		for _, path := range []string{s.target.LoginPath, s.target.Private} {
			b := s.newBrowser()
			b.Header = unasked.header
			before := s.provider.Count(Authorization)
			s.walk(b, typed(s.at(path, nil)), s.isCallback)
			if s.provider.Count(Authorization) != before {
				found("%s of %s began a login", unasked.what, path)
			}
		}
	}
}

// garbage sends requests that no browser and no provider would send.
func garbage(s *siege) {
	long := strings.Repeat("A", 30<<10)
	likely := strings.Repeat("A", 43) // looks like a state or a code
	queries := []string{
		"", "%", "%zz=%zz", ";", "&&&", "a[]=b", "state=%00&code=%00", "state=%ff&code=%ff", "state=" + likely + "&code=x", "state=x&code=" + long,
		"state=" + long, "state=a&state=b&code=x", "error=x&state=" + likely, "error=" + long, "error=%ff", "code=x", "iss=x&iss=y", "return_to=" + long,
	}
	values := []string{"", "x", "%", `"`, "=", likely, "1" + likely, "9", strings.Repeat("=", 3000), "e30.e30.e30", "bnVsbA==", "\xff", "null", "{}", "[]"}
	names := []string{""}
	for _, c := range s.cookiesOf(s.ada) {
		names = append(names, c.Name)
	}
	for _, c := range s.begin(s.newBrowser(), s.ada).browser.Cookies(s.target.RedirectURL) {
		names = append(names, c.Name)
	}
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodOptions} {
		for _, path := range []string{s.target.LoginPath, s.callback.Path, s.target.LogoutPath, s.target.Private} {
			for i, query := range queries {
				s.survives(method, path, query, names[i%len(names)]+"="+values[i%len(values)])
			}
			if method != http.MethodGet {
				continue
			}
			for _, name := range names {
				for _, value := range values {
					s.survives(method, path, "state="+likely+"&code=x", name+"="+value)
				}
			}
		}
	}
}

func (s *siege) survives(method, path, query, cookie string) {
	u := &url.URL{Scheme: s.callback.Scheme, Host: s.callback.Host}
	u.Path, _, _ = strings.Cut(path, "?")
	u.RawQuery = query
	r := &http.Request{Method: method, URL: u, Header: http.Header{"Cookie": {cookie}, "Accept": {"text/html"}}}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Body = io.NopCloser(strings.NewReader(query))
	}
	if page := s.send(s.newBrowser(), r); page.Status >= 500 {
		found("%s %s with query %.60q and cookie %.60q got status %d", method, path, query, cookie, page.Status)
	}
}
