package lsp

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/sourcegraph/jsonrpc2"
)

// maxWork is how many bytes the changes of one message may move.
const maxWork = 1 << 30

// notified takes what has no answer. What can't be understood is logged: there is nobody
// to tell.
func (s *server) notified(ctx context.Context, r *jsonrpc2.Request) {
	var err error
	switch {
	case r.Method == "exit":
		if s.phase == shut {
			s.orderly.Store(true)
		}
		err = s.conn.Close()
	case s.phase != running:
	case r.Method == "initialized":
		err = s.watch(ctx)
	case r.Method == "textDocument/didOpen":
		err = s.opened(ctx, r)
	case r.Method == "textDocument/didChange":
		err = s.edited(ctx, r)
	case r.Method == "textDocument/didClose":
		err = s.closed(ctx, r)
	case r.Method == "textDocument/didSave", r.Method == "workspace/didChangeWatchedFiles":
		s.recount()
		for _, t := range s.sets { // what a file includes may be any file
			s.changed(t)
		}
	case r.Method == "workspace/didChangeWorkspaceFolders":
		err = s.foldersChanged(r)
	}
	if err != nil {
		s.logf("%s: %v", r.Method, err)
	}
}

// watch asks to be told of files that change on disk.
func (s *server) watch(ctx context.Context) error {
	if !s.client.Workspace.Watched.Dynamic {
		return nil
	}
	s.client.Workspace.Watched.Dynamic = false // once
	_, err := s.conn.DispatchCall(ctx, "client/registerCapability", json.RawMessage(
		`{"registrations":[{"id":"files","method":"workspace/didChangeWatchedFiles","registerOptions":{"watchers":[{"globPattern":"**/*.hcl"}]}}]}`))
	return err
}

func (s *server) opened(ctx context.Context, r *jsonrpc2.Request) error {
	var p documentParams
	if err := unmarshal(r, &p); err != nil {
		return err
	}
	if p.Document.URI == "" || s.documents[p.Document.URI] == nil && len(s.documents) >= maxOpen {
		return fmt.Errorf("cannot open %.200q: at most %d files can be open", p.Document.URI, maxOpen)
	}
	version := 0
	if p.Document.Version != nil {
		version = *p.Document.Version
	}
	s.keep(ctx, &document{uri: p.Document.URI, version: version}, []byte(p.Document.Text))
	return nil
}

// keep makes a document the version of its file that counts. One that is too large is no
// part of its set: what is on disk counts, and is refused for its size.
func (s *server) keep(ctx context.Context, d *document, src []byte) {
	before := s.documents[d.uri]
	s.serial++
	d.serial, d.text = s.serial, newText(src)
	if len(src) <= maxFile {
		d.set, d.path = s.place(d.uri)
	} else if before == nil || before.set != nil {
		s.tell(ctx, fmt.Sprintf("svcctl: %s is larger than 4 MiB and is not looked at: divide it.", d.uri))
	}
	s.documents[d.uri] = d
	s.changed(d.set)
	if before != nil && before.set != d.set {
		s.changed(before.set)
	}
}

func (s *server) drop(ctx context.Context, uri string) {
	d := s.documents[uri]
	if d == nil {
		return
	}
	delete(s.documents, uri)
	s.changed(d.set)
	if d.set == nil {
		s.notify(ctx, "textDocument/publishDiagnostics", diagnosticsParams{URI: uri, Diagnostics: []diagnostic{}})
	}
}

func (s *server) edited(ctx context.Context, r *jsonrpc2.Request) error {
	var p changeParams
	if err := unmarshal(r, &p); err != nil {
		return err
	}
	d := s.documents[p.Document.URI]
	if d == nil {
		return fmt.Errorf("cannot change %.200q: it is not open", p.Document.URI)
	}
	t, work := d.text, 0
	for i, c := range p.Changes {
		if work+len(p.Changes[i:])*len(t.src) > maxWork {
			s.tell(ctx, fmt.Sprintf("svcctl: %s changed in too many places at once: close and open it.", d.uri))
			s.drop(ctx, d.uri)
			return nil
		}
		work += len(t.src)
		if c.Range == nil {
			t = newText([]byte(c.Text))
			continue
		}
		at := t.span(*c.Range, s.encoding)
		if len(t.src)+len(c.Text) > maxMessage {
			s.tell(ctx, fmt.Sprintf("svcctl: %s is larger than 16 MiB: it is looked at again once it is closed and opened.", d.uri))
			s.drop(ctx, d.uri)
			return nil
		}
		t = newText(slices.Concat(t.src[:at.from], []byte(c.Text), t.src[at.to:]))
	}
	version := d.version + 1
	if p.Document.Version != nil {
		version = *p.Document.Version
	}
	s.keep(ctx, &document{uri: d.uri, version: version}, t.src)
	return nil
}

func (s *server) closed(ctx context.Context, r *jsonrpc2.Request) error {
	var p documentParams
	if err := unmarshal(r, &p); err != nil {
		return err
	}
	s.drop(ctx, p.Document.URI)
	return nil
}

func (s *server) foldersChanged(r *jsonrpc2.Request) error {
	var p foldersParams
	if err := unmarshal(r, &p); err != nil {
		return err
	}
	for _, f := range p.Event.Removed {
		if at, ok := pathOf(f.URI); ok {
			s.roots = slices.DeleteFunc(s.roots, func(r string) bool { return r == filepath.Join(at, s.options.Root) })
		}
	}
	for _, f := range p.Event.Added {
		s.addRoot(f.URI)
	}
	for _, d := range s.documents {
		before := d.set
		d.set, d.path = s.place(d.uri)
		d.tree, d.outline = nil, nil
		s.changed(before)
		s.changed(d.set)
	}
	return nil
}
