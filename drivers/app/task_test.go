package app

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/keeper"
	"github.com/svcctl/svcctl/spec"
)

const taskAddress = "web/task.backup"

func (h *host) task(command ...string) *task {
	h.t.Helper()
	c := &TaskConfig{Program: program(command...)}
	if p := c.Validate(); len(p) > 0 {
		h.t.Fatalf("invalid: %+v", p)
	}
	var r drivers.Registry
	Register(&r, h.keeper)
	d, err := r.Open(drivers.Opening{Address: taskAddress, Service: "web", Node: "n1"}, &spec.Resource{Address: taskAddress, Kind: "task", Config: c})
	if err != nil {
		h.t.Fatal(err)
	}
	return d.(*task)
}

func (h *host) news(d drivers.Watcher) <-chan drivers.Status {
	h.t.Helper()
	news := make(chan drivers.Status, 100)
	stop, err := d.Watch(func(s drivers.Status) { news <- s })
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(stop)
	return news
}

func (h *host) look(d drivers.Driver) drivers.Status {
	h.t.Helper()
	s, err := d.Status(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// statusField is one line of /proc/PID/status.
func statusField(t *testing.T, pid int, name string) string {
	t.Helper()
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	t.Fatalf("no %s of process %d", name, pid)
	return ""
}

func (h *host) start(d drivers.Driver) {
	h.t.Helper()
	if err := d.Start(h.ctx()); err != nil {
		h.t.Fatal(err)
	}
}

func TestATaskIsUpWhileItRunsAndThenDownWithItsExit(t *testing.T) {
	h := newHost(t)
	d := h.task("sh", "-c", "echo all done; exit 3")
	news := h.news(d)
	if s := h.look(d); s.State != drivers.Down || s.Exit != nil {
		t.Errorf("before the first run: %+v", s)
	}
	h.start(d)
	for _, s := range []drivers.Status{h.await(news, drivers.Down), h.look(d), h.look(h.task("true"))} {
		if s.State != drivers.Down || s.PID != 0 || s.Exit == nil || s.Exit.Code != 3 || s.Detail != "exited with code 3; last output: all done" {
			t.Errorf("after the run: %+v, exit %+v", s, s.Exit)
		}
	}
	h.keeper.Close()
	h.connect()
	if s := h.look(h.task("true")); s.Exit == nil || s.Exit.Code != 3 {
		t.Errorf("as another agent sees it: %+v, exit %+v", s, s.Exit)
	}
}

func TestAStartBeginsOneRunAndReplacesTheRecordOfTheLast(t *testing.T) {
	h := newHost(t)
	if d := h.task("false"); true {
		news := h.news(d)
		h.start(d)
		h.await(news, drivers.Down)
	}
	d := h.task("sleep", "1000")
	h.start(d)
	first := h.look(d)
	if first.State != drivers.Up || first.Exit != nil || unix.Kill(first.PID, 0) != nil {
		t.Errorf("during the run: %+v", first)
	}
	h.start(d)
	h.start(h.task("sleep", "1000"))
	if s := h.look(d); s.PID != first.PID {
		t.Errorf("a start during the run made pid %d of %d", s.PID, first.PID)
	}
}

func TestAStartThatFailsLeavesNoExitOfTheRunBefore(t *testing.T) {
	h := newHost(t)
	d := h.task("true")
	news := h.news(d)
	h.start(d)
	h.await(news, drivers.Down)
	broken := h.task("/no/such/program")
	if err := broken.Start(h.ctx()); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("start: %v", err)
	}
	if s := h.look(broken); s.State != drivers.Down || s.Exit != nil {
		t.Errorf("after the failed start: %+v, exit %+v", s, s.Exit)
	}
}

func TestAStartDoesNotTakeARunOfAnOlderConfigurationForItsOwn(t *testing.T) {
	h := newHost(t)
	h.start(h.task("sleep", "1000"))
	newer := h.task("sleep", "1001")
	if s := h.look(newer); s.State != drivers.Up {
		t.Errorf("the older run, seen by the newer task: %+v", s)
	}
	if err := newer.Start(h.ctx()); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("start: %v", err)
	}
	if err := newer.Stop(h.ctx()); err != nil {
		t.Fatal(err)
	}
	h.start(newer)
	if s := h.look(newer); s.State != drivers.Up {
		t.Errorf("after the stop of the older one: %+v", s)
	}
}

