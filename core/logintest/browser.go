package logintest

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
)

const (
	maxHops      = 20
	maxPageBytes = 4 << 20
	maxCookie    = 4096 // name and value (RFC 6265bis section 5.6)
)

// Browser opens pages like a web browser. It keeps cookies, follows redirects,
// and sends the headers that distinguish a page load from a request by a
// script. It calls the handlers of [Browser.Serve] in memory, and other origins
// over the network. All methods are safe for concurrent use, like tabs that
// share their cookies.
//
// It rejects cookies with an invalid name, size or SameSite attribute. Cookies
// without SameSite are Lax. When a page of another origin posts a form, the
// browser sends only cookies with SameSite=None. Two simplifications: every
// other origin is another site, and Strict is the same as Lax. Do sends all
// cookies, because a test decides which cookies a hostile request carries.
type Browser struct {
	// Header is added to every page load. A name without values removes that
	// header. Set it before use.
	Header http.Header

	// Transport sends requests to origins without a handler, for example with
	// the certificates of a private CA. Set it before use. Nil:
	// [http.DefaultTransport].
	Transport http.RoundTripper

	mu       sync.RWMutex
	jar      *cookiejar.Jar
	none     *cookiejar.Jar // the cookies in jar that have SameSite=None
	handlers map[string]http.Handler
}

// Page is the last response of a visit, with all hops.
type Page struct {
	Hop
	Hops []Hop // from the first request to this page, which is the last hop
}

// Hop is one request and its response.
type Hop struct {
	Method        string
	URL           string
	RequestHeader http.Header
	Status        int
	Header        http.Header
	Body          []byte
}

// NewBrowser returns a browser without cookies.
func NewBrowser() *Browser {
	return &Browser{jar: newJar(), none: newJar(), handlers: make(map[string]http.Handler)}
}

func newJar() *cookiejar.Jar {
	jar, _ := cookiejar.New(nil) // never fails without options
	return jar
}

// Serve lets handler answer requests to origin, such as
// https://app.example.test.
func (b *Browser) Serve(origin string, handler http.Handler) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handlers[origin] = handler
}

// Get opens a page like an address that a user types. It follows redirects,
// forms that submit themselves, and refreshes without delay. It runs no other
// scripts, so it does not follow a login that starts in a script or in a frame
// that a script creates.
func (b *Browser) Get(address string) (*Page, error) {
	return b.navigate(typed(address), maxHops)
}

// Visit opens a page and does not follow redirects, forms or refreshes.
func (b *Browser) Visit(address string) (*Page, error) {
	return b.navigate(typed(address), 0)
}

// Post submits a form of a page of the same origin. It then follows redirects
// like Get.
func (b *Browser) Post(address string, form url.Values) (*Page, error) {
	if form == nil {
		form = url.Values{}
	}
	return b.navigate(step{method: http.MethodPost, address: address, form: form, site: "same-origin"}, maxHops)
}

// navigate makes one hop, and then follows at most more hops.
func (b *Browser) navigate(s step, more int) (*Page, error) {
	var hops []Hop
	for {
		page, err := b.take(s)
		if err != nil {
			return nil, err
		}
		hops = append(hops, page.Hop)
		next, err := s.follow(page)
		if err != nil {
			return nil, err
		}
		if next == nil || more == 0 {
			page.Hops = hops
			return page, nil
		}
		if len(hops) > more {
			return nil, fmt.Errorf("logintest: stopped after %d redirects, the last to %s", more, next.address)
		}
		s = *next
	}
}

// take makes one step, with the cookies that a browser would send.
func (b *Browser) take(s step) (*Page, error) {
	r, err := b.request(s)
	if err != nil {
		return nil, err
	}
	return b.send(r, s.keepsCookiesBack())
}

// request returns the request of a step, without cookies.
func (b *Browser) request(s step) (*http.Request, error) {
	r, err := b.navigation(s.method, s.address, s.form, s.site)
	if err != nil {
		return nil, err
	}
	if s.from != "" { // the page navigates, not the user
		r.Header.Del("Sec-Fetch-User")
		if s.form != nil {
			r.Header.Set("Origin", s.from)
		}
	}
	return r, nil
}

