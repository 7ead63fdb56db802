package core

import (
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/oauth2"
)

// Grant is what a login gave to the application: the tokens, and what it takes to
// refresh them without the user. An application that works while the user is away stores
// it, for example as JSON in an encrypted column.
//
// A Grant prints and logs without its tokens. As JSON it has them.
type Grant struct {
	Provider string `json:"provider"` // Name of the provider
	Issuer   string `json:"issuer"`   // of the user
	Subject  string `json:"subject"`  // of the user

	// Token has the access token, the refresh token if there is one, and the expiry.
	Token oauth2.Token `json:"token"`

	// Nonce and AuthTime are what the ID token of a refresh must repeat, if it has them
	// (OpenID Connect Core section 12.2). Zero values are not compared.
	Nonce    string    `json:"nonce,omitempty"`
	AuthTime time.Time `json:"auth_time,omitzero"`
}

// LogValue leaves out the tokens.
func (g Grant) LogValue() slog.Value {
	return slog.GroupValue(slog.String("provider", g.Provider), slog.String("issuer", g.Issuer), slog.Time("expiry", g.Token.Expiry))
}

// Format prints what LogValue gives, whatever the verb.
func (g Grant) Format(f fmt.State, _ rune) { fmt.Fprint(f, g.LogValue().String()) }

// grantOf returns the grant of a login.
func grantOf(at *registration, who *identity) Grant {
	token := (*tokens)(who.Tokens).bearer()
	token.RefreshToken = who.Tokens.Refresh
	return Grant{
		Provider: at.config.Name, Issuer: who.Issuer, Subject: who.Subject,
		Token: *token, Nonce: who.Tokens.Nonce, AuthTime: who.Tokens.AuthTime,
	}
}
