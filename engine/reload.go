package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/svcctl/svcctl/spec"
)

// reload puts a new spec in force. A service whose pointer is the same is not even
// looked at; a resource whose digest is the same gets no call.
func (e *Engine) reload(ev Reload) {
	first := len(e.services) == 0
	var added, changed, gone int
	relist := false
	for _, name := range ev.Spec.Names {
		next := ev.Spec.Services[name]
		s := e.services[name]
		switch {
		case s == nil:
			e.add(next, first)
			added++
			relist = true
		case s.spec != next || s.undeclared:
			relist = relist || !slices.Equal(s.spec.Requires, next.Requires)
			e.change(s, next)
			changed++
		}
	}
	known := e.list
	if len(e.services) == len(ev.Spec.Names) {
		known = nil // every one of them is declared
	}
	for _, s := range known {
		if ev.Spec.Services[s.name] != nil || s.undeclared && (!ev.Prune || s.purging) {
			continue
		}
		s.undeclared = true
		s.purging = s.purging || ev.Prune
		gone++
		e.touch(s)
		s.view = nil
	}
	if relist {
		e.relist()
	}
	if added+changed+gone > 0 {
		e.record(Fact{Kind: FactReload, Message: fmt.Sprintf("%d services added, %d changed, %d not declared any more", added, changed, gone)})
	}
}

// relist rebuilds what follows from the set of services.
func (e *Engine) relist() {
	e.list = e.list[:0]
	e.requirer = make(map[string][]string)
	for name, s := range e.services {
		e.list = append(e.list, s)
		for _, r := range s.spec.Requires {
			e.requirer[r] = append(e.requirer[r], name)
		}
	}
	slices.SortFunc(e.list, func(a, b *service) int { return strings.Compare(a.name, b.name) })
	for _, names := range e.requirer {
		slices.Sort(names)
	}
}

func (e *Engine) add(next *spec.Service, first bool) {
	s := &service{spec: next, name: next.FullName, state: InstanceUnknown, byAddress: make(map[spec.Address]*resource, len(next.Resources))}
	s.due.service, s.scheduled.service = s, s
	s.intent = e.intents[s.name]
	delete(e.intents, s.name)
	for _, n := range next.Resources {
		s.byAddress[n.Address] = e.newResource(n, !first)
	}
	for _, n := range next.Tasks {
		s.byAddress[n.Address] = e.newTask(s, n, !first)
	}
	e.forgetMemories(s)
	e.services[s.name] = s
	s.relink()
	e.touch(s)
}

func (e *Engine) newResource(n *spec.Resource, fresh bool) *resource {
	r := &resource{spec: n, next: n, state: Unknown, untried: true, since: e.now, fresh: fresh}
	r.adoptChecks(n)
	return r
}

func (e *Engine) change(s *service, next *spec.Service) {
	if s.spec.Digest != next.Digest && s.intent.GivenUp != "" {
		s.intent.GivenUp, s.intent.GaveUpAt = "", 0 // what was changed may be what was wrong
		e.remember(s)
	}
	for _, name := range s.spec.Requires {
		if other := e.services[name]; other != nil {
			e.touch(other) // it may have waited for this one to stop first
		}
	}
	s.spec, s.undeclared, s.purging = next, false, false
	declared := make(map[spec.Address]bool, len(next.Resources))
	for _, n := range next.Resources {
		declared[n.Address] = true
		r := s.byAddress[n.Address]
		if r == nil {
			s.byAddress[n.Address] = e.newResource(n, true)
			continue
		}
		if r.policy().Restart != n.Restart {
			r.usedUp, r.failures, r.attempts = false, 0, nil
			r.retryAt = e.now
		}
		r.next = n
		r.adoptChecks(n)
	}
	for _, n := range next.Tasks {
		declared[n.Address] = true
		if r := s.byAddress[n.Address]; r != nil {
			e.changeTask(r, n)
		} else {
			s.byAddress[n.Address] = e.newTask(s, n, true)
		}
	}
	for a, r := range s.byAddress {
		if !declared[a] {
			r.next = nil
		}
	}
	s.relink()
	e.touch(s)
}

// forgetGone drops resources that are not declared any more, once they are off, and
// a purged service once all of it is.
func (e *Engine) forgetGone(s *service) {
	dropped := false
	for _, r := range s.order {
		if r.next != nil && !s.purging || r.call != nil || r.probe != nil {
			continue
		}
		if r.off() {
			delete(s.byAddress, r.spec.Address)
			if s.intent.Overrides[r.spec.Address] != "" && !s.purging {
				delete(s.intent.Overrides, r.spec.Address)
				e.remember(s)
			}
			e.dropCalls(r)
			if r.task != nil {
				e.forgetTask(s, r)
			}
			s.nothingOn(r)
			e.out = append(e.out, Forget{Resource: r.spec})
			dropped = true
		}
	}
	if dropped {
		s.relink()
		e.touch(s) // what waited for it may go on
	}
	if s.purging && len(s.order) == 0 {
		e.unschedule(s)
		delete(e.services, s.name)
		delete(e.dirty, s.name)
		e.relist()
		e.out = append(e.out, Remember{Service: s.name})
		e.record(Fact{Kind: FactService, Service: s.name, From: string(s.state), To: string(InstanceDown), Message: "purged"})
		for _, name := range s.spec.Requires {
			if other := e.services[name]; other != nil {
				e.touch(other)
			}
		}
	}
}

// dropCalls makes sure that no answer reaches a resource that is gone: its checks
// may still be running.
func (e *Engine) dropCalls(r *resource) {
	for _, c := range r.checks {
		c.call = nil
	}
}

// adoptNext takes over what a reload brought, as far as that needs no call.
func (e *Engine) adoptNext(s *service, r *resource) {
	if r.next == nil || r.next == r.spec {
		return
	}
	same := r.next.Digest == r.spec.Digest
	if !same && (r.call != nil || !r.off()) {
		return
	}
	if !same {
		r.fresh = true
		e.out = append(e.out, Forget{Resource: r.spec})
		r.failures, r.attempts, r.usedUp = 0, nil, false
		if r.state == Failed {
			r.retryAt = e.now
		}
	}
	r.spec, r.replace = r.next, false
	r.keepOn(s)
}

// keepOn drops what a new spec says that the resource does not stand on. What is not
// declared any more stays: it can't be stopped under what was started on it.
func (r *resource) keepOn(s *service) {
	kept := r.on[:0:0]
	for _, a := range r.on {
		if d := s.byAddress[a]; d != nil && (d.next == nil || slices.Contains(r.spec.After, a)) {
			kept = append(kept, a)
		}
	}
	r.on = kept
}

// nothingOn says that nothing stands on r: it is off, so that what was started on it
// goes on without it, and must not be taken to stand on what comes in its place.
func (s *service) nothingOn(r *resource) {
	a := r.spec.Address
	for _, d := range s.order {
		if slices.Contains(d.on, a) {
			d.on = slices.DeleteFunc(slices.Clone(d.on), func(b spec.Address) bool { return b == a })
		}
	}
}

// standOn adds what came up under a resource that is up already: an edge that a
// reload brought, or something optional. Its absence until now was no reason to
// restart anything; its loss will be.
func (r *resource) standOn(s *service) {
	if r.state != Up && r.state != Starting || r.next != r.spec {
		return
	}
	for _, a := range r.spec.After {
		// What an edit turned round stands on r until its own change has ended.
		if d := s.byAddress[a]; d != nil && d.state == Up && d.want && !slices.Contains(r.on, a) && !s.carries(r, d) {
			r.on = append(slices.Clip(r.on), a)
		}
	}
}
