package agent

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/engine"
)

// gauge is a check that measures what a test tells it to.
type gauge struct {
	mu     sync.Mutex
	values []drivers.Perf
	err    error
}

func (g *gauge) Status(context.Context) (drivers.Status, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return drivers.Status{State: drivers.Up}, g.err
}

func (g *gauge) Measured() []drivers.Perf {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.values
}

func (g *gauge) set(err error, values ...drivers.Perf) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.values, g.err = values, err
}

func TestWhatAChecksLastRunMeasuredIsKnownAndBounded(t *testing.T) {
	s, g := newSite(t), &gauge{}
	s.kinds = func(r *drivers.Registry) {
		drivers.DefineCheck(r, "gauge", "Measures.", func(drivers.Opening, *thingConfig) (drivers.Prober, error) { return g, nil })
	}
	g.set(nil, drivers.Perf{Label: "time", Value: 0.25, Unit: "seconds"})
	s.write("web.hcl", "service \"web\" {\n  thing \"t0\" {\n    check \"gauge\" \"load\" {\n      every = \"20ms\"\n    }\n  }\n}\n")
	s.boot()
	measured := func() []drivers.Perf {
		all, err := s.agent.Measured(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all["web/thing.t0"]["load"]
	}
	s.untilSeen("the first values", func() bool { return len(measured()) == 1 })
	if got := measured()[0]; got != (drivers.Perf{Label: "time", Value: 0.25, Unit: "seconds"}) {
		t.Errorf("it measured %+v", got)
	}
	s.agent.o.Scrubber.Learn("db", "hunter22")
	values := []drivers.Perf{{Label: "a", Value: 1}, {Label: "a", Value: 2}, {Label: "", Value: 3}, {Label: "nan", Value: math.NaN()},
		{Label: "inf", Value: math.Inf(1)}, {Label: "bad\xff"}, {Label: "hunter22"}, {Label: strings.Repeat("ä", 200)}}
	for i := range 2 * maxMeasured {
		values = append(values, drivers.Perf{Label: fmt.Sprint("n", i)})
	}
	g.set(nil, values...)
	s.untilSeen("many values", func() bool { return len(measured()) == maxMeasured })
	got := measured()
	if got[0].Value != 1 || got[1].Label != "bad?" || got[2].Label != `${secret("db")}` || len(got[3].Label) > maxMeasuredLabel || got[4].Label != "n0" {
		t.Errorf("it measured %+v", got[:5])
	}
	g.set(errors.New("refused"), values...)
	s.untilSeen("no values of a run that failed", func() bool { return len(measured()) == 0 })
}

// talker keeps its output elsewhere than in a file of svcctl's.
type talker struct{ *thing }

func (talker) Logs(ctx context.Context, lines int, follow bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i := range lines {
			if !yield(fmt.Sprintf("line %d of hunter22", i), nil) {
				return
			}
		}
		if follow {
			<-ctx.Done()
			yield("", fmt.Errorf("hunter22 ends: %w", ctx.Err()))
		}
	}
}

func TestTheOutputThatADriverKeepsIsShownAndScrubbed(t *testing.T) {
	s := newSite(t)
	s.kinds = func(r *drivers.Registry) {
		drivers.DefineKind(r, "talker", "Talks.", func(o drivers.Opening, _ *thingConfig) (drivers.Driver, error) {
			return talker{s.thing(o.Address)}, nil
		})
	}
	s.write("web.hcl", "service \"web\" {\n  talker \"t0\" {}\n}\n")
	s.boot()
	s.until("it is up", func(f engine.Fact) bool { return f.Address == "web/talker.t0" && f.To == "up" })
	s.agent.o.Scrubber.Learn("db", "hunter22")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var lines []string
	var end error
	for line, err := range s.agent.Logs(ctx, "web/talker.t0", 2, true) {
		if end = err; err != nil {
			break
		}
		if lines = append(lines, line); len(lines) == 2 {
			cancel()
		}
	}
	if want := `line 0 of ${secret("db")},line 1 of ${secret("db")}`; strings.Join(lines, ",") != want {
		t.Errorf("lines: %q", lines)
	}
	if end == nil || strings.Contains(end.Error(), "hunter22") {
		t.Errorf("it ended with %v", end)
	}
}
