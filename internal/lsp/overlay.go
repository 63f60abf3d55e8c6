package lsp

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

const maxFolders = 4096 // below one root

var errTooWide = fmt.Errorf("more than %d folders", maxFolders)

// overlay shows the files that are open in the editor, as they are there, in front of
// those on disk. It is for one reading of a set: it counts the folders.
type overlay struct {
	disk    fs.FS
	open    map[string]*document // by path below the root
	folders int
	flat    bool // nothing in folders is shown
}

// shown is what stat says about an open file, or about a folder that holds one and is
// not on disk. A document's serial number makes each version look like another file.
type shown struct {
	name string
	doc  *document // nil: a folder
}

func (s shown) Name() string               { return path.Base(s.name) }
func (s shown) IsDir() bool                { return s.doc == nil }
func (s shown) Type() fs.FileMode          { return s.Mode().Type() }
func (s shown) Info() (fs.FileInfo, error) { return s, nil }
func (s shown) Sys() any                   { return nil }

func (s shown) Mode() fs.FileMode {
	if s.doc == nil {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

func (s shown) Size() int64 {
	if s.doc == nil {
		return 0
	}
	return int64(len(s.doc.text.src))
}

func (s shown) ModTime() time.Time {
	if s.doc == nil {
		return time.Time{}
	}
	return time.Unix(0, s.doc.serial)
}

// holds says whether an open file lies below a folder.
func (o *overlay) holds(folder string) bool {
	for p := range o.open {
		if folder == "." || strings.HasPrefix(p, folder+"/") {
			return true
		}
	}
	return false
}

// Stat implements fs.StatFS.
func (o *overlay) Stat(name string) (fs.FileInfo, error) {
	if d := o.open[name]; d != nil {
		return shown{name, d}, nil
	}
	info, err := fs.Stat(o.disk, name)
	if errors.Is(err, fs.ErrNotExist) && o.holds(name) {
		return shown{name, nil}, nil
	}
	return info, err
}

// ReadFile implements fs.ReadFileFS.
func (o *overlay) ReadFile(name string) ([]byte, error) {
	if d := o.open[name]; d != nil {
		return d.text.src, nil
	}
	return fs.ReadFile(o.disk, name)
}

// ReadDir implements fs.ReadDirFS.
func (o *overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	if o.folders++; o.folders > maxFolders {
		return nil, errTooWide
	}
	entries, err := fs.ReadDir(o.disk, name)
	if err != nil && !(errors.Is(err, fs.ErrNotExist) && o.holds(name)) {
		return nil, err
	}
	if o.flat {
		entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool {
			info, err := fs.Stat(o.disk, path.Join(name, e.Name())) // a link may lead to a folder
			return err == nil && info.IsDir()
		})
	}
	have := make(map[string]bool, len(entries))
	for i, e := range entries {
		have[e.Name()] = true
		if d := o.open[path.Join(name, e.Name())]; d != nil {
			entries[i] = shown{e.Name(), d}
		}
	}
	for p, d := range o.open {
		rest, below := strings.CutPrefix(p, name+"/")
		if name == "." {
			rest, below = p, true
		}
		if !below {
			continue
		}
		first, _, deeper := strings.Cut(rest, "/")
		if have[first] || deeper && o.flat {
			continue
		}
		have[first] = true
		if deeper {
			d = nil
		}
		entries = append(entries, shown{first, d})
	}
	return entries, nil
}

// Open implements fs.FS, for what asks for neither of the above.
func (o *overlay) Open(name string) (fs.File, error) {
	if d := o.open[name]; d != nil {
		return &openFile{shown{name, d}, strings.NewReader(string(d.text.src))}, nil
	}
	return o.disk.Open(name)
}

type openFile struct {
	info shown
	io.Reader
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }
