package mount

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// holder is a process, or something in the kernel (pid 0), that keeps a mount busy.
type holder struct {
	pid  int
	name string
	how  string
}

func names(by []holder) string {
	var words []string
	for i, h := range by {
		switch {
		case i == maxNamed:
			words = append(words, fmt.Sprintf("and %d more", len(by)-maxNamed))
			return strings.Join(words, ", ")
		case h.pid == 0:
			words = append(words, h.name)
		default:
			words = append(words, fmt.Sprintf("process %d (%s) %s", h.pid, h.name, h.how))
		}
	}
	return strings.Join(words, ", ")
}

// holders looks for whatever has something at or below path. Only names are read
// from the kernel; the file system, which may hang, is not asked.
func holders(ctx context.Context, path string) (by []holder) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return by
		}
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if how := howHeld(pid, path); how != "" {
				comm, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "comm"))
				by = append(by, holder{pid: pid, name: strings.TrimSpace(string(comm)), how: how})
			}
		}
	}
	files, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && inside(strings.TrimSpace(string(b)), path) {
			by = append(by, holder{name: "/dev/" + filepath.Base(filepath.Dir(filepath.Dir(f))) + " on " + strings.TrimSpace(string(b))})
		}
	}
	return by
}

// howHeld says how one process holds path, or "".
func howHeld(pid int, path string) string {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	for _, link := range []struct{ name, how string }{
		{"cwd", "works in it"}, {"root", "has its root in it"}, {"exe", "runs a program from it"},
	} {
		if to, err := os.Readlink(filepath.Join(dir, link.name)); err == nil && inside(to, path) {
			return link.how
		}
	}
	descriptors, _ := os.ReadDir(filepath.Join(dir, "fd"))
	for _, fd := range descriptors {
		if to, err := os.Readlink(filepath.Join(dir, "fd", fd.Name())); err == nil && inside(to, path) {
			return "has " + to + " open"
		}
	}
	maps, _ := os.ReadFile(filepath.Join(dir, "maps"))
	for line := range strings.Lines(string(maps)) {
		if i := strings.IndexByte(line, '/'); i >= 0 && inside(strings.TrimSpace(line[i:]), path) {
			return "has " + strings.TrimSpace(line[i:]) + " mapped"
		}
	}
	return ""
}

func inside(name, path string) bool {
	return name == path || strings.HasPrefix(name, path+"/") || name == path+" (deleted)"
}

// killWait bounds the wait for killed processes: one in an uninterruptible sleep
// never goes.
const killWait = 5 * time.Second

// kill ends the processes and returns once they are gone. Process 1, this one and
// its parent are never killed.
func kill(ctx context.Context, by []holder) error {
	ctx, cancel := context.WithTimeout(ctx, killWait)
	defer cancel()
	var left []holder
	for _, h := range by {
		if h.pid <= 1 || h.pid == os.Getpid() || h.pid == os.Getppid() {
			left = append(left, h)
			continue
		}
		fd, err := unix.PidfdOpen(h.pid, 0)
		if err != nil {
			continue // gone meanwhile
		}
		err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		if err == nil && !gone(ctx, fd) {
			left = append(left, h)
		}
		unix.Close(fd)
	}
	if len(left) > 0 {
		return fmt.Errorf("what can't be killed holds it: %s (end that by hand)", names(left))
	}
	return nil
}

func gone(ctx context.Context, pidfd int) bool {
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 100)
		if n > 0 && err == nil {
			return true
		}
	}
	return false
}
