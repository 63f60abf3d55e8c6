// Package drivers is the registry of kinds and the few interfaces a kind implements.
package drivers

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/svcctl/svcctl/spec"
)

// State is what a driver sees when it looks.
type State string

// What a driver may report.
const (
	Up   State = "up"
	Down State = "down"
	// Begun: it is on, but its start is not complete, as after an agent that ended while
	// it waited. Another Start completes it, a Stop ends it.
	Begun State = "begun"
	// Failed: something is there that is not what was declared, or only a part of
	// it: another device at the mount point, children of a dead process. It must be
	// stopped before it can be started.
	Failed State = "failed"
)

// Status is what is true of a resource, or of a check's target, now.
type Status struct {
	State  State
	Detail string // for people: why it is not up, or what is worth knowing though it is
	PID    int    // of the main process, for kinds that have one
	Exit   *Exit  // how the main process ended, where one did
}

// Perf is one value that a check measured.
type Perf struct {
	Label   string
	Value   float64 // in base units: seconds, bytes, ratios as written
	Unit    string  // "seconds", "bytes", "percent", "" for a number
	Counter bool
}

// Exit is how a process ended.
type Exit struct {
	Code   int    // exit code; -1 when ended by a signal
	Signal string // "SIGKILL", …; empty when it exited by itself
}

// Prober reports what is true now and changes nothing. A check is a Prober: Up
// passes, anything else and any error fails.
//
// Every method of a driver returns soon after its context ends, also when the
// kernel or a tool hangs. Calls for one resource never overlap, but for Status.
type Prober interface {
	Status(ctx context.Context) (Status, error)
}

// Driver manages one resource. Start and Stop are idempotent and return when the
// effect is complete, so that an agent that restarts may call them again.
type Driver interface {
	Prober
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
}

// Watcher tells of changes as they happen; the slow probe is only the safety net.
// Watch registers changed and returns at once; changed may be called from any
// goroutine, must not block, and is not called any more once stop has returned.
// Kinds share one source (a netlink socket, a mount table poll) among all their
// resources: a watched resource costs no goroutine.
type Watcher interface {
	Watch(changed func(Status)) (stop func(), err error)
}

// Updater changes the fields tagged reload:"live" of a running resource without a
// stop. config is a *C.
type Updater interface {
	Update(ctx context.Context, config any) error
}

// Killer ends by force what keeps Stop from being complete: the processes that
// keep a mount busy, for one. Stop is called again behind it.
type Killer interface {
	Kill(ctx context.Context) error
}

// Notices says what the host can't give a running resource, such as a limit that
// no cgroup controller enforces. They are shown beside the resource.
type Notices interface {
	Notices() []string
}

// Measurer tells what the last Status of a check measured, beyond its verdict. It is
// called behind Status, on the same goroutine.
type Measurer interface{ Measured() []Perf }

// Logger gives the output of a resource that keeps it elsewhere than in a file of
// svcctl's: the last lines, and with follow those to come until ctx ends.
type Logger interface {
	Logs(ctx context.Context, lines int, follow bool) iter.Seq2[string, error]
}

// Opening is what a kind is told when one of its resources is opened.
type Opening struct {
	Address  spec.Address
	Service  string      // full name
	Digest   spec.Digest // of the configuration
	Node     string
	Timeouts spec.Timeouts
	RunDir   string // for sockets and pid files; the driver makes its own folder in it
	LogDir   string

	// Reveal puts the values of secrets into text. A driver calls it just before the
	// value is used, and keeps and prints nothing of it. nil: there are no secrets.
	Reveal func(text string) (string, error)
}

// Plain is text with the values of its secrets in it, where there are any.
func (o Opening) Plain(text string) (string, error) {
	if o.Reveal == nil {
		return text, nil
	}
	return o.Reveal(text)
}

// Kind is an entry of the registry.
type Kind struct {
	Schema *spec.Schema
	open   func(Opening, any) (Prober, error)
}

// Registry holds the kinds of one program. It is filled before use, and read-only
// and safe for concurrent use from then on.
type Registry struct {
	resources map[string]*Kind
	checks    map[string]*Kind
}

// reserved names can be neither kinds nor arguments of kinds: they belong to the language.
var reserved = []string{
	"after", "restart", "check", "timeouts", "optional", "standby", "monitor", "disabled", "tags", "for_each",
	"before_start", "after_start", "before_stop", "after_stop", "on_stuck",
	"var", "local", "node", "cluster", "each", "self", "service",
}

