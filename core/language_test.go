package core_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
)

// german has all sentences of our pages and problem documents, with translations.
func german(t *testing.T) (texts map[string]string) {
	t.Helper()
	file, err := os.ReadFile("testdata/de.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(file, &texts); err != nil {
		t.Fatal(err)
	}
	return texts
}

func inGerman(t *testing.T) func(*core.Config) {
	texts := german(t)
	return func(c *core.Config) {
		c.Pages.Language = func(*http.Request) (string, map[string]string) { return "de", texts }
	}
}

// The list of sentences is complete, so that a translator can rely on it: it has every
// sentence of the source, and no other. The guide has the same.
func TestSentencesAreListed(t *testing.T) {
	t.Parallel()
	texts, shown := german(t), sentences(t)
	for sentence := range shown {
		if texts[sentence] == "" {
			t.Errorf("testdata/de.json has no translation of %q", sentence)
		}
	}
	guide, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for english, translation := range texts {
		if !shown[english] {
			t.Errorf("no page shows %q", english)
		}
		if !strings.Contains(string(guide), "\n| "+english+" | "+translation+" |\n") {
			t.Errorf("README.md has no row for %q", english)
		}
	}
}

// sentences returns the texts in the source that users may see.
func sentences(t *testing.T) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	constants := make(map[string]string)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Names) == len(spec.Values) {
				for i, name := range spec.Names {
					if text, ok := literal(spec.Values[i]); ok {
						constants[name.Name] = text
					}
				}
			}
			return true
		})
	}
	found := make(map[string]bool)
	add := func(from ast.Expr) {
		ast.Inspect(from, func(n ast.Node) bool {
			text, ok := literal(n)
			if name, isName := n.(*ast.Ident); isName {
				text, ok = constants[name.Name], constants[name.Name] != ""
			}
			if text = strings.TrimSpace(text); ok && text != "" {
				found[text] = true
			}
			return true
		})
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if key, ok := n.Key.(*ast.Ident); ok && (key.Name == "public" || key.Name == "Public") {
					add(n.Value)
				}
			case *ast.AssignStmt:
				for i, to := range n.Lhs {
					if field, ok := to.(*ast.SelectorExpr); ok && field.Sel.Name == "Public" {
						if _, isCall := n.Rhs[i].(*ast.CallExpr); !isCall {
							add(n.Rhs[i])
						}
					}
				}
			case *ast.CallExpr:
				if method, ok := n.Fun.(*ast.SelectorExpr); ok && (method.Sel.Name == "Say" || method.Sel.Name == "HTML") {
					for _, arg := range n.Args {
						if _, isCall := arg.(*ast.CallExpr); !isCall {
							add(arg)
						}
					}
				}
			case *ast.FuncDecl:
				if n.Name.Name == "pageTitle" {
					ast.Inspect(n, func(n ast.Node) bool {
						if returned, ok := n.(*ast.ReturnStmt); ok {
							add(returned.Results[0])
						}
						return true
					})
				}
			}
			return true
		})
	}
	return found
}

// marked translates all sentences of the list so that they are recognized.
func marked(t *testing.T) func(*core.Config) {
	texts := make(map[string]string)
	for sentence := range german(t) {
		texts[sentence] = "«" + sentence + "»"
	}
	return func(c *core.Config) {
		c.Pages.Language = func(*http.Request) (string, map[string]string) { return "de-CH", texts }
	}
}

var (
	invisible = regexp.MustCompile(`(?s)<style>.*</style>|<code>[^<]*</code>|<[^>]*>`)
	mark      = regexp.MustCompile(`«[^»]*»`)
)

// unmarked returns what a page shows beside translations.
func unmarked(page string) string {
	return strings.TrimSpace(mark.ReplaceAllString(html.UnescapeString(invisible.ReplaceAllString(page, "\n")), ""))
}

