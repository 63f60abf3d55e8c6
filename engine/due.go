package engine

import (
	"container/heap"
	"time"
)

// moment is when a service wants to be decided again.
type moment struct {
	service *service
	at      time.Time // zero: not at all, and in no heap
	index   int
}

// momentHeap orders moments. Those that a schedule names are kept apart from those that
// come after a span of time: the clock on the wall may be set, and moves them together.
type momentHeap []*moment

func (h momentHeap) Len() int           { return len(h) }
func (h momentHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h momentHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].index, h[j].index = i, j }
func (h *momentHeap) Push(x any)        { m := x.(*moment); m.index = len(*h); *h = append(*h, m) }
func (h *momentHeap) Pop() any {
	old := *h
	m := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return m
}

// set moves a service's moment; zero takes it out.
func (h *momentHeap) set(m *moment, at time.Time) {
	was := m.at
	m.at = at
	switch {
	case was.Equal(at):
	case was.IsZero():
		heap.Push(h, m)
	case at.IsZero():
		heap.Remove(h, m.index)
	default:
		heap.Fix(h, m.index)
	}
}

// clockTurn is how often the clock on the wall is looked at while there are schedules: a
// timer goes on as before where the clock is set, or stood still while the host slept.
const clockTurn = time.Minute

// Deadline says when Step wants a Tick at the latest; zero: not at all.
func (e *Engine) Deadline() time.Time {
	next := e.nextMoment()
	if len(e.scheduled) > 0 && next.Sub(e.now) > clockTurn {
		return e.now.Truncate(clockTurn).Add(clockTurn) // the same for all steps of a turn
	}
	return next
}

func (e *Engine) nextMoment() time.Time {
	switch {
	case len(e.due) == 0 && len(e.scheduled) == 0:
		return time.Time{}
	case len(e.due) == 0:
		return e.scheduled[0].at
	case len(e.scheduled) > 0 && e.scheduled[0].at.Sub(e.now) < e.due[0].at.Sub(e.now):
		return e.scheduled[0].at
	}
	return e.due[0].at
}

// wake touches every service whose time has come.
func (e *Engine) wake() {
	for _, h := range []*momentHeap{&e.due, &e.scheduled} {
		for len(*h) > 0 && !e.now.Before((*h)[0].at) {
			m := (*h)[0]
			h.set(m, time.Time{})
			e.touch(m.service)
		}
	}
}

func (e *Engine) unschedule(s *service) {
	e.due.set(&s.due, time.Time{})
	e.scheduled.set(&s.scheduled, time.Time{})
}

// schedule finds the next moments at which time alone changes what is decided for s.
// Only moments still to come count: what was possible by now was done by now.
func (e *Engine) schedule(s *service) {
	var next, byClock time.Time
	// Some come from files, without the reading of the timer that the others have: all
	// are made alike, or their order would change where the clock is set.
	at := func(t time.Time) {
		if !t.After(e.now) {
			return
		}
		if t = e.now.Add(t.Sub(e.now)); next.IsZero() || t.Before(next) {
			next = t
		}
	}
	at(s.notAfter)
	if f := s.intent.Frozen; f != nil {
		at(f.Until)
	}
	for _, r := range s.order {
		if r.task != nil && !e.rehearsal {
			if t := r.task.next; t.After(e.now) && (byClock.IsZero() || t.Before(byClock)) {
				byClock = t
			}
			r.taskMoments(at)
		}
		switch r.state {
		case Failed:
			at(r.retryAt)
		case Starting:
			at(r.ready)
		case Unknown, Up, Stuck:
		case Down, Stopping:
			continue
		default:
			panic("internal error: no such state: " + string(r.state))
		}
		if r.probe == nil && (r.policy().Monitor || r.task != nil || r.state == Unknown || r.state == Stuck) {
			at(r.probeAt)
		}
		for _, c := range r.checks {
			if c.call == nil {
				at(c.due)
			}
		}
	}
	e.due.set(&s.due, next)
	e.scheduled.set(&s.scheduled, byClock)
}
