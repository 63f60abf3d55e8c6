package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

func (p *program) taskCommand() *cobra.Command {
	c := &cobra.Command{Use: "task", Short: "List tasks and their history, run them now and end their runs", Args: cobra.NoArgs}
	c.AddCommand(p.taskListCommand(), p.taskHistoryCommand(), p.taskRunCommand(), p.taskStopCommand())
	return c
}

type taskListOptions struct {
	*program
	selectors []string
	history   bool
	limit     int
	asJSON    bool
}

func (p *program) taskListCommand() *cobra.Command {
	o := &taskListOptions{program: p, limit: api.MaxTaskRuns}
	c := &cobra.Command{
		Use: "list [SELECTOR…]", Short: "Show tasks, one a line: those of services, or single ones by address",
		ValidArgsFunction: p.completeTasks,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.selectors = args
			if !o.history {
				return o.list(cmd.Context())
			}
			if len(args) != 1 {
				return usage("cannot show the history of %d tasks: name one", len(args))
			}
			return o.runs(cmd.Context(), args[0])
		},
	}
	c.Flags().BoolVar(&o.asJSON, "json", false, "write JSON")
	c.Flags().BoolVar(&o.history, "history", false, "show the newest runs of the one task that is named")
	return c
}

func (p *program) taskHistoryCommand() *cobra.Command {
	o := &taskListOptions{program: p}
	c := &cobra.Command{
		Use: "history TASK", Short: "Show the newest runs of a task, the newest first",
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeTasks,
		RunE: func(cmd *cobra.Command, args []string) error { return o.runs(cmd.Context(), args[0]) },
	}
	c.Flags().BoolVar(&o.asJSON, "json", false, "write JSON")
	c.Flags().IntVarP(&o.limit, "limit", "n", 20, fmt.Sprintf("how many runs, at most %d", api.MaxTaskRuns))
	return c
}

func (o *taskListOptions) list(ctx context.Context) error {
	c, err := o.client()
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := c.Tasks(ctx)
	if err != nil {
		return err
	}
	chosen, err := chooseTasks(all.Tasks, o.selectors)
	if err != nil {
		return err
	}
	if o.asJSON {
		all.Tasks = chosen
		return o.printJSON(all)
	}
	if len(chosen) == 0 {
		fmt.Fprintln(o.out, "no tasks are declared")
		return nil
	}
	now := time.Now()
	rows := [][]string{{"TASK", "STATE", "SCHEDULE", "NEXT", "LAST"}}
	for i := range chosen {
		t := &chosen[i]
		rows = append(rows, []string{string(t.Address), stateOfTask(t), orDash(t.Schedule), moment(t.Next), lastWords(t, now)})
	}
	o.printRows(rows, func(column int, text string) colour {
		if column == 1 {
			return stateColour(text)
		}
		return ""
	})
	return nil
}

// chooseTasks returns the tasks that the words name: addresses or services, by name or
// glob; no words name all. A word that names none is an error.
func chooseTasks(all []api.TaskStatus, words []string) ([]api.TaskStatus, error) {
	if len(words) == 0 {
		return all, nil
	}
	out := []api.TaskStatus{}
	taken := make(map[spec.Address]bool)
	for _, word := range words {
		pattern := strings.TrimPrefix(word, spec.DefaultNamespace+"/")
		found := false
		for _, t := range all {
			service, err := path.Match(pattern, t.Address.Service())
			if errors.Is(err, path.ErrBadPattern) && string(t.Address) != pattern { // the key of a for_each stands in brackets
				return nil, usage("cannot use %q: it is not a pattern (such as web-*)", word)
			}
			address, _ := path.Match(pattern, string(t.Address)) // a bad pattern was found above
			if !service && !address && string(t.Address) != pattern {
				continue
			}
			found = true
			if !taken[t.Address] {
				taken[t.Address] = true
				out = append(out, t)
			}
		}
		if !found {
			return nil, usage("there is no task %s, nor a service of that name with tasks (`svcctl task list` lists them)", word)
		}
	}
	return out, nil
}

