package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// guarded is a thing that needs a secret for its start, and talks too much.
type guarded struct {
	*thing
	reveal func(string) (string, error)
	config *guardedConfig
}

type guardedConfig struct {
	Password string `hcl:"password,optional" secret:"true" doc:"A secret."`
}

func (g *guarded) Start(ctx context.Context) error {
	password, err := g.reveal(g.config.Password)
	if err != nil {
		return fmt.Errorf("cannot start it: %w", err)
	}
	if strings.Contains(password, "refused") {
		return fmt.Errorf("cannot start it: login with %q was refused", password)
	}
	g.note(password)
	return g.thing.Start(ctx)
}

// login is a check that needs a secret.
type login struct {
	reveal func(string) (string, error)
	config *guardedConfig
}

func (l *login) Status(context.Context) (drivers.Status, error) {
	password, err := l.reveal(l.config.Password)
	if err != nil {
		return drivers.Status{}, fmt.Errorf("cannot log in: %v", err)
	}
	return drivers.Status{State: drivers.Up, Detail: "logged in with " + password}, nil
}

// locked holds what a log writes, for a reader beside it.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newGuardedSite(t *testing.T) (*site, *vault, *locked) {
	s, v, log := newSite(t), newVault(t), &locked{}
	s.log = log
	s.config = func(c *Config) { c.Secrets.Dir = filepath.Join(v.dir, "secrets") }
	s.kinds = func(r *drivers.Registry) {
		drivers.DefineKind(r, "guarded", "A thing with a secret.", func(o drivers.Opening, c *guardedConfig) (drivers.Driver, error) {
			s.thing(o.Address).opened(o.Digest)
			return &guarded{thing: s.thing(o.Address), reveal: o.Reveal, config: c}, nil
		})
		drivers.DefineCheck(r, "login", "Logs in.", func(o drivers.Opening, c *guardedConfig) (drivers.Prober, error) {
			return &login{reveal: o.Reveal, config: c}, nil
		})
	}
	return s, v, log
}

const guardedSet = `
service "db" {
  guarded "main" {
    password = secret("db")
  }
  thing "other" {}
}
service "web" {
  guarded "main" {
    password = "user:${secret("web")}"
  }
}
`

func TestAChangedSecretRestartsWhatUsesItUnderTheSameRevision(t *testing.T) {
	s, v, log := newGuardedSite(t)
	v.put("db", "hunter22")
	v.put("web", "correct-horse")
	s.write("all.hcl", guardedSet)
	s.boot()
	s.untilBothUp()
	v.put("db", "hunter23")
	s.untilReload("the secret db has another value: revision 1 is applied anew to what uses it: db/guarded.main")
	s.untilCalls("db/guarded.main", "hunter22 start stop hunter23 start")
	for address, want := range map[spec.Address]string{"db/thing.other": "start", "web/guarded.main": "user:correct-horse start"} {
		if got := s.calls(address); got != want {
			t.Errorf("calls of %s: %s", address, got)
		}
	}
	if st := s.agent.Spec(); st.Revision.Number != 1 || st.State != SpecCurrent {
		t.Errorf("the revision: %+v", st)
	}
	s.end()
	v.put("web", "battery-staple") // while no agent looks
	s.boot()
	s.untilReload("the secret web has another value")
	s.untilCalls("web/guarded.main", "user:correct-horse start stop user:battery-staple start")
	s.end()
	mustHideValues(t, s.dir, log.String(), "hunter22", "hunter23", "correct-horse", "battery-staple")
}

func (s *site) untilBothUp() {
	s.t.Helper()
	waiting := map[spec.Address]bool{"db/guarded.main": true, "web/guarded.main": true}
	s.until("both are up", func(f engine.Fact) bool {
		if f.To == string(engine.Up) {
			delete(waiting, f.Address)
		}
		return len(waiting) == 0
	})
	s.untilSpec("revision 1", func(st SpecStatus) bool { return st.Revision.Number == 1 && !st.Loaded.IsZero() })
}

