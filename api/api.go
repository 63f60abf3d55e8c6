// Package api is the agent as seen from outside: the server on its socket, the documents it answers with, and a client in Go.
package api

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// DefaultServer is where commands look for the agent.
const DefaultServer = "unix:///run/svcctl/agent.sock"

// DefaultSocket is the path in DefaultServer.
const DefaultSocket = "/run/svcctl/agent.sock"

// Agent is what the server needs of the agent. Its methods are safe for concurrent
// use and return soon after their context ends.
type Agent interface {
	// Snapshot returns what is true now.
	Snapshot(ctx context.Context) (*engine.Snapshot, error)
	// Notices says what the host can't give this resource.
	Notices(spec.Address) []string
	// Measured returns what the checks measured last.
	Measured(ctx context.Context) (Measured, error)
	// History returns the newest runs of a task, the newest first.
	History(ctx context.Context, task spec.Address, limit int) ([]engine.Run, error)
	// Command is accepted or refused at once, and not waited for. An error that is
	// neither engine.ErrRefused nor an Err value of this package is about the request.
	Command(ctx context.Context, c engine.Command) error
	// Spec says which declaration is in force, and what is wrong with a newer one.
	Spec(ctx context.Context) (SpecStatus, error)
	// ShutDown stops every service of this node and keeps them off until Resume or the
	// next boot. Both are accepted at once and not waited for.
	ShutDown(ctx context.Context, by string) error
	Resume(ctx context.Context, by string) error
	// Apply makes files the new declaration, or explains in the result's findings why not.
	Apply(ctx context.Context, files map[string][]byte, o ApplyOptions) (ApplyResult, error)
	// Plan says what the agent would do if files were declared; nil files: what its
	// directory holds.
	Plan(ctx context.Context, files map[string][]byte) (Plan, error)
	// Logs yields the last lines that a resource's processes wrote, and with follow
	// the ones to come, until ctx ends. A resource without output is ErrNotFound.
	Logs(ctx context.Context, a spec.Address, lines int, follow bool) iter.Seq2[string, error]
}

// What an Agent's errors may wrap; each becomes its own HTTP status.
var (
	ErrNotFound    = errors.New("not found")
	ErrRefused     = errors.New("refused")
	ErrInvalid     = errors.New("invalid")
	ErrUnavailable = errors.New("not available now")
)

// SpecState says how the directory of declarations relates to what is in force.
type SpecState string

// The states of a node's directory.
const (
	SpecCurrent  SpecState = "current"  // the directory is what is in force
	SpecBehind   SpecState = "behind"   // it equals an older revision
	SpecConflict SpecState = "conflict" // it and the revision in force changed apart
	SpecInvalid  SpecState = "invalid"  // it has mistakes; the last valid set goes on
)

// SpecStatus is the declaration in force.
type SpecStatus struct {
	Cluster   string      `json:"-"` // the cluster's name
	Revision  uint64      `json:"revision"`
	Digest    spec.Digest `json:"digest"`
	State     SpecState   `json:"state"`
	Valid     bool        `json:"valid"`
	Since     time.Time   `json:"since"` // when the revision came into force
	Directory string      `json:"directory"`
	Message   string      `json:"message,omitempty"` // why State is not current, in words
	Findings  []Finding   `json:"findings,omitempty"`
	Store     string      `json:"store,omitempty"` // what is wrong with the state directory
}

// Finding is one mistake, or one warning, in a declaration.
type Finding struct {
	Code     string `json:"code"`
	Severity string `json:"severity"` // error or warning
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Summary  string `json:"summary"`
	Detail   string `json:"detail,omitempty"`
	Text     string `json:"text,omitempty"` // the whole finding as validate prints it, snippet included
}

// ApplyOptions go with an Apply.
type ApplyOptions struct {
	Prune bool   // stop what the new declaration lacks
	By    string // who asks
}

// ApplyResult is what came of an Apply.
type ApplyResult struct {
	Applied  bool        `json:"applied"` // false: refused, see Findings
	Changed  bool        `json:"changed"` // false: the same as what was in force
	Revision uint64      `json:"revision"`
	Digest   spec.Digest `json:"digest,omitempty"`
	Findings []Finding   `json:"findings,omitempty"`
}

// Plan is what would be done, in order: the steps of one wave run side by side.
type Plan struct {
	Waves    [][]Step  `json:"waves"`
	Findings []Finding `json:"findings,omitempty"`
}

// Step is one driver call of a plan.
type Step struct {
	Verb    engine.Verb  `json:"verb"`
	Address spec.Address `json:"address"`
}
