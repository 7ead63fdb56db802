package core_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// testNames knows the tests of a module by reading them, and runs none.
type testNames struct {
	source   fs.FS
	packages map[string]map[string]*declaration // by directory and name
}

func newTestNames(source fs.FS) *testNames {
	return &testNames{source: source, packages: make(map[string]map[string]*declaration)}
}

// A declaration is a function, variable or constant of a test file.
type declaration struct {
	texts []string // string literals
	uses  []string // names
}

// find returns nil if there is such a test. A sub-test is there if its name is a
// string literal in the test, or in what the test uses. A name that ends in …
// is there if such a literal begins so.
func (t *testNames) find(name string) error {
	if script, step, ok := strings.Cut(name, ": "); ok && strings.HasPrefix(name, ".ci/") {
		text, err := fs.ReadFile(t.source, script)
		if err == nil && !strings.Contains(string(text), step) {
			err = errors.New("the script has no such step")
		}
		return err
	}
	dir, name := cutPackage(name)
	test, sub, nested := strings.Cut(name, "/")
	declarations, err := t.read(dir)
	if err != nil {
		return err
	}
	if declarations[test] == nil {
		return fmt.Errorf("package %s has no such test", dir)
	}
	texts := reachable(declarations, test)
	for segment := range strings.SplitSeq(sub, "/") {
		prefix, open := strings.CutSuffix(segment, "…")
		if nested && !slices.ContainsFunc(texts, func(s string) bool { return s == segment || open && strings.HasPrefix(s, prefix) }) {
			return fmt.Errorf("%s has no sub-test %q", test, segment)
		}
	}
	return nil
}

// cutPackage cuts "core/logintest.TestX/y" into "core/logintest" and "TestX/y".
// Without a package, it is core.
func cutPackage(name string) (pkg, test string) {
	if pkg, test, ok := strings.Cut(name, ".Test"); ok && !strings.HasPrefix(name, "Test") {
		return pkg, "Test" + test
	}
	return "core", name
}

func (t *testNames) read(dir string) (map[string]*declaration, error) {
	if known, ok := t.packages[dir]; ok {
		return known, nil
	}
	files, err := fs.Glob(t.source, path.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	declarations := make(map[string]*declaration)
	for _, file := range files {
		text, err := fs.ReadFile(t.source, file)
		if err != nil {
			return nil, err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, node := range parsed.Decls {
			switch node := node.(type) {
			case *ast.FuncDecl:
				declare(declarations, node.Name.Name, node)
			case *ast.GenDecl:
				for _, spec := range node.Specs {
					if values, ok := spec.(*ast.ValueSpec); ok {
						for _, name := range values.Names {
							declare(declarations, name.Name, values)
						}
					}
				}
			}
		}
	}
	t.packages[dir] = declarations
	return declarations, nil
}

// declare adds to what is known of a name: functions, methods and the files of
// an external test package share them.
func declare(declarations map[string]*declaration, name string, node ast.Node) {
	d := declarations[name]
	if d == nil {
		d = new(declaration)
		declarations[name] = d
	}
	ast.Inspect(node, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if text, ok := literal(n.X); ok { // of a sum: the rest is not known
				d.texts = append(d.texts, text+"…")
				declare(declarations, name, n.Y)
				return false
			}
		case *ast.BasicLit:
			if text, ok := literal(n); ok {
				d.texts = append(d.texts, text)
			}
		case *ast.Ident:
			d.uses = append(d.uses, n.Name)
		}
		return true
	})
}

func literal(node ast.Node) (text string, ok bool) {
	if basic, is := node.(*ast.BasicLit); is && basic.Kind == token.STRING {
		text, err := strconv.Unquote(basic.Value)
		return text, err == nil
	}
	return "", false
}

// reachable returns the literals of a declaration and of all that it uses.
func reachable(declarations map[string]*declaration, from string) (texts []string) {
	seen := map[string]bool{from: true}
	for todo := []string{from}; len(todo) > 0; todo = todo[1:] {
		d := declarations[todo[0]]
		texts = append(texts, d.texts...)
		for _, name := range d.uses {
			if declarations[name] != nil && !seen[name] {
				seen[name] = true
				todo = append(todo, name)
			}
		}
	}
	return texts
}
