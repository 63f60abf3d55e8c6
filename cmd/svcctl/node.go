package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/engine"
)

type nodeOptions struct {
	*program
	noWait  bool
	timeout time.Duration
}

func (p *program) nodeCommand() *cobra.Command {
	node := &cobra.Command{Use: "node", Short: "Act on a node as a whole"}
	o := &nodeOptions{program: p}
	shutdown := &cobra.Command{
		Use: "shutdown", Short: "Stop every service of this node, in order, for the host goes down",
		Long: "Stop every service of this node, in order, for the host goes down: frozen ones, standby\n" +
			"resources and runs of tasks too. They come back with the next boot, or with `svcctl node resume`;\n" +
			"an agent that is started again meanwhile starts nothing.\n\n" +
			"The unit svcctl-services runs it at poweroff and reboot, before network and mounts go.\n" +
			"Exit code: 0 all is off, 1 something can't be stopped, 3 not yet off after --timeout, 4 no agent.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.shutDown(cmd.Context()) },
	}
	shutdown.Flags().BoolVar(&o.noWait, "no-wait", false, "return once the agent has accepted it")
	shutdown.Flags().DurationVar(&o.timeout, "timeout", 90*time.Second, "how long to wait")
	resume := &cobra.Command{
		Use: "resume", Short: "End a shutdown: let the services of this node come up again",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.resume(cmd.Context()) },
	}
	node.AddCommand(shutdown, resume)
	return node
}

func (o *nodeOptions) shutDown(ctx context.Context) error {
	if o.timeout <= 0 {
		return usage("cannot wait %s: --timeout must be positive (or use --no-wait)", o.timeout)
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
	if o.noWait {
		return c.ShutDown(ctx)
	}
	w := &wait{program: o.program, client: c, verb: engine.CommandStop, off: true, timeout: o.timeout}
	for i := range status.Services {
		w.services = append(w.services, status.Services[i].FullName())
	}
	events, stop, err := o.follow(ctx, c, status.Position)
	if err != nil {
		return err
	}
	defer stop()
	if err := c.ShutDown(ctx); err != nil {
		return err
	}
	return w.until(ctx, events)
}

func (o *nodeOptions) resume(ctx context.Context) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Resume(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintln(o.out, "resumed: services come up as they are declared")
	return err
}
