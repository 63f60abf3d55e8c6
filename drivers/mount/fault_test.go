package mount

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"golang.org/x/sys/unix"
)

func TestWhatIsNotWhatWasDeclaredIsAFailureThatSaysSo(t *testing.T) {
	device := disk(t, 16)
	c := &Config{Device: device, Path: at(t), Type: "ext4", Mkfs: true, Fsck: "auto"}
	d := open(t, c)
	start(t, d)
	stop(t, d)

	run(t, "mount", "-t", "tmpfs", "foreign", c.Path)
	expect(t, d, drivers.Failed, "foreign (tmpfs) is mounted there instead of "+device)
	expectError(t, d.Start(within(t)), "foreign (tmpfs)", "unmount that first")
	stop(t, d) // nothing of ours is there
	expect(t, d, drivers.Failed, "foreign")
	run(t, "umount", c.Path)

	start(t, d)
	run(t, "mount", "-t", "tmpfs", "over", c.Path)
	expectError(t, d.Stop(within(t)), "over (tmpfs) was mounted over it")
	run(t, "umount", c.Path)
	run(t, "mount", "-t", "tmpfs", "cover", filepath.Dir(c.Path))
	expect(t, d, drivers.Failed, "hidden by what was mounted over "+filepath.Dir(c.Path))
	run(t, "umount", filepath.Dir(c.Path))
	expect(t, d, drivers.Up, device)

	other := &Config{Device: device, Path: at(t), Type: "ext4", Fsck: "auto"}
	expectError(t, open(t, other).Start(within(t)), "mounted at "+c.Path+" already")
	stop(t, d)
}

func TestStackedMountsOfOursAreAllTakenAway(t *testing.T) {
	needRoot(t)
	c := &Config{Path: at(t), Type: "tmpfs"}
	d := open(t, c)
	start(t, d)
	run(t, "mount", "-t", "tmpfs", "tmpfs", c.Path)
	expect(t, d, drivers.Up, "")
	stop(t, d)
	expect(t, d, drivers.Down, "")
}

func TestADeviceThatVanishedIsAFailureAndStopStillWorks(t *testing.T) {
	device := disk(t, 16)
	link := filepath.Join(t.TempDir(), "device")
	if err := os.Symlink(device, link); err != nil {
		t.Fatal(err)
	}
	c := &Config{Device: link, Path: at(t), Type: "ext4", Mkfs: true, Fsck: "force"}
	d := open(t, c)
	start(t, d)
	expect(t, d, drivers.Up, "")
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	expect(t, d, drivers.Failed, "is gone")
	if err := os.Symlink(device, link); err != nil {
		t.Fatal(err)
	}
	stop(t, d)
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	stop(t, open(t, c))
}

func TestATagFindsItsDevice(t *testing.T) {
	device := disk(t, 16)
	run(t, "mkfs.ext4", "-q", "-L", "svcctl-test", device)
	c := &Config{Device: "LABEL=svcctl-test", Path: at(t), Type: "auto", Fsck: "auto"}
	start(t, open(t, c))
	expect(t, open(t, c), drivers.Up, device)
	stop(t, open(t, c))
}

func TestAFileSystemThatIsReadOnlyAfterAnErrorIsAFailure(t *testing.T) {
	device := disk(t, 16)
	run(t, "mkfs.ext4", "-q", device)
	c := &Config{Device: device, Path: at(t), Type: "ext4", Fsck: "auto", Options: []string{"errors=remount-ro"}}
	d := open(t, c)
	start(t, d)
	// The file system's own switch for trying errors.
	trigger := "/sys/fs/ext4/" + filepath.Base(device) + "/trigger_fs_error"
	if err := os.WriteFile(trigger, []byte("by a test"), 0o200); err != nil {
		t.Fatal(err)
	}
	expect(t, d, drivers.Failed, "read-only though declared read-write")
	stop(t, d)
	start(t, d) // e2fsck clears the error on the way
	expect(t, d, drivers.Up, "")
}

