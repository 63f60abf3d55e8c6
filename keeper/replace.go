package keeper

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// checkPatience bounds what a new program takes to say that it can go on with the state.
	checkPatience = 10 * time.Second

	// settlePatience bounds the wait for starts that are under way.
	settlePatience = 5 * time.Second
)

// heldSignals must not end a program that takes the place of another before it handles
// them. They are blocked, but Go's runtime unblocks some of them at its begin: ignoredSignals
// are ignored until then. To lose a SIGTERM in these milliseconds is the lesser harm.
var (
	heldSignals    = []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGUSR2}
	ignoredSignals = []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP}
)

// move asks the forker to become the new program. Only its thread may: the kernel ends all
// others, and whose parent is a thread that ends gets the signal of the keeper's death.
type move struct{ failed chan error }

// replace has the program in our place go on as this process, with all that is known here
// and every child. It returns only if that did not come about: all is as before then.
func (s *server) replace() error {
	if !s.onMain {
		return errors.New("cannot take up a new program: processes were not started by the main thread (restart the keeper once nothing runs)")
	}
	s.mu.Lock()
	s.out.mu.Lock()
	st := s.snapshot()
	text := st.encode()
	s.out.mu.Unlock()
	s.mu.Unlock()
	if err := s.verify(text); err != nil {
		return err
	}
	release, err := s.hold()
	if err != nil {
		return err
	}
	defer release()
	m := &move{failed: make(chan error)}
	s.moves <- m
	return <-m.failed
}

// verify asks the new program whether it can go on with a state, before there is no way back.
func (s *server) verify(text []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), checkPatience)
	defer cancel()
	args := append(append([]string{}, s.again...), "--check")
	cmd := exec.CommandContext(ctx, s.argv[0], args...)
	var said head
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(text), &said, &said
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("cannot take up the program %s: %w (the keeper goes on with its old one)", s.argv[0], err)
	}
	_ = cmd.Wait() // our reaper may be the one that learns how it ended; what counts is what it says
	if strings.HasPrefix(string(said), readable) {
		return nil
	}
	answer := strings.TrimSpace(string(said))
	if answer == "" {
		answer = "nothing"
	}
	if ctx.Err() != nil {
		answer = fmt.Sprintf("nothing within %s", checkPatience)
	}
	return fmt.Errorf("cannot take up the program %s: asked whether it can go on with our processes it says %q (the keeper goes on with its old one; is this svcctl-keeper, and not an older one?)", s.argv[0], answer)
}

// head keeps the begin of what is written to it.
type head []byte

func (h *head) Write(b []byte) (int, error) {
	*h = append(*h, b[:min(len(b), 512-len(*h))]...)
	return len(b), nil
}

// hold brings everything to rest: no call is answered, no start is under way, no exit and
// no output is taken from the kernel, and the disk has every line that was.
func (s *server) hold() (release func(), err error) {
	open := make(chan struct{})
	s.mu.Lock()
	s.holding = open
	s.mu.Unlock()
	reopen := func() {
		s.mu.Lock()
		s.holding = nil
		s.mu.Unlock()
		close(open)
	}
	idle := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.answering == 0
	}
	if !settle(settlePatience, idle) {
		reopen()
		return nil, errors.New("cannot take up a new program: a start hangs (try again; is a file system hung?)")
	}
	s.reaping.Lock()
	s.out.reading.Lock()
	release = func() {
		s.out.reading.Unlock()
		s.reaping.Unlock()
		reopen()
	}
	// A thread that hangs in the kernel would hold up the exec, with all of us in between.
	if !settle(patience, s.out.written) {
		release()
		return nil, errors.New("cannot take up a new program: the disk of the logs does not answer (try again once it does)")
	}
	return release, nil
}

