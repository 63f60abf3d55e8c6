package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
)

type statusOptions struct {
	*program
	services []string
	asJSON   bool
	verbose  bool
}

func (p *program) statusCommand() *cobra.Command {
	o := &statusOptions{program: p}
	c := &cobra.Command{
		Use: "status [SERVICE…]", Short: "Show services, one a line; those that are named with their resources",
		ValidArgsFunction: p.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.services = args
			return o.run(cmd.Context())
		},
	}
	c.Flags().BoolVar(&o.asJSON, "json", false, "write JSON")
	c.Flags().BoolVarP(&o.verbose, "verbose", "v", false, "show the resources of every service")
	return c
}

func (o *statusOptions) run(ctx context.Context) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	defer c.Close()
	status, err := c.Status(ctx)
	if err != nil {
		return err
	}
	if len(o.services) > 0 {
		chosen, err := choose(status, o.services, false)
		if err != nil {
			return err
		}
		kept := make([]api.ServiceStatus, 0, len(chosen))
		for _, s := range chosen {
			kept = append(kept, *s)
		}
		status.Services = kept
	}
	if o.asJSON {
		return o.printJSON(status)
	}
	now := time.Now()
	o.printCluster(status)
	if o.verbose || len(o.services) > 0 {
		for i := range status.Services {
			o.printTree(&status.Services[i], now)
		}
		return nil
	}
	o.printTable(status)
	return nil
}

// printCluster says what is wrong with the declaration; nothing where all is well.
func (o *statusOptions) printCluster(s *api.Status) {
	declared := &s.Cluster.Spec
	if declared.State != api.SpecCurrent && declared.State != "" {
		text := fmt.Sprintf("spec %s: %s", declared.State, declared.Message)
		if declared.Revision > 0 {
			text += fmt.Sprintf("; revision %d goes on", declared.Revision)
		}
		fmt.Fprintln(o.out, o.paint(yellow, text))
		o.printFindings(declared.Findings)
	} else if slices.ContainsFunc(declared.Findings, func(f api.Finding) bool { return f.Severity == "error" }) {
		fmt.Fprintln(o.out, o.paint(yellow, fmt.Sprintf("spec current: revision %d goes on, which an older version of svcctl accepted; the next change has to mend what is found in it", declared.Revision)))
		o.printFindings(declared.Findings)
	}
	if declared.Store != "" {
		fmt.Fprintln(o.out, o.paint(yellow, "state directory: "+declared.Store))
	}
}

func (o *statusOptions) printFindings(all []api.Finding) {
	for _, f := range all {
		fmt.Fprintln(o.out, "  "+strings.ReplaceAll(strings.TrimRight(findingText(f), "\n"), "\n", "\n  "))
	}
}

func (o *statusOptions) printTable(s *api.Status) {
	if len(s.Services) == 0 {
		fmt.Fprintln(o.out, "no services are declared")
		return
	}
	name, node := len("SERVICE"), len("NODE")
	for i := range s.Services {
		name = max(name, len(s.Services[i].FullName()))
		node = max(node, len(s.Services[i].Node))
	}
	width := o.tableWidth()
	name, node = min(name, width/8*3), min(node, width/8)
	const state = len("stopping")
	fmt.Fprintln(o.out, o.paint(dim, fmt.Sprintf("%-*s  %-*s  %-*s  %s", name, "SERVICE", state, "STATE", node, "NODE", "WHY")))
	for i := range s.Services {
		v := &s.Services[i]
		left := fmt.Sprintf("%-*s  ", name, clip(v.FullName(), name))
		right := fmt.Sprintf("  %-*s  ", node, clip(v.Node, node))
		why := clip(remarks(v), width-len([]rune(left))-state-len([]rune(right)))
		line := left + o.paint(stateColour(string(v.State)), fmt.Sprintf("%-*s", state, v.State)) + right + why
		fmt.Fprintln(o.out, strings.TrimRight(line, " "))
	}
}

// remarks are what a line of the table says behind the state.
func remarks(s *api.ServiceStatus) string {
	var parts []string
	if s.Frozen && !strings.Contains(s.Why, "frozen") {
		parts = append(parts, "frozen")
	}
	if s.Undeclared {
		parts = append(parts, "undeclared")
	}
	if s.Why != "" {
		parts = append(parts, s.Why)
	}
	return strings.Join(parts, "; ")
}

func (o *statusOptions) printTree(s *api.ServiceStatus, now time.Time) {
	facts := []string{o.paint(stateColour(string(s.State)), string(s.State))}
	if s.Node != "" {
		facts = append(facts, "on "+s.Node)
	}
	if s.Epoch != 0 {
		facts = append(facts, fmt.Sprintf("epoch %d", s.Epoch))
	}
	facts = append(facts, "level "+string(s.Level))
	if s.Undeclared {
		facts = append(facts, "undeclared")
	}
	fmt.Fprintf(o.out, "%s  %s\n", s.FullName(), strings.Join(facts, "  "))
	if s.Freeze != nil {
		fmt.Fprintln(o.out, "  "+o.paint(yellow, freezeWords(s.Freeze)))
	}
	if s.Why != "" {
		fmt.Fprintln(o.out, "  why: "+s.Why)
	}
	for _, i := range s.Instances {
		width := 0
		for k := range i.Resources {
			width = max(width, len(i.Resources[k].Address.Local()))
		}
		for k := range i.Tasks {
			width = max(width, len(i.Tasks[k].Address.Local()))
		}
		for k := range i.Resources {
			o.printResource(&i.Resources[k], width, k == len(i.Resources)-1 && len(i.Tasks) == 0, now)
		}
		for k := range i.Tasks {
			o.printTask(&i.Tasks[k], width, k == len(i.Tasks)-1, now)
		}
	}
}

