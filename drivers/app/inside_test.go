package app

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/keeper"
)

// nobody is a user without rights.
const nobody = "65534"

// inside is what a confined process does in these tests: it tries things, and says what
// came of each.
func inside(tries []string) int {
	for _, try := range tries {
		verb, what, _ := strings.Cut(try, " ")
		fmt.Printf("%s: %s\n", try, attempt(verb, what))
	}
	return 0
}

func attempt(verb, what string) string {
	said := func(s string, err error) string {
		if err != nil {
			var e syscall.Errno
			if errors.As(err, &e) {
				return unix.ErrnoName(e)
			}
			return err.Error()
		}
		return s
	}
	switch verb {
	case "write":
		err := os.WriteFile(what, []byte("x"), 0o600)
		return said("ok", err)
	case "read":
		b, err := os.ReadFile(what)
		return said(strings.TrimSpace(string(b)), err)
	case "list":
		entries, err := os.ReadDir(what)
		names := []string{}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return said(strings.Join(names, " "), err)
	case "stat":
		st, err := os.Stat(what)
		if err != nil {
			return said("", err)
		}
		return fmt.Sprintf("%o %d", st.Mode().Perm(), st.Sys().(*syscall.Stat_t).Uid)
	case "status":
		b, _ := os.ReadFile("/proc/self/status")
		for line := range strings.Lines(string(b)) {
			if value, ok := strings.CutPrefix(line, what+":"); ok {
				return strings.TrimSpace(value)
			}
		}
		return "none"
	case "env":
		return os.Getenv(what)
	case "cwd":
		dir, err := os.Getwd()
		return said(dir, err)
	case "tell":
		c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
		if err == nil {
			_, err = c.Write([]byte(what))
		}
		return said("ok", err)
	case "links":
		all, err := net.Interfaces()
		names := []string{}
		for _, i := range all {
			up := "down"
			if i.Flags&net.FlagUp != 0 {
				up = "up"
			}
			names = append(names, i.Name+" "+up)
		}
		sort.Strings(names)
		return said(strings.Join(names, ", "), err)
	case "call":
		return said("ok", forbidden[what]())
	case "sleep":
		time.Sleep(time.Hour)
	}
	return "?"
}

var forbidden = map[string]func() error{
	"mount": func() error { return unix.Mount("tmpfs", "/mnt", "tmpfs", 0, "") },
	"keyctl": func() error {
		_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
		return err
	},
	"unshare": func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"chroot":  func() error { return unix.Chroot("/") },
	"ptrace":  func() error { return unix.PtraceAttach(1) },
	"getpid": func() error {
		_, _, e := unix.RawSyscall(unix.SYS_GETPID, 0, 0, 0)
		if e != 0 {
			return e
		}
		return nil
	},
	"bind": func() error {
		l, err := net.Listen("tcp", "127.0.0.1:81")
		if err == nil {
			l.Close()
		}
		return err
	},
}

// probe is this test binary where any user finds it, also from a sandbox.
var probe = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("/run", "svcctl-test-")
	if err != nil {
		return "", err
	}
	probeDir = dir
	b, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "probe"), b, 0o755)
	}
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	return filepath.Join(dir, "probe"), err
})

var probeDir string

// newConfinedHost is a keeper whose mounts are not those of this machine, so that the
// machine's own stay as they are.
func newConfinedHost(t testing.TB, keeperCommand ...string) *host {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root makes namespaces")
	}
	path, err := probe()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/run", "svcctl-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if len(keeperCommand) == 0 {
		keeperCommand = []string{path, "keeper"}
	}
	for _, sub := range []string{"run", "log"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(dir, sub), 65534, 65534); err != nil { // for keepers that are not root
			t.Fatal(err)
		}
	}
	return serve(t, keeper.Options{
		RunDir: filepath.Join(dir, "run"), LogDir: filepath.Join(dir, "log"),
		Binary: append([]string{"sh", "-c", "echo $$ >" + dir + "/pid; exec unshare --mount \"$@\"", "sh"}, keeperCommand...),
	})
}

// trying is an app that tries things and ends.
func trying(t testing.TB, s *Sandbox, tries ...string) *Config {
	t.Helper()
	path, err := probe()
	if err != nil {
		t.Fatal(err)
	}
	c := config(append([]string{path, "inside"}, tries...)...)
	c.Sandbox = s
	return c
}

// sandbox has the defaults that the loader would have filled in.
func sandbox() *Sandbox {
	return &Sandbox{
		PrivateTmp: true, ProtectSystem: "strict", ProtectHome: "yes", PrivateDevices: true,
		ProtectKernelTunables: true, ProtectControlGroups: true, NoNewPrivileges: true, Seccomp: "default",
	}
}

// outcome runs an app to its end and returns what it said of each try.
func (h *host) outcome(c *Config) map[string]string {
	h.t.Helper()
	d := h.open(c)
	news := h.watch(d)
	if err := d.Start(h.ctx()); err != nil {
		h.t.Fatal(err)
	}
	h.await(news, drivers.Down)
	p, err := h.keeper.Get(h.ctx(), d.id)
	if err != nil {
		h.t.Fatal(err)
	}
	if p.Exit == nil || p.Exit.Code != 0 {
		h.t.Fatalf("the probe ended with %+v: %q", p.Exit, p.Last)
	}
	out := make(map[string]string)
	for _, line := range p.Last {
		if i := strings.LastIndex(line, ": "); i > 0 {
			out[line[:i]] = line[i+2:]
		} else {
			out[strings.TrimSuffix(line, ":")] = ""
		}
	}
	return out
}

// expect holds what an app said against what is wanted.
func (h *host) expect(c *Config, want map[string]string) {
	h.t.Helper()
	got := h.outcome(c)
	for try, result := range want {
		if got[try] != result {
			h.t.Errorf("%s: %q, not %q", try, got[try], result)
		}
	}
}

func keys(m map[string]string) (out []string) {
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

// tries runs a probe in a sandbox, which must say what is wanted.
func (h *host) tries(s *Sandbox, change func(*Config), want map[string]string) {
	h.t.Helper()
	c := trying(h.t, s, keys(want)...)
	if change != nil {
		change(c)
	}
	h.expect(c, want)
}

func newNetns(t testing.TB) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root makes namespaces")
	}
	name := fmt.Sprintf("svcctl-app-%d", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "delete", name).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return name
}
