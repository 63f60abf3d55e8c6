package engine

import (
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/svcctl/svcctl/internal/cron"
	"github.com/svcctl/svcctl/spec"
)

// year is a node on which only tasks run, from one New Year to the next, with agents
// that come and go.
type year struct {
	t      *testing.T
	r      *rand.Rand
	e      *Engine
	now    time.Time
	spec   *spec.Spec
	memory map[spec.Address]TaskMemory
	intent map[string]Intent
	ends   map[spec.Address]time.Time
	exits  map[spec.Address]*Exit
	runs   map[spec.Address][]Run
}

func yearTask(t *testing.T, name, schedule, zone string, missed spec.Missed) *spec.Resource {
	at, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err) // Go brings its own, where the host has none
	}
	parsed, err := cron.Parse(schedule, at)
	if err != nil {
		t.Fatal(err)
	}
	return &spec.Resource{Address: spec.Address("web/task." + name), Service: "web", Kind: "task", Name: name, Schema: storyKinds["task"], OnStuck: "kill",
		Timeouts: spec.Timeouts{Start: time.Minute, Stop: time.Minute},
		Task:     &spec.Task{Schedule: parsed, Text: schedule, Zone: zone, Timeout: time.Hour, Missed: missed}}
}

// agent is another engine, with what the one before asked to remember.
func (y *year) agent() {
	y.e = New(Config{Node: "n1", Seed: 1, ProbeEvery: 24 * time.Hour})
	tasks := make(map[spec.Address]TaskMemory)
	for a, m := range y.memory {
		tasks[a] = m
	}
	y.step(Restore{Tasks: tasks, Intents: maps.Clone(y.intent)})
	y.step(Reload{Spec: y.spec})
	y.step(Permission{Service: "web", Epoch: 1})
}

func (y *year) step(ev Event) {
	for _, a := range y.e.Step(y.now, ev) {
		switch a := a.(type) {
		case Remember:
			delete(y.intent, a.Service)
			if a.Intent != nil {
				y.intent[a.Service] = *a.Intent
			}
		case RememberTask:
			y.memory[a.Address] = *a.Memory
		case Ran:
			y.runs[a.Address] = append(y.runs[a.Address], a.Run)
		case Do:
			y.answer(a)
		}
	}
}

func (y *year) answer(d Do) {
	a := d.Resource.Address
	done := Done{Op: d.Op}
	switch d.Verb {
	case VerbStart:
		if !y.ends[a].IsZero() {
			y.t.Fatalf("%s: a second run of %s begins", y.now, a)
		}
		y.ends[a] = y.now.Add(time.Duration(10+y.r.IntN(280)) * time.Second)
	case VerbProbe:
		done.Status = Status{Seen: SeenDown, Exit: y.exits[a]}
		if !y.ends[a].IsZero() {
			done.Status = Status{Seen: SeenUp}
		}
	default:
		y.t.Fatalf("%s: %s of %s", y.now, d.Verb, a)
	}
	y.step(done)
}

// live lets time go on to a moment, with or without an agent.
func (y *year) live(to time.Time, agent bool) {
	for {
		next := to
		var ended spec.Address
		if d := y.e.Deadline(); agent && !d.IsZero() && d.Before(next) {
			next = d
		}
		for a, end := range y.ends {
			if !end.IsZero() && end.Before(next) {
				next, ended = end, a
			}
		}
		y.now = next
		if ended != "" {
			y.exits[ended] = &Exit{}
			delete(y.ends, ended)
		}
		switch {
		case agent && ended != "":
			y.step(Observed{Address: ended, Status: Status{Seen: SeenDown, Exit: &Exit{}}})
		case agent && next.Before(to):
			y.step(Tick{})
		}
		if !next.Before(to) && ended == "" {
			return
		}
	}
}

// count says how often a task was due by its history, and how many runs there were.
func (y *year) count(name string) (due, ran, missed, skipped int) {
	for _, run := range y.runs[spec.Address("web/task."+name)] {
		n := max(1, run.Count)
		due += n
		switch run.Result {
		case RunSucceeded:
			ran++
		case RunMissed:
			missed += n
		case RunSkipped:
			skipped += n
		default:
			y.t.Errorf("%s: %+v", name, run)
		}
	}
	return due, ran, missed, skipped
}

// blocked is a time in which no run could begin.
type blocked struct{ from, to time.Time }

// missedOf counts the due times with no moment for a run within the next minute.
func missedOf(due []time.Time, all []blocked) (n int) {
	for _, d := range due {
		at := d
		for _, b := range all { // by their beginnings
			if b.from.Before(at) && at.Before(b.to) {
				at = b.to
			}
		}
		if !at.Before(d.Add(lateStart)) {
			n++
		}
	}
	return n
}

