package container

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// belief is what the engine last said, or what is left of it after a call.
type belief int

const (
	unsure  belief = iota // nothing was said yet, or a call's end was not seen
	resting               // no process of it runs
	running
)

// memory is what a driver remembers of its container. Guarded by the driver's mutex.
type memory struct {
	id     string
	digest string // of the configuration that id was made with
	belief belief
	begun  time.Time // when the last start was asked for: older events say nothing new
	crash  bool      // it ended by itself: the same container is started again
	oom    bool

	pid     int
	started string // of the process, by the kernel's clock: pids are used again
	changes int    // counts what was heard, so that an older look is not believed
}

// crashed is the id of a container that ended by itself and can be started as it is.
func (d *driver) crashed(digest string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known.crash && d.known.digest == digest {
		return d.known.id
	}
	return ""
}

func (d *driver) notCrashed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known.crash = false
}

func (d *driver) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = memory{belief: resting, begun: d.known.begun, changes: d.known.changes + 1}
}

// attempts notes that a start is under way, and returns what was believed before.
func (d *driver) attempts(id string) belief {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := d.known.belief
	d.known.belief, d.known.changes = unsure, d.known.changes+1
	if d.known.id != id {
		d.known.id, d.known.digest = id, ""
	}
	d.known.crash, d.known.oom = false, false
	return before
}

func (d *driver) attempted(before belief, id string, begin time.Time, done, refused bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case done:
		d.known.begun = begin
		if d.known.belief == unsure {
			d.known.belief = running
		}
		d.known.pid, d.known.started = 0, ""
	case refused && d.known.id == id:
		d.known.belief = before
	}
}

// surelyGone tells whether no process of it can be there, though the engine is silent:
// it had said so, and was asked for nothing since, or the process is seen to be gone.
func (d *driver) surelyGone() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch d.known.belief {
	case resting:
		return true
	case running:
		return d.known.pid != 0 && !alive(d.known.pid, d.known.started)
	case unsure:
		return false
	default:
		panic("internal error: belief " + strconv.Itoa(int(d.known.belief)))
	}
}

// killKnown kills the main process, which takes all others of the container with it.
func (d *driver) killKnown() bool {
	d.mu.Lock()
	pid, started := d.known.pid, d.known.started
	d.mu.Unlock()
	if pid == 0 {
		return false
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return err == unix.ESRCH
	}
	defer unix.Close(fd)
	if !alive(pid, started) { // the pid is another's by now
		return true
	}
	return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
}

func alive(pid int, started string) bool { return started != "" && startOf(pid) == started }

// startOf is when a process began, in the kernel's ticks; "" for one that has ended.
func startOf(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The name, in brackets, may hold anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}
