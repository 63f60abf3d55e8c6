package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra/doc"
)

var manDir = flag.String("man", "", "write the manual pages into man1 and man5 of this folder")

// The manual pages are made of the commands themselves, and of the page about the
// language. make packages calls this for them.
func TestManualPagesAreMade(t *testing.T) {
	dir := *manDir
	if dir == "" {
		dir = t.TempDir()
	}
	man1, man5 := filepath.Join(dir, "man1"), filepath.Join(dir, "man5")
	for _, d := range []string{man1, man5} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	root := (&program{streams: &streams{}}).root()
	root.DisableAutoGenTag = true
	day := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) // the same page of the same sources
	if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "svcctl", Manual: "svcctl", Date: &day}, man1); err != nil {
		t.Fatal(err)
	}
	language, err := os.ReadFile("../../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	page := md2man.Render(append([]byte("% \"SVCCTL.HCL\" \"5\" \"November 2026\" \"svcctl\" \"svcctl\"\n# NAME\nsvcctl.hcl - the language that services are declared in\n"), language...))
	if err := os.WriteFile(filepath.Join(man5, "svcctl.hcl.5"), page, 0o644); err != nil {
		t.Fatal(err)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "man?", "*"))
	if err != nil || len(pages) < 20 {
		t.Fatalf("only %d pages: %v", len(pages), err)
	}
	if _, err := exec.LookPath("man"); err != nil {
		t.Skip("no man here to read the pages with")
	}
	for _, page := range pages {
		c := exec.Command("man", "--warnings", "-P", "cat", "-l", page)
		c.Env = append(os.Environ(), "MANWIDTH=100", "LC_ALL=C.UTF-8")
		var said strings.Builder
		c.Stderr = &said
		out, err := c.Output()
		if err != nil || said.Len() > 0 || !strings.Contains(string(out), "svcctl") {
			t.Errorf("%s: %v\n%s", filepath.Base(page), err, said.String())
		}
	}
}
