package core_test

import (
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// rules is how many rules the list has that CONFORMANCE.md goes through.
const rules = 168

func TestConformance(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("CONFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range checkConformance(string(page), rules, os.DirFS("..")) {
		t.Error(fault)
	}
	var names []string
	for _, m := range append(modules(), refreshModules()...) {
		names = append(names, m.name)
	}
	for _, m := range fapiModules() {
		names = append(names, m.name)
	}
	for _, name := range names {
		if !strings.Contains(string(page), "\n| `"+name+"` |") {
			t.Errorf("module %s has a test and no row", name)
		}
	}
}

// checkConformance returns what is wrong with a page about so many rules, whose
// tests are those of a module that lies in source.
func checkConformance(page string, rules int, source fs.FS) (faults []string) {
	tests := newTestNames(source)
	seen := make(map[int]bool)
	for line, cells := range tableRows(page) {
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Sprintf("line %d: ", line)+fmt.Sprintf(format, args...))
		}
		var named func(test string) bool // whether a test's name says what it shows
		switch n, err := strconv.Atoi(cells[0]); {
		case slices.Contains(cells, ""):
			fault("a cell is empty")
			continue
		case len(cells) == 4 && err == nil && 1 <= n && n <= rules:
			if seen[n] {
				fault("rule %d has a row already", n)
			}
			seen[n] = true
			named = func(test string) bool { return slices.Contains(rulesIn(test), n) }
		case len(cells) == 3 && err != nil:
			module := strings.Trim(cells[0], "`")
			named = func(test string) bool { return strings.HasSuffix(test, "/"+module) }
		default:
			fault("neither a rule (1 to %d, four cells) nor a module (three cells): %q", rules, cells)
			continue
		}
		shown := cells[len(cells)-1]
		references := testReference.FindAllStringSubmatch(shown, -1)
		if len(references) == 0 && !reason.MatchString(shown) {
			fault("%s has neither a test nor a reason: %q", cells[0], shown)
		}
		for _, reference := range references {
			test := reference[1]
			if err := tests.find(test); err != nil {
				fault("%s: %v", test, err)
			} else if !named(test) {
				fault("%s does not carry %s in its name", test, cells[0])
			}
		}
	}
	for n := 1; n <= rules; n++ {
		if !seen[n] {
			faults = append(faults, fmt.Sprintf("rule %d has no row", n))
		}
	}
	return faults
}

var (
	// A test is `TestName/sub-test` of core, `package.TestName/sub-test` of another
	// package, or a step that a script of CI prints: `.ci/script: step`.
	testReference = regexp.MustCompile("`((?:[\\w/]+\\.)?Test[^`]*|\\.ci/[^`]*)`")
	reason        = regexp.MustCompile(`^(Not offered|Not applicable|Declined|Deployment): .{20,}\.$`)
	ruleNumbers   = regexp.MustCompile(`\brules? (\d+(?:, \d+)*):`)
)

// tableRows yields the rows of all tables with the numbers of their lines.
func tableRows(page string) func(yield func(int, []string) bool) {
	return func(yield func(int, []string) bool) {
		lines := strings.Split(page, "\n")
		for i, line := range lines {
			heading := i+1 < len(lines) && strings.HasPrefix(lines[i+1], "|---")
			if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|---") || heading {
				continue
			}
			cells := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			if !yield(i+1, cells) {
				return
			}
		}
	}
}

