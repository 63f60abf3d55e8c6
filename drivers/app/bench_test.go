package app

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
)

// BenchmarkRestart is the time from kill -9 to the new process, by what is kept from it.
func BenchmarkRestart(b *testing.B) {
	program := filepath.Join(b.TempDir(), "svcctl-keeper")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/svcctl-keeper").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	for _, c := range []struct {
		name    string
		sandbox *Sandbox
	}{{"plain", nil}, {"sandbox", sandbox()}} {
		b.Run(c.name, func(b *testing.B) {
			h := newConfinedHost(b, program)
			config := config("/bin/sleep", "1000")
			config.Sandbox = c.sandbox
			d := h.open(config)
			news := h.watch(d)
			h.start(d)
			var took []time.Duration
			for b.Loop() {
				pid := h.status(d).PID
				at := time.Now()
				if err := unix.Kill(pid, unix.SIGKILL); err != nil {
					b.Fatal(err)
				}
				h.await(news, drivers.Down)
				h.start(d)
				took = append(took, time.Since(at))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-median")
		})
	}
}
