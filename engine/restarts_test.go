package engine

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/svcctl/svcctl/internal/cron"
	"github.com/svcctl/svcctl/spec"
)

// relay is a node whose agents come and go in the midst of whatever they do. What really
// runs, and what they asked to remember, stays.
type relay struct {
	t       *testing.T
	seed    uint64
	r       *rand.Rand
	e       *Engine
	now     time.Time
	spec    *spec.Spec
	memory  map[spec.Address]TaskMemory
	intent  map[string]Intent
	pending []Do
	on      map[spec.Address]bool
	exits   map[spec.Address]*Exit
	calm    bool

	begun   map[spec.Address]time.Time // the run that goes on
	counted map[spec.Address]int       // due times that began a run or were noted
	runs    int
}

func (w *relay) agent() {
	for _, d := range w.pending { // a start may have been made by the one who is gone
		if d.Verb == VerbStart && w.r.IntN(2) == 0 {
			w.on[d.Resource.Address], w.exits[d.Resource.Address] = true, nil
		}
	}
	w.pending = nil
	w.e = New(Config{Node: "n1", Seed: w.seed})
	w.step(Restore{Tasks: maps.Clone(w.memory), Intents: maps.Clone(w.intent)})
	w.step(Reload{Spec: w.spec})
	w.step(Permission{Service: "web", Epoch: 1})
}

func (w *relay) step(ev Event) {
	for _, act := range w.e.Step(w.now, ev) {
		switch act := act.(type) {
		case Do:
			w.pending = append(w.pending, act)
		case Remember:
			delete(w.intent, act.Service)
			if act.Intent != nil {
				w.intent[act.Service] = *act.Intent
			}
		case RememberTask:
			w.memory[act.Address] = *act.Memory
			if run := act.Memory.Running; run != nil && w.begun[act.Address].IsZero() {
				w.begun[act.Address] = run.Started
				w.count(act.Address, *run)
				w.runs++
			}
		case Ran:
			if act.Run.Started.IsZero() {
				w.count(act.Address, act.Run)
				continue
			}
			if began := w.begun[act.Address]; !began.Equal(act.Run.Started) || began.IsZero() {
				w.t.Errorf("seed %d: a run of %s ends that began at %s, but the one that goes on began at %s", w.seed, act.Address, act.Run.Started, began)
			}
			delete(w.begun, act.Address)
		}
	}
}

func (w *relay) count(a spec.Address, run Run) {
	if !run.Due.IsZero() {
		w.counted[a] += max(1, run.Count)
	}
}

func (w *relay) answer() {
	i := w.r.IntN(len(w.pending))
	d := w.pending[i]
	w.pending = slices.Delete(w.pending, i, i+1)
	a, done := d.Resource.Address, Done{Op: d.Op}
	bad := !w.calm && w.r.IntN(5) == 0
	switch d.Verb {
	case VerbStart:
		if d.Resource.Task != nil && w.on[a] {
			w.t.Errorf("seed %d: a second run of %s begins", w.seed, a)
		}
		w.on[a], w.exits[a] = !bad || w.r.IntN(2) == 0, nil
	case VerbStop, VerbKill:
		w.on[a] = w.on[a] && bad
	case VerbProbe:
		done.Status = Status{Seen: SeenDown, Exit: w.exits[a]}
		if w.on[a] {
			done.Status = Status{Seen: SeenUp}
		}
	default:
		w.t.Fatalf("%s of %s", d.Verb, a)
	}
	if bad {
		done.Err = errors.New("it went wrong")
	}
	w.step(done)
}

func (w *relay) end() {
	s := w.spec.Services["web"]
	a := s.Tasks[w.r.IntN(len(s.Tasks))].Address
	if slices.ContainsFunc(w.pending, func(d Do) bool { return d.Resource.Address == a && d.Verb != VerbProbe }) || !w.on[a] {
		return
	}
	w.on[a], w.exits[a] = false, []*Exit{nil, {}, {Code: 1}}[w.r.IntN(3)]
	if w.r.IntN(2) == 0 {
		w.step(Observed{Address: a, Status: Status{Seen: SeenDown, Exit: w.exits[a]}})
	}
}

