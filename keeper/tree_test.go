package keeper

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func TestAForkBombUnderAPidsLimitIsEnded(t *testing.T) {
	needRoot(t)
	w := newWorld(t, nil)
	p := w.shell("bomb", `exec perl -e '$SIG{TERM} = "IGNORE"; while (1) { fork }'`, func(r *Request) {
		r.Limits.PIDs = 60
		r.Log = Log{Path: "bomb.log", Size: 64 << 10, Files: 1}
	})
	if len(p.NotEnforced) > 0 {
		t.Skipf("this kernel gives no pids limit: %v", p.NotEnforced)
	}
	dir := findGroups(escape(w.opts.RunDir[1:])).dir("bomb")
	until(t, "the bomb has 20 processes", func() bool { return len(groupPIDs(dir)) >= 20 })
	if n := len(groupPIDs(dir)); n > 60 {
		t.Errorf("%d processes under a limit of 60", n)
	}
	if err := w.Stop(w.ctx(), "bomb", syscall.SIGTERM, 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if left := groupPIDs(dir); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestAForkBombIsEndedWithoutControlGroups(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.NoCgroups = true })
	// It forks all the time, and its number is bounded: nothing here could stop the other sort from taking the host.
	w.shell("bomb", `for i in 1 2 3 4; do (trap "" TERM; while :; do (:) & wait; done) & done; echo started; wait`)
	until(t, "the log says started", func() bool { return strings.Contains(w.log("bomb"), "started") })
	if err := w.Stop(w.ctx(), "bomb", syscall.SIGTERM, 20*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	for pid := range takeCensus().procs {
		if strings.Contains(readMarker(pid), fmt.Sprintf(".%016x.", hash("bomb"))) && strings.HasPrefix(readMarker(pid), escape(w.opts.RunDir[1:])) && alive(pid) {
			t.Errorf("process %d is left", pid)
		}
	}
}

func TestWhatADeadMainProcessLeavesIsCountedAndMustBeStoppedFirst(t *testing.T) {
	for _, noGroups := range []bool{false, true} {
		t.Run(fmt.Sprintf("without control groups %v", noGroups), func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.NoCgroups = noGroups })
			w.shell("a", "setsid sleep 1000 & exit 3")
			p := w.await("a", "exited", exited)
			if p.Exit.Code != 3 || p.Remains != 1 {
				t.Errorf("code %d with %d left, want 3 with 1", p.Exit.Code, p.Remains)
			}
			_, err := w.Start(w.ctx(), Request{ID: "a", Path: "/bin/true", Args: []string{"true"}})
			if err == nil || !strings.Contains(err.Error(), "stop it first") {
				t.Errorf("a start beside the remains: %v", err)
			}
			if err := w.Stop(w.ctx(), "a", syscall.SIGTERM, 10*time.Second); err != nil {
				t.Fatal(err)
			}
			if p, err := w.Get(w.ctx(), "a"); err != nil || p.Remains != 0 || p.Exit == nil || p.Exit.Code != 3 {
				t.Errorf("after the stop: %+v, %v", p, err)
			}
		})
	}
}

func TestAForkingProgramIsItsDaemon(t *testing.T) {
	for _, noGroups := range []bool{false, true} {
		t.Run(fmt.Sprintf("without control groups %v", noGroups), func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.NoCgroups = noGroups })
			first := w.shell("a", `setsid sh -c 'trap "exit 5" TERM; echo up; while :; do sleep 0.01; done' & exit 0`, func(r *Request) { r.Forking = true })
			p := w.await("a", "forked", func(p Process) bool { return p.Forked })
			if p.Phase != Running || p.PID == first.PID || !alive(p.PID) {
				t.Fatalf("after the command ended: %+v", p)
			}
			until(t, "the daemon has its trap", func() bool { return strings.Contains(w.log("a"), "up") })
			if err := unix.Kill(p.PID, unix.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if p := w.await("a", "exited", exited); p.Exit.Code != 5 {
				t.Errorf("exit %+v of the daemon, want 5", p.Exit)
			}
		})
	}
}

