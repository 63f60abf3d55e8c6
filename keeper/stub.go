package keeper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// The descriptors of the stub, both closed by themselves when the program runs.
const (
	stubReport   = 3 // where it says what failed
	stubSettings = 4 // a file in memory: an environment or an argument would be seen by others
)

// maxSettings bounds what the stub reads of them.
const maxSettings = 2 * maxFrame

// setup is what only the process itself can do between its start and its program:
// join groups of v1 hierarchies, set resource limits, change what it sees, and then
// become its user.
type setup struct {
	Keeper      int               `json:"k"`
	Path        string            `json:"path"`
	Dir         string            `json:"dir,omitempty"`
	Join        []string          `json:"join,omitempty"`
	OOMScoreAdj *int              `json:"oom,omitempty"`
	Rlimits     []Rlimit          `json:"rlim,omitempty"`
	Credential  *Credential       `json:"cred,omitempty"`
	Confine     *Confinement      `json:"conf,omitempty"`
	Nothing     string            `json:"none,omitempty"` // a file without content and permission
	Files       map[string][]byte `json:"files,omitempty"`
	FilesDir    string            `json:"at,omitempty"`
	Ours        string            `json:"ours,omitempty"` // the keeper's folder, which is not for this process to see
	Notify      string            `json:"ntf,omitempty"`  // its socket in there, which is
}

// needsStub says whether a start can't be done by the fork alone.
func needsStub(r *Request, join []string) bool {
	return len(join) > 0 || len(r.Rlimits) > 0 || r.OOMScoreAdj != nil || r.Confine != nil || len(r.Files) > 0
}

// file puts the settings into memory.
func (s setup) file() (*os.File, error) {
	fd, err := unix.MemfdCreate("svcctl-start", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot hand over the settings: %w", err)
	}
	f := os.NewFile(uintptr(fd), "settings")
	b, err := json.Marshal(s)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	_, err = f.WriteAt(b, 0) // the stub reads from the start
	clear(b)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot hand over the settings: %w", err)
	}
	return f, nil
}

// runStub becomes the program, or says why it can't and exits.
func runStub(args []string) int {
	// The signal at the keeper's death is bound to this thread, which is the one that runs the program.
	runtime.LockOSThread()
	report := os.NewFile(stubReport, "report")
	syscall.CloseOnExec(stubReport)
	syscall.CloseOnExec(stubSettings)
	err := becomeProgram(args)
	if report != nil {
		_, _ = report.WriteString(err.Error())
	}
	return 127
}

func becomeProgram(args []string) error {
	var s setup
	text, err := io.ReadAll(io.LimitReader(os.NewFile(stubSettings, "settings"), maxSettings))
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil || s.Path == "" || len(args) == 0 {
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
	err = execError(s.Path, "", syscall.Exec(s.Path, args, os.Environ()))
	if s.Confine != nil && len(s.Confine.Places) > 0 {
		return fmt.Errorf("%w; its sandbox may hide it (protect_home, private_tmp), or its seccomp profile refuse execve", err)
	}
	return err
}

func become(s setup) error {
	for _, l := range s.Rlimits {
		if err := syscall.Setrlimit(l.Resource, &syscall.Rlimit{Cur: l.Soft, Max: l.Hard}); err != nil {
			return fmt.Errorf("cannot set resource limit %d to %d:%d: %w (a hard limit is raised by root only)", l.Resource, l.Soft, l.Hard, err)
		}
	}
	if err := confine(s); err != nil {
		return err
	}
	if err := identify(s); err != nil {
		return err
	}
	// A change of identity clears it. The keeper may be dead already.
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("cannot bind the process to the keeper: %w", err)
	}
	if os.Getppid() != s.Keeper {
		return errors.New("cannot start: the keeper is gone")
	}
	return restrict(s.Confine)
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
