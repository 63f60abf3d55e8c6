package spec

import (
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
)

func TestOfTwoWordsThatAreEquallyNearTheOrderOfTheListDecidesNothing(t *testing.T) {
	for _, words := range [][]string{{"abc", "abe", "x"}, {"x", "abe", "abc"}} {
		if got := Nearest("abd", words); got != "abc" {
			t.Errorf("of %q the nearest is %q", words, got)
		}
	}
}

func TestNotesAreNeverTooManyAndNoErrorIsLeftOutForThem(t *testing.T) {
	many := func(code string, n int) (all Findings) {
		for i := range n {
			all = append(all, newFinding(code, hcl.Range{Filename: "a.hcl", Start: hcl.Pos{Line: i + 1}}, ""))
		}
		return all
	}
	note, warning, mistake := codeNote, codePlainSecret, codeSetTwice
	if s := codeByName[note].Severity; s != Note {
		t.Fatalf("%s is of severity %v", note, s)
	}
	for _, c := range []struct {
		all                     Findings
		errors, warnings, notes int
	}{
		{many(note, maxFindings+5), 0, 0, maxFindings},
		{append(many(note, maxFindings), many(warning, 7)...), 0, 7, maxFindings - 7},
		{append(many(warning, maxFindings-3), many(mistake, 3)...), 3, maxFindings - 3, 0},
		{many(warning, maxFindings+1), 0, maxFindings + 1, 0}, // one says that there are more
		{append(many(warning, maxFindings), many(mistake, 3)...), 4, maxFindings - 3, 0},
		{append(many(note, 3), many(mistake, maxFindings)...), maxFindings, 0, 0},
		{append(many(warning, 3), many(mistake, maxFindings+1)...), maxFindings + 1, 0, 0}, // one says that there are more
	} {
		got := bounded(slices.Clone(c.all))
		if e, w, n := got.Count(Error), got.Count(Warning), got.Count(Note); e != c.errors || w != c.warnings || n != c.notes {
			t.Errorf("%d errors, %d warnings, %d notes instead of %+v", e, w, n, []int{c.errors, c.warnings, c.notes})
		}
		if got[0].Code == codeTooMany && !strings.HasSuffix(got[0].Summary, ": more than 20000 errors and warnings") {
			t.Errorf("it says %q", got[0].Summary)
		}
		if more := got[0].Code == codeTooMany; more != (c.all.Count(Error)+c.all.Count(Warning) > maxFindings) {
			t.Errorf("said that there are more: %v", more)
		}
	}
}
