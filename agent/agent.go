// Package agent is the one room with goroutines: it runs the machine, calls drivers and watches files.
package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// Observer is told of finished calls. Its functions are called from many goroutines
// and must not block; nil ones are skipped.
type Observer struct {
	Call  func(kind, verb string, took time.Duration, err error)
	Check func(service string, address spec.Address, check, kind string, took time.Duration, up bool)
	Load  func(ok bool, took time.Duration)
	Ran   func(task spec.Address, run *engine.Run) // from one goroutine; nil: the task is forgotten
	Fact  func(at time.Time, f engine.Fact)        // from one goroutine, in order
}

// Options make an Agent.
type Options struct {
	Config   Config
	Kinds    *drivers.Registry
	Log      hclog.Logger
	Observer Observer
	Scrubber *Scrubber // nil: the agent has its own; one that a log shares knows what the agent learns
	// Reset resets the host; nil: this host has no way to, and the reason is recorded.
	Reset func(why string)
	// StopOnExit stops every service, in order, when Run's context ends. Otherwise
	// services go on without the agent, and the next one adopts them.
	StopOnExit bool
}

// Agent runs the services of one node. Its methods are safe for concurrent use.
type Agent struct {
	o       Options
	log     hclog.Logger
	inbox   *inbox
	asks    chan func(*loop)
	sets    *sets
	intents *kept[string, engine.Intent]
	tasks   *kept[spec.Address, engine.TaskMemory]
	history *history
	secrets *secrets
	lock    *os.File      // nil where the state directory can't hold one
	done    chan struct{} // closed when the loop has ended
}

// ErrEnded answers calls after the agent has ended.
var ErrEnded = errors.New("the agent is ending")

// New prepares an agent. Nothing runs before Run.
func New(o Options) (*Agent, error) {
	for _, dir := range []string{o.Config.State.Run, filepath.Join(o.Config.State.Run, "log")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("cannot make the folder for sockets: %w (set state.run in agent.hcl to a folder that this user may write)", err)
		}
	}
	lock, err := lockState(o.Config.State.Dir, o.Log)
	if err != nil {
		return nil, err
	}
	a := &Agent{
		o: o, lock: lock, log: o.Log,
		inbox: newInbox(),
		asks:  make(chan func(*loop)),
		done:  make(chan struct{}),
	}
	if a.o.Scrubber == nil {
		a.o.Scrubber = NewScrubber()
	}
	a.secrets = newSecrets(o.Config, o.Log, a.o.Scrubber)
	a.sets = newSets(a)
	a.intents = newIntents(o.Config.State.Dir, o.Log)
	a.tasks = newTaskMemory(o.Config.State.Dir, o.Log)
	a.history = newHistory(o.Config.State.Dir, o.Log)
	return a, nil
}

// lockState keeps a second agent off the state directory. A directory that takes no
// file is no reason not to run.
func lockState(dir string, log hclog.Logger) (*os.File, error) {
	err := os.MkdirAll(dir, 0o755)
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(filepath.Join(dir, "agent.lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	}
	if err != nil {
		log.Warn("cannot lock the state directory; the services run all the same", "error", err)
		return nil, nil
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("cannot use the state directory %s: another agent uses it (%w)", dir, err)
	}
	return f, nil
}

// Run works until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	var helpers sync.WaitGroup
	background, stop := context.WithCancel(context.Background())
	helpers.Go(func() { a.intents.run(background) })
	helpers.Go(func() { a.tasks.run(background) })
	helpers.Go(func() { a.history.run(background) })
	helpers.Go(func() { a.sets.run(background) })
	helpers.Go(func() { rest(background) })
	err := newLoop(a).run(ctx)
	close(a.done)
	stop()
	ended := make(chan struct{})
	go func() { helpers.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(leaveWithin): // what hangs there ends with the program
		a.log.Warn("the state directory hangs: what was not written yet is lost", "directory", a.o.Config.State.Dir)
	}
	if a.lock != nil {
		_ = a.lock.Close()
	}
	return err
}

// ask runs f on the loop's goroutine and waits for it.
func (a *Agent) ask(ctx context.Context, f func(*loop)) error {
	finished := make(chan struct{})
	select {
	case a.asks <- func(l *loop) { f(l); close(finished) }:
	case <-a.done:
		return ErrEnded
	case <-ctx.Done():
		return ctx.Err()
	}
	<-finished // the loop never waits for anybody, so neither does this for long
	return nil
}

// Snapshot returns what is true now.
func (a *Agent) Snapshot(ctx context.Context) (snap *engine.Snapshot, err error) {
	err = a.ask(ctx, func(l *loop) { snap = l.engine.Snapshot(time.Now()) })
	return snap, err
}

// driver returns the open driver of a resource; nil where there is none.
func (a *Agent) driver(ctx context.Context, address spec.Address) (d drivers.Driver) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if a.ask(ctx, func(l *loop) {
		if h := l.handles[address]; h != nil {
			d = h.driver
		}
	}) != nil {
		return nil
	}
	return d
}

// Notices says what the host can't give a resource.
func (a *Agent) Notices(address spec.Address) (notices []string) {
	n, ok := a.driver(context.Background(), address).(drivers.Notices)
	if !ok {
		return nil
	}
	for _, text := range n.Notices() {
		notices = append(notices, a.scrub(text))
	}
	return notices
}

// Command hands an operator's wish to the engine. It returns once the wish was
// refused, or accepted and written down; not when it has come true.
func (a *Agent) Command(ctx context.Context, c engine.Command) error {
	var refused error
	var written <-chan struct{}
	err := a.ask(ctx, func(l *loop) {
		refused = l.command(c)
		written = a.intents.written()
	})
	if err = errors.Join(err, refused); err != nil {
		return err
	}
	select {
	case <-written:
	case <-time.After(intentPatience): // a state directory that hangs must not hold up the operator
	case <-ctx.Done():
	}
	return nil
}

const intentPatience = 2 * time.Second

// Rehearse plays events on a copy of the machine.
func (a *Agent) rehearse(ctx context.Context, s *spec.Spec, prune bool) (waves []engine.Wave, err error) {
	err = a.ask(ctx, func(l *loop) {
		events := []engine.Event{engine.Reload{Spec: s, Prune: prune}}
		for _, name := range s.Names {
			events = append(events, l.grant(s.Services[name]))
		}
		waves = engine.Rehearse(l.engine, time.Now(), events...)
	})
	return waves, err
}

// LogDir is where the output of processes is kept.
func (c Config) LogDir() string { return filepath.Join(c.State.Dir, "log") }