func (o *statusOptions) printResource(r *api.ResourceStatus, width int, last bool, now time.Time) {
	branch, under := "├─ ", "│  "
	if last {
		branch, under = "└─ ", "   "
	}
	facts := []string{}
	if !r.Since.IsZero() {
		facts = append(facts, age(now.Sub(r.Since)))
	}
	if r.PID != 0 {
		facts = append(facts, fmt.Sprintf("pid %d", r.PID))
	}
	if r.Restarts > 0 {
		facts = append(facts, fmt.Sprintf("restarts %d", r.Restarts))
	}
	for _, f := range []struct {
		is   bool
		word string
	}{{r.Optional, "optional"}, {r.Standby, "standby"}, {r.Disabled, "disabled"}} {
		if f.is {
			facts = append(facts, f.word)
		}
	}
	if r.Detail != "" {
		facts = append(facts, r.Detail)
	}
	line := fmt.Sprintf("  %s%-*s  %s  %s", branch, width, r.Address.Local(),
		o.paint(stateColour(string(r.State)), fmt.Sprintf("%-8s", r.State)), strings.Join(facts, "  "))
	fmt.Fprintln(o.out, strings.TrimRight(line, " "))
	for _, text := range []string{r.Error, r.Why} {
		if text != "" {
			fmt.Fprintln(o.out, "  "+under+"   "+o.paint(yellow, strings.ReplaceAll(text, "\n", "\n  "+under+"   ")))
		}
	}
	for _, n := range r.Notices {
		fmt.Fprintln(o.out, "  "+under+"   note: "+n)
	}
	for _, c := range r.Checks {
		text := fmt.Sprintf("  %s   check %s (%s) %s", under, c.Name, c.Kind, o.paint(stateColour(string(c.State)), string(c.State)))
		switch {
		case c.Error != "":
			text += ": " + c.Error
		case c.Detail != "" && c.State == engine.CheckUp:
			text += ": " + c.Detail
		}
		if len(c.Values) > 0 {
			text += "  " + valueWords(c.Values)
		}
		fmt.Fprintln(o.out, text)
	}
}

// valueWords are the first of what a check measured.
func valueWords(values []api.CheckValue) string {
	const most = 4
	var parts []string
	for _, v := range values[:min(len(values), most)] {
		unit := v.Unit
		switch unit {
		case "seconds":
			unit = "s"
		case "percent":
			unit = "%"
		case "bytes":
			unit = "B"
		}
		parts = append(parts, fmt.Sprintf("%s=%.4g%s", v.Label, v.Value, unit))
	}
	if more := len(values) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, " ")
}

func (o *statusOptions) printTask(t *api.TaskStatus, width int, last bool, now time.Time) {
	branch, under := "├─ ", "│  "
	if last {
		branch, under = "└─ ", "   "
	}
	facts := []string{}
	if t.Running != nil {
		facts = append(facts, "for "+age(now.Sub(t.Running.Started)))
		if t.Running.PID != 0 {
			facts = append(facts, fmt.Sprintf("pid %d", t.Running.PID))
		}
	}
	if t.Schedule != "" {
		facts = append(facts, t.Schedule)
	}
	if !t.Next.IsZero() {
		facts = append(facts, "next "+moment(t.Next))
	}
	state := stateOfTask(t)
	line := fmt.Sprintf("  %s%-*s  %s  %s", branch, width, t.Address.Local(), o.paint(stateColour(state), fmt.Sprintf("%-8s", state)), strings.Join(facts, "  "))
	fmt.Fprintln(o.out, strings.TrimRight(line, " "))
	if t.Why != "" {
		fmt.Fprintln(o.out, "  "+under+"   "+o.paint(yellow, t.Why))
	}
	if r := t.Last; r != nil {
		text := "last run " + o.paint(stateColour(string(r.Result)), string(r.Result)) + " " + age(now.Sub(lastMoment(r))) + " ago"
		if r.Why != "" {
			text += ": " + r.Why
		}
		fmt.Fprintln(o.out, "  "+under+"   "+text)
	}
	for _, n := range t.Notices {
		fmt.Fprintln(o.out, "  "+under+"   note: "+n)
	}
}

func freezeWords(f *engine.Freeze) string {
	text := "frozen by " + f.By
	if f.Reason != "" {
		text += ": " + f.Reason
	}
	if !f.Until.IsZero() {
		text += ", until " + f.Until.Local().Format("2006-01-02 15:04:05")
	}
	return text
}

// stateColour is of the states of resources, services, checks and tasks, and of the
// results of runs.
func stateColour(state string) colour {
	switch state {
	case string(engine.Up), string(engine.TaskRunning), string(engine.RunSucceeded):
		return green
	case string(engine.Failed), string(engine.Stuck), string(engine.RunTimeout), string(engine.RunLost):
		return red
	case string(engine.Starting), string(engine.Stopping), string(engine.InstanceDegraded), string(engine.TaskWaiting),
		string(engine.RunMissed), string(engine.RunSkipped):
		return yellow
	default:
		return ""
	}
}

// age is a duration to two places, for people.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm%ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%dm", int(d.Hours()), int(d.Minutes())%60)
	default:
		return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
	}
}
