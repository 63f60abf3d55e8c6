// Package lsp is the language server: it tells an editor what a set of files says, as it is typed.
package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/svcctl/svcctl/spec"
)

// Options are what a server needs.
type Options struct {
	Kinds   spec.Kinds
	Version string
	Nodes   func(folder string) ([]spec.Node, error) // those that agents' configurations below it describe
	Log     func(format string, args ...any)         // nil: nothing is logged
}

// server is one session. Requests are answered one after the other, in the order in
// which they come, so that each sees the files as the client saw them.
type server struct {
	kinds    spec.Kinds
	version  string
	nodesIn  func(folder string) ([]spec.Node, error)
	logf     func(format string, args ...any)
	conn     *jsonrpc2.Conn
	wake     chan struct{} // that a set is to be read
	ended    chan struct{} // closed with the session
	orderly  atomic.Bool   // that the client said shutdown, and then exit
	encoding encoding      // fixed by initialize, before anything is read
	client   clientCapabilities

	mu        sync.Mutex // held while a message is handled
	phase     phase
	base      string   // the first folder of the workspace
	roots     []string // of its sets, absolute
	nodes     []spec.Node
	cluster   int  // counts how often nodes was another
	uncounted bool // nodes may be others
	options   initializeOptions
	documents map[string]*document
	sets      map[string]*set
	wide      map[string]bool // roots that are no sets
	serial    int64

	trouble string // of the goroutine that reads sets: why it has no nodes, as it was told
}

type phase int

const (
	fresh phase = iota
	running
	shut
)

// farewell is how long the end of a session waits for what is being read, or told to a
// client that does not listen.
const farewell = time.Second

// What a server answers that JSON-RPC has no number for.
const (
	codeNotInitialized = -32002
	codeRequestFailed  = -32803
)

// Serve speaks with one client until it says exit, its input ends, or ctx does. It
// answers nil where the client has asked for the end in order.
func Serve(ctx context.Context, in io.Reader, out io.Writer, o Options) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	s := &server{
		kinds: o.Kinds, version: o.Version, nodesIn: o.Nodes, logf: o.Log, encoding: utf16Units,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
		documents: map[string]*document{}, sets: map[string]*set{}, wide: map[string]bool{},
	}
	if s.logf == nil {
		s.logf = func(string, ...any) {}
	}
	carrier := newFrames(in, out)
	s.mu.Lock() // no message is handled before conn is there
	s.conn = jsonrpc2.NewConn(ctx, carrier, s, jsonrpc2.SetLogger(silent{s}))
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.readSets(ctx)
	}()
	<-s.conn.DisconnectNotify()
	stop()
	close(s.ended)
	select {
	case <-done:
	case <-time.After(farewell):
		s.logf("a reading or a message was cut off by the end of the session")
	}
	if s.orderly.Load() {
		return nil
	}
	if why := carrier.reason(); why != nil {
		return why
	}
	return errors.New("the client went away without shutdown and exit")
}

// silent keeps the connection from writing to standard error by itself.
type silent struct{ s *server }

func (l silent) Printf(format string, v ...any) { l.s.logf(format, v...) }

// Handle implements jsonrpc2.Handler. The connection waits for it before it reads on.
func (s *server) Handle(ctx context.Context, _ *jsonrpc2.Conn, r *jsonrpc2.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Notif {
		s.notified(ctx, r)
		return
	}
	result, err := s.answer(ctx, r)
	if err != nil {
		var refusal *jsonrpc2.Error
		if !errors.As(err, &refusal) {
			refusal = &jsonrpc2.Error{Code: codeRequestFailed, Message: err.Error()}
		}
		if err := s.conn.ReplyWithError(ctx, r.ID, refusal); err != nil {
			s.logf("cannot answer %s: %v", r.Method, err)
		}
		return
	}
	if err := s.conn.Reply(ctx, r.ID, result); err != nil {
		s.logf("cannot answer %s: %v", r.Method, err)
	}
}

func (s *server) notify(ctx context.Context, method string, params any) {
	if err := s.conn.Notify(ctx, method, params); err != nil {
		s.logf("cannot send %s: %v", method, err)
	}
}

func (s *server) tell(ctx context.Context, message string) {
	s.notify(ctx, "window/showMessage", showMessage{2, message})
}

// unmarshal reads a message's parameters.
func unmarshal(r *jsonrpc2.Request, v any) error {
	if r.Params == nil {
		return refuse(jsonrpc2.CodeInvalidParams, "%s takes parameters", r.Method)
	}
	if err := json.Unmarshal(*r.Params, v); err != nil {
		return refuse(jsonrpc2.CodeInvalidParams, "cannot read the parameters of %s: %v", r.Method, err)
	}
	return nil
}

