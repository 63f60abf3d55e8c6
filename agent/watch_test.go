package agent

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/hashicorp/go-hclog"
)

// patience bounds every wait for the kernel; only a failing test takes so long.
const patience = 20 * time.Second

func watch(t *testing.T, dir string) *watcher {
	t.Helper()
	w, err := newWatcher(dir, 0, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func wantChange(t *testing.T, w *watcher, what string) {
	t.Helper()
	select {
	case <-w.Changes():
	case <-time.After(patience):
		t.Fatalf("%s: no change was told", what)
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
}

// settled receives changes until the directory is told after its content is as
// wanted: some ways of saving rest in their middle, and are rightly told twice.
func settled(t *testing.T, w *watcher, path, content string) {
	t.Helper()
	for deadline := time.After(patience); ; {
		select {
		case <-w.Changes():
			if is, err := os.ReadFile(path); err == nil && string(is) == content {
				return
			}
		case <-deadline:
			t.Fatalf("%s: no change was told after its content was %q", path, content)
		}
	}
}

func TestEachEditorsWayOfSavingIsTold(t *testing.T) {
	ways := []struct {
		name string
		save func(t *testing.T, dir, content string)
	}{
		{"a file renamed into place", func(t *testing.T, dir, content string) {
			from := filepath.Join(filepath.Dir(dir), "elsewhere")
			put(t, from, content)
			must(t, os.Rename(from, filepath.Join(dir, "a.hcl")))
		}},
		{"rsync: a dot file written in pieces, then renamed", func(t *testing.T, dir, content string) {
			tmp := filepath.Join(dir, ".a.hcl.Xy12Zz")
			put(t, tmp, content[:1])
			f, err := os.OpenFile(tmp, os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = f.WriteString(content[1:])
			must(t, err)
			must(t, f.Close())
			must(t, os.Rename(tmp, filepath.Join(dir, "a.hcl")))
		}},
		{"vim with a backup: the old file moved away, a new one written", func(t *testing.T, dir, content string) {
			file := filepath.Join(dir, "a.hcl")
			put(t, filepath.Join(dir, "4913"), "")
			must(t, os.Remove(filepath.Join(dir, "4913")))
			must(t, os.Rename(file, file+"~"))
			put(t, file, content)
			must(t, os.Chmod(file, 0o644))
			must(t, os.Remove(file+"~"))
		}},
		{"an editor that writes in place", func(t *testing.T, dir, content string) {
			f, err := os.OpenFile(filepath.Join(dir, "a.hcl"), os.O_TRUNC|os.O_WRONLY, 0)
			must(t, err)
			for _, c := range []byte(content) {
				_, err := f.Write([]byte{c})
				must(t, err)
			}
			must(t, f.Close())
		}},
		{"sed -i", func(t *testing.T, dir, content string) {
			run(t, dir, "sed", "-i", "s/.*/"+content+"/", "a.hcl")
			raw, err := os.ReadFile(filepath.Join(dir, "a.hcl"))
			must(t, err)
			if string(raw) != content {
				t.Fatalf("sed wrote %q", raw)
			}
		}},
		{"vim itself", func(t *testing.T, dir, content string) {
			run(t, dir, "vim", "-u", "NONE", "-es", "-c", "set noeol nofixeol backup backupdir=. backupcopy=no", "-c", "%s/.*/"+content+"/", "-c", "wq", "a.hcl")
		}},
	}
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "services")
			put(t, filepath.Join(dir, "a.hcl"), "old")
			w := watch(t, dir)
			way.save(t, dir, "new")
			settled(t, w, filepath.Join(dir, "a.hcl"), "new")
		})
	}
}

func TestAGitCheckoutIsToldOnceItsLockIsGone(t *testing.T) {
	dir := t.TempDir()
	services := filepath.Join(dir, "services") // below the work tree, as in a repository of more than services
	run(t, dir, "git", "init", "-q", "-b", "main")
	commit := func(content string) {
		for i := range 50 {
			put(t, filepath.Join(services, fmt.Sprintf("s%d.hcl", i)), content)
		}
		run(t, dir, "git", "add", ".")
		run(t, dir, "git", "-c", "user.name=n", "-c", "user.email=e@example.org", "commit", "-q", "-m", content)
	}
	commit("old")
	run(t, dir, "git", "checkout", "-q", "-b", "next")
	commit("new")
	put(t, filepath.Join(services, "more", "m.hcl"), "new")
	w := watch(t, services)
	run(t, dir, "git", "checkout", "-q", "main")
	settled(t, w, filepath.Join(services, "s49.hcl"), "old")

	lock := filepath.Join(dir, ".git", "index.lock")
	put(t, lock, "")
	put(t, filepath.Join(services, "s0.hcl"), "half")
	drainUntil := time.After(10 * w.times.written) // long enough for the signal, were it not held back
	select {
	case <-w.Changes():
		t.Fatal("told while git holds its lock")
	case <-drainUntil:
	}
	put(t, filepath.Join(services, "s0.hcl"), "whole")
	must(t, os.Remove(lock))
	settled(t, w, filepath.Join(services, "s0.hcl"), "whole")
}

