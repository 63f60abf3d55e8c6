package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// linter is a program that looks for mistakes in what it would run.
type linter struct {
	name    string
	program string
	pack    string // of Debian
	// write makes n services without a mistake, and answers the command to check them.
	write func(dir string, n int) ([]string, error)
}

var linters = []linter{
	{"promtool rules", "promtool", "prometheus", writeRules},
	{"promtool config", "promtool", "prometheus", writeScrapes},
	{"haproxy -c", "haproxy", "haproxy", writeProxies},
	{"nginx -t", "nginx", "nginx", writeHosts},
	{"monit -t", "monit", "monit", writeMonits},
}

// lintPrograms are the columns of the linters' table.
func lintPrograms() []string {
	names := []string{us}
	for _, l := range linters {
		names = append(names, l.name)
	}
	return names
}

// checking is one command on one input.
type checking struct {
	program string
	n       int
	argv    []string
}

// lint measures how long whole processes look for mistakes, and what they need for it.
func (b *bench) lint() {
	line := func(what, unit, target string) *row {
		return &row{section: "lint", what: what, unit: unit, target: target, values: map[string]samples{}, columns: lintPrograms()}
	}
	times := map[int]*row{
		1:      line("1 service, start of the process included", "ms", "≤ 25"),
		100:    line("100 services", "ms", ""),
		1000:   line("1,000 services", "ms", "≤ 150"),
		10_000: line("10,000 services", "ms", ""),
	}
	memory := line("most memory for 1,000 services", "MiB", "≤ 90")
	large := line("most memory for 10,000 services", "MiB", "")
	linear := line("time for 10,000 services by that for 1,000", "ratio", "linear (≤ 11)")
	times[1000].note = "nomad job validate needs 206 ms and tofu validate 322 ms for as many, measured elsewhere on another machine: Debian has neither"
	all, err := b.checkings()
	if err != nil {
		b.report.missing("lint", err)
		return
	}
	for i := range b.lints {
		for _, c := range all {
			if c.n > 1000 && i >= 3 {
				continue
			}
			if err := c.run(times[c.n]); err != nil {
				b.report.missing("lint, "+c.program, err)
			}
		}
	}
	for _, c := range all {
		to := map[int]*row{1000: memory, 10_000: large}[c.n]
		if to == nil {
			continue
		}
		if mib, err := weight(c.argv); err == nil {
			put(to, c.program, mib)
		} else {
			b.report.missing("lint, memory of "+c.program, err)
		}
	}
	if ours := times[1000].values[us]; len(ours) > 0 {
		put(linear, us, times[10_000].values[us].median()/ours.median())
		times[1].below(25)
		times[1000].below(150)
		memory.below(90)
		linear.below(11)
	}
	b.report.add(times[1], times[100], times[1000], times[10_000], linear, memory, large)
	b.edited(line("1 of 1,000 files changed in a set that is loaded, as an editor and the agent do", "ms", ""))
}

// edited runs the loader's own benchmark of one changed file.
func (b *bench) edited(r *row) {
	figures, err := b.benchmark("./spec", "BenchmarkLoadOneChanged$", "300x")
	if err != nil {
		b.report.missing("lint, one changed file", err)
		return
	}
	for _, ns := range figures {
		put(r, us, ns/1e6)
	}
	r.note = "the package's own benchmark, with simpler services"
	b.report.add(r)
}

// checkings writes all inputs.
func (b *bench) checkings() (all []checking, err error) {
	for _, n := range []int{1, 100, 1000, 10_000} {
		dir := b.folder(us)
		if err := writeSet(dir, n); err != nil {
			return nil, err
		}
		all = append(all, checking{us, n, []string{b.svcctl, "validate", dir}})
	}
	for _, l := range linters {
		path, err := exec.LookPath(l.program)
		if err != nil {
			if path, err = exec.LookPath("/usr/sbin/" + l.program); err != nil {
				b.report.missing("lint, "+l.name, fmt.Errorf("%s is not installed (apt-get install %s)", l.program, l.pack))
				continue
			}
		}
		for _, n := range []int{1, 100, 1000} {
			dir := b.folder(l.program)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return nil, err
			}
			argv, err := l.write(dir, n)
			if err != nil {
				return nil, err
			}
			all = append(all, checking{l.name, n, append([]string{path}, argv...)})
		}
	}
	return all, nil
}

func (c checking) run(r *row) error {
	began := time.Now()
	out, err := exec.Command(c.argv[0], c.argv[1:]...).CombinedOutput()
	took := time.Since(began)
	if err != nil {
		return fmt.Errorf("%s finds mistakes where there are none: %w: %s", c.program, err, lastLine(out))
	}
	put(r, c.program, millis(took))
	return nil
}

// weight is the most memory that a command needs. A process begins with the memory of
// who starts it, so that a small one must.
func weight(argv []string) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, fmt.Errorf("cannot find this program: %w", err)
	}
	out, err := exec.Command(self, append([]string{"weigh"}, argv...)...).Output()
	if err != nil {
		return 0, fmt.Errorf("cannot weigh %s: %w", argv[0], err)
	}
	var kib float64
	if err := json.Unmarshal(out, &kib); err != nil {
		return 0, fmt.Errorf("cannot weigh %s: %w", argv[0], err)
	}
	return kib / 1024, nil
}

// weigh is the small process: it runs a command and writes its most KiB.
func weigh(argv []string) {
	cmd := exec.Command(argv[0], argv[1:]...)
	err := cmd.Run()
	usage, is := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if err != nil || !is {
		fmt.Fprintln(os.Stderr, "bench:", cmp.Or(err, errors.New("the kernel tells nothing of it")))
		os.Exit(1)
	}
	fmt.Println(usage.Maxrss)
}

// writeSet makes n files of one service each, with three resources that read each other
// and a local of another file, nine of ten with a service that they require.
func writeSet(dir string, n int) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "common.hcl"), []byte("locals {\n  user = \"nobody\"\n  base = \"/srv\"\n}\n"), 0o644); err != nil {
		return err
	}
	for i := range n {
		requires := ""
		if i%10 > 0 {
			requires = fmt.Sprintf("  requires    = [\"s%05d\"]\n", i-1)
		}
		text := fmt.Sprintf(setFile, i, i, requires, i, i, i/62500, i/250%250, i%250+1)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("s%05d.hcl", i)), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

const setFile = `service "s%05d" {
  description = "Service %d"
%s  rto         = "10s"

  mount "data" {
    device = "/dev/vg0/s%05d"
    path   = "${local.base}/s%05d"
  }

  ip "vip" {
    address   = "10.%d.%d.%d/24"
    interface = "eth0"
  }

  app "main" {
    command = ["/usr/bin/server", "--data", mount.data.path, "--listen", hostport(ip.vip.host, 8080)]
    user    = local.user
    env     = { LOG = "info" }

    restart {
      attempts = 3
      within   = "1m"
    }

    check "http" "ready" {
      url   = "http://${hostport(ip.vip.host, 8080)}/health"
      every = "2s"
    }
  }
}
`

// one writes what each of n services needs into one file, between a head and a foot.
func one(path string, n int, head, foot string, each func(i int) string) error {
	var b strings.Builder
	b.WriteString(head)
	for i := range n {
		b.WriteString(each(i))
	}
	b.WriteString(foot)
	return os.WriteFile(path, []byte(b.String()), 0o600) // monit reads no file that others may
}
