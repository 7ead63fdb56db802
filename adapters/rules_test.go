package adapters_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A program with httplogin links no framework. Only redislogin links a Redis client. No
// package links the test kit. The test kit links core, for SignedIn, but no framework and not
// testing.
func TestDependencies(t *testing.T) {
	t.Parallel()
	for pkg, forbidden := range map[string][]string{
		"../core":                {"gin-gonic", "labstack", "redis", "pixy/adapters", "testing", "logintest"},
		"../core/logintest":      {"gin-gonic", "labstack", "redis", "testing", "net/http/httptest", "pixy/adapters"},
		"../adapters/httplogin":  {"gin-gonic", "labstack", "redis", "testing", "logintest"},
		"../adapters/ginlogin":   {"labstack", "redis", "logintest"},
		"../adapters/echologin":  {"gin-gonic", "echo/v5", "redis", "logintest"},
		"../adapters/echo5login": {"gin-gonic", "echo/v4", "redis", "logintest"},
		"../adapters/redislogin": {"gin-gonic", "labstack", "testing", "logintest"},
	} {
		var stderr bytes.Buffer
		command := exec.CommandContext(t.Context(), "go", "list", "-deps", pkg)
		command.Stderr = &stderr
		out, err := command.Output()
		if err != nil {
			t.Fatalf("%v: %s", err, stderr.String())
		}
		for _, name := range forbidden {
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, name) && (name != "testing" || line == "testing\n") {
					t.Errorf("%s links %s", pkg, strings.TrimSpace(line))
				}
			}
		}
	}
}

// Adapters are thin: at most 75 lines of code without comments, and no logging.
func TestAdaptersAreThin(t *testing.T) {
	t.Parallel()
	for name := range frameworks {
		path := filepath.Join(name, name+".go")
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		code := 0
		for line := range bytes.Lines(source) {
			if line = bytes.TrimSpace(line); len(line) > 0 && !bytes.HasPrefix(line, []byte("//")) {
				code++
			}
		}
		if code > 75 {
			t.Errorf("%s has %d lines of code", path, code)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			if strings.Contains(spec.Path.Value, "log") && !strings.Contains(spec.Path.Value, "login") {
				t.Errorf("%s imports %s", path, spec.Path.Value)
			}
		}
	}
}

// pages are the documentation pages, relative to this directory.
var pages = []string{
	"../README.md", "../core/README.md", "../core/preset/README.md", "../core/logintest/README.md", "README.md", "PERFORMANCE.md",
	"../examples/README.md", "../.github/CONTRIBUTING.md",
}

// exampleFiles are the files whose Examples contain the code of the pages.
func exampleFiles(t *testing.T) (files []string) {
	t.Helper()
	for _, pattern := range []string{"*/example_test.go", "../core/example*_test.go", "../core/*/example_test.go", "../examples/*_test.go", "../examples/metrics/*_test.go"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: got %v %v", pattern, found, err)
		}
		files = append(files, found...)
	}
	return files
}

// All Go code on the pages is part of a compiled Example, or is a program that builds.
func TestREADMEIsCompiled(t *testing.T) {
	t.Parallel()
	var compiled strings.Builder
	for _, path := range exampleFiles(t) {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		compiled.Write(squeeze(source))
	}
	for _, path := range pages {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		blocks := bytes.Split(page, []byte("```go\n"))[1:]
		if len(blocks) < 4 && path == pages[0] {
			t.Fatalf("only %d blocks of Go", len(blocks))
		}
		for _, block := range blocks {
			code, _, _ := bytes.Cut(block, []byte("```"))
			if bytes.HasPrefix(code, []byte("package main\n")) {
				builds(t, code)
				continue
			}
			if !strings.Contains(compiled.String(), string(squeeze(code))) {
				t.Errorf("no Example has this code of %s:\n%s", path, code)
			}
		}
	}
}

// The README stays short, so that users read it.
func TestREADMEIsShort(t *testing.T) {
	t.Parallel()
	if readme, err := os.ReadFile(pages[0]); err != nil || len(readme) > 12<<10 {
		t.Errorf("README.md has %d bytes, and may have 12 KB; %v", len(readme), err)
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	fenced  = regexp.MustCompile("(?s)```.*?```")
	noSlug  = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// The links between the pages are valid.
func TestLinksExist(t *testing.T) {
	t.Parallel()
	found := 0
	for _, path := range append(slices.Clone(pages), "../CHANGELOG.md", "../core/CONFORMANCE.md", "../.github/SECURITY.md") {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range link.FindAllSubmatch(fenced.ReplaceAll(page, nil), -1) {
			to := string(match[1])
			if strings.Contains(to, "://") {
				continue
			}
			found++
			file, anchor, _ := strings.Cut(to, "#")
			target := filepath.Join(filepath.Dir(path), file)
			if file == "" {
				target = path
			}
			info, err := os.Stat(target)
			switch {
			case err != nil:
				t.Errorf("%s links to %s: %v", path, to, err)
			case anchor != "" && (info.IsDir() || !hasAnchor(t, target, anchor)):
				t.Errorf("%s links to %s, and there is no such heading", path, to)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d links were found", found)
	}
}

// hasAnchor reports whether a page has a heading that GitHub gives this anchor.
func hasAnchor(t *testing.T, path, anchor string) bool {
	t.Helper()
	page, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range heading.FindAllSubmatch(fenced.ReplaceAll(page, nil), -1) {
		slug := noSlug.ReplaceAllString(strings.ToLower(string(match[1])), "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return true
		}
	}
	return false
}

// Example code that passes on a response of another host must set its Content-Type.
// Otherwise net/http guesses it, and a guess of HTML makes it a page of the application's
// origin.
func TestNoExampleGuessesATypeOfAnotherHost(t *testing.T) {
	t.Parallel()
	programs, err := filepath.Glob("../examples/*/*.go")
	if err != nil || len(programs) == 0 {
		t.Fatalf("got %v %v", programs, err)
	}
	files := slices.Concat(pages, exampleFiles(t), programs, []string{"../.ci/app/main.go"})
	copies := 0
	for _, path := range files {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for rest := string(source); ; copies++ {
			before, after, found := strings.Cut(rest, "io.Copy(w, response.Body)")
			if !found {
				break
			}
			if set := before[max(0, len(before)-400):]; !strings.Contains(set, `Set("Content-Type", `) || !strings.Contains(set, `Set("X-Content-Type-Options", "nosniff")`) {
				t.Errorf("%s: io.Copy(w, response.Body) follows no Content-Type and nosniff", path)
			}
			rest = after
		}
	}
	if copies < 3 {
		t.Errorf("only %d copies were found", copies)
	}
}

// builds compiles a whole program.
func builds(t *testing.T, program []byte) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, program, 0o600); err != nil {
		t.Fatal(err)
	}
	if output, err := exec.Command("go", "build", "-o", os.DevNull, file).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, output)
	}
}

// squeeze removes the indentation, which is deeper in an Example.
func squeeze(source []byte) []byte {
	var squeezed bytes.Buffer
	for line := range bytes.Lines(source) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			squeezed.Write(append(line, '\n'))
		}
	}
	return squeezed.Bytes()
}
