package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

const backup = spec.Address("shop/orders/task.backup")

func aRun(pid int) engine.Run {
	at := time.Date(2026, 5, 1, 3, 0, 0, 0, time.UTC).Add(time.Duration(pid) * time.Minute)
	return engine.Run{Due: at, Started: at, Ended: at.Add(time.Second), Result: engine.RunSucceeded, PID: pid}
}

// pids reads what a later agent would read, the newest first.
func pids(t *testing.T, dir string, limit int) (out []int) {
	t.Helper()
	runs, err := newHistory(dir, hclog.NewNullLogger()).newest(backup, limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range runs {
		out = append(out, r.PID)
	}
	return out
}

func TestTheNewestRunsOfATaskOutliveTheAgentAndNoMore(t *testing.T) {
	dir := t.TempDir()
	h := newHistory(dir, hclog.NewNullLogger())
	for i := range 5*maxRuns + 7 {
		h.add(backup, aRun(i))
		if i%3 == 0 {
			h.save()
		}
	}
	h.save()
	got := pids(t, dir, maxRuns)
	if len(got) != maxRuns || got[0] != 5*maxRuns+6 || got[maxRuns-1] != 4*maxRuns+7 {
		t.Errorf("%d runs: %v", len(got), got)
	}
	runs, err := readRuns(h.path(backup))
	if err != nil || len(runs) > 2*maxRuns {
		t.Errorf("the file grows: %d lines, %v", len(runs), err)
	}
	if got := pids(t, dir, 2); len(got) != 2 || got[1] != 5*maxRuns+5 {
		t.Errorf("the newest two: %v", got)
	}
}

func TestHalfALineSpoilsOnlyItself(t *testing.T) {
	dir := t.TempDir()
	h := newHistory(dir, hclog.NewNullLogger())
	h.add(backup, aRun(1))
	h.save()
	f, err := os.OpenFile(h.path(backup), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"due":"2026-05-01T03:02:00Z","sta`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	h.add(backup, aRun(3))
	h.save()
	if got := pids(t, dir, maxRuns); len(got) != 2 || got[0] != 3 || got[1] != 1 {
		t.Errorf("runs: %v", got)
	}
}

func TestAHistoryThatTheDiskDoesNotTakeWaitsInMemory(t *testing.T) {
	dir := t.TempDir()
	h := newHistory(dir, hclog.NewNullLogger())
	if err := os.WriteFile(h.dir, nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	for i := range 2 * maxRuns {
		h.add(backup, aRun(i))
		h.save()
	}
	if h.fault == "" {
		t.Error("no fault is told")
	}
	if got, err := h.newest(backup, 3); err != nil || len(got) != 3 || got[0].PID != 2*maxRuns-1 {
		t.Errorf("meanwhile: %v %v", got, err)
	}
	if n := len(h.pending[backup].runs); n != maxRuns {
		t.Errorf("%d runs wait in memory", n)
	}
	if err := os.Remove(h.dir); err != nil {
		t.Fatal(err)
	}
	h.save()
	if got := pids(t, dir, maxRuns); len(got) != maxRuns || got[0] != 2*maxRuns-1 {
		t.Errorf("runs: %v", got)
	}
}

func TestATaskThatIsForgottenLeavesNoHistory(t *testing.T) {
	dir := t.TempDir()
	h := newHistory(dir, hclog.NewNullLogger())
	h.add(backup, aRun(1))
	h.save()
	h.forget(backup)
	if got, err := h.newest(backup, 3); err != nil || len(got) != 0 {
		t.Errorf("before it is written: %v %v", got, err)
	}
	h.save()
	if left, err := filepath.Glob(h.dir + "/*"); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	h.add(backup, aRun(2)) // another one of that name
	h.save()
	if got := pids(t, dir, maxRuns); len(got) != 1 || got[0] != 2 {
		t.Errorf("runs: %v", got)
	}
}

func TestLongAddressesHaveHistoriesOfTheirOwn(t *testing.T) {
	h := newHistory(t.TempDir(), hclog.NewNullLogger())
	long := spec.Address("orders/task.copy[\"" + strings.Repeat("ä", 200) + "1\"]")
	other := spec.Address(strings.Replace(string(long), `1"]`, `2"]`, 1))
	h.add(long, aRun(1))
	h.add(other, aRun(2))
	h.save()
	if h.fault != "" {
		t.Error(h.fault)
	}
	if got, err := h.newest(long, 5); err != nil || len(got) != 1 || got[0].PID != 1 {
		t.Errorf("%v %v", got, err)
	}
}

func TestWhatIsKnownOfATaskOutlivesTheAgent(t *testing.T) {
	dir := t.TempDir()
	k := newTaskMemory(dir, hclog.NewNullLogger())
	run := aRun(7)
	k.set(backup, &engine.TaskMemory{Through: run.Due, Last: &run, LastSuccess: run.Ended})
	k.set("gone/task.x", &engine.TaskMemory{})
	k.set("gone/task.x", nil)
	k.save()
	got := newTaskMemory(dir, hclog.NewNullLogger()).load()
	if m := got[backup]; len(got) != 1 || m.Last == nil || m.Last.PID != 7 || !m.Through.Equal(run.Due) || m.Running != nil {
		t.Errorf("read back: %+v", got)
	}
}
