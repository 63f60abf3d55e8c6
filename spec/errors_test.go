package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each file of testdata/errors is a set of its own. A mark says what is found on its
// line; nothing else may be found.
func TestEveryMarkedMistakeIsFoundAndNothingElse(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	marks := 0
	for _, name := range files {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i, line := range strings.Split(string(src), "\n") {
			for _, mark := range strings.Split(line, "# ERROR: ")[1:] {
				want = append(want, fmt.Sprintf("%d: %s", i+1, strings.TrimSpace(mark)))
			}
		}
		marks += len(want)
		s, findings := NewLoader(testOptions).Load(set(filepath.Base(name), string(src)))
		if s != nil {
			t.Errorf("%s: a set with mistakes was accepted", name)
		}
		var got []string
		for _, f := range findings {
			got = append(got, fmt.Sprintf("%d: %s %s", f.Range.Start.Line, f.Code, f.Summary))
		}
		slices.Sort(want)
		slices.Sort(got)
		for _, g := range got {
			if !slices.Contains(want, g) {
				t.Errorf("%s: found and not marked: %s", name, g)
			}
		}
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%s: marked and not found: %s", name, w)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d findings for %d marks", name, len(got), len(want))
		}
	}
	if marks < 60 {
		t.Errorf("only %d mistakes are marked", marks)
	}
}
