package engine

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// decide is the heart: for one service, from what is true now, it starts what is
// wanted and may start, and stops what is not wanted and may stop. Commands, checks
// and reloads start and stop nothing: they change facts, and decide draws the
// conclusion.
func (e *Engine) decide(s *service) {
	s.view = nil
	e.thawExpired(s)
	e.giveUp(s)
	// A transition without a call (a clean failure that becomes a start) may let
	// another follow; each resource changes at most a few times before it needs a call.
	for range 2 + 2*len(s.order) {
		if !e.pass(s) {
			break
		}
	}
	delete(e.dirty, s.name) // all that this decision touched, it has decided
	e.forgetGone(s)
	if e.services[s.name] != s {
		return // it was purged
	}
	e.fold(s)
	e.schedule(s)
}

// thawExpired ends a freeze whose time has come.
func (e *Engine) thawExpired(s *service) {
	f := s.intent.Frozen
	if f == nil || !f.expired(e.now) {
		return
	}
	s.intent.Frozen = nil
	e.remember(s)
	e.record(Fact{Kind: FactCommand, Service: s.name, Message: "thawed: the freeze by " + f.By + " has run out"})
}

func (f *Freeze) expired(now time.Time) bool { return !f.Until.IsZero() && !now.Before(f.Until) }

// pass decides once for every resource, and tells whether anything changed.
func (e *Engine) pass(s *service) (changed bool) {
	// Each behind all that it is after, whose goal it needs; but what is not declared
	// any more comes last, and may be stood on by what comes first.
	for range 1 + len(s.order) {
		if !e.goals(s) {
			break
		}
		changed = true
	}
	for _, r := range s.order {
		before := r.state
		hadCall := r.call != nil
		if r.task != nil {
			e.decideTask(s, r)
		} else {
			e.decideResource(s, r)
		}
		changed = changed || r.state != before || (r.call != nil) != hadCall
	}
	return changed
}

// goals computes what should be up, and tells whether any goal changed.
func (e *Engine) goals(s *service) (changed bool) {
	s.leaving = nil
	for _, r := range s.order {
		if r.next == nil && r.task == nil { // what came in its place must not start beside it
			s.leaving = r
		}
		want := r.want
		if r.task != nil {
			r.want, r.wantWhy = e.runGoal(s, r)
		} else {
			r.want, r.wantWhy = e.goal(s, r)
		}
		changed = changed || r.want != want
	}
	return changed
}

func (e *Engine) decideResource(s *service, r *resource) {
	r.why, r.patient = "", false
	e.adoptNext(s, r)
	r.standOn(s)
	if r.policy().Disabled && r.untried {
		r.why = "disabled"
		return // left alone: what was never asked of is not probed either
	}
	if r.state == Unknown {
		e.decideUnknown(s, r)
		return
	}
	if r.call != nil {
		if (r.call.verb == VerbStart || r.call.verb == VerbReady) && !r.want && !r.call.cancelled && s.held() == nil {
			r.call.cancelled = true
			e.out = append(e.out, Cancel{Op: r.call.op})
		}
		r.why = r.wantWhy
		if r.call.verb == VerbKill {
			r.why = "what holds it is being killed"
		}
		return
	}
	if f := s.held(); f != nil {
		r.why = frozenWhy(f)
		if r.state != Down && r.state != Unknown && !e.now.Before(r.probeAt) && r.policy().Monitor {
			e.look(s, r)
		}
		return
	}
	switch r.state {
	case Down:
		r.bounce, r.replace = false, false
		if r.want, r.wantWhy = e.goal(s, r); r.want {
			e.decideStart(s, r)
		} else {
			r.again = r.again && r.wished
			r.why = r.wantWhy
		}
		if r.state == Down && s.intent.GivenUp == "" {
			r.err = "" // it explains nothing any more
		}
	case Up, Starting: // Starting without a call: its checks are awaited
		e.decideUp(s, r)
	case Failed:
		e.decideFailed(s, r)
	case Stuck:
		e.decideStuck(s, r)
	case Unknown, Stopping:
	default:
		panic("internal error: no such state: " + string(r.state))
	}
}

// candidate tells whether the service may ever run on this node. Elsewhere not even
// its standby resources are looked at: what differs from node to node has no value here.
func (e *Engine) candidate(s *service) bool {
	return len(s.spec.Nodes) == 0 || slices.Contains(s.spec.Nodes, e.cfg.Node)
}

func (e *Engine) notCandidate(s *service) string {
	return fmt.Sprintf("this node, %s, is not among its nodes (%s)", e.cfg.Node, strings.Join(s.spec.Nodes, ", "))
}

func (e *Engine) decideUnknown(s *service, r *resource) {
	if r.spec == r.next && !e.candidate(s) {
		r.fresh = false
		e.enter(s, r, Down, "")
		r.why = e.notCandidate(s)
		return
	}
	if r.fresh && r.untried {
		if w := s.leaving; w != nil {
			r.why = fmt.Sprintf("waits until %s, which is not declared any more, is stopped", w.spec.Address.Local())
			return
		}
	}
	e.askUnknown(s, r)
}

