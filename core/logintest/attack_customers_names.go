package logintest

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// misspelled are names that no customer has, as they are written in a URL.
var misspelled = []string{
	"nobody-of-that-name", "%7Bprovider%7D", ":provider", "*", "", ".", "..", "%2e%2e", "..%2facme", "acme%2f..%2fmallory-1", "%5cacme",
	"acme%00", "acme%0a", "acme%0d%0aX-Injected:1", "acme;", "acme,mallory-1", "-acme", "acme.", "acme..", ".acme", "%2561cme", "%ff", "%E2%80%AEemca",
	"%3Cb%3Eacme", "acme'--", strings.Repeat("a", 65), strings.Repeat("a", 4000),
}

// namesMisspelled requests logins and callbacks of customers that there are not.
func namesMisspelled(s *siege) {
	l := s.begin(s.newBrowser(), s.ada)
	c := s.customer(Faults{})
	requests := func() int { return s.provider.total() + c.provider.total() }
	_, callback, _ := strings.Cut(s.template.RedirectURL, "://")
	host, callback, _ := strings.Cut(callback, "/")
	onHost := strings.Contains(host, providerMark)
	for _, path := range []string{s.template.LoginPath, "/" + callback + "?" + l.callback.RawQuery} {
		if !strings.Contains(path, providerMark) {
			continue
		}
		for _, name := range misspelled {
			before := requests()
			hops := s.within(s.newBrowser(), typed(s.origin+strings.ReplaceAll(path, providerMark, name)))
			checkHeaders(hops)
			last := hops[len(hops)-1]
			if last.Status >= 500 {
				found("the customer %.40q got status %d", name, last.Status)
			}
			// On the host of a customer, any page may lead to the login of this customer.
			if requests() != before || !(onHost && path != s.template.LoginPath) && s.leadsToProvider(&last) {
				found("the customer %.40q, which there is not, led to a provider", name)
			}
		}
	}
}

// patience is how long a login may take while the provider of another customer hangs.
const patience = 8 * time.Second

// soon requires that a step ends.
func soon(cause string, run func()) {
	done := make(chan *finding, 1)
	go func() {
		var f *finding
		defer func() { done <- f }()
		f = catch(run)
	}()
	select {
	case f := <-done:
		if f != nil {
			panic(f)
		}
	case <-time.After(patience):
		found("%s, a login at another customer's provider did not end within %v", cause, patience)
	}
}

// providerHangs lets many users wait for Mallory's provider, and logs in at others: at one
// that the application knows, and at one that it sees for the first time.
func providerHangs(s *siege) {
	for _, hanging := range []Endpoint{Discovery, Token} {
		s.hangs(hanging)
	}
}

func (s *siege) hangs(hanging Endpoint) {
	const users = 40
	release, arrived := make(chan struct{}), make(chan struct{}, users)
	c := s.customer(Faults{Intercept: func(e Endpoint, w http.ResponseWriter, r *http.Request) bool {
		if e != hanging {
			return false
		}
		select {
		case arrived <- struct{}{}:
		default:
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		http.Error(w, "too late", http.StatusServiceUnavailable)
		return true
	}})
	var waiting sync.WaitGroup
	defer waiting.Wait()
	defer close(release)
	for range users {
		b := c.newBrowser()
		to := c.at(c.target.LoginPath, nil)
		if hanging == Token {
			to = c.begin(b, s.ada).callback.String()
		}
		waiting.Go(func() { catch(func() { c.get(b, to, "cross-site") }) })
	}
	select {
	case <-arrived:
	case <-time.After(patience):
		found("a login made no request to %s of its provider", hanging)
	}
	other := s.customer(Faults{})
	soon("while a customer's provider hangs", func() {
		s.signIn(s.newBrowser(), s.ada)
		other.signIn(other.newBrowser(), s.ada)
	})
}

// endless is more than an application should read of a response.
const endless = 32 << 20

// providerFloods lets Mallory's providers send endless responses, and many keys.
func providerFloods(s *siege) {
	for _, flooded := range []Endpoint{Discovery, JWKS, Token} {
		var sent atomic.Int64
		c, b := s.floodedBy(flooded, func(w http.ResponseWriter) { flood(w, &sent) })
		if sent.Load() >= endless {
			found("%d MB of a response of %s were read", endless>>20, flooded)
		}
		if sent.Load() > 0 {
			// The page may lead to the login at this provider, which is an outage.
			if page := c.private(b); page.Status < 500 && c.identify(page) != nobody {
				found("an endless response logged the browser in as %s", c.identify(page))
			}
		}
	}
	keys := strings.Repeat(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},`, 10_000)
	s.floodedBy(JWKS, func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"keys":[`+strings.TrimSuffix(keys, ",")+`]}`) })
}

// floodedBy logs in at Mallory's provider, one endpoint of which answers too much, and then
// at the honest one. It returns the customer and the browser of the first login.
func (s *siege) floodedBy(flooded Endpoint, answer func(http.ResponseWriter)) (*siege, *Browser) {
	c := s.customer(Faults{Intercept: func(e Endpoint, w http.ResponseWriter, _ *http.Request) bool {
		if e == flooded {
			w.Header().Set("Content-Type", "application/json")
			answer(w)
		}
		return e == flooded
	}})
	b := c.newBrowser()
	if l := c.try(b, s.ada, nil); l.callback != nil {
		c.finish(l)
	}
	soon("after a customer's provider had sent too much", func() { s.signIn(s.newBrowser(), s.ada) })
	return c, b
}

// flood writes JSON that does not end, as long as it is read.
func flood(w http.ResponseWriter, sent *atomic.Int64) {
	part := []byte(strings.Repeat(" ", 64<<10))
	if _, err := w.Write([]byte("{")); err != nil {
		return
	}
	for sent.Load() < endless {
		n, err := w.Write(part)
		sent.Add(int64(n))
		if err != nil {
			return
		}
	}
}
