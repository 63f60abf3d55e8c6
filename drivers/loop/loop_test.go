package loop

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/drivers/drivertest"
	"github.com/svcctl/svcctl/spec"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("attaching a loop device needs root")
	}
}

func open(t *testing.T, c *Config) drivers.Driver {
	t.Helper()
	var r drivers.Registry
	Register(&r)
	d, err := r.Open(drivers.Opening{}, &spec.Resource{Kind: "loop", Address: "s/loop.l", Config: c})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// clean detaches whatever holds the file when the test is over, failed or not.
func clean(t *testing.T, c *Config) {
	t.Cleanup(func() {
		devices, err := attached(c.File)
		if err != nil {
			t.Error(err)
		}
		for _, d := range devices {
			if err := d.release(context.Background()); err != nil {
				t.Error(err)
			}
		}
		if c.Device == "" { // else path is the device itself
			os.Remove(c.path())
		}
	})
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func expect(t *testing.T, d drivers.Driver, want drivers.State, detail string) {
	t.Helper()
	s, err := d.Status(within(t))
	if err != nil || s.State != want || !strings.Contains(s.Detail, detail) {
		t.Fatalf("Status is %q (%s), %v; want %q with %q", s.State, s.Detail, err, want, detail)
	}
}

func expectError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error is %v; want %q in it", err, part)
		}
	}
}

func TestASizeOfZeroCannotBeWritten(t *testing.T) {
	r := new(drivers.Registry)
	Register(r)
	set := fstest.MapFS{"a.hcl": {Data: []byte("service \"a\" {\n  loop \"l\" {\n    file = \"/srv/disk.img\"\n    size = \"0\"\n  }\n}\n")}}
	_, found := spec.NewLoader(spec.Options{Kinds: r}).Load(set)
	if len(found) != 1 || found[0].Range.Start.Line != 4 || !strings.Contains(found[0].Summary, "more than 0") {
		t.Errorf("found %+v", found)
	}
}

func TestALoopDeviceKeepsTheDriversPromises(t *testing.T) {
	needRoot(t)
	c := &Config{File: filepath.Join(t.TempDir(), "disk.img"), Size: 1 << 20}
	clean(t, c)
	if err := c.create(); err != nil {
		t.Fatal(err)
	}
	drivertest.Run(t, drivertest.Harness{
		Open: func(t *testing.T) drivers.Driver { return open(t, c) },
		Fingerprint: func(t *testing.T) string {
			to, _ := os.Readlink(c.path())
			return run(t, "losetup", "-l", "-n", "-O", "NAME,RO,AUTOCLEAR", "-j", c.File) + " " + to
		},
		Break: func(t *testing.T) { run(t, "losetup", "-d", run(t, "losetup", "-n", "-O", "NAME", "-j", c.File)) },
	})
}

