// Command svcctl-keeper is the parent of every process that svcctl starts.
package main

import (
	"os"

	"github.com/svcctl/svcctl/keeper"
)

func main() { os.Exit(keeper.Main(os.Args[1:])) }
