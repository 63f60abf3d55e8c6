package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// aTask is what `svcctl task list --json` says of one.
type aTask struct {
	Address string
	State   string
	Next    string
	Why     string
	Running *struct{ PID int }
	Last    *struct {
		Result string
		Why    string
		Exit   *struct{ Code int }
	}
}

func (n *node) task(address string) aTask {
	n.t.Helper()
	var doc struct{ Tasks []aTask }
	must(n.t, json.Unmarshal([]byte(n.wants(0, "task", "list", "--json", address)), &doc))
	if len(doc.Tasks) != 1 {
		n.t.Fatalf("%d tasks at %s", len(doc.Tasks), address)
	}
	return doc.Tasks[0]
}

// results are how the runs of a task ended, the newest first.
func (n *node) results(address string) (all []string) {
	n.t.Helper()
	var doc struct{ Runs []struct{ Result string } }
	must(n.t, json.Unmarshal([]byte(n.wants(0, "task", "history", "--json", address)), &doc))
	for _, r := range doc.Runs {
		all = append(all, r.Result)
	}
	return all
}

const taskSet = `
service "a" {
  app "main" {
    command = ["/bin/sleep", "1000000"]
  }
  task "good" {
    command = ["/bin/sh", "-c", "echo from $SVCCTL_RESOURCE; echo done"]
    after   = [app.main]
  }
  task "bad" {
    command = ["/bin/sh", "-c", "echo disk full; exit 3"]
  }
  task "long" {
    command = ["/bin/sleep", "1000000"]
    after   = [app.main]
  }
  task "often" {
    command  = ["/bin/true"]
    schedule = "@every 1s"
  }
}
`

func TestTasksAreRunShownAndRemembered(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": taskSet})
	n.start()
	n.isUp("a")
	for range 2 { // what the run before wrote is not shown again
		out := n.wants(0, "task", "run", "a/task.good")
		if strings.Count(out, "from a/task.good\n") != 1 || strings.Count(out, "done\n") != 1 || !strings.Contains(out, "succeeded after") {
			t.Errorf("the run showed: %s", out)
		}
	}
	if out := n.wants(1, "task", "run", "a/task.bad"); !strings.Contains(out, "disk full") || !strings.Contains(out, "exited with code 3") {
		t.Errorf("the failed run showed: %s", out)
	}
	if got := n.task("a/task.bad"); got.State != "idle" || got.Last == nil || got.Last.Result != "failed" || got.Last.Exit.Code != 3 {
		t.Errorf("%+v", got)
	}
	if out := n.wants(0, "logs", "a/task.bad"); !strings.Contains(out, "disk full") {
		t.Errorf("its log: %s", out)
	}
	n.await("the schedule ran a task", func() string {
		if got := n.results("a/task.often"); len(got) < 2 || got[0] != "succeeded" {
			return fmt.Sprint(got)
		}
		return ""
	})
	if out := n.wants(0, "status", "a"); !strings.Contains(out, "task.often") || !strings.Contains(out, "last run succeeded") {
		t.Errorf("status: %s", out)
	}
	metrics, err := n.fetch("/metrics")
	must(t, err)
	for _, want := range []string{
		`svcctl_task_last_result{namespace="default",result="failed",service="a",task="task.bad"} 1`,
		`svcctl_task_runs_total{namespace="default",result="succeeded",service="a",task="task.good"} 2`,
		`svcctl_task_next_run_timestamp_seconds{namespace="default",service="a",task="task.often"}`,
		`svcctl_task_state{namespace="default",service="a",state="idle",task="task.good"} 1`,
		`svcctl_task_last_success_timestamp_seconds{namespace="default",service="a",task="task.good"}`,
	} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if _, err := exec.LookPath("promtool"); err == nil {
		c := exec.Command("promtool", "check", "metrics")
		c.Stdin = strings.NewReader(string(metrics))
		if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("promtool: %v %s", err, out)
		}
	}
	n.signal(syscall.SIGKILL)
	n.start()
	n.isUp("a")
	if got := n.results("a/task.good"); len(got) != 2 || got[0] != "succeeded" {
		t.Errorf("after a restart of the agent the history is %v", got)
	}
	if got := n.task("a/task.bad"); got.Last == nil || got.Last.Result != "failed" {
		t.Errorf("after a restart of the agent: %+v", got)
	}
}

