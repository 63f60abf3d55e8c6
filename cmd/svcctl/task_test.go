package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

const withTasks = `
service "orders" {
  app "main" {
    command = ["/bin/true"]
  }
  task "backup" {
    command  = ["/bin/true"]
    schedule = "0 3 * * *"
    after    = [app.main]
  }
  task "report" {
    command = ["/bin/true"]
  }
}
service "web" {
  namespace   = "shop"
  orchestrate = "manual"
  app "main" {
    command = ["/bin/true"]
  }
  task "warm" {
    command = ["/bin/true"]
    after   = [app.main]
  }
}
`

const backup = spec.Address("orders/task.backup")

func (w *world) task(t *testing.T, a spec.Address) engine.TaskView {
	t.Helper()
	snap, err := w.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range snap.Service(a.Service()).Tasks {
		if v.Address == a {
			return v
		}
	}
	t.Fatalf("no task %s", a)
	return engine.TaskView{}
}

// running waits until a run goes on, and returns it.
func (w *world) running(t *testing.T, a spec.Address) *engine.Run {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		if v := w.task(t, a); v.State == engine.TaskRunning {
			return v.Running
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s never ran: %+v", a, w.task(t, a))
		}
	}
}

// end lets the run of a task end.
func (w *world) end(t *testing.T, a spec.Address, code int) {
	t.Helper()
	if err := w.step(engine.Observed{Address: a, Status: engine.Status{Seen: engine.SeenDown, Exit: &engine.Exit{Code: code}}}); err != nil {
		t.Fatal(err)
	}
}

type outcome struct {
	code           int
	stdout, stderr string
}

// behind runs a command line while the test goes on.
func behind(run func(...string) (int, string, string), args ...string) <-chan outcome {
	out := make(chan outcome, 1)
	go func() {
		code, stdout, stderr := run(args...)
		out <- outcome{code, stdout, stderr}
	}()
	return out
}

func TestATaskIsRunAndItsOutputShownUntilItEnds(t *testing.T) {
	w, run := newWorldOf(t, withTasks)
	ran := behind(run, "task", "run", "orders/task.backup")
	started := w.running(t, backup).Started
	w.mu.Lock()
	w.lines[backup] = []string{
		started.Add(-time.Second).Format(logStamp) + " of the run before",
		started.Format(logStamp) + " copying",
		started.Add(time.Second).Format(logStamp) + " copied 3 files",
	}
	w.mu.Unlock()
	w.end(t, backup, 0)
	got := <-ran
	if got.code != exitDone || got.stdout != "copying\ncopied 3 files\n" || !strings.Contains(got.stderr, "orders/task.backup succeeded after ") {
		t.Errorf("%+v", got)
	}
	ran = behind(run, "task", "run", "default/orders/task.backup")
	w.running(t, backup)
	w.end(t, backup, 3)
	if got := <-ran; got.code != exitFailed || !strings.Contains(got.stderr, "failed after") || !strings.Contains(got.stderr, "exited with code 3") {
		t.Errorf("%+v", got)
	}
}

func TestARunIsNotBegunTwiceAndCanBeEnded(t *testing.T) {
	w, run := newWorldOf(t, withTasks)
	if code, _, stderr := run("task", "run", "--no-wait", "orders/task.report"); code != exitDone {
		t.Fatal(stderr)
	}
	w.running(t, "orders/task.report")
	if code, _, stderr := run("task", "run", "orders/task.report"); code != exitRefused || !strings.Contains(stderr, "runs already") {
		t.Errorf("a second run: exit %d %s", code, stderr)
	}
	if code, _, stderr := run("task", "stop", "orders/task.report"); code != exitDone {
		t.Errorf("stop: exit %d %s", code, stderr)
	}
	if code, _, stderr := run("task", "stop", "orders/task.report"); code != exitRefused || !strings.Contains(stderr, "does not run") {
		t.Errorf("nothing to stop: exit %d %s", code, stderr)
	}
	code, stdout, stderr := run("task", "history", "orders/task.report")
	if code != exitDone || !strings.Contains(stdout, "stopped") || !strings.Contains(stdout, "TIME") {
		t.Errorf("history: exit %d %s%s", code, stdout, stderr)
	}
}

func TestARunThatIsEndedByOthersFailsForWhoWaitsForIt(t *testing.T) {
	w, run := newWorldOf(t, withTasks)
	ran := behind(run, "task", "run", "orders/task.report")
	w.running(t, "orders/task.report")
	if code, _, stderr := run("stop", "orders"); code != exitDone {
		t.Fatal(stderr)
	}
	if got := <-ran; got.code != exitFailed || !strings.Contains(got.stderr, "orders/task.report stopped after") {
		t.Errorf("%+v", got)
	}
}