// Each due time of a year begins a run or is noted, exactly once: over the changes of
// the clocks, over agents that are away for a second or for days, and over freezes that
// begin under one agent and end under the next.
func TestAYearOfSchedulesRunsOrNotesEachDueTimeOnce(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	end := start.AddDate(1, 0, 0)
	s := &spec.Service{Name: "web", Namespace: spec.DefaultNamespace, FullName: "web", Orchestrate: spec.Auto, OnFailure: spec.Relocate}
	s.Tasks = []*spec.Resource{yearTask(t, "often", "*/5 * * * *", "UTC", spec.MissedSkip), yearTask(t, "once", "*/5 * * * *", "UTC", spec.MissedRun)}
	for _, zone := range []string{"Europe/Paris", "America/New_York"} {
		s.Tasks = append(s.Tasks, yearTask(t, "night-"+zone, "0 3 * * *", zone, spec.MissedSkip), yearTask(t, "change-"+zone, "30 2 * * *", zone, spec.MissedSkip),
			yearTask(t, "again-"+zone, "30 1 * * *", zone, spec.MissedRun))
	}
	y := &year{t: t, r: rand.New(rand.NewPCG(3, 4)), spec: &spec.Spec{Services: map[string]*spec.Service{"web": s}, Names: []string{"web"}},
		memory: map[spec.Address]TaskMemory{}, intent: map[string]Intent{}, ends: map[spec.Address]time.Time{}, exits: map[spec.Address]*Exit{}, runs: map[spec.Address][]Run{}, now: start}
	var away []blocked
	for from := start.Add(time.Hour); ; {
		from = from.Add(time.Duration(y.r.IntN(20*24*3600)) * time.Second)
		long := []time.Duration{time.Second, time.Minute, time.Hour, 30 * time.Hour}[y.r.IntN(4)]
		to := from.Add(time.Duration(y.r.Int64N(int64(long)) + 1))
		if to.After(end.Add(-24 * time.Hour)) {
			break
		}
		away, from = append(away, blocked{from, to}), to
	}
	y.agent()
	var all []blocked
	for i, a := range away {
		if i%3 == 0 {
			freeze := blocked{a.from.Add(-20 * time.Minute), a.to.Add(40 * time.Minute)}
			y.live(freeze.from, true)
			y.step(Command{ID: "1", Verb: CommandFreeze, Services: []string{"web"}, By: "alice", Until: freeze.to})
			all = append(all, freeze)
		}
		all = append(all, a)
		y.live(a.from, true)
		y.live(a.to, false)
		y.agent()
	}
	y.live(end.Add(-time.Second), true)
	y.live(end.Add(5*time.Minute-time.Second), true) // to the end of the last run

	var often []time.Time
	for d := start.Add(5 * time.Minute); !d.After(end); d = d.Add(5 * time.Minute) {
		often = append(often, d)
	}
	y.expect("often", len(often), missedOf(often, all))
	y.expect("once", len(often), 0)
	for _, zone := range []string{"Europe/Paris", "America/New_York"} {
		at, _ := time.LoadLocation(zone)
		daily := func(hour, minute int) (out []time.Time) {
			for d := -1; d < 367; d++ {
				if due := time.Date(2026, 1, 1+d, hour, minute, 0, 0, at); due.After(start) && !due.After(end) {
					out = append(out, due)
				}
			}
			return out
		}
		y.expect("night-"+zone, 365, missedOf(daily(3, 0), all))
		y.expect("change-"+zone, 365, missedOf(daily(2, 30), all))
		y.expect("again-"+zone, 365, 0)
		for _, name := range []string{"night-", "change-", "again-"} {
			y.oneADay(name+zone, at)
		}
	}
	if len(away) < 20 {
		t.Errorf("only %d agents in a year", len(away))
	}
}

func (y *year) expect(name string, wantDue, wantMissed int) {
	due, ran, missed, skipped := y.count(name)
	y.t.Logf("%s: due %d, ran %d, missed %d, skipped %d", name, due, ran, missed, skipped)
	if due != wantDue || missed != wantMissed {
		y.t.Errorf("%s: it was due %d times, %d of them missed; not %d and %d", name, due, missed, wantDue, wantMissed)
	}
	if ran == 0 || ran+missed+skipped > due {
		y.t.Errorf("%s: %d runs, %d missed and %d skipped of %d due times", name, ran, missed, skipped, due)
	}
}

// oneADay: where the clock shows the time twice, or not at all, there is one run as on
// any other day.
func (y *year) oneADay(name string, at *time.Location) {
	seen := map[string]bool{}
	for _, run := range y.runs[spec.Address("web/task."+name)] {
		day := run.Due.In(at).Format(time.DateOnly)
		if seen[day] {
			y.t.Errorf("%s: due twice on %s", name, day)
		}
		seen[day] = true
	}
}
