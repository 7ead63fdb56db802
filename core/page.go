package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"strings"

	"github.com/pixyauth/pixy/core/internal/page"
	"github.com/pixyauth/pixy/core/internal/provider"
)

// PageConfig configures the login route, our own pages, and those of the application
// that belong to the login.
type PageConfig struct {
	// LoginPath is the route that begins a login. Empty: "login" beside the
	// callback, such as /auth/login.
	LoginPath string

	// SignInPath is the path of the application's own sign-in page, such as /signin.
	// Anonymous requests are led there instead of to the provider or to our page where the
	// user chooses one, with the query parameter return_to. The page links to LoginPath,
	// with that parameter, and with provider if there are several. With
	// [LookupConfig.Choose], it may post a form there. It must be visible
	// without a session: a guard in front of it returns login_guarded. A login never ends
	// there. Step-ups, retries, and logins with further [LoginOptions] do not use it. Empty:
	// there is no such page.
	SignInPath string

	// Home is the path of this application where a login ends when no other page was
	// asked for, and where "Home" on our pages leads. Empty: "/", or BasePath and a
	// slash.
	Home string

	// AppName is the application's name, which our pages show: at most 64 printable
	// characters. Empty: our pages name no application.
	AppName string

	// Language returns the language of our pages and problem documents for a request: a
	// language tag, such as de, and translations by English sentence. The guide lists all
	// sentences. It may have more, such as the Public texts of your own errors. A sentence
	// without a translation stays English. An invalid tag, no translations and a panic
	// mean English; the panic is logged at Warn. ErrorHandlers of adapters get the English
	// text, as [Error.Public] always is. It must be safe for concurrent use, and the
	// translations must not change. Nil: English.
	Language func(*http.Request) (tag string, texts map[string]string)
}

// ServeError writes the default response for an error of this package: an HTML page for
// browsers, and problem details (RFC 9457) for other clients. Both have the error's
// status, code, public text and reference. For [ErrNoSession] and [ErrNoToken], they also
// have the login's URL. An error of another type is logged, and answered with a fixed
// public text: with status 503 if it wraps [ErrUnavailable], and 500 otherwise.
func (a *Authenticator) ServeError(w http.ResponseWriter, r *http.Request, err error) {
	failure := asError(a.report(w, r, err))
	if failure.loginURL == "" && errors.Is(failure, ErrNoSession) {
		failure.loginURL = a.loginURL(r, nil, a.pageOf(r))
	} else if failure.loginURL == "" && errors.Is(failure, ErrNoToken) && a.tokens.kept {
		failure.loginURL = a.loginURLAt(r, a.providerOf(r), LoginOptions{ReturnTo: a.pageOf(r)})
	}
	language := a.languageOf(r)
	failure.Public = publicText(failure, language)
	if acceptsHTML(r) && failure.Code != provider.CodeLogoutToken { // which a provider reads
		shown := page.Page{Title: language.Say(pageTitle(failure)), Main: a.errorPage(failure, r, language)}
		if r.Header.Get("Turbo-Frame") != "" {
			shown.Head = turboReload // instead of an empty frame
		}
		a.servePage(w, failure.Status, language, shown)
		return
	}
	a.tellLanguage(w, language)
	body, _ := json.Marshal(failure) // strings and a number: cannot fail
	serve(w, failure.Status, "application/problem+json", append(body, '\n'))
}

// providerOf returns the name of the provider of the request's user, or "" if it is unknown.
func (a *Authenticator) providerOf(r *http.Request) string {
	if mine := innermost(r.Context()).passed(a); mine != nil && mine.session != nil {
		return mine.session.user.Provider
	}
	return ""
}

// errorPage returns the page's HTML below the title. Every text is escaped, even our own.
func (a *Authenticator) errorPage(failure *Error, r *http.Request, language page.Language) string {
	again := failure.loginURL
	if again == "" && r.Method == http.MethodGet && failure.Status >= 500 && !failure.operator {
		again = a.returnTo(a.requestedURL(r)) // Home for a callback, whose URL may contain a code
	}
	action := language.HTML("Try again")
	if failure.Status == http.StatusUnauthorized || failure.operator {
		action = language.HTML("Log in")
	}
	button, footer := "", ""
	if again != "" {
		button = `<a class="main" href="` + html.EscapeString(again) + `">` + action + `</a>`
	}
	if failure.Reference != "" {
		footer = `
<footer>` + language.HTML("If you ask for help, give this reference:") + ` <code>` + html.EscapeString(failure.Reference) +
			`</code> (<code>` + html.EscapeString(failure.Code) + `</code>)</footer>`
	}
	return "<p>" + html.EscapeString(failure.Public) + "</p>\n<nav>" + button + a.homeLink(language) + "</nav>" + footer
}

