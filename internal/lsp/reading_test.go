package lsp

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const good = "service \"a\" {\n}\n"

func codes(p diagnosticsParams) string {
	var out []string
	for _, d := range p.Diagnostics {
		out = append(out, d.Code)
	}
	return strings.Join(out, " ")
}

func TestFindingsFollowWhatIsTypedAndNotEachKey(t *testing.T) {
	root := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := connectTo(t, root)
		s.must("initialize", map[string]any{"rootUri": uriOf(root), "capabilities": map[string]any{}}, nil)
		s.open("a.hcl", good)
		synctest.Wait()
		if n := len(s.published); n != 1 {
			t.Fatalf("%d messages at once after the file was opened, want 1", n)
		}
		<-s.published
		for version := 2; version < 12; version++ { // typed for a second
			s.change("a.hcl", version, strings.Replace(good, "\n", "\n  nods = []\n", 1))
			time.Sleep(pause / 2) // by the clock of the bubble: nobody waits
			synctest.Wait()
			if n := len(s.published); n != 0 {
				t.Fatalf("something is published while version %d is typed", version)
			}
		}
		time.Sleep(pause)
		synctest.Wait()
		if n := len(s.published); n != 1 {
			t.Fatalf("%d messages after the last key, want 1", n)
		}
		if p := <-s.published; *p.Version != 11 || codes(p) != "SV0104" {
			t.Errorf("version %d has %q", *p.Version, codes(p))
		}
		for version := 12; version < 30; version++ { // somebody who never stops
			s.change("a.hcl", version, good)
			time.Sleep(pause - time.Millisecond)
		}
		synctest.Wait()
		if n := len(s.published); n != 2 {
			t.Errorf("%d messages in 2.7 s of typing, want one a second", n)
		}
		s.notify("exit", nil)
		synctest.Wait()
	})
}

func TestFindingsAreThoseOfTheWholeSetAndGoWithTheirReason(t *testing.T) {
	s := begin(t, "", "b.hcl", "service \"b\" {\n  requires = [\"a\"]\n}\n")
	s.open("a.hcl", good)
	if p := s.next("a.hcl"); codes(p) != "" {
		t.Errorf("there are %q", codes(p))
	}
	s.change("a.hcl", 2, "service \"other\" {}\n") // b is not open, and misses a
	if p := s.next("b.hcl"); codes(p) != "SV0211" || p.Version != nil {
		t.Errorf("b.hcl has %+v", p)
	}
	s.change("a.hcl", 3, good)
	if p := s.next("b.hcl"); codes(p) != "" {
		t.Errorf("b.hcl still has %q", codes(p))
	}
	s.write("b.hcl", "service \"b\" {\n  nods = []\n}\n")
	s.notify("workspace/didChangeWatchedFiles", map[string]any{"changes": []any{}})
	if p := s.next("b.hcl"); codes(p) != "SV0104" {
		t.Errorf("changed on disk, b.hcl has %q", codes(p))
	}
	s.notify("textDocument/didClose", map[string]any{"textDocument": map[string]any{"uri": s.uri("a.hcl")}})
	if p := s.next("b.hcl"); codes(p) != "" {
		t.Errorf("with no file open, b.hcl still has %q", codes(p))
	}
}

func TestIncrementalChangesMakeTheSameText(t *testing.T) {
	s := begin(t, "")
	s.open("a.hcl", "service \"ä𝔒\" {\n}\n")
	s.next("a.hcl")
	s.notify("textDocument/didChange", map[string]any{
		"textDocument": map[string]any{"uri": s.uri("a.hcl"), "version": 5},
		"contentChanges": []map[string]any{
			{"range": textRange{position{0, 9}, position{0, 12}}, "text": "a"},
			{"range": textRange{position{1, 0}, position{1, 0}}, "text": "  nods = 1\n"},
			{"range": textRange{position{1, 3}, position{1, 5}}, "text": "ode"},
		},
	})
	p := s.next("a.hcl")
	if codes(p) != "SV0302" || *p.Version != 5 { // nodes = 1
		t.Errorf("version %d has %+v", *p.Version, p.Diagnostics)
	}
}

