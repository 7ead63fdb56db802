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

// Target describes an application for [Attack]. Start is required. The zero
// value of every other field is a good default.
type Target struct {
	// Start returns the application with everything that is mounted in
	// production, in any framework. The application must log in at provider:
	// configure it with the provider's Issuer and HTTPClient, and with the
	// ClientID, ClientSecret and RedirectURL of this Target. It must accept all
	// users of the provider; if it requires a claim of every user, set the
	// claim in provider.User. Start is called once.
	Start func(provider *Provider) http.Handler

	// RedirectURL is the application's callback, and its origin is the
	// application's origin. With https, cookies must be Secure; http is for
	// loopback addresses. Empty: https://app.example.test/auth/callback.
	RedirectURL string

	// Private is the path of a page for logged-in users that shows the user's
	// subject, name or e-mail address. Empty: "/me".
	Private string

	// StepUp is the path of a page that requires a login that is less than a
	// week old, or has a certain acr. The page must ask the provider for it
	// with max_age, prompt or acr_values, and answer 2xx only after that.
	// Empty: there is none, and its attacks are skipped.
	StepUp string

	// KeepsTokens states that the application keeps the access and the refresh
	// token of a login, and refreshes them when Private is requested after they
	// have expired. The application must request scope offline_access to get a
	// refresh token. If Private shows a response of an API, the attacks check
	// that response as well. False: the application keeps no tokens, and the
	// attacks by refreshes are skipped.
	KeepsTokens bool

	// Public is a path below which pages are public, such as /static/. The
	// attacks try to reach Private through it. Empty: common names are tried.
	Public string

	// Link is the path where a POST of a logged-in user, or else a GET, begins to
	// link another account of the provider with the user's own. The POST has the
	// hidden fields of the forms on Private. From then on, a login with either
	// account shows the user on Private. Empty: there is none, and its attacks
	// are skipped.
	Link string

	// OtherCallback is the path of the callback of another provider, which the
	// application lists beside this one. Empty: there is none, and its attack is
	// skipped.
	OtherCallback string

	// LoginPath is the path where a GET begins a login. If the application has
	// several providers, add a query that selects one. Empty: "login" beside
	// the callback, such as /auth/login beside /auth/callback.
	LoginPath string

	// LogoutPath is the path where a POST ends the session. The POST has the
	// hidden fields of the forms on Private, such as CSRF tokens. Empty:
	// "logout" beside the callback.
	LogoutPath string

	// LogoutMethod is the method that ends the session: POST or GET. Set GET to
	// try the other attacks on an application that ends sessions by GET. The
	// sub-test "logout by a link" then fails, unless the application rejects
	// GETs from other sites. Empty: POST.
	LogoutMethod string

	// BackChannelLogout is the path to which a provider posts logout tokens
	// (OpenID Connect Back-Channel Logout). Empty: there is none, and its
	// attacks are skipped.
	BackChannelLogout string

	// FrontChannelLogout is the path that the provider's logout page opens in a
	// frame, with iss and sid (OpenID Connect Front-Channel Logout). Empty:
	// there is none, and its attacks are skipped.
	FrontChannelLogout string

	// Other is a second login of the application. Start mounts both logins,
	// with the middleware that surrounds them in production. Zero: there is
	// none, and its attacks are skipped.
	Other OtherLogin

	// Issuer is the provider's issuer. The default works in memory only. For an
	// application in another process, set a loopback URL and let Start serve
	// the provider there. Empty: https://id.example.test.
	Issuer string

	// ClientID is the application's client id. Empty: "app".
	ClientID string

	// ClientSecret is the application's client secret. Empty: a public client.
	ClientSecret string
}

