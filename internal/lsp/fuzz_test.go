package lsp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// FuzzFrames: whatever comes in, it is read to an end, with at most as much memory as
// came in, and what is framed as it should be is read as it was written.
func FuzzFrames(f *testing.F) {
	f.Add([]byte("Content-Length: 2\r\n\r\n{}"))
	f.Add([]byte("Content-Length: 99999999\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n{}"))
	f.Add([]byte("content-length:3\n\n[1]Content-Length: 0\r\n\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		one := newFrames(bytes.NewReader(in), nil)
		for n := 0; ; n++ {
			body, err := one.read()
			if err != nil {
				break
			}
			if len(body) > len(in) || n > len(in) {
				t.Fatalf("%d bytes, %d messages from %d bytes", len(body), n, len(in))
			}
		}
		var framed bytes.Buffer
		frame(&framed, string(in))
		frame(&framed, "{}")
		two := newFrames(&framed, nil)
		for _, want := range []string{string(in), "{}"} {
			if body, err := two.read(); err != nil || string(body) != want {
				t.Fatalf("%q is read as %q, %v", want, body, err)
			}
		}
	})
}

var asked = map[byte]string{
	'h': "textDocument/hover", 'c': "textDocument/completion", 'd': "textDocument/definition", 'r': "textDocument/references",
	'p': "textDocument/prepareRename", 'n': "textDocument/rename", 's': "textDocument/documentSymbol", 'f': "textDocument/formatting",
	'a': "textDocument/codeAction", 'x': "no/method",
}

// scripted makes messages of a script: a line is a message as it stands, or a letter, a
// line, a character and text. It returns how many requests there are.
func scripted(in *bytes.Buffer, uri, source, script string) int {
	send := func(id any, method string, params any) {
		body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "method": method, "params": params})
		if err != nil {
			panic("internal error: " + err.Error())
		}
		frame(in, string(body))
	}
	tell := func(method string, params any) {
		body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": method, "params": params})
		if err != nil {
			panic("internal error: " + err.Error())
		}
		frame(in, string(body))
	}
	document := map[string]any{"uri": uri, "version": 1, "text": source}
	send("q0", "initialize", map[string]any{"rootUri": filepath.Dir(uri), "capabilities": json.RawMessage(snippets)})
	tell("textDocument/didOpen", map[string]any{"textDocument": document})
	requests := 1
	for i, line := range strings.SplitN(script, "\n", 40) {
		if strings.HasPrefix(line, "{") || line == "" {
			frame(in, line)
			continue
		}
		var at position
		var word string
		_, _ = fmt.Sscan(line[1:], &at.Line, &at.Character, &word) // what is missing is zero
		place := map[string]any{"textDocument": document, "position": at, "newName": word, "range": textRange{at, at}}
		if method := asked[line[0]]; method != "" {
			send(fmt.Sprintf("q%d", requests), method, place)
			requests++
			continue
		}
		change := map[string]any{"text": word + "\n"}
		if line[0] == 'i' {
			change["range"] = textRange{at, position{at.Line, at.Character + 1}}
		}
		tell("textDocument/didChange", map[string]any{"textDocument": map[string]any{"uri": uri, "version": i}, "contentChanges": []any{change}})
	}
	send(fmt.Sprintf("q%d", requests), "shutdown", nil)
	tell("exit", nil)
	return requests + 1
}

// FuzzSession: whatever a client says after initialize, and whatever the file holds, each
// request is answered once, and the session ends when it is to.
func FuzzSession(f *testing.F) {
	f.Add(half, "c 9 2\nh 2 3\nd 4 14\nr 4 14\nn 2 11 disk\ns\nf\na 4 14\ni 4 3 ä𝔒\np 2 11\nx")
	f.Add("service \"a\" {\n  app \"x\" { us", "c 1 14\nu 0 0 service\nc 0 7\nf")
	f.Add("locals {\n  x = \"${var.\n  y = [for a in b : { c = a.d ]\n", "c 1 12\nc 2 24\nh 2 12")
	f.Add("service \"a\" {\n nodes = [\"", `{"jsonrpc":"2.0","method":"textDocument/didClose","params":{"textDocument":{"uri":"file:///"}}}`+"\nc 1 11\n{\"jsonrpc\":\"2.0\",\"id\":1}\n[]\n{\nh 1 2")
	f.Add("a = <<EOT\n${\nEOT\nx \"\\u00", "c 1 2\ni 1 0 \"\ns\nn 0 0 b")
	root := f.TempDir()
	for i := 0; i < len(others); i += 2 {
		at := filepath.Join(root, others[i])
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(others[i+1]), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, source, script string) {
		if len(source)+len(script) > 1<<13 || strings.Contains(script, "exit") || strings.Contains(script, "shutdown") || strings.Contains(script, `"q`) {
			return
		}
		var in, out bytes.Buffer
		requests := scripted(&in, uriOf(filepath.Join(root, "a.hcl")), source, script)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		err := Serve(ctx, &in, &out, Options{Kinds: kinds()})
		if err != nil {
			t.Fatalf("the session ends with %v", err)
		}
		answers := map[string]int{}
		for back := newFrames(&out, nil); ; {
			body, err := back.read()
			if err != nil {
				break
			}
			var m struct {
				ID     any
				Method string
			}
			if err := json.Unmarshal(body, &m); err != nil {
				t.Fatalf("sent is %q: %v", body, err)
			}
			if id, is := m.ID.(string); is && m.Method == "" {
				answers[id]++
			}
		}
		for i := range requests {
			if n := answers[fmt.Sprintf("q%d", i)]; n != 1 {
				t.Errorf("request %d is answered %d times", i, n)
			}
		}
	})
}

// FuzzTree: whatever a file holds, the tree of it ends, its places lie in the file and in
// each other, and what reads it stays in bounds.
func FuzzTree(f *testing.F) {
	for _, src := range []string{half, others[1], "a {\n b = [\n c = 1\n d \"e\" {\n f = \"${g.", "x = { for a, b in c : a => b if d }[\"e\"]\n}}", "a \"${b}\" {", "a = \"\r\nb = \"${\r\n"} {
		f.Add([]byte(src))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 1<<13 {
			return
		}
		began := time.Now()
		tree := grow(src)
		var inside func(b *block)
		inside = func(b *block) {
			for _, s := range []span{b.kindAt, b.whole, b.body} {
				if s.from < 0 || s.from > s.to || s.to > len(src) {
					t.Fatalf("block %q is at %v of %d", b.kind, s, len(src))
				}
			}
			for _, a := range b.attrs {
				if a.expr.from > a.expr.to || a.expr.to > len(src) || a.nameAt.to > a.expr.from || !b.body.holds(a.nameAt.from) {
					t.Fatalf("argument %q is at %v %v of %v", a.name, a.nameAt, a.expr, b.body)
				}
			}
			for _, i := range b.blocks {
				if i.whole.from < b.body.from || i.whole.to > b.body.to {
					t.Fatalf("block %q at %v is not in %v", i.kind, i.whole, b.body)
				}
				inside(i)
			}
		}
		inside(tree.root)
		o := outlineOf("a.hcl", spec.DefaultNamespace, tree)
		for _, u := range o.uses {
			if u.whole.from > u.at.from || u.at.to > len(src) {
				t.Fatalf("use %+v", u)
			}
		}
		for at := range len(src) + 1 {
			if c := tree.cursor(at); !c.block.body.holds(at) {
				t.Fatalf("the block at %d is at %v", at, c.block.body)
			}
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}
