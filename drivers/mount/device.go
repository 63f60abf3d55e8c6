package mount

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

func (c *Config) tagged() bool {
	return c.Type != "bind" && !c.network() && c.Device != "" && c.Device[0] != '/'
}

func (d *driver) known() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.found
}

// device is the path of the declared device; "" for a tag that nobody resolved yet.
func (d *driver) device(c *Config) string {
	if c.tagged() {
		return d.known()
	}
	return c.Device
}

// resolve finds the device of a tag. udev's links are asked first: blkid reads the
// devices themselves.
func (d *driver) resolve(ctx context.Context, c *Config, running *call) (string, error) {
	if !c.tagged() {
		return c.Device, nil
	}
	tag, value, _ := strings.Cut(c.Device, "=")
	device, err := filepath.EvalSymlinks(filepath.Join("/dev/disk/by-"+strings.ToLower(tag), value))
	if err != nil {
		if running == nil {
			running = &call{}
		}
		device, err = running.run(ctx, "blkid", "-c", "/dev/null", "-l", "-t", c.Device, "-o", "device")
		if exitCode(err) == 2 || err == nil && device == "" {
			return "", fmt.Errorf("no device has %s (blkid lists what there is)", c.Device)
		}
		if err != nil {
			return "", fmt.Errorf("cannot find the device with %s: %w", c.Device, err)
		}
	}
	d.mu.Lock()
	d.found = device
	d.mu.Unlock()
	return device, nil
}

// checkDevice says what keeps path from being mounted.
func checkDevice(path string) error {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	switch {
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%s does not exist (is the disk attached, the volume group active, the loop device started?)", path)
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	case st.Mode&unix.S_IFMT == unix.S_IFREG:
		return fmt.Errorf("%s is a file, not a block device (attach it with a resource of kind loop)", path)
	case st.Mode&unix.S_IFMT != unix.S_IFBLK:
		return fmt.Errorf("%s is not a block device (type = \"bind\" shows a directory at another path)", path)
	}
	return nil
}

// signature returns the type of the file system, or of whatever else says on the
// device what it is; "" where blkid finds nothing.
func (c *call) signature(ctx context.Context, device string) (string, error) {
	kind, err := c.run(ctx, "blkid", "-p", "-s", "TYPE", "-o", "value", device)
	switch exitCode(err) {
	case 0:
		return kind, nil
	case 2:
		return "", nil
	case 8:
		return "", fmt.Errorf("%s has signatures of more than one kind (wipefs %s lists them; remove the stale ones)", device, device)
	}
	return "", fmt.Errorf("cannot tell what is on %s: %w", device, err)
}

// prepare leaves a checked file system of the declared type on the device.
func (d *driver) prepare(ctx context.Context, c *Config, device string, call *call) error {
	kind, err := call.signature(ctx, device)
	if err != nil {
		return err
	}
	if kind == "" && c.Mkfs {
		return call.mkfs(ctx, device, c.Type)
	}
	switch {
	case kind == "":
		return fmt.Errorf("%s holds no file system (write mkfs = true to have one made on a blank device)", device)
	case c.Type != "auto" && kind != c.Type && c.Mkfs:
		return fmt.Errorf("%s holds %s, not %s; mkfs works on a blank device only (if it may be lost: wipefs -a %s, and zero its start and end)", device, kind, c.Type, device)
	case c.Type != "auto" && kind != c.Type:
		return fmt.Errorf("%s holds %s, not %s (declare that type, or another device)", device, kind, c.Type)
	}
	if c.Fsck == "never" || c.Fsck != "force" && c.readOnly() || !strings.HasPrefix(kind, "ext") {
		return nil
	}
	// A file system that is in use elsewhere, in a container's mount namespace for
	// one, must not be checked, and mount(2) itself knows whether it may be shared.
	if f, err := os.OpenFile(device, os.O_RDONLY|unix.O_EXCL, 0); errors.Is(err, unix.EBUSY) {
		return nil
	} else if err == nil {
		f.Close()
	}
	args := []string{"-p", device}
	if c.Fsck == "force" {
		args = []string{"-f", "-p", device}
	}
	words, err := call.finish(ctx, "e2fsck", args...)
	switch code := exitCode(err); {
	case code == 0 || code == 1:
		return nil
	case code < 0:
		return err
	default:
		return fmt.Errorf("e2fsck ended with %d: %s (look at it by hand: e2fsck -f %s)", code, strings.ReplaceAll(words, "\n", "; "), device)
	}
}

// edge is how much at either end of a device must be zero before mkfs.
const edge = 1 << 20

func (c *call) mkfs(ctx context.Context, device, kind string) error {
	why, err := c.notBlank(ctx, device)
	if err != nil {
		return fmt.Errorf("cannot tell whether %s is blank: %w", device, err)
	}
	if why != "" {
		return fmt.Errorf("%s is not blank, no file system is made on it: %s (if it may be lost: wipefs -a %s, and zero its first and last MiB)", device, why, device)
	}
	if _, err := c.finish(ctx, "mkfs."+kind, "-q", device); err != nil {
		return fmt.Errorf("no %s could be made on %s: %w", kind, device, err)
	}
	return nil
}

// notBlank says what is on the device, or "". Signatures of raid members, partition
// tables and volume groups count as much as file systems; the zeros stand for what
// no tool knows.
func (c *call) notBlank(ctx context.Context, device string) (string, error) {
	found, err := c.run(ctx, "wipefs", "--no-act", "--noheadings", "--output", "TYPE", device)
	if err != nil {
		return "", err
	}
	if found != "" {
		return "it has a signature of " + strings.Join(strings.Fields(found), ", "), nil
	}
	f, err := os.OpenFile(device, os.O_RDONLY|unix.O_EXCL, 0)
	if errors.Is(err, unix.EBUSY) {
		return "it is in use", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	buf := make([]byte, min(edge, size))
	zero := make([]byte, len(buf))
	for name, at := range map[string]int64{"first": 0, "last": size - int64(len(buf))} {
		if _, err := f.ReadAt(buf, at); err != nil {
			return "", err
		}
		if !bytes.Equal(buf, zero) {
			return "its " + name + " MiB is not zero", nil
		}
	}
	return "", nil
}