// mustHideValues looks for secrets in all that an agent keeps and writes.
func mustHideValues(t *testing.T, dir, log string, values ...string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		for _, v := range values {
			if bytes.Contains(b, []byte(v)) {
				t.Errorf("%s holds %s", path, v)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range values {
		if strings.Contains(log, v) {
			t.Errorf("the log holds %s:\n%s", v, log)
		}
	}
	if strings.Contains(log, "\uE0C0") {
		t.Errorf("the log shows marks:\n%s", log)
	}
}

func TestAChangedSecretTouchesNoServiceThatIsNotDeclaredAnyMore(t *testing.T) {
	s, v, _ := newGuardedSite(t)
	v.put("db", "hunter22")
	v.put("web", "correct-horse")
	s.write("all.hcl", guardedSet)
	s.boot()
	s.untilBothUp()
	web, _, _ := strings.Cut(guardedSet, "service \"web\"")
	s.write("all.hcl", web)
	s.untilReload("revision 2 is in force")
	v.put("web", "battery-staple")
	s.untilReload("the secret web has another value")
	s.boot()
	s.untilUp("web/guarded.main")
	th := s.thing("web/guarded.main")
	th.mu.Lock()
	digests := th.digests
	th.mu.Unlock()
	if len(digests) != 2 || digests[0] != digests[1] {
		t.Errorf("to the next agent it has another configuration: %v", digests)
	}
}

func TestASecretThatIsTakenAwayTouchesNothingThatRunsAlsoOverARestart(t *testing.T) {
	s, v, _ := newGuardedSite(t)
	v.put("db", "hunter22")
	v.put("web", "correct-horse")
	s.write("all.hcl", guardedSet)
	s.boot()
	s.untilBothUp()
	if err := os.Remove(filepath.Join(v.dir, "secrets", "db")); err != nil {
		t.Fatal(err)
	}
	s.agent.Reread(t.Context())
	s.boot()
	s.untilUp("db/guarded.main")
	s.agent.Reread(t.Context())
	if got := s.calls("db/guarded.main"); got != "hunter22 start" {
		t.Errorf("calls: %s", got)
	}
	s.thing("db/guarded.main").lose()
	f := s.until("the restart fails", func(f engine.Fact) bool {
		return f.Address == "db/guarded.main" && f.From == string(engine.Starting) && f.To == string(engine.Failed)
	})
	if want := filepath.Join(v.dir, "secrets", "db"); !strings.Contains(f.Message, `cannot use the secret "db": it is missing: `+want) {
		t.Errorf("it says: %s", f.Message)
	}
	if got := s.calls("db/guarded.main"); got != "hunter22 start" {
		t.Errorf("calls: %s", got)
	}
	v.put("db", "hunter22")
	s.untilUp("db/guarded.main")
	if got := s.calls("web/guarded.main"); got != "user:correct-horse start" {
		t.Errorf("the neighbour's calls: %s", got)
	}
}

func TestASecretThatComesLaterStartsWhatWaitsForIt(t *testing.T) {
	s, v, _ := newGuardedSite(t)
	v.put("web", "correct-horse")
	s.write("all.hcl", guardedSet)
	s.boot()
	s.until("the start fails", func(f engine.Fact) bool { return f.Address == "db/guarded.main" && f.To == string(engine.Failed) })
	v.put("db", "hunter22")
	s.untilUp("db/guarded.main")
}

func TestWhatADriverSaysIsScrubbed(t *testing.T) {
	s, v, log := newGuardedSite(t)
	v.put("db", "refused \"hunter22\"")
	v.put("web", "correct-horse")
	s.write("all.hcl", guardedSet)
	s.boot()
	f := s.until("the start fails", func(f engine.Fact) bool { return f.Address == "db/guarded.main" && f.To == string(engine.Failed) })
	if !strings.Contains(f.Message, `login with "${secret("db")}" was refused`) {
		t.Errorf("it says: %s", f.Message)
	}
	snap, err := s.agent.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if text := fmt.Sprintf("%+v", *snap.Service("db")); strings.Contains(text, "hunter22") || !strings.Contains(text, "secret(") {
		t.Errorf("the snapshot: %s", text)
	}
	s.end()
	mustHideValues(t, s.dir, log.String(), "hunter22")
}

func TestACheckThatLacksASecretSaysNothingOfWhatRuns(t *testing.T) {
	s, v, _ := newGuardedSite(t)
	s.write("all.hcl", `
service "db" {
  guarded "main" {
    check "login" "in" {
      password = secret("probe")
      every    = "20ms"
      fall     = 1
    }
  }
}
`)
	s.boot()
	s.untilUp("db/guarded.main")
	view := func() engine.CheckView {
		snap, err := s.agent.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return snap.Service("db").Resources[0].Checks[0]
	}
	s.untilSeen("the check says what it lacks", func() bool { return strings.Contains(view().Error, "could not be tried") })
	if c := view(); c.State != engine.CheckUnknown || !strings.Contains(c.Error, `the secret "probe"`) {
		t.Errorf("the check: %+v", c)
	}
	v.put("probe", "hunter22")
	s.until("the check passes", func(f engine.Fact) bool { return f.Check == "in" && f.To == string(engine.CheckUp) })
	if err := os.Remove(filepath.Join(v.dir, "secrets", "probe")); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	s.untilSeen("more runs", func() bool { return time.Since(since) > 200*time.Millisecond })
	if c := view(); c.State != engine.CheckUp || c.Error != "" {
		t.Errorf("it goes by the value read last: %+v", c)
	}
	s.boot()
	s.untilUp("db/guarded.main")
	s.untilSeen("the check lacks it again", func() bool { return strings.Contains(view().Error, "could not be tried") })
	if got := s.calls("db/guarded.main"); got != " start" {
		t.Errorf("calls: %q", got)
	}
}

func (s *site) untilCalls(a spec.Address, want string) {
	s.t.Helper()
	s.untilSeen(want+" of "+string(a), func() bool { return s.calls(a) == want })
}

// untilSeen looks until something holds.
func (s *site) untilSeen(what string, holds func() bool) {
	s.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatal("it never came: " + what)
		}
	}
}

func TestAHookTakesNoSecretInItsArguments(t *testing.T) {
	a := &Agent{o: Options{Config: DefaultConfig()}}
	err := a.hook(t.Context(), &spec.Resource{}, "after_start", []string{"/bin/echo", "x\uE0C0db:00\uE0C1"})
	if err == nil || !strings.Contains(err.Error(), "list of processes") || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error: %v", err)
	}
}