func TestStopEndsTheWholeTreeOfARun(t *testing.T) {
	h := newHost(t)
	d := h.task("sh", "-c", "sleep 1000 & sleep 1000")
	news := h.news(d)
	h.start(d)
	pid := h.look(d).PID
	for range 2 {
		if err := d.Stop(h.ctx()); err != nil {
			t.Fatal(err)
		}
	}
	if s := h.await(news, drivers.Down); s.Exit == nil || s.Exit.Signal != "SIGTERM" {
		t.Errorf("after the stop: %+v, exit %+v", s, s.Exit)
	}
	p, err := h.keeper.Get(h.ctx(), taskAddress)
	if err != nil || p.Remains > 0 || unix.Kill(pid, 0) == nil {
		t.Errorf("something is left: %+v, %v", p, err)
	}
}

func TestARunLastsUntilNoProcessOfItIsLeft(t *testing.T) {
	h := newHost(t)
	d := h.task("sh", "-c", "sleep 1000 & echo $!; exit 5")
	exited := make(chan keeper.Process, 16)
	t.Cleanup(h.keeper.Subscribe(taskAddress, func(p keeper.Process) {
		if p.Phase == keeper.Exited {
			exited <- p
		}
	}))
	news := h.news(d)
	h.start(d)
	var main keeper.Process
	select {
	case main = <-exited:
	case <-h.ctx().Done():
		t.Fatal("the main process never ended")
	}
	if s := h.look(d); s.State != drivers.Up || s.Exit != nil || !strings.Contains(s.Detail, "1 of its processes") {
		t.Errorf("with a child left: %+v", s)
	}
	h.start(d) // it runs: nothing to do
	if p, err := h.keeper.Get(h.ctx(), taskAddress); err != nil || p.Run != main.Run {
		t.Errorf("another run was begun: %+v, %v", p, err)
	}
	child, err := strconv.Atoi(main.Last[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(child, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if s := h.await(news, drivers.Down); s.Exit == nil || s.Exit.Code != 5 {
		t.Errorf("after the child: %+v, exit %+v", s, s.Exit)
	}
}

func TestOfARunThatEndedWithItsKeeperNothingIsKnown(t *testing.T) {
	h := newHost(t)
	d := h.task("sleep", "1000")
	news := h.news(d)
	h.start(d)
	keeperPID, err := strconv.Atoi(statusField(t, h.look(d).PID, "PPid"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(keeperPID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if s := h.await(news, drivers.Down); s.Exit != nil || !strings.Contains(s.Detail, "keeper") {
		t.Errorf("told: %+v, exit %+v", s, s.Exit)
	}
	if s := h.look(h.task("sleep", "1000")); s.State != drivers.Down || s.Exit != nil {
		t.Errorf("asked: %+v, exit %+v", s, s.Exit)
	}
	h.start(d)
}

func TestALiveChangeOfATaskIsUsedByItsStop(t *testing.T) {
	h := newHost(t)
	d := h.task("sleep", "1000")
	h.start(d)
	changed := &TaskConfig{Program: program("sleep", "1000")}
	changed.StopSignal, changed.KillAfter = "INT", time.Minute
	if err := d.Update(h.ctx(), changed); err != nil {
		t.Fatal(err)
	}
	if err := d.Stop(h.ctx()); err != nil {
		t.Fatal(err)
	}
	if s := h.look(d); s.Exit == nil || s.Exit.Signal != "SIGINT" {
		t.Errorf("after the stop: %+v, exit %+v", s, s.Exit)
	}
}
