package logintest

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
)

// A siege is an application under attack. Ada is a user. Mallory is the
// attacker, and has an account as well.
type siege struct {
	template Target // with {provider} in paths
	target   Target
	origin   string // of the application
	callback *url.URL
	app      http.Handler
	provider *Provider
	ada      User
	mallory  User

	anonymous int                 // status that an anonymous page load of the private page ends with
	elsewhere bool                // it ends at another page
	userInfo  bool                // the application requests UserInfo
	reads     bool                // the application reads the provider's metadata
	plain     bool                // the application requests no ID token
	verifies  bool                // the application can log in at a provider that checks PKCE
	byForm    bool                // the application uses response_mode=form_post
	edit      func(*http.Request) // changes requests of browsers to the application; may be nil
	other     *siege              // of the other login; nil: there is none
	base      string              // path below which the application is; "": it has the whole origin
	linkBy    string              // method that begins a link
	entry     entry               // the sign-in page; zero: there is none
	accounts  int                 // accounts of the provider that are neither Ada's nor Mallory's own
	network   *network            // the origins of customers and their providers
	name      string              // of the customer
	customers *atomic.Int64       // number of customers that Mallory has added
	callbacks *sync.Map           // of customers, which providers of others have registered
}

const (
	nobody   = ""
	somebody = "an unknown user"
)

const (
	evilHost   = "evil.example.test"
	evilOrigin = "https://" + evilHost
)

func newSiege(target Target) (*siege, error) {
	template := target
	target, err := target.of(firstCustomer)
	if err == nil {
		target, err = target.complete()
	}
	if err != nil {
		return nil, err
	}
	s := &siege{template: template, target: target, name: firstCustomer, network: new(network), customers: new(atomic.Int64), callbacks: new(sync.Map)}
	if s.callback, err = url.Parse(target.RedirectURL); err != nil {
		return nil, err
	}
	s.origin = originOf(s.callback)
	s.provider = s.newProvider(target.Issuer)
	if target.AddCustomer != nil {
		s.provider.network = s.network
	}
	if s.app = target.Start(s.provider); s.app == nil {
		return nil, errors.New("Target.Start returned nil")
	}
	s.ada = s.person("ada-1815", "Ada Lovelace", "ada@example.test")
	s.mallory = s.person("mallory-666", "Mallory Mallet", "mallory@example.test")
	s.provider.Authenticate = nil
	if target.AddCustomer != nil {
		s.joins()
	}
	return s, nil
}

// newProvider returns a provider at which the application is registered.
func (s *siege) newProvider(issuer string) *Provider {
	redirects := []string{s.target.RedirectURL}
	if s.target.Other.RedirectURL != "" {
		redirects = append(redirects, s.target.Other.RedirectURL)
	}
	client := s.target.Client
	client.ID, client.Secret, client.RedirectURIs = s.target.ClientID, s.target.ClientSecret, redirects
	if s.target.AddCustomer != nil {
		client.AllowURI = func(uri string) bool {
			_, ok := s.callbacks.Load(uri)
			return ok
		}
	}
	return NewProvider(issuer, client)
}

// person returns a user with the claims that Start set, and with its own name
// and e-mail address.
func (s *siege) person(subject, name, email string) User {
	claims := map[string]any{"email_verified": true}
	maps.Copy(claims, s.provider.User.Claims)
	claims["name"], claims["email"] = name, email
	return User{Subject: subject, Claims: claims}
}

func called(u User) string { return u.Claims["name"].(string) }

// reset makes the provider honest again, but without PKCE: an application that
// can check a nonce must not depend on the provider's check. For an application
// that requests no ID token, the provider checks PKCE if the application
// supports it.
func (s *siege) reset() {
	s.edit = nil
	s.misbehave(Faults{})
	s.provider.forget()
}

func (s *siege) misbehave(faults Faults) {
	faults.NoPKCE = !s.plain || !s.verifies
	s.provider.Misbehave(faults)
}

func (s *siege) newBrowser() *Browser {
	b := NewBrowser()
	b.Serve(s.origin, s.app)
	if issuer, err := url.Parse(s.target.Issuer); err == nil {
		b.Serve(originOf(issuer), s.provider)
	}
	if s.target.AddCustomer != nil {
		b.Transport = s.network
	}
	return b
}

// pathOf returns the path of a URL, as it is spelled.
func pathOf(address string) string {
	address, _, _ = strings.Cut(address, "?")
	if _, rest, ok := strings.Cut(address, "://"); ok {
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			return rest[i:]
		}
		return "/"
	}
	return address
}

func originOf(u *url.URL) string { return u.Scheme + "://" + u.Host }

// at returns the URL of a path of the application, with more parameters in its
// query.
func (s *siege) at(path string, query url.Values) string {
	switch {
	case len(query) == 0:
		return s.origin + path
	case strings.Contains(path, "?"):
		return s.origin + path + "&" + query.Encode()
	}
	return s.origin + path + "?" + query.Encode()
}

// private opens the private page.
func (s *siege) private(b *Browser) *Page { return s.load(b, typed(s.at(s.target.Private, nil))) }

// identify returns the user of a private page. It returns somebody for a page
// that shows neither Ada nor Mallory, but that anonymous requests do not get.
func (s *siege) identify(page *Page) string {
	ada, mallory := shows(page.Body, s.ada), shows(page.Body, s.mallory)
	switch {
	case page.Status >= 500:
		found("%s answered %d", s.target.Private, page.Status)
	case ada && mallory:
		return called(s.ada) + " and " + called(s.mallory)
	case ada:
		return called(s.ada)
	case mallory:
		return called(s.mallory)
	case page.Status/100 == 2 && (s.anonymous/100 != 2 || s.elsewhere && pathOf(page.URL) == pathOf(s.target.Private)):
		return somebody
	}
	return nobody
}

func shows(body []byte, user User) bool {
	for _, mark := range []string{user.Subject, called(user), fmt.Sprint(user.Claims["email"])} {
		if strings.Contains(string(body), mark) {
			return true
		}
	}
	return false
}

// visitor returns the user who is logged in with a browser.
func (s *siege) visitor(b *Browser) string { return s.identify(s.private(b)) }

// expect requires that want is logged in with a browser.
func (s *siege) expect(b *Browser, want, cause string) {
	switch got := s.visitor(b); got {
	case want:
	case nobody:
		found("%s ended the session of %s", cause, want)
	default:
		found("%s logged the browser in as %s", cause, got)
	}
}

// expectAsBefore requires that want is still logged in with a browser, and that
// there was no token request. Must is what an application must do otherwise;
// empty: the attack's must.
func (s *siege) expectAsBefore(b *Browser, want string, before int, cause, must string) {
	switch got := s.visitor(b); {
	case got == nobody && want != nobody:
		advise("keep the session until a new login has passed all checks", "%s ended the session of %s", cause, want)
	case got != want:
		advise(must, "%s logged the browser in as %s", cause, got)
	case s.provider.Count(Token) != before:
		advise(must, "%s led to a token request", cause)
	}
}

// expectNoTokenRequest requires that there was no token request since before.
func (s *siege) expectNoTokenRequest(before int, cause string) {
	if s.provider.Count(Token) != before {
		found("%s led to a token request", cause)
	}
}
