package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

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
		Use: "explain [KIND[.ARGUMENT] | CODE]", Short: "Say what a kind of resource, task or check is, and what it takes; or what a finding means",
		Long: "Say what a kind of resource, task or check is, what it takes, and show a whole service that uses it.\n" +
			"KIND.ARGUMENT and KIND.BLOCK.ARGUMENT tell of one argument. service, resource, task and check tell of what\n" +
			"the language itself gives to all of them. A code such as SV0104 tells what findings of that code mean, with an example\n" +
			"and its repair. Without a name all kinds are listed.",
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			return subjects(typed), cobra.ShellCompDirectiveNoFileComp
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

// subjects are what explain can be asked for, for completion.
func subjects(typed string) []string {
	var out []string
	if len(typed) > 1 && codePattern.MatchString(typed) {
		return codeNames()
	}
	kind, _, inside := strings.Cut(typed, ".")
	for _, d := range describeAll(newKinds(nil)) {
		if !inside {
			out = append(out, d.Kind)
			continue
		}
		for _, a := range d.Arguments {
			if d.Kind == kind {
				out = append(out, kind+"."+a.Name)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (o *explainOptions) run() error {
	if codePattern.MatchString(o.subject) {
		d, err := findCode(o.subject)
		if err == nil && o.asJSON {
			return o.printJSON(d)
		}
		if err == nil {
			printCode(o.out, d, o.width)
		}
		return err
	}
	docs := describeAll(newKinds(nil))
	if o.subject != "" {
		found, err := find(docs, o.subject)
		if err != nil {
			return err
		}
		docs = found
	}
	if o.asJSON {
		return o.printJSON(docs)
	}
	for i, d := range docs {
		if o.subject == "" {
			fmt.Fprintf(o.out, "%-10s  %-8s  %s\n", d.Kind, d.Of, clip(d.Doc, o.tableWidth()-22))
			continue
		}
		if i > 0 {
			fmt.Fprintln(o.out)
		}
		printKind(o.out, d, o.width)
	}
	return nil
}

// find returns the kinds that a subject means, or what it says of one argument.
func find(docs []kindDoc, subject string) ([]kindDoc, error) {
	kind, argument, inside := strings.Cut(subject, ".")
	var same []kindDoc
	var kinds []string
	for _, d := range docs {
		kinds = append(kinds, d.Kind)
		if d.Kind == kind {
			same = append(same, d)
		}
	}
	if len(same) == 0 {
		return nil, usage("there is nothing called %s (%s)", subject, suggestion(kind, kinds, "`svcctl explain` lists the kinds"))
	}
	if !inside {
		return same, nil
	}
	var found []kindDoc
	var names []string
	for _, d := range same {
		found, names = d.narrow(argument, found, names)
	}
	for _, d := range same { // what all of its sort take is an argument of it too
		for _, common := range docs {
			if len(found) == 0 && common.Of == "language" && common.Kind == d.Of {
				found, names = common.narrow(argument, found, names)
			}
		}
	}
	if len(found) == 0 {
		return nil, usage("there is nothing called %s (%s)", subject, suggestion(argument, names, fmt.Sprintf("`svcctl explain %s` lists its arguments", kind)))
	}
	return found, nil
}

// narrow adds what d says of an argument, or of a block and what is in it.
func (d kindDoc) narrow(argument string, found []kindDoc, names []string) ([]kindDoc, []string) {
	d.Arguments = slices.DeleteFunc(slices.Clone(d.Arguments), func(a argumentDoc) bool {
		names = append(names, a.Name)
		return a.Name != argument && !strings.HasPrefix(a.Name, argument+".")
	})
	if d.Example = ""; len(d.Arguments) > 0 {
		found = append(found, d)
	}
	return found, names
}

func suggestion(word string, words []string, otherwise string) string {
	if n := spec.Nearest(word, words); n != "" {
		return "did you mean " + n + "?"
	}
	return otherwise
}

func printKind(w io.Writer, d kindDoc, width int) {
	head := d.Of + " " + d.Kind
	switch {
	case d.Of == "language" && d.Kind == "service":
		head = "every service"
	case d.Of == "language":
		head = d.Kind
	case d.Of == d.Kind:
		head = "the kind " + d.Kind
	}
	if d.Level != "" {
		head += " (safety level " + string(d.Level) + ")"
	}
	fmt.Fprintf(w, "%s\n%s\n", head, wrap(d.Doc, "  ", width))
	for _, a := range d.Arguments {
		fmt.Fprintf(w, "\n  %s  (%s)\n%s\n", a.Name, strings.Join(a.facts(d.Kind), "; "), wrap(a.Doc, "      ", width))
	}
	if d.Example == "" {
		return
	}
	if len(d.Reads) > 0 {
		fmt.Fprintf(w, "\n%s\n", wrap("Other resources may read also "+strings.Join(d.Reads, ", ")+".", "  ", width))
	}
	if d.Of != d.Kind { // else it stands below
		fmt.Fprintf(w, "\n%s\n", wrap(fmt.Sprintf("What every %s takes as well: svcctl explain %s.", d.Of, d.Of), "  ", width))
	}
	fmt.Fprintf(w, "\n  Example:\n\n")
	for line := range strings.Lines(strings.TrimRight(d.Example, "\n") + "\n") {
		fmt.Fprint(w, strings.TrimRight("    "+line, " \n")+"\n")
	}
}

// facts are what an argument's table cells say, in words.
func (a argumentDoc) facts(kind string) []string {
	facts := []string{a.Type}
	if a.Required {
		facts = append(facts, "required")
	}
	if a.Repeated {
		facts = append(facts, "may be repeated")
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
		facts = append(facts, "takes secrets, never shown")
	}
	if a.Export {
		facts = append(facts, "readable as "+kind+".NAME."+a.Name)
	}
	return facts
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
