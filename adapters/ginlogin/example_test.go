package ginlogin_test

import (
	"log"
	"os"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/pixyauth/pixy/adapters/ginlogin"
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
	login := ginlogin.New(auth)
	r := gin.Default()
	login.Mount(r)
	private := r.Group("/", login.RequireUser)
	private.GET("/me", func(c *gin.Context) {
		c.String(200, "Hello, %s", ginlogin.User(c).Name)
	})
	log.Fatal(r.Run("localhost:8080"))
}

// A page that requires a login with a second factor in the last five minutes.
func ExampleLogin_Require() {
	var login *ginlogin.Login // from New
	transfer := func(c *gin.Context) { c.String(200, "done") }
	r := gin.Default()

	needs := core.Requirement{MaxAge: 5 * time.Minute, ACR: []string{"urn:example:2fa"}}
	r.POST("/transfer", login.Require(needs), transfer)
}
