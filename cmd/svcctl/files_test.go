package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestValidatePrintsFindingsAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.hcl"), filepath.Join(dir, "bad.hcl")
	write(t, good, untidy)
	write(t, bad, "service \"b\" {\n  ap \"x\" {\n  }\n}\n")
	if code, out, stderr := runLine("validate", good); code != exitDone || out+stderr != "" {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
	for _, path := range []string{bad, dir} {
		code, out, stderr := runLine("validate", path)
		if code != exitFailed || !strings.Contains(out, bad+":2:3: error SV") || !strings.Contains(out, `"app"`) || stderr != "" {
			t.Errorf("%s: exit %d: %s%s", path, code, out, stderr)
		}
	}
	code, out, _ := runLine("validate", "--format", "json", good, bad)
	type finding struct {
		Code, File, Severity string
		Line                 int
	}
	var found []finding
	if err := json.Unmarshal([]byte(out), &found); err != nil || code != exitFailed {
		t.Fatalf("exit %d: %v in %s", code, err, out)
	}
	found = slices.DeleteFunc(found, func(f finding) bool { return f.Severity == "note" }) // of what good leaves open
	if len(found) != 1 || found[0].File != bad || found[0].Line != 2 || !strings.HasPrefix(found[0].Code, "SV") {
		t.Errorf("found %+v", found)
	}
	for format, part := range map[string]string{"sarif": `"ruleId": "SV`, "junit": "<testsuite name=", "github": "::error file=" + bad + ",line=2,"} {
		if code, out, stderr := runLine("validate", "--format", format, bad); code != exitFailed || !strings.Contains(out, part) || stderr != "" {
			t.Errorf("%s: exit %d, no %s in\n%s%s", format, code, part, out, stderr)
		}
	}
	if code, _, _ := runLine("validate", "--format", "sarif5", good); code != exitUsage {
		t.Errorf("exit %d", code)
	}
}

func TestOneFileMayIncludeItsNeighbour(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "motd"), "hello")
	write(t, filepath.Join(dir, "broken.hcl"), "service {")
	file := filepath.Join(dir, "a.hcl")
	write(t, file, "service \"a\" {\n  app \"x\" {\n    command = [\"/bin/echo\", file(\"motd\")]\n  }\n}\n")
	if code, out, stderr := runLine("validate", file); code != exitDone {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
}

func TestGraphsAreDrawn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "all.hcl")
	write(t, file, declared)
	for format, parts := range map[string][]string{
		"dot":     {`"orders/app.data" -> "orders/app.main"`, `label="shop/web"`},
		"mermaid": {"flowchart LR", "r0 --> r1", `["shop/web"]`},
	} {
		code, out, stderr := runLine("graph", "--format", format, file)
		for _, part := range parts {
			if code != exitDone || !strings.Contains(out, part) {
				t.Errorf("%s: exit %d, missing %s in\n%s%s", format, code, part, out, stderr)
			}
		}
	}
	_, run := newWorld(t)
	_, fromAgent, _ := run("graph", "orders")
	if !strings.Contains(fromAgent, `"orders/app.data" -> "orders/app.main"`) || strings.Contains(fromAgent, "shop") {
		t.Errorf("from the agent:\n%s", fromAgent)
	}
}

func TestExplainKnowsEveryKind(t *testing.T) {
	_, list, _ := runLine("explain")
	kinds := newKinds(nil)
	for _, k := range append(kinds.ResourceKinds(), kinds.CheckKinds()...) {
		if !strings.Contains(list, k) {
			t.Errorf("%s is not in the list", k)
		}
		code, out, stderr := runLine("explain", k)
		if code != exitDone || len(out) == 0 {
			t.Errorf("%s: exit %d %s", k, code, stderr)
		}
	}
	code, out, _ := runLine("explain", "app.command")
	if code != exitDone || !strings.Contains(out, "command  (list of string; required") || strings.Contains(out, "\n  user ") {
		t.Errorf("exit %d:\n%s", code, out)
	}
	code, out, _ = runLine("explain", "--json", "http")
	var docs []kindDoc
	if err := json.Unmarshal([]byte(out), &docs); err != nil || code != exitDone || docs[0].Kind != "http" || docs[0].Of != "check" {
		t.Errorf("exit %d: %v in %s", code, err, out)
	}
}
