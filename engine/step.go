package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// Step takes one event and returns what must happen, in order. A step costs what it
// touches, however many services there are.
func (e *Engine) Step(now time.Time, ev Event) []Action {
	e.now, e.out = now, nil
	switch ev := ev.(type) {
	case Restore:
		e.intents = ev.Intents
		if e.intents == nil {
			e.intents = make(map[string]Intent)
		}
		e.restoreTasks(ev.Tasks)
	case Reload:
		e.reload(ev)
	case Permission:
		e.permit(ev)
	case Elsewhere:
		e.elsewhere(ev)
	case Observed:
		e.observed(ev)
	case Done:
		e.done(ev)
	case Command:
		e.command(ev)
	case Tick:
	default:
		panic(fmt.Sprintf("internal error: unknown event %T", ev))
	}
	e.wake()
	e.settle()
	out := e.out
	e.out = nil
	return out
}

// settle decides for every service that was touched, until nothing more follows.
// A service is touched again only by a change of another's state, so the rounds are
// bounded by the depth of requires.
func (e *Engine) settle() {
	for len(e.dirty) > 0 {
		names := make([]string, 0, len(e.dirty))
		for name := range e.dirty {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			s := e.dirty[name]
			delete(e.dirty, name)
			if e.services[name] == s {
				e.decide(s)
			}
		}
	}
}

// observed takes in what a watch saw. During a call it is not believed: the call
// itself may have caused it, so the resource is probed behind the call.
func (e *Engine) observed(ev Observed) {
	s := e.services[ev.Address.Service()]
	if s == nil {
		return
	}
	r := s.byAddress[ev.Address]
	if r == nil {
		return
	}
	if r.call != nil {
		r.reprobe = true
		return
	}
	if r.probe != nil {
		r.reprobe = true // the probe may have looked before
	}
	if ev.Status.Seen == SeenBegun && r.state == Up {
		e.look(s, r) // it may be a word from before the start was complete
		return
	}
	e.see(s, r, ev.Status)
}

// see draws the conclusion from an observation made while no call ran.
func (e *Engine) see(s *service, r *resource, st Status) {
	if r.detail != st.Detail {
		r.detail = st.Detail
		s.view = nil
	}
	if r.task != nil {
		e.seeRun(s, r, st)
		e.touch(s)
		return
	}
	switch st.Seen {
	case SeenUp:
		r.pid = st.PID
		switch r.state {
		case Unknown, Down, Failed:
			e.foundUp(s, r)
		case Stuck:
			if r.want { // else only a stop that succeeds, or its end, helps
				e.foundUp(s, r)
			}
		case Up:
			s.view = nil
		case Starting, Stopping:
		default:
			panic("internal error: no such state: " + string(r.state))
		}
	case SeenBegun:
		e.seeBegun(s, r, st)
	case SeenDown, SeenFailed:
		e.seeLost(s, r, st)
	default:
		panic("internal error: no such observation: " + string(st.Seen))
	}
	e.touch(s)
}

// foundUp adopts what runs already.
func (e *Engine) foundUp(s *service, r *resource) {
	if r.state == Unknown && !r.fresh && !r.policy().Standby {
		s.reachedUp = true // it ran before this agent did: a failure now is no failed start
	}
	if wasOff := r.off() && r.state != Unknown; wasOff || r.on == nil || r.state == Failed {
		s.takeOn(r, wasOff)
	}
	r.adopted = r.state == Unknown
	e.enter(s, r, Up, "found up")
}

// takeOn is for what was brought up by others: it is taken to stand on all that it is
// after, by the spec in force too, for nobody knows by which of them it was started. What
// was only stuck goes on standing on what it stood on, whatever came and went since.
func (s *service) takeOn(r *resource, wasOff bool) {
	on := slices.Clip(r.on)
	if on == nil {
		on = []spec.Address{}
	}
	for _, a := range slices.Concat(r.spec.After, r.policy().After) {
		d := s.byAddress[a]
		if d == nil || slices.Contains(on, a) {
			continue // not known here is not there: what may come in its place stands on r, if anything
		}
		// After edits that turned the graph round, r may carry what it is after now; but
		// not if it was off since: what was started on it went on without it.
		if s.carries(r, d) {
			if !wasOff {
				continue
			}
			s.nothingOn(r)
		}
		on = append(on, a)
	}
	r.on = on
}

// seeBegun: an agent before this one started it and did not see the start complete, or
// it was up and another start makes it so again, as with a container that was paused.
func (e *Engine) seeBegun(s *service, r *resource, st Status) {
	switch r.state {
	case Unknown, Down, Failed:
		e.enter(s, r, Failed, "its start is not complete")
		r.pid, r.clean, r.begun, r.retryAt = st.PID, false, true, e.now
	case Up:
		e.fail(s, r, lossMessage(st), false)
		r.pid, r.begun = st.PID, true
	case Starting, Stopping, Stuck:
	default:
		panic("internal error: no such state: " + string(r.state))
	}
}