func TestALockThatGitLeftBehindHoldsTheSignalBackForABoundedTime(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, ".git", "index.lock"), "")
	times := defaultWatchTimes(time.Millisecond)
	times.lock = 50 * time.Millisecond
	w, err := startWatcher(dir, times, hclog.NewNullLogger())
	must(t, err)
	defer w.Close()
	put(t, filepath.Join(dir, "a.hcl"), "new")
	wantChange(t, w, "a stale lock")
}

func TestASwappedLinkIsTold(t *testing.T) {
	for _, place := range []string{"the directory itself", "an element of its path"} {
		t.Run(place, func(t *testing.T) {
			top := t.TempDir()
			put(t, filepath.Join(top, "v1", "services", "a.hcl"), "old")
			put(t, filepath.Join(top, "v2", "services", "a.hcl"), "new")
			dir, target := filepath.Join(top, "current"), "v%d/services"
			if place != "the directory itself" {
				dir, target = filepath.Join(top, "current", "services"), "v%d"
			}
			link := filepath.Join(top, "current")
			must(t, os.Symlink(fmt.Sprintf(target, 1), link))
			w := watch(t, dir)
			must(t, os.Symlink(fmt.Sprintf(target, 2), link+".new"))
			must(t, os.Rename(link+".new", link))
			settled(t, w, filepath.Join(dir, "a.hcl"), "new")
			put(t, filepath.Join(top, "v2", "services", "a.hcl"), "newer")
			settled(t, w, filepath.Join(dir, "a.hcl"), "newer")
		})
	}
}

func TestAConfigurationVolumeOfLinksIsTold(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "..2025_01", "a.hcl"), "old")
	must(t, os.Symlink("..2025_01", filepath.Join(dir, "..data")))
	must(t, os.Symlink("..data/a.hcl", filepath.Join(dir, "a.hcl")))
	w := watch(t, dir)
	put(t, filepath.Join(dir, "..2025_02", "a.hcl"), "new")
	must(t, os.Symlink("..2025_02", filepath.Join(dir, "..data_tmp")))
	must(t, os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	settled(t, w, filepath.Join(dir, "a.hcl"), "new")
}

func TestADirectoryThatVanishesAndComesBackIsTold(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "etc", "services")
	put(t, filepath.Join(dir, "a.hcl"), "old")
	w := watch(t, dir)
	must(t, os.RemoveAll(filepath.Join(top, "etc")))
	wantChange(t, w, "the directory is gone")
	put(t, filepath.Join(dir, "a.hcl"), "back")
	settled(t, w, filepath.Join(dir, "a.hcl"), "back")
	put(t, filepath.Join(dir, "a.hcl"), "again")
	settled(t, w, filepath.Join(dir, "a.hcl"), "again")

	must(t, os.Rename(dir, dir+".away"))
	put(t, filepath.Join(dir, "a.hcl"), "other")
	settled(t, w, filepath.Join(dir, "a.hcl"), "other")
	put(t, filepath.Join(dir, "a.hcl"), "other still")
	settled(t, w, filepath.Join(dir, "a.hcl"), "other still")
}

func TestAChangeInANewFolderIsTold(t *testing.T) {
	dir := t.TempDir()
	w := watch(t, dir)
	put(t, filepath.Join(dir, "team", "deep", "a.hcl"), "1")
	settled(t, w, filepath.Join(dir, "team", "deep", "a.hcl"), "1")
	put(t, filepath.Join(dir, "team", "deep", "a.hcl"), "2")
	settled(t, w, filepath.Join(dir, "team", "deep", "a.hcl"), "2")
	must(t, os.Rename(filepath.Join(dir, "team"), filepath.Join(dir, "crew")))
	wantChange(t, w, "a renamed folder")
	put(t, filepath.Join(dir, "crew", "deep", "a.hcl"), "3")
	settled(t, w, filepath.Join(dir, "crew", "deep", "a.hcl"), "3")
}

