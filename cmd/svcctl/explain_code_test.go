package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/svcctl/svcctl/spec"
)

// inWords are the codes that no file shows: of what can't be read, is too much to be read
// here, or what no argument has yet.
var inWords = []string{"SV0001", "SV0003", "SV0004", "SV0005", "SV0603"}

func TestEveryCodeHasAPageWhoseWrongPartIsFoundAndWhoseRightPartIsNot(t *testing.T) {
	for _, c := range spec.Codes() {
		p := spec.PageOf(c.Code)
		if len(p.Text) < 40 {
			t.Errorf("%s has no text", c.Code)
		}
		if title := strings.Trim(c.Title(), "…“” "); title == "" || strings.Contains(title, "%") {
			t.Errorf("%s has no title: %q", c.Code, c.Title())
		}
		if p.Wrong == nil || p.Right == nil {
			if p.Wrong != p.Right || !slices.Contains(inWords, c.Code) {
				t.Errorf("the page of %s lacks an example", c.Code)
			}
			continue
		}
		wrong, right := lint(c, p, p.Wrong), lint(c, p, p.Right)
		if len(wrong) != 1 || wrong[0].Code != c.Code {
			t.Errorf("%s: its wrong part has the findings\n%s", c.Code, textOf(wrong))
		}
		if len(right) > 0 {
			t.Errorf("%s: its right part has the findings\n%s", c.Code, textOf(right))
		}
	}
}

func textOf(f spec.Findings) string {
	var b strings.Builder
	f.WriteText(&b, false)
	return b.String()
}

func TestExplainTellsOfACodeAndNamesTheNearest(t *testing.T) {
	d, err := findCode("sv0104")
	if err != nil || d.Code != "SV0104" || !strings.Contains(d.Found, "has no argument") {
		t.Errorf("%v %+v", err, d)
	}
	var b strings.Builder
	printCode(&b, d, 80)
	for _, part := range []string{"SV0104, error: ", "Wrong:", "What is found:", "Right:", "    example.hcl:9:5: error SV0104: "} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("%q is missing in\n%s", part, b.String())
		}
	}
	for line := range strings.Lines(b.String()) {
		if len(strings.TrimRight(line, "\n")) > 160 {
			t.Errorf("a long line: %s", line)
		}
	}
	if _, err := findCode("SV0140"); err == nil || !strings.Contains(err.Error(), "did you mean SV0") {
		t.Errorf("an unknown code: %v", err)
	}
	if got := subjects("SV01"); !slices.Contains(got, "SV0104") {
		t.Errorf("completion of SV01: %v", got)
	}
	if got := subjects("s"); slices.Contains(got, "SV0104") || !slices.Contains(got, "sql") {
		t.Errorf("completion of s: %v", got)
	}
}
