package adapters_test

import (
	"bytes"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A net/http user links no framework, nobody links a client of Redis but by
// redislogin, and nobody links the test kit, which itself knows core for the sake
// of SignedIn, and neither a framework nor testing.
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

// Adapters are thin: under 110 lines, at most 8 exported names, no logging.
func TestAdaptersAreThin(t *testing.T) {
	t.Parallel()
	for name := range frameworks {
		path := filepath.Join(name, name+".go")
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := bytes.Count(source, []byte("\n")); got >= 110 {
			t.Errorf("%s has %d lines", path, got)
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

// The README's Go code is that of compiled examples.
func TestREADMEIsCompiled(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var compiled strings.Builder
	examples, err := filepath.Glob("*/example_test.go")
	if err != nil || len(examples) != 5 {
		t.Fatalf("got %v %v", examples, err)
	}
	for _, path := range append(examples, "../core/example_test.go", "../core/example_providers_test.go", "../core/preset/example_test.go", "../core/logintest/example_test.go") {
		source, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		compiled.Write(squeeze(source))
	}
	blocks := bytes.Split(readme, []byte("```go\n"))[1:]
	if len(blocks) < 4 {
		t.Fatalf("only %d blocks of Go", len(blocks))
	}
	for _, block := range blocks {
		code, _, _ := bytes.Cut(block, []byte("```"))
		if bytes.HasPrefix(code, []byte("package main\n")) {
			builds(t, code)
			continue
		}
		if !strings.Contains(compiled.String(), string(squeeze(code))) {
			t.Errorf("no Example has this code of the README:\n%s", code)
		}
	}
}

// builds tries a whole program.
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

// squeeze drops the indentation, which an Example has more of.
func squeeze(source []byte) []byte {
	var squeezed bytes.Buffer
	for line := range bytes.Lines(source) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			squeezed.Write(append(line, '\n'))
		}
	}
	return squeezed.Bytes()
}
