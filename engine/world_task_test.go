package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/svcctl/svcctl/internal/cron"
	"github.com/svcctl/svcctl/spec"
)

// runEnd is when a run ends by itself.
type runEnd struct {
	at      time.Time
	address spec.Address
	run     int
}

// ran says what a call made of a run: it goes on, for how long it will, or it is over.
func (w *world) ran(a spec.Address, then Seen) {
	w.runs[a]++
	w.exits[a] = nil
	if then == SeenUp {
		w.ends = append(w.ends, runEnd{w.now.Add(time.Duration(w.r.IntN(25_000)) * time.Millisecond), a, w.runs[a]})
	}
}

func (w *world) firstEnd() int {
	first := -1
	for i, end := range w.ends {
		if first < 0 || end.at.Before(w.ends[first].at) {
			first = i
		}
	}
	return first
}

func (w *world) endRun(i int) {
	end := w.ends[i]
	w.ends = slices.Delete(w.ends, i, i+1)
	w.now = laterOf(w.now, end.at)
	a := end.address
	if w.runs[a] != end.run || w.truth[a] != SeenUp {
		w.step(Tick{})
		return
	}
	w.truth[a] = SeenDown
	w.exits[a] = []*Exit{{Code: 0}, {Code: 0}, {Code: 3}, {Code: -1, Signal: "SIGSEGV"}, nil}[w.r.IntN(5)]
	if w.r.IntN(3) == 0 {
		w.step(Tick{}) // a probe is to find it
		return
	}
	w.step(Observed{Address: a, Status: Status{Seen: SeenDown, Exit: w.exits[a]}})
}

func laterOf(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (w *world) taskCommand(name string) bool {
	s := w.spec.Services[name]
	if s == nil || len(s.Tasks) == 0 || w.r.IntN(3) == 0 {
		return false
	}
	c := Command{ID: "x", Verb: []CommandVerb{CommandRun, CommandRun, CommandHalt}[w.r.IntN(3)], Services: []string{name}, By: "alice",
		Resources: []string{s.Tasks[w.r.IntN(len(s.Tasks))].Address.Local()}}
	w.step(c)
	return true
}

var worldSchedules = []string{"", "@every 5s", "@every 13s", "@every 40s"}

func (w *world) drawTasks(s, old *spec.Service) {
	for j := range w.r.IntN(3) {
		local := fmt.Sprintf("task.%c", 'x'+rune(j))
		a := spec.Address(s.FullName + "/" + local)
		n := &spec.Resource{Address: a, Service: s.FullName, Kind: "task", Schema: storyKinds["task"],
			OnStuck: []string{"kill", "wait"}[w.r.IntN(2)], Timeouts: spec.Timeouts{Start: 20 * time.Second, Stop: 10 * time.Second}}
		n.Config = fmt.Sprint(w.r.IntN(2))
		n.Digest, n.Fixed = spec.Digest(fmt.Sprint(n.Config)), spec.Digest(fmt.Sprint(n.Config))
		n.Disabled = w.r.IntN(8) == 0
		n.Task = &spec.Task{Missed: []spec.Missed{spec.MissedSkip, spec.MissedRun}[w.r.IntN(2)],
			Spread: time.Duration(w.r.IntN(5)) * time.Second, Timeout: time.Duration(2+w.r.IntN(20)) * time.Second}
		n.Task.Text = worldSchedules[w.r.IntN(len(worldSchedules))]
		if old != nil && w.r.IntN(2) == 0 {
			for _, o := range old.Tasks {
				if o.Address == a {
					task := *o.Task
					n.Task = &task
				}
			}
		}
		if n.Task.Text != "" {
			n.Task.Schedule, _ = cron.Parse(n.Task.Text, time.UTC)
		}
		for _, d := range s.Resources {
			if w.r.IntN(3) == 0 {
				n.After = append(n.After, d.Address)
			}
		}
		slices.Sort(n.After)
		s.Tasks = append(s.Tasks, n)
	}
}
