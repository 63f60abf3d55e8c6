package main

import (
	"fmt"
	"path/filepath"
	"syscall"
	"time"
)

const (
	restartSamples = 40
	crashFor       = 10 * time.Second
)

// supervised starts one supervisor, ours or a peer, on services and returns how to end it.
func (b *bench) supervised(name, dir string, services []service, env map[string]string) (*running, func(), error) {
	if name == us {
		for i := range services {
			services[i].env = env
		}
		o, err := launchOurs(b.svcctl, dir, services)
		if err != nil {
			return nil, nil, err
		}
		return &o.running, o.end, nil
	}
	for _, p := range peers {
		if p.name != name {
			continue
		}
		var vars []string
		for k, v := range env {
			vars = append(vars, k+"="+v)
		}
		r, err := p.launch(dir, services, vars...)
		if err != nil {
			return nil, nil, err
		}
		return r, func() { p.end(r) }, nil
	}
	panic("internal error: no peer " + name)
}

// restarts measures from kill -9 of a service's process to the first instruction of
// its next one. Each kill is a service's first, and each had run for two seconds.
func (b *bench) restarts() {
	r := &row{section: "restart", what: "kill -9 to the new process", unit: "ms", target: "≤ runit", values: map[string]samples{}}
	for _, name := range programs {
		s, err := b.restartsOf(name)
		if err != nil {
			b.report.missing("restart, "+name, err)
			continue
		}
		r.values[name] = s
	}
	if runit, ok := r.values["runit"]; ok {
		r.below(runit.median())
	}
	b.report.add(r)
}

func (b *bench) restartsOf(name string) (samples, error) {
	st, err := newStamps(b.folder("stamps"))
	if err != nil {
		return nil, err
	}
	defer st.close()
	services := make([]service, restartSamples)
	for i := range services {
		services[i] = service{name: fmt.Sprintf("r%03d", i), args: []string{b.stamper}}
	}
	_, stop, err := b.supervised(name, b.folder(name), services, map[string]string{"STAMP_TO": st.path})
	if err != nil {
		return nil, err
	}
	defer stop()
	var pids []int
	for range services {
		s, err := st.next(15 * time.Second)
		if err != nil {
			return nil, err
		}
		pids = append(pids, s.pid)
	}
	time.Sleep(2500 * time.Millisecond) // runit and s6 hold back a process that ran for less than a second
	var out samples
	for _, pid := range pids {
		time.Sleep(30 * time.Millisecond)
		killed := monotonic()
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			return nil, fmt.Errorf("cannot kill %d: %w", pid, err)
		}
		s, err := st.next(5 * time.Second)
		if err != nil {
			return nil, err
		}
		out = append(out, float64(s.at-killed)/1e6)
	}
	return out, nil
}

// crashes counts how often a program is started that ends at once.
func (b *bench) crashes() {
	r := &row{section: "crash loop", what: fmt.Sprintf("starts in %s of a program that exits 1 at once", crashFor), unit: "starts",
		target: "braked, never given up", values: map[string]samples{},
		note: "supervisor gives up after its fourth start; runit and s6 go on once a second; ours doubles its delay from 100 ms to 30 s and goes on"}
	for _, name := range programs {
		n, err := b.crashesOf(name)
		if err != nil {
			b.report.missing("crash loop, "+name, err)
			continue
		}
		r.values[name] = samples{float64(n)}
	}
	r.below(12)
	b.report.add(r)
}

func (b *bench) crashesOf(name string) (int, error) {
	st, err := newStamps(b.folder("stamps"))
	if err != nil {
		return 0, err
	}
	defer st.close()
	_, stop, err := b.supervised(name, b.folder(name), []service{{name: "crash", args: []string{b.stamper}}},
		map[string]string{"STAMP_TO": st.path, "STAMP_DO": "crash"})
	if err != nil {
		return 0, err
	}
	defer stop()
	first, err := st.next(15 * time.Second)
	if err != nil {
		return 0, err
	}
	n := 1
	for end := first.at + crashFor.Nanoseconds(); ; n++ {
		s, err := st.next(max(time.Duration(end-monotonic()), time.Millisecond))
		if err != nil || s.at > end {
			return n, nil
		}
	}
}

func (b *bench) folder(name string) string {
	b.folders++
	return filepath.Join(b.dir, fmt.Sprintf("%02d-%s", b.folders, name))
}
