package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// target is a set that a command looks at: a directory, a file, or standard input.
type target struct {
	path  string // as it was given
	fsys  fs.FS
	root  string // what names in fsys are below
	real  string // absolute, without links
	isDir bool
}

// targets opens the sets that paths mean. One that lies in another is a part of it, and
// not read apart from what it reads there.
func (s *streams) targets(paths []string) ([]target, error) {
	var all []target
	for _, p := range paths {
		t, err := s.target(p)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	var out []target
	for i, t := range all {
		covered := false
		for j, other := range all {
			covered = covered || other.holds(t) || j < i && other.real == t.real
		}
		if !covered {
			out = append(out, t)
		}
	}
	return out, nil
}

func (s *streams) target(p string) (target, error) {
	if p == "-" {
		content, err := s.readInput(maxStdin)
		if err != nil {
			return target{}, failed("cannot read standard input: %w", err)
		}
		return target{path: shownStdin, fsys: stdin{os.DirFS("."), content}, root: ".", real: "-"}, nil
	}
	fsys, root, err := setOf(p)
	if err != nil {
		return target{}, err
	}
	t := target{path: p, fsys: fsys, root: root, real: filepath.Clean(p)}
	if abs, err := filepath.Abs(p); err == nil {
		t.real = abs
	}
	if real, err := filepath.EvalSymlinks(t.real); err == nil {
		t.real = real
	}
	_, one := fsys.(oneFile)
	t.isDir = !one
	return t, nil
}

// holds says whether reading t reads another target too.
func (t target) holds(other target) bool {
	if !t.isDir || t.real == other.real {
		return false
	}
	inside, err := filepath.Rel(t.real, other.real)
	if err != nil || !other.isDir && !strings.HasSuffix(inside, ".hcl") {
		return false
	}
	// A set is read without what is hidden; and what begins with .. is not inside.
	return !slices.ContainsFunc(strings.Split(inside, "/"), func(part string) bool { return strings.HasPrefix(part, ".") })
}

// load reads a target, and says how many files it read. Its findings name files as the
// user can open them.
func (t target) load(o spec.Options) (s *spec.Spec, found spec.Findings, files int) {
	collectLess()
	o.Part = !t.isDir
	loader := spec.NewLoader(o)
	s, found = loader.Load(t.fsys)
	read := loader.Files()
	for i := range found {
		f := &found[i]
		switch {
		case f.File == "":
			f.File = t.path
		case t.path == shownStdin:
			f.File = strings.Replace(f.File, stdinFile, shownStdin, 1)
			f.Detail = strings.ReplaceAll(f.Detail, stdinFile, shownStdin)
		default:
			f.File, f.Detail = filepath.Join(t.root, f.File), t.places(f.Detail, read)
		}
		f.Range.Filename = f.File
	}
	return s, found, len(read)
}

var placeInText = regexp.MustCompile(`\.hcl:[0-9]+`)

// places names the files of a text as the user can open them, where a line follows.
func (t target) places(text string, read map[string]string) string {
	var b strings.Builder
	from := 0
	for _, m := range placeInText.FindAllStringIndex(text, -1) {
		end := m[0] + len(".hcl")
		for i := from; i < m[0]; i++ { // names may hold blanks: the longest is meant
			if i > 0 && !strings.ContainsRune(" (\"", rune(text[i-1])) {
				continue
			}
			if _, is := read[text[i:end]]; is {
				b.WriteString(text[from:i] + filepath.Join(t.root, text[i:end]))
				from = end
				break
			}
		}
	}
	return b.String() + text[from:]
}

// loadPath reads the set of a directory, or of one file, for a node without labels in
// a cluster of one, or for no node in particular.
func (s *streams) loadPath(p, node string, notes bool) (*spec.Spec, spec.Findings, error) {
	t, err := s.target(p)
	if err != nil {
		return nil, nil, err
	}
	options := spec.Options{Kinds: newKinds(nil), Notes: notes}
	if node != "" {
		options.Node = spec.Node{Name: node, Labels: map[string]string{}, Cluster: "default"}
	}
	set, found, _ := t.load(options)
	return set, found, nil
}

// cause is what went wrong with a path that is named already.
func cause(err error) error {
	var failed *fs.PathError
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// setOf returns the files of a path and the directory that they are below.
func setOf(p string) (fs.FS, string, error) {
	info, err := os.Stat(p)
	if err != nil {
		return nil, "", usage("cannot read %s: %w (is the path right?)", p, cause(err))
	}
	if info.IsDir() {
		return os.DirFS(p), p, nil
	}
	root, name := filepath.Split(p)
	if root == "" {
		root = "."
	}
	return oneFile{os.DirFS(root), name}, root, nil
}

// oneFile is a directory that shows one file of another. The rest can still be
// opened by name, for file("…") in an expression.
type oneFile struct {
	fs.FS
	name string
}

// ReadDir implements fs.ReadDirFS.
func (f oneFile) ReadDir(name string) ([]fs.DirEntry, error) {
	if path.Clean(name) != "." {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	info, err := fs.Stat(f.FS, f.name)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", f.name, err)
	}
	return []fs.DirEntry{fs.FileInfoToDirEntry(info)}, nil
}

const (
	stdinFile  = "<stdin>.hcl" // in its set, where names end so
	shownStdin = "<stdin>"
	maxStdin   = 4<<20 + 1 // one byte more than a file may have, so that it is refused as one
)

// stdin is the working directory, of which one file is shown: standard input.
type stdin struct {
	fs.FS
	content []byte
}

// ReadDir implements fs.ReadDirFS.
func (s stdin) ReadDir(name string) ([]fs.DirEntry, error) {
	if path.Clean(name) != "." {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	return []fs.DirEntry{fs.FileInfoToDirEntry(openStdin{size: len(s.content)})}, nil
}

// Open implements fs.FS.
func (s stdin) Open(name string) (fs.File, error) {
	if name == stdinFile {
		return openStdin{bytes.NewReader(s.content), len(s.content)}, nil
	}
	return s.FS.Open(name)
}

// openStdin is the shown file, and what is known of it.
type openStdin struct {
	*bytes.Reader
	size int
}

func (o openStdin) Stat() (fs.FileInfo, error) { return o, nil }
func (o openStdin) Close() error               { return nil }
func (o openStdin) Name() string               { return stdinFile }
func (o openStdin) Size() int64                { return int64(o.size) }
func (o openStdin) Mode() fs.FileMode          { return 0o444 }
func (o openStdin) ModTime() time.Time         { return time.Time{} }
func (o openStdin) IsDir() bool                { return false }
func (o openStdin) Sys() any                   { return nil }
