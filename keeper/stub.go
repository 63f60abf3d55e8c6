package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// stubVar carries the settings to the stub. It is taken out before the program runs.
const stubVar = "SVCCTL_STUB="

// stubFD is where the stub reports; it closes by itself when the program runs.
const stubFD = 3

// setup is what only the process itself can do between its start and its program:
// join groups of v1 hierarchies, set resource limits, and then become its user.
type setup struct {
	Keeper      int         `json:"k"`
	Path        string      `json:"path"`
	Join        []string    `json:"join,omitempty"`
	OOMScoreAdj *int        `json:"oom,omitempty"`
	Rlimits     []Rlimit    `json:"rlim,omitempty"`
	Credential  *Credential `json:"cred,omitempty"`
}

// needsStub says whether a start can't be done by the fork alone.
func needsStub(r *Request, join []string) bool {
	return len(join) > 0 || len(r.Rlimits) > 0 || r.OOMScoreAdj != nil
}

func (s setup) variable() string {
	b, err := json.Marshal(s)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return stubVar + string(b)
}

// runStub becomes the program, or says why it can't and exits.
func runStub(args []string) int {
	// The signal at the keeper's death is bound to this thread, which is the one that runs the program.
	runtime.LockOSThread()
	report := os.NewFile(stubFD, "report")
	syscall.CloseOnExec(stubFD)
	err := becomeProgram(args)
	if report != nil {
		_, _ = report.WriteString(err.Error())
	}
	return 127
}

func becomeProgram(args []string) error {
	var s setup
	env := os.Environ()
	for i, v := range env {
		if text, ok := strings.CutPrefix(v, stubVar); ok {
			if err := json.Unmarshal([]byte(text), &s); err != nil {
				return fmt.Errorf("cannot read the settings: %w", err)
			}
			env = append(env[:i:i], env[i+1:]...)
			break
		}
	}
	if s.Path == "" || len(args) == 0 {
		return errors.New("cannot start: no settings (only the keeper starts this command)")
	}
	for _, dir := range s.Join {
		if err := os.WriteFile(dir+"/cgroup.procs", []byte("0"), 0); err != nil {
			return fmt.Errorf("cannot join the control group: %w", err)
		}
	}
	if s.OOMScoreAdj != nil {
		if err := os.WriteFile("/proc/self/oom_score_adj", []byte(strconv.Itoa(*s.OOMScoreAdj)), 0); err != nil {
			return fmt.Errorf("cannot set the OOM score: %w", err)
		}
	}
	if err := become(s); err != nil {
		return err
	}
	err := syscall.Exec(s.Path, args, env)
	return execError(s.Path, "", err)
}

func become(s setup) error {
	for _, l := range s.Rlimits {
		if err := syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: l.Soft, Max: l.Hard}); err != nil {
			return fmt.Errorf("cannot set resource limit %d to %d:%d: %w (a hard limit is raised by root only)", l.Resource, l.Soft, l.Hard, err)
		}
	}
	if c := s.Credential; c != nil {
		groups := make([]int, len(c.Groups))
		for i, g := range c.Groups {
			groups[i] = int(g)
		}
		if err := syscall.Setgroups(groups); err != nil {
			return fmt.Errorf("cannot set the groups: %w", err)
		}
		if err := syscall.Setgid(int(c.GID)); err != nil {
			return fmt.Errorf("cannot become group %d: %w", c.GID, err)
		}
		if err := syscall.Setuid(int(c.UID)); err != nil {
			return fmt.Errorf("cannot become user %d: %w", c.UID, err)
		}
	}
	// A change of identity clears it. The keeper may be dead already.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("cannot bind the process to the keeper: %w", err)
	}
	if os.Getppid() != s.Keeper {
		return errors.New("cannot start: the keeper is gone")
	}
	return nil
}

// execError says what an errno of exec means: the kernel says ENOENT of four things.
func execError(path, dir string, err error) error {
	if dir != "" {
		if st, serr := os.Stat(dir); serr != nil {
			return fmt.Errorf("cannot run %s in %s: %w (make the directory, or change cwd)", path, dir, errors.Unwrap(serr))
		} else if !st.IsDir() {
			return fmt.Errorf("cannot run %s in %s: that is no directory (change cwd)", path, dir)
		}
	}
	switch {
	case errors.Is(err, syscall.ENOENT):
		if _, serr := os.Stat(path); serr != nil {
			return fmt.Errorf("cannot run %s: no such file (is the package installed, the path right?)", path)
		}
		return fmt.Errorf("cannot run %s: the interpreter in its first line, or its loader, does not exist (is it installed?)", path)
	case errors.Is(err, syscall.EACCES):
		if st, serr := os.Stat(path); serr == nil && st.IsDir() {
			return fmt.Errorf("cannot run %s: it is a directory (name a program)", path)
		} else if serr == nil && st.Mode()&0o111 == 0 {
			return fmt.Errorf("cannot run %s: it is not executable (chmod +x %s)", path, path)
		}
		return fmt.Errorf("cannot run %s: permission denied (may its user enter each directory, is the file system mounted noexec?)", path)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("cannot run %s: not a program of this machine (a script needs a first line such as #!/bin/sh)", path)
	case errors.Is(err, syscall.EPERM):
		return fmt.Errorf("cannot run %s: operation not permitted (only root may start a process as another user)", path)
	case errors.Is(err, syscall.EAGAIN):
		return fmt.Errorf("cannot run %s: no more processes allowed (see ulimit -u, pids.max and kernel.pid_max)", path)
	default:
		return fmt.Errorf("cannot run %s: %w (see the kernel's log)", path, err)
	}
}
