package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// firstCheckWithin bounds the spread of the first results after a start: an
// operator wants them soon, a thousand of them must not come at once.
const firstCheckWithin = time.Second

// checkSlot is how far apart the moments are at which checks come due: those that
// come together cost an idle host one awakening, and less than half the time each.
const checkSlot = 100 * time.Millisecond

// wakeChecks makes every check of a resource due within the spread.
func (e *Engine) wakeChecks(r *resource, spread time.Duration) {
	for _, c := range r.checks {
		if c.due.IsZero() {
			c.due = e.slot(e.now.Add(e.jitter(min(spread, c.spec.Every))), c.spec.Every)
		}
	}
}

// slot is the moment for checks of this period that comes at t or next before it,
// but never before now.
func (e *Engine) slot(t time.Time, every time.Duration) time.Time {
	if at := t.Truncate(min(checkSlot, every/10)); at.After(e.now) {
		return at
	}
	return e.now
}

// restChecks forgets verdicts: they were about something that is not up any more.
func (e *Engine) restChecks(r *resource) {
	for _, c := range r.checks {
		c.due, c.streak, c.rosen, c.call = time.Time{}, 0, false, nil
		if c.state != CheckUnknown {
			c.state, c.since, c.detail = CheckUnknown, e.now, ""
		}
	}
}

// runChecks asks for the checks whose time has come.
func (e *Engine) runChecks(s *service) {
	for _, r := range s.order {
		if len(r.checks) == 0 || r.state != Up && (r.state != Starting || r.call != nil) {
			continue
		}
		e.wakeChecks(r, firstCheckWithin)
		for _, c := range r.checks {
			if c.call != nil || e.now.Before(c.due) {
				continue
			}
			c.due = c.due.Add(c.spec.Every)
			if !c.due.After(e.now) { // late by more than a turn: don't catch up in a burst
				c.due = e.now.Add(c.spec.Every)
			}
			c.asked = e.now
			c.call = e.do(s, r, c, Do{Verb: VerbCheck, Check: c.spec, Timeout: c.spec.Timeout})
		}
	}
}

// checked takes in one result.
func (e *Engine) checked(s *service, r *resource, c *check, ev Done) {
	passed := ev.Err == nil && ev.Status.Seen == SeenUp
	if !passed {
		reason := ev.Status.Detail
		if ev.Err != nil {
			reason = ev.Err.Error()
		}
		if c.err != reason {
			c.err = reason
			s.view = nil
		}
	} else if c.state == CheckUp && c.err != "" {
		c.err = "" // one failure that was not enough for a fall is over
		s.view = nil
	}
	if said := ev.Status.Detail; passed && c.detail != said {
		c.detail = said // worth knowing though it passes, as a plugin's warning is
		s.view = nil
	}
	if errors.Is(ev.Err, ErrNoVerdict) {
		if e.scheduledLater(s, c) {
			e.touch(s)
		}
		return
	}
	switch {
	case c.state == CheckUp && passed, c.state == CheckDown && !passed:
		c.streak = 0
	default:
		if c.state == CheckUnknown && (c.streak > 0) != passed {
			c.streak = 0 // towards the other verdict
		}
		if passed {
			c.streak++ // while unknown, passes count up and failures down
		} else if c.state == CheckUnknown {
			c.streak--
		} else {
			c.streak++
		}
	}
	e.judge(s, r, c, passed)
	if c.state == CheckDown && !passed {
		e.fell(s, r, c)
	}
	if r.state == Starting && c.state != CheckUp {
		c.due = earlier(c.due, e.now.Add(e.awaitPause(r, c)))
	}
	if e.scheduledLater(s, c) {
		e.touch(s)
	}
}

// awaitPause is how long an awaited check rests: others wait for it, so that it must
// not cost them a whole turn; but neither may a dear check keep a slow start busy.
func (e *Engine) awaitPause(r *resource, c *check) time.Duration {
	return max(shortestAwait, e.now.Sub(r.since)/50, 2*e.now.Sub(c.asked))
}

const shortestAwait = 20 * time.Millisecond

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// scheduledLater tells whether the service must be decided again to have the check's
// next turn in its schedule.
func (e *Engine) scheduledLater(s *service, c *check) bool {
	return s.due.at.IsZero() || c.due.Before(s.due.at)
}

func (e *Engine) judge(s *service, r *resource, c *check, passed bool) {
	verdict := c.state
	switch {
	case passed && c.state != CheckUp && c.streak >= c.spec.Rise:
		verdict = CheckUp
		c.rosen, c.err = true, ""
	case !passed && c.state == CheckUp && c.streak >= c.spec.Fall,
		!passed && c.state == CheckUnknown && -c.streak >= c.spec.Fall && r.state != Starting:
		verdict = CheckDown
	}
	if verdict == c.state {
		return
	}
	e.record(Fact{Kind: FactCheck, Service: s.name, Address: r.spec.Address, Check: c.spec.Name,
		From: string(c.state), To: string(verdict), Message: c.err})
	c.state, c.since, c.streak = verdict, e.now, 0
	e.touch(s)
	if r.state == Starting && r.call == nil && r.openChecks() == "" {
		e.risen(s, r)
	}
}

// fell acts on a check that is down. A check that never rose since the start is
// given the start's own timeout first: a service may need that long to be there.
func (e *Engine) fell(s *service, r *resource, c *check) {
	if r.state != Up || r.call != nil || s.intent.Frozen != nil || !r.policy().Monitor {
		return
	}
	if !c.rosen && e.now.Before(r.upSince.Add(r.spec.Timeouts.Start)) {
		return
	}
	why := fmt.Sprintf("check %s fell: %s", c.spec.Name, c.err)
	switch c.spec.OnFall {
	case spec.FallReport:
	case spec.FallRestart:
		e.fail(s, r, why, false)
	case spec.FallRelocate:
		e.fail(s, r, why, false)
		r.usedUp, r.retryAt = true, time.Time{}
	default:
		panic("internal error: no such on_fall: " + string(c.spec.OnFall))
	}
}

// openChecks names the checks that have not risen, with their reasons; "" when all have.
func (r *resource) openChecks() string {
	var open []string
	for _, c := range r.checks {
		if c.state == CheckUp {
			continue
		}
		name := c.spec.Name
		if c.err != "" {
			name += " (" + c.err + ")"
		}
		open = append(open, name)
	}
	return strings.Join(open, ", ")
}

// adoptChecks takes over the checks of a new spec; one that did not change keeps
// its verdict and its turn.
func (r *resource) adoptChecks(next *spec.Resource) {
	checks := make([]*check, 0, len(next.Checks))
	for _, n := range next.Checks {
		made := &check{spec: n, state: CheckUnknown}
		for _, old := range r.checks {
			if old.spec.Name == n.Name && old.spec.Kind == n.Kind && old.spec.Digest == n.Digest {
				old.spec = n
				made = old
			}
		}
		checks = append(checks, made)
	}
	r.checks = checks
}
