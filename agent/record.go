package agent

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/svcctl/svcctl/engine"
)

// record logs a fact and gives it to the observer: one record feeds both.
func (a *Agent) record(f engine.Fact) {
	f.Message = a.scrub(f.Message)
	if a.o.Observer.Fact != nil {
		a.o.Observer.Fact(time.Now(), f)
	}
	args := make([]any, 0, 16)
	add := func(key, value string) {
		if value != "" {
			args = append(args, key, value)
		}
	}
	add("service", f.Service)
	add("resource", string(f.Address))
	add("check", f.Check)
	add("from", f.From)
	add("to", f.To)
	add("by", f.By)
	if f.Exit != nil {
		args = append(args, "exit", f.Exit.Code)
		add("signal", f.Exit.Signal)
	}
	if f.PID != 0 {
		args = append(args, "pid", f.PID)
	}
	message, detail := string(f.Kind), f.Message
	if f.Kind == engine.FactReload || f.Kind == engine.FactNotice || f.Kind == engine.FactCommand {
		message, detail = strings.TrimSpace(message+": "+detail), ""
	}
	add("why", detail)
	switch {
	case f.To == string(engine.Failed) || f.To == string(engine.Stuck) || f.To == string(engine.CheckDown) && f.Kind == engine.FactCheck:
		a.log.Warn(message, args...)
	case f.Kind == engine.FactResource && (f.To == string(engine.Starting) || f.To == string(engine.Stopping) || f.From == string(engine.Unknown)):
		a.log.Debug(message, args...)
	default:
		a.log.Info(message, args...)
	}
}

// note records a fact from outside the loop, in the loop's order.
func (a *Agent) note(ctx context.Context, f engine.Fact) {
	_ = a.ask(ctx, func(*loop) { a.record(f) }) // an ended agent has no history
}

// scrub takes secrets out of text that is about to leave the agent.
func (a *Agent) scrub(text string) string { return a.o.Scrubber.Scrub(text) }

// scrubError is err, or another one where its text holds a secret or is very long.
func (a *Agent) scrubError(err error) error {
	if err == nil {
		return nil
	}
	was := err.Error()
	if is := clipped(a.scrub(was)); is != was {
		return errors.New(is)
	}
	return err
}

// maxDetail bounds what a driver says of a state, in bytes: some of it comes from programs
// and servers.
const maxDetail = 2 << 10

func clipped(text string) string {
	if len(text) <= maxDetail {
		return text
	}
	return strings.ToValidUTF8(text[:maxDetail], "") + "…"
}
