package engine

import (
	"maps"
	"slices"

	"github.com/svcctl/svcctl/spec"
)

// rest holds, long after all trouble ended, what is up against what is wanted.
func (j *judge) rest() {
	for op, d := range j.calling {
		if d.Resource.Task != nil {
			continue // there are always runs
		}
		j.w.fail("%s of %s is still open", d.Verb, op)
	}
	for _, name := range slices.Sorted(maps.Keys(j.known)) {
		s := j.known[name]
		if j.purged[name] {
			j.w.fail("%s is not purged: %s", name, j.why(spec.Address(name+"/")))
		}
		for _, r := range s.Resources {
			st := j.state[r.Address]
			switch {
			case !j.wanted(r, true) && st == Unknown && r.Disabled:
			case !j.wanted(r, true) && st != Down && st != "":
				j.w.fail("%s is %s, though nobody wants it: %s", r.Address, st, j.why(r.Address))
			case j.mustBeUp(r) && st != Up:
				j.w.fail("%s is %q, though it is wanted: %s", r.Address, st, j.why(r.Address))
			}
		}
	}
}

func (j *judge) why(a spec.Address) string {
	v := j.w.e.Snapshot(j.w.now).Service(a.Service())
	if v == nil {
		return "unknown"
	}
	for _, r := range v.Resources {
		if r.Address == a {
			return v.Why + " / " + joinWhy(r.Error, r.Why)
		}
	}
	return v.Why
}

func (j *judge) mustBeUp(r *spec.Resource) bool {
	if !j.wanted(r, true) {
		return false
	}
	for _, b := range r.After {
		if o := j.declared(b); o != nil && !o.Optional && !j.mustBeUp(o) {
			return false
		}
	}
	for _, name := range j.known[r.Service].Requires {
		if j.known[name] == nil || !j.complete(name) {
			return false
		}
	}
	return true
}

func (j *judge) complete(name string) bool {
	some := false
	for _, r := range j.known[name].Resources {
		up := j.mustBeUp(r)
		some = some || up
		if !up && !r.Optional && !r.Disabled {
			return false
		}
	}
	return some
}
