package agent

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// loop is the one owner of the machine and of all that runs for it. Everything in
// here happens on one goroutine, and nothing in here waits.
type loop struct {
	agent   *Agent
	engine  *engine.Engine
	handles map[spec.Address]*handle
	calls   map[uint64]*running
	lanes   [2]lane // actions, checks
	granted map[string]*spec.Service
	denied  string                    // why no service may run here; "" else
	begun   bool                      // the files were read once: all that there is is known
	hung    map[spec.Address]*running // calls that do not come back: no other may begin
	timer   *time.Timer
	armed   time.Time
	reply   error // of the command that is being stepped
}

func newLoop(a *Agent) *loop {
	l := &loop{
		agent:   a,
		engine:  engine.New(engine.Config{Node: a.o.Config.Node.Name, Seed: uint64(time.Now().UnixNano())}),
		handles: make(map[spec.Address]*handle),
		calls:   make(map[uint64]*running),
		granted: make(map[string]*spec.Service),
		hung:    make(map[spec.Address]*running),
		denied:  a.o.Config.resting(),
		timer:   time.NewTimer(time.Hour),
	}
	l.lanes[laneActions].limit = maxActions
	l.lanes[laneChecks].limit = maxChecks
	return l
}

func (l *loop) run(ctx context.Context) error {
	defer l.timer.Stop()
	l.step(engine.Restore{Intents: l.agent.intents.load(), Tasks: l.agent.tasks.load()})
	ending := ctx.Done()
	var end <-chan time.Time
	for {
		select {
		case <-l.agent.inbox.wake:
			for _, ev := range l.agent.inbox.take() {
				l.step(ev)
			}
		case <-l.timer.C:
			l.armed = time.Time{}
			l.step(engine.Tick{})
		case f := <-l.agent.asks:
			f(l)
		case <-ending:
			if !l.agent.o.StopOnExit {
				return l.leave()
			}
			ending = nil
			timer := time.NewTimer(stopOnExitWithin)
			defer timer.Stop()
			end = timer.C
			l.stopAll()
		case <-end:
			return fmt.Errorf("cannot stop every service within %s: %s", stopOnExitWithin, l.stillOn())
		}
		if ending == nil && l.begun && l.stillOn() == "" {
			return l.leave()
		}
		l.arm()
	}
}

const stopOnExitWithin = 90 * time.Second

// step lets the machine decide on one event and does what it asks for.
func (l *loop) step(ev engine.Event) {
	done, answered := ev.(engine.Done)
	if answered {
		l.updated(done)
	}
	actions := l.engine.Step(time.Now(), ev)
	begun := l.act(actions)
	if answered {
		l.finished(done.Op)
	}
	if begun {
		runtime.Gosched() // calls go first: writing down what happened takes longer than deciding it
	}
	for _, action := range actions {
		if r, ok := action.(engine.Record); ok {
			l.agent.record(r.Fact)
		}
	}
}

// act does all that is asked for but the writing down, and tells whether a call began.
func (l *loop) act(actions []engine.Action) (begun bool) {
	for _, action := range actions {
		switch action := action.(type) {
		case engine.Do:
			l.begin(action)
			begun = true
		case engine.Cancel:
			if r := l.calls[action.Op]; r != nil {
				r.cancel()
			}
		case engine.Forget:
			l.forget(action.Resource)
		case engine.Reply:
			l.reply = action.Err
		case engine.Remember:
			l.agent.intents.set(action.Service, action.Intent)
		case engine.RememberTask:
			l.rememberTask(action)
		case engine.Ran:
			l.ran(action.Address, &action.Run)
		case engine.Record: // written down later, in order
		case engine.Reset:
			l.reset(action.Why)
		default:
			panic(fmt.Sprintf("internal error: unknown action %T", action))
		}
	}
	return begun
}

func (l *loop) rememberTask(r engine.RememberTask) {
	l.agent.tasks.set(r.Address, r.Memory)
	if r.Memory == nil {
		l.ran(r.Address, nil)
	}
}

// ran adds a run to a task's history; nil takes the history away.
func (l *loop) ran(task spec.Address, run *engine.Run) {
	if run == nil {
		l.agent.history.forget(task)
	} else {
		l.agent.history.add(task, *run)
	}
	if tell := l.agent.o.Observer.Ran; tell != nil {
		tell(task, run)
	}
}

