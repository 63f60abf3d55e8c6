package lsp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/svcctl/svcctl/spec"
)

type mountConfig struct {
	Device string `hcl:"device" doc:"What is mounted."`
	Path   string `hcl:"path" export:"true" doc:"Where it is mounted."`
	Type   string `hcl:"type" default:"ext4" oneof:"ext4 xfs" export:"true" doc:"The file system."`
	Opts   string `hcl:"opts,optional" deprecated:"Write options instead." doc:"Options of old."`
}

type appConfig struct {
	Command []string          `hcl:"command" doc:"The program and its arguments."`
	User    string            `hcl:"user,optional" doc:"Who runs it."`
	Env     map[string]string `hcl:"env,optional" doc:"Its environment."`
	Strict  bool              `hcl:"strict,optional" doc:"No mercy."`
	Limits  *limits           `hcl:"limits,block" doc:"What it may use."`
}

type limits struct {
	Files int `hcl:"files,optional" doc:"Open files."`
}

type taskConfig struct {
	Command []string `hcl:"command" doc:"The program and its arguments."`
}

type httpConfig struct {
	URL string `hcl:"url" doc:"What is asked."`
}

type testKinds struct{ resources, checks map[string]*spec.Schema }

func (k testKinds) Resource(kind string) *spec.Schema { return k.resources[kind] }
func (k testKinds) Check(kind string) *spec.Schema    { return k.checks[kind] }
func (k testKinds) ResourceKinds() []string           { return []string{"app", "mount", "task"} }
func (k testKinds) CheckKinds() []string              { return []string{"http"} }

func kinds() testKinds {
	task := spec.SchemaOf("task", "A program that runs and ends.", reflect.TypeFor[taskConfig]())
	task.Task = true
	return testKinds{
		resources: map[string]*spec.Schema{
			"app":   spec.SchemaOf("app", "A program that is kept running.", reflect.TypeFor[appConfig]()),
			"mount": spec.SchemaOf("mount", "A mounted file system.", reflect.TypeFor[mountConfig]()),
			"task":  task,
		},
		checks: map[string]*spec.Schema{"http": spec.SchemaOf("http", "Asks a web server.", reflect.TypeFor[httpConfig]())},
	}
}

// nodesOfTest reads the names of nodes from the files of a folder.
func nodesOfTest(folder string) ([]spec.Node, error) {
	files, err := os.ReadDir(folder)
	var out []spec.Node
	for _, f := range files {
		out = append(out, spec.Node{Name: f.Name()})
	}
	return out, err
}

// session is a client of a server in this process.
type session struct {
	t         *testing.T
	root      string
	conn      *jsonrpc2.Conn
	published chan diagnosticsParams
	messages  chan string
	done      chan error
}

const patience = time.Minute // no test waits so long

const snippets = `{"textDocument":{"completion":{"completionItem":{"snippetSupport":true}},"documentSymbol":{"hierarchicalDocumentSymbolSupport":true}}}`

// begin writes files, pairs of path and content, and initializes a server for their folder.
func begin(t *testing.T, capabilities string, files ...string) *session {
	t.Helper()
	s := connect(t)
	for i := 0; i < len(files); i += 2 {
		s.write(files[i], files[i+1])
	}
	if capabilities == "" {
		capabilities = "{}"
	}
	var answer json.RawMessage
	s.must("initialize", map[string]any{
		"rootUri": uriOf(s.root), "capabilities": json.RawMessage(capabilities),
		"initializationOptions": json.RawMessage("null"),
	}, &answer)
	s.notify("initialized", map[string]any{})
	return s
}

func connect(t *testing.T) *session { return connectTo(t, t.TempDir()) }

func connectTo(t *testing.T, root string) *session {
	t.Helper()
	s := &session{t: t, root: root, published: make(chan diagnosticsParams, 1000), messages: make(chan string, 100), done: make(chan error, 1)}
	clientIn, serverOut := io.Pipe()
	serverIn, clientOut := io.Pipe()
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		s.done <- Serve(ctx, serverIn, serverOut, Options{Kinds: kinds(), Version: "1", Nodes: nodesOfTest})
		serverOut.Close()
	}()
	s.conn = jsonrpc2.NewConn(ctx, newFrames(clientIn, clientOut), s, jsonrpc2.SetLogger(silent{&server{logf: func(string, ...any) {}}}))
	t.Cleanup(func() {
		cancel()
		clientOut.Close()
		clientIn.Close()
		select {
		case <-s.done:
		case <-time.After(patience):
			t.Error("the server does not end")
		}
	})
	return s
}

func (s *session) Handle(_ context.Context, _ *jsonrpc2.Conn, r *jsonrpc2.Request) {
	switch r.Method {
	case "textDocument/publishDiagnostics":
		var p diagnosticsParams
		if err := json.Unmarshal(*r.Params, &p); err != nil {
			s.t.Error(err)
		}
		s.published <- p
	case "window/showMessage":
		s.messages <- string(*r.Params)
	}
}

