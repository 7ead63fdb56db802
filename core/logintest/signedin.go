package logintest

import (
	"maps"
	"net/http"

	"github.com/pixyauth/pixy/core"
)

// SignedIn wraps app so that every request is a request of user. It is for
// tests of the pages behind the guard, and needs no provider, browser or login.
//
//	app := logintest.SignedIn(newApp(), logintest.User{Subject: "ada", Claims: map[string]any{"name": "Ada"}})
//
// It works with every framework: it puts the user into the request's context,
// where [core.Authenticator.Authenticate] looks before it looks for a session.
// The handler gets the user that a login with these claims would return (see
// [core.NewUser]). The claim iss sets the issuer; the default is
// https://id.example.test, as for [Attack]. Zero user: Ada Lovelace. SignedIn
// panics if the claims make no valid user.
//
// Guards ask [core.Requirement].Allow about user, so a test of roles can fail.
// [core.Authenticator.Session] returns a session that begins with the call.
//
// SignedIn does not perform a login. It ignores AuthTime, ACR and SessionID of
// user, MaxAge and ACR of a Requirement are met, and OnLogin is not called. For
// these, use a [Provider] and a [Browser]. There is no access token, unless the
// request's context has one from [core.ContextWithToken].
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

// defaultIssuer is the issuer of users whose test names no other.
const defaultIssuer = "https://id.example.test"
