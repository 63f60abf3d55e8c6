package mount

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/drivers/drivertest"
	"github.com/svcctl/svcctl/spec"
)

// The tests run in a mount namespace of their own, which takes every mount along
// when it ends, however that comes about.
func TestMain(m *testing.M) {
	const inside = "SVCCTL_TEST_IN_NAMESPACE"
	if os.Geteuid() == 0 && os.Getenv(inside) == "" {
		self, err := os.Executable()
		unshare, lookErr := exec.LookPath("unshare")
		if err = errors.Join(err, lookErr); err == nil {
			os.Setenv(inside, "1")
			err = syscall.Exec(unshare, append([]string{"unshare", "--mount", "--propagation", "private", "--", self}, os.Args[1:]...), os.Environ())
		}
		fmt.Fprintln(os.Stderr, "cannot unshare the mount namespace:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("mounting needs root")
	}
}

func run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func open(t testing.TB, c *Config) drivers.Driver {
	t.Helper()
	var r drivers.Registry
	Register(&r)
	d, err := r.Open(drivers.Opening{}, &spec.Resource{Kind: "mount", Address: "s/mount.m", Config: c})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func within(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// disk is a blank block device of mib MiB.
func disk(t testing.TB, mib int64) string {
	t.Helper()
	needRoot(t)
	file := filepath.Join(t.TempDir(), "disk.img")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, mib<<20); err != nil {
		t.Fatal(err)
	}
	device := run(t, "losetup", "--find", "--show", file)
	t.Cleanup(func() { run(t, "losetup", "-d", device) })
	return device
}

// at is a mount point that is left clean, whatever the test did.
func at(t testing.TB) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "m")
	t.Cleanup(func() {
		for range maxStacked {
			if exec.Command("umount", "--recursive", "--lazy", path).Run() != nil {
				return
			}
		}
	})
	return path
}

func expect(t testing.TB, d drivers.Driver, want drivers.State, detail string) {
	t.Helper()
	s, err := d.Status(within(t))
	if err != nil || s.State != want || !strings.Contains(s.Detail, detail) {
		t.Fatalf("Status is %q (%s), %v; want %q with %q", s.State, s.Detail, err, want, detail)
	}
}

func expectError(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error is %v; want %q in it", err, part)
		}
	}
}

func start(t testing.TB, d drivers.Driver) {
	t.Helper()
	if err := d.Start(within(t)); err != nil {
		t.Fatal(err)
	}
}

func stop(t testing.TB, d drivers.Driver) {
	t.Helper()
	if err := d.Stop(within(t)); err != nil {
		t.Fatal(err)
	}
}

// occupy starts a process that holds a file below path open.
func occupy(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sh", "-c", `exec 3>"$1"; echo ready; exec sleep 600`, "sh", filepath.Join(path, "held"))
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	waited := make(chan struct{})
	go func() { cmd.Wait(); close(waited) }()
	t.Cleanup(func() { cmd.Process.Kill(); <-waited })
	return cmd
}

func TestEveryTypeKeepsTheDriversPromises(t *testing.T) {
	needRoot(t)
	for kind, mib := range map[string]int64{"ext4": 16, "xfs": 320, "btrfs": 128, "tmpfs": 0, "bind": 0} {
		t.Run(kind, func(t *testing.T) {
			c := &Config{Path: at(t), Type: kind, Fsck: "auto"}
			switch kind {
			case "tmpfs":
				c.Size = 1 << 20
			case "bind":
				c.Device = filepath.Dir(at(t))
			default:
				c.Device, c.Mkfs = disk(t, mib), true
				start(t, open(t, c))
				stop(t, open(t, c))
			}
			live := *c
			live.Options = []string{"noatime"}
			drivertest.Run(t, drivertest.Harness{
				Open:        func(t *testing.T) drivers.Driver { return open(t, c) },
				Fingerprint: func(t *testing.T) string { return mountsWith(t, filepath.Dir(filepath.Dir(c.Path))+"/", c.Device) },
				Break:       func(t *testing.T) { run(t, "umount", c.Path) },
				Occupy:      func(t *testing.T) { occupy(t, c.Path) },
				Live:        &live,
			})
		})
	}
}

