// Package pixy is the application of package tutorial, with pixy.
package pixy

import (
	"fmt"
	"net/http"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
)

// New returns an application with a page /me for users.
func New(issuer, clientID, redirectURL string, key []byte, client *http.Client) (http.Handler, error) {
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: issuer, ClientID: clientID}},
		RedirectURL: redirectURL,
		SessionKey:  key,
		HTTPClient:  client,
	})
	if err != nil {
		return nil, err
	}
	login := httplogin.New(auth)
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %s", httplogin.User(r).Name)
	})))
	return mux, nil
}
