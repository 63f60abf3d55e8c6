package app

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/keeper"
	"github.com/svcctl/svcctl/spec"
)

// Program is what apps and tasks say alike.
type Program struct {
	Command    []string          `hcl:"command" export:"true" doc:"The program and its arguments; no shell is between. A name without a slash is looked for in PATH."`
	User       string            `hcl:"user,optional" export:"true" doc:"The user it runs as, by name or number. Default: the agent's own."`
	Group      string            `hcl:"group,optional" export:"true" doc:"Its group. Default: the first group of the user."`
	Groups     []string          `hcl:"groups,optional" doc:"Its supplementary groups. Default: those of the user."`
	Env        map[string]string `hcl:"env,optional" secret:"true" doc:"Variables of its environment, beside PATH, HOME, USER, LOGNAME, SHELL and the SVCCTL_ ones. Nothing is inherited from the agent."`
	Cwd        string            `hcl:"cwd" default:"/" export:"true" doc:"The directory that it starts in."`
	Umask      string            `hcl:"umask" default:"022" doc:"The permissions that its new files don't get, in octal."`
	Rlimits    map[string]string `hcl:"rlimits,optional" doc:"Limits of one process, as ulimit knows them: nofile = \"65536\", core = \"unlimited\", or soft:hard."`
	Memory     spec.Bytes        `hcl:"memory,optional" doc:"The most memory that all its processes may use together."`
	CPU        float64           `hcl:"cpu,optional" doc:"The most processor time that all its processes may use together, in cores: 0.5 is half of one."`
	PIDs       int               `hcl:"pids,optional" doc:"The most processes and threads that it may have."`
	OOMScore   string            `hcl:"oom_score,optional" doc:"How soon the kernel ends it when memory is short, from -1000 (never) to 1000."`
	StopSignal string            `hcl:"stop_signal" reload:"live" default:"TERM" doc:"The signal that asks all its processes to end."`
	KillAfter  time.Duration     `hcl:"kill_after" reload:"live" default:"10s" doc:"How long after the stop signal what is left is killed."`
	Netns      string            `hcl:"netns,optional" doc:"The network namespace that it runs in: a name below /run/netns, such as netns.NAME.name, or a path. Its user, files and the rest stay as they are."`
	LogSize    spec.Bytes        `hcl:"log_size" default:"1M" doc:"The size at which the file of its output is rotated."`
	LogFiles   int               `hcl:"log_files" default:"3" doc:"How many files of output are kept, the current one included."`

	Credentials map[string]string `hcl:"credentials,optional" secret:"true" doc:"Files that only it and root can read, name and content: passwords, keys. They are in the folder that the variable CREDENTIALS_DIRECTORY names, in memory that is never swapped out, as long as a process of it lives."`
	Sandbox     *Sandbox          `hcl:"sandbox,block" doc:"What it is kept from. Each argument that is left out has its safe value; without the block nothing is kept from it but by its user."`
}

// Config is what an app block may say.
type Config struct {
	Program
	Type   string   `hcl:"type" default:"simple" oneof:"simple forking" doc:"simple: the command is the program. forking: the command ends and leaves a daemon behind."`
	Status []string `hcl:"status,optional" doc:"A command that exits 0 when a forking app is up."`
	Stop   []string `hcl:"stop,optional" reload:"live" doc:"A command that is run before the stop signal; it sees the main process as SVCCTL_PID."`
	Ready  string   `hcl:"ready" default:"started" oneof:"started notify check" doc:"When the start is complete: once the program runs, once it says READY=1 by sd_notify, or once its checks pass."`
}

// TaskConfig is what a task block may say, beside when it runs.
type TaskConfig struct {
	Program
}

// ReadyByChecks implements spec.ReadyByChecker.
func (c *Config) ReadyByChecks() bool { return c.Ready == "check" }

// digest is that of all that needs another process to change. Its form stays as it is:
// another digest would restart every app when svcctl is upgraded. What is new is left out
// where it says nothing.
func (c *Config) digest() string {
	b, err := json.Marshal(struct {
		Command    []string
		User       string
		Group      string
		Groups     []string
		Env        map[string]string
		Cwd        string
		Umask      string
		Rlimits    map[string]string
		Memory     spec.Bytes
		CPU        float64
		PIDs       int
		OOMScore   string
		Type       string
		Status     []string
		Stop       []string
		StopSignal string
		KillAfter  time.Duration
		Ready      string
		LogSize    spec.Bytes
		LogFiles   int

		Credentials map[string]string `json:",omitempty"`
		Netns       string            `json:",omitempty"`
		Sandbox     *Sandbox          `json:",omitempty"`
	}{
		Command: c.Command, User: c.User, Group: c.Group, Groups: c.Groups, Env: c.Env, Cwd: c.Cwd, Umask: c.Umask,
		Rlimits: c.Rlimits, Memory: c.Memory, CPU: c.CPU, PIDs: c.PIDs, OOMScore: c.OOMScore,
		Type: c.Type, Status: c.Status, Ready: c.Ready, LogSize: c.LogSize, LogFiles: c.LogFiles,
		Credentials: c.Credentials, Netns: c.Netns, Sandbox: c.Sandbox,
	})
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))[:32]
}