func (s *session) write(name, content string) {
	s.t.Helper()
	at := filepath.Join(s.root, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *session) uri(name string) string { return uriOf(filepath.Join(s.root, name)) }

func (s *session) call(method string, params, result any) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.conn.Call(ctx, method, params, result)
}

func (s *session) must(method string, params, result any) {
	s.t.Helper()
	if err := s.call(method, params, result); err != nil {
		s.t.Fatalf("%s: %v", method, err)
	}
}

func (s *session) notify(method string, params any) {
	s.t.Helper()
	if err := s.conn.Notify(context.Background(), method, params); err != nil {
		s.t.Fatalf("%s: %v", method, err)
	}
}

func (s *session) open(name, content string) {
	s.t.Helper()
	s.notify("textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": s.uri(name), "languageId": "hcl", "version": 1, "text": content}})
}

func (s *session) change(name string, version int, content string) {
	s.t.Helper()
	s.notify("textDocument/didChange", map[string]any{
		"textDocument": map[string]any{"uri": s.uri(name), "version": version}, "contentChanges": []map[string]any{{"text": content}},
	})
}

// next is what is published next of a file.
func (s *session) next(name string) diagnosticsParams {
	s.t.Helper()
	for {
		select {
		case p := <-s.published:
			if p.URI == s.uri(name) {
				return p
			}
		case <-time.After(patience):
			s.t.Fatalf("nothing is published of %s", name)
		}
	}
}

// marked takes the mark | out of a text.
func marked(t *testing.T, src string) (string, int) {
	t.Helper()
	at := strings.IndexByte(src, '|')
	if at < 0 || strings.Count(src, "|") != 1 {
		t.Fatalf("there is to be one mark | in %q", src)
	}
	return src[:at] + src[at+1:], at
}

// ask opens a file with a mark and asks about that place.
func (s *session) ask(method, name, src string, result any, more ...any) error {
	s.t.Helper()
	content, at := marked(s.t, src)
	s.open(name, content)
	params := map[string]any{
		"textDocument": map[string]any{"uri": s.uri(name)}, "position": newText([]byte(content)).position(at, utf16Units),
	}
	for i := 0; i < len(more); i += 2 {
		params[more[i].(string)] = more[i+1]
	}
	return s.call(method, params, result)
}

func TestASessionThatIsEndedInOrderEndsWell(t *testing.T) {
	s := begin(t, "")
	s.must("shutdown", nil, nil)
	if err := s.call("textDocument/hover", map[string]any{}, nil); err == nil || !strings.Contains(err.Error(), "after shutdown") {
		t.Errorf("a request after shutdown: %v", err)
	}
	s.notify("exit", nil)
	if err := <-s.done; err != nil {
		t.Errorf("the session ends with %v", err)
	}
	s.done <- nil
}

func TestASessionThatIsNotEndedInOrderFails(t *testing.T) {
	s := begin(t, "")
	s.notify("exit", nil)
	err := <-s.done
	if err == nil || !strings.Contains(err.Error(), "without shutdown") {
		t.Errorf("the session ends with %v", err)
	}
	s.done <- nil
}

func TestNothingIsAnsweredBeforeInitialize(t *testing.T) {
	s := connect(t)
	err := s.call("textDocument/hover", map[string]any{}, nil)
	var refusal *jsonrpc2.Error
	if !errors.As(err, &refusal) || refusal.Code != codeNotInitialized {
		t.Errorf("the answer is %v", err)
	}
	if err := s.call("initialize", map[string]any{"capabilities": 7}, nil); err == nil {
		t.Error("capabilities that are a number are taken")
	}
	s.must("initialize", map[string]any{"capabilities": map[string]any{}}, nil)
	if err := s.call("initialize", map[string]any{"capabilities": map[string]any{}}, nil); err == nil {
		t.Error("initialize is taken twice")
	}
	if err := s.call("textDocument/colour", map[string]any{}, nil); !errors.As(err, &refusal) || refusal.Code != jsonrpc2.CodeMethodNotFound {
		t.Errorf("a method that is unknown is answered %v", err)
	}
}

// raw frames messages as a client sends them that knows no manners.
func raw(messages ...string) *bytes.Buffer {
	var b bytes.Buffer
	for _, m := range messages {
		frame(&b, m)
	}
	return &b
}

