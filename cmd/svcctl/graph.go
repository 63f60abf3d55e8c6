package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/spec"
)

type graphOptions struct {
	*program
	target string
	format string
	node   string
}

func (p *program) graphCommand() *cobra.Command {
	o := &graphOptions{program: p}
	c := &cobra.Command{
		Use: "graph SERVICE|PATH", Short: "Draw what waits for what, as text for dot or mermaid",
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.target = args[0]
			return o.run(cmd.Context())
		},
	}
	c.Flags().StringVar(&o.format, "format", "dot", "dot or mermaid")
	c.Flags().StringVar(&o.node, "node", "", "with PATH: evaluate as for this node")
	return c
}

// vertex is a resource in the drawing.
type vertex struct {
	address spec.Address
	after   []spec.Address
	dashed  bool // optional or disabled: nothing waits for it in earnest
}

func (o *graphOptions) run(ctx context.Context) error {
	if o.format != "dot" && o.format != "mermaid" {
		return usage("cannot draw the format %q (use dot or mermaid)", o.format)
	}
	vertices, err := o.vertices(ctx)
	if err != nil {
		return err
	}
	draw := drawDot
	if o.format == "mermaid" {
		draw = drawMermaid
	}
	_, err = fmt.Fprint(o.out, draw(vertices))
	return err
}

// vertices come from files where the target is a path, else from the agent.
func (o *graphOptions) vertices(ctx context.Context) (out []vertex, err error) {
	if _, err := os.Stat(o.target); err == nil {
		return o.fromPath()
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot read %s: %w", o.target, err)
	}
	c, err := o.client()
	if err != nil {
		return nil, err
	}
	defer c.Close()
	status, err := c.Status(ctx)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(status, []string{o.target}, false)
	if err != nil {
		return nil, err
	}
	for _, s := range chosen {
		for _, i := range s.Instances {
			for _, r := range i.Resources {
				out = append(out, vertex{r.Address, r.After, r.Optional || r.Disabled})
			}
			for _, t := range i.Tasks {
				out = append(out, vertex{t.Address, t.After, true})
			}
		}
	}
	return out, nil
}

func (o *graphOptions) fromPath() (out []vertex, err error) {
	s, found, err := o.loadPath(o.target, o.node, false)
	if err != nil {
		return nil, err
	}
	found.WriteText(o.err, false)
	if found.HasErrors() {
		return nil, findings()
	}
	for _, name := range s.Names {
		for _, r := range s.Services[name].Resources {
			out = append(out, vertex{r.Address, r.After, r.Optional || r.Disabled})
		}
		for _, t := range s.Services[name].Tasks {
			out = append(out, vertex{t.Address, t.After, true})
		}
	}
	return out, nil
}

func drawDot(vertices []vertex) string {
	var b strings.Builder
	b.WriteString("digraph svcctl {\n  rankdir=LR\n  node [shape=box]\n")
	service := ""
	for i, v := range vertices {
		if s := v.address.Service(); s != service {
			if service != "" {
				b.WriteString("  }\n")
			}
			service = s
			fmt.Fprintf(&b, "  subgraph \"cluster_%d\" {\n    label=%q\n", i, s)
		}
		style := ""
		if v.dashed {
			style = " style=dashed"
		}
		fmt.Fprintf(&b, "    %q [label=%q%s]\n", v.address, v.address.Local(), style)
		for _, a := range v.after {
			fmt.Fprintf(&b, "    %q -> %q\n", a, v.address)
		}
	}
	if service != "" {
		b.WriteString("  }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

func drawMermaid(vertices []vertex) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	id := make(map[spec.Address]string, len(vertices))
	for i, v := range vertices {
		id[v.address] = fmt.Sprintf("r%d", i)
	}
	service := ""
	for i, v := range vertices {
		if s := v.address.Service(); s != service {
			if service != "" {
				b.WriteString("  end\n")
			}
			service = s
			fmt.Fprintf(&b, "  subgraph s%d[\"%s\"]\n", i, s)
		}
		// A quote ends a label: for_each keys have them.
		fmt.Fprintf(&b, "    %s[\"%s\"]\n", id[v.address], strings.ReplaceAll(v.address.Local(), `"`, "#quot;"))
	}
	if service != "" {
		b.WriteString("  end\n")
	}
	for _, v := range vertices {
		for _, a := range v.after {
			arrow := "-->"
			if v.dashed {
				arrow = "-.->"
			}
			fmt.Fprintf(&b, "  %s %s %s\n", id[a], arrow, id[v.address])
		}
	}
	return b.String()
}
