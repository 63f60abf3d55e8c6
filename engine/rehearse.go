package engine

import (
	"maps"
	"slices"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// Move is one driver call of a rehearsal.
type Move struct {
	Verb    Verb         `json:"verb"`
	Address spec.Address `json:"address"`
}

// Wave is a set of calls that run side by side.
type Wave []Move

const (
	rehearsalWaves = 10_000
	rehearsalTicks = 1_000 // without a call in between
)

// Rehearse plays events on a copy of the engine, in a world where every call
// succeeds at once and what was never probed is down. It is the decider itself,
// so it can't promise anything else than what would be done.
func Rehearse(e *Engine, now time.Time, events ...Event) (waves []Wave) {
	c, pending := e.clone()
	for _, ev := range events {
		pending = append(pending, calls(c.Step(now, ev))...)
	}
	for ticks := 0; len(waves) < rehearsalWaves && ticks < rehearsalTicks; {
		if len(pending) == 0 {
			if !c.moving() || c.Deadline().IsZero() {
				break
			}
			now = c.Deadline()
			pending = calls(c.Step(now, Tick{}))
			ticks++
			continue
		}
		var wave Wave
		var next []Do
		for _, d := range pending {
			answer := Done{Op: d.Op}
			switch d.Verb {
			case VerbStart, VerbStop, VerbUpdate, VerbKill:
				if d.Resource.Task == nil || d.Verb != VerbStart { // a run is no part of a plan, but its end may be
					wave = append(wave, Move{Verb: d.Verb, Address: d.Resource.Address})
					ticks = 0
				}
			case VerbReady: // a part of the start
			case VerbProbe:
				answer.Status.Seen = c.likely(d.Resource.Address)
			case VerbCheck:
				answer.Status.Seen = SeenUp
			default:
				panic("internal error: no such verb: " + string(d.Verb))
			}
			next = append(next, calls(c.Step(now, answer))...)
		}
		if len(wave) > 0 {
			slices.SortFunc(wave, func(a, b Move) int {
				if a.Address < b.Address {
					return -1
				}
				return 1
			})
			waves = append(waves, wave)
		}
		pending = next
	}
	return waves
}

func calls(actions []Action) (out []Do) {
	for _, a := range actions {
		if d, ok := a.(Do); ok {
			out = append(out, d)
		}
	}
	return out
}

// likely is what a probe finds in a rehearsal: what is already known.
func (e *Engine) likely(a spec.Address) Seen {
	if s := e.services[a.Service()]; s != nil {
		if r := s.byAddress[a]; r != nil && (r.state == Up || r.state == Stuck) {
			return SeenUp
		}
	}
	return SeenDown
}

// moving tells whether anything is on its way, so that time may bring more calls.
func (e *Engine) moving() bool {
	for _, s := range e.services {
		for _, r := range s.order {
			switch r.state {
			case Starting, Stopping:
				return true
			case Failed:
				if r.want && !r.usedUp && r.policy().Monitor && s.intent.Frozen == nil {
					return true
				}
			case Unknown:
				if !r.off() {
					return true
				}
			case Up, Down, Stuck:
			default:
				panic("internal error: no such state: " + string(r.state))
			}
		}
	}
	return false
}

// clone copies the engine. The calls that run are returned as if just asked for.
func (e *Engine) clone() (*Engine, []Do) {
	c := New(e.cfg)
	c.intents = maps.Clone(e.intents)
	c.upAway = maps.Clone(e.upAway)
	c.now = e.now
	c.rehearsal = true
	for name, s := range e.services {
		n := *s
		n.byAddress = make(map[spec.Address]*resource, len(s.byAddress))
		n.order, n.view = nil, nil
		n.due, n.scheduled = moment{service: &n}, moment{service: &n}
		n.intent.Overrides = maps.Clone(s.intent.Overrides)
		for a, r := range s.byAddress {
			nr := *r
			nr.call, nr.probe = nil, nil
			if r.task != nil {
				t := *r.task
				t.run, t.waiting = clonedRun(t.run), clonedRun(t.waiting)
				nr.task = &t
			}
			nr.attempts = slices.Clone(r.attempts)
			nr.checks = make([]*check, len(r.checks))
			for i, old := range r.checks {
				k := *old
				k.call = nil
				nr.checks[i] = &k
			}
			n.byAddress[a] = &nr
		}
		n.relink()
		c.services[name] = &n
	}
	c.relist()
	var pending []Do
	for _, s := range c.list {
		for _, r := range s.order {
			if old := e.services[s.name].byAddress[r.spec.Address]; old.call != nil {
				r.call = c.do(s, r, nil, Do{Verb: old.call.verb, Next: old.call.next})
			}
		}
		c.touch(s)
	}
	pending = append(pending, calls(c.out)...)
	c.out = nil
	return c, pending
}
