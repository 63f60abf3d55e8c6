package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// sleeper is the name that the thousand services bear, so that they can be told from
// every other process of the host.
const sleeper = "svcbench-sleep"

func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("internal error: " + err.Error())
	}
	return ts.Nano()
}

// census counts processes by their command name without reading any of them twice.
type census struct {
	name   string
	known  map[int]bool
	others map[int]bool // that were there before: looking at them would load the host
}

// newCensus is made before the processes that it counts.
func newCensus() *census {
	c := &census{name: sleeper, others: map[int]bool{}}
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, n := range names {
		pid, _ := strconv.Atoi(filepath.Base(n))
		c.others[pid] = true
	}
	return c
}

// pids lists those with the census's name that exist now.
func (c *census) pids() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	now := make(map[int]bool, len(names))
	var out []int
	for _, n := range names {
		pid, err := strconv.Atoi(n)
		if err != nil || c.others[pid] {
			continue
		}
		// Only a name that was right is kept: others may still exec.
		if c.known[pid] || comm(pid) == c.name {
			now[pid] = true
			out = append(out, pid)
		}
	}
	c.known = now
	return out
}

func (c *census) count() int { return len(c.pids()) }

func comm(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// statOf returns the fields of /proc/PID/stat from the state on.
func statOf(pid int) []string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	return strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
}

// family lists a process and all below it, without the services.
func family(root int) []int {
	parents := map[int]int{}
	names, _ := filepath.Glob("/proc/[0-9]*")
	for _, n := range names {
		pid, _ := strconv.Atoi(filepath.Base(n))
		if f := statOf(pid); len(f) > 1 && f[0] != "Z" {
			parents[pid], _ = strconv.Atoi(f[1])
		}
	}
	out := []int{root}
	for pid := range parents {
		for p, hops := parents[pid], 0; p > 1 && hops < 8; p, hops = parents[p], hops+1 {
			if name := comm(pid); p == root && name != sleeper && name != "stamper" {
				out = append(out, pid)
				break
			}
		}
	}
	slices.Sort(out)
	return out
}

// memory is the proportional set size of processes in MiB: in all, and that part of
// it that belongs to no file.
func memory(pids []int) (pss, anonymous float64) {
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) < 2 {
				continue
			}
			kib, _ := strconv.ParseFloat(f[1], 64)
			switch f[0] {
			case "Pss:":
				pss += kib / 1024
			case "Pss_Anon:":
				anonymous += kib / 1024
			}
		}
	}
	return pss, anonymous
}

// cpu is the processor time that processes have used; the kernel counts it in
// hundredths of a second.
func cpu(pids []int) time.Duration {
	var ticks int64
	for _, pid := range pids {
		if f := statOf(pid); len(f) > 12 {
			user, _ := strconv.ParseInt(f[11], 10, 64)
			system, _ := strconv.ParseInt(f[12], 10, 64)
			ticks += user + system
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// share is the part of a core, in percent, that processes use during d.
func share(pids []int, d time.Duration) float64 {
	before, start := cpu(pids), time.Now()
	time.Sleep(d)
	return 100 * float64(cpu(pids)-before) / float64(time.Since(start))
}

// wait polls a fact of the kernel that gives no event.
func wait(within, every time.Duration, what string, fact func() bool) error {
	for deadline := time.Now().Add(within); ; time.Sleep(every) {
		if fact() {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s did not come true within %s", what, within)
		}
	}
}

// end ends a process that we started and waits for it.
func end(p *os.Process, sig syscall.Signal, within time.Duration) {
	done := make(chan struct{})
	go func() { _, _ = p.Wait(); close(done) }()
	_ = p.Signal(sig)
	select {
	case <-done:
	case <-time.After(within):
		_ = p.Kill()
		<-done
	}
}

// stamps receives what stampers tell.
type stamps struct {
	path string
	file *os.File
	all  chan stamp
}

type stamp struct {
	name string
	pid  int
	at   int64 // CLOCK_MONOTONIC, ns
}

func newStamps(dir string) (*stamps, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	s := &stamps{path: filepath.Join(dir, "stamps"), all: make(chan stamp, 1<<14)}
	if err := unix.Mkfifo(s.path, 0o666); err != nil {
		return nil, fmt.Errorf("cannot make a FIFO: %w", err)
	}
	var err error
	if s.file, err = os.OpenFile(s.path, os.O_RDWR, 0); err != nil { // both ends, so that it never ends
		return nil, err
	}
	go func() {
		lines := bufio.NewScanner(s.file)
		for lines.Scan() {
			f := strings.Fields(lines.Text())
			if len(f) != 3 {
				continue
			}
			pid, _ := strconv.Atoi(f[1])
			at, _ := strconv.ParseInt(f[2], 10, 64)
			s.all <- stamp{f[0], pid, at}
		}
		close(s.all)
	}()
	return s, nil
}

func (s *stamps) close() { _ = s.file.Close() }

func (s *stamps) next(within time.Duration) (stamp, error) {
	select {
	case st := <-s.all:
		return st, nil
	case <-time.After(within):
		return stamp{}, errors.New("no process was started within " + within.String())
	}
}

func machine() string {
	var u unix.Utsname
	_ = unix.Uname(&u)
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(k) == "model name" {
				model = strings.TrimSpace(v)
				break
			}
		}
	}
	load, _ := os.ReadFile("/proc/loadavg")
	return fmt.Sprintf("%d × %s, Linux %s, %s, load before the run %s",
		runtime.NumCPU(), model, unix.ByteSliceToString(u.Release[:]), runtime.Version(), strings.Join(strings.Fields(string(load))[:3], " "))
}
