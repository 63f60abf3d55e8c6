package spec

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// sarifRules is the schema that OASIS publishes, from a file.
func sarifRules(t *testing.T) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open("testdata/sarif/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sarifOf(t *testing.T, f Findings) (text string, run sarifRun) {
	t.Helper()
	var b strings.Builder
	f.WriteSARIF(&b, "1.2")
	var log struct{ Runs []sarifRun }
	if err := json.Unmarshal([]byte(b.String()), &log); err != nil || len(log.Runs) != 1 {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	return b.String(), log.Runs[0]
}

// manySorts are findings of many codes in files with awkward names.
func manySorts(t *testing.T) Findings {
	t.Helper()
	o := testOptions
	o.Notes = true
	_, f := NewLoader(o).Load(set(
		"a b.hcl", "service \"a\" {\n  count = 2\n  app \"b\" {\n    comand = [\"/bin/true\", \"100%\"]\n    env = { PASSWORD = \"hunter2\" }\n  }\n}\n",
		"größe/x:1#2?.hcl", "service \"b\" {\n  nodes = [\"é\", \"日本\"]\n  ap \"c\" {}\n}\n",
		"broken.hcl", "service \"c\" {\n",
		"latin.hcl", "# \xe9\n",
	))
	f = append(f, newFinding(codeNoService, hcl.Range{}, "Is it the right folder?"))
	whole := newFinding(codeUnreadable, hcl.Range{}, "permission denied.", "the file")
	whole.File, whole.Nodes = "dir/closed.hcl", []string{"n1", "n2"}
	odd := newFinding(codeAssert, hcl.Range{Filename: "odd.hcl", Start: hcl.Pos{Line: 3, Column: 4}, End: hcl.Pos{Line: 5, Column: 1}}, "bell \a, escape \x1b[31m, nul \x00, broken \xff, ]]> & <b> \"'\n::error::no")
	for _, file := range []string{"/abs/ü x.hcl", "../beside.hcl", "bytes\xff.hcl", "odd.hcl"} {
		odd.File = file
		f = append(f, odd)
	}
	return append(f, whole)
}

func TestWhateverIsFoundTheSARIFIsValid(t *testing.T) {
	rules := sarifRules(t)
	var every Findings // one of each code, with each severity
	for _, c := range Codes() {
		every = append(every, Finding{Code: c.Code, Severity: c.Severity, File: "a.hcl", Summary: c.Summary})
	}
	for name, f := range map[string]Findings{"nothing": nil, "some": reported(t), "many sorts": manySorts(t), "every code": every} {
		text, _ := sarifOf(t, f)
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := rules.Validate(doc); err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	for _, wrong := range []string{`{"version": "2.1.0"}`, `{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x", "colour": 1}}}]}`} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(wrong))
		if err != nil || rules.Validate(doc) == nil {
			t.Errorf("the schema lets pass %s (%v)", wrong, err)
		}
	}
}

// What GitHub's page on SARIF calls required, beyond the schema.
func TestSARIFHasWhatCodeScanningRequires(t *testing.T) {
	_, run := sarifOf(t, manySorts(t))
	for _, r := range run.Tool.Driver.Rules {
		if r.ID == "" || r.Short.Text == "" || r.Full.Text == "" || r.Help.Text == "" || r.Default.Level != codeByName[r.ID].Severity {
			t.Errorf("rule %+v", r)
		}
	}
	seen := map[string]bool{}
	for _, r := range run.Results {
		print := r.Fingerprints["svcctl/v1"]
		if print == "" || seen[print] {
			t.Errorf("%s %s: fingerprint %q is empty or another's", r.Rule, r.Message.Text, print)
		}
		seen[print] = true
		for _, p := range r.Places {
			if g := p.Physical.Region; g.StartLine < 1 || g.StartColumn < 1 || g.EndLine < g.StartLine || g.EndColumn < 1 {
				t.Errorf("%s: region %+v", r.Rule, g)
			}
		}
	}
}

func TestSARIFNamesFilesAsURIs(t *testing.T) {
	for file, want := range map[string]sarifArtifact{
		"a.hcl":               {"a.hcl", sourceRoot},
		"./a b/ü.hcl":         {"a%20b/%C3%BC.hcl", sourceRoot},
		"x:1.hcl":             {"./x:1.hcl", sourceRoot},
		"a#b?c%d.hcl":         {"a%23b%3Fc%25d.hcl", sourceRoot},
		"../a.hcl":            {"../a.hcl", ""},
		"..a.hcl":             {"..a.hcl", sourceRoot},
		"/etc/svcctl/a b.hcl": {"file:///etc/svcctl/a%20b.hcl", ""},
	} {
		if got := artifact(file); got != want {
			t.Errorf("%s: %+v, want %+v", file, got, want)
		}
	}
}

func TestColumnsOfReportsCountCharacters(t *testing.T) {
	for before, want := range map[string]int{
		"/* a */ ":               9,
		"/* é */ ":               9,
		"/* 日本 */ ":              10,
		"/* e\u0301 */ ":         10, // one for the reader, two characters
		"/* 👩\u200d👩\u200d👧 */ ": 13,
		"\t":                     2,
		"\uFEFF":                 1,
	} {
		_, f := NewLoader(testOptions).Load(set("a.hcl", before+"nonsense {}\n"))
		if len(f) == 0 {
			t.Fatalf("%q: nothing found", before)
		}
		_, run := sarifOf(t, f[:1])
		got := run.Results[0].Places[0].Physical.Region
		if got.StartColumn != want || got.EndColumn != want+len("nonsense") {
			t.Errorf("%q: %+v, want column %d", before, got, want)
		}
	}
}

func TestAFingerprintOutlivesLinesAboveAndTellsEqualMistakesApart(t *testing.T) {
	prints := func(src string) (out []string) {
		_, f := NewLoader(testOptions).Load(set("a.hcl", src))
		_, run := sarifOf(t, f)
		for _, r := range run.Results {
			out = append(out, r.Fingerprints["svcctl/v1"])
		}
		return out
	}
	one := "  app \"x\" {\n    command = [\"/bin/true\"]\n    usr = \"a\"\n  }\n"
	two := strings.ReplaceAll(one, `"x"`, `"y"`)
	was := prints("service \"a\" {\n" + one + two + "}\n")
	if len(was) != 2 || was[0] == was[1] {
		t.Fatalf("fingerprints %q", was)
	}
	if now := prints("# a\n\n\nservice \"a\" {\n\n" + one + "\n\n" + two + "}\n"); fmt.Sprint(now) != fmt.Sprint(was) {
		t.Errorf("%q were %q", now, was)
	}
	if now := prints("service \"a\" {\n" + strings.ReplaceAll(one, "usr", "usrs") + "}\n"); now[0] == was[0] {
		t.Error("another mistake has the same fingerprint")
	}
}