func TestOfTwoURIsThatMeanOneFileTheOneChangedLastCounts(t *testing.T) {
	s := begin(t, "")
	plain, file := s.uri("a.hcl"), func(uri, text string) map[string]any {
		return map[string]any{"textDocument": map[string]any{"uri": uri, "version": 1, "text": text}}
	}
	published := func(uri, want string) {
		t.Helper()
		if p := <-s.published; p.URI != uri || codes(p) != want {
			t.Fatalf("%s has %q", p.URI, codes(p))
		}
	}
	for i := range 10 { // by chance it could be right once
		other := []string{s.uri("") + "/%61.hcl", s.uri("") + "/x/../a.hcl"}[i%2]
		s.notify("textDocument/didOpen", file(plain, good))
		published(plain, "")
		s.notify("textDocument/didOpen", file(other, good+"nonsense"))
		published(other, "SV0101")
		published(plain, "")
		s.notify("textDocument/didOpen", file(plain, good+"service \"b\" {\n  nods = []\n}\n"))
		published(plain, "SV0104")
		published(other, "")
		s.notify("textDocument/didClose", file(plain, ""))
		published(other, "SV0101")
		published(plain, "")
		var edit workspaceEdit
		s.must("textDocument/rename", map[string]any{"textDocument": map[string]any{"uri": other}, "position": position{0, 9}, "newName": "c"}, &edit)
		if len(edit.Changes) != 1 || len(edit.Changes[other]) != 1 {
			t.Fatalf("a rename changes %+v", edit)
		}
		s.notify("textDocument/didClose", file(other, ""))
		published(other, "")
	}
}

func TestAFileOutsideOfTheWorkspaceIsReadWithItsOwnFolder(t *testing.T) {
	s := begin(t, "")
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "b.hcl"), []byte("service \"b\" {}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s.notify("textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": uriOf(filepath.Join(other, "a b.hcl")), "version": 1, "text": "service \"a\" {\n  requires = [\"b\", \"c\"]\n}\n"}})
	if p := <-s.published; codes(p) != "SV0211" || !strings.HasSuffix(p.URI, "/a%20b.hcl") {
		t.Errorf("published is %+v", p)
	}
}

func TestFilesThatAreNoPartOfASetHaveNoFindings(t *testing.T) {
	s := begin(t, "")
	for _, name := range []string{"x.tf", ".hidden.hcl", ".git/x.hcl", "x.svctest.hcl"} {
		s.open(name, "nonsense")
	}
	s.open("new/folder/a.hcl", good+"nonsense")
	if p := s.next("new/folder/a.hcl"); codes(p) != "SV0101" {
		t.Errorf("a file in a folder that is not there yet has %q", codes(p))
	}
	if len(s.published) > 0 {
		t.Errorf("published is also %+v", <-s.published)
	}
}

func TestAnAgentsConfigurationIsNotBlamedForThereBeingNoService(t *testing.T) {
	s := begin(t, "")
	s.open("agent.hcl", "node {\n  name = \"n1\"\n}\n")
	if p := s.next("agent.hcl"); codes(p) != "" {
		t.Errorf("it has %q", codes(p))
	}
	s.open("b.hcl", "locals {}\n")
	if p := s.next("b.hcl"); codes(p) != "" { // it is told in the first file, which is not b.hcl
		t.Errorf("b.hcl has %q", codes(p))
	}
}

func TestTheOtherPlaceOfAFindingIsRelated(t *testing.T) {
	s := begin(t, "", "b.hcl", "\nservice \"a\" {}\n")
	s.open("a.hcl", good)
	p := s.next("b.hcl")
	if len(p.Diagnostics) != 1 || len(p.Diagnostics[0].Related) != 1 || s.shown(p.Diagnostics[0].Related[0].Location) != "a.hcl:1:1" {
		t.Errorf("published is %+v", p)
	}
}

func TestAFileThatIsTooLargeIsToldAndNotLookedAt(t *testing.T) {
	s := begin(t, "")
	s.open("a.hcl", good+strings.Repeat("# wide\n", maxFile/7+1))
	if m := <-s.messages; !strings.Contains(m, "larger than 4 MiB") {
		t.Errorf("told is %s", m)
	}
	var list completionList
	s.must("textDocument/completion", map[string]any{"textDocument": map[string]any{"uri": s.uri("a.hcl")}, "position": position{0, 0}}, &list)
	s.change("a.hcl", 2, good+"nonsense")
	if p := s.next("a.hcl"); codes(p) != "SV0101" {
		t.Errorf("once it is small again it has %q", codes(p))
	}
}