func TestADamagedFileSystemIsNotMountedAndTheCureIsNamed(t *testing.T) {
	device := disk(t, 16)
	run(t, "mkfs.ext4", "-q", "-b", "1024", device)
	run(t, "debugfs", "-w", "-R", "clri <2>", device) // no root directory: beyond -p
	c := &Config{Device: device, Path: at(t), Type: "ext4", Fsck: "force"}
	expectError(t, open(t, c).Start(within(t)), "e2fsck ended with", "e2fsck -f "+device)
	expect(t, open(t, c), drivers.Down, "")
}

func TestALazyUnmountByHandIsToldByWatch(t *testing.T) {
	needRoot(t)
	c := &Config{Path: at(t), Type: "tmpfs"}
	d := open(t, c)
	start(t, d)
	occupy(t, c.Path)
	told := make(chan drivers.Status, 8)
	end, err := d.(drivers.Watcher).Watch(func(s drivers.Status) { told <- s })
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	run(t, "umount", "--lazy", c.Path)
	for _, want := range []drivers.State{drivers.Down, drivers.Up} {
		select {
		case s := <-told:
			if s.State != want {
				t.Fatalf("told %q (%s), want %q", s.State, s.Detail, want)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("not told of %q", want)
		}
		if want == drivers.Down {
			run(t, "mount", "-t", "tmpfs", "tmpfs", c.Path)
		}
	}
}

func TestTheSharedPollEndsWithTheLastSubscriptionAndBeginsAnew(t *testing.T) {
	needRoot(t)
	h := newHost()
	d := &driver{host: h, config: &Config{Path: at(t), Type: "tmpfs"}}
	for range 3 {
		one, err := d.Watch(func(drivers.Status) {})
		if err != nil {
			t.Fatal(err)
		}
		wakeup := h.watch.wakeup
		two, err := d.Watch(func(drivers.Status) {})
		if err != nil {
			t.Fatal(err)
		}
		if h.watch.wakeup != wakeup {
			t.Error("the second subscription began a poll of its own")
		}
		one()
		two()
		two()
		if wakeup.Close() == nil {
			t.Error("the poll goes on without subscriptions")
		}
	}
}

// The stand-in for a device that hangs is a tool that ignores everything but KILL.
func TestAToolThatHangsIsEndedWithTheContext(t *testing.T) {
	needRoot(t)
	bin := t.TempDir()
	stuck := "#!/bin/sh\ntrap '' TERM INT\necho begun >" + bin + "/begun\nwhile :; do sleep 600; done\n"
	if err := os.WriteFile(filepath.Join(bin, "mount"), []byte(stuck), 0o755); err != nil {
		t.Fatal(err)
	}
	path := os.Getenv("PATH")
	t.Setenv("PATH", bin+":"+path)
	d := open(t, &Config{Path: at(t), Type: "tmpfs"})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	err := d.Start(ctx)
	expectError(t, err, "cannot mount", "deadline exceeded")
	t.Setenv("PATH", path)
	start(t, d) // nothing is left that bars it
	stop(t, d)
}

// A frozen file system really hangs in the kernel, where no signal helps.
func TestADeviceThatHangsInTheKernelBarsOneMountPointOnly(t *testing.T) {
	device := disk(t, 16)
	c := &Config{Device: device, Path: at(t), Type: "ext4", Mkfs: true, Fsck: "auto"}
	d := open(t, c)
	start(t, d)
	run(t, "fsfreeze", "--freeze", c.Path)
	frozen := true
	thaw := func() {
		if frozen {
			frozen = false
			run(t, "fsfreeze", "--unfreeze", c.Path)
		}
	}
	t.Cleanup(thaw)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	changed := *c
	changed.Mode = "0711" // a write: chmod waits for the thaw
	err := d.(drivers.Updater).Update(ctx, &changed)
	expectError(t, err, "cannot remount", "deadline exceeded")
	expect(t, d, drivers.Up, device) // a probe does not hang
	other := open(t, &Config{Path: at(t), Type: "tmpfs"})
	start(t, other)
	stop(t, other)
	expectError(t, err, "goes on and can't be interrupted")
	expectError(t, d.Stop(within(t)), "has not ended", "chmod (process ")
	thaw()
	deadline := time.After(30 * time.Second)
	for ticker := time.NewTicker(10 * time.Millisecond); d.Stop(within(t)) != nil; {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatal("still barred after the thaw")
		}
	}
}

