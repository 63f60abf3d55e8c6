package testengine

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// rootfs is the root file system of the image: one static program. It is made once.
var rootfs = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "probe")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "github.com/svcctl/svcctl/internal/testengine/testdata/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot build the program of the test image: %w: %s", err, out)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, dir := range []string{"etc/", "tmp/", "data/"} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o1777}); err != nil {
			return nil, err
		}
	}
	for _, f := range []struct {
		name string
		mode int64
		text []byte
	}{{"etc/passwd", 0o644, []byte("root:x:0:0::/:/none\nweb:x:1000:1000::/:/none\n")}, {"probe", 0o755, content}} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.text))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.text); err != nil {
			return nil, err
		}
	}
	err = w.Close()
	return b.Bytes(), err
})

// Import makes an image of that name; each has another id.
func (e *Engine) Import(name string) error {
	root, err := rootfs()
	if err != nil {
		return err
	}
	q := url.Values{"fromSrc": {"-"}, "repo": {name}, "changes": {`ENTRYPOINT ["/probe"]`, "ENV PROBE_IMAGE=" + strconv.FormatInt(engines.Add(1), 10)}}
	answer, err := e.Do(http.MethodPost, "/v1.41/images/create?"+q.Encode(), bytes.NewReader(root))
	if err == nil && bytes.Contains(answer, []byte(`"error"`)) {
		err = fmt.Errorf("cannot import %s: %s", name, answer)
	}
	return err
}

// Container is what a test asks about one.
type Container struct {
	ID    string `json:"Id"`
	Name  string
	Image string
	State struct {
		Status  string
		Running bool
		Pid     int
	}
	HostConfig struct{ Memory int64 }
}

// Inspect returns a container by name or id.
func (e *Engine) Inspect(name string) (c Container, err error) {
	b, err := e.Do(http.MethodGet, "/v1.41/containers/"+name+"/json", nil)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	return c, err
}

// Containers lists the ids of all containers, sorted, each with its state.
func (e *Engine) Containers() (all []string, err error) {
	b, err := e.Do(http.MethodGet, "/v1.41/containers/json?all=1", nil)
	if err != nil {
		return nil, err
	}
	var list []struct{ ID, State string }
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, err
	}
	for _, c := range list {
		all = append(all, c.ID+" "+c.State)
	}
	slices.Sort(all)
	return all, nil
}

// End removes every container, ends the engine and takes everything away that it made:
// processes, mounts, control groups, its network and its files. It may be called twice.
func (e *Engine) End() error {
	var errs []error
	if e.cmd != nil {
		_ = e.Signal(syscall.SIGCONT) // a test may have stopped it
		select {
		case <-e.ended:
		default:
			all, _ := e.Containers() // what is not removed by the front door is killed below
			for _, c := range all {
				id, _, _ := strings.Cut(c, " ")
				_, _ = e.Do(http.MethodPost, "/v1.41/containers/"+id+"/unpause", nil)
				_, _ = e.Do(http.MethodDelete, "/v1.41/containers/"+id+"?force=1&v=1", nil)
			}
			errs = append(errs, e.Halt(syscall.SIGTERM))
		}
		e.cmd = nil
	}
	errs = append(errs, wait("the processes of the engine to end", func() error {
		left := e.processes()
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
		}
		if len(left) > 0 {
			return fmt.Errorf("%v are there", left)
		}
		return nil
	}))
	errs = append(errs, e.unmount())
	if e.made {
		errs = append(errs, run("ip", "netns", "del", e.Namespace))
		e.made = false
	}
	for _, pattern := range []string{"/sys/fs/cgroup/" + e.group, "/sys/fs/cgroup/*/" + e.group, "/sys/fs/cgroup/*/libpod_parent"} {
		groups, _ := filepath.Glob(pattern) // the pattern is right
		for _, g := range groups {
			below, _ := filepath.Glob(g + "/*/") // of containers that were killed with their shim
			for _, dir := range append(below, g) {
				_ = syscall.Rmdir(dir) // Podman's may be in use by another
			}
		}
	}
	if e.log != nil {
		_ = e.log.Close() // it is removed
	}
	errs = append(errs, os.RemoveAll(e.dir))
	return errors.Join(errs...)
}

// processes are those whose command line names the engine's folder, and those in its
// control group.
func (e *Engine) processes() (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*") // the pattern is right
	for _, n := range names {
		pid, _ := strconv.Atoi(filepath.Base(n))
		if pid == os.Getpid() {
			continue
		}
		words, _ := os.ReadFile(n + "/cmdline") // it may have ended
		groups, _ := os.ReadFile(n + "/cgroup")
		if bytes.Contains(words, []byte(e.dir+"/")) || bytes.Contains(groups, []byte("/"+e.group+"/")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (e *Engine) unmount() error {
	return wait("mounts to go", func() error {
		table, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return stop{err}
		}
		var left []string
		for line := range strings.Lines(string(table)) {
			if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], e.dir+"/") {
				left = append(left, f[4])
			}
		}
		slices.Reverse(left)
		for _, path := range left {
			_ = syscall.Unmount(path, syscall.MNT_DETACH) // asked again below
		}
		if len(left) > 0 {
			return fmt.Errorf("%v are there", left)
		}
		return nil
	})
}
