// Package drivertest holds the promises every driver keeps, as a test.
package drivertest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
)

// Harness is one resource in the real world, as a driver's own test sets it up.
// The resource is down when Run begins and down again when Run ends.
type Harness struct {
	// Open returns a fresh driver of the same resource, as an agent that was
	// restarted would hold it: it remembers nothing of the drivers before it.
	Open func(t *testing.T) drivers.Driver

	// Fingerprint describes whatever the resource touches (the mount table, the
	// addresses, the process ids). Status must leave it as it is. Optional.
	Fingerprint func(t *testing.T) string

	// Break ends the running resource from outside, as an administrator's hand or
	// a fault would, and returns once it is done. Optional.
	Break func(t *testing.T)

	// Occupy makes the next Stop fail in such a way that Kill helps, as a process
	// with an open file does to a mount. Only for a drivers.Killer. Optional.
	Occupy func(t *testing.T)

	// Live is a *C that differs from the open one in live fields only. Only for a
	// drivers.Updater. Optional.
	Live any

	// Soon bounds every call, and the wait for an event. It is a limit that only a
	// hang reaches, not a measure of speed. Default 30 s.
	Soon time.Duration
}

// Run holds the driver to its promises, each in a subtest. The subtests of what a
// driver can't do (Watch, Update, Kill) are left out.
func Run(t *testing.T, h Harness) {
	if h.Soon == 0 {
		h.Soon = 30 * time.Second
	}
	r := &run{Harness: h}
	driver := h.Open(t)
	_, watches := driver.(drivers.Watcher)
	_, updates := driver.(drivers.Updater)
	_, kills := driver.(drivers.Killer)
	if h.Live != nil && !updates || h.Occupy != nil && !kills {
		t.Fatalf("the harness has Live or Occupy, but %T is no Updater or Killer", driver)
	}
	for _, p := range []struct {
		name string
		test func(*testing.T)
		on   bool
	}{
		{"Status of what was never started is down and changes nothing", r.statusBefore, true},
		{"Stop of what was never started is no error", r.stopBefore, true},
		{"Start may be called twice", r.startTwice, true},
		{"Stop may be called twice", r.stopTwice, true},
		{"Status of what runs is up and changes nothing", r.statusChangesNothing, true},
		{"Status may be asked while Start and Stop run", r.statusMeanwhile, true},
		{"Start under an ended context returns an error that Stop can undo", r.startEnded, true},
		{"Stop under an ended context returns an error and may be repeated", r.stopEnded, true},
		{"Start cut short at any moment can be undone by Stop", r.startCut, true},
		{"A driver opened later adopts what runs and stops it", r.adoption, true},
		{"A loss from outside shows in Status and is healed by Stop and Start", r.loss, h.Break != nil},
		{"Watch tells of a loss from outside", r.watchTells, watches && h.Break != nil},
		{"Watch is silent once it was stopped", r.watchEnds, watches && h.Break != nil},
		{"Update of live fields keeps it up", r.update, h.Live != nil},
		{"Kill makes way for a Stop that failed", r.kill, h.Occupy != nil},
	} {
		if p.on {
			t.Run(p.name, func(t *testing.T) {
				t.Cleanup(func() { r.stop(t, h.Open(t)) })
				p.test(t)
			})
		}
	}
}

type run struct{ Harness }

func (r *run) statusBefore(t *testing.T) {
	before := r.fingerprint(t)
	r.expect(t, r.Open(t), drivers.Down)
	r.same(t, before)
}

func (r *run) stopBefore(t *testing.T) {
	before := r.fingerprint(t)
	d := r.Open(t)
	r.stop(t, d)
	r.expect(t, d, drivers.Down)
	r.same(t, before)
}

func (r *run) startTwice(t *testing.T) {
	d := r.Open(t)
	r.start(t, d)
	once := r.fingerprint(t)
	r.start(t, d)
	r.same(t, once)
	r.start(t, r.Open(t))
	r.same(t, once)
	r.expect(t, d, drivers.Up)
}