// carries tells whether d stands on r, be it through others.
func (s *service) carries(r, d *resource) bool {
	if d == r {
		return true
	}
	a := r.spec.Address
	if !slices.ContainsFunc(s.dependents[a], func(x *resource) bool { return slices.Contains(x.on, a) }) {
		return false // as most often: nothing stands on r
	}
	seen := make(map[*resource]bool) // each once: there may be very many ways through a graph
	var walk func(x *resource) bool
	walk = func(x *resource) bool {
		if x == nil || seen[x] {
			return false
		}
		seen[x] = true
		return x == r || slices.ContainsFunc(x.on, func(b spec.Address) bool { return walk(s.byAddress[b]) })
	}
	return walk(d)
}

func (e *Engine) seeLost(s *service, r *resource, st Status) {
	gone := st.Seen == SeenDown
	switch r.state {
	case Up, Starting:
		r.exit = st.Exit
		e.fail(s, r, lossMessage(st), gone)
	case Unknown:
		r.exit = st.Exit // it ended while no agent watched
		if gone {
			message := ""
			if st.Exit != nil {
				message = "found down: " + lossMessage(st)
			}
			e.enter(s, r, Down, message)
			r.again = st.Exit != nil // it ended while nobody looked: its next start is a restart
			return
		}
		e.fail(s, r, lossMessage(st), false)
	case Stuck:
		if gone {
			e.enter(s, r, Down, "found down")
		}
	case Failed:
		r.clean = gone
	case Down:
		if !gone {
			r.exit = st.Exit
			e.fail(s, r, lossMessage(st), false)
		}
	case Stopping:
	default:
		panic("internal error: no such state: " + string(r.state))
	}
}

func lossMessage(st Status) string {
	if st.Detail != "" {
		return st.Detail
	}
	if st.Exit != nil && st.Exit.Signal != "" {
		return "ended by " + st.Exit.Signal
	}
	if st.Exit != nil {
		return fmt.Sprintf("exited with code %d", st.Exit.Code)
	}
	return "lost: it is down"
}

// done takes in the answer to a call.
func (e *Engine) done(ev Done) {
	c := e.ops[ev.Op]
	if c == nil {
		panic(fmt.Sprintf("internal error: done for op %d, which does not run", ev.Op))
	}
	delete(e.ops, ev.Op)
	s, r := c.svc, c.res
	if c.verb == VerbCheck {
		if c.chk.call == c {
			c.chk.call = nil
			e.checked(s, r, c.chk, ev)
		}
		return
	}
	if c.verb == VerbProbe {
		if r.probe == c {
			r.probe = nil
			e.probed(s, r, ev)
		}
		return
	}
	if r.call != c {
		panic(fmt.Sprintf("internal error: %s of %s answered twice", c.verb, r.spec.Address))
	}
	r.call = nil
	e.touch(s)
	switch c.verb {
	case VerbStart:
		e.started(s, r, ev, c.cancelled)
	case VerbReady:
		e.readied(s, r, ev, c.cancelled)
	case VerbStop:
		e.stopped(s, r, ev)
	case VerbUpdate:
		e.updated(s, r, c.next, ev)
	case VerbKill:
		e.killedFor(s, r, ev)
	default:
		panic("internal error: no such verb: " + string(c.verb))
	}
}

func (e *Engine) probed(s *service, r *resource, ev Done) {
	e.touch(s)
	r.probeAt = e.nextProbe()
	if r.state == Stuck {
		r.probeAt = e.now.Add(stuckProbeEvery)
	}
	if r.call != nil {
		return // it looked at a world that the call is changing
	}
	if r.reprobe {
		r.reprobe = false
		e.look(s, r)
		return
	}
	if ev.Err != nil {
		// Not knowing is no loss: what runs goes on, and the next probe asks again.
		r.detail = "cannot probe: " + ev.Err.Error()
		s.view = nil
		if r.state == Unknown {
			r.err = r.detail
			r.probeAt = e.now.Add(probeRetry)
		}
		return
	}
	e.see(s, r, ev.Status)
}

// look probes now.
func (e *Engine) look(s *service, r *resource) {
	if r.probe == nil {
		r.probe = e.do(s, r, nil, Do{Verb: VerbProbe, Timeout: probeTimeout})
	}
}

const (
	probeTimeout = 10 * time.Second
	probeRetry   = 5 * time.Second // after a probe that could not tell
)

