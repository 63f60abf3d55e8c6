package main

import (
	"fmt"
	"time"

	"github.com/svcctl/svcctl/engine"
)

// thousand measures starting, holding and stopping many services of one sleep each.
func (b *bench) thousand() {
	n := b.services
	rows := map[string]*row{}
	order := []string{"cold", "start", "memory", "anon", "idle", "stop"}
	for key, r := range map[string]row{
		"cold":   {what: fmt.Sprintf("%d services: from the supervisor's start to all up", n), unit: "ms"},
		"start":  {what: fmt.Sprintf("%d services: from the command to all up", n), unit: "ms", target: "≤ 1,200"},
		"stop":   {what: fmt.Sprintf("%d services: from the command to all gone", n), unit: "ms", target: "≤ 300"},
		"memory": {what: "PSS of every process of the supervisor", unit: "MiB", target: "≤ 38"},
		"anon":   {what: "of it anonymous memory", unit: "MiB"},
		"idle":   {what: fmt.Sprintf("idle for %s", b.idle), unit: "% core", target: "≤ 0.5"},
	} {
		r.section, r.values = "many", map[string]samples{}
		rows[key] = &r
	}
	rows["start"].note = "the peers have no such command: their supervisor's start is their figure; our services are each one file, started by one API command, and timed until the agent also says that all are up"
	for range b.rounds {
		b.thousandOurs(rows)
		for i := range peers {
			b.thousandPeer(&peers[i], rows)
		}
	}
	if len(rows["start"].values[us]) > 0 {
		rows["start"].below(1200)
		rows["stop"].below(300)
		rows["memory"].below(38)
		rows["idle"].below(0.5)
	}
	for _, key := range order {
		b.report.add(rows[key])
	}
}

func put(r *row, name string, v float64) { r.values[name] = append(r.values[name], v) }

func (b *bench) sleepers(more string) ([]service, []string) {
	services := make([]service, b.services)
	names := make([]string, b.services)
	for i := range services {
		names[i] = fmt.Sprintf("s%04d", i)
		services[i] = service{name: names[i], args: []string{b.sleep, "infinity"}, more: more}
	}
	return services, names
}

func (b *bench) thousandOurs(rows map[string]*row) {
	if err := b.commands(rows); err != nil {
		b.report.missing("many, "+us, err)
		return
	}
	services, _ := b.sleepers("")
	c := newCensus()
	o, err := launchOurs(b.svcctl, b.folder(us), services)
	if err != nil {
		b.report.missing("many, cold start, "+us, err)
		return
	}
	defer o.end()
	if err := wait(time.Minute, 10*time.Millisecond, "all up", func() bool { return c.count() == b.services }); err != nil {
		b.report.missing("many, cold start, "+us, err)
		return
	}
	put(rows["cold"], us, millis(time.Since(o.start)))
}

func (b *bench) commands(rows map[string]*row) (err error) {
	services, names := b.sleepers(`  orchestrate = "manual"`)
	c := newCensus()
	o, err := launchOurs(b.svcctl, b.folder(us), services)
	if err != nil {
		return err
	}
	defer o.end()
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w; the agent says: %s", err, o.lastWords())
		}
	}()
	if err := o.settled(30*time.Second, len(names), engine.InstanceDown); err != nil {
		return err
	}
	o.events.Close() // nobody reads along
	began := time.Now()
	if err := o.command(engine.CommandStart, names); err != nil {
		return err
	}
	if err := wait(time.Minute, 10*time.Millisecond, "all up", func() bool { return c.count() == len(names) }); err != nil {
		return err
	}
	processes := time.Since(began)
	if err := o.settled(30*time.Second, len(names), engine.InstanceUp); err != nil {
		return err
	}
	put(rows["start"], us, millis(time.Since(began)))
	fmt.Printf("  all processes after %.0f ms, all said to be up after %.0f ms\n", millis(processes), millis(time.Since(began)))
	time.Sleep(b.settle)
	b.cost(rows, &o.running)
	began = time.Now()
	if err := o.command(engine.CommandStop, names); err != nil {
		return err
	}
	if err := wait(time.Minute, 5*time.Millisecond, "all gone", func() bool { return c.count() == 0 }); err != nil {
		return err
	}
	put(rows["stop"], us, millis(time.Since(began)))
	if err := o.settled(30*time.Second, len(names), engine.InstanceDown); err != nil {
		return err
	}
	fmt.Printf("  all gone, and said to be down after %.0f ms\n", millis(time.Since(began)))
	return nil
}

// cost measures what holding the services takes.
func (b *bench) cost(rows map[string]*row, r *running) {
	own := family(r.process.Pid)
	pss, anon := memory(own)
	put(rows["memory"], r.name, pss)
	put(rows["anon"], r.name, anon)
	if len(rows["idle"].values[r.name]) == 0 { // once is long enough
		put(rows["idle"], r.name, share(own, b.idle))
	}
}

func (b *bench) thousandPeer(p *peer, rows map[string]*row) {
	services, _ := b.sleepers("")
	c := newCensus()
	r, err := p.launch(b.folder(p.name), services)
	if err != nil {
		b.report.missing("many, "+p.name, err)
		return
	}
	defer p.end(r)
	if err := wait(time.Minute, 10*time.Millisecond, "all up", func() bool { return c.count() == b.services }); err != nil {
		b.report.missing("many, "+p.name, err)
		return
	}
	took := millis(time.Since(r.start))
	put(rows["cold"], p.name, took)
	put(rows["start"], p.name, took)
	time.Sleep(b.settle)
	b.cost(rows, r)
	began := time.Now()
	if err := p.stop(r); err != nil {
		b.report.missing("many, stop, "+p.name, err)
		return
	}
	if err := wait(time.Minute, 5*time.Millisecond, "all gone", func() bool { return c.count() == 0 }); err != nil {
		b.report.missing("many, stop, "+p.name, err)
		return
	}
	put(rows["stop"], p.name, millis(time.Since(began)))
}
