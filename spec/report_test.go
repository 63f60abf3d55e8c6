package spec

import (
	"encoding/json"
	"maps"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	junit "github.com/joshdk/go-junit"
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
			at = p.Artifact.URI + " " + jsonOf(t, p.Region)
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
	for _, c := range []struct {
		findings        Findings
		strict          bool
		tests, failures int
	}{{reported(t), false, 4, 2}, {reported(t), true, 4, 4}, {nil, false, 1, 0}, {nil, true, 1, 0}} {
		s := junitOf(t, c.findings, c.strict)
		if s.Totals.Tests != c.tests || s.Totals.Failed != c.failures || s.Totals.Passed != c.tests-c.failures {
			t.Errorf("%+v, want %d tests of which %d failed", s.Totals, c.tests, c.failures)
		}
	}
}

// junitOf reads what is written as the programs do that show it.
func junitOf(t *testing.T, f Findings, strict bool) junit.Suite {
	t.Helper()
	var b strings.Builder
	f.WriteJUnit(&b, strict)
	suites, err := junit.Ingest([]byte(b.String()))
	if err != nil || len(suites) != 1 {
		t.Fatalf("%v, %d suites in\n%s", err, len(suites), b.String())
	}
	return suites[0]
}

func TestJUnitTellsEachFindingWhateverIsInIt(t *testing.T) {
	f := manySorts(t)
	s := junitOf(t, f, false)
	if len(s.Tests) != len(f) {
		t.Fatalf("%d tests of %d findings", len(s.Tests), len(f))
	}
	for i, test := range s.Tests {
		x := f[i]
		if test.Classname != x.Code || test.Properties["file"] != strings.ToValidUTF8(x.File, "\uFFFD") {
			t.Errorf("%s at %s is told as %s at %q", x.Code, x.where(), test.Classname, test.Properties["file"])
		}
		if failed := test.Status == junit.StatusFailed; failed != (x.Severity == Error) {
			t.Errorf("%s %s: %s", x.Severity, x.Code, test.Status)
		}
		text := test.SystemOut
		if test.Error != nil {
			text = test.Error.Error()
		}
		if detail := legalXML(x.Detail); !strings.Contains(text, detail) {
			t.Errorf("%q is missing in %q", detail, text)
		}
	}
}

// legalXML has U+FFFD in the place of what no XML may hold, as "&#x1b;" neither.
func legalXML(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' {
			return '\uFFFD'
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

var (
	githubCommand  = regexp.MustCompile(`^::(error|warning|notice) ([^:]*)::([^\r\n]*)$`)
	githubProperty = regexp.MustCompile(`^(file|line|endLine|col|endColumn|title)=([^,:\r\n]+)$`)
)

// githubText reads what GitHub's runners read from a message, or from a property.
func githubText(t *testing.T, s string, property bool) string {
	t.Helper()
	escapes := []string{"%0D", "\r", "%0A", "\n"}
	if property {
		escapes = append(escapes, "%3A", ":", "%2C", ",")
	}
	out := strings.NewReplacer(append(escapes, "%25", "%")...).Replace(s)
	if bare := strings.NewReplacer("%0D", "", "%0A", "", "%3A", "", "%2C", "", "%25", "").Replace(s); strings.Contains(bare, "%") {
		t.Errorf("a %% stands for itself in %q", s)
	}
	return out
}

// The grammar is that of GitHub's page on workflow commands; columns stand only where a
// place begins and ends on one line.
func TestGitHubCommandsAreOfTheDocumentedForm(t *testing.T) {
	f := manySorts(t)
	var b strings.Builder
	f.WriteGitHub(&b)
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != len(f) {
		t.Fatalf("%d lines of %d findings:\n%s", len(lines), len(f), b.String())
	}
	for i, line := range lines {
		x := f[i]
		m := githubCommand.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("no command: %q", line)
			continue
		}
		if got := githubText(t, m[3], false); got != x.message() {
			t.Errorf("message %q, want %q", got, x.message())
		}
		got := map[string]string{}
		for _, part := range strings.Split(m[2], ",") {
			p := githubProperty.FindStringSubmatch(part)
			if p == nil || got[p[1]] != "" {
				t.Errorf("%q is no property in %q", part, line)
				continue
			}
			got[p[1]] = githubText(t, p[2], true)
		}
		want := map[string]string{"title": x.Code}
		if x.File != "" {
			want["file"] = plainText(x.File)
		}
		if x.Range.Start.Line > 0 {
			want["line"], want["endLine"] = strconv.Itoa(x.Range.Start.Line), strconv.Itoa(x.Range.End.Line)
			if x.Range.Start.Line == x.Range.End.Line {
				from, to := x.columns()
				want["col"], want["endColumn"] = strconv.Itoa(from), strconv.Itoa(to)
			}
		}
		if !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

func TestTextObeysNobodysEscapeCodes(t *testing.T) {
	src := "service \"a\" {}\nassert {\n  condition = false\n  message = \"\\u001b[31mred\\u009b0m\\u0007\\r\"\n}\n# \x1b[2J\nlocals {\n  \"a\x1b[2J\" = 1\n}\n"
	_, f := NewLoader(testOptions).Load(set("a\x1b[1m.hcl", src))
	if len(f) == 0 {
		t.Fatal("nothing is found")
	}
	f = append(f, manySorts(t)...)
	for _, x := range printed(f) {
		if x != '\n' && unicode.IsControl(x) {
			t.Errorf("%U is in\n%q", x, printed(f))
			break
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
