package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// chain is three apps, two of them in a row; their commands carry a word.
func chain(name, first, second, beside string) string {
	app := func(label, word, after string) string {
		return fmt.Sprintf("  app %q {\n    command = [\"/bin/sh\", \"-c\", \"exec sleep 1000\", %q]\n%s  }\n", label, word, after)
	}
	return fmt.Sprintf("service %q {\n%s%s%s}\n", name,
		app("first", first, ""), app("second", second, "    after = [app.first]\n"), app("beside", beside, ""))
}

func TestAnEditedAppAndItsDependentsGetANewProcessAndNothingElseDoes(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": chain("a", "1", "1", "1"), "b.hcl": chain("b", "1", "1", "1")})
	n.start()
	n.isUp("a", "b")

	before := n.pids()
	n.write("a.hcl", chain("a", "2", "1", "1"))
	n.another(before, "a/app.first", "a/app.second")
	n.same(before, "a/app.beside", "b/app.first", "b/app.second", "b/app.beside")

	before = n.pids()
	n.write("a.hcl", chain("a", "2", "2", "1"))
	n.another(before, "a/app.second")
	n.same(before, "a/app.first", "a/app.beside", "b/app.first", "b/app.second", "b/app.beside")
	n.revision(3)
}

func TestBrokenEmptiedAndDeletedFilesStopNothing(t *testing.T) {
	t.Parallel()
	good := chain("a", "1", "1", "1")
	n := newNode(t, map[string]string{"a.hcl": good, "b.hcl": chain("b", "1", "1", "1")})
	n.start()
	n.isUp("a", "b")
	before := n.pids()
	all := []string{"a/app.first", "a/app.second", "a/app.beside", "b/app.first", "b/app.second", "b/app.beside"}

	// Half written, in place, as a disk that fills up leaves it.
	must(t, os.WriteFile(filepath.Join(n.services, "a.hcl"), []byte(good[:len(good)/2]), 0o644))
	n.spec("invalid", "")
	n.same(before, all...)
	if out := n.wants(0, "status"); !strings.Contains(out, "a.hcl:") {
		t.Errorf("the status does not show where the mistake is: %s", out)
	}
	n.write("a.hcl", good)
	n.spec("current", "")

	// Emptied.
	aside := n.path("aside")
	must(t, os.MkdirAll(aside, 0o755))
	for _, f := range []string{"a.hcl", "b.hcl"} {
		must(t, os.Rename(filepath.Join(n.services, f), filepath.Join(aside, f)))
	}
	n.spec("invalid", "")
	n.same(before, all...)

	// Gone altogether, and back.
	must(t, os.RemoveAll(n.services))
	n.spec("invalid", "")
	must(t, os.Rename(aside, n.services))
	n.spec("current", "")
	n.same(before, all...)

	// One file deleted.
	must(t, os.Remove(filepath.Join(n.services, "b.hcl")))
	n.until("b is undeclared", func(s *status) string {
		if v := s.service("b"); v == nil || !v.Undeclared || v.State != "up" {
			return fmt.Sprintf("%+v", v)
		}
		return ""
	})
	n.same(before, all...)
	n.write("b.hcl", chain("b", "1", "1", "1"))
	n.until("b is declared again", func(s *status) string {
		if v := s.service("b"); v == nil || v.Undeclared {
			return fmt.Sprintf("%+v", v)
		}
		return ""
	})
	n.same(before, all...)
}

