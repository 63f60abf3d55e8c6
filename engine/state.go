package engine

import (
	"slices"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// Config is what an Engine is told at birth.
type Config struct {
	Node       string
	Seed       uint64        // of the jitter, so that a run can be replayed
	ProbeEvery time.Duration // the slow safety net behind watches; 0: 30 s
}

// Engine decides for one node. It is a value without goroutine, clock, lock or
// file: one caller steps it. Not safe for concurrent use.
type Engine struct {
	cfg      Config
	random   random
	services map[string]*service
	list     []*service // of services, by name
	intents  map[string]Intent
	requirer map[string][]string                    // who requires the key
	upAway   map[string]bool                        // services that are up on another node
	memories map[string]map[spec.Address]TaskMemory // of tasks not declared yet, by service
	ops      map[uint64]*call
	lastOp   uint64
	due      momentHeap // of services, by what comes after a span of time
	dirty    map[string]*service
	out      []Action
	now      time.Time // of the step that runs

	scheduled momentHeap // of services, by when a task of theirs is due
	rehearsal bool       // no run begins, for time stands still in a plan
}

// call is a Do that was not answered yet.
type call struct {
	op        uint64
	verb      Verb
	svc       *service
	res       *resource
	chk       *check
	next      *spec.Resource // what an update changes to
	cancelled bool
}

type service struct {
	spec       *spec.Service // the last one declared
	name       string        // full
	undeclared bool
	purging    bool // stop everything, then forget
	intent     Intent
	epoch      uint64
	notAfter   time.Time
	denied     string // why there is no permission
	barred     bool   // not even what stands by may be on
	movable    bool   // another node may take it over
	reachedUp  bool   // since it was last down: a failure now is no failed start
	byAddress  map[spec.Address]*resource
	order      []*resource // each behind all that it is after
	dependents map[spec.Address][]*resource
	leaving    *resource     // not declared any more and not forgotten yet; of this pass
	state      InstanceState // as last recorded
	available  bool          // the same
	stopping   bool          // the same

	due       moment       // in Engine.due
	scheduled moment       // in Engine.scheduled
	view      *ServiceView // nil: to be made
	why       string
}

type resource struct {
	// spec is what is applied, or was applied last: a stop uses it. next is what the
	// spec in force says: the same pointer when nothing is to change, nil when the
	// resource is not declared any more.
	spec, next *spec.Resource
	fresh      bool // it, or its configuration, came with a reload and was not up since

	// on is what a resource that is not off stands on: what of After was up when it
	// was started, or came up since. A stop goes by it, a start by After. Nil: nobody
	// knows, for nobody here started it or found it up.
	on []spec.Address

	state    State
	since    time.Time
	untried  bool  // Unknown since it is known here: nothing was ever asked of it
	clean    bool  // Failed, but nothing is left that a stop must end
	call     *call // a running start, stop, update or kill
	probe    *call // a running probe
	probeAt  time.Time
	reprobe  bool // something was seen during a call: look again behind it
	bounce   bool // an operator's restart: down once, then up again
	replace  bool // a live change failed: stop and start
	killed   bool // Stuck, and what held it was to be killed
	freed    bool // Stuck, and what held it was killed: stop it again
	lost     bool // Failed after it was up
	patient  bool // Down, and waits for what is on its way
	ready    time.Time
	upSince  time.Time
	want     bool // should it be up: computed at each pass
	wantWhy  string
	wished   bool // wanted, though it may have to wait for what it is after
	begun    bool // Failed, but on: a start completes it
	adopted  bool // Up since before this agent: its checks have not said so yet
	again    bool // its next start is a restart after a failure
	err      string
	why      string
	detail   string
	pid      int
	exit     *Exit
	restarts int
	attempts []time.Time
	failures int // in a row; forgotten after Restart.Reset up
	retryAt  time.Time
	usedUp   bool
	checks   []*check
	task     *task // of what is among the service's Tasks, else nil
}

type check struct {
	spec   *spec.Check
	state  CheckState
	since  time.Time
	due    time.Time
	asked  time.Time // when its last run began
	streak int       // results in a row against the verdict
	rosen  bool
	err    string
	detail string // what the last pass said
	call   *call
}

const (
	defaultProbeEvery = 30 * time.Second
	unlimitedRetries  = 0
	stuckProbeEvery   = 10 * time.Second
)

// New returns an engine that knows nothing yet.
func New(cfg Config) *Engine {
	if cfg.ProbeEvery == 0 {
		cfg.ProbeEvery = defaultProbeEvery
	}
	return &Engine{
		cfg:      cfg,
		random:   random(cfg.Seed),
		services: make(map[string]*service),
		intents:  make(map[string]Intent),
		requirer: make(map[string][]string),
		upAway:   make(map[string]bool),
		memories: make(map[string]map[spec.Address]TaskMemory),
		ops:      make(map[uint64]*call),
		dirty:    make(map[string]*service),
	}
}

// nextProbe is the next turn of the safety net. Turns come at whole seconds: a
// thousand resources wake an idle host once a second then, not thirty times.
func (e *Engine) nextProbe() time.Time {
	every := e.cfg.ProbeEvery
	return e.now.Add(every + e.jitter(every/4)).Truncate(min(time.Second, every/20))
}

// jitter returns a duration in [0, limit).
func (e *Engine) jitter(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	return time.Duration(e.random.next() % uint64(limit))
}

// random is a SplitMix64 generator: a plain value, so that an engine can be copied
// and replayed.
type random uint64

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (e *Engine) touch(s *service) { e.dirty[s.name] = s }

// enter moves a resource to a state and records it.
func (e *Engine) enter(s *service, r *resource, to State, message string) {
	if r.state == to {
		return
	}
	fact := Fact{Kind: FactResource, Service: s.name, Address: r.spec.Address, From: string(r.state), To: string(to), Message: message}
	switch to {
	case Up:
		fact.PID = r.pid
		r.err, r.upSince, r.fresh, r.usedUp = "", e.now, false, false
		r.retryAt, r.exit = time.Time{}, nil
		r.probeAt = e.nextProbe()
	case Failed:
		fact.Exit = r.exit
		r.err = message // what is left of it keeps its pid
	case Down:
		if r.state == Unknown {
			fact.Exit = r.exit
		}
		r.pid, r.clean, r.freed, r.on = 0, false, false, nil
		if r.task == nil && r.state == Stopping {
			r.detail = "" // it was about what is gone
		}
	case Stuck:
		r.err, r.killed, r.freed = message, r.freed, false
		r.probeAt = e.now.Add(stuckProbeEvery)
	case Starting:
		r.clean, r.usedUp = false, false
		if r.task == nil {
			r.detail = "" // it was about what was there before
		}
	case Stopping:
		r.clean = false
	case Unknown:
	default:
		panic("internal error: no such state: " + string(to))
	}
	if to != Up && to != Starting {
		e.restChecks(r)
	}
	r.begun = false
	r.adopted = r.adopted && to == Up && r.state == Unknown
	r.state, r.since, r.untried = to, e.now, false
	e.touch(s)
	if r.task == nil {
		e.record(fact)
	} else if to != Down {
		e.tell(s, r, message)
	}
}

func (e *Engine) record(f Fact) { e.out = append(e.out, Record{Fact: f}) }

// do asks for a driver call.
func (e *Engine) do(s *service, r *resource, c *check, d Do) *call {
	e.lastOp++
	d.Op = e.lastOp
	d.Epoch = s.epoch
	d.Resource = r.spec
	switch d.Verb {
	case VerbStart, VerbReady, VerbUpdate:
		if e.denied(s) == "" { // what stands by needs no permission
			d.NotAfter = s.notAfter
		}
		r.reprobe = r.reprobe || r.probe != nil
	case VerbStop, VerbKill: // never too late
		r.reprobe = r.reprobe || r.probe != nil
	case VerbProbe, VerbCheck:
	default:
		panic("internal error: no such verb: " + string(d.Verb))
	}
	made := &call{op: d.Op, verb: d.Verb, svc: s, res: r, chk: c, next: d.Next}
	e.ops[d.Op] = made
	e.out = append(e.out, d)
	return made
}

// relink rebuilds what follows from the set of resources: order and dependents.
func (s *service) relink() {
	s.dependents = make(map[spec.Address][]*resource, len(s.byAddress))
	rank := make(map[spec.Address]int, len(s.byAddress))
	for i, r := range s.spec.Resources {
		rank[r.Address] = i
	}
	for i, r := range s.spec.Tasks {
		rank[r.Address] = len(s.spec.Resources) + i
	}
	s.order = s.order[:0]
	for _, r := range s.byAddress {
		s.order = append(s.order, r)
		for _, a := range r.edges() {
			s.dependents[a] = append(s.dependents[a], r)
		}
	}
	slices.SortFunc(s.order, func(a, b *resource) int {
		ra, oka := rank[a.spec.Address]
		rb, okb := rank[b.spec.Address]
		switch {
		case oka && okb:
			return ra - rb
		case oka:
			return -1 // what is not declared any more comes last
		case okb:
			return 1
		case a.spec.Address < b.spec.Address:
			return -1
		}
		return 1
	})
	for _, d := range s.dependents {
		slices.SortFunc(d, func(a, b *resource) int { return slices.Index(s.order, a) - slices.Index(s.order, b) })
	}
	s.view = nil
}

// edges are all that the resource stands on, or may come to stand on.
func (r *resource) edges() []spec.Address {
	after := r.policy().After
	if r.spec == r.policy() && len(r.on) == 0 {
		return after
	}
	all := slices.Concat(r.on, r.spec.After, after)
	slices.Sort(all)
	return slices.Compact(all)
}

// off: nothing is left of it that a stop must end.
func (r *resource) off() bool {
	return r.state == Down || r.state == Failed && r.clean || r.untried && (r.policy().Disabled || r.fresh)
}

// policy is the spec in force: restarts, flags and checks come from it even while
// an older configuration is still applied.
func (r *resource) policy() *spec.Resource {
	if r.next != nil {
		return r.next
	}
	return r.spec
}
