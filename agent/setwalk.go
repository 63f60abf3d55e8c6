package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// maxLinks is how many symbolic links a path may lead through, as in the kernel.
const maxLinks = 40

// maxDepth bounds the folders inside folders of a services directory.
const maxDepth = 32

// identity tells two states of one file apart without reading it. The change time
// is in it because an editor may set the modification time back.
type identity struct {
	dev, ino   uint64
	size       int64
	mtim, ctim int64 // nanoseconds
}

func identityOf(fi fs.FileInfo) identity {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		panic("internal error: a file of the real file system has no stat")
	}
	return identity{dev: uint64(st.Dev), ino: st.Ino, size: st.Size, mtim: st.Mtim.Nano(), ctim: st.Ctim.Nano()}
}

// youngest is the later of the two times that a write moves.
func (i identity) youngest() time.Time { return time.Unix(0, max(i.mtim, i.ctim)) }

// setFile is a regular file of a set, found but not read.
type setFile struct {
	name string // slash-separated, below the directory
	path string
	id   identity
	mode fs.FileMode
	mod  time.Time
}

// setWalk is what one look at a services directory found.
type setWalk struct {
	files   []setFile // in the order of their names within each folder
	folders []string  // paths of the folders, the directory itself first
	links   []string  // paths of symbolic links
}

// walkSet lists a services directory: every regular file whose name, and whose
// folders' names, do not start with a dot, but for editors' backups (name~). Links to files and folders are followed,
// since a mounted volume of configuration is made of them. What vanishes between
// two looks is left out: the caller looks twice.
func walkSet(dir string, maxFiles int) (*setWalk, error) {
	w := &setWalk{}
	fi, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", dir)
	}
	return w, w.enter(dir, "", []identity{folderIdentity(fi)}, maxFiles)
}

// folderIdentity names a folder whatever happens inside it.
func folderIdentity(fi fs.FileInfo) identity {
	id := identityOf(fi)
	return identity{dev: id.dev, ino: id.ino}
}

func (w *setWalk) enter(path, name string, above []identity, maxFiles int) error {
	if len(above) > maxDepth {
		return fmt.Errorf("%s lies more than %d folders deep (a link that leads back into the set?)", path, maxDepth)
	}
	w.folders = append(w.folders, path)
	entries, err := os.ReadDir(path)
	if err != nil {
		if name != "" && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") || strings.HasSuffix(e.Name(), "~") {
			continue // not ours, or an editor's backup
		}
		if err := w.entry(path, name, e, above, maxFiles); err != nil {
			return err
		}
	}
	return nil
}

func (w *setWalk) entry(folder, prefix string, e fs.DirEntry, above []identity, maxFiles int) error {
	path := filepath.Join(folder, e.Name())
	if e.Type()&fs.ModeSymlink != 0 {
		w.links = append(w.links, path)
	}
	fi, err := os.Stat(path)
	if err != nil {
		// A link to nowhere is left out like a file that vanished, but a file that can't be looked at is told.
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	name := e.Name()
	if prefix != "" {
		name = prefix + "/" + name
	}
	switch {
	case fi.Mode().IsRegular():
		if len(w.files) >= maxFiles {
			return fmt.Errorf("%s holds more than %d files (is it the right directory?)", folder, maxFiles)
		}
		w.files = append(w.files, setFile{name: name, path: path, id: identityOf(fi), mode: fi.Mode().Perm(), mod: fi.ModTime()})
	case fi.IsDir():
		id := folderIdentity(fi)
		for _, a := range above {
			if a == id {
				return fmt.Errorf("%s is a link to a folder that it lies in: remove it", path)
			}
		}
		return w.enter(path, name, append(above[:len(above):len(above)], id), maxFiles)
	}
	return nil
}

// chain is how a path leads to a file or folder, link by link.
type chain struct {
	real    string          // the resolved path; "" when something is missing
	parents map[string]bool // resolved folders in which a change can lead the path elsewhere
	names   map[string]bool // the paths in those folders that decide
}

// resolveChain follows a path as the kernel does and notes every place where a
// rename would make it lead elsewhere: the folder of each link on the way, the
// folder of the end, or the nearest folder that exists.
func resolveChain(path string) chain {
	c := chain{parents: map[string]bool{}, names: map[string]bool{}}
	rest := strings.Split(strings.TrimPrefix(filepath.Clean(path), "/"), "/")
	at, links := "/", 0
	for len(rest) > 0 {
		part := rest[0]
		rest = rest[1:]
		if part == "" || part == "." {
			continue
		}
		if part == ".." {
			at = filepath.Dir(at)
			continue
		}
		next := filepath.Join(at, part)
		fi, err := os.Lstat(next)
		if err != nil {
			c.parents[at], c.names[next] = true, true
			return c
		}
		if fi.Mode()&fs.ModeSymlink == 0 {
			at = next
			continue
		}
		c.parents[at], c.names[next] = true, true
		target, err := os.Readlink(next)
		if links++; err != nil || links > maxLinks {
			return c
		}
		if filepath.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	c.real = at
	c.parents[filepath.Dir(at)], c.names[at] = true, true
	return c
}

// gitLock returns the path of the lock that git holds while it rewrites the work
// tree that dir lies in, or "" outside of a work tree.
func gitLock(dir string) string {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return ""
	}
	for range maxDepth {
		dot := filepath.Join(real, ".git")
		if fi, err := os.Stat(dot); err == nil {
			if fi.IsDir() {
				return filepath.Join(dot, "index.lock")
			}
			// In a linked work tree and in a submodule, .git is a file that names the real one.
			if line, err := os.ReadFile(dot); err == nil {
				if to, ok := strings.CutPrefix(strings.TrimSpace(string(line)), "gitdir: "); ok {
					if !filepath.IsAbs(to) {
						to = filepath.Join(real, to)
					}
					return filepath.Join(to, "index.lock")
				}
			}
			return ""
		}
		if real == "/" {
			return ""
		}
		real = filepath.Dir(real)
	}
	return ""
}

// gitBusy says whether git is rewriting the work tree that dir lies in.
func gitBusy(dir string) bool {
	lock := gitLock(dir)
	if lock == "" {
		return false
	}
	_, err := os.Lstat(lock)
	return err == nil
}
