package preset

import (
	"context"
	"net/http"

	"github.com/pixyauth/pixy/core"
)

// Facebook is Facebook Login over plain OAuth 2.0. The user comes from the
// Graph API. Facebook's OpenID Connect metadata has no token endpoint, so it
// cannot be used.
//
// Create an app with Facebook Login and add the valid OAuth redirect URI. Leave
// "Require App Secret" off, because the calls to the Graph API do not carry the
// appsecret_proof. The endpoints' URLs name no version, so Facebook uses the
// oldest version that is available to the app.
//
// The subject is the app-scoped user id. It is stable for this app, and another
// app gets another id for the same user. The e-mail address is missing if the
// account has none, or if the user does not share it. Facebook does not say
// whether it is verified, so EmailVerified is false. Facebook documents PKCE
// for its OpenID Connect flow only; the challenge is sent anyway.
//
// https://developers.facebook.com/documentation/facebook-login/guides/advanced/manual-flow
func Facebook(client Client) core.Provider {
	p := famous("Facebook", "https://www.facebook.com", client)
	p.Scopes = []string{"public_profile", "email"}
	p.Endpoints.AuthURL = "https://www.facebook.com/dialog/oauth"
	p.Endpoints.TokenURL = "https://graph.facebook.com/oauth/access_token"
	p.Client.AuthMethod = "client_secret_post"
	p.FetchUser = facebookUser
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
