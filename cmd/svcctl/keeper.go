package main

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/svcctl/svcctl/keeper"
)

// keeperMain runs the keeper where this program was started as one: the agent starts
// its own binary again, so that one file is all that is installed.
func keeperMain(args []string) (code int, diverted bool) {
	keeper.Build = version()
	switch {
	case len(args) > 0 && filepath.Base(args[0]) == "svcctl-keeper":
		return keeper.Main(args[1:]), true
	case len(args) > 1 && args[1] == "keeper":
		return keeper.Main(args[2:]), true
	default:
		return 0, false
	}
}

// renewPatience bounds what a new program of the keeper may take from an agent's start.
const renewPatience = 15 * time.Second

// renewKeeper has a keeper whose program was upgraded take it up. One that can't goes on.
func renewKeeper(ctx context.Context, keep *keeper.Client, log hclog.Logger) {
	before := keep.Keeper()
	if !before.Outdated {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, renewPatience)
	defer cancel()
	if err := keep.Replace(ctx); err != nil {
		log.Warn("the keeper goes on with its old program", "version", before.Build, "why", err)
		return
	}
	log.Info("the keeper took up its new program", "version", keep.Keeper().Build, "before", before.Build)
}

// keeperBinary is how the agent starts its keeper: the small program beside this one,
// or this one itself where it stands alone.
func keeperBinary() []string {
	self, err := os.Executable()
	if err != nil {
		return []string{"svcctl-keeper"}
	}
	beside := filepath.Join(filepath.Dir(self), "svcctl-keeper")
	if fi, err := os.Stat(beside); err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0 {
		return []string{beside}
	}
	return []string{self, "keeper"}
}
