package core

import (
	"cmp"
	"html"
	"net/http"
	"strings"

	"github.com/pixyauth/pixy/core/internal/page"
)

// serveChooser serves the page where the user chooses a provider: by what they type, if
// Lookup.Choose is set, or from the list. The text says what was wrong; it may be empty.
func (a *Authenticator) serveChooser(t *turn, options LoginOptions, text string) {
	language := a.languageOf(t.r)
	options = a.forBrowser(t, options)
	shown := page.Page{Title: language.Say("Log in with"), Head: turboReload}
	class := "main"
	if a.config.Lookup.Choose != nil {
		shown.Title, shown.Form, class = language.Say("Log in"), true, "other"
		shown.Main = a.customerForm(t, options, language, text)
		if len(a.registrations) > 0 {
			shown.Main += "\n<h2>" + language.HTML("Or log in with") + "</h2>"
		}
	}
	if len(a.registrations) > 0 {
		shown.Main += a.providerList(t.r, options, class)
	}
	shown.Main += "\n<nav>" + a.homeLink(language) + "</nav>"
	a.servePage(t.w, http.StatusOK, language, shown)
}

// providerList returns links to the listed providers.
func (a *Authenticator) providerList(r *http.Request, options LoginOptions, class string) string {
	var list strings.Builder
	for _, at := range a.registrations {
		list.WriteString("\n<li dir=\"auto\"><a class=\"" + class + "\" href=\"" + html.EscapeString(a.loginURLWith(r, at, options)) + "\">" +
			html.EscapeString(at.config.Label) + "</a></li>")
	}
	return "<ul>" + list.String() + "\n</ul>"
}

// customerForm returns the form where users type who they are.
func (a *Authenticator) customerForm(t *turn, options LoginOptions, language page.Language, text string) string {
	label := language.HTML("E-mail address or organization")
	if a.config.Lookup.SendLink != nil {
		label = language.HTML("E-mail address")
	}
	said, more := "", ""
	if text != "" {
		said = `<p id="said" role="alert">` + html.EscapeString(text) + "</p>\n"
		more = ` aria-describedby="said" aria-invalid="true"`
	}
	hidden, query := "", a.loginQuery(t.r, "", options)
	for _, name := range []string{"return_to", "with"} {
		if value := query.Get(name); value != "" {
			hidden += "\n<input type=\"hidden\" name=\"" + name + `" value="` + html.EscapeString(value) + `">`
		}
	}
	typed := cmp.Or(t.typed, options.AuthParams.Get("login_hint"))
	return said + `<form class="ask" method="post" action="` + html.EscapeString(a.config.Pages.LoginPath) + `">
<label for="customer">` + label + `</label>
<input id="customer" name="` + customerParam + `" value="` + html.EscapeString(typed) + `" dir="auto" inputmode="email" autocomplete="username" autocapitalize="none" spellcheck="false" maxlength="256" required autofocus` + more + ">" + hidden + `
<button class="main">` + language.HTML("Continue") + "</button>\n</form>"
}

// serveLinkSent serves the page after a link was sent, or not.
func (a *Authenticator) serveLinkSent(t *turn, options LoginOptions) {
	language := a.languageOf(t.r)
	a.servePage(t.w, http.StatusOK, language, page.Page{
		Title: language.Say("Check your e-mail"),
		Head:  turboReload,
		Main: "<p>" + language.HTML("If there is a login for your e-mail address, we have sent you a link. Open it to log in. If nothing arrives, check the address, and try again.") + "</p>\n" +
			`<nav><a class="main" href="` + html.EscapeString(a.loginURLWith(t.r, nil, options)) + `">` + language.HTML("Try again") + "</a>" + a.homeLink(language) + "</nav>",
	})
}
