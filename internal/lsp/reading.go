package lsp

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/svcctl/svcctl/spec"
)

const (
	pause       = 150 * time.Millisecond // without a change, and the set is read
	longest     = time.Second            // that somebody who keeps typing waits for findings
	firstAnswer = 10 * time.Second       // that a request waits for the first reading
)

// stamp is what tells one version of a file from another.
type stamp struct {
	size, mtime int64
	outline     *outline
}

// readSets reads what may have changed, one set at a time, until ctx ends. Only it
// touches loaders.
func (s *server) readSets(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		}
		s.quiet(ctx)
		for ctx.Err() == nil {
			s.lookForNodes(ctx)
			t, files := s.next()
			if t == nil {
				break
			}
			s.read(ctx, t, files)
		}
	}
}

// quiet waits until nobody types. A set that was never read is not waited for.
func (s *server) quiet(ctx context.Context) {
	end := time.NewTimer(longest)
	defer end.Stop()
	for {
		if s.unread() {
			return
		}
		still := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-end.C:
		case <-still.C:
		case <-s.wake:
			still.Stop()
			continue
		}
		still.Stop()
		return
	}
}

func (s *server) unread() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.sets {
		if t.wants && t.view == nil {
			return true
		}
	}
	return false
}

// next is a set that may have changed, with its open files as they are now.
func (s *server) next() (*set, map[string]*document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, root := range slices.Sorted(maps.Keys(s.sets)) {
		if t := s.sets[root]; t.wants {
			t.wants = false
			return t, s.openIn(t)
		}
	}
	return nil, nil
}

// changed has a set read again, soon. The caller holds the lock.
func (s *server) changed(t *set) {
	if t == nil {
		return
	}
	t.wants = true
	s.rouse()
}

// rouse has the goroutine that reads sets look whether there is something to do.
func (s *server) rouse() {
	select {
	case s.wake <- struct{}{}:
	default: // it will look anyway
	}
}

// settled is what the last reading of a document's set has found; where there was none
// it waits for the first. The caller holds the lock, which is given back meanwhile.
func (s *server) settled(d *document) *view {
	for range 2 { // the document may be of another set by then
		t := d.set
		if t == nil {
			break
		}
		if t.view == nil {
			s.mu.Unlock()
			limit := time.NewTimer(firstAnswer)
			select {
			case <-t.ready:
			case <-limit.C:
			case <-s.ended:
			}
			limit.Stop()
			s.mu.Lock()
		}
		if t.view != nil && d.set == t {
			return t.view
		}
	}
	return &view{}
}

func (s *server) read(ctx context.Context, t *set, files map[string]*document) {
	if len(files) == 0 {
		s.leave(ctx, t)
		return
	}
	s.prepare(t)
	over := &overlay{disk: os.DirFS(t.root), open: files, flat: t.flat}
	began := time.Now()
	_, findings := t.loader.Load(over)
	if over.folders > maxFolders {
		s.narrow(ctx, t)
		return
	}
	v := &view{
		findings: map[string]spec.Findings{}, definitions: t.loader.Definitions(),
		outlines: t.outlines(over), serials: map[string]int64{},
	}
	for _, f := range findings {
		v.findings[f.File] = append(v.findings[f.File], f)
	}
	for p, d := range files {
		v.serials[p] = d.serial
	}
	s.logf("read %s: %d files, %d findings, %v", t.root, len(v.outlines), len(findings), time.Since(began))
	s.mu.Lock()
	first := t.view == nil
	t.view = v
	s.mu.Unlock()
	if first {
		close(t.ready)
	}
	s.publish(ctx, t, v, files)
}

// prepare gives a set a loader that knows the nodes of today.
func (s *server) prepare(t *set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.loader == nil || t.cluster != s.cluster {
		t.loader = spec.NewLoader(spec.Options{Kinds: s.kinds, Notes: s.options.Notes, Nodes: s.nodes})
		t.cluster = s.cluster
	}
}

// outlines reads what files define and name, those that changed since the last time.
func (t *set) outlines(over *overlay) map[string]*outline {
	out, stamps := map[string]*outline{}, map[string]stamp{}
	for _, p := range t.loader.Paths() {
		info, err := over.Stat(p)
		if err != nil {
			continue // gone since
		}
		now := stamp{size: info.Size(), mtime: info.ModTime().UnixNano()}
		if was := t.stamps[p]; was.outline != nil && was.size == now.size && was.mtime == now.mtime {
			now.outline = was.outline
		} else if src, err := over.ReadFile(p); err == nil && len(src) <= maxFile {
			now.outline = outlineOf(p, firstFolder(p), grow(src))
		} else {
			continue
		}
		stamps[p], out[p] = now, now.outline
	}
	t.stamps = stamps
	return out
}

// leave forgets a set of which no file is open.
func (s *server) leave(ctx context.Context, t *set) {
	s.mu.Lock()
	if len(s.openIn(t)) > 0 { // since
		s.changed(t)
		s.mu.Unlock()
		return
	}
	delete(s.sets, t.root)
	first := t.view == nil
	t.view = &view{}
	s.mu.Unlock()
	if first {
		close(t.ready)
	}
	s.withdraw(ctx, t)
}

// narrow gives up a folder that is too wide to be a set: its open files are read with
// their own folders alone, and those in itself without what is in its folders.
func (s *server) narrow(ctx context.Context, t *set) {
	s.mu.Lock()
	s.wide[t.root] = true
	delete(s.sets, t.root)
	for _, d := range s.documents {
		if d.set == t {
			d.set, d.path = s.place(d.uri)
			d.outline = nil
			s.changed(d.set)
		}
	}
	first := t.view == nil
	t.view = &view{}
	s.mu.Unlock()
	if first {
		close(t.ready)
	}
	s.tell(ctx, fmt.Sprintf("svcctl: there are %v below %s. Only the folder of each open file is looked at: open the folder of the services, or set \"root\".", errTooWide, t.root))
	s.withdraw(ctx, t)
}

func (s *server) withdraw(ctx context.Context, t *set) {
	for _, uri := range slices.Sorted(maps.Keys(t.published)) {
		s.notify(ctx, "textDocument/publishDiagnostics", diagnosticsParams{URI: uri, Diagnostics: []diagnostic{}})
	}
	t.published = map[string]bool{}
}

// publish tells the findings of every file of a set, and takes back those that are gone.
func (s *server) publish(ctx context.Context, t *set, v *view, files map[string]*document) {
	c := &conversion{encoding: s.encoding, set: t, view: v, open: files, texts: map[string]*text{}}
	told := map[string]bool{}
	paths := slices.Concat(slices.Collect(maps.Keys(v.findings)), slices.Collect(maps.Keys(files)))
	slices.Sort(paths)
	for _, p := range slices.Compact(paths) {
		if p == "" {
			continue
		}
		params := diagnosticsParams{URI: c.uri(p), Diagnostics: c.diagnostics(p)}
		if d := files[p]; d != nil {
			params.Version = &d.version
		}
		told[params.URI] = true
		s.notify(ctx, "textDocument/publishDiagnostics", params)
	}
	for _, uri := range slices.Sorted(maps.Keys(t.published)) {
		if !told[uri] {
			s.notify(ctx, "textDocument/publishDiagnostics", diagnosticsParams{URI: uri, Diagnostics: []diagnostic{}})
		}
	}
	t.published = told
}

func (t *set) absolute(p string) string { return filepath.Join(t.root, filepath.FromSlash(p)) }
