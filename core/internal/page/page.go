package page

import (
	"crypto/sha256"
	"encoding/base64"
	"html"
	"strings"
)

// A Page is the part that differs between pages.
type Page struct {
	Title      string // plain text
	Head, Main string // HTML
	Form       bool   // has a form of this application
}

// Render returns the whole page. The name of the application may be empty. Its direction
// is that of its title: names in bdi elements, or with a direction of their own, do not
// count. A sentence that is not translated keeps its own direction. Render does not use html/template, which would keep every exported method of a
// program alive, and add two megabytes to its binary.
func (p Page) Render(language Language, app string) []byte {
	of, header := "", ""
	if app != "" {
		app = html.EscapeString(app)
		of, header = " · "+app, "\n<p class=\"app\"><bdi>"+app+"</bdi></p>"
	}
	return []byte(strings.NewReplacer(
		"{lang}", html.EscapeString(language.Tag),
		"{style}", style,
		"{title}", html.EscapeString(p.Title),
		"{of}", of,
		"{app}", header,
		"{head}", p.Head,
		"{main}", p.Main,
	).Replace(frame))
}

// Policy returns the page's Content Security Policy. It allows a page its own style, its
// form, and nothing else: no script, no image and no frame around it.
func (p Page) Policy() string {
	if p.Form {
		return strings.Replace(policy, "form-action 'none'", "form-action 'self'", 1)
	}
	return policy
}

var policy = func() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

const style = `
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5a6473;--paper:#fff;--back:#eef1f5;--mark:#2456c7;--on-mark:#fff}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf2;--soft:#a3adbc;--paper:#1b212b;--back:#10141a;--mark:#9dbcff;--on-mark:#10141a}}
body{margin:0;min-height:100svh;display:grid;place-items:center;background:var(--back);color:var(--ink);font:1.0625rem/1.55 system-ui,sans-serif}
main{box-sizing:border-box;width:min(30rem,100% - 2rem);margin:1rem;padding:clamp(1.5rem,6vw,2.25rem);background:var(--paper);border-radius:.75rem;box-shadow:0 1px 2px #0002,0 8px 24px #0001;overflow-wrap:anywhere}
h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25;text-wrap:balance}
h2{margin:2rem 0 .75rem;color:var(--soft);font-size:1rem}
p{margin:0 0 1.5rem}
p.app{margin:0 0 1rem;color:var(--soft);font-weight:600}
ul{margin:0 0 1.5rem;padding:0;list-style:none}
li{margin:0 0 .75rem}
li a{display:block;text-align:center}
h1+nav,h1+form{margin-top:1.25rem}
nav,form{display:flex;gap:1.25rem;align-items:center;flex-wrap:wrap}
form.ask{flex-direction:column;align-items:stretch;gap:.5rem;margin-bottom:1.5rem}
form.ask .main{margin-top:.75rem}
label{font-weight:600}
p[role=alert]{padding-inline-start:.75rem;border-inline-start:4px solid var(--mark)}
input{box-sizing:border-box;width:100%;padding:.6rem .8rem;border:1px solid var(--soft);border-radius:.5rem;background:var(--paper);color:inherit;font:inherit}
a{color:var(--mark)}
.main,.other{padding:.6rem 1.2rem;border:1px solid var(--mark);border-radius:.5rem;background:var(--mark);color:var(--on-mark);font:inherit;font-weight:600;text-decoration:none;cursor:pointer}
.other{background:none;color:var(--mark)}
:focus-visible{outline:3px solid var(--mark);outline-offset:3px}
footer{margin-top:1.75rem;color:var(--soft);font-size:.875rem}
h1,h2,label,p:not(.app),footer{unicode-bidi:plaintext}
code{font-family:ui-monospace,monospace;direction:ltr;unicode-bidi:isolate}
`

const frame = `<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}{of}</title>
<style>{style}</style>
{head}
</head>
<body dir="auto">
<main>{app}
<h1>{title}</h1>
{main}
</main>
</body>
</html>
`
