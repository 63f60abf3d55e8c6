package engine

import (
	"maps"
	"reflect"
	"slices"

	"github.com/svcctl/svcctl/spec"
)

// judge looks at events and actions only, and holds the engine to its promises.
type judge struct {
	w       *world
	state   map[spec.Address]State          // as recorded
	service map[string]InstanceState        // as recorded
	open    map[uint64]Do                   // calls not answered
	calling map[spec.Address]Do             // of these, the one that excludes others
	applied map[spec.Address]*spec.Resource // what was started, or changed to, last
	started map[spec.Address][]spec.Address // what it stands on since it was started
	remains map[spec.Address]bool           // Failed, and something is left of it
	bounce  map[spec.Address]bool           // to be down once, for an operator's restart
	permit  map[string]Permission
	intent  map[string]Intent
	spec    *spec.Spec               // in force
	was     *spec.Spec               // before the step
	known   map[string]*spec.Service // in force: declared, or going on undeclared
	knew    map[string]*spec.Service // before the last reload
	purged  map[string]bool          // to be stopped and forgotten
	wasUp   map[string]bool          // which services were up before the step
	last    uint64                   // the op asked for last
	tasks   map[spec.Address]*judgedTask
	wasOff  spec.Address // what the event of this step is about, if it was off before
	steps   int
	calls   int // starts, stops, updates and kills
}

func newJudge(w *world) *judge {
	return &judge{w: w, state: map[spec.Address]State{}, service: map[string]InstanceState{}, open: map[uint64]Do{},
		calling: map[spec.Address]Do{}, applied: map[spec.Address]*spec.Resource{}, started: map[spec.Address][]spec.Address{},
		remains: map[spec.Address]bool{}, bounce: map[spec.Address]bool{}, permit: map[string]Permission{}, intent: map[string]Intent{},
		known: map[string]*spec.Service{}, tasks: map[spec.Address]*judgedTask{}, purged: map[string]bool{}, spec: w.spec}
}

func (j *judge) before(ev Event) {
	j.was, j.wasOff = j.spec, ""
	j.wasUp = map[string]bool{}
	for n, s := range j.service {
		j.wasUp[n] = s == InstanceUp
	}
	switch ev := ev.(type) {
	case Reload:
		j.spec = ev.Spec
		j.knew = maps.Clone(j.known) // with what goes on undeclared
		maps.Copy(j.known, ev.Spec.Services)
		for n := range j.known {
			j.purged[n] = ev.Spec.Services[n] == nil && (j.purged[n] || ev.Prune)
		}
		j.reloadTasks()
		for _, s := range ev.Spec.Services {
			for _, r := range slices.Concat(s.Resources, s.Tasks) {
				// While a change is still to be made, it runs as it was started.
				if was := j.applied[r.Address]; was == nil || was.Digest == r.Digest {
					j.unlink(r)
				}
			}
		}
	case Permission:
		j.permit[ev.Service] = ev
	case Observed:
		j.wasOff = j.ifOff(ev.Address)
		if _, busy := j.calling[ev.Address]; !busy {
			j.remains[ev.Address] = ev.Status.Seen != SeenDown
		}
	case Command:
		for a := range j.state {
			if j.tasks[a] != nil {
				continue
			}
			if ev.Verb == CommandRestart && a.Service() == ev.Services[0] {
				j.bounce[a] = true
			}
		}
	case Done:
		j.done(ev)
	}
}

// unlink forgets an edge that an edit took away, while both ends stay declared.
func (j *judge) unlink(r *spec.Resource) {
	j.started[r.Address] = slices.DeleteFunc(slices.Clone(j.started[r.Address]), func(a spec.Address) bool {
		return j.declared(a) != nil && !slices.Contains(r.After, a)
	})
}

func (j *judge) done(ev Done) {
	d, ok := j.open[ev.Op]
	if !ok {
		j.w.fail("op %d answered, but it was not asked for", ev.Op)
		return
	}
	delete(j.open, ev.Op)
	a := d.Resource.Address
	switch d.Verb {
	case VerbProbe:
		j.wasOff = j.ifOff(a)
		if _, busy := j.calling[a]; !busy && ev.Err == nil {
			j.remains[a] = ev.Status.Seen != SeenDown
		}
		return
	case VerbCheck:
		return
	case VerbStart:
		j.remains[a] = true
	case VerbStop:
		j.remains[a] = ev.Err != nil
	case VerbUpdate:
		if ev.Err == nil {
			j.applied[a] = d.Next
			j.unlink(d.Next)
			if r := j.declared(a); r != nil && r.Digest == d.Next.Digest {
				j.unlink(r)
			}
		}
	case VerbKill:
	}
	delete(j.calling, a)
}

