package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A report is one file of the vulnerability database, in the OSV format
// (https://ossf.github.io/osv-schema/).
type report struct {
	ID        string
	Withdrawn string
	Affected  []struct {
		Package struct{ Name string }
		Ranges  []struct{ Events []struct{ Fixed string } }
	}
}

// refresh writes the list anew: for each required module the version that fixes
// the last of its advisories. An advisory without a fix is printed: a
// person has to judge it.
func refresh(required []requirement) (string, error) {
	output, err := exec.Command("go", "mod", "download", "-json", "golang.org/x/vulndb@latest").Output()
	if err != nil {
		return "", fmt.Errorf("golang.org/x/vulndb: %w", err)
	}
	var database struct{ Version, Dir string }
	if err := json.Unmarshal(output, &database); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(database.Dir, "data/osv/*.json"))
	if err != nil || len(files) == 0 {
		return "", fmt.Errorf("golang.org/x/vulndb %s has no reports (%v)", database.Version, err)
	}
	fixes := make(map[string]fix)
	for _, r := range required {
		fixes[r.Path] = fix{}
	}
	for _, file := range files {
		if err := read(file, fixes); err != nil {
			return "", fmt.Errorf("%s: %w", file, err)
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "# The first version of each module in which all known vulnerabilities are fixed,\n# and the advisories "+
		"that it fixes: https://pkg.go.dev/vuln/. Rewritten by\n# go run ./.ci/requirements -update from golang.org/x/vulndb %s.\n", database.Version)
	for _, module := range slices.Sorted(maps.Keys(fixes)) {
		if f := fixes[module]; f.version != "" {
			fmt.Fprintf(&text, "%s v%s %s\n", module, f.version, strings.Join(f.advisories, " "))
		}
	}
	return text.String(), os.WriteFile(listFile, []byte(text.String()), 0o644)
}

// A fix is the newest fix of one module.
type fix struct {
	version    string
	advisories []string
}

// read notes the fixes that one report has for the modules in fixes.
func read(file string, fixes map[string]fix) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var r report
	if err := json.Unmarshal(content, &r); err != nil || r.Withdrawn != "" {
		return err
	}
	for _, affected := range r.Affected {
		known, required := fixes[affected.Package.Name]
		if !required {
			continue
		}
		for _, span := range affected.Ranges {
			newest := ""
			for _, event := range span.Events {
				if event.Fixed != "" {
					newest = event.Fixed // the events of a range are sorted
				}
			}
			if newest == "" {
				fmt.Printf("%s has no fix: read https://pkg.go.dev/vuln/%s\n", affected.Package.Name, r.ID)
				continue
			}
			known = later(known, fix{newest, []string{r.ID}})
		}
		fixes[affected.Package.Name] = known
	}
	return nil
}

// later returns the later of two fixes, or one with the advisories of both.
func later(a, b fix) fix {
	if a.version == b.version {
		return fix{a.version, append(a.advisories, b.advisories...)}
	}
	if older, err := less(b.version, a.version); a.version != "" && err == nil && older {
		return a
	}
	return b
}
