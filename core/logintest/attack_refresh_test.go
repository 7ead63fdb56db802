package logintest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// The findings for a login that keeps tokens with all weaknesses, and with some of them
// fixed.
var refreshVariants = []variant{
	{"refresh token used twice", &tutorial{keeps: &keeper{}},
		`20 concurrent requests with an expired access token used a refresh token twice: an application must refresh once for all concurrent requests of a session, and share the result with late ones, because a refresh token that is used twice counts as stolen and ends the login (RFC 9700 section 4.14.2)`},
	{"refresh token used twice", &tutorial{keeps: &keeper{onServer: true}}, "20 concurrent requests with an expired access token used a refresh token twice:"},
	{"refresh token used twice", &tutorial{keeps: &keeper{once: true}}, ""},

	{"refresh that is refused", &tutorial{keeps: &keeper{}},
		`a refresh that failed with invalid_grant left the session of Ada Lovelace in place: an application must end the session when a refresh fails with invalid_grant, because that is how a provider ends a login (RFC 6749 section 5.2)`},
	{"refresh that is refused", &tutorial{keeps: &keeper{heeds: true}}, ""},

	{"refresh while the provider is down", &tutorial{keeps: &keeper{}},
		`a refresh while the provider was down ended the session of Ada Lovelace: an application must keep the session while the provider is down, because only invalid_grant means that the login has ended`},
	{"refresh while the provider is down", &tutorial{keeps: &keeper{patient: true}}, ""},

	{"kept tokens within reach of the browser", &tutorial{keeps: &keeper{}},
		`the refresh token could be read in cookie tokens: an application must keep access and refresh tokens on the server, or encrypt them in cookies`},
	{"kept tokens within reach of the browser", &tutorial{keeps: &keeper{onServer: true}, token: true}, `the access token could be read in cookie token:`},
	{"kept tokens within reach of the browser", &tutorial{keeps: &keeper{onServer: true, shown: true}}, `the refresh token could be read in a page:`},
	{"kept tokens within reach of the browser", &tutorial{keeps: &keeper{onServer: true}}, ""},

	{"tokens left out", &tutorial{guarded: true, keeps: &keeper{}},
		`without cookie tokens, a browser stays logged in as Ada Lovelace and the tokens are not refreshed: an application must end the session when a refresh is due and the tokens are missing, because a provider cannot end a session that is never refreshed`},
	{"tokens left out", &tutorial{guarded: true, keeps: &keeper{onServer: true}}, ""},

	{"tokens of another session", &tutorial{guarded: true, keeps: &keeper{}},
		`cookies of Mallory's login, planted beside those of Ada's session, made /me show Ada Lovelace and Mallory Mallet: an application must bind tokens to the session of their login, for example by sealing them with the session's id`},
	{"tokens of another session", &tutorial{guarded: true, keeps: &keeper{compares: true}}, `cookies of Mallory's login, planted beside those of Ada's session, made the application use Mallory's tokens for Ada:`},
	{"tokens of another session", &tutorial{guarded: true, keeps: &keeper{onServer: true}}, ""},

	{"refreshed ID token of another user", &tutorial{keeps: &keeper{}},
		`a refreshed ID token of another user made /me show Ada Lovelace and Mallory Mallet: an application must compare sub of a refreshed ID token with that of the login, and end the session if it differs (OpenID Connect Core section 12.2)`},
	{"refreshed ID token of another issuer", &tutorial{keeps: &keeper{}},
		`a refreshed ID token of another issuer left the session of Ada Lovelace in place: an application must compare iss of a refreshed ID token with that of the login, and end the session if it differs (OpenID Connect Core section 12.2)`},
	{"refreshed ID token for another client", &tutorial{keeps: &keeper{}},
		`a refreshed ID token for another client left the session of Ada Lovelace in place: an application must compare aud of a refreshed ID token with that of the login, and end the session if it differs (OpenID Connect Core section 12.2)`},
	{"refreshed ID token with another nonce", &tutorial{keeps: &keeper{}},
		`a refreshed ID token with another nonce left the session of Ada Lovelace in place: an application must compare the nonce, if there is one, of a refreshed ID token with that of the login, and end the session if it differs (OpenID Connect Core section 12.2)`},
	{"refreshed ID token of another user", &tutorial{keeps: &keeper{compares: true}}, ""},
	{"refreshed ID token of another issuer", &tutorial{keeps: &keeper{compares: true}}, ""},
	{"refreshed ID token for another client", &tutorial{keeps: &keeper{compares: true}}, ""},
	{"refreshed ID token with another nonce", &tutorial{keeps: &keeper{compares: true}}, ""},
}

func TestVariantsOfWeakRefreshes(t *testing.T) {
	t.Parallel()
	for i, v := range refreshVariants {
		t.Run(v.name(i), func(t *testing.T) {
			t.Parallel()
			v.suffer(t, logintest.Target{Start: v.app.start, KeepsTokens: true})
		})
	}
}

// Every attack by refreshes succeeds in at least one variant. None is tried on an
// application that keeps no tokens.
func TestAttacksByRefreshes(t *testing.T) {
	t.Parallel()
	nothing := func(string) bool { return false }
	without := attack(logintest.Target{Start: new(tutorial).start}, nothing)
	with := attack(logintest.Target{Start: (&tutorial{keeps: new(keeper)}).start, KeepsTokens: true}, nothing)
	more := slices.DeleteFunc(with.names, func(name string) bool { return slices.Contains(without.names, name) })
	if with.fatal+without.fatal != "" || len(more) != 10 {
		t.Errorf("got %q and %v", with.fatal+without.fatal, more)
	}
	for _, name := range more {
		if !slices.ContainsFunc(refreshVariants, func(v variant) bool { return v.attack == name && v.want != "" }) {
			t.Errorf("%s has never been seen to succeed", name)
		}
	}
}

// Without a refresh, no attacks are run.
func TestAttackNeedsAnHonestRefresh(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		app  *tutorial
		want string
	}{
		"no tokens are kept":       {new(tutorial), "Target.KeepsTokens is set, but /me led to no refresh within 3s"},
		"no refresh is granted":    {&tutorial{keeps: &keeper{online: true, patient: true}}, "Target.KeepsTokens is set, but no refresh succeeded"},
		"a refresh ends the login": {&tutorial{keeps: &keeper{short: true, heeds: true}}, "a refresh ended the session of Ada Lovelace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			r := attack(logintest.Target{Start: test.app.start, KeepsTokens: true}, every)
			if !strings.HasPrefix(r.fatal, "logintest: nothing was attacked") || !strings.Contains(r.fatal, test.want) || len(r.names) != 0 {
				t.Errorf("after %s: got %q and then %v, want %s", time.Since(begun), r.fatal, r.names, test.want)
			}
		})
	}
}
