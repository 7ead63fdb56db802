package preset

import (
	"context"
	"net/http"

	"github.com/pixyauth/pixy/core"
)

// Facebook is Facebook Login, by plain OAuth 2.0: the Graph API is asked who is
// there. Facebook's OpenID Connect metadata names no token endpoint, so that it
// cannot be used.
//
// Create an app with Facebook Login and add the valid OAuth redirect URI. Leave
// "Require App Secret" off: the calls here carry no proof of it. No version is in
// the endpoints' URLs: Facebook takes the oldest one that the app may use.
//
// The subject is the app-scoped user id: stable for this app, and another one for
// the same person at another app. There is no e-mail address if the account has
// none, or if the person keeps it back; Facebook does not say whether it is
// verified, so EmailVerified is false. Facebook's documentation tells of PKCE in
// its OpenID Connect flow only; the challenge is sent all the same.
//
// https://developers.facebook.com/documentation/facebook-login/guides/advanced/manual-flow
func Facebook(client Client) core.Provider {
	p := provider("Facebook", "https://www.facebook.com", client)
	p.Scopes = []string{"public_profile", "email"}
	p.OAuth2 = &core.OAuth2{
		AuthURL:    "https://www.facebook.com/dialog/oauth",
		TokenURL:   "https://graph.facebook.com/oauth/access_token",
		AuthMethod: "client_secret_post",
		FetchUser:  facebookUser,
	}
	return p
}

func facebookUser(ctx context.Context, client *http.Client) (map[string]any, error) {
	var user struct {
		ID, Name, Email string
		Picture         struct{ Data struct{ URL string } }
	}
	if err := mustFetch(ctx, client, "https://graph.facebook.com/me?fields=id,name,email,picture", &user); err != nil {
		return nil, err
	}
	return present(map[string]any{
		"sub": user.ID, "name": user.Name, "email": user.Email, "picture": user.Picture.Data.URL,
	}), nil
}
