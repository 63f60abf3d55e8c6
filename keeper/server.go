package keeper

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	socketName = "keeper.sock"

	// groupsStay is how long the groups of an ended process stay: a restart finds them.
	groupsStay = 5 * time.Second

	forever  = 100 * 365 * 24 * time.Hour
	endGrace = 20 * time.Second // from SIGTERM to SIGKILL where a unit is ended with all in it
)

// server is the keeper itself. Its goroutines live as long as the process.
type server struct {
	dir   string // of the socket
	logs  string
	name  string   // of its groups and marks: one keeper's on this host
	again []string // arguments that reach Main again
	pid   int
	uid   uint32
	null  *os.File
	idle  time.Duration // how long it stays without need
	unit  bool          // a service manager started it

	groups *groups
	out    *outputs
	births chan *birth
	born   chan struct{}

	forking sync.Mutex // held from a fork until its pid is known; taken before mu

	mu        sync.Mutex
	entries   map[string]*entry
	byPID     map[int]*entry
	lingering map[*entry]struct{} // exited main processes that left others behind
	conns     map[*conn]struct{}
	run       uint64
	census    *census
	scratch   []byte
	resting   *time.Timer
	restAt    bool // resting is set
	idleSince time.Time
	removals  chan string
	shared    bool // the mounts of the host are followed by those of confined processes
	leave     chan struct{}
	retired   bool
	answering int           // calls that are being answered, and births
	holding   chan struct{} // not nil: calls wait until it is closed

	// What it takes to go on as a new program; see replace.go.
	argv     []string
	umask    int
	signals  chan os.Signal
	onMain   bool // the forker is the main thread
	listener *net.UnixListener
	lock     *os.File
	movedOn  int // how often it did
	moves    chan *move
	wanted   chan func(error)
	ended    chan struct{} // closed when the keeper is to end
	reaping  sync.Mutex    // held while ended children are taken from the kernel; taken before forking
}

// live returns when the keeper is not needed any more.
func (s *server) live() {
	tick := time.NewTimer(s.idle)
	defer tick.Stop()
	s.mu.Lock()
	s.resting, s.restAt = tick, true
	s.mu.Unlock()
	for {
		select {
		case id := <-s.removals:
			s.discarded(id)
			continue
		case <-s.leave:
			return
		case reply := <-s.wanted:
			reply(s.replace())
			continue
		case sig := <-s.signals: // what we hold must live: only being needless ends us
			if s.unit && sig == syscall.SIGTERM && s.endAll() {
				return
			}
			if sig == syscall.SIGUSR2 {
				if err := s.replace(); err != nil {
					fmt.Fprintln(os.Stderr, err)
				}
				continue
			}
		case <-tick.C:
		}
		if s.tidy(tick) {
			return
		}
	}
}

// endAll asks everything that runs to end, as a service manager does that ends a unit,
// and leaves once nothing is left. What does not end is the service manager's: it kills
// the unit. It says whether nothing ran at all.
func (s *server) endAll() (nothing bool) {
	s.mu.Lock()
	s.retired = true // from here on a start is refused
	var ids []string
	for id, e := range s.entries {
		if e.alive || e.birth != nil || e.p.Remains > 0 {
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()
	left := int64(len(ids))
	for _, id := range ids {
		s.stopTree(id, syscall.SIGTERM, endGrace, func(error) {
			if atomic.AddInt64(&left, -1) == 0 {
				s.leave <- struct{}{}
			}
		})
	}
	return len(ids) == 0
}

// tidy removes groups that were idle for long, gives memory back, and says whether
// nobody needs the keeper.
func (s *server) tidy(tick *time.Timer) (needless bool) {
	var remove []string
	next := time.Duration(0)
	s.mu.Lock()
	s.restAt = false
	needed := len(s.conns) > 0
	for id, e := range s.entries {
		if e.alive || e.birth != nil || e.p.Remains > 0 || e.p.Exit != nil && !e.p.Exit.Asked && !e.told {
			needed = true
		}
		if e.idle.IsZero() {
			continue
		}
		if time.Since(e.idle) < groupsStay {
			next = groupsStay
			continue
		}
		e.idle = time.Time{}
		remove = append(remove, id)
	}
	if needed {
		s.idleSince = time.Now()
	} else {
		next = s.idle - time.Since(s.idleSince)
		needless = next <= 0
		s.retired = s.retired || needless // who comes from here on must not start what dies with us
	}
	if next > 0 {
		s.restAt = true
		tick.Reset(next)
	}
	for _, id := range remove {
		s.groups.remove(id) // under the lock: a start must not find it half removed
	}
	s.mu.Unlock()
	debug.FreeOSMemory()
	return needless
}

// rest asks for a look whether the keeper is still needed. The caller holds mu.
func (s *server) rest() {
	s.idleSince = time.Now()
	if s.resting != nil && !s.restAt {
		s.restAt = true
		s.resting.Reset(min(s.idle, groupsStay+100*time.Millisecond))
	}
}

// retire ends the keeper at once if it holds nothing.
func (s *server) retire() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, e := range s.entries {
		if e.alive || e.birth != nil || e.p.Remains > 0 {
			return fmt.Errorf("cannot end the keeper: %s is running (stop it first)", id)
		}
	}
	s.retired = true // from here on a start is refused
	select {
	case s.leave <- struct{}{}:
	default:
	}
	return nil
}

// discard removes the groups of a forgotten id, off the caller's path.
func (s *server) discard(id string) {
	select {
	case s.removals <- id:
	default: // the last removal of all gets it
	}
}

// discarded removes the groups of an id that did not come back.
func (s *server) discarded(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, back := s.entries[id]; !back {
		s.groups.remove(id) // under the lock: a start must not open what is then removed
	}
}

func (s *server) accept(l *net.UnixListener) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			fmt.Fprintln(os.Stderr, "cannot accept:", err)
			time.Sleep(100 * time.Millisecond) // out of descriptors: others will close theirs
			continue
		}
		if err := s.mayTalk(c); err != nil {
			fmt.Fprintln(os.Stderr, err)
			c.Close()
			continue
		}
		k, err := newConn(c)
		if err != nil {
			c.Close()
			continue
		}
		go s.converse(k)
	}
}

