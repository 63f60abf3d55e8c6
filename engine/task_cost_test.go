package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/svcctl/svcctl/internal/cron"
	"github.com/svcctl/svcctl/spec"
)

// taskEngine is an engine with n services of one task each, due once a day, and the first
// of them due every second.
func taskEngine(t *testing.T, n int) (*Engine, time.Time) {
	e, now := New(Config{Node: "n1", Seed: 1, ProbeEvery: 24 * time.Hour}), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	sp := &spec.Spec{Services: make(map[string]*spec.Service, n)}
	for i := range n {
		text := "0 3 * * *"
		if i == 0 {
			text = "@every 1s"
		}
		schedule, err := cron.Parse(text, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		s := &spec.Service{Name: fmt.Sprintf("s%05d", i), Namespace: spec.DefaultNamespace, FullName: fmt.Sprintf("s%05d", i), Orchestrate: spec.Auto}
		s.Tasks = []*spec.Resource{{Address: spec.Address(s.FullName + "/task.backup"), Service: s.FullName, Kind: "task", Schema: storyKinds["task"],
			Task: &spec.Task{Schedule: schedule, Text: text, Timeout: time.Hour, Missed: spec.MissedSkip}}}
		sp.Services[s.FullName] = s
		sp.Names = append(sp.Names, s.FullName)
	}
	work := calls(e.Step(now, Reload{Spec: sp}))
	for _, name := range sp.Names {
		work = append(work, calls(e.Step(now, Permission{Service: name, Epoch: 1}))...)
	}
	for _, d := range work {
		e.Step(now, Done{Op: d.Op, Status: Status{Seen: SeenDown}})
	}
	return e, now
}

// The agent's timer goes on as before where the clock on the wall is set.
func TestAClockThatIsSetForwardIsNoticedWithinAMinute(t *testing.T) {
	e, now := taskEngine(t, 3)
	off := e.services["s00000"].spec
	stopped := *off
	stopped.Tasks = nil // what is due once a day is left
	sp := &spec.Spec{Services: map[string]*spec.Service{"s00000": &stopped}, Names: []string{"s00000", "s00001", "s00002"}}
	for _, name := range sp.Names[1:] {
		sp.Services[name] = e.services[name].spec
	}
	e.Step(now, Reload{Spec: sp})
	for range 100 {
		at := e.Deadline()
		if !at.After(now) || at.Sub(now) > time.Minute {
			t.Fatalf("the next deadline is in %s", at.Sub(now))
		}
		now = at
		if actions := e.Step(now, Tick{}); len(actions) > 0 {
			t.Fatalf("at %s: %v", now, actions)
		}
	}
	now = time.Date(2026, 1, 1, 3, 0, 10, 0, time.UTC)
	if runs := calls(e.Step(now, Tick{})); len(runs) != 2 {
		t.Fatalf("%d runs began: %v", len(runs), runs)
	}
}

func TestWithoutSchedulesNoClockIsLookedAt(t *testing.T) {
	e, _, now := benchEngine(t, 2)
	if at := e.Deadline(); at.Sub(now) < 10*time.Minute {
		t.Errorf("the next deadline is in %s", at.Sub(now))
	}
}

func TestARunCostsNoMoreAmongFiveThousandTasks(t *testing.T) {
	cost := func(n int) float64 {
		e, now := taskEngine(t, n)
		runs := 0
		allocs := testing.AllocsPerRun(200, func() {
			if at := e.Deadline(); at.Sub(now) > 2*time.Second {
				t.Fatalf("the next deadline is in %s", at.Sub(now))
			} else {
				now = at
			}
			for _, d := range calls(e.Step(now, Tick{})) {
				if d.Verb != VerbStart {
					t.Fatalf("%s of %s", d.Verb, d.Resource.Address)
				}
				runs++
				e.Step(now, Done{Op: d.Op})
				e.Step(now, Observed{Address: d.Resource.Address, Status: Status{Seen: SeenDown, Exit: &Exit{}}})
			}
		})
		if runs < 200 {
			t.Fatalf("%d runs", runs)
		}
		return allocs
	}
	if few, many := cost(5), cost(5_000); many > few+2 {
		t.Errorf("a run allocates %.0f times among 5 tasks and %.0f times among 5,000", few, many)
	} else {
		t.Logf("a run allocates %.0f times", many)
	}
}
