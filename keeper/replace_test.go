package keeper

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newMovingWorld has a keeper whose program's file is the test's own, to be replaced.
func newMovingWorld(t testing.TB, change func(*Options)) (w *world, program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "svcctl-keeper")
	install(t, program)
	w = newWorld(t, func(o *Options) {
		o.Binary = []string{program, "keeper"}
		if change != nil {
			change(o)
		}
	})
	t.Cleanup(func() {
		if t.Failed() {
			said, _ := os.ReadFile(filepath.Join(w.opts.RunDir, "keeper.log"))
			t.Logf("the keeper says:\n%s", said)
		}
	})
	return w, program
}

// install puts the test binary in the place of a program, as a package does it: by a new file.
func install(t testing.TB, program string) {
	t.Helper()
	from, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(program+".new", os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(program+".new", program); err != nil {
		t.Fatal(err)
	}
}

func installScript(t *testing.T, program, text string) {
	t.Helper()
	if err := os.WriteFile(program+".new", []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(program+".new", program); err != nil {
		t.Fatal(err)
	}
}

func (w *world) replace() {
	w.t.Helper()
	ctx := w.ctx()
	err := w.Replace(ctx)
	for err != nil && strings.Contains(err.Error(), "try again") { // a busy machine
		err = w.Replace(ctx)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// runs says whether a process has the file that lies at a path now as its program.
func runs(pid int, program string) bool {
	exe, err := os.Stat(fmt.Sprintf("/proc/%d/exe", pid))
	now, nerr := os.Stat(program)
	return err == nil && nerr == nil && os.SameFile(exe, now)
}

func TestANewProgramGoesOnWithEveryProcess(t *testing.T) {
	for _, noGroups := range []bool{false, true} {
		t.Run(fmt.Sprintf("without control groups %v", noGroups), func(t *testing.T) {
			w, program := newMovingWorld(t, func(o *Options) { o.NoCgroups = noGroups })
			keeper := keeperPID(w.opts.RunDir)
			before := make(map[string]Process)
			for i := range 20 {
				id := fmt.Sprintf("s%d/app.a", i)
				before[id] = w.shell(id, "exec sleep 1000", func(r *Request) {
					if i%2 == 0 { // by way of the stub
						r.Rlimits = []Rlimit{{unix.RLIMIT_CORE, 0, 0}}
					}
				})
			}
			ended := w.shell("ended", "echo last words; exit 3")
			w.await("ended", "exited", exited)
			var told atomic.Int64
			for id := range before {
				w.t.Cleanup(w.Subscribe(id, func(Process) { told.Add(1) }))
			}
			if w.Keeper().Outdated {
				t.Error("a keeper whose program is in its place is outdated")
			}
			install(t, program)
			w.replace()
			if keeperPID(w.opts.RunDir) != keeper || !runs(keeper, program) {
				t.Errorf("keeper %d is now %d", keeper, keeperPID(w.opts.RunDir))
			}
			if k := w.Keeper(); k.Moved != 1 || k.Outdated {
				t.Errorf("the new one says %+v", k)
			}
			all, err := w.List(w.ctx())
			if err != nil || len(all) != 21 {
				t.Fatalf("it knows %d processes: %v", len(all), err)
			}
			for id, b := range before {
				p, err := w.Get(w.ctx(), id)
				if err != nil || p.PID != b.PID || p.Run != b.Run || p.Phase != Running || !p.Started.Equal(b.Started) || !alive(p.PID) {
					t.Errorf("%+v (%v), before %+v", p, err, b)
				}
				if k, ok := readKin(p.PID); !ok || k.parent != keeper {
					t.Errorf("the parent of %s is %d", id, k.parent)
				}
			}
			if p, err := w.Get(w.ctx(), "ended"); err != nil || p.Run != ended.Run || p.Exit.Code != 3 || strings.Join(p.Last, "") != "last words" {
				t.Errorf("of the exit before: %+v, %v", p, err)
			}
			if told := told.Load(); told != 0 {
				t.Errorf("a client was told of %d changes, and there was none", told)
			}
			// What is started and stopped from here on is as ever.
			if err := unix.Kill(before["s1/app.a"].PID, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if p := w.await("s1/app.a", "exited", exited); p.Exit.Signal != "SIGKILL" || p.Exit.Asked {
				t.Errorf("killed later: %+v", p.Exit)
			}
			next := w.shell("s1/app.a", "exec sleep 1000")
			if next.Run <= before["s1/app.a"].Run {
				t.Errorf("run %d follows %d", next.Run, before["s1/app.a"].Run)
			}
			if err := w.Stop(w.ctx(), "s2/app.a", syscall.SIGTERM, 10*time.Second); err != nil {
				t.Error(err)
			}
			if p, err := w.Get(w.ctx(), "s2/app.a"); err != nil || p.Exit == nil || p.Exit.Signal != "SIGTERM" || !p.Exit.Asked {
				t.Errorf("stopped later: %+v, %v", p, err)
			}
		})
	}
}

func TestAProgramThatCannotGoOnIsNotTaken(t *testing.T) {
	w, program := newMovingWorld(t, nil)
	keeper := keeperPID(w.opts.RunDir)
	a := w.shell("a", "exec sleep 1000")
	for what, put := range map[string]func(){
		"none":            func() { os.Remove(program) },
		"no program":      func() { installScript(t, program, "broken\x00") },
		"another program": func() { installScript(t, program, "#!/bin/sh\necho hello\n") },
		"one that is older": func() {
			installScript(t, program, "#!/bin/sh\necho 'flag provided but not defined: -check' >&2; exit 1\n")
		},
		"one that runs only once": func() { installScript(t, program, "#!/bin/sh\nrm \"$0\"; echo '"+readable+"x'\n") },
	} {
		put()
		err := w.Replace(w.ctx())
		if err == nil || !strings.Contains(err.Error(), "goes on with its old") {
			t.Errorf("%s: %v", what, err)
		}
		if p, err := w.Get(w.ctx(), "a"); err != nil || p.PID != a.PID || p.Run != a.Run || !alive(a.PID) || keeperPID(w.opts.RunDir) != keeper {
			t.Errorf("%s: %+v, %v", what, p, err)
		}
		b := w.shell("b", "exec sleep 1000") // it works as before
		if err := w.Stop(w.ctx(), "b", syscall.SIGTERM, time.Second); err != nil || alive(b.PID) {
			t.Errorf("%s: %v", what, err)
		}
		if said, err := os.ReadFile(filepath.Join(w.opts.RunDir, "keeper.log")); err != nil {
			t.Error(err)
		} else if w.Keeper().Moved != 0 {
			t.Errorf("%s was taken up: %s", what, said)
		}
	}
	if w.log("a") != "" {
		t.Errorf("the log: %s", w.log("a"))
	}
	install(t, program)
	w.replace()
	if !runs(keeper, program) || !alive(a.PID) {
		t.Error("a good one is not taken up after that")
	}
}

func TestTheLimitOfFilesSurvivesARefusedProgram(t *testing.T) {
	w, program := newMovingWorld(t, func(o *Options) {
		o.Binary = append([]string{"/bin/sh", "-c", `ulimit -Sn 256; exec "$@"`, "sh"}, o.Binary...)
	})
	keeper := keeperPID(w.opts.RunDir)
	limit := func() string {
		b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", keeper))
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, "Max open files") {
				return line
			}
		}
		return ""
	}
	before := limit()
	installScript(t, program, "#!/bin/sh\nrm \"$0\"; echo '"+readable+"x'\n")
	if err := w.Replace(w.ctx()); err == nil {
		t.Fatal("it was taken up")
	}
	if after := limit(); after != before || before == "" {
		t.Errorf("%s became %s", before, after)
	}
}

func TestAHalfLineIsOneLineAfterwards(t *testing.T) {
	w, program := newMovingWorld(t, nil)
	gate := filepath.Join(t.TempDir(), "gate")
	if err := unix.Mkfifo(gate, 0o644); err != nil {
		t.Fatal(err)
	}
	w.shell("a", "printf 'one half, '; echo >"+gate+"; read x <"+gate+"; echo the other half; exec sleep 1000")
	if _, err := os.ReadFile(gate); err != nil { // the first half is in the pipe by now
		t.Fatal(err)
	}
	install(t, program)
	w.replace()
	if err := os.WriteFile(gate, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
	until(t, "the line is in the log", func() bool { return strings.HasSuffix(w.log("a"), " one half, the other half\n") })
}

func TestReadinessComesAfterANewProgram(t *testing.T) {
	needRoot(t)
	w, program := newMovingWorld(t, nil)
	gates := t.TempDir() // one each: of two that read one pipe, the first word can let both go
	changes := map[string]func(*Request){"abstract": nil, "path": func(r *Request) { r.Confine = &Confinement{OwnNetwork: true} }}
	for id, change := range changes {
		gate := filepath.Join(gates, id)
		if err := unix.Mkfifo(gate, 0o644); err != nil {
			t.Fatal(err)
		}
		p := w.shell(id, "read x <"+gate+`; exec `+os.Args[0]+` notify`, func(r *Request) {
			r.Notify = true
			if change != nil {
				change(r)
			}
		})
		if p.Ready {
			t.Errorf("%s is ready before it said so", id)
		}
	}
	install(t, program)
	w.replace()
	for id := range changes {
		if err := os.WriteFile(filepath.Join(gates, id), []byte("go\n"), 0); err != nil {
			t.Fatal(err)
		}
	}
	for id := range changes {
		w.await(id, "ready", func(p Process) bool { return p.Ready && p.Text == "serving" })
	}
}

func TestAStopGoesOnUnderTheNewProgram(t *testing.T) {
	w, program := newMovingWorld(t, nil)
	w.shell("deaf", `trap "echo heard" TERM; echo trapped; while :; do sleep 0.05; done`)
	until(t, "it hears no signal", func() bool { return strings.Contains(w.log("deaf"), "trapped") })
	result := make(chan error, 1)
	at := time.Now()
	go func() { result <- w.Stop(w.ctx(), "deaf", syscall.SIGTERM, 2*time.Second) }()
	until(t, "it was told", func() bool { return strings.Contains(w.log("deaf"), "heard") })
	install(t, program)
	w.replace()
	if err := <-result; err != nil {
		t.Error(err)
	}
	if took := time.Since(at); took < 2*time.Second {
		t.Errorf("its grace ended after %s", took)
	}
	if n := strings.Count(w.log("deaf"), "heard"); n != 1 {
		t.Errorf("it was told %d times", n)
	}
	if p, err := w.Get(w.ctx(), "deaf"); err != nil || p.Exit == nil || p.Exit.Signal != "SIGKILL" || !p.Exit.Asked {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestChildrenDieWithAKeeperThatTookUpNewPrograms(t *testing.T) {
	w, program := newMovingWorld(t, nil)
	keeper := keeperPID(w.opts.RunDir)
	var pids []int
	for round := range 3 { // children of each program
		for i := range 20 {
			pids = append(pids, w.shell(fmt.Sprint(round, "/", i), "exec sleep 1000").PID)
		}
		install(t, program)
		w.replace()
	}
	if slices.ContainsFunc(pids, func(pid int) bool { return !alive(pid) }) {
		t.Fatal("some died")
	}
	if err := unix.Kill(keeper, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	until(t, "all died", func() bool { return !slices.ContainsFunc(pids, alive) })
	w.await("0/0", "lost", func(p Process) bool { return p.Phase == Lost })
}

func TestAProcessIsBornWithItsSignalsAfterANewProgram(t *testing.T) {
	w, program := newMovingWorld(t, nil)
	before := descriptorsOf(t, w.shell("before", "exec sleep 1000").PID)
	install(t, program)
	w.replace()
	strict := 0o777
	p := w.shell("a", "exec sleep 1000", func(r *Request) { r.Umask = &strict })
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"SigBlk", "SigIgn"} {
		_, rest, _ := strings.Cut(string(b), field+":\t")
		set, err := strconv.ParseUint(strings.TrimSpace(rest[:min(16, len(rest))]), 16, 64)
		// 32 and 33 are the C library's own: whoever is below a make inherits them ignored.
		if set &^= 3 << 31; err != nil || set != 0 {
			t.Errorf("%s is not empty: %x %v", field, set, err)
		}
	}
	if n := strings.Count(string(b), "Umask:\t0777"); n != 1 {
		t.Errorf("umask: %s", b)
	}
	install(t, program) // the umask of the last one that was born is not that of the next program
	w.replace()
	w.shell("b", "echo hello")
	w.await("b", "exited", exited)
	until(t, "the log is written", func() bool { return w.log("b") != "" })
	if st, err := os.Stat(filepath.Join(w.opts.LogDir, "b.log")); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("the log has mode %v (%v)", st.Mode(), err)
	}
	if after := descriptorsOf(t, w.shell("c", "exec sleep 1000").PID); after != before {
		t.Errorf("a process got the descriptors %s, before %s", after, before)
	}
}

func descriptorsOf(t *testing.T, pid int) string {
	t.Helper()
	until(t, "the program runs", func() bool {
		name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		return string(name) == "sleep\n"
	})
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(files)
}

func TestASignalHasItTakeUpItsProgram(t *testing.T) {
	w, program := newMovingWorld(t, nil)
	a := w.shell("a", "exec sleep 1000")
	keeper := keeperPID(w.opts.RunDir)
	for range 5 {
		install(t, program)
		for range 3 { // one that comes while it is at it must not kill it
			if err := unix.Kill(keeper, unix.SIGUSR2); err != nil {
				said, _ := os.ReadFile(filepath.Join(w.opts.RunDir, "keeper.log"))
				t.Fatalf("%v %s", err, said)
			}
		}
		until(t, "the new program runs", func() bool { return runs(keeper, program) })
		if err := unix.Kill(keeper, unix.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "it answers", func() bool { _, err := w.List(w.ctx()); return err == nil })
	if !alive(a.PID) || keeperPID(w.opts.RunDir) != keeper {
		t.Error("it did not survive")
	}
}