func TestWhatIsSaidAtTheWrongTimeOrWithAnOddNumberIsAnsweredOnce(t *testing.T) {
	var out bytes.Buffer
	in := raw(
		`{"jsonrpc":"2.0","id":1,"method":"textDocument/hover","params":{}}`,
		`{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///a.hcl","text":"x"}}}`,
		`{"jsonrpc":"2.0","id":1.5,"method":"initialize"}`,
		`{"jsonrpc":"2.0","id":{},"method":"initialize"}`,
		`{"jsonrpc":"2.0","id":true,"method":"initialize"}`,
		`{"jsonrpc":"2.0","id":99999999999999999999,"method":"initialize"}`,
		`{"jsonrpc":"2.0","id":null,"method":"initialize","params":{"capabilities":{}}}`, // has no answer, and does nothing
		`{"jsonrpc":"2.0","id":"","method":"initialize","params":{"capabilities":{}}}`,
		`{"jsonrpc":"2.0","id":2,"method":"textDocument/hover","params":{"textDocument":{"uri":"file:///a.hcl"}}}`,
		`{"jsonrpc":"2.0","id":2,"method":"textDocument/hover"}`,
		`{"jsonrpc":"2.0","id":3,"result":7}`, // nobody asked
		`{"jsonrpc":"2.0","id":4,"method":"shutdown"}`,
		`{"jsonrpc":"2.0","id":5,"method":"shutdown"}`,
		`{"jsonrpc":"2.0","id":6,"method":"initialize","params":{"capabilities":{}}}`,
		`{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///a.hcl","text":"x"}}}`,
		`{"jsonrpc":"2.0","method":"exit"}`,
		`{"jsonrpc":"2.0","id":7,"method":"shutdown"}`, // nobody is there
	)
	if err := Serve(t.Context(), in, &out, Options{Kinds: kinds()}); err != nil {
		t.Errorf("the session ends with %v", err)
	}
	var got []string
	for back := newFrames(&out, nil); ; {
		body, err := back.read()
		if err != nil {
			break
		}
		var m struct {
			ID    json.RawMessage
			Error struct{ Code int }
		}
		if err := json.Unmarshal(body, &m); err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(string(m.ID), " ", m.Error.Code))
	}
	want := []string{"1 -32002", "null -32600", "null -32600", "null -32600", "null -32600", `"" 0`, "2 -32602", "2 -32602", "4 0", "5 -32600", "6 -32600"}
	if !slices.Equal(got, want) {
		t.Errorf("answered is %q, want %q", got, want)
	}
}

// Nobody reads what the server says: neither findings nor answers may keep it.
func TestAClientThatDoesNotReadKeepsNoServer(t *testing.T) {
	uri := uriOf(filepath.Join(t.TempDir(), "a.hcl"))
	begun := []string{
		`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"capabilities":{}}}`,
		`{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"` + uri + `","text":"nonsense"}}}`,
	}
	for i := range 10000 {
		begun = append(begun, fmt.Sprintf(`{"jsonrpc":"2.0","method":"textDocument/didChange","params":{"textDocument":{"uri":"%s","version":%d},"contentChanges":[{"text":"nonsense"}]}}`, uri, i))
	}
	ask := `{"jsonrpc":"2.0","id":2,"method":"textDocument/documentSymbol","params":{"textDocument":{"uri":"` + uri + `"}}}`
	for name, last := range map[string][]string{"its input ends": nil, "it is ended": {ask}, "it says exit": {`{"jsonrpc":"2.0","method":"exit"}`}} {
		t.Run(name, func(t *testing.T) {
			in, say := io.Pipe()
			hear, out := io.Pipe()
			defer hear.Close()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- Serve(ctx, in, out, Options{Kinds: kinds()}) }()
			go func() {
				_, _ = say.Write(raw(slices.Concat(begun, last)...).Bytes()) // the server may end before it has read it all
				switch name {
				case "its input ends":
					say.Close()
				case "it is ended":
					cancel()
				}
			}()
			if _, err := newFrames(hear, nil).read(); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-done:
				if err == nil {
					t.Error("the session ends well")
				}
			case <-time.After(patience):
				t.Fatal("the server waits for the client to read")
			}
		})
	}
}

func TestUTF8IsAgreedOnWhereTheClientCanCountIt(t *testing.T) {
	for _, want := range []encoding{utf8Units, utf16Units} {
		s := connect(t)
		var answer struct {
			Capabilities struct {
				Encoding encoding `json:"positionEncoding"`
			} `json:"capabilities"`
		}
		s.must("initialize", map[string]any{"rootUri": uriOf(s.root), "capabilities": map[string]any{
			"general": map[string]any{"positionEncodings": []encoding{"utf-32", want}}}}, &answer)
		if answer.Capabilities.Encoding != want {
			t.Errorf("offered %s, agreed on %s", want, answer.Capabilities.Encoding)
		}
		s.open("a.hcl", "service \"a\" {\n  /* ä𝔒 */ nods = []\n}\n")
		got := s.next("a.hcl").Diagnostics
		column := map[encoding]int{utf8Units: 15, utf16Units: 12}[want]
		if len(got) != 1 || got[0].Range.Start != (position{1, column}) {
			t.Errorf("in %s the finding is at %+v", want, got)
		}
	}
}
