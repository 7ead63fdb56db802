package preset

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/pixyauth/pixy/core"
)

// GitHub is github.com, by plain OAuth 2.0: it has no ID tokens, and its API is
// asked who is there. PKCE is checked by GitHub.
//
// Register an OAuth app with the authorization callback URL, or a GitHub App with
// the callback URL and the account permission "Email addresses: read".
//
// The subject is the number of the account; the login name, which can be given
// up and taken by somebody else, is the claim preferred_username. The e-mail
// address is the account's primary one, if it is verified, else there is none;
// nor is there for a GitHub App without that permission. GitHub answers errors at
// its token endpoint with status 200 and names of its own, and the callback has
// the issuer https://github.com/login/oauth (RFC 9207), which is compared.
//
// https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps,
// https://docs.github.com/rest/users/emails
func GitHub(client Client) core.Provider {
	p := provider("GitHub", "https://github.com/login/oauth", client)
	p.Scopes = []string{"user:email"}
	p.OAuth2 = &core.OAuth2{
		AuthURL:    "https://github.com/login/oauth/authorize",
		TokenURL:   "https://github.com/login/oauth/access_token",
		AuthMethod: "client_secret_post",
		FetchUser:  gitHubUser,
	}
	return p
}

func gitHubUser(ctx context.Context, client *http.Client) (map[string]any, error) {
	var user struct {
		ID        int64
		Login     string
		Name      string
		AvatarURL string `json:"avatar_url"`
	}
	if err := mustFetch(ctx, client, "https://api.github.com/user", &user); err != nil {
		return nil, err
	}
	if user.ID <= 0 {
		return nil, errors.New("GitHub gave no id")
	}
	claims := map[string]any{
		"sub": strconv.FormatInt(user.ID, 10), "preferred_username": user.Login, "name": user.Name, "picture": user.AvatarURL,
	}
	var emails []struct {
		Email             string
		Primary, Verified bool
	}
	status, err := fetch(ctx, client, "https://api.github.com/user/emails", &emails)
	switch {
	case err != nil:
		return nil, err
	case status == http.StatusForbidden, status == http.StatusNotFound: // an app that may not see them
	case status != http.StatusOK:
		return nil, errors.New("GitHub refuses to show the e-mail addresses")
	}
	for _, e := range emails {
		if e.Primary && e.Verified {
			claims["email"], claims["email_verified"] = e.Email, true
		}
	}
	return present(claims), nil
}
