// Package marks reads the sets of files in which tests mark what is to be found.
package marks

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
)

// Mark is one finding: of the set where File is "", of a file where Line is 0.
type Mark struct {
	File          string
	Line          int // of the file without its marks, from 1
	Column, Width int // in characters; 0 where the mark says none, as no finding does
	Code          string
	Summary       string
}

// File is one file of a set, without its marks.
type File struct {
	Path, Text string
	from       []int // the line of the marked file that each line was, from 1
}

// Set is what one marked file holds.
type Set struct {
	Name  string // of the marked file
	Files []File
	Marks []Mark

	sections bool
}

var (
	below    = regexp.MustCompile(`^(#?[ \t]*)(\^+) (SV[0-9]{4}) (.+)$`)
	whole    = regexp.MustCompile(`^# \((set|file)\) (SV[0-9]{4}) (.+)$`)
	unplaced = regexp.MustCompile(`# (?:ERROR|WARNING|NOTE): (SV[0-9]{4}) ([^#]+)`)
	section  = regexp.MustCompile(`^-- ([^ ]+) --$`)
)

// Read reads a marked file: a set of that one file, or, where its name ends in .set, of
// the files whose paths stand between dashes.
func Read(name string) (*Set, error) {
	src, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read the marked set: %w", err)
	}
	s := &Set{Name: name, sections: filepath.Ext(name) == ".set"}
	if !s.sections {
		s.Files = []File{{Path: filepath.Base(name)}}
	}
	text := string(src)
	for i := 1; text != ""; i++ {
		var line string
		if end := strings.IndexByte(text, '\n'); end >= 0 {
			line, text = text[:end+1], text[end+1:]
		} else {
			line, text = text, ""
		}
		if err := s.take(i, line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i, err)
		}
	}
	return s, nil
}

// take reads one line, with its end.
func (s *Set) take(number int, line string) error {
	bare := strings.TrimRight(line, "\r\n")
	if m := section.FindStringSubmatch(bare); m != nil && s.sections {
		s.Files = append(s.Files, File{Path: m[1]})
		return nil
	}
	if len(s.Files) == 0 {
		return fmt.Errorf("what stands before the first -- path -- belongs to no file")
	}
	f := &s.Files[len(s.Files)-1]
	if m := below.FindStringSubmatch(bare); m != nil {
		if len(f.from) == 0 {
			return fmt.Errorf("there is no line above the mark")
		}
		s.Marks = append(s.Marks, Mark{f.Path, len(f.from), utf8.RuneCountInString(m[1]) + 1, len(m[2]), m[3], m[4]})
		return nil
	}
	if m := whole.FindStringSubmatch(bare); m != nil {
		mark := Mark{Code: m[2], Summary: m[3]}
		if m[1] == "file" {
			mark.File = f.Path
		}
		s.Marks = append(s.Marks, mark)
		return nil
	}
	f.Text += line
	f.from = append(f.from, number)
	for _, m := range unplaced.FindAllStringSubmatch(bare, -1) {
		s.Marks = append(s.Marks, Mark{File: f.Path, Line: len(f.from), Code: m[1], Summary: strings.TrimSpace(m[2])})
	}
	return nil
}

// Compare says what was found and is not marked, and the other way round.
func (s *Set) Compare(found []Mark) (differences []string) {
	left := slices.Clone(s.Marks)
	for _, f := range found {
		if i := slices.Index(left, f); i >= 0 {
			left = slices.Delete(left, i, i+1)
			continue
		}
		differences = append(differences, s.at(f)+" found and not marked: "+f.text())
	}
	for _, m := range left {
		differences = append(differences, s.at(m)+" marked and not found: "+m.text())
	}
	return differences
}

func (m Mark) text() string {
	if m.Line > 0 && m.Column == 0 {
		return fmt.Sprintf("no column, %s %s", m.Code, m.Summary)
	}
	if m.Line > 0 {
		return fmt.Sprintf("column %d, %d wide, %s %s", m.Column, m.Width, m.Code, m.Summary)
	}
	return m.Code + " " + m.Summary
}