func (r *run) stopTwice(t *testing.T) {
	d := r.Open(t)
	before := r.fingerprint(t)
	r.start(t, d)
	r.stop(t, d)
	r.expect(t, d, drivers.Down)
	r.stop(t, d)
	r.expect(t, d, drivers.Down)
	r.same(t, before)
}

func (r *run) statusChangesNothing(t *testing.T) {
	d := r.Open(t)
	r.start(t, d)
	before := r.fingerprint(t)
	for range 3 {
		r.expect(t, d, drivers.Up)
	}
	r.same(t, before)
}

func (r *run) statusMeanwhile(t *testing.T) {
	d := r.Open(t)
	ended := make(chan struct{})
	quit := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-quit:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(context.Background(), r.Soon)
			_, err := d.Status(ctx)
			cancel()
			if err != nil {
				t.Errorf("Status during Start or Stop: %v", err)
				return
			}
		}
	}()
	defer func() { close(quit); <-ended }()
	r.start(t, d)
	r.stop(t, d)
}

func (r *run) startEnded(t *testing.T) {
	d := r.Open(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.bounded(t, "Start", func() error { return d.Start(ctx) }); err == nil {
		t.Error("Start under an ended context: no error")
	}
	r.stop(t, d)
	r.expect(t, d, drivers.Down)
}

func (r *run) stopEnded(t *testing.T) {
	d := r.Open(t)
	r.start(t, d)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.bounded(t, "Stop", func() error { return d.Stop(ctx) }); err == nil {
		t.Error("Stop under an ended context: no error")
	}
	r.stop(t, d)
	r.expect(t, d, drivers.Down)
}

// startCut ends the context at moments that are spread over a start, wherever they
// fall on this machine: whatever was reached by then has to be undone.
func (r *run) startCut(t *testing.T) {
	for _, after := range []time.Duration{100 * time.Microsecond, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond} {
		d := r.Open(t)
		ctx, cancel := context.WithTimeout(context.Background(), after)
		err := r.bounded(t, "Start", func() error { return d.Start(ctx) })
		cancel()
		if err == nil {
			r.expect(t, d, drivers.Up)
		}
		r.stopOnceFree(t, d)
		r.expect(t, d, drivers.Down)
	}
	d := r.Open(t)
	r.start(t, d)
	r.expect(t, d, drivers.Up)
}

func (r *run) adoption(t *testing.T) {
	r.start(t, r.Open(t))
	before := r.fingerprint(t)
	later := r.Open(t)
	r.expect(t, later, drivers.Up)
	r.start(t, later)
	r.same(t, before)
	r.stop(t, later)
	r.expect(t, later, drivers.Down)
	r.expect(t, r.Open(t), drivers.Down)
}

func (r *run) loss(t *testing.T) {
	d := r.Open(t)
	r.start(t, d)
	r.Break(t)
	r.until(t, "Status tells of the loss", func() bool { return r.status(t, d).State != drivers.Up })
	r.stop(t, d)
	r.start(t, d)
	r.expect(t, d, drivers.Up)
}

func (r *run) watchTells(t *testing.T) {
	d := r.Open(t)
	r.start(t, d)
	told := make(chan drivers.Status, 1)
	defer r.watch(t, d, told)()
	r.Break(t)
	r.lossTold(t, told)
}

func (r *run) watchEnds(t *testing.T) {
	d, other := r.Open(t), r.Open(t)
	r.start(t, d)
	var stopped atomic.Bool
	end, err := d.(drivers.Watcher).Watch(func(s drivers.Status) {
		if stopped.Load() {
			t.Errorf("changed was called with %q after stop had returned", s.State)
		}
	})
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}
	told := make(chan drivers.Status, 1)
	defer r.watch(t, other, told)()
	end()
	stopped.Store(true)
	r.Break(t)
	r.lossTold(t, told) // the loss did arrive, at the watcher that was left
}