// Every page, and every problem document, is translated as a whole.
func TestEveryPageIsTranslated(t *testing.T) {
	t.Parallel()
	for _, code := range core.Codes() {
		t.Run(code, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, marked(t))
			for _, method := range []string{"GET", "POST"} {
				r, w := httptest.NewRequest(method, "/me", nil), httptest.NewRecorder()
				r.Header.Set("Accept", "text/html")
				err := error(core.Fail(code))
				if code == "login_required" {
					err = g.auth.Challenge(w, r, err) // with the form's loss
				}
				if err == nil {
					continue
				}
				g.auth.ServeError(w, r, err)
				got := strings.Trim(unmarked(w.Body.String()), "()\n ")
				if code == "logout_token_untrusted" {
					got = ""
				}
				if got != "" || !strings.Contains(w.Body.String(), "«") || w.Header().Get("Content-Language") != "de-CH" {
					t.Errorf("%s: not translated: %q in\n%s", method, got, w.Body)
				}
				if code != "logout_token_untrusted" && !strings.Contains(w.Body.String(), `<html lang="de-CH">`) {
					t.Errorf("the page has another language: %s", w.Body)
				}
			}
			r, w := httptest.NewRequest("GET", "/me", nil), httptest.NewRecorder()
			g.auth.ServeError(w, r, core.Fail(code))
			var problem struct{ Detail string }
			if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil || mark.ReplaceAllString(problem.Detail, "") != "" || w.Header().Get("Content-Language") != "de-CH" {
				t.Errorf("the problem is not translated: %s", w.Body)
			}
		})
	}
}

func TestTheOtherPagesAreTranslated(t *testing.T) {
	t.Parallel()
	g := newDuo(t, marked(t), func(c *core.Config) {
		c.Pages.AppName, c.Providers[0].Label, c.Providers[1].Label = "«Bücher & mehr»", "«Müller»", "«Work»"
		c.Providers[0].Requests.FormPost = true
	})
	asking, _, _ := newReception(t, marked(t), func(c *core.Config) {
		c.Pages.AppName = "«Bücher & mehr»"
		c.Providers = []core.Provider{{Name: "staff", Label: "«Müller»", Issuer: issuer, ClientID: "app"}}
	})
	sending, _, _ := newReception(t, marked(t), newPost().sendLinks, func(c *core.Config) { c.Pages.AppName = "«Bücher & mehr»" })
	for name, page := range map[string][]byte{
		"chooser": g.get(origin + "/auth/login").Body, "form": g.post(callbackURL+"/one", formType, "state=x").Body,
		"customers":        asking.get(origin + "/auth/login").Body,
		"unknown customer": asking.submit("/auth/login", byPage, url.Values{"customer": {"x"}}).Body,
		"address":          sending.get(origin + "/auth/login").Body,
		"no address":       sending.submit("/auth/login", byPage, url.Values{"customer": {"x"}}).Body,
		"link":             sending.submit("/auth/login", byPage, url.Values{"customer": {"x@y"}}).Body,
	} {
		if got := unmarked(string(page)); got != "·" || !strings.Contains(string(page), " · «Bücher &amp; mehr»</title>") || !strings.Contains(string(page), `<p class="app"><bdi>«Bücher &amp; mehr»</bdi></p>`) {
			t.Errorf("%s: not translated: %q in\n%s", name, got, page)
		}
	}
}

