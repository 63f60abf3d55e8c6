package main

import (
	"context"
	"errors"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/spec"
)

// checkNamed refuses to guess what a command is about.
func checkNamed(words []string, all bool) error {
	switch {
	case all && len(words) > 0:
		return usage("cannot take both --all and services")
	case !all && len(words) == 0:
		return usage("no service named (name one, or use --all)")
	}
	return nil
}

// choose returns the services that the words name: by name, namespace/name or glob.
// A word that names none is an error, so that a typing mistake is never "done".
func choose(s *api.Status, words []string, all bool) ([]*api.ServiceStatus, error) {
	var out []*api.ServiceStatus
	taken := make(map[string]bool)
	take := func(v *api.ServiceStatus) {
		if name := v.FullName(); !taken[name] {
			taken[name] = true
			out = append(out, v)
		}
	}
	if all {
		words = []string{"*", "*/*"}
	}
	for _, word := range words {
		pattern := strings.TrimPrefix(word, spec.DefaultNamespace+"/")
		found := false
		for i := range s.Services {
			ok, err := path.Match(pattern, s.Services[i].FullName())
			if errors.Is(err, path.ErrBadPattern) {
				return nil, usage("cannot use %q: it is not a pattern (such as web-*)", word)
			}
			if ok {
				found = true
				take(&s.Services[i])
			}
		}
		if !found && !all {
			return nil, usage("there is no service %s (`svcctl status` lists them)", word)
		}
	}
	return out, nil
}

func fullNames(services []*api.ServiceStatus) []string {
	out := make([]string, len(services))
	for i, s := range services {
		out[i] = s.FullName()
	}
	return out
}

// completeWithin bounds what a press of the tab key waits for.
const completeWithin = time.Second

// completeServices offers the services that the agent knows.
func (p *program) completeServices(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, s := range p.ask(cmd.Context()) {
		out = append(out, s.FullName()+"\t"+string(s.State))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeLogs offers services, and what writes a log of the one that is named already.
func (p *program) completeLogs(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, s := range p.ask(cmd.Context()) {
		out = append(out, s.FullName()+"\t"+string(s.State))
		if !strings.HasPrefix(begun, s.FullName()+"/") {
			continue
		}
		for _, i := range s.Instances {
			for _, r := range i.Resources {
				out = append(out, string(r.Address)+"\t"+string(r.State))
			}
			for _, t := range i.Tasks {
				out = append(out, string(t.Address)+"\t"+string(t.State))
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeResources offers the resources of the services named so far.
func (p *program) completeResources(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	named := make(map[string]bool)
	for _, a := range args {
		named[a] = true
	}
	var out []string
	for _, s := range p.ask(cmd.Context()) {
		if len(named) > 0 && !named[s.FullName()] {
			continue
		}
		for _, i := range s.Instances {
			for _, r := range i.Resources {
				out = append(out, r.Address.Local()+"\t"+s.FullName()+": "+string(r.State))
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// ask returns the services, or nothing: a completion has no way to say why not.
func (p *program) ask(ctx context.Context) []api.ServiceStatus {
	ctx, cancel := context.WithTimeout(ctx, completeWithin)
	defer cancel()
	c, err := p.client()
	if err != nil {
		return nil
	}
	defer c.Close()
	s, err := c.Status(ctx)
	if err != nil {
		return nil
	}
	return s.Services
}
