package keeper

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// spawnPatience bounds the start of a keeper, which may have to end leftovers first.
const spawnPatience = 10 * time.Second

// dial reaches the keeper, starting one where none listens.
func (c *Client) dial(ctx context.Context) (*conn, *bufio.Reader, []Process, error) {
	var last error
	for range 3 { // another client may start one at the same time, or an idle one may just end
		n, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(c.opts.RunDir, socketName), Net: "unix"})
		if err == nil {
			k, r, all, err := hello(ctx, n)
			if err == nil {
				return k, r, all, nil
			}
			n.Close()
			last = err
			if !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
				return nil, nil, nil, fmt.Errorf("cannot talk to the keeper in %s: %w", c.opts.RunDir, err)
			}
			continue
		}
		last = err
		if errors.Is(err, syscall.EACCES) {
			return nil, nil, nil, fmt.Errorf("cannot reach the keeper in %s: %w (it belongs to another user)", c.opts.RunDir, err)
		}
		if err := c.spawn(ctx); err != nil {
			last = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, nil, nil, fmt.Errorf("cannot reach a keeper in %s: %w", c.opts.RunDir, last)
}

// spawn starts a keeper that does not belong to us: its own session, no file of ours.
func (c *Client) spawn(ctx context.Context) error {
	if len(c.opts.Binary) == 0 {
		return errors.New("no keeper answers, and none is to be started from here (is svcctl-keeper.service running?)")
	}
	if err := os.MkdirAll(c.opts.RunDir, 0o755); err != nil {
		return fmt.Errorf("cannot make the run directory: %w", err)
	}
	path := filepath.Join(c.opts.RunDir, "keeper.log")
	flags := os.O_WRONLY | os.O_CREATE | os.O_APPEND
	if st, err := os.Stat(path); err == nil && st.Size() > 1<<20 {
		flags |= os.O_TRUNC
	}
	log, err := os.OpenFile(path, flags, 0o640)
	if err != nil {
		if log, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil { // a full disk is no reason to have no keeper
			return err
		}
	}
	defer log.Close()
	tell, told, err := os.Pipe()
	if err != nil {
		return err
	}
	defer tell.Close()
	args := append(c.opts.Binary[1:len(c.opts.Binary):len(c.opts.Binary)],
		"--run", c.opts.RunDir, "--log", c.opts.LogDir, "--tell", "3")
	if c.opts.NoCgroups {
		args = append(args, "--no-cgroups")
	}
	cmd := exec.Command(c.opts.Binary[0], args...)
	cmd.Stderr, cmd.ExtraFiles, cmd.Dir = log, []*os.File{told}, "/"
	if !filepath.IsAbs(c.opts.RunDir) || !filepath.IsAbs(c.opts.LogDir) {
		cmd.Dir = "" // relative paths mean our directory
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	told.Close()
	if err != nil {
		return fmt.Errorf("cannot start the keeper %s: %w (is it installed beside svcctl?)", c.opts.Binary[0], err)
	}
	go func() { _ = cmd.Wait() }() // it outlives us, or ends and must not stay a zombie
	deadline, ok := ctx.Deadline()
	if limit := time.Now().Add(spawnPatience); !ok || deadline.After(limit) {
		deadline = limit
	}
	_ = tell.SetReadDeadline(deadline)
	text, err := io.ReadAll(io.LimitReader(tell, 4096))
	switch {
	case err != nil:
		return fmt.Errorf("cannot start the keeper: it does not answer: %w (see %s)", err, path)
	case string(text) == "ok":
		return nil
	case len(text) == 0:
		return fmt.Errorf("cannot start the keeper: it ended at once (see %s)", path)
	}
	return fmt.Errorf("cannot start the keeper: %s", text)
}
