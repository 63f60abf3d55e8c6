package mount

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
)

func (d *driver) mount(ctx context.Context, c *Config, call *call) error {
	device, err := d.resolve(ctx, c, call)
	if err != nil {
		return err
	}
	var v view
	if err := d.host.table.look(c.Path, c.bindSource(), &v); err != nil {
		return err
	}
	switch s := d.judge(c, &v); s.State {
	case drivers.Up: // an earlier start may have ended before its last step
		return call.own(ctx, c)
	case drivers.Failed:
		return fmt.Errorf("%s (unmount that first)", s.Detail)
	case drivers.Down:
	default:
		panic("internal error: no such state " + string(s.State))
	}
	if err := d.attach(ctx, c, device, call); err != nil {
		return err
	}
	if err := d.host.table.look(c.Path, c.bindSource(), &v); err != nil {
		return err
	}
	if s := d.judge(c, &v); s.State != drivers.Up {
		return fmt.Errorf("mounted, but %s (the kernel's log may say why)", s.Detail)
	}
	return call.own(ctx, c)
}

// attach makes the mount point, and mounts there.
func (d *driver) attach(ctx context.Context, c *Config, device string, call *call) error {
	args := []string{"-o", c.line("rw")}
	switch {
	case c.Type == "tmpfs":
		args = append(args, "-t", "tmpfs", "tmpfs", c.Path)
	case c.Type == "bind":
		args = append(args, "--bind", device, c.Path)
	case c.network():
		if err := c.mountPoint(); err != nil {
			return err
		}
		return d.mountNetwork(ctx, c, call)
	default:
		if err := d.ready(ctx, c, device, call); err != nil {
			return err
		}
		if !c.readOnly() { // else mount(8) falls back to read-only on a protected device
			args = append(args, "-w")
		}
		if c.Type != "auto" {
			args = append(args, "-t", c.Type)
		}
		args = append(args, device, c.Path)
	}
	if err := c.mountPoint(); err != nil {
		return err
	}
	if _, err := call.run(ctx, "mount", args...); err != nil {
		return fmt.Errorf("%w (the kernel's log may say more)", err)
	}
	return nil
}

// ready makes sure of the block device before anything is written to it.
func (d *driver) ready(ctx context.Context, c *Config, device string, call *call) error {
	if err := checkDevice(device); err != nil {
		return err
	}
	number, _ := deviceNumber(device)
	var at string
	err := d.host.table.each(func(e *entry) {
		// The subvolumes of one btrfs are mounted at several places by design. A
		// check or mkfs beneath a mounted file system destroys it.
		if e.device == number || e.kind == "btrfs" && c.Mkfs && e.source == device {
			at = e.point
		}
	})
	if err != nil {
		return err
	}
	if at != "" {
		return fmt.Errorf("%s is mounted at %s already (unmount it there, or show it here with type = \"bind\")", device, at)
	}
	return d.prepare(ctx, c, device, call)
}

// mountPoint makes the missing mount point. The table knows mounts by their real
// path, so that one through a symbolic link would never be found again.
func (c *Config) mountPoint() error {
	if c.Type == "bind" {
		info, err := os.Stat(c.Device)
		if errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s does not exist (make it, or mount what holds it)", c.Device)
		}
		if err != nil {
			return err
		}
		if real, err := filepath.EvalSymlinks(c.Device); err != nil || real != c.Device {
			return fmt.Errorf("%s leads through a symbolic link (write device = %q)", c.Device, real)
		}
		if !info.IsDir() {
			if err := os.MkdirAll(filepath.Dir(c.Path), 0o755); err != nil {
				return err
			}
			// The folder may be a user's: a file is made here, not where a link leads.
			fd, err := unix.Open(c.Path, unix.O_CREAT|unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o644)
			if err != nil {
				return fmt.Errorf("no mount point at %s: %w (is it a symbolic link? Write the path that it leads to)", c.Path, err)
			}
			if err := unix.Close(fd); err != nil {
				return err
			}
			return c.straight()
		}
	}
	if err := os.MkdirAll(c.Path, 0o755); err != nil {
		return fmt.Errorf("no mount point: %w", err)
	}
	return c.straight()
}

// straight refuses a path through a symbolic link.
func (c *Config) straight() error {
	real, err := filepath.EvalSymlinks(c.Path)
	if err != nil {
		return err
	}
	if real != c.Path {
		return fmt.Errorf("the path leads through a symbolic link (write path = %q)", real)
	}
	return nil
}

// own sets owner, group and mode. Tools do it, since a file system may hang.
func (c *call) own(ctx context.Context, config *Config) error {
	if config.Owner != "" || config.Group != "" {
		who := config.Owner
		if config.Group != "" {
			who += ":" + config.Group
		}
		if _, err := c.run(ctx, "chown", who, config.Path); err != nil {
			return fmt.Errorf("no change of owner: %w (does the user exist?)", err)
		}
	}
	if config.Mode != "" {
		if _, err := c.run(ctx, "chmod", config.Mode, config.Path); err != nil {
			return fmt.Errorf("no change of mode: %w", err)
		}
	}
	return nil
}

const (
	maxStacked = 64 // mounts of ours over each other that one Stop takes away
	maxBusy    = 5  // tries on a mount that is busy and held by nobody
	maxNamed   = 5  // things that an error names
)

