package engine

import (
	"container/heap"
	"time"
)

// dueHeap orders services by when they want to be decided again.
type dueHeap []*service

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].deadline.Before(h[j].deadline) }
func (h dueHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].index, h[j].index = i, j }
func (h *dueHeap) Push(x any)        { s := x.(*service); s.index = len(*h); *h = append(*h, s) }
func (h *dueHeap) Pop() any {
	old := *h
	s := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return s
}

// Deadline says when Step wants a Tick at the latest; zero: not at all.
func (e *Engine) Deadline() time.Time {
	if len(e.due) == 0 {
		return time.Time{}
	}
	return e.due[0].deadline
}

// wake touches every service whose time has come.
func (e *Engine) wake() {
	for len(e.due) > 0 && !e.now.Before(e.due[0].deadline) {
		s := e.due[0]
		e.unschedule(s)
		e.touch(s)
	}
}

func (e *Engine) unschedule(s *service) {
	if !s.deadline.IsZero() {
		heap.Remove(&e.due, s.index)
		s.deadline = time.Time{}
	}
}

// schedule finds the next moment at which time alone changes what is decided for s.
// Only moments still to come count: what was possible by now was done by now.
func (e *Engine) schedule(s *service) {
	var next time.Time
	at := func(t time.Time) {
		if t.After(e.now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	at(s.notAfter)
	if f := s.intent.Frozen; f != nil {
		at(f.Until)
	}
	for _, r := range s.order {
		if r.task != nil {
			e.taskMoments(r, at)
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
	if next.Equal(s.deadline) {
		return
	}
	if s.deadline.IsZero() {
		s.deadline = next
		heap.Push(&e.due, s)
		return
	}
	if next.IsZero() {
		e.unschedule(s)
		return
	}
	s.deadline = next
	heap.Fix(&e.due, s.index)
}
