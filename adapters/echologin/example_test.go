package echologin_test

import (
	"log"
	"os"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/pixyauth/pixy/adapters/echologin"
	"github.com/pixyauth/pixy/core"
)

func Example() {
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{
			Issuer:       "https://id.example.com",
			ClientID:     "my-app",
			ClientSecret: os.Getenv("OIDC_CLIENT_SECRET"),
		}},
		RedirectURL: "http://localhost:8080/auth/callback", // in production https://app.example.com/auth/callback
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
	})
	if err != nil {
		log.Fatal(err)
	}
	login := echologin.New(auth)
	e := echo.New()
	login.Mount(e)
	e.GET("/me", func(c echo.Context) error {
		return c.String(200, "Hello, "+echologin.User(c).Name)
	}, login.RequireUser)
	log.Fatal(e.Start("localhost:8080"))
}

// Return the error to let Echo's HTTPErrorHandler answer instead of pixy's page. The
// error has the status and the public text.
func ExampleLogin_errorHandler() {
	var auth *core.Authenticator // from core.New
	login := echologin.New(auth)
	login.ErrorHandler = func(c echo.Context, err error) error { return err }
}

// A page that requires a login with a second factor in the last five minutes.
func ExampleLogin_Require() {
	var login *echologin.Login // from New
	transfer := func(c echo.Context) error { return c.String(200, "done") }
	e := echo.New()

	needs := core.Requirement{MaxAge: 5 * time.Minute, ACR: []string{"urn:example:2fa"}}
	e.POST("/transfer", transfer, login.Require(needs))
}
