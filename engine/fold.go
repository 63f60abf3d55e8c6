package engine

import (
	"slices"
	"strings"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// fold brings the service's state up to date, and tells those who wait for it.
func (e *Engine) fold(s *service) {
	e.runChecks(s)
	state := e.foldState(s)
	s.why = e.whyNot(s, state)
	switch state {
	case InstanceUp:
		s.reachedUp = true
	case InstanceDown, InstanceStandby:
		s.reachedUp = false
	case InstanceStarting, InstanceStopping, InstanceDegraded, InstanceFailed, InstanceStuck, InstanceUnknown:
	default:
		panic("internal error: no such state: " + string(state))
	}
	available, stopping := e.available(s), e.stopping(s)
	if state == s.state && available == s.available && stopping == s.stopping {
		return
	}
	if state != s.state {
		e.record(Fact{Kind: FactService, Service: s.name, From: string(s.state), To: string(state), Message: s.why})
	}
	s.state, s.available, s.stopping = state, available, stopping
	for _, name := range slices.Concat(s.spec.Requires, e.requirer[s.name]) {
		if other := e.services[name]; other != nil && other != s {
			e.touch(other)
		}
	}
}

// census counts the resources that a service's state depends on.
type census struct {
	required, up, standbyUp, failed, usedUp, starting, stopping, stuck, unknown, wanted int

	fallen bool // a check of what is up is down
}

// foldState computes the instance's state from its resources.
func (e *Engine) foldState(s *service) InstanceState {
	var n census
	for _, r := range s.order {
		if r.task == nil && (!r.policy().Disabled || !r.off()) {
			n.count(r)
		}
	}
	switch {
	case n.stuck > 0:
		return InstanceStuck
	case n.unknown > 0:
		return InstanceUnknown
	case n.stopping > 0:
		return InstanceStopping
	case n.usedUp > 0, n.failed > 0 && n.up == 0 && n.starting == 0:
		return InstanceFailed
	case n.starting > 0:
		return InstanceStarting
	case n.failed > 0:
		return InstanceDegraded
	case n.required == 0:
		return e.foldOptional(s)
	case n.up == n.required && n.fallen:
		return InstanceDegraded
	case n.up == n.required:
		return InstanceUp
	case n.up == n.standbyUp && s.intent.GivenUp != "":
		return InstanceFailed
	case n.up == 0 && n.wanted == n.required:
		return InstanceStarting
	case n.up == 0:
		return InstanceDown
	case n.up == n.standbyUp && (s.stopWished() || e.denied(s) != ""):
		return InstanceStandby
	case n.wanted == n.required:
		return InstanceStarting
	}
	return InstanceDegraded
}

func (n *census) count(r *resource) {
	p := r.policy()
	one := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	n.stuck += one(r.state == Stuck)
	n.stopping += one(r.state == Stopping && (!p.Optional || !r.wished)) // what is optional comes and goes by itself
	if p.Optional {
		return
	}
	n.required++
	n.wanted += one(r.wished && (r.state != Down || !r.want || r.patient)) // and not held up by what will not come
	switch r.state {
	case Unknown:
		n.unknown += one(!r.fresh) // what a reload brought was not running unseen
	case Starting:
		n.starting++
	case Failed:
		n.failed++
		n.usedUp += one(r.usedUp || r.unhealed())
	case Up:
		n.up++
		n.standbyUp += one(p.Standby)
		n.fallen = n.fallen || r.checkDown()
	case Down, Stopping, Stuck:
	default:
		panic("internal error: no such state: " + string(r.state))
	}
}

// foldOptional is for a service that has only optional resources, or none.
func (e *Engine) foldOptional(s *service) InstanceState {
	for _, r := range s.order {
		if r.state == Up && r.task == nil {
			return InstanceUp
		}
	}
	if s.stopWished() || e.denied(s) != "" {
		return InstanceDown
	}
	return InstanceUp
}

func (r *resource) checkDown() bool {
	return slices.ContainsFunc(r.checks, func(c *check) bool { return c.state == CheckDown })
}

// available: everything that is neither optional nor disabled is up.
func (e *Engine) available(s *service) bool {
	some := false
	for _, r := range s.order {
		p := r.policy()
		if p.Disabled && r.state != Up || r.task != nil {
			continue
		}
		some = some || r.state == Up
		if !p.Optional && r.state != Up {
			return false
		}
	}
	return some || !s.stopWished() && e.denied(s) == ""
}

// whyNot is the first reason that keeps the service from being up.
func (e *Engine) whyNot(s *service, state InstanceState) string {
	frozen := ""
	if f := s.held(); f != nil {
		frozen = frozenWhy(f)
	}
	if state == InstanceUp {
		return frozen
	}
	switch {
	case frozen != "":
		return frozen
	case s.purging:
		return "is purged"
	case s.intent.GivenUp != "":
		return s.intent.GivenUp
	}
	for _, r := range s.order { // root causes: failures before those who wait for them
		if (r.state == Stuck || r.state == Failed) && !r.policy().Optional && r.task == nil {
			return r.spec.Address.Local() + ": " + joinWhy(r.err, r.why)
		}
	}
	if d := e.denied(s); d != "" {
		return d
	}
	if s.stopWished() && len(s.intent.Overrides) == 0 {
		return s.stopWhy()
	}
	for _, r := range s.order {
		if r.policy().Optional || r.policy().Disabled && r.off() || r.state == Up || r.task != nil {
			continue
		}
		if why := joinWhy(r.err, r.why); why != "" {
			return r.spec.Address.Local() + ": " + why
		}
	}
	for _, r := range s.order {
		for _, c := range r.checks {
			if c.state == CheckDown {
				return r.spec.Address.Local() + ": check " + c.spec.Name + " is down: " + c.err
			}
		}
	}
	return ""
}

func joinWhy(err, why string) string {
	switch {
	case err == "":
		return why
	case why == "" || err == why:
		return err
	}
	return err + "; " + why
}

// Snapshot returns what the engine knows. Only what changed since the last one is
// made anew.
func (e *Engine) Snapshot(now time.Time) *Snapshot {
	snap := &Snapshot{Time: now, Node: e.cfg.Node, Services: make([]*ServiceView, 0, len(e.list))}
	for _, s := range e.list {
		if s.view == nil {
			s.view = e.viewOf(s)
		}
		v := s.view
		if v.Frozen != nil && v.Frozen.expired(now) { // the tick that thaws it is still to come
			thawed := *v
			thawed.Frozen = nil
			if thawed.Why == frozenWhy(v.Frozen) {
				thawed.Why = ""
			}
			v = &thawed
		}
		snap.Services = append(snap.Services, v)
	}
	return snap
}

var levels = []spec.Level{spec.LevelKernel, spec.LevelGuard, spec.LevelReset, spec.LevelNone}

func (e *Engine) viewOf(s *service) *ServiceView {
	v := &ServiceView{
		FullName: s.name, Name: s.spec.Name, Namespace: s.spec.Namespace, Topology: s.spec.Topology,
		State: s.state, Available: e.available(s), Undeclared: s.undeclared, Frozen: s.intent.Frozen,
		Epoch: s.epoch, Active: e.denied(s) == "", Level: spec.LevelKernel, Why: s.why, GivenUp: s.intent.GivenUp,
		Requires: s.spec.Requires, Resources: make([]ResourceView, 0, len(s.order)),
	}
	for _, r := range s.order {
		if r.task != nil {
			v.Tasks = append(v.Tasks, e.viewTask(s, r))
			continue
		}
		p := r.policy()
		rv := ResourceView{
			Address: r.spec.Address, Kind: r.spec.Kind, State: r.state, Since: r.since, Restarts: r.restarts,
			Error: r.err, Why: r.why, Detail: r.detail, PID: r.pid, Level: r.spec.Schema.Level,
			GivenUp:  r.state == Failed && (r.usedUp || !p.Monitor) || r.state == Stuck && r.killed && r.call == nil,
			Optional: p.Optional, Standby: p.Standby, Disabled: p.Disabled, Tags: p.Tags, After: p.After,
		}
		for _, c := range r.checks {
			rv.Checks = append(rv.Checks, CheckView{Name: c.spec.Name, Kind: c.spec.Kind, State: c.state, Since: c.since, Error: c.err, Detail: c.detail})
		}
		if slices.Index(levels, rv.Level) > slices.Index(levels, v.Level) {
			v.Level = rv.Level
		}
		v.Resources = append(v.Resources, rv)
	}
	slices.SortFunc(v.Tasks, func(a, b TaskView) int { return strings.Compare(string(a.Address), string(b.Address)) })
	return v
}

// Undeclared names the services that go on though no file declares them any more.
func (e *Engine) Undeclared() (names []string) {
	for _, s := range e.list {
		if s.undeclared {
			names = append(names, s.name)
		}
	}
	return names
}

// Outdated lists, by name, the resources that still go by an older spec than the one in
// force: they are to be stopped or changed.
func (e *Engine) Outdated() (out []spec.Address) {
	for _, s := range e.list {
		for _, r := range s.order {
			if !s.undeclared && (r.next == nil || r.next.Digest != r.spec.Digest) || s.purging {
				out = append(out, r.spec.Address)
			}
		}
	}
	slices.Sort(out)
	return out
}
