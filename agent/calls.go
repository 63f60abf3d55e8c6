package agent

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// Two lanes, so that slow starts can't hold up checks nor checks a start.
const (
	laneActions = iota
	laneChecks
)

const (
	maxActions = 1024 // calls that run at once; the others wait their turn
	maxChecks  = 256
	hungAfter  = 5 * time.Second // past a call's timeout it is taken for hung
)

// lane bounds how many calls run at once. What waits is bounded by the machine: one
// call a resource, one a check.
type lane struct {
	limit, running int
	waiting        []*running
}

// running is a call from its Do to its Done.
type running struct {
	do       engine.Do
	lane     int
	handle   *handle
	check    *openCheck
	ctx      context.Context
	cancel   context.CancelFunc
	answered atomic.Bool
	returned bool // after it was given up; the loop's
}

// begin opens what the call needs and starts it, or queues it.
func (l *loop) begin(d engine.Do) {
	r := &running{do: d, cancel: func() {}}
	l.calls[d.Op] = r
	h, err := l.open(d.Resource)
	if hung := l.hung[d.Resource.Address]; hung != nil && d.Verb != engine.VerbCheck {
		err = fmt.Errorf("cannot %s it: an earlier %s still hangs in the kernel (is its device or server gone?)", d.Verb, hung.do.Verb)
	}
	r.handle = h
	if d.Verb == engine.VerbCheck {
		r.lane = laneChecks
		if err == nil {
			r.check, err = l.openCheck(h, d)
		}
	}
	if err != nil {
		r.lane = -1
		l.agent.inbox.answer(engine.Done{Op: d.Op, Err: l.agent.scrubError(err)})
		return
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	lane := &l.lanes[r.lane]
	if lane.running < lane.limit {
		lane.dispatch(l.agent, r)
		return
	}
	lane.waiting = append(lane.waiting, r)
}

// dispatch lets a call run. Its time counts from here, not from when it was queued.
func (lane *lane) dispatch(a *Agent, r *running) {
	timeout := r.do.Timeout
	if !r.do.NotAfter.IsZero() {
		timeout = min(timeout, time.Until(r.do.NotAfter))
	}
	timed, stop := context.WithTimeout(r.ctx, timeout)
	whole := r.cancel
	r.ctx, r.cancel = timed, func() { stop(); whole() }
	lane.running++
	go a.work(r)
}

// finished takes a call off its lane and lets the next one go.
func (l *loop) finished(op uint64) {
	r := l.calls[op]
	if r == nil {
		return
	}
	delete(l.calls, op)
	r.cancel()
	if r.lane < 0 {
		return
	}
	lane := &l.lanes[r.lane]
	lane.running--
	for lane.running < lane.limit && len(lane.waiting) > 0 {
		next := lane.waiting[0]
		lane.waiting = lane.waiting[1:]
		if next.do.NotAfter.IsZero() || time.Now().Before(next.do.NotAfter) {
			lane.dispatch(l.agent, next)
			continue
		}
		next.lane = -1
		l.agent.inbox.answer(engine.Done{Op: next.do.Op, Err: errors.New("not begun: the permission behind it has ended")})
	}
}

// updated lets a handle stand for the configuration that its driver now has.
func (l *loop) updated(d engine.Done) {
	if r := l.calls[d.Op]; r != nil && r.do.Verb == engine.VerbUpdate && d.Err == nil {
		r.handle.digest = r.do.Next.Digest
	}
}

// settled is finished without a successor: the agent leaves.
func (l *loop) settled(op uint64) {
	if r := l.calls[op]; r != nil {
		delete(l.calls, op)
		r.cancel()
	}
}

// inFlight counts the calls that were begun and not answered.
func (l *loop) inFlight() int {
	for i := range l.lanes {
		for _, r := range l.lanes[i].waiting {
			delete(l.calls, r.do.Op)
		}
		l.lanes[i].waiting = nil
	}
	return len(l.calls)
}

// work runs one call on its own goroutine.
func (a *Agent) work(r *running) {
	started := time.Now()
	watchdog := time.AfterFunc(time.Until(deadlineOf(r.ctx))+hungAfter, func() { a.abandon(r) })
	status, err := a.call(r)
	watchdog.Stop()
	took := time.Since(started)
	if !r.answered.CompareAndSwap(false, true) {
		a.returned(r)
		return
	}
	a.observeCall(r, took, status, err)
	a.inbox.answer(engine.Done{Op: r.do.Op, Status: a.observed(status), Err: a.scrubError(err)})
}

func deadlineOf(ctx context.Context) time.Time {
	d, _ := ctx.Deadline()
	return d
}

// abandon answers for a call that does not come back. Its goroutine is left to the
// kernel; no other call may begin on the resource before it returns.
func (a *Agent) abandon(r *running) {
	if !r.answered.CompareAndSwap(false, true) {
		return
	}
	go func() {
		_ = a.ask(context.Background(), func(l *loop) { l.bar(r) })
		err := fmt.Errorf("cannot %s: the call hangs in the kernel, %s past its timeout", r.do.Verb, hungAfter)
		a.observeCall(r, time.Since(deadlineOf(r.ctx))+r.do.Timeout, drivers.Status{}, err)
		a.inbox.answer(engine.Done{Op: r.do.Op, Err: err})
	}()
}

// bar keeps other calls off the resource of one that hangs.
func (l *loop) bar(r *running) {
	if r.do.Verb != engine.VerbCheck && !r.returned { // it may return while it is given up
		l.hung[r.do.Resource.Address] = r
	}
}

// returned lets calls on the resource begin again after one that hung came back.
func (a *Agent) returned(r *running) {
	_ = a.ask(context.Background(), func(l *loop) {
		r.returned = true
		if l.hung[r.do.Resource.Address] == r {
			delete(l.hung, r.do.Resource.Address)
		}
	})
}

func (a *Agent) observeCall(r *running, took time.Duration, st drivers.Status, err error) {
	if c := r.do.Check; c != nil {
		if a.o.Observer.Check != nil {
			a.o.Observer.Check(r.do.Resource.Service, r.do.Resource.Address, c.Name, c.Kind, took, err == nil && st.State == drivers.Up)
		}
		return
	}
	if a.o.Observer.Call != nil && r.do.Verb != engine.VerbProbe {
		a.o.Observer.Call(r.do.Resource.Kind, string(r.do.Verb), took, err)
	}
}

// call makes the driver call, with the resource's own commands around it.
func (a *Agent) call(r *running) (st drivers.Status, err error) {
	res := r.do.Resource
	defer func() {
		if err != nil && r.ctx.Err() != nil && errors.Is(r.ctx.Err(), context.DeadlineExceeded) && r.do.Verb != engine.VerbCheck {
			err = fmt.Errorf("%w (not done within %s)", err, r.do.Timeout)
		}
	}()
	switch r.do.Verb {
	case engine.VerbCheck:
		return a.runCheck(r)
	case engine.VerbProbe:
		return r.handle.driver.Status(r.ctx)
	case engine.VerbStart:
		if err := a.hook(r.ctx, res, "before_start", res.Hooks.BeforeStart); err != nil {
			return st, err
		}
		if err := r.handle.start(r.ctx); err != nil {
			return st, err
		}
		if res.ReadyByChecks && len(res.Checks) > 0 {
			return a.statusAfterStart(r) // its after_start comes behind the checks
		}
		if err := a.hook(r.ctx, res, "after_start", res.Hooks.AfterStart); err != nil {
			return st, err
		}
		return a.statusAfterStart(r)
	case engine.VerbReady:
		if err := a.hook(r.ctx, res, "after_start", res.Hooks.AfterStart); err != nil {
			return st, err
		}
		return a.statusAfterStart(r)
	case engine.VerbStop:
		if err := a.hook(r.ctx, res, "before_stop", res.Hooks.BeforeStop); err != nil {
			a.notice(res, err.Error()+"; it is stopped all the same")
		}
		if err := r.handle.driver.Stop(r.ctx); err != nil {
			return st, err
		}
		if err := a.hook(r.ctx, res, "after_stop", res.Hooks.AfterStop); err != nil {
			a.notice(res, err.Error())
		}
		return st, nil
	case engine.VerbUpdate:
		u, ok := r.handle.driver.(drivers.Updater)
		if !ok {
			return st, fmt.Errorf("kind %s can't be changed while it runs", res.Kind)
		}
		return st, u.Update(r.ctx, r.do.Next.Config)
	case engine.VerbKill:
		k, ok := r.handle.driver.(drivers.Killer)
		if !ok {
			return st, errors.New("there is nothing to kill")
		}
		return st, k.Kill(r.ctx)
	default:
		panic("internal error: no such verb: " + string(r.do.Verb))
	}
}

// statusAfterStart asks only kinds that can tell it from memory: a watched one knows.
func (a *Agent) statusAfterStart(r *running) (drivers.Status, error) {
	if r.handle.stopWatch == nil {
		return drivers.Status{}, nil
	}
	st, err := r.handle.driver.Status(r.ctx)
	if err != nil {
		return drivers.Status{}, nil // the start itself was good; the probe will tell
	}
	return st, nil
}

func (a *Agent) notice(res *spec.Resource, message string) {
	_ = a.ask(context.Background(), func(*loop) {
		a.record(engine.Fact{Kind: engine.FactNotice, Service: res.Service, Address: res.Address, Message: message})
	})
}

func (a *Agent) observed(st drivers.Status) engine.Status {
	out := engine.Status{Detail: clipped(a.scrub(st.Detail)), PID: st.PID}
	switch st.State {
	case drivers.Up:
		out.Seen = engine.SeenUp
	case drivers.Down, "":
		out.Seen = engine.SeenDown
	case drivers.Begun:
		out.Seen = engine.SeenBegun
	case drivers.Failed:
		out.Seen = engine.SeenFailed
	default:
		panic("internal error: no such driver state: " + string(st.State))
	}
	if st.Exit != nil {
		out.Exit = &engine.Exit{Code: st.Exit.Code, Signal: st.Exit.Signal}
	}
	return out
}

func (l *loop) opening(res *spec.Resource) drivers.Opening {
	c := l.agent.o.Config
	return drivers.Opening{Address: res.Address, Service: res.Service, Digest: res.Digest, Node: c.Node.Name,
		Timeouts: res.Timeouts, RunDir: c.State.Run, LogDir: c.LogDir()}
}

// open returns the driver of a resource as it is configured, opening it if needed.
func (l *loop) open(res *spec.Resource) (*handle, error) {
	h := l.handles[res.Address]
	if h != nil && h.digest == res.Digest {
		return h, nil
	}
	if h != nil {
		h.close()
		delete(l.handles, res.Address)
	}
	h = &handle{digest: res.Digest}
	o := l.opening(res)
	o.Reveal = h.reveal(l.agent.secrets)
	d, err := l.agent.o.Kinds.Open(o, res)
	if err != nil {
		return nil, err
	}
	h.driver = d
	if w, ok := d.(drivers.Watcher); ok { // without monitor a loss is shown all the same
		address := res.Address
		h.stopWatch, err = w.Watch(func(st drivers.Status) { l.agent.inbox.observe(address, l.agent.observed(st)) })
		if err != nil {
			l.agent.record(engine.Fact{Kind: engine.FactNotice, Service: res.Service, Address: address,
				Message: "cannot watch it, so that it is only probed now and then: " + err.Error()})
		}
	}
	l.handles[res.Address] = h
	return h, nil
}

// openCheck keeps a check's prober between its runs.
func (l *loop) openCheck(h *handle, d engine.Do) (*openCheck, error) {
	if kept := h.checks[d.Check.Name]; kept != nil && kept.digest == d.Check.Digest {
		return kept, nil
	}
	c := &openCheck{digest: d.Check.Digest}
	o := l.opening(d.Resource)
	o.Reveal = c.reveal(l.agent.secrets)
	var err error
	if c.prober, err = l.agent.o.Kinds.OpenCheck(o, d.Check); err != nil {
		return nil, err
	}
	if h.checks == nil {
		h.checks = make(map[string]*openCheck)
	}
	h.checks[d.Check.Name] = c
	return c, nil
}

// start begins a start, for which secrets must be there as they are now.
func (h *handle) start(ctx context.Context) error {
	h.starting.Store(true)
	defer h.starting.Store(false)
	return h.driver.Start(ctx)
}

func (h *handle) reveal(s *secrets) func(string) (string, error) {
	return func(text string) (string, error) {
		if h.starting.Load() {
			return s.reveal(text)
		}
		return s.revealKnown(text)
	}
}

func (c *openCheck) reveal(s *secrets) func(string) (string, error) {
	return func(text string) (string, error) {
		out, err := s.revealKnown(text)
		if err != nil {
			why := err.Error()
			c.lacks.Store(&why)
		}
		return out, err
	}
}

// runCheck asks a check. One that lacks a secret says nothing of what it checks: a
// resource that runs is not ended for that.
func (a *Agent) runCheck(r *running) (drivers.Status, error) {
	r.check.lacks.Store(nil)
	st, err := r.check.prober.Status(r.ctx)
	if why := r.check.lacks.Load(); why != nil {
		return drivers.Status{}, fmt.Errorf("%w: %s", engine.ErrNoVerdict, *why)
	}
	a.measure(r.check, err)
	return st, err
}

func (l *loop) forget(res *spec.Resource) {
	if h := l.handles[res.Address]; h != nil && h.digest == res.Digest {
		h.close()
		delete(l.handles, res.Address)
	}
}
