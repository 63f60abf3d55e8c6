package keeper

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// stateVersion is that of what one program leaves to the next. It grows when a program that
// does not know a field would do harm.
const stateVersion = 1

// maxState bounds what is read of it: some ten thousand processes with their last lines fit.
const maxState = 2 * maxFrame

// state is all that a keeper knows beyond what the kernel does. Numbers of descriptors are
// those that the new program inherits.
type state struct {
	State    int           `json:"state"`
	Build    string        `json:"build"`
	Dir      string        `json:"dir"`
	Logs     string        `json:"logs"`
	Run      uint64        `json:"run"`
	Moved    int           `json:"moved"`
	Idle     time.Duration `json:"idle"`
	Unit     bool          `json:"unit,omitempty"`
	Shared   bool          `json:"shared,omitempty"`
	Umask    int           `json:"umask"`
	Listener int           `json:"listener"`
	Lock     int           `json:"lock"`
	Groups   groupsState   `json:"groups"`
	Entries  []entryState  `json:"entries"`
}

type groupsState struct {
	V2      string            `json:"v2,omitempty"`
	Own     string            `json:"own,omitempty"`
	V1      map[string]string `json:"v1,omitempty"`
	Deny    map[string]string `json:"deny,omitempty"`
	Ctl     map[string]bool   `json:"ctl,omitempty"`
	Enabled bool              `json:"enabled,omitempty"`
}

type entryState struct {
	Process   Process        `json:"p"`
	Main      int            `json:"main"`
	Alive     bool           `json:"alive,omitempty"`
	Forking   bool           `json:"forking,omitempty"`
	Grouped   bool           `json:"grouped,omitempty"`
	Spent     bool           `json:"spent,omitempty"`
	Told      bool           `json:"told,omitempty"`
	Known     bool           `json:"known,omitempty"` // the reaper knows its main process
	Lingering bool           `json:"lingering,omitempty"`
	UID       uint32         `json:"uid"`
	Limits    Limits         `json:"limits,omitzero"`
	OOMs      int            `json:"ooms,omitempty"`
	Idle      time.Time      `json:"idle,omitzero"`
	Log       *logState      `json:"log,omitempty"`
	Stream    *streamState   `json:"stream,omitempty"`
	Notify    *notifierState `json:"notify,omitempty"`
	Stop      *stopState     `json:"stop,omitempty"`
}

type logState struct {
	Path  string `json:"path"`
	Limit int64  `json:"limit"`
	Files int    `json:"files"`
	Lost  int64  `json:"lost,omitempty"`
}

type streamState struct {
	FD      int    `json:"fd"` // -1: closed
	Logged  bool   `json:"logged,omitempty"`
	Partial []byte `json:"partial,omitempty"`
	Tail    []byte `json:"tail,omitempty"`
	Dropped int64  `json:"dropped,omitempty"`
	Told    bool   `json:"told,omitempty"`
}

type notifierState struct {
	FD   int    `json:"fd"`
	Path string `json:"path,omitempty"`
}

type stopState struct {
	Due    time.Time     `json:"due"` // when the grace ends, or it is looked at again
	Killed time.Time     `json:"killed,omitzero"`
	Wait   time.Duration `json:"wait"`
}

// snapshot is the state now. The caller holds mu and the lock of the outputs, and no birth
// is under way.
func (s *server) snapshot() state {
	g := s.groups
	st := state{
		State: stateVersion, Build: Build, Dir: s.dir, Logs: s.logs, Run: s.run, Moved: s.movedOn + 1, Idle: s.idle,
		Unit: s.unit, Shared: s.shared, Umask: s.umask, Listener: descriptor(s.listener), Lock: descriptor(s.lock),
		Groups: groupsState{V2: g.v2, Own: g.own, V1: g.v1, Deny: g.deny, Ctl: g.ctl, Enabled: g.did},
	}
	for _, e := range s.entries {
		if e.p.Run == 0 {
			continue
		}
		_, lingering := s.lingering[e]
		st.Entries = append(st.Entries, e.state(s.byPID[e.p.PID] == e, lingering))
	}
	return st
}

func (e *entry) state(known, lingering bool) entryState {
	out := entryState{
		Process: e.p, Main: e.main, Alive: e.alive, Forking: e.forking, Grouped: e.grouped, Spent: e.spent, Told: e.told,
		Known: known, Lingering: lingering, UID: e.uid, Limits: e.limits, OOMs: e.ooms, Idle: e.idle,
	}
	if e.log != nil {
		out.Log = &logState{Path: e.log.path, Limit: e.log.limit, Files: e.log.files, Lost: e.log.lost}
	}
	if st := e.stream; st != nil {
		out.Stream = &streamState{
			FD: st.fd, Logged: st.log != nil, Partial: st.partial, Tail: st.tail, Dropped: st.dropped, Told: st.told,
		}
	}
	if e.notify != nil {
		out.Notify = &notifierState{FD: e.notify.fd, Path: e.notify.path}
	}
	if e.stop != nil {
		out.Stop = &stopState{Due: e.stop.due, Killed: e.stop.killed, Wait: e.stop.wait}
	}
	return out
}

// descriptors are those that the new program needs.
func (st *state) descriptors() []int {
	out := []int{st.Listener, st.Lock}
	for _, e := range st.Entries {
		if e.Stream != nil && e.Stream.FD >= 0 {
			out = append(out, e.Stream.FD)
		}
		if e.Notify != nil {
			out = append(out, e.Notify.FD)
		}
	}
	return out
}

