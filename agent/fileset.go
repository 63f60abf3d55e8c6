package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// fileSet is the content of a services directory at one moment. It is a file system
// that nobody changes any more, and safe for concurrent use.
type fileSet struct {
	files   map[string]*setEntry // by slash-separated name
	folders map[string][]fs.DirEntry
	digest  spec.Digest
}

// setEntry is a file of a set: its own DirEntry and FileInfo.
type setEntry struct {
	name    string // the last element
	content []byte
	sum     string // sha256, hex
	mode    fs.FileMode
	mod     time.Time
	id      identity
	readAt  time.Time
}

func (e *setEntry) Name() string               { return e.name }
func (e *setEntry) IsDir() bool                { return e.mode.IsDir() }
func (e *setEntry) Type() fs.FileMode          { return e.mode.Type() }
func (e *setEntry) Info() (fs.FileInfo, error) { return e, nil }
func (e *setEntry) Size() int64                { return int64(len(e.content)) }
func (e *setEntry) Mode() fs.FileMode          { return e.mode }
func (e *setEntry) ModTime() time.Time         { return e.mod }
func (e *setEntry) Sys() any                   { return nil }

func sumOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// digestOf is the digest of a set: of the names and the content of its files.
func digestOf(sums map[string]string) spec.Digest {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		// A name can't hold a zero byte and a sum has one length: no two sets read the same.
		fmt.Fprintf(h, "%s\x00%s\n", name, sums[name])
	}
	return spec.Digest(hex.EncodeToString(h.Sum(nil)))
}

// newFileSet makes a set of files, which the set owns from then on.
func newFileSet(files map[string]*setEntry) *fileSet {
	s := &fileSet{files: files, folders: map[string][]fs.DirEntry{".": {}}}
	sums := make(map[string]string, len(files))
	for _, name := range slices.Sorted(maps.Keys(files)) {
		sums[name] = files[name].sum
		s.enter(name, files[name])
	}
	for _, entries := range s.folders {
		slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	}
	s.digest = digestOf(sums)
	return s
}

func (s *fileSet) enter(name string, e *setEntry) {
	folder := path.Dir(name)
	_, known := s.folders[folder]
	s.folders[folder] = append(s.folders[folder], e)
	if !known {
		s.enter(folder, &setEntry{name: path.Base(folder), mode: fs.ModeDir | 0o755})
	}
}

// contentFiles makes a set of bare content.
func contentFiles(files map[string][]byte) *fileSet {
	entries := make(map[string]*setEntry, len(files))
	for name, content := range files {
		entries[name] = &setEntry{name: path.Base(name), content: content, sum: sumOf(content), mode: 0o644}
	}
	return newFileSet(entries)
}

// checkNames says whether files could lie in one directory: who sends a set may write
// any names, but everything behind takes them for paths below it.
func checkNames(files map[string][]byte) error {
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !fs.ValidPath(name) || name == "." || strings.ContainsRune(name, 0) {
			return fmt.Errorf("cannot read the set: %q is no path of a file below its directory (write it like web/app.hcl)", name)
		}
		for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
			if _, both := files[folder]; both {
				return fmt.Errorf("cannot read the set: %q is a file, and the folder of %q (rename one)", folder, name)
			}
		}
	}
	return nil
}

// Digest is the digest of the set: equal for equal names and content, wherever and
// whenever they were read.
func (s *fileSet) Digest() spec.Digest { return s.digest }

// Files returns the content of each file. The content must not be changed.
func (s *fileSet) Files() map[string][]byte {
	out := make(map[string][]byte, len(s.files))
	for name, e := range s.files {
		out[name] = e.content
	}
	return out
}

// Open implements fs.FS.
func (s *fileSet) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if e, ok := s.files[name]; ok {
		return &openFile{Reader: strings.NewReader(string(e.content)), e: e}, nil
	}
	if entries, ok := s.folders[name]; ok {
		return &openFolder{e: &setEntry{name: path.Base(name), mode: fs.ModeDir | 0o755}, rest: entries}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// ReadFile implements fs.ReadFileFS.
func (s *fileSet) ReadFile(name string) ([]byte, error) {
	if e, ok := s.files[name]; ok {
		return slices.Clone(e.content), nil
	}
	if _, ok := s.folders[name]; ok {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("it is a folder")}
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// ReadDir implements fs.ReadDirFS.
func (s *fileSet) ReadDir(name string) ([]fs.DirEntry, error) {
	if entries, ok := s.folders[name]; ok {
		return slices.Clone(entries), nil
	}
	return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
}

// Stat implements fs.StatFS.
func (s *fileSet) Stat(name string) (fs.FileInfo, error) {
	if e, ok := s.files[name]; ok {
		return e, nil
	}
	if _, ok := s.folders[name]; ok {
		return &setEntry{name: path.Base(name), mode: fs.ModeDir | 0o755}, nil
	}
	return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
}

type openFile struct {
	*strings.Reader
	e *setEntry
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.e, nil }
func (f *openFile) Close() error               { return nil }

type openFolder struct {
	e    *setEntry
	rest []fs.DirEntry
}

func (f *openFolder) Stat() (fs.FileInfo, error) { return f.e, nil }
func (f *openFolder) Close() error               { return nil }

func (f *openFolder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.e.name, Err: fmt.Errorf("it is a folder")}
}

// ReadDir implements fs.ReadDirFile.
func (f *openFolder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 || n > len(f.rest) {
		if n > 0 && len(f.rest) == 0 {
			return nil, io.EOF
		}
		n = len(f.rest)
	}
	out := slices.Clone(f.rest[:n])
	f.rest = f.rest[n:]
	return out, nil
}
