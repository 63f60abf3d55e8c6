package dag

import (
	"reflect"
	"testing"
)

func TestWavesPutEachNodeAfterWhatItWaitsFor(t *testing.T) {
	var g Graph[string]
	g.Add("app", "mount", "ip")
	g.Add("mount", "loop")
	g.Add("ip")
	waves, left := g.Waves()
	want := [][]string{{"ip", "loop"}, {"mount"}, {"app"}}
	if !reflect.DeepEqual(waves, want) || left != nil {
		t.Fatalf("waves %v, left %v; want %v", waves, left, want)
	}
	if got := g.Dependents("mount"); !reflect.DeepEqual(got, []string{"app"}) {
		t.Errorf("dependents of mount: %v", got)
	}
	if g.Cycle() != nil {
		t.Errorf("found a cycle in a graph without one: %v", g.Cycle())
	}
}

func TestCycleNamesOnlyTheLoop(t *testing.T) {
	var g Graph[string]
	g.Add("a", "b")
	g.Add("b", "c")
	g.Add("c", "d")
	g.Add("d", "b")
	g.Add("e", "a")
	if got, want := g.Cycle(), []string{"b", "c", "d"}; !reflect.DeepEqual(got, want) {
		t.Errorf("cycle %v, want %v", got, want)
	}
	waves, left := g.Waves()
	if len(waves) != 0 || len(left) != 5 {
		t.Errorf("waves %v, left %v: everything is on the loop or waits for it", waves, left)
	}
}

func TestCycleOfOne(t *testing.T) {
	var g Graph[int]
	g.Add(1, 1)
	if got := g.Cycle(); !reflect.DeepEqual(got, []int{1}) {
		t.Errorf("cycle %v, want [1]", got)
	}
}
