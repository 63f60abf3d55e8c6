package container

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/internal/testengine"
	"github.com/svcctl/svcctl/spec"
)

const patience = time.Minute // only a hang reaches it

// shared are the engines of all tests that don't restart one.
var shared struct {
	mu      sync.Mutex
	engines map[string]*testengine.Engine
}

func TestMain(m *testing.M) {
	shared.engines = map[string]*testengine.Engine{}
	code := m.Run()
	var errs []error
	for _, e := range shared.engines {
		errs = append(errs, e.End())
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, "left behind:", err)
		code = 1
	}
	os.Exit(code)
}

func engineOf(t *testing.T, kind string) *testengine.Engine {
	t.Helper()
	needsRoot(t)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if e := shared.engines[kind]; e != nil {
		return e
	}
	e, err := testengine.Start(kind, testengine.Options{})
	must(t, err)
	shared.engines[kind] = e
	return e
}

func needsRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: it runs a container engine")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// plain is a Config with its defaults.
func plain(e *testengine.Engine) *Config {
	return &Config{Engine: "unix://" + e.Socket, Image: testengine.Image, Pull: "never", KillAfter: time.Second,
		NoNewPrivs: true, Unhealthy: "restart", Ready: "started", Remove: true, Name: "svcctl-web-main"}
}

// open gives a driver as an agent does that just began.
func open(t *testing.T, c *Config) *driver {
	t.Helper()
	var r drivers.Registry
	Register(&r)
	d, err := r.Open(drivers.Opening{Address: "web/container.main", Service: "web", Node: "n1", RunDir: runDir(t)},
		&spec.Resource{Kind: "container", Address: "web/container.main", Config: c})
	must(t, err)
	return d.(*driver)
}

var runDirs sync.Map

func runDir(t *testing.T) string {
	name, _, _ := strings.Cut(t.Name(), "/")
	dir, _ := runDirs.LoadOrStore(name, os.TempDir()+"/svcctl-container-test-"+fmt.Sprint(os.Getpid()))
	t.Cleanup(func() { _ = os.RemoveAll(dir.(string)) }) // memory below it is unmounted by Stop
	return dir.(string)
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// up starts the container, and stops it when the test is over.
func up(t *testing.T, c *Config) *driver {
	t.Helper()
	d := open(t, c)
	t.Cleanup(func() { must(t, open(t, c).Stop(within(t))) })
	must(t, d.Start(within(t)))
	return d
}

func expect(t *testing.T, d *driver, want drivers.State, detail string) drivers.Status {
	t.Helper()
	s, err := d.Status(within(t))
	if err != nil || s.State != want || !strings.Contains(s.Detail, detail) {
		t.Fatalf("Status is %q (%s), %v; want %q with %q", s.State, s.Detail, err, want, detail)
	}
	return s
}

func expectError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error is %v; want %q in it", err, part)
		}
	}
}

// watching gives what Watch tells.
func watching(t *testing.T, d *driver) <-chan drivers.Status {
	t.Helper()
	told := make(chan drivers.Status, 1000)
	stop, err := d.Watch(func(s drivers.Status) { told <- s })
	must(t, err)
	t.Cleanup(stop)
	await(t, told, "the first look", func(drivers.Status) bool { return true })
	return told
}

func await(t *testing.T, told <-chan drivers.Status, what string, wanted func(drivers.Status) bool) drivers.Status {
	t.Helper()
	limit := time.After(patience)
	var last drivers.Status
	for {
		select {
		case last = <-told:
			if wanted(last) {
				return last
			}
		case <-limit:
			t.Fatalf("waited in vain for %s; last told: %+v", what, last)
		}
	}
}

func isState(s drivers.State) func(drivers.Status) bool {
	return func(st drivers.Status) bool { return st.State == s }
}

// until asks for a fact of the kernel or the engine that no event tells here.
func until(t *testing.T, what string, missing func() string) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; <-tick.C {
		why := missing()
		if why == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s: %s", what, why)
		}
	}
}

// get asks the probe by a port of the engine's network.
func get(t *testing.T, e *testengine.Engine, port, path string) string {
	t.Helper()
	var body string
	c := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialIn(e.Namespace, address)
		}}}
	until(t, "the probe answers", func() string {
		answer, err := c.Get("http://127.0.0.1:" + port + path)
		if err != nil {
			return err.Error()
		}
		defer answer.Body.Close()
		b := make([]byte, 4096)
		n, _ := answer.Body.Read(b) // short answers, in one piece
		body = string(b[:n])
		return ""
	})
	return body
}

// dialIn connects on a thread of its own, which ends in the other namespace.
func dialIn(space, address string) (c net.Conn, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and is never unlocked: the thread ends with this goroutine
		var h netns.NsHandle
		if h, err = netns.GetFromName(space); err != nil {
			return
		}
		defer h.Close()
		if err = netns.Set(h); err != nil {
			return
		}
		var conn net.Conn
		if conn, err = net.DialTimeout("tcp", address, time.Second); err == nil {
			c = conn
		}
	}()
	<-done
	return c, err
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("no process to kill: %d", pid)
	}
	must(t, syscall.Kill(pid, syscall.SIGKILL))
}
