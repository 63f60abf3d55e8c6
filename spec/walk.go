package spec

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// Every input has a bound.
const (
	maxFiles    = 20_000
	maxFileSize = 4 << 20
	maxSetSize  = 256 << 20
	maxFolders  = 16 // one in another
	maxElements = 4096
	maxText     = 1 << 20
	maxFindings = 20_000

	// A file written twice within the granularity of its file system's clock looks
	// unchanged, so that a file this young is read again.
	racyWindow = 50 * time.Millisecond
)

// identity is what a file's stat says about its content.
type identity struct {
	size         int64
	mtime, ctime int64
	inode, dev   uint64
}

func identityOf(info fs.FileInfo) identity {
	id := identity{size: info.Size(), mtime: info.ModTime().UnixNano()}
	id.addSys(info)
	return id
}

// racy says whether a change in the same tick of the clock could have kept the identity.
func (id identity) racy(read time.Time) bool {
	newest := max(id.mtime, id.ctime)
	return read.UnixNano()-newest < int64(racyWindow)
}

type entry struct {
	path string
	info fs.FileInfo
}

func sizeOf(entries []entry) (bytes int64) {
	for _, e := range entries {
		bytes += min(e.info.Size(), maxFileSize)
	}
	return bytes
}

// walk lists the files of the set in the order of their paths within each folder.
func (r *run) walk() []entry {
	root, err := fs.Stat(r.fsys, ".")
	if err == nil && !root.IsDir() {
		err = fmt.Errorf("it is not a directory")
	}
	if err != nil {
		r.report(newFinding(codeNoSet, hcl.Range{}, fmt.Sprintf("%v. Is the directory mounted, and its path right?", err)))
		return nil
	}
	var out []entry
	r.walkFolder(".", []fs.FileInfo{root}, &out)
	return out
}

func (r *run) walkFolder(folder string, chain []fs.FileInfo, out *[]entry) {
	entries, err := fs.ReadDir(r.fsys, folder)
	if err != nil {
		code := codeUnreadable
		if folder == "." {
			code = codeNoSet
			r.report(newFinding(code, hcl.Range{}, fmt.Sprintf("%v. Is the directory mounted, and its path right?", err)))
			return
		}
		r.reportFile(code, folder, fmt.Sprintf("%v.", err), "the folder "+folder)
		return
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, ".") || len(*out) > maxFiles {
			continue
		}
		linked := e.Type()&fs.ModeSymlink != 0
		wanted := InSet(name)
		if !wanted && !linked && !e.IsDir() {
			continue
		}
		p := path.Join(folder, name)
		info, err := r.stat(p, e, linked)
		switch {
		case err != nil:
			if wanted {
				r.reportFile(codeUnreadable, p, fmt.Sprintf("%v.", err), "the file")
			}
		case info.IsDir():
			r.descend(p, info, chain, out)
		case wanted && info.Mode().IsRegular():
			*out = append(*out, entry{p, info})
			if len(*out) > maxFiles {
				r.report(newFinding(codeTooMany, hcl.Range{}, "Give the folder of the services alone.", fmt.Sprintf("more than %d files", maxFiles)))
			}
		case wanted:
			r.reportFile(codeUnreadable, p, "It is not a regular file.", "the file")
		}
	}
}

func (r *run) stat(p string, e fs.DirEntry, linked bool) (fs.FileInfo, error) {
	if linked {
		return fs.Stat(r.fsys, p)
	}
	return e.Info()
}

// descend follows a folder unless a link leads back to where we came from.
func (r *run) descend(p string, info fs.FileInfo, chain []fs.FileInfo, out *[]entry) {
	for _, above := range chain {
		if os.SameFile(above, info) {
			return
		}
	}
	if len(chain) > maxFolders {
		r.report(newFinding(codeTooMany, hcl.Range{}, fmt.Sprintf("%s is more than %d folders deep.", p, maxFolders), "too many folders in each other"))
		return
	}
	r.walkFolder(p, append(chain[:len(chain):len(chain)], info), out)
}
