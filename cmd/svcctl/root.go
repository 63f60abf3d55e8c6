package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/api"
)

// program is what the commands share.
type program struct {
	*streams
	server  string
	started bool // the arguments were understood
}

// execute runs one command line and returns its exit code.
func execute(ctx context.Context, s *streams, args []string) int {
	own, out := *s, &output{to: s.out}
	own.out = out
	p := &program{streams: &own}
	root := p.root()
	root.SetArgs(args)
	root.SetIn(s.in)
	root.SetOut(out)
	root.SetErr(s.err)
	err := root.ExecuteContext(ctx)
	if err != nil && !p.started {
		err = usage("%w", err)
	}
	var e *exitError
	said := errors.As(err, &e) && e.silent
	if out.failed != nil && (err == nil || said) {
		err, said = out.failed, false
	}
	if err != nil && !said {
		fmt.Fprintln(s.err, "svcctl:", err)
		var problem *api.Problem
		if errors.As(err, &problem) {
			for _, f := range problem.Findings {
				fmt.Fprintln(s.err, findingText(f))
			}
		}
	}
	return exitCode(err)
}

func (p *program) root() *cobra.Command {
	server := os.Getenv("SVCCTL_SERVER")
	if server == "" {
		server = api.DefaultServer
	}
	root := &cobra.Command{
		Use:           "svcctl",
		Short:         "Keep services up, as their files declare them",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
		// A hook of a subcommand would replace this one: none has one.
		PersistentPreRun: func(*cobra.Command, []string) { p.started = true },
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.PersistentFlags().StringVar(&p.server, "server", server, "the agent: unix:///path/agent.sock or https://host:port")
	root.AddCommand(
		p.validateCommand(), p.fmtCommand(), p.lspCommand(), p.planCommand(), p.applyCommand(), p.explainCommand(), p.schemaCommand(), p.graphCommand(),
		p.statusCommand(), p.whyCommand(), p.eventsCommand(), p.logsCommand(), p.topCommand(), p.taskCommand(), p.nodeCommand(), p.versionCommand(),
	)
	root.AddCommand(p.waitingCommands()...)
	root.AddCommand(p.promptCommands()...)
	root.AddCommand(p.agentCommands()...)
	return root
}

// client returns a client of the agent that --server names.
func (p *program) client() (*api.Client, error) {
	c, err := api.Dial(p.server)
	if err != nil {
		return nil, usage("%w", err)
	}
	return c, nil
}

// printJSON writes a document for programs.
func (p *program) printJSON(v any) error {
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func findingText(f api.Finding) string {
	if f.Text != "" {
		return f.Text
	}
	place := ""
	if f.File != "" {
		place = fmt.Sprintf("%s:%d:%d: ", f.File, f.Line, f.Column)
	}
	text := fmt.Sprintf("%s%s: %s: %s", place, f.Severity, f.Code, f.Summary)
	if f.Detail != "" {
		text += "\n  " + f.Detail
	}
	return text
}
