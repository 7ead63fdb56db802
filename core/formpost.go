package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/told"
)

const (
	maxForm       = 64 << 10 // bytes of a form
	maxPosted     = 8 << 10  // of one parameter
	maxPostedUser = 4 << 10  // of user, which a session may have to keep
)

// postedParams are what a callback knows (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC
// 9207), and what Apple adds.
var postedParams = [...]string{"state", "code", "iss", "error", "error_description", "user"}

// bounce answers the provider's form (OAuth 2.0 Form Post Response Mode). It
// comes from another site, so that the browser keeps back all cookies of ours:
// they are Lax, and stay so. A page of our own, which sends the browser to the
// callback once more by GET, is no other site, and then they come. Until then
// nothing is looked up, remembered or sent anywhere: whoever makes a form could
// as well have made the link.
func (a *Authenticator) bounce(t *turn) error {
	t.again = new(LoginOptions)
	answer, err := posted(t.w, t.r, t.at.config.Requests.FormPostUser)
	if err != nil {
		return err
	}
	// A path of ours, and a query of letters, digits and +-_.~%&= alone: no part
	// of it can end the URL, the attribute or the tag.
	to := html.EscapeString(t.at.callbackPath + "?" + answer.Encode())
	servePage(t.w, http.StatusOK, page{
		title: "One moment",
		head:  `<meta http-equiv="refresh" content="0;url=` + to + `">`,
		main:  `<p>Your login provider has answered.</p>` + "\n" + `<nav><a class="main" href="` + to + `">Continue</a></nav>`,
	})
	return nil
}

// posted returns the form's parameters that a callback knows: doubled if they
// are, because that is the callback's to refuse. What is in the URL is no part of
// the form. The parameter user is one of them only if the provider is known to send it.
func posted(w http.ResponseWriter, r *http.Request, user bool) (url.Values, error) {
	if err := readForm(w, r); err != nil {
		return nil, errBadCallback("%w", err)
	}
	answer := make(url.Values, len(postedParams))
	for _, name := range postedParams {
		if name == "user" && !user {
			continue
		}
		for _, value := range r.PostForm[name] {
			if len(value) > maxPosted {
				return nil, errBadCallback("a form with %d bytes of %s", len(value), name)
			}
			answer.Add(name, value)
		}
	}
	return answer, nil
}

// readForm parses a form of bounded size, which a middleware may have done
// already. What is malformed is left out, as in a URL's query.
func readForm(w http.ResponseWriter, r *http.Request) error {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/x-www-form-urlencoded" {
		return fmt.Errorf("a POST of %q, which is no form", told.Clip(kind))
	}
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	}
	if tooBig := new(http.MaxBytesError); errors.As(r.ParseForm(), &tooBig) {
		return fmt.Errorf("a form of more than %d bytes", tooBig.Limit)
	}
	return nil
}

// addUser adds what came beside the code as the parameter user, if it can be
// what Apple sends and the provider has not said it itself. It is not worth a
// failed login.
func addUser(c provider.Claims, values []string) {
	user, ok := only(values)
	if !ok || len(user) > maxPostedUser {
		return
	}
	for name := range c { // in any case: the browser's must not be taken for the provider's
		if strings.EqualFold(name, "user") {
			return
		}
	}
	if _, err := provider.DecodeClaims([]byte(user)); err == nil {
		c["user"] = json.RawMessage(user)
	}
}
