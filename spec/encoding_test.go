package spec

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf16"
)

func TestWhatIsNoTextIsOneFindingThatSaysWhatToDo(t *testing.T) {
	clean := appNamed("a", `"/a"`)
	wide := func(order string) string {
		var b strings.Builder
		for _, u := range utf16.Encode([]rune("\ufeff" + clean)) {
			if order == "little" {
				b.Write([]byte{byte(u), byte(u >> 8)})
			} else {
				b.Write([]byte{byte(u >> 8), byte(u)})
			}
		}
		return b.String()
	}
	for _, c := range []struct{ name, text, place, detail string }{
		{"invalid at the start", "\xff" + clean, "1:1", "Byte 0xff"},
		{"invalid in the middle", strings.Replace(clean, "command", "comm\xe4nd", 1), "3:9", "Byte 0xe4"},
		{"a character cut off at the end", clean + "# \xe2\x82", "6:3", "Byte 0xe2"},
		{"UTF-16, little end first", wide("little"), "1:1", "UTF-16"},
		{"UTF-16, big end first", wide("big"), "1:1", "UTF-16"},
		{"UTF-16 without a mark", wide("little")[2:], "1:2", "bytes that are 0"},
		{"a program", "\x7fELF\x02\x01\x01\x00\x00\xff", "1:8", "bytes that are 0"},
		{"an archive", "\x1f\x8b\x08\x00\x00\x00\x00\x00", "1:2", "Byte 0x8b"},
		{"a zero among text", strings.Replace(clean, "main", "ma\x00n", 1), "2:10", "bytes that are 0"},
		{"lines of an old Mac", strings.ReplaceAll(clean, "\n", "\r"), "1:14", "CR alone"},
	} {
		s, findings := NewLoader(testOptions).Load(set("a.hcl", c.text))
		if s != nil || len(findings) != 1 || findings[0].Code != codeEncoding || !strings.Contains(findings[0].Detail, c.detail) ||
			fmt.Sprintf("%d:%d", findings[0].Range.Start.Line, findings[0].Range.Start.Column) != c.place {
			t.Errorf("%s: want %s at %s, got\n%s", c.name, c.detail, c.place, printed(findings))
		}
	}
}

func TestAMarkAtTheBeginningAndLinesFromWindowsMeanNothing(t *testing.T) {
	text := strings.Replace(appNamed("a", "\"/a\", <<EOT\none\n two\nEOT\n,\n<<-EOT\n  a ${1}\n   b\n  EOT\n"), "  }\n}", "    nice = 3\n  }\n}", 1)
	wrong := strings.Replace(text, "nice = 3", "nice = \"high\"", 1)
	want := mustLoad(t, NewLoader(testOptions), set("a.hcl", text)).Services["a"].Digest
	for _, as := range []func(string) string{
		func(s string) string { return "\ufeff" + s },
		func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		func(s string) string { return "\ufeff" + strings.ReplaceAll(s, "\n", "\r\n") },
	} {
		if got := mustLoad(t, NewLoader(testOptions), set("a.hcl", as(text))).Services["a"].Digest; got != want {
			t.Errorf("%.20q: another digest", as(text))
		}
		for _, mistaken := range []string{wrong, strings.Replace(text, "nice = 3", "nice = 3 4", 1)} {
			_, clean := NewLoader(testOptions).Load(set("a.hcl", mistaken))
			_, findings := NewLoader(testOptions).Load(set("a.hcl", as(mistaken)))
			if printed(findings) != printed(clean) {
				t.Errorf("%.20q: want\n%sgot\n%s", as(text), printed(clean), printed(findings))
			}
		}
	}
}

// movingFS is a set with a file that changes while it is read.
type movingFS struct {
	fstest.MapFS
	lock  sync.Mutex             // files are read at the same time
	moves func(f *moving, n int) // the nth time that it is read
	opens int
}

type moving struct {
	fs.File
	fsys *movingFS
	n    int
	read bool
	err  error
}

