package core_test

import (
	"context"
	"fmt"
	"time"

	"github.com/pixyauth/pixy/core"
)

type person struct {
	ID  string
	New bool
}

type people map[string]person

func (p people) For(_ context.Context, user *core.User) (person, error) { return p[user.Key()], nil }

// OnLogin keeps the id of the account in the session, and decides how a login ends.
func ExampleLogin() {
	accounts := people{"https://id.example.com ada": {ID: "7", New: true}}
	config := core.Config{
		OnLogin: func(ctx context.Context, login *core.Login) error {
			account, err := accounts.For(ctx, login.User) // creates it at the first login
			if err != nil {
				return fmt.Errorf("%w: %w", core.ErrUnavailable, err)
			}
			login.Data = account.ID // core.UserFromContext(ctx).Data in every later request
			if account.New {
				login.ReturnTo = "/welcome"
			}
			if login.Provider == "Guests" {
				login.Lifetime, login.EndsWithBrowser = time.Hour, true
			}
			return nil
		},
	}
	login := &core.Login{User: &core.User{Issuer: "https://id.example.com", Subject: "ada"}, Provider: "Guests", ReturnTo: "/me"}
	fmt.Println(config.OnLogin(context.Background(), login), login.Data, login.ReturnTo, login.Lifetime)
	// Output: <nil> 7 /welcome 1h0m0s
}
