package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

const (
	// runLines is how much of a run's output from before it is followed is shown.
	runLines = 10_000
	// lastOutput is what the last lines of a program take from its end to the file.
	lastOutput = 100 * time.Millisecond
	logStamp   = "2006-01-02T15:04:05.000Z07:00"
)

// taskRun is a run that was asked for, or the end of one.
type taskRun struct {
	*program
	client  *api.Client
	address spec.Address
	noWait  bool
	timeout time.Duration

	before  *engine.Run // the newest of the history when it was asked for
	told    string      // the last reason why it waits
	output  func()      // ends the following of its output; nil before
	printed int         // lines of its output
	started time.Time
}

const runCodes = "Exit code: 0 it succeeded, 1 it failed, 2 usage, 3 not ended after --timeout (it goes on), 4 no agent, 5 refused."

func (p *program) taskRunCommand() *cobra.Command {
	o := &taskRun{program: p}
	c := &cobra.Command{
		Use: "run TASK", Short: "Run a task now, and show what it writes until it ends",
		Long: "Run a task now, and show what it writes until it ends.\n\n" +
			"A task runs where its service is up, and never twice at once. " + runCodes,
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeTasks,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0], o.begin) },
	}
	c.Flags().BoolVar(&o.noWait, "no-wait", false, "return once the agent has accepted it")
	c.Flags().DurationVar(&o.timeout, "timeout", 24*time.Hour, "how long to wait for its end")
	return c
}

func (p *program) taskStopCommand() *cobra.Command {
	o := &taskRun{program: p}
	c := &cobra.Command{
		Use: "stop TASK", Short: "End the run of a task that goes on; its schedule stays as it is",
		Args: cobra.ExactArgs(1), ValidArgsFunction: p.completeTasks,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0], o.end) },
	}
	c.Flags().BoolVar(&o.noWait, "no-wait", false, "return once the agent has accepted it")
	c.Flags().DurationVar(&o.timeout, "timeout", 5*time.Minute, "how long to wait for its end")
	return c
}

func (o *taskRun) run(ctx context.Context, task string, what func(context.Context, uint64) error) error {
	if o.timeout <= 0 {
		return usage("cannot wait %s: --timeout must be positive (or use --no-wait)", o.timeout)
	}
	c, err := o.program.client()
	if err != nil {
		return err
	}
	defer c.Close()
	o.client = c
	all, err := c.Tasks(ctx)
	if err != nil {
		return err
	}
	for _, t := range all.Tasks {
		if string(t.Address) == strings.TrimPrefix(task, spec.DefaultNamespace+"/") {
			o.address = t.Address
			ctx, cancel := context.WithTimeout(ctx, o.timeout)
			defer cancel()
			return o.explain(ctx, what(ctx, all.Position))
		}
	}
	return usage("there is no task %s (`svcctl task list` lists them)", task)
}

// explain says what the end of the wait means.
func (o *taskRun) explain(ctx context.Context, err error) error {
	var done *exitError
	switch {
	case err == nil || ctx.Err() == nil || errors.As(err, &done):
		return err
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		why := ""
		if o.told != "" {
			why = ": " + o.told
		}
		return &exitError{code: exitTimeout, err: fmt.Errorf("not ended within %s (it goes on; `svcctl task list %s` shows it)%s", o.timeout, o.address, why)}
	default:
		return failed("no longer waited for (it goes on; `svcctl task list %s` shows it)", o.address)
	}
}

// begin asks for a run and waits for its end.
func (o *taskRun) begin(ctx context.Context, position uint64) error {
	h, err := o.client.TaskHistory(ctx, o.address, 1)
	if err != nil {
		return err
	}
	if len(h.Runs) > 0 {
		o.before = &h.Runs[0]
	}
	ask := func() error { return o.client.RunTasks(ctx, api.TasksBody{Addresses: []spec.Address{o.address}}) }
	if o.noWait {
		return ask()
	}
	defer func() {
		if o.output != nil {
			o.output()
		}
	}()
	return o.ask(ctx, position, ask, o.judgeRun)
}

// end asks for the end of a run and waits for it.
func (o *taskRun) end(ctx context.Context, position uint64) error {
	ask := func() error { return o.client.HaltTasks(ctx, api.TasksBody{Addresses: []spec.Address{o.address}}) }
	if o.noWait {
		return ask()
	}
	return o.ask(ctx, position, ask, func(_ context.Context, t *api.TaskStatus) (bool, error) {
		switch t.State {
		case engine.TaskIdle, engine.TaskWaiting:
			return true, nil
		case engine.TaskStuck:
			return true, failed("cannot stop %s: %s", o.address, t.Why)
		case engine.TaskRunning, engine.TaskStopping:
			o.told = string(t.State)
			return false, nil
		default:
			panic("internal error: no such state: " + string(t.State))
		}
	})
}

