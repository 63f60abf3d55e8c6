package engine

import (
	"fmt"
	"strings"
	"time"

	"github.com/svcctl/svcctl/spec"
)

func (s *story) rememberTask(a RememberTask) {
	if a.Memory == nil {
		delete(s.tasks, a.Address)
		s.say("remember nothing of %s", a.Address)
		return
	}
	s.tasks[a.Address] = *a.Memory
	words := []string{"through " + s.clock(a.Memory.Through)}
	if run := a.Memory.Running; run != nil {
		words = append(words, "running since "+s.clock(run.Started))
	}
	if run := a.Memory.Last; run != nil {
		words = append(words, "last "+string(run.Result))
	}
	s.say("remember %s: %s", a.Address, strings.Join(words, ", "))
}

func (s *story) runWords(r Run) string {
	words := string(r.Result)
	if r.Count > 0 && r.Started.IsZero() {
		words += fmt.Sprintf(" %d times", r.Count)
	} else if r.Count > 0 {
		words += fmt.Sprintf(", for %d due times", r.Count)
	}
	if !r.Due.IsZero() {
		words += ", due " + s.clock(r.Due)
	}
	if !r.Started.IsZero() {
		words += fmt.Sprintf(", from %s to %s", s.clock(r.Started), s.clock(r.Ended))
	}
	if r.PID != 0 {
		words += fmt.Sprintf(", pid %d", r.PID)
	}
	if r.By != "" {
		words += ", for " + r.By
	}
	if r.Why != "" {
		words += ": " + r.Why
	}
	return words
}

func (s *story) taskStatus(v TaskView) {
	line := fmt.Sprintf("  %s %s", v.Address.Local(), v.State)
	if v.Running != nil {
		line += " since " + s.clock(v.Running.Started)
	}
	if v.Why != "" {
		line += ": " + v.Why
	}
	if !v.Next.IsZero() {
		line += " [next " + s.clock(v.Next) + "]"
	}
	if v.Last != nil {
		line += " [last " + string(v.Last.Result) + "]"
	}
	fmt.Fprintln(&s.out, "        "+line)
}

// restart lets another agent come, which knows what this one asked to remember.
func (s *story) restart(after time.Duration) {
	s.now = s.now.Add(after)
	s.e, s.pending = New(Config{Node: "n1", Seed: 1}), map[uint64]Do{}
	tasks, intents := s.tasks, s.intents
	s.tasks, s.intents = map[spec.Address]TaskMemory{}, map[string]Intent{}
	for a, m := range tasks {
		s.tasks[a] = m
	}
	for n, i := range intents {
		s.intents[n] = i
	}
	s.step(Restore{Intents: intents, Tasks: tasks})
}
