package core_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/pixyauth/pixy/core"
)

// Customers are in a table of the application.
func ExampleLookupConfig() {
	var db *sql.DB // of the application

	auth, err := core.New(core.Config{
		Lookup: core.LookupConfig{
			Find: func(ctx context.Context, name string) (*core.Provider, error) {
				p := &core.Provider{Name: name}
				err := db.QueryRowContext(ctx, "SELECT issuer, client_id, client_secret FROM customers WHERE name = $1", name).
					Scan(&p.Issuer, &p.ClientID, &p.ClientSecret)
				if errors.Is(err, sql.ErrNoRows) {
					return nil, nil // there is no such customer
				}
				return p, err // an error means that the table is unavailable
			},
		},
		RedirectURL: "https://app.example.com/auth/callback",
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = auth
}

// A page where an administrator adds a customer shows what to register with the customer's
// provider, and tries the provider before it is saved.
func ExampleAuthenticator_RegistrationFor() {
	var auth *core.Authenticator // from core.New

	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/customers/new", func(w http.ResponseWriter, r *http.Request) {
		registration, err := auth.RegistrationFor(core.Provider{
			Name: r.FormValue("name"), Issuer: r.FormValue("issuer"), // ClientID comes with the registration
		})
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnprocessableEntity) // all mistakes at once
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = fmt.Fprint(w, registration) // the URIs to register, by their names; or show its fields
	})
	mux.HandleFunc("POST /admin/customers/{name}/test", func(w http.ResponseWriter, r *http.Request) {
		if err := auth.Discover(r.Context(), r.PathValue("name")); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		_, _ = fmt.Fprint(w, "The provider answers.")
	})
}
