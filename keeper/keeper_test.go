package keeper

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is the keeper too, when it is called as one.
func TestMain(m *testing.M) {
	oldKernel = os.Getenv("OLD_KERNEL") != ""
	if len(os.Args) > 1 && os.Args[1] == "keeper" {
		os.Exit(Main(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "notify" {
		c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
		if err == nil {
			_, err = c.Write([]byte("READY=1\nSTATUS=serving"))
		}
		if err != nil {
			panic(err)
		}
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

// world is a keeper of a test's own, with a client.
type world struct {
	*Client
	t    testing.TB
	opts Options

	mu     sync.Mutex
	latest map[string]Process
	news   chan struct{}
}

func newWorld(t testing.TB, change func(*Options)) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, latest: make(map[string]Process), news: make(chan struct{}, 1)}
	w.opts = Options{RunDir: filepath.Join(dir, "run"), LogDir: filepath.Join(dir, "log"), Binary: []string{os.Args[0], "keeper"}}
	if change != nil {
		change(&w.opts)
	}
	w.Client = w.connect()
	t.Cleanup(w.end)
	return w
}

func (w *world) connect() *Client {
	w.t.Helper()
	c, err := Connect(w.ctx(), w.opts)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

// end stops what the test left, and the keeper with it.
func (w *world) end() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	all, err := w.List(ctx)
	if err != nil {
		w.t.Errorf("the keeper did not answer at the end: %v", err)
	}
	for _, p := range all {
		if err := w.Kill(ctx, p.ID); err != nil {
			w.t.Error(err)
		}
		if err := w.Forget(ctx, p.ID); err != nil {
			w.t.Error(err)
		}
	}
	pid := keeperPID(w.opts.RunDir)
	if err := w.Retire(ctx); err != nil {
		w.t.Error(err)
	}
	until(w.t, "the keeper ended", func() bool { return pid == 0 || !alive(pid) })
	if w.opts.NoCgroups {
		return
	}
	if dir := findGroups(escape(w.opts.RunDir[1:])); dir.v2 != "" {
		if left, _ := os.ReadDir(dir.v2); slices.ContainsFunc(left, os.DirEntry.IsDir) {
			w.t.Errorf("control groups are left in %s", dir.v2)
		}
		dir.close()
	}
}

func keeperPID(run string) int {
	locks, err := os.ReadFile("/proc/locks")
	st := unix.Stat_t{}
	if err != nil || unix.Stat(filepath.Join(run, "keeper.lock"), &st) != nil {
		return 0
	}
	for line := range strings.Lines(string(locks)) {
		f := strings.Fields(line)
		if len(f) > 5 && f[1] == "FLOCK" && strings.HasSuffix(f[5], fmt.Sprintf(":%d", st.Ino)) {
			var pid int
			fmt.Sscan(f[4], &pid)
			return pid
		}
	}
	return 0
}

func zombie(pid int) bool {
	k, ok := readKin(pid)
	return !ok || k.zombie
}

// until is for facts of the kernel that come without an event.
func until(t testing.TB, what string, fact func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	end := time.After(20 * time.Second)
	for !fact() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("it never came true: %s", what)
		}
	}
}

// watch must be called before what is waited for.
func (w *world) watch(id string) {
	stop := w.Subscribe(id, func(p Process) {
		w.mu.Lock()
		w.latest[id] = p
		w.mu.Unlock()
		select {
		case w.news <- struct{}{}:
		default:
		}
	})
	w.t.Cleanup(stop)
}

func (w *world) await(id, what string, fact func(Process) bool) Process {
	w.t.Helper()
	end := time.After(20 * time.Second)
	for {
		w.mu.Lock()
		p := w.latest[id]
		w.mu.Unlock()
		if p.ID != "" && fact(p) {
			return p
		}
		select {
		case <-w.news:
		case <-end:
			w.t.Fatalf("%s: never %s; the last news is %+v", id, what, p)
		}
	}
}

func exited(p Process) bool { return p.Phase == Exited }

func (w *world) shell(id, script string, change ...func(*Request)) Process {
	w.t.Helper()
	w.watch(id)
	r := Request{ID: id, Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"PATH=/usr/bin:/bin"}, Log: Log{Path: id + ".log"}}
	for _, f := range change {
		f(&r)
	}
	p, err := w.Start(w.ctx(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) log(id string) string {
	b, _ := os.ReadFile(filepath.Join(w.opts.LogDir, id+".log"))
	return string(b)
}

func alive(pid int) bool { return unix.Kill(pid, 0) == nil && !zombie(pid) }

func TestAnExitIsToldWithItsCodeAndLastWords(t *testing.T) {
	w := newWorld(t, nil)
	w.shell("a", "echo hello; echo world >&2; exit 7")
	p := w.await("a", "exited", exited)
	if p.Exit.Code != 7 || p.Exit.Signal != "" {
		t.Errorf("exit %+v, want code 7", p.Exit)
	}
	if strings.Join(p.Last, "|") != "hello|world" {
		t.Errorf("last words %q", p.Last)
	}
	w.shell("b", "kill -9 $$")
	if p := w.await("b", "exited", exited); p.Exit.Signal != "SIGKILL" || p.Exit.Code != -1 {
		t.Errorf("exit %+v, want SIGKILL", p.Exit)
	}
}

func TestAMissingProgramIsAClearErrorAndLeavesNothing(t *testing.T) {
	w := newWorld(t, nil)
	_, err := w.Start(w.ctx(), Request{ID: "a", Path: "/no/such", Args: []string{"such"}})
	if err == nil || !strings.Contains(err.Error(), "/no/such: no such file") {
		t.Errorf("error %v", err)
	}
	_, err = w.Start(w.ctx(), Request{ID: "a", Path: "/no/such", Args: []string{"such"}, Rlimits: []Rlimit{{unix.RLIMIT_CORE, 0, 0}}})
	if err == nil || !strings.Contains(err.Error(), "/no/such: no such file") {
		t.Errorf("error by the stub %v", err)
	}
	_, err = w.Start(w.ctx(), Request{ID: "a", Path: "/bin/true", Args: []string{"true"}, Dir: "/no/dir"})
	if err == nil || !strings.Contains(err.Error(), "/no/dir") {
		t.Errorf("error about the directory %v", err)
	}
	if _, err := w.Get(w.ctx(), "a"); !errors.Is(err, ErrUnknown) {
		t.Errorf("Get after a failed start: %v", err)
	}
}

func TestStopEndsTheWholeTree(t *testing.T) {
	for _, noGroups := range []bool{false, true} {
		t.Run(fmt.Sprintf("without control groups %v", noGroups), func(t *testing.T) {
			w := newWorld(t, func(o *Options) { o.NoCgroups = noGroups })
			w.shell("a", `trap "" TERM; setsid sh -c '(trap "" TERM; echo $$ >&2; exec sleep 1000) &' & sleep 0.1; echo started; while :; do sleep 1000; done`)
			until(t, "the log says started and has the child's pid", func() bool {
				return strings.Contains(w.log("a"), "started") && strings.Count(w.log("a"), "\n") == 2
			})
			if err := w.Stop(w.ctx(), "a", syscall.SIGTERM, 50*time.Millisecond); err != nil {
				t.Fatal(err)
			}
			p, err := w.Get(w.ctx(), "a")
			if err != nil || p.Phase != Exited || p.Remains != 0 {
				t.Errorf("after the stop: %+v, %v", p, err)
			}
			var inner int
			for line := range strings.Lines(w.log("a")) {
				if _, err := fmt.Sscanf(line[strings.IndexByte(line, ' '):], "%d", &inner); err == nil {
					break
				}
			}
			if inner == 0 {
				t.Fatalf("no pid of the double-forked child in the log: %s", w.log("a"))
			}
			until(t, "the double-forked child has gone", func() bool { return !alive(inner) }) // what has no memory any more may still be on its way out
		})
	}
}

func TestWhatHadToBeKilledStartsAgain(t *testing.T) {
	w := newWorld(t, nil)
	for i := range 3 {
		first := w.shell("proof", `trap "" TERM; echo trapped; while :; do sleep 1; done`)
		w.await("proof", "running", func(p Process) bool { return p.Phase == Running && p.PID == first.PID })
		if err := w.Stop(w.ctx(), "proof", syscall.SIGKILL, 0); err != nil {
			t.Fatal(err)
		}
		next := w.shell("proof", `echo living $PPID; sleep 1000`)
		until(t, fmt.Sprintf("start %d after a kill says that it lives", i), func() bool {
			return strings.Count(w.log("proof"), "living") == i+1
		})
		if p, err := w.Get(w.ctx(), "proof"); err != nil || p.Phase != Running || p.PID != next.PID {
			t.Fatalf("after a kill and a start: %+v, %v", p, err)
		}
		if err := w.Stop(w.ctx(), "proof", syscall.SIGTERM, 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
}
