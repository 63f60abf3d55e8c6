package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

type applyOptions struct {
	*program
	dir    string
	prune  bool
	asJSON bool
}

func (p *program) applyCommand() *cobra.Command {
	o := &applyOptions{program: p}
	c := &cobra.Command{
		Use: "apply DIR", Short: "Make a directory of files the declaration in force",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dir = args[0]
			return o.run(cmd.Context())
		},
	}
	c.Flags().BoolVar(&o.prune, "prune", false, "stop services that are not in the directory")
	c.Flags().BoolVar(&o.asJSON, "json", false, "write JSON")
	return c
}

func (o *applyOptions) run(ctx context.Context) error {
	files, err := readSet(o.dir)
	if err != nil {
		return err
	}
	c, err := o.client()
	if err != nil {
		return err
	}
	defer c.Close()
	r, err := c.Apply(ctx, files, o.prune)
	if err != nil {
		return err
	}
	if o.asJSON {
		return o.printJSON(r)
	}
	for _, f := range r.Findings {
		fmt.Fprintln(o.err, findingText(f))
	}
	if !r.Changed {
		fmt.Fprintf(o.out, "nothing changed: revision %d is in force\n", r.Revision)
		return nil
	}
	fmt.Fprintf(o.out, "revision %d is in force\n", r.Revision)
	return nil
}
