package engine

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// fate is what becomes of an app after each start: bit i says that the i-th is up for as
// long as it takes to be forgiven. Otherwise it fails at once, from being up or in its
// start.
type fate struct {
	lives, inStart uint
}

// usesUp runs one app of the engine by its fate until its restarts are used up, or it
// has failed n times.
func usesUp(t *testing.T, p spec.Restart, f fate, n int) bool {
	t.Helper()
	res := parseResource(t, "web", "app.main")
	res.Restart = p
	s := &spec.Service{Name: "web", Namespace: spec.DefaultNamespace, FullName: "web", Orchestrate: spec.Auto, OnFailure: spec.ReportFailure,
		Resources: []*spec.Resource{res}}
	e := New(Config{Node: "n1", Seed: 1, ProbeEvery: 1000 * time.Hour})
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var queue []Event
	step := func(ev Event) (calls []Do) {
		for _, act := range e.Step(now, ev) {
			if d, is := act.(Do); is {
				calls = append(calls, d)
			}
		}
		return calls
	}
	queue = append(queue, Reload{Spec: &spec.Spec{Services: map[string]*spec.Service{"web": s}, Names: []string{"web"}}}, Permission{Service: "web", Epoch: 1})
	for starts := 0; starts <= n; {
		if len(queue) == 0 {
			if now = e.Deadline(); now.IsZero() {
				break
			}
			queue = append(queue, Tick{})
		}
		ev := queue[0]
		queue = queue[1:]
		for _, d := range step(ev) {
			switch d.Verb {
			case VerbProbe:
				queue = append(queue, Done{Op: d.Op, Status: Status{Seen: SeenDown}})
			case VerbStop:
				queue = append(queue, Done{Op: d.Op})
			case VerbStart:
				lives := f.lives>>starts&1 == 1
				starts++
				if !lives && f.inStart>>(starts-1)&1 == 1 {
					queue = append(queue, Done{Op: d.Op, Err: errors.New("it does not start")})
					continue
				}
				step(Done{Op: d.Op})
				if lives {
					now = now.Add(p.Reset)
				}
				queue = append(queue, Observed{Address: res.Address, Status: Status{Seen: SeenDown, Exit: &Exit{Code: 1}}})
			default:
				t.Fatalf("%s is asked for", d.Verb)
			}
		}
		if e.services["web"].byAddress[res.Address].usedUp {
			return true
		}
	}
	return false
}

// What spec says of a restart block is what the engine does with the app that fails as
// badly as it can: nothing takes time but the waits, and being up for Reset where that
// makes it worse.
func TestAttemptsCanBeUsedUpExactlyWhenSpecSaysSo(t *testing.T) {
	const most = 7
	r := rand.New(rand.NewPCG(4, 7))
	pick := func(ds ...time.Duration) time.Duration { return ds[r.IntN(len(ds))] }
	ms := time.Millisecond
	can, never, forgiven := 0, 0, 0
	for range 150 {
		p := spec.Restart{
			Within:  pick(time.Second, 10*time.Second, 3*time.Second, 7*ms, time.Minute),
			Backoff: pick(0, ms, 100*ms, time.Second, 1500*ms, 2*time.Second, 30*time.Second),
			Max:     pick(0, ms, time.Second, 2*time.Second, 5*time.Second, 30*time.Second, time.Minute),
			Reset:   pick(0, ms, 500*ms, time.Second, 2*time.Second, time.Minute),
		}
		p.Max = max(p.Max, p.Backoff)
		truth := 0
		for p.Attempts = 1; p.Attempts <= most; p.Attempts++ {
			atOnce := usesUp(t, p, fate{inStart: 0}, 3*p.Attempts) || usesUp(t, p, fate{inStart: math.MaxUint}, 3*p.Attempts)
			used := atOnce
			for lives := uint(0); lives < 1<<(p.Attempts+1) && !used; lives++ {
				used = usesUp(t, p, fate{lives: lives}, p.Attempts+1)
			}
			if !used {
				never++
				break
			}
			if !atOnce {
				forgiven++
			}
			can++
			truth = p.Attempts
		}
		said := p.MostAttempts()
		if truth < most && said != truth || truth == most && said < most {
			t.Errorf("%+v: the engine uses up at most %d attempts, spec says %d", p, truth, said)
		}
	}
	if can < 200 || never < 40 || forgiven < 10 {
		t.Errorf("too little was tried: %d used up, %d of them only where the back-off is forgotten, %d never", can, forgiven, never)
	}
}

func TestManyAttemptsAreCountedWithoutTakingLong(t *testing.T) {
	for _, c := range []struct {
		p    spec.Restart
		want int
	}{
		{spec.DefaultRestart, 10}, // 0, 0.1, 0.2 … 25.6 s: the eleventh would be 51.1 s behind the first
		{spec.Restart{Within: math.MaxInt64, Backoff: 1, Max: 1, Reset: 1}, math.MaxInt},
		{spec.Restart{Within: math.MaxInt64 / 100, Backoff: math.MaxInt64, Max: math.MaxInt64, Reset: math.MaxInt64}, 1},
		{spec.Restart{Within: time.Hour, Backoff: 1, Max: 1, Reset: 1}, math.MaxInt},
		{spec.Restart{Within: 1, Backoff: 1, Max: 1, Reset: 1}, 1},
		{spec.Restart{Within: time.Minute, Backoff: 30 * time.Second, Max: time.Minute, Reset: time.Minute}, 2},
	} {
		if got := c.p.MostAttempts(); got != c.want {
			t.Errorf("%+v: %d, want %d", c.p, got, c.want)
		}
	}
}
