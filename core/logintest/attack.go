package logintest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

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
// application, each with new browsers. They do not use the network. They take a
// few seconds, or up to ten with KeepsTokens, because tokens have to expire.
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
// For an application that looks up each customer's provider by name, set
// AddCustomer. Attack then also attacks one customer by another.
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
		cookieAttacks, forgeryAttacks, redirectAttacks, requestAttacks, pathAttacks, answerAttacks, logoutAttacks, s.apiAttacks(), s.refreshAttacks())
	all = append(all, s.strongAttacks()...)
	if s.entry.entrance != "" {
		all = append(all, signInAttacks...)
	}
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
	if s.target.AddCustomer != nil {
		all = append(all, s.customerAttacks()...)
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
func (s *siege) suffer(a attack) *finding {
	s.reset()
	return catch(func() { a.run(s) })
}

// catch returns the finding of run, or nil.
func catch(run func()) (f *finding) {
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case *finding:
			f = cause
		default:
			panic(cause)
		}
	}()
	run()
	return nil
}

// honestly performs a login and a logout, and records what attacks need to
// know.
func (s *siege) honestly() error {
	f := s.suffer(attack{run: func(s *siege) {
		b := s.newBrowser()
		page := s.private(b)
		s.anonymous, s.elsewhere = page.Status, len(page.Hops) > 1
		s.signIn(b, s.ada)
		s.userInfo = s.provider.Count(UserInfo) > 0
		s.reads = s.provider.Count(Discovery) > 0
		s.plain = !slices.ContainsFunc(s.provider.Requests(), func(r Request) bool {
			return r.Endpoint == Authorization && slices.Contains(strings.Fields(s.provider.asked(r.Query).Get("scope")), "openid")
		})
		s.logOut(b)
		s.base = s.findBase()
		s.raisedHonestly()
		s.toldHonestly()
		s.framedHonestly()
		s.refreshedHonestly()
		s.twoHonestly()
		s.linkedHonestly()
		s.enteredHonestly()
		s.calledHonestly()
		s.servedHonestly()
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
