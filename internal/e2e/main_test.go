package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What every test shares: the binaries, and a folder that all else lies in, so that
// what is left behind can be told from what others do on this machine.
var (
	root   string // of all worlds; its name is in every path, mark and namespace
	bin    string
	module string
)

func TestMain(m *testing.M) {
	code, err := build(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func build(m *testing.M) (code int, err error) {
	if root, err = os.MkdirTemp("", "e2e"); err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(root) }()     // TestMain has said what is left
	if err := os.Chmod(root, 0o755); err != nil { // other users' apps run below it
		return 1, err
	}
	if module, err = filepath.Abs("../.."); err != nil {
		return 1, err
	}
	bin = filepath.Join(root, "bin")
	args := []string{"build", "-o", bin + "/", "./cmd/svcctl", "./cmd/svcctl-keeper"}
	if out, err := command(module, "go", args...); err != nil {
		return 1, fmt.Errorf("cannot build the program: %w\n%s", err, out)
	}
	if out, err := command(module, "go", "build", "-o", filepath.Join(bin, "quickstart-web"), "./examples/quickstart/web"); err != nil {
		return 1, fmt.Errorf("cannot build the example: %w\n%s", err, out)
	}
	code = m.Run()
	if left := awaitNothing(patience); left != "" {
		return 1, fmt.Errorf("left behind:\n%s", left)
	}
	return code, nil
}

func command(dir, name string, args ...string) (string, error) {
	c := exec.Command(name, args...)
	c.Dir = dir
	out, err := c.CombinedOutput()
	return string(out), err
}

// awaitNothing waits until nothing of ours is left, or says what is. A keeper that
// nobody needs ends by itself, after a while: that is what is waited for.
func awaitNothing(patience time.Duration) string {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		left := strings.Join(residue(), "\n")
		if left == "" || time.Now().After(end) {
			return left
		}
	}
}

// residue lists every process, mount, loop device, network namespace and control
// group that belongs to this run.
func residue() (left []string) {
	for _, pid := range processes() {
		if why := oursBecause(pid); why != "" {
			left = append(left, fmt.Sprintf("process %d: %s", pid, why))
		}
	}
	table, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); len(f) > 4 && strings.HasPrefix(f[4], root+"/") {
			left = append(left, "mount "+f[4])
		}
	}
	backing, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, file := range backing {
		if b, _ := os.ReadFile(file); strings.HasPrefix(string(b), root+"/") {
			left = append(left, "loop device of "+strings.TrimSpace(string(b)))
		}
	}
	spaces, _ := filepath.Glob(filepath.Join("/run/netns", filepath.Base(root)+"*"))
	for _, s := range spaces {
		left = append(left, "network namespace "+s)
	}
	mark := strings.ReplaceAll(root[1:], "/", "-")
	for _, pattern := range []string{"/sys/fs/cgroup/svcctl/*", "/sys/fs/cgroup/*/svcctl/*"} {
		groups, _ := filepath.Glob(pattern)
		for _, g := range groups {
			if strings.HasPrefix(filepath.Base(g), mark) {
				left = append(left, "control group "+g)
			}
		}
	}
	return left
}

func processes() (pids []int) {
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, n := range names {
		pid := 0
		if _, err := fmt.Sscanf(filepath.Base(n), "%d", &pid); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}

// oursBecause says what ties a process to this run: its command line, or the name of
// the node in its environment.
func oursBecause(pid int) string {
	words, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || len(words) == 0 {
		return ""
	}
	text := string(bytes.TrimSpace(bytes.ReplaceAll(words, []byte{0}, []byte{' '})))
	if strings.Contains(text, root+"/") && !strings.Contains(text, ".test ") {
		return text
	}
	env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if bytes.Contains(env, []byte("SVCCTL_NODE="+filepath.Base(root)+"-")) {
		return text
	}
	return ""
}
