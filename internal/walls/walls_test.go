// Package walls holds the rooms of the program apart: who may import whom, and what the pure rooms may not touch.
package walls

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/svcctl/svcctl/"

// mayImport lists, for each room, the rooms of ours that it may know. A room that
// is not listed here fails the test: add it with its sentence to the documentation.
var mayImport = map[string][]string{
	"cmd/svcctl":          {"*"},
	"cmd/svcctl-keeper":   {"keeper"},
	"spec":                {"internal/dag", "internal/cron"},
	"engine":              {"spec", "internal/dag", "internal/cron"},
	"keeper":              {},
	"drivers":             {"spec"},
	"drivers/app":         {"drivers", "spec", "keeper", "internal/seccomp"},
	"drivers/mount":       {"drivers", "spec"},
	"drivers/container":   {"drivers", "spec"},
	"internal/testengine": {},
	"drivers/loop":        {"drivers", "spec"},
	"drivers/ip":          {"drivers", "spec", "internal/netns", "internal/rtnl"},
	"drivers/netns":       {"drivers", "spec", "internal/netns", "internal/rtnl"},
	"drivers/route":       {"drivers", "spec", "internal/netns", "internal/rtnl"},
	"drivers/exec":        {"drivers", "spec"},
	"drivers/http":        {"drivers", "spec", "internal/netns"},
	"drivers/tcp":         {"drivers", "spec", "internal/netns"},
	"drivers/icmp":        {"drivers", "spec", "internal/netns"},
	"drivers/dns":         {"drivers", "spec", "internal/netns"},
	"drivers/grpc":        {"drivers", "spec"},
	"drivers/sql":         {"drivers", "spec"},
	"drivers/disk":        {"drivers", "spec"},
	"drivers/systemd":     {"drivers", "spec"},
	"drivers/drivertest":  {"drivers", "spec"},
	"agent":               {"spec", "engine", "drivers", "keeper", "internal/dag"},
	"api":                 {"engine", "spec", "drivers"},
	"metrics":             {"engine", "spec"},
	"internal/dag":        {},
	"internal/cron":       {},
	"internal/netns":      {},
	"internal/rtnl":       {"internal/netns"},
	"internal/seccomp":    {},
	"internal/walls":      {},
	"internal/e2e":        {"internal/lab"},
	"internal/bench":      {"*"},
	"internal/testreport": {},
	"internal/lab":        {},
	"internal/picture":    {},
	"internal/marks":      {},
}

// pure rooms decide and do nothing: no goroutine, no clock, no lock, no file.
var pure = []string{"engine"}

var impureImports = []string{"os", "net", "sync", "context", "sync/atomic", "time/tzdata", "math/rand", "os/exec", "syscall", "unsafe", "runtime", "net/http", "io/fs"}

var impureCalls = []string{"Now", "Since", "Until", "After", "AfterFunc", "Sleep", "NewTimer", "NewTicker", "Tick"}

// seededRandom is what a pure room may use of math/rand/v2: a generator is a value.
var seededRandom = []string{"New", "NewPCG", "Rand", "PCG"}

func TestRoomsKnowOnlyWhomTheyMay(t *testing.T) {
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", module+"...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
			Deps       []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		room := strings.TrimPrefix(p.ImportPath, module)
		allowed, known := mayImport[room]
		if !known {
			if strings.HasPrefix(room, "examples/") {
				continue
			}
			t.Errorf("room %s is not in the table of the walls", room)
			continue
		}
		for _, i := range p.Imports {
			other, ours := strings.CutPrefix(i, module)
			if ours && !slices.Contains(allowed, other) && !slices.Contains(allowed, "*") {
				t.Errorf("%s imports %s; it may import %v", room, other, allowed)
			}
		}
		if room == "engine" {
			for _, d := range p.Deps {
				if strings.HasPrefix(d, module+"drivers") || strings.HasPrefix(d, module+"agent") {
					t.Errorf("%s depends on %s: it names verbs, it does not hold drivers", room, d)
				}
			}
		}
	}
}

func TestPureRoomsTouchNothing(t *testing.T) {
	for _, room := range pure {
		files, err := filepath.Glob(filepath.Join("..", "..", room, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", room, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, finding := range impurities(file, src) {
				t.Error(finding)
			}
		}
	}
}

// The walls themselves are tried: each forbidden thing, put into a file, is found.
func TestWallsSeeWhatIsForbidden(t *testing.T) {
	for _, src := range []string{
		`import "os"; var _ = os.Args`,
		`import "time"; var _ = time.Now()`,
		`import clock "time"; var _ = clock.Now()`,
		`import . "time"; var _ = Now()`,
		`import "sync"; var _ sync.Mutex`,
		`import "context"; var _ context.Context`,
		`func f() { go f() }`,
		`import "time"; var _ = time.After`,
		`import "math/rand/v2"; var _ = rand.IntN(3)`,
	} {
		if len(impurities("try.go", []byte("package try\n"+src))) == 0 {
			t.Errorf("not found: %s", src)
		}
	}
	if found := impurities("try.go", []byte("package try\nimport \"time\"\nvar _ = time.Second\n")); len(found) > 0 {
		t.Errorf("found in a pure file: %v", found)
	}
}

func impurities(name string, src []byte) (found []string) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, src, 0)
	if err != nil {
		return []string{err.Error()}
	}
	report := func(n ast.Node, format string, args ...any) {
		found = append(found, fmt.Sprintf("%s: %s", fset.Position(n.Pos()), fmt.Sprintf(format, args...)))
	}
	clock := ""
	for _, i := range f.Imports {
		path, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return []string{err.Error()}
		}
		if slices.Contains(impureImports, path) {
			report(i, "a pure room imports %s", path)
		}
		if path == "math/rand/v2" && i.Name != nil {
			report(i, "a pure room renames math/rand/v2, which hides its global generator")
		}
		if path == "time" {
			clock = "time"
			if i.Name != nil {
				clock = i.Name.Name
			}
			if clock == "." {
				report(i, "a pure room imports time with a dot, which hides its clock")
			}
		}
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			report(n, "a pure room starts a goroutine")
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && clock != "" && x.Name == clock && slices.Contains(impureCalls, n.Sel.Name) {
				report(n, "a pure room reads the clock: %s.%s", x.Name, n.Sel.Name)
			}
			if x, ok := n.X.(*ast.Ident); ok && x.Name == "rand" && !slices.Contains(seededRandom, n.Sel.Name) {
				report(n, "a pure room uses the global generator: rand.%s", n.Sel.Name)
			}
		}
		return true
	})
	return found
}
