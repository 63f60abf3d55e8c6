package api

import (
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// Status is the answer of GET /v1/status and of `svcctl status --json`.
type Status struct {
	Cluster  ClusterStatus   `json:"cluster"`
	Position uint64          `json:"position"` // of the event stream: what was told up to here is in this document
	Services []ServiceStatus `json:"services"`
}

// ClusterStatus is the cluster and its nodes.
type ClusterStatus struct {
	Name     string       `json:"name"`
	Quorate  bool         `json:"quorate"`
	Leader   string       `json:"leader"`
	Revision uint64       `json:"revision"`
	Nodes    []NodeStatus `json:"nodes"`
	Spec     SpecStatus   `json:"spec"`
}

// NodeStatus is one node.
type NodeStatus struct {
	Name            string    `json:"name"`
	State           string    `json:"state"`
	Leader          bool      `json:"leader"`
	Drained         bool      `json:"drained"`
	LeaseRemainingS float64   `json:"lease_remaining_s"` // 0: no lease, as in a cluster of one
	Revision        SpecState `json:"revision"`
}

// ServiceStatus is one service.
type ServiceStatus struct {
	Name       string               `json:"name"`
	Namespace  string               `json:"namespace"`
	Topology   spec.Topology        `json:"topology"`
	State      engine.InstanceState `json:"state"`
	Available  bool                 `json:"available"`
	Frozen     bool                 `json:"frozen"`
	Freeze     *engine.Freeze       `json:"freeze,omitempty"`
	Undeclared bool                 `json:"undeclared,omitempty"`
	Node       string               `json:"node"` // of the active instance; "" where there is none
	Epoch      uint64               `json:"epoch"`
	Level      spec.Level           `json:"level"`
	Why        string               `json:"why"`
	GivenUp    string               `json:"given_up,omitempty"` // why a failure ended it, until an operator acts
	Requires   []string             `json:"requires,omitempty"`
	Instances  []InstanceStatus     `json:"instances"`
}

// FullName is the service's name with its namespace, where that is not the default.
func (s *ServiceStatus) FullName() string { return spec.FullName(s.Namespace, s.Name) }

// InstanceStatus is a service on one node.
type InstanceStatus struct {
	Node      string               `json:"node"`
	State     engine.InstanceState `json:"state"`
	Role      string               `json:"role"` // active, standby or none
	Why       string               `json:"why"`
	Resources []ResourceStatus     `json:"resources"`
	Tasks     []TaskStatus         `json:"tasks"`
}

// ResourceStatus is one resource of an instance.
type ResourceStatus struct {
	Address  spec.Address   `json:"address"`
	Kind     string         `json:"kind"`
	State    engine.State   `json:"state"`
	Since    time.Time      `json:"since"`
	Restarts int            `json:"restarts"`
	Error    string         `json:"error"`
	Why      string         `json:"why,omitempty"`
	Detail   string         `json:"detail,omitempty"`
	PID      int            `json:"pid,omitempty"`
	GivenUp  bool           `json:"given_up,omitempty"` // nothing more is done about it without an operator
	Level    spec.Level     `json:"level"`
	Optional bool           `json:"optional,omitempty"`
	Standby  bool           `json:"standby,omitempty"`
	Disabled bool           `json:"disabled,omitempty"`
	Tags     []string       `json:"tags,omitempty"`
	After    []spec.Address `json:"after,omitempty"`
	Notices  []string       `json:"notices,omitempty"` // what the host can't give it
	Checks   []CheckStatus  `json:"checks"`
}

// CheckStatus is one check of a resource.
type CheckStatus struct {
	Name  string            `json:"name"`
	Kind  string            `json:"kind"`
	State engine.CheckState `json:"state"`
	Since time.Time         `json:"since,omitzero"`
	Error string            `json:"error,omitempty"`

	Detail string `json:"detail,omitempty"` // what it said when it passed last

	Values []CheckValue `json:"values,omitempty"` // what it measured last
}

// CheckValue is one value that a check measured.
type CheckValue struct {
	Label   string  `json:"label"`
	Value   float64 `json:"value"`
	Unit    string  `json:"unit,omitempty"` // seconds, bytes, percent; "" for a number
	Counter bool    `json:"counter,omitempty"`
}

// Measured is what the checks of resources measured, by the check's name.
type Measured map[spec.Address]map[string][]drivers.Perf

// Beside is what a snapshot does not hold. Each may be nil.
type Beside struct {
	Notices  func(spec.Address) []string
	Measured Measured
}

// Render turns a snapshot into the document. keep chooses services by view; nil
// keeps all.
func Render(snap *engine.Snapshot, s SpecStatus, beside Beside, keep func(*engine.ServiceView) bool) *Status {
	name := s.Cluster
	if name == "" {
		name = snap.Node
	}
	out := &Status{
		Cluster: ClusterStatus{
			Name: name, Quorate: true, Leader: snap.Node, Revision: s.Revision,
			Nodes: []NodeStatus{{Name: snap.Node, State: "alive", Leader: true, Revision: s.State}},
			Spec:  s,
		},
		Services: make([]ServiceStatus, 0, len(snap.Services)),
	}
	for _, v := range snap.Services {
		if keep == nil || keep(v) {
			out.Services = append(out.Services, renderService(snap.Node, v, &beside))
		}
	}
	return out
}

func renderService(node string, v *engine.ServiceView, beside *Beside) ServiceStatus {
	s := ServiceStatus{
		Name: v.Name, Namespace: v.Namespace, Topology: v.Topology, State: v.State, Available: v.Available,
		Frozen: v.Frozen != nil, Freeze: v.Frozen, Undeclared: v.Undeclared,
		Epoch: v.Epoch, Level: v.Level, Why: v.Why, GivenUp: v.GivenUp, Requires: v.Requires,
	}
	i := InstanceStatus{Node: node, State: v.State, Role: "none", Why: v.Why, Resources: make([]ResourceStatus, 0, len(v.Resources)),
		Tasks: make([]TaskStatus, 0, len(v.Tasks))}
	switch {
	case v.Active:
		s.Node, i.Role = node, "active"
	case v.State == engine.InstanceStandby:
		i.Role = "standby"
	}
	for k := range v.Resources {
		i.Resources = append(i.Resources, renderResource(&v.Resources[k], beside))
	}
	for k := range v.Tasks {
		i.Tasks = append(i.Tasks, renderTask(&v.Tasks[k], beside))
	}
	s.Instances = []InstanceStatus{i}
	return s
}

func renderResource(v *engine.ResourceView, beside *Beside) ResourceStatus {
	r := ResourceStatus{
		Address: v.Address, Kind: v.Kind, State: v.State, Since: v.Since, Restarts: v.Restarts, Error: v.Error,
		Why: v.Why, Detail: v.Detail, PID: v.PID, GivenUp: v.GivenUp, Level: v.Level, Optional: v.Optional, Standby: v.Standby,
		Disabled: v.Disabled, Tags: v.Tags, After: v.After, Checks: make([]CheckStatus, 0, len(v.Checks)),
	}
	if beside.Notices != nil {
		r.Notices = beside.Notices(v.Address)
	}
	for _, c := range v.Checks {
		s := CheckStatus{Name: c.Name, Kind: c.Kind, State: c.State, Since: c.Since, Error: c.Error, Detail: c.Detail}
		for _, p := range beside.Measured[v.Address][c.Name] {
			if c.State == engine.CheckUnknown { // it does not run: what it measured is not so any more
				break
			}
			s.Values = append(s.Values, CheckValue{Label: p.Label, Value: p.Value, Unit: p.Unit, Counter: p.Counter})
		}
		r.Checks = append(r.Checks, s)
	}
	return r
}