func TestAMissingFileIsMadeOnlyWhereASizeIsDeclared(t *testing.T) {
	needRoot(t)
	c := &Config{File: filepath.Join(t.TempDir(), "disk.img")}
	clean(t, c)
	expectError(t, open(t, c).Start(within(t)), "no such file", "declare size")
	c.Size = 3 << 20
	if err := open(t, c).Start(within(t)); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(c.File)
	if err != nil || info.Size() != 3<<20 {
		t.Fatalf("the file has %d bytes, %v; want 3 MiB", info.Size(), err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(c.File), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if size := run(t, "blockdev", "--getsize64", c.path()); size != "3145728" {
		t.Errorf("the device has %s bytes", size)
	}
}

func TestALinkWhereTheFileIsMadeIsNotFollowed(t *testing.T) {
	dir := t.TempDir() // of the service's user, maybe
	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &Config{File: filepath.Join(dir, "disk.img"), Size: 4096}
	if err := os.Symlink(precious, filepath.Join(dir, ".disk.img.new")); err != nil {
		t.Fatal(err)
	}
	if err := c.create(); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(precious); string(b) != "precious" {
		t.Errorf("what the link leads to has %d bytes now, %v", len(b), err)
	}
	if st, err := os.Lstat(c.File); err != nil || !st.Mode().IsRegular() || st.Size() != 4096 || st.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", st, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestAnExistingFileKeepsItsSizeAndContent(t *testing.T) {
	needRoot(t)
	c := &Config{File: filepath.Join(t.TempDir(), "disk.img"), Size: 3 << 20, ReadOnly: true}
	clean(t, c)
	if err := os.WriteFile(c.File, []byte(strings.Repeat("x", 4096)), 0o600); err != nil {
		t.Fatal(err)
	}
	d := open(t, c)
	if err := d.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(c.path())
	if err != nil || string(got) != strings.Repeat("x", 4096) {
		t.Errorf("the device gives %d bytes, %v; want those of the file", len(got), err)
	}
	if ro := run(t, "blockdev", "--getro", c.path()); ro != "1" {
		t.Error("the device can be written to")
	}
	expect(t, open(t, &Config{File: c.File}), drivers.Failed, "read_only = true")
}

func TestAFileThatIsAttachedUnderAnotherNameIsAdopted(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	c := &Config{File: filepath.Join(dir, "disk.img"), Size: 1 << 20}
	clean(t, c)
	if err := c.create(); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(c.File, filepath.Join(dir, "alias")); err != nil {
		t.Fatal(err)
	}
	device := run(t, "losetup", "-f", "--show", filepath.Join(dir, "alias"))
	if err := open(t, c).Start(within(t)); err != nil {
		t.Fatal(err)
	}
	if to, _ := os.Readlink(c.path()); to != device {
		t.Errorf("the link leads to %s, want the device that holds the file already, %s", to, device)
	}
}

func TestAFileThatWasReplacedOrDeletedIsAFailure(t *testing.T) {
	needRoot(t)
	c := &Config{File: filepath.Join(t.TempDir(), "disk.img"), Size: 1 << 20}
	clean(t, c)
	d := open(t, c)
	if err := d.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.File); err != nil {
		t.Fatal(err)
	}
	expect(t, d, drivers.Failed, "deleted or replaced")
	if err := c.create(); err != nil {
		t.Fatal(err)
	}
	expect(t, d, drivers.Failed, "deleted or replaced")
	if err := d.Stop(within(t)); err != nil {
		t.Fatal(err)
	}
	expect(t, d, drivers.Down, "")
}

func TestAFixedDeviceThatIsTakenIsNamedWithItsFile(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	first := &Config{File: filepath.Join(dir, "first.img"), Size: 1 << 20}
	clean(t, first)
	if err := open(t, first).Start(within(t)); err != nil {
		t.Fatal(err)
	}
	device, err := os.Readlink(first.path())
	if err != nil {
		t.Fatal(err)
	}
	second := &Config{File: filepath.Join(dir, "second.img"), Size: 1 << 20, Device: device}
	clean(t, second)
	expectError(t, open(t, second).Start(within(t)), device, first.File)
	if err := open(t, first).Stop(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := open(t, second).Start(within(t)); err != nil {
		t.Fatal(err)
	}
	if got := second.Exports()["device"].AsString(); got != device {
		t.Errorf("exported as %s, want %s", got, device)
	}
}

func TestAMountedDeviceIsNotDetachedAndTheMountIsNamed(t *testing.T) {
	needRoot(t)
	c := &Config{File: filepath.Join(t.TempDir(), "disk.img"), Size: 8 << 20}
	clean(t, c)
	d := open(t, c)
	if err := d.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	at := t.TempDir()
	run(t, "mkfs.ext4", "-q", c.path())
	run(t, "mount", c.path(), at)
	unmounted := false
	t.Cleanup(func() {
		if !unmounted {
			exec.Command("umount", at).Run()
		}
	})
	expectError(t, d.Stop(within(t)), "mounted at "+at)
	expect(t, d, drivers.Up, "/dev/loop")
	run(t, "umount", at)
	unmounted = true
	if err := d.Stop(within(t)); err != nil {
		t.Fatal(err)
	}
}

func TestADeviceThatIsOpenIsNamedWithItsProcessAndStartCallsTheDetachingBack(t *testing.T) {
	needRoot(t)
	c := &Config{File: filepath.Join(t.TempDir(), "disk.img"), Size: 1 << 20}
	clean(t, c)
	d := open(t, c)
	if err := d.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(c.path())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	expectError(t, d.Stop(within(t)), "process ", "loop.test")
	expect(t, d, drivers.Failed, "is being detached")
	if err := d.Start(within(t)); err != nil {
		t.Fatal(err)
	}
	f.Close()
	expect(t, d, drivers.Up, "")
}

func TestManyStartsAtOnceGetADeviceEach(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	results := make(chan error, 8)
	for i := range cap(results) {
		c := &Config{File: filepath.Join(dir, string(rune('a'+i))), Size: 1 << 20}
		clean(t, c)
		d := open(t, c)
		go func() { results <- d.Start(context.Background()) }()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestACallThatHangsBarsTheNextOneAndReturnsInTime(t *testing.T) {
	c := &calls{running: make(map[string]int)}
	hang := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	entered := make(chan struct{})
	go func() { <-entered; cancel() }()
	err := c.do(ctx, "attach", "/f", func(context.Context) error { close(entered); <-hang; return nil })
	expectError(t, err, "cannot attach /f", "canceled")
	expectError(t, c.do(within(t), "detach", "/f", nil), "hangs still")
	if err := c.do(within(t), "attach", "/other", func(context.Context) error { return nil }); err != nil {
		t.Error(err)
	}
	close(hang)
}

func TestBadArgumentsAreNamed(t *testing.T) {
	for _, c := range []struct {
		config Config
		field  []string
	}{
		{Config{File: "/a/b", Device: "/dev/loop12", Size: 512}, nil},
		{Config{File: "a/b"}, []string{"file"}},
		{Config{File: "/a/../b", Size: 100}, []string{"file", "size"}},
		{Config{File: "/a", Device: "/dev/sda"}, []string{"device"}},
	} {
		var fields []string
		for _, p := range c.config.Validate() {
			fields = append(fields, p.Field)
		}
		if !reflect.DeepEqual(fields, c.field) {
			t.Errorf("%+v: problems with %v, want %v", c.config, fields, c.field)
		}
	}
}
