package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/agext/levenshtein"
	"github.com/hashicorp/hcl/v2"
)

// Finding is one mistake, or one thing worth a warning, and its place.
type Finding struct {
	Code     string // "SV" and four digits
	Severity Severity
	File     string    // path inside the set; empty where the set itself is meant
	Range    hcl.Range // of the exact token; zero where the file or set itself is meant
	Summary  string    // terse, a statement
	Detail   string    // what to write instead
	Nodes    []string  // the candidates that it concerns, sorted; nil: it has nothing to do with the node

	source []byte // of the file, for the snippet
	hidden bool   // its line is not to be shown
}

// Findings are sorted by file, line, column and code; no two are equal.
type Findings []Finding

// HasErrors says whether one of the findings keeps the set from being used.
func (f Findings) HasErrors() bool {
	return slices.ContainsFunc(f, func(f Finding) bool { return f.Severity == Error })
}

// Count says how many findings are of a severity.
func (f Findings) Count(s Severity) (n int) {
	for _, x := range f {
		if x.Severity == s {
			n++
		}
	}
	return n
}

// Sorted are findings of several sets in the order of those of one.
func (f Findings) Sorted() Findings { return sortFindings(slices.Clone(f)) }

// WithoutNotes are the findings that are mistakes, or may be.
func (f Findings) WithoutNotes() Findings {
	return slices.DeleteFunc(slices.Clone(f), func(f Finding) bool { return f.Severity == Note })
}

// newFinding fills the summary's format of the code.
func newFinding(code string, at hcl.Range, detail string, args ...any) Finding {
	c := codeByName[code]
	if c == nil {
		panic(fmt.Sprintf("internal error: no code %s", code))
	}
	return Finding{
		Code: code, Severity: c.Severity, File: at.Filename, Range: at,
		Summary: oneLine(shown(fmt.Sprintf(c.Summary, args...), maxSummary)), Detail: shown(detail, maxDetail),
	}
}

// shownNodes is how many nodes a text names.
const shownNodes = 5

// statement is the summary, with the nodes that it is true of.
func (f Finding) statement() string {
	n := len(f.Nodes)
	switch {
	case n == 0:
		return f.Summary
	case n == 1:
		return f.Summary + ", on " + f.Nodes[0]
	case n > shownNodes:
		return fmt.Sprintf("%s, on %s and %d more", f.Summary, strings.Join(f.Nodes[:shownNodes-1], ", "), n-shownNodes+1)
	default:
		return f.Summary + ", on " + strings.Join(f.Nodes[:n-1], ", ") + " and " + f.Nodes[n-1]
	}
}

// shown is text of a finding: bounded, without secrets, and nothing that a terminal obeys.
func shown(s string, most int) string { return plainText(clipped(Redact(s), most)) }

func sortFindings(f Findings) Findings {
	slices.SortStableFunc(f, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Range.Start.Line, b.Range.Start.Line),
			cmp.Compare(a.Range.Start.Column, b.Range.Start.Column),
			cmp.Compare(a.Code, b.Code),
			cmp.Compare(a.Summary, b.Summary),
			cmp.Compare(a.Detail, b.Detail),
			slices.Compare(a.Nodes, b.Nodes),
		)
	})
	var all distinct // an expression is evaluated once an instance and node; its mistake is one
	for _, x := range f {
		all.add(x)
	}
	return all.list
}

// place is how another place is named inside a text.
func place(r hcl.Range) string { return fmt.Sprintf("%s:%d", r.Filename, r.Start.Line) }

const (
	maxWord  = 100  // characters of a word that is looked for
	maxWords = 1000 // among which it is
)

// Nearest returns the word that was most likely meant, or "". Of two that are equally near
// it is the first by the alphabet, in whatever order they are given.
func Nearest(word string, words []string) string {
	if len(word) > maxWord || len(words) > maxWords {
		return ""
	}
	best, bestDistance := "", len(word)/3+2
	for _, w := range words {
		if max(len(w)-len(word), len(word)-len(w)) > bestDistance {
			continue
		}
		d := levenshtein.Distance(strings.ToLower(word), strings.ToLower(w), nil)
		if d == 2 && len(word) == len(w) && sameLetters(word, w) { // two that changed places
			d = 1
		}
		if d < len(w) && (d < bestDistance || d == bestDistance && best != "" && w < best) {
			best, bestDistance = w, d
		}
	}
	return best
}

// didYouMean is a sentence about the nearest word, or the list of all that there are.
func didYouMean(word string, words []string) string {
	if n := meant(word, words); n != "" {
		return fmt.Sprintf("Did you mean %q?", n)
	}
	return thereIs(words)
}

func thereIs(words []string) string {
	if len(words) == 0 {
		return ""
	}
	sorted := slices.Clone(words)
	slices.Sort(sorted)
	return "There is: " + strings.Join(slices.Compact(sorted), ", ") + "."
}
