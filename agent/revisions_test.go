package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/svcctl/svcctl/spec"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func set(pairs ...string) map[string][]byte {
	out := map[string][]byte{}
	for i := 0; i < len(pairs); i += 2 {
		out[pairs[i]] = []byte(pairs[i+1])
	}
	return out
}

func openStore(t *testing.T, state string) *revisions {
	t.Helper()
	r, err := openRevisions(state)
	must(t, err)
	return r
}

func wantFile(t *testing.T, r *revisions, number int, name, content string) {
	t.Helper()
	fsys, err := r.FS(number)
	must(t, err)
	is, err := fs.ReadFile(fsys, name)
	must(t, err)
	if string(is) != content {
		t.Fatalf("revision %d has %q in %s, not %q", number, is, name, content)
	}
}

func TestRevisionsAreReadBackAfterARestart(t *testing.T) {
	state := t.TempDir()
	r := openStore(t, state)
	if r.Current() != nil || r.Base("/srv/services") != nil {
		t.Fatal("an empty store knows a revision")
	}
	_, err := r.Put(set("a.hcl", "1", "team/b.hcl", "2"), "ada", noon)
	must(t, err)
	_, err = r.Put(set("a.hcl", "1", "team/c.hcl", "3"), "bob", noon.Add(time.Hour))
	must(t, err)
	must(t, r.SetBase("/srv/services/", 1))

	again := openStore(t, state)
	if c := again.Current(); c == nil || c.Number != 2 || c.Author != "bob" || !c.Time.Equal(noon.Add(time.Hour)) {
		t.Fatalf("in force: %+v", c)
	}
	if b := again.Base("/srv/services"); b == nil || b.Number != 1 || b.Digest != again.List()[0].Digest {
		t.Fatalf("base: %+v", b)
	}
	wantFile(t, again, 1, "team/b.hcl", "2")
	wantFile(t, again, 2, "team/c.hcl", "3")
	diff, err := again.Diff(1, 2)
	must(t, err)
	if got := fmt.Sprint(diff); got != "[{team/b.hcl removed} {team/c.hcl added}]" {
		t.Fatal(got)
	}
	if err := again.SetBase("/srv/services", 7); err == nil {
		t.Fatal("a base was set to a revision that does not exist")
	}
	fsys, err := again.FS(2)
	must(t, err)
	must(t, fstest.TestFS(fsys, "a.hcl", "team/c.hcl"))
}

func TestOldRevisionsAndTheirBlobsAreRemoved(t *testing.T) {
	state := t.TempDir()
	r := openStore(t, state)
	for i := range keptRevisions + 10 {
		if i == 30 {
			r = openStore(t, state) // the counts are rebuilt from the disk
		}
		_, err := r.Put(set("same.hcl", "same", "a.hcl", fmt.Sprint(i)), "ada", noon)
		must(t, err)
	}
	for folder, want := range map[string]int{"revisions": keptRevisions, "blobs": keptRevisions + 1} {
		entries, err := os.ReadDir(filepath.Join(state, "spec", folder))
		must(t, err)
		if len(entries) != want {
			t.Errorf("%s holds %d files, not %d", folder, len(entries), want)
		}
	}
	if l := r.List(); len(l) != keptRevisions || l[0].Number != 11 {
		t.Fatalf("%d kept, from %d", len(l), l[0].Number)
	}
	if _, err := r.FS(10); err == nil || !strings.Contains(err.Error(), "not kept") {
		t.Fatal(err)
	}
	wantFile(t, r, 11, "a.hcl", "10")
}

func TestOnlyNewBlobsAreWritten(t *testing.T) {
	r := openStore(t, t.TempDir())
	_, err := r.Put(set("a.hcl", "1", "b.hcl", "1", "c.hcl", "3"), "ada", noon)
	must(t, err)
	before, err := os.Stat(r.blobPath(sumOf([]byte("1"))))
	must(t, err)
	_, err = r.Put(set("a.hcl", "1", "c.hcl", "4"), "ada", noon)
	must(t, err)
	after, err := os.Stat(r.blobPath(sumOf([]byte("1"))))
	must(t, err)
	if !os.SameFile(before, after) {
		t.Fatal("a blob that was there was written again")
	}
}

func TestDamageIsNamed(t *testing.T) {
	state := t.TempDir()
	r := openStore(t, state)
	_, err := r.Put(set("a.hcl", "1", "b.hcl", "2"), "ada", noon)
	must(t, err)
	must(t, os.WriteFile(r.blobPath(sumOf([]byte("1"))), []byte("x"), 0o600))
	must(t, os.Remove(r.blobPath(sumOf([]byte("2")))))
	again := openStore(t, state)
	_, err = again.FS(1)
	for _, want := range []string{"a.hcl", "is damaged", "b.hcl", "is missing", "svcctl apply DIR"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("%v does not say %q", err, want)
		}
	}
	must(t, again.Heal(set("a.hcl", "1", "b.hcl", "2")))
	wantFile(t, openStore(t, state), 1, "a.hcl", "1")
	wantFile(t, openStore(t, state), 1, "b.hcl", "2")

	must(t, os.WriteFile(r.manifestPath(1), []byte(`{"number":1,"digest":"x"}`), 0o600))
	broken, err := openRevisions(state)
	if err == nil || !strings.Contains(err.Error(), "revision 1") {
		t.Fatalf("opening: %v", err)
	}
	if c := broken.Current(); c == nil || c.Number != 1 || c.Digest == r.Current().Digest {
		t.Fatalf("a damaged revision is taken for nothing: %+v", c)
	}
	rev, err := broken.Put(set("a.hcl", "1"), "ada", noon)
	must(t, err)
	if rev.Number != 2 {
		t.Fatalf("the number of the damaged revision was given again: %d", rev.Number)
	}
}

