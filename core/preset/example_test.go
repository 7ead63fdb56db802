package preset_test

import (
	"crypto"
	"crypto/tls"
	"fmt"
	"log"
	"os"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/preset"
)

func Example() {
	const googleID, gitHubID = "my-app.apps.googleusercontent.com", "Iv1.0123456789abcdef"
	googleSecret, gitHubSecret := os.Getenv("GOOGLE_CLIENT_SECRET"), os.Getenv("GITHUB_CLIENT_SECRET")
	auth, err := core.New(core.Config{
		Providers: []core.Provider{
			preset.Google(preset.Client{ID: googleID, Secret: googleSecret}),
			preset.GitHub(preset.Client{ID: gitHubID, Secret: gitHubSecret}),
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
	// POST /auth/login
	// GET /auth/callback/Google
	// GET /auth/callback/GitHub
	// GET /auth/logout
	// POST /auth/logout
}

// One tenant of Microsoft Entra, or two.
func ExampleEntraMultiTenant() {
	client := preset.Client{ID: "00001111-aaaa-2222-bbbb-3333cccc4444", Secret: os.Getenv("ENTRA_CLIENT_SECRET")}
	one := preset.Entra("aaaabbbb-0000-cccc-1111-dddd2222eeee", client)
	two := preset.EntraMultiTenant(client, "aaaabbbb-0000-cccc-1111-dddd2222eeee", "bbbbaaaa-0000-cccc-1111-dddd2222eeee")
	fmt.Println(one.Issuer)
	fmt.Println(two.Issuer)
	// Output:
	// https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0
	// https://login.microsoftonline.com/{tenantid}/v2.0
}

// A certificate in place of a client secret.
func ExampleEntra() {
	withCertificate := func(tenantID, clientID string) (core.Provider, error) {
		pair, err := tls.LoadX509KeyPair("entra.crt", "entra.key")
		if err != nil {
			return core.Provider{}, err
		}
		key := core.SigningKey{Signer: pair.PrivateKey.(crypto.Signer), Certificate: pair.Leaf}
		return preset.Entra(tenantID, preset.Client{ID: clientID, SigningKeys: []core.SigningKey{key}}), nil
	}
	_, err := withCertificate("aaaabbbb-0000-cccc-1111-dddd2222eeee", "00001111-aaaa-2222-bbbb-3333cccc4444")
	fmt.Println(err)
	// Output: open entra.crt: no such file or directory
}

// A realm of one company.
func ExampleKeycloak() {
	url, client := "https://keycloak.example.com", preset.Client{ID: "my-app", Secret: os.Getenv("KEYCLOAK_CLIENT_SECRET")}
	staff := preset.Keycloak(url, "staff", client)
	staff.Name, staff.Label = "staff", "Müller GmbH"
	fmt.Println(staff.Issuer, staff.Label)
	// Output: https://keycloak.example.com/realms/staff Müller GmbH
}
