package spec

import (
	"strings"
	"testing"
)

const noted = `service "a" {
  app "b" {
    command = ["/bin/true"]
    user    = "root"
  }
}
`

func TestNotesTellWhatIsNoMistake(t *testing.T) {
	o := testOptions
	o.Notes = true
	s, findings := NewLoader(o).Load(set("a.hcl", noted))
	if s == nil || findings.HasErrors() || len(findings.WithoutNotes()) != 0 || !strings.Contains(printed(findings), "Give it a user of its own.") {
		t.Fatalf("a note is a mistake, or is missing:\n%s", printed(findings))
	}
	wantFound(t, found(o, "a.hcl", noted), "2:3 SV0401 it may not be nice", "4:15 SV0401 it may do anything")
	wantFound(t, found(testOptions, "a.hcl", noted)) // nobody asked
}