func TestMemoryLimitIsEnforced(t *testing.T) {
	needRoot(t)
	w := newWorld(t, nil)
	p := w.shell("a", `exec head -c 200M /dev/zero | tail -c 200M | wc -c`, func(r *Request) { r.Limits = Limits{Memory: 16 << 20, CPU: 0.9} })
	if len(p.NotEnforced) > 0 {
		t.Skipf("this kernel gives no memory limit: %v", p.NotEnforced)
	}
	p = w.await("a", "exited", func(p Process) bool { return p.Phase == Exited && p.Remains == 0 })
	if !p.Exit.Memory {
		t.Errorf("the exit does not say that the memory limit was reached: %+v", p.Exit)
	}
	if strings.Contains(strings.Join(p.Last, " "), "209715200") {
		t.Errorf("200 MiB went into 16 MiB: %+v", p)
	}
}

func TestALimitThatNothingEnforcesIsNamed(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.NoCgroups = true })
	p := w.shell("a", "exec sleep 1000", func(r *Request) { r.Limits = Limits{Memory: 64 << 20, PIDs: 100} })
	got := strings.Join(p.NotEnforced, "; ")
	if len(p.NotEnforced) != 2 || !strings.Contains(got, "memory is not enforced") || !strings.Contains(got, "pids is not enforced") {
		t.Errorf("not enforced: %s", got)
	}
}

func TestLimitsAndIdentityAreThoseOfTheRequest(t *testing.T) {
	needRoot(t)
	w := newWorld(t, nil)
	umask, score := 0o027, 500
	for _, stub := range []bool{false, true} {
		id := fmt.Sprintf("stub-%v", stub)
		w.shell(id, `umask; id -u; id -g; id -G; pwd; ulimit -n; cat /proc/self/oom_score_adj; grep -c SVCCTL_STUB /proc/$$/environ; exit 0`, func(r *Request) {
			r.Umask, r.Dir = &umask, "/usr"
			r.Credential = &Credential{UID: 65534, GID: 65533, Groups: []uint32{65533, 1234}}
			if stub {
				r.Rlimits, r.OOMScoreAdj = []Rlimit{{unix.RLIMIT_NOFILE, 777, 888}}, &score
			}
		})
		p := w.await(id, "exited", exited)
		want := "0027 65534 65533 65533 1234 /usr 777 500 0"
		got := strings.Join(p.Last, " ")
		if !stub {
			f := strings.Fields(got)
			f[6], f[7] = "777", "500"
			got = strings.Join(f, " ")
		}
		if got != want {
			t.Errorf("%s: %s, want %s", id, got, want)
		}
	}
}

func TestADeadKeeperTakesItsProcessesAlong(t *testing.T) {
	for _, noGroups := range []bool{false, true} {
		t.Run(fmt.Sprintf("without control groups %v", noGroups), func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.NoCgroups = noGroups })
			a := w.shell("a", "setsid sleep 1000 & echo $!; wait")
			b := w.shell("b", "exec sleep 1000", func(r *Request) { r.Rlimits = []Rlimit{{unix.RLIMIT_CORE, 0, 0}} })
			until(t, "the pid is in the log", func() bool { return w.log("a") != "" })
			var child int
			line := w.log("a")
			if _, err := fmt.Sscan(line[strings.IndexByte(line, ' '):], &child); err != nil || !alive(child) {
				t.Fatalf("no child in %q", line)
			}
			if err := unix.Kill(keeperPID(w.opts.RunDir), unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			w.await("a", "lost", func(p Process) bool { return p.Phase == Lost })
			w.await("b", "lost", func(p Process) bool { return p.Phase == Lost })
			// The new keeper has ended the grandchildren before it answered.
			for _, pid := range []int{a.PID, b.PID, child} {
				if alive(pid) {
					t.Errorf("process %d outlived the keeper", pid)
				}
			}
			p := w.shell("a", "exec sleep 1000")
			if p.Phase != Running || p.Run <= a.Run {
				t.Errorf("started again: %+v after run %d", p, a.Run)
			}
		})
	}
}

