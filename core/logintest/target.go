package logintest

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// Target describes an application for [Attack]. Start is required. The zero
// value of every other field is a good default.
type Target struct {
	// Start returns the application with everything that is mounted in
	// production, in any framework. The application must log in at provider:
	// configure it with the provider's Issuer and HTTPClient, and with the
	// ClientID, ClientSecret and RedirectURL of this Target. It must accept all
	// users of the provider; if it requires a claim of every user, set the
	// claim in provider.User. Start is called once.
	Start func(provider *Provider) http.Handler

	// RedirectURL is the application's callback, and its origin is the
	// application's origin. With https, cookies must be Secure; http is for
	// loopback addresses. Empty: https://app.example.test/auth/callback.
	RedirectURL string

	// Private is the path of a page for logged-in users that shows the user's
	// subject, name or e-mail address. Empty: "/me".
	Private string

	// StepUp is the path of a page that requires a login that is less than a
	// week old, or has a certain acr. The page must ask the provider for it
	// with max_age, prompt or acr_values, and answer 2xx only after that.
	// Empty: there is none, and its attacks are skipped.
	StepUp string

	// KeepsTokens states that the application keeps the access and the refresh
	// token of a login, and refreshes them when Private is requested after they
	// have expired. The application must request scope offline_access to get a
	// refresh token. If Private shows a response of an API, the attacks check
	// that response as well. False: the application keeps no tokens, and the
	// attacks by refreshes are skipped.
	KeepsTokens bool

	// Public is a path below which pages are public, such as /static/. The
	// attacks try to reach Private through it. Empty: common names are tried.
	Public string

	// SignIn is the path of a page with a link or a form for each way to log in.
	// Its query parameter for the page to return to has one of the usual names,
	// such as return_to or next. Empty: the page to which Private redirects page
	// loads of anonymous users, if a link or a form of it begins a login.
	// Otherwise there is none, and its attacks are skipped.
	SignIn string

	// API lists requests of the application's own scripts, which send the
	// session's cookies, such as "GET /api/session" and "POST /api/note". Every
	// GET must answer a logged-in user with JSON and 2xx, and every POST with
	// 2xx if its body is the JSON text {}. A public endpoint that reports
	// whether a user is logged in is such a GET. Empty: there are none, and their attacks
	// are skipped.
	API []string

	// Link is the path where a POST of a logged-in user, or else a GET, begins to
	// link another account of the provider with the user's own. The POST has the
	// hidden fields of the forms on Private. From then on, a login with either
	// account shows the user on Private. Empty: there is none, and its attacks
	// are skipped.
	Link string

	// OtherCallback is the path of the callback of another provider, which the
	// application lists beside this one. Empty: there is none, and its attack is
	// skipped.
	OtherCallback string

	// LoginPath is the path where a GET begins a login. If the application has
	// several providers, add a query that selects one. Empty: "login" beside
	// the callback, such as /auth/login beside /auth/callback.
	LoginPath string

	// LogoutPath is the path where a POST ends the session. The POST has the
	// hidden fields of the forms on Private, such as CSRF tokens. Empty:
	// "logout" beside the callback.
	LogoutPath string

	// LogoutMethod is the method that ends the session: POST or GET. Set GET to
	// try the other attacks on an application that ends sessions by GET. The
	// sub-test "logout by a link" then fails, unless the application rejects
	// GETs from other sites. Empty: POST.
	LogoutMethod string

	// BackChannelLogout is the path to which a provider posts logout tokens
	// (OpenID Connect Back-Channel Logout). Empty: there is none, and its
	// attacks are skipped.
	BackChannelLogout string

	// FrontChannelLogout is the path that the provider's logout page opens in a
	// frame, with iss and sid (OpenID Connect Front-Channel Logout). Empty:
	// there is none, and its attacks are skipped.
	FrontChannelLogout string

	// Other is a second login of the application. Start mounts both logins,
	// with the middleware that surrounds them in production. Zero: there is
	// none, and its attacks are skipped.
	Other OtherLogin

	// AddCustomer is for an application that looks up each customer's provider by
	// name. It adds a customer with a name and the issuer of its provider, or
	// replaces the customer with this name. The application has ClientID and
	// ClientSecret at each provider. The attacks add hostile customers.
	// [Provider.HTTPClient] of Start's provider reaches all of these providers.
	// AddCustomer is called after Start, and must be safe for concurrent use. Nil:
	// there is one provider, and the attacks between customers are skipped.
	//
	// In all paths of the target and in RedirectURL, {provider} stands for the
	// customer's name. LoginPath and LogoutPath are then required, and a page of
	// Private must show only users of this customer's provider. If RedirectURL has
	// no {provider}, all customers share a callback. If its host has one, each
	// customer has a host.
	AddCustomer func(name, issuer string)

	// Client has the rules of a strong client, such as RequirePAR or DPoP, at which
	// the application is registered. ID, Secret and URIs are taken from the other
	// fields. Some rules have attacks of their own. Start must configure the
	// application to follow them. Zero: a client without such rules.
	Client Client

	// Issuer is the provider's issuer. The default works in memory only. For an
	// application in another process, set a loopback URL and let Start serve
	// the provider there. Empty: https://id.example.test.
	Issuer string

	// ClientID is the application's client id. Empty: "app".
	ClientID string

	// ClientSecret is the application's client secret. Empty: a public client.
	ClientSecret string
}

