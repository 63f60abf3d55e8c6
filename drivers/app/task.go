package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/keeper"
)

// task is a program that ends. A run lasts until no process of it is left, so that what
// it needs is not taken from under a child of it.
type task struct{ app }

// app is the task as an app that is ready once its program runs.
func (c *TaskConfig) app() *Config {
	return &Config{Program: c.Program, Type: "simple", Ready: "started"}
}

// Start begins a run, unless one is on. The record of the run before is replaced.
func (t *task) Start(ctx context.Context) error {
	r, err := t.request(t.cfg())
	if err != nil {
		return err
	}
	p, err := t.keeper.Get(ctx, t.id)
	switch {
	case errors.Is(err, keeper.ErrUnknown):
	case err != nil:
		return err
	case p.Phase == keeper.Exited && p.Remains == 0:
		// A start that fails must not leave the exit of the run before for its own.
		if err := t.keeper.Forget(ctx, t.id); err != nil {
			return err
		}
	case p.Phase == keeper.Exited && p.Digest == r.Digest:
		return nil
	}
	_, err = t.keeper.Start(ctx, r)
	return err
}

// Status is up while the run lasts, and down with its exit from then on. Of what ended
// with its keeper nothing is known.
func (t *task) Status(ctx context.Context) (drivers.Status, error) {
	p, err := t.keeper.Get(ctx, t.id)
	if errors.Is(err, keeper.ErrUnknown) {
		return drivers.Status{State: drivers.Down}, nil
	}
	if err != nil {
		return drivers.Status{}, err
	}
	return t.run(p), nil
}

// Watch implements drivers.Watcher.
func (t *task) Watch(changed func(drivers.Status)) (func(), error) {
	return t.keeper.Subscribe(t.id, func(p keeper.Process) { changed(t.run(p)) }), nil
}

// Update takes over what matters to a stop, or to the next run.
func (t *task) Update(ctx context.Context, config any) error {
	return t.app.Update(ctx, config.(*TaskConfig).app())
}

func (t *task) run(p keeper.Process) drivers.Status {
	switch p.Phase {
	case keeper.Running:
		return drivers.Status{State: drivers.Up, PID: p.PID, Detail: p.Text}
	case keeper.Exited:
		if p.Remains > 0 {
			return drivers.Status{State: drivers.Up, Detail: fmt.Sprintf("its main process %s; %d of its processes are still there", ended(p), p.Remains)}
		}
		st := drivers.Status{State: drivers.Down, Detail: ended(p)}
		if p.Exit != nil {
			st.Exit = &drivers.Exit{Code: p.Exit.Code, Signal: p.Exit.Signal}
		}
		return st
	case keeper.Lost:
		return drivers.Status{State: drivers.Down, Detail: "it ended with the keeper, which is the parent of every process"}
	default:
		panic("internal error: phase " + string(p.Phase))
	}
}