// What Language returns is data of the application's: it cannot break a page.
func TestLanguagesThatAreNone(t *testing.T) {
	t.Parallel()
	texts := map[string]string{"Please log in": `<b>"Bitte"</b>`, "Home": ""}
	for name, test := range map[string]struct {
		language  func(*http.Request) (string, map[string]string)
		lang, has string
	}{
		"German":                   {func(*http.Request) (string, map[string]string) { return "de", texts }, "de", "<h1>&lt;b&gt;&#34;Bitte&#34;&lt;/b&gt;</h1>"},
		"another wording":          {func(*http.Request) (string, map[string]string) { return "en", texts }, "en", "<h1>&lt;b&gt;"},
		"a script":                 {func(*http.Request) (string, map[string]string) { return "zh-Hant-TW", texts }, "zh-Hant-TW", "<h1>&lt;b&gt;"},
		"no texts":                 {func(*http.Request) (string, map[string]string) { return "de", nil }, "en", "<h1>Please log in</h1>"},
		"no tag":                   {func(*http.Request) (string, map[string]string) { return "", texts }, "en", "<h1>Please log in</h1>"},
		"a tag that is HTML":       {func(*http.Request) (string, map[string]string) { return `de"><script>`, texts }, "en", "<h1>Please log in</h1>"},
		"a tag that is a header":   {func(*http.Request) (string, map[string]string) { return "de\r\nX-Evil: 1", texts }, "en", "<h1>Please log in</h1>"},
		"a tag that is a number":   {func(*http.Request) (string, map[string]string) { return "1-de", texts }, "en", "<h1>Please log in</h1>"},
		"a tag with an empty part": {func(*http.Request) (string, map[string]string) { return "de-", texts }, "en", "<h1>Please log in</h1>"},
		"a tag with a long part":   {func(*http.Request) (string, map[string]string) { return "de-123456789", texts }, "en", "<h1>Please log in</h1>"},
		"a tag that is too long":   {func(*http.Request) (string, map[string]string) { return "de" + strings.Repeat("-abcd", 7), texts }, "en", "<h1>Please log in</h1>"},
		"a panic":                  {func(*http.Request) (string, map[string]string) { panic("the table is gone") }, "en", "<h1>Please log in</h1>"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) { c.Pages.Language = test.language })
			r, w := httptest.NewRequest("GET", "/me", nil), httptest.NewRecorder()
			r.Header.Set("Accept", "text/html")
			g.auth.ServeError(w, r, core.ErrNoSession)
			body := w.Body.String()
			if w.Code != 401 || !strings.Contains(body, `<html lang="`+test.lang+`">`) || !strings.Contains(body, test.has) || !strings.Contains(body, ">Home</a>") {
				t.Errorf("got %d %s", w.Code, body)
			}
			if got := w.Header().Get("Content-Language"); got != test.lang {
				t.Errorf("Content-Language: got %q", got)
			}
			if panicked := strings.Contains(g.log.String(), "Pages.Language panicked"); panicked != (name == "a panic") {
				t.Errorf("logged %s", g.log.String())
			}
		})
	}
}

// An error that a handler of the application's own gets is in English, and the text of an
// error of its own is translated, too.
func TestErrorsStayEnglish(t *testing.T) {
	t.Parallel()
	g := newRig(t, inGerman(t))
	failure := core.Fail("store_unavailable")
	r, w := httptest.NewRequest("GET", "/me", nil), httptest.NewRecorder()
	g.auth.ServeError(w, r, failure)
	if !strings.Contains(w.Body.String(), "Ihre Sitzung") || !strings.HasPrefix(failure.Public, "Your session") {
		t.Errorf("got %q, and %s", failure.Public, w.Body)
	}
	own := newRig(t, func(c *core.Config) {
		c.Pages.Language = func(*http.Request) (string, map[string]string) {
			return "de", map[string]string{"No seat is left.": "Kein Platz ist frei."}
		}
	})
	w = httptest.NewRecorder()
	own.auth.ServeError(w, r, &core.Error{Status: 403, Code: "no_seat", Public: "No seat is left."})
	if !strings.Contains(w.Body.String(), `"detail":"Kein Platz ist frei."`) {
		t.Errorf("got %s", w.Body)
	}
}

// Without these settings, nothing is said of a language.
func TestPagesWithoutALanguage(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	r, w := httptest.NewRequest("GET", "/me", nil), httptest.NewRecorder()
	r.Header.Set("Accept", "text/html")
	g.auth.ServeError(w, r, core.ErrNoSession)
	if !strings.Contains(w.Body.String(), `<html lang="en">`) || strings.Contains(w.Body.String(), `class="app"`) || slices.Contains(slices.Collect(maps.Keys(w.Header())), "Content-Language") {
		t.Errorf("got %v %s", w.Header(), w.Body)
	}
}