func (d *driver) unmount(ctx context.Context, c *Config, call *call) error {
	if c.tagged() && d.known() == "" {
		// Where the device is gone, what is mounted from it is recognized as such.
		if _, err := d.resolve(ctx, c, call); err != nil && ctx.Err() != nil {
			return err
		}
	}
	for range maxStacked {
		var v view
		if err := d.host.table.look(c.Path, c.bindSource(), &v); err != nil {
			return err
		}
		if !v.found {
			return ctx.Err()
		}
		if !d.ours(c, &v.top) {
			return d.foreign(c, &v)
		}
		if v.hidden != "" {
			return fmt.Errorf("it is hidden by what was mounted over %s later (unmount that first)", v.hidden)
		}
		below, err := d.host.table.children(c.Path)
		if err != nil {
			return err
		}
		if len(below) > 0 {
			return fmt.Errorf("there are mounts below it: %s (unmount these first)", strings.Join(below[:min(len(below), maxNamed)], ", "))
		}
		take := d.pop
		if c.network() {
			take = d.release
		}
		if err := take(ctx, c, call); err != nil {
			return err
		}
	}
	return fmt.Errorf("more than %d mounts lie over each other (what mounts all the time?)", maxStacked)
}

// foreign: what others mounted there is not ours to take away. Only where ours lies
// below is the stop incomplete.
func (d *driver) foreign(c *Config, v *view) error {
	ours := false
	top := v.top
	err := d.host.table.each(func(e *entry) { ours = ours || e.point == c.Path && e.id == top.parent })
	if err != nil || !ours {
		return err
	}
	return fmt.Errorf("%s (%s) was mounted over it (unmount that first)", top.source, top.kind)
}

// pop takes the top mount away. A close that is under way in the kernel makes a
// mount busy for a moment, though its process is gone.
func (d *driver) pop(ctx context.Context, c *Config, call *call) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for try := 1; ; try++ {
		_, err := call.run(ctx, "umount", "--no-canonicalize", c.Path)
		if err == nil {
			return nil
		}
		if !strings.Contains(err.Error(), "busy") {
			return err
		}
		by := holders(ctx, c.Path)
		if len(by) > 0 {
			return fmt.Errorf("it is busy: %s (stop these first)", names(by))
		}
		if try == maxBusy {
			return errors.New("it is busy, but no process holds it: swap, an NFS export or a mount in another namespace may (look there)")
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

var timeWords = []string{"noatime", "nodiratime", "relatime", "strictatime", "norelatime", "atime"}

// remount makes next's options those of the mount.
func (d *driver) remount(ctx context.Context, c, next *Config, call *call) error {
	var v view
	if err := d.host.table.look(c.Path, c.bindSource(), &v); err != nil {
		return err
	}
	s := d.judge(c, &v)
	if s.State == drivers.Failed {
		if other := d.judge(next, &v); other.State == drivers.Failed {
			return fmt.Errorf("%s (restart the resource)", s.Detail)
		}
	}
	if s.State == drivers.Down {
		return nil // the next start takes the new options
	}
	if c.network() && c.line() != next.line() {
		return errors.New("options of a server's file system can't be changed while it is mounted (restart the resource)")
	}
	undo, err := undone(c, next)
	if err != nil {
		return err
	}
	if len(undo) > 0 || c.line() != next.line() {
		words := "remount," + next.line(append([]string{"rw"}, undo...)...)
		source := d.device(next)
		if next.Type == "bind" {
			words = "remount,bind," + strings.TrimPrefix(words, "remount,")
		}
		if next.Type == "tmpfs" {
			source = "tmpfs"
		}
		// With both device and path mount(8) takes the options as they are given,
		// instead of adding them to those in force.
		if _, err := call.run(ctx, "mount", "-o", words, source, next.Path); err != nil {
			return fmt.Errorf("%w (restart the resource to change what can't be changed live)", err)
		}
	}
	return call.own(ctx, next)
}

// undone lists what takes back the options that next has no more: a file system
// keeps what a remount doesn't mention.
func undone(c, next *Config) (words []string, err error) {
	now := next.options()
	for _, o := range c.options() {
		word, value, _ := strings.Cut(o, "=")
		switch {
		case slices.Contains(now, o), o == "rw", o == "ro", o == "defaults":
		case slices.Contains(timeWords, o):
			if !slices.ContainsFunc(now, func(w string) bool { return slices.Contains(timeWords, w) }) {
				words = append(words, "relatime")
			}
		case slices.Contains([]string{"nosuid", "nodev", "noexec", "sync", "dirsync", "mand"}, o):
			// Flags of the mount are replaced as a whole.
		case slices.ContainsFunc(now, func(w string) bool { return strings.HasPrefix(w, word+"=") }):
		case value != "":
			return nil, fmt.Errorf("option %s can't be taken back while mounted (restart the resource)", o)
		case strings.HasPrefix(o, "no"):
			words = append(words, o[2:])
		default:
			words = append(words, "no"+o)
		}
	}
	if c.Size > 0 && next.Size == 0 {
		words = append(words, "size=50%") // the kernel's default
	}
	return words, nil
}