func (j *judge) declared(a spec.Address) *spec.Resource {
	if s := j.known[a.Service()]; s != nil && !j.purged[a.Service()] {
		for _, r := range slices.Concat(s.Resources, s.Tasks) {
			if r.Address == a {
				return r
			}
		}
	}
	return nil
}

func (j *judge) after(ev Event, actions []Action) {
	if limit := 60 + 12*len(j.state); len(actions) > limit {
		j.w.fail("a storm: %d actions in one step, more than %d", len(actions), limit)
	}
	first := j.last
	j.taskActions(actions)
	for _, a := range actions {
		switch a := a.(type) {
		case Record:
			j.fact(a.Fact)
		case Remember:
			if a.Intent == nil {
				delete(j.intent, a.Service)
			} else {
				j.intent[a.Service] = *a.Intent
			}
		case Cancel:
			if d, ok := j.open[a.Op]; !ok || d.Verb != VerbStart {
				j.w.fail("op %d cancelled, which is no running start", a.Op)
			} else if d.Op > first {
				j.w.fail("start of %s cancelled in the step that asked for it", d.Resource.Address)
			}
		case Forget:
			j.forget(a)
		case Do:
			j.call(ev, a)
		}
	}
	j.stand()
	j.tasksAfter()
	if j.steps++; j.steps%16 == 0 {
		j.views()
	}
}

func (j *judge) fact(f Fact) {
	switch f.Kind {
	case FactResource:
		if was, ok := j.state[f.Address]; ok && string(was) != f.From {
			j.w.fail("%s goes from %s to %s, but it was %s", f.Address, f.From, f.To, was)
		}
		if f.From == f.To {
			j.w.fail("%s goes from %s to itself", f.Address, f.From)
		}
		j.state[f.Address] = State(f.To)
		seenMoves[move{State(f.From), State(f.To)}]++
		if State(f.To) == Up && (State(f.From) == Down || State(f.From) == Failed && j.wasOff == f.Address) {
			j.nothingOn(f.Address) // an edit may have turned round what was off
		}
		if State(f.To) == Up && State(f.From) != Starting && j.started[f.Address] == nil {
			if r := j.declared(f.Address); r != nil {
				j.started[f.Address] = []spec.Address{}
				for _, b := range r.After {
					if !j.carries(f.Address, b) {
						j.started[f.Address] = append(j.started[f.Address], b)
					}
				}
			}
		}
		if State(f.To) == Down {
			delete(j.started, f.Address)
			delete(j.applied, f.Address)
			delete(j.bounce, f.Address)
		}
	case FactService:
		if f.To != "" {
			j.service[f.Service] = InstanceState(f.To)
		}
		if f.Message == "purged" {
			delete(j.known, f.Service)
			delete(j.permit, f.Service)
		}
	case FactCommand:
		if f.Message == "purge" {
			j.purged[f.Service] = true
		}
	case FactCheck, FactReload, FactNotice, FactTask:
	}
}

func (j *judge) forget(f Forget) {
	a := f.Resource.Address
	if d, busy := j.calling[a]; busy {
		j.w.fail("%s forgotten during its %s", a, d.Verb)
	}
	delete(j.applied, a)
	delete(j.started, a)
	j.nothingOn(a)
	if j.declared(a) != nil {
		return
	}
	delete(j.state, a)
	if t := j.tasks[a]; t != nil && t.running {
		j.w.fail("%s is forgotten though it runs", a)
	}
	delete(j.tasks, a) // declared again, it is new, and has missed nothing
}

// nothingOn: it was off, so what was started on it went on without it.
func (j *judge) nothingOn(a spec.Address) {
	for b, on := range j.started {
		j.started[b] = slices.DeleteFunc(slices.Clone(on), func(c spec.Address) bool { return c == a })
	}
}

