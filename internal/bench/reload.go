package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
)

const reloadSamples = 30

// reload measures one changed file among many: how soon it is in force, what it
// disturbs and what a thousand of them leave behind.
func (b *bench) reload() {
	applied := &row{section: "reload", what: fmt.Sprintf("1 of %d files renamed over, to the revision in force", b.services), unit: "ms", target: "≤ 50", values: map[string]samples{}}
	process := &row{section: "reload", what: "the same, to the changed app's new process", unit: "ms", values: map[string]samples{},
		note: "with the end of its old process"}
	grown := &row{section: "reload", what: fmt.Sprintf("PSS after %d reloads, compared with that after 100", b.reloads), unit: "MiB", target: "flat (≤ +2)", values: map[string]samples{}}
	others := &row{section: "reload", what: "other processes that were replaced", unit: "", target: "0", values: map[string]samples{}}
	if err := b.reloadOurs(applied, process, grown, others); err != nil {
		b.report.missing("reload", err)
		return
	}
	applied.below(50)
	grown.below(2)
	others.below(0)
	b.report.add(applied, process, others, grown)
}

func (b *bench) reloadOurs(applied, process, grown, others *row) error {
	st, err := newStamps(b.folder("stamps"))
	if err != nil {
		return err
	}
	defer st.close()
	services, _ := b.sleepers("")
	services = services[1:]
	c := newCensus()
	changing := func(n int) service {
		return service{name: "changing", args: []string{b.stamper}, env: map[string]string{"STAMP_TO": st.path, "STAMP_NAME": fmt.Sprint(n)}}
	}
	o, err := launchOurs(b.svcctl, b.folder(us), append(services, changing(0)))
	if err != nil {
		return err
	}
	defer o.end()
	if err := o.settled(time.Minute, b.services, engine.InstanceUp); err != nil {
		return err
	}
	if _, err := st.next(time.Second); err != nil {
		return err
	}
	if err := o.fromHere(); err != nil { // a thousand starts are more events than the agent keeps
		return err
	}
	before := c.pids()
	time.Sleep(b.settle)
	for i := range reloadSamples {
		time.Sleep(200 * time.Millisecond)
		saved, clock := time.Now(), monotonic()
		if err := o.replace(changing(i + 1)); err != nil {
			return err
		}
		e, err := o.until(10*time.Second, isReload)
		if err != nil {
			return err
		}
		put(applied, us, millis(e.Time.Sub(saved)))
		s, err := st.next(10 * time.Second)
		if err != nil {
			return err
		}
		put(process, us, float64(s.at-clock)/1e6)
	}
	if err := b.reloadMany(o, services[0], grown); err != nil {
		return err
	}
	after := c.pids()
	replaced := 0
	for _, pid := range before {
		if !slices.Contains(after, pid) {
			replaced++
		}
	}
	put(others, us, float64(replaced))
	return nil
}

// reloadMany changes what needs no new process, and looks at memory on the way.
func (b *bench) reloadMany(o *ours, s service, grown *row) error {
	early := 0.0
	for i := range b.reloads {
		s.hcl = fmt.Sprintf("    kill_after = \"%ds\"", 10+i)
		if err := o.replace(s); err != nil {
			return err
		}
		if _, err := o.until(10*time.Second, isReload); err != nil {
			return err
		}
		if i == min(100, b.reloads/2) {
			time.Sleep(b.settle)
			early, _ = memory(family(o.process.Pid))
		}
	}
	time.Sleep(b.settle)
	late, _ := memory(family(o.process.Pid))
	fmt.Printf("  PSS after 100 reloads %.1f MiB, after %d reloads %.1f MiB\n", early, b.reloads, late)
	put(grown, us, late-early)
	return nil
}

// isReload waits for the agent's word that a revision is in force; the engine's own,
// about what is different, comes before it.
func isReload(e api.Event) bool {
	return e.Kind == engine.FactReload && strings.HasPrefix(e.Message, "revision ")
}
