package devprovider

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/pixyauth/pixy/core/logintest"
)

//go:embed page.html
var pageHTML string

var pages = template.Must(template.New("page").Parse(pageHTML))

// show writes a page.
func show(w http.ResponseWriter, status int, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		log.Print(err) // the browser may have disconnected
	}
}

// showMessage shows a page of the provider, which has escaped its body.
func showMessage(w http.ResponseWriter, status int, title, body string) {
	show(w, status, "message", map[string]any{"Title": title, "Body": template.HTML(body)})
}

// describe returns what the form shows about a user.
func describe(user logintest.User) (title, detail string) {
	name, _ := user.Claims["name"].(string)
	email, _ := user.Claims["email"].(string)
	title = cmp.Or(name, email, user.Subject)
	details := []string{cmp.Or(email, user.Subject)}
	for _, claim := range slices.Sorted(maps.Keys(user.Claims)) {
		switch claim {
		case "name", "given_name", "family_name", "email", "picture":
			continue
		case "email_verified":
			if user.Claims[claim] == true {
				continue
			}
		}
		details = append(details, claim+": "+inWords(user.Claims[claim]))
	}
	if len(user.ACR) > 0 {
		details = append(details, "acr: "+strings.Join(user.ACR, ", "))
	}
	return title, strings.Join(details, " · ")
}

// inWords returns a claim for the eye, at most some words of it.
func inWords(claim any) string {
	var text string
	switch claim := claim.(type) {
	case string:
		text = claim
	case []any:
		var elements []string
		for _, element := range claim[:min(len(claim), 10)] {
			elements = append(elements, fmt.Sprint(element))
		}
		text = strings.Join(elements, ", ")
	default:
		encoded, _ := json.Marshal(claim) // it was JSON
		text = string(encoded)
	}
	const most = 60
	if letters := []rune(text); len(letters) > most {
		text = string(letters[:most]) + "…"
	}
	return text
}
