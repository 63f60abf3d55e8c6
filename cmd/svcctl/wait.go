package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

const (
	// settleFor gathers a burst of events before the status is read again.
	settleFor = 20 * time.Millisecond
	// steadyFor is how long what was started must stay up to be believed: a program
	// that ends at once was up for a moment too.
	steadyFor = 200 * time.Millisecond
	// lookEvery is the safety net under the events.
	lookEvery = time.Second
	// tellFor is how long the last progress lines may be in coming.
	tellFor = time.Second
)

// wait is a command that was accepted and is to become true.
type wait struct {
	*program
	client    *api.Client
	verb      engine.CommandVerb
	services  []string // full names
	resources []string // of those, when not the whole services
	tags      []string
	before    map[spec.Address]time.Time // since when what a restart must end was on
	timeout   time.Duration
	off       bool // a stop of all that there is, standby resources too
}

// verdict is what a status says about the wish.
type verdict struct {
	pending []string // "service: why", not yet true
	lost    []string // "service: why", will not become true by itself
}

// until streams what happens and returns once the wish is fact, failed or late.
func (w *wait) until(ctx context.Context, events <-chan api.Event) error {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	var settled <-chan time.Time
	// moved: something happened since the command. steady: nothing did for steadyFor.
	var moved, proving, steady bool
	var position uint64
	last := verdict{}
	for read := true; ; {
		if read {
			status, err := w.client.Status(ctx, few(w.services)...)
			switch {
			case ctx.Err() != nil:
				return w.late(ctx, last)
			case err != nil:
				return err
			}
			last = w.judge(status)
			if len(last.lost) > 0 || len(last.pending) == 0 && (!moved || w.verb == engine.CommandStop || steady) {
				w.drain(events, position, status.Position)
				return w.outcome(last)
			}
			read, steady = false, false
			if len(last.pending) == 0 && settled == nil {
				settled, proving = time.After(steadyFor), true
			}
		}
		select {
		case e, open := <-events:
			if !open {
				events = nil // the safety net goes on
				continue
			}
			position = e.ID
			if w.tell(e) && e.Kind != engine.FactCommand {
				moved = true
				if settled == nil || proving {
					settled, proving = time.After(settleFor), false
				}
			}
		case <-settled:
			settled, read = nil, true
			steady, proving = proving, false
		case <-look.C:
			read = true
		case <-ctx.Done():
			return w.late(ctx, last)
		}
	}
}

// drain tells the events up to a position, so that the last line is the last state.
func (w *wait) drain(events <-chan api.Event, position, to uint64) {
	end := time.NewTimer(tellFor)
	defer end.Stop()
	for events != nil && position < to {
		select {
		case e, open := <-events:
			if !open {
				return
			}
			position = e.ID
			w.tell(e)
		case <-end.C:
			return
		}
	}
}

func (w *wait) outcome(v verdict) error {
	if len(v.lost) > 0 {
		return failed("cannot %s %s", w.verb, strings.Join(v.lost, "\n  "))
	}
	return nil
}

func (w *wait) late(ctx context.Context, v verdict) error {
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return failed("no longer waited for (the %s goes on; `svcctl status` shows it)", w.verb)
	}
	return &exitError{code: exitTimeout, err: fmt.Errorf("not done within %s (it goes on; `svcctl status` shows it): %s", w.timeout, strings.Join(v.pending, "\n  "))}
}

// tell prints an event of ours as a line of progress.
func (w *wait) tell(e api.Event) bool {
	service := e.Service
	if service == "" {
		service = e.Address.Service()
	}
	if !slices.Contains(w.services, service) {
		return false
	}
	if e.Kind != engine.FactCommand {
		fmt.Fprintln(w.err, eventLine(w.streams, e))
	}
	return true
}

func (w *wait) judge(s *api.Status) verdict {
	var v verdict
	known := make(map[string]*api.ServiceStatus, len(s.Services))
	for i := range s.Services {
		known[s.Services[i].FullName()] = &s.Services[i]
	}
	for _, name := range w.services {
		service := known[name]
		if service == nil {
			if w.verb != engine.CommandPurge && w.verb != engine.CommandStop {
				v.lost = append(v.lost, name+": there is no such service any more")
			}
			continue
		}
		done, why := w.isTrue(service)
		if done {
			continue
		}
		v.pending = append(v.pending, name+": "+why)
		if why := w.isLost(service); why != "" {
			v.lost = append(v.lost, name+": "+why)
		}
	}
	return v
}

// isTrue reports whether the wish is fact, else what is in its way.
func (w *wait) isTrue(s *api.ServiceStatus) (bool, string) {
	why := string(s.State)
	if s.Why != "" {
		why += ", " + s.Why
	}
	if w.verb == engine.CommandPurge {
		return false, why
	}
	whole := len(w.resources)+len(w.tags) == 0
	if whole {
		if w.verb == engine.CommandStop {
			return s.State == engine.InstanceDown || s.State == engine.InstanceStandby && !w.off, why
		}
		if !s.Available || s.State == engine.InstanceStarting || s.State == engine.InstanceStopping {
			return false, why
		}
	}
	for _, r := range w.selected(s) {
		was, on := w.before[r.Address]
		switch {
		case w.verb == engine.CommandStop && r.State != engine.Down,
			!whole && w.verb != engine.CommandStop && r.State != engine.Up && !r.Disabled,
			w.verb == engine.CommandRestart && on && r.Since.Equal(was):
			return false, reason(r)
		}
	}
	return true, ""
}

// isLost says why the wish will not become fact without an operator, or "".
func (w *wait) isLost(s *api.ServiceStatus) string {
	whole := len(w.resources)+len(w.tags) == 0
	for _, i := range s.Instances {
		for k := range i.Resources {
			r := &i.Resources[k]
			if r.GivenUp && !r.Optional && (whole || w.picks(r)) {
				return reason(r)
			}
		}
	}
	if s.GivenUp != "" && w.verb != engine.CommandStop {
		return s.GivenUp
	}
	return ""
}

func reason(r *api.ResourceStatus) string {
	parts := []string{r.Address.Local() + " is " + string(r.State)}
	for _, p := range []string{r.Error, r.Why} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ", ")
}

func (w *wait) picks(r *api.ResourceStatus) bool {
	local := r.Address.Local()
	base, _, _ := strings.Cut(local, "[")
	for _, name := range w.resources {
		if name == local || name == base || spec.Address(name) == r.Address {
			return true
		}
	}
	return slices.ContainsFunc(w.tags, func(t string) bool { return slices.Contains(r.Tags, t) })
}

// selected returns the resources that the wish is about, all of a whole service.
func (w *wait) selected(s *api.ServiceStatus) (out []*api.ResourceStatus) {
	whole := len(w.resources)+len(w.tags) == 0
	for _, i := range s.Instances {
		for k := range i.Resources {
			if whole && w.verb != engine.CommandStop || w.picks(&i.Resources[k]) {
				out = append(out, &i.Resources[k])
			}
		}
	}
	return out
}

// few keeps a query short: asking for all is cheaper than naming very many.
func few(names []string) []string {
	if len(names) > 50 {
		return nil
	}
	return names
}