// settle waits for what comes without an event.
func settle(within time.Duration, fact func() bool) bool {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(within); !fact(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// enter waits while a new program is taken up. A call that came too late is not answered:
// its client was told to ask again.
func (s *server) enter(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.holding != nil && !c.moved {
		open := s.holding
		s.mu.Unlock()
		<-open
		s.mu.Lock()
	}
	if c.moved {
		return false
	}
	s.answering++
	return true
}

func (s *server) done() {
	s.mu.Lock()
	s.answering--
	s.mu.Unlock()
}

// move becomes the new program, on the forker's thread.
func (s *server) move() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	if s.retired {
		return errors.New("cannot take up a new program: the keeper is ending")
	}
	st := s.snapshot()
	fd, err := inMemory(st.encode())
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	unblock := blockSignals()
	defer unblock()
	s.sayMoving()
	defer s.partFromMoved()
	if len(s.signals) > 0 {
		return errors.New("cannot take up a new program: a signal came at the same time (try again)")
	}
	fds := append(st.descriptors(), fd)
	for _, n := range fds {
		passOn(n, true)
	}
	var files unix.Rlimit // exec sets it to what programs get, also where it fails
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &files)
	argv := append(append([]string{}, s.argv...), "--resume", strconv.Itoa(fd))
	signal.Ignore(ignoredSignals...)
	err = syscall.Exec(s.argv[0], argv, os.Environ())
	signal.Notify(s.signals, ignoredSignals...)
	for _, n := range fds {
		passOn(n, false)
	}
	// Not unix.Setrlimit: after it, programs would get this limit instead of theirs.
	_, _, _ = unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE, uintptr(unsafe.Pointer(&files)), 0, 0, 0)
	return fmt.Errorf("cannot take up the program %s: %w (the keeper goes on with its old one)", s.argv[0], err)
}

// sayMoving has clients ask again what was not answered, and gives them time to read what
// was. The caller holds mu.
func (s *server) sayMoving() {
	for c := range s.conns {
		c.moved = true
		if c.hello {
			c.send(&frame{Op: opMoving})
		}
	}
	settle(patience, func() bool {
		for c := range s.conns {
			c.mu.Lock()
			sending := c.sending && !c.broken
			c.mu.Unlock()
			if sending {
				return false
			}
		}
		return true
	})
}

// partFromMoved ends connections whose clients were told to come again.
func (s *server) partFromMoved() {
	for c := range s.conns {
		if c.moved {
			_ = c.net.Close()
		}
	}
}

func inMemory(b []byte) (int, error) {
	fd, err := unix.MemfdCreate("svcctl-state", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("cannot hand over the state: %w", err)
	}
	for off := 0; off < len(b); {
		n, err := unix.Pwrite(fd, b[off:], int64(off))
		if err != nil {
			unix.Close(fd)
			return -1, fmt.Errorf("cannot hand over the state: %w (is memory short?)", err)
		}
		off += n
	}
	return fd, nil
}

func passOn(fd int, on bool) {
	flag := unix.FD_CLOEXEC
	if on {
		flag = 0
	}
	_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETFD, flag)
}

func signalSet() (set unix.Sigset_t) {
	for _, sig := range heldSignals {
		bit := uint(sig) - 1
		word := uint(8 * unsafe.Sizeof(set.Val[0]))
		set.Val[bit/word] |= 1 << (bit % word)
	}
	return set
}

// blockSignals leaves signals to the new program, which inherits that they are blocked. A
// program that uses C libraries has no way to do so for all threads: there one that comes
// in this moment is lost.
func blockSignals() (unblock func()) {
	set := signalSet()
	all := func(how int) {
		_ = unix.PthreadSigmask(how, &set, nil)
		_, _, _ = syscall.AllThreadsSyscall6(unix.SYS_RT_SIGPROCMASK, uintptr(how), uintptr(unsafe.Pointer(&set)), 0, 8, 0, 0) // 64 signals
	}
	all(unix.SIG_BLOCK)
	return func() { all(unix.SIG_UNBLOCK) }
}

// unblockSignals gives this thread, and what it starts, the signals that the program
// before left blocked.
func unblockSignals() {
	set := signalSet()
	_ = unix.PthreadSigmask(unix.SIG_UNBLOCK, &set, nil)
}

// outdated says whether our program's file is another one by now.
func (s *server) outdated() bool {
	if len(s.argv) == 0 {
		return false
	}
	now, err := os.Stat(s.argv[0])
	if err != nil {
		return false
	}
	ours, err := os.Stat("/proc/self/exe")
	return err == nil && !os.SameFile(now, ours)
}

// replaceAt asks the keeper of a folder to take up the program in its place.
func replaceAt(run string) error {
	ctx, cancel := context.WithTimeout(context.Background(), replacePatience)
	defer cancel()
	c, err := Connect(ctx, Options{RunDir: run})
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Replace(ctx)
}
