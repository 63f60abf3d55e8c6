package engine

import (
	"time"

	"github.com/svcctl/svcctl/spec"
)

// Snapshot is what the engine knows at one moment. It is immutable and safe to
// share.
type Snapshot struct {
	Time     time.Time
	Node     string
	Services []*ServiceView // by full name
}

// Service returns the view of one service by full name, or nil.
func (s *Snapshot) Service(name string) *ServiceView {
	for _, v := range s.Services {
		if v.FullName == name {
			return v
		}
	}
	return nil
}

// ServiceView is one service with its instance on this node.
type ServiceView struct {
	FullName   string
	Name       string
	Namespace  string
	Topology   spec.Topology
	State      InstanceState
	Available  bool // everything that is neither optional nor disabled is up
	Undeclared bool // no file declares it any more; it goes on until purged
	Frozen     *Freeze
	Epoch      uint64 // 0: no permission on this node
	Active     bool   // this node holds the permission
	Level      spec.Level
	Why        string // why it is not up, in words; "" when it is
	GivenUp    string // why a failure ended it, until an operator starts or clears it; else ""
	Requires   []string
	Resources  []ResourceView // in start order
	Tasks      []TaskView     // by address
}

// ResourceView is one resource of an instance.
type ResourceView struct {
	Address  spec.Address
	Kind     string
	State    State
	Since    time.Time // when it entered its state
	Restarts int       // starts again after a failure, since the agent knows it
	Error    string    // the last failure; "" once it is up
	Why      string    // why it does not do more than it does
	Detail   string    // what the last observation added
	PID      int
	GivenUp  bool // failed or stuck, and svcctl does nothing more about it by itself
	Level    spec.Level
	Optional bool
	Standby  bool
	Disabled bool
	Tags     []string
	After    []spec.Address
	Checks   []CheckView
}

// CheckView is one check of a resource.
type CheckView struct {
	Name   string
	Kind   string
	State  CheckState
	Since  time.Time
	Error  string // the last failed result's reason
	Detail string // what the last pass said
}

// CheckState is a check's verdict.
type CheckState string

// The verdicts of a check.
const (
	CheckUnknown CheckState = "unknown" // its resource is not up, or no verdict yet
	CheckUp      CheckState = "up"
	CheckDown    CheckState = "down"
)
