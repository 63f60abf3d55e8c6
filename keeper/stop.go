package keeper

import (
	"fmt"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// killPatience bounds the wait for processes that were killed: what is left then
// hangs in the kernel.
const killPatience = 5 * time.Second

// stopping is a stop of a whole tree.
type stopping struct {
	replies []func(error)
	timer   *time.Timer
	due     time.Time // when the timer is
	killed  time.Time // zero while the grace lasts
	wait    time.Duration
}

// stopTree ends the whole tree of an entry: a signal, and after the grace SIGKILL.
func (s *server) stopTree(id string, sig syscall.Signal, grace time.Duration, reply func(error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	switch {
	case e == nil:
		reply(nil)
		return
	case e.birth != nil:
		if len(e.birth.then) > 100 {
			reply(fmt.Errorf("cannot stop %s: its start hangs, and 100 stops wait for it already", id))
			return
		}
		e.birth.then = append(e.birth.then, func() { go s.stopTree(id, sig, grace, reply) })
		return
	case !e.alive && e.p.Remains == 0:
		if e.p.Exit != nil {
			e.p.Exit.Asked = true // known to whoever asked
		}
		reply(nil)
		return
	case e.stop == nil:
		e.stop = &stopping{wait: 5 * time.Millisecond, due: time.Now().Add(grace)}
		e.stop.timer = time.AfterFunc(grace, func() { s.onGrace(e) })
	case e.stop.killed.IsZero():
		e.stop.look(grace) // the last one who asked knows best
	}
	e.stop.replies = append(e.stop.replies, reply)
	if sig != syscall.SIGKILL && grace > 0 {
		for _, pid := range s.tree(e, false) {
			_ = unix.Kill(pid, sig)
			_ = unix.Kill(pid, unix.SIGCONT) // a stopped process must hear it too
		}
		return
	}
	if e.stop.killed.IsZero() {
		e.stop.killed = time.Now()
		e.stop.look(e.stop.wait)
		s.kill(e)
	}
}

// look sets when the stop is looked at again.
func (st *stopping) look(in time.Duration) {
	st.due = time.Now().Add(in)
	st.timer.Reset(in)
}

// joinStop answers at the end of a stop that is under way. It says whether there is one.
func (s *server) joinStop(id string, reply func(error)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e == nil || e.stop == nil {
		return false
	}
	e.stop.replies = append(e.stop.replies, reply)
	return true
}

// onGrace kills, and then looks again until nothing is left or patience ends.
func (s *server) onGrace(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.stop == nil {
		return
	}
	if e.stop.killed.IsZero() {
		e.stop.killed = time.Now()
	} else if time.Since(e.stop.killed) > killPatience {
		s.stopped(e, fmt.Errorf("cannot stop %s: %s", e.id, describe(s.tree(e, true))))
		return
	}
	s.kill(e)
	s.census = nil
	if !e.alive {
		s.recount(e)
	}
	if e.stop != nil {
		e.stop.look(e.stop.wait)
		e.stop.wait = min(2*e.stop.wait, 200*time.Millisecond)
	}
}

func (s *server) stopped(e *entry, err error) {
	e.stop.timer.Stop()
	replies := e.stop.replies
	e.stop = nil
	for _, reply := range replies {
		reply(err)
	}
}
