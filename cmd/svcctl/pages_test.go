package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/svcctl/svcctl/agent"
	"github.com/svcctl/svcctl/spec"
)

// block is a fenced block of a page.
type block struct {
	words string // behind the fence
	text  string
	line  int
}

func readPage(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func fencedBlocks(page string) (out []block) {
	var open *block
	for i, line := range strings.Split(page, "\n") {
		words, fence := strings.CutPrefix(line, "```")
		switch {
		case !fence && open != nil:
			open.text += line + "\n"
		case fence && open == nil:
			open = &block{words: words, line: i + 1}
		case fence:
			out = append(out, *open)
			open = nil
		}
	}
	return out
}

// handWritten are the pages whose examples a reader copies.
func handWritten(t *testing.T) []string {
	t.Helper()
	pages := []string{"README.md", "CONTRIBUTING.md"}
	for _, dir := range []string{"docs", filepath.Join("docs", "kinds")} {
		found, err := filepath.Glob(filepath.Join("..", "..", dir, "*.md"))
		if err != nil || len(found) == 0 {
			t.Fatalf("no pages under %s: %v", dir, err)
		}
		for _, f := range found {
			pages = append(pages, filepath.Join(dir, filepath.Base(f)))
		}
	}
	return pages
}

// Every ```hcl block of every page is a whole set; ```hcl agent is an agent.hcl.
func TestExamplesOfThePagesAreValid(t *testing.T) {
	tried := 0
	for _, page := range handWritten(t) {
		for _, b := range fencedBlocks(readPage(t, page)) {
			at := fmt.Sprintf("%s:%d", page, b.line)
			switch b.words {
			case "hcl":
				l := spec.NewLoader(spec.Options{Kinds: newKinds(nil), Node: spec.Node{Name: "n1"}})
				sp, findings := l.Load(fstest.MapFS{"example.hcl": {Data: []byte(b.text)}})
				if sp == nil || len(findings) > 0 {
					for _, f := range findings {
						t.Errorf("%s: line %d of the example: %s: %s %s", at, f.Range.Start.Line, f.Code, f.Summary, f.Detail)
					}
				}
				if got, err := spec.Format([]byte(b.text)); err != nil || string(got) != b.text {
					t.Errorf("%s: svcctl fmt would change the example to\n%s", at, got)
				}
			case "hcl agent":
				file := filepath.Join(t.TempDir(), "agent.hcl")
				if err := os.WriteFile(file, []byte(b.text), 0o644); err != nil {
					t.Fatal(err)
				}
				if _, err := agent.LoadConfig(file); err != nil {
					t.Errorf("%s: %v", at, err)
				}
			default:
				continue
			}
			tried++
		}
	}
	if tried < 10 {
		t.Errorf("only %d examples were found", tried)
	}
}

var (
	routeLine  = regexp.MustCompile(`mux\.Handle(?:Func)?\("((?:GET|POST|PUT|DELETE) [^"]+)"`)
	routeCell  = regexp.MustCompile("(?m)^\\| `((?:GET|POST|PUT|DELETE) [^`]+)` \\|")
	markedPath = regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
)

func TestThePageOfTheAPIListsEveryRoute(t *testing.T) {
	var routes, listed []string
	for _, m := range routeLine.FindAllStringSubmatch(readPage(t, "api/server.go"), -1) {
		routes = append(routes, m[1])
	}
	for _, m := range routeCell.FindAllStringSubmatch(readPage(t, "docs/api.md"), -1) {
		listed = append(listed, m[1])
	}
	slices.Sort(routes)
	slices.Sort(listed)
	if len(routes) == 0 || !slices.Equal(routes, listed) {
		t.Errorf("the server has the routes\n%s\nand docs/api.md lists\n%s", strings.Join(routes, "\n"), strings.Join(listed, "\n"))
	}
}

func TestLinksBetweenPagesLeadSomewhere(t *testing.T) {
	for _, page := range handWritten(t) {
		for _, m := range markedPath.FindAllStringSubmatch(readPage(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join("..", "..", filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			}
		}
	}
}
