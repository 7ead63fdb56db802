package core_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// rooms says of each room which others it may import, and what it must not know of.
var rooms = map[string]struct{ may, never []string }{
	"base64url": {nil, []string{"net/http", "crypto", "encoding/json", "time"}},
	"told":      {nil, []string{"net/http", "crypto", "encoding/json", "time"}},
	"seal":      {[]string{"base64url"}, []string{"net/http", "encoding/json", "golang.org/x/oauth2", "github.com/go-jose/go-jose/v4"}},
	"vault":     {nil, []string{"encoding/json", "crypto", "golang.org/x/oauth2", "github.com/go-jose/go-jose/v4"}},
	"provider":  {[]string{"base64url", "told"}, []string{"html", "github.com/gorilla/sessions", "github.com/gorilla/securecookie"}},
	"page":      {nil, []string{"net/http", "encoding/json", "html/template", "golang.org/x/oauth2"}},
	"hostile":   {nil, nil},
}

// Imports go one way: core imports rooms, no room imports core, and none imports
// another but those that rooms names. What is for tests alone is linked by nobody.
func TestRooms(t *testing.T) {
	t.Parallel()
	const core = "github.com/pixyauth/pixy/core"
	imports := importsOf(t, ".", "./internal/...", "./preset/...", "./logintest/...")
	for pkg, imported := range imports {
		if slices.Contains(imported, core+"/internal/hostile") {
			t.Errorf("%s links what is for tests", pkg)
		}
		name, ok := strings.CutPrefix(pkg, core+"/internal/")
		if !ok {
			continue
		}
		room, known := rooms[name]
		if !known {
			t.Errorf("%s is not in the list of rooms", pkg)
		}
		for _, other := range imported {
			if slices.Contains(room.never, other) {
				t.Errorf("%s must not know %s", pkg, other)
			}
			other, ours := strings.CutPrefix(other, core)
			if ours && !slices.Contains(room.may, strings.TrimPrefix(other, "/internal/")) {
				t.Errorf("%s imports core%s", pkg, other)
			}
		}
	}
	for name := range rooms {
		if imports[core+"/internal/"+name] == nil {
			t.Errorf("there is no room %s", name)
		}
	}
}

// importsOf lists what packages import, without their tests.
func importsOf(t *testing.T, patterns ...string) map[string][]string {
	t.Helper()
	list := append([]string{"list", "-f", `{{.ImportPath}} {{join .Imports " "}}`}, patterns...)
	var stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), "go", list...)
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	imports := make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		imports[fields[0]] = fields[1:]
	}
	return imports
}

// Each room says what it knows and what it must not know, in its first paragraph.
func TestRoomsSayWhatTheyKnow(t *testing.T) {
	t.Parallel()
	for name := range rooms {
		page, err := os.ReadFile(filepath.Join("internal", name, "doc.go"))
		if err != nil {
			t.Error(err)
			continue
		}
		first, _, _ := strings.Cut(string(page), "\n//\n")
		for _, words := range []string{"// Package " + name + " ", "knows", "must not know"} {
			if !strings.Contains(strings.ReplaceAll(first, "\n// ", " "), words) {
				t.Errorf("the first paragraph of %s lacks %q", name, words)
			}
		}
	}
}