func (e *Engine) askUnknown(s *service, r *resource) {
	r.why = "not yet probed"
	if r.err != "" {
		r.why = "asked again after " + probeRetry.String()
		if e.now.Before(r.probeAt) {
			return
		}
	}
	e.look(s, r)
}

// goal says whether a resource should be up, and if not, why.
func (e *Engine) goal(s *service, r *resource) (bool, string) {
	p := r.policy()
	r.wished = false
	switch override := s.intent.Overrides[r.spec.Address]; {
	case s.purging:
		return false, "is purged"
	case r.next == nil:
		return false, "not declared any more"
	case !e.candidate(s):
		return false, e.notCandidate(s)
	case p.Disabled:
		return false, "disabled"
	case override == WishStopped:
		return false, "stopped by " + s.intent.By
	case e.denied(s) != "" && (!p.Standby || s.barred):
		if s.epoch != 0 || s.denied != "" || r.state != Up {
			return false, e.denied(s)
		}
		// Not having been told yet is no reason to stop what is adopted.
	case s.intent.GivenUp != "" && !p.Standby:
		return false, "given up"
	case s.stopWished() && override != WishStarted:
		return false, s.stopWhy()
	case r.bounce:
		r.wished = true
		return false, "restarting"
	case r.replace, r.next != r.spec && r.next.Fixed != r.spec.Fixed:
		r.wished = true
		return false, "restarting with its new configuration"
	}
	r.wished = true
	if r.state == Up || r.state == Starting || r.state == Stopping {
		for _, a := range r.on {
			if d := s.byAddress[a]; d != nil && d.holdsBack() {
				return false, "waits for " + waitWords(a, d, true)
			}
		}
	}
	return true, ""
}

// holdsBack tells whether a resource that stands on d must come down because d is
// lost or is about to be stopped.
func (d *resource) holdsBack() bool {
	if !d.want { // even what is optional is stopped in order
		return !d.policy().Optional || !d.off()
	}
	if d.unhealed() {
		return false
	}
	switch d.state {
	case Up, Unknown: // not asked yet is no reason to stop anything
		return false
	case Down, Starting, Failed, Stopping, Stuck:
		return !d.policy().Optional && !d.spec.Schema.Transparent
	default:
		panic("internal error: no such state: " + string(d.state))
	}
}

// unhealed: it was lost, and monitor = false says that nothing is done about it.
func (r *resource) unhealed() bool { return r.state == Failed && r.lost && !r.policy().Monitor }

// denied says why this node may not run the service now; "" when it may.
func (e *Engine) denied(s *service) string {
	if s.epoch == 0 {
		if s.denied != "" {
			return s.denied
		}
		return "its placement is not known yet"
	}
	if !s.notAfter.IsZero() && !e.now.Before(s.notAfter) {
		return "the permission to run here has ended"
	}
	return ""
}

func (s *service) stopWished() bool {
	switch s.intent.State {
	case WishStopped:
		return true
	case WishStarted:
		return false
	default:
		return s.spec.Orchestrate == spec.Manual
	}
}

func (s *service) stopWhy() string {
	if s.intent.State == WishStopped {
		return "stopped by " + s.intent.By
	}
	return `waits to be started by hand (orchestrate = "manual")`
}

// held is the freeze that keeps svcctl's hands off a service. One that is barred has
// none: its host goes down, or its right to run ends, and nobody's wish outlives that.
func (s *service) held() *Freeze {
	if s.barred {
		return nil
	}
	return s.intent.Frozen
}

func frozenWhy(f *Freeze) string {
	why := "frozen by " + f.By
	if f.Reason != "" {
		why += " (" + f.Reason + ")"
	}
	return why
}

func (e *Engine) decideStart(s *service, r *resource) {
	p := r.policy()
	if r.fresh {
		if w := s.leaving; w != nil {
			r.why, r.patient = "waits until "+w.spec.Address.Local()+", which is not declared any more, is stopped", true
			return
		}
	}
	var blocking []spec.Address
	hopeless := false
	for _, a := range p.After {
		d := s.byAddress[a]
		if d == nil || !d.settled() {
			blocking = append(blocking, a)
			hopeless = hopeless || d == nil || !d.comes()
		}
	}
	if len(blocking) > 0 {
		r.why, r.patient = "waits for "+s.waitList(blocking), !hopeless
		return
	}
	if missing := e.unmet(s); missing != "" {
		r.why, r.patient = missing, true
		return
	}
	if r.again {
		r.restarts++
		r.again = false
	}
	r.on = []spec.Address{}
	for _, a := range p.After {
		if d := s.byAddress[a]; d.state == Up {
			if s.carries(r, d) { // since before an edit turned them round
				if r.begun {
					continue // r is on, and may well be stood on
				}
				s.nothingOn(r)
			}
			r.on = append(r.on, a)
		}
	}
	e.enter(s, r, Starting, "")
	r.call = e.do(s, r, nil, Do{Verb: VerbStart, Timeout: p.Timeouts.Start})
}