func (w *relay) command() {
	s := w.spec.Services["web"]
	c := Command{ID: "1", Services: []string{"web"}, By: "alice",
		Verb: []CommandVerb{CommandFreeze, CommandThaw, CommandThaw, CommandStop, CommandStart, CommandStart, CommandRun, CommandHalt, CommandClear}[w.r.IntN(9)]}
	if c.Verb == CommandRun || c.Verb == CommandHalt {
		c.Resources = []string{s.Tasks[w.r.IntN(len(s.Tasks))].Address.Local()}
	}
	w.step(c)
}

func (w *relay) turn() {
	switch n := w.r.IntN(100); {
	case n < 45 && len(w.pending) > 0:
		w.answer()
	case n < 75:
		if d := w.e.Deadline(); !d.IsZero() {
			w.now = d
			w.step(Tick{})
		}
	case n < 85:
		w.end()
	case n < 93:
		w.command()
	default:
		w.now = w.now.Add(time.Duration(w.r.IntN(200)) * time.Second)
		w.agent()
	}
}

// Whenever an agent goes, the next one loses no due time, counts none twice, and begins
// no run beside one that goes on.
func TestNoDueTimeIsLostOrDoubledByAgentsThatGoAnyTime(t *testing.T) {
	runs := 0
	for seed := uint64(1); seed <= 150; seed++ {
		runs += relayRace(t, seed)
	}
	if runs < 1000 {
		t.Errorf("only %d runs", runs)
	}
}

func relayRace(t *testing.T, seed uint64) int {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w := &relay{t: t, seed: seed, r: rand.New(rand.NewPCG(seed, 5)), now: start, memory: map[spec.Address]TaskMemory{}, intent: map[string]Intent{},
		on: map[spec.Address]bool{}, exits: map[spec.Address]*Exit{}, begun: map[spec.Address]time.Time{}, counted: map[spec.Address]int{}}
	s := &spec.Service{Name: "web", Namespace: spec.DefaultNamespace, FullName: "web", Orchestrate: spec.Auto, OnFailure: spec.ReportFailure}
	s.Resources = []*spec.Resource{parseResource(t, "web", "mount.data")}
	for _, line := range []string{"task.a after=mount.data timeout=40s", "task.b missed=run timeout=90s", "task.c after=mount.data missed=run spread=5s timeout=20s"} {
		n := parseResource(t, "web", line)
		n.Task.Text = []string{"@every 10s", "@every 30s", "* * * * *"}[w.r.IntN(3)]
		n.Task.Schedule, _ = cron.Parse(n.Task.Text, time.UTC)
		s.Tasks = append(s.Tasks, n)
	}
	w.spec = &spec.Spec{Services: map[string]*spec.Service{"web": s}, Names: []string{"web"}}
	w.agent()
	for range 400 {
		w.turn()
	}
	w.calm = true
	for _, verb := range []CommandVerb{CommandThaw, CommandClear, CommandStart} {
		w.step(Command{ID: "1", Verb: verb, Services: []string{"web"}, By: "alice"})
	}
	for quiet := w.now.Add(20 * time.Minute); w.now.Before(quiet) || !w.settled(); {
		if w.now.After(quiet.Add(time.Hour)) {
			t.Errorf("seed %d: its tasks do not come to rest: %+v", seed, w.e.Snapshot(w.now).Services[0].Tasks)
			break
		}
		for len(w.pending) > 0 {
			w.answer()
		}
		w.now = w.e.Deadline()
		w.step(Tick{})
		w.end()
	}
	for _, n := range s.Tasks {
		due := 0
		for at := n.Task.Schedule.Next(start); !at.Add(delay("n1", n.Address, n.Task.Spread)).After(w.now); at = n.Task.Schedule.Next(at) {
			due++
		}
		if w.counted[n.Address] != due {
			t.Errorf("seed %d: %s was due %d times (%s), %d of them were run or noted", seed, n.Address, due, n.Task.Text, w.counted[n.Address])
		}
	}
	return w.runs
}

// settled: no due time waits for what becomes of it.
func (w *relay) settled() bool {
	for _, v := range w.e.Snapshot(w.now).Services[0].Tasks {
		if v.State == TaskWaiting {
			return false
		}
	}
	return true
}
