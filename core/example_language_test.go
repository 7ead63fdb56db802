package core_test

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/pixyauth/pixy/core"
)

//go:embed testdata/de.json
var germanJSON []byte

func pagesInGerman() (core.PageConfig, error) {
	var german map[string]string
	err := json.Unmarshal(germanJSON, &german)
	return core.PageConfig{Language: func(r *http.Request) (string, map[string]string) {
		if strings.HasPrefix(r.Header.Get("Accept-Language"), "de") {
			return "de", german
		}
		return "en", nil
	}}, err
}

func ExamplePageConfig() {
	pages, err := pagesInGerman()
	if err != nil {
		fmt.Println(err)
		return
	}
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: "https://id.example.com", ClientID: "my-app"}},
		RedirectURL: "https://app.example.com/auth/callback",
		SessionKey:  []byte("thirty-two random bytes or more!"),
		Pages:       pages,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, accepted := range []string{"de-CH, en;q=0.5", "en"} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/me", nil)
		r.Header.Set("Accept-Language", accepted)
		auth.ServeError(w, r, core.ErrNoSession)
		var problem struct{ Detail string }
		_ = json.Unmarshal(w.Body.Bytes(), &problem)
		fmt.Println(problem.Detail)
	}
	// Output:
	// Bitte melden Sie sich an, um fortzufahren.
	// Please log in to continue.
}