func (s *server) mayTalk(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var cred *unix.Ucred
	var cerr error
	if err := raw.Control(func(fd uintptr) { cred, cerr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); err != nil {
		return err
	}
	if cerr != nil {
		return cerr
	}
	if cred.Uid != 0 && cred.Uid != s.uid {
		return fmt.Errorf("cannot talk to user %d: only root and user %d may", cred.Uid, s.uid)
	}
	return nil
}

func (s *server) converse(c *conn) {
	s.mu.Lock()
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	r := bufio.NewReaderSize(c.net, 4096)
	var buf []byte
	for {
		f, next, err := readFrame(r, buf)
		buf = next
		if err != nil {
			var syntax *json.SyntaxError
			if !errors.Is(err, io.EOF) && errors.As(err, &syntax) {
				fmt.Fprintln(os.Stderr, err)
			}
			break
		}
		if !s.enter(c) {
			break
		}
		on := s.answer(c, f)
		s.done()
		if !on {
			break
		}
	}
	c.net.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.rest()
	s.mu.Unlock()
}

// answer takes one request. None of them waits here for a process: the reply comes
// from whoever sees the end of it.
func (s *server) answer(c *conn, f *frame) bool {
	fail := func(err error) { c.send(&frame{Seq: f.Seq, Error: text(err)}) }
	if f.Op != opHello && !c.hello {
		fail(errors.New("cannot answer: the first message must be hello"))
		return false
	}
	switch f.Op {
	case opHello:
		if f.Version < oldest {
			fail(fmt.Errorf("cannot talk: the keeper speaks version %d, the client version %d (upgrade the client)", version, f.Version))
			return false
		}
		outdated := s.outdated()
		s.mu.Lock()
		c.hello = true
		s.list(c, &frame{
			Seq: f.Seq, Version: version, Features: features, Keeper: &Info{Build: Build, Moved: s.movedOn, Outdated: outdated},
		})
		s.mu.Unlock()
	case opStart:
		if f.Start == nil {
			fail(errors.New("cannot start: no request"))
			return true
		}
		s.start(f.Start, func(p Process, err error) {
			c.send(&frame{Seq: f.Seq, Process: &p, Error: text(err)})
		})
	case opStop:
		if !f.Again || !s.joinStop(f.ID, fail) {
			s.stopTree(f.ID, syscall.Signal(f.Signal), time.Duration(f.Grace), fail)
		}
	case opSignal:
		fail(s.signal(f.ID, syscall.Signal(f.Signal)))
	case opForget:
		fail(s.forget(f.ID))
	case opRetire:
		fail(s.retire())
	case opList:
		s.mu.Lock()
		s.list(c, &frame{Seq: f.Seq, Version: version})
		s.mu.Unlock()
	case opReplace:
		select {
		case s.wanted <- fail:
		default:
			fail(errors.New("cannot take up a new program: others have asked for it (try again)"))
		}
	default:
		fail(fmt.Errorf("cannot do %q: this keeper is older than the client (restart it once nothing runs)", f.Op))
	}
	return true
}

// list sends everything, in order with the events. The caller holds mu.
func (s *server) list(c *conn, answer *frame) {
	all := make([]Process, 0, len(s.entries))
	for _, e := range s.entries {
		if e.p.Run == 0 {
			continue
		}
		if e.stream != nil {
			_, e.p.Dropped = s.out.seen(e.stream, false)
		}
		all = append(all, e.p)
		e.told = true
	}
	answer.List = all
	c.send(answer)
}

// emit tells every client of a change. The caller holds mu, so that events come in order.
func (s *server) emit(e *entry) {
	if e.stream != nil && e.alive {
		_, e.p.Dropped = s.out.seen(e.stream, false)
	}
	for c := range s.conns {
		if c.hello {
			c.send(&frame{Process: &e.p})
			e.told = true
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
