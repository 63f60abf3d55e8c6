package lsp

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sourcegraph/jsonrpc2"
)

// A thousand files of three resources each, with references across files.
func thousand(b *testing.B) (*server, *document) {
	b.Helper()
	root := b.TempDir()
	for i := range 1000 {
		src := fmt.Sprintf("service \"s%d\" {\n  requires = [\"s0\"]\n  mount \"data\" {\n    device = \"/dev/sd%d\"\n    path = \"${var.root}/%d\"\n  }\n  app \"a\" {\n    command = [\"/bin/a\", mount.data.path]\n  }\n  app \"b\" {\n    command = [\"/bin/b\"]\n    after = [app.a]\n  }\n}\n", i, i, i)
		if i == 0 {
			src = "variable \"root\" {\n  default = \"/srv\"\n}\n" + strings.Replace(src, "  requires = [\"s0\"]\n", "", 1)
		}
		if err := os.WriteFile(filepath.Join(root, fmt.Sprintf("s%d.hcl", i)), []byte(src), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	s := &server{kinds: kinds(), encoding: utf16Units, wake: make(chan struct{}, 1), ended: make(chan struct{}), logf: func(string, ...any) {},
		documents: map[string]*document{}, sets: map[string]*set{}, wide: map[string]bool{}, roots: []string{root}}
	in, hold := io.Pipe()
	b.Cleanup(func() { hold.Close() })
	s.conn = jsonrpc2.NewConn(b.Context(), newFrames(in, io.Discard), s)
	src, err := os.ReadFile(filepath.Join(root, "s500.hcl"))
	if err != nil {
		b.Fatal(err)
	}
	d := &document{uri: uriOf(filepath.Join(root, "s500.hcl"))}
	s.keep(b.Context(), d, src)
	t, files := s.next()
	s.read(b.Context(), t, files)
	if n := len(t.view.outlines); n != 1000 || len(t.view.findings) > 0 {
		b.Fatalf("%d files, findings %v", n, t.view.findings)
	}
	return s, d
}

func BenchmarkReadingAfterAKeyInAThousandFiles(b *testing.B) {
	s, d := thousand(b)
	for b.Loop() {
		s.keep(b.Context(), &document{uri: d.uri}, append(s.documents[d.uri].text.src[:len(d.text.src):len(d.text.src)], '\n'))
		t, files := s.next()
		s.read(b.Context(), t, files)
	}
}

func BenchmarkReferencesInAThousandFiles(b *testing.B) {
	s, d := thousand(b)
	at := strings.Index(string(d.text.src), "var.root") + 5
	for b.Loop() {
		if got, err := s.references(s.worldOf(d), d, at, &placeParams{}); err != nil || len(got.([]location)) != 1000 {
			b.Fatal(len(got.([]location)), err)
		}
	}
}

func BenchmarkCompletionInAThousandFiles(b *testing.B) {
	s, d := thousand(b)
	at := strings.Index(string(d.text.src), "s0") + 1
	for b.Loop() {
		if got, err := s.complete(s.worldOf(d), d, at, nil); err != nil || len(got.(completionList).Items) == 0 {
			b.Fatal(err)
		}
	}
}