func descriptor(from syscall.Conn) int {
	fd := -1
	if raw, err := from.SyscallConn(); err == nil {
		_ = raw.Control(func(n uintptr) { fd = int(n) })
	}
	return fd
}

func (st *state) encode() []byte {
	b, err := json.Marshal(st)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return b
}

func readState(r io.Reader) (*state, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxState))
	if err != nil {
		return nil, fmt.Errorf("cannot read the state of the program before: %w", err)
	}
	st := new(state)
	if err := json.NewDecoder(bytes.NewReader(b)).Decode(st); err != nil {
		return nil, fmt.Errorf("cannot read the state of the program before: %w (is it newer than this one?)", err)
	}
	if st.State < 1 || st.State > stateVersion {
		return nil, fmt.Errorf("cannot read the state of the program before: it has version %d, and this program reads 1 to %d", st.State, stateVersion)
	}
	return st, nil
}

// readable is what a program answers that can go on with a state.
const readable = "svcctl-keeper can go on with this state, as build "

// checkState says so.
func checkState(in io.Reader, out io.Writer) error {
	if _, err := readState(in); err != nil {
		return err
	}
	_, err := fmt.Fprintf(out, "%s%s\n", readable, Build)
	return err
}

// resume goes on where the program before left off. Nothing of one entry may hinder others:
// whoever is here is the parent of them all.
func resume(st *state, again []string) (*server, *net.UnixListener, error) {
	file := os.NewFile(uintptr(st.Listener), "listener")
	l, err := net.FileListener(file)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot go on listening: %w", err)
	}
	file.Close()
	listener, ok := l.(*net.UnixListener)
	if !ok {
		return nil, nil, fmt.Errorf("cannot go on listening: descriptor %d is no unix socket", st.Listener)
	}
	listener.SetUnlinkOnClose(true)
	unix.CloseOnExec(st.Lock)
	s := blank(st.Dir, st.Logs, st.Idle, again)
	s.lock = os.NewFile(uintptr(st.Lock), "lock")
	s.unit, s.shared, s.run, s.movedOn = st.Unit, st.Shared, max(s.run, st.Run), st.Moved
	unix.Umask(st.Umask)
	g := st.Groups
	s.groups = &groups{v2: g.V2, own: g.Own, v1: g.V1, deny: g.Deny, ctl: g.Ctl, did: g.Enabled}
	if s.groups.deny == nil {
		s.groups.deny = make(map[string]string)
	}
	if s.groups.ctl == nil {
		s.groups.ctl = make(map[string]bool)
	}
	if g.Enabled {
		s.groups.once.Do(func() {})
	}
	if err := s.surround(); err != nil {
		return nil, nil, err
	}
	var notes []string
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range st.Entries {
		notes = append(notes, s.readopt(&st.Entries[i])...)
	}
	fmt.Fprintf(os.Stderr, "svcctl-keeper: build %s goes on for build %s with %d processes\n", Build, st.Build, len(st.Entries))
	if len(notes) > 0 {
		fmt.Fprintln(os.Stderr, "svcctl-keeper: not all came along:", strings.Join(notes, "; "))
	}
	return s, listener, nil
}

// readopt makes an entry of what the program before knew. It says what is lost.
func (s *server) readopt(st *entryState) (lost []string) {
	e := &entry{
		id: st.Process.ID, p: st.Process, main: st.Main, alive: st.Alive, forking: st.Forking, grouped: st.Grouped, spent: st.Spent,
		told: st.Told, uid: st.UID, limits: st.Limits, ooms: st.OOMs, idle: st.Idle,
	}
	s.entries[e.id] = e
	if st.Known {
		s.byPID[e.p.PID] = e
	}
	if st.Lingering {
		s.lingering[e] = struct{}{}
	}
	if st.Log != nil {
		e.log = &logFile{path: st.Log.Path, limit: st.Log.Limit, files: st.Log.Files, lost: st.Log.Lost}
	}
	if o := st.Stream; o != nil {
		e.stream = &stream{fd: o.FD, partial: o.Partial, tail: o.Tail, dropped: o.Dropped, told: o.Told, onDrop: func() { s.dropped(e) }}
		if o.Logged {
			e.stream.log = e.log
		}
		if o.FD >= 0 {
			unix.CloseOnExec(o.FD)
			if err := s.out.watch(e.stream); err != nil {
				e.stream.fd = -1
				lost = append(lost, fmt.Sprintf("the output of %s: %v", e.id, err))
			}
		}
	}
	if n := st.Notify; n != nil {
		unix.CloseOnExec(n.FD)
		run := e.p.Run
		e.notify = &notifier{fd: n.FD, path: n.Path, notify: func(m []byte, uid uint32) { s.notified(e, run, m, uid) }}
		if err := s.out.addNotifier(e.notify); err != nil {
			e.notify = nil
			lost = append(lost, fmt.Sprintf("what %s notifies: %v", e.id, err))
		}
	}
	if st.Stop != nil {
		e.stop = &stopping{due: st.Stop.Due, killed: st.Stop.Killed, wait: st.Stop.Wait}
		e.stop.timer = time.AfterFunc(max(0, time.Until(e.stop.due)), func() { s.onGrace(e) })
	}
	return lost
}
