package keeper

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOutputIsStampedAndRotatedWithinItsBound(t *testing.T) {
	w := newWorld(t, nil)
	w.shell("a", `i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; printf 'no newline'`, func(r *Request) {
		r.Log = Log{Path: "deep/er/a.log", Size: 16 << 10, Files: 3}
	})
	w.await("a", "exited", exited)
	dir := filepath.Join(w.opts.LogDir, "deep/er")
	var all string
	until(t, "the last line is written", func() bool {
		newest, _ := os.ReadFile(filepath.Join(dir, "a.log"))
		before, _ := os.ReadFile(filepath.Join(dir, "a.log.1"))
		all = string(before) + string(newest)
		return strings.HasSuffix(all, "no newline\n")
	})
	if !regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d\d:\d\d) line 2999$`).MatchString(all) {
		t.Errorf("the last lines: %q", all[max(0, len(all)-200):])
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 3 {
		t.Errorf("%d files, %v; want 3", len(files), err)
	}
	for _, f := range files {
		st, err := f.Info()
		if err != nil || st.Size() > 16<<10 {
			t.Errorf("%s has %d bytes (%v)", f.Name(), st.Size(), err)
		}
	}
}

func TestALongLineIsSplit(t *testing.T) {
	w := newWorld(t, nil)
	w.shell("a", `head -c 20000 /dev/zero | tr '\0' x; echo; echo end`)
	w.await("a", "exited", exited)
	until(t, "the last line is written", func() bool { return strings.Contains(w.log("a"), " end\n") })
	lines := strings.Split(strings.TrimSpace(w.log("a")), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines, want 3 of the long one and the end", len(lines))
	}
	total := 0
	for _, l := range lines[:3] {
		total += strings.Count(l, "x")
	}
	if total != 20000 {
		t.Errorf("%d of 20000 characters are in the log", total)
	}
}

func TestAFullDiskDisturbsNobody(t *testing.T) {
	needRoot(t)
	logs := t.TempDir()
	if err := unix.Mount("svcctl-test", logs, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(logs, unix.MNT_DETACH) })
	w := newWorld(t, func(o *Options) { o.LogDir = logs })
	w.shell("a", `i=0; while [ $i -lt 5000 ]; do echo "a line that is long enough to fill the disk soon: $i"; i=$((i+1)); done; sleep 1000`,
		func(r *Request) { r.Log.Size = 10 << 20 })
	w.await("a", "dropping lines", func(p Process) bool { return p.Dropped > 0 })
	until(t, "all lines are counted", func() bool {
		all, err := w.List(w.ctx())
		if err != nil {
			t.Fatal(err)
		}
		return all[0].Dropped > 3000
	})
	w.shell("b", "echo last words; exit 2")
	if p := w.await("b", "exited", exited); p.Exit.Code != 2 || strings.Join(p.Last, "") != "last words" {
		t.Errorf("beside the full disk: %+v", p)
	}
	b, err := os.ReadFile(filepath.Join(logs, "a.log"))
	if err != nil || len(b) == 0 || b[len(b)-1] != '\n' {
		t.Errorf("the log ends within a line (%d bytes, %v)", len(b), err)
	}
}

func TestReadinessComesByNotify(t *testing.T) {
	w := newWorld(t, nil)
	script := `test -n "$NOTIFY_SOCKET" && echo "$NOTIFY_SOCKET"; exec sleep 1000`
	p := w.shell("a", script, func(r *Request) {
		r.Notify = true
		if os.Geteuid() == 0 {
			r.Credential = &Credential{UID: 65534, GID: 65534}
		}
	})
	if p.Ready {
		t.Error("ready before it said so")
	}
	until(t, "the address is in the log", func() bool { return strings.Contains(w.log("a"), "@svcctl") })
	line := strings.TrimSpace(w.log("a"))
	c, err := net.Dial("unixgram", line[strings.IndexByte(line, '@'):])
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "STATUS=warming up\n")
	w.await("a", "with a status", func(p Process) bool { return p.Text == "warming up" && !p.Ready })
	fmt.Fprint(c, "READY=1\nSTATUS=serving")
	w.await("a", "ready", func(p Process) bool { return p.Ready && p.Text == "serving" })
}

func TestALastLineOrStatusThatIsCutEndsInDots(t *testing.T) {
	w := newWorld(t, nil)
	got := w.lines(Request{}, "head -c 4000 /dev/zero | tr '\\0' x")
	if len(got) != 2 && len(got) != 1 || len(got[0]) >= maxTail || !strings.HasSuffix(got[0], "xx…") {
		t.Errorf("%.40q", got)
	}
	e := &entry{}
	(&server{}).heard(e, []byte("STATUS="+strings.Repeat("s", 300)), 0)
	if e.p.Text != strings.Repeat("s", 200)+"…" {
		t.Errorf("%q", e.p.Text)
	}
}