// rlimits are the names that ulimit and limits.conf know.
var rlimits = map[string]int{
	"as": unix.RLIMIT_AS, "core": unix.RLIMIT_CORE, "cpu": unix.RLIMIT_CPU, "data": unix.RLIMIT_DATA,
	"fsize": unix.RLIMIT_FSIZE, "locks": unix.RLIMIT_LOCKS, "memlock": unix.RLIMIT_MEMLOCK,
	"msgqueue": unix.RLIMIT_MSGQUEUE, "nice": unix.RLIMIT_NICE, "nofile": unix.RLIMIT_NOFILE,
	"nproc": unix.RLIMIT_NPROC, "rss": unix.RLIMIT_RSS, "rtprio": unix.RLIMIT_RTPRIO,
	"rttime": unix.RLIMIT_RTTIME, "sigpending": unix.RLIMIT_SIGPENDING, "stack": unix.RLIMIT_STACK,
}

// problems collects what Validate finds.
type problems []spec.Problem

func (p *problems) add(field, summary, detail string, args ...any) {
	*p = append(*p, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
}

// Validate implements spec.Validator.
func (c *Config) Validate() []spec.Problem {
	var out problems
	c.Program.validate(&out)
	if c.Status != nil {
		out.command("status", c.Status)
	}
	if c.Stop != nil {
		out.command("stop", c.Stop)
	}
	c.validateType(out.add)
	return out
}

// Validate implements spec.Validator.
func (c *TaskConfig) Validate() []spec.Problem {
	var out problems
	c.Program.validate(&out)
	return out
}

func (p *problems) command(field string, command []string) {
	if len(command) == 0 || command[0] == "" {
		p.add(field, "Empty command", "%s has no program. Write for example %s = [\"/usr/bin/program\", \"--option\"].", field, field)
		return
	}
	*p = append(*p, spec.OneText(field, command)...)
	for _, word := range command {
		if strings.ContainsRune(word, 0) {
			p.add(field, "NUL in a command", "An argument can't hold a NUL character: %q.", word)
		}
	}
}

func (c *Program) validate(out *problems) {
	add := out.add
	out.command("command", c.Command)
	if _, err := c.umask(); err != nil {
		add("umask", "Not an octal mask", "%q is no umask. Write three octal digits, such as \"022\" or \"077\".", c.Umask)
	}
	if c.Cwd != "" && !strings.HasPrefix(c.Cwd, "/") {
		add("cwd", "Relative directory", "%q depends on where the agent was started. Write an absolute path, such as \"/srv/%s\".", c.Cwd, c.Cwd)
	}
	for name, value := range c.Rlimits {
		if _, ok := rlimits[name]; !ok {
			add("rlimits", "Unknown limit", "There is no limit %q. Write one of %s.", name, strings.Join(names(rlimits), ", "))
		} else if _, _, err := parseRlimit(value); err != nil {
			add("rlimits", "Not a limit", "%s = %q: %v. Write a number, \"unlimited\", or both as \"soft:hard\".", name, value, err)
		}
	}
	if _, err := parseSignal(c.StopSignal); err != nil {
		add("stop_signal", "Unknown signal", "There is no signal %q. Write a name such as \"TERM\", \"INT\", \"QUIT\" or \"RTMIN+3\".", c.StopSignal)
	}
	if _, err := c.oomScore(); err != nil {
		add("oom_score", "Not a score", "%q is no OOM score. Write a number from -1000 to 1000.", c.OOMScore)
	}
	for key, value := range c.Env {
		if key == "" || strings.ContainsAny(key, "=\x00") || strings.ContainsRune(value, 0) {
			add("env", "Not a variable", "%q can't be a variable of an environment. Write a name without \"=\", and a value without NUL.", key)
		}
	}
	for name := range c.Credentials {
		if name == "" || name == "." || name == ".." || len(name) > 255 || strings.ContainsAny(name, "/\x00") {
			add("credentials", "Not a name of a file", "%q can't be the name of a credential. Write a name without \"/\", such as \"password\".", name)
		}
	}
	if _, err := c.netnsPath(); err != nil {
		add("netns", "Not a network namespace", "%q is neither a name nor an absolute path. Write a name as \"ip netns\" lists it, such as \"blue\".", c.Netns)
	}
	if c.Netns != "" && c.Sandbox != nil && c.Sandbox.PrivateNetwork {
		add("netns", "Two networks", "An app has its own network or that of a namespace. Leave out netns, or private_network.")
	}
	c.validateSizes(add)
}

// netnsPath is where the network namespace is found; "" where none is asked for.
func (c *Program) netnsPath() (string, error) {
	switch {
	case c.Netns == "" || strings.HasPrefix(c.Netns, "/"):
		return c.Netns, nil
	case strings.ContainsAny(c.Netns, "/\x00") || c.Netns == "." || c.Netns == ".." || len(c.Netns) > 255:
		return "", fmt.Errorf("%q is no name of a network namespace", c.Netns)
	default:
		return "/run/netns/" + c.Netns, nil
	}
}

func (c *Config) validateType(add func(field, summary, detail string, args ...any)) {
	if c.Type == "forking" && c.Status == nil { // an empty one is a mistake already
		add("status", "No status command", "The command of a forking app ends, so that only a status command can tell whether the app is up. Add status = [\"…\"], or keep the program in the foreground and write type = \"simple\".")
	}
	if c.Type != "forking" && len(c.Status) > 0 && c.Status[0] != "" {
		add("status", "Status of a simple app", "A simple app is up while its process lives. Write type = \"forking\" if the command leaves a daemon behind, or a check \"exec\" to watch more than that.")
	}
	if c.Type == "forking" && c.Ready == "notify" {
		add("ready", "Readiness of a forking app", "A forking app is ready once its status command exits 0. Leave ready out, or run the program in the foreground with type = \"simple\".")
	}
}

func (c *Program) validateSizes(add func(field, summary, detail string, args ...any)) {
	switch {
	case c.Memory < 0 || c.Memory > 0 && c.Memory < 1<<20:
		add("memory", "Too little memory", "%d bytes are not enough for any program. Write a size such as \"512M\".", c.Memory)
	}
	if c.CPU < 0 || c.CPU > 0 && c.CPU < 0.01 || math.IsNaN(c.CPU) || c.CPU > 1e5 {
		add("cpu", "Not a number of cores", "%g is no number of cores. Write 0.01 or more, such as 0.5 for half of one.", c.CPU)
	}
	if c.PIDs < 0 {
		add("pids", "Negative limit", "%d processes are not possible. Write 1 or more, or leave pids out.", c.PIDs)
	}
	if c.KillAfter < 0 {
		add("kill_after", "Negative time", "%s is in the past. Write a duration such as \"10s\"; \"0s\" kills at once.", c.KillAfter)
	}
	if c.LogSize < 4096 {
		add("log_size", "Too small", "Files of %d bytes hold no line. Write \"4K\" or more.", c.LogSize)
	}
	if c.LogFiles < 1 || c.LogFiles > 1000 {
		add("log_files", "Not a number of files", "%d files can't be kept. Write 1 to 1000.", c.LogFiles)
	}
}

func (c *Program) umask() (int, error) {
	if c.Umask == "" {
		return 0o022, nil
	}
	m, err := strconv.ParseUint(c.Umask, 8, 32)
	if err != nil || m > 0o777 {
		return 0, fmt.Errorf("%q is no umask", c.Umask)
	}
	return int(m), nil
}

func (c *Program) oomScore() (*int, error) {
	if c.OOMScore == "" {
		return nil, nil
	}
	n, err := strconv.Atoi(c.OOMScore)
	if err != nil || n < -1000 || n > 1000 {
		return nil, fmt.Errorf("%q is no OOM score", c.OOMScore)
	}
	return &n, nil
}

func (c *Program) rlimits() (out []keeper.Rlimit) {
	for _, name := range names(c.Rlimits) {
		soft, hard, err := parseRlimit(c.Rlimits[name])
		if err != nil {
			panic("internal error: an invalid limit was accepted: " + err.Error())
		}
		out = append(out, keeper.Rlimit{Resource: rlimits[name], Soft: soft, Hard: hard})
	}
	return out
}

func parseRlimit(s string) (soft, hard uint64, err error) {
	one := func(s string) (uint64, error) {
		if s == "unlimited" || s == "infinity" {
			return math.MaxUint64, nil
		}
		n, err := strconv.ParseUint(s, 10, 63)
		if err != nil {
			return 0, fmt.Errorf("%q is no number", s)
		}
		return n, nil
	}
	first, second, both := strings.Cut(s, ":")
	if soft, err = one(first); err != nil {
		return 0, 0, err
	}
	if !both {
		return soft, soft, nil
	}
	if hard, err = one(second); err == nil && soft > hard {
		err = fmt.Errorf("the soft limit is above the hard one")
	}
	return soft, hard, err
}

func parseSignal(s string) (syscall.Signal, error) {
	name := strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if n, err := strconv.Atoi(name); err == nil && n > 0 && n <= 64 {
		return syscall.Signal(n), nil
	}
	if plus, ok := strings.CutPrefix(name, "RTMIN"); ok {
		n := 0
		if plus != "" {
			var err error
			if n, err = strconv.Atoi(strings.TrimPrefix(plus, "+")); err != nil {
				return 0, fmt.Errorf("no signal %q", s)
			}
		}
		if n >= 0 && n <= 30 {
			return syscall.Signal(34 + n), nil // as the C library numbers them
		}
	}
	if n := unix.SignalNum("SIG" + name); n != 0 {
		return n, nil
	}
	return 0, fmt.Errorf("no signal %q", s)
}

func names[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}
