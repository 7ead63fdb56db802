package preset

import (
	"context"
	"net/http"
	"net/url"

	"github.com/pixyauth/pixy/core"
)

// Discord is Discord over OAuth 2.0. The user comes from its API. The endpoints
// come from its metadata (RFC 8414), which announces PKCE with S256 and an
// issuer in the callback (RFC 9207).
//
// Create an application and add the redirect under "OAuth2".
//
// The subject is the account's id (a snowflake), which never changes. Users
// with an unverified e-mail address can log in: EmailVerified is Discord's
// field verified.
//
// https://docs.discord.com/developers/topics/oauth2,
// https://docs.discord.com/developers/resources/user
func Discord(client Client) core.Provider {
	p := famous("Discord", "https://discord.com", client)
	p.Scopes = []string{"identify", "email"}
	p.FetchUser = discordUser
	return p
}

func discordUser(ctx context.Context, client *http.Client) (map[string]any, error) {
	var user struct {
		ID         string
		Username   string
		GlobalName string `json:"global_name"`
		Avatar     string
		Email      string
		Verified   bool
	}
	if err := mustFetch(ctx, client, "https://discord.com/api/users/@me", &user); err != nil {
		return nil, err
	}
	claims := map[string]any{"sub": user.ID, "preferred_username": user.Username, "name": user.GlobalName}
	if user.Avatar != "" {
		claims["picture"] = "https://cdn.discordapp.com/avatars/" + url.PathEscape(user.ID) + "/" + url.PathEscape(user.Avatar) + ".png"
	}
	if user.Email != "" {
		claims["email"], claims["email_verified"] = user.Email, user.Verified
	}
	return present(claims), nil
}
