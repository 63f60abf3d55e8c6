// Package engine decides what this node does next, from spec, observations and permissions; it does nothing itself.
package engine

import (
	"errors"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// State is where a resource stands: the only stored machine of the program.
type State string

// The seven states of a resource.
const (
	Unknown  State = "unknown"  // not yet asked
	Down     State = "down"     // off
	Starting State = "starting" // a start runs, or its readiness is awaited
	Up       State = "up"       // on
	Failed   State = "failed"   // did not start, or was lost: may be started again or moved
	Stopping State = "stopping" // a stop runs
	Stuck    State = "stuck"    // did not stop: must be ended for certain before anyone else may start it
)

// InstanceState is a fold over the resources of a service on one node.
type InstanceState string

// The states of an instance, and of a service.
const (
	InstanceUp       InstanceState = "up"
	InstanceDown     InstanceState = "down"
	InstanceStarting InstanceState = "starting"
	InstanceStopping InstanceState = "stopping"
	InstanceDegraded InstanceState = "degraded"
	InstanceFailed   InstanceState = "failed"
	InstanceStuck    InstanceState = "stuck"
	InstanceStandby  InstanceState = "standby"
	InstanceUnknown  InstanceState = "unknown"
)

// InstanceStates lists all, for state sets in metrics.
var InstanceStates = []InstanceState{
	InstanceUp, InstanceDown, InstanceStarting, InstanceStopping, InstanceDegraded,
	InstanceFailed, InstanceStuck, InstanceStandby, InstanceUnknown,
}

// Seen is what a probe or a watch found.
type Seen string

// What may be seen.
const (
	SeenUp     Seen = "up"
	SeenDown   Seen = "down"
	SeenBegun  Seen = "begun"  // it is on, but its start is not complete: another Start completes it
	SeenFailed Seen = "failed" // something is there that must be stopped before a start
)

// Status is one observation.
type Status struct {
	Seen   Seen
	Detail string
	PID    int
	Exit   *Exit
}

// Exit is how a process ended.
type Exit struct {
	Code   int    `json:"code"` // -1 when ended by a signal
	Signal string `json:"signal,omitempty"`
}

// Event is what happened. Exactly the types of this file implement it.
type Event interface{ event() }

type (
	// Restore brings back what operators wanted before the agent restarted. It
	// comes before the first Reload.
	Restore struct {
		Intents map[string]Intent
		Tasks   map[spec.Address]TaskMemory
	}

	// Reload puts a new spec in force. A service that it lacks goes on as undeclared,
	// or is stopped where Prune is set.
	Reload struct {
		Spec  *spec.Spec
		Prune bool
	}

	// Permission says that this node may run a service under an epoch until NotAfter
	// (zero: without end). Epoch 0 takes the permission back; Why tells people. Off
	// goes further: what stands by is stopped too. Movable: another node may take the
	// service over, so that one that can't be healed here is given up for it.
	Permission struct {
		Service  string
		Epoch    uint64
		NotAfter time.Time
		Why      string
		Off      bool
		Movable  bool
	}

	// Elsewhere says whether a service is up on another node, as far as is known. It
	// fulfils what requires it; nothing that runs is stopped when it is not any more.
	Elsewhere struct {
		Service string
		Up      bool
	}

	// Observed comes from a watch: something changed, or may have.
	Observed struct {
		Address spec.Address
		Status  Status
	}

	// Done answers a Do, exactly once. Status is what a Probe or Check found.
	Done struct {
		Op     uint64
		Status Status
		Err    error
	}

	// Command is an operator's wish. It is answered by a Reply with the same ID in
	// the same step.
	Command struct {
		ID        string
		Verb      CommandVerb
		Services  []string // full names
		Resources []string // "kind.name" or full addresses; restricts start, stop and restart
		Tags      []string // the same, by tag
		By        string   // who asks
		Reason    string
		Until     time.Time // a freeze's end; zero: until thawed
	}

	// Tick lets time pass: it comes at Deadline or soon after.
	Tick struct{}
)

func (Restore) event()    {}
func (Reload) event()     {}
func (Permission) event() {}
func (Elsewhere) event()  {}
func (Observed) event()   {}
func (Done) event()       {}
func (Command) event()    {}
func (Tick) event()       {}

// CommandVerb is what an operator asks for.
type CommandVerb string

// The commands of one node.
const (
	CommandStart   CommandVerb = "start"
	CommandStop    CommandVerb = "stop"
	CommandRestart CommandVerb = "restart"
	CommandFreeze  CommandVerb = "freeze"
	CommandThaw    CommandVerb = "thaw"
	CommandClear   CommandVerb = "clear"
	CommandPurge   CommandVerb = "purge"
	CommandRun     CommandVerb = "run"  // tasks, named by Resources, now
	CommandHalt    CommandVerb = "halt" // their runs
)

// ErrNoVerdict answers a check that could not be tried, as where it lacks a secret. It
// says nothing of what is checked.
var ErrNoVerdict = errors.New("it could not be tried")

// Verb is a driver call.
type Verb string

// The calls that the engine asks for.
const (
	VerbProbe  Verb = "probe"
	VerbStart  Verb = "start"
	VerbStop   Verb = "stop"
	VerbUpdate Verb = "update"
	VerbKill   Verb = "kill"
	VerbCheck  Verb = "check"
	VerbReady  Verb = "ready" // the after_start command of a resource whose checks have risen
)

// Action is what must happen. Exactly the types of this file implement it.
type Action interface{ action() }

type (
	// Do asks for one driver call; exactly one Done answers it. It must not be begun
	// after NotAfter (zero: no limit): the permission behind it may be gone. Calls for
	// one resource never overlap, but for VerbProbe and VerbCheck.
	Do struct {
		Op       uint64
		Verb     Verb
		Resource *spec.Resource // its configuration as it is applied, or is to be
		Check    *spec.Check    // for VerbCheck
		Next     *spec.Resource // for VerbUpdate: what to change to
		Epoch    uint64
		NotAfter time.Time
		Timeout  time.Duration
	}

	// Cancel ends a call early; its Done still comes.
	Cancel struct{ Op uint64 }

	// Forget says that a resource's driver is not needed any more.
	Forget struct{ Resource *spec.Resource }

	// Reply answers a Command: nil Err is accepted, not done.
	Reply struct {
		ID  string
		Err error
	}

	// Remember asks to keep a service's intent over a restart; nil forgets it.
	Remember struct {
		Service string
		Intent  *Intent
	}

	// RememberTask asks to keep what must be known of a task over a restart; nil
	// forgets it.
	RememberTask struct {
		Address spec.Address
		Memory  *TaskMemory
	}

	// Ran is a finished line of a task's history: a run that ended, or one that did not
	// come about.
	Ran struct {
		Address spec.Address
		Run     Run
	}

	// Record is one line of history: log, event stream and counters read it.
	Record struct{ Fact Fact }

	// Reset asks to reset this node at once: something can't be stopped.
	Reset struct{ Why string }
)

func (Do) action()           {}
func (Cancel) action()       {}
func (Forget) action()       {}
func (Reply) action()        {}
func (Remember) action()     {}
func (RememberTask) action() {}
func (Ran) action()          {}
func (Record) action()       {}
func (Reset) action()        {}

// Intent is what operators want of a service beyond its spec. The zero value is: do
// as the spec says.
type Intent struct {
	State     Wish                  `json:"state,omitempty"`
	By        string                `json:"by,omitempty"`
	Overrides map[spec.Address]Wish `json:"overrides,omitempty"` // single resources held up or down
	Frozen    *Freeze               `json:"frozen,omitempty"`
	GivenUp   string                `json:"given_up,omitempty"`   // why a failure ended the instance
	GaveUpAt  uint64                `json:"gave_up_at,omitempty"` // the epoch that it ended under; a later one is another try
}

// Wish is an operator's lasting choice.
type Wish string

// What an operator may have chosen; "" is no choice.
const (
	WishStarted Wish = "started"
	WishStopped Wish = "stopped"
)

// Freeze stops every automatic action on a service.
type Freeze struct {
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until,omitzero"` // zero: until thawed
}

// Fact is one line of history.
type Fact struct {
	Kind    FactKind     `json:"kind"`
	Service string       `json:"service,omitempty"`
	Address spec.Address `json:"address,omitempty"`
	Check   string       `json:"check,omitempty"`
	From    string       `json:"from,omitempty"` // state before
	To      string       `json:"to,omitempty"`   // state now
	Message string       `json:"message,omitempty"`
	By      string       `json:"by,omitempty"`
	Exit    *Exit        `json:"exit,omitempty"`
	PID     int          `json:"pid,omitempty"`
}

// FactKind says what a Fact tells of.
type FactKind string

// The kinds of facts.
const (
	FactResource FactKind = "resource" // a resource changed its state
	FactService  FactKind = "service"  // a service changed its state
	FactCheck    FactKind = "check"    // a check changed its verdict
	FactCommand  FactKind = "command"  // an operator asked
	FactReload   FactKind = "reload"   // the spec changed
	FactTask     FactKind = "task"     // a run of a task began or ended
	FactNotice   FactKind = "notice"   // something worth knowing that changed no state
)

// RunResult is how a run of a task ended.
type RunResult string

// The results of a run.
const (
	RunSucceeded RunResult = "succeeded"
	RunFailed    RunResult = "failed"  // it did not start, or exited with another code than 0
	RunTimeout   RunResult = "timeout" // it was ended because it took too long
	RunStopped   RunResult = "stopped" // it was ended with its service, or by an operator
	RunLost      RunResult = "lost"    // it ended while nobody looked, as with its host
	RunSkipped   RunResult = "skipped" // its time came while the one before still ran
	RunMissed    RunResult = "missed"  // its time passed while it could not begin
)

// RunResults lists all, for metrics.
var RunResults = []RunResult{RunSucceeded, RunFailed, RunTimeout, RunStopped, RunLost, RunSkipped, RunMissed}

// Run is one run of a task.
type Run struct {
	Due     time.Time `json:"due,omitzero"`     // by its schedule; zero: asked for
	Started time.Time `json:"started,omitzero"` // zero: it did not come about
	Ended   time.Time `json:"ended,omitzero"`   // zero: it goes on
	Result  RunResult `json:"result,omitempty"` // "": it goes on
	Count   int       `json:"count,omitempty"`  // of missed times, where more than one
	By      string    `json:"by,omitempty"`     // who asked for it
	Why     string    `json:"why,omitempty"`    // why it did not succeed
	Exit    *Exit     `json:"exit,omitempty"`
	PID     int       `json:"pid,omitempty"`
}

// TaskMemory is what is kept of a task over a restart of the agent.
type TaskMemory struct {
	Through     time.Time `json:"through,omitzero"` // due times up to here are dealt with
	Running     *Run      `json:"running,omitempty"`
	Last        *Run      `json:"last,omitempty"`
	LastSuccess time.Time `json:"last_success,omitzero"`
}

// TaskState is what a task does.
type TaskState string

// The states of a task.
const (
	TaskIdle     TaskState = "idle"
	TaskWaiting  TaskState = "waiting" // a run is due and can't begin yet; Why says why
	TaskRunning  TaskState = "running"
	TaskStopping TaskState = "stopping"
	TaskStuck    TaskState = "stuck" // its run can't be ended
)

// TaskView is one task of an instance.
type TaskView struct {
	Address     spec.Address
	Kind        string
	State       TaskState
	Schedule    string    // as it was written; "": only when asked for
	Next        time.Time // when it is due next here, its spread included; zero: not
	Running     *Run
	Last        *Run
	LastSuccess time.Time
	Why         string
	Disabled    bool
	Tags        []string
	After       []spec.Address
}
