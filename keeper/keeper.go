// Package keeper is the parent of every process that we start: it remembers exits, decides nothing, and outlives the agent.
package keeper

import (
	"errors"
	"time"
)

// Phase is where a process that the keeper was asked for stands.
type Phase string

// The phases of a process.
const (
	// Running: the main process lives.
	Running Phase = "running"
	// Exited: the main process ended. Its exit is kept until the next Start or Forget.
	Exited Phase = "exited"
	// Lost: the keeper that held the process is gone, and the process with it. Only
	// subscribers see it, and Get until the next Start or Forget.
	Lost Phase = "lost"
)

// Process is what the keeper knows about one id.
type Process struct {
	ID      string        `json:"id"`
	Run     uint64        `json:"run"`             // grows with every start, also over keepers of one boot
	PID     int           `json:"pid,omitempty"`   // of the main process; the last one known once it exited
	Digest  string        `json:"dig,omitempty"`   // as given by Start
	Phase   Phase         `json:"ph"`              //
	Started time.Time     `json:"at"`              // wall clock
	Booted  time.Duration `json:"boot"`            // the same instant on CLOCK_BOOTTIME
	Exit    *Exit         `json:"exit,omitempty"`  // nil while running
	Ready   bool          `json:"ready,omitempty"` // READY=1 was received, or was not asked for
	Forked  bool          `json:"fork,omitempty"`  // the command of a Forking request has ended well
	Text    string        `json:"text,omitempty"`  // the last STATUS= of sd_notify
	Last    []string      `json:"last,omitempty"`  // the last lines of output; with an exit only
	Remains int           `json:"rem,omitempty"`   // processes left behind by an exited main process
	Dropped int64         `json:"drop,omitempty"`  // lines of output that the disk did not take

	// NotEnforced names the declared limits that no cgroup controller here enforces, each with its reason.
	NotEnforced []string `json:"not,omitempty"`
}

// Exit is how a main process ended.
type Exit struct {
	Code   int       `json:"code"`          // -1 when ended by a signal
	Signal string    `json:"sig,omitempty"` // "SIGKILL", …
	Time   time.Time `json:"at"`
	Asked  bool      `json:"asked,omitempty"` // it ended during a Stop
	Memory bool      `json:"mem,omitempty"`   // the kernel killed in its group, since the memory limit was reached
}

// Request is everything that the keeper needs to start a process. Nothing is
// inherited from the keeper but its controlling-terminal-free session.
type Request struct {
	ID          string      `json:"id"`
	Digest      string      `json:"dig,omitempty"`
	Path        string      `json:"path"` // of the executable, not searched for
	Args        []string    `json:"args"` // the first one is the name
	Env         []string    `json:"env,omitempty"`
	Dir         string      `json:"dir,omitempty"`  // default /
	Credential  *Credential `json:"cred,omitempty"` // nil: the keeper's own
	Umask       *int        `json:"umask,omitempty"`
	Rlimits     []Rlimit    `json:"rlim,omitempty"`
	OOMScoreAdj *int        `json:"oom,omitempty"`
	Limits      Limits      `json:"lim,omitzero"`
	Forking     bool        `json:"fork,omitempty"` // the command ends well and leaves a daemon behind
	Notify      bool        `json:"ntf,omitempty"`  // give it a NOTIFY_SOCKET; ready at READY=1
	Log         Log         `json:"log,omitzero"`

	// Confine says what the process may not see and do; nil: what its user may.
	Confine *Confinement `json:"conf,omitempty"`
	// Files are what it reads in CREDENTIALS_DIRECTORY, by name. They live in memory, in a
	// mount that only its own processes see and that ends with the last of them.
	Files map[string][]byte `json:"files,omitempty"`
}

// Confinement is what a process is kept from. The stub carries it out between the fork and
// the program, which stays a direct child of the keeper.
type Confinement struct {
	Netns           string  `json:"net,omitempty"`  // path of a network namespace to live in
	OwnNetwork      bool    `json:"lo,omitempty"`   // a new network namespace that has only lo
	Places          []Place `json:"fs,omitempty"`   // each may lie below one before it; none: no mount namespace
	Capabilities    []int   `json:"caps,omitempty"` // those it keeps, with DropOthers
	DropOthers      bool    `json:"drop,omitempty"`
	NoNewPrivileges bool    `json:"nnp,omitempty"`
	Filter          []byte  `json:"bpf,omitempty"` // of seccomp: its instructions, 8 bytes each, as the kernel takes them; implies NoNewPrivileges
}