func TestARunOutlivesTheAgentIsNotBegunTwiceAndEndsWhenAsked(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": taskSet})
	n.start()
	n.isUp("a")
	n.wants(0, "task", "run", "--no-wait", "a/task.long")
	var pid int
	n.await("it runs", func() string {
		got := n.task("a/task.long")
		if got.Running == nil || got.Running.PID == 0 {
			return got.State + " " + got.Why
		}
		pid = got.Running.PID
		return ""
	})
	n.wants(5, "task", "run", "a/task.long")
	n.wants(0, "stop", "a")
	if alive(pid) || n.results("a/task.long")[0] != "stopped" {
		t.Errorf("the service is stopped, and its task: %+v", n.task("a/task.long"))
	}
	n.wants(5, "task", "run", "a/task.long")
	n.wants(0, "start", "a")
	n.wants(0, "task", "run", "--no-wait", "a/task.long")
	n.await("it runs again", func() string {
		got := n.task("a/task.long")
		if got.Running == nil || got.Running.PID == 0 {
			return got.State + " " + got.Why
		}
		pid = got.Running.PID
		return ""
	})
	n.signal(syscall.SIGKILL)
	n.start()
	n.await("the run is adopted", func() string {
		if got := n.task("a/task.long"); got.State != "running" || got.Running.PID != pid || !alive(pid) {
			return fmt.Sprintf("%+v", got)
		}
		return ""
	})
	n.wants(3, "task", "run", "a/task.good", "--timeout", "1ns")
	n.wants(0, "task", "stop", "a/task.long")
	if alive(pid) || n.task("a/task.long").Last.Result != "stopped" {
		t.Errorf("%+v", n.task("a/task.long"))
	}
	n.wants(5, "task", "stop", "a/task.long")
}

func TestATaskThatLeavesTheFilesLeavesNoHistory(t *testing.T) {
	t.Parallel()
	n := newNode(t, map[string]string{"a.hcl": taskSet})
	n.start()
	n.isUp("a")
	n.wants(1, "task", "run", "a/task.bad")
	file := n.path("state", "runs", "a%2Ftask.bad.jsonl")
	n.await("its history is on disk", func() string { _, err := os.Stat(file); return text(err) })
	n.write("a.hcl", strings.Replace(taskSet, `task "bad"`, `task "other"`, 1))
	n.await("its history is gone", func() string {
		left, err := filepath.Glob(file)
		return strings.Join(left, " ") + text(err)
	})
	n.await("nothing is remembered of it", func() string {
		b, err := os.ReadFile(n.path("state", "tasks.json"))
		if strings.Contains(string(b), "task.bad") {
			return string(b)
		}
		return text(err)
	})
	metrics, err := n.fetch("/metrics")
	must(t, err)
	if strings.Contains(string(metrics), "task.bad") {
		t.Error("the metrics tell of it still")
	}
}

func TestRunsThatWereMissedWhileNoAgentRanAreCaughtUpOrNoted(t *testing.T) {
	t.Parallel()
	hourly := strings.ReplaceAll(`
service "a" {
  app "main" {
    command = ["/bin/sleep", "1000000"]
  }
  task "caught" {
    command  = ["/bin/true"]
    schedule = "MINUTE * * * *"
    missed   = "run"
  }
  task "noted" {
    command  = ["/bin/true"]
    schedule = "MINUTE * * * *"
  }
}
`, "MINUTE", strconv.Itoa((time.Now().Minute()+30)%60)) // nothing comes due by itself meanwhile
	n := newNode(t, map[string]string{"a.hcl": hourly})
	n.start()
	n.isUp("a")
	memory := n.path("state", "tasks.json")
	var doc struct {
		Version int                       `json:"version"`
		Tasks   map[string]map[string]any `json:"tasks"`
	}
	n.await("both are remembered", func() string {
		b, err := os.ReadFile(memory)
		if err == nil {
			err = json.Unmarshal(b, &doc)
		}
		if err == nil && len(doc.Tasks) != 2 {
			return string(b)
		}
		return text(err)
	})
	n.signal(syscall.SIGTERM)
	for _, m := range doc.Tasks { // as if no agent had run for so long
		m["through"] = time.Now().Add(-3 * time.Hour)
	}
	b, err := json.Marshal(doc)
	must(t, err)
	must(t, os.WriteFile(memory, b, 0o600))
	n.start()
	n.isUp("a")
	n.await("one run makes up for all", func() string {
		if got := n.results("a/task.caught"); len(got) != 1 || got[0] != "succeeded" {
			return fmt.Sprint(got)
		}
		return ""
	})
	if out := n.wants(0, "task", "history", "a/task.caught"); !strings.Contains(out, " times") {
		t.Errorf("its history: %s", out)
	}
	n.await("the others are noted", func() string {
		if got := n.results("a/task.noted"); len(got) < 1 || got[len(got)-1] != "missed" {
			return fmt.Sprint(got)
		}
		return ""
	})
}