func TestACrashBetweenManifestAndCurrentKeepsTheNewRevision(t *testing.T) {
	state := t.TempDir()
	r := openStore(t, state)
	for _, c := range []string{"1", "2"} {
		_, err := r.Put(set("a.hcl", c), "ada", noon)
		must(t, err)
	}
	must(t, os.WriteFile(filepath.Join(state, "spec", "current"), []byte("1\n"), 0o600))
	again := openStore(t, state)
	if again.Current().Number != 2 {
		t.Fatal("the newest revision was forgotten")
	}
	must(t, again.Flush())
	if raw, _ := os.ReadFile(filepath.Join(state, "spec", "current")); string(raw) != "2\n" {
		t.Fatalf("current says %q", raw)
	}
}

func mount(t *testing.T, source, target, kind string, flags uintptr, options string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	if err := syscall.Mount(source, target, kind, flags, options); err != nil {
		t.Fatalf("mount %s: %v", target, err)
	}
	t.Cleanup(func() {
		for syscall.Unmount(target, syscall.MNT_DETACH) == nil { // a test may have unmounted it
		}
	})
}

// afterFault puts a revision that can't be written, then lets the test cure the
// disk, and wants everything to be there.
func afterFault(t *testing.T, r *revisions, state string, want error, cure func()) {
	t.Helper()
	rev, err := r.Put(set("a.hcl", "2", "big.txt", strings.Repeat("x", 1<<20)), "bob", noon)
	if !errors.Is(err, want) || !errors.Is(r.Fault(), want) {
		t.Fatalf("put: %v, not %v", err, want)
	}
	if r.Current().Number != rev.Number || r.Current().Digest != rev.Digest {
		t.Fatal("the revision in memory is not in force")
	}
	wantFile(t, r, rev.Number, "a.hcl", "2")
	if err := r.SetBase("/srv", rev.Number); !errors.Is(err, want) {
		t.Fatalf("base: %v", err)
	}
	if err := r.Flush(); !errors.Is(err, want) {
		t.Fatalf("flush before the cure: %v", err)
	}
	cure()
	must(t, r.Flush())
	if r.Fault() != nil {
		t.Fatal(r.Fault())
	}
	again := openStore(t, state)
	wantFile(t, again, rev.Number, "a.hcl", "2")
	if b := again.Base("/srv"); b == nil || b.Number != rev.Number {
		t.Fatalf("base after the cure: %+v", b)
	}
}

func TestAFullStateDirectoryIsWrittenOnceThereIsRoom(t *testing.T) {
	state := t.TempDir()
	mount(t, "tmpfs", state, "tmpfs", 0, "size=512k")
	r := openStore(t, state)
	_, err := r.Put(set("a.hcl", "1"), "ada", noon)
	must(t, err)
	afterFault(t, r, state, syscall.ENOSPC, func() {
		must(t, syscall.Mount("tmpfs", state, "tmpfs", syscall.MS_REMOUNT, "size=4m"))
	})
	wantFile(t, openStore(t, state), 1, "a.hcl", "1")
}

