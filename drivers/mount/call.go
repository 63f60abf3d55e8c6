package mount

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// grace is how long a call whose context ended waits for its killed tool, so that in
// all but the worst case nothing is left behind.
const grace = time.Second

// calls lets the agent survive a device that hangs: each call runs in a goroutine of
// its own and returns when its context ends. Where the kernel holds on to the tool,
// the goroutine stays with it, one for each mount point, and bars the next call.
type calls struct {
	mu      sync.Mutex
	running map[string]*call // by mount point
	settle  func(path string, end func())
}

func (c *calls) busy(path string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running[path] != nil
}

type call struct {
	verb  string
	since time.Time

	mu   sync.Mutex
	tool string // with its process, while one runs
}

func (c *call) describe() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tool == "" {
		return "an earlier call"
	}
	return c.tool
}

func (c *calls) do(ctx context.Context, verb, path string, f func(context.Context, *call) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot %s %s: %w", verb, path, err)
	}
	c.mu.Lock()
	if r := c.running[path]; r != nil {
		c.mu.Unlock()
		return fmt.Errorf("cannot %s %s: %s, begun %s ago to %s it, has not ended (does the device answer?)",
			verb, path, r.describe(), time.Since(r.since).Round(time.Second), r.verb)
	}
	mine := &call{verb: verb, since: time.Now()}
	c.running[path] = mine
	c.mu.Unlock()
	done := make(chan error, 1)
	go func() {
		err := f(ctx, mine)
		c.settle(path, func() {
			c.mu.Lock()
			delete(c.running, path)
			c.mu.Unlock()
		})
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	last := time.NewTimer(grace)
	defer last.Stop()
	select {
	case err := <-done:
		return err
	case <-last.C:
		return fmt.Errorf("cannot %s %s: %w; %s goes on and can't be interrupted (does the device answer?)", verb, path, ctx.Err(), mine.describe())
	}
}

// maxOutput bounds what is kept of a tool's words.
const maxOutput = 4 << 10

type output struct{ bytes.Buffer }

func (o *output) Write(p []byte) (int, error) {
	o.Buffer.Write(p[:min(len(p), maxOutput-min(o.Len(), maxOutput))])
	return len(p), nil
}

// packages names the Debian package of each tool.
var packages = map[string]string{
	"mount": "mount", "umount": "mount", "blkid": "util-linux", "wipefs": "util-linux",
	"mkfs.ext4": "e2fsprogs", "e2fsck": "e2fsprogs", "mkfs.xfs": "xfsprogs", "mkfs.btrfs": "btrfs-progs",
	"chown": "coreutils", "chmod": "coreutils", "mount.nfs": "nfs-common", "mount.cifs": "cifs-utils",
}

// toolError is a tool that ended with an exit code other than zero.
type toolError struct {
	tool, words string
	code        int
}

func (e *toolError) Error() string {
	if e.words == "" {
		return fmt.Sprintf("%s ended with %d", e.tool, e.code)
	}
	return e.words
}

// run runs a tool, which is killed when the context ends.
func (c *call) run(ctx context.Context, tool string, args ...string) (string, error) {
	return c.exec(ctx, true, "", tool, args...)
}

// feed runs a tool that reads a password from the descriptor that PASSWD_FD names.
func (c *call) feed(ctx context.Context, password, tool string, args ...string) (string, error) {
	return c.exec(ctx, true, password, tool, args...)
}

// finish runs a tool that would leave a device half written if it was killed: when
// the context ends the caller goes on, the tool too.
func (c *call) finish(ctx context.Context, tool string, args ...string) (string, error) {
	words, err := c.exec(ctx, false, "", tool, args...)
	if err == nil {
		err = ctx.Err()
	}
	return words, err
}

func (c *call) exec(ctx context.Context, kill bool, password, tool string, args ...string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	file, err := find(tool)
	if err != nil {
		return "", fmt.Errorf("%s is not installed (Debian package %s)", tool, packages[tool])
	}
	var out output
	cmd := exec.Command(file, args...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = grace // for children of the tool that keep its output open
	if password != "" {
		pipe, err := filled(password)
		if err != nil {
			return "", fmt.Errorf("cannot hand over the password: %w", err)
		}
		defer pipe.Close()
		cmd.ExtraFiles, cmd.Env = []*os.File{pipe}, append(cmd.Env, "PASSWD_FD=3")
	}
	if err := cmd.Start(); err != nil {
		return "", fmt.Errorf("cannot run %s: %w", tool, err)
	}
	c.mu.Lock()
	c.tool = fmt.Sprintf("%s (process %d)", tool, cmd.Process.Pid)
	c.mu.Unlock()
	quiet := func() bool { return true }
	if kill {
		quiet = context.AfterFunc(ctx, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	}
	err = cmd.Wait()
	ended := !quiet()
	c.mu.Lock()
	c.tool = ""
	c.mu.Unlock()
	words := strings.TrimSpace(out.String())
	var exit *exec.ExitError
	switch {
	case err == nil:
		return words, nil
	case ended && ctx.Err() != nil:
		return words, ctx.Err()
	case errors.As(err, &exit):
		return words, &toolError{tool: tool, code: exit.ExitCode(), words: strings.ReplaceAll(words, "\n", "; ")}
	}
	return words, fmt.Errorf("cannot run %s: %w", tool, err)
}

// maxPassword is less than any pipe holds, so that filling one never blocks.
const maxPassword = 4 << 10

// filled is a pipe to read the text from, and then its end.
func filled(text string) (*os.File, error) {
	if len(text) > maxPassword {
		return nil, fmt.Errorf("it is longer than %d bytes", maxPassword)
	}
	pipe, into, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if _, err = into.WriteString(text); err != nil {
		pipe.Close()
		pipe = nil
	}
	into.Close()
	return pipe, err
}

// find looks where root's tools are too: an agent's PATH may lack it.
func find(tool string) (file string, err error) {
	for _, name := range []string{tool, "/usr/sbin/" + tool, "/sbin/" + tool} {
		if file, err = exec.LookPath(name); err == nil {
			return file, nil
		}
	}
	return "", err
}

// exitCode of a tool that ran; -1 of one that could not.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	var t *toolError
	if errors.As(err, &t) {
		return t.code
	}
	return -1
}
