package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// The document of `svcctl status --json`, as far as its contract goes; read here
// with types of its own, so that a changed name is noticed.
type status struct {
	Cluster struct {
		Name     string `json:"name"`
		Quorate  bool   `json:"quorate"`
		Leader   string `json:"leader"`
		Revision int    `json:"revision"`
		Nodes    []struct {
			Name     string   `json:"name"`
			State    string   `json:"state"`
			Leader   bool     `json:"leader"`
			Drained  *bool    `json:"drained"`
			Lease    *float64 `json:"lease_remaining_s"`
			Revision string   `json:"revision"`
		} `json:"nodes"`
		Spec struct {
			State   string `json:"state"`
			Message string `json:"message"`
			Store   string `json:"store"`
		} `json:"spec"`
	} `json:"cluster"`
	Services []*service `json:"services"`
}

type service struct {
	Name       string  `json:"name"`
	Namespace  string  `json:"namespace"`
	Topology   string  `json:"topology"`
	State      string  `json:"state"`
	Frozen     *bool   `json:"frozen"`
	Undeclared bool    `json:"undeclared"`
	Node       string  `json:"node"`
	Epoch      uint64  `json:"epoch"`
	Level      string  `json:"level"`
	Why        *string `json:"why"`
	Instances  []struct {
		Node      string      `json:"node"`
		State     string      `json:"state"`
		Role      string      `json:"role"`
		Why       *string     `json:"why"`
		Resources []*resource `json:"resources"`
	} `json:"instances"`
}

type resource struct {
	Address  string    `json:"address"`
	Kind     string    `json:"kind"`
	State    string    `json:"state"`
	Since    time.Time `json:"since"`
	Restarts *int      `json:"restarts"`
	Error    *string   `json:"error"`
	Why      string    `json:"why"`
	PID      int       `json:"pid"`
	Notices  []string  `json:"notices"`
	Checks   []struct {
		Name  string    `json:"name"`
		Kind  string    `json:"kind"`
		State string    `json:"state"`
		Since time.Time `json:"since"`
		Error string    `json:"error"`
	} `json:"checks"`
}

// status asks the socket, as `svcctl status --json` does, without a process for it.
func (n *node) status() (*status, error) {
	b, err := n.fetch("/v1/status")
	if err != nil {
		return nil, err
	}
	var s status
	return &s, json.Unmarshal(b, &s)
}

// resource returns one that must be there.
func (n *node) resource(address string) *resource {
	n.t.Helper()
	s, err := n.status()
	must(n.t, err)
	if r := s.resource(address); r != nil {
		return r
	}
	n.t.Fatalf("there is no resource %s", address)
	return nil
}

func (s *status) resource(address string) *resource {
	for _, v := range s.Services {
		for _, i := range v.Instances {
			for _, r := range i.Resources {
				if r.Address == address {
					return r
				}
			}
		}
	}
	return nil
}

func (s *status) service(name string) *service {
	for _, v := range s.Services {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// until waits for a status.
func (n *node) until(what string, missing func(*status) string) {
	n.t.Helper()
	n.await(what, func() string {
		s, err := n.status()
		if err != nil {
			return err.Error()
		}
		return missing(s)
	})
}

// isUp waits until each of these services is up.
func (n *node) isUp(services ...string) {
	n.t.Helper()
	n.until(strings.Join(services, ", ")+" up", func(s *status) string {
		for _, name := range services {
			v := s.service(name)
			if v == nil {
				return "there is no service " + name
			}
			if v.State != "up" {
				return fmt.Sprintf("%s is %s: %s", name, v.State, *v.Why)
			}
		}
		return ""
	})
}

// spec waits until the directory stands so to what is in force, and for words in the
// message.
func (n *node) spec(state, words string) {
	n.t.Helper()
	n.until("the directory is "+state, func(s *status) string {
		if s.Cluster.Spec.State != state || !strings.Contains(s.Cluster.Spec.Message, words) {
			return s.Cluster.Spec.State + ": " + s.Cluster.Spec.Message
		}
		return ""
	})
}

// revision waits for a revision by number, with the directory current.
func (n *node) revision(number int) {
	n.t.Helper()
	n.until(fmt.Sprintf("revision %d is in force", number), func(s *status) string {
		if s.Cluster.Revision != number || s.Cluster.Spec.State != "current" {
			return fmt.Sprintf("revision %d, %s: %s", s.Cluster.Revision, s.Cluster.Spec.State, s.Cluster.Spec.Message)
		}
		return ""
	})
}

// pids returns the main process of each app.
func (n *node) pids() map[string]int {
	n.t.Helper()
	s, err := n.status()
	must(n.t, err)
	pids := map[string]int{}
	for _, v := range s.Services {
		for _, i := range v.Instances {
			for _, r := range i.Resources {
				if r.PID != 0 {
					pids[r.Address] = r.PID
				}
			}
		}
	}
	return pids
}

// same fails where one of these processes is not what it was.
func (n *node) same(before map[string]int, addresses ...string) {
	n.t.Helper()
	after := n.pids()
	for _, a := range addresses {
		if before[a] == 0 || after[a] != before[a] || !alive(before[a]) {
			n.t.Fatalf("%s was process %d, is %d", a, before[a], after[a])
		}
	}
}

// another waits until these are up with another process than before.
func (n *node) another(before map[string]int, addresses ...string) {
	n.t.Helper()
	n.until(strings.Join(addresses, ", ")+" up again", func(s *status) string {
		for _, a := range addresses {
			r := s.resource(a)
			if r == nil || r.State != "up" || r.PID == 0 || r.PID == before[a] {
				return fmt.Sprintf("%s: %+v, was %d", a, r, before[a])
			}
		}
		return ""
	})
}

// alive reports whether a process is there and not a zombie.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || syscall.Kill(pid, 0) != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z")
}
