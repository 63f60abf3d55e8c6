package agent

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"
)

func read(t *testing.T, dir string, prev *fileSet) *fileSet {
	t.Helper()
	s, err := snapshotFS(t.Context(), dir, defaultSetLimits, prev)
	must(t, err)
	return s
}

func TestASetIsReadWithItsFoldersAndLinks(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "services")
	put(t, filepath.Join(dir, "a.hcl"), "a")
	put(t, filepath.Join(dir, "team", "b.hcl"), "b")
	put(t, filepath.Join(dir, "team", "motd.txt"), "for file()")
	put(t, filepath.Join(dir, ".git", "c.hcl"), "x")
	put(t, filepath.Join(dir, ".hidden.hcl"), "x")
	put(t, filepath.Join(dir, "a.hcl~"), "x")
	put(t, filepath.Join(top, "shared", "d.hcl"), "d")
	must(t, os.Symlink("../shared", filepath.Join(dir, "shared")))
	must(t, os.Symlink("nowhere", filepath.Join(dir, "dangling.hcl")))
	s := read(t, dir, nil)
	if len(s.Files()) != 4 {
		t.Fatalf("read %v", s.Files())
	}
	must(t, fstest.TestFS(s, "a.hcl", "team/b.hcl", "team/motd.txt", "shared/d.hcl"))
	if c, err := fs.ReadFile(s, "shared/d.hcl"); err != nil || string(c) != "d" {
		t.Fatalf("%q, %v", c, err)
	}
	if s.Digest() != contentFiles(s.Files()).Digest() || s.Digest() == contentFiles(set("a.hcl", "a")).Digest() {
		t.Fatal("a digest is not that of names and content")
	}
}

func TestWhatIsNoSetIsAnError(t *testing.T) {
	empty, only, loop, large := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	put(t, filepath.Join(only, "README.md"), "x")
	put(t, filepath.Join(loop, "a.hcl"), "x")
	must(t, os.Symlink(".", filepath.Join(loop, "again")))
	put(t, filepath.Join(large, "a.hcl"), strings.Repeat("x", 101))
	file := filepath.Join(only, "README.md")
	limits := defaultSetLimits
	limits.FileSize = 100
	for _, c := range []struct{ dir, says string }{
		{filepath.Join(empty, "none"), "does not exist"},
		{empty, "refusing to treat it as an empty set"},
		{only, "refusing to treat it as an empty set"},
		{file, "is not a directory"},
		{loop, "is a link to a folder that it lies in"},
		{large, "larger than 100 bytes"},
	} {
		if _, err := snapshotFS(t.Context(), c.dir, limits, nil); err == nil || !strings.Contains(err.Error(), c.says) || !strings.HasPrefix(err.Error(), "cannot read the services in "+c.dir) {
			t.Errorf("%v does not say %q", err, c.says)
		}
	}
	limits = defaultSetLimits
	limits.Size = 100
	if _, err := snapshotFS(t.Context(), large, limits, nil); err == nil || !strings.Contains(err.Error(), "100 bytes together") {
		t.Error(err)
	}
	limits = defaultSetLimits
	limits.Files = 0
	if _, err := snapshotFS(t.Context(), large, limits, nil); err == nil || !strings.Contains(err.Error(), "more than 0 files") {
		t.Error(err)
	}
}

func TestUnchangedFilesAreNotReadAgain(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a.hcl", "b.hcl", "young.hcl"} {
		put(t, filepath.Join(dir, name), "1")
	}
	first := read(t, dir, nil)
	// As if the first read came long after the files were written.
	for _, name := range []string{"a.hcl", "b.hcl"} {
		first.files[name].readAt = time.Now().Add(time.Hour)
	}
	put(t, filepath.Join(dir, "b.hcl"), "2")
	second := read(t, dir, first)
	if second.files["a.hcl"] != first.files["a.hcl"] {
		t.Error("an unchanged file was read again")
	}
	if string(second.files["b.hcl"].content) != "2" {
		t.Error("a changed file was not read again")
	}
	if second.files["young.hcl"] == first.files["young.hcl"] {
		t.Error("a file too young for its times to tell was not read again")
	}
	if second.Digest() == first.Digest() {
		t.Error("a change did not change the digest")
	}
}

