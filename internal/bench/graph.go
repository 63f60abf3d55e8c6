package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
)

// graph measures what starting in order costs beyond the slowest way through: apps
// that each say READY=1 one second after their start.
func (b *bench) graph() {
	for _, g := range []struct {
		what     string
		more     string
		critical float64 // seconds
		apps     int
	}{
		{"20 independent apps of 1 s each: wall / critical path", readyApps(b.stamper, 19, false), 1, 20},
		{"a chain of 4 apps of 1 s each: wall / critical path", readyApps(b.stamper, 3, true), 4, 4},
	} {
		r := &row{section: "graph", what: g.what, unit: "ratio", target: "≤ 1.03", values: map[string]samples{},
			note: "from the command to the event that the service is up; each app's readiness is awaited by sd_notify. runit and supervisor can't wait for readiness"}
		s, err := b.graphOf(g.more, g.critical, g.apps)
		if err != nil {
			b.report.missing(g.what, err)
			continue
		}
		r.values[us] = s
		r.below(1.03)
		b.report.add(r)
	}
}

// readyApps writes n more apps beside the one named main, each after the one before
// where they are a chain.
func readyApps(stamper string, n int, chain bool) string {
	var b strings.Builder
	b.WriteString("  orchestrate = \"manual\"\n")
	last := "main"
	for i := range n {
		name := fmt.Sprintf("a%d", i)
		fmt.Fprintf(&b, "  app %q {\n    command = [%q]\n    ready = \"notify\"\n    env = { STAMP_TO = \"STAMPS\", STAMP_NAME = %q, STAMP_DO = \"ready\" }\n", name, stamper, name)
		if chain {
			fmt.Fprintf(&b, "    after = [app.%s]\n", last)
		}
		b.WriteString("  }\n")
		last = name
	}
	return b.String()
}

func (b *bench) graphOf(more string, critical float64, apps int) (samples, error) {
	st, err := newStamps(b.folder("stamps"))
	if err != nil {
		return nil, err
	}
	defer st.close()
	s := service{name: "graph", args: []string{b.stamper}, more: strings.ReplaceAll(more, "STAMPS", st.path),
		env: map[string]string{"STAMP_TO": st.path, "STAMP_NAME": "main", "STAMP_DO": "ready"}, hcl: "    ready = \"notify\""}
	o, err := launchOurs(b.svcctl, b.folder(us), []service{s})
	if err != nil {
		return nil, err
	}
	defer o.end()
	if err := o.settled(10*time.Second, 1, engine.InstanceDown); err != nil {
		return nil, err
	}
	var out samples
	for range 5 {
		began := time.Now()
		if err := o.command(engine.CommandStart, []string{s.name}); err != nil {
			return nil, err
		}
		if _, err := o.until(20*time.Second, serviceIs(engine.InstanceUp)); err != nil {
			return nil, err
		}
		wall := time.Since(began).Seconds()
		for range 2 * apps {
			if _, err := st.next(time.Second); err != nil {
				return nil, fmt.Errorf("an app did not say that it is ready, and the service is up all the same: %w", err)
			}
		}
		out = append(out, wall/critical)
		if err := o.command(engine.CommandStop, []string{s.name}); err != nil {
			return nil, err
		}
		if _, err := o.until(20*time.Second, serviceIs(engine.InstanceDown)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func serviceIs(state engine.InstanceState) func(api.Event) bool {
	return func(e api.Event) bool { return e.Kind == engine.FactService && e.To == string(state) }
}