func (e *Engine) decideUp(s *service, r *resource) {
	switch {
	case !r.want:
		r.why = r.wantWhy
		if w := s.lastDependent(r); w != nil {
			r.why = "waits until " + w.spec.Address.Local() + " is stopped"
			return
		}
		if w := e.stopsFirst(s); w != "" {
			r.why = "waits until service " + w + " is stopped, which requires this one"
			return
		}
		e.stop(s, r, r.wantWhy)
	case r.state == Starting:
		r.why = "waits for its checks: " + r.openChecks()
		if !e.now.Before(r.ready) {
			e.fail(s, r, fmt.Sprintf("not ready within %s: %s", r.spec.Timeouts.Start, r.openChecks()), false)
		}
	case r.next != nil && r.next != r.spec && e.denied(s) != "" && !r.policy().Standby:
		r.why = e.denied(s) // held as it is until the placement is known: no call without permission
	case r.next != nil && r.next != r.spec && r.next.Fixed == r.spec.Fixed:
		r.call = e.do(s, r, nil, Do{Verb: VerbUpdate, Next: r.next, Timeout: r.next.Timeouts.Start})
	case !e.now.Before(r.probeAt) && r.policy().Monitor:
		e.look(s, r)
	}
}

func (e *Engine) stop(s *service, r *resource, why string) {
	e.enter(s, r, Stopping, why)
	r.call = e.do(s, r, nil, Do{Verb: VerbStop, Timeout: r.spec.Timeouts.Stop})
}

func (e *Engine) decideFailed(s *service, r *resource) {
	switch {
	case !r.want && r.clean:
		e.enter(s, r, Down, "")
		r.why = r.wantWhy
	case !r.want:
		e.decideUp(s, r)
	case r.unhealed():
		r.why = "monitor = false: it is not healed"
	case r.usedUp:
		r.why = "not restarted here any more"
		if p := r.policy().Restart; p.Attempts != unlimitedRetries && len(r.attempts) >= p.Attempts {
			r.why = fmt.Sprintf("not restarted any more: attempts used up (%d within %s)", p.Attempts, p.Within)
		}
	case e.now.Before(r.retryAt):
		r.why = "retries after " + r.retryAt.Sub(r.since).String()
		if a := r.policy().Restart.Attempts; a != unlimitedRetries {
			r.why += fmt.Sprintf(" (%d of %d)", len(r.attempts), a)
		}
	case r.clean, r.begun:
		e.decideStart(s, r)
	default:
		// What is optional or transparent holds up no dependents, so it waits for none.
		if w := s.lastDependent(r); w != nil && !r.policy().Optional && !r.spec.Schema.Transparent {
			r.why = "waits until " + w.spec.Address.Local() + " is stopped"
			return
		}
		e.stop(s, r, "to start it again")
	}
}

func (e *Engine) decideStuck(s *service, r *resource) {
	p := r.policy()
	r.why = "it did not stop; looked at every " + stuckProbeEvery.String()
	w := s.lastDependent(r)
	switch {
	case w != nil && !(r.want && (p.Optional || r.spec.Schema.Transparent)):
		r.why = "waits until " + w.spec.Address.Local() + " is stopped"
	case r.freed:
		e.stop(s, r, "again, after what held it was killed")
		return
	case !r.killed && p.OnStuck != "wait":
		r.killed = true
		if p.OnStuck == "reset" {
			e.out = append(e.out, Reset{Why: fmt.Sprintf("%s did not stop: %s", r.spec.Address, r.err)})
			return
		}
		r.call = e.do(s, r, nil, Do{Verb: VerbKill, Timeout: r.spec.Timeouts.Stop})
		return
	}
	if !e.now.Before(r.probeAt) {
		e.look(s, r)
	}
}

// giveUp ends an instance whose resource can't be restarted any more, as the
// service's on_failure says.
func (e *Engine) giveUp(s *service) {
	if s.intent.GivenUp != "" || s.intent.Frozen != nil || s.purging || s.stopWished() || e.denied(s) != "" {
		return
	}
	for _, r := range s.order {
		if r.state != Failed || !r.usedUp || r.policy().Optional {
			continue
		}
		why := fmt.Sprintf("%s failed and its restarts are used up: %s", r.spec.Address.Local(), r.err)
		switch s.spec.OnFailure {
		case spec.ReportFailure:
			continue
		case spec.StopInstance:
			s.intent.GivenUp = why
		case spec.Relocate:
			switch {
			case !s.reachedUp:
				s.intent.GivenUp = "start rolled back: " + why
			case s.movable:
				s.intent.GivenUp = "another node is to have it: " + why
			default:
				continue // nobody else can have it: what works goes on
			}
		case spec.ResetNode:
			s.intent.GivenUp = why
			e.out = append(e.out, Reset{Why: "service " + s.name + ": " + why})
		default:
			panic("internal error: no such on_failure: " + string(s.spec.OnFailure))
		}
		s.intent.GaveUpAt = s.epoch
		e.remember(s)
		e.record(Fact{Kind: FactService, Service: s.name, Message: s.intent.GivenUp})
		return
	}
}
