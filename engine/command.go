package engine

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/svcctl/svcctl/spec"
)

// ErrRefused is in the chain of a refusal that is about state, not about spelling.
var ErrRefused = errors.New("refused")

// refusal is a whole sentence that is an ErrRefused.
type refusal string

func (r refusal) Error() string        { return string(r) }
func (r refusal) Is(target error) bool { return target == ErrRefused }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// command takes in an operator's wish for all its services, or for none.
func (e *Engine) command(c Command) {
	err := e.checkCommand(c)
	if err == nil {
		for _, name := range c.Services {
			e.obey(e.services[name], c)
		}
	}
	e.out = append(e.out, Reply{ID: c.ID, Err: err})
}

func (e *Engine) checkCommand(c Command) error {
	if len(c.Services) == 0 {
		return fmt.Errorf("cannot %s: no service named", c.Verb)
	}
	partial := len(c.Resources)+len(c.Tags) > 0
	for _, name := range c.Services {
		s := e.services[name]
		if s != nil {
			e.thawExpired(s)
		}
		if s == nil {
			return fmt.Errorf("cannot %s %s: there is no such service (svcctl status lists them)", c.Verb, name)
		}
		switch c.Verb {
		case CommandStart, CommandStop, CommandRestart:
			if f := s.intent.Frozen; f != nil {
				return refuse("cannot %s %s: it is %s; thaw it first", c.Verb, name, frozenWhy(f))
			}
			if d := e.denied(s); d != "" && c.Verb != CommandStop {
				return refuse("cannot %s %s here: %s", c.Verb, name, d)
			}
			if partial && len(s.selected(c)) == 0 && len(s.selectedTasks(c)) > 0 {
				return fmt.Errorf("cannot %s %s of %s: it is a task (svcctl task run, svcctl task stop)", c.Verb, c.part(), name)
			}
			if partial && len(s.selected(c)) == 0 {
				return fmt.Errorf("cannot %s part of %s: it has no resource %s", c.Verb, name, c.part())
			}
		case CommandFreeze, CommandThaw, CommandClear:
			if partial {
				return fmt.Errorf("cannot %s single resources: a service is frozen, thawed and cleared as a whole", c.Verb)
			}
		case CommandRun, CommandHalt:
			if err := e.checkTaskCommand(s, c); err != nil {
				return err
			}
		case CommandPurge:
			if !s.undeclared {
				return refuse("cannot purge %s: it is declared; delete it from the files first", name)
			}
			if f := s.intent.Frozen; f != nil {
				return refuse("cannot purge %s: it is %s; thaw it first", name, frozenWhy(f))
			}
		default:
			return fmt.Errorf("cannot %s %s: there is no such command", c.Verb, name)
		}
	}
	return nil
}

func (e *Engine) obey(s *service, c Command) {
	message := string(c.Verb)
	selected := s.selected(c)
	if c.Verb == CommandRun || c.Verb == CommandHalt {
		selected = s.selectedTasks(c)
	}
	for _, r := range selected {
		message += " " + r.spec.Address.Local()
	}
	if c.Reason != "" {
		message += ": " + c.Reason
	}
	e.record(Fact{Kind: FactCommand, Service: s.name, Message: message, By: c.By})
	switch c.Verb {
	case CommandStart:
		s.start(selected, c.By)
		e.forgive(s, selected)
	case CommandStop:
		s.stop(selected, c.By)
		e.clearStuck(s, selected)
	case CommandRestart:
		s.restart(selected, c.By)
		e.forgive(s, selected)
	case CommandFreeze:
		s.intent.Frozen = &Freeze{By: c.By, Reason: c.Reason, Since: e.now, Until: c.Until}
	case CommandThaw:
		s.intent.Frozen = nil
	case CommandClear:
		e.forgive(s, nil)
		e.clearStuck(s, nil)
	case CommandPurge:
		s.purging = true
	case CommandRun:
		e.runTasks(selected, c)
		e.touch(s)
		return
	case CommandHalt:
		e.haltTasks(s, selected, c)
		e.touch(s)
		return
	default:
		panic("internal error: no such command: " + string(c.Verb))
	}
	e.remember(s)
	e.touch(s)
	for _, name := range slices.Concat(s.spec.Requires, e.requirer[s.name]) {
		if other := e.services[name]; other != nil {
			e.touch(other)
		}
	}
}