func (j *judge) call(ev Event, d Do) {
	a := d.Resource.Address
	j.open[d.Op], j.last = d, d.Op
	if _, reloaded := ev.(Reload); reloaded {
		j.untouched(d)
	}
	if d.Verb == VerbProbe || d.Verb == VerbCheck {
		return
	}
	if d.Resource.Task == nil {
		j.calls++
	}
	if other, busy := j.calling[a]; busy {
		j.w.fail("%s of %s overlaps its %s", d.Verb, a, other.Verb)
	}
	j.calling[a] = d
	if f := j.intent[a.Service()].Frozen; f != nil && !f.expired(j.w.now) && !j.barred(a) {
		j.w.fail("%s of %s, which is frozen", d.Verb, a)
	}
	if (d.Verb == VerbStart || d.Verb == VerbUpdate || d.Verb == VerbReady) && j.barred(a) {
		j.w.fail("%s of %s, though it is barred", d.Verb, a)
	}
	switch d.Verb {
	case VerbStart:
		if d.Resource.Task != nil {
			j.begins(d)
			return
		}
		j.starts(d)
	case VerbStop:
		j.stops(d)
	case VerbUpdate:
		if d.Next == nil || d.Next.Fixed != d.Resource.Fixed {
			j.w.fail("update of %s to what needs a stop", a)
		}
	case VerbKill:
		if j.state[a] != Stuck {
			j.w.fail("kill of %s, which is %s", a, j.state[a])
		}
	}
}

func (j *judge) starts(d Do) {
	a := d.Resource.Address
	r := j.declared(a)
	if r == nil {
		j.w.fail("start of %s, which is not declared", a)
		return
	}
	if r.Disabled {
		j.w.fail("start of %s, which is disabled", a)
	}
	if r.Digest != d.Resource.Digest {
		j.w.fail("start of %s with an old configuration", a)
	}
	p := j.permit[a.Service()]
	if !r.Standby && (p.Epoch == 0 || !p.NotAfter.IsZero() && !j.w.now.Before(p.NotAfter)) {
		j.w.fail("start of %s without permission", a)
	}
	if d.Epoch != p.Epoch || p.Epoch != 0 && !r.Standby && !d.NotAfter.Equal(p.NotAfter) {
		j.w.fail("start of %s under epoch %d not after %s, but the permission is %+v", a, d.Epoch, d.NotAfter, p)
	}
	if !j.wanted(r, true) {
		j.w.fail("start of %s, which nobody wants: %+v", a, j.intent[a.Service()])
	}
	for _, b := range r.After {
		if o := j.declared(b); o != nil && !o.Optional && j.state[b] != Up {
			j.w.fail("start of %s, but %s, which it is after, is %s", a, b, j.state[b])
		}
	}
	j.applied[a], j.started[a] = d.Resource, []spec.Address{}
	for _, b := range r.After {
		if j.state[b] == Up {
			if j.carries(a, b) { // since before an edit turned them round
				j.nothingOn(a)
			}
			j.started[a] = append(j.started[a], b)
		}
	}
}

// carries tells whether b stands on a, be it through others.
func (j *judge) carries(a, b spec.Address) bool {
	return a == b || slices.ContainsFunc(j.started[b], func(c spec.Address) bool { return j.carries(a, c) })
}

// permitted: what goes on until the placement is known is no reason to stop anything.
func (j *judge) permitted(service string) bool {
	p, told := j.permit[service]
	return !told || p.Epoch != 0 && (p.NotAfter.IsZero() || j.w.now.Before(p.NotAfter))
}

// stays: it is up, and nothing asks to stop it or what it stands on. A lost permission
// asks too: what comes up while it is to be stopped carries nothing that was up before.
func (j *judge) stays(a spec.Address) bool {
	r := j.declared(a)
	if r == nil || j.bounce[a] || j.state[a] != Up || !j.wanted(r, j.permitted(r.Service)) || j.applied[a] != nil && j.applied[a].Fixed != r.Fixed {
		return false
	}
	return !slices.ContainsFunc(j.started[a], func(b spec.Address) bool { return !j.stays(b) })
}