func TestEveryEditorsWayOfSavingIsSeen(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": chain("a", "0", "0", "0")})
	n.start()
	n.isUp("a")
	file := filepath.Join(n.services, "a.hcl")
	ways := []struct {
		name string
		save func(word string)
	}{
		{"in place", func(word string) {
			must(t, os.WriteFile(file, []byte(chain("a", "0", "0", word)), 0o644))
		}},
		{"vim: the old one aside, a new one written, the old one removed", func(word string) {
			must(t, os.Rename(file, file+"~"))
			must(t, os.WriteFile(file, []byte(chain("a", "0", "0", word)), 0o644))
			must(t, os.Remove(file+"~"))
		}},
		{"vim itself", func(word string) {
			if _, err := exec.LookPath("vim"); err != nil {
				n.write("a.hcl", chain("a", "0", "0", word))
				return
			}
			must(t, os.WriteFile(n.path("edited"), []byte(chain("a", "0", "0", word)), 0o644))
			sh(t, "vim", "-u", "NONE", "-i", "NONE", "-es", "-c", "%!cat "+n.path("edited"), "-c", "wq", file)
		}},
		{"sed -i", func(word string) {
			sh(t, "sed", "-i", "/beside/,/}/ s/sleep 1000\", \".*\"]/sleep 1000\", \""+word+"\"]/", file)
		}},
		{"rsync: a hidden draft, renamed over", func(word string) {
			draft := filepath.Join(n.services, ".a.hcl.x7Yq2Z")
			must(t, os.WriteFile(draft, []byte(chain("a", "0", "0", word)), 0o600))
			must(t, os.Rename(draft, file))
		}},
		{"rsync itself", func(word string) {
			from := n.path("rsync")
			must(t, os.MkdirAll(from, 0o755))
			must(t, os.WriteFile(filepath.Join(from, "a.hcl"), []byte(chain("a", "0", "0", word)), 0o644))
			if _, err := exec.LookPath("rsync"); err != nil {
				sh(t, "cp", filepath.Join(from, "a.hcl"), file)
				return
			}
			sh(t, "rsync", "-a", "--checksum", from+"/", n.services+"/")
		}},
	}
	for i, w := range ways {
		before := n.pids()
		w.save(fmt.Sprintf("w%d", i))
		n.another(before, "a/app.beside")
		n.same(before, "a/app.first", "a/app.second")
		t.Log("seen:", w.name)
	}
}

func TestACheckoutOfGitIsOneChange(t *testing.T) {
	t.Parallel()
	needs(t, "git")
	n := newNode(t, map[string]string{"a.hcl": chain("a", "1", "1", "1"), "b.hcl": chain("b", "1", "1", "1")})
	git := func(args ...string) {
		t.Helper()
		sh(t, "git", append([]string{"-C", n.services, "-c", "user.name=e2e", "-c", "user.email=e2e@example.org"}, args...)...)
	}
	git("init", "-q", "-b", "main")
	git("add", ".")
	git("commit", "-q", "-m", "one")
	git("checkout", "-q", "-b", "next")
	n.write("a.hcl", chain("a", "1", "1", "2"))
	n.write("b.hcl", chain("b", "1", "1", "2"))
	git("commit", "-q", "-a", "-m", "two")
	git("checkout", "-q", "main")
	n.start()
	n.isUp("a", "b")
	n.revision(1)
	before := n.pids()
	git("checkout", "-q", "next")
	n.another(before, "a/app.beside", "b/app.beside")
	n.same(before, "a/app.first", "a/app.second", "b/app.first", "b/app.second")
	n.revision(2)
}

func TestASwappedSymbolicLinkIsAChange(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	for i, word := range []string{"1", "2"} {
		release := n.path("releases", fmt.Sprint(i))
		must(t, os.MkdirAll(release, 0o755))
		must(t, os.WriteFile(filepath.Join(release, "a.hcl"), []byte(chain("a", "1", "1", word)), 0o644))
	}
	must(t, os.Remove(n.services))
	must(t, os.Symlink("releases/0", n.services))
	n.start()
	n.isUp("a")
	before := n.pids()
	must(t, os.Symlink("releases/1", n.path("draft")))
	must(t, os.Rename(n.path("draft"), n.services))
	n.another(before, "a/app.beside")
	n.same(before, "a/app.first", "a/app.second")
}