func (o *taskListOptions) runs(ctx context.Context, task string) error {
	if o.limit < 1 || o.limit > api.MaxTaskRuns {
		return usage("cannot show %d runs: --limit is 1 to %d", o.limit, api.MaxTaskRuns)
	}
	c, err := o.client()
	if err != nil {
		return err
	}
	defer c.Close()
	h, err := c.TaskHistory(ctx, spec.Address(task), o.limit)
	switch {
	case api.IsProblem(err, http.StatusNotFound):
		return usage("%w", err)
	case err != nil:
		return err
	}
	if o.asJSON {
		return o.printJSON(h)
	}
	if len(h.Runs) == 0 {
		fmt.Fprintf(o.out, "%s never ran\n", h.Address)
		return nil
	}
	rows := [][]string{{"TIME", "RESULT", "TOOK", "REMARKS"}}
	for i := range h.Runs {
		r := &h.Runs[i]
		rows = append(rows, []string{moment(timeOf(r)), string(r.Result), took(r), remarksOfRun(r)})
	}
	o.printRows(rows, func(column int, text string) colour {
		if column == 1 {
			return stateColour(text)
		}
		return ""
	})
	return nil
}

// printRows prints a table whose first row is its head. The last column takes what the
// others leave.
func (p *program) printRows(rows [][]string, paint func(column int, text string) colour) {
	widths := make([]int, len(rows[0])-1)
	for _, row := range rows {
		for i := range widths {
			widths[i] = max(widths[i], len([]rune(row[i])))
		}
	}
	for n, row := range rows {
		var line strings.Builder
		left := p.tableWidth()
		for i, w := range widths {
			cell := row[i] + strings.Repeat(" ", w-len([]rune(row[i])))
			if n > 0 {
				cell = p.paint(paint(i, row[i]), cell)
			}
			line.WriteString(cell + "  ")
			left -= w + 2
		}
		line.WriteString(clip(row[len(row)-1], max(left, 20)))
		text := strings.TrimRight(line.String(), " ")
		if n == 0 {
			text = p.paint(dim, text)
		}
		fmt.Fprintln(p.out, text)
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

func stateOfTask(t *api.TaskStatus) string {
	if t.Disabled && t.State == engine.TaskIdle {
		return "disabled"
	}
	return string(t.State)
}

// timeOf is when a run began, or was to begin.
func timeOf(r *engine.Run) time.Time {
	if r.Started.IsZero() {
		return r.Due
	}
	return r.Started
}

func took(r *engine.Run) string {
	if r.Started.IsZero() || r.Ended.IsZero() {
		return "-"
	}
	return r.Ended.Sub(r.Started).Round(time.Millisecond).String()
}

// lastWords say how the last run ended and when, or since when one goes on, and why
// nothing more happens.
func lastWords(t *api.TaskStatus, now time.Time) string {
	var parts []string
	if t.Running != nil {
		parts = append(parts, "running for "+age(now.Sub(t.Running.Started)))
	}
	if t.Last != nil {
		text := string(t.Last.Result)
		if at := lastMoment(t.Last); !at.IsZero() {
			text += " " + age(now.Sub(at)) + " ago"
		}
		if t.Last.Why != "" {
			text += ": " + t.Last.Why
		}
		parts = append(parts, text)
	}
	if t.Why != "" {
		parts = append(parts, t.Why)
	}
	if len(parts) == 0 {
		return "never ran"
	}
	return strings.Join(parts, "; ")
}

func lastMoment(r *engine.Run) time.Time {
	if r.Ended.IsZero() {
		return timeOf(r)
	}
	return r.Ended
}

func remarksOfRun(r *engine.Run) string {
	var parts []string
	if r.Count > 1 {
		parts = append(parts, fmt.Sprintf("%d times", r.Count))
	}
	if r.Why != "" {
		parts = append(parts, r.Why)
	} else if r.Exit != nil && (r.Exit.Code != 0 || r.Exit.Signal != "") {
		parts = append(parts, strings.Trim(exitWords(r.Exit), "()"))
	}
	if r.By != "" {
		parts = append(parts, "asked for by "+r.By)
	}
	return strings.Join(parts, "; ")
}

// completeTasks offers the tasks that the agent knows.
func (p *program) completeTasks(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, s := range p.ask(cmd.Context()) {
		for _, i := range s.Instances {
			for _, t := range i.Tasks {
				out = append(out, string(t.Address)+"\t"+string(t.State))
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
