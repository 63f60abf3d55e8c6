package engine

import (
	"time"

	"github.com/svcctl/svcctl/spec"
)

// calmDown lets every call that may go wrong come to its end; no other will.
func (w *world) calmDown() {
	w.calm = true
	for range 100_000 {
		if len(w.pending) == 0 || w.bad {
			break
		}
		w.pass(w.now.Add(time.Hour))
		if w.now.Sub(w.start) > 24*time.Hour {
			break
		}
		if w.allNew() {
			break
		}
	}
}

// allNew: every call under way was begun in peace, so that it will succeed.
func (w *world) allNew() bool {
	for _, p := range w.pending {
		if p.done.Err != nil || p.then == SeenFailed {
			return false
		}
	}
	return true
}

// bar now and then takes from a service, or from all, the right to have anything on.
func (w *world) bar() {
	if w.bars == nil || w.bars.IntN(100) >= 5 {
		return
	}
	all := w.bars.IntN(3) == 0
	views := w.e.Snapshot(w.now).Services
	chosen := w.bars.IntN(max(1, len(views)))
	for i, v := range views {
		if all || i == chosen {
			w.step(Permission{Service: v.FullName, Why: "the host goes down", Off: true})
		}
	}
}

// goDown is a host that goes down: whatever is on must end, whoever froze it.
func (w *world) goDown() {
	w.calmDown()
	for _, v := range w.e.Snapshot(w.now).Services {
		w.step(Permission{Service: v.FullName, Why: "the host goes down", Off: true})
		w.step(Command{ID: "x", Verb: CommandClear, Services: []string{v.FullName}, By: "alice"}) // of what is stuck for people
	}
	end := w.now.Add(3 * time.Minute)
	for steps := 0; w.pass(end) && !w.bad; steps++ {
		if steps > 50_000 {
			w.fail("no end of steps within %s", 3*time.Minute)
		}
	}
	w.now = end
	w.step(Tick{})
	w.judge.ended()
	w.calm = false
}

// ended holds, long after the host was told to go down, what is on.
func (j *judge) ended() {
	for op, d := range j.calling {
		j.w.fail("%s of %s is still open", d.Verb, op)
	}
	for _, v := range j.w.e.Snapshot(j.w.now).Services {
		for _, r := range v.Resources {
			if r.State != Down && (r.State != Unknown || !r.Disabled) {
				j.w.fail("%s is %s, though its host goes down: %s", r.Address, r.State, j.why(r.Address))
			}
			if r.State == Down && j.w.truth[r.Address] == SeenUp {
				j.w.fail("%s is up, though its host goes down", r.Address)
			}
		}
		for _, r := range v.Tasks {
			if on := r.Running != nil || r.State != TaskIdle && r.State != TaskWaiting; on && !r.Disabled {
				j.w.fail("%s is %s, though its host goes down", r.Address, r.State)
			}
		}
	}
}

// barred: nothing of a service may begin, not even what stands by.
func (j *judge) barred(a spec.Address) bool { return j.permit[a.Service()].Off }
