package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folderOf writes files into a folder of their own.
func folderOf(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, files[i]), []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAFileOfAFolderMayDefineWhatAnotherReads(t *testing.T) {
	dir := folderOf(t, "a.hcl", "variable \"x\" {\n  default = 1\n}\n\nservice \"a\" {\n  app \"b\" {\n    command = [\"/bin/true\"]\n  }\n}\n")
	if code, out, stderr := runLine("validate", filepath.Join(dir, "a.hcl")); code != exitDone || out+stderr != "" {
		t.Errorf("the file alone: exit %d\n%s%s", code, out, stderr)
	}
	if code, out, _ := runLine("validate", dir); code != exitDone || !strings.Contains(out, "SV0601: nothing reads var.x") {
		t.Errorf("the folder: exit %d\n%s", code, out)
	}
}

func TestAPasswordInAFileIsAWarningAndIsNotWritten(t *testing.T) {
	dir := folderOf(t, "a.hcl", "service \"a\" {\n  app \"b\" {\n    command = [\"/bin/true\", \"--password=hunter2\"]\n    env     = { PGPASSWORD = \"hunter2\" }\n  }\n}\n")
	for _, format := range formats {
		code, out, stderr := runLine("validate", "--format="+format, dir)
		if code != exitDone || strings.Count(out, "SV0402") < 2 || strings.Contains(out+stderr, "hunter2") {
			t.Errorf("%s: exit %d\n%s%s", format, code, out, stderr)
		}
	}
}
