package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestAFrozenServiceIsLeftAloneUntilItIsThawed(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": chain("a", "1", "1", "1"), "b.hcl": chain("b", "1", "1", "1")})
	n.start()
	n.isUp("a", "b")
	n.wants(0, "freeze", "a", "--reason", "moving the rack")
	before := n.pids()
	kill(t, before["a/app.beside"])
	kill(t, before["b/app.beside"])
	n.another(before, "b/app.beside") // time enough to heal
	n.until("the loss is seen and not acted on", func(s *status) string {
		r, v := s.resource("a/app.beside"), s.service("a")
		if r.State != "failed" || v.Frozen == nil || !*v.Frozen || !strings.Contains(*v.Why, "frozen") {
			return fmt.Sprintf("%s, %s", r.State, *v.Why)
		}
		return ""
	})
	if out := n.wants(0, "status", "a"); !strings.Contains(out, "moving the rack") {
		t.Errorf("the status does not say why it is frozen: %s", out)
	}
	n.wants(5, "restart", "a")
	n.same(before, "a/app.first", "a/app.second")

	n.signal(syscall.SIGKILL) // a freeze outlives the agent
	n.start()
	n.until("it is frozen still", func(s *status) string {
		if v := s.service("a"); v == nil || !*v.Frozen || s.resource("a/app.beside").State == "up" {
			return fmt.Sprintf("%+v", v)
		}
		return ""
	})
	n.wants(0, "thaw", "a")
	n.another(before, "a/app.beside")
	n.same(before, "a/app.first", "a/app.second")
}

func TestPartsOfAServiceAreStoppedStartedAndRestartedAlone(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": chain("a", "1", "1", "1")})
	n.start()
	n.isUp("a")
	before := n.pids()

	n.wants(0, "stop", "a", "--resource", "app.second")
	n.same(before, "a/app.first", "a/app.beside")
	if r := n.resource("a/app.second"); r.State != "down" || alive(before["a/app.second"]) {
		t.Errorf("app.second is %s, process %d", r.State, before["a/app.second"])
	}
	n.wants(0, "start", "a", "--resource", "app.second")
	n.another(before, "a/app.second")
	n.same(before, "a/app.first", "a/app.beside")

	before = n.pids()
	n.wants(0, "restart", "a", "--resource", "app.first")
	n.another(before, "a/app.first", "a/app.second")
	n.same(before, "a/app.beside")

	n.wants(0, "stop", "a")
	n.signal(syscall.SIGKILL) // that it is to be down outlives the agent
	n.start()
	n.until("it is down still", func(s *status) string {
		if v := s.service("a"); v == nil || v.State != "down" {
			return fmt.Sprintf("%+v", v)
		}
		return ""
	})
	n.wants(0, "start", "a")
	n.isUp("a")
}

