package e2e

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// onSmallDisk puts the state directory of a node on a file system of its own.
func onSmallDisk(t *testing.T, n *node) {
	t.Helper()
	must(t, os.MkdirAll(n.path("state"), 0o755))
	sh(t, "mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", n.path("state"))
	t.Cleanup(func() {
		n.tearDown() // first: the disk is in use
		sh(t, "umount", "-l", n.path("state"))
	})
}

// store waits until the status says that something is wrong with the state
// directory, or that nothing is.
func (n *node) store(wrong bool) {
	n.t.Helper()
	n.until(map[bool]string{true: "the state directory is told to be broken", false: "the state directory is well"}[wrong], func(s *status) string {
		if (s.Cluster.Spec.Store != "") != wrong {
			return "it says " + s.Cluster.Spec.Store
		}
		return ""
	})
}

// goesOn edits, kills and restarts on a node whose state directory is broken.
func (n *node) goesOn(word string) {
	n.t.Helper()
	before := n.pids()
	n.write("a.hcl", chain("a", "1", "1", word))
	n.another(before, "a/app.beside")
	n.same(before, "a/app.first", "a/app.second")
	n.store(true)

	before = n.pids()
	kill(n.t, before["a/app.second"])
	n.another(before, "a/app.second")
	n.same(before, "a/app.first", "a/app.beside")

	before = n.pids()
	n.signal(syscall.SIGKILL)
	n.start()
	n.isUp("a")
	// The edit could not be kept: to this agent it is a new one, so that what it
	// changed may start once more.
	n.same(before, "a/app.first", "a/app.second")
	n.spec("current", "")
	n.isUp("a")
}

// remembers restarts the agent and edits once more: all is as it was before the fault.
func (n *node) remembers(word string) {
	n.t.Helper()
	n.store(false)
	before := n.pids()
	n.write("a.hcl", chain("a", "1", "1", word))
	n.another(before, "a/app.beside")
	before = n.pids()
	n.spec("current", "")
	n.signal(syscall.SIGKILL)
	n.start()
	n.isUp("a")
	n.spec("current", "")
	n.store(false)
	n.same(before, "a/app.first", "a/app.second", "a/app.beside")
}

func TestAFullStateDirectoryStopsNothing(t *testing.T) {
	needsRoot(t)
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": chain("a", "1", "1", "1")})
	onSmallDisk(t, n)
	n.start()
	n.isUp("a")
	filler := n.path("state", "filler")
	_, err := command("/", "dd", "if=/dev/zero", "of="+filler, "bs=1k", "count=1000")
	if err == nil {
		t.Fatal("the disk did not fill up")
	}
	n.goesOn("full")
	must(t, os.Remove(filler))
	n.remembers("room")
}

func TestAReadOnlyStateDirectoryStopsNothing(t *testing.T) {
	needsRoot(t)
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": chain("a", "1", "1", "1")})
	onSmallDisk(t, n)
	n.start()
	n.isUp("a")
	// No operator can make it read-only while outputs are written on it; a fault of the
	// disk can. To whoever opens a file from now on this is the same.
	sh(t, "mount", "--bind", n.path("state"), n.path("state"))
	sh(t, "mount", "-o", "remount,bind,ro", n.path("state"))
	t.Cleanup(func() {
		if t.Failed() {
			_, _ = command("/", "umount", "-l", n.path("state"))
		}
	})
	n.goesOn("readonly")
	sh(t, "umount", "-l", n.path("state"))
	n.remembers("writable")
}

func TestAStateDirectoryThatIsGoneStopsNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": chain("a", "1", "1", "1")})
	n.start()
	n.isUp("a")
	before := n.pids()
	must(t, os.RemoveAll(n.path("state")))
	n.write("a.hcl", chain("a", "1", "1", "gone"))
	n.another(before, "a/app.beside")
	n.same(before, "a/app.first", "a/app.second")
	before = n.pids()
	kill(t, before["a/app.second"])
	n.another(before, "a/app.second")
	n.remembers("back")
	if _, err := os.Stat(filepath.Join(n.dir, "state", "spec")); err != nil {
		t.Errorf("the state directory was not made again: %v", err)
	}
}
