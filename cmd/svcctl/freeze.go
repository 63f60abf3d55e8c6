package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
)

// promptOptions are those of the commands that are done once they are accepted.
type promptOptions struct {
	*program
	verb     engine.CommandVerb
	services []string
	all      bool
	reason   string
	forTime  time.Duration
}

// promptCommands are freeze, thaw and clear.
func (p *program) promptCommands() []*cobra.Command {
	var out []*cobra.Command
	for verb, short := range map[engine.CommandVerb]string{
		engine.CommandFreeze: "Stop every automatic action on services; what runs goes on",
		engine.CommandThaw:   "Let svcctl act on frozen services again",
		engine.CommandClear:  "Forget past failures of services, so that they are tried again at once",
	} {
		o := &promptOptions{program: p, verb: verb}
		c := &cobra.Command{
			Use: string(verb) + " SERVICE…", Short: short, ValidArgsFunction: p.completeServices,
			RunE: func(cmd *cobra.Command, args []string) error {
				o.services = args
				return o.run(cmd.Context(), time.Now())
			},
		}
		c.Flags().BoolVar(&o.all, "all", false, "every service")
		if verb == engine.CommandFreeze {
			c.Flags().StringVar(&o.reason, "reason", "", "why, for those who look at the status")
			c.Flags().DurationVar(&o.forTime, "for", 0, "thaw by itself after this time, such as 1h")
		}
		out = append(out, c)
	}
	return out
}

func (o *promptOptions) run(ctx context.Context, now time.Time) error {
	if o.forTime < 0 {
		return usage("cannot freeze for %s: --for must be positive", o.forTime)
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
	chosen, err := choose(status, o.services, o.all)
	if err != nil || len(chosen) == 0 {
		return err
	}
	body := api.CommandBody{Services: fullNames(chosen), Reason: o.reason}
	if o.forTime > 0 {
		body.Until = now.Add(o.forTime)
	}
	if err := c.Command(ctx, o.verb, body); err != nil {
		return err
	}
	_, err = fmt.Fprintf(o.out, "%s: %s\n", o.verb, strings.Join(body.Services, " "))
	return err
}
