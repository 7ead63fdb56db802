package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The requirements of this repository before echo's Static middleware was fixed.
const old = `module example

go 1.26.0

require github.com/labstack/echo/v4 v4.15.4

require (
	golang.org/x/crypto v0.54.0 // indirect
	golang.org/x/time v0.15.0 // indirect
	gopkg.in/yaml.v3 v3.0.0-20200313102051-9f266ea9e77c // indirect
)
`

func TestVulnerableRequirementsAreFound(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "go.mod"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	required, err := requirements([]string{directory})
	if err != nil || len(required) != 4 {
		t.Fatalf("got %v %v", required, err)
	}
	problems, err := check(required, list)
	if err != nil || len(problems) != 3 {
		t.Fatalf("got %q %v", problems, err)
	}
	for i, want := range []string{"echo/v4 v4.15.4", "x/crypto v0.54.0", "yaml.v3 v3.0.0-2020"} {
		if !strings.Contains(problems[i], want) || !strings.Contains(problems[i], "(GO-20") {
			t.Errorf("got %s, want %s and advisories", problems[i], want)
		}
	}
}

func TestThisRepositoryIsSound(t *testing.T) {
	t.Parallel()
	required, err := requirements([]string{"../..", "../stores", "../staticcheck", "../../examples/ownsessions", "../../examples/tenants", "../../examples/metrics"})
	if err != nil {
		t.Fatal(err)
	}
	if problems, err := check(required, list); err != nil || len(problems) != 0 {
		t.Errorf("got %q %v", problems, err)
	}
}

// The command fails only for the old requirements, also without a network.
func TestCommand(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOMODCACHE", t.TempDir())
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "go.mod"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	for where, vulnerable := range map[string]bool{directory: true, "../..": false} {
		var output strings.Builder
		err := run([]string{where}, false, &output)
		if said := strings.Contains(output.String(), "has known vulnerabilities"); said != vulnerable || (err != nil) != vulnerable {
			t.Errorf("%s: got %v and %s", where, err, output.String())
		}
		if !strings.Contains(output.String(), "the module proxy cannot be reached") {
			t.Errorf("%s: got %s", where, output.String())
		}
	}
	if err := run([]string{t.TempDir()}, false, io.Discard); err == nil {
		t.Error("no go.mod: no error")
	}
	if err := run([]string{"../.."}, true, io.Discard); err == nil {
		t.Error("no database: no error")
	}
}

func TestMistakesAreErrors(t *testing.T) {
	t.Parallel()
	if _, err := requirements([]string{t.TempDir()}); err == nil {
		t.Error("no go.mod: no error")
	}
	required := []requirement{{"example.com/m", "v1.2.3"}}
	for _, list := range []string{"example.com/m v1.2.3", "example.com/m v1.2 GO-1", "example.com/m latest GO-1"} {
		if problems, err := check(required, list); err == nil {
			t.Errorf("%s: got %q and no error", list, problems)
		}
	}
}

func TestVersionsAreCompared(t *testing.T) {
	t.Parallel()
	ascending := []string{"v0.0.0-20200101000000-abc", "v0.0.0-20210101000000-abc", "v0.0.0", "v0.9.9", "v0.10.0", "1.0.0-rc.1", "v1.0.0+incompatible", "v1.0.1"}
	for i, a := range ascending {
		for j, b := range ascending {
			if got, err := less(a, b); err != nil || got != (i < j) {
				t.Errorf("less(%s, %s): got %v %v", a, b, got, err)
			}
		}
	}
	for want, versions := range map[string][]string{
		"v1.9.3": {"v1.9.1", "v1.9.3", "v1.9.2", "v1.9.4-rc.1", "v1.10.0", "v1.8.9"},
		"":       {"v1.9.0", "v1.9.1", "v2.9.9", "broken"},
	} {
		if got := newestPatch("v1.9.1", versions); got != want {
			t.Errorf("of %v: got %q, want %q", versions, got, want)
		}
	}
}

func TestTheLatestFixCounts(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "GO-1.json")
	content := `{"id": "GO-1", "affected": [
		{"package": {"name": "example.com/m"}, "ranges": [{"events": [{"introduced": "0"}, {"fixed": "1.5.0"}, {"introduced": "1.6.0"}, {"fixed": "1.6.2"}]}]},
		{"package": {"name": "example.com/other"}, "ranges": [{"events": [{"introduced": "0"}, {"fixed": "9.0.0"}]}]},
		{"package": {"name": "example.com/never"}, "ranges": [{"events": [{"introduced": "0"}]}]}]`
	for name, tt := range map[string]struct{ before, end, want string }{
		"none before":      {"", "}", "1.6.2 GO-1"},
		"an earlier one":   {"1.6.1", "}", "1.6.2 GO-1"},
		"the same version": {"1.6.2", "}", "1.6.2 GO-0 GO-1"},
		"a later one":      {"1.10.0", "}", "1.10.0 GO-0"},
		"withdrawn":        {"1.6.1", `, "withdrawn": "2026-01-01T00:00:00Z"}`, "1.6.1 GO-0"},
	} {
		if err := os.WriteFile(file, []byte(content+tt.end), 0o600); err != nil {
			t.Fatal(err)
		}
		fixes := map[string]fix{"example.com/m": {tt.before, []string{"GO-0"}}, "example.com/never": {}}
		if err := read(file, fixes); err != nil {
			t.Fatal(err)
		}
		got := slices.Concat([]string{fixes["example.com/m"].version}, fixes["example.com/m"].advisories)
		if strings.Join(got, " ") != tt.want || len(fixes) != 2 || fixes["example.com/never"].version != "" {
			t.Errorf("%s: got %v, want %s", name, fixes, tt.want)
		}
	}
}
