package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/svcctl/svcctl/spec"
)

const (
	hookOutput = 4 << 10         // bytes of a command's output that are kept, the last ones
	hookGrace  = 2 * time.Second // between the end of the context and the loss of its pipes
)

// hook runs one of the resource's own commands; no command is success.
func (a *Agent) hook(ctx context.Context, res *spec.Resource, name string, argv []string) error {
	if len(argv) == 0 {
		return nil
	}
	if names := spec.SecretsIn(strings.Join(argv, " ")); len(names) > 0 {
		return fmt.Errorf("cannot run %s: its arguments hold the secret %s, which every user could read in the list of processes (have the command read the file itself)", name, strings.Join(names, ", "))
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	// An agent that is killed takes it along: the next one runs it anew, not beside it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = hookGrace
	cmd.Env = append(os.Environ(), "SVCCTL_SERVICE="+res.Service, "SVCCTL_RESOURCE="+string(res.Address), "SVCCTL_NODE="+a.o.Config.Node.Name)
	out := &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	runtime.LockOSThread() // the signal at our death is bound to the thread that starts it
	err := cmd.Run()
	runtime.UnlockOSThread()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) { // it ended well, and left a child behind that holds its output
		message := fmt.Sprintf("cannot run %s %q: %v", name, strings.Join(argv, " "), err)
		if last := out.last(); last != "" {
			message += ": " + last
		}
		return fmt.Errorf("%s", message)
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > hookOutput {
		t.b = append(t.b[:0], t.b[len(t.b)-hookOutput:]...)
	}
	return len(p), nil
}

func (t *tail) last() string {
	lines := bytes.Split(bytes.TrimSpace(t.b), []byte("\n"))
	if len(lines) == 1 && len(t.b) == hookOutput {
		return ellipsis + string(lines[0]) // it was cut
	}
	return string(lines[len(lines)-1])
}
