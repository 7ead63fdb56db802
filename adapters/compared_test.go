package adapters_test

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/pixyauth/pixy/adapters/testdata/compared/pixy"
	"github.com/pixyauth/pixy/adapters/testdata/compared/tutorial"
	"github.com/pixyauth/pixy/core/logintest"
)

type newApplication func(issuer, clientID, redirectURL string, key []byte, client *http.Client) (http.Handler, error)

// The README's comparison with a tutorial states the values measured here, for one
// application written both ways.
func TestREADMEComparesWithATutorial(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	row := func(pattern string) (tutorial, pixy float64) {
		t.Helper()
		cells := regexp.MustCompile(`(?m)^\| ` + pattern + ` \|$`).FindSubmatch(readme)
		if cells == nil {
			t.Fatalf("no row %s", pattern)
		}
		tutorial, err1 := strconv.ParseFloat(string(cells[1]), 64)
		pixy, err2 := strconv.ParseFloat(string(cells[2]), 64)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		return tutorial, pixy
	}

	const folder = "testdata/compared/"
	by, with := row(`lines of application code \| (\d+) \| (\d+)`)
	if got, got2 := linesOfCode(t, folder+"tutorial/tutorial.go"), linesOfCode(t, folder+"pixy/pixy.go"); float64(got) != by || float64(got2) != with {
		t.Errorf("lines: the README says %v and %v, and there are %d and %d", by, with, got, got2)
	}

	by, with = row(`size added to a net/http binary \| ([\d.]+) MB \| ([\d.]+) MB`)
	bare := size(t, "weight/nethttp/bare")
	for name, said := range map[string]float64{"tutorial": by, "pixy": with} {
		// Compilers differ slightly.
		if got := float64(size(t, "compared/"+name+"/program")-bare) / (1 << 20); math.Abs(got-said) > 0.15*said {
			t.Errorf("binary of %s: the README says %.1f MB more, and it is %.2f", name, said, got)
		}
	}

	by, with = row(`attacks of \[logintest\]\(core/logintest/README\.md\) withstood \| (\d+) of \d+ \| (\d+) of \d+`)

	for name, test := range map[string]struct {
		start newApplication
		said  float64
	}{"tutorial": {tutorial.New, by}, "pixy": {pixy.New, with}} {
		fallen, all := attacksOn(t, test.start)
		t.Logf("%s falls to %q", name, fallen)
		if got := all - len(fallen); float64(got) != test.said || !bytes.Contains(readme, fmt.Appendf(nil, "| %d of %d |", got, all)) {
			t.Errorf("attacks on %s: the README says %v withstood, and it withstands %d of %d", name, test.said, got, all)
		}
	}
}

// linesOfCode returns the number of lines that are neither blank nor comments.
func linesOfCode(t *testing.T, path string) int {
	t.Helper()
	return len(codeOf(t, path))
}

// attacksOn returns the names of the attacks that succeed, and the number of all attacks.
func attacksOn(t *testing.T, start newApplication) (fallen []string, all int) {
	t.Helper()
	r := new(attackRecorder)
	logintest.Attack(r, logintest.Target{Start: func(provider *logintest.Provider) http.Handler {
		app, err := start(provider.Issuer(), "app", "https://app.example.test/auth/callback",
			[]byte("0123456789abcdef0123456789abcdef"), provider.HTTPClient())
		if err != nil {
			t.Fatal(err)
		}
		return app
	}})
	if r.fatal != "" {
		t.Fatal(r.fatal)
	}
	slices.Sort(r.fallen)
	return slices.Compact(r.fallen), len(r.names)
}

// An attackRecorder is a T for logintest.Attack that records failures.
type attackRecorder struct {
	names, fallen []string
	fatal         string
}

func (*attackRecorder) Helper() {}

func (r *attackRecorder) Errorf(string, ...any) { r.fallen = append(r.fallen, r.names[len(r.names)-1]) }

func (r *attackRecorder) Fatalf(format string, args ...any) { r.fatal += fmt.Sprintf(format, args...) }

func (r *attackRecorder) Run(name string, f func(*attackRecorder)) bool {
	r.names = append(r.names, name)
	f(r)
	return true
}
