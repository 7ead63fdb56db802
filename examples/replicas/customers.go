package main

import (
	"context"
	"encoding/json"
	"os"

	"github.com/pixyauth/pixy/core"
)

// customers finds the providers of customers in a JSON file that all replicas read. In your
// own application, read a table of the database. The file is read at each login, so
// customers come, change and go while the replicas run. anyAddress allows providers in the
// application's own network.
func customers(file string, anyAddress bool) core.LookupConfig {
	if file == "" {
		return core.LookupConfig{}
	}
	return core.LookupConfig{AnyAddress: anyAddress, Find: func(_ context.Context, name string) (*core.Provider, error) {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var table map[string]struct{ Issuer, ClientID, ClientSecret string } // a customer chooses these fields, and no others
		if err := json.Unmarshal(text, &table); err != nil {
			return nil, err
		}
		customer, ok := table[name]
		if !ok {
			return nil, nil
		}
		return &core.Provider{Issuer: customer.Issuer, ClientID: customer.ClientID, ClientSecret: customer.ClientSecret}, nil
	}}
}
