package api

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// scripted is an agent that shows what it is told to show.
type scripted struct {
	mu       sync.Mutex
	snap     *engine.Snapshot
	spec     SpecStatus
	commands []engine.Command
	refusal  error
	apply    ApplyResult
	applied  map[string][]byte
	lines    []string
	logError error
	measured Measured
	runs     map[spec.Address][]engine.Run
}

func (a *scripted) Snapshot(context.Context) (*engine.Snapshot, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.snap == nil {
		return nil, errors.New("the agent is starting")
	}
	return a.snap, nil
}

func (a *scripted) Notices(at spec.Address) []string {
	if at == "orders/app.main" {
		return []string{"memory is not limited: no controller"}
	}
	return nil
}

func (a *scripted) Measured(context.Context) (Measured, error) { return a.measured, nil }

func (a *scripted) History(_ context.Context, task spec.Address, limit int) ([]engine.Run, error) {
	return a.runs[task][:min(limit, len(a.runs[task]))], nil
}

func (a *scripted) Command(_ context.Context, c engine.Command) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.commands = append(a.commands, c)
	return a.refusal
}

func (a *scripted) ShutDown(ctx context.Context, by string) error {
	return a.Command(ctx, engine.Command{Verb: "shutdown", By: by})
}

func (a *scripted) Resume(ctx context.Context, by string) error {
	return a.Command(ctx, engine.Command{Verb: "resume", By: by})
}

func (a *scripted) Spec(context.Context) (SpecStatus, error) { return a.spec, nil }

func (a *scripted) Apply(_ context.Context, files map[string][]byte, _ ApplyOptions) (ApplyResult, error) {
	a.applied = files
	return a.apply, nil
}

func (a *scripted) Plan(context.Context, map[string][]byte) (Plan, error) {
	return Plan{Waves: [][]Step{{{Verb: engine.VerbStart, Address: "orders/app.main"}}}}, nil
}

func (a *scripted) Logs(_ context.Context, at spec.Address, n int, _ bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if at != "orders/app.main" {
			yield("", fmt.Errorf("no log of %s: %w", at, ErrNotFound))
			return
		}
		for _, l := range a.lines[max(0, len(a.lines)-n):] {
			if !yield(l, nil) {
				return
			}
		}
		if a.logError != nil {
			yield("", a.logError)
		}
	}
}

var noon = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func newScripted() *scripted {
	return &scripted{
		spec: SpecStatus{Cluster: "prod", Revision: 12, State: SpecCurrent, Valid: true, Since: noon},
		snap: &engine.Snapshot{Time: noon, Node: "n1", Services: []*engine.ServiceView{
			{
				FullName: "orders", Name: "orders", Namespace: "default", Topology: spec.Failover, State: engine.InstanceUp,
				Available: true, Epoch: 7, Active: true, Level: spec.LevelKernel,
				Resources: []engine.ResourceView{
					{Address: "orders/mount.data", Kind: "mount", State: engine.Up, Since: noon, Level: spec.LevelKernel},
					{
						Address: "orders/app.main", Kind: "app", State: engine.Up, Since: noon, PID: 42, Level: spec.LevelKernel,
						Checks: []engine.CheckView{{Name: "ready", Kind: "http", State: engine.CheckUp}},
					},
				},
			},
			{FullName: "shop/web", Name: "web", Namespace: "shop", Topology: spec.Failover, State: engine.InstanceDown, Why: "stopped by root"},
		}},
	}
}

// serve answers for a on a socket of its own.
func serve(t *testing.T, a Agent, f *Feed) (*Client, string) {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "agent.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, &Server{Agent: a, Feed: f, Heartbeat: 20 * time.Millisecond}, l)
	c, err := Dial("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, path
}

func serveOn(t *testing.T, s *Server, l net.Listener) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
}

func newFeed() *Feed { return NewFeed(16, noon) }

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
