package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// benchSizes: a step must cost the same for each.
var benchSizes = []int{10, 100, 1_000, 10_000}

func benchSpec(n int) *spec.Spec {
	sp := &spec.Spec{Services: make(map[string]*spec.Service, n)}
	for i := range n {
		s := benchService(fmt.Sprintf("s%05d", i), 1)
		sp.Services[s.FullName] = s
		sp.Names = append(sp.Names, s.FullName)
	}
	return sp
}

func benchService(name string, version int) *spec.Service {
	s := &spec.Service{Name: name, Namespace: spec.DefaultNamespace, FullName: name, Orchestrate: spec.Auto, OnFailure: spec.Relocate, Digest: spec.Digest(fmt.Sprint(version))}
	mount := &spec.Resource{Address: spec.Address(name + "/mount.data"), Service: name, Kind: "mount", Schema: storyKinds["mount"], Monitor: true, Restart: spec.DefaultRestart}
	app := &spec.Resource{Address: spec.Address(name + "/app.main"), Service: name, Kind: "app", Schema: storyKinds["app"], Monitor: true, Restart: spec.DefaultRestart,
		After: []spec.Address{mount.Address}, Digest: spec.Digest(fmt.Sprint(version)),
		Checks: []*spec.Check{{Name: "ready", Every: time.Hour, Timeout: time.Second, Fall: 3, Rise: 1, OnFall: spec.FallReport}}}
	s.Resources = []*spec.Resource{mount, app}
	return s
}

// benchEngine is an engine with n services, all up.
func benchEngine(b testing.TB, n int) (*Engine, *spec.Spec, time.Time) {
	e, now := New(Config{Node: "n1", Seed: 1, ProbeEvery: 24 * time.Hour}), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	sp := benchSpec(n)
	work := calls(e.Step(now, Reload{Spec: sp}))
	for _, name := range sp.Names {
		work = append(work, calls(e.Step(now, Permission{Service: name, Epoch: 1}))...)
	}
	for len(work) > 0 {
		d := work[0]
		work = append(work[1:], calls(e.Step(now, Done{Op: d.Op, Status: Status{Seen: SeenDown}}))...)
	}
	now = now.Add(2 * time.Second) // past the first checks
	for _, d := range calls(e.Step(now, Tick{})) {
		e.Step(now, Done{Op: d.Op, Status: Status{Seen: SeenUp}})
	}
	for _, v := range e.Snapshot(now).Services {
		if v.State != InstanceUp {
			b.Fatalf("%s is %s: %s", v.FullName, v.State, v.Why)
		}
	}
	return e, sp, now
}

// Speed is for benchmarks; what a step allocates tells the same on any machine.
func TestAStepAllocatesNoMoreAmongTenThousandServices(t *testing.T) {
	cost := func(n int) float64 {
		e, sp, now := benchEngine(t, n)
		i := 0
		return testing.AllocsPerRun(200, func() {
			i++
			now = now.Add(time.Second)
			e.Step(now, Observed{Address: spec.Address(sp.Names[i%10] + "/app.main"), Status: Status{Seen: SeenUp, PID: i}})
			e.Step(now, Tick{})
		})
	}
	if few, many := cost(10), cost(10_000); many > few+2 {
		t.Errorf("a step allocates %.0f times among 10 services and %.0f times among 10,000", few, many)
	}
}

func eachSize(b *testing.B, f func(b *testing.B, e *Engine, sp *spec.Spec, now time.Time)) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			e, sp, now := benchEngine(b, n)
			b.ReportAllocs()
			b.ResetTimer()
			f(b, e, sp, now)
		})
	}
}

// A process dies, is started, and is up: an Observed and a Done, each with its decisions.
func BenchmarkStepObservedAndDone(b *testing.B) {
	eachSize(b, func(b *testing.B, e *Engine, sp *spec.Spec, now time.Time) {
		i := 0
		for b.Loop() {
			now = now.Add(2 * time.Minute / time.Duration(len(sp.Names)))
			a := spec.Address(sp.Names[i%len(sp.Names)] + "/app.main")
			i++
			for _, d := range calls(e.Step(now, Observed{Address: a, Status: Status{Seen: SeenDown}})) {
				if d.Verb == VerbStart {
					e.Step(now, Done{Op: d.Op})
				}
			}
			if i%len(sp.Names) == 0 {
				now = now.Add(2 * time.Minute) // so that every restart is the first again
			}
		}
	})
}

