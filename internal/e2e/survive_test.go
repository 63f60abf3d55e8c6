package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// steady is a program that ends with code 7 when it is asked to.
const steady = `["/bin/sh", "-c", "trap 'exit 7' TERM; while :; do sleep 1000 & wait; done"]`

func TestAKilledAgentLeavesEverythingRunningAndTheNextOneKnowsWhatHappenedMeanwhile(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	beats := n.path("beats")
	n.write("pair.hcl", fmt.Sprintf(`service "pair" {
  app "stays" {
    command = %s
    check "exec" "beat" {
      command = ["/bin/sh", "-c", "echo >> %s"]
      every = "250ms"
      fall = 100 # a slow machine is no failure
    }
  }
  app "dies" {
    command = %s
  }
}
`, steady, beats, steady))
	n.start()
	n.isUp("pair")
	before := n.pids()

	n.signal(syscall.SIGKILL)
	n.start()
	n.isUp("pair")
	n.same(before, "pair/app.stays", "pair/app.dies")
	for _, e := range n.events() {
		if e.To == "starting" || e.To == "stopping" {
			t.Errorf("the new agent did not just adopt: %+v", e)
		}
	}
	grows(t, beats)

	n.signal(syscall.SIGKILL)
	must(t, syscall.Kill(before["pair/app.dies"], syscall.SIGTERM))
	await(t, "the process ends without an agent", func() string {
		if alive(before["pair/app.dies"]) {
			return "it lives"
		}
		return ""
	})
	n.start()
	n.another(before, "pair/app.dies")
	n.same(before, "pair/app.stays")
	grows(t, beats)
	n.await("the exit that nobody saw is in the events", func() string {
		for _, e := range n.events() {
			if e.Address == "pair/app.dies" && e.Exit != nil && e.Exit.Code == 7 {
				return ""
			}
		}
		return fmt.Sprintf("%+v", n.events())
	})
}

// grows waits until a file is longer than it was.
func grows(t *testing.T, path string) {
	t.Helper()
	size := func() int64 {
		st, err := os.Stat(path)
		if err != nil {
			return 0
		}
		return st.Size()
	}
	was := size()
	await(t, path+" grows", func() string {
		if size() <= was {
			return fmt.Sprintf("%d bytes", was)
		}
		return ""
	})
}

func TestAnAgentThatIsToStopOnExitStopsInOrderAndLeavesNothing(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"chain.hcl": `service "chain" {
  app "first" {
    command = ` + steady + `
  }
  app "second" {
    command = ` + steady + `
    after = [app.first]
  }
  app "third" {
    command = ` + steady + `
    after = [app.second]
  }
}
`})
	n.start("--stop-on-exit")
	n.isUp("chain")
	before := n.pids()
	agent := n.agent.Process.Pid
	follow := n.follow()
	must(t, syscall.Kill(agent, syscall.SIGTERM))
	var order []string
	for e := range follow {
		if e.Kind == "resource" && e.From == "stopping" && e.To == "down" {
			order = append(order, e.Address)
		}
	}
	<-n.ended
	n.agent = nil
	if got := fmt.Sprint(order); got != "[chain/app.third chain/app.second chain/app.first]" {
		t.Errorf("stopped in the order %s", got)
	}
	for address, pid := range before {
		if alive(pid) {
			t.Errorf("%s is still process %d", address, pid)
		}
	}
	for _, left := range residue() {
		if strings.Contains(strings.ReplaceAll(left, `\x2d`, "-"), n.name+"/run") || strings.Contains(strings.ReplaceAll(left, `\x2d`, "-"), n.name+"-run") {
			t.Errorf("it left %s", left)
		}
	}
}
