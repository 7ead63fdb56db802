package logintest

import (
	"maps"
	"net/http"

	"github.com/pixyauth/pixy/core"
)

// SignedIn wraps an application so that every request is user's, for tests of
// what is behind the guard: no provider, no browser, no login.
//
//	app := logintest.SignedIn(newApp(), logintest.User{Subject: "ada", Claims: map[string]any{"name": "Ada"}})
//
// It works with every framework, because it puts the user where
// [core.Authenticator.Authenticate] finds somebody before it looks for a
// session. The handler sees the user whom a login would have made of the claims
// (see [core.NewUser]), of the issuer in claim iss, or else of
// https://id.example.test, which is where [Attack]'s provider is too. Zero user:
// Ada Lovelace. SignedIn panics if there could be no such user.
//
// It is no login: AuthTime, ACR and SessionID of user say nothing, every
// [core.Requirement] is met, and OnLogin is not called. A [Provider] and a [Browser]
// walk a login in which they count. There is no token either, unless the request's
// context has one of [core.ContextWithToken].
func SignedIn(app http.Handler, user User) http.Handler {
	if user.Subject == "" && user.Claims == nil {
		user = user.orAda()
	}
	claims := maps.Clone(user.Claims)
	if claims == nil {
		claims = make(map[string]any)
	}
	claims["sub"] = user.Subject
	issuer, ok := claims["iss"].(string)
	if !ok {
		issuer = defaultIssuer
	}
	signedIn, err := core.NewUser(issuer, claims)
	if err != nil {
		panic(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		app.ServeHTTP(w, r.WithContext(core.ContextWithUser(r.Context(), signedIn)))
	})
}

// defaultIssuer is who vouches for the users of tests that name nobody else.
const defaultIssuer = "https://id.example.test"
