package logintest

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Target is an application for [Attack]. Start is needed; the zero value of
// everything else is a good default.
type Target struct {
	// Start returns the application with all that is mounted in production, in
	// any framework, configured to log in at provider: by its Issuer and
	// HTTPClient, and with the ClientID, ClientSecret and RedirectURL of this
	// Target. It is called once. The application must let in whoever the provider
	// knows; a claim that it demands of everybody can be put into provider.User.
	Start func(provider *Provider) http.Handler

	// RedirectURL is the application's callback. Its origin is the application's,
	// and its scheme decides whether cookies must be Secure: plain http is for
	// loopback. Empty: https://app.example.test/auth/callback.
	RedirectURL string

	// Private is a page for users only that shows the subject, the name or the
	// e-mail address of who is logged in. Empty: "/me".
	Private string

	// StepUp is a page that needs a login which is more recent than a week, or of
	// some acr: it asks the provider for one by max_age, prompt or acr_values, and
	// answers 2xx only after that. Empty: there is none, and nothing is tried.
	StepUp string

	// KeepsTokens says that the application keeps the access and the refresh token
	// of a login, and refreshes them when somebody uses Private after they have
	// expired. It must ask for scope offline_access to get a refresh token here.
	// What Private shows of an API's answer is looked at, too. False: it keeps none,
	// and is spared the attacks by refreshes.
	KeepsTokens bool

	// LoginPath is where a GET begins a login, with a query if the application has
	// several providers and needs to be told which. Empty: "login" beside the
	// callback, as /auth/login is beside /auth/callback.
	LoginPath string

	// LogoutPath is where a POST ends the session. It gets the hidden fields of
	// the forms on Private, which may be needed against forgery. Empty: "logout"
	// beside the callback.
	LogoutPath string

	// LogoutMethod is GET for an application that ends sessions by GET, so that the
	// other attacks can be tried. The sub-test "logout by a link" fails unless the
	// application refuses GETs from other sites. Empty: POST.
	LogoutMethod string

	// BackChannelLogout is where a provider posts logout tokens (OpenID Connect
	// Back-Channel Logout). Empty: there is no such place, and nothing is tried.
	BackChannelLogout string

	// FrontChannelLogout is the page that the provider's logout opens in a frame,
	// with iss and sid (OpenID Connect Front-Channel Logout). Empty: there is none,
	// and nothing is tried.
	FrontChannelLogout string

	// Other is a second login of the application, if it has one. Start mounts both,
	// with the middleware that is around them in production. The zero value: there is
	// none, and nothing is tried.
	Other OtherLogin

	// Issuer is the provider's identifier. An application that runs in a process
	// of its own cannot reach the default: give a URL on loopback, and have Start
	// serve the provider there. Empty: https://id.example.test, in memory.
	Issuer string

	// ClientID is what the provider calls the application. Empty: "app".
	ClientID string

	// ClientSecret proves that it is the application. Empty: a public client.
	ClientSecret string
}

// Attack does to an application what such applications have been attacked with:
// forged, swapped, replayed and doubled callbacks, hostile providers and ID
// tokens, planted and altered cookies, redirects to elsewhere, and more, each in
// a sub-test of its own. A sub-test fails with one sentence: what went wrong, and
// what an application must do instead.
//
//	func TestAttack(t *testing.T) {
//		logintest.Attack(t, logintest.Target{Start: func(provider *logintest.Provider) http.Handler {
//			return newApp(provider.Issuer(), provider.HTTPClient())
//		}})
//	}
//
// If the application asks for response_mode=form_post, callbacks are attacked by
// forms of another site, with which a browser sends no cookies but those with
// SameSite=None.
//
// First it walks one honest login and logout. If they do not work, it says so
// and attacks nothing. The attacks run one after another, each with browsers of
// its own, against the one application. They use no network, and take a second
// or two, or up to ten with KeepsTokens: tokens have to expire.
//
// An application that passes is not proved secure: it withstands these attacks.
// An application without OpenID Connect, whose login does not ask for openid, is
// spared the attacks by ID tokens, and has a provider that checks PKCE: nothing
// else would tell one login's code from another's there. If it does not use PKCE,
// the sub-test "PKCE" fails, the provider does not check it, and the attacks that
// only PKCE stops are left out.
//
// Attack looks at the login and the session, and at no other page but Private.
// What the application logs meanwhile, dozens of refusals, says nothing: give it a
// Logger that discards them.
//
// With several providers, one is attacked: name its callback in RedirectURL, and
// it in LoginPath, as in "/auth/login?provider=Work"; then LogoutPath is needed, too.
//
// A [*testing.T] is a T. So is everything else with these methods.
func Attack[T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Run(name string, f func(T)) bool
}](t T, target Target) {
	t.Helper()
	s, err := newSiege(target)
	if err == nil {
		err = s.honestly()
	}
	if err != nil {
		t.Fatalf("logintest: nothing was attacked, because an honest login does not work: %v", err)
		return // a T of another kind may go on
	}
	defer s.provider.Misbehave(Faults{})
	for _, a := range s.attacks() {
		t.Run(a.name, func(t T) {
			t.Helper()
			if f := s.suffer(a); f != nil {
				t.Errorf("%s: an application must %s", f.what, cmp.Or(f.must, a.must))
			}
		})
	}
}

