package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/pixyauth/pixy/core"
)

// admin returns the administrators' pages. One password for all of them is for
// trying this out. In production, let them log in like other users: list your own
// provider in Config.Providers, and guard these pages by login.Require with an
// Allow that compares User.Provider and a list of administrators.
func (a *app) admin(password string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin", a.listCustomers)
	mux.HandleFunc("GET /admin/new", a.newCustomer)
	mux.HandleFunc("POST /admin/add", a.addCustomer)
	mux.HandleFunc("POST /admin/secret", a.replaceSecret)
	mux.HandleFunc("POST /admin/remove", a.removeCustomer)
	want := sha256.Sum256([]byte(password))
	asked := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, typed, _ := r.BasicAuth()
		if got := sha256.Sum256([]byte(typed)); subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="administration", charset="UTF-8"`)
			http.Error(w, "The program prints the administrator's password when it starts.", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
	// The browser sends the password with each request, also with a form that
	// another site posts.
	return http.NewCrossOriginProtection().Handler(asked)
}

func (a *app) listCustomers(w http.ResponseWriter, r *http.Request) {
	all, err := a.customers.all(r.Context())
	if err != nil {
		a.auth.ServeError(w, r, errDatabase(err))
		return
	}
	show(w, http.StatusOK, "admin", map[string]any{"Customers": all, "Scheme": a.scheme, "Domain": a.domain})
}

// newCustomer shows what the customer has to register with the provider. It
// changes nothing. The customer then knows the client ID and the secret.
func (a *app) newCustomer(w http.ResponseWriter, r *http.Request) {
	a.showNew(w, r, typedCustomer(r), nil)
}

// addCustomer adds a customer, if the provider answers. The first login shows
// whether client ID and secret are right.
func (a *app) addCustomer(w http.ResponseWriter, r *http.Request) {
	c := typedCustomer(r)
	err := a.customers.add(r.Context(), c, r.PostFormValue("secret"))
	if err == nil {
		if err = a.auth.Discover(r.Context(), c.Name); err != nil {
			err = errors.Join(err, a.customers.remove(r.Context(), c.Name))
		}
	}
	if err != nil {
		a.showNew(w, r, c, err)
		return
	}
	http.Redirect(w, r, "/admin", http.StatusSeeOther)
}

// replaceSecret replaces a customer's secret. The next login uses it.
func (a *app) replaceSecret(w http.ResponseWriter, r *http.Request) {
	a.finish(w, r, a.customers.setSecret(r.Context(), r.PostFormValue("name"), r.PostFormValue("secret")))
}

// removeCustomer removes a customer, and then ends the sessions of its users. In
// this order, and with onLogin, no login of the customer slips through.
func (a *app) removeCustomer(w http.ResponseWriter, r *http.Request) {
	name := r.PostFormValue("name")
	err := a.customers.remove(r.Context(), name)
	if err == nil {
		err = a.auth.LogoutProvider(r.Context(), name)
	}
	a.finish(w, r, err)
}

func (a *app) finish(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		a.auth.ServeError(w, r, errDatabase(err))
		return
	}
	http.Redirect(w, r, "/admin", http.StatusSeeOther)
}

func (a *app) showNew(w http.ResponseWriter, r *http.Request, c customer, problem error) {
	registration, err := a.auth.RegistrationFor(c.provider(""), a.hostOf(mainLabel), a.hostOf(c.Name))
	problem = errors.Join(problem, err)
	status, data := http.StatusOK, map[string]any{"Customer": c, "Registration": registration, "Host": a.hostOf(c.Name)}
	if problem != nil {
		status, data["Problem"] = http.StatusUnprocessableEntity, problem
	}
	show(w, status, "new", data)
}

func typedCustomer(r *http.Request) customer {
	value := func(name string) string { return strings.TrimSpace(r.FormValue(name)) }
	return customer{
		Name: strings.ToLower(value("name")), Issuer: value("issuer"), ClientID: value("client_id"), Domains: value("domains"),
	}
}

// errDatabase returns the error of a request whose query failed.
func errDatabase(err error) error {
	return &core.Error{
		Status: http.StatusServiceUnavailable, Code: "database_unavailable",
		Public: "We cannot reach our database. Please try again in a moment.",
		Err:    fmt.Errorf("%w: %w", core.ErrUnavailable, err),
	}
}
