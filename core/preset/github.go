package preset

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/pixyauth/pixy/core"
)

// GitHub is github.com over plain OAuth 2.0. It has no ID tokens, so the user
// comes from its API. GitHub checks PKCE.
//
// Register an OAuth app with the authorization callback URL. Or register a
// GitHub App with the callback URL and the account permission "Email addresses:
// read".
//
// The subject is the account's number. The claim preferred_username is the
// login name. Its owner can release it, and another user can then take it. The
// e-mail address is the account's primary one, if it is verified. Otherwise,
// and for a GitHub App without the permission, there is none. GitHub's token
// endpoint sends errors with status 200 and error codes of its own. The
// callback has the issuer https://github.com/login/oauth (RFC 9207), which is
// checked.
//
// https://docs.github.com/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps,
// https://docs.github.com/rest/users/emails
func GitHub(client Client) core.Provider {
	p := famous("GitHub", "https://github.com/login/oauth", client)
	p.Scopes = []string{"user:email"}
	p.Endpoints.AuthURL = "https://github.com/login/oauth/authorize"
	p.Endpoints.TokenURL = "https://github.com/login/oauth/access_token"
	p.Client.AuthMethod = "client_secret_post"
	p.FetchUser = gitHubUser
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
		return nil, errors.New("GitHub's API returned no user id")
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
	case status == http.StatusForbidden, status == http.StatusNotFound: // the app has no permission to read them
	case status != http.StatusOK:
		return nil, fmt.Errorf("GitHub answered %d to the request for e-mail addresses", status)
	}
	for _, e := range emails {
		if e.Primary && e.Verified {
			claims["email"], claims["email_verified"] = e.Email, true
		}
	}
	return present(claims), nil
}
