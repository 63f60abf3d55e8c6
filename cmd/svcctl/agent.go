package main

import "github.com/spf13/cobra"

// agentCommands are those that run a part of the system instead of asking it.
func (p *program) agentCommands() []*cobra.Command { return nil }
