package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/spec"
)

type validateOptions struct {
	*program
	paths   []string
	format  string
	cluster string
	nodes   []string
	notes   bool
	strict  bool
}

// formats are those that findings are written in: for people, programs, code scanning,
// test reports, and the runners of GitHub.
var formats = []string{"text", "json", "sarif", "junit", "github"}

func (p *program) validateCommand() *cobra.Command {
	o := &validateOptions{program: p}
	c := &cobra.Command{
		Use: "validate PATH…", Short: "Look for mistakes in files, or in directories of files",
		Long: "Look for mistakes in files, or in directories of files. Needs neither an agent nor root.\n" +
			"PATH - is one file on standard input. Each PATH is a set of its own, but for what lies in\n" +
			"another one. Nothing but findings on standard output. Exit code: 0 no error, 1 errors, 2 usage.\n\n" +
			"With --cluster, or several --node, these are all nodes that there are: what reads node.* is\n" +
			"evaluated for each candidate of its service, assertions for every node. One --node alone is\n" +
			"the node that the set is read for. Otherwise node.* is not known.",
		Example: "  svcctl validate --strict --cluster agents/ services/\n" +
			"  svcctl validate --node name=n1,label=site=paris --node name=n2,label=site=lyon services/",
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.paths = args
			return o.run()
		},
	}
	f := c.Flags()
	f.StringVar(&o.format, "format", "text", strings.Join(formats, ", "))
	f.StringVar(&o.cluster, "cluster", "", "the folder of the nodes' agent.hcl files")
	f.StringArrayVar(&o.nodes, "node", nil, "a node: its name, or name=n1,label=site=paris,label=rack=2; can be repeated")
	f.BoolVar(&o.strict, "strict", false, "warnings fail too")
	f.BoolVar(&o.notes, "notes", false, "write also what is no mistake: what a kind leaves open (other formats than text always have it)")
	// These fail only for a flag that is not there.
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	_ = c.MarkFlagDirname("cluster")
	_ = c.RegisterFlagCompletionFunc("node", completeNode)
	return c
}

// completeNode completes what can be said of a node.
func completeNode(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	before := typed[:strings.LastIndexByte(typed, ',')+1]
	words := []string{"name="}
	if before != "" {
		words = []string{before + "label=", before + "cluster="}
	}
	return words, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

func (o *validateOptions) run() error {
	if !slices.Contains(formats, o.format) {
		return usage("cannot write the format %q (use %s)", o.format, strings.Join(formats, ", "))
	}
	options := spec.Options{Kinds: newKinds(nil), Notes: true}
	nodes, err := declaredNodes(o.cluster, o.nodes)
	if err != nil {
		return err
	}
	if len(nodes) == 1 && o.cluster == "" {
		options.Node = nodes[0]
	} else {
		options.Nodes = nodes
	}
	targets, err := o.targets(o.paths)
	if err != nil {
		return err
	}
	all, files := spec.Findings{}, 0
	for _, t := range targets {
		_, found, n := t.load(options)
		all = append(all, found...)
		files += n
	}
	all = all.Sorted()
	o.write(all)
	errors, warnings := all.Count(spec.Error), all.Count(spec.Warning)
	if o.watched {
		fmt.Fprintf(o.err, "%s, %s in %s\n", counted(errors, "error"), counted(warnings, "warning"), counted(files, "file"))
	}
	if errors > 0 || o.strict && warnings > 0 {
		return findings()
	}
	return nil
}

func (o *validateOptions) write(all spec.Findings) {
	switch o.format {
	case "text":
		if !o.notes {
			all = all.WithoutNotes()
		}
		all.WriteText(o.out, o.colour)
	case "json":
		all.WriteJSON(o.out)
	case "sarif":
		all.WriteSARIF(o.out, version())
	case "junit":
		all.WriteJUnit(o.out, o.strict)
	case "github":
		all.WriteGitHub(o.out)
	default:
		panic("internal error: format " + o.format)
	}
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
