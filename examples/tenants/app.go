package main

import (
	"context"
	"encoding/json"
	"errors"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"strings"

	_ "embed"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
)

// mainLabel is the first label of the main site's host. No customer can have it.
const mainLabel = "app"

// An app is the application: the main site, and a site for each customer on a
// host of its own. One Authenticator serves them all.
type app struct {
	customers *customers
	auth      *core.Authenticator
	login     *httplogin.Login
	scheme    string // of all hosts
	domain    string // below which all hosts are, such as localhost:8080
	main      http.Handler
	site      http.Handler // of each customer
}

// newApp returns the application. It connects the table of customers with pixy
// in config. RedirectURL is the callback of the main site.
func newApp(config core.Config, table *customers, adminPassword string) (*app, error) {
	redirect, err := url.Parse(config.RedirectURL)
	if err != nil {
		return nil, err
	}
	domain, ok := strings.CutPrefix(redirect.Host, mainLabel+".")
	if !ok {
		return nil, errors.New("the host of RedirectURL does not begin with " + mainLabel + ".; the customers' hosts replace that label")
	}
	a := &app{customers: table, scheme: redirect.Scheme, domain: domain}
	config.Lookup.Find = table.find
	config.Lookup.Choose = a.choose
	config.Hosts.Approve = a.approve
	config.OnLogin = a.onLogin
	if a.auth, err = core.New(config); err != nil {
		return nil, err
	}
	a.login = httplogin.New(a.auth)

	main := http.NewServeMux()
	main.Handle("GET /{$}", a.login.LoadUser(http.HandlerFunc(a.home)))
	main.Handle("/me", a.login.RequireUser(http.HandlerFunc(a.me)))
	main.Handle("/admin", a.admin(adminPassword))
	main.Handle("/admin/", a.admin(adminPassword))
	a.main = main

	site := http.NewServeMux()
	site.HandleFunc("GET /{$}", a.customerHome)
	site.HandleFunc("/me", a.me)
	a.site = a.requireCustomer(site)
	return a, nil
}

// ServeHTTP serves all hosts. The login's routes are on each of them.
func (a *app) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case a.login.ServeLogin(w, r):
	case strings.EqualFold(r.Host, a.hostOf(mainLabel)):
		a.main.ServeHTTP(w, r)
	default:
		a.site.ServeHTTP(w, r)
	}
}

// hostOf returns the host of a customer.
func (a *app) hostOf(name string) string { return name + "." + a.domain }

// customerAt returns the name of the customer whose host this is, or an empty
// string. It does not know whether there is such a customer.
func (a *app) customerAt(host string) string {
	name, ok := strings.CutSuffix(strings.ToLower(host), "."+a.domain)
	if !ok || name == mainLabel {
		return ""
	}
	return name
}

// approve is Hosts.Approve: logins are on the hosts of the customers in the table.
func (a *app) approve(ctx context.Context, host string) (bool, error) {
	return a.customers.exists(ctx, a.customerAt(host))
}

// choose is Lookup.Choose. A customer's host logs in at the customer's provider,
// and at no other. On the main site, the user types an e-mail address or the name
// of the customer. Hosts tell anyone which customers exist, so the page may tell
// it, too. If that must stay secret, have no hosts with the customers' names, and
// set Lookup.SendLink.
func (a *app) choose(r *http.Request, typed string) (name string, err error) {
	if name := a.customerAt(r.Host); name != "" || typed == "" {
		return name, nil
	}
	return a.customers.of(r.Context(), typed)
}

// onLogin refuses a user whose customer was removed while the login ended. From now
// on, LogoutProvider ends the session, because it counts as begun.
func (a *app) onLogin(ctx context.Context, login *core.Login) error {
	found, err := a.customers.exists(ctx, login.Provider)
	if err != nil {
		return errDatabase(err)
	}
	if !found {
		return errors.New("the customer has been removed meanwhile")
	}
	return nil
}

// requireCustomer lets only the users of the host's own customer through.
// Sessions are good on their own host, and choose lets no other provider log in
// there. But the application must not depend on that: a customer may choose any
// subject and any e-mail address, so who a user is begins with User.Provider.
//
// It asks the table nothing. On an unknown host, there are no sessions, and the
// login is refused.
func (a *app) requireCustomer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		customer := a.customerAt(r.Host)
		own := core.Requirement{Allow: func(u *core.User) bool { return customer != "" && u.Provider == customer }}
		a.login.Require(own)(next).ServeHTTP(w, r)
	})
}

func (a *app) home(w http.ResponseWriter, r *http.Request) {
	user := httplogin.User(r)
	data := map[string]any{"User": user}
	if user != nil {
		data["Site"] = a.scheme + "://" + a.hostOf(user.Provider) + "/"
	}
	show(w, http.StatusOK, "home", data)
}

func (a *app) customerHome(w http.ResponseWriter, r *http.Request) {
	show(w, http.StatusOK, "customer", map[string]any{"User": httplogin.User(r), "Main": a.scheme + "://" + a.hostOf(mainLabel) + "/"})
}

func (a *app) me(w http.ResponseWriter, r *http.Request) {
	user := httplogin.User(r)
	w.Header().Add("Vary", "Accept")
	if !strings.Contains(r.Header.Get("Accept"), "application/json") {
		show(w, http.StatusOK, "me", user)
		return
	}
	var claims map[string]json.RawMessage
	if err := user.Claims(&claims); err != nil {
		http.Error(w, "your claims cannot be read", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"provider": user.Provider, "subject": user.Subject, "issuer": user.Issuer, "name": user.Name, "email": user.Email, "claims": claims,
	})
}

// show shows a page of one user, which caches must not keep.
func show(w http.ResponseWriter, status int, name string, data any) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		log.Print(err) // the browser may have disconnected
	}
}

//go:embed page.html
var pageHTML string

var pages = template.Must(template.New("page").Parse(pageHTML))
