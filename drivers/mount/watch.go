package mount

import (
	"fmt"
	"os"
	"sync"

	"github.com/svcctl/svcctl/drivers"
	"golang.org/x/sys/unix"
)

// watch is the one poll of the mount table for all mounts of the program. It begins
// with the first subscription and ends with the last. What it can't see are errors
// inside a file system: these change no mount, and the slow probe finds them.
type watch struct {
	mu     sync.Mutex
	subs   map[*subscription]bool
	wakeup *os.File // closed to end the poll
}

type subscription struct {
	driver  *driver
	changed func(drivers.Status)

	mu    sync.Mutex
	ended bool
	stale uint64 // this reading of the table, and all before it, count no more
	last  drivers.Status
}

// Watch implements drivers.Watcher.
func (d *driver) Watch(changed func(drivers.Status)) (stop func(), err error) {
	s := &subscription{driver: d, changed: changed}
	w := &d.host.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.subs) == 0 {
		if err := w.begin(); err != nil {
			return nil, fmt.Errorf("cannot watch the mount table: %w", err)
		}
	}
	// Taken after the poll has begun, so that nothing is lost in between.
	if s.last, err = d.glance(); err != nil {
		if len(w.subs) == 0 {
			w.wakeup.Close()
		}
		return nil, err
	}
	w.subs[s] = true
	return func() { w.end(s) }, nil
}

func (w *watch) end(s *subscription) {
	w.mu.Lock()
	if w.subs[s] {
		delete(w.subs, s)
		if len(w.subs) == 0 {
			w.wakeup.Close()
		}
	}
	w.mu.Unlock()
	s.mu.Lock() // a call that is under way is waited for
	s.ended = true
	s.mu.Unlock()
}

func (w *watch) begin() error {
	table, err := openTable()
	if err != nil {
		return err
	}
	quit, wakeup, err := os.Pipe()
	if err != nil {
		table.Close()
		return err
	}
	w.subs, w.wakeup = make(map[*subscription]bool), wakeup
	go w.poll(table, quit)
	return nil
}

func (w *watch) poll(table, quit *os.File) {
	defer table.Close()
	defer quit.Close()
	fds := []unix.PollFd{{Fd: int32(table.Fd()), Events: unix.POLLPRI}, {Fd: int32(quit.Fd()), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
			panic("internal error: cannot poll the mount table: " + err.Error())
		}
		if fds[1].Revents != 0 {
			return
		}
		if fds[0].Revents == 0 {
			continue
		}
		w.mu.Lock()
		subs := make([]*subscription, 0, len(w.subs))
		for s := range w.subs {
			subs = append(subs, s)
		}
		w.mu.Unlock()
		tell(subs)
	}
}

// tell reads the table once for all.
func tell(subs []*subscription) {
	if len(subs) == 0 {
		return
	}
	configs, views := make([]*Config, len(subs)), make([]view, len(subs))
	for i, s := range subs {
		configs[i] = s.driver.current()
	}
	table := &subs[0].driver.host.table
	table.mu.Lock()
	text, err := table.read()
	if err == nil {
		for i, c := range configs {
			views[i] = lookIn(text, c.Path, c.bindSource())
			views[i].reading = table.readings
		}
	}
	table.mu.Unlock()
	if err != nil {
		return // the probes meet the same error and return it
	}
	for i, s := range subs {
		s.tell(s.driver.judge(configs[i], &views[i]), views[i].reading)
	}
}

// tell passes on what a reading of the table shows, unless a call is changing the
// mount: a bind mount is read-write until it is made read-only.
func (s *subscription) tell(now drivers.Status, reading uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || reading <= s.stale || now == s.last || s.driver.host.calls.busy(s.driver.current().Path) {
		return
	}
	s.last, s.stale = now, reading
	s.changed(now)
}

// settle ends a call on a mount point. What was read of the table before may show
// the call half done, so it is dropped, however late it comes, and the table is read
// once more for what was not told meanwhile.
func (h *host) settle(path string, end func()) {
	h.watch.mu.Lock()
	var subs []*subscription
	for s := range h.watch.subs {
		if s.driver.current().Path == path {
			subs = append(subs, s)
		}
	}
	h.watch.mu.Unlock()
	last := h.table.last()
	for _, s := range subs {
		s.mu.Lock()
		s.stale = max(s.stale, last)
		s.mu.Unlock()
	}
	end()
	tell(subs)
}

// glance is a probe that runs no tool: a tag nobody resolved yet is not resolved.
func (d *driver) glance() (drivers.Status, error) {
	c := d.current()
	var v view
	if err := d.host.table.look(c.Path, c.bindSource(), &v); err != nil {
		return drivers.Status{}, err
	}
	return d.judge(c, &v), nil
}
