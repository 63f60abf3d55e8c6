package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var made atomic.Int64

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
}

// named gives a name that no namespace has, and takes what the test makes of it away.
func named(t *testing.T) string {
	t.Helper()
	needRoot(t)
	name := fmt.Sprintf("svctest-ns-%d-%d", os.Getpid(), made.Add(1))
	t.Cleanup(func() {
		if err := Remove(name); err != nil {
			t.Error(err)
		}
	})
	return name
}

func namespace(t *testing.T) (name string) {
	t.Helper()
	name = named(t)
	if err := Make(name); err != nil {
		t.Fatal(err)
	}
	return name
}

func here(t *testing.T) ID {
	t.Helper()
	id, err := Identify("/proc/thread-self/ns/net")
	if err != nil {
		t.Error(err)
	}
	return id
}

func TestAFunctionRunsInsideAndTheProgramStaysOutside(t *testing.T) {
	path := Path(namespace(t))
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, inside := here(t), ID{}
	for range 50 { // on as many threads as the runtime likes
		if err := Do(path, func() error { inside = here(t); return nil }); err != nil {
			t.Fatal(err)
		}
		if want, err := Identify(path); err != nil || inside != want || inside == before {
			t.Fatalf("ran in %v, want %v, %v", inside, want, err)
		}
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		id, err := Identify("/proc/self/task/" + thread.Name() + "/ns/net")
		if err == nil && id == inside {
			t.Error("a thread was left inside")
		}
	}
	oops := errors.New("oops")
	if err := Do(path, func() error { return oops }); !errors.Is(err, oops) {
		t.Error(err)
	}
	if err := Do(path, func() error { runtime.Goexit(); return nil }); err == nil {
		t.Error("a function that left its goroutine is no error")
	}
}

func TestWhereNoNamespaceIsTheAnswerSaysSo(t *testing.T) {
	needRoot(t)
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/run/netns/svctest-none", file, file + "/below"} {
		if _, err := Identify(path); !errors.Is(err, ErrNone) {
			t.Errorf("Identify of %s: %v", path, err)
		}
		if err := Do(path, func() error { t.Error("ran"); return nil }); !errors.Is(err, ErrNone) {
			t.Errorf("Do at %s: %v", path, err)
		}
	}
}

func TestTheOldToolSeesWhatIsMadeAndTheOtherWayRound(t *testing.T) {
	name := namespace(t)
	if out, err := exec.Command("ip", "-n", name, "-brief", "link", "show", "lo").CombinedOutput(); err != nil || !strings.Contains(string(out), "UP") {
		t.Errorf("%s, %v", out, err)
	}
	if err := Make(name); !errors.Is(err, os.ErrExist) {
		t.Errorf("made twice: %v", err)
	}
	if out, err := exec.Command("ip", "netns", "delete", name).CombinedOutput(); err != nil {
		t.Errorf("%s, %v", out, err)
	}
	if _, err := Identify(Path(name)); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Errorf("%s, %v", out, err)
	}
	if _, err := Identify(Path(name)); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := Remove(name); err != nil {
			t.Error(err)
		}
	}
	if out, err := exec.Command("ip", "netns", "list").Output(); err != nil || strings.Contains(string(out), name) {
		t.Errorf("still listed: %s, %v", out, err)
	}
}

func TestAFileThatWasLeftIsTakenAwayAndAnythingElseIsNot(t *testing.T) {
	name := named(t)
	if err := os.WriteFile(Path(name), nil, 0); err != nil {
		t.Fatal(err)
	}
	if err := Make(name); err != nil {
		t.Error(err)
	}
	other := named(t)
	if err := os.WriteFile(Path(other), []byte("something"), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(Path(other))
	if err := Remove(other); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(Path(other)); err != nil {
		t.Errorf("what is no namespace was removed: %v", err)
	}
	if err := Make(other); err == nil || !strings.Contains(err.Error(), "something else") {
		t.Error(err)
	}
}

func TestComingAndGoingIsTold(t *testing.T) {
	name := named(t)
	var w Watching
	told := make(chan struct{}, 10)
	stop, err := w.Watch(Path(name), func() { told <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, verb := range []string{"add", "delete"} {
			if out, err := exec.Command("ip", "netns", verb, name).CombinedOutput(); err != nil {
				t.Fatalf("%s, %v", out, err)
			}
			select {
			case <-told:
			case <-time.After(30 * time.Second):
				t.Fatalf("nothing is told of ip netns %s", verb)
			}
		}
	}
	stop()
	if len(w.wishes) > 0 {
		t.Error("the wish is kept")
	}
}

func TestProcessesInsideAreListed(t *testing.T) {
	name := namespace(t)
	cmd := exec.Command("ip", "netns", "exec", name, "sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cmd.Process.Kill(); cmd.Wait() }()
	id, err := Identify(Path(name))
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 3000 {
		inside, err := Processes(id)
		if err != nil {
			t.Fatal(err)
		}
		if len(inside) == 1 && inside[0].PID == cmd.Process.Pid {
			return
		}
		<-tick.C
	}
	t.Error("the process is not found")
}

func TestADialReachesWhoListensInsideAndNobodyElse(t *testing.T) {
	path := Path(namespace(t))
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		var address string
		// Bound inside, served from outside: a socket stays where it was opened.
		err := Do(path, func() error {
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			t.Cleanup(func() { l.Close() })
			address = l.Addr().String()
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		conn, err := Dial(ctx, path, address)
		if err != nil {
			t.Fatal(err)
		}
		if conn.RemoteAddr().String() != address {
			t.Errorf("connected to %s", conn.RemoteAddr())
		}
		conn.Close()
		if _, port, _ := net.SplitHostPort(address); strings.HasPrefix(listen, "127") {
			if conn, err = Dial(ctx, path, "localhost:"+port); err != nil {
				t.Error(err)
			} else {
				conn.Close()
			}
		}
		if _, err := Dial(ctx, "/proc/self/ns/net", address); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("outside: %v", err)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := Dial(ended, path, address); !errors.Is(err, context.Canceled) {
			t.Errorf("under an ended context: %v", err)
		}
	}
}

func TestNamesThatCanNotBeAreFound(t *testing.T) {
	for _, name := range []string{"", ".", "..", "a/b", "a b", "/a/../b", "/a/", strings.Repeat("x", 300)} {
		if Wrong(name) == "" {
			t.Errorf("%q is accepted", name)
		}
	}
	for _, name := range []string{"orders", "orders.inner@a", "/proc/1/ns/net"} {
		if why := Wrong(name); why != "" {
			t.Errorf("%q %s", name, why)
		}
	}
}