func (e *Engine) started(s *service, r *resource, ev Done, cancelled bool) {
	switch {
	case r.task != nil:
		e.runStarted(s, r, ev)
		return
	case cancelled:
		e.enter(s, r, Failed, "its start was cancelled")
		r.clean, r.err, r.retryAt = false, "", e.now
		return
	case ev.Err != nil:
		e.fail(s, r, ev.Err.Error(), false)
		return
	}
	r.pid, r.detail = ev.Status.PID, ev.Status.Detail
	if r.spec.ReadyByChecks && len(r.checks) > 0 {
		r.ready = e.now.Add(r.spec.Timeouts.Start)
		e.wakeChecks(r, 0)
		s.view = nil
		e.lookBehind(s, r)
		return
	}
	e.becomeUp(s, r)
}

// lookBehind probes if something was seen while a call ran. A probe that was asked
// for before the call ended may have looked before, so its answer asks again.
func (e *Engine) lookBehind(s *service, r *resource) {
	if r.reprobe && r.probe == nil {
		r.reprobe = false
		e.look(s, r)
	}
}

// risen is called when the last check that a start awaits has risen.
func (e *Engine) risen(s *service, r *resource) {
	if len(r.spec.Hooks.AfterStart) == 0 {
		e.becomeUp(s, r)
		return
	}
	left := r.ready.Sub(e.now)
	r.ready = time.Time{}
	r.call = e.do(s, r, nil, Do{Verb: VerbReady, Timeout: max(left, time.Second)})
}

func (e *Engine) readied(s *service, r *resource, ev Done, cancelled bool) {
	if cancelled || ev.Err != nil {
		e.started(s, r, ev, cancelled)
		return
	}
	e.becomeUp(s, r)
}

func (e *Engine) becomeUp(s *service, r *resource) {
	r.ready = time.Time{}
	e.enter(s, r, Up, "")
	e.lookBehind(s, r)
}

func (e *Engine) stopped(s *service, r *resource, ev Done) {
	r.reprobe = r.probe != nil
	if ev.Err != nil {
		e.enter(s, r, Stuck, ev.Err.Error())
		return
	}
	if r.task != nil {
		e.finish(s, r)
		return
	}
	e.enter(s, r, Down, "")
}

func (e *Engine) updated(s *service, r *resource, to *spec.Resource, ev Done) {
	defer e.lookBehind(s, r)
	if ev.Err != nil {
		r.replace = true
		e.record(Fact{Kind: FactNotice, Service: s.name, Address: r.spec.Address,
			Message: "cannot change it while it runs, so it is restarted: " + ev.Err.Error()})
		return
	}
	r.spec = to // which may be older than what the spec says by now
	r.keepOn(s)
	if r.spec != r.next {
		s.relink() // for what it is after meanwhile was not known when they were linked
	}
	e.record(Fact{Kind: FactNotice, Service: s.name, Address: r.spec.Address, Message: "changed while it runs"})
	s.view = nil
}

func (e *Engine) killedFor(s *service, r *resource, ev Done) {
	defer e.lookBehind(s, r)
	s.view = nil
	if ev.Err != nil {
		r.err += "; " + ev.Err.Error()
		return
	}
	r.freed = true
}

// fail moves a resource to Failed and says when it is tried again.
func (e *Engine) fail(s *service, r *resource, message string, clean bool) {
	if r.call != nil {
		panic(fmt.Sprintf("internal error: %s fails during a call", r.spec.Address))
	}
	from := r.state
	p := r.policy().Restart
	if from == Up && e.now.Sub(r.upSince) >= p.Reset {
		r.failures = 0
	}
	r.ready = time.Time{}
	e.enter(s, r, Failed, message)
	r.clean, r.lost = clean, from == Up
	if clean {
		r.pid = 0
	}
	r.again = r.again || from == Up || from == Starting
	// What was found broken before anyone started it is no failed attempt.
	if p.Attempts != unlimitedRetries && (from == Up || from == Starting) {
		r.attempts = slices.DeleteFunc(r.attempts, func(t time.Time) bool { return e.now.Sub(t) >= p.Within })
		if len(r.attempts) >= p.Attempts {
			r.usedUp, r.retryAt = true, time.Time{}
			return
		}
		r.attempts = append(r.attempts, e.now)
	}
	r.retryAt = e.now.Add(retryDelay(p, r.failures))
	r.failures++
}

// retryDelay is the wait before the restart that follows n failures in a row: none,
// then Backoff, doubling to Max.
func retryDelay(p spec.Restart, n int) time.Duration {
	if n == 0 {
		return 0
	}
	d := p.Backoff
	for ; n > 1 && d < p.Max; n-- {
		d *= 2
	}
	return min(d, p.Max)
}
