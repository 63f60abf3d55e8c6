package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// judgedTask is what the judge knows of a task from events and actions.
type judgedTask struct {
	spec    *spec.Resource
	counted time.Time // due times up to here are in pending
	spread  time.Duration
	pending int  // due times that no run began for and no line tells of
	loose   bool // some of them may go unnoted: another schedule came in between
	running bool
	counts  bool // the due times of the run that goes on are not in pending any more
}

// reloadTasks takes in the tasks of a new spec.
func (j *judge) reloadTasks() {
	for name, s := range j.known {
		if j.spec.Services[name] == nil {
			continue
		}
		for _, n := range s.Tasks {
			t := j.tasks[n.Address]
			if t == nil {
				t = &judgedTask{counted: j.w.now}
				j.tasks[n.Address] = t
			} else if was := t.spec.Task; was.Text != n.Task.Text || was.Spread != n.Task.Spread {
				t.counted, t.loose = j.w.now, true
			}
			t.spec, t.spread = n, delay("n1", n.Address, n.Task.Spread)
		}
	}
}

// come counts the due times that have passed.
func (j *judge) come(t *judgedTask) {
	if t.spec.Task.Schedule == nil {
		return
	}
	for {
		at := t.spec.Task.Schedule.Next(t.counted)
		if at.Add(t.spread).After(j.w.now) {
			return
		}
		t.counted = at
		t.pending++
	}
}

// here: a due time counts on this node.
func (j *judge) here(a spec.Address) bool {
	p, told := j.permit[a.Service()]
	r := j.declared(a)
	return r != nil && !r.Disabled && (!told || p.Epoch != 0)
}

func (j *judge) taskActions(actions []Action) {
	for _, t := range j.tasks {
		j.come(t)
	}
	for _, act := range actions {
		switch act := act.(type) {
		case Record:
			if act.Fact.Kind == FactTask {
				j.taskFact(act.Fact)
			}
		case RememberTask:
			if t := j.tasks[act.Address]; t != nil && act.Memory != nil && act.Memory.Running != nil && !t.counts {
				t.counts = true
				j.noted(act.Address, *act.Memory.Running)
			}
		case Ran:
			j.ran(act.Address, act.Run)
		}
	}
}

func (j *judge) taskFact(f Fact) {
	if t := j.tasks[f.Address]; t == nil {
		j.w.fail("%s tells something, but there is no such task", f.Address)
	} else if f.Message == "found running" || f.From != f.To && f.To != string(TaskIdle) && f.To != string(TaskWaiting) && !t.running {
		if t.running {
			j.w.fail("%s is found running, but it runs", f.Address)
		}
		t.running = true
		j.started[f.Address] = slices.Clone(t.spec.After)
	}
	switch TaskState(f.To) {
	case TaskIdle, TaskWaiting:
		j.state[f.Address] = Down
	case TaskRunning:
		j.state[f.Address] = Up
	case TaskStopping:
		j.state[f.Address] = Stopping
	case TaskStuck:
		j.state[f.Address] = Stuck
	}
}

// ran holds a line of history against what was seen.
func (j *judge) ran(a spec.Address, run Run) {
	t := j.tasks[a]
	if t == nil {
		j.w.fail("%s ran, but there is no such task", a)
		return
	}
	if begun := !run.Started.IsZero(); begun {
		if !t.running {
			j.w.fail("a run of %s ends that never began: %+v", a, run)
		}
		t.running, t.counts = false, false
		delete(j.started, a)
		delete(j.applied, a)
		return
	} else if run.Result != RunMissed && run.Result != RunSkipped {
		j.w.fail("a run of %s never began, and %s", a, run.Result)
	}
	j.noted(a, run)
}

func (j *judge) noted(a spec.Address, run Run) {
	if run.Due.IsZero() {
		return
	}
	t := j.tasks[a]
	if t.pending -= max(1, run.Count); t.pending < 0 {
		j.w.fail("%s: more was noted than was due: %+v", a, run)
	}
}

// begins holds the start of a run to what must be true for it.
func (j *judge) begins(d Do) {
	a := d.Resource.Address
	r, t := j.declared(a), j.tasks[a]
	if r == nil || t == nil {
		j.w.fail("a run of %s begins, which is not declared", a)
		return
	}
	if t.running || j.w.truth[a] == SeenUp && j.w.exits[a] == nil && j.state[a] != Down && j.state[a] != "" {
		j.w.fail("a second run of %s begins", a)
	}
	t.running = true
	if r.Digest != d.Resource.Digest {
		j.w.fail("a run of %s begins with an old configuration", a)
	}
	p := j.permit[a.Service()]
	if p.Epoch == 0 || !p.NotAfter.IsZero() && !j.w.now.Before(p.NotAfter) || d.Epoch != p.Epoch || !d.NotAfter.Equal(p.NotAfter) {
		j.w.fail("a run of %s begins under epoch %d not after %s, but the permission is %+v", a, d.Epoch, d.NotAfter, p)
	}
	if !j.wanted(r, true) {
		j.w.fail("a run of %s begins, but its service is not wanted: %+v", a, j.intent[a.Service()])
	}
	j.applied[a], j.started[a] = d.Resource, nil
	for _, b := range r.After {
		if o := j.declared(b); o != nil && !o.Optional && j.state[b] != Up {
			j.w.fail("a run of %s begins, but %s, which it is after, is %s", a, b, j.state[b])
		}
		if j.state[b] == Up {
			j.started[a] = append(j.started[a], b)
		}
	}
	j.state[a] = Starting
}

// tasksAfter: what was due while a task was not to run here is nobody's miss; whatever
// else was due has begun, is noted, or waits.
func (j *judge) tasksAfter() {
	for _, a := range slices.Sorted(maps.Keys(j.tasks)) {
		t := j.tasks[a]
		if !j.here(a) {
			t.pending = 0
		}
		s := j.w.e.services[a.Service()]
		if s == nil {
			continue
		}
		r := s.byAddress[a]
		if r == nil || s.epoch == 0 || r.state != Down || r.taskState() != TaskIdle {
			continue
		}
		if t.pending > 0 && !t.loose {
			j.w.fail("%s is idle, but %d due times have come to nothing", a, t.pending)
		}
		t.pending, t.loose = 0, false
		if t.running {
			j.w.fail("%s is idle, but its run has not ended", a)
		}
	}
}
