package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The examples are read as validate reads them: for no node in particular, and for one.
func TestTheExamplesAreValidForEveryNodeAndForOne(t *testing.T) {
	dirs, err := filepath.Glob("../../examples/*/services")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, dir := range dirs {
		for _, node := range []string{"", "n1"} {
			_, found, err := (&streams{}).loadPath(dir, node, false)
			if err != nil || len(found) > 0 {
				var text strings.Builder
				found.WriteText(&text, false)
				t.Errorf("%s for node %q: %v\n%s", dir, node, err, text.String())
			}
		}
	}
}

func TestWhatDiffersFromNodeToNodeGoesThroughEveryFunction(t *testing.T) {
	var b strings.Builder
	b.WriteString("service \"a\" {\n")
	for i, value := range []string{
		`lookup(node.labels, "home", "/x")`, `merge(node.labels, { a = "/b" })["a"]`, `"/${join("-", keys(node.labels))}"`,
		`"/${join("-", values(node.labels))}"`, `"/${length(node.labels)}"`, `"/${join("-", [for k, v in node.labels : v])}"`,
		`"/${join("-", concat(values(node.labels), ["z"]))}"`, `{ n1 = "/a" }[node.name]`, `"/${upper(node.name)}"`,
		`"/${format("%s", node.name)}"`, `"/${join("-", flatten([values(node.labels), ["x"]]))}"`, `"/${jsonencode(node.labels)}"`,
		`try(node.labels.home, "/y")`, `node.name == "n1" ? "/a" : "/b"`, `"/${element(values(node.labels), 0)}"`,
	} {
		b.WriteString("  app \"a" + string(rune('a'+i)) + "\" {\n    command = [\"/bin/true\"]\n    cwd     = " + value + "\n  }\n")
	}
	b.WriteString("}\n")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.hcl"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	_, found, err := (&streams{}).loadPath(dir, "", false)
	if err != nil || found.HasErrors() {
		var text strings.Builder
		found.WriteText(&text, false)
		t.Errorf("%v\n%s", err, text.String())
	}
}