// navigation returns the request of a page load.
func (b *Browser) navigation(method, address string, form url.Values, site string) (*http.Request, error) {
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequest(method, address, body)
	if err != nil {
		return nil, err
	}
	r.Header = http.Header{
		"Accept":                    {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
		"Accept-Language":           {"en"},
		"Sec-Fetch-Dest":            {"document"},
		"Sec-Fetch-Mode":            {"navigate"},
		"Sec-Fetch-Site":            {site},
		"Sec-Fetch-User":            {"?1"},
		"Upgrade-Insecure-Requests": {"1"},
		"User-Agent":                {"logintest"},
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
	}
	maps.Copy(r.Header, b.Header)
	maps.DeleteFunc(r.Header, func(_ string, values []string) bool { return len(values) == 0 })
	return r, nil
}

// Do sends a request with all cookies of the browser, such as a request by a
// script or by an attacker. It makes one hop and adds only the header Cookie.
func (b *Browser) Do(r *http.Request) (*Page, error) { return b.send(r, false) }

// send makes one hop, with all cookies or only with those that have
// SameSite=None.
func (b *Browser) send(r *http.Request, crossSite bool) (*Page, error) {
	if r.URL.Host == "" {
		return nil, errors.New("logintest: the URL of the request is not absolute")
	}
	b.mu.RLock()
	handler, carried := b.handlers[originOf(r.URL)], b.jar
	if crossSite {
		carried = b.none
	}
	b.mu.RUnlock()
	sent := r.Clone(r.Context())
	sent.RequestURI = ""
	for _, cookie := range carried.Cookies(r.URL) {
		sent.AddCookie(cookie)
	}
	var response *http.Response
	var err error
	if handler != nil {
		response, err = serve(handler, sent)
	} else {
		transport := b.Transport
		if transport == nil {
			transport = http.DefaultTransport
		}
		response, err = transport.RoundTrip(sent)
	}
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPageBytes))
	if err != nil {
		return nil, err
	}
	b.keep(r.URL, acceptable(response.Cookies()))
	hop := Hop{
		Method: r.Method, URL: r.URL.String(), RequestHeader: sent.Header,
		Status: response.StatusCode, Header: response.Header, Body: body,
	}
	return &Page{Hop: hop, Hops: []Hop{hop}}, nil
}

// keep stores cookies. They replace cookies of the same name.
func (b *Browser) keep(u *url.URL, cookies []*http.Cookie) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	b.jar.SetCookies(u, cookies)
	var none []*http.Cookie
	for _, c := range cookies {
		if c.SameSite != http.SameSiteNoneMode {
			gone := *c
			gone.MaxAge = -1
			c = &gone
		}
		none = append(none, c)
	}
	b.none.SetCookies(u, none)
}

// acceptable removes the cookies that a browser rejects but net/http's jar
// accepts (RFC 6265bis sections 4.1.3, 5.6 and 5.7).
func acceptable(cookies []*http.Cookie) []*http.Cookie {
	var kept []*http.Cookie
	for _, c := range cookies {
		switch {
		case len(c.Name)+len(c.Value) > maxCookie:
		case c.SameSite == http.SameSiteNoneMode && !c.Secure:
		case strings.HasPrefix(c.Name, "__Secure-") && !c.Secure:
		case strings.HasPrefix(c.Name, "__Host-") && (!c.Secure || c.Path != "/" || c.Domain != ""):
		default:
			kept = append(kept, c)
		}
	}
	return kept
}

// Cookies returns the cookies that the browser would send to address.
func (b *Browser) Cookies(address string) []*http.Cookie {
	u, err := url.Parse(address)
	if err != nil {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.jar.Cookies(u)
}

// SetCookie stores a cookie, as if a response from address had set it.
func (b *Browser) SetCookie(address string, cookie *http.Cookie) {
	if u, err := url.Parse(address); err == nil {
		b.keep(u, []*http.Cookie{cookie})
	}
}

// Forget removes the cookies named name that the browser would send to address.
// If name is empty, it removes all cookies of all sites.
func (b *Browser) Forget(address, name string) {
	if name == "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.jar, b.none = newJar(), newJar()
		return
	}
	u, err := url.Parse(address)
	if err != nil {
		return
	}
	// The path is part of a cookie's identity, so each path above the address
	// is tried.
	path := ""
	for _, segment := range append([]string{""}, strings.Split(strings.Trim(u.Path, "/"), "/")...) {
		path = strings.TrimSuffix(path, "/") + "/" + segment
		b.SetCookie(address, &http.Cookie{Name: name, Path: path, MaxAge: -1})
	}
}
