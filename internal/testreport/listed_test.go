package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// maySkip returns the tests below a folder, and for each whether it may be skipped: by
// itself, or by a function of its package that it calls.
func maySkip(t *testing.T, root string) map[string]bool {
	t.Helper()
	folders := map[string][]*ast.FuncDecl{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, is := decl.(*ast.FuncDecl); is && f.Recv == nil {
				folders[filepath.Dir(path)] = append(folders[filepath.Dir(path)], f)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, functions := range folders {
		skips := map[string]bool{}
		for grown := true; grown; {
			grown = false
			for _, f := range functions {
				if name := f.Name.Name; !skips[name] && callsOneOf(f, skips) {
					skips[name], grown = true, true
				}
			}
		}
		for _, f := range functions {
			if name := f.Name.Name; strings.HasPrefix(name, "Test") {
				out[name] = out[name] || skips[name]
			}
		}
	}
	return out
}

func callsOneOf(f *ast.FuncDecl, skips map[string]bool) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		call, is := n.(*ast.CallExpr)
		if !is {
			return true
		}
		switch to := call.Fun.(type) {
		case *ast.Ident:
			found = found || skips[to.Name]
		case *ast.SelectorExpr:
			found = found || slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, to.Sel.Name)
		}
		return true
	})
	return found
}

func TestTheListNamesEachTestThatMayBeSkippedAndNoneThatIsGone(t *testing.T) {
	root := filepath.Join("..", "..")
	list, err := os.ReadFile(filepath.Join(root, "docs", "not-run-here.md"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("`(Test[^`/]*)").FindAllStringSubmatch(string(list), -1) {
		listed[m[1]] = true
	}
	tests := maySkip(t, root)
	for name, skips := range tests {
		if skips && !listed[name] {
			t.Errorf("%s may be skipped and is not listed", name)
		}
	}
	for name := range listed {
		if _, is := tests[name]; !is {
			t.Errorf("%s is listed and there is no such test", name)
		}
	}
}
