package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/spec"
)

type logsOptions struct {
	*program
	target string
	follow bool
	lines  int
}

func (p *program) logsCommand() *cobra.Command {
	o := &logsOptions{program: p}
	c := &cobra.Command{
		Use: "logs SERVICE[/KIND.NAME]", Short: "Show what the processes of a service, or of one resource or task, wrote",
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.target = args[0]
			return o.run(cmd.Context())
		},
	}
	c.Flags().BoolVarP(&o.follow, "follow", "f", false, "go on with what is written from now on")
	c.Flags().IntVarP(&o.lines, "lines", "n", 100, "how many lines of each resource from before now")
	return c
}

func (o *logsOptions) run(ctx context.Context) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	defer c.Close()
	addresses, err := o.addresses(ctx, c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !o.follow {
		var out sync.Mutex
		var failed error // one that can't be read hides no other
		for _, a := range addresses {
			if err := o.copy(ctx, c, a, len(addresses) > 1, &out); err != nil && failed == nil {
				failed = err
			} else if err != nil {
				failed = fmt.Errorf("%w; %w", failed, err)
			}
		}
		return failed
	}
	var out sync.Mutex
	ends := make(chan error, len(addresses))
	for _, a := range addresses {
		go func() { ends <- o.copy(ctx, c, a, len(addresses) > 1, &out) }()
	}
	var first error
	for range addresses {
		if err := <-ends; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return first
}

// addresses returns the resources that the target names.
func (o *logsOptions) addresses(ctx context.Context, c *api.Client) ([]spec.Address, error) {
	status, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	service := spec.Address(o.target).Service()
	var out []spec.Address
	for i := range status.Services {
		s := &status.Services[i]
		name := s.FullName()
		if name != o.target && name != service && "default/"+name != o.target {
			continue
		}
		for _, r := range s.Instances[0].Resources {
			if name != service || r.Address == spec.Address(o.target) {
				out = append(out, r.Address)
			}
		}
		for _, t := range s.Instances[0].Tasks {
			if name != service || t.Address == spec.Address(o.target) {
				out = append(out, t.Address)
			}
		}
		if len(out) == 0 {
			return nil, usage("there is no resource %s (`svcctl status %s` lists them)", o.target, name)
		}
		return out, nil
	}
	return nil, usage("there is no service %s (`svcctl status` lists them)", o.target)
}

// copy prints the log of one resource. With prefix it is one of several: those that
// write nothing are passed over, and each line says whose it is.
func (o *logsOptions) copy(ctx context.Context, c *api.Client, a spec.Address, prefix bool, out *sync.Mutex) error {
	body, err := c.Logs(ctx, a, o.lines, o.follow)
	switch {
	case prefix && api.IsProblem(err, http.StatusNotFound):
		return nil
	case err != nil && ctx.Err() != nil:
		return nil
	case err != nil:
		return err
	}
	defer func() { _ = body.Close() }() // only read from
	if !prefix {
		_, err = io.Copy(o.out, body)
	} else {
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			out.Lock()
			_, err = fmt.Fprintf(o.out, "%s | %s\n", a.Local(), lines.Text())
			out.Unlock()
			if err != nil {
				return err
			}
		}
		err = lines.Err()
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}