func TestAReadOnlyStateDirectoryIsReadAndWrittenLater(t *testing.T) {
	state := t.TempDir()
	_, err := openStore(t, state).Put(set("a.hcl", "1"), "ada", noon)
	must(t, err)
	mount(t, state, state, "", syscall.MS_BIND, "")
	must(t, syscall.Mount("", state, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	r, err := openRevisions(state)
	if err == nil { // the folders exist, so nothing had to be written
		wantFile(t, r, 1, "a.hcl", "1")
	} else {
		t.Fatal(err)
	}
	afterFault(t, r, state, syscall.EROFS, func() {
		must(t, syscall.Mount("", state, "", syscall.MS_BIND|syscall.MS_REMOUNT, ""))
	})
}

func TestAStateDirectoryThatIsGoneComesBackWhole(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	r := openStore(t, state)
	_, err := r.Put(set("a.hcl", "1"), "ada", noon)
	must(t, err)
	must(t, os.RemoveAll(state))
	must(t, os.WriteFile(state, nil, 0o600)) // not even a directory
	afterFault(t, r, state, syscall.ENOTDIR, func() { must(t, os.Remove(state)) })

	must(t, os.RemoveAll(state))
	must(t, r.Flush()) // nothing new, but the revision in force is missed
	wantFile(t, openStore(t, state), 2, "a.hcl", "2")
}

func TestRevisionsOfADiskThatCameLateAreNotOverwritten(t *testing.T) {
	state := t.TempDir()
	late := openStore(t, state)
	for _, c := range []string{"old 1", "old 2"} {
		_, err := late.Put(set("a.hcl", c), "ada", noon)
		must(t, err)
	}
	away := filepath.Join(t.TempDir(), "away")
	must(t, os.Rename(filepath.Join(state, "spec"), away))
	must(t, os.WriteFile(filepath.Join(state, "spec"), nil, 0o600))
	r, err := openRevisions(state)
	if err == nil {
		t.Fatal("a state directory that can't be written is no fault")
	}
	if _, err = r.Put(set("a.hcl", "new"), "bob", noon); err == nil {
		t.Fatal("stored nowhere")
	}
	must(t, os.Remove(filepath.Join(state, "spec")))
	must(t, os.Rename(away, filepath.Join(state, "spec")))
	must(t, r.Flush())
	again := openStore(t, state)
	wantFile(t, again, 1, "a.hcl", "old 1")
	wantFile(t, again, 3, "a.hcl", "new")
	if r.Current().Number != 3 || again.Current().Number != 3 {
		t.Fatalf("in force: %d, %d", r.Current().Number, again.Current().Number)
	}
}

func TestPendingRevisionsAreBounded(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	must(t, os.WriteFile(state, nil, 0o600))
	r, _ := openRevisions(state)
	for i := range 3 * keptRevisions {
		if _, err := r.Put(set("a.hcl", fmt.Sprint(i)), "ada", noon); err == nil {
			t.Fatal("stored nowhere")
		}
	}
	if len(r.unsaved) != keptRevisions || len(r.blobs) != keptRevisions || len(r.kept) != keptRevisions {
		t.Fatalf("%d, %d, %d pending", len(r.unsaved), len(r.blobs), len(r.kept))
	}
	must(t, os.Remove(state))
	must(t, r.Flush())
	wantFile(t, openStore(t, state), 3*keptRevisions, "a.hcl", fmt.Sprint(3*keptRevisions-1))
}

func TestADirectoryIsComparedWithTheRevisions(t *testing.T) {
	rev := func(n int, digest string) *Revision { return &Revision{Number: n, Digest: "d" + spec.Digest(digest)} }
	one, two, three := rev(1, "1"), rev(2, "2"), rev(3, "3")
	kept := []Revision{*one, *two, *three}
	for _, c := range []struct {
		name          string
		dir           string
		base, current *Revision
		want          standing
		says          []string
	}{
		{"the first start", "d1", nil, nil, standPublish, []string{"first"}},
		{"unchanged", "d3", three, three, standEqual, []string{"revision 3"}},
		{"equal, of unknown base", "d3", nil, three, standEqual, []string{"revision 3"}},
		{"equal, of an older base", "d3", one, three, standEqual, []string{"revision 3"}},
		{"changed from the one in force", "dx", three, three, standPublish, []string{"revision 3"}},
		{"set back by hand, base in force", "d1", three, three, standPublish, []string{"revision 3"}},
		{"a late pull: still the old base", "d1", one, three, standBehind, []string{"revision 1", "revision 3", "svcctl apply DIR"}},
		{"a late pull that moved, but not enough", "d2", one, three, standBehind, []string{"revision 2", "revision 3", "svcctl apply DIR"}},
		{"changed from an older one", "dx", two, three, standConflict, []string{"revision 2", "revision 3", "svcctl apply DIR"}},
		{"unknown base, differs", "dx", nil, three, standConflict, []string{"revision 3", "svcctl apply DIR"}},
		{"unknown base, an older revision", "d1", nil, three, standConflict, []string{"revision 3", "svcctl apply DIR"}},
		{"a base of the future: the state was restored", "d2", rev(9, "9"), three, standConflict, []string{"revision 9", "revision 3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := decideRevision(spec.Digest(c.dir), c.base, c.current, kept)
			if v.Standing != c.want {
				t.Fatalf("%s (%s), not %s", v.Standing, v.Reason, c.want)
			}
			for _, s := range c.says {
				if !strings.Contains(v.Reason, s) {
					t.Errorf("%q does not say %q", v.Reason, s)
				}
			}
		})
	}
}

func BenchmarkPutOneChangedFileOfAThousand(b *testing.B) {
	r, err := openRevisions(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	files := map[string][]byte{}
	for i := range 1000 {
		files[fmt.Sprintf("s%d.hcl", i)] = []byte(strings.Repeat(fmt.Sprint(i), 100))
	}
	_, _ = r.Put(files, "ada", noon)
	n := 0
	for b.Loop() {
		n++
		files["s7.hcl"] = []byte(fmt.Sprint("changed ", n))
		if _, err := r.Put(files, "ada", noon); err != nil {
			b.Fatal(err)
		}
	}
}
