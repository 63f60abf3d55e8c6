package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/svcctl/svcctl/engine"
)

// restMark says that this node runs nothing, and why. It lies in the run directory,
// which a boot empties: an agent that is started again while its host goes down must
// not start what was just stopped.
const restMark = "shutdown"

func (c Config) restMark() string { return filepath.Join(c.State.Run, restMark) }

// ShutDown stops every service of this node, in order, and keeps them off until
// Resume or the next boot. What operators want of the services is not changed by it.
// It returns once that is noted, not when all is off.
func (a *Agent) ShutDown(ctx context.Context, by string) error {
	why := "this node shuts down, as " + by + " asked (svcctl node resume starts its services again)"
	if err := os.WriteFile(a.o.Config.restMark(), []byte(why+"\n"), 0o644); err != nil {
		// The stop itself matters more.
		a.log.Warn("an agent that is started again before the host is off would start the services again", "error", err)
	}
	return a.ask(ctx, func(l *loop) {
		a.record(engine.Fact{Kind: engine.FactCommand, Message: "node shutdown", By: by})
		l.deny(why)
	})
}

// Resume ends a ShutDown: services come up again as they are declared.
func (a *Agent) Resume(ctx context.Context, by string) error {
	if err := os.Remove(a.o.Config.restMark()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot end the shutdown: %w", err)
	}
	return a.ask(ctx, func(l *loop) {
		a.record(engine.Fact{Kind: engine.FactCommand, Message: "node resume", By: by})
		l.allow()
	})
}

// Turn waits for one turn of the loop: it shows that the agent is alive.
func (a *Agent) Turn(ctx context.Context) error { return a.ask(ctx, func(*loop) {}) }

// resting is why this node runs nothing since before this agent; "" else.
func (c Config) resting() string {
	b, err := os.ReadFile(c.restMark())
	if err != nil {
		return ""
	}
	if why := strings.TrimSpace(string(b)); why != "" {
		return why
	}
	return "this node shuts down"
}

// deny stops what runs, and what stands by too.
func (l *loop) deny(why string) {
	l.denied = why
	for name := range l.granted {
		l.step(engine.Permission{Service: name, Why: why, Off: true})
	}
}

func (l *loop) allow() {
	l.denied = ""
	for _, sv := range l.granted {
		l.step(l.grant(sv))
	}
}
