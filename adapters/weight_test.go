package adapters_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// weights are the programs in testdata/weight: an application in each framework, with and
// without pixy.
var weights = map[string]string{"net/http": "nethttp", "Gin": "gin", "Echo v4": "echo", "Echo v5": "echo5"}

// The table in README.md states the measured modules and bytes that pixy adds.
func TestREADMEGivesTheWeight(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for framework, name := range weights {
		row := regexp.MustCompile(`(?m)^\| ` + framework + ` \| (\d+) \| ([\d.]+) MB \|$`).FindSubmatch(readme)
		if row == nil {
			t.Errorf("no row for %s", framework)
			continue
		}
		if got, want := string(row[1]), modules(t, "weight/"+name+"/pixy")-modules(t, "weight/"+name+"/bare"); got != strconv.Itoa(want) {
			t.Errorf("%s: the table says %s modules more, and there are %d", framework, got, want)
		}
		said, err := strconv.ParseFloat(string(row[2]), 64)
		if err != nil {
			t.Fatal(err)
		}
		// Compilers differ slightly.
		if got := float64(size(t, "weight/"+name+"/pixy")-size(t, "weight/"+name+"/bare")) / (1 << 20); math.Abs(got-said) > 0.15*said {
			t.Errorf("%s: the table says %.1f MB more, and it is %.2f", framework, said, got)
		}
	}
}

// modules returns the number of other modules that are compiled into a program.
func modules(t *testing.T, program string) int {
	t.Helper()
	seen := make(map[string]bool)
	for module := range strings.FieldsSeq(run(t, "go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", "./testdata/"+program)) {
		seen[module] = true
	}
	return len(seen) - 1 // without this module
}

// size returns the size of a stripped program in bytes.
func size(t *testing.T, program string) int64 {
	t.Helper()
	file, err := os.Stat(build(t, program))
	if err != nil {
		t.Fatal(err)
	}
	return file.Size()
}

func build(t testing.TB, program string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	run(t, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", binary, "./testdata/"+program)
	return binary
}

func run(t testing.TB, name string, arguments ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	command := exec.CommandContext(t.Context(), name, arguments...)
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return string(out)
}

// The time from the start of a program until it listens: with pixy as a multiple of without.
func BenchmarkStart(b *testing.B) {
	for _, name := range []string{"nethttp", "gin", "echo", "echo5"} {
		b.Run(name, func(b *testing.B) {
			b.Setenv("SESSION_KEY", "the session key of thirty-two bytes")
			bare, pixy := build(b, "weight/"+name+"/bare"), build(b, "weight/"+name+"/pixy")
			start := func(program string) func() {
				return func() {
					if out := run(b, program); !strings.Contains(out, "listening") {
						b.Fatal(fmt.Sprint("it says ", out))
					}
				}
			}
			compare(b, start(bare), start(pixy))
		})
	}
}
