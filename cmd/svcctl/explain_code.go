package main

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing/fstest"

	"github.com/svcctl/svcctl/spec"
)

// codeDoc is a code as JSON tells it, and as the manual is made from.
type codeDoc struct {
	Code     string        `json:"code"`
	Severity spec.Severity `json:"severity"`
	Summary  string        `json:"summary"` // with … for what differs
	Why      string        `json:"why"`
	Text     string        `json:"text"`
	Wrong    string        `json:"wrong,omitempty"` // a file with the mistake
	Found    string        `json:"found,omitempty"` // what validate writes about it
	Right    string        `json:"right,omitempty"`
}

var codePattern = regexp.MustCompile(`(?i)^SV[0-9]*$`)

func codeNames() (names []string) {
	for _, c := range spec.Codes() {
		names = append(names, c.Code)
	}
	return names
}

// findCode returns what there is to say about a code.
func findCode(name string) (codeDoc, error) {
	for _, c := range spec.Codes() {
		if strings.EqualFold(c.Code, name) {
			return describeCode(c), nil
		}
	}
	return codeDoc{}, usage("there is no code %s (%s)", name, suggestion(name, codeNames(), "docs/lint.md lists the codes"))
}

func describeCode(c spec.Code) codeDoc {
	p := spec.PageOf(c.Code)
	d := codeDoc{Code: c.Code, Severity: c.Severity, Summary: c.Title(), Why: c.Why, Text: p.Text}
	if p.Wrong != nil {
		var b strings.Builder
		lint(c, p, p.Wrong).WriteText(&b, false)
		d.Wrong, d.Found, d.Right = p.Wrong.Text, b.String(), p.Right.Text
	}
	return d
}

// lint finds what there is to find in one of a page's examples. A note that has nothing to
// do with the code would lead away from it.
func lint(c spec.Code, p spec.Page, e *spec.Example) spec.Findings {
	o := spec.Options{Kinds: newKinds(nil), Notes: c.Severity == spec.Note}
	for _, n := range p.Nodes {
		o.Nodes = append(o.Nodes, spec.Node{Name: n})
	}
	_, found := spec.NewLoader(o).Load(fstest.MapFS{e.Path: {Data: []byte(e.Text)}})
	return found
}

func printCode(w io.Writer, d codeDoc, width int) {
	fmt.Fprintf(w, "%s, %s: %s\n%s\n", d.Code, d.Severity, d.Summary, wrap(d.Why, "  ", width))
	for paragraph := range strings.SplitSeq(d.Text, "\n\n") {
		fmt.Fprintf(w, "\n%s\n", wrap(paragraph, "  ", width))
	}
	if d.Wrong == "" {
		return
	}
	for _, part := range [][2]string{{"Wrong", d.Wrong}, {"What is found", d.Found}, {"Right", d.Right}} {
		fmt.Fprintf(w, "\n  %s:\n\n", part[0])
		for line := range strings.Lines(part[1]) {
			fmt.Fprint(w, strings.TrimRight("    "+line, " \n")+"\n")
		}
	}
}
