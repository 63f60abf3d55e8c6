package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/internal/lsp"
	"github.com/svcctl/svcctl/spec"
)

type lspOptions struct {
	*program
	stdio   bool
	verbose bool
}

func (p *program) lspCommand() *cobra.Command {
	o := &lspOptions{program: p}
	c := &cobra.Command{
		Use: "lsp", Short: "Serve an editor: findings as you type, documentation, completion, rename",
		Long: "Serve an editor that speaks the Language Server Protocol, over standard input and output.\n" +
			"Exit code: 0 where the editor ended it in order, 1 otherwise.",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return o.run(c) },
	}
	c.Flags().BoolVar(&o.stdio, "stdio", true, "what editors pass; there is no other way")
	c.Flags().BoolVar(&o.verbose, "verbose", false, "tell on standard error what is read, and how long it takes")
	return c
}

func (o *lspOptions) run(c *cobra.Command) error {
	if !o.stdio {
		return usage("cannot serve without --stdio: there is no other way")
	}
	options := lsp.Options{
		Kinds: newKinds(nil), Version: version(),
		Nodes: func(folder string) ([]spec.Node, error) { return declaredNodes(folder, nil) },
	}
	if o.verbose {
		options.Log = func(format string, args ...any) {
			fmt.Fprintf(o.err, "%s %s\n", time.Now().Format("15:04:05.000"), fmt.Sprintf(format, args...))
		}
	}
	if err := lsp.Serve(c.Context(), o.in, o.out, options); err != nil {
		return failed("the session ended too early: %w", err)
	}
	return nil
}
