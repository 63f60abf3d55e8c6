package agent

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// site is a node with real files and resources that only remember. Its resources
// outlive its agents, as processes do.
type site struct {
	t      *testing.T
	dir    string
	mu     sync.Mutex
	things map[spec.Address]*thing
	agent  *Agent
	facts  chan engine.Fact
	end    func()

	kinds  func(*drivers.Registry) // more than things; nil: none
	config func(*Config)           // changes it; nil: nothing
	log    io.Writer               // of the agent; nil: none
}

func newSite(t *testing.T) *site {
	s := &site{t: t, dir: t.TempDir(), things: map[spec.Address]*thing{}}
	if err := os.Mkdir(filepath.Join(s.dir, "services"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.end != nil {
			s.end()
		}
	})
	return s
}

func (s *site) thing(a spec.Address) *thing {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.things[a] == nil {
		s.things[a] = &thing{}
	}
	return s.things[a]
}

func (s *site) calls(a spec.Address) string {
	th := s.thing(a)
	th.mu.Lock()
	defer th.mu.Unlock()
	return strings.Join(th.calls, " ")
}

// boot starts an agent; a running one is ended first, its services go on.
func (s *site) boot() {
	s.t.Helper()
	if s.end != nil {
		s.end()
	}
	kinds := &drivers.Registry{}
	drivers.DefineKind(kinds, "thing", "A thing of the test.", func(o drivers.Opening, _ *thingConfig) (drivers.Driver, error) {
		return s.thing(o.Address), nil
	})
	if s.kinds != nil {
		s.kinds(kinds)
	}
	config := DefaultConfig()
	config.Node.Name = "n1"
	config.Services.Dir = filepath.Join(s.dir, "services")
	config.State.Dir, config.State.Run = filepath.Join(s.dir, "state"), filepath.Join(s.dir, "run")
	if s.config != nil {
		s.config(&config)
	}
	log, scrubber := hclog.NewNullLogger(), NewScrubber()
	if s.log != nil {
		log = hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: scrubber.Writer(s.log)})
	}
	facts := make(chan engine.Fact, 10_000)
	s.facts = facts
	a, err := New(Options{Config: config, Kinds: kinds, Log: log, Scrubber: scrubber, Observer: Observer{Fact: func(_ time.Time, f engine.Fact) { facts <- f }}})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := a.Run(ctx); err != nil {
			s.t.Errorf("the agent ended: %v", err)
		}
	}()
	s.agent = a
	s.end = func() { cancel(); <-ended; s.end = nil }
}

// write puts a file into the services directory the way an editor does.
func (s *site) write(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.dir, "services", name)
	if err := os.WriteFile(path+".tmp", []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		s.t.Fatal(err)
	}
}

// until waits for a fact that holds.
func (s *site) until(what string, holds func(engine.Fact) bool) engine.Fact {
	s.t.Helper()
	deadline := time.After(30 * time.Second)
	for {
		select {
		case f := <-s.facts:
			if holds(f) {
				return f
			}
		case <-deadline:
			s.t.Fatalf("it never came: %s; status %+v", what, s.agent.Spec())
		}
	}
}

func (s *site) untilUp(a spec.Address) {
	s.t.Helper()
	s.until(string(a)+" up", func(f engine.Fact) bool { return f.Address == a && f.To == "up" })
}

func (s *site) untilReload(part string) {
	s.t.Helper()
	s.until("a reload that says "+part, func(f engine.Fact) bool { return f.Kind == engine.FactReload && strings.Contains(f.Message, part) })
}

// untilSpec waits for a status, which is told a moment after what it tells of.
func (s *site) untilSpec(what string, holds func(SpecStatus) bool) {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for !holds(s.agent.Spec()) {
		select {
		case <-tick.C:
		case <-deadline:
			s.t.Fatalf("it never came: %s; status %+v", what, s.agent.Spec())
		}
	}
}

func things(service string, values ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "service %q {\n", service)
	for i, v := range values {
		fmt.Fprintf(&b, "  thing \"t%d\" {\n    value = %q\n  }\n", i, v)
	}
	b.WriteString("}\n")
	return b.String()
}

func TestABrokenFileChangesNothingAndSaysWhy(t *testing.T) {
	s := newSite(t)
	s.write("web.hcl", things("web", "a"))
	s.boot()
	s.untilUp("web/thing.t0")
	s.write("web.hcl", strings.Replace(things("web", "b"), "value", "vlaue", 1))
	s.untilReload("nothing is changed")
	if st := s.agent.Spec(); st.State != SpecInvalid || len(st.Findings) != 1 || st.Revision.Number != 1 {
		t.Errorf("status: %+v", st)
	}
	if got := s.calls("web/thing.t0"); got != "start" {
		t.Errorf("calls: %s", got)
	}
	s.write("web.hcl", things("web", "b"))
	s.untilUp("web/thing.t0")
	if got := s.calls("web/thing.t0"); got != "start stop start" {
		t.Errorf("calls after it was mended: %s", got)
	}
}