func TestDotFilesAndNeighboursAreNotTold(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "services")
	put(t, filepath.Join(dir, "a.hcl"), "1")
	w := watch(t, dir)
	put(t, filepath.Join(dir, ".a.hcl.swp"), "x")
	put(t, filepath.Join(top, "agent.hcl"), "x")
	put(t, filepath.Join(dir, ".git", "HEAD"), "x")
	select {
	case <-w.Changes():
		t.Fatal("a change was told")
	case <-time.After(4 * w.times.written):
	}
}

func TestAnOverflowOfTheKernelsQueueIsTold(t *testing.T) {
	w := watch(t, t.TempDir())
	w.fsw.Errors <- fsnotify.ErrEventOverflow
	wantChange(t, w, "an overflow")
}

func TestABurstWithoutEndIsToldWithinItsBound(t *testing.T) {
	times := defaultWatchTimes(time.Hour) // it never rests
	times.longest = 100 * time.Millisecond
	dir := t.TempDir()
	w, err := startWatcher(dir, times, hclog.NewNullLogger())
	must(t, err)
	defer w.Close()
	put(t, filepath.Join(dir, "a.hcl"), "1")
	wantChange(t, w, "continuous writes")
}

func TestTheSafetyNetFindsWhatNoEventTold(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "a", "b", "services")
	put(t, filepath.Join(dir, "a.hcl"), "1")
	put(t, filepath.Join(top, "new", "b", "services", "a.hcl"), "22")
	times := defaultWatchTimes(0)
	times.net = 50 * time.Millisecond
	w, err := startWatcher(dir, times, hclog.NewNullLogger())
	must(t, err)
	defer w.Close()
	// Two folders above: nothing that is watched is touched.
	must(t, os.Rename(filepath.Join(top, "a"), filepath.Join(top, "old")))
	must(t, os.Rename(filepath.Join(top, "new"), filepath.Join(top, "a")))
	settled(t, w, filepath.Join(dir, "a.hcl"), "22")
}

// The limits are real: a user namespace has its own, so nobody else's watches are short.
func TestWhereWatchesAreShortItPollsAndNamesTheSysctl(t *testing.T) {
	const child = "SVCCTL_TEST_WATCH_LIMIT"
	if name := os.Getenv(child); name != "" {
		must(t, os.WriteFile("/proc/sys/user/max_inotify_"+name, []byte("1"), 0))
		if name == "instances" {
			spent, err := fsnotify.NewWatcher() // takes the only one
			must(t, err)
			defer spent.Close()
		}
		var log bytes.Buffer
		dir := t.TempDir()
		put(t, filepath.Join(dir, "below", "a.hcl"), "1")
		times := defaultWatchTimes(0)
		times.poll = 20 * time.Millisecond
		w, err := startWatcher(dir, times, hclog.New(&hclog.LoggerOptions{Output: &log}))
		must(t, err)
		put(t, filepath.Join(dir, "below", "a.hcl"), "22")
		settled(t, w, filepath.Join(dir, "below", "a.hcl"), "22")
		w.Close()
		if want := "fs.inotify.max_user_" + name; strings.Count(log.String(), want) != 1 {
			t.Fatalf("the log does not name %s once:\n%s", want, log.String())
		}
		return
	}
	if os.Getuid() != 0 {
		t.Skip("limits of a user namespace are set by root")
	}
	for _, name := range []string{"watches", "instances"} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^"+strings.Split(t.Name(), "/")[0]+"$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), child+"="+name)
			cmd.SysProcAttr = &syscall.SysProcAttr{
				Cloneflags:  syscall.CLONE_NEWUSER,
				UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
				GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 0, Size: 1}},
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

func BenchmarkRenameToSignal(b *testing.B) {
	top := b.TempDir()
	dir := filepath.Join(top, "services")
	_ = os.Mkdir(dir, 0o755)
	for i := range 1000 {
		_ = os.WriteFile(filepath.Join(dir, fmt.Sprintf("s%d.hcl", i)), []byte("service"), 0o644)
	}
	w, err := newWatcher(dir, 0, hclog.NewNullLogger())
	if err != nil {
		b.Fatal(err)
	}
	defer w.Close()
	for b.Loop() {
		_ = os.WriteFile(filepath.Join(top, "new"), []byte("x"), 0o644)
		_ = os.Rename(filepath.Join(top, "new"), filepath.Join(dir, "s7.hcl"))
		<-w.Changes()
	}
}
