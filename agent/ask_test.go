package agent

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// The race detector is the judge here: what goes on behind a caller that left must
// not write to what the caller was given.
func TestAnApplyAndAPlanThatNobodyWaitsForTouchNothingOfTheirCallers(t *testing.T) {
	s := newSite(t)
	s.write("a.hcl", things("a", "1"))
	s.boot()
	s.untilUp("a/thing.t0")
	for name, call := range map[string]func(context.Context) error{
		"apply": func(ctx context.Context) error {
			_, err := s.agent.Apply(ctx, map[string][]byte{"a.hcl": []byte(things("a", "1", "2"))}, false, "test")
			return err
		},
		"plan": func(ctx context.Context) error {
			_, _, err := s.agent.Plan(ctx, nil)
			return err
		},
	} {
		held, release := make(chan struct{}), make(chan struct{})
		go func() { _ = s.agent.ask(context.Background(), func(*loop) { close(held); <-release }) }()
		<-held // so that the owner of the sets gets no further than to the loop
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		if err := call(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: the caller got %v", name, err)
		}
		cancel()
		close(release)
		if err := s.agent.sets.ask(context.Background(), func(context.Context) {}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAHungCallThatReturnsAsItIsGivenUpBarsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		address := spec.Address("a/thing.main")
		b := newBench(t, map[spec.Address]*thing{address: {}})
		b.run(func() {
			r := &running{do: engine.Do{Op: 1, Verb: engine.VerbStart, Resource: aService("a", nil, spec.Hooks{}).Resources[0]}, cancel: func() {}}
			r.answered.Store(true) // the watchdog gave it up, and is about to tell the loop
			b.returned(r)          // but the call's own word comes first
			_ = b.ask(t.Context(), func(l *loop) { l.bar(r) })
			_ = b.ask(t.Context(), func(l *loop) {
				if l.hung[address] != nil {
					t.Error("a call that has returned bars the resource for ever")
				}
			})
		})
	})
}

func TestWhatWasSeenDuringACallIsNotTakenForWhatCameAfterIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		address := spec.Address("a/thing.main")
		th := &thing{}
		b := newBench(t, map[spec.Address]*thing{address: th})
		held := make(chan struct{})
		th.start = func(context.Context) error {
			entered := make(chan struct{})
			go func() { _ = b.ask(context.Background(), func(*loop) { close(entered); <-held }) }()
			<-entered // the loop is busy: what comes now is taken in together
			th.watch(drivers.Status{State: drivers.Down})
			return nil
		}
		b.run(func() {
			b.reload(aService("a", thingSchema, spec.Hooks{}))
			close(held)
			synctest.Wait()
			if st := b.state(address); st.State != engine.Up || st.Restarts != 0 || len(th.calls) != 1 {
				t.Errorf("it is %s after %v (%s), for one start that went well", st.State, th.calls, st.Error)
			}
		})
	})
}

func TestTheInboxKeepsTheOrderAndStaysAsSmallAsWhatCanBeTold(t *testing.T) {
	i := newInbox()
	i.observe("a/thing.x", engine.Status{Seen: engine.SeenDown})
	i.answer(engine.Done{Op: 1})
	i.observe("a/thing.y", engine.Status{Seen: engine.SeenUp})
	for range 1000 {
		i.observe("a/thing.x", engine.Status{Seen: engine.SeenUp})
	}
	if n := len(i.events); n > 200 {
		t.Errorf("%d events wait, where three can be told", n)
	}
	want := []engine.Event{engine.Done{Op: 1}, engine.Observed{Address: "a/thing.y", Status: engine.Status{Seen: engine.SeenUp}},
		engine.Observed{Address: "a/thing.x", Status: engine.Status{Seen: engine.SeenUp}}}
	if got := i.take(); !reflect.DeepEqual(got, want) {
		t.Errorf("it gave %v, not %v", got, want)
	}
	if got := i.take(); len(got) != 0 {
		t.Errorf("a second look gave %v", got)
	}
}
