package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNotesAreWrittenWhenAskedForAndChangeNoExitCode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.hcl")
	if err := os.WriteFile(file, []byte(`service "a" {
  app "b" {
    command = ["/bin/true"]
  }
}
`), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, out, stderr := runLine("validate", file); code != exitDone || out+stderr != "" {
		t.Errorf("not asked for: exit %d\n%s%s", code, out, stderr)
	}
	for _, flag := range []string{"--notes", "--format=json"} {
		code, out, _ := runLine("validate", flag, file)
		if code != exitDone || !strings.Contains(out, "SV0401") || !strings.Contains(out, "note") {
			t.Errorf("%s: exit %d\n%s", flag, code, out)
		}
	}
}
