package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/zclconf/go-cty/cty"

	"github.com/svcctl/svcctl/spec"
)

type explainOptions struct {
	*program
	subject string
	asJSON  bool
}

func (p *program) explainCommand() *cobra.Command {
	o := &explainOptions{program: p}
	c := &cobra.Command{
		Use: "explain [KIND[.ARGUMENT]]", Short: "Say what a kind of resource or check is, and what it takes",
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			kinds := newKinds(nil)
			return append(kinds.ResourceKinds(), kinds.CheckKinds()...), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.subject = args[0]
			}
			return o.run()
		},
	}
	c.Flags().BoolVar(&o.asJSON, "json", false, "write JSON")
	return c
}

// kindDoc is a kind as JSON tells it.
type kindDoc struct {
	Kind      string        `json:"kind"`
	Of        string        `json:"of"` // resource or check
	Doc       string        `json:"doc"`
	Level     spec.Level    `json:"level,omitempty"`
	Arguments []argumentDoc `json:"arguments"`
}

type argumentDoc struct {
	Name     string   `json:"name"` // with the block that it is in: "block.argument"
	Type     string   `json:"type"`
	Doc      string   `json:"doc"`
	Required bool     `json:"required"`
	Default  string   `json:"default,omitempty"`
	OneOf    []string `json:"one_of,omitempty"`
	Live     bool     `json:"live"`
	Secret   bool     `json:"secret"`
	Export   bool     `json:"export"`
}

func (o *explainOptions) run() error {
	docs := describeKinds(newKinds(nil))
	if o.subject != "" {
		kind, argument, _ := strings.Cut(o.subject, ".")
		var kept []kindDoc
		for _, d := range docs {
			if d.Kind != kind {
				continue
			}
			if argument != "" {
				d.Arguments = slices.DeleteFunc(d.Arguments, func(a argumentDoc) bool {
					return a.Name != argument && !strings.HasPrefix(a.Name, argument+".")
				})
				if len(d.Arguments) == 0 {
					continue
				}
			}
			kept = append(kept, d)
		}
		if len(kept) == 0 {
			return usage("there is nothing called %s (`svcctl explain` lists the kinds)", o.subject)
		}
		docs = kept
	}
	if o.asJSON {
		return o.printJSON(docs)
	}
	for i, d := range docs {
		if o.subject == "" {
			fmt.Fprintf(o.out, "%-8s  %-8s  %s\n", d.Kind, d.Of, clip(d.Doc, o.width-20))
			continue
		}
		if i > 0 {
			fmt.Fprintln(o.out)
		}
		printKind(o.out, d, o.width)
	}
	return nil
}

func describeKinds(kinds spec.Kinds) []kindDoc {
	var out []kindDoc
	for _, k := range kinds.ResourceKinds() {
		s := kinds.Resource(k)
		out = append(out, kindDoc{Kind: k, Of: "resource", Doc: s.Doc, Level: s.Level, Arguments: describeArguments(s, "")})
	}
	for _, k := range kinds.CheckKinds() {
		s := kinds.Check(k)
		out = append(out, kindDoc{Kind: k, Of: "check", Doc: s.Doc, Arguments: describeArguments(s, "")})
	}
	return out
}

func describeArguments(s *spec.Schema, prefix string) []argumentDoc {
	out := []argumentDoc{}
	for _, f := range s.Fields {
		out = append(out, argumentDoc{
			Name: prefix + f.Name, Type: typeWord(f.Type), Doc: f.Doc, Required: f.Required, Default: f.Default,
			OneOf: f.OneOf, Live: f.Live, Secret: f.Secret, Export: f.Export,
		})
	}
	for _, b := range s.Blocks {
		out = append(out, argumentDoc{Name: prefix + b.Name, Type: "block", Doc: b.Schema.Doc, Live: b.Live})
		out = append(out, describeArguments(b.Schema, prefix+b.Name+".")...)
	}
	return out
}

func typeWord(t cty.Type) string {
	switch {
	case t.IsListType():
		return "list of " + t.ElementType().FriendlyName()
	case t.IsMapType():
		return "map of " + t.ElementType().FriendlyName()
	default:
		return t.FriendlyName()
	}
}

func printKind(w io.Writer, d kindDoc, width int) {
	head := d.Of + " " + d.Kind
	if d.Level != "" {
		head += " (safety level " + string(d.Level) + ")"
	}
	fmt.Fprintf(w, "%s\n%s\n", head, wrap(d.Doc, "  ", width))
	for _, a := range d.Arguments {
		facts := []string{a.Type}
		if a.Required {
			facts = append(facts, "required")
		}
		if a.Default != "" {
			facts = append(facts, fmt.Sprintf("default %q", a.Default))
		}
		if len(a.OneOf) > 0 {
			facts = append(facts, "one of "+strings.Join(a.OneOf, ", "))
		}
		if a.Live {
			facts = append(facts, "changed without a restart")
		}
		if a.Secret {
			facts = append(facts, "never shown")
		}
		if a.Export {
			facts = append(facts, "readable as "+d.Kind+".NAME."+a.Name)
		}
		fmt.Fprintf(w, "\n  %s  (%s)\n%s\n", a.Name, strings.Join(facts, "; "), wrap(a.Doc, "      ", width))
	}
}

// wrap breaks text at blanks into lines of at most width columns.
func wrap(text, indent string, width int) string {
	var lines []string
	line := indent
	for _, word := range strings.Fields(text) {
		switch {
		case line == indent:
			line += word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = indent + word
		default:
			line += " " + word
		}
	}
	return strings.Join(append(lines, line), "\n")
}
