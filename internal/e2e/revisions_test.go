package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// set writes a directory of one file that is not the agent's own.
func (n *node) set(name, text string) string {
	n.t.Helper()
	dir := n.path(name)
	must(n.t, os.MkdirAll(dir, 0o755))
	must(n.t, os.WriteFile(filepath.Join(dir, "a.hcl"), []byte(text), 0o644))
	return dir
}

func TestALateRevertIsBehindAndAnEditOfTheOldIsAConflict(t *testing.T) {
	t.Parallel()
	one, two, three := chain("a", "1", "1", "1"), chain("a", "1", "1", "2"), chain("a", "1", "1", "3")
	n := newNode(t, map[string]string{"a.hcl": one})
	n.start()
	n.isUp("a")
	n.write("a.hcl", two)
	n.revision(2)

	before := n.pids()
	n.wants(0, "apply", n.set("laptop", three))
	n.another(before, "a/app.beside")
	before = n.pids()
	running := []string{"a/app.first", "a/app.second", "a/app.beside"}

	n.write("a.hcl", one) // a pull that comes late
	n.spec("behind", "revision 1")
	n.same(before, running...)
	if out := n.wants(0, "status"); !strings.Contains(out, "behind") || !strings.Contains(out, "revision 3") {
		t.Errorf("the status says: %s", out)
	}

	n.write("a.hcl", chain("a", "1", "1", "4"))
	n.spec("conflict", "")
	n.same(before, running...)

	n.signal(syscall.SIGKILL) // the next agent must not publish it either
	n.start()
	n.spec("conflict", "")
	n.same(before, running...)

	n.write("a.hcl", three)
	n.revision(3)
	n.same(before, running...)
	n.write("a.hcl", two) // from the revision in force a change is one again, whatever it holds
	n.another(before, "a/app.beside")
	n.revision(4)
}

func TestWhatNoFileDeclaresGoesOnOverARestartUntilItIsPurged(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": chain("a", "1", "1", "1"), "b.hcl": chain("b", "1", "1", "1"), "c.hcl": chain("c", "1", "1", "1")})
	n.start()
	n.isUp("a", "b", "c")
	before := n.pids()
	n.wants(5, "purge", "b") // it is declared
	must(t, os.Remove(filepath.Join(n.services, "b.hcl")))
	must(t, os.Remove(filepath.Join(n.services, "c.hcl")))
	undeclared := func(names ...string) {
		t.Helper()
		n.until(fmt.Sprint(names, " undeclared"), func(s *status) string {
			for _, name := range names {
				if v := s.service(name); v == nil || !v.Undeclared || v.State != "up" {
					return fmt.Sprintf("%s: %+v", name, v)
				}
			}
			return ""
		})
	}
	undeclared("b", "c")
	n.signal(syscall.SIGKILL)
	n.start()
	undeclared("b", "c")
	n.same(before, "a/app.first", "b/app.first", "b/app.second", "c/app.first")

	// Healed like any other.
	kill(t, before["b/app.beside"])
	n.another(before, "b/app.beside")

	gone := func(name string) {
		t.Helper()
		n.until(name+" gone", func(s *status) string {
			if s.service(name) != nil {
				return "it is there"
			}
			for _, label := range []string{"first", "second"} {
				if address := name + "/app." + label; alive(before[address]) {
					return address + " lives"
				}
			}
			return ""
		})
	}
	n.wants(0, "purge", "b", "--timeout", "30s")
	gone("b")
	n.wants(0, "apply", "--prune", n.set("laptop", chain("a", "1", "1", "1")))
	gone("c")
	n.same(before, "a/app.first", "a/app.second", "a/app.beside")
}
