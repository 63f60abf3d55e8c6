// Package app makes programs run, as children of the keeper: for as long as the service is up, or as tasks that end.
package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/keeper"
	"github.com/svcctl/svcctl/spec"
)

// Register adds the kinds app and task. Without a keeper they can be validated, not run.
func Register(r *drivers.Registry, k *keeper.Client) {
	drivers.DefineKind(r, "app", "A program that runs as long as the service is up.",
		func(o drivers.Opening, c *Config) (drivers.Driver, error) {
			if k == nil {
				return nil, fmt.Errorf("cannot open %s: there is no keeper to run it", o.Address)
			}
			return &app{opening: o, keeper: k, id: string(o.Address), config: c}, nil
		}, drivers.WithLevel(spec.LevelKernel), drivers.WithExample(example))
	drivers.DefineTask(r, "task", "A program that runs and ends, on a schedule or when asked for.",
		func(o drivers.Opening, c *TaskConfig) (drivers.Driver, error) {
			if k == nil {
				return nil, fmt.Errorf("cannot open %s: there is no keeper to run it", o.Address)
			}
			return &task{app{opening: o, keeper: k, id: string(o.Address), config: c.app()}}, nil
		}, drivers.WithLevel(spec.LevelKernel), drivers.WithExample(taskExample))
}

type app struct {
	opening drivers.Opening
	keeper  *keeper.Client
	id      string
	mu      sync.Mutex // Status may run beside Update
	config  *Config
	hashed  *Config // whose digest is kept: every event of a process is compared with it
	hash    string

	filtered *Config // whose seccomp filter is kept, for a quick restart
	filter   []byte
}

func (a *app) cfg() *Config {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.config
}

// digest is c's own, computed once.
func (a *app) digest(c *Config) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hashed != c {
		a.hashed, a.hash = c, c.digest()
	}
	return a.hash
}

// Start returns once the program runs and, where it says so itself, is ready.
func (a *app) Start(ctx context.Context) error {
	c := a.cfg()
	r, err := a.request(c)
	if err != nil {
		return err
	}
	changed := make(chan struct{}, 1)
	var mu sync.Mutex
	var last keeper.Process
	stop := a.keeper.Subscribe(a.id, func(p keeper.Process) {
		mu.Lock()
		last = p
		mu.Unlock()
		select {
		case changed <- struct{}{}:
		default:
		}
	})
	defer stop()
	p, err := a.keeper.Start(ctx, r)
	if err != nil {
		return err
	}
	seen := func() keeper.Process {
		mu.Lock()
		defer mu.Unlock()
		if last.Run >= p.Run {
			return last
		}
		return p
	}
	switch {
	case c.Type == "forking":
		return a.awaitDaemon(ctx, c, seen, changed)
	case c.Ready == "notify":
		return a.await(ctx, seen, changed, "did not say READY=1 to its NOTIFY_SOCKET", func(p keeper.Process) bool { return p.Ready })
	}
	return nil
}

// await waits until a process is as wanted; one that ends before is an error.
func (a *app) await(ctx context.Context, seen func() keeper.Process, changed <-chan struct{}, missing string, wanted func(keeper.Process) bool) error {
	for {
		p := seen()
		if wanted(p) {
			return nil
		}
		if p.Phase != keeper.Running {
			return fmt.Errorf("cannot start %s: it %s (see its log)", a.id, ended(p))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("cannot complete the start of %s: it runs, but %s%s; see its log, or raise timeouts.start", a.id, missing, cutShort(ctx))
		}
	}
}

// cutShort says why ctx ended. Of a timeout it says nothing: who set it adds how long
// it was.
func cutShort(ctx context.Context) string {
	if err := ctx.Err(); !errors.Is(err, context.DeadlineExceeded) {
		return ": " + err.Error()
	}
	return ""
}

func (a *app) awaitDaemon(ctx context.Context, c *Config, seen func() keeper.Process, changed <-chan struct{}) error {
	err := a.await(ctx, seen, changed, "its command did not end", func(p keeper.Process) bool {
		return p.Forked || p.Phase == keeper.Exited && p.Exit != nil && p.Exit.Code == 0
	})
	if err != nil {
		return err
	}
	wait := 10 * time.Millisecond
	for {
		serr := a.run(ctx, c, c.Status, 0)
		if serr == nil {
			return nil
		}
		if p := seen(); p.Phase == keeper.Exited {
			return fmt.Errorf("cannot start %s: its command left no daemon behind, and %w", a.id, serr)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("cannot complete the start of %s: %w (does the daemon start, is the status command right?)", a.id, serr)
		}
		wait = min(2*wait, time.Second)
	}
}

