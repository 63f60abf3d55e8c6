// Command svcctl is the operator's commands and the agent.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // a task's time zone is known on a host that has none installed
)

func main() {
	if code, diverted := keeperMain(os.Args); diverted {
		os.Exit(code)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, osStreams(), os.Args[1:])
	stop()
	os.Exit(code)
}
