package keeper

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// BenchmarkRestart is the time from kill -9 to the new process, told and asked for
// over the socket.
func BenchmarkRestart(b *testing.B) {
	w := newWorld(b, nil)
	died := make(chan Process, 1)
	b.Cleanup(w.Subscribe("a", func(p Process) {
		if p.Phase == Exited {
			died <- p
		}
	}))
	r := Request{ID: "a", Path: "/bin/sleep", Args: []string{"sleep", "1000"}, Env: []string{"PATH=/bin"}, Log: Log{Path: "a.log"}}
	ctx := w.ctx()
	p, err := w.Start(ctx, r)
	if err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for b.Loop() {
		at := time.Now()
		if err := unix.Kill(p.PID, unix.SIGKILL); err != nil {
			b.Fatal(err)
		}
		<-died
		if p, err = w.Start(ctx, r); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-median")
}

// BenchmarkThousand starts and stops 1,000 programs, as many at once as an agent does.
func BenchmarkThousand(b *testing.B) {
	const n, parallel = 1000, 64
	w := newWorld(b, nil)
	ctx := w.ctx()
	all := func(f func(id string) error) time.Duration {
		at := time.Now()
		ids := make(chan string, n)
		for i := range n {
			ids <- fmt.Sprintf("s%d/app.a", i)
		}
		close(ids)
		var group sync.WaitGroup
		for range parallel {
			group.Go(func() {
				for id := range ids {
					if err := f(id); err != nil {
						b.Error(err)
					}
				}
			})
		}
		group.Wait()
		return time.Since(at)
	}
	var start, stop time.Duration
	pss := 0
	for b.Loop() {
		start += all(func(id string) error {
			_, err := w.Start(ctx, Request{ID: id, Path: "/bin/sleep", Args: []string{"sleep", "1000"},
				Env: []string{"PATH=/usr/bin:/bin", "HOME=/root", "SVCCTL_SERVICE=" + id}, Log: Log{Path: id + ".log"}})
			return err
		})
		pss = pssOf(keeperPID(w.opts.RunDir))
		stop += all(func(id string) error { return w.Stop(ctx, id, syscall.SIGTERM, 10*time.Second) })
	}
	b.ReportMetric(start.Seconds()*1000/float64(b.N), "ms-start")
	b.ReportMetric(stop.Seconds()*1000/float64(b.N), "ms-stop")
	b.ReportMetric(float64(pss), "KiB-pss")
}

func pssOf(pid int) int {
	f, err := os.Open(filepath.Join("/proc", fmt.Sprint(pid), "smaps_rollup"))
	if err != nil {
		return -1
	}
	defer f.Close()
	kib := -1
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "Pss:"); ok {
			fmt.Sscan(rest, &kib)
		}
	}
	return kib
}

// BenchmarkStart is the time of one start, by what is asked for besides the program.
func BenchmarkStart(b *testing.B) {
	places := []Place{
		{Path: "/", As: ReadOnly}, {Path: "/proc", As: AsItIs}, {Path: "/sys", As: ReadOnly}, {Path: "/sys/fs/cgroup", As: ReadOnly},
		{Path: "/home", As: Hidden}, {Path: "/root", As: Hidden}, {Path: "/tmp", As: Scratch}, {Path: "/var/tmp", As: Scratch},
		{Path: "/dev", As: FewDevices}, {Path: "/proc/sys", As: ReadOnly}, {Path: "/proc/kallsyms", As: Hidden}, {Path: "/var/lib", As: AsItIs},
	}
	keeper := filepath.Join(b.TempDir(), "svcctl-keeper") // the real one: its stub starts quicker than this test
	if out, err := exec.Command("go", "build", "-o", keeper, "../cmd/svcctl-keeper").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	allow := []byte{6, 0, 0, 0, 0, 0, 0xff, 0x7f}
	nofile := []Rlimit{{Resource: unix.RLIMIT_NOFILE, Soft: 1024, Hard: 1024}}
	for _, c := range []struct {
		name    string
		request Request
	}{
		{"plain", Request{}},
		{"limits", Request{Rlimits: nofile}},
		{"credentials", Request{Files: map[string][]byte{"password": []byte("x")}}},
		{"network", Request{Confine: &Confinement{OwnNetwork: true}}},
		{"sandbox", Request{Confine: &Confinement{Places: places, DropOthers: true, NoNewPrivileges: true, Filter: allow}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := newConfinedWorld(b, keeper)
			ctx := w.ctx()
			r := c.request
			r.ID, r.Path, r.Args = "a", "/bin/sleep", []string{"sleep", "1000"}
			var took []time.Duration
			for b.Loop() {
				at := time.Now()
				if _, err := w.Start(ctx, r); err != nil {
					b.Fatal(err)
				}
				took = append(took, time.Since(at))
				if err := w.Kill(ctx, "a"); err != nil {
					b.Fatal(err)
				}
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-median")
		})
	}
}
