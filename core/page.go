package core

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"net/http"
)

// ServeError is the default answer to an error of this package: a plain page
// for a person and problem details (RFC 9457) for a program, both with the
// error's status, code, public text and reference. An error of another kind is
// a 500 with a public text of ours, and is logged. It writes the whole answer.
func (a *Authenticator) ServeError(w http.ResponseWriter, r *http.Request, err error) {
	if !errors.Is(err, ErrNoSession) {
		err = a.report(w, r, err)
	}
	failure := asError(err)
	noStore(w)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	contentType, body := "application/problem+json", problem(failure)
	if acceptsHTML(r) {
		w.Header().Set("Content-Security-Policy", pagePolicy)
		contentType, body = "text/html; charset=utf-8", page(failure, r)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(failure.Status)
	w.Write(body)
}

func problem(failure *Error) []byte {
	b, _ := json.Marshal(failure) // strings and a number: cannot fail
	return append(b, '\n')
}

// page is what a person reads. Everything that is not ours is escaped, and
// there is nothing that is not ours but the place to go on to.
func page(failure *Error, r *http.Request) []byte {
	again := failure.loginURL
	if again == "" && r.Method == http.MethodGet && failure.Status >= 500 {
		again = safeReturnTo(r.URL.RequestURI())
	}
	action := "Try again"
	if failure.Status == http.StatusUnauthorized {
		action = "Log in"
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, map[string]any{
		"Style":     template.CSS(pageStyle),
		"Title":     pageTitle(failure),
		"Text":      failure.Public,
		"Action":    action,
		"Again":     again,
		"Code":      failure.Code,
		"Reference": failure.Reference,
	})
	if err != nil {
		return []byte(template.HTMLEscapeString(failure.Public))
	}
	return b.Bytes()
}

func pageTitle(failure *Error) string {
	if errors.Is(failure, ErrCrossOrigin) {
		return "You were not logged out"
	}
	switch failure.Status {
	case http.StatusUnauthorized:
		return "Please log in"
	case http.StatusForbidden:
		return "Access denied"
	case http.StatusBadRequest, http.StatusBadGateway:
		return "You were not logged in"
	case http.StatusServiceUnavailable:
		return "Back in a moment"
	}
	return "That did not work"
}

// pagePolicy allows this page its own style and nothing else: no script, no
// image, no frame around it.
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
nav{display:flex;gap:1.25rem;align-items:center;flex-wrap:wrap}
a{color:var(--mark)}
a.main{padding:.6rem 1.2rem;border-radius:.5rem;background:var(--mark);color:var(--on-mark);text-decoration:none;font-weight:600}
a:focus-visible{outline:3px solid var(--mark);outline-offset:3px}
footer{margin-top:1.75rem;color:var(--soft);font-size:.875rem}
code{font-family:ui-monospace,monospace}
`

var pageTemplate = template.Must(template.New("error").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{{.Title}}</title>
<style>{{.Style}}</style>
</head>
<body>
<main>
<h1>{{.Title}}</h1>
<p>{{.Text}}</p>
<nav>{{with .Again}}<a class="main" href="{{.}}">{{$.Action}}</a>{{end}}<a href="/">Home</a></nav>
{{with .Reference}}<footer>If you ask for help, give this reference: <code>{{.}}</code> (<code>{{$.Code}}</code>)</footer>{{end}}
</main>
</body>
</html>
`))