func TestOneInstanceOfForEachIsStoppedByItsAddress(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": `service "a" {
  app "each" {
    for_each = ["x", "y"]
    command  = ["/bin/sleep", "1000"]
  }
}
`})
	n.start()
	n.isUp("a")
	before := n.pids()
	n.wants(0, "stop", "a", "--resource", `app.each["x"]`)
	n.same(before, `a/app.each["y"]`)
	if r := n.resource(`a/app.each["x"]`); r.State != "down" {
		t.Errorf("it is %s", r.State)
	}
	if out := n.wants(1, "stop", "a", "--tag", "front"); !strings.Contains(out, "it has no resource tagged front") {
		t.Errorf("a tag that nothing has: %s", out)
	}
}

func TestCommandsAroundAStartAndAStopRunInTheirPlaces(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	diary := n.path("diary")
	write := func(word string) string {
		return fmt.Sprintf(`["/bin/sh", "-c", "echo %s >> %s"]`, word, diary)
	}
	n.write("a.hcl", fmt.Sprintf(`service "a" {
  app "main" {
    command = ["/bin/sh", "-c", "echo starts >> %[1]s; trap 'echo ends >> %[1]s; exit' TERM; echo READY=1 >> %[1]s.ready; while :; do sleep 1000 & wait; done"]
    ready   = "check"
    before_start = %[2]s
    after_start  = %[3]s
    before_stop  = %[4]s
    after_stop   = %[5]s
    check "exec" "ready" {
      command = ["test", "-e", "%[1]s.ready"]
      every   = "100ms"
      fall    = 100 # a slow machine is no failure
    }
  }
}
`, diary, write("before_start"), write("after_start"), write("before_stop"), write("after_stop")))
	n.start()
	n.isUp("a")
	n.wants(0, "stop", "a")
	b, err := os.ReadFile(diary)
	must(t, err)
	got := strings.Fields(string(b))
	// The program runs by itself from before_start on: its word comes before or behind after_start.
	if i := slices.Index(got, "starts"); i == 1 || i == 2 {
		got = slices.Delete(got, i, i+1)
	}
	if want := "[before_start after_start before_stop ends after_stop]"; fmt.Sprint(got) != want {
		t.Errorf("%v, not %s and starts early in it", got, want)
	}
}

func TestEachExitCodeHasItsMeaning(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{
		"a.hcl": chain("a", "1", "1", "1"),
		"never.hcl": `service "never" {
  orchestrate = "manual"
  app "ready" {
    command = ["sleep", "1000"]
    ready   = "check"
    check "exec" "no" {
      command = ["false"]
      every   = "200ms"
    }
  }
}
`,
		"broken.hcl": `service "broken" {
  orchestrate = "manual"
  on_failure  = "stop"
  app "main" {
    command = ["e2e-no-such-command"]
    restart {
      attempts = 1
      within   = "1m"
      backoff  = "1ms"
    }
  }
}
`})
	n.wants(4, "status")
	n.wants(0, "validate", n.services)
	n.start()
	n.isUp("a")
	n.wants(0, "status")
	n.wants(0, "restart", "a")
	n.wants(2, "start", "no-such-service")
	n.wants(2, "status", "--no-such-flag")
	n.wants(2, "stop")
	n.wants(3, "start", "never", "--timeout", "1s")
	n.wants(0, "stop", "never", "--timeout", "30s")
	if out := n.wants(1, "start", "broken", "--timeout", "30s"); !strings.Contains(out, "no such program") {
		t.Errorf("it does not say why: %s", out)
	}
	n.wants(0, "freeze", "a")
	n.wants(5, "stop", "a")
	n.wants(0, "thaw", "a")
	bad := n.set("bad", "service \"a\" {\n  app \"x\" {\n    comand = [\"true\"]\n  }\n}\n")
	if out := n.wants(1, "validate", bad); !strings.Contains(out, "command") || !strings.Contains(out, "SV") {
		t.Errorf("validate says: %s", out)
	}
	n.wants(1, "apply", bad)
	n.wants(0, "plan")
}

func TestTheLossOfWhatIsNotMonitoredIsShownAndNotHealed(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": `service "a" {
  app "batch" {
    command = ["/bin/sleep", "1000"]
    monitor = false
  }
}
`})
	n.start()
	n.isUp("a")
	kill(t, n.pids()["a/app.batch"])
	n.until("the loss is shown", func(s *status) string {
		if r := s.resource("a/app.batch"); r.State != "failed" {
			return r.State
		}
		return ""
	})
	if out := n.wants(0, "status", "a"); !strings.Contains(out, "it is not healed") {
		t.Errorf("the status does not say that it is not healed: %s", out)
	}
}

func TestAnAgentThatStopsOnExitStopsWhatAnEarlierOneLeft(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": chain("a", "1", "1", "1")})
	n.start()
	n.isUp("a")
	before := n.pids()
	for range 5 { // it is told to end before it knows of anything: that is a race
		n.signal(syscall.SIGKILL)
		n.start("--stop-on-exit")
		n.signal(syscall.SIGTERM)
		for address, pid := range before {
			if alive(pid) {
				t.Fatalf("%s outlived an agent that stops on exit", address)
			}
		}
		n.start()
		n.isUp("a")
		before = n.pids()
	}
}
