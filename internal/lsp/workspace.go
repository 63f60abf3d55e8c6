package lsp

import (
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/svcctl/svcctl/spec"
)

const (
	clusterFile = "cluster.hcl"
	maxFile     = 4 << 20 // bytes, as of a file of a set
	maxOpen     = 1000    // files in the editor
	maxSets     = 64      // roots with open files
)

// document is one version of an open file. Each change makes another.
type document struct {
	uri     string
	path    string // below the root of its set; "" where it is part of none
	set     *set
	version int
	serial  int64 // of all versions of all documents
	text    *text

	tree    *tree    // nil until asked for
	outline *outline // nil until asked for
}

// set is one folder that is read as a whole: a folder of the workspace, or that of a
// file outside of them.
type set struct {
	root string // an absolute path
	flat bool   // what is in its folders is left out: there are too many

	// Of the server, under its lock.
	view  *view // nil before the first reading
	ready chan struct{}
	wants bool // something may have changed since the last reading

	// Of the goroutine that reads sets.
	loader    *spec.Loader // nil before the first reading
	cluster   int          // of the nodes that it knows
	stamps    map[string]stamp
	published map[string]bool // URIs with findings
}

// view is what one reading of a set has found. It is never changed.
type view struct {
	findings    map[string]spec.Findings // by path; "" holds those about the set itself
	definitions []spec.Definition
	outlines    map[string]*outline
	serials     map[string]int64 // of the open files that were read
}

// pathOf is the path that a file: URI means.
func pathOf(uri string) (string, bool) {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "file" || u.Host != "" && u.Host != "localhost" || !filepath.IsAbs(u.Path) || strings.ContainsRune(u.Path, 0) {
		return "", false
	}
	return filepath.Clean(u.Path), true
}

func uriOf(p string) string { return (&url.URL{Scheme: "file", Path: p}).String() }

// below is the path of a file relative to a folder that holds it.
func below(folder, p string) (string, bool) {
	if folder == "/" {
		return strings.TrimPrefix(p, "/"), p != "/"
	}
	return strings.CutPrefix(p, folder+"/")
}

// readable says whether the loader would read a file of this path.
func readable(rel string) bool {
	for _, part := range strings.Split(path.Dir(rel), "/") {
		if part != "." && strings.HasPrefix(part, ".") {
			return false
		}
	}
	return spec.InSet(rel)
}

// place finds the set of a file: that of the innermost folder of the workspace, else that
// of the file's own folder.
func (s *server) place(uri string) (*set, string) {
	p, ok := pathOf(uri)
	if !ok {
		return nil, ""
	}
	root := ""
	for _, f := range s.roots {
		if _, in := below(f, p); in && len(f) > len(root) {
			root = f
		}
	}
	if root == "" || s.wide[root] {
		root = filepath.Dir(p)
	}
	rel, in := below(root, p)
	if !in || !readable(rel) {
		return nil, ""
	}
	have := s.sets[root]
	if have == nil {
		if len(s.sets) >= maxSets {
			return nil, ""
		}
		have = &set{root: root, flat: s.wide[root], ready: make(chan struct{}), stamps: map[string]stamp{}, published: map[string]bool{}}
		s.sets[root] = have
	}
	return have, rel
}

// openIn lists the open files of a set. Of two URIs that mean one file, as one with and
// one without escapes, the one that was changed last counts.
func (s *server) openIn(t *set) map[string]*document {
	out := map[string]*document{}
	for _, d := range s.documents {
		if d.set == t && t != nil && (out[d.path] == nil || out[d.path].serial < d.serial) {
			out[d.path] = d
		}
	}
	return out
}

// grown is the tree of a document.
func (d *document) grown() *tree {
	if d.tree == nil {
		d.tree = grow(d.text.src)
	}
	return d.tree
}

func (d *document) outlined() *outline {
	if d.outline == nil {
		p := d.path
		if p == "" {
			p = path.Base(d.uri)
		}
		d.outline = outlineOf(p, firstFolder(p), d.grown())
	}
	return d.outline
}

// firstFolder is the namespace of services that name none.
func firstFolder(p string) string {
	first, _, below := strings.Cut(p, "/")
	if !below {
		return spec.DefaultNamespace
	}
	return first
}

// world is a set as a request sees it: what was read last, and the open files as they
// are now.
type world struct {
	s        *server
	set      *set
	view     *view
	open     map[string]*document
	outlines map[string]*outline
	paths    []string // sorted
	texts    map[string]*text
	table    map[[2]string]found // by folder and name; nil until asked for
}

func (s *server) worldOf(d *document) *world {
	v := s.settled(d) // the document may be of another set behind it
	w := &world{s: s, view: v, open: map[string]*document{d.outlined().path: d}, texts: map[string]*text{}, outlines: map[string]*outline{}}
	if w.set = d.set; w.set != nil {
		w.open = s.openIn(w.set)
		w.open[d.path] = d
		maps.Copy(w.outlines, w.view.outlines)
	}
	for p, o := range w.open {
		w.outlines[p] = o.outlined()
	}
	w.paths = slices.Sorted(maps.Keys(w.outlines))
	return w
}

// uri is how a file of the set is called.
func (w *world) uri(p string) string {
	if d := w.open[p]; d != nil {
		return d.uri
	}
	return uriOf(filepath.Join(w.set.root, filepath.FromSlash(p)))
}

// text is the content of a file of the set, nil where it can't be read.
func (w *world) text(p string) *text {
	if d := w.open[p]; d != nil {
		return d.text
	}
	if t, have := w.texts[p]; have {
		return t
	}
	w.texts[p] = readText(filepath.Join(w.set.root, filepath.FromSlash(p)))
	return w.texts[p]
}

func readText(name string) *text {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil
	}
	src, err := os.ReadFile(name)
	if err != nil || len(src) > maxFile {
		return nil
	}
	return newText(src)
}

func (w *world) location(p string, s span) (location, bool) {
	t := w.text(p)
	if t == nil {
		return location{}, false
	}
	return location{w.uri(p), t.rangeOf(s, w.s.encoding)}, true
}

// found is a definition and the file that it stands in.
type found struct {
	file       *outline
	definition *definition
}

// resolve finds what a name means in a folder: the nearest definition.
func (w *world) resolve(folder, name string) (*outline, *definition) {
	if w.table == nil {
		w.table = map[[2]string]found{}
		for _, p := range w.paths {
			o := w.outlines[p]
			for i := range o.definitions {
				key := [2]string{o.folder, o.definitions[i].name}
				if _, twice := w.table[key]; !twice {
					w.table[key] = found{o, &o.definitions[i]}
				}
			}
		}
	}
	for {
		if f, ok := w.table[[2]string{folder, name}]; ok {
			return f.file, f.definition
		}
		if folder == "." {
			return nil, nil
		}
		folder = path.Dir(folder)
	}
}

// service finds a service by its full name.
func (w *world) service(full string) (*outline, *service) {
	for _, p := range w.paths {
		o := w.outlines[p]
		for i := range o.services {
			if o.services[i].fullName() == full {
				return o, &o.services[i]
			}
		}
	}
	return nil, nil
}
