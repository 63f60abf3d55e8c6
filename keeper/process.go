package keeper

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// entry is what the keeper holds of one id. Guarded by server.mu.
type entry struct {
	id      string
	p       Process
	main    int // pid whose session the run is; 0 before the first one
	alive   bool
	forking bool
	grouped bool // tracked by a control group
	spent   bool // cgroup.kill was written to its group
	uid     uint32
	limits  Limits
	ooms    int // kills at the memory limit when the run began
	log     *logFile
	stream  *stream
	notify  *notifier
	birth   *birth    // a start that is under way
	stop    *stopping // a stop that is under way
	told    bool      // a client was sent p as it is: its exit is known to somebody
	idle    time.Time // since when nothing of it runs and its groups may be removed
}

// start prepares a birth; everything that can be done beside another fork is done here.
func (s *server) start(r *Request, reply func(Process, error)) {
	s.mu.Lock()
	if s.retired {
		s.mu.Unlock()
		reply(Process{}, fmt.Errorf("cannot start %s: the keeper is ending (try again)", r.ID))
		return
	}
	e := s.entries[r.ID]
	if err := s.mayStart(e, r); err != nil || e != nil && e.alive {
		var p Process
		if err == nil {
			p = e.p // asked twice
		}
		s.mu.Unlock()
		reply(p, err)
		return
	}
	if e == nil {
		e = &entry{id: r.ID, p: Process{ID: r.ID}}
		s.entries[r.ID] = e
	}
	s.run++
	s.answering++
	answered := func(p Process, err error) {
		reply(p, err)
		s.done()
	}
	b := &birth{entry: e, req: r, reply: answered, group: -1, out: -1, run: s.run}
	e.birth, e.idle = b, time.Time{}
	before, old, oldNotify := e.limits, e.stream, e.notify
	e.stream, e.notify = nil, nil
	log, spent := s.logOf(e, r.Log), e.spent
	s.mu.Unlock()

	if old != nil {
		s.out.drain(old, make([]byte, 512), true)
	}
	if oldNotify != nil {
		s.out.removeNotifier(oldNotify)
	}
	if spent {
		s.renew(e)
	}
	if err := s.prepare(b, before, log); err != nil {
		b.close()
		s.fail(b, err)
		return
	}
	s.births <- b
}

func (s *server) mayStart(e *entry, r *Request) error {
	switch {
	case r.ID == "" || r.Path == "" || len(r.Args) == 0:
		return errors.New("cannot start: id, path and arguments are needed")
	case r.Log.Path != "" && !filepath.IsLocal(r.Log.Path):
		return fmt.Errorf("cannot start %s: the log %q is outside the log directory", r.ID, r.Log.Path)
	case e == nil:
		return nil
	case e.birth != nil:
		return fmt.Errorf("cannot start %s: another start of it is under way", r.ID)
	case e.stop != nil:
		return fmt.Errorf("cannot start %s: it is being stopped", r.ID)
	case e.alive && e.p.Digest != r.Digest:
		return fmt.Errorf("cannot start %s: it runs with another configuration (stop it first)", r.ID)
	case !e.alive && e.p.Remains > 0:
		return fmt.Errorf("cannot start %s: %d processes of its last run are still there (stop it first)", r.ID, e.p.Remains)
	}
	return nil
}

// renew removes the group of an entry, so that its start makes another: since Linux
// 6.14 whatever starts directly in a group to which cgroup.kill was written is killed.
func (s *server) renew(e *entry) {
	removeTree(s.groups.dir(e.id))
	s.mu.Lock()
	e.spent = false
	s.mu.Unlock()
}

func (s *server) logOf(e *entry, l Log) *logFile {
	if l.Path == "" {
		e.log = nil
		return nil
	}
	size, files := l.Size, l.Files
	if size <= 0 {
		size = 1 << 20
	}
	if files <= 0 {
		files = 3
	}
	path := filepath.Join(s.logs, l.Path)
	if e.log == nil || e.log.path != path || e.log.limit != size || e.log.files != files {
		e.log = &logFile{path: path, limit: size, files: files}
	}
	return e.log
}

