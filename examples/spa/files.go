package main

import (
	"embed"
	"net/http"
	"strings"

	"github.com/pixyauth/pixy/adapters/httplogin"
)

//go:embed index.html app.js style.css icon.svg
var files embed.FS

// policy lets the page load and call only what is on its own origin. No script
// or style can be within the page, so text that becomes HTML by a mistake cannot
// run (Content Security Policy Level 3).
const policy = "default-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// file serves one of the files, to everybody: they are the same for all users.
func file(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		http.ServeFileFS(w, r, files, name)
	})
}

// me is both a view, which needs a login before the page loads, and its data.
func me(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
	if !strings.Contains(r.Header.Get("Accept"), "application/json") {
		file("index.html").ServeHTTP(w, r)
		return
	}
	user := httplogin.User(r)
	claims, err := claimsOf(user)
	if err != nil {
		http.Error(w, "your claims cannot be read", http.StatusInternalServerError)
		return
	}
	answer(w, map[string]any{
		"subject": user.Subject, "issuer": user.Issuer, "name": user.Name, "email": user.Email, "claims": claims,
	})
}