func TestWhatCannotBeInterruptedBarsTheNextCall(t *testing.T) {
	c := &newHost().calls
	hang, entered := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-entered; cancel() }()
	err := c.do(ctx, "mount", "/m", func(context.Context, *call) error { close(entered); <-hang; return nil })
	expectError(t, err, "cannot mount /m", "canceled", "can't be interrupted")
	expectError(t, c.do(within(t), "unmount", "/m", nil), "has not ended")
	if err := c.do(within(t), "mount", "/other", func(context.Context, *call) error { return nil }); err != nil {
		t.Error(err)
	}
	close(hang)
}

func TestBadArgumentsAreNamed(t *testing.T) {
	for _, c := range []struct {
		config Config
		fields string
	}{
		{Config{Device: "/dev/sdb1", Path: "/srv/pg", Type: "ext4", Mkfs: true, Mode: "0700", Options: []string{"noatime,discard"}}, ""},
		{Config{Device: "UUID=ab-cd", Path: "/srv/pg", Type: "auto"}, ""},
		{Config{Path: "/srv/t", Type: "tmpfs", Size: 1}, ""},
		{Config{Path: "srv", Type: "ext4", Size: 1}, "path device size"},
		{Config{Path: "/usr", Type: "tmpfs", Device: "/dev/x", Mkfs: true, Mode: "9"}, "path device mkfs mode"},
		{Config{Device: "UUID", Path: "/srv/a/", Type: "xfs", Options: []string{"ro,remount", "loop"}}, "path device options options"},
		{Config{Device: "a/b", Path: "/srv/a", Type: "bind"}, "device"},
	} {
		var fields []string
		for _, p := range c.config.Validate() {
			fields = append(fields, p.Field)
		}
		if got := strings.Join(fields, " "); got != c.fields {
			t.Errorf("%+v: problems with %q, want %q", c.config, got, c.fields)
		}
	}
}

func TestTheTableIsReadWithEscapesStacksAndOptionalFields(t *testing.T) {
	text := []byte(`1 0 8:1 / / rw - ext4 /dev/sda1 rw
2 1 0:30 / /srv/a\040b rw,noatime shared:3 master:1 - tmpfs tmpfs rw,size=4k
3 2 8:16 /sub /srv/a\040b ro - ext4 /dev/sdb rw
4 1 8:32 / /srv/a rw - xfs /dev/sdc rw
`)
	v := lookIn(text, "/srv/a b", "")
	if !v.found || v.under != 2 || v.top.id != 3 || v.top.root != "/sub" || !v.top.has("ro") || v.hidden != "" {
		t.Errorf("found %+v", v)
	}
	if v := lookIn(text, "/srv/a", "/srv/a b/c"); v.top.source != "/dev/sdc" || len(v.below) != 1 || v.below[0].id != 3 {
		t.Errorf("found %+v", v)
	}
	if v := lookIn(text, "/srv", ""); v.found {
		t.Errorf("found %+v", v)
	}
}

func BenchmarkProbe(b *testing.B) {
	needRoot(b)
	c := &Config{Device: disk(b, 16), Path: at(b), Type: "ext4", Mkfs: true, Fsck: "auto"}
	d := open(b, c)
	start(b, d)
	for range 40 - strings.Count(run(b, "cat", "/proc/self/mountinfo"), "\n") {
		path := at(b)
		if out, err := exec.Command("sh", "-c", `mkdir "$1" && mount -t tmpfs tmpfs "$1"`, "sh", path).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
	ctx := context.Background()
	var before unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if s, err := d.Status(ctx); err != nil || s.State != drivers.Up {
			b.Fatal(s, err)
		}
	}
	b.StopTimer()
	var after unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &after); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(after.Utime.Nano()+after.Stime.Nano()-before.Utime.Nano()-before.Stime.Nano())/float64(b.N), "cpu-ns/op")
	stop(b, d)
}
