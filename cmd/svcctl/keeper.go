package main

import (
	"path/filepath"

	"github.com/svcctl/svcctl/keeper"
)

// keeperMain runs the keeper where this program was started as one: the agent starts
// its own binary again, so that one file is all that is installed.
func keeperMain(args []string) (code int, diverted bool) {
	switch {
	case len(args) > 0 && filepath.Base(args[0]) == "svcctl-keeper":
		return keeper.Main(args[1:]), true
	case len(args) > 1 && args[1] == "keeper":
		return keeper.Main(args[2:]), true
	default:
		return 0, false
	}
}
