package systemd

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

// A manager is a real `systemd --user`, in a mount namespace where the host looks as if
// it were booted by systemd, and in control groups of its own.
type manager struct {
	dir    string // short: paths of sockets are
	name   string
	groups []string
	cmd    *exec.Cmd
	over   chan struct{}
}

var managers atomic.Int64

func newManager(t *testing.T) *manager {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to give systemd --user a host that it accepts")
	}
	dir, err := os.MkdirTemp("", "sd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	m := &manager{dir: dir, name: fmt.Sprintf("svctest-%d-systemd-%d", os.Getpid(), managers.Add(1))}
	for _, d := range []string{"run", "home/.config/systemd/user"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range []string{"", "systemd", "unified", "pids", "memory", "cpu", "cpuacct", "cpu,cpuacct", "blkio", "devices"} {
		root := filepath.Join("/sys/fs/cgroup", h)
		info, err := os.Lstat(root)
		if _, procs := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil || procs != nil || info.Mode()&fs.ModeSymlink != 0 {
			continue
		}
		group := filepath.Join(root, m.name)
		if err := os.Mkdir(group, 0o755); err != nil {
			t.Fatal(err)
		}
		m.groups = append(m.groups, group)
	}
	t.Cleanup(func() { m.clear(t) })
	t.Setenv("XDG_RUNTIME_DIR", filepath.Join(dir, "run"))
	m.start(t)
	return m
}

func (m *manager) start(t *testing.T) {
	t.Helper()
	script := "for g in " + strings.Join(m.groups, " ") + "; do echo $$ > $g/cgroup.procs; done\n" +
		"mount --make-rprivate / && mkdir -p /run/systemd && mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/system && exec /lib/systemd/systemd --user"
	m.cmd = exec.Command("unshare", "-m", "sh", "-c", script)
	m.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.dir + "/home", "XDG_RUNTIME_DIR=" + m.dir + "/run", "SYSTEMD_LOG_TARGET=null"}
	m.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.over = make(chan struct{})
	go func() { m.cmd.Wait(); close(m.over) }()
	eventually(t, "systemd listens", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := newDriver(t, "none.service").Status(ctx)
		return err == nil
	})
}

// kill ends the manager at once; its units' processes live on.
func (m *manager) kill() {
	m.cmd.Process.Kill()
	<-m.over
}

func (m *manager) clear(t *testing.T) {
	m.kill()
	for _, group := range m.groups {
		eventually(t, group+" is gone", func() bool {
			var all []string
			filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
				if err == nil && d.IsDir() {
					all = append(all, path)
				}
				return nil
			})
			slices.Reverse(all)
			for _, g := range all {
				pids, _ := os.ReadFile(filepath.Join(g, "cgroup.procs"))
				for _, p := range strings.Fields(string(pids)) {
					if pid, err := strconv.Atoi(p); err == nil {
						syscall.Kill(pid, syscall.SIGKILL)
					}
				}
				os.Remove(g)
			}
			_, err := os.Stat(group)
			return os.IsNotExist(err)
		})
	}
}

// unit writes a unit's file; "" takes it away.
func (m *manager) unit(t *testing.T, name, content string) {
	t.Helper()
	path := filepath.Join(m.dir, "home/.config/systemd/user", name)
	err := os.Remove(path)
	if content != "" {
		err = os.WriteFile(path, []byte(content), 0o644)
	}
	if err != nil && content != "" {
		t.Fatal(err)
	}
	m.ctl(t, "daemon-reload")
}

// ctl is an administrator's hand.
func (m *manager) ctl(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command("systemctl", append([]string{"--user"}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+m.dir+"/home", "XDG_RUNTIME_DIR="+m.dir+"/run")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("systemctl %v: %v\n%s", args, err, out)
	}
}

func newDriver(t *testing.T, unit string) drivers.Driver {
	t.Helper()
	c := &Config{Unit: unit, Scope: "user", Mode: "replace"}
	if found := c.Validate(); len(found) > 0 {
		t.Fatal(found)
	}
	var r drivers.Registry
	Register(&r)
	d, err := r.Open(drivers.Opening{}, &spec.Resource{Kind: "systemd", Config: c})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b := d.(*driver).bus
		if b.link != nil {
			b.link.end()
		}
	})
	return d
}

// soon is a limit that only a hang reaches.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 3000 {
		if is() {
			return
		}
		<-tick.C
	}
	t.Fatalf("waited in vain: %s", what)
}

func state(t *testing.T, d drivers.Driver) drivers.Status {
	t.Helper()
	s, err := d.Status(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func start(t *testing.T, d drivers.Driver) {
	t.Helper()
	if err := d.Start(soon(t)); err != nil {
		t.Fatal(err)
	}
}

func stop(t *testing.T, d drivers.Driver) {
	t.Helper()
	if err := d.Stop(soon(t)); err != nil {
		t.Fatal(err)
	}
}

func (m *manager) touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, path), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

func (m *manager) remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(filepath.Join(m.dir, path)); err != nil {
		t.Fatal(err)
	}
}

func (m *manager) exists(path string) bool {
	_, err := os.Stat(filepath.Join(m.dir, path))
	return err == nil
}
