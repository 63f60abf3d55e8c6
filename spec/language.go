package spec

import (
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/zclconf/go-cty/cty"
)

const clusterFile = "cluster.hcl"

// The blocks of the language itself are described as kinds are: by a struct whose
// tags feed decoding, diagnostics and the manual.

type serviceArguments struct {
	Description string    `hcl:"description,optional" doc:"What the service is, for people."`
	Namespace   string    `hcl:"namespace,optional" doc:"The namespace; by default the first folder below the root of the set, else \"default\"."`
	Nodes       []string  `hcl:"nodes,optional" doc:"The candidates, best first; by default every node."`
	Topology    string    `hcl:"topology" default:"failover" oneof:"failover promotable scaled everywhere" doc:"How many instances are active."`
	Orchestrate string    `hcl:"orchestrate" default:"auto" oneof:"auto start manual" doc:"What svcctl does without being asked: start, heal and relocate; start and heal; nothing."`
	OnFailure   string    `hcl:"on_failure" default:"relocate" oneof:"relocate stop report reset" doc:"What happens once a resource's restarts are used up: relocate and report leave running what works, but relocate rolls back a start that never was complete; stop stops the whole service; reset stops it too and asks for a reset of the node, which this version only records."`
	Requires    []string  `hcl:"requires,optional" doc:"Services that must be up before this one starts."`
	With        []string  `hcl:"with,optional" doc:"Services to share a node with."`
	Apart       []string  `hcl:"apart,optional" doc:"Services never to share a node with."`
	Count       int       `hcl:"count" default:"1" doc:"The wanted instances of a scaled service."`
	MaxPerNode  int       `hcl:"max_per_node" default:"0" doc:"How many instances of a scaled service one node may hold; 0 is not limited."`
	Memory      Bytes     `hcl:"memory,optional" doc:"The memory that an instance needs, for placement."`
	CPU         float64   `hcl:"cpu,optional" doc:"The cores that an instance needs, for placement."`
	RTO         Promise   `hcl:"rto,optional" doc:"How long the service may be away; lint and metrics compare with it."`
	RPO         Promise   `hcl:"rpo,optional" doc:"How much work may be lost; lint and metrics compare with it."`
	MaximumLag  Promise   `hcl:"maximum_lag,optional" doc:"How old a copy may be and still be promoted."`
	Placement   *Placing  `hcl:"placement,block" doc:"Where instances prefer to be."`
	Reload      *Reloaded `hcl:"reload,block" doc:"When a changed spec is kept."`
}

// Placing is the block placement of a service.
type Placing struct {
	By       string `hcl:"by" default:"order" oneof:"order spread load labels" doc:"What decides between candidates."`
	Failback bool   `hcl:"failback,optional" doc:"Move back once a better node is there again."`
	Budget   int    `hcl:"budget,optional" doc:"Automatic moves an hour; 0 is not limited."`
}

// Reloaded is the block reload of a service.
type Reloaded struct {
	Confirm time.Duration `hcl:"confirm,optional" doc:"A change is taken back unless confirmed within this time."`
	Health  time.Duration `hcl:"health,optional" doc:"A change is taken back unless the service is up within this time."`
}

type drillArguments struct {
	Schedule string        `hcl:"schedule" doc:"When, as in a crontab."`
	Action   string        `hcl:"action" default:"switch" oneof:"switch restart" doc:"What is rehearsed."`
	Window   time.Duration `hcl:"window" default:"1h" doc:"How long after its time it may still begin."`
}

type resourceArguments struct {
	Optional    bool           `hcl:"optional,optional" doc:"Its failure neither fails the instance nor holds up what is after it."`
	Standby     bool           `hcl:"standby,optional" doc:"Up also where the instance is not active."`
	Monitor     bool           `hcl:"monitor" default:"true" doc:"Its loss is noticed and healed."`
	Disabled    bool           `hcl:"disabled,optional" doc:"Never started."`
	Tags        []string       `hcl:"tags,optional" doc:"Words to select resources by."`
	OnStuck     string         `hcl:"on_stuck" default:"kill" oneof:"kill reset wait" doc:"What is done when a stop fails: end what holds it and wait, reset the node, or wait."`
	BeforeStart []string       `hcl:"before_start,optional" doc:"A command, as a list of its words, run before each start."`
	AfterStart  []string       `hcl:"after_start,optional" doc:"A command run after each start; with ready = \"check\" once the checks have risen. A failure is a failed start."`
	BeforeStop  []string       `hcl:"before_stop,optional" doc:"A command run before each stop."`
	AfterStop   []string       `hcl:"after_stop,optional" doc:"A command run after each stop."`
	Restart     *restartBlock  `hcl:"restart,block" doc:"How often, and how soon, it is started again after a failure."`
	Timeouts    *timeoutsBlock `hcl:"timeouts,block" doc:"What bounds its calls, hooks included."`
}

type restartBlock struct {
	Attempts int           `hcl:"attempts,optional" doc:"How often within the window; 0 is not limited."`
	Within   time.Duration `hcl:"within" default:"1m" doc:"The window in which attempts count."`
	Backoff  time.Duration `hcl:"backoff" default:"100ms" doc:"The wait after the first, immediate restart; it doubles."`
	Max      time.Duration `hcl:"max" default:"30s" doc:"The longest wait."`
	Reset    time.Duration `hcl:"reset" default:"1m" doc:"Up for so long, and the back-off is forgotten."`
}

type timeoutsBlock struct {
	Start time.Duration `hcl:"start" default:"60s" doc:"Bounds a start."`
	Stop  time.Duration `hcl:"stop" default:"30s" doc:"Bounds a stop."`
}

