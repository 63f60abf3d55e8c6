package main

import (
	"cmp"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// benchLine takes a benchmark's own measure of processor time, else its wall time.
var benchLine = regexp.MustCompile(`(?m)^Benchmark\S+\s+\d+\s+([0-9.]+) ns/op(?:.*\s([0-9.]+) cpu-(ns|µs)/op)?`)

// probes runs the benchmarks of the kinds that ask the kernel.
func (b *bench) probes() {
	for _, p := range []struct{ kind, bench string }{{"ip", "BenchmarkStatus$"}, {"mount", "BenchmarkProbe$"}} {
		r := &row{section: "probes", what: "one " + p.kind + " probe", unit: "µs", target: "≤ 50", values: map[string]samples{},
			note: "the package's own benchmark on a real kernel object"}
		figures, err := b.benchmark("./drivers/"+p.kind, p.bench, "2000x")
		if err != nil {
			b.report.missing("probes, "+p.kind, err)
			continue
		}
		for _, ns := range figures {
			put(r, us, ns/1000)
		}
		r.below(50)
		b.report.add(r)
	}
}

// benchmark runs a package's own benchmark five times and answers its nanoseconds.
func (b *bench) benchmark(pkg, name, times string) (ns []float64, err error) {
	cmd := exec.Command("go", "test", "-run", "^$", "-bench", name, "-count", "5", "-benchtime", times, pkg)
	cmd.Dir = b.root
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, lastLine(out))
	}
	for _, m := range benchLine.FindAllStringSubmatch(string(out), -1) {
		v, err := strconv.ParseFloat(cmp.Or(m[2], m[1]), 64)
		if err != nil {
			continue
		}
		if m[3] == "µs" {
			v *= 1000
		}
		ns = append(ns, v)
	}
	if len(ns) == 0 {
		return nil, fmt.Errorf("its benchmark gave no figure (does it need root?): %s", lastLine(out))
	}
	return ns, nil
}

func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}