func (m *movingFS) Open(name string) (fs.File, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	f, err := m.MapFS.Open(name)
	if name != "a.hcl" || err != nil {
		return f, err
	}
	m.opens++
	return &moving{File: f, fsys: m, n: m.opens}, nil
}

func (f *moving) Stat() (fs.FileInfo, error) {
	f.fsys.lock.Lock()
	defer f.fsys.lock.Unlock()
	return fs.Stat(f.fsys.MapFS, "a.hcl")
}

func (f *moving) Read(p []byte) (int, error) {
	if !f.read {
		f.read = true
		f.fsys.lock.Lock()
		f.fsys.moves(f, f.n)
		f.fsys.lock.Unlock()
	}
	if f.err != nil {
		return 0, f.err
	}
	return f.File.Read(p)
}

func TestAFileThatChangesWhileItIsReadIsReadAgainOrSaidToHaveChanged(t *testing.T) {
	change := func(m *movingFS, text string, n int) {
		m.MapFS["a.hcl"] = &fstest.MapFile{Data: []byte(text), ModTime: time.Unix(int64(n), 0)}
	}
	for _, c := range []struct {
		name  string
		moves func(f *moving, n int)
		want  string
	}{
		{"once", func(f *moving, n int) {
			if n == 1 {
				change(f.fsys, appNamed("a", `"/b"`), n)
			}
		}, ""},
		{"again and again", func(f *moving, n int) { change(f.fsys, appNamed("a", fmt.Sprintf("\"/%d\"", n)), n) }, "changed while it was read"},
		{"it shrinks", func(f *moving, n int) { change(f.fsys, "", 1) }, ""},
		{"it grows", func(f *moving, n int) { change(f.fsys, strings.Repeat("#", 100*n), n) }, "changed while it was read"},
		{"it vanishes", func(f *moving, n int) { delete(f.fsys.MapFS, "a.hcl") }, "file does not exist"},
		{"it fails half way", func(f *moving, n int) { f.err = errors.New("input/output error") }, "input/output error"},
		{"it ends too early", func(f *moving, n int) { f.err = io.EOF }, "changed while it was read"},
	} {
		m := &movingFS{MapFS: set("a.hcl", appNamed("a", `"/a"`), "b.hcl", appNamed("b", `"/b"`)), moves: c.moves}
		s, findings := NewLoader(testOptions).Load(m)
		if c.want == "" {
			if s == nil {
				t.Errorf("%s: %s", c.name, printed(findings))
			}
			continue
		}
		if s != nil || len(findings) != 1 || findings[0].Code != codeUnreadable || findings[0].File != "a.hcl" || !strings.Contains(findings[0].Detail, c.want) {
			t.Errorf("%s: want %q, got\n%s", c.name, c.want, printed(findings))
		}
	}
}

func TestWhatAFindingShowsIsShortAndNothingThatATerminalObeys(t *testing.T) {
	evil := "\x1b]0;owned\x07\u009b2J\u202egnp.exe\u200b"
	m := set("b\xff\nb.hcl", "", "a\x1b[2J\nb.hcl", "service \"x\u202e\u009b\u001b\" {\n  # "+evil+"\n  rto = \""+evil+"\" # "+evil+"\n}\nservice \""+strings.Repeat("long", 1<<14)+"\" {\n}\nassert {\n  condition = false\n  message = \""+evil+"\\u001b[0m\"\n}\n")
	_, findings := NewLoader(testOptions).Load(m)
	if len(findings) < 4 {
		t.Errorf("too few findings:\n%s", printed(findings))
	}
	var text, github strings.Builder
	findings.WriteText(&text, false)
	findings.WriteGitHub(&github)
	for format, out := range map[string]string{"text": text.String(), "github": github.String()} {
		if i := strings.IndexFunc(out, unseen); i >= 0 {
			t.Errorf("%s holds %q", format, out[max(0, i-20):min(len(out), i+20)])
		}
		if len(out) > 10_000 {
			t.Errorf("%s: %d bytes for %d findings", format, len(out), len(findings))
		}
		if lines := strings.Split(out, "\n"); slices.Contains(lines, "b") {
			t.Errorf("%s: the file's name breaks its line", format)
		}
	}
}
