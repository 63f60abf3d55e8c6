package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// thing is a resource whose behaviour a test chooses.
type thing struct {
	mu    sync.Mutex
	up    bool
	watch func(drivers.Status)
	start func(ctx context.Context) error
	stop  func(ctx context.Context) error
	calls []string
	peak  *peak

	digests []spec.Digest // that it was opened with
}

// peak counts how many starts run at once.
type peak struct {
	mu       sync.Mutex
	now, max int
}

func (t *thing) opened(d spec.Digest) {
	t.mu.Lock()
	t.digests = append(t.digests, d)
	t.mu.Unlock()
}

func (t *thing) note(call string) {
	t.mu.Lock()
	t.calls = append(t.calls, call)
	t.mu.Unlock()
}

func (t *thing) Status(context.Context) (drivers.Status, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.up {
		return drivers.Status{State: drivers.Up, PID: 7}, nil
	}
	return drivers.Status{State: drivers.Down}, nil
}

func (t *thing) Start(ctx context.Context) error {
	t.note("start")
	if p := t.peak; p != nil {
		p.mu.Lock()
		p.now++
		p.max = max(p.max, p.now)
		p.mu.Unlock()
		defer func() { p.mu.Lock(); p.now--; p.mu.Unlock() }()
	}
	if t.start != nil {
		if err := t.start(ctx); err != nil {
			return err
		}
	}
	t.mu.Lock()
	t.up = true
	t.mu.Unlock()
	return nil
}

func (t *thing) Stop(ctx context.Context) error {
	t.note("stop")
	if t.stop != nil {
		if err := t.stop(ctx); err != nil {
			return err
		}
	}
	t.mu.Lock()
	t.up = false
	t.mu.Unlock()
	return nil
}

func (t *thing) Watch(changed func(drivers.Status)) (func(), error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watch = changed
	return func() {}, nil
}

func (t *thing) lose() {
	t.mu.Lock()
	t.up = false
	tell := t.watch
	t.mu.Unlock()
	tell(drivers.Status{State: drivers.Down, Exit: &drivers.Exit{Code: 3}})
}

// bench is an agent in a bubble of virtual time, without files.
type bench struct {
	*Agent
	t      *testing.T
	things map[spec.Address]*thing
	facts  []engine.Fact
}

type thingConfig struct {
	Value string `hcl:"value,optional" doc:"Any value."`
}

func newBench(t *testing.T, things map[spec.Address]*thing) *bench {
	b := &bench{t: t, things: things}
	kinds := &drivers.Registry{}
	drivers.DefineKind(kinds, "thing", "A thing of the test.", func(o drivers.Opening, _ *thingConfig) (drivers.Driver, error) {
		return things[o.Address], nil
	})
	config := DefaultConfig()
	config.Node.Name = "n1"
	dir := t.TempDir()
	config.State.Dir, config.State.Run = dir+"/state", dir+"/run"
	a, err := New(Options{Config: config, Kinds: kinds, Log: hclog.NewNullLogger(), Observer: Observer{
		Fact: func(_ time.Time, f engine.Fact) { b.facts = append(b.facts, f) }, // on the loop's goroutine only
	}})
	if err != nil {
		t.Fatal(err)
	}
	b.Agent = a
	return b
}

// run plays f against a running loop and ends it.
func (b *bench) run(f func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- newLoop(b.Agent).run(ctx)
		close(b.done)
	}()
	f()
	cancel()
	if err := <-ended; err != nil {
		b.t.Logf("the loop ended: %v", err)
	}
}

func (b *bench) reload(services ...*spec.Service) {
	s := &spec.Spec{Services: map[string]*spec.Service{}}
	for _, sv := range services {
		s.Services[sv.FullName] = sv
	}
	s.Names = sortedNames(s.Services)
	if err := b.ask(b.t.Context(), func(l *loop) { l.reload(s, false) }); err != nil {
		b.t.Fatal(err)
	}
	synctest.Wait()
}

func (b *bench) state(a spec.Address) engine.ResourceView {
	snap, err := b.Snapshot(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range snap.Services {
		for _, r := range s.Resources {
			if r.Address == a {
				return r
			}
		}
	}
	b.t.Fatalf("no resource %s", a)
	return engine.ResourceView{}
}

func aService(name string, kind *spec.Schema, hooks spec.Hooks) *spec.Service {
	a := spec.Address(name + "/thing.main")
	return &spec.Service{Name: name, FullName: name, Namespace: "default", Topology: spec.Failover, Orchestrate: spec.Auto, OnFailure: spec.Relocate,
		Resources: []*spec.Resource{{Address: a, Service: name, Kind: "thing", Name: "main", Config: &thingConfig{}, Digest: "1", Fixed: "1",
			Schema: kind, Monitor: true, OnStuck: "wait", Restart: spec.DefaultRestart, Hooks: hooks,
			Timeouts: spec.Timeouts{Start: 10 * time.Second, Stop: 10 * time.Second}}}}
}

var thingSchema = &spec.Schema{Name: "thing", Level: spec.LevelKernel}

func TestALostResourceIsStartedAgainAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		main := &thing{}
		b := newBench(t, map[spec.Address]*thing{"web/thing.main": main})
		b.run(func() {
			b.reload(aService("web", thingSchema, spec.Hooks{}))
			before := time.Now()
			main.lose()
			synctest.Wait()
			if r := b.state("web/thing.main"); r.State != engine.Up || r.Restarts != 1 || r.PID != 7 {
				t.Errorf("after the loss: %+v", r)
			}
			if took := time.Since(before); took != 0 {
				t.Errorf("the first restart came after %s", took)
			}
		})
		if got := strings.Join(main.calls, " "); got != "start start" {
			t.Errorf("calls: %s; services must go on when the agent ends", got)
		}
	})
}