// complete sets defaults and validates the other fields.
func (t Target) complete() (Target, error) {
	t.RedirectURL = cmp.Or(t.RedirectURL, "https://app.example.test/auth/callback")
	u, err := url.Parse(t.RedirectURL)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path == "":
		return t, fmt.Errorf("Target.RedirectURL %q is not the URL of a callback: it must be absolute, http or https, with a path", t.RedirectURL)
	case t.Start == nil:
		return t, errors.New("Target.Start is nil")
	case t.AddCustomer != nil && (t.LoginPath == "" || t.LogoutPath == ""):
		return t, errors.New("Target.AddCustomer needs LoginPath and LogoutPath; set both")
	}
	t.Private = cmp.Or(t.Private, "/me")
	t.LoginPath = cmp.Or(t.LoginPath, path.Join(path.Dir(u.Path), "login"))
	t.LogoutPath = cmp.Or(t.LogoutPath, path.Join(path.Dir(u.Path), "logout"))
	t.LogoutMethod = cmp.Or(t.LogoutMethod, http.MethodPost)
	if t.LogoutMethod != http.MethodPost && t.LogoutMethod != http.MethodGet {
		return t, fmt.Errorf("Target.LogoutMethod is %q: want GET or POST", t.LogoutMethod)
	}
	if t.Other, err = t.Other.complete(originOf(u)); err != nil {
		return t, err
	}
	t.Issuer = cmp.Or(t.Issuer, defaultIssuer)
	t.ClientID = cmp.Or(t.ClientID, "app")
	for _, p := range []string{t.Private, t.LoginPath, t.LogoutPath, cmp.Or(t.StepUp, "/"), cmp.Or(t.BackChannelLogout, "/"), cmp.Or(t.FrontChannelLogout, "/"),
		cmp.Or(t.Public, "/"), cmp.Or(t.SignIn, "/"), cmp.Or(t.Link, "/"), cmp.Or(t.OtherCallback, "/")} {
		if p[0] != '/' {
			return t, fmt.Errorf("Target has %q, which is not a path; it must begin with a slash", p)
		}
	}
	for _, call := range t.API {
		method, p, _ := strings.Cut(call, " ")
		if method != http.MethodGet && method != http.MethodPost || !strings.HasPrefix(p, "/") {
			return t, fmt.Errorf("Target.API has %q: want GET or POST, a space and a path", call)
		}
	}
	return t, nil
}
