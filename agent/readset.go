package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// setLimits bound what is read of a services directory.
type setLimits struct {
	Files    int           // regular files
	FileSize int64         // bytes of one
	Size     int64         // bytes of all
	GitWait  time.Duration // for git to finish
	Attempts int           // at a set that changes while it is read
}

var defaultSetLimits = setLimits{Files: maxSetFiles, FileSize: 4 << 20, Size: 64 << 20, GitWait: 10 * time.Second, Attempts: 3}

// clockGrain is how far apart two writes of a file must lie for its times to tell
// them apart, with room for file systems that count in coarse ticks. A file that is
// younger than this when it is read is read again next time.
const clockGrain = 2 * time.Second

// snapshotFS reads the set in dir as of one moment. Files that have not changed
// since prev was read (nil: none) are taken from it, so that one changed file of a
// thousand costs one read. A missing directory, and one without any *.hcl, is an
// error and never an empty set. It ends early, with an error, when ctx does.
func snapshotFS(ctx context.Context, dir string, limits setLimits, prev *fileSet) (*fileSet, error) {
	waitForGit(ctx, dir, limits.GitWait)
	changed := ""
	for range limits.Attempts {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("cannot read the services in %s: %w", dir, context.Cause(ctx))
		}
		before, err := listSet(dir, limits)
		if err != nil {
			return nil, err
		}
		set, err := readFiles(before, limits, prev)
		if errors.Is(err, fs.ErrNotExist) {
			changed = err.Error() // removed between the look and the read
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read the services in %s: %w", dir, err)
		}
		after, err := listSet(dir, limits)
		if err != nil {
			return nil, err
		}
		if changed = difference(before, after); changed == "" {
			return set, nil
		}
		prev = set
	}
	return nil, fmt.Errorf("cannot read the services in %s: %s while they were read, %d times in a row (what keeps writing there?)", dir, changed, limits.Attempts)
}

func listSet(dir string, limits setLimits) (*setWalk, error) {
	found, err := walkSet(dir, limits.Files)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot read the services in %s: it does not exist (create it, or set services.dir in agent.hcl); refusing to treat it as an empty set", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the services in %s: %w", dir, err)
	}
	if !slices.ContainsFunc(found.files, func(f setFile) bool { return strings.HasSuffix(f.name, ".hcl") }) {
		return nil, fmt.Errorf("cannot read the services in %s: it is empty: refusing to treat it as an empty set (put a *.hcl file there; svcctl purge removes services)", dir)
	}
	return found, nil
}

func readFiles(found *setWalk, limits setLimits, prev *fileSet) (*fileSet, error) {
	files := make(map[string]*setEntry, len(found.files))
	var size int64
	for _, f := range found.files {
		if size += f.id.size; size > limits.Size {
			return nil, fmt.Errorf("the files are larger than %d bytes together (move what is no service elsewhere)", limits.Size)
		}
		if prev != nil {
			if e, ok := prev.files[f.name]; ok && e.id == f.id && e.readAt.Sub(f.id.youngest()) > clockGrain {
				files[f.name] = e
				continue
			}
		}
		e, err := readEntry(f, limits.FileSize)
		if err != nil {
			return nil, err
		}
		files[f.name] = e
	}
	return newFileSet(files), nil
}

func readEntry(f setFile, most int64) (*setEntry, error) {
	at := time.Now()
	// The kind was checked by stat, but a FIFO may have taken the place: never block on it.
	file, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(content)) > most {
		return nil, fmt.Errorf("%s is larger than %d bytes (move what is no service elsewhere)", f.path, most)
	}
	name := f.name[strings.LastIndexByte(f.name, '/')+1:]
	return &setEntry{name: name, content: slices.Clone(content), sum: sumOf(content), mode: f.mode, mod: f.mod, id: f.id, readAt: at}, nil
}

// difference says what changed between two looks at a set, or "".
func difference(before, after *setWalk) string {
	if len(before.files) != len(after.files) {
		return fmt.Sprintf("%d files became %d", len(before.files), len(after.files))
	}
	for i, f := range before.files {
		if a := after.files[i]; a.name != f.name || a.id != f.id {
			return f.path + " changed"
		}
	}
	return ""
}

// waitForGit waits until git no longer rewrites the work tree that dir lies in. A
// lock that stays was left by a git that died: the set is read in spite of it, and
// its own check finds a writer that is still there.
func waitForGit(ctx context.Context, dir string, most time.Duration) {
	if !gitBusy(dir) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for gitBusy(dir) {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}
