package app

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
)

// dir is the folder of this host, which any user can enter.
func (h *host) dir() string { return filepath.Dir(h.opts.RunDir) }

// until waits for a fact of the kernel's that gives no event.
func (h *host) until(what string, fact func() bool) {
	h.t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for end := h.ctx(); !fact(); {
		select {
		case <-tick.C:
		case <-end.Done():
			h.t.Fatalf("never seen: %s", what)
		}
	}
}

func mode(t *testing.T, path string) string {
	t.Helper()
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%o 0", st.Mode().Perm())
}

func TestAnAppRunsInANetworkNamespaceByNameAndByPath(t *testing.T) {
	name := newNetns(t) // before the keeper, which does not follow the mounts of this machine
	h := newConfinedHost(t)
	for _, netns := range []string{name, "/run/netns/" + name} {
		h.tries(nil, func(c *Config) { c.Netns = netns }, map[string]string{"links": "lo down", "status NoNewPrivs": "0"})
	}
	c := trying(t, nil, "links")
	c.Netns = "no-such-namespace"
	err := h.open(c).Start(h.ctx())
	if err == nil || !strings.Contains(err.Error(), "cannot enter the network namespace /run/netns/no-such-namespace") {
		t.Errorf("start in a missing one: %v", err)
	}
	c.Netns = "/etc/hostname"
	if err = h.open(c).Start(h.ctx()); err == nil || !strings.Contains(err.Error(), "it is none") {
		t.Errorf("start in a file: %v", err)
	}
}

func TestASandboxWithoutArgumentsIsSafe(t *testing.T) {
	h := newConfinedHost(t)
	h.tries(sandbox(), nil, map[string]string{
		"write /usr/svcctl-probe":      "EROFS",
		"write /etc/svcctl-probe":      "EROFS",
		"write /var/svcctl-probe":      "EROFS",
		"write /root/svcctl-probe":     "EACCES",
		"list /root":                   "EACCES",
		"list /tmp":                    "",
		"list /dev":                    devNames(t),
		"write /proc/sys/kernel/panic": "EROFS",
		"status CapEff":                "0000000000000000",
		"status CapBnd":                "0000000000000000",
		"status NoNewPrivs":            "1",
		"status Seccomp":               "2",
		"call mount":                   "EPERM",
		"call keyctl":                  "EPERM",
		"call unshare":                 "EPERM",
		"call getpid":                  "ok",
	})
	shared := fmt.Sprintf("/dev/shm/svcctl-test-%d", os.Getpid())
	defer os.Remove(shared)
	mine := fmt.Sprintf("/tmp/svcctl-test-%d", os.Getpid())
	h.tries(sandbox(), nil, map[string]string{
		"write " + mine: "ok", "write /var" + mine: "ok", "stat /tmp": "777 0",
		"read /dev/null": "", "write /dev/null": "ok", "write /dev/svcctl-probe": "EROFS",
		"write " + shared: "ok", "read /proc/kallsyms": "EACCES", "write /sys/fs/cgroup/svcctl-probe": "EROFS", "write /sys/kernel/uevent_helper": "EROFS",
	})
	if _, err := os.Stat(mine); err == nil {
		t.Error("what was written to the private /tmp is in that of the host")
	}
}

