package spec

import (
	"flag"
	"path/filepath"
	"testing"

	"github.com/svcctl/svcctl/internal/marks"
)

var update = flag.Bool("update", false, "mark in testdata/errors what is found")

// markedSets are the files in which mistakes are marked.
func markedSets(t testing.TB) (sets []*marks.Set) {
	t.Helper()
	for _, pattern := range []string{"testdata/errors/*.hcl", "testdata/errors/*.set"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			s, err := marks.Read(name)
			if err != nil {
				t.Fatal(err)
			}
			sets = append(sets, s)
		}
	}
	if len(sets) == 0 {
		t.Fatal("there are no marked sets")
	}
	return sets
}

// A mark says what is found, and carets where; nothing else may be found.
func TestEveryMarkedMistakeIsFoundAndNothingElse(t *testing.T) {
	marked := 0
	for _, m := range markedSets(t) {
		s, findings := NewLoader(testOptions).Load(m.FS())
		if (s == nil) != findings.HasErrors() {
			t.Errorf("%s: the set is accepted: %v, with the findings\n%s", m.Name, s != nil, printed(findings))
		}
		var found []marks.Mark
		for _, f := range findings {
			found = append(found, m.Found(f.File, f.Range, f.Code, f.Summary))
		}
		m.Check(t, *update, found...)
		marked += len(m.Marks)
	}
	if marked < 150 {
		t.Errorf("only %d mistakes are marked", marked)
	}
}
