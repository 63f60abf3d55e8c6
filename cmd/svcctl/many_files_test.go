package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// manyFiles writes a tree of services, each of which requires the one before it, with
// three mistakes in files far from each other.
func manyFiles(t *testing.T) (dir string, mistakes []farMistake) {
	t.Helper()
	dir = t.TempDir()
	const folders, files = 20, 20
	for i := range folders {
		folder := filepath.Join(dir, fmt.Sprintf("f%02d", i))
		mkdir(t, folder)
		for j := range files {
			argument, device, read, requires := "cwd", `"/dev/vg0/s%02d%02d"`, "mount.data.path", ""
			name := fmt.Sprintf("f%02d/s%02d.hcl", i, j)
			switch {
			case i == 3 && j == 17:
				argument = "cdw"
				mistakes = append(mistakes, farMistake{name, 11, 5, "SV0104", `Did you mean "cwd"?`, `    cdw     = mount.data.path`})
			case i == 9 && j == 0:
				device = `["/dev/vg0/s%02d%02d"]`
				mistakes = append(mistakes, farMistake{name, 5, 14, "SV0302", `It is a list: write device = "/dev/vg0/s0900".`, `    device = ["/dev/vg0/s0900"]`})
			case i == 19 && j == 4:
				read = "mount.date.path"
				mistakes = append(mistakes, farMistake{name, 11, 15, "SV0209", `Did you mean "mount.data"?`, `    cwd     = mount.date.path`})
			}
			if j > 0 {
				requires = fmt.Sprintf("requires = [\"s%02d\"]", j-1)
			}
			write(t, filepath.Join(dir, name), fmt.Sprintf("service \"s%02d\" {\n  %s\n\n  mount \"data\" {\n    device = "+device+"\n    path   = \"/srv/s%02d%02d\"\n  }\n\n  app \"main\" {\n    command = [\"/usr/bin/s\"]\n    %-7s = %s\n  }\n}\n",
				j, requires, i, j, i, j, argument, read))
		}
	}
	return dir, mistakes
}

type farMistake struct {
	file               string
	line, column       int
	code, hint, showed string
}

type sarifLog struct {
	Runs []struct {
		Results []struct {
			RuleID, Level string
			Message       struct{ Text string }
			Locations     []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI string }
					Region           struct{ StartLine, StartColumn int }
					ContextRegion    struct{ Snippet struct{ Text string } }
				}
			}
		}
	}
}

func TestOneRunOverManyFilesTellsOfEveryMistakeWithPlaceLineCodeAndWhatToWrite(t *testing.T) {
	dir, mistakes := manyFiles(t)
	run := func(format string) string {
		var out, errs bytes.Buffer
		s := &streams{in: strings.NewReader(""), out: &out, err: &errs, width: plainWidth}
		if code := execute(context.Background(), s, []string{"validate", "--format", format, dir}); code != 1 || errs.Len() > 0 {
			t.Fatalf("%s: exit code %d, and %s", format, code, errs.String())
		}
		return out.String()
	}

	var text []string
	for _, line := range strings.Split(run("text"), "\n") {
		if strings.HasPrefix(line, dir) {
			text = append(text, "")
		}
		if len(text) > 0 {
			text[len(text)-1] += line + "\n"
		}
	}
	type object struct {
		Code, Severity, File, Detail, Snippet string
		Line, Column                          int
	}
	var all, found []object
	if err := json.Unmarshal([]byte(run("json")), &all); err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Severity != "note" {
			found = append(found, f)
		}
	}
	var log sarifLog
	if err := json.Unmarshal([]byte(run("sarif")), &log); err != nil {
		t.Fatal(err)
	}
	results := log.Runs[0].Results
	results = results[:0:0]
	for _, r := range log.Runs[0].Results {
		if r.Level != "note" {
			results = append(results, r)
		}
	}
	if len(text) != len(mistakes) || len(found) != len(mistakes) || len(results) != len(mistakes) {
		t.Fatalf("%d mistakes: %d in text, %d in json, %d in sarif:\n%s", len(mistakes), len(text), len(found), len(results), strings.Join(text, ""))
	}
	for i, m := range mistakes {
		for _, part := range []string{fmt.Sprintf("%s:%d:%d: error %s: ", filepath.Join(dir, m.file), m.line, m.column, m.code), m.hint, "| " + m.showed + "\n"} {
			if !strings.Contains(text[i], part) {
				t.Errorf("text: want %q in\n%s", part, text[i])
			}
		}
		if f := found[i]; f.File != filepath.Join(dir, m.file) || f.Line != m.line || f.Column != m.column || f.Code != m.code || f.Detail != m.hint || f.Snippet != m.showed {
			t.Errorf("json: want %+v, got %+v", m, f)
		}
		place := results[i].Locations[0].PhysicalLocation
		if !strings.HasSuffix(place.ArtifactLocation.URI, m.file) || place.Region.StartLine != m.line || place.Region.StartColumn != m.column || results[i].RuleID != m.code ||
			!strings.Contains(results[i].Message.Text, m.hint) || place.ContextRegion.Snippet.Text != m.showed {
			t.Errorf("sarif: want %+v, got %+v", m, results[i])
		}
	}
}