// devNames is what a private /dev holds on this host, as the probe lists it.
func devNames(t *testing.T) string {
	t.Helper()
	all := []string{"fd", "full", "null", "ptmx", "pts", "random", "stderr", "stdin", "stdout", "tty", "urandom", "zero"}
	for _, name := range []string{"shm", "mqueue", "hugepages", "log"} {
		if _, err := os.Stat("/dev/" + name); err == nil {
			all = append(all, name)
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func TestEachArgumentOfASandboxDoesWhatItSays(t *testing.T) {
	h := newConfinedHost(t)
	open := func(change func(*Sandbox)) *Sandbox {
		s := &Sandbox{ProtectSystem: "no", ProtectHome: "no", Seccomp: "none", Capabilities: capabilities}
		own := uint64(0)
		if _, err := fmt.Sscanf(statusField(t, os.Getpid(), "CapEff"), "%x", &own); err != nil {
			t.Fatal(err)
		}
		s.Capabilities = nil
		for n, name := range capabilities {
			if own&(1<<n) != 0 {
				s.Capabilities = append(s.Capabilities, name)
			}
		}
		change(s)
		return s
	}
	dir := filepath.Join(h.dir(), "data")
	for _, path := range []string{dir, dir + "/in/deep", dir + "/out"} {
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir + "/file", dir + "/in/deep/file", dir + "/out/file"} {
		if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	gone := fmt.Sprintf("/tmp/svcctl-test-%d", os.Getpid())
	none := strings.TrimSpace(statusField(t, os.Getpid(), "Seccomp"))
	for name, c := range map[string]struct {
		change func(*Sandbox)
		want   map[string]string
	}{
		"nothing": {func(*Sandbox) {}, map[string]string{
			"write " + dir + "/new": "ok", "status Seccomp": none, "status NoNewPrivs": "0", "call keyctl": "ok",
			"status CapEff": statusField(t, os.Getpid(), "CapEff"),
		}},
		"read_only_paths": {func(s *Sandbox) { s.ReadOnlyPaths = []string{dir, "-/no/such/path"} }, map[string]string{
			"write " + dir + "/new": "EROFS", "write " + dir + "/in/deep/new": "EROFS", "read " + dir + "/out/file": "content",
		}},
		"read_write_paths below read_only_paths": {func(s *Sandbox) { s.ReadOnlyPaths, s.ReadWritePaths = []string{dir}, []string{dir + "/in"} }, map[string]string{
			"write " + dir + "/new": "EROFS", "write " + dir + "/in/deep/new": "ok", "write " + dir + "/out/new": "EROFS",
		}},
		"read_write_paths in a strict system": {func(s *Sandbox) { s.ProtectSystem, s.ReadWritePaths = "strict", []string{dir + "/in"} }, map[string]string{
			"write " + dir + "/new": "EROFS", "write " + dir + "/in/deep/new": "ok", "write /dev/svcctl-probe-none/x": "ENOENT",
		}},
		"read_only_paths below read_write_paths": {func(s *Sandbox) {
			s.ProtectSystem, s.ReadWritePaths, s.ReadOnlyPaths = "strict", []string{dir}, []string{dir + "/in/deep"}
		}, map[string]string{
			"write " + dir + "/new": "ok", "write " + dir + "/in/new": "ok", "write " + dir + "/in/deep/new": "EROFS",
		}},
		"inaccessible_paths": {func(s *Sandbox) {
			s.InaccessiblePaths, s.Capabilities = []string{dir + "/in", dir + "/file"}, nil
		}, map[string]string{
			"list " + dir + "/in": "EACCES", "read " + dir + "/file": "EACCES", "read " + dir + "/out/file": "content", "read " + dir + "/in/deep/file": "EACCES",
		}},
		"temporary_paths": {func(s *Sandbox) { s.TemporaryPaths = []string{dir + "/in"} }, map[string]string{
			"list " + dir + "/in": "", "write " + dir + "/in/gone": "ok", "read " + dir + "/file": "content",
		}},
		"protect_system yes":     {func(s *Sandbox) { s.ProtectSystem = "yes" }, map[string]string{"write /usr/svcctl-probe": "EROFS", "write " + dir + "/new": "ok"}},
		"protect_system full":    {func(s *Sandbox) { s.ProtectSystem = "full" }, map[string]string{"write /etc/svcctl-probe": "EROFS", "write " + dir + "/new": "ok"}},
		"protect_home read-only": {func(s *Sandbox) { s.ProtectHome = "read-only" }, map[string]string{"write /root/svcctl-probe": "EROFS", "stat /root": mode(t, "/root")}},
		"protect_home tmpfs":     {func(s *Sandbox) { s.ProtectHome = "tmpfs" }, map[string]string{"list /root": "", "list /home": ""}},
		"private_tmp with a path kept": {func(s *Sandbox) {
			s.PrivateTmp, s.ReadWritePaths = true, []string{t.TempDir()}
		}, map[string]string{"write " + gone: "ok"}},
		"capabilities of root": {func(s *Sandbox) { s.Capabilities = []string{"cap_net_bind_service", "CHOWN"} }, map[string]string{
			"status CapEff": "0000000000000401", "status CapBnd": "0000000000000401", "call bind": "ok", "call chroot": "EPERM",
		}},
		"seccomp implies no_new_privileges": {func(s *Sandbox) { s.Seccomp = "default" }, map[string]string{"status NoNewPrivs": "1", "status Seccomp": "2"}},
		"private_network":                   {func(s *Sandbox) { s.PrivateNetwork = true }, map[string]string{"links": "lo up", "call bind": "ok"}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func(outer testing.TB) { h.t = outer }(h.t)
			h.t = t
			h.tries(open(c.change), nil, c.want)
		})
	}
	if _, err := os.Stat(gone); err == nil {
		t.Error("what was written to the private /tmp is in that of the host")
	}
}

func TestAUserThatIsNotRootKeepsTheCapabilitiesThatAreNamed(t *testing.T) {
	h := newConfinedHost(t)
	s := sandbox()
	s.Capabilities = []string{"CAP_NET_BIND_SERVICE"}
	h.tries(s, func(c *Config) { c.User, c.Groups = nobody, []string{} }, map[string]string{
		"status Uid": "65534\t65534\t65534\t65534", "status Groups": "", "call bind": "ok", "call chroot": "EPERM",
		"status CapEff": "0000000000000400", "status CapAmb": "0000000000000400", "status CapBnd": "0000000000000400",
	})
	s.Capabilities = nil
	h.tries(s, func(c *Config) { c.User = nobody }, map[string]string{"call bind": "EACCES", "status CapPrm": "0000000000000000"})
}

func TestAProfileOfItsOwnRefusesWhatItNames(t *testing.T) {
	h := newConfinedHost(t)
	path := filepath.Join(h.dir(), "profile.json")
	text := `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["ptrace","chroot"],"action":"SCMP_ACT_ERRNO","errnoRet":38}]}`
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	s := sandbox()
	s.Seccomp = path
	h.tries(s, nil, map[string]string{"call ptrace": "ENOSYS", "call chroot": "ENOSYS", "call keyctl": "ok"})
	s.Seccomp = "/no/such/profile.json"
	if err := h.open(trying(t, s)).Start(h.ctx()); err == nil || !strings.Contains(err.Error(), "cannot read the seccomp profile /no/such/profile.json: no such file") {
		t.Errorf("start with a missing profile: %v", err)
	}
}

func TestAProcessInASandboxIsAChildOfTheKeeperThatEndsWithIt(t *testing.T) {
	h := newConfinedHost(t)
	s := sandbox()
	s.PrivateNetwork = true
	c := trying(t, s, "sleep")
	c.User = nobody
	d := h.open(c)
	h.start(d)
	st := h.status(d)
	parent, err := strconv.Atoi(statusField(t, st.PID, "PPid"))
	if err != nil {
		t.Fatal(err)
	}
	if name, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", parent)); err != nil || !strings.Contains(string(name), "\x00keeper\x00") {
		t.Errorf("its parent is %q (%v)", name, err)
	}
	if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", st.PID)); err != nil || strings.Contains(string(env), "STUB") {
		t.Errorf("its environment: %q (%v)", env, err)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", st.PID))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if to, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", st.PID, f.Name())); strings.Contains(to, "memfd") {
			t.Errorf("it has the settings open: %s", to)
		}
	}
	h.keeper.Close() // else it would start another keeper, which ends what it finds
	if err := unix.Kill(parent, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	h.until("its death by the keeper's", func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", st.PID))
		return err != nil || strings.Contains(string(b), ") Z ")
	})
	h.connect()
}