func (r *run) update(t *testing.T) {
	d := r.Open(t)
	r.start(t, d)
	u := d.(drivers.Updater)
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.bounded(t, "Update", func() error { return u.Update(ended, r.Live) }); err == nil {
		t.Error("Update under an ended context: no error")
	}
	for range 2 {
		if err := r.within(t, "Update", func(ctx context.Context) error { return u.Update(ctx, r.Live) }); err != nil {
			t.Fatalf("Update: %v", err)
		}
		r.expect(t, d, drivers.Up)
	}
}

func (r *run) kill(t *testing.T) {
	d := r.Open(t)
	r.start(t, d)
	r.Occupy(t)
	if err := r.within(t, "Stop", d.Stop); err == nil {
		t.Fatal("Stop of what is occupied: no error")
	}
	if err := r.within(t, "Kill", d.(drivers.Killer).Kill); err != nil {
		t.Fatalf("Kill: %v", err)
	}
	r.stop(t, d)
	r.expect(t, d, drivers.Down)
}

func (r *run) watch(t *testing.T, d drivers.Driver, told chan drivers.Status) (stop func()) {
	t.Helper()
	stop, err := d.(drivers.Watcher).Watch(func(s drivers.Status) {
		if s.State != drivers.Up {
			select {
			case told <- s:
			default: // one is enough
			}
		}
	})
	if err != nil {
		t.Fatalf("Watch: %v", err)
	}
	return stop
}

func (r *run) lossTold(t *testing.T, told chan drivers.Status) {
	t.Helper()
	select {
	case <-told:
	case <-time.After(r.Soon):
		t.Fatalf("Watch did not tell of the loss within %v", r.Soon)
	}
}

func (r *run) start(t *testing.T, d drivers.Driver) {
	t.Helper()
	if err := r.within(t, "Start", d.Start); err != nil {
		t.Fatalf("Start: %v", err)
	}
}

func (r *run) stop(t *testing.T, d drivers.Driver) {
	t.Helper()
	if err := r.within(t, "Stop", d.Stop); err != nil {
		t.Fatalf("Stop: %v", err)
	}
}

// stopOnceFree stops behind a call whose context ended: what that call had begun
// may still be ending, so that a refusal holds only for a while.
func (r *run) stopOnceFree(t *testing.T, d drivers.Driver) {
	t.Helper()
	var err error
	r.until(t, "Stop undoes a start that was cut short", func() bool {
		err = r.within(t, "Stop", d.Stop)
		return err == nil
	})
}

func (r *run) status(t *testing.T, d drivers.Driver) drivers.Status {
	t.Helper()
	var s drivers.Status
	err := r.within(t, "Status", func(ctx context.Context) (err error) { s, err = d.Status(ctx); return err })
	if err != nil {
		t.Fatalf("Status: %v", err)
	}
	return s
}

func (r *run) expect(t *testing.T, d drivers.Driver, want drivers.State) {
	t.Helper()
	if s := r.status(t, d); s.State != want {
		t.Fatalf("Status is %q (%s), want %q", s.State, s.Detail, want)
	}
}

func (r *run) fingerprint(t *testing.T) string {
	t.Helper()
	if r.Fingerprint == nil {
		return ""
	}
	return r.Fingerprint(t)
}

func (r *run) same(t *testing.T, before string) {
	t.Helper()
	if now := r.fingerprint(t); now != before {
		t.Errorf("the world has changed\nbefore: %s\nnow:    %s", before, now)
	}
}

func (r *run) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for deadline := time.Now().Add(r.Soon); !done(); <-ticker.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", r.Soon, what)
		}
	}
}

// within calls f with a context that ends after Soon, and fails the test where f
// does not return even then.
func (r *run) within(t *testing.T, verb string, f func(context.Context) error) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), r.Soon)
	defer cancel()
	err := r.bounded(t, verb, func() error { return f(ctx) })
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Fatalf("%s took longer than %v: %v", verb, r.Soon, err)
	}
	return err
}

func (r *run) bounded(t *testing.T, verb string, f func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(2 * r.Soon):
		t.Fatalf("%s did not return within %v", verb, 2*r.Soon)
		return nil
	}
}
