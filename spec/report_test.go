package spec

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

// reported are findings of each severity, and one without a place.
func reported(t *testing.T) Findings {
	t.Helper()
	o := testOptions
	o.Notes = true
	_, f := NewLoader(o).Load(set("a b.hcl", `service "a" {
  count = 2
  app "b" {
    comand = ["/bin/true", "100%"]
    env = { PASSWORD = "hunter2" }
  }
}
`))
	f = append(f, newFinding(codeNoService, hcl.Range{}, "Is it the right folder?"))
	if len(f) != 4 {
		t.Fatalf("%d findings:\n%s", len(f), printed(f))
	}
	return f
}

func TestSARIFHasARuleForEachCodeAndAPlaceForEachFinding(t *testing.T) {
	var b strings.Builder
	reported(t).WriteSARIF(&b, "1.2")
	var log struct {
		Version string
		Runs    []sarifRun
	}
	if err := json.Unmarshal([]byte(b.String()), &log); err != nil || log.Version != "2.1.0" || len(log.Runs) != 1 {
		t.Fatalf("%v in\n%s", err, b.String())
	}
	run := log.Runs[0]
	var got []string
	for _, r := range run.Results {
		at := ""
		if len(r.Places) > 0 {
			p := r.Places[0].Physical
			at = strings.Trim(strings.Join([]string{p.Artifact.URI, jsonOf(t, p.Region)}, " "), " ")
		}
		if run.Tool.Driver.Rules[r.Index].ID != r.Rule {
			t.Errorf("rule %d is not %s", r.Index, r.Rule)
		}
		got = append(got, string(r.Level)+" "+r.Rule+" "+at)
	}
	want := []string{
		`warning SV0311 a%20b.hcl {"startLine":2,"startColumn":3,"endLine":2,"endColumn":8}`,
		`error SV0104 a%20b.hcl {"startLine":4,"startColumn":5,"endLine":4,"endColumn":11}`,
		`warning SV0402 a%20b.hcl {"startLine":5,"startColumn":24,"endLine":5,"endColumn":33}`,
		`error SV0002 `,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	b.Reset()
	Findings{}.WriteSARIF(&b, "")
	if !strings.Contains(b.String(), `"results": []`) || !strings.Contains(b.String(), `"rules": []`) {
		t.Errorf("nothing found:\n%s", b.String())
	}
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestJUnitCountsErrorsAsFailures(t *testing.T) {
	type suite struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Cases    []struct {
			Class   string    `xml:"classname,attr"`
			Failure *struct{} `xml:"failure"`
		} `xml:"testcase"`
	}
	for _, c := range []struct {
		findings        Findings
		tests, failures int
	}{{reported(t), 4, 2}, {nil, 1, 0}} {
		var b strings.Builder
		c.findings.WriteJUnit(&b)
		var s suite
		if err := xml.Unmarshal([]byte(b.String()), &s); err != nil || s.Tests != c.tests || s.Failures != c.failures || len(s.Cases) != c.tests {
			t.Errorf("%v: %+v in\n%s", err, s, b.String())
		}
	}
}

func TestGitHubSeesEachFindingAtItsLine(t *testing.T) {
	var b strings.Builder
	f := reported(t)
	f[1].Detail = "100%\nsure"
	f.WriteGitHub(&b)
	want := []string{
		"::warning file=a b.hcl,line=2,endLine=2,col=3,endColumn=8,title=SV0311::",
		`::error file=a b.hcl,line=4,endLine=4,col=5,endColumn=11,title=SV0104::app has no argument "comand". 100%25%0Asure`,
		"::warning file=a b.hcl,line=5,endLine=5,col=24,endColumn=33,title=SV0402::",
		"::error title=SV0002::no service is declared. Is it the right folder?",
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != len(want) {
		t.Fatalf("%d lines:\n%s", len(lines), b.String())
	}
	for i := range want {
		if !strings.HasPrefix(lines[i], want[i]) {
			t.Errorf("got\n%s\nwant\n%s", lines[i], want[i])
		}
	}
}
