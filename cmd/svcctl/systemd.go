package main

import (
	"context"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/go-hclog"

	"github.com/svcctl/svcctl/agent"
)

// reportTo tells systemd, where it started the agent, that the agent is ready, and then
// again and again that it is alive: only a turn of the agent's own loop counts as that.
// It ends with ctx.
func reportTo(ctx context.Context, a *agent.Agent, log hclog.Logger) {
	every, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("systemd's watchdog is not fed", "error", err)
	}
	if a.Turn(ctx) != nil {
		return // it ends before it began
	}
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		log.Warn("cannot tell systemd that the agent is ready", "error", err)
	}
	if every == 0 {
		return
	}
	tick := time.NewTicker(every / 3)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		turn, cancel := context.WithTimeout(ctx, every/3)
		if a.Turn(turn) == nil {
			_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog) // a lost one is made good by the next
		}
		cancel()
	}
}
