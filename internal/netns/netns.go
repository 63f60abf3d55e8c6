// Package netns runs a function inside a network namespace, and makes such namespaces.
package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Dir is where named namespaces are, for us as for ip-netns(8).
const Dir = "/run/netns"

// ErrNone: there is no network namespace at the path.
var ErrNone = errors.New("no such network namespace")

// Path is where a namespace is: a name stands for a file in Dir.
func Path(nameOrPath string) string {
	if strings.HasPrefix(nameOrPath, "/") {
		return nameOrPath
	}
	return filepath.Join(Dir, nameOrPath)
}

// Domain is Path in one spelling: /var/run is a link to /run.
func Domain(nameOrPath string) string {
	if p, is := strings.CutPrefix(nameOrPath, "/var/run/"); is {
		return "/run/" + p
	}
	return Path(nameOrPath)
}

// Wrong says why there can be no namespace of that name or at that path, or "".
func Wrong(nameOrPath string) string {
	switch {
	case strings.HasPrefix(nameOrPath, "/") && filepath.Clean(nameOrPath) != nameOrPath:
		return "is no clean path: write it without \"..\", doubled or trailing slashes"
	case strings.HasPrefix(nameOrPath, "/"):
		return ""
	case nameOrPath == "" || nameOrPath == "." || nameOrPath == ".." || len(nameOrPath) > 200 || strings.ContainsAny(nameOrPath, "/ \t\n"):
		return "is no name of a network namespace: 1 to 200 characters without blank or slash, or a path that starts with a slash"
	}
	return ""
}

// ID tells namespaces apart while they live.
type ID struct{ device, inode uint64 }

// Identify returns the namespace at a path, or ErrNone where nothing is there, or
// something else. Names in Dir are files until a namespace is bound over them.
func Identify(path string) (ID, error) {
	var st unix.Stat_t
	var fs unix.Statfs_t
	err := unix.Stat(path, &st)
	if err == nil {
		err = unix.Statfs(path, &fs)
	}
	switch {
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR), err == nil && fs.Type != unix.NSFS_MAGIC:
		return ID{}, fmt.Errorf("%w: %s", ErrNone, path)
	case err != nil:
		return ID{}, fmt.Errorf("cannot look at %s: %w", path, err)
	}
	return ID{uint64(st.Dev), st.Ino}, nil
}

// Do runs f inside the namespace at path, on a thread of its own, and returns when f
// does. What f opens stays in the namespace, whoever uses it later. f starts no
// goroutine that counts on being inside. An empty path is the namespace of the program.
func Do(path string, f func() error) error {
	if path == "" {
		return f()
	}
	done := make(chan error, 1)
	go func() {
		defer close(done)
		runtime.LockOSThread()
		leave, err := enter(path)
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		ended := false
		defer func() {
			// A thread that can't go back is thrown away with this goroutine.
			if leave() == nil {
				runtime.UnlockOSThread()
			}
			if ended { // told once nobody is inside any more
				done <- err
			}
		}()
		err = f()
		ended = true
	}()
	err, told := <-done
	if !told {
		return errors.New("the function left its goroutine inside the network namespace")
	}
	return err
}

// enter moves the calling thread. Where it fails, the thread is where it was.
func enter(path string) (leave func() error, err error) {
	there, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return nil, fmt.Errorf("%w: %s", ErrNone, path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the network namespace %s: %w", path, err)
	}
	defer unix.Close(there)
	leave, err = wayBack()
	if err != nil {
		return nil, err
	}
	err = unix.Setns(there, unix.CLONE_NEWNET)
	if err == nil {
		return leave, nil
	}
	if errors.Is(err, unix.EINVAL) { // a file, before a namespace is bound over it
		err = fmt.Errorf("%w: %s", ErrNone, path)
	} else {
		err = fmt.Errorf("cannot enter the network namespace %s: %w (it needs the capability SYS_ADMIN)", path, err)
	}
	return nil, errors.Join(err, leave())
}

// wayBack leads the calling thread to the namespace that it is in now.
func wayBack() (leave func() error, err error) {
	here, err := unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open the thread's own network namespace: %w (is /proc mounted?)", err)
	}
	return func() error {
		defer unix.Close(here)
		return unix.Setns(here, unix.CLONE_NEWNET)
	}, nil
}

// Process is one that is inside a namespace.
type Process struct {
	PID  int
	Name string
}

// Processes lists who is inside the namespace, but for this program.
func Processes(id ID) (inside []Process, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("cannot list processes: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(filepath.Join("/proc", e.Name(), "ns/net"), &st) != nil || (ID{uint64(st.Dev), st.Ino}) != id {
			continue // gone, or elsewhere
		}
		name, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "comm"))
		inside = append(inside, Process{pid, strings.TrimSpace(string(name))})
	}
	return inside, nil
}