// Attack tries known attacks on an application's login, each in a sub-test of
// its own: forged, swapped, replayed and repeated callbacks, hostile providers
// and ID tokens, planted and altered cookies, open redirects, and more. A
// sub-test that fails reports one sentence: what went wrong, and what an
// application must do instead.
//
//	func TestAttack(t *testing.T) {
//		logintest.Attack(t, logintest.Target{Start: func(provider *logintest.Provider) http.Handler {
//			return newApp(provider.Issuer(), provider.HTTPClient())
//		}})
//	}
//
// Attack first performs an honest login and logout. If they fail, it reports
// that and runs no attacks. The attacks run one after another against the same
// application, each with new browsers. They do not use the network. They take
// one or two seconds, or up to ten with KeepsTokens, because tokens have to
// expire.
//
// An application that passes withstands these attacks. That does not prove it
// secure. Attack tests the login, the session and the page Private, and no
// other pages. The application logs dozens of errors meanwhile, which you can
// ignore: give it a Logger that discards them.
//
// If the application uses response_mode=form_post, the attacks post forms from
// another site. A browser then sends only cookies with SameSite=None.
//
// For an application without OpenID Connect, whose login does not request scope
// openid, the attacks by ID tokens are skipped, and the provider checks PKCE.
// Only PKCE then distinguishes the codes of two logins. If the application does
// not use PKCE either, the sub-test "PKCE" fails, the provider does not check
// it, and attacks that only PKCE can stop are skipped.
//
// With several providers, Attack uses one of them. Set RedirectURL to its
// callback, and select it in LoginPath, as in "/auth/login?provider=Work".
// LogoutPath is then required.
//
// T is [*testing.T], or another type with these methods.
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
		return // Fatalf of another T may return
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

// An attack is one attempt by an attacker.
type attack struct {
	name string       // of the sub-test; stable, because users pass it to -run
	must string       // what an application must do instead, unless the finding has its own
	run  func(*siege) // calls found if the attack succeeds
}

// attacks returns all attacks that apply to the target. It leaves out the
// attacks by ID tokens if the application requests none, and those on features
// that the target does not have. An attack that was not tried must not count as
// passed.
func (s *siege) attacks() []attack {
	all := slices.Concat(stateAttacks, s.codeAttacks(), formAttacks, pkceAttacks, providerAttacks, sessionAttacks,
		cookieAttacks, forgeryAttacks, redirectAttacks, requestAttacks, pathAttacks, answerAttacks, s.refreshAttacks())
	if s.other != nil {
		all = append(all, twoLoginAttacks...)
	}
	if s.base != "" {
		all = append(all, baseAttacks...)
	}
	if s.target.OtherCallback != "" {
		all = append(all, otherProviderAttacks...)
	}
	if s.target.Link != "" {
		all = append(all, linkAttacks...)
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

// A finding says what went wrong, and what an application must do instead if
// that differs from the attack's must. It is passed as a panic, so that attacks
// read as a sequence of steps.
type finding struct{ what, must string }

func found(format string, args ...any) { advise("", format, args...) }

// advise is like found, with what an application must do instead.
func advise(must, format string, args ...any) {
	panic(&finding{what: fmt.Sprintf(format, args...), must: must})
}

// suffer runs an attack and returns its finding, or nil.
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

// honestly performs a login and a logout, and records what attacks need to
// know.
func (s *siege) honestly() error {
	f := s.suffer(attack{run: func(s *siege) {
		b := s.newBrowser()
		s.anonymous = s.private(b).Status
		s.signIn(b, s.ada)
		s.userInfo = s.provider.Count(UserInfo) > 0
		s.reads = s.provider.Count(Discovery) > 0
		s.plain = !slices.ContainsFunc(s.provider.Requests(), func(r Request) bool {
			return r.Endpoint == Authorization && slices.Contains(strings.Fields(r.Query.Get("scope")), "openid")
		})
		s.logOut(b)
		s.base = s.findBase()
		s.raisedHonestly()
		s.toldHonestly()
		s.framedHonestly()
		s.refreshedHonestly()
		s.twoHonestly()
		s.linkedHonestly()
	}})
	if f != nil {
		return errors.New(f.what)
	}
	s.verifies = !s.plain || s.suffer(attack{run: func(s *siege) {
		s.provider.Misbehave(Faults{}) // the provider checks the code_verifier
		s.signIn(s.newBrowser(), s.ada)
	}}) == nil
	return nil
}

// complete sets defaults and validates the other fields.
func (t Target) complete() (Target, error) {
	t.RedirectURL = cmp.Or(t.RedirectURL, "https://app.example.test/auth/callback")
	u, err := url.Parse(t.RedirectURL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path == "":
		return t, fmt.Errorf("Target.RedirectURL %q is not the URL of a callback: it must be absolute, http or https, with a path", t.RedirectURL)
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
	for _, p := range []string{t.Private, t.LoginPath, t.LogoutPath, cmp.Or(t.StepUp, "/"), cmp.Or(t.BackChannelLogout, "/"), cmp.Or(t.FrontChannelLogout, "/"),
		cmp.Or(t.Public, "/"), cmp.Or(t.Link, "/"), cmp.Or(t.OtherCallback, "/")} {
		if p[0] != '/' {
			return t, fmt.Errorf("Target has %q, which is not a path; it must begin with a slash", p)
		}
	}
	return t, nil
}
