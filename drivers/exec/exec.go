// Package exec checks a resource by running a command: exit code 0 passes.
package exec

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

// Config is what an exec check takes.
type Config struct {
	Command []string          `hcl:"command" doc:"The command and its arguments, started without a shell. Exit code 0 passes."`
	User    string            `hcl:"user,optional" doc:"The user that runs it, by name or number; default: the agent's."`
	Env     map[string]string `hcl:"env,optional" secret:"true" doc:"Variables added to the agent's environment."`
	Cwd     string            `hcl:"cwd,optional" doc:"The directory that it runs in; default: /."`
	Plugin  string            `hcl:"plugin,optional" oneof:"nagios" doc:"What the command is beyond a command. nagios: a monitoring plugin, whose exit codes 0 to 3 are OK, WARNING, CRITICAL and UNKNOWN, whose first line is shown, and whose performance data is measured."`
	Warning string            `hcl:"warning" default:"pass" oneof:"pass fail" doc:"Whether a plugin's WARNING passes; it is shown in either case."`
	Unknown string            `hcl:"unknown" default:"fail" oneof:"pass fail" doc:"Whether a plugin's UNKNOWN passes: it could not find out."`
}

// Validate implements spec.Validator.
func (c *Config) Validate() (found []spec.Problem) {
	if len(c.Command) == 0 || c.Command[0] == "" {
		found = append(found, spec.Problem{Field: "command", Summary: "Empty command",
			Detail: `The list must name a program: command = ["/usr/bin/pg_isready", "-q"].`})
	}
	found = append(found, spec.OneText("command", c.Command)...)
	if c.Cwd != "" && !strings.HasPrefix(c.Cwd, "/") {
		found = append(found, spec.Problem{Field: "cwd", Summary: "Directory is not absolute",
			Detail: fmt.Sprintf("%q depends on where the agent was started; write the path from /.", c.Cwd)})
	}
	for name := range c.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			found = append(found, spec.Problem{Field: "env", Summary: "Impossible variable name",
				Detail: fmt.Sprintf("A variable can't be called %q: a name is not empty and has no \"=\".", name)})
		}
	}
	if c.Plugin == "" && (c.Warning == "fail" || c.Unknown == "pass") {
		found = append(found, spec.Problem{Field: "plugin", Summary: "No plugin",
			Detail: `Only a plugin knows WARNING and UNKNOWN; write plugin = "nagios", or leave warning and unknown out.`})
	}
	return found
}

//go:embed example.hcl
var example string

// Register adds the check to r.
func Register(r *drivers.Registry) {
	drivers.DefineCheck(r, "exec", "Runs a command; exit code 0 passes. The last line of its output is the reason of a failure.",
		func(o drivers.Opening, c *Config) (drivers.Prober, error) {
			return &prober{config: c, reveal: o.Reveal}, nil
		}, drivers.WithExample(example))
}

const (
	// linger bounds the wait for a killed command. Only a process that sleeps in the
	// kernel needs so long.
	linger = time.Second
	// kept of the output, from its end, since the reason is in the last line.
	kept  = 4 << 10
	shown = 300 // bytes of a line, at most
	// begins of what a plugin prints, from its beginning, since that is where its text is.
	begins = 64 << 10
)

type prober struct {
	config   *Config
	reveal   func(string) (string, error) // nil: there are no secrets
	stuck    atomic.Int64                 // pid of a command that outlived its SIGKILL; 0: none
	measured []drivers.Perf
}

// Measured implements drivers.Measurer: the performance data of a plugin.
func (p *prober) Measured() []drivers.Perf { return p.measured }

// Status runs the command once. At most one process that can't be killed is left
// behind: until it is gone the check fails without starting another.
func (p *prober) Status(ctx context.Context) (drivers.Status, error) {
	if pid := p.stuck.Load(); pid != 0 {
		return drivers.Status{}, fmt.Errorf("cannot run %s: process %d of an earlier check hangs in the kernel although it was killed (see /proc/%d/stack)", p.config.Command[0], pid, pid)
	}
	p.measured = nil
	began := time.Now()
	cmd, out, err := p.command()
	if err != nil {
		return drivers.Status{}, err
	}
	if err := cmd.Start(); err != nil {
		return drivers.Status{}, fmt.Errorf("cannot run %s: %w (is it installed, and may user %q run it in %q?)", p.config.Command[0], cause(err), p.config.User, cmd.Dir)
	}
	pid := cmd.Process.Pid
	done := make(chan error, 1)
	go func() { done <- reap(cmd) }()
	select {
	case err := <-done:
		if said, ok := cmd.Stdout.(*head); ok {
			return p.nagios(err, said.text(), out.lastLine()), nil
		}
		return verdict(err, out.lastLine()), nil
	case <-ctx.Done():
	}
	unix.Kill(-pid, unix.SIGKILL) // not reaped before the group was killed, so the number is still its own
	reason := fmt.Sprintf("%s after %s", ended(ctx), round(time.Since(began)))
	grace := time.NewTimer(linger)
	defer grace.Stop()
	select {
	case <-done:
		if line := out.lastLine(); line != "" {
			reason += "; last output: " + line
		}
	case <-grace.C:
		p.stuck.Store(int64(pid))
		go func() { <-done; p.stuck.Store(0) }()
	}
	return drivers.Status{State: drivers.Down, Detail: reason}, nil
}

