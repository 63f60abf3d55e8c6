package netns

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Watching tells of namespaces that come and go: a named one is a mount, and the
// kernel tells of each change of the mount table. It is one poll for all who ask, and
// lives while somebody does. It is safe for concurrent use; its zero value is ready.
type Watching struct {
	mu     sync.Mutex
	wishes map[*wish]bool
	wakeup *os.File // closed to end the poll
}

type wish struct {
	path    string
	changed func()
	last    ID // of the poll's goroutine alone

	mu    sync.Mutex // held while changed runs, so that nothing comes after stop
	ended bool
}

// Watch calls changed, from one goroutine and never before it has returned, when another
// namespace is at path, or none any more, until stop has returned. Nothing is told of
// what is below /proc.
func (w *Watching) Watch(path string, changed func()) (stop func(), err error) {
	x := &wish{path: path, changed: changed}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.wishes) == 0 {
		if err := w.begin(); err != nil {
			return nil, fmt.Errorf("cannot watch %s: %w", path, err)
		}
	}
	x.last, _ = Identify(path) // the zero ID is none
	w.wishes[x] = true
	return func() { w.end(x) }, nil
}

func (w *Watching) end(x *wish) {
	w.mu.Lock()
	if w.wishes[x] {
		delete(w.wishes, x)
		if len(w.wishes) == 0 {
			w.wakeup.Close()
		}
	}
	w.mu.Unlock()
	x.mu.Lock() // a call that is under way is waited for
	x.ended = true
	x.mu.Unlock()
}

func (w *Watching) begin() error {
	// Not by os.Open: the runtime's own poller would take each change from ours.
	fd, err := unix.Open("/proc/self/mountinfo", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	quit, wakeup, err := os.Pipe()
	if err != nil {
		unix.Close(fd)
		return err
	}
	w.wishes, w.wakeup = make(map[*wish]bool), wakeup
	go w.poll(fd, quit) // ends when the last wish closes wakeup
	return nil
}

func (w *Watching) poll(table int, quit *os.File) {
	defer unix.Close(table)
	defer quit.Close()
	fds := []unix.PollFd{{Fd: int32(table), Events: unix.POLLPRI}, {Fd: int32(quit.Fd()), Events: unix.POLLIN}}
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
		wishes := make([]*wish, 0, len(w.wishes))
		for x := range w.wishes {
			wishes = append(wishes, x)
		}
		w.mu.Unlock()
		for _, x := range wishes {
			x.look()
		}
	}
}

func (x *wish) look() {
	now, _ := Identify(x.path)
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.ended && now != x.last {
		x.last = now
		x.changed()
	}
}