// at is the place of a mark in the marked file.
func (s *Set) at(m Mark) string {
	for _, f := range s.Files {
		if f.Path == m.File && m.Line > 0 && m.Line <= len(f.from) {
			return fmt.Sprintf("%s:%d:", s.Name, f.from[m.Line-1])
		}
	}
	return s.Name + ":"
}

// With is the text of the marked file with other marks.
func (s *Set) With(found []Mark) string {
	var b strings.Builder
	for i, f := range s.Files {
		if s.sections {
			fmt.Fprintf(&b, "-- %s --\n", f.Path)
		}
		for n, line := range strings.SplitAfter(strings.TrimSuffix(f.Text, "\n"), "\n") {
			line = strings.TrimSuffix(line, "\n")
			if unplaced.MatchString(line) {
				line = strings.TrimRight(unplaced.ReplaceAllString(line, ""), " \t")
			}
			b.WriteString(line + "\n")
			for _, m := range found {
				if m.File == f.Path && m.Line == n+1 {
					fmt.Fprintf(&b, "%s%s %s %s\n", indent(line, m.Column), strings.Repeat("^", m.Width), m.Code, m.Summary)
				}
			}
		}
		for _, m := range found {
			if m.Line == 0 && m.File == f.Path {
				fmt.Fprintf(&b, "# (file) %s %s\n", m.Code, m.Summary)
			} else if m.Line == 0 && m.File == "" && i == len(s.Files)-1 {
				fmt.Fprintf(&b, "# (set) %s %s\n", m.Code, m.Summary)
			}
		}
	}
	return b.String()
}

// indent is what stands before a column, so that the mark lies below its token also
// where there are tabs. The mark of a first column has no place for a #.
func indent(line string, column int) string {
	if column < 2 {
		return ""
	}
	out := []rune(strings.Repeat(" ", column-1))
	for i, c := range []rune(line) {
		if i < len(out) && c == '\t' {
			out[i] = '\t'
		}
	}
	out[0] = '#'
	return string(out)
}

// Found is the mark of a finding.
func (s *Set) Found(file string, at hcl.Range, code, summary string) Mark {
	m := Mark{File: file, Line: at.Start.Line, Code: code, Summary: summary}
	if m.Line == 0 {
		return m
	}
	m.Column, m.Width = at.Start.Column, at.End.Column-at.Start.Column
	for _, f := range s.Files {
		if lines := strings.Split(f.Text, "\n"); f.Path == file && at.End.Line > m.Line && m.Line <= len(lines) {
			m.Width = utf8.RuneCountInString(strings.TrimRight(lines[m.Line-1], "\r")) + 1 - m.Column
		}
	}
	m.Width = max(1, m.Width)
	return m
}

// FS is the set as its loader sees it.
func (s *Set) FS() fstest.MapFS {
	out := fstest.MapFS{}
	for _, f := range s.Files {
		out[f.Path] = &fstest.MapFile{Data: []byte(f.Text), Mode: 0o644}
	}
	return out
}

// Check fails the test where anything else was found than is marked. With update it
// marks what was found instead, and only says which marks had to go.
func (s *Set) Check(t testing.TB, update bool, found ...Mark) {
	t.Helper()
	if !update {
		for _, d := range s.Compare(found) {
			t.Error(d)
		}
		return
	}
	for _, m := range s.Marks {
		if !slices.ContainsFunc(found, func(f Mark) bool {
			return f.File == m.File && f.Line == m.Line && f.Code == m.Code && f.Summary == m.Summary
		}) {
			t.Logf("%s removed: %s", s.at(m), m.text())
		}
	}
	if err := os.WriteFile(s.Name, []byte(s.With(found)), 0o644); err != nil {
		t.Fatal(err)
	}
}
