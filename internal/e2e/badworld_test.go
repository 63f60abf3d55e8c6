package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const fine = `service "fine" {
  app "main" {
    command = ["sleep", "1000"]
  }
}
`

// broken is a service whose resource can't start, and an app that is after it.
func broken(name, address, block string) string {
	return fmt.Sprintf("service %q {\n%s\n  app \"next\" {\n    command = [\"sleep\", \"1000\"]\n    after   = [%s]\n  }\n}\n", name, block, address)
}

// badWorlds each lack something that a resource needs.
var badWorlds = []struct {
	name, address string
	root          bool
	block         string
	says          []string
}{
	{"device", "mount.data", true, `  mount "data" {
    device = "/dev/e2e-no-such-device"
    path   = "/srv/e2e-never"
    type   = "ext4"
  }`, []string{"/dev/e2e-no-such-device", "does not exist"}},
	{"user", "app.main", false, `  app "main" {
    command = ["sleep", "1000"]
    user    = "e2e-nobody"
  }`, []string{"e2e-nobody"}},
	{"command", "app.main", false, `  app "main" {
    command = ["e2e-no-such-command"]
  }`, []string{"e2e-no-such-command", "no such program"}},
	{"directory", "app.main", false, `  app "main" {
    command = ["sleep", "1000"]
    cwd     = "/e2e-no-such-directory"
  }`, []string{"/e2e-no-such-directory"}},
	{"interface", "ip.vip", true, `  ip "vip" {
    address   = "192.0.2.10/24"
    interface = "e2e-none"
  }`, []string{"e2e-none"}},
	{"file", "loop.disk", true, `  loop "disk" {
    file = "/srv/e2e-no-such-file.img"
  }`, []string{"/srv/e2e-no-such-file.img"}},
	{"hook", "app.main", false, `  app "main" {
    command      = ["sleep", "1000"]
    before_start = ["sleep", "1000"]
    timeouts {
      start = "300ms"
    }
  }`, []string{"before_start"}},
}

func TestWhatCannotStartSaysWhyOnceHoldsUpItsDependentsAndDisturbsNobody(t *testing.T) {
	t.Parallel()
	files := map[string]string{"fine.hcl": fine}
	for _, w := range badWorlds {
		if !w.root || os.Geteuid() == 0 {
			files[w.name+".hcl"] = broken(w.name, w.address, w.block)
		}
	}
	n := newNode(t, files)
	n.start()
	n.isUp("fine")
	before := n.pids()
	for _, w := range badWorlds {
		if files[w.name+".hcl"] == "" {
			t.Logf("%s: skipped, it needs root", w.name)
			continue
		}
		address := w.name + "/" + w.address
		n.await(address+" was tried four times", func() string {
			if got := n.count(address, "starting"); got < 4 {
				return strconv.Itoa(got)
			}
			return ""
		})
		n.until(address+" says why", func(s *status) string {
			r, next := s.resource(address), s.resource(w.name+"/app.next")
			for _, words := range w.says {
				if !strings.Contains(*r.Error, words) {
					return fmt.Sprintf("%q does not say %q", *r.Error, words)
				}
			}
			if strings.Count(*r.Error, w.says[0]) > 2 || len(*r.Error) > 400 {
				t.Errorf("not one clear error: %s", *r.Error)
			}
			if next.State != "down" || !strings.Contains(next.Why, w.address) {
				return fmt.Sprintf("what is after it is %s: %q", next.State, next.Why)
			}
			return ""
		})
		noStorm(t, n, address)
	}
	n.same(before, "fine/app.main")
	if got := n.count("fine/app.main", "starting"); got != 1 {
		t.Errorf("the other service was started %d times", got)
	}
}

// noStorm holds the distances between attempts against the declared back-off: the
// first again at once, then 100 ms, doubling, less what is left to chance.
func noStorm(t *testing.T, n *node, address string) {
	t.Helper()
	var starts []time.Time
	for _, e := range n.events() {
		if e.Address == address && e.To == "starting" {
			starts = append(starts, e.Time)
		}
	}
	for i := 2; i < len(starts); i++ {
		least := 40 * time.Millisecond << (i - 2)
		if gap := starts[i].Sub(starts[i-1]); gap < min(least, 10*time.Second) {
			t.Errorf("%s was tried again %s after attempt %d: less than %s", address, gap, i, least)
		}
	}
}

