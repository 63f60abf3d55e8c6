package agent

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// writeDurably replaces a file as a whole: after a crash, a full disk or a power
// loss there is the old content or the new, never a part.
func writeDurably(path string, content []byte) error {
	if err := writeBeside(path, content, true); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// writeBeside writes a temporary file and renames it to path. Without sync, the
// caller sees to it that the disk has all of it.
func writeBeside(path string, content []byte, sync bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
			_ = os.Remove(f.Name()) // a full disk gets its space back
		}
	}()
	if _, err = f.Write(content); err != nil {
		return err
	}
	if sync {
		if err = f.Sync(); err != nil {
			return err
		}
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// syncFolder makes renames in a folder last.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		return fmt.Errorf("cannot sync %s: %w", path, err)
	}
	return nil
}

// syncFileSystem flushes the file system that holds path: for many new files one
// flush is a hundred times cheaper than one each.
func syncFileSystem(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("cannot sync the file system of %s: %w", path, err)
	}
	return nil
}
