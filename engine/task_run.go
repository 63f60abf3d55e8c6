package engine

import (
	"cmp"
	"fmt"
	"slices"
)

// decideTask is decide for a task: a run begins when it is due or asked for, and ends by
// itself, by its timeout, or before what it stands on is stopped.
func (e *Engine) decideTask(s *service, r *resource) {
	r.why, r.patient = "", false
	e.adoptNext(s, r)
	r.standOn(s)
	e.comeDue(s, r)
	switch r.state {
	case Unknown:
		e.decideUnknownTask(s, r)
	case Starting:
		if run := r.task.run; !r.want && !r.call.cancelled && s.held() == nil {
			if run.Result == "" {
				e.toEnd(run, RunStopped, r.wantWhy)
			}
			r.call.cancelled = true
			e.out = append(e.out, Cancel{Op: r.call.op})
		}
	case Up:
		e.decideRun(s, r)
	case Stopping:
		r.why = r.task.run.Why
	case Stuck:
		switch {
		case r.call != nil:
			r.why = "what holds it is being killed"
		case s.held() != nil:
			r.why = frozenWhy(s.intent.Frozen)
		default:
			e.decideStuck(s, r)
		}
	case Down:
		r.err = ""
	case Failed:
		panic("internal error: a task has failed: " + string(r.spec.Address))
	default:
		panic("internal error: no such state: " + string(r.state))
	}
	e.attend(s, r)
	if r.state == Down && r.task.waiting == nil {
		r.why = e.whyNoRun(s, r)
	}
}

func (e *Engine) decideUnknownTask(s *service, r *resource) {
	if r.task.run == nil && r.untried {
		if r.policy().Disabled {
			r.why = "disabled"
			return // left alone, as a disabled resource is
		}
		if !e.candidate(s) {
			e.enter(s, r, Down, "")
			r.why = e.notCandidate(s)
			return
		}
	}
	e.askUnknown(s, r)
}

// runGoal says whether a run that begins or goes on may, and if not, why.
func (e *Engine) runGoal(s *service, r *resource) (bool, string) {
	run := r.task.run
	switch {
	case run == nil:
		return false, ""
	case run.Result != "":
		return false, run.Why
	case s.purging:
		return false, "its service is purged"
	case e.denied(s) != "" && (s.epoch != 0 || s.denied != ""):
		return false, e.denied(s)
	case s.intent.GivenUp != "":
		return false, "its service is given up"
	case s.stopWished():
		return false, s.stopWhy()
	}
	for _, a := range r.on {
		if d := s.byAddress[a]; d != nil && d.holdsBack() {
			return false, "it stands on " + waitWords(a, d, true)
		}
	}
	return true, ""
}

func (e *Engine) begin(s *service, r *resource) {
	t := r.task
	t.run, t.waiting, t.late = t.waiting, nil, false
	t.run.Started = e.now
	r.why, r.on = "", nil
	for _, a := range r.policy().After {
		if s.byAddress[a].state == Up {
			r.on = append(r.on, a)
		}
	}
	r.want, r.wantWhy = true, ""
	e.enter(s, r, Starting, "")
	r.call = e.do(s, r, nil, Do{Verb: VerbStart, Timeout: r.spec.Timeouts.Start})
	e.rememberTask(r)
}

// toEnd says how a run is to end; its stop follows.
func (e *Engine) toEnd(run *Run, result RunResult, why string) { run.Result, run.Why = result, why }

// decideRun is for a run that goes on.
func (e *Engine) decideRun(s *service, r *resource) {
	run, limit := r.task.run, r.spec.Task.Timeout
	switch {
	case s.held() != nil:
		r.why = frozenWhy(s.intent.Frozen)
	case run.Result == "" && !r.want:
		e.toEnd(run, RunStopped, r.wantWhy)
	case run.Result == "" && limit > 0 && !e.rehearsal && !e.now.Before(run.Started.Add(limit)):
		e.toEnd(run, RunTimeout, fmt.Sprintf("it took longer than %s", limit))
	}
	if run.Result != "" && s.held() == nil {
		e.rememberTask(r)
		e.stop(s, r, "run is ended: "+run.Why)
		r.why = run.Why
		return
	}
	if !e.now.Before(r.probeAt) {
		e.look(s, r)
	}
}

// runStarted takes in the answer to a run's start. What is left of one that failed, or
// was cancelled, is stopped.
func (e *Engine) runStarted(s *service, r *resource, ev Done) {
	run := r.task.run
	r.pid, r.detail = ev.Status.PID, ev.Status.Detail
	run.PID = ev.Status.PID
	message := "run began"
	if ev.Err != nil && run.Result == "" {
		e.toEnd(run, RunFailed, "it did not start: "+ev.Err.Error())
	}
	if run.Result != "" {
		message = "run is ended: " + run.Why
	}
	e.enter(s, r, Up, message)
	e.rememberTask(r)
	e.lookBehind(s, r)
}