// Place is a path that looks different to a confined process.
type Place struct {
	Path     string `json:"p"`
	As       Look   `json:"as"`
	Optional bool   `json:"opt,omitempty"` // no mistake where it does not exist
	Because  string `json:"why,omitempty"` // the argument that asks for it, for errors
}

// Look is how a place looks.
type Look string

// The looks of a place. Those before Hidden hold for all mounts below it, too.
const (
	ReadOnly   Look = "ro"
	AsItIs     Look = "rw"   // as it was before a place above it changed
	Hidden     Look = "none" // empty, and with no permission
	Empty      Look = "tmpfs"
	Scratch    Look = "tmp" // empty and writable for all, as /tmp
	FewDevices Look = "dev" // of a folder like /dev: null, zero, full, random, urandom, tty, terminals and what is shared memory
)

// Credential is the identity that a process runs with.
type Credential struct {
	UID    uint32   `json:"u"`
	GID    uint32   `json:"g"`
	Groups []uint32 `json:"gs,omitempty"`
}

// Rlimit is one resource limit; Resource is a RLIMIT_ number of the kernel.
type Rlimit struct {
	Resource int    `json:"r"`
	Soft     uint64 `json:"s"`
	Hard     uint64 `json:"h"`
}

// Limits are those of the whole tree of processes. Zero is no limit.
type Limits struct {
	Memory int64   `json:"m,omitempty"` // bytes
	CPU    float64 `json:"c,omitempty"` // cores
	PIDs   int     `json:"p,omitempty"`
}

// Log says where the output of a process goes.
type Log struct {
	Path  string `json:"p"`           // below the keeper's log directory; "" drops the output
	Size  int64  `json:"s,omitempty"` // bytes of one file; default 1 MiB
	Files int    `json:"n,omitempty"` // kept, the current one included; default 3
}

// ErrUnknown is the answer of Get about an id that was never started, or was forgotten.
var ErrUnknown = errors.New("no such process")

// ErrAway means that the keeper did not answer the call, which may or may not have
// had its effect: List tells.
var ErrAway = errors.New("the keeper went away during the call (it is started again: try again)")

// version is that of the protocol, and oldest the one that both sides still speak. Who is
// newer speaks as the other does.
const (
	version = 1
	oldest  = 1
)

// features are what a keeper of this program can do beyond the first one, which would
// ignore it without a word. A client asks no keeper for what it does not have.
var features = []string{featureSandbox, featureCredentials, featureReplace}

const (
	featureSandbox     = "sandbox"     // Request.Confine
	featureCredentials = "credentials" // Request.Files
	featureReplace     = "replace"     // it takes up a new program and goes on
)

// Info is what a keeper says of itself.
type Info struct {
	Build    string `json:"b,omitempty"`   // of its program
	Moved    int    `json:"m,omitempty"`   // how often it took up a new program
	Outdated bool   `json:"old,omitempty"` // its program's file is another one by now
}

// frame is a message in either direction.
type frame struct {
	Seq     uint64    `json:"n,omitempty"` // of the call; 0 is an event
	Op      string    `json:"op,omitempty"`
	Version int       `json:"v,omitempty"`
	ID      string    `json:"id,omitempty"`
	Start   *Request  `json:"start,omitempty"`
	Signal  int       `json:"sig,omitempty"`
	Grace   int64     `json:"grace,omitempty"` // nanoseconds
	Error   string    `json:"err,omitempty"`
	Process *Process  `json:"p,omitempty"`
	List    []Process `json:"ls,omitempty"`

	Features []string `json:"feat,omitempty"`
	Keeper   *Info    `json:"k,omitempty"`
	Again    bool     `json:"again,omitempty"` // asked before, of a keeper that then took up a new program
}

// The operations of the protocol.
const (
	opHello  = "hello"
	opStart  = "start"
	opStop   = "stop"
	opSignal = "signal"
	opList   = "list"
	opForget = "forget"
	opRetire = "retire"

	opReplace = "replace"
	opMoving  = "moving" // from the keeper: what it has not answered by now is to be asked again
)
