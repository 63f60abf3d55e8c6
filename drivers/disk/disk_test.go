package disk

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

func opened(t testing.TB, c Config) *prober {
	t.Helper()
	if found := c.Validate(); len(found) > 0 {
		t.Fatal(found)
	}
	var r drivers.Registry
	Register(&r)
	p, err := r.OpenCheck(drivers.Opening{}, &spec.Check{Kind: "disk", Config: &c})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*prober)
}

func status(t *testing.T, p *prober, timeout time.Duration) (drivers.Status, map[string]float64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	s, err := p.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]float64{}
	for _, v := range p.Measured() {
		m[v.Label+" "+v.Unit] = v.Value
	}
	return s, m
}

func TestSpaceAndInodesAreHeldAgainstTheirLimits(t *testing.T) {
	// 1000 bytes, of which 100 are reserved for root; 600 used, 300 for users.
	u := usage{size: 1000, free: 400, available: 300, inodes: 50, freeInodes: 10}
	for _, c := range []struct {
		config Config
		detail string
	}{
		{Config{}, ""},
		{Config{MinFree: "300", MaxUsed: "600", MinFreeInodes: "10", MaxUsedInodes: "40"}, ""},
		{Config{MinFree: "33%", MaxUsed: "67%", MinFreeInodes: "20%", MaxUsedInodes: "80%"}, ""},
		{Config{MinFree: "301"}, "the file system of /x has 300 bytes free, wanted at least 301"},
		{Config{MinFree: "1K"}, "the file system of /x has 300 bytes free, wanted at least 1K"},
		{Config{MinFree: "34%"}, "the file system of /x has 33.3% free, wanted at least 34%"},
		{Config{MaxUsed: "599B"}, "the file system of /x has 600 bytes used, wanted at most 599B"},
		{Config{MaxUsed: "66%", MinFreeInodes: "11"}, "the file system of /x has 66.7% used, wanted at most 66%; 10 inodes free, wanted at least 11"},
		{Config{MaxUsedInodes: "79.5%"}, "the file system of /x has 80.0% inodes used, wanted at most 79.5%"},
	} {
		c.config.Path = "/x"
		p := opened(t, c.config)
		p.look = func(string) (usage, error) { return u, nil }
		s, m := status(t, p, time.Minute)
		if (s.State == drivers.Up) != (c.detail == "") || s.Detail != c.detail {
			t.Errorf("%+v: %+v, want %q", c.config, s, c.detail)
		}
		if want := "map[free bytes:300 inodes_free :10 inodes_used :40 size bytes:1000 used bytes:600 used_percent percent:66.66666666666667]"; fmt.Sprint(m) != want {
			t.Errorf("measured %v", m)
		}
	}
	p := opened(t, Config{Path: "/x", MinFreeInodes: "5%"})
	p.look = func(string) (usage, error) { return usage{size: 1, free: 1, available: 1}, nil }
	if s, _ := status(t, p, time.Minute); s.State != drivers.Up {
		t.Errorf("a file system that makes inodes as needed: %+v", s)
	}
}

func TestARealFileSystemIsLookedAt(t *testing.T) {
	s, m := status(t, opened(t, Config{Path: t.TempDir(), MaxUsed: "100%"}), time.Minute)
	if s.State != drivers.Up || m["size bytes"] <= 0 || m["free bytes"]+m["used bytes"] > m["size bytes"] {
		t.Errorf("%+v %v", s, m)
	}
	if s, _ := status(t, opened(t, Config{Path: "/no/such/path"}), time.Minute); s.State != drivers.Down || s.Detail != "/no/such/path does not exist" {
		t.Errorf("%+v", s)
	}
	if s, _ := status(t, opened(t, Config{Path: t.TempDir(), Mounted: true}), time.Minute); s.State != drivers.Down || !strings.HasPrefix(s.Detail, "nothing is mounted at ") {
		t.Errorf("%+v", s)
	}
	if s, _ := status(t, opened(t, Config{Path: "/proc", Mounted: true}), time.Minute); s.State != drivers.Up {
		t.Errorf("%+v", s)
	}
}

func TestAFullFileSystemFails(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount")
	}
	dir := t.TempDir()
	if err := unix.Mount("svctest", dir, "tmpfs", 0, "size=1M,nr_inodes=100"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	c := Config{Path: dir, Mounted: true, MinFree: "512K", MinFreeInodes: "10%"}
	if s, _ := status(t, opened(t, c), time.Minute); s.State != drivers.Up {
		t.Errorf("%+v", s)
	}
	if err := os.WriteFile(filepath.Join(dir, "big"), make([]byte, 600<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 92 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, m := status(t, opened(t, c), time.Minute)
	if want := "the file system of " + dir + " has 424.0K free, wanted at least 512K; 6.0% inodes free, wanted at least 10%"; s.State != drivers.Down || s.Detail != want {
		t.Errorf("%+v, want %q", s, want)
	}
	if m["used bytes"] != 600<<10 || m["inodes_free "] != 6 {
		t.Errorf("measured %v", m)
	}
}

// A file system whose server never answers: the kernel really waits for it.
func TestAFileSystemThatHangsIsAskedOnceAndHoldsNothingUp(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount")
	}
	fuse, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Skip("needs /dev/fuse")
	}
	dir := t.TempDir()
	if err := unix.Mount("svctest", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", fuse.Fd())); err != nil {
		fuse.Close()
		t.Skipf("needs FUSE: %v", err)
	}
	t.Cleanup(func() { fuse.Close(); unix.Unmount(dir, unix.MNT_DETACH) })
	p := opened(t, Config{Path: dir})
	asked := atomic.Int64{}
	p.look = func(path string) (usage, error) { asked.Add(1); return look(path) }
	for range 3 {
		s, _ := status(t, p, 30*time.Millisecond)
		if s.State != drivers.Down || !strings.HasPrefix(s.Detail, "the file system of "+dir+" has not answered for ") {
			t.Errorf("%+v", s)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("the kernel was asked %d times while it had not answered", n)
	}
	fuse.Close() // the server is gone for good: whoever waits is told
	s, _ := status(t, p, time.Minute)
	if s.State != drivers.Down || !strings.HasPrefix(s.Detail, "cannot look at "+dir) {
		t.Errorf("%+v", s)
	}
}

func TestMistakesAreFoundAtLoad(t *testing.T) {
	for field, c := range map[string]Config{
		"path":            {Path: "srv"},
		"min_free":        {Path: "/", MinFree: "much"},
		"max_used":        {Path: "/", MaxUsed: "101%"},
		"min_free_inodes": {Path: "/", MinFreeInodes: "5K"},
		"max_used_inodes": {Path: "/", MaxUsedInodes: "-1"},
	} {
		if found := c.Validate(); len(found) != 1 || found[0].Field != field {
			t.Errorf("%s: %+v", field, found)
		}
	}
	for text, want := range map[string]float64{"1": 1, "2K": 2048, "1.5MiB": 1.5 * (1 << 20), "1G": 1 << 30, "1TB": 1 << 40, "1P": 1 << 50} {
		if l, err := parseLimit(text, true); err != nil || l.of(0) != want {
			t.Errorf("%s: %v %v", text, l.of(0), err)
		}
	}
}