// seeRun draws the conclusion from an observation of a task, made while no call ran.
func (e *Engine) seeRun(s *service, r *resource, st Status) {
	switch st.Seen {
	case SeenUp, SeenBegun, SeenFailed:
		switch r.state {
		case Unknown, Down:
			e.foundRunning(s, r, st)
		case Up:
			r.pid, r.task.run.PID = st.PID, cmp.Or(st.PID, r.task.run.PID)
			e.spoil(r.task.run, st)
		case Starting, Stopping, Stuck:
		case Failed:
			panic("internal error: a task has failed: " + string(r.spec.Address))
		default:
			panic("internal error: no such state: " + string(r.state))
		}
	case SeenDown:
		switch r.state {
		case Unknown, Up, Stuck:
			if r.task.run == nil {
				e.enter(s, r, Down, "")
				return
			}
			e.runEnded(s, r, st)
		case Down, Starting, Stopping:
		case Failed:
			panic("internal error: a task has failed: " + string(r.spec.Address))
		default:
			panic("internal error: no such state: " + string(r.state))
		}
	default:
		panic("internal error: no such observation: " + string(st.Seen))
	}
}

// foundRunning adopts a run, which is taken to stand on all that its task is after.
func (e *Engine) foundRunning(s *service, r *resource, st Status) {
	t := r.task
	message := "run goes on"
	if t.run == nil {
		t.run = &Run{Started: e.now}
		message = "found running"
	}
	r.on = slices.Concat(r.on, r.spec.After, r.policy().After)
	slices.Sort(r.on)
	r.on = slices.Compact(r.on)
	r.pid, t.run.PID = st.PID, cmp.Or(st.PID, t.run.PID)
	e.spoil(t.run, st)
	if t.run.Result != "" {
		message = "run is ended: " + t.run.Why
	}
	e.enter(s, r, Up, message)
	s.relink()
	e.rememberTask(r)
}

// spoil says how a run ends that is found in a state in which it can't go on.
func (e *Engine) spoil(run *Run, st Status) {
	switch {
	case run.Result != "" || st.Seen == SeenUp:
	case st.Seen == SeenBegun:
		e.toEnd(run, RunLost, "its start is not complete")
	default:
		e.toEnd(run, RunFailed, exitWords(st))
	}
}

// runEnded ends a run that was found to be over.
func (e *Engine) runEnded(s *service, r *resource, st Status) {
	run := r.task.run
	switch {
	case run.Result != "": // it was being ended
	case st.Exit == nil:
		e.toEnd(run, RunLost, exitWords(st))
	case st.Exit.Code == 0 && st.Exit.Signal == "":
		run.Result = RunSucceeded
	default:
		e.toEnd(run, RunFailed, exitWords(st))
	}
	run.Exit = st.Exit
	e.finish(s, r)
}

// finish writes down a run that is over.
func (e *Engine) finish(s *service, r *resource) {
	t := r.task
	run := t.run
	run.Ended = e.now
	t.run, t.last = nil, run
	if run.Result == RunSucceeded {
		t.success = e.now
	}
	e.enter(s, r, Down, "")
	e.ran(s, r, *run)
	e.rememberTask(r)
}

// selectedTasks returns the tasks that a command names.
func (s *service) selectedTasks(c Command) (out []*resource) {
	for _, r := range s.order {
		if r.task != nil && c.names(r) {
			out = append(out, r)
		}
	}
	return out
}

// checkTaskCommand refuses what can't be done to every task that is named.
func (e *Engine) checkTaskCommand(s *service, c Command) error {
	verb := "run"
	if c.Verb == CommandHalt {
		verb = "stop"
	}
	if len(c.Resources)+len(c.Tags) == 0 {
		return fmt.Errorf("cannot %s a task of %s: none is named", verb, s.name)
	}
	selected := s.selectedTasks(c)
	if len(selected) == 0 {
		return fmt.Errorf("cannot %s %s of %s: it has no such task (svcctl task list shows them)", verb, c.part(), s.name)
	}
	for _, r := range selected {
		if f := s.intent.Frozen; f != nil {
			return refuse("cannot %s %s: %s is %s; thaw it first", verb, r.spec.Address, s.name, frozenWhy(f))
		}
		if c.Verb == CommandRun {
			if why := e.whyNoRun(s, r); why != "" {
				return refuse("cannot run %s: %s", r.spec.Address, why+s.wayOut(r))
			}
			continue
		}
		if r.task.run == nil && r.task.waiting == nil {
			return refuse("cannot stop %s: it does not run", r.spec.Address)
		}
	}
	return nil
}

// wayOut says what an operator can do about a run that is refused, where that is known.
func (s *service) wayOut(r *resource) string {
	switch {
	case r.next != nil && r.next.Disabled:
		return "; take disabled = true out of its files first"
	case s.stopWished():
		return "; start " + s.name + " first"
	case s.intent.GivenUp != "", r.state == Stuck:
		return "; clear " + s.name + " once that is mended"
	case r.task.run != nil:
		return "; wait for its end, or stop it (svcctl task stop)"
	}
	return ""
}

func (e *Engine) runTasks(selected []*resource, c Command) {
	for _, r := range selected {
		t := r.task
		if t.waiting == nil {
			t.waiting = &Run{}
		}
		t.waiting.By, t.until = c.By, e.now.Add(lateStart)
	}
}

func (e *Engine) haltTasks(s *service, selected []*resource, c Command) {
	for _, r := range selected {
		switch t := r.task; {
		case t.run == nil:
			e.miss(s, r, "called off by "+c.By)
		case t.run.Result == "":
			e.toEnd(t.run, RunStopped, "stopped by "+c.By)
			e.rememberTask(r)
		}
	}
}