func (s *server) prepare(b *birth, before Limits, log *logFile) (err error) {
	r := b.req
	if err := s.makeRoom(r); err != nil {
		return err
	}
	if s.groups.v2 != "" {
		if b.group, err = s.groups.open(r.ID); err != nil {
			return err
		}
	}
	b.join, b.not = s.groups.limit(r.ID, r.Limits, before)
	if r.Limits.Memory > 0 {
		b.ooms = s.groups.memoryKills(r.ID) // before the fork: a program may reach its limit at once
	}
	b.env = append(slices.Clone(r.Env), marker+s.mark(r.ID)+strconv.FormatUint(b.run, 10))
	if r.Notify {
		path := ""
		if r.Confine != nil && (r.Confine.Netns != "" || r.Confine.OwnNetwork) {
			path = notifySocket(s.dir, b.run)
		}
		e, run := b.entry, b.run // not b itself: it holds the environment
		n, address, err := newNotifier(path, func(m []byte, uid uint32) { s.notified(e, run, m, uid) })
		if err != nil {
			return err
		}
		b.notify = n
		if err := s.out.addNotifier(n); err != nil {
			n.close()
			b.notify = nil
			return err
		}
		b.env = append(b.env, "NOTIFY_SOCKET="+address)
	}
	if len(r.Files) > 0 {
		b.env = append(b.env, "CREDENTIALS_DIRECTORY="+s.credentialsDir())
	}
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return fmt.Errorf("cannot make a pipe for the output: %w (see fs.file-max and LimitNOFILE)", err)
	}
	b.out = p[1]
	_ = unix.SetNonblock(p[0], true)
	if b.stream, err = s.out.add(p[0], log, func() { s.dropped(b.entry) }); err != nil {
		unix.Close(p[0])
		return fmt.Errorf("cannot watch the output: %w", err)
	}
	return nil
}

// commit makes a birth the current run of its entry.
func (s *server) commit(b *birth) {
	e, r := b.entry, b.req
	e.birth = nil
	e.main, e.alive, e.forking, e.grouped = b.pid, true, r.Forking, s.groups.v2 != ""
	e.limits, e.stream, e.notify = r.Limits, b.stream, b.notify
	e.ooms = b.ooms
	e.uid = s.uid
	if r.Credential != nil {
		e.uid = r.Credential.UID
	}
	e.p = Process{
		ID: e.id, Run: b.run, PID: b.pid, Digest: r.Digest, Phase: Running,
		Started: b.started, Booted: b.booted, Ready: !r.Notify, NotEnforced: b.not,
	}
	for _, m := range b.early {
		s.heard(e, m.text, m.uid)
	}
	s.emit(e)
	for _, then := range b.then {
		then()
	}
}

func (s *server) reply(b *birth) {
	s.mu.Lock()
	p := b.entry.p
	s.mu.Unlock()
	b.reply(p, nil)
}

// fail ends a birth that came to nothing. The entry is what it was before.
func (s *server) fail(b *birth, err error) {
	if b.stream != nil {
		s.out.drain(b.stream, make([]byte, 512), true)
	}
	if b.notify != nil {
		s.out.removeNotifier(b.notify)
	}
	s.mu.Lock()
	e := b.entry
	e.birth = nil
	if s.byPID[b.pid] == e && b.pid != e.main {
		delete(s.byPID, b.pid)
	}
	if e.p.Run == 0 {
		delete(s.entries, e.id)
		s.discard(e.id)
	}
	for _, then := range b.then {
		then()
	}
	s.mu.Unlock()
	b.reply(Process{}, err)
}

// bury records exits, and looks again at what exited main processes left behind.
func (s *server) bury(dead []death) {
	unknown := false
	s.mu.Lock()
	defer s.mu.Unlock()
	s.census = nil
	for _, d := range dead {
		e := s.byPID[d.pid]
		if e == nil {
			// It may be so young that the forker did not say whose it is.
			s.mu.Unlock()
			s.forking.Lock()
			s.mu.Lock()
			e = s.byPID[d.pid]
			s.forking.Unlock()
		}
		switch {
		case e == nil:
			unknown = true
		case e.birth != nil && e.birth.pid == d.pid:
			delete(s.byPID, d.pid)
			e.birth.ended = &d.status
		default:
			s.exited(e, d.status)
		}
	}
	if unknown {
		for e := range s.lingering {
			s.recount(e)
		}
	}
}

