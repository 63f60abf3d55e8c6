package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func thousand(tb testing.TB, dir string) {
	tb.Helper()
	if err := os.WriteFile(filepath.Join(dir, "common.hcl"), []byte("locals {\n  user = \"nobody\"\n}\n"), 0o644); err != nil {
		tb.Fatal(err)
	}
	for i := range 1000 {
		writeService(tb, dir, i, 8080)
	}
}

func writeService(tb testing.TB, dir string, i, port int) {
	tb.Helper()
	src := fmt.Sprintf(`service "s%04d" {
  description = "Service %d"
  rto         = "10s"

  mount "data" {
    device = "/dev/vg0/s%04d"
    path   = "/srv/s%04d"
  }

  app "main" {
    command = ["/usr/bin/server", "--data", mount.data.path, "--port", %d]
    user    = local.user
    env     = { LOG = "info" }

    restart {
      attempts = 3
      within   = "1m"
    }

    check "http" "ready" {
      url   = "http://127.0.0.1:%d/health"
      every = "2s"
    }
  }
}
`, i, i, i, i, port, port)
	name := filepath.Join(dir, fmt.Sprintf("s%04d.hcl", i))
	if err := os.WriteFile(name+".new", []byte(src), 0o644); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkLoadThousand reads a thousand files for the first time.
func BenchmarkLoadThousand(b *testing.B) {
	dir := b.TempDir()
	thousand(b, dir)
	for b.Loop() {
		if s, findings := NewLoader(testOptions).Load(os.DirFS(dir)); s == nil {
			b.Fatal(printed(findings))
		}
	}
}

// BenchmarkLoadOneChanged reads a thousand files of which one was renamed over.
func BenchmarkLoadOneChanged(b *testing.B) {
	dir := b.TempDir()
	thousand(b, dir)
	l := NewLoader(testOptions)
	l.Load(os.DirFS(dir))
	port := 9000
	for b.Loop() {
		b.StopTimer()
		port++
		writeService(b, dir, 500, port)
		b.StartTimer()
		if s, findings := l.Load(os.DirFS(dir)); s == nil {
			b.Fatal(printed(findings))
		}
	}
}

// BenchmarkRetained says how much memory a service costs between loads.
func BenchmarkRetained(b *testing.B) {
	dir := b.TempDir()
	thousand(b, dir)
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		l := NewLoader(testOptions)
		s, _ := l.Load(os.DirFS(dir))
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1000, "B/service")
		runtime.KeepAlive(l)
		runtime.KeepAlive(s)
	}
}
