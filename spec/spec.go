// Package spec says what should be true: it reads HCL into an immutable Spec, or explains why not.
package spec

import (
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/svcctl/svcctl/internal/cron"
)

// Address names a resource: "service/kind.name", or "namespace/service/kind.name"
// outside the namespace "default". An instance of a for_each resource has its key
// behind the name: `web/app.worker["a"]`.
type Address string

// Service returns the full name of the service that the resource belongs to.
func (a Address) Service() string {
	dot := strings.IndexByte(string(a), '.') // neither namespaces, services nor kinds hold a dot
	if dot < 0 {
		dot = len(a)
	}
	slash := strings.LastIndexByte(string(a[:dot]), '/')
	if slash < 0 {
		return ""
	}
	return string(a[:slash])
}

// Local returns the address inside its service: "kind.name" or `kind.name["key"]`.
func (a Address) Local() string { return strings.TrimPrefix(string(a[len(a.Service()):]), "/") }

// DefaultNamespace is the namespace of services that name none.
const DefaultNamespace = "default"

// FullName is how a service is called everywhere: "name" in the default namespace,
// "namespace/name" elsewhere.
func FullName(namespace, name string) string {
	if namespace == "" || namespace == DefaultNamespace {
		return name
	}
	return namespace + "/" + name
}

// Digest is the hash of an evaluated value; equal digests mean nothing to do.
type Digest string

// Spec is everything that one set of files declares. It is immutable once Load has
// returned it and safe to share between goroutines.
type Spec struct {
	Services map[string]*Service // by full name
	Names    []string            // the keys of Services, sorted
	Digest   Digest              // of the content of every file of the set
}

// Topology says how many instances of a service are active.
type Topology string

// The topologies of a service.
const (
	Failover   Topology = "failover"   // one active instance
	Promotable Topology = "promotable" // an instance on every candidate, one of them promoted
	Scaled     Topology = "scaled"     // count instances
	Everywhere Topology = "everywhere" // one instance on every candidate
)

// Orchestrate says what svcctl does without being asked.
type Orchestrate string

// What a service may leave to svcctl.
const (
	Auto      Orchestrate = "auto"   // start at boot, heal, relocate
	StartOnly Orchestrate = "start"  // start at boot and heal, never relocate
	Manual    Orchestrate = "manual" // start on command only
)

// OnFailure says what happens once a resource's restarts are used up.
type OnFailure string

// The answers to a resource that can't be restarted any more.
const (
	Relocate      OnFailure = "relocate"
	StopInstance  OnFailure = "stop"
	ReportFailure OnFailure = "report"
	ResetNode     OnFailure = "reset"
)

// Service is a set of resources that live and move together.
type Service struct {
	Name        string // as its block's label
	Namespace   string
	FullName    string
	Description string
	Nodes       []string // candidates, best first; nil: every node
	Topology    Topology
	Orchestrate Orchestrate
	OnFailure   OnFailure
	Requires    []string // full names of services that must be up before this one starts
	With, Apart []string // full names
	Count       int      // wanted instances of a scaled service
	MaxPerNode  int
	Memory      int64   // bytes; 0: not declared
	CPU         float64 // cores; 0: not declared
	RTO, RPO    Promise
	MaximumLag  Promise
	Placement   Placement
	Reload      *ReloadPolicy // nil: none declared
	Drills      []Drill
	Resources   []*Resource // each behind all that it is after
	Tasks       []*Resource // what runs on a schedule or when asked; not part of the fold
	Digest      Digest      // of everything above, resources included
	Range       hcl.Range
}

// Promise is a duration that may be absent, since zero is a promise too.
type Promise struct {
	Set bool
	D   time.Duration
}

// Placement says where the instances of a service prefer to be.
type Placement struct {
	By       string // order, spread, load or labels
	Failback bool
	Budget   int // automatic moves an hour; 0: not limited
}

// ReloadPolicy says when a changed spec is kept.
type ReloadPolicy struct {
	Confirm, Health time.Duration
}

// Drill is a rehearsed failover on a schedule.
type Drill struct {
	Name, Schedule, Action string
	Window                 time.Duration
}

// Resource is one thing that a service is made of.
type Resource struct {
	Address Address
	Service string // full name
	Kind    string
	Name    string
	Key     string    // of a for_each instance, else ""
	After   []Address // in the same service, written or implied by a reference; sorted, unique
	Config  any       // *C of the kind, decoded, valid, never changed
	Digest  Digest    // of Config: equal means no call at all
	Fixed   Digest    // of the part that needs a stop to change: equal means Update will do
	Schema  *Schema

	Restart  Restart
	Timeouts Timeouts
	OnStuck  string // kill, reset or wait
	Optional bool   // its failure neither fails the instance nor holds up what is after it
	Standby  bool   // up also where the instance is not active
	Monitor  bool   // its loss is noticed and healed
	Disabled bool   // never started
	Tags     []string
	Hooks    Hooks
	Checks   []*Check
	Range    hcl.Range

	// ReadyByChecks: a start is complete only once every check has risen.
	ReadyByChecks bool

	Task *Task // set for a task only
}

// Task says when a task runs, beyond being asked for.
type Task struct {
	Schedule *cron.Schedule // nil: only when asked for
	Text     string         // the schedule as it was written
	Zone     string         // its time zone, as it was written; "" is the node's own
	Spread   time.Duration  // the longest delay behind its due time; each node and task has its own, fixed one
	Timeout  time.Duration  // the longest run
	Missed   Missed
}

// Missed says what becomes of a run whose time came while it could not begin: the
// agent or the host was off, the instance not up, the service frozen.
type Missed string

// The answers to a missed run.
const (
	MissedSkip Missed = "skip" // it is noted, and the next one comes at its time
	MissedRun  Missed = "run"  // one run for all that were missed, as soon as it can be
)

// Restart says how often, and how soon, a failed resource is started again.
type Restart struct {
	Attempts int           // within Within; 0: unlimited
	Within   time.Duration // the window in which attempts count
	Backoff  time.Duration // the first wait after the first, immediate restart; doubles to Max
	Max      time.Duration
	Reset    time.Duration // up for so long: the back-off is forgotten
}

// DefaultRestart never gives up: first at once, then 100 ms doubling to 30 s,
// forgotten after 60 s up.
var DefaultRestart = Restart{Within: time.Minute, Backoff: 100 * time.Millisecond, Max: 30 * time.Second, Reset: time.Minute}

// Timeouts bound the calls of a resource, its hooks included.
type Timeouts struct {
	Start, Stop time.Duration
}

// Hooks are commands around the calls of a resource; each is an argument vector.
type Hooks struct {
	BeforeStart, AfterStart, BeforeStop, AfterStop []string
}

// OnFall says what a check's fall does to its resource.
type OnFall string

// The answers to a check that fell.
const (
	FallRestart  OnFall = "restart"
	FallRelocate OnFall = "relocate"
	FallReport   OnFall = "report"
)

// Check asks, again and again, whether a resource still does its work.
type Check struct {
	Name           string
	Kind           string
	Config         any // *C of the check's kind
	Digest         Digest
	Schema         *Schema
	Every, Timeout time.Duration
	Fall, Rise     int // results in a row that change the verdict
	OnFall         OnFall
	Range          hcl.Range
}
