package app

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/drivers/drivertest"
	"github.com/svcctl/svcctl/keeper"
	"github.com/svcctl/svcctl/spec"
)

// The test binary is the keeper too, when it is called as one.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "keeper" {
		os.Exit(keeper.Main(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == "inside" {
		os.Exit(inside(os.Args[2:]))
	}
	code := m.Run()
	if probeDir != "" {
		os.RemoveAll(probeDir)
	}
	os.Exit(code)
}

type host struct {
	t      testing.TB
	opts   keeper.Options
	keeper *keeper.Client
}

func newHost(t testing.TB) *host {
	t.Helper()
	dir := t.TempDir()
	return serve(t, keeper.Options{RunDir: filepath.Join(dir, "run"), LogDir: filepath.Join(dir, "log"), Binary: []string{os.Args[0], "keeper"}})
}

func serve(t testing.TB, opts keeper.Options) *host {
	t.Helper()
	h := &host{t: t, opts: opts}
	h.connect()
	t.Cleanup(func() {
		all, err := h.keeper.List(h.ctx())
		if err != nil {
			t.Error(err)
		}
		for _, p := range all {
			if err := h.keeper.Kill(h.ctx(), p.ID); err != nil {
				t.Error(err)
			}
			if err := h.keeper.Forget(h.ctx(), p.ID); err != nil {
				t.Error(err)
			}
		}
		if err := h.keeper.Retire(h.ctx()); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *host) connect() {
	h.t.Helper()
	k, err := keeper.Connect(h.ctx(), h.opts)
	if err != nil {
		h.t.Fatal(err)
	}
	h.keeper = k
}

func (h *host) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	h.t.Cleanup(cancel)
	return ctx
}

// config has the defaults that the loader would have filled in.
func config(command ...string) *Config {
	return &Config{Program: program(command...), Type: "simple", Ready: "started"}
}

func program(command ...string) Program {
	return Program{
		Command: command, Cwd: "/", Umask: "022", StopSignal: "TERM",
		KillAfter: 10 * time.Second, LogSize: 1 << 20, LogFiles: 3,
	}
}

func (h *host) open(c *Config) *app {
	h.t.Helper()
	if p := c.Validate(); len(p) > 0 {
		h.t.Fatalf("invalid: %+v", p)
	}
	var r drivers.Registry
	Register(&r, h.keeper)
	d, err := r.Open(drivers.Opening{Address: "web/app.main", Service: "web", Node: "n1"}, &spec.Resource{Address: "web/app.main", Kind: "app", Config: c})
	if err != nil {
		h.t.Fatal(err)
	}
	return d.(*app)
}

// watch returns a channel that has the newest status of each kind of news.
func (h *host) watch(d *app) <-chan drivers.Status {
	news := make(chan drivers.Status, 100)
	stop, err := d.Watch(func(s drivers.Status) { news <- s })
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(stop)
	return news
}

func (h *host) await(news <-chan drivers.Status, want drivers.State) drivers.Status {
	h.t.Helper()
	end := time.After(20 * time.Second)
	for {
		select {
		case s := <-news:
			if s.State == want {
				return s
			}
		case <-end:
			h.t.Fatalf("the app was never %s", want)
		}
	}
}

func (h *host) status(d *app) drivers.Status {
	h.t.Helper()
	s, err := d.Status(h.ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

func TestAnAppKeepsThePromisesOfADriver(t *testing.T) {
	h := newHost(t)
	live := config("sleep", "1000")
	live.KillAfter = time.Second
	drivertest.Run(t, drivertest.Harness{
		Open: func(t *testing.T) drivers.Driver { return h.open(config("sleep", "1000")) },
		Fingerprint: func(t *testing.T) string {
			all, err := h.keeper.List(h.ctx())
			if err != nil {
				t.Fatal(err)
			}
			running := ""
			for _, p := range all {
				if p.Phase == keeper.Running || p.Remains > 0 {
					running += fmt.Sprintln(p.ID, p.Run, p.PID, p.Remains)
				}
			}
			return running
		},
		Break: func(t *testing.T) {
			gone := make(chan struct{}, 16)
			defer h.keeper.Subscribe("web/app.main", func(p keeper.Process) {
				if p.Phase == keeper.Exited {
					gone <- struct{}{}
				}
			})()
			if err := h.keeper.Signal(h.ctx(), "web/app.main", unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
			select {
			case <-gone:
			case <-h.ctx().Done():
				t.Fatal("the exit was never told")
			}
		},
		Live: live,
	})
}

func TestAnAppStartsStopsAndDoesEachOnce(t *testing.T) {
	h := newHost(t)
	d := h.open(config("sleep", "1000"))
	if s := h.status(d); s.State != drivers.Down || s.Exit != nil {
		t.Errorf("before the start: %+v", s)
	}
	for range 2 {
		if err := d.Start(h.ctx()); err != nil {
			t.Fatal(err)
		}
	}
	s := h.status(d)
	if s.State != drivers.Up || unix.Kill(s.PID, 0) != nil {
		t.Errorf("after the start: %+v", s)
	}
	for range 2 {
		if err := d.Stop(h.ctx()); err != nil {
			t.Fatal(err)
		}
	}
	if s := h.status(d); s.State != drivers.Down || s.Exit == nil || s.Exit.Signal != "SIGTERM" {
		t.Errorf("after the stop: %+v, %+v", s, s.Exit)
	}
}

func TestAnExitIsKnownWithItsLastOutputAlsoAfterAReopen(t *testing.T) {
	h := newHost(t)
	d := h.open(config("sh", "-c", "echo no config; exit 78"))
	news := h.watch(d)
	if err := d.Start(h.ctx()); err != nil {
		t.Fatal(err)
	}
	h.await(news, drivers.Down)
	h.keeper.Close()
	h.connect()
	s := h.status(h.open(config("sh", "-c", "echo no config; exit 78")))
	if s.State != drivers.Down || s.Exit == nil || s.Exit.Code != 78 || s.Detail != "exited with code 78; last output: no config" {
		t.Errorf("status %+v, exit %+v", s, s.Exit)
	}
}

func TestAnotherConfigurationMustBeStoppedFirst(t *testing.T) {
	h := newHost(t)
	if err := h.open(config("sleep", "1000")).Start(h.ctx()); err != nil {
		t.Fatal(err)
	}
	other := h.open(config("sleep", "1001"))
	if s := h.status(other); s.State != drivers.Failed {
		t.Errorf("seen by another configuration: %+v", s)
	}
	if err := other.Start(h.ctx()); err == nil || !strings.Contains(err.Error(), "stop it first") {
		t.Errorf("start: %v", err)
	}
	if err := other.Stop(h.ctx()); err != nil {
		t.Fatal(err)
	}
	if err := other.Start(h.ctx()); err != nil {
		t.Fatal(err)
	}
	live := config("sleep", "1001")
	live.KillAfter = time.Second
	if s := h.status(h.open(live)); s.State != drivers.Up {
		t.Errorf("seen with another kill_after, which is live: %+v", s)
	}
}

func TestNothingOfTheAgentsEnvironmentLeaksIn(t *testing.T) {
	t.Setenv("SECRET_OF_THE_AGENT", "x")
	h := newHost(t)
	c := config("sh", "-c", "env; umask; pwd; ulimit -n; exit 1")
	c.Env = map[string]string{"MINE": "1"}
	c.Umask, c.Cwd, c.Rlimits = "077", "/usr", map[string]string{"nofile": "321:333"}
	d := h.open(c)
	news := h.watch(d)
	if err := d.Start(h.ctx()); err != nil {
		t.Fatal(err)
	}
	h.await(news, drivers.Down)
	p, err := h.keeper.Get(h.ctx(), "web/app.main")
	if err != nil {
		t.Fatal(err)
	}
	got := "\n" + strings.Join(p.Last, "\n") + "\n"
	for _, want := range []string{"MINE=1", "SVCCTL_SERVICE=web", "SVCCTL_RESOURCE=web/app.main", "SVCCTL_NODE=n1", "0077", "/usr", "321"} {
		if !strings.Contains(got, "\n"+want+"\n") {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if strings.Contains(got, "SECRET") || strings.Contains(got, "STUB") {
		t.Errorf("leaked: %s", got)
	}
}

func TestReadinessByNotifyIsAwaited(t *testing.T) {
	h := newHost(t)
	c := config("sleep", "1000")
	c.Ready = "notify"
	d := h.open(c)
	ctx, cancel := context.WithTimeout(h.ctx(), 4*time.Second)
	defer cancel()
	// The agent adds "(not done within 4s)".
	want := "cannot complete the start of " + d.id + ": it runs, but did not say READY=1 to its NOTIFY_SOCKET; see its log, or raise timeouts.start"
	if err := d.Start(ctx); err == nil || err.Error() != want {
		t.Errorf("start of one that says nothing: %v, want %s", err, want)
	}
	if st := h.status(h.open(c)); st.State != drivers.Begun || st.PID == 0 {
		t.Errorf("the next agent sees %+v, want begun: it must not be believed ready", st)
	}
	if err := d.Stop(h.ctx()); err != nil {
		t.Fatal(err)
	}
	c = config("sh", "-c", "echo broken; exit 3")
	c.Ready = "notify"
	if err := h.open(c).Start(h.ctx()); err == nil || !strings.Contains(err.Error(), "exited with code 3; last output: broken") {
		t.Errorf("start of one that ends: %v", err)
	}
}

func TestAForkingAppIsUpByItsStatusCommand(t *testing.T) {
	h := newHost(t)
	file := filepath.Join(t.TempDir(), "up")
	c := config("sh", "-c", "(trap 'rm "+file+"; exit 0' TERM; touch "+file+"; while :; do sleep 0.01; done) & exit 0")
	c.Type, c.Status = "forking", []string{"test", "-e", file}
	d := h.open(c)
	if err := d.Start(h.ctx()); err != nil {
		t.Fatal(err)
	}
	if s := h.status(d); s.State != drivers.Up {
		t.Errorf("after the start: %+v", s)
	}
	if err := d.Stop(h.ctx()); err != nil {
		t.Fatal(err)
	}
	if s := h.status(d); s.State != drivers.Down {
		t.Errorf("after the stop: %+v", s)
	}
	c.Command = []string{"sh", "-c", "echo bad config; exit 2"}
	if err := h.open(c).Start(h.ctx()); err == nil || !strings.Contains(err.Error(), "code 2; last output: bad config") {
		t.Errorf("start of a failing command: %v", err)
	}
}

func TestATermProofAppIsKilledBeforeTheContextEnds(t *testing.T) {
	h := newHost(t)
	c := config("sh", "-c", `trap "" TERM; echo up; while :; do sleep 0.01; done`)
	c.KillAfter = time.Hour
	c.Stop = []string{"sleep", "1000"} // a stop command that hangs costs its share only
	d := h.open(c)
	if err := d.Start(h.ctx()); err != nil {
		t.Fatal(err)
	}
	pid := h.status(d).PID
	ctx, cancel := context.WithTimeout(h.ctx(), 4*time.Second)
	defer cancel()
	if err := d.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if unix.Kill(pid, 0) == nil {
		t.Errorf("process %d is alive", pid)
	}
}

func TestALiveChangeIsUsedByTheNextStop(t *testing.T) {
	h := newHost(t)
	script := `trap 'echo by HUP; exit 7' HUP; trap "" TERM; echo up; while :; do sleep 0.01; done`
	d := h.open(config("sh", "-c", script))
	if err := d.Start(h.ctx()); err != nil {
		t.Fatal(err)
	}
	before := h.status(d).PID
	changed := config("sh", "-c", script)
	changed.StopSignal = "HUP"
	if err := d.Update(h.ctx(), changed); err != nil {
		t.Fatal(err)
	}
	if s := h.status(d); s.State != drivers.Up || s.PID != before {
		t.Errorf("after the change: %+v", s)
	}
	log := filepath.Join(h.opts.LogDir, "web", "app.main.log")
	bound := h.ctx()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		if b, _ := os.ReadFile(log); strings.Contains(string(b), " up\n") {
			break
		}
		if bound.Err() != nil {
			t.Fatal("the app never wrote to its log")
		}
	}
	if err := d.Stop(h.ctx()); err != nil {
		t.Fatal(err)
	}
	if s := h.status(d); s.Exit == nil || s.Exit.Code != 7 {
		t.Errorf("after the stop: %+v, %+v", s, s.Exit)
	}
}

func TestAFailedStartSaysWhatToDo(t *testing.T) {
	h := newHost(t)
	for name, c := range map[string]Program{
		"there is no such user": {User: "no-such-user-here"},
		"no such program":       {Command: []string{"no-such-program"}},
		"no such file":          {Command: []string{"/no/such/program"}},
		"make the directory":    {Cwd: "/no/such/dir"},
		"there is no such gro":  {Group: "no-such-group"},
	} {
		full := config("true")
		full.User, full.Group = c.User, c.Group
		if c.Command != nil {
			full.Command = c.Command
		}
		if c.Cwd != "" {
			full.Cwd = c.Cwd
		}
		if err := h.open(full).Start(h.ctx()); err == nil || !strings.Contains(err.Error(), name) || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("want %q in: %v", name, err)
		}
	}
}

func TestAMistakeNamesWhatToWriteInstead(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"command":     func(c *Config) { c.Command = []string{} },
		"umask":       func(c *Config) { c.Umask = "999" },
		"rlimits":     func(c *Config) { c.Rlimits = map[string]string{"nofiles": "1"} },
		"stop_signal": func(c *Config) { c.StopSignal = "TREM" },
		"status":      func(c *Config) { c.Type = "forking" },
		"stop":        func(c *Config) { c.Stop = []string{""} },
		"cwd":         func(c *Config) { c.Cwd = "srv" },
		"memory":      func(c *Config) { c.Memory = 100 },
		"cpu":         func(c *Config) { c.CPU = -1 },
		"pids":        func(c *Config) { c.PIDs = -1 },
		"kill_after":  func(c *Config) { c.KillAfter = -1 },
		"log_size":    func(c *Config) { c.LogSize = 1 },
		"log_files":   func(c *Config) { c.LogFiles = 0 },
		"env":         func(c *Config) { c.Env = map[string]string{"A=B": ""} },
		"oom_score":   func(c *Config) { c.OOMScore = "2000" },
	} {
		c := config("true")
		change(c)
		p := c.Validate()
		if len(p) != 1 || p[0].Field != field || !strings.HasSuffix(p[0].Detail, ".") || p[0].Summary == "" {
			t.Errorf("%s: %+v", field, p)
		}
	}
	for _, kind := range []string{"simple", "forking"} {
		for _, status := range [][]string{{}, {""}} {
			c := config("true")
			c.Type, c.Status = kind, status
			if p := c.Validate(); len(p) != 1 || p[0].Field != "status" || p[0].Summary != "Empty command" {
				t.Errorf("type %s with status %q: %+v", kind, status, p)
			}
		}
	}
	if p := config("true").Validate(); len(p) > 0 {
		t.Errorf("the defaults: %+v", p)
	}
	if p := (&TaskConfig{}).Validate(); len(p) == 0 || p[0].Field != "command" {
		t.Errorf("a task without a command: %+v", p)
	}
}

func TestLimitsAndSignalsReadAsInAShell(t *testing.T) {
	for text, want := range map[string][2]uint64{"unlimited": {1<<64 - 1, 1<<64 - 1}, "10": {10, 10}, "10:20": {10, 20}, "5:infinity": {5, 1<<64 - 1}} {
		soft, hard, err := parseRlimit(text)
		if got := [2]uint64{soft, hard}; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "x", "-1", "20:10", "1:2:3"} {
		if _, _, err := parseRlimit(text); err == nil {
			t.Errorf("accepted: %q", text)
		}
	}
	for text, want := range map[string]int{"TERM": 15, "SIGINT": 2, "quit": 3, "9": 9, "RTMIN+3": 37} {
		if got, err := parseSignal(text); err != nil || int(got) != want {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "65", "FOO", "RTMIN+99", "RTMIN-"} {
		if _, err := parseSignal(text); err == nil {
			t.Errorf("accepted: %q", text)
		}
	}
}

func TestAnUpgradeLeavesWhatRunsAsItIs(t *testing.T) {
	c := config("/usr/bin/web", "--port", "80")
	c.User, c.Env, c.Memory = "www", map[string]string{"LOG": "info"}, 1<<30
	// As the version before sandboxes made it.
	if got, want := c.digest(), "b6a6eb45afb162d609651270ac13f876"; got != want {
		t.Errorf("the digest is %s, was %s: every running app would be restarted", got, want)
	}
}