type checkArguments struct {
	Every   time.Duration `hcl:"every" default:"10s" doc:"The time from one question to the next."`
	Timeout Promise       `hcl:"timeout,optional" doc:"How long an answer may take; 2s, or every where that is shorter."`
	Fall    int           `hcl:"fall" default:"3" doc:"Failures in a row that make it fall."`
	Rise    int           `hcl:"rise" default:"1" doc:"Passes in a row that make it rise."`
	OnFall  string        `hcl:"on_fall" default:"restart" oneof:"restart relocate report" doc:"What its fall does to the resource."`
}

var (
	serviceSchema  = SchemaOf("service", "What lives and moves together.", reflect.TypeFor[serviceArguments]())
	resourceSchema = SchemaOf("resource", "What every resource takes.", reflect.TypeFor[resourceArguments]())
	checkSchema    = SchemaOf("check", "What every check takes.", reflect.TypeFor[checkArguments]())
	taskSchema     = SchemaOf("task", "What every task takes.", reflect.TypeFor[taskArguments]())
	drillSchema    = SchemaOf("drill", "A rehearsed failover on a schedule.", reflect.TypeFor[drillArguments]())
)

// Language returns the schemas of what every service, resource, task and check takes, for
// the manual, completion and explain. after and for_each stand beside them.
func Language() []*Schema { return slices.Clone(language) }

var language = []*Schema{serviceSchema, resourceSchema, taskSchema, checkSchema, drillSchema}

func atLeast(n, least int, field, what string) []Problem {
	if n >= least {
		return nil
	}
	return []Problem{{field, fmt.Sprintf("%q must be at least %d", field, least), what}}
}

func positive(d time.Duration, field string) []Problem {
	if d > 0 {
		return nil
	}
	return []Problem{{field, fmt.Sprintf("%q must be longer than 0s", field), `Write a duration such as "10s".`}}
}

// Validate implements Validator.
func (a *serviceArguments) Validate() []Problem {
	var out []Problem
	out = append(out, atLeast(a.Count, 1, "count", "A service without instances is one that is not declared; use orchestrate = \"manual\" to keep it stopped.")...)
	out = append(out, atLeast(a.MaxPerNode, 0, "max_per_node", "0 is not limited.")...)
	if a.Memory < 0 {
		out = append(out, Problem{"memory", `"memory" must not be negative`, `Write a size such as "512M".`})
	}
	if a.CPU < 0 {
		out = append(out, Problem{"cpu", `"cpu" must not be negative`, "Write a number of cores such as 0.5."})
	}
	if a.Nodes != nil && len(a.Nodes) == 0 {
		out = append(out, Problem{"nodes", `"nodes" names no node`, "Leave it out to allow every node."})
	}
	seen := map[string]bool{}
	for _, n := range a.Nodes {
		if !validName(n, true) {
			out = append(out, Problem{"nodes", fmt.Sprintf("%q is no name of a node", n), "Letters, digits, -, _ and dots, at most 63."})
		} else if seen[n] {
			out = append(out, Problem{"nodes", fmt.Sprintf("node %q is named twice", n), "Remove one of them."})
		}
		seen[n] = true
	}
	return out
}

// Validate implements Validator.
func (p *Placing) Validate() []Problem {
	return atLeast(p.Budget, 0, "budget", "0 is not limited.")
}

// Validate implements Validator.
func (b *restartBlock) Validate() []Problem {
	out := atLeast(b.Attempts, 0, "attempts", "0 is not limited.")
	out = append(out, positive(b.Within, "within")...)
	if b.Backoff > b.Max {
		out = append(out, Problem{"backoff", `"backoff" is longer than "max"`, fmt.Sprintf("The longest wait is %s: raise max, or lower backoff.", b.Max)})
	}
	return out
}

// Validate implements Validator.
func (b *timeoutsBlock) Validate() []Problem {
	return append(positive(b.Start, "start"), positive(b.Stop, "stop")...)
}

// Validate implements Validator.
func (a *checkArguments) Validate() []Problem {
	out := positive(a.Every, "every")
	if a.Timeout.Set {
		out = append(out, positive(a.Timeout.D, "timeout")...)
		if a.Every > 0 && a.Timeout.D > a.Every {
			out = append(out, Problem{"timeout", `"timeout" is longer than "every"`, fmt.Sprintf("A new question is asked every %s: write at most that.", a.Every)})
		}
	}
	out = append(out, atLeast(a.Fall, 1, "fall", "It is a number of failures in a row.")...)
	return append(out, atLeast(a.Rise, 1, "rise", "It is a number of passes in a row.")...)
}

// validName says whether a name may be part of addresses, paths and metrics.
func validName(s string, dots bool) bool {
	if s == "" || len(s) > 63 || s == "." || s == ".." {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		case c == '.' && dots:
		default:
			return false
		}
	}
	return true
}

// exportsOf lists the fields of a kind that siblings may read.
func exportsOf(s *Schema) []string {
	var names []string
	for i := range s.Fields {
		if s.Fields[i].Export {
			names = append(names, s.Fields[i].Name)
		}
	}
	if e, ok := reflect.New(s.Type).Interface().(ExportNames); ok {
		names = append(names, e.ExportNames()...)
	}
	return names
}

// exported is what siblings read of a resource; the rest is not known.
func (l *Loader) exported(p *part) map[string]cty.Value {
	s, exported := p.schema, l.factsOf(p.schema).exports
	out := make(map[string]cty.Value, len(exported))
	for _, n := range exported {
		out[n] = cty.DynamicVal
	}
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Export && !p.unknown.has(f.Name) {
			out[f.Name] = toCty(p.value.FieldByIndex(f.Index), f.Type)
		}
	}
	if e, ok := p.value.Addr().Interface().(Exporter); ok && len(p.unknown) == 0 {
		for n, v := range e.Exports() {
			out[n] = v
		}
	}
	return out
}
