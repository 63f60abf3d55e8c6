package engine

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// task is what a resource of a service's Tasks has beyond the machine that all share:
// it is Down while nothing runs, Up while a run goes on, and never Failed.
type task struct {
	through time.Time     // by the clock on the wall: due times up to here, without the spread, are dealt with
	next    time.Time     // the one behind, with the spread; zero: there is none
	spread  time.Duration // of this task on this node

	run     *Run      // goes on; its Result is set once it is to be ended, or its start failed
	waiting *Run      // due or asked for, and not begun
	held    time.Time // through without what waits: another agent must count that again
	until   time.Time // when what waits is late
	late    bool

	last    *Run
	success time.Time
	told    TaskState // as last recorded
	kept    TaskMemory
}

const (
	lateStart  = time.Minute // how late a run may begin before it counts as missed
	mostMissed = 10_000      // due times that are counted one by one; the rest passes with them
	farAhead   = 24 * time.Hour
)

func (e *Engine) restoreTasks(tasks map[spec.Address]TaskMemory) {
	for a, m := range tasks {
		name := a.Service()
		if e.memories[name] == nil {
			e.memories[name] = make(map[spec.Address]TaskMemory)
		}
		e.memories[name][a] = m
	}
}

// newTask takes over what is remembered of a task. One that is seen for the first time
// has missed nothing.
func (e *Engine) newTask(s *service, n *spec.Resource, fresh bool) *resource {
	r := e.newResource(n, fresh)
	m := e.memories[s.name][n.Address]
	delete(e.memories[s.name], n.Address)
	t := &task{through: m.Through, run: clonedRun(m.Running), last: m.Last, success: m.LastSuccess, told: TaskIdle}
	r.task = t
	if t.run != nil {
		r.fresh, t.told = false, TaskRunning
	}
	// Its clock may have been set back a little, and what was run is not run again. But
	// one that was days ahead was wrong.
	if t.through.IsZero() || t.through.After(e.now.Add(farAhead)) {
		t.through = e.now.Round(0)
		if n.Task.Schedule != nil {
			e.rememberTask(r)
		}
	}
	e.reckon(r)
	return r
}

// changeTask takes over a new spec. What a new schedule was due before it came is
// nobody's miss.
func (e *Engine) changeTask(r *resource, n *spec.Resource) {
	was := r.policy().Task
	r.next = n
	if was.Text != n.Task.Text || was.Zone != n.Task.Zone || was.Spread != n.Task.Spread {
		if r.task.through.Before(e.now) {
			r.task.through = e.now.Round(0)
		}
	}
	e.reckon(r)
}

// reckon finds the next due time.
func (e *Engine) reckon(r *resource) {
	t, p := r.task, r.policy().Task
	t.next, t.spread = time.Time{}, delay(e.cfg.Node, r.spec.Address, p.Spread)
	if p.Schedule == nil {
		return
	}
	if at := p.Schedule.Next(t.through); !at.IsZero() {
		t.next = at.Add(t.spread)
	}
}

// delay is a task's part of the spread on one node: always the same, so that a run comes
// at regular times, in whole seconds.
func delay(node string, a spec.Address, spread time.Duration) time.Duration {
	if spread < time.Second {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte(node + "\x00" + string(a)))
	x := random(h.Sum64()) // mixed, for names that are alike
	return time.Duration(x.next()%uint64((spread+time.Second-1)/time.Second)) * time.Second
}

func clonedRun(r *Run) *Run {
	if r == nil {
		return nil
	}
	c := *r
	return &c
}

// rememberTask asks the agent to keep what must outlive it.
func (e *Engine) rememberTask(r *resource) {
	t := r.task
	m := TaskMemory{Through: t.through, Running: clonedRun(t.run), Last: t.last, LastSuccess: t.success}
	if t.waiting != nil && !t.waiting.Due.IsZero() {
		m.Through = t.held
	}
	if m.same(t.kept) {
		return
	}
	t.kept = m
	e.out = append(e.out, RememberTask{Address: r.spec.Address, Memory: &m})
}

func (m TaskMemory) same(o TaskMemory) bool {
	if (m.Running == nil) != (o.Running == nil) || m.Running != nil && *m.Running != *o.Running {
		return false
	}
	return m.Through.Equal(o.Through) && m.Last == o.Last && m.LastSuccess.Equal(o.LastSuccess)
}

