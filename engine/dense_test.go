package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// Each of 64 is after all before it: a walk that took every way through this graph, not
// every edge, would not come back.
func TestAdoptingADenseGraphComesToAnEnd(t *testing.T) {
	s := &spec.Service{Name: "web", Namespace: spec.DefaultNamespace, FullName: "web", Orchestrate: spec.Auto, OnFailure: spec.Relocate}
	var before []spec.Address
	for i := range 64 {
		a := spec.Address(fmt.Sprintf("web/app.n%02d", i))
		s.Resources = append(s.Resources, &spec.Resource{Address: a, Service: "web", Kind: "app", Schema: storyKinds["app"],
			Monitor: true, Restart: spec.DefaultRestart, After: slices.Clone(before)})
		before = append(before, a)
	}
	e, now := New(Config{Node: "n1", Seed: 1}), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	probes := calls(e.Step(now, Reload{Spec: &spec.Spec{Services: map[string]*spec.Service{"web": s}, Names: []string{"web"}}}))
	e.Step(now, Permission{Service: "web", Epoch: 1})
	last := len(probes) - 1
	for _, d := range append([]Do{probes[last]}, probes[:last]...) { // the last, which stands on all, first
		e.Step(now, Done{Op: d.Op, Status: Status{Seen: SeenUp}})
	}
	if v := e.Snapshot(now).Service("web"); v.State != InstanceUp {
		t.Errorf("the service is %s: %s", v.State, v.Why)
	}
}