// Stop returns once no process of the app is left.
func (a *app) Stop(ctx context.Context) error {
	c := a.cfg()
	p, err := a.keeper.Get(ctx, a.id)
	switch {
	case errors.Is(err, keeper.ErrUnknown): // but a start that nobody waits for may be on its way
	case err != nil:
		return err
	}
	var failed error
	if len(c.Stop) > 0 && p.Phase == keeper.Running {
		// It gets its share of the time: the signals must have theirs.
		bounded, cancel := context.WithTimeout(ctx, a.share(ctx, c.KillAfter))
		failed = a.run(bounded, c, c.Stop, p.PID)
		cancel()
	}
	sig, err := parseSignal(c.StopSignal)
	if err != nil {
		panic("internal error: an invalid signal was accepted: " + err.Error())
	}
	if err := a.keeper.Stop(ctx, a.id, sig, a.share(ctx, c.KillAfter)); err != nil {
		if failed != nil {
			return fmt.Errorf("%w (and %w)", err, failed)
		}
		return err
	}
	return nil
}

// share is the part of the time left that may pass before the next, harder means:
// there must always be time to kill.
func (a *app) share(ctx context.Context, want time.Duration) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return want
	}
	left := time.Until(deadline)
	return max(0, min(want, left-min(left/2, 2*time.Second)))
}

// Kill implements drivers.Killer.
func (a *app) Kill(ctx context.Context) error { return a.keeper.Kill(ctx, a.id) }

// Status asks the keeper, and of a forking app its status command too.
func (a *app) Status(ctx context.Context) (drivers.Status, error) {
	p, err := a.keeper.Get(ctx, a.id)
	if errors.Is(err, keeper.ErrUnknown) {
		return drivers.Status{State: drivers.Down}, nil
	}
	if err != nil {
		return drivers.Status{}, err
	}
	st := a.status(p)
	c := a.cfg()
	if c.Type == "forking" && (st.State == drivers.Up || p.Phase == keeper.Exited && p.Exit != nil && p.Exit.Code == 0) {
		if err := a.run(ctx, c, c.Status, p.PID); err != nil {
			if st.State == drivers.Up {
				st.State = drivers.Failed // the daemon is there, and does not do its work
			}
			st.Detail = err.Error()
		} else if st.State == drivers.Down {
			st = drivers.Status{State: drivers.Up, Detail: "up outside the keeper: its status command says so"}
		}
	}
	return st, nil
}

// Watch implements drivers.Watcher.
func (a *app) Watch(changed func(drivers.Status)) (func(), error) {
	return a.keeper.Subscribe(a.id, func(p keeper.Process) { changed(a.status(p)) }), nil
}

// Update takes over what matters at the next stop or start only.
func (a *app) Update(ctx context.Context, config any) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot change %s: %w", a.id, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.config = config.(*Config)
	return nil
}

// Notices implements drivers.Notices.
func (a *app) Notices() []string {
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // what is known now, or nothing
	p, err := a.keeper.Get(ctx, a.id)
	if err != nil {
		return nil
	}
	out := slices.Clone(p.NotEnforced)
	if p.Dropped > 0 {
		out = append(out, fmt.Sprintf("%d lines of output were lost: the log directory does not take them (is the disk full or read-only?)", p.Dropped))
	}
	return out
}

func (a *app) status(p keeper.Process) drivers.Status {
	st := drivers.Status{PID: p.PID}
	switch p.Phase {
	case keeper.Running:
		st.State, st.Detail = drivers.Up, p.Text
		if !p.Ready {
			st.State, st.Detail = drivers.Begun, "has not said READY=1 yet"
		}
		if p.Digest != a.digest(a.cfg()) {
			st.State, st.Detail = drivers.Failed, "runs with another configuration"
		}
	case keeper.Exited, keeper.Lost:
		st.State, st.PID = drivers.Down, 0
		if p.Exit != nil {
			st.Exit = &drivers.Exit{Code: p.Exit.Code, Signal: p.Exit.Signal}
			st.Detail = ended(p)
		}
		if p.Remains > 0 {
			st.State = drivers.Failed
			st.Detail = fmt.Sprintf("%s; %d of its processes are still there", st.Detail, p.Remains)
		}
	default:
		panic("internal error: phase " + string(p.Phase))
	}
	return st
}

// ended says how a process ended, with its last words.
func ended(p keeper.Process) string {
	how := "ended"
	switch {
	case p.Exit == nil:
	case p.Exit.Signal != "":
		how = "was ended by " + p.Exit.Signal
		if p.Exit.Memory {
			how += ", since its processes reached their memory limit"
		}
	default:
		how = fmt.Sprintf("exited with code %d", p.Exit.Code)
	}
	words := strings.TrimSpace(strings.Join(p.Last[max(0, len(p.Last)-3):], " | "))
	if words == "" {
		return how
	}
	if len(words) > 300 {
		words = "…" + strings.ToValidUTF8(words[len(words)-300:], "")
	}
	return how + "; last output: " + words
}

func (a *app) logPath() string {
	name := strings.NewReplacer("/", "_", "\x00", "_").Replace(a.opening.Address.Local())
	return filepath.Join(a.opening.Service, name+".log")
}
