package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/svcctl/svcctl/keeper"
)

// defaultPath is what a program gets that declares no PATH of its own.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func (a *app) request(c *Config) (keeper.Request, error) {
	who, err := c.identify()
	if err != nil {
		return keeper.Request{}, fmt.Errorf("cannot start %s: %w", a.id, err)
	}
	env, path, err := a.environment(c, who)
	if err != nil {
		return keeper.Request{}, fmt.Errorf("cannot start %s: %w", a.id, err)
	}
	program, err := find(c.Command[0], path, c.Cwd)
	if err != nil {
		return keeper.Request{}, fmt.Errorf("cannot start %s: %w", a.id, err)
	}
	files, err := a.credentials(c)
	if err != nil {
		return keeper.Request{}, fmt.Errorf("cannot start %s: %w", a.id, err)
	}
	confined := c.confinement()
	if c.Sandbox != nil {
		if confined.Filter, err = a.filterOf(c); err != nil {
			return keeper.Request{}, fmt.Errorf("cannot start %s: %w", a.id, err)
		}
	}
	umask, err := c.umask()
	if err != nil {
		panic("internal error: an invalid umask was accepted: " + err.Error())
	}
	score, err := c.oomScore()
	if err != nil {
		panic("internal error: an invalid score was accepted: " + err.Error())
	}
	return keeper.Request{
		ID: a.id, Digest: a.digest(c), Path: program, Args: c.Command, Env: env, Dir: c.Cwd,
		Credential: who.credential, Umask: &umask, Rlimits: c.rlimits(), OOMScoreAdj: score,
		Limits:  keeper.Limits{Memory: int64(c.Memory), CPU: c.CPU, PIDs: c.PIDs},
		Forking: c.Type == "forking", Notify: c.Ready == "notify",
		Log:     keeper.Log{Path: a.logPath(), Size: int64(c.LogSize), Files: c.LogFiles},
		Confine: confined, Files: files,
	}, nil
}

// environment is the whole of it: an agent's own variables don't leak into apps.
// It holds the values of secrets: it goes to the process and nowhere else.
func (a *app) environment(c *Config, who identity) (env []string, path string, err error) {
	all := map[string]string{
		"PATH": defaultPath, "HOME": who.home, "USER": who.name, "LOGNAME": who.name, "SHELL": "/bin/sh",
		"LANG": "C.UTF-8", "SVCCTL_SERVICE": a.opening.Service, "SVCCTL_RESOURCE": a.id, "SVCCTL_NODE": a.opening.Node,
	}
	for k, v := range c.Env {
		if all[k], err = a.opening.Plain(v); err != nil {
			return nil, "", err
		}
		if strings.ContainsRune(all[k], 0) || !utf8.ValidString(all[k]) {
			return nil, "", fmt.Errorf("cannot set the variable %s: its secret is no text (give it as a credential instead)", k)
		}
	}
	for _, k := range names(all) {
		env = append(env, k+"="+all[k])
	}
	return env, all["PATH"], nil
}

// maxCredentials bounds what an app's credentials have together.
const maxCredentials = 512 << 10

// credentials are the files with the values of secrets in them.
func (a *app) credentials(c *Config) (map[string][]byte, error) {
	if len(c.Credentials) == 0 {
		return nil, nil
	}
	files, size := make(map[string][]byte, len(c.Credentials)), 0
	for name, text := range c.Credentials {
		plain, err := a.opening.Plain(text)
		if err != nil {
			return nil, err
		}
		files[name] = []byte(plain)
		size += len(plain)
	}
	if size > maxCredentials {
		return nil, fmt.Errorf("its credentials have %d bytes together, more than %d (put large files on disk, with the permissions that they need)", size, maxCredentials)
	}
	return files, nil
}

func find(name, path, cwd string) (string, error) {
	if strings.Contains(name, "/") {
		if !filepath.IsAbs(name) {
			return filepath.Join(cwd, name), nil
		}
		return name, nil
	}
	for _, dir := range filepath.SplitList(path) {
		full := filepath.Join(dir, name)
		if st, err := os.Stat(full); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 && filepath.IsAbs(full) {
			return full, nil
		}
	}
	return "", fmt.Errorf("cannot run %s: no such program in PATH=%s (is the package installed? An absolute path needs no PATH)", name, path)
}

// run runs a status or stop command as the app's user. It returns soon after ctx
// ends, also when the command hangs: its whole group is killed.
func (a *app) run(ctx context.Context, c *Config, command []string, pid int) error {
	who, err := c.identify()
	if err != nil {
		return fmt.Errorf("cannot run %s: %w", command[0], err)
	}
	env, path, err := a.environment(c, who)
	if err != nil {
		return fmt.Errorf("cannot run %s: %w", command[0], err)
	}
	program, err := find(command[0], path, c.Cwd)
	if err != nil {
		return err
	}
	if pid > 0 {
		env = append(env, "SVCCTL_PID="+strconv.Itoa(pid))
	}
	cmd := exec.CommandContext(ctx, program, command[1:]...)
	var out tail
	cmd.Args[0], cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = command[0], env, c.Cwd, &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if k := who.credential; k != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: k.UID, Gid: k.GID, Groups: k.Groups}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 100 * time.Millisecond
	runtime.LockOSThread() // the signal at our death is bound to the thread that starts it
	err = cmd.Run()
	runtime.UnlockOSThread()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s did not end in time%s", strings.Join(command, " "), cutShort(ctx))
	case errors.Is(err, exec.ErrWaitDelay):
		return nil // it exited 0, and left its output to a child
	}
	words := strings.TrimSpace(out.text())
	if words != "" {
		words = "; it says: " + words
	}
	return fmt.Errorf("%s failed: %w%s", strings.Join(command, " "), err, words)
}

// tail keeps the end of what is written to it.
type tail struct {
	b   []byte
	cut bool
}

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > 600 {
		t.b, t.cut = bytes.Clone(t.b[len(t.b)-300:]), true
	}
	return len(p), nil
}

// text shows where it was cut: maybe in the middle of a secret, which is looked for there.
func (t *tail) text() string {
	text := strings.ToValidUTF8(string(t.b), "")
	if t.cut {
		text = "…" + text
	}
	return text
}
