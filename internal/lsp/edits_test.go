package lsp

import (
	"slices"
	"strings"
	"testing"

	"github.com/svcctl/svcctl/spec"
)

// apply makes the edits of one file.
func apply(t *testing.T, content string, edits []textEdit) string {
	t.Helper()
	was := newText([]byte(content))
	slices.SortFunc(edits, func(a, b textEdit) int {
		return was.offset(b.Range.Start, utf16Units) - was.offset(a.Range.Start, utf16Units)
	})
	for _, e := range edits {
		at := was.span(e.Range, utf16Units)
		content = content[:at.from] + e.Text + content[at.to:]
	}
	return content
}

func TestRenameChangesEveryPlaceThatNamesIt(t *testing.T) {
	const db = "variable \"root\" {\n  default = \"/srv\"\n}\nlocals {\n  both = \"${var.root}/x\"\n}\nservice \"db\" {\n  with = [\"web/api\"]\n}\n"
	const api = "service \"api\" {\n  requires = [\"default/db\"]\n  mount \"data\" {\n    device = \"/dev/sdb\"\n    path = var.root\n  }\n  app \"a\" {\n    after = [mount.data]\n    command = [\"${mount[\"data\"].path}\", var.root]\n  }\n}\n" +
		"service other {\n  mount \"data\" {\n    device = \"/dev/sdc\"\n    path = \"/x\"\n  }\n  app \"b\" {\n    after = [mount.data]\n    command = [\"x\"]\n  }\n  apart = [\"api\"]\n}\n"
	for _, c := range []struct {
		name, from, with, to string
		db, api              []string // old, new, …
	}{
		{"a variable", "path = var.root", "path = var.ro|ot", "base",
			[]string{"\"root\"", "\"base\"", "var.root", "var.base"}, []string{"var.root", "var.base"}},
		{"a resource, in its service alone", "after = [mount.data]\n    command = [\"$", "after = [mount.d|ata]\n    command = [\"$", "disk-1",
			nil, []string{"service \"api\" {\n  requires = [\"default/db\"]\n  mount \"data\"", "service \"api\" {\n  requires = [\"default/db\"]\n  mount \"disk-1\"", "[mount.data]\n    command = [\"${mount[\"data\"]", "[mount.disk-1]\n    command = [\"${mount[\"disk-1\"]"}},
		{"a service, where it is named too", "\"api\" {", "\"ap|i\" {", "back", []string{"web/api", "web/back"}, []string{"\"api\"", "\"back\""}},
		{"a service of another file", "default/db", "default/d|b", "2nd", []string{"\"db\"", "\"2nd\""}, []string{"default/db", "default/2nd"}},
		{"a label without quotes", "service other", "service oth|er", "2nd", nil, []string{"service other", "service \"2nd\""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := begin(t, "", "db.hcl", db)
			src := strings.Replace(api, c.from, c.with, 1)
			var p prepared
			if err := s.ask("textDocument/prepareRename", "web/api.hcl", src, &p); err != nil {
				t.Fatal(err)
			}
			if content, at := marked(t, src); !newText([]byte(content)).span(p.Range, utf16Units).holds(at) || p.Placeholder == "" {
				t.Errorf("%q is to be renamed at %v", p.Placeholder, p.Range)
			}
			var edit workspaceEdit
			if err := s.ask("textDocument/rename", "web/api.hcl", src, &edit, "newName", c.to); err != nil {
				t.Fatal(err)
			}
			if got, want := apply(t, db, edit.Changes[s.uri("db.hcl")]), strings.NewReplacer(c.db...).Replace(db); got != want {
				t.Errorf("db.hcl becomes\n%s\nwant\n%s", got, want)
			}
			if got, want := apply(t, api, edit.Changes[s.uri("web/api.hcl")]), strings.NewReplacer(c.api...).Replace(api); got != want {
				t.Errorf("web/api.hcl becomes\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestRenameRefusesWithAReason(t *testing.T) {
	const src = "variable \"a\" {\n  default = 1\n}\nvariable \"b\" {\n  default = var.a\n}\nservice \"s\" {\n  app \"x\" {\n    command = [\"x\"]\n  }\n  app \"y\" {\n    after = [app.x]\n    command = [upper(\"x\")]\n  }\n}\nservice \"t\" {}\n"
	for _, c := range []struct{ from, with, to, want string }{
		{"var.a", "var.|a", "b", "var.b is defined in a.hcl"},
		{"var.a", "var.|a", "c", "var.c is defined in far/c.hcl"},
		{"var.a", "var.|a", "1x", "not beginning with a digit"},
		{"app.x", "app.|x", "y", "has app.y already"},
		{"app.x", "app.|x", "ä", "names are made of"},
		{"app.x", "app.|x", "1x", "where a name begins with a letter"},
		{"service \"t\"", "service \"|t\"", "s", "there is such a service in a.hcl"},
		{"service \"t\"", "service \"|t\"", "", "names are made of"},
		{"upper", "up|per", "lower", "cannot rename this"},
		{"default = 1", "def|ault = 1", "x", "cannot rename this"},
		{"app.x", "a|pp.x", "z", "put the cursor on the name"},
	} {
		s := begin(t, "", "far/c.hcl", "variable \"c\" {\n  default = 1\n}\n")
		err := s.ask("textDocument/rename", "a.hcl", strings.Replace(src, c.from, c.with, 1), nil, "newName", c.to)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s to %q: %v, want %q", c.with, c.to, err, c.want)
		}
	}
}

func TestAFileThatChangedOnDiskSinceItWasReadIsNotRenamedIn(t *testing.T) {
	s := begin(t, "", "b.hcl", "service \"b\" {\n  requires = [\"a\"]\n}\n")
	s.open("a.hcl", "service \"a\" {}\n")
	s.next("a.hcl") // the set was read, and nothing has it read again before it is told to
	s.write("b.hcl", "# another line\nservice \"b\" {\n  requires = [\"a\"]\n}\n")
	rename := map[string]any{"textDocument": map[string]any{"uri": s.uri("a.hcl")}, "position": position{0, 9}, "newName": "c"}
	err := s.call("textDocument/rename", rename, nil)
	if err == nil || !strings.Contains(err.Error(), "b.hcl has changed") {
		t.Errorf("the answer is %v", err)
	}
	s.notify("workspace/didChangeWatchedFiles", map[string]any{"changes": []any{}})
	s.next("a.hcl")
	var edit workspaceEdit
	s.must("textDocument/rename", rename, &edit)
	if in := edit.Changes[s.uri("b.hcl")]; len(in) != 1 || in[0].Range.Start.Line != 2 {
		t.Errorf("read again, b.hcl is changed by %+v", in)
	}
}

func TestFormattingChangesTheLinesThatDiffer(t *testing.T) {
	for _, c := range []struct {
		src   string
		lines []int // that begin an edit
	}{
		{"service \"a\" {\n  nodes = [\"x\"]\n}\n", nil},
		{"service \"ä𝔒\" {\nnodes=[\"x\"]\n\n  app \"b\" {\n    user = 1\n    cwd = 2\n  }\n}\n", []int{1, 5}},
		{"a = 1\nbcd = 2\n  e = 3", []int{0, 2}},
	} {
		s := begin(t, "")
		s.open("a.hcl", c.src)
		var edits []textEdit
		s.must("textDocument/formatting", map[string]any{"textDocument": map[string]any{"uri": s.uri("a.hcl")}, "options": map[string]any{}}, &edits)
		var lines []int
		for _, e := range edits {
			lines = append(lines, e.Range.Start.Line)
		}
		if !slices.Equal(lines, c.lines) {
			t.Errorf("%q: lines %v are changed, want %v", c.src, lines, c.lines)
		}
		s.change("a.hcl", 2, apply(t, c.src, edits))
		s.must("textDocument/formatting", map[string]any{"textDocument": map[string]any{"uri": s.uri("a.hcl")}}, &edits)
		if len(edits) > 0 {
			t.Errorf("%q: formatted, it is to be changed again: %v", c.src, edits)
		}
	}
	s := begin(t, "")
	s.open("a.hcl", "service {{")
	if err := s.call("textDocument/formatting", map[string]any{"textDocument": map[string]any{"uri": s.uri("a.hcl")}}, nil); err == nil || !strings.Contains(err.Error(), "syntax is broken") {
		t.Errorf("a file that is no HCL is formatted: %v", err)
	}
}

func TestLinesThatComeAndGoAreOneEdit(t *testing.T) {
	for _, c := range [][2]string{{"a\nb\nc\n", "a\nc\n"}, {"a\nc\n", "a\nb\nc\n"}, {"", "a\n"}, {"a", "a\n"}, {"x\ny\nz", "q\nz"}} {
		edits := lineEdits(newText([]byte(c[0])), []byte(c[1]), utf16Units)
		if len(edits) != 1 || apply(t, c[0], edits) != c[1] {
			t.Errorf("%q to %q: %v", c[0], c[1], edits)
		}
	}
}

func TestWhatWasMeantIsOffered(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{"service \"a\" {\n  app \"b\" {\n    co|mand = [\"x\"]\n  }\n}\n", "command"},
		{"service \"a\" {\n  topology = \"fail|ovr\"\n}\n", "\"failover\""},
		{"service \"a\" {\n  ap|q \"b\" {\n    command = [\"x\"]\n  }\n}\n", "app"},
		{"service \"abc\" {\n  requires = [\"ab|d\"]\n}\nservice \"abe\" {}\n", "\"abc\""},
		{"service \"abc\" {\n  app \"b\" {\n    command = [var.t|wp]\n  }\n}\nvariable \"two\" {\n  default = \"2\"\n}\n", "var.two"},
	} {
		s := begin(t, "")
		content, at := marked(t, c.src)
		s.open("a.hcl", content)
		p := newText([]byte(content)).position(at, utf16Units)
		var actions []codeAction
		s.must("textDocument/codeAction", map[string]any{"textDocument": map[string]any{"uri": s.uri("a.hcl")}, "range": textRange{p, p}, "context": map[string]any{"diagnostics": []any{}}}, &actions)
		i := slices.IndexFunc(actions, func(a codeAction) bool { return a.Preferred })
		if i < 0 || actions[i].Edit.Changes[s.uri("a.hcl")][0].Text != c.want {
			t.Errorf("%q: %+v is offered, want %s", content, actions, c.want)
		}
	}
}

func TestAWarningCanBeSilencedAndAnErrorCannot(t *testing.T) {
	s := begin(t, "")
	s.open("a.hcl", "service \"a\" {\n  count = 2\n  nods = []\n}\n")
	var actions []codeAction
	s.must("textDocument/codeAction", map[string]any{"textDocument": map[string]any{"uri": s.uri("a.hcl")}, "range": textRange{position{0, 0}, position{9, 0}}}, &actions)
	var titles []string
	for _, a := range actions {
		titles = append(titles, a.Title)
		if a.Title == "Silence SV0311 on this line" {
			if got := apply(t, "service \"a\" {\n  count = 2\n}\n", a.Edit.Changes[s.uri("a.hcl")]); !strings.Contains(got, "count = 2 # svcctl:ignore SV0311 \n") {
				t.Errorf("the file becomes\n%s", got)
			}
		}
	}
	if want := []string{"Silence SV0311 on this line", "Replace it by nodes"}; !slices.Equal(titles, want) {
		t.Errorf("offered are %q, want %q", titles, want)
	}
}

func TestNoCommentIsPutIntoTextOrBehindAnother(t *testing.T) {
	for src, want := range map[string]bool{
		"  count = 2": true, "  count = 2\r": true, "  count = \"#\"": true,
		"  count = 2 # why": false, "  count = 2 // why": false, "  count = <<E\nx\nE": false, "  count = 2 /* a\n*/": false,
	} {
		d := &document{text: newText([]byte("service \"a\" {\n" + src + "\n}\n"))}
		f := spec.Finding{Code: "SV0311"}
		f.Range.Start.Line = 2
		if _, ok := silence(d, f, utf16Units); ok != want {
			t.Errorf("%q: offered is %v", src, ok)
		}
	}
}