// An attack is one thing that somebody may try.
type attack struct {
	name string       // of its sub-test: stable, because people write it after -run
	must string       // what an application must do instead, unless the finding says it
	run  func(*siege) // ends with found if the attack succeeds
}

// attacks are all there are, less those by ID tokens if the application asks for
// none, and less those on what the target does not have: nothing passes that has
// not been tried.
func (s *siege) attacks() []attack {
	all := slices.Concat(stateAttacks, s.codeAttacks(), formAttacks, pkceAttacks, providerAttacks, sessionAttacks,
		cookieAttacks, forgeryAttacks, redirectAttacks, requestAttacks, answerAttacks, s.refreshAttacks())
	if s.other != nil {
		all = append(all, twoLoginAttacks...)
	}
	if s.plain {
		return all
	}
	all = append(all, tokenAttacks()...)
	if s.target.StepUp != "" {
		all = append(all, stepUpAttacks...)
	}
	if s.target.BackChannelLogout != "" {
		all = append(all, backChannelAttacks()...)
	}
	if s.target.FrontChannelLogout != "" {
		all = append(all, frontChannelAttacks...)
	}
	return all
}

// A finding is what went wrong, and what an application must do instead if that
// is not what the attack says. It travels as a panic from wherever an attack
// notices it, so that attacks can be read as what they do.
type finding struct{ what, must string }

func found(format string, args ...any) { advise("", format, args...) }

// advise is found, with what an application must do instead.
func advise(must, format string, args ...any) {
	panic(&finding{what: fmt.Sprintf(format, args...), must: must})
}

// suffer runs an attack and returns what it found, or nil.
func (s *siege) suffer(a attack) (f *finding) {
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case *finding:
			f = cause
		default:
			panic(cause)
		}
	}()
	s.reset()
	a.run(s)
	return nil
}

// honestly walks a login and a logout, and learns what attacks need to know.
func (s *siege) honestly() error {
	f := s.suffer(attack{run: func(s *siege) {
		b := s.newBrowser()
		s.strangers = s.private(b).Status
		s.signIn(b, s.ada)
		s.userInfo = s.provider.Count(UserInfo) > 0
		s.reads = s.provider.Count(Discovery) > 0
		s.plain = !slices.ContainsFunc(s.provider.Requests(), func(r Request) bool {
			return r.Endpoint == Authorization && slices.Contains(strings.Fields(r.Query.Get("scope")), "openid")
		})
		s.logOut(b)
		s.raisedHonestly()
		s.toldHonestly()
		s.framedHonestly()
		s.refreshedHonestly()
		s.twoHonestly()
	}})
	if f != nil {
		return errors.New(f.what)
	}
	s.verifies = !s.plain || s.suffer(attack{run: func(s *siege) {
		s.provider.Misbehave(Faults{}) // which has it check the code_verifier
		s.signIn(s.newBrowser(), s.ada)
	}}) == nil
	return nil
}

// complete fills in what was left out, and checks what was not.
func (t Target) complete() (Target, error) {
	t.RedirectURL = cmp.Or(t.RedirectURL, "https://app.example.test/auth/callback")
	u, err := url.Parse(t.RedirectURL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path == "":
		return t, fmt.Errorf("Target.RedirectURL %q is not the URL of a callback", t.RedirectURL)
	case t.Start == nil:
		return t, errors.New("Target.Start is nil")
	}
	t.Private = cmp.Or(t.Private, "/me")
	t.LoginPath = cmp.Or(t.LoginPath, path.Join(path.Dir(u.Path), "login"))
	t.LogoutPath = cmp.Or(t.LogoutPath, path.Join(path.Dir(u.Path), "logout"))
	t.LogoutMethod = cmp.Or(t.LogoutMethod, http.MethodPost)
	if t.LogoutMethod != http.MethodPost && t.LogoutMethod != http.MethodGet {
		return t, fmt.Errorf("Target.LogoutMethod is %q: want GET or POST", t.LogoutMethod)
	}
	if t.Other, err = t.Other.complete(originOf(u)); err != nil {
		return t, err
	}
	t.Issuer = cmp.Or(t.Issuer, defaultIssuer)
	t.ClientID = cmp.Or(t.ClientID, "app")
	for _, p := range []string{t.Private, t.LoginPath, t.LogoutPath, cmp.Or(t.StepUp, "/"), cmp.Or(t.BackChannelLogout, "/"), cmp.Or(t.FrontChannelLogout, "/")} {
		if p[0] != '/' {
			return t, fmt.Errorf("Target has %q, which is not the path of a page", p)
		}
	}
	return t, nil
}
