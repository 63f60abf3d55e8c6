package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
)

type whyOptions struct {
	*program
	service string
	asJSON  bool
}

func (p *program) whyCommand() *cobra.Command {
	o := &whyOptions{program: p}
	c := &cobra.Command{
		Use: "why SERVICE", Short: "Say why a service, and each of its resources, does not do more than it does",
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.service = args[0]
			return o.run(cmd.Context())
		},
	}
	c.Flags().BoolVar(&o.asJSON, "json", false, "write JSON")
	return c
}

// because is one reason and whose it is.
type because struct {
	Subject string `json:"subject"`
	State   string `json:"state"`
	Why     string `json:"why"`
}

func (o *whyOptions) run(ctx context.Context) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	chosen, err := choose(status, []string{o.service}, false)
	if err != nil {
		return err
	}
	reasons := []because{}
	for _, s := range chosen {
		reasons = append(reasons, reasonsOf(s)...)
	}
	if o.asJSON {
		return o.printJSON(reasons)
	}
	for _, r := range reasons {
		text := fmt.Sprintf("%s is %s", r.Subject, o.paint(stateColour(r.State), r.State))
		if r.Why != "" {
			text += ": " + r.Why
		}
		fmt.Fprintln(o.out, text)
	}
	return nil
}

// reasonsOf begins with the service itself; resources and checks follow where they
// have something to say.
func reasonsOf(s *api.ServiceStatus) []because {
	out := []because{{s.FullName(), string(s.State), s.Why}}
	if s.Freeze != nil {
		out = append(out, because{s.FullName(), "frozen", freezeWords(s.Freeze)})
	}
	if s.Undeclared {
		out = append(out, because{s.FullName(), "undeclared", "no file declares it any more; it goes on until `svcctl purge`"})
	}
	for _, i := range s.Instances {
		for _, r := range i.Resources {
			why := r.Error
			if r.Why != "" && why != "" {
				why += "; "
			}
			why += r.Why
			if why != "" {
				out = append(out, because{string(r.Address), string(r.State), why})
			}
			for _, n := range r.Notices {
				out = append(out, because{string(r.Address), string(r.State), n})
			}
			for _, c := range r.Checks {
				if c.Error != "" {
					out = append(out, because{string(r.Address) + " check " + c.Name, string(c.State), c.Error})
				}
			}
		}
		for k := range i.Tasks {
			out = append(out, reasonsOfTask(&i.Tasks[k])...)
		}
	}
	return out
}

// reasonsOfTask tell why it waits or can't be ended, and why its last run did not succeed.
func reasonsOfTask(t *api.TaskStatus) (out []because) {
	if t.Why != "" {
		out = append(out, because{string(t.Address), stateOfTask(t), t.Why})
	}
	if t.Last != nil && t.Last.Result != engine.RunSucceeded && t.Last.Why != "" {
		out = append(out, because{string(t.Address) + " last run", string(t.Last.Result), t.Last.Why})
	}
	for _, n := range t.Notices {
		out = append(out, because{string(t.Address), stateOfTask(t), n})
	}
	return out
}
