package keeper

import (
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// execPatience bounds the wait for a stub to become its program: a program on a hung
// file system must not be waited for without end.
const execPatience = 30 * time.Second

// birth is a process on its way from a request to its program.
type birth struct {
	entry   *entry
	req     *Request
	reply   func(Process, error)
	join    []string // v1 groups
	not     []string // limits that are not enforced
	ooms    int      // kills at the memory limit so far
	group   int      // descriptor of its control group, or -1
	out     int      // the end of the pipe that it writes to
	stream  *stream
	notify  *notifier
	env     []string
	run     uint64
	pid     int
	started time.Time
	booted  time.Duration
	report  *os.File            // what a stub says
	ended   *syscall.WaitStatus // it exited before it was known to run its program
	then    []func()            // stops that came meanwhile
	early   []early             // what it told meanwhile
}

// forker is the one thread that starts processes. It ends with the keeper, since its death
// ends them (PDEATHSIG is bound to it); it has its own umask.
func (s *server) forker() {
	for {
		var b *birth
		select {
		case b = <-s.births:
		case m := <-s.moves:
			m.failed <- s.move()
			continue
		case <-s.ended:
			return
		}
		// The reaper waits here for a pid that it does not know yet.
		s.forking.Lock()
		err := s.fork(b)
		if err == nil {
			s.mu.Lock()
			s.byPID[b.pid] = b.entry
			if b.report == nil {
				s.commit(b)
			}
			s.mu.Unlock()
		}
		s.forking.Unlock()
		b.close()
		switch {
		case err != nil:
			s.fail(b, execError(b.req.Path, b.req.Dir, err))
		case b.report != nil:
			go s.awaitProgram(b)
		default:
			s.reply(b)
		}
		select {
		case s.born <- struct{}{}: // the reaper may have had nobody to wait for
		default:
		}
	}
}

func (s *server) fork(b *birth) error {
	umask := 0o022
	if b.req.Umask != nil {
		umask = *b.req.Umask
	}
	unix.Umask(umask)
	sys := &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if b.group >= 0 {
		sys.UseCgroupFD, sys.CgroupFD = true, b.group
	}
	attr := &syscall.ProcAttr{
		Dir: b.req.Dir, Env: b.env, Sys: sys,
		Files: []uintptr{s.null.Fd(), uintptr(b.out), uintptr(b.out)},
	}
	if attr.Dir == "" {
		attr.Dir = "/"
	}
	path, args := b.req.Path, b.req.Args
	c := b.req.Credential
	if needsStub(b.req, b.join) {
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer w.Close()
		st := setup{
			Keeper: s.pid, Path: b.req.Path, Dir: b.req.Dir, Join: b.join, OOMScoreAdj: b.req.OOMScoreAdj, Rlimits: b.req.Rlimits,
			Credential: c, Confine: b.req.Confine, Files: b.req.Files, FilesDir: s.credentialsDir(), Nothing: s.nothing(),
		}
		if b.req.Confine != nil && s.trusts(c, b.req.Confine) {
			st.Ours = s.dir
			if b.notify != nil {
				st.Notify = b.notify.path
			}
		}
		settings, err := st.file()
		if err != nil {
			r.Close()
			return err
		}
		defer settings.Close()
		b.report = r
		path, args = "/proc/self/exe", append(append([]string{"svcctl"}, s.again...), append([]string{"exec"}, b.req.Args...)...)
		attr.Files = append(attr.Files, w.Fd(), settings.Fd())
	} else if c != nil {
		sys.Credential = &syscall.Credential{Uid: c.UID, Gid: c.GID, Groups: c.Groups}
	}
	b.started, b.booted = time.Now(), boottime()
	pid, err := syscall.ForkExec(path, args, attr)
	if err != nil && b.report != nil {
		b.report.Close()
	}
	b.pid = pid
	return err
}

// awaitProgram waits until a stub became its program, or said why not.
func (s *server) awaitProgram(b *birth) {
	_ = b.report.SetReadDeadline(time.Now().Add(execPatience))
	text, err := io.ReadAll(io.LimitReader(b.report, 4096))
	b.report.Close()
	if err != nil {
		text = fmt.Appendf(nil, "cannot run %s: it did not start within %s (is its file system hung?)", b.req.Path, execPatience)
	}
	if len(text) == 0 {
		s.mu.Lock()
		s.commit(b)
		if b.ended != nil {
			s.exited(b.entry, *b.ended)
		}
		s.mu.Unlock()
		s.reply(b)
		return
	}
	s.mu.Lock()
	if b.ended == nil {
		_ = unix.Kill(b.pid, unix.SIGKILL)
	}
	s.mu.Unlock()
	s.fail(b, fmt.Errorf("%s", text))
}

// close gives up what only the fork needed. Secrets are part of it.
func (b *birth) close() {
	b.env, b.req.Env, b.req.Files = nil, nil, nil
	if b.out >= 0 {
		unix.Close(b.out)
		b.out = -1
	}
	if b.group >= 0 {
		unix.Close(b.group)
		b.group = -1
	}
}

// reap waits for every child, and for every orphan that became one.
func (s *server) reap() {
	dead := make([]death, 0, 64)
	for {
		var info unix.Siginfo
		// It leaves the child to the lock: nobody may know of an exit when a new program begins.
		err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOWAIT, nil)
		if err == unix.ECHILD {
			<-s.born
			continue
		}
		if err != nil {
			continue
		}
		s.reaping.Lock()
		dead = dead[:0]
		// Those that died together are looked at together.
		for len(dead) < cap(dead) {
			var ws syscall.WaitStatus
			pid, err := syscall.Wait4(-1, &ws, syscall.WNOHANG, nil)
			if err != nil || pid <= 0 {
				break
			}
			dead = append(dead, death{pid, ws})
		}
		s.bury(dead)
		s.reaping.Unlock()
	}
}

type death struct {
	pid    int
	status syscall.WaitStatus
}

func boottime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic("internal error: no boot clock: " + err.Error())
	}
	return time.Duration(ts.Nano())
}