func BenchmarkStepCheckResult(b *testing.B) {
	eachSize(b, func(b *testing.B, e *Engine, sp *spec.Spec, now time.Time) {
		var work []Do
		for b.Loop() {
			for len(work) == 0 {
				b.StopTimer()
				now = e.Deadline()
				for _, d := range calls(e.Step(now, Tick{})) {
					if d.Verb == VerbCheck {
						work = append(work, d)
					} else {
						e.Step(now, Done{Op: d.Op, Status: Status{Seen: SeenUp}})
					}
				}
				b.StartTimer()
			}
			d := work[0]
			work = work[1:]
			e.Step(now, Done{Op: d.Op, Status: Status{Seen: SeenUp}})
		}
	})
}

// A tick at the deadline asks for one check, which is answered.
func BenchmarkStepTick(b *testing.B) {
	eachSize(b, func(b *testing.B, e *Engine, _ *spec.Spec, _ time.Time) {
		for b.Loop() {
			now := e.Deadline()
			for _, d := range calls(e.Step(now, Tick{})) {
				e.Step(now, Done{Op: d.Op, Status: Status{Seen: SeenUp}})
			}
		}
	})
}

// One service of all changes a flag of one resource: no call follows.
func BenchmarkReloadOneChanged(b *testing.B) {
	eachSize(b, func(b *testing.B, e *Engine, sp *spec.Spec, now time.Time) {
		name := sp.Names[len(sp.Names)/2]
		i := 1
		for b.Loop() {
			i++
			changed := benchService(name, 1)
			changed.Digest = spec.Digest(fmt.Sprint(i))
			sp.Services[name] = changed
			if made := calls(e.Step(now, Reload{Spec: sp})); len(made) > 0 {
				b.Fatalf("%s of %s", made[0].Verb, made[0].Resource.Address)
			}
		}
	})
}

func BenchmarkSnapshotAfterOneChange(b *testing.B) {
	eachSize(b, func(b *testing.B, e *Engine, sp *spec.Spec, now time.Time) {
		a := spec.Address(sp.Names[0] + "/app.main")
		i := 0
		for b.Loop() {
			i++
			e.Step(now, Observed{Address: a, Status: Status{Seen: SeenUp, PID: i}})
			if e.Snapshot(now).Services[0].Resources[1].PID != i {
				b.Fatal("the snapshot is stale")
			}
		}
	})
}

// One service of a thousand independent apps comes with a reload, is probed, started
// and up: the whole of it.
func BenchmarkStartServiceOfThousand(b *testing.B) {
	s := &spec.Service{Name: "big", Namespace: spec.DefaultNamespace, FullName: "big", Orchestrate: spec.Auto, OnFailure: spec.Relocate}
	for i := range 1000 {
		s.Resources = append(s.Resources, &spec.Resource{Address: spec.Address(fmt.Sprintf("big/app.a%04d", i)), Service: "big", Kind: "app",
			Schema: storyKinds["app"], Monitor: true, Restart: spec.DefaultRestart})
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	small := benchSpec(1)
	both := benchSpec(1)
	both.Services["big"], both.Names = s, append([]string{"big"}, both.Names...)
	b.ReportAllocs()
	for b.Loop() {
		e := New(Config{Node: "n1", Seed: 1})
		e.Step(now, Reload{Spec: small})
		work := calls(e.Step(now, Reload{Spec: both}))
		work = append(work, calls(e.Step(now, Permission{Service: "big", Epoch: 1}))...)
		for len(work) > 0 {
			d := work[0]
			work = append(work[1:], calls(e.Step(now, Done{Op: d.Op, Status: Status{Seen: SeenDown}}))...)
		}
		if st := e.Snapshot(now).Service("big").State; st != InstanceUp {
			b.Fatalf("it is %s", st)
		}
	}
}
