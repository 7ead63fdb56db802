package core_test

import (
	"context"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/pixyauth/pixy/core"
)

// directory is the application's table.
var directory customersTable

type customersTable struct{}

func (customersTable) Provider(context.Context, string) (*core.Provider, error) { return nil, nil }

func (customersTable) NameByHost(context.Context, string) (string, error) { return "", nil }

func (customersTable) NameByDomain(context.Context, string) (string, error) { return "", nil }

// mails is the application's queue.
var mails mailQueue

type mailQueue struct{}

func (mailQueue) Enqueue(context.Context, string, string) error { return nil }

// A customer is found by the host, or by what the user types.
func ExampleLookupConfig_choose() {
	config := core.Config{
		RedirectURL: "https://app.example.com/auth/callback",
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
		Lookup: core.LookupConfig{
			Find: directory.Provider,
			Choose: func(r *http.Request, typed string) (string, error) {
				if typed == "" { // at the beginning: the request may say it already
					return directory.NameByHost(r.Context(), r.Host)
				}
				_, domain, _ := strings.Cut(typed, "@")
				return directory.NameByDomain(r.Context(), strings.ToLower(domain))
			},
		},
	}
	auth, err := core.New(config)
	if err != nil {
		log.Fatal(err)
	}
	_ = auth
}

// A link is sent, so that the page tells nobody which customers exist.
func ExampleLookupConfig_sendLink() {
	_ = core.LookupConfig{
		SendLink: func(ctx context.Context, typed, link string) error { return mails.Enqueue(ctx, typed, link) },
	}
}
