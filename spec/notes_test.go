package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const noted = `service "a" {
  app "b" {
    command = ["/bin/true"]
    user    = "root"
    env = {
      DB_PASSWORD      = "hunter2"
      DB_PASSWORD_FILE = "pw.txt"
      API_TOKEN        = secret("token")
      SECRET           = "/run/secret"
      EMPTY_SECRET     = ""
      LOG              = "info"
    }
    check "http" "c" {
      url      = "http://localhost"
      password = "hunter2"
    }
  }
  app "merged" {
    command = ["/bin/true"]
    env     = merge({ "Authorization" = "Bearer x" }, {})
  }
}
`

func TestNotesTellWhatIsNoMistake(t *testing.T) {
	o := testOptions
	o.Notes = true
	s, findings := NewLoader(o).Load(set("a.hcl", noted))
	if s == nil || findings.HasErrors() || len(findings.WithoutNotes()) != 0 {
		t.Fatalf("a note is a mistake:\n%s", printed(findings))
	}
	var got []string
	for _, f := range findings {
		got = append(got, fmt.Sprintf("%d:%d %s %s", f.Range.Start.Line, f.Range.Start.Column, f.Code, f.Summary))
	}
	want := []string{
		"2:3 SV0401 it may not be nice",
		"4:15 SV0401 it may do anything",
		`6:26 SV0402 "DB_PASSWORD" stands in the file`,
		`15:18 SV0402 "password" stands in the file`,
		`20:15 SV0402 "Authorization" stands in the file`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if strings.Contains(printed(findings), "hunter2") {
		t.Errorf("a password is repeated:\n%s", printed(findings))
	}
	if _, findings := NewLoader(testOptions).Load(set("a.hcl", noted)); len(findings) != 0 {
		t.Errorf("nobody asked for notes:\n%s", printed(findings))
	}
}