// ask waits for what judge decides by the task's state. Events tell when to look.
func (o *taskRun) ask(ctx context.Context, position uint64, ask func() error, judge func(context.Context, *api.TaskStatus) (bool, error)) error {
	events, stop, err := o.follow(ctx, o.client, position)
	if err != nil {
		return err
	}
	defer stop()
	if err := ask(); err != nil {
		return err
	}
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		t, err := o.task(ctx)
		if err != nil {
			return err
		}
		if done, err := judge(ctx, t); done || err != nil {
			return err
		}
		for waiting := true; waiting; {
			select {
			case e, open := <-events:
				if !open {
					events = nil // the safety net goes on
					continue
				}
				waiting = e.Address != o.address && e.Service != o.address.Service()
			case <-look.C:
				waiting = false
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

func (o *taskRun) task(ctx context.Context) (*api.TaskStatus, error) {
	all, err := o.client.Tasks(ctx, o.address.Service())
	if err != nil {
		return nil, err
	}
	for i := range all.Tasks {
		if all.Tasks[i].Address == o.address {
			return &all.Tasks[i], nil
		}
	}
	return nil, failed("there is no task %s any more", o.address)
}

// judgeRun shows what goes on, and tells once the run that was asked for has ended.
func (o *taskRun) judgeRun(ctx context.Context, t *api.TaskStatus) (bool, error) {
	if t.State == engine.TaskWaiting && t.Why != o.told {
		o.told = t.Why
		fmt.Fprintf(o.err, "%s waits: %s\n", o.address, t.Why)
	}
	if r := t.Running; r != nil && askedFor(r) && o.output == nil && !r.Started.IsZero() {
		o.told = ""
		o.followOutput(ctx, r.Started)
	}
	if o.output != nil && t.Running != nil && t.Running.Started.Equal(o.started) {
		return false, nil
	}
	run, err := o.ended(ctx)
	if run == nil || err != nil {
		return false, err
	}
	o.restOfOutput(ctx, run)
	text := fmt.Sprintf("%s %s", o.address, run.Result)
	if !run.Started.IsZero() {
		text += " after " + took(run)
	}
	if run.Result != engine.RunSucceeded {
		if run.Why != "" {
			text += ": " + run.Why
		}
		return true, failed("%s", text)
	}
	fmt.Fprintln(o.err, text)
	return true, nil
}

// ended looks for our run in the history: the first one behind before that was asked for.
func (o *taskRun) ended(ctx context.Context) (*engine.Run, error) {
	h, err := o.client.TaskHistory(ctx, o.address, api.MaxTaskRuns)
	if err != nil {
		return nil, err
	}
	var ours *engine.Run
	for i := range h.Runs {
		r := &h.Runs[i]
		if o.before != nil && sameRun(r, o.before) {
			break
		}
		if askedFor(r) {
			ours = r
		}
	}
	return ours, nil
}

// askedFor tells a run that somebody wants from one of the schedule. It may be both.
func askedFor(r *engine.Run) bool { return r.By != "" || r.Due.IsZero() }

func sameRun(a, b *engine.Run) bool {
	return a.Due.Equal(b.Due) && a.Started.Equal(b.Started) && a.Ended.Equal(b.Ended) && a.Result == b.Result
}

// followOutput prints what the run writes while it goes on.
func (o *taskRun) followOutput(ctx context.Context, started time.Time) {
	o.started = started
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		o.copyOutput(ctx, true)
	}()
	o.output = func() { cancel(); <-ended }
}

// restOfOutput prints what came between the last look and the end.
func (o *taskRun) restOfOutput(ctx context.Context, run *engine.Run) {
	if o.output != nil {
		o.output()
		o.output = nil
	}
	if run.Started.IsZero() {
		return
	}
	o.started = run.Started
	select { // the keeper writes behind the program's back
	case <-time.After(lastOutput):
	case <-ctx.Done():
	}
	o.copyOutput(ctx, false)
}

// copyOutput prints the lines of the run that were not printed yet. A run without output
// has none to show, and one whose output can't be read has its result all the same.
func (o *taskRun) copyOutput(ctx context.Context, follow bool) {
	body, err := o.client.Logs(ctx, o.address, runLines, follow)
	if err != nil {
		return
	}
	defer func() { _ = body.Close() }() // only read from
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	for n := 0; lines.Scan(); {
		stamp, text, _ := strings.Cut(lines.Text(), " ")
		at, err := time.Parse(logStamp, stamp)
		if err != nil || at.Before(o.started.Truncate(time.Millisecond)) {
			continue
		}
		if n++; n > o.printed {
			o.printed = n
			fmt.Fprintln(o.out, text)
		}
	}
}
