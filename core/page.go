package core

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"strings"

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
	// with that parameter, and with provider if there are several. It must be visible
	// without a session: a guard in front of it returns login_guarded. A login never ends
	// there. Step-ups, retries, and logins with further [LoginOptions] do not use it. Empty:
	// there is no such page.
	SignInPath string

	// Home is the path of this application where a login ends when no other page was
	// asked for, and where "Home" on our pages leads. Empty: "/", or BasePath and a
	// slash.
	Home string
}

// ServeError writes the default response for an error of this package: an HTML page for
// browsers, and problem details (RFC 9457) for other clients. Both have the error's
// status, code, public text and reference. For [ErrNoSession] and [ErrNoToken], they also
// have the login's URL. An error of another type is logged, and answered with a fixed
// public text: with status 503 if it wraps [ErrUnavailable], and 500 otherwise.
func (a *Authenticator) ServeError(w http.ResponseWriter, r *http.Request, err error) {
	failure := asError(a.report(w, r, err))
	if failure.loginURL == "" && errors.Is(failure, ErrNoSession) {
		failure.loginURL = a.loginURL(nil, a.pageOf(r))
	} else if failure.loginURL == "" && errors.Is(failure, ErrNoToken) && a.tokens.kept {
		failure.loginURL = a.loginURL(a.providerOf(r), a.pageOf(r))
	}
	if acceptsHTML(r) && failure.Code != provider.CodeLogoutToken { // which a provider reads
		servePage(w, failure.Status, page{title: pageTitle(failure), main: a.errorPage(failure, r)})
		return
	}
	body, _ := json.Marshal(failure) // strings and a number: cannot fail
	serve(w, failure.Status, "application/problem+json", append(body, '\n'))
}

// providerOf returns the provider of the request's user, or nil if it is unknown.
func (a *Authenticator) providerOf(r *http.Request) *registration {
	if mine := innermost(r.Context()).passed(a); mine != nil && mine.session != nil {
		return mine.session.registration
	}
	return nil
}

// errorPage returns the page's HTML below the title. Every text is escaped, even our own.
func (a *Authenticator) errorPage(failure *Error, r *http.Request) string {
	again := failure.loginURL
	if again == "" && r.Method == http.MethodGet && failure.Status >= 500 && !failure.operator {
		again = a.returnTo(a.requestedURL(r)) // Home for a callback, whose URL may contain a code
	}
	action := "Try again"
	if failure.Status == http.StatusUnauthorized || failure.operator {
		action = "Log in"
	}
	button, footer := "", ""
	if again != "" {
		button = `<a class="main" href="` + html.EscapeString(again) + `">` + action + `</a>`
	}
	if failure.Reference != "" {
		footer = `
<footer>If you ask for help, give this reference: <code>` + html.EscapeString(failure.Reference) +
			`</code> (<code>` + html.EscapeString(failure.Code) + `</code>)</footer>`
	}
	return "<p>" + html.EscapeString(failure.Public) + "</p>\n<nav>" + button + a.homeLink() + "</nav>" + footer
}

func (a *Authenticator) homeLink() string {
	return `<a href="` + html.EscapeString(a.config.Pages.Home) + `">Home</a>`
}

// serveChooser serves the page where the user chooses a provider.
func (a *Authenticator) serveChooser(t *turn, options LoginOptions) {
	options = a.forBrowser(t, options)
	var list strings.Builder
	for _, at := range a.registrations {
		list.WriteString("\n<li><a class=\"main\" href=\"" + html.EscapeString(a.loginURLWith(at, options)) + "\">" +
			html.EscapeString(at.config.Label) + "</a></li>")
	}
	servePage(t.w, http.StatusOK, page{title: "Log in with", main: "<ul>" + list.String() + "\n</ul>\n<nav>" + a.homeLink() + "</nav>"})
}

// A page is the part that differs between our pages: a title in plain text, and HTML.
type page struct{ title, head, main string }

// servePage writes a page. It does not use html/template, which would keep every exported
// method of a program alive, and add two megabytes to its binary.
func servePage(w http.ResponseWriter, status int, p page) {
	w.Header().Set("Content-Security-Policy", pagePolicy)
	serve(w, status, "text/html; charset=utf-8", []byte(strings.NewReplacer(
		"{style}", pageStyle,
		"{title}", html.EscapeString(p.title),
		"{head}", p.head,
		"{main}", p.main,
	).Replace(pageHTML)))
}

// serve writes a whole response.
func serve(w http.ResponseWriter, status int, contentType string, body []byte) {
	noStore(w)
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

// pagePolicy allows the page its own style and nothing else: no script, no image and no
// frame around it.
var pagePolicy = func() string {
	sum := sha256.Sum256([]byte(pageStyle))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

const pageStyle = `
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5a6473;--paper:#fff;--back:#eef1f5;--mark:#2456c7;--on-mark:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf2;--soft:#a3adbc;--paper:#1b212b;--back:#10141a;--mark:#9dbcff;--on-mark:#10141a}}
body{margin:0;min-height:100svh;display:grid;place-items:center;background:var(--back);color:var(--ink);font:1.0625rem/1.55 system-ui,sans-serif}
main{box-sizing:border-box;width:min(30rem,100% - 2rem);margin:1rem;padding:clamp(1.5rem,6vw,2.25rem);background:var(--paper);border-radius:.75rem;box-shadow:0 1px 2px #0002,0 8px 24px #0001;overflow-wrap:anywhere}
h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25;text-wrap:balance}
p{margin:0 0 1.5rem}
ul{margin:0 0 1.5rem;padding:0;list-style:none}
li{margin:0 0 .75rem}
li a.main{display:block;text-align:center}
nav{display:flex;gap:1.25rem;align-items:center;flex-wrap:wrap}
a{color:var(--mark)}
a.main{padding:.6rem 1.2rem;border-radius:.5rem;background:var(--mark);color:var(--on-mark);text-decoration:none;font-weight:600}
a:focus-visible{outline:3px solid var(--mark);outline-offset:3px}
footer{margin-top:1.75rem;color:var(--soft);font-size:.875rem}
code{font-family:ui-monospace,monospace}
`

const pageHTML = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>{style}</style>
{head}
</head>
<body>
<main>
<h1>{title}</h1>
{main}
</main>
</body>
</html>
`