// selected returns the resources that a command names, in start order.
func (s *service) selected(c Command) (out []*resource) {
	for _, r := range s.order {
		if r.task == nil && c.names(r) {
			out = append(out, r)
		}
	}
	return out
}

func (c Command) names(r *resource) bool {
	local := r.spec.Address.Local()
	base, _, _ := strings.Cut(local, "[")
	return slices.ContainsFunc(c.Resources, func(n string) bool {
		return n == local || n == base || n == string(r.spec.Address)
	}) || slices.ContainsFunc(c.Tags, func(t string) bool { return slices.Contains(r.policy().Tags, t) })
}

func (s *service) start(selected []*resource, by string) {
	s.intent.By = by
	if len(selected) == 0 {
		s.intent.State, s.intent.Overrides = WishStarted, nil
		return
	}
	for _, r := range selected { // and all that they are after
		s.override(r, WishStarted)
	}
}

func (s *service) override(r *resource, w Wish) {
	whole := WishStarted
	if s.stopWished() {
		whole = WishStopped
	}
	if w == whole {
		delete(s.intent.Overrides, r.spec.Address)
	} else {
		if s.intent.Overrides == nil {
			s.intent.Overrides = make(map[spec.Address]Wish)
		}
		s.intent.Overrides[r.spec.Address] = w
	}
	if w == WishStarted {
		for _, a := range r.policy().After {
			if d := s.byAddress[a]; d != nil {
				s.override(d, w)
			}
		}
	}
}

func (s *service) stop(selected []*resource, by string) {
	s.intent.By = by
	if len(selected) == 0 {
		s.intent.State, s.intent.Overrides, s.intent.GivenUp, s.intent.GaveUpAt = WishStopped, nil, "", 0
		return
	}
	for _, r := range selected {
		s.override(r, WishStopped)
	}
}

// restart lets what is on come down once; what is off is started.
func (s *service) restart(selected []*resource, by string) {
	targets := selected
	if len(selected) == 0 {
		targets = s.order
	}
	for _, r := range targets {
		if r.state != Down && r.state != Unknown && r.task == nil {
			r.bounce = true
		}
	}
	s.start(selected, by)
}

// forgive forgets past failures, so that everything is tried again at once.
func (e *Engine) forgive(s *service, selected []*resource) {
	s.intent.GivenUp, s.intent.GaveUpAt = "", 0
	if len(selected) == 0 {
		selected = s.order
	}
	for _, r := range selected {
		r.failures, r.attempts, r.usedUp, r.lost = 0, nil, false, false
		if r.state == Down {
			r.err = ""
		}
		if r.state == Failed {
			r.retryAt = e.now
		}
	}
}

// clearStuck believes an operator who says that what was stuck is gone, or can be
// stopped now, as far as a probe agrees.
func (e *Engine) clearStuck(s *service, selected []*resource) {
	if len(selected) == 0 {
		selected = s.order
	}
	for _, r := range selected {
		if r.state == Stuck && r.call == nil {
			r.probe = nil
			e.enter(s, r, Unknown, "cleared")
			r.err = ""
		}
	}
}

// remember asks the agent to keep the service's intent.
func (e *Engine) remember(s *service) {
	s.view = nil
	if len(s.intent.Overrides) == 0 {
		s.intent.Overrides = nil
	}
	i := s.intent
	if i.State == "" && i.Overrides == nil && i.Frozen == nil && i.GivenUp == "" {
		e.out = append(e.out, Remember{Service: s.name})
		return
	}
	kept := i
	kept.Overrides = make(map[spec.Address]Wish, len(i.Overrides))
	for a, w := range i.Overrides {
		kept.Overrides[a] = w
	}
	e.out = append(e.out, Remember{Service: s.name, Intent: &kept})
}

// part names what a command is limited to, as its message says it.
func (c Command) part() string {
	named := slices.Clone(c.Resources)
	for _, t := range c.Tags {
		named = append(named, "tagged "+t)
	}
	return strings.Join(named, ", ")
}
