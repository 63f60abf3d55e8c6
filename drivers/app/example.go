package app

import _ "embed"

// The examples on the kinds' pages of the manual.
var (
	//go:embed example.hcl
	example string
	//go:embed example_task.hcl
	taskExample string
)
