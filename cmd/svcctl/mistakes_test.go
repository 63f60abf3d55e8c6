package main

import (
	"path/filepath"
	"testing"

	"github.com/svcctl/svcctl/internal/marks"
	"github.com/svcctl/svcctl/spec"
)

// What people write who come from elsewhere, marked as in spec/testdata/errors, and read
// with the kinds of this program.
func TestEveryMistakeThatUsersMakeIsFoundAndNothingElse(t *testing.T) {
	folder := filepath.Join("..", "..", "spec", "testdata", "errors", "users")
	names, err := filepath.Glob(filepath.Join(folder, "*.hcl"))
	if err != nil {
		t.Fatal(err)
	}
	sets, err := filepath.Glob(filepath.Join(folder, "*.set"))
	if err != nil {
		t.Fatal(err)
	}
	marked := 0
	for _, name := range append(names, sets...) {
		m, err := marks.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		s, findings := spec.NewLoader(spec.Options{Kinds: newKinds(nil)}).Load(m.FS())
		if (s == nil) != findings.HasErrors() {
			t.Errorf("%s: the set is accepted: %v, with %d findings", name, s != nil, len(findings))
		}
		var found []marks.Mark
		for _, f := range findings {
			found = append(found, m.Found(f.File, f.Range, f.Code, f.Summary))
		}
		m.Check(t, *update, found...)
		marked += len(m.Marks)
	}
	if marked < 100 && !*update {
		t.Errorf("only %d mistakes are marked", marked)
	}
}
