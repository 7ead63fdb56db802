package main

import (
	"context"
	"html/template"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/examples/devprovider"
)

// customers returns the lookup of the customer acme, or none.
func customers(redirectURL string) core.LookupConfig {
	mode := os.Getenv("CUSTOMERS")
	if mode == "" {
		return core.LookupConfig{}
	}
	acme := &core.Provider{Name: "acme"}
	acme.Issuer, acme.ClientID = devprovider.Start(redirectURL+"/acme", "/auth/logout")
	lookup := core.LookupConfig{
		AnyAddress: true, // the provider is on this machine
		Find: func(_ context.Context, name string) (*core.Provider, error) {
			if name == acme.Name {
				return acme, nil
			}
			return nil, nil
		},
		Choose: func(_ *http.Request, typed string) (string, error) {
			if strings.HasSuffix(strings.ToLower(typed), "@acme.example") {
				return acme.Name, nil
			}
			return "", nil
		},
	}
	if mode == "mail" {
		lookup.SendLink = func(_ context.Context, _, link string) error {
			sent.Store(&link)
			return nil
		}
	}
	return lookup
}

var sent atomic.Pointer[string] // the last link

var mail = template.Must(template.New("mail").Parse(`<!doctype html>
<html lang="en">
<title>mail</title>
{{if .}}<a href="{{.}}">Your link</a>{{else}}<p>No mail</p>{{end}}
</html>
`))

func inbox(w http.ResponseWriter, _ *http.Request) { _ = mail.Execute(w, sent.Load()) }