// arm sets the timer to the machine's next deadline.
func (l *loop) arm() {
	next := l.engine.Deadline()
	if next.Equal(l.armed) {
		return
	}
	l.armed = next
	if next.IsZero() {
		l.timer.Stop()
		return
	}
	l.timer.Reset(max(0, time.Until(next)))
}

func (l *loop) command(c engine.Command) error {
	l.reply = nil
	l.step(c)
	return l.reply
}

// reload puts a spec in force and gives each service its permission: a cluster of
// one is a majority of itself. It returns what goes on undeclared.
func (l *loop) reload(s *spec.Spec, prune bool) (undeclared []string) {
	l.step(engine.Reload{Spec: s, Prune: prune})
	for _, name := range s.Names {
		if sv := s.Services[name]; l.granted[name] != sv {
			l.granted[name] = sv
			l.step(l.grant(sv))
		}
	}
	undeclared = l.engine.Undeclared()
	for name := range l.granted {
		if s.Services[name] == nil && !slices.Contains(undeclared, name) {
			delete(l.granted, name)
		}
	}
	return undeclared
}

// grant is the placement of a cluster of one.
func (l *loop) grant(sv *spec.Service) engine.Permission {
	p := engine.Permission{Service: sv.FullName}
	node := l.agent.o.Config.Node.Name
	switch {
	case l.denied != "":
		p.Why, p.Off = l.denied, true
	case len(sv.Nodes) > 0 && !slices.Contains(sv.Nodes, node):
		p.Why = fmt.Sprintf("this node, %s, is not among its nodes %v", node, sv.Nodes)
	default:
		p.Epoch = 1
	}
	return p
}

func (l *loop) stopAll() { l.deny("the agent ends and stops its services") }

// stillOn names a resource that is not off yet; "" when all are.
func (l *loop) stillOn() string {
	for _, s := range l.engine.Snapshot(time.Now()).Services {
		for _, r := range s.Resources {
			switch r.State {
			case engine.Down:
			case engine.Unknown: // what was never asked of may be on
				if !r.Disabled {
					return fmt.Sprintf("%s is not yet probed", r.Address)
				}
			case engine.Up, engine.Failed, engine.Starting, engine.Stopping, engine.Stuck:
				return fmt.Sprintf("%s is %s", r.Address, r.State)
			default:
				panic("internal error: no such state: " + string(r.State))
			}
		}
		for _, t := range s.Tasks {
			switch t.State {
			case engine.TaskIdle, engine.TaskWaiting:
			case engine.TaskRunning, engine.TaskStopping, engine.TaskStuck:
				return fmt.Sprintf("%s is %s", t.Address, t.State)
			default:
				panic("internal error: no such state: " + string(t.State))
			}
		}
	}
	return ""
}

// leave ends the calls that run, but not what they have made: services go on.
func (l *loop) leave() error {
	for _, r := range l.calls {
		r.cancel()
	}
	deadline := time.NewTimer(leaveWithin)
	defer deadline.Stop()
	for l.inFlight() > 0 {
		select {
		case <-l.agent.inbox.wake:
			for _, ev := range l.agent.inbox.take() {
				if d, ok := ev.(engine.Done); ok {
					l.settled(d.Op)
				}
			}
		case f := <-l.agent.asks:
			f(l)
		case <-deadline.C:
			return fmt.Errorf("cannot end %d driver calls within %s; they are abandoned", l.inFlight(), leaveWithin)
		}
	}
	for _, h := range l.handles {
		h.close()
	}
	return nil
}

const leaveWithin = 3 * time.Second

func (l *loop) reset(why string) {
	if l.agent.o.Reset != nil {
		l.agent.log.Error("this node is reset", "why", why)
		l.agent.o.Reset(why)
		return
	}
	l.agent.record(engine.Fact{Kind: engine.FactNotice, Message: "a reset of this node is called for, but it has no way to reset itself: " + why})
}

// handle is an open driver with the configuration that it was opened for.
type handle struct {
	driver    drivers.Driver
	digest    spec.Digest
	stopWatch func()
	checks    map[string]*openCheck // by name
	starting  atomic.Bool           // a start goes on, which needs its secrets as they are now
}

func (h *handle) close() {
	if h.stopWatch != nil {
		h.stopWatch()
	}
	if c, ok := h.driver.(interface{ Close() error }); ok {
		_ = c.Close() // nothing of the resource depends on it
	}
}