func TestAnExitWithoutAnAgentIsKeptWithItsCode(t *testing.T) {
	w := newWorld(t, nil)
	a := w.shell("a", "sleep 1000; exit 9")
	b := w.shell("b", "exec sleep 1000")
	w.Client.Close()
	before := keeperPID(w.opts.RunDir)
	until(t, "the shell has its child", func() bool { return len(groupOrChildren(w, "a", a.PID)) == 2 })
	// The child's end lets the shell go on to its exit.
	for _, pid := range groupOrChildren(w, "a", a.PID) {
		if pid != a.PID {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
	until(t, "the process ended", func() bool { return !alive(a.PID) })
	w.Client = w.connect()
	if keeperPID(w.opts.RunDir) != before {
		t.Error("another keeper answers")
	}
	p, err := w.Get(w.ctx(), "a")
	if err != nil || p.Phase != Exited || p.Exit.Code != 9 || p.Run != a.Run {
		t.Errorf("of the exit meanwhile: %+v, %v", p, err)
	}
	if p, err := w.Get(w.ctx(), "b"); err != nil || p.Phase != Running || p.PID != b.PID {
		t.Errorf("of the one that went on: %+v, %v", p, err)
	}
}

func groupOrChildren(w *world, id string, main int) []int {
	dir := findGroups(escape(w.opts.RunDir[1:])).dir(id)
	if pids := groupPIDs(dir); len(pids) > 0 {
		return pids
	}
	return takeCensus().members(main, "none", 0)
}

func TestABrokenConnectionIsMadeAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.shell("a", "exec sleep 1000")
	b := w.shell("b", "exec sleep 1000")
	w.Client.mu.Lock()
	broken := w.Client.conn
	w.Client.mu.Unlock()
	broken.net.Close()
	if err := unix.Kill(b.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if p := w.await("b", "exited", exited); p.Exit.Signal != "SIGKILL" {
		t.Errorf("exit %+v", p.Exit)
	}
	if p, err := w.Get(w.ctx(), "a"); err != nil || p.Phase != Running {
		t.Errorf("of the one that runs: %+v, %v", p, err)
	}
}

func TestTwoKeepersNeverServeOneFolder(t *testing.T) {
	w := newWorld(t, nil)
	err := serve([]string{"--run", w.opts.RunDir, "--log", w.opts.LogDir})
	if err == nil || !strings.Contains(err.Error(), "another keeper") {
		t.Errorf("a second keeper: %v", err)
	}
	if _, err := os.Stat(filepath.Join(w.opts.RunDir, socketName)); err != nil {
		t.Errorf("the first one's socket: %v", err)
	}
}

func TestTheKeeperBelongsToNoSessionOfTheAgent(t *testing.T) {
	w := newWorld(t, nil)
	pid := keeperPID(w.opts.RunDir)
	k, ok := readKin(pid)
	if !ok || k.session != pid || k.group != pid {
		t.Errorf("keeper %d has session %d and group %d", pid, k.session, k.group)
	}
	if in, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/0", pid)); err != nil || in != os.DevNull {
		t.Errorf("its input is %s (%v)", in, err)
	}
}

func TestAKeeperThatNobodyNeedsEndsByItself(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Binary = append(o.Binary, "--idle", "50ms") })
	w.shell("a", "exec sleep 1000")
	pid := keeperPID(w.opts.RunDir)
	if err := w.Kill(w.ctx(), "a"); err != nil {
		t.Fatal(err)
	}
	w.Client.Close()
	until(t, "the keeper ended", func() bool { return !alive(pid) })
	w.Client = w.connect()
	if again := keeperPID(w.opts.RunDir); again == pid || again == 0 {
		t.Errorf("keeper %d answers after %d", again, pid)
	}
}

func TestAnExitThatSomebodyWasToldKeepsNoKeeper(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.Binary = append(o.Binary, "--idle", "50ms") })
	w.shell("told", "exit 3")
	w.await("told", "exited", exited)
	untold := w.shell("untold", "exec sleep 1000")
	pid := keeperPID(w.opts.RunDir)
	w.Client.Close()
	if err := unix.Kill(untold.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "the process ended", func() bool { return !alive(untold.PID) })
	w.Client = w.connect()
	if p, err := w.Get(w.ctx(), "untold"); err != nil || p.Exit == nil || p.Exit.Signal != "SIGKILL" {
		t.Errorf("of the exit that nobody was told: %+v, %v", p, err)
	}
	if keeperPID(w.opts.RunDir) != pid {
		t.Error("the keeper ended with an exit that nobody was told")
	}
	w.Client.Close()
	until(t, "the keeper ended", func() bool { return !alive(pid) })
	w.Client = w.connect()
}
