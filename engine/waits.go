package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/svcctl/svcctl/spec"
)

// namedWaits is how many of those that a resource waits for are named.
const namedWaits = 3

func (s *service) waitList(blocking []spec.Address) string {
	var words []string
	for i, a := range blocking {
		if i == namedWaits {
			words = append(words, fmt.Sprintf("%d more", len(blocking)-namedWaits))
			break
		}
		words = append(words, waitWords(a, s.byAddress[a], len(blocking) == 1))
	}
	return strings.Join(words, " and ")
}

func waitWords(a spec.Address, d *resource, alone bool) string {
	waits := d != nil && d.wished && (d.state == Up && strings.HasPrefix(d.wantWhy, "waits ") || d.state == Down && strings.HasPrefix(d.why, "waits "))
	switch {
	case d == nil, waits && !alone:
		return a.Local()
	case waits:
		return a.Local() + ", which waits itself"
	case !alone && (d.state == Failed || d.state == Stuck):
		return a.Local() + " (" + string(d.state) + ")"
	case !alone:
		return a.Local() + " (" + stateWords(d) + ")"
	}
	return a.Local() + ", which is " + stateWords(d)
}

func stateWords(d *resource) string {
	switch {
	case d.policy().Disabled:
		return "disabled"
	case d.next == nil:
		return "not declared any more"
	case d.err != "" && (d.state == Failed || d.state == Stuck):
		return string(d.state) + " (" + d.err + ")"
	case d.state == Up && d.want && d.unproven():
		return "up, but its checks have not said so yet"
	case d.state == Up && !d.want && d.wished:
		return d.wantWhy // restarting, and why
	case d.state == Up && !d.want:
		return "to be stopped"
	}
	return string(d.state)
}

// unproven: d was up before this agent, and the checks that say when its start is
// complete have not been asked yet.
func (d *resource) unproven() bool {
	return d.adopted && d.spec.ReadyByChecks && slices.ContainsFunc(d.checks, func(c *check) bool { return c.state == CheckUnknown })
}

// settled: what is after d need not wait for it any longer.
func (d *resource) settled() bool {
	return d.state == Up && d.want && !d.unproven() || d.policy().Optional && !d.comes()
}

// comes: d is on its way, or has not been tried.
func (d *resource) comes() bool {
	switch d.state {
	case Starting, Stopping:
		return true
	case Unknown:
		return !d.policy().Disabled || !d.untried
	case Down:
		return d.want && d.patient
	case Up: // but to be stopped, and then perhaps to be started again
		return !d.want
	case Failed, Stuck:
		return false
	default:
		panic("internal error: no such state: " + string(d.state))
	}
}

// unmet names a service that must be up before this one starts.
func (e *Engine) unmet(s *service) string {
	for _, name := range s.spec.Requires {
		if e.upAway[name] {
			continue
		}
		other := e.services[name]
		if other == nil {
			return "waits for service " + name + ", which is not known here"
		}
		if !e.available(other) {
			return "waits for service " + name + ", which is " + string(e.foldState(other))
		}
	}
	return ""
}

// lastDependent returns a resource that must be off before r may be stopped.
func (s *service) lastDependent(r *resource) *resource {
	for i := len(s.dependents[r.spec.Address]) - 1; i >= 0; i-- {
		d := s.dependents[r.spec.Address][i]
		if !d.off() && slices.Contains(d.on, r.spec.Address) {
			return d
		}
	}
	return nil
}

// stopsFirst names a service that requires this one and is on its way down too.
func (e *Engine) stopsFirst(s *service) string {
	for _, name := range e.requirer[s.name] {
		d := e.services[name]
		if d != nil && d != s && d.state != InstanceStuck && d.held() == nil && e.stopping(d) {
			return name
		}
	}
	return ""
}

// stopping: the service as a whole is on its way down.
func (e *Engine) stopping(s *service) bool {
	denied := e.denied(s) != ""
	if !denied && !s.purging && !s.stopWished() {
		return false
	}
	return slices.ContainsFunc(s.order, func(r *resource) bool {
		held := r.policy().Standby && !s.stopWished() || s.intent.Overrides[r.spec.Address] == WishStarted && !denied
		// A stuck task is for people, as a stuck instance is.
		return !r.off() && (s.purging || !held) && (r.task == nil || r.state != Stuck)
	})
}