func TestAServiceThatLeavesTheFilesGoesOnAlsoOverARestart(t *testing.T) {
	s := newSite(t)
	s.write("web.hcl", things("web", "a"))
	s.write("db.hcl", things("db", "a"))
	s.boot()
	s.untilUp("web/thing.t0")
	if err := os.Remove(filepath.Join(s.dir, "services", "web.hcl")); err != nil {
		t.Fatal(err)
	}
	s.untilReload("revision 2 is in force")
	s.boot()
	s.untilUp("web/thing.t0")
	snap, err := s.agent.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if v := snap.Service("web"); v == nil || !v.Undeclared || v.State != engine.InstanceUp {
		t.Fatalf("web after the restart: %+v", v)
	}
	if got := s.calls("web/thing.t0"); got != "start" {
		t.Errorf("calls: %s", got)
	}
	if err := s.agent.Command(t.Context(), engine.Command{ID: "1", Verb: engine.CommandPurge, Services: []string{"web"}, By: "alice"}); err != nil {
		t.Fatal(err)
	}
	s.until("web purged", func(f engine.Fact) bool { return f.Service == "web" && f.Message == "purged" })
	if got := s.calls("web/thing.t0"); got != "start stop" {
		t.Errorf("calls after the purge: %s", got)
	}
}

func TestALatePullOfAnOldCommitRevertsNobody(t *testing.T) {
	s := newSite(t)
	first := things("web", "a")
	s.write("web.hcl", first)
	s.boot()
	s.untilUp("web/thing.t0")
	out, err := s.agent.Apply(t.Context(), map[string][]byte{"web.hcl": []byte(things("web", "b"))}, false, "alice")
	if err != nil || !out.Accepted || out.Revision.Number != 2 {
		t.Fatalf("apply: %+v, %v", out, err)
	}
	if st := s.agent.Spec(); st.State != SpecBehind {
		t.Errorf("the directory holds revision 1 and is %s: %s", st.State, st.Message)
	}
	s.write("web.hcl", things("web", "c"))
	s.untilReload("was changed from revision 1")
	if st := s.agent.Spec(); st.State != SpecConflict || !strings.Contains(st.Message, "svcctl apply") {
		t.Errorf("the directory changed apart and is %s: %s", st.State, st.Message)
	}
	s.write("web.hcl", things("web", "b"))
	s.untilReload("equals revision 2")
	s.write("web.hcl", things("web", "d"))
	s.untilReload("revision 3 is in force")
}

func TestABrokenDirectoryAtBootLeavesTheLastRevisionInForce(t *testing.T) {
	s := newSite(t)
	s.write("web.hcl", things("web", "a"))
	s.boot()
	s.untilUp("web/thing.t0")
	s.end()
	s.write("web.hcl", `service "web" {`)
	s.boot()
	s.untilUp("web/thing.t0")
	s.untilReload("nothing is changed")
	if got := s.calls("web/thing.t0"); got != "start" {
		t.Errorf("calls: %s", got)
	}
}

func TestTheConfigurationOfAStopIsThatOfTheStart(t *testing.T) {
	s := newSite(t)
	s.write("web.hcl", things("web", "a", "b"))
	s.boot()
	s.untilUp("web/thing.t1")
	s.end()
	s.write("web.hcl", things("web", "a")) // while no agent looks
	s.boot()
	s.until("t1 stopped", func(f engine.Fact) bool { return f.Address == "web/thing.t1" && f.To == "down" })
	if got := s.calls("web/thing.t1"); got != "start stop" {
		t.Errorf("calls of what was removed: %s", got)
	}
	if got := s.calls("web/thing.t0"); got != "start" {
		t.Errorf("calls of what stayed: %s", got)
	}
}

func TestARevisionThatTheDiskCouldNotTakeOutlivesTheAgent(t *testing.T) {
	s := newSite(t)
	s.write("web.hcl", things("web", "a"))
	s.boot()
	s.untilUp("web/thing.t0")
	spec := filepath.Join(s.dir, "state", "spec")
	if err := os.Rename(spec, spec+".away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(spec, nil, 0o600); err != nil { // a file where the folder should be
		t.Fatal(err)
	}
	s.write("web.hcl", things("web", "b"))
	s.untilUp("web/thing.t0")
	s.untilSpec("revision 2 with a broken store", func(st SpecStatus) bool { return st.Store != "" && st.Revision.Number == 2 })
	s.boot() // the disk is still broken
	s.untilUp("web/thing.t0")
	s.end()
	if err := os.Remove(spec); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(spec+".away", spec); err != nil {
		t.Fatal(err)
	}
	s.boot() // it is mended, and lacks the last revision
	s.untilUp("web/thing.t0")
	s.untilSpec("revision 2, written", func(st SpecStatus) bool { return st.Store == "" && st.Revision.Number == 2 })
	if got := s.calls("web/thing.t0"); got != "start stop start" {
		t.Errorf("calls: %s; the new agents must adopt", got)
	}
}