func TestAWaitForARunHasAnEnd(t *testing.T) {
	_, run := newWorldOf(t, withTasks)
	code, _, stderr := run("task", "run", "--timeout", "100ms", "orders/task.report")
	if code != exitTimeout || !strings.Contains(stderr, "it goes on") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

func TestWhatCannotBeAskedOfTasksHasItsExitCode(t *testing.T) {
	nowhere := "unix:///nosuch/agent.sock"
	_, run := newWorldOf(t, withTasks)
	for _, step := range []struct {
		line string
		code int
		says string
	}{
		{"task run orders/task.none", exitUsage, "there is no task"},
		{"task run orders/app.main", exitUsage, "there is no task"},
		{"task run", exitUsage, "accepts 1 arg"},
		{"task run --timeout 0s orders/task.report", exitUsage, "must be positive"},
		{"task run shop/web/task.warm", exitRefused, "cannot run shop/web/task.warm"},
		{"task history orders/task.none", exitUsage, "no such task"},
		{"task history --limit 0 orders/task.backup", exitUsage, "--limit is 1 to 100"},
		{"task list nosuch", exitUsage, "there is no task nosuch"},
		{"task list [", exitUsage, "not a pattern"},
		{"task list --history", exitUsage, "name one"},
		{"--server " + nowhere + " task run x", exitNoAgent, "no agent answers"},
	} {
		code, _, stderr := run(strings.Fields(step.line)...)
		if code != step.code || !strings.Contains(stderr, step.says) {
			t.Errorf("%s: exit %d, want %d, says %q", step.line, code, step.code, stderr)
		}
	}
}

func TestTasksAreListedByServiceAndByAddress(t *testing.T) {
	w, run := newWorldOf(t, withTasks)
	ran := behind(run, "task", "run", "orders/task.backup")
	w.running(t, backup)
	w.end(t, backup, 3)
	<-ran
	code, stdout, stderr := run("task", "list")
	if code != exitDone || strings.Count(stdout, "\n") != 4 {
		t.Fatalf("exit %d %s%s", code, stdout, stderr)
	}
	for _, want := range []string{"TASK ", "0 3 * * *", "failed ", "never ran", "shop/web/task.warm"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("missing %q in\n%s", want, stdout)
		}
	}
	for line, n := range map[string]int{"orders": 2, "default/orders": 2, "shop/*": 1, "*/task.backup": 1, "orders/task.report shop/web": 2} {
		code, stdout, stderr := run(append([]string{"task", "list", "--json"}, strings.Fields(line)...)...)
		var got api.Tasks
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || code != exitDone || len(got.Tasks) != n {
			t.Errorf("%s: exit %d, %d tasks, want %d %v %s", line, code, len(got.Tasks), n, err, stderr)
		}
	}
	for _, line := range []string{"task list --history --json orders/task.backup", "task history --json orders/task.backup"} {
		code, stdout, stderr := run(strings.Fields(line)...)
		var h api.TaskHistory
		if err := json.Unmarshal([]byte(stdout), &h); err != nil || code != exitDone || len(h.Runs) != 1 || h.Runs[0].Exit.Code != 3 {
			t.Errorf("%s: exit %d %v %s%s", line, code, err, stdout, stderr)
		}
	}
	if _, stdout, _ = run("task", "history", "orders/task.report"); stdout != "orders/task.report never ran\n" {
		t.Error(stdout)
	}
}

func TestStatusAndWhyShowTasks(t *testing.T) {
	w, run := newWorldOf(t, withTasks)
	if code, _, stderr := run("task", "run", "--no-wait", "orders/task.backup"); code != exitDone {
		t.Fatal(stderr)
	}
	w.running(t, backup)
	_, stdout, _ := run("status", "orders")
	for _, want := range []string{"├─ app.main", "├─ task.backup  running ", "0 3 * * *  next 2026-05-0", "└─ task.report  idle"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("missing %q in\n%s", want, stdout)
		}
	}
	w.end(t, backup, 3)
	if _, stdout, _ = run("status", "orders"); !strings.Contains(stdout, "last run failed ") {
		t.Error(stdout)
	}
	if _, stdout, _ = run("why", "orders"); !strings.Contains(stdout, "orders/task.backup last run is failed: exited with code 3") {
		t.Error(stdout)
	}
	if _, stdout, _ = run("why", "shop/web"); !strings.Contains(stdout, "shop/web/task.warm is idle: ") {
		t.Error(stdout)
	}
}

func TestTheStatusShowsTheFirstOfWhatACheckMeasured(t *testing.T) {
	values := []api.CheckValue{{Label: "time", Value: 0.0123456, Unit: "seconds"}, {Label: "/srv", Value: 81.5, Unit: "percent"},
		{Label: "free", Value: 1.5e9, Unit: "bytes"}, {Label: "users", Value: 3}, {Label: "more"}, {Label: "most"}}
	if got := valueWords(values); got != "time=0.01235s /srv=81.5% free=1.5e+09B users=3 and 2 more" {
		t.Error(got)
	}
}