// reservedForChecks are the arguments that every check takes.
var reservedForChecks = []string{"every", "timeout", "fall", "rise", "on_fall"}

// reservedForTasks are the arguments that every task takes.
var reservedForTasks = []string{"schedule", "timezone", "spread", "timeout", "missed"}

// Option changes a kind's schema beyond what its struct says.
type Option func(*spec.Schema)

// WithLevel declares the kind's safety level; the default is none.
func WithLevel(l spec.Level) Option { return func(s *spec.Schema) { s.Level = l } }

// WithExample gives the kind's page of the manual a whole service file. A test loads it.
func WithExample(text string) Option { return func(s *spec.Schema) { s.Example = text } }

// Transparent declares that dependents need no restart when a resource of the kind
// was lost and healed.
func Transparent(s *spec.Schema) { s.Transparent = true }

// DefineKind adds a kind of resource. The tags of C are its schema.
func DefineKind[C any](r *Registry, kind, doc string, open func(Opening, *C) (Driver, error), opts ...Option) {
	if r.resources == nil {
		r.resources = make(map[string]*Kind)
	}
	define(r.resources, kind, doc, reserved, func(o Opening, c *C) (Prober, error) { return open(o, c) }, opts)
}

// DefineCheck adds a kind of check.
func DefineCheck[C any](r *Registry, kind, doc string, open func(Opening, *C) (Prober, error), opts ...Option) {
	if r.checks == nil {
		r.checks = make(map[string]*Kind)
	}
	define(r.checks, kind, doc, slices.Concat(reserved, reservedForChecks), open, opts)
}

// DefineTask adds a kind of task: something that runs and ends. Start begins a run and
// returns once it is on; Status is Up while it lasts, and Down with its Exit from its end
// to the next Start, also for another agent; Stop ends it. Its Watch tells of its end.
func DefineTask[C any](r *Registry, kind, doc string, open func(Opening, *C) (Driver, error), opts ...Option) {
	DefineKind(r, kind, doc, open, append(opts, func(s *spec.Schema) { s.Task = true })...)
}

func define[C any](kinds map[string]*Kind, kind, doc string, taken []string, open func(Opening, *C) (Prober, error), opts []Option) {
	s := spec.SchemaOf(kind, doc, reflect.TypeFor[C]())
	s.Level = spec.LevelNone
	for _, o := range opts {
		o(s)
	}
	if _, twice := kinds[kind]; twice || slices.Contains(reserved, kind) {
		panic(fmt.Sprintf("internal error: kind %q is taken", kind))
	}
	if s.Task {
		taken = slices.Concat(taken, reservedForTasks)
	}
	for _, f := range s.Fields {
		if slices.Contains(taken, f.Name) {
			panic(fmt.Sprintf("internal error: kind %q has an argument %q, which belongs to the language", kind, f.Name))
		}
	}
	kinds[kind] = &Kind{Schema: s, open: func(o Opening, c any) (Prober, error) { return open(o, c.(*C)) }}
}

// Resource implements spec.Kinds.
func (r *Registry) Resource(kind string) *spec.Schema { return schema(r.resources, kind) }

// Check implements spec.Kinds.
func (r *Registry) Check(kind string) *spec.Schema { return schema(r.checks, kind) }

// ResourceKinds implements spec.Kinds.
func (r *Registry) ResourceKinds() []string { return names(r.resources) }

// CheckKinds implements spec.Kinds.
func (r *Registry) CheckKinds() []string { return names(r.checks) }

// Open returns the driver of a resource. It must not block or change anything.
func (r *Registry) Open(o Opening, res *spec.Resource) (Driver, error) {
	k := r.resources[res.Kind]
	if k == nil {
		return nil, fmt.Errorf("cannot open %s: this program has no kind %q", res.Address, res.Kind)
	}
	p, err := k.open(o, res.Config)
	if err != nil {
		return nil, err
	}
	return p.(Driver), nil
}

// OpenCheck returns the prober of a check.
func (r *Registry) OpenCheck(o Opening, c *spec.Check) (Prober, error) {
	k := r.checks[c.Kind]
	if k == nil {
		return nil, fmt.Errorf("cannot open check %s of %s: this program has no check %q", c.Name, o.Address, c.Kind)
	}
	return k.open(o, c.Config)
}

func schema(kinds map[string]*Kind, kind string) *spec.Schema {
	if k := kinds[kind]; k != nil {
		return k.Schema
	}
	return nil
}

func names(kinds map[string]*Kind) []string {
	out := make([]string, 0, len(kinds))
	for n := range kinds {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