func (p *prober) command() (*exec.Cmd, *tail, error) {
	out := &tail{}
	cmd := exec.Command(p.config.Command[0], p.config.Command[1:]...)
	cmd.Dir = p.config.Cwd
	if cmd.Dir == "" {
		cmd.Dir = "/"
	}
	cmd.Env = os.Environ()
	// The agent's own conversation with its service manager is no business of a check.
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool {
		return strings.HasPrefix(v, "NOTIFY_SOCKET=") || strings.HasPrefix(v, "WATCHDOG_")
	})
	cmd.Stdout, cmd.Stderr = out, out
	if p.config.Plugin != "" {
		cmd.Stdout = &head{}
	}
	// Whoever escapes the process group and keeps the pipe does not keep us.
	cmd.WaitDelay = linger / 2
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if p.config.User != "" {
		c, home, err := credential(p.config.User)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot run %s: %w", p.config.Command[0], err)
		}
		if int(c.Uid) != os.Geteuid() {
			cmd.SysProcAttr.Credential = c
		}
		cmd.Env = append(cmd.Env, "HOME="+home, "USER="+p.config.User, "LOGNAME="+p.config.User)
	}
	for k, v := range p.config.Env {
		if p.reveal != nil {
			var err error
			if v, err = p.reveal(v); err != nil {
				return nil, nil, fmt.Errorf("cannot run %s: the variable %s can't be set: %w", p.config.Command[0], k, err)
			}
		}
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	return cmd, out, nil
}

// reap waits for the command, and kills what it left in its process group before
// its own number is given back.
func reap(cmd *exec.Cmd) error {
	for {
		err := unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	return cmd.Wait()
}

func verdict(err error, line string) drivers.Status {
	var exit *exec.ExitError
	switch {
	case err == nil, errors.Is(err, exec.ErrWaitDelay): // exit code 0; the latter: somebody still holds the output
		return drivers.Status{State: drivers.Up, Detail: line}
	case errors.As(err, &exit):
		ended := &drivers.Exit{Code: exit.ExitCode()}
		reason := fmt.Sprintf("exit code %d", ended.Code)
		if ws, ok := exit.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			ended.Signal = unix.SignalName(ws.Signal())
			reason = "ended by " + ended.Signal
		}
		if line != "" {
			reason += ": " + line
		}
		return drivers.Status{State: drivers.Down, Detail: reason, Exit: ended}
	}
	return drivers.Status{State: drivers.Down, Detail: "its end can't be known: " + err.Error()}
}

func credential(name string) (*syscall.Credential, string, error) {
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return nil, "", fmt.Errorf("there is no user %q (create it, or correct user)", name)
		}
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	if errUID != nil || errGID != nil {
		return nil, "", fmt.Errorf("user %q has the ids %q and %q, which are no numbers", name, u.Uid, u.Gid)
	}
	c := &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	groups, err := u.GroupIds()
	if err != nil {
		return nil, "", fmt.Errorf("the groups of user %q can't be read: %w", name, err)
	}
	for _, g := range groups {
		if n, err := strconv.ParseUint(g, 10, 32); err == nil {
			c.Groups = append(c.Groups, uint32(n))
		}
	}
	return c, u.HomeDir, nil
}

// cause drops the wrapping that repeats the command's name.
func cause(err error) error {
	var path *os.PathError
	var lookup *exec.Error
	switch {
	case errors.As(err, &lookup):
		return lookup.Err
	case errors.As(err, &path):
		return path
	}
	return err
}

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

func ended(ctx context.Context) string {
	if errors.Is(ctx.Err(), context.Canceled) {
		return "cancelled"
	}
	return "timed out"
}