func refuse(code int64, format string, args ...any) error {
	return &jsonrpc2.Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func (s *server) answer(ctx context.Context, r *jsonrpc2.Request) (any, error) {
	switch {
	case r.Method == "initialize" && s.phase == fresh:
		return s.initialize(r)
	case r.Method == "initialize":
		return nil, refuse(jsonrpc2.CodeInvalidRequest, "initialize can be asked once")
	case s.phase == fresh:
		return nil, refuse(codeNotInitialized, "cannot answer %s before initialize", r.Method)
	case s.phase != running:
		return nil, refuse(jsonrpc2.CodeInvalidRequest, "cannot answer %s after shutdown", r.Method)
	case r.Method == "shutdown":
		s.phase = shut
		return nil, nil
	}
	switch r.Method {
	case "textDocument/documentSymbol":
		return onDocument(s, r, s.symbols)
	case "textDocument/formatting":
		return onDocument(s, r, s.format)
	case "textDocument/codeAction":
		return s.actions(r)
	}
	ask, known := map[string]func(*world, *document, int, *placeParams) (any, error){
		"textDocument/hover": s.hover, "textDocument/completion": s.complete, "textDocument/definition": s.define,
		"textDocument/references": s.references, "textDocument/prepareRename": s.prepareRename, "textDocument/rename": s.rename,
	}[r.Method]
	if !known {
		return nil, refuse(jsonrpc2.CodeMethodNotFound, "there is no method %.60q here", r.Method)
	}
	var p placeParams
	if err := unmarshal(r, &p); err != nil {
		return nil, err
	}
	d := s.documents[p.Document.URI]
	if d == nil {
		return nil, refuse(jsonrpc2.CodeInvalidParams, "the file %.200q is not open", p.Document.URI)
	}
	return ask(s.worldOf(d), d, d.text.offset(p.Position, s.encoding), &p)
}

func onDocument(s *server, r *jsonrpc2.Request, ask func(*document) (any, error)) (any, error) {
	var p documentParams
	if err := unmarshal(r, &p); err != nil {
		return nil, err
	}
	d := s.documents[p.Document.URI]
	if d == nil {
		return nil, refuse(jsonrpc2.CodeInvalidParams, "the file %.200q is not open", p.Document.URI)
	}
	return ask(d)
}

// initialize agrees on what client and server can do.
func (s *server) initialize(r *jsonrpc2.Request) (any, error) {
	var p initializeParams
	if err := unmarshal(r, &p); err != nil {
		return nil, err
	}
	if len(p.Options) > 0 {
		if err := json.Unmarshal(p.Options, &s.options); err != nil {
			return nil, refuse(jsonrpc2.CodeInvalidParams, "cannot read initializationOptions: %v (there are \"root\" and \"cluster\", folders, and \"notes\", true or false)", err)
		}
	}
	s.phase, s.client = running, p.Capabilities
	for _, e := range p.Capabilities.General.Encodings {
		if e == utf8Units {
			s.encoding = utf8Units // it is how the files are written: nothing is to be counted
		}
	}
	switch {
	case len(p.Folders) > 0:
		for _, f := range p.Folders {
			s.addRoot(f.URI)
		}
	case p.RootURI != nil:
		s.addRoot(*p.RootURI)
	case p.RootPath != nil && filepath.IsAbs(*p.RootPath):
		s.addRoot(uriOf(*p.RootPath))
	}
	s.recount()
	return map[string]any{
		"serverInfo": map[string]string{"name": "svcctl", "version": s.version},
		"capabilities": map[string]any{
			"positionEncoding":           s.encoding,
			"textDocumentSync":           map[string]any{"openClose": true, "change": 2, "save": map[string]bool{"includeText": false}},
			"hoverProvider":              true,
			"completionProvider":         map[string]any{"triggerCharacters": []string{".", "\""}},
			"definitionProvider":         true,
			"referencesProvider":         true,
			"documentSymbolProvider":     true,
			"documentFormattingProvider": true,
			"renameProvider":             map[string]bool{"prepareProvider": true},
			"codeActionProvider":         map[string]any{"codeActionKinds": []string{"quickfix"}},
			"workspace":                  map[string]any{"workspaceFolders": map[string]bool{"supported": true, "changeNotifications": true}},
		},
	}, nil
}

func (s *server) addRoot(uri string) {
	p, ok := pathOf(uri)
	if !ok {
		return
	}
	if s.base == "" {
		s.base = p
	}
	s.roots = append(s.roots, filepath.Join(p, s.options.Root))
}

// recount has the nodes that the user's option names read again, soon. The caller holds
// the lock.
func (s *server) recount() {
	if s.options.Cluster == "" || s.nodesIn == nil {
		return
	}
	s.uncounted = true
	s.rouse()
}

// lookForNodes reads the nodes, where they may be others. Only the goroutine that reads
// sets calls it: a folder can take its time.
func (s *server) lookForNodes(ctx context.Context) {
	s.mu.Lock()
	folder, wanted := filepath.Join(s.base, s.options.Cluster), s.uncounted
	s.uncounted = false
	s.mu.Unlock()
	if !wanted {
		return
	}
	now, err := s.nodesIn(folder)
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	if trouble != "" && trouble != s.trouble { // not with each file that is saved
		s.tell(ctx, "svcctl: "+trouble)
	}
	s.trouble = trouble
	s.mu.Lock()
	defer s.mu.Unlock()
	if reflect.DeepEqual(now, s.nodes) {
		return
	}
	s.nodes = now
	s.cluster++
	for _, t := range s.sets {
		s.changed(t)
	}
}