func TestABusyMountNamesWhoHoldsItAndIsStoppedOnceThatIsGone(t *testing.T) {
	needsRoot(t)
	t.Parallel()
	n := newNode(t, nil)
	at := n.path("busy")
	n.write("busy.hcl", fmt.Sprintf(`service "busy" {
  mount "data" {
    path = %q
    type = "tmpfs"
    on_stuck = "wait"
    timeouts {
      stop = "1s"
    }
  }
}
`, at))
	n.write("fine.hcl", fine)
	n.start()
	n.isUp("busy", "fine")
	before := n.pids()
	squatter := exec.Command("sleep", "1000")
	squatter.Dir = at
	must(t, squatter.Start())
	t.Cleanup(func() {
		_ = squatter.Process.Kill() // it was ended below, unless the test failed
		_ = squatter.Wait()
		if t.Failed() {
			_, _ = command("/", "umount", "-l", at)
		}
	})
	n.wants(3, "stop", "busy", "--timeout", "4s")
	n.until(fmt.Sprintf("it is stuck, and names process %d", squatter.Process.Pid), func(s *status) string {
		r := s.resource("busy/mount.data")
		if r.State != "stuck" || !strings.Contains(*r.Error, strconv.Itoa(squatter.Process.Pid)) || !strings.Contains(*r.Error, "sleep") {
			return fmt.Sprintf("it is %s: %q", r.State, *r.Error)
		}
		return ""
	})
	n.same(before, "fine/app.main")
	must(t, squatter.Process.Kill())
	n.run("clear", "busy")
	n.wants(0, "stop", "busy", "--timeout", "30s")
	if table, _ := os.ReadFile("/proc/self/mountinfo"); strings.Contains(string(table), at) {
		t.Error("it is still mounted")
	}
}

func TestATreeThatHearsNoTERMIsEndedWhole(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	children := n.path("children")
	n.write("deaf.hcl", fmt.Sprintf(`service "deaf" {
  app "main" {
    command    = ["/bin/sh", "-c", "trap '' TERM; (setsid sh -c 'echo $$ >> %[1]s; exec sleep 1000' &) ; sh -c 'echo $$ >> %[1]s; exec sleep 1000' & echo $$ >> %[1]s; while :; do sleep 1000; done"]
    kill_after = "300ms"
  }
}
`, children))
	n.write("fine.hcl", fine)
	n.start()
	n.isUp("deaf", "fine")
	var pids []int
	n.await("three processes have told their numbers", func() string {
		pids = nil
		b, _ := os.ReadFile(children)
		for _, f := range strings.Fields(string(b)) {
			pid, _ := strconv.Atoi(f)
			pids = append(pids, pid)
		}
		if len(pids) != 3 {
			return string(b)
		}
		return ""
	})
	before := n.pids()
	n.wants(0, "stop", "deaf", "--timeout", "30s")
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d lives", pid)
		}
	}
	n.same(before, "fine/app.main")
}

func TestAForkBombStaysUnderItsLimitAndIsEndedWhole(t *testing.T) {
	needsRoot(t)
	t.Parallel()
	n := newNode(t, map[string]string{"fine.hcl": fine, "bomb.hcl": `service "bomb" {
  app "main" {
    command = ["/bin/sh", "-c", "while :; do (sleep 1000 & sleep 1000) & done"]
    pids    = 24
    restart {
      attempts = 0
    }
  }
}
`})
	// A limit that nothing enforces must be told, and is no bomb to let off.
	if !hasPIDs() {
		t.Skip("needs the pids controller, which no hierarchy has here")
	}
	n.start()
	n.isUp("fine")
	before := n.pids()
	n.await("the bomb was started", func() string {
		if n.count("bomb/app.main", "up") == 0 {
			return "not yet"
		}
		return ""
	})
	n.await("it has hit its limit", func() string {
		switch got := marked("bomb/app.main", n.name); {
		case got > 24:
			t.Fatalf("%d processes", got)
		case got < 20 && n.count("bomb/app.main", "failed") == 0:
			return fmt.Sprintf("%d processes", got)
		}
		return ""
	})
	n.same(before, "fine/app.main")
	n.wants(0, "stop", "bomb", "--timeout", "30s")
	if left := marked("bomb/app.main", n.name); left > 0 {
		t.Errorf("%d processes are left", left)
	}
	n.same(before, "fine/app.main")
}

func hasPIDs() bool {
	if b, err := os.ReadFile("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return strings.Contains(string(b), "pids")
	}
	_, err := os.Stat("/sys/fs/cgroup/pids/cgroup.procs")
	return err == nil
}

// marked counts the processes of a resource.
func marked(address, name string) (count int) {
	for _, pid := range processes() {
		env, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "environ"))
		text := "\x00" + string(env)
		if strings.Contains(text, "\x00SVCCTL_RESOURCE="+address+"\x00") && strings.Contains(text, "\x00SVCCTL_NODE="+name+"\x00") {
			count++
		}
	}
	return count
}