func TestChangesThatWouldMoveTooMuchAreNotMade(t *testing.T) {
	for i, changes := range [][]map[string]any{
		{{"text": strings.Repeat("# wide\n", 1<<20)}}, // and small ones in it
		{{"range": textRange{}, "text": strings.Repeat("# wide\n", 1<<20)}},
	} {
		s := begin(t, "")
		s.open("a.hcl", good)
		s.next("a.hcl")
		for range maxWork/(7<<20) + 1 {
			changes = append(changes, map[string]any{"range": textRange{}, "text": "x"})
		}
		s.notify("textDocument/didChange", map[string]any{"textDocument": map[string]any{"uri": s.uri("a.hcl"), "version": 2}, "contentChanges": changes})
		if m := <-s.messages; !strings.Contains(m, "too many places") {
			t.Errorf("%d: told is %s", i, m)
		}
		s.open("a.hcl", good+"nonsense")
		if p := s.next("a.hcl"); codes(p) != "SV0101" {
			t.Errorf("%d: opened again it has %q", i, codes(p))
		}
	}
}

func TestAWorkspaceThatIsTooWideIsNarrowedToTheFilesFolder(t *testing.T) {
	s := begin(t, "")
	for i := range maxFolders + 1 {
		if err := os.MkdirAll(filepath.Join(s.root, fmt.Sprintf("w%d", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.write("w0/b.hcl", "service \"b\" {}\n")
	s.open("w0/a.hcl", "service \"a\" {\n  requires = [\"b\", \"c\"]\n}\n")
	if m := <-s.messages; !strings.Contains(m, "more than 4096 folders") {
		t.Errorf("told is %s", m)
	}
	if p := s.next("w0/a.hcl"); codes(p) != "SV0211" {
		t.Errorf("the file has %q", codes(p))
	}
	if err := s.ask("textDocument/hover", "w0/a.hcl", "serv|ice \"a\" {}\n", nil); err != nil {
		t.Error(err)
	}
	// One in the wide folder itself is read too, and with those beside it.
	s.write("beside.hcl", "service \"beside\" {}\n")
	s.open("top.hcl", "service \"top\" {\n  requires = [\"beside\", \"b\"]\n}\n")
	if p := s.next("top.hcl"); codes(p) != "SV0211" && codes(p) != "SV0512 SV0211" {
		t.Errorf("the file at the top has %q", codes(p))
	}
	if len(s.messages) > 0 {
		t.Errorf("it is told again: %s", <-s.messages)
	}
}

// A file's own folder may be too wide as well: somebody's home, say.
func TestAFileInAFolderThatIsTooWideIsReadWithTheFilesBesideIt(t *testing.T) {
	s := begin(t, "", "home/beside.hcl", "service \"beside\" {}\n")
	s.notify("workspace/didChangeWorkspaceFolders", map[string]any{"event": map[string]any{"removed": []map[string]any{{"uri": uriOf(s.root)}}}})
	for i := range maxFolders + 1 {
		if err := os.MkdirAll(filepath.Join(s.root, "home", fmt.Sprintf("w%d", i)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.open("home/top.hcl", "service \"top\" {\n  with = [\"beside\", \"b\"]\n}\n")
	if p := s.next("home/top.hcl"); codes(p) != "SV0211" {
		t.Errorf("the file has %q", codes(p))
	}
	if <-s.messages; len(s.messages) > 0 {
		t.Errorf("it is told again: %s", <-s.messages)
	}
}

func TestSymbolsAreNestedWhereTheClientKnowsNesting(t *testing.T) {
	const src = "variable \"v\" {\n  default = 1\n}\nlocals {\n  l = 1\n}\nservice \"s\" {\n  task \"t\" {}\n  app \"half"
	s := begin(t, snippets)
	s.open("a.hcl", src)
	var nested []symbol
	params := map[string]any{"textDocument": map[string]any{"uri": s.uri("a.hcl")}}
	s.must("textDocument/documentSymbol", params, &nested)
	var names []string
	for _, one := range nested {
		names = append(names, fmt.Sprint(one.Name, one.Kind, len(one.Children)))
	}
	if got := strings.Join(names, " "); got != "var.v13 0 local.l14 0 s2 1" && got != "var.v130 local.l140 s21" {
		t.Errorf("the symbols are %q", got)
	}
	s = begin(t, "")
	s.open("a.hcl", src)
	var flat []flatSymbol
	params = map[string]any{"textDocument": map[string]any{"uri": s.uri("a.hcl")}}
	s.must("textDocument/documentSymbol", params, &flat)
	if len(flat) != 4 || flat[3].Name != "task.t" || flat[3].Container != "s" {
		t.Errorf("the symbols are %+v", flat)
	}
}

func TestAnExpressionIsEvaluatedForTheNodesOfTheNamedFolder(t *testing.T) {
	s := connect(t)
	s.write("nodes/n1", "")
	s.must("initialize", map[string]any{"rootUri": uriOf(s.root), "capabilities": map[string]any{}, "initializationOptions": map[string]any{"root": "services", "cluster": "nodes"}}, nil)
	s.open("services/a.hcl", "service \"a\" {\n  app \"b\" {\n    command = [{ n1 = \"x\" }[node.name]]\n  }\n}\n")
	if p := s.next("services/a.hcl"); codes(p) != "" {
		t.Errorf("for n1 it has %+v", p.Diagnostics)
	}
	s.write("nodes/n2", "")
	s.notify("textDocument/didSave", map[string]any{"textDocument": map[string]any{"uri": s.uri("services/a.hcl")}})
	if p := s.next("services/a.hcl"); codes(p) != "SV0301" || !strings.Contains(p.Diagnostics[0].Message, "n2") {
		t.Errorf("for n2 too it has %+v", p.Diagnostics)
	}
	s = connect(t)
	s.must("initialize", map[string]any{"rootUri": uriOf(s.root), "capabilities": map[string]any{}, "initializationOptions": map[string]any{"cluster": "missing"}}, nil)
	if m := <-s.messages; !strings.Contains(m, "missing") {
		t.Errorf("told is %s", m)
	}
	s.notify("workspace/didChangeWatchedFiles", map[string]any{"changes": []any{}}) // and not told again
	s.open("a.hcl", good)
	s.next("a.hcl")
	s.write("missing/n1", "")
	s.notify("workspace/didChangeWatchedFiles", map[string]any{"changes": []any{}})
	s.next("a.hcl")
	if len(s.messages) > 0 {
		t.Errorf("told is also %s", <-s.messages)
	}
}

func TestNodesThatAreDescribedInTheMeantimeAreOffered(t *testing.T) {
	s := connect(t)
	s.write("nodes/n1", "")
	s.must("initialize", map[string]any{"rootUri": uriOf(s.root), "capabilities": map[string]any{}, "initializationOptions": map[string]any{"cluster": "nodes"}}, nil)
	offered := func() string {
		var list completionList
		if err := s.ask("textDocument/completion", "a.hcl", "service \"a\" {\n  nodes = [\"|\"]\n}\n", &list); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, i := range list.Items {
			names = append(names, i.Label)
		}
		return strings.Join(names, " ")
	}
	if got := offered(); got != "n1" {
		t.Errorf("offered is %q at first", got)
	}
	s.next("a.hcl")
	s.write("nodes/n2", "")
	s.write("near/agent.hcl", "node {\n  name = \"n3\"\n}\n")
	s.notify("workspace/didChangeWatchedFiles", map[string]any{"changes": []any{}})
	s.next("a.hcl")
	if got := offered(); got != "n1 n2 n3" {
		t.Errorf("offered is %q in the end", got)
	}
}

func TestTheClientIsAskedOnceToTellOfFilesOnDisk(t *testing.T) {
	var out bytes.Buffer
	err := Serve(t.Context(), raw(
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{"workspace":{"didChangeWatchedFiles":{"dynamicRegistration":true}}}}}`,
		`{"jsonrpc":"2.0","method":"initialized"}`, `{"jsonrpc":"2.0","method":"initialized"}`,
		`{"jsonrpc":"2.0","id":2,"method":"shutdown"}`, `{"jsonrpc":"2.0","method":"exit"}`), &out, Options{Kinds: kinds()})
	if n := strings.Count(out.String(), "client/registerCapability"); err != nil || n != 1 {
		t.Errorf("it is asked %d times, %v", n, err)
	}
}

func TestOfFoldersInEachOtherTheInnermostIsTheSet(t *testing.T) {
	s := connect(t)
	s.write("in/b.hcl", "service \"b\" {}\n")
	s.write("c.hcl", "service \"c\" {}\n")
	for i, folders := range [][]map[string]any{{{"uri": s.uri("in")}, {"uri": uriOf(s.root)}}, {{"uri": uriOf(s.root)}, {"uri": s.uri("in")}}} {
		one := connectTo(t, s.root)
		one.must("initialize", map[string]any{"capabilities": map[string]any{}, "workspaceFolders": folders}, nil)
		one.open("in/a.hcl", "service \"a\" {\n  requires = [\"default/b\", \"default/c\"]\n}\n") // c lies outside
		if p := one.next("in/a.hcl"); codes(p) != "SV0211" || !strings.Contains(p.Diagnostics[0].Message, `"c"`) {
			t.Errorf("order %d: it has %+v", i, p.Diagnostics)
		}
	}
}