func TestASetThatKeepsChangingIsRefusedAndNeverMixed(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.hcl"), "0")
	stop := make(chan struct{})
	var writer sync.WaitGroup
	started := make(chan struct{})
	writer.Go(func() {
		for i := 0; ; i++ {
			tmp := filepath.Join(dir, ".new")
			_ = os.WriteFile(tmp, []byte(fmt.Sprint(i)), 0o644)
			_ = os.Rename(tmp, filepath.Join(dir, "a.hcl"))
			_ = os.WriteFile(tmp, []byte(fmt.Sprint(i)), 0o644)
			_ = os.Rename(tmp, filepath.Join(dir, "b.hcl"))
			if i == 0 {
				close(started)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	<-started
	for range 50 {
		s, err := snapshotFS(t.Context(), dir, defaultSetLimits, nil)
		if err != nil {
			if !strings.Contains(err.Error(), "3 times in a row") {
				t.Error(err)
			}
			continue
		}
		var a, b int
		_, _ = fmt.Sscan(string(s.files["a.hcl"].content), &a)
		_, _ = fmt.Sscan(string(s.files["b.hcl"].content), &b)
		if a != b && a != b+1 {
			t.Errorf("a is of turn %d, b of turn %d", a, b)
		}
	}
	close(stop)
	writer.Wait()
	s := read(t, dir, nil)
	if string(s.files["a.hcl"].content) != string(s.files["b.hcl"].content) {
		t.Error("a set at rest was not read as it is")
	}
}

func TestDifferencesBetweenTwoLooksAreNamed(t *testing.T) {
	one := &setWalk{files: []setFile{{name: "a.hcl", path: "/s/a.hcl", id: identity{ino: 1}}}}
	other := &setWalk{files: []setFile{{name: "a.hcl", path: "/s/a.hcl", id: identity{ino: 2}}}}
	if d := difference(one, one); d != "" {
		t.Error(d)
	}
	if d := difference(one, other); d != "/s/a.hcl changed" {
		t.Error(d)
	}
	if d := difference(one, &setWalk{}); d != "1 files became 0" {
		t.Error(d)
	}
}

func TestAReaderWaitsForGitAndForNothingElse(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "a.hcl"), "half")
	lock := filepath.Join(dir, ".git", "index.lock")
	put(t, lock, "")
	done := make(chan *fileSet, 1)
	go func() {
		s, _ := snapshotFS(t.Context(), dir, defaultSetLimits, nil)
		done <- s
	}()
	put(t, filepath.Join(dir, "a.hcl"), "whole")
	must(t, os.Remove(lock))
	select {
	case s := <-done:
		if s == nil || string(s.files["a.hcl"].content) != "whole" {
			t.Fatalf("read %v", s)
		}
	case <-time.After(patience):
		t.Fatal("still waiting")
	}
	put(t, lock, "")
	limits := defaultSetLimits
	limits.GitWait = time.Millisecond
	if _, err := snapshotFS(t.Context(), dir, limits, nil); err != nil {
		t.Fatalf("a lock left behind keeps the services from being read: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := snapshotFS(ctx, dir, defaultSetLimits, nil); err == nil {
		t.Fatal("read though its context has ended")
	}
	// A FIFO is no file of the set and must not hold the reader.
	must(t, syscall.Mkfifo(filepath.Join(dir, "pipe.hcl"), 0o600))
	if s, err := snapshotFS(t.Context(), dir, limits, nil); err != nil || len(s.Files()) != 1 {
		t.Fatalf("%v, %v", s, err)
	}
}

func TestALinkedWorkTreeHasItsLockElsewhere(t *testing.T) {
	top := t.TempDir()
	put(t, filepath.Join(top, "tree", ".git"), "gitdir: ../main/.git/worktrees/tree\n")
	put(t, filepath.Join(top, "tree", "services", "a.hcl"), "x")
	put(t, filepath.Join(top, "main", ".git", "worktrees", "tree", "index.lock"), "")
	if !gitBusy(filepath.Join(top, "tree", "services")) {
		t.Fatal("the lock was not seen")
	}
}

func BenchmarkReadAThousandFilesOneChanged(b *testing.B) {
	dir := b.TempDir()
	for i := range 1000 {
		_ = os.WriteFile(filepath.Join(dir, fmt.Sprintf("s%d.hcl", i)), []byte(strings.Repeat("x", 500)), 0o644)
	}
	prev, err := snapshotFS(b.Context(), dir, defaultSetLimits, nil)
	if err != nil {
		b.Fatal(err)
	}
	for _, e := range prev.files {
		e.readAt = time.Now().Add(time.Hour)
	}
	for b.Loop() {
		_ = os.WriteFile(filepath.Join(dir, "s7.hcl"), []byte(fmt.Sprint(b.N)), 0o644)
		if _, err := snapshotFS(b.Context(), dir, defaultSetLimits, prev); err != nil {
			b.Fatal(err)
		}
	}
}