// mountsWith are the lines of the table that have one of these texts. What others had
// mounted before this mount namespace was made goes whenever they remove the folder.
func mountsWith(t *testing.T, texts ...string) (lines string) {
	t.Helper()
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(table)) {
		if slices.ContainsFunc(texts, func(text string) bool { return text != "" && strings.Contains(line, text) }) {
			lines += line
		}
	}
	return lines
}

func TestMkfsTouchesABlankDeviceOnly(t *testing.T) {
	for _, c := range []struct{ name, script, want string }{
		{"another file system", "mkfs.btrfs -q $1", "holds btrfs, not ext4"},
		{"a swap area", "mkswap -q $1", "not ext4"},
		{"a partition table", `printf '\203\0\0\0\0\10\0\0\0\10\0\0' | dd of=$1 bs=1 seek=450 conv=notrunc status=none; printf '\125\252' | dd of=$1 bs=1 seek=510 conv=notrunc status=none`, "signature of dos"},
		{"bytes at the start", "printf x | dd of=$1 bs=1 seek=5000 conv=notrunc status=none", "first MiB is not zero"},
		{"bytes at the end", "printf x | dd of=$1 bs=1M seek=127 conv=notrunc status=none", "last MiB is not zero"},
	} {
		t.Run(c.name, func(t *testing.T) {
			device := disk(t, 128)
			if out, err := exec.Command("sh", "-c", "exec 2>&1; set -e; "+c.script+" >/dev/null; sync $1", "sh", device).Output(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			before := run(t, "sha256sum", device)
			d := open(t, &Config{Device: device, Path: at(t), Type: "ext4", Mkfs: true, Fsck: "auto"})
			expectError(t, d.Start(within(t)), "cannot mount", c.want)
			if now := run(t, "sha256sum", device); now != before {
				t.Error("the device was written to")
			}
		})
	}
}

func TestTheFileForABindMountIsNotMadeWhereALinkLeads(t *testing.T) {
	dir := t.TempDir() // of the service's user, maybe
	source, target, link := filepath.Join(dir, "source"), filepath.Join(t.TempDir(), "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(source, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	c := &Config{Type: "bind", Device: source, Path: link}
	if err := c.mountPoint(); err == nil || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("%v", err)
	}
	if _, err := os.Lstat(target); err == nil {
		t.Error("a file was made behind the link")
	}
	c.Path = filepath.Join(dir, "new")
	if err := c.mountPoint(); err != nil {
		t.Error(err)
	}
}

func TestAMissingPrerequisiteIsNamedWithItsCure(t *testing.T) {
	blank := disk(t, 16)
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		config Config
		want   string
	}{
		{Config{Device: "/dev/absent", Type: "ext4"}, "/dev/absent does not exist (is the"},
		{Config{Device: file, Type: "ext4"}, "resource of kind loop"},
		{Config{Device: "/dev/null", Type: "ext4"}, "not a block device"},
		{Config{Device: blank, Type: "ext4"}, "mkfs = true"},
		{Config{Device: "UUID=00000000-dead-dead-dead-000000000000", Type: "ext4"}, "no device has UUID="},
		{Config{Device: "/absent", Type: "bind"}, "/absent does not exist"},
		{Config{Type: "tmpfs", Path: filepath.Join(link, "m")}, "symbolic link"},
		{Config{Type: "tmpfs", Owner: "nobody-of-this-name"}, "does the user exist"},
	} {
		if c.config.Path == "" {
			c.config.Path = at(t)
		}
		expectError(t, open(t, &c.config).Start(within(t)), "cannot mount "+c.config.Path, c.want)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := (&call{}).run(within(t), "mkfs.nothing"); err == nil || !strings.Contains(err.Error(), "not installed") {
		t.Errorf("a tool that is not there: %v", err)
	}
}

func TestABusyMountNamesTheProcessAndTheMountsBelow(t *testing.T) {
	c := &Config{Device: disk(t, 16), Path: at(t), Type: "ext4", Mkfs: true, Fsck: "auto"}
	d := open(t, c)
	start(t, d)
	below := &Config{Path: filepath.Join(c.Path, "below"), Type: "tmpfs"}
	start(t, open(t, below))
	expectError(t, d.Stop(within(t)), "mounts below it: "+below.Path)
	stop(t, open(t, below))
	p := occupy(t, c.Path)
	expectError(t, d.Stop(within(t)), "busy", fmt.Sprintf("process %d (sleep)", p.Process.Pid), "held open")
	expect(t, d, drivers.Up, c.Device)
	if err := d.(drivers.Killer).Kill(within(t)); err != nil {
		t.Fatal(err)
	}
	stop(t, d)
}

func TestOwnProcessIsNeverKilled(t *testing.T) {
	needRoot(t)
	c := &Config{Path: at(t), Type: "tmpfs"}
	d := open(t, c)
	start(t, d)
	f, err := os.Create(filepath.Join(c.Path, "held"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	expectError(t, d.(drivers.Killer).Kill(within(t)), "can't be killed", fmt.Sprint(os.Getpid()))
}

func TestOptionsOwnerAndSizeChangeLive(t *testing.T) {
	needRoot(t)
	c := &Config{Path: at(t), Type: "tmpfs", Size: 1 << 20, Options: []string{"noatime", "nosuid"}, Owner: "nobody", Mode: "0700"}
	d := open(t, c)
	start(t, d)
	if got := run(t, "stat", "-c", "%U %a", c.Path); got != "nobody 700" {
		t.Errorf("owner and mode are %s", got)
	}
	p := occupy(t, c.Path)
	next := *c
	next.Options, next.Size, next.Mode = []string{"noexec"}, 2<<20, "0750"
	if err := d.(drivers.Updater).Update(within(t), &next); err != nil {
		t.Fatal(err)
	}
	got := run(t, "findmnt", "-n", "-o", "OPTIONS", c.Path)
	for word, want := range map[string]bool{"noexec": true, "noatime": false, "nosuid": false, "size=2048k": true} {
		if hasWord(got, word) != want {
			t.Errorf("options are %s; %s: want %v", got, word, want)
		}
	}
	if got := run(t, "stat", "-c", "%U %a", c.Path); got != "nobody 750" {
		t.Errorf("owner and mode are %s", got)
	}
	if p.Process.Signal(syscall.Signal(0)) != nil {
		t.Error("the process that uses the mount was ended")
	}
	expect(t, d, drivers.Up, "")
}

func TestAnOptionOfTheFileSystemIsTakenBackLive(t *testing.T) {
	c := &Config{Device: disk(t, 16), Path: at(t), Type: "ext4", Mkfs: true, Fsck: "auto", Options: []string{"discard", "commit=7"}}
	d := open(t, c)
	start(t, d)
	next := *c
	next.Options = []string{"commit=9"}
	if err := d.(drivers.Updater).Update(within(t), &next); err != nil {
		t.Fatal(err)
	}
	if got := run(t, "findmnt", "-n", "-o", "OPTIONS", c.Path); hasWord(got, "discard") || !hasWord(got, "commit=9") {
		t.Errorf("options are %s", got)
	}
	last := *c
	last.Options = nil
	expectError(t, d.(drivers.Updater).Update(within(t), &last), "commit=9", "restart the resource")
	last.Options = []string{"ro", "commit=9"}
	if err := d.(drivers.Updater).Update(within(t), &last); err != nil {
		t.Fatal(err)
	}
	expect(t, d, drivers.Up, "")
	expect(t, open(t, c), drivers.Failed, "read-only though declared")
}
