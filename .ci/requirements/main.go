// Command requirements fails if a go.mod file requires a version with a known
// vulnerability, and prints which requirements have a newer patch release.
//
//	go run ./.ci/requirements [-update] [directory of a go.mod ...]
//
// The check reads vulnerable.txt and needs no network. With -update, it first
// rewrites vulnerable.txt from the module golang.org/x/vulndb.
package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const listFile = ".ci/requirements/vulnerable.txt"

//go:embed vulnerable.txt
var list string

func main() {
	log.SetFlags(0)
	update := flag.Bool("update", false, "rewrite "+listFile+" first")
	flag.Parse()
	if err := run(flag.Args(), *update, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(directories []string, update bool, output io.Writer) error {
	required, err := requirements(directories)
	known := list
	if err == nil && update {
		known, err = refresh(required)
	}
	if err != nil {
		return err
	}
	problems, err := check(required, known)
	if err != nil {
		return err
	}
	for _, line := range append(problems, newerPatches(required)...) {
		_, _ = fmt.Fprintln(output, line)
	}
	if len(problems) > 0 {
		return errors.New("there are requirements with known vulnerabilities")
	}
	return nil
}

// A requirement is a module version that a go.mod file selects.
type requirement struct{ Path, Version string }

// requirements reads the go.mod files of the directories. A tidy go.mod names
// every module that the packages and their tests are built from.
func requirements(directories []string) ([]requirement, error) {
	var required []requirement
	for _, directory := range directories {
		var stderr bytes.Buffer
		command := exec.Command("go", "mod", "edit", "-json", filepath.Join(directory, "go.mod"))
		command.Stderr = &stderr
		output, err := command.Output()
		if err != nil {
			return nil, fmt.Errorf("go.mod of %s: %w: %s", directory, err, stderr.String())
		}
		var file struct{ Require []requirement }
		if err := json.Unmarshal(output, &file); err != nil {
			return nil, fmt.Errorf("go.mod of %s: %w", directory, err)
		}
		required = append(required, file.Require...)
	}
	return required, nil
}

// check returns one line for each requirement that is older than its first
// sound version. Each line of the list has a module, that version, and the
// advisories.
func check(required []requirement, list string) ([]string, error) {
	var problems []string
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		if len(fields) < 3 {
			return nil, fmt.Errorf("%s: want a module, a version and advisories: %q", listFile, line)
		}
		for _, r := range required {
			if r.Path != fields[0] {
				continue
			}
			vulnerable, err := less(r.Version, fields[1])
			if err != nil {
				return nil, err
			}
			if vulnerable {
				problems = append(problems, fmt.Sprintf("%s %s has known vulnerabilities (%s): require %s or newer",
					r.Path, r.Version, strings.Join(fields[2:], " "), fields[1]))
			}
		}
	}
	return problems, nil
}

// newerPatches asks the module proxy, and returns one line for each requirement
// with a newer patch release. If the proxy cannot be reached, it returns a line
// that says so, which is not an error.
func newerPatches(required []requirement) []string {
	arguments := []string{"list", "-m", "-versions", "-json"}
	for _, r := range required {
		if r.Version != "v0.0.0" { // a module of this repository
			arguments = append(arguments, r.Path+"@"+r.Version)
		}
	}
	command := exec.Command("go", arguments...)
	timer := time.AfterFunc(time.Minute, func() { _ = command.Process.Kill() })
	defer timer.Stop()
	output, err := command.Output()
	if err != nil {
		return []string{"newer patch releases: the module proxy cannot be reached"}
	}
	var lines []string
	for decoder := json.NewDecoder(bytes.NewReader(output)); ; {
		var module struct {
			Path, Version string
			Versions      []string
		}
		if decoder.Decode(&module) != nil {
			return lines
		}
		if patch := newestPatch(module.Version, module.Versions); patch != "" {
			lines = append(lines, fmt.Sprintf("%s %s has a newer patch release: %s", module.Path, module.Version, patch))
		}
	}
}

// newestPatch returns the newest version with the major and minor numbers of
// current, or "" if that is current.
func newestPatch(current string, versions []string) string {
	newest := current
	for _, candidate := range versions {
		newer, err := less(newest, candidate)
		if err == nil && newer && minor(candidate) == minor(current) && !strings.Contains(candidate, "-") {
			newest = candidate
		}
	}
	if newest == current {
		return ""
	}
	return newest
}