func TestReadinessIsToldFromANetworkOfItsOwn(t *testing.T) {
	h := newConfinedHost(t)
	s := sandbox()
	s.PrivateNetwork = true
	c := trying(t, s, "tell READY=1\nSTATUS=serving", "sleep")
	c.User, c.Ready = nobody, "notify"
	d := h.open(c)
	if err := d.Start(h.ctx()); err != nil {
		t.Fatal(err)
	}
	if st := h.status(d); st.State != drivers.Up || st.Detail != "serving" {
		t.Errorf("after the start: %+v", st)
	}
	if err := d.Stop(h.ctx()); err != nil {
		t.Fatal(err)
	}
	if err := h.keeper.Forget(h.ctx(), d.id); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(h.opts.RunDir, "notify-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWhatASandboxCantGiveIsNamedWithItsArgument(t *testing.T) {
	h := newConfinedHost(t)
	for want, change := range map[string]func(*Config){
		"cannot make read-only /srv/no-such: no such path (sandbox.read_only_paths)":     func(c *Config) { c.Sandbox.ReadOnlyPaths = []string{"/srv/no-such"} },
		"cannot keep as it is /srv/no-such: no such path (sandbox.read_write_paths)":     func(c *Config) { c.Sandbox.ReadWritePaths = []string{"/srv/no-such"} },
		"cannot hide /srv/no-such: no such path (sandbox.inaccessible_paths)":            func(c *Config) { c.Sandbox.InaccessiblePaths = []string{"/srv/no-such"} },
		"in /root: permission denied (may its user enter it, is it there inside the san": func(c *Config) { c.Cwd = "/root" },
		"cannot run /root/no: no such file":                                              func(c *Config) { c.Command = []string{"/root/no"}; c.Sandbox.ProtectHome = "tmpfs" },
	} {
		c := trying(t, sandbox(), "cwd")
		change(c)
		if err := h.open(c).Start(h.ctx()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestMountsOfTheHostAreFollowedAndNotHeld(t *testing.T) {
	h := newConfinedHost(t)
	data := filepath.Join(h.dir(), "data")
	other := filepath.Join(h.dir(), "other")
	for _, dir := range []string{data, other} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(h.dir(), "image")
	h.run("truncate", "-s", "16M", image)
	h.run("mkfs.ext4", "-q", image)
	h.nsenter("mount", "-t", "tmpfs", "tmpfs", data) // this one is there before the app is
	s := sandbox()
	s.ReadWritePaths, s.ReadOnlyPaths = []string{data}, []string{other}
	d := h.open(trying(t, s, "sleep"))
	h.start(d)
	pid := h.status(d).PID
	inside := func(dir, kind string) bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if strings.Contains(line, " "+dir+" ") && strings.Contains(line, " - "+kind) {
				return true
			}
		}
		return false
	}
	if !inside(data, "tmpfs") {
		t.Error("what was mounted before the start is not there")
	}
	h.nsenter("umount", data)
	if inside(data, "tmpfs") {
		t.Error("what was unmounted is still held")
	}
	for _, dir := range []string{data, other} {
		h.nsenter("mount", "-o", "loop", image, dir)
		if !inside(dir, "ext4 /dev/loop") {
			t.Errorf("what was mounted on %s is not seen", dir)
		}
		h.nsenter("umount", dir)
		if inside(dir, "ext4 /dev/loop") {
			t.Errorf("%s is still held", dir)
		}
		h.until("the end of the loop device", func() bool { return h.run("losetup", "-j", image) == "" })
	}
	if st := h.status(d); st.State != drivers.Up {
		t.Errorf("the app meanwhile: %+v", st)
	}
}

func (h *host) run(command ...string) string {
	h.t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		h.t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// nsenter runs a command where the keeper is, which is the host as it knows it.
func (h *host) nsenter(command ...string) {
	h.t.Helper()
	pid := h.run("cat", filepath.Join(h.dir(), "pid"))
	h.run(append([]string{"nsenter", "--target", pid, "--mount", "--"}, command...)...)
}

func TestAKeeperThatIsNotRootSaysThatItCantConfine(t *testing.T) {
	path, err := probe()
	if err != nil {
		t.Skip(err)
	}
	h := newConfinedHost(t, "setpriv", "--reuid", nobody, "--regid", nobody, "--clear-groups", path, "keeper")
	for _, change := range []func(*Config){
		func(c *Config) { c.Sandbox = sandbox() },
		func(c *Config) { c.Netns = "/proc/1/ns/net" },
		func(c *Config) { c.Credentials = map[string]string{"password": "x"} },
		func(c *Config) {
			c.Sandbox = &Sandbox{ProtectSystem: "no", ProtectHome: "no", Seccomp: "none", PrivateNetwork: true}
		},
	} {
		c := config("sleep", "1000")
		change(c)
		if err := h.open(c).Start(h.ctx()); err == nil || !strings.Contains(err.Error(), "root") {
			t.Errorf("start: %v", err)
		}
	}
}
