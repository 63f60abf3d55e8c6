// Package disk checks how full a file system is: its space and its inodes.
package disk

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
)

//go:embed example.hcl
var example string

// Register adds the check to r.
func Register(r *drivers.Registry) {
	drivers.DefineCheck(r, "disk", "Looks at the space and the inodes of a file system, and measures both. A file system that hangs fails the check and holds up nothing else.", open, drivers.WithExample(example))
}

func open(_ drivers.Opening, c *Config) (drivers.Prober, error) {
	p := &prober{config: c, look: look}
	for _, l := range []struct {
		to    *limit
		text  string
		bytes bool
	}{{&p.minFree, c.MinFree, true}, {&p.maxUsed, c.MaxUsed, true}, {&p.minInodes, c.MinFreeInodes, false}, {&p.maxInodes, c.MaxUsedInodes, false}} {
		var err error
		if *l.to, err = parseLimit(l.text, l.bytes); err != nil {
			return nil, fmt.Errorf("cannot check %s: %q %w", c.Path, l.text, err)
		}
	}
	return p, nil
}

// usage is what the kernel says of a file system.
type usage struct {
	size, free, available uint64 // bytes; available: to users without privileges
	inodes, freeInodes    uint64 // 0 inodes: they are made as needed
	root                  bool   // the path is where it is mounted
}

func look(path string) (u usage, err error) {
	var f unix.Statfs_t
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		err = unix.Statfs(path, &f)
	}
	if err != nil {
		return u, err
	}
	unit := uint64(f.Frsize)
	if unit == 0 {
		unit = uint64(f.Bsize)
	}
	u = usage{size: f.Blocks * unit, free: f.Bfree * unit, available: f.Bavail * unit, inodes: f.Files, freeInodes: f.Ffree}
	var x unix.Statx_t
	for err = unix.EINTR; errors.Is(err, unix.EINTR); {
		err = unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC, 0, &x)
	}
	u.root = x.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	return u, err
}

type prober struct {
	config               *Config
	look                 func(path string) (usage, error)
	minFree, maxUsed     limit
	minInodes, maxInodes limit

	mu       sync.Mutex
	pending  *question // nil: the kernel has answered
	measured []drivers.Perf
}

// question is one that the kernel was asked. Nothing ends it but its answer, so that
// there is never a second one of the same check.
type question struct {
	asked    time.Time
	answered chan struct{}
	usage    usage
	err      error
}

// Measured implements drivers.Measurer.
func (p *prober) Measured() []drivers.Perf { return p.measured }

// Status asks the kernel on a goroutine of its own, and gives up the wait, not the
// question, once ctx ends.
func (p *prober) Status(ctx context.Context) (drivers.Status, error) {
	p.measured = nil
	q := p.ask()
	select {
	case <-q.answered:
	case <-ctx.Done():
		return drivers.Status{State: drivers.Down, Detail: fmt.Sprintf("the file system of %s has not answered for %s (does its device or its server still answer?)", p.config.Path, time.Since(q.asked).Round(time.Millisecond))}, nil
	}
	switch {
	case errors.Is(q.err, unix.ENOENT):
		return drivers.Status{State: drivers.Down, Detail: p.config.Path + " does not exist"}, nil
	case q.err != nil:
		return drivers.Status{State: drivers.Down, Detail: fmt.Sprintf("cannot look at %s: %v", p.config.Path, q.err)}, nil
	case p.config.Mounted && !q.usage.root:
		return drivers.Status{State: drivers.Down, Detail: fmt.Sprintf("nothing is mounted at %s", p.config.Path)}, nil
	}
	return p.judge(q.usage), nil
}

func (p *prober) ask() *question {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pending != nil {
		return p.pending
	}
	q := &question{asked: time.Now(), answered: make(chan struct{})}
	p.pending = q
	go func() {
		q.usage, q.err = p.look(p.config.Path)
		p.mu.Lock()
		p.pending = nil
		p.mu.Unlock()
		close(q.answered)
	}()
	return q
}

func (p *prober) judge(u usage) drivers.Status {
	used := float64(u.size - min(u.free, u.size))
	available := float64(u.available)
	// Parts are of what users can have: what is reserved for root is neither used nor free.
	whole := used + available
	p.measured = []drivers.Perf{
		{Label: "size", Value: float64(u.size), Unit: "bytes"}, {Label: "free", Value: available, Unit: "bytes"}, {Label: "used", Value: used, Unit: "bytes"},
		{Label: "used_percent", Value: percent(used, whole), Unit: "percent"},
	}
	var why []string
	if l := p.minFree; l.set && available < l.of(whole) {
		why = append(why, fmt.Sprintf("%s free, wanted at least %s", shown(available, whole, l.part), l.text))
	}
	if l := p.maxUsed; l.set && used > l.of(whole) {
		why = append(why, fmt.Sprintf("%s used, wanted at most %s", shown(used, whole, l.part), l.text))
	}
	if u.inodes > 0 {
		all, free := float64(u.inodes), float64(min(u.freeInodes, u.inodes))
		p.measured = append(p.measured, drivers.Perf{Label: "inodes_free", Value: free}, drivers.Perf{Label: "inodes_used", Value: all - free})
		if l := p.minInodes; l.set && free < l.of(all) {
			why = append(why, fmt.Sprintf("%s inodes free, wanted at least %s", counted(free, all, l.part), l.text))
		}
		if l := p.maxInodes; l.set && all-free > l.of(all) {
			why = append(why, fmt.Sprintf("%s inodes used, wanted at most %s", counted(all-free, all, l.part), l.text))
		}
	}
	if len(why) > 0 {
		return drivers.Status{State: drivers.Down, Detail: "the file system of " + p.config.Path + " has " + strings.Join(why, "; ")}
	}
	return drivers.Status{State: drivers.Up}
}

func percent(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * part / whole
}

func shown(n, whole float64, part bool) string {
	if part {
		return fmt.Sprintf("%.1f%%", percent(n, whole))
	}
	unit := ""
	for _, u := range []string{"K", "M", "G", "T", "P"} {
		if n < 1024 {
			break
		}
		n, unit = n/1024, u
	}
	if unit == "" {
		return fmt.Sprintf("%.0f bytes", n)
	}
	return fmt.Sprintf("%.1f%s", n, unit)
}

func counted(n, whole float64, part bool) string {
	if part {
		return fmt.Sprintf("%.1f%%", percent(n, whole))
	}
	return fmt.Sprintf("%.0f", n)
}
