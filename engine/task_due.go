package engine

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/svcctl/svcctl/spec"
)

func sortedAddresses(m map[spec.Address]TaskMemory) []spec.Address {
	return slices.Sorted(maps.Keys(m))
}

// notHere says why a due time is nobody's miss on this node: the task is not to run, or
// runs elsewhere.
func (e *Engine) notHere(s *service, r *resource) string {
	switch {
	case s.purging:
		return "is purged"
	case r.next == nil:
		return "not declared any more"
	case !e.candidate(s):
		return e.notCandidate(s)
	case r.next.Disabled:
		return "disabled"
	case s.epoch == 0:
		return s.denied // "": not told yet
	}
	return ""
}

// comeDue deals with the due times that have passed: each begins a run, makes one wait,
// or is noted, exactly once.
func (e *Engine) comeDue(s *service, r *resource) {
	t := r.task
	if t.next.IsZero() || e.now.Before(t.next) || e.rehearsal {
		return
	}
	elsewhere := e.notHere(s, r) != ""
	if !elsewhere && (s.epoch == 0 || r.state == Unknown) {
		return // whether it is ours, or still runs, is to be known first
	}
	before := t.through
	var due, last, held time.Time // the newest, the one before it, and what was dealt with before the newest
	n := 0
	for !t.next.IsZero() && !e.now.Before(t.next) {
		last, due, held = due, t.next, t.through
		t.through = t.next.Add(-t.spread)
		if n++; n == mostMissed {
			t.through = e.now.Round(0)
		}
		e.reckon(r)
	}
	switch {
	case elsewhere && (r.next == nil || r.next.Disabled || !e.candidate(s)):
		return // nothing that another agent must know
	case elsewhere:
	case t.run != nil:
		why := "the run before it still goes on"
		if r.state == Stuck {
			why = "the run before it can't be ended"
		}
		e.ran(s, r, Run{Due: due, Result: RunSkipped, Count: several(n), Why: why})
	case r.policy().Task.Missed == spec.MissedRun:
		if w := t.waiting; w != nil && !w.Due.IsZero() {
			n += max(1, w.Count)
			before = t.held
		}
		e.await(t, Run{Due: due, Count: several(n)}, before)
		return
	case n == 1 && t.waiting == nil:
		e.await(t, Run{Due: due}, held)
		return // only what waits has changed
	default:
		why := cmp.Or(e.whyNoRun(s, r), asleep)
		if t.waiting != nil {
			e.miss(s, r, why)
		}
		if !e.now.Before(due.Add(lateStart)) {
			e.ran(s, r, Run{Due: due, Result: RunMissed, Count: several(n), Why: why})
			break
		}
		if n > 1 {
			e.ran(s, r, Run{Due: last, Result: RunMissed, Count: several(n - 1), Why: why})
		}
		e.await(t, Run{Due: due}, held)
	}
	e.rememberTask(r)
}

const asleep = "its time passed while no agent ran, or the clock was set ahead"

// several is a count as Run keeps it.
func several(n int) int {
	if n < 2 {
		return 0
	}
	return n
}

func (e *Engine) await(t *task, run Run, held time.Time) {
	if t.waiting == nil {
		t.late = false
	} else {
		run.By = t.waiting.By
	}
	t.waiting, t.held = &run, held
	if !t.late {
		t.until = run.Due.Add(lateStart)
	}
}

// miss notes that what waits does not come about.
func (e *Engine) miss(s *service, r *resource, why string) {
	t := r.task
	run := *t.waiting
	t.waiting, t.late = nil, false
	run.Result, run.Why = RunMissed, why
	e.ran(s, r, run)
	e.rememberTask(r)
}

// attend begins what waits, if it may; what waits too long is missed, or goes on waiting
// where one run is to make up for all that were missed.
func (e *Engine) attend(s *service, r *resource) {
	t := r.task
	if t.waiting == nil || e.rehearsal {
		return
	}
	why := e.whyNoRun(s, r)
	late := !e.now.Before(t.until)
	makeUp := r.policy().Task.Missed == spec.MissedRun && !t.waiting.Due.IsZero()
	switch {
	case late && !makeUp && why == "":
		e.miss(s, r, asleep)
	case why == "":
		e.begin(s, r)
	case late && !makeUp, e.notHere(s, r) != "":
		e.miss(s, r, why)
	default:
		r.why = why
		if t.late = t.late || late; t.late {
			e.tell(s, r, "a run waits: "+why)
		}
	}
}

// whyNoRun says what keeps a run from beginning now; "" when nothing does.
func (e *Engine) whyNoRun(s *service, r *resource) string {
	if why := e.notHere(s, r); why != "" {
		return why
	}
	switch {
	case e.denied(s) != "":
		return e.denied(s)
	case s.intent.Frozen != nil:
		return frozenWhy(s.intent.Frozen)
	case s.stopWished():
		return s.stopWhy()
	case s.intent.GivenUp != "":
		return s.intent.GivenUp
	case r.state == Unknown:
		return joinWhy(r.err, "it is not known yet whether it runs")
	case r.state == Stuck:
		return "its last run can't be ended: " + r.err
	case r.task.run != nil:
		return "it runs already"
	}
	var blocking []spec.Address
	for _, a := range r.next.After {
		if d := s.byAddress[a]; d == nil || !d.settled() {
			blocking = append(blocking, a)
		}
	}
	if len(blocking) > 0 {
		return "waits for " + s.waitList(blocking)
	}
	return e.unmet(s)
}

// taskMoments are those at which time alone changes what is decided for a task, but for
// its next due time.
func (r *resource) taskMoments(at func(time.Time)) {
	t := r.task
	if t.waiting != nil {
		at(t.until)
	}
	if limit := r.spec.Task.Timeout; t.run != nil && limit > 0 {
		at(t.run.Started.Add(limit))
	}
}
