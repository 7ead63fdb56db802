package preset_test

import (
	"fmt"
	"log"
	"os"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/preset"
)

func Example() {
	tenant := "aaaabbbb-0000-cccc-1111-dddd2222eeee"
	auth, err := core.New(core.Config{
		Providers: []core.Provider{
			preset.Google(preset.Client{ID: "my-app.apps.googleusercontent.com", Secret: os.Getenv("GOOGLE_CLIENT_SECRET")}),
			preset.Entra(tenant, preset.Client{ID: "00001111-aaaa-2222-bbbb-3333cccc4444", Secret: os.Getenv("ENTRA_CLIENT_SECRET")}),
			preset.GitHub(preset.Client{ID: "Iv1.0123456789abcdef", Secret: os.Getenv("GITHUB_CLIENT_SECRET")}),
		},
		RedirectURL: "https://app.example.com/auth/callback",
		SessionKey:  []byte("thirty-two random bytes or more!"),
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, route := range auth.Routes() {
		fmt.Println(route.Method, route.Path)
	}
	// Output:
	// GET /auth/login
	// GET /auth/callback/Google
	// GET /auth/callback/Microsoft
	// GET /auth/callback/GitHub
	// POST /auth/logout
}
