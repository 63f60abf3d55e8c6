// Command svcctl-keeper is the parent of every process that svcctl starts.
package main

import (
	"os"

	"github.com/svcctl/svcctl/keeper"
)

// release is set by the linker for a release build.
var release string

func main() {
	if release != "" {
		keeper.Build = release
	}
	os.Exit(keeper.Main(os.Args[1:]))
}