// forgetTask ends what is known of a task that is off and not declared any more.
func (e *Engine) forgetTask(s *service, r *resource) {
	if r.task.waiting != nil {
		e.miss(s, r, "not declared any more")
	}
	e.out = append(e.out, RememberTask{Address: r.spec.Address})
}

// forgetMemories drops what is remembered of tasks that a service has not any more.
func (e *Engine) forgetMemories(s *service) {
	for _, a := range sortedAddresses(e.memories[s.name]) {
		if run := clonedRun(e.memories[s.name][a].Running); run != nil {
			run.Ended, run.Result, run.Why = e.now, RunLost, "its task was taken away while no agent ran"
			e.out = append(e.out, Ran{Address: a, Run: *run})
			e.record(Fact{Kind: FactTask, Service: s.name, Address: a, From: string(TaskRunning), To: string(TaskIdle), Message: "run lost: " + run.Why})
		}
		e.out = append(e.out, RememberTask{Address: a})
	}
	delete(e.memories, s.name)
}

// taskState is what people are told.
func (r *resource) taskState() TaskState {
	switch r.state {
	case Unknown, Up:
		if run := r.task.run; run != nil && run.Result == "" {
			return TaskRunning
		} else if run != nil {
			return TaskStopping
		}
	case Starting:
		return TaskRunning
	case Stopping:
		return TaskStopping
	case Stuck:
		return TaskStuck
	case Down:
	case Failed:
		panic("internal error: a task has failed: " + string(r.spec.Address))
	default:
		panic("internal error: no such state: " + string(r.state))
	}
	if r.task.waiting != nil {
		return TaskWaiting
	}
	return TaskIdle
}

// tell records a task's change of state, if it is one to people. A start is told of once
// it has succeeded, and the end of a run by the line of its history.
func (e *Engine) tell(s *service, r *resource, message string) {
	to := r.taskState()
	if to == r.task.told || r.state == Starting {
		return
	}
	f := Fact{Kind: FactTask, Service: s.name, Address: r.spec.Address, From: string(r.task.told), To: string(to), Message: message}
	if run := r.task.run; run != nil {
		f.PID, f.By = run.PID, run.By
	}
	r.task.told = to
	e.record(f)
}

// ran adds a line to a task's history and tells of it.
func (e *Engine) ran(s *service, r *resource, run Run) {
	t := r.task
	e.out = append(e.out, Ran{Address: r.spec.Address, Run: run})
	message := "run " + string(run.Result)
	switch run.Result {
	case RunSucceeded:
		message += " in " + run.Ended.Sub(run.Started).Round(time.Millisecond).String()
	case RunTimeout:
		message = "run ended: " + run.Why
	case RunFailed, RunStopped, RunLost, RunSkipped, RunMissed:
		if run.Count > 1 && run.Started.IsZero() {
			message += fmt.Sprintf(" %d times", run.Count)
		}
		message += ": " + run.Why
	default:
		panic("internal error: no such result: " + string(run.Result))
	}
	to := r.taskState()
	if r.state == Starting {
		to = t.told
	}
	e.record(Fact{Kind: FactTask, Service: s.name, Address: r.spec.Address, From: string(t.told), To: string(to),
		Message: message, By: run.By, Exit: run.Exit, PID: run.PID})
	t.told = to
	s.view = nil
}

// viewTask is what people see of a task.
func (e *Engine) viewTask(s *service, r *resource) TaskView {
	t, p := r.task, r.policy()
	v := TaskView{
		Address: r.spec.Address, Kind: r.spec.Kind, State: r.taskState(), Schedule: p.Task.Text,
		Running: clonedRun(t.run), Last: t.last, LastSuccess: t.success, Why: joinWhy(r.err, r.why),
		Disabled: p.Disabled, Tags: p.Tags, After: p.After,
	}
	if e.notHere(s, r) == "" {
		v.Next = t.next
	}
	return v
}

// exitWords says how a run ended: once, where who saw it says it too.
func exitWords(st Status) string {
	if st.Exit == nil && st.Detail == "" {
		return "it ended while nobody looked"
	}
	plain := lossMessage(Status{Exit: st.Exit})
	if st.Exit == nil || st.Detail == "" || strings.Contains(st.Detail, plain) {
		return lossMessage(st)
	}
	return plain + ": " + st.Detail
}
