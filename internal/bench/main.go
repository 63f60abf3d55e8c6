// Command bench measures svcctl and the supervisors of Debian side by side, with real processes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// bench is one run.
type bench struct {
	report  report
	root    string // of the module
	dir     string // for all that the run makes
	folders int

	svcctl  string
	stamper string
	sleep   string

	services int
	rounds   int
	reloads  int
	lints    int
	settle   time.Duration
	idle     time.Duration
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		serve()
		return
	}
	if len(os.Args) > 2 && os.Args[1] == "weigh" {
		weigh(os.Args[2:])
		return
	}
	b := &bench{}
	only := flag.String("only", "", "comma-separated sections: restart,crash,many,graph,reload,checks,probes,container,lint; default all")
	write := flag.String("write", "", "write the figures into this document, between its two marks")
	flag.StringVar(&b.svcctl, "svcctl", "", "the program to measure, with svcctl-keeper beside it; default: build both")
	flag.IntVar(&b.services, "services", 1000, "how many services are many")
	flag.IntVar(&b.rounds, "rounds", 3, "how often the many are started and stopped")
	flag.IntVar(&b.reloads, "reloads", 1000, "how many reloads memory must survive")
	flag.IntVar(&b.lints, "lints", 15, "how often each linter looks at the same files")
	flag.DurationVar(&b.settle, "settle", 8*time.Second, "rest before memory is looked at")
	flag.DurationVar(&b.idle, "idle", 30*time.Second, "how long idle time is measured")
	flag.Parse()
	if err := b.run(*only, *write); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (b *bench) run(only, write string) error {
	where := machine()
	fmt.Println(where)
	if err := b.build(); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	defer b.removeGroups()
	for _, s := range []struct {
		name string
		run  func()
	}{
		{"restart", b.restarts}, {"crash", b.crashes}, {"many", b.thousand}, {"graph", b.graph},
		{"reload", b.reload}, {"checks", b.checks}, {"probes", b.probes}, {"container", b.containers}, {"lint", b.lint},
	} {
		if only == "" || slices.Contains(strings.Split(only, ","), s.name) {
			s.run()
		}
	}
	if write == "" {
		return nil
	}
	return b.document(write, where)
}

// build makes the programs as they are shipped: without symbols.
func (b *bench) build() error {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return fmt.Errorf("cannot find the module: %w (run it inside the repository)", err)
	}
	b.root = filepath.Dir(strings.TrimSpace(string(out)))
	if b.dir, err = os.MkdirTemp("", "svcctl-bench-"); err != nil {
		return err
	}
	_ = os.Chmod(b.dir, 0o755)
	b.stamper, b.sleep = filepath.Join(b.dir, "stamper"), filepath.Join(b.dir, sleeper)
	builds := [][2]string{{b.stamper, "./internal/bench/testdata/stamper"}}
	if b.svcctl == "" {
		b.svcctl = filepath.Join(b.dir, "svcctl")
		builds = append(builds, [2]string{b.svcctl, "./cmd/svcctl"}, [2]string{filepath.Join(b.dir, "svcctl-keeper"), "./cmd/svcctl-keeper"})
	}
	for _, p := range builds {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", p[0], p[1])
		cmd.Dir, cmd.Stderr = b.root, os.Stderr
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("cannot build %s: %w", p[1], err)
		}
	}
	path, err := exec.LookPath("sleep")
	if err != nil {
		return errors.New("cannot measure: there is no sleep in PATH")
	}
	return os.Symlink(path, b.sleep)
}

// document puts the tables between their marks in a document. One that was not measured
// this time is left as it is.
func (b *bench) document(path, where string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("cannot write the figures: %w", err)
	}
	text := string(content)
	for _, t := range []struct {
		mark string
		lint bool
	}{{"figures", false}, {"linters", true}} {
		table := b.report.markdown(t.lint)
		if table == "" {
			continue
		}
		begin, end := fmt.Sprintf("<!-- %s: written by make bench -->\n", t.mark), fmt.Sprintf("<!-- end of %s -->\n", t.mark)
		before, rest, ok := strings.Cut(text, begin)
		_, after, found := strings.Cut(rest, end)
		if !ok || !found {
			return fmt.Errorf("cannot write the figures into %s: it lacks the lines %q and %q", path, strings.TrimSpace(begin), strings.TrimSpace(end))
		}
		figures := fmt.Sprintf("\nMachine: %s. Date: %s. Command: `go run ./internal/bench %s`.\nA cell is the median (smallest–largest); [×n] is the peer as a multiple of ours.\n\n%s\n",
			where, time.Now().UTC().Format("2006-01-02 15:04 UTC"), strings.Join(os.Args[1:], " "), table)
		text = before + begin + figures + end + after
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