// exited records the end of the main process of an entry.
func (s *server) exited(e *entry, ws syscall.WaitStatus) {
	delete(s.byPID, e.p.PID)
	left := s.tree(e, false)
	if e.forking && !e.p.Forked && ws.Exited() && ws.ExitStatus() == 0 && len(left) > 0 {
		e.p.Forked, e.p.PID = true, 0
		for _, pid := range left { // its parent ended, so that it is our child now
			if s.adopt(e, pid) {
				break
			}
		}
		if e.p.PID == 0 {
			s.lingering[e] = struct{}{} // up as long as anything of it is there
		}
		s.emit(e)
		return
	}
	e.alive, e.told = false, false
	e.p.Phase, e.p.Remains = Exited, len(left)
	e.p.Exit = &Exit{Time: time.Now(), Asked: e.stop != nil}
	if ws.Signaled() {
		e.p.Exit.Code, e.p.Exit.Signal = -1, unix.SignalName(ws.Signal())
		if e.p.Exit.Signal == "" {
			e.p.Exit.Signal = fmt.Sprintf("SIG%d", int(ws.Signal()))
		}
	} else {
		e.p.Exit.Code = ws.ExitStatus()
	}
	if e.limits.Memory > 0 {
		e.p.Exit.Memory = s.groups.memoryKills(e.id) > e.ooms
	}
	if e.stream != nil {
		s.out.drain(e.stream, s.scratch, len(left) == 0)
		e.p.Last, e.p.Dropped = s.out.seen(e.stream, true)
	}
	s.emit(e) // before the answer to a stop: who has that may ask Get
	if len(left) > 0 {
		s.lingering[e] = struct{}{}
	} else {
		s.gone(e)
	}
}

// adopt makes an orphan of the entry's tree its main process.
func (s *server) adopt(e *entry, pid int) bool {
	k, ok := readKin(pid)
	if !ok || k.parent != s.pid || s.byPID[pid] != nil || !slices.Contains(s.tree(e, true), pid) {
		return false
	}
	if s.byPID[e.p.PID] == e {
		delete(s.byPID, e.p.PID) // the one before is an orphan like others from now on
	}
	delete(s.lingering, e)
	s.byPID[pid] = e
	e.p.PID, e.alive = pid, true
	return true
}

func (s *server) recount(e *entry) {
	left := len(s.tree(e, false))
	if e.alive {
		if left == 0 {
			delete(s.lingering, e)
			s.exited(e, 0) // of a daemon that was never our child: its code is not known
		}
		return
	}
	if left == e.p.Remains {
		return
	}
	e.p.Remains = left
	if left == 0 {
		delete(s.lingering, e)
		if e.stream != nil {
			s.out.drain(e.stream, s.scratch, true)
		}
		s.emit(e)
		s.gone(e)
	}
}

// gone is called when nothing of an entry is left.
func (s *server) gone(e *entry) {
	e.idle = time.Now()
	if e.stop != nil {
		s.stopped(e, nil)
	}
	s.rest()
}

// signal sends to the main process only.
func (s *server) signal(id string, sig syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e == nil || !e.alive {
		return fmt.Errorf("cannot signal %s: it is not running", id)
	}
	if err := unix.Kill(e.p.PID, sig); err != nil {
		return fmt.Errorf("cannot signal %s: %w", id, err)
	}
	return nil
}

func (s *server) forget(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.entries[id]
	if e == nil {
		return nil
	}
	if e.alive || e.birth != nil || e.stop != nil || e.p.Remains > 0 {
		return fmt.Errorf("cannot forget %s: it is running (stop it first)", id)
	}
	delete(s.entries, id)
	if e.spent {
		removeTree(s.groups.dir(id)) // the next entry of this name does not know
	}
	if e.notify != nil {
		s.out.removeNotifier(e.notify)
	}
	s.discard(id)
	s.rest()
	return nil
}

func (s *server) dropped(e *entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.stream != nil {
		s.emit(e)
	}
}