// stand notes what came up under what was up already: from now on it is stood on.
func (j *judge) stand() {
	for name, s := range j.known {
		if j.purged[name] {
			continue
		}
		for _, r := range s.Resources {
			a := r.Address
			if was := j.applied[a]; was == nil || was.Digest != r.Digest || j.state[a] != Up && j.state[a] != Starting {
				continue
			}
			for _, b := range r.After {
				if j.stays(b) && !slices.Contains(j.started[a], b) && !j.carries(a, b) {
					j.started[a] = append(slices.Clip(j.started[a]), b)
				}
			}
		}
	}
}

func (j *judge) stops(d Do) {
	a := d.Resource.Address
	if was := j.applied[a]; was != nil && was.Digest != d.Resource.Digest {
		j.w.fail("stop of %s with %v, but %v runs", a, d.Resource.Config, was.Config)
	}
	if r := j.declared(a); r != nil && (r.Optional || d.Resource.Schema.Transparent) && j.wanted(r, true) {
		return // it failed, and is healed under what goes on without it
	}
	for b, on := range j.started {
		if slices.Contains(on, a) && !j.off(b) {
			j.w.fail("stop of %s, but %s, which stands on it, is %s", a, b, j.state[b])
		}
	}
}

func (j *judge) off(a spec.Address) bool {
	_, busy := j.calling[a]
	return !busy && (j.state[a] == "" || j.state[a] == Down || (j.state[a] == Failed || j.state[a] == Unknown) && !j.remains[a])
}

func (j *judge) ifOff(a spec.Address) spec.Address {
	if j.off(a) {
		return a
	}
	return ""
}

// wanted: by files, operators and permission; not asking for what it is after.
func (j *judge) wanted(r *spec.Resource, permitted bool) bool {
	s, i := j.known[r.Service], j.intent[r.Service]
	if r.Disabled || i.Overrides[r.Address] == WishStopped || i.GivenUp != "" && !r.Standby || !permitted && (!r.Standby || j.barred(r.Address)) {
		return false
	}
	stopped := i.State == WishStopped || i.State == "" && s.Orchestrate == spec.Manual
	return !stopped || i.Overrides[r.Address] == WishStarted
}

// untouched: a reload calls for nothing where nothing changed.
func (j *judge) untouched(d Do) {
	a := d.Resource.Address
	name := a.Service()
	s, was := j.spec.Services[name], j.was.Services[name]
	if s != nil && s == was && len(s.Requires) == 0 && !j.required(name) {
		j.w.fail("%s of %s by a reload that did not touch %s", d.Verb, a, name)
	}
	if s == nil || was == nil || !j.wasUp[name] || s.Orchestrate != was.Orchestrate {
		return
	}
	if j.same(a) && j.state[a] == Up && d.Verb != VerbCheck {
		j.w.fail("%s of %s by a reload that did not change it", d.Verb, a)
	}
}

// required: another service may have to start behind this one, or stop before it.
func (j *judge) required(name string) bool {
	for _, set := range []map[string]*spec.Service{j.known, j.knew} {
		for _, s := range set {
			if slices.Contains(s.Requires, name) {
				return true
			}
		}
	}
	return false
}

// same: neither the resource nor what it is after was changed.
func (j *judge) same(a spec.Address) bool {
	var old *spec.Resource
	for _, r := range j.was.Services[a.Service()].Resources {
		if r.Address == a {
			old = r
		}
	}
	r := j.declared(a)
	if old == nil || r == nil || old.Digest != r.Digest || old.Disabled != r.Disabled || old.Optional != r.Optional ||
		old.Standby != r.Standby || old.Monitor != r.Monitor || !slices.Equal(old.After, r.After) || j.state[a] != Up {
		return false
	}
	for _, b := range r.After {
		if !j.same(b) {
			return false
		}
	}
	return true
}

// views: what is kept of a view from one snapshot to the next is what a new one would say.
func (j *judge) views() {
	for _, s := range j.w.e.services {
		if s.view != nil && !reflect.DeepEqual(s.view, j.w.e.viewOf(s)) {
			j.w.fail("the view of %s is stale:\n%+v\n%+v", s.name, s.view, j.w.e.viewOf(s))
		}
	}
	j.w.e.Snapshot(j.w.now)
}

type move struct{ from, to State }

// seenMoves counts every transition of every world: the manual's diagram is drawn from it.
var seenMoves = map[move]int{}
