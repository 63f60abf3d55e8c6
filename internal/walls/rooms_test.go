package walls

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite the table of rooms in CONTRIBUTING.md")

const roomsBegin, roomsEnd = "<!-- rooms -->\n", "<!-- /rooms -->"

// The sentence of a room is written once, above its package clause.
func TestGeneratedTableOfRoomsIsUpToDate(t *testing.T) {
	file := filepath.Join("..", "..", "CONTRIBUTING.md")
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(page), roomsBegin)
	was, after, ends := strings.Cut(rest, roomsEnd)
	if !begins || !ends {
		t.Fatalf("%s has no %q … %q", file, roomsBegin, roomsEnd)
	}
	table := roomsTable(t)
	if *update {
		if err := os.WriteFile(file, []byte(before+roomsBegin+table+roomsEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if was != table {
		t.Errorf("the rooms in CONTRIBUTING.md are stale (make docs); they should be\n%s", table)
	}
}

func roomsTable(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Doc,Dir", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var b strings.Builder
	b.WriteString("\n| room | its sentence |\n|---|---|\n")
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ ImportPath, Doc, Dir string }
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		room := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(room, "examples/") {
			continue // what a reader runs is no room of the program
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", room, sentence(t, room, p.Doc, p.Dir))
	}
	return b.String() + "\n"
}

func sentence(t *testing.T, room, doc, dir string) string {
	t.Helper()
	if doc == "" {
		doc = docOfTests(t, dir) // a room of tests alone
	}
	words := strings.Fields(doc)
	if len(words) < 3 || words[0] != "Package" && words[0] != "Command" {
		t.Errorf("%s has no sentence: write // Package %s … above its package clause", room, filepath.Base(room))
		return ""
	}
	return strings.Join(words[2:], " ")
}

func docOfTests(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		if f.Doc != nil {
			return f.Doc.Text()
		}
	}
	return ""
}
