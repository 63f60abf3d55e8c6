package keeper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWhatEndsMeanwhileIsReported(t *testing.T) {
	w, program := newMovingWorld(t, nil)
	const n = 60
	gates := t.TempDir()
	gate := func(i int) string { return filepath.Join(gates, fmt.Sprint(i)) }
	for i := range n {
		if err := unix.Mkfifo(gate(i), 0o644); err != nil {
			t.Fatal(err)
		}
		w.shell(fmt.Sprint(i), fmt.Sprintf("read x <%s; echo word %d; exit %d", gate(i), i, i))
	}
	opened := make(chan error, 1)
	go func() {
		for i := range n {
			if err := os.WriteFile(gate(i), []byte("go\n"), 0); err != nil {
				opened <- err
				return
			}
		}
		opened <- nil
	}()
	for moves := 0; ; moves++ {
		install(t, program)
		w.replace()
		select {
		case err := <-opened:
			if err != nil {
				t.Fatal(err)
			}
		default:
			continue
		}
		break
	}
	for i := range n {
		p := w.await(fmt.Sprint(i), "exited", exited)
		if p.Exit.Code != i || p.Exit.Signal != "" || strings.Join(p.Last, "") != fmt.Sprint("word ", i) {
			t.Errorf("process %d: %+v %q", i, p.Exit, p.Last)
		}
	}
}

func TestFiveHundredProcessesStay(t *testing.T) {
	w, program := newMovingWorld(t, nil)
	const n = 500
	pids := make(map[string]int)
	for i := range n {
		id := fmt.Sprintf("s%d/app.a", i)
		pids[id] = w.shell(id, "exec sleep 1000").PID
	}
	for range 3 {
		install(t, program)
		at := time.Now()
		w.replace()
		t.Logf("a new program took %s with %d processes", time.Since(at).Round(time.Millisecond), n)
	}
	all, err := w.List(w.ctx())
	if err != nil || len(all) != n {
		t.Fatalf("%d processes: %v", len(all), err)
	}
	for _, p := range all {
		if p.PID != pids[p.ID] || p.Phase != Running || !alive(p.PID) {
			t.Errorf("%+v, want %d", p, pids[p.ID])
		}
	}
}

func TestCallsUnderLoadSeeNothingOfNewPrograms(t *testing.T) {
	w, program := newMovingWorld(t, nil)
	var callers sync.WaitGroup
	end := make(chan struct{})
	var rounds [4]int
	for i := range rounds {
		callers.Go(func() {
			id := fmt.Sprint("load", i)
			for {
				select {
				case <-end:
					return
				default:
				}
				r := Request{ID: id, Path: "/bin/sleep", Args: []string{"sleep", "1000"}, Log: Log{Path: id}}
				if i%2 == 0 {
					r.Rlimits = []Rlimit{{unix.RLIMIT_CORE, 0, 0}}
				}
				p, err := w.Start(w.ctx(), r)
				if err == nil {
					err = w.Stop(w.ctx(), id, syscall.SIGTERM, 10*time.Second)
				}
				if err == nil && alive(p.PID) {
					err = errors.New("it lives on")
				}
				if err == nil {
					err = w.Forget(w.ctx(), id)
				}
				if err != nil {
					t.Errorf("%s: %v", id, err)
					return
				}
				rounds[i]++
			}
		})
	}
	for range 20 {
		install(t, program)
		w.replace()
	}
	close(end)
	callers.Wait()
	t.Log("rounds of start, stop and forget:", rounds)
	if w.Keeper().Moved != 20 {
		t.Errorf("it moved %d times", w.Keeper().Moved)
	}
}

func TestEveryLineIsInTheLogOnce(t *testing.T) {
	w, program := newMovingWorld(t, nil)
	const writers, lines = 8, 20000
	for i := range writers {
		w.shell(fmt.Sprint("w", i), fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); echo line $i; done; printf 'the end'`, lines), func(r *Request) {
			r.Log.Size = 32 << 20
		})
	}
	keeper := keeperPID(w.opts.RunDir)
	done := func() bool {
		for i := range writers {
			if p, err := w.Get(w.ctx(), fmt.Sprint("w", i)); err != nil || p.Phase == Running {
				return false
			}
		}
		return true
	}
	moves := 0
	for ; moves < 20 || !done(); moves++ {
		install(t, program)
		w.replace()
	}
	if keeperPID(w.opts.RunDir) != keeper || w.Keeper().Moved != moves {
		t.Errorf("keeper %d, %d moves", keeperPID(w.opts.RunDir), w.Keeper().Moved)
	}
	for i := range writers {
		id := fmt.Sprint("w", i)
		if p := w.await(id, "exited", exited); p.Exit.Code != 0 || p.Dropped != 0 || p.Last[len(p.Last)-1] != "the end" {
			t.Errorf("%s: %+v", id, p)
		}
		until(t, "all is written", func() bool { return strings.HasSuffix(w.log(id), "the end\n") })
		all := strings.Split(strings.TrimSpace(w.log(id)), "\n")
		if len(all) != lines+1 {
			t.Fatalf("%s has %d lines", id, len(all))
		}
		for n, l := range all[:lines] {
			if !strings.HasSuffix(l, fmt.Sprintf(" line %d", n+1)) {
				t.Fatalf("line %d of %s is %q", n, id, l)
			}
		}
	}
}