// rulesIn returns the numbers in a test's name: "rule 7: …", "rules 7, 112: …".
func rulesIn(name string) (numbers []int) {
	for _, match := range ruleNumbers.FindAllStringSubmatch(name, -1) {
		for number := range strings.SplitSeq(match[1], ", ") {
			n, _ := strconv.Atoi(number)
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// The check itself, on pages that are wrong in one thing each, about a module
// of two rules.
func TestConformanceIsChecked(t *testing.T) {
	t.Parallel()
	source := fstest.MapFS{
		"core/a_test.go": {Data: []byte("package core\n" +
			"func TestA(t *testing.T) { for _, r := range rows() { t.Run(r.name, nil) }; t.Run(\"rules 1, 2: by \"+x, nil) }\n" +
			"func rows() []row { return append(more, row{name: \"rule 1: one\"}, row{name: \"no number\"}) }\n" +
			"var more = []row{{name: \"rule 2: two\"}, {name: \"rule 12: twelve\"}, {name: `oidcc-test`}, {name: \"oidcc-test-more\"}}\n" +
			"func TestB(t *testing.T) { t.Run(\"rule 1: elsewhere\", nil) }\n")},
		"core/a.go":                 {Data: []byte("package core\nfunc TestOutside() { _ = \"rule 1: outside\" }\n")},
		"core/logintest/b_test.go":  {Data: []byte("package logintest\nfunc TestC(t *testing.T) { t.Run(\"rule 1: there\", nil) }\n")},
		".ci/browser/run.mjs":       {Data: []byte("step('rule 1: in a browser');\n")},
		"examples/broken/b_test.go": {Data: []byte("package broken\nfunc TestD(\n")},
	}
	const head, second = "| # | level | rule | shown |\n|---|---|---|---|\n", "| 2 | M | two | `TestA/rule 2: two` |\n"
	first := func(shown string) string { return head + "| 1 | M | one | " + shown + " |\n" + second }
	module := func(shown string) string {
		return first("`TestA/rule 1: one`") + "\n| `oidcc-test` | wrong | " + shown + " |\n"
	}
	for _, test := range []struct{ name, page, fault string }{
		{"a sub-test", first("`TestA/rule 1: one`"), ""},
		{"two, and words", first("`TestA/rule 1: one`, `TestB/rule 1: elsewhere`: because of `this`"), ""},
		{"many sub-tests", first("`TestA/rule 1: …`"), ""},
		{"the beginning of a name", first("`TestA/rules 1, 2: by …`"), ""},
		{"another package", first("`core/logintest.TestC/rule 1: there`"), ""},
		{"a step of a script", first("`.ci/browser/run.mjs: rule 1: in a browser`"), ""},
		{"a reason", first("Not offered: it would be a second way to do one thing."), ""},
		{"a module", module("`TestA/oidcc-test`"), ""},
		{"a module that does not apply", module("Declined: nobody wants to have it this way."), ""},

		{"no rows at all", "nothing", "rule 1 has no row"},
		{"a rule without a row", head + second, "rule 1 has no row"},
		{"a rule with two rows", first("`TestA/rule 1: one`") + second, "rule 2 has a row already"},
		{"a rule of another list", first("`TestA/rule 1: one`") + "| 3 | M | three | `TestA/rule 12: twelve` |\n", "neither a rule"},
		{"a cell too few", head + "| 1 | M | `TestA/rule 1: one` |\n" + second, "neither a rule"},
		{"an empty cell", head + "| 1 | M | | `TestA/rule 1: one` |\n" + second, "a cell is empty"},
		{"nothing to show", first(""), "a cell is empty"},
		{"neither test nor reason", first("see the code"), "neither a test nor a reason"},
		{"a reason that is none", first("Not offered: no."), "neither a test nor a reason"},
		{"a reason without its kind", first("It would be a second way to do one thing."), "neither a test nor a reason"},
		{"a test that does not exist", first("`TestNowhere/rule 1: one`"), "no such test"},
		{"a test that does not exist, and one that does", first("`TestA/rule 1: one`, `TestNowhere/rule 1: one`"), "no such test"},
		{"a test of another package", first("`TestC/rule 1: there`"), "no such test"},
		{"a package that does not exist", first("`core/nowhere.TestC/rule 1: there`"), "no such test"},
		{"a package that does not parse", first("`examples/broken.TestD/rule 1: x`"), "expected"},
		{"no test file", first("`TestOutside/rule 1: outside`"), "no such test"},
		{"a sub-test that does not exist", first("`TestA/rule 1: on`"), "no sub-test"},
		{"a sub-test of another test", first("`TestA/rule 1: elsewhere`"), "no sub-test"},
		{"a beginning that does not exist", first("`TestA/rule 1: two…`"), "no sub-test"},
		{"only the beginning of a name", first("`TestA/rules 1, 2: by `"), "no sub-test"},
		{"a test without the number", first("`TestA/no number`"), "does not carry 1"},
		{"a test with another number", first("`TestA/rule 2: two`"), "does not carry 1"},
		{"a number that only looks alike", first("`TestA/rule 12: twelve`"), "does not carry 1"},
		{"a test as a whole", first("`TestA`"), "does not carry 1"},
		{"a script that does not exist", first("`.ci/nowhere: rule 1: in a browser`"), "not exist"},
		{"a step that does not exist", first("`.ci/browser/run.mjs: rule 1: in a dream`"), "no such step"},
		{"a module with another's test", module("`TestA/oidcc-test-more`"), "does not carry"},
		{"a module without test or reason", module("later"), "neither a test nor a reason"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			faults := checkConformance(test.page, 2, source)
			switch {
			case test.fault == "" && len(faults) > 0:
				t.Errorf("got %q, want no fault", faults)
			case test.fault != "" && (len(faults) == 0 || !strings.Contains(faults[0], test.fault)):
				t.Errorf("got %q, want %q", faults, test.fault)
			}
		})
	}
}
