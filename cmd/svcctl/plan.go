package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
)

type planOptions struct {
	*program
	path   string
	node   string
	cold   bool
	asJSON bool
}

func (p *program) planCommand() *cobra.Command {
	o := &planOptions{program: p}
	c := &cobra.Command{
		Use: "plan [PATH]", Short: "Show what the agent would do, wave by wave, and do nothing",
		Long: "Show what the agent would do if PATH were declared, by default its own directory.\n" +
			"The calls of one wave run side by side. With --cold, no agent is asked: the plan is\n" +
			"for a node where nothing runs yet.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.path = args[0]
			}
			return o.run(cmd.Context())
		},
	}
	c.Flags().BoolVar(&o.cold, "cold", false, "for a node where nothing runs; needs PATH and no agent")
	c.Flags().StringVar(&o.node, "node", "", "with --cold: the node's name")
	c.Flags().BoolVar(&o.asJSON, "json", false, "write JSON")
	return c
}

func (o *planOptions) run(ctx context.Context) error {
	var plan *api.Plan
	var err error
	switch {
	case o.cold && o.path == "":
		return usage("cannot plan for a cold node without a PATH")
	case o.cold:
		plan, err = o.rehearse()
	default:
		plan, err = o.ask(ctx)
	}
	if err != nil {
		return err
	}
	if o.asJSON {
		return o.printJSON(plan)
	}
	for _, f := range plan.Findings {
		fmt.Fprintln(o.err, findingText(f))
	}
	if len(plan.Waves) == 0 {
		fmt.Fprintln(o.out, "nothing to do")
	}
	for i, wave := range plan.Waves {
		fmt.Fprintf(o.out, "wave %d\n", i+1)
		for _, s := range wave {
			fmt.Fprintf(o.out, "  %-6s  %s\n", s.Verb, s.Address)
		}
	}
	return nil
}

func (o *planOptions) ask(ctx context.Context) (*api.Plan, error) {
	var files map[string][]byte
	if o.path != "" {
		var err error
		if files, err = readSet(o.path); err != nil {
			return nil, err
		}
	}
	c, err := o.client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	plan, err := c.Plan(ctx, files)
	if err != nil {
		return nil, err
	}
	for _, f := range plan.Findings {
		if f.Severity == "error" {
			for _, f := range plan.Findings {
				fmt.Fprintln(o.err, findingText(f))
			}
			return nil, findings()
		}
	}
	return plan, nil
}

// rehearse runs the decider itself for a node where nothing runs.
func (o *planOptions) rehearse() (*api.Plan, error) {
	s, found, err := o.loadPath(o.path, o.node, false)
	if err != nil {
		return nil, err
	}
	found.WriteText(o.err, false)
	if found.HasErrors() {
		return nil, findings()
	}
	events := []engine.Event{engine.Reload{Spec: s}}
	for _, name := range s.Names {
		events = append(events, engine.Permission{Service: name, Epoch: 1})
	}
	node := o.node
	if node == "" {
		node = "node"
	}
	plan := &api.Plan{Waves: [][]api.Step{}}
	for _, wave := range engine.Rehearse(engine.New(engine.Config{Node: node}), time.Now(), events...) {
		steps := make([]api.Step, 0, len(wave))
		for _, m := range wave {
			steps = append(steps, api.Step{Verb: m.Verb, Address: m.Address})
		}
		plan.Waves = append(plan.Waves, steps)
	}
	return plan, nil
}
