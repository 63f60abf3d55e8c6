package loop

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// maxRaces bounds how often another program may take the free device that the
// kernel named to us before we have it.
const maxRaces = 32

// device is a loop device with a file.
type device struct {
	number                      int
	readOnly, directIO, leaving bool
	deleted                     bool // the file is not under its name any more
}

func (d device) path() string { return "/dev/loop" + strconv.Itoa(d.number) }

func (d device) sysfs(name string) string {
	return filepath.Join("/sys/block", "loop"+strconv.Itoa(d.number), name)
}

// attached lists the whole devices (no part of a file at an offset) that hold file.
// The kernel tells each device's file by name; the inode is asked for only where
// no name fits, since a file has as many names as links and bind mounts lead to it.
func attached(file string) (byName []device, err error) {
	name, err := realName(file)
	if err != nil {
		return nil, err
	}
	backing, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return nil, fmt.Errorf("cannot list the loop devices: %w", err)
	}
	var others []device
	for _, f := range backing {
		number, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(filepath.Dir(filepath.Dir(f))), "loop"))
		if err != nil {
			continue // loop0p1 has no backing file of its own
		}
		d := device{number: number}
		of := d.attribute("loop/backing_file")
		if of == "" || d.attribute("loop/offset") != "0" || d.attribute("loop/sizelimit") != "0" {
			continue // gone meanwhile, or a part of the file
		}
		d.readOnly = d.attribute("ro") == "1"
		d.directIO = d.attribute("loop/dio") == "1"
		d.leaving = d.attribute("loop/autoclear") == "1"
		switch of {
		case name:
			byName = append(byName, d)
		case name + " (deleted)":
			d.deleted = true
			byName = append(byName, d)
		default:
			others = append(others, d)
		}
	}
	if len(byName) > 0 {
		return byName, nil
	}
	return sameInode(file, others)
}

func sameInode(file string, devices []device) (same []device, err error) {
	var st unix.Stat_t
	if err := unix.Stat(file, &st); errors.Is(err, unix.ENOENT) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("cannot look at %s: %w", file, err)
	}
	for _, d := range devices {
		f, err := os.Open(d.path())
		if err != nil {
			continue // gone meanwhile
		}
		info, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
		f.Close()
		if err == nil && info.Device == st.Dev && info.Inode == st.Ino {
			same = append(same, d)
		}
	}
	return same, nil
}

// realName is the name without symbolic links, as the kernel tells it. The file
// itself may be missing.
func realName(file string) (string, error) {
	name, err := filepath.EvalSymlinks(file)
	if err == nil {
		return name, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("cannot look at %s: %w", file, err)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(file))
	if errors.Is(err, os.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot look at %s: %w", file, err)
	}
	return filepath.Join(dir, filepath.Base(file)), nil
}

func (d device) attribute(name string) string {
	b, err := os.ReadFile(d.sysfs(name))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(b), "\n")
}

// bind attaches the file to the declared device, or to a free one.
func (c *Config) bind(ctx context.Context) (device, error) {
	fail := func(err error) (device, error) { return device{}, fmt.Errorf("cannot attach %s: %w", c.File, err) }
	mode := os.O_RDWR
	if c.ReadOnly {
		mode = os.O_RDONLY
	}
	file, err := os.OpenFile(c.File, mode, 0)
	if err != nil {
		return fail(err)
	}
	defer file.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return fail(fmt.Errorf("%w (is the kernel module loop loaded?)", err))
	}
	defer control.Close()
	for range maxRaces {
		if err := ctx.Err(); err != nil {
			return fail(err)
		}
		number, err := c.free(control)
		if err != nil {
			return fail(err)
		}
		d := device{number: number, readOnly: c.ReadOnly}
		err = d.configure(c, file)
		if err == nil {
			return d, nil
		}
		if !errors.Is(err, unix.EBUSY) {
			return fail(fmt.Errorf("%s: %w", d.path(), err))
		}
		if c.Device != "" {
			return fail(fmt.Errorf("%s holds %s (losetup -d it, or declare another device)", d.path(), d.attribute("loop/backing_file")))
		}
	}
	return fail(fmt.Errorf("other programs took each of %d free loop devices first (what attaches files all the time?)", maxRaces))
}

func (c *Config) free(control *os.File) (int, error) {
	if c.Device == "" {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return 0, fmt.Errorf("no free loop device: %w (losetup -l lists those in use)", err)
		}
		return number, nil
	}
	number, err := strconv.Atoi(strings.TrimPrefix(c.Device, "/dev/loop"))
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlSetInt(int(control.Fd()), unix.LOOP_CTL_ADD, number); err != nil && !errors.Is(err, unix.EEXIST) {
		return 0, fmt.Errorf("cannot make %s: %w", c.Device, err)
	}
	return number, nil
}

func (d device) configure(c *Config, file *os.File) error {
	mode := os.O_RDWR
	if c.ReadOnly {
		mode = os.O_RDONLY
	}
	f, err := os.OpenFile(d.path(), mode, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	config := unix.LoopConfig{Fd: uint32(file.Fd())}
	copy(config.Info.File_name[:len(config.Info.File_name)-1], c.File)
	if c.ReadOnly {
		config.Info.Flags |= unix.LO_FLAGS_READ_ONLY
	}
	if c.DirectIO {
		config.Info.Flags |= unix.LO_FLAGS_DIRECT_IO
	}
	return unix.IoctlLoopConfigure(int(f.Fd()), &config)
}

// keep calls back the detaching that a Stop began and a user of the device holds up.
func (d device) keep() error {
	f, err := os.Open(d.path())
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
	if err != nil {
		return err
	}
	info.Flags &^= unix.LO_FLAGS_AUTOCLEAR
	return unix.IoctlLoopSetStatus64(int(f.Fd()), info)
}

// release detaches and returns once the device is free. The kernel takes the
// request also while the device is in use, and then detaches at the last close: a
// mounted device is therefore refused here, before anything is changed.
func (d device) release(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if by := d.users(); len(by) > 0 {
		return fmt.Errorf("%s is in use: %s (end that first)", d.path(), strings.Join(by, ", "))
	}
	f, err := os.Open(d.path())
	if errors.Is(err, unix.ENXIO) {
		return nil
	}
	if err != nil {
		return err
	}
	err = unix.IoctlSetInt(int(f.Fd()), unix.LOOP_CLR_FD, 0)
	f.Close()
	if err != nil && !errors.Is(err, unix.ENXIO) {
		return fmt.Errorf("%s: %w", d.path(), err)
	}
	// Whoever looks at the device for a moment, udev for one, holds it up for as long.
	wait, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	for d.attribute("loop/backing_file") != "" {
		select {
		case <-ticker.C:
		case <-wait.Done():
			by := d.openers(ctx)
			if len(by) == 0 {
				by = []string{"something that no process shows, such as a mount in another namespace"}
			}
			return fmt.Errorf("%s goes once its last user has closed it, which is %s (end that)", d.path(), strings.Join(by, ", "))
		}
	}
	return nil
}