func TestACallThatHangsInTheKernelIsGivenUpAndBlocksOnlyItsResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		hung := &thing{start: func(context.Context) error { <-release; return errors.New("late") }}
		well := &thing{}
		b := newBench(t, map[spec.Address]*thing{"bad/thing.main": hung, "good/thing.main": well})
		b.run(func() {
			b.reload(aService("bad", thingSchema, spec.Hooks{}), aService("good", thingSchema, spec.Hooks{}))
			if r := b.state("good/thing.main"); r.State != engine.Up {
				t.Errorf("the other service is %s", r.State)
			}
			time.Sleep(10*time.Second + hungAfter + time.Second) // virtual: past the timeout and the patience behind it
			synctest.Wait()
			r := b.state("bad/thing.main")
			if r.State == engine.Starting || !strings.Contains(r.Error, "hangs in the kernel") {
				t.Errorf("the hung one is %s: %s", r.State, r.Error)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := len(hung.calls); n != 1 {
				t.Errorf("%d calls were begun beside one that hangs", n)
			}
			hung.start = nil
			close(release)
			synctest.Wait()
			time.Sleep(time.Minute)
			if r := b.state("bad/thing.main"); r.State == engine.Stuck {
				if err := b.ask(t.Context(), func(l *loop) {
					_ = l.command(engine.Command{ID: "1", Verb: engine.CommandClear, Services: []string{"bad"}})
				}); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if r := b.state("bad/thing.main"); r.State != engine.Up {
				t.Errorf("once the call came back it is %s: %s %s", r.State, r.Error, r.Why)
			}
		})
	})
}

func TestNoMoreCallsRunAtOnceThanTheLaneHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &peak{}
		things := map[spec.Address]*thing{}
		var services []*spec.Service
		for i := range maxActions + 200 {
			s := aService(fmt.Sprintf("s%d", i), thingSchema, spec.Hooks{})
			services = append(services, s)
			things[s.Resources[0].Address] = &thing{peak: p, start: func(context.Context) error { time.Sleep(time.Second); return nil }}
		}
		b := newBench(t, things)
		b.run(func() {
			b.reload(services...)
			time.Sleep(3 * time.Second)
			synctest.Wait()
			for a := range things {
				if r := b.state(a); r.State != engine.Up {
					t.Fatalf("%s is %s", a, r.State)
				}
				break
			}
		})
		if p.max != maxActions {
			t.Errorf("%d starts ran at once, wanted %d", p.max, maxActions)
		}
	})
}

func TestAStartIsRefusedByItsHookAndSaysWhatTheHookSaid(t *testing.T) {
	main := &thing{}
	b := newBench(t, map[spec.Address]*thing{"web/thing.main": main})
	r := &running{handle: &handle{driver: main}}
	r.ctx, r.cancel = context.WithTimeout(t.Context(), time.Minute)
	defer r.cancel()
	r.do.Verb = engine.VerbStart
	r.do.Resource = aService("web", thingSchema, spec.Hooks{BeforeStart: []string{"/bin/sh", "-c", `echo "no disk for $SVCCTL_RESOURCE" >&2; exit 3`}}).Resources[0]
	_, err := b.call(r)
	if err == nil || !strings.Contains(err.Error(), "no disk for web/thing.main") || !strings.Contains(err.Error(), "before_start") {
		t.Errorf("error: %v", err)
	}
	if len(main.calls) != 0 {
		t.Errorf("calls in spite of the hook: %v", main.calls)
	}
}

func TestAHookThatHangsEndsWithTheStartsTimeout(t *testing.T) {
	main := &thing{}
	b := newBench(t, map[spec.Address]*thing{"web/thing.main": main})
	r := &running{handle: &handle{driver: main}}
	r.ctx, r.cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer r.cancel()
	r.do.Verb, r.do.Timeout = engine.VerbStart, 50*time.Millisecond
	r.do.Resource = aService("web", thingSchema, spec.Hooks{BeforeStart: []string{"/bin/sh", "-c", "sleep 1000 & wait"}}).Resources[0]
	_, err := b.call(r)
	if err == nil || !strings.Contains(err.Error(), "not done within 50ms") {
		t.Errorf("error: %v", err)
	}
}