func (a *Authenticator) homeLink(language page.Language) string {
	return `<a href="` + html.EscapeString(a.config.Pages.Home) + `">` + language.HTML("Home") + `</a>`
}

// serveOneMoment serves a page that opens to, a URL of this application. The text may be
// empty.
func (a *Authenticator) serveOneMoment(w http.ResponseWriter, r *http.Request, text, to string) {
	language := a.languageOf(r)
	to = html.EscapeString(to)
	if text != "" {
		text = "<p>" + html.EscapeString(text) + "</p>\n"
	}
	a.servePage(w, http.StatusOK, language, page.Page{
		Title: language.Say("One moment"),
		Head:  turboReload + "\n" + `<meta http-equiv="refresh" content="0;url=` + to + `">`,
		Main:  text + `<nav><a class="main" href="` + to + `">` + language.HTML("Continue") + "</a></nav>",
	})
}

// serveLogoutPage serves the page of the logout. It asks a user whether to log out.
func (a *Authenticator) serveLogoutPage(w http.ResponseWriter, r *http.Request, user bool) {
	language := a.languageOf(r)
	shown := page.Page{Title: language.Say("You are logged out"), Head: turboReload,
		Main: `<nav><a class="main" href="` + html.EscapeString(a.loginURL(r, nil, "")) + `">` + language.HTML("Log in") + "</a>" + a.homeLink(language) + "</nav>"}
	if user {
		shown.Title, shown.Form = language.Say("Log out?"), true
		shown.Main = `<form method="post" action="` + html.EscapeString(a.config.Logout.Path) + `"><button class="main">` + language.HTML("Log out") + "</button>" + a.homeLink(language) + "</form>"
	}
	a.servePage(w, http.StatusOK, language, shown)
}

// turboReload makes Turbo load a page in full, instead of showing it within the page
// before, whose Content Security Policy may not allow our style.
const turboReload = `<meta name="turbo-visit-control" content="reload">`

// servePage writes a page.
func (a *Authenticator) servePage(w http.ResponseWriter, status int, language page.Language, p page.Page) {
	noStore(w)
	if p.Form {
		w.Header().Set("Referrer-Policy", "same-origin") // or browsers send the form with Origin: null
	}
	w.Header().Set("Content-Security-Policy", p.Policy())
	a.tellLanguage(w, language)
	write(w, status, "text/html; charset=utf-8", p.Render(language, a.config.Pages.AppName))
}

// languageOf returns the language of the response to r.
func (a *Authenticator) languageOf(r *http.Request) (language page.Language) {
	if a.config.Pages.Language == nil {
		return page.English
	}
	defer func() {
		if cause := recover(); cause != nil {
			a.config.Logger.LogAttrs(r.Context(), slog.LevelWarn, "pixy: Pages.Language panicked, so the response is in English",
				slog.String("error", fmt.Sprint(cause)))
			language = page.English
		}
	}()
	return page.NewLanguage(a.config.Pages.Language(r))
}

// tellLanguage sets the language of a response, if it depends on the request.
func (a *Authenticator) tellLanguage(w http.ResponseWriter, language page.Language) {
	if a.config.Pages.Language != nil {
		w.Header().Set("Content-Language", language.Tag)
	}
}

// publicText returns an error's public text in a language.
func publicText(failure *Error, language page.Language) string {
	if text, lost := strings.CutSuffix(failure.Public, " "+lostInput); lost {
		return language.Say(text) + " " + language.Say(lostInput)
	}
	return language.Say(failure.Public)
}

// serve writes a whole response that must not be cached.
func serve(w http.ResponseWriter, status int, contentType string, body []byte) {
	noStore(w)
	write(w, status, contentType, body)
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write(body)
}

func pageTitle(failure *Error) string {
	switch failure.Code {
	case "cross_origin_logout":
		return "You were not logged out"
	case codeSessionLost:
		return "Your login did not last"
	case codeCancelled, "provider_refused", provider.CodeGrantRefused:
		return "You were not logged in"
	}
	switch failure.Status {
	case http.StatusUnauthorized:
		return "Please log in"
	case http.StatusForbidden:
		return "Access denied"
	case http.StatusBadRequest, http.StatusBadGateway:
		return "You were not logged in"
	case http.StatusServiceUnavailable:
		return "Temporarily unavailable"
	}
	return "That did not work"
}
