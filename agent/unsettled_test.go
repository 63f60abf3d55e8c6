package agent

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

func TestWhatARevisionTookAwayIsStoppedAlsoByTheNextAgent(t *testing.T) {
	s := newSite(t)
	s.write("web.hcl", things("web", "a", "b"))
	s.boot()
	s.untilUp("web/thing.t1")
	stopping := make(chan struct{})
	gone := s.thing("web/thing.t1")
	gone.stop = func(ctx context.Context) error { close(stopping); <-ctx.Done(); return ctx.Err() }
	s.write("web.hcl", things("web", "a"))
	<-stopping
	s.untilReload("revision 2 is in force")
	s.end()
	gone.stop = nil
	s.boot()
	s.until("t1 stopped", func(f engine.Fact) bool { return f.Address == "web/thing.t1" && f.To == "down" })
	if got := s.calls("web/thing.t1"); got != "start stop stop" {
		t.Errorf("calls of what was removed: %s", got)
	}
	if got := s.calls("web/thing.t0"); got != "start" {
		t.Errorf("calls of what stayed: %s", got)
	}
	s.settled()
	s.boot()
	s.untilUp("web/thing.t0")
	if got := s.calls("web/thing.t1"); got != "start stop stop" {
		t.Errorf("calls of what was removed, another agent later: %s", got)
	}
}

// settled waits until the agent has noted that nothing goes by an older revision.
func (s *site) settled() {
	s.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	deadline := time.After(20 * time.Second)
	for {
		if _, err := os.Stat(filepath.Join(s.dir, "state", "unsettled.json")); errors.Is(err, fs.ErrNotExist) {
			return
		}
		select {
		case <-look.C:
		case <-deadline:
			s.t.Fatal("the agent never says that all was carried out")
		}
	}
}

func TestAServiceThatLeftTheFilesIsNotLostWhereTheAgentDiedBeforeItNotedThat(t *testing.T) {
	s := newSite(t)
	s.write("web.hcl", things("web", "a"))
	s.write("db.hcl", things("db", "a"))
	s.boot()
	up := map[spec.Address]bool{}
	s.until("both up", func(f engine.Fact) bool {
		up[f.Address] = up[f.Address] || f.To == "up"
		return up["web/thing.t0"] && up["db/thing.t0"]
	})
	s.settled()
	s.end()
	// As a kill between the two writes leaves it: the revision is there, what follows is not.
	store, err := openRevisions(filepath.Join(s.dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "state", "unsettled.json"), []byte(`{"from":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Put(map[string][]byte{"db.hcl": []byte(things("db", "a"))}, "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(s.dir, "services", "web.hcl")); err != nil {
		t.Fatal(err)
	}
	for range 2 { // and it stays known
		s.boot()
		s.untilUp("web/thing.t0")
		snap, err := s.agent.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if v := snap.Service("web"); v == nil || !v.Undeclared {
			t.Errorf("web: %+v", v)
		}
		s.settled()
	}
}

func TestARunOfATaskThatARevisionTookAwayIsKnownToTheNextAgent(t *testing.T) {
	s := newSite(t)
	s.kinds = func(r *drivers.Registry) {
		drivers.DefineTask(r, "job", "A task of the test.", func(o drivers.Opening, _ *thingConfig) (drivers.Driver, error) {
			return s.thing(o.Address), nil
		})
	}
	s.write("web.hcl", "service \"web\" {\n  thing \"t0\" {}\n  job \"long\" {}\n}\n")
	s.boot()
	s.untilUp("web/thing.t0")
	run := engine.Command{ID: "1", Verb: engine.CommandRun, Services: []string{"web"}, Resources: []string{"web/job.long"}, By: "alice"}
	// It is refused until the task was asked for the first time.
	s.untilSeen("the run is taken", func() bool { return s.agent.Command(t.Context(), run) == nil })
	s.until("it runs", func(f engine.Fact) bool { return f.Address == "web/job.long" && f.To == string(engine.TaskRunning) })
	s.settled()
	s.end()
	// As a kill leaves it between a revision without the task and the end of its run.
	store, err := openRevisions(filepath.Join(s.dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	next := "service \"web\" {\n  thing \"t0\" {}\n}\n"
	if _, err := store.Put(map[string][]byte{"web.hcl": []byte(next)}, "test", time.Now()); err != nil {
		t.Fatal(err)
	}
	unsettled := filepath.Join(s.dir, "state", "unsettled.json")
	if err := os.WriteFile(unsettled, []byte(`{"from":1,"what":["web/job.long"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.write("web.hcl", next)
	s.boot()
	tasks := func() string {
		snap, err := s.agent.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if v := snap.Service("web"); v != nil && len(v.Tasks) == 1 {
			return string(v.Tasks[0].State)
		}
		return ""
	}
	s.untilSeen("the run is known", func() bool { return tasks() == string(engine.TaskRunning) })
	s.untilUp("web/thing.t0")
	s.thing("web/job.long").lose()
	s.untilSeen("the task is gone with its run", func() bool { return tasks() == "" })
	s.settled()
	if got := s.calls("web/job.long"); got != "start" {
		t.Errorf("calls of the run: %s", got)
	}
	if got := s.calls("web/thing.t0"); got != "start" {
		t.Errorf("calls of what stayed: %s", got)
	}
}
