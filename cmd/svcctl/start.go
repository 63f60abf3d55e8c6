package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// verbOptions are those of the commands that ask the agent for something and wait.
type verbOptions struct {
	*program
	verb      engine.CommandVerb
	services  []string
	all       bool
	resources []string
	tags      []string
	noWait    bool
	timeout   time.Duration
}

// waitingCommands are start, stop, restart and purge.
func (p *program) waitingCommands() []*cobra.Command {
	var out []*cobra.Command
	for verb, short := range map[engine.CommandVerb]string{
		engine.CommandStart:   "Start services, or some of their resources and what these are after",
		engine.CommandStop:    "Stop services, or some of their resources and what is after these; they stay off",
		engine.CommandRestart: "Stop services, or some of their resources, and start them again",
		engine.CommandPurge:   "Stop services that no file declares any more, and forget them",
	} {
		o := &verbOptions{program: p, verb: verb}
		c := &cobra.Command{
			Use: string(verb) + " SERVICE…", Short: short,
			Long: short + ".\n\nWaits until it is so, and shows what happens meanwhile. Exit code: 0 done, 1 failed,\n" +
				"2 usage, 3 not yet so after --timeout, 4 no agent, 5 refused.",
			ValidArgsFunction: p.completeServices,
			RunE: func(cmd *cobra.Command, args []string) error {
				o.services = args
				return o.run(cmd.Context())
			},
		}
		f := c.Flags()
		f.BoolVar(&o.all, "all", false, "every service")
		f.BoolVar(&o.noWait, "no-wait", false, "return once the agent has accepted it")
		f.DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long to wait")
		if verb != engine.CommandPurge {
			f.StringArrayVar(&o.resources, "resource", nil, "only this resource (kind.name), may be repeated")
			f.StringArrayVar(&o.tags, "tag", nil, "only resources with this tag, may be repeated")
			_ = c.RegisterFlagCompletionFunc("resource", p.completeResources) // fails only for a flag that is not there
		}
		out = append(out, c)
	}
	return out
}

func (o *verbOptions) run(ctx context.Context) error {
	if o.timeout <= 0 {
		return usage("cannot wait %s: --timeout must be positive (or use --no-wait)", o.timeout)
	}
	if err := checkNamed(o.services, o.all); err != nil {
		return err
	}
	c, err := o.client()
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	chosen, err := o.choose(status)
	if err != nil || len(chosen) == 0 {
		return err
	}
	w := &wait{
		program: o.program, client: c, verb: o.verb, services: fullNames(chosen),
		resources: o.resources, tags: o.tags, timeout: o.timeout, before: map[spec.Address]time.Time{},
	}
	for _, s := range chosen {
		for _, r := range w.selected(s) {
			if o.verb == engine.CommandRestart && r.State == engine.Up {
				w.before[r.Address] = r.Since
			}
		}
	}
	body := api.CommandBody{Services: w.services, Resources: o.resources, Tags: o.tags}
	if o.noWait {
		return c.Command(ctx, o.verb, body)
	}
	events, stop, err := o.follow(ctx, c, status.Position)
	if err != nil {
		return err
	}
	defer stop()
	if err := c.Command(ctx, o.verb, body); err != nil {
		return err
	}
	return w.until(ctx, events)
}

// choose takes only what no file declares for purge --all: the rest would refuse it.
func (o *verbOptions) choose(s *api.Status) ([]*api.ServiceStatus, error) {
	chosen, err := choose(s, o.services, o.all)
	if err != nil || o.verb != engine.CommandPurge || !o.all {
		return chosen, err
	}
	var undeclared []*api.ServiceStatus
	for _, s := range chosen {
		if s.Undeclared {
			undeclared = append(undeclared, s)
		}
	}
	if len(undeclared) == 0 {
		fmt.Fprintln(o.err, "every service is declared: nothing to purge")
	}
	return undeclared, nil
}

// follow opens the events from a position on. The channel is closed when the stream
// ends; stop ends it.
func (p *program) follow(ctx context.Context, c *api.Client, since uint64) (<-chan api.Event, func(), error) {
	ctx, cancel := context.WithCancel(ctx)
	stream, err := c.Events(ctx, api.EventOptions{Since: since, Follow: true})
	if err != nil {
		cancel()
		return nil, nil, err
	}
	events := make(chan api.Event, 64)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(events)
		for {
			e, err := stream.Next()
			switch {
			case api.Missed(err):
				continue
			case err != nil:
				return
			}
			select {
			case events <- e:
			case <-ctx.Done():
				return
			}
		}
	}()
	return events, func() { cancel(); stream.Close(); <-ended }, nil
}
