package main

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/svcctl/svcctl/api"
	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// world is an agent whose engine is real and whose drivers answer from a script:
// every call succeeds unless broken names its verb and address.
type world struct {
	mu     sync.Mutex
	engine *engine.Engine
	now    time.Time
	feed   *api.Feed
	broken map[string]string // "start orders/app.main" → error
	held   map[string]bool   // calls that are not answered
	spec   api.SpecStatus
	apply  api.ApplyResult
	files  map[string][]byte
	runs   map[spec.Address][]engine.Run
	lines  map[spec.Address][]string // of output, where not the usual ones
	unread map[spec.Address]error    // why there is no output
	socket string
	close  func() // the agent's socket; serve opens it again
	t      *testing.T
}

const declared = `
service "orders" {
  app "data" {
    command = ["/bin/true"]
  }
  app "main" {
    command = ["/bin/true"]
    after   = [app.data]
    tags    = ["front"]
    restart {
      attempts = 1
      within   = "1m"
    }
  }
}
service "web" {
  namespace   = "shop"
  orchestrate = "manual"
  app "main" {
    command = ["/bin/true"]
  }
}
`

var morning = time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)

// newWorld runs the declared services; the returned function runs a command line.
func newWorld(t *testing.T) (*world, func(args ...string) (code int, stdout, stderr string)) {
	t.Helper()
	return newWorldOf(t, declared)
}

func newWorldOf(t *testing.T, declared string) (*world, func(args ...string) (code int, stdout, stderr string)) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "all.hcl"), []byte(declared), 0o644); err != nil {
		t.Fatal(err)
	}
	s, found, err := (&streams{}).loadPath(dir, "n1", false)
	if err != nil || found.HasErrors() {
		var text strings.Builder
		found.WriteText(&text, false)
		t.Fatal(err, text.String())
	}
	w := &world{
		engine: engine.New(engine.Config{Node: "n1"}), now: morning, feed: api.NewFeed(256, morning),
		broken: map[string]string{}, held: map[string]bool{}, runs: map[spec.Address][]engine.Run{}, lines: map[spec.Address][]string{},
		spec: api.SpecStatus{Cluster: "prod", Revision: 12, State: api.SpecCurrent, Valid: true},
	}
	w.step(engine.Reload{Spec: s})
	for _, name := range s.Names {
		w.step(engine.Permission{Service: name, Epoch: 1})
	}
	w.t, w.socket = t, filepath.Join(dir, "agent.sock")
	w.serve()
	t.Cleanup(func() { w.close() })
	return w, func(args ...string) (int, string, string) { return runLine(append(w.args(), args...)...) }
}

func (w *world) args() []string { return []string{"--server", "unix://" + w.socket} }

// serve answers on the socket until close.
func (w *world) serve() {
	w.t.Helper()
	l, err := api.Listen(w.socket)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- (&api.Server{Agent: w, Feed: w.feed}).Serve(ctx, l) }()
	w.close = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
}

func (w *world) view(service string) *engine.ServiceView {
	s, _ := w.Snapshot(context.Background())
	return s.Service(service)
}

func runLine(args ...string) (int, string, string) {
	var out, err bytes.Buffer
	code := execute(context.Background(), &streams{in: strings.NewReader(""), out: &out, err: &err, width: plainWidth}, args)
	return code, out.String(), err.String()
}

// step plays an event and all that follows from it at once. Ticks are not played: a
// retry waits until a test lets time pass.
func (w *world) step(ev engine.Event) (reply error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	queue := []engine.Event{ev}
	for len(queue) > 0 {
		w.now = w.now.Add(time.Millisecond)
		actions := w.engine.Step(w.now, queue[0])
		queue = queue[1:]
		for _, a := range actions {
			switch a := a.(type) {
			case engine.Do:
				if done, answered := w.answer(a); answered {
					queue = append(queue, done)
				}
			case engine.Reply:
				reply = a.Err
			case engine.Ran:
				w.runs[a.Address] = append(w.runs[a.Address], a.Run)
			case engine.Record:
				w.feed.Publish(w.now, a.Fact)
			}
		}
		if d := w.engine.Deadline(); len(queue) == 0 && !d.IsZero() && !d.After(w.now) {
			queue = append(queue, engine.Tick{})
		}
	}
	return reply
}

func (w *world) answer(d engine.Do) (engine.Done, bool) {
	call := string(d.Verb) + " " + string(d.Resource.Address)
	done := engine.Done{Op: d.Op}
	switch d.Verb {
	case engine.VerbProbe:
		done.Status.Seen = engine.SeenDown
	case engine.VerbStart:
		done.Status.Seen = engine.SeenUp
	default:
		done.Status.Seen = engine.SeenDown
	}
	if text := w.broken[call]; text != "" {
		done.Err = fmt.Errorf("%s", text)
	}
	return done, !w.held[call]
}

func (w *world) Snapshot(context.Context) (*engine.Snapshot, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.engine.Snapshot(w.now), nil
}

func (w *world) Notices(spec.Address) []string { return nil }

func (w *world) Measured(context.Context) (api.Measured, error) { return nil, nil }

func (w *world) History(_ context.Context, task spec.Address, limit int) ([]engine.Run, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	runs := slices.Clone(w.runs[task])
	slices.Reverse(runs)
	return runs[:min(limit, len(runs))], nil
}

func (w *world) Command(_ context.Context, c engine.Command) error {
	c.ID = "1"
	return w.step(c)
}

func (w *world) ShutDown(_ context.Context, by string) error {
	for _, s := range []string{"orders", "shop/web"} {
		if err := w.step(engine.Permission{Service: s, Why: "shut down by " + by, Off: true}); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) Resume(context.Context, string) error {
	for _, s := range []string{"orders", "shop/web"} {
		if err := w.step(engine.Permission{Service: s, Epoch: 1}); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) Spec(context.Context) (api.SpecStatus, error) { return w.spec, nil }

func (w *world) Apply(_ context.Context, files map[string][]byte, _ api.ApplyOptions) (api.ApplyResult, error) {
	w.files = files
	return w.apply, nil
}

func (w *world) Plan(context.Context, map[string][]byte) (api.Plan, error) {
	return api.Plan{Waves: [][]api.Step{{{Verb: engine.VerbStart, Address: "shop/web/app.main"}}}}, nil
}

func (w *world) Logs(_ context.Context, a spec.Address, _ int, _ bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if a == "orders/app.data" {
			yield("", fmt.Errorf("no log of %s: %w", a, api.ErrNotFound))
			return
		}
		w.mu.Lock()
		lines, broken := w.lines[a], w.unread[a]
		w.mu.Unlock()
		if broken != nil {
			yield("", broken)
			return
		}
		if lines == nil {
			lines = []string{"hello", "world"}
		}
		for _, line := range lines {
			if !yield(line, nil) {
				return
			}
		}
	}
}
