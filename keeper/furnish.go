package keeper

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// room is the view of the file system that a confined process is given, while it is
// being made.
type room struct {
	nothing int         // a file without content and permission, open since its path may be hidden, too
	before  []mountLine // the mounts as they were
	classic bool        // the kernel is older than 5.12
}

// furnish changes the mounts of this thread, which has a mount namespace of its own.
func furnish(s setup, places []Place) error {
	nothing, err := unix.Open(s.Nothing, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open %s: %w (the keeper makes it)", s.Nothing, err)
	}
	defer unix.Close(nothing)
	r := &room{nothing: nothing, classic: !copiesTrees()}
	found, err := r.resolve(places)
	if err != nil {
		return err
	}
	defer func() {
		for _, f := range found {
			if f.was >= 0 {
				unix.Close(f.was)
			}
		}
	}()
	ours := ""
	for _, f := range found {
		if f.Because == ourSockets {
			if _, err := os.Lstat(f.Path); errors.Is(err, os.ErrNotExist) {
				continue // a place above has hidden it
			}
			ours = f.Path
		}
		if err := r.change(f); err != nil {
			return fmt.Errorf("cannot %s %s: %w (%s)", doing(f.As), f.Path, err, f.Because)
		}
	}
	if len(s.Files) > 0 {
		if err := giveFiles(s); err != nil {
			return fmt.Errorf("cannot give the credentials in %s: %w", s.FilesDir, err)
		}
	}
	if ours == "" {
		return nil
	}
	if err := unix.Mount("", ours, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("cannot hide %s: %w (%s)", ours, err, ourSockets)
	}
	return nil
}

func doing(as Look) string {
	switch as {
	case ReadOnly:
		return "make read-only"
	case AsItIs:
		return "keep as it is"
	case Hidden:
		return "hide"
	case Empty, Scratch:
		return "mount an empty file system on"
	case FewDevices:
		return "leave only harmless devices in"
	default:
		panic("internal error: look " + string(as))
	}
}

// resolved is a place that exists.
type resolved struct {
	Place
	dir bool
	was int // what is there before anything changes: a copy of its mounts, or on old kernels the path; -1: not needed

	// inPlace: it is a mount already, whose flags are all that changes. A copy laid over
	// it would stay when the host unmounts it.
	inPlace bool
}

// resolve looks at every place before the first one changes, and puts those above
// others in front of them. Of two looks of one path the later counts.
func (r *room) resolve(places []Place) (found []resolved, err error) {
	at := make(map[string]int)
	for _, p := range places {
		full, err := filepath.EvalSymlinks(p.Path)
		var st os.FileInfo
		if err == nil {
			st, err = os.Stat(full)
		}
		if err != nil {
			if p.Optional && errors.Is(err, os.ErrNotExist) {
				continue
			}
			if errors.Is(err, os.ErrNotExist) {
				err = errors.New("no such path")
			}
			return nil, fmt.Errorf("cannot %s %s: %w (%s)", doing(p.As), p.Path, err, p.Because)
		}
		p.Path = full
		f := resolved{Place: p, dir: st.IsDir(), was: -1}
		if i, twice := at[full]; twice {
			found[i] = f
			continue
		}
		at[full] = len(found)
		found = append(found, f)
	}
	slices.SortStableFunc(found, func(a, b resolved) int { return depth(a.Path) - depth(b.Path) })
	if r.before, err = readMounts(); err != nil {
		return nil, err
	}
	for i := range found {
		f := &found[i]
		if f.As != AsItIs {
			continue
		}
		covered := slices.ContainsFunc(found[:i], func(o resolved) bool { return o.As != ReadOnly && o.As != AsItIs && below(f.Path, o.Path) })
		if f.inPlace = !covered && isMount(r.before, f.Path); f.inPlace {
			continue
		}
		if r.classic {
			f.was, err = unix.Open(f.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
		} else {
			f.was, err = unix.OpenTree(unix.AT_FDCWD, f.Path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		}
		if err != nil {
			return found, fmt.Errorf("cannot keep %s as it is: %w (%s)", f.Path, err, f.Because)
		}
	}
	return found, nil
}

func isMount(mounts []mountLine, path string) bool {
	return slices.ContainsFunc(mounts, func(m mountLine) bool { return m.path == path })
}

func depth(path string) int {
	if path == "/" {
		return 0
	}
	return strings.Count(path, "/")
}

func (r *room) change(f resolved) error {
	if err := mountPoint(f.Path, f.dir); err != nil {
		return err
	}
	switch f.As {
	case ReadOnly:
		if r.classic {
			return r.readOnlyOneByOne(f)
		}
		return readOnly(f.Path)
	case AsItIs:
		if r.classic || f.inPlace {
			return r.asItWas(f)
		}
		return unix.MoveMount(f.was, "", unix.AT_FDCWD, f.Path, unix.MOVE_MOUNT_F_EMPTY_PATH)
	case Hidden:
		if !f.dir {
			return unix.Mount(fmt.Sprintf("/proc/self/fd/%d", r.nothing), f.Path, "", unix.MS_BIND, "")
		}
		return unix.Mount("tmpfs", f.Path, "tmpfs", unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=000,size=4k,nr_inodes=2")
	case Empty:
		return unix.Mount("tmpfs", f.Path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755")
	case Scratch:
		return unix.Mount("tmpfs", f.Path, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777")
	case FewDevices:
		return r.fewDevices(f.Path)
	default:
		panic("internal error: look " + string(f.As))
	}
}

// mountPoint makes what a place above it has hidden.
func mountPoint(path string, dir bool) error {
	if _, err := os.Lstat(path); err == nil || !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if dir {
		return os.MkdirAll(path, 0o755)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, nil, 0o444)
}

// copiesTrees says whether the kernel has open_tree, move_mount and mount_setattr.
func copiesTrees() bool {
	return !oldKernel && !errors.Is(unix.MountSetattr(-1, "", unix.AT_EMPTY_PATH, &unix.MountAttr{}), unix.ENOSYS)
}

// oldKernel is set by a test, to take the way of kernels before 5.12.
var oldKernel bool

// readOnly makes a path and all mounts below it read-only.
func readOnly(path string) error {
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	err := unix.MountSetattr(unix.AT_FDCWD, path, unix.AT_RECURSIVE, attr)
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	// It is no mount: a copy of it is laid over it, and is one.
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.MountSetattr(fd, "", unix.AT_EMPTY_PATH|unix.AT_RECURSIVE, attr); err != nil {
		return err
	}
	return unix.MoveMount(fd, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// mountLine is what /proc/self/mountinfo says of one mount.
type mountLine struct {
	path   string
	flags  uintptr
	shared bool
}

func readMounts() ([]mountLine, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("cannot read the mounts: %w (is /proc mounted?)", err)
	}
	var out []mountLine
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 7 {
			continue
		}
		m := mountLine{path: unescape(f[4]), shared: strings.HasPrefix(f[6], "shared:")}
		for option := range strings.SplitSeq(f[5], ",") {
			m.flags |= mountFlags[option]
		}
		out = append(out, m)
	}
	return out, nil
}

var mountFlags = map[string]uintptr{
	"ro": unix.MS_RDONLY, "nosuid": unix.MS_NOSUID, "nodev": unix.MS_NODEV, "noexec": unix.MS_NOEXEC,
	"noatime": unix.MS_NOATIME, "nodiratime": unix.MS_NODIRATIME, "relatime": unix.MS_RELATIME,
}

// unescape reads the octal escapes of the kernel's mount tables.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				out.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}

func below(path, top string) bool {
	return path == top || top == "/" || strings.HasPrefix(path, top+"/")
}

// readOnlyOneByOne does what readOnly does, mount by mount.
func (r *room) readOnlyOneByOne(f resolved) error {
	return relay(f.Path, f.Path, func(m mountLine) uintptr { return m.flags | unix.MS_RDONLY })
}

// asItWas brings back what a place was, with the flags that its mounts had.
func (r *room) asItWas(f resolved) error {
	was := make(map[string]uintptr)
	own := uintptr(0)
	for _, m := range r.before {
		was[m.path] = m.flags
		if below(f.Path, m.path) {
			own = m.flags // the last one is the nearest, or lies over it
		}
	}
	return relay(fmt.Sprintf("/proc/self/fd/%d", f.was), f.Path, func(m mountLine) uintptr {
		if m.path == f.Path {
			return own
		}
		if flags, known := was[m.path]; known {
			return flags
		}
		return m.flags
	})
}

// relay makes path a mount, if it is none, and changes the flags of those at and below it.
func relay(source, path string, flags func(mountLine) uintptr) error {
	now, err := readMounts()
	if err != nil {
		return err
	}
	if !isMount(now, path) {
		if err := unix.Mount(source, path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
		if now, err = readMounts(); err != nil {
			return err
		}
	}
	for _, m := range now {
		want := flags(m)
		if !below(m.path, path) || want == m.flags {
			continue
		}
		err := unix.Mount("", m.path, "", unix.MS_REMOUNT|unix.MS_BIND|want, "")
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // another mount covers it
			return fmt.Errorf("remount of %s: %w", m.path, err)
		}
	}
	return nil
}

// devices are those that no program can do harm with.
var devices = map[string]uint64{
	"null": unix.Mkdev(1, 3), "zero": unix.Mkdev(1, 5), "full": unix.Mkdev(1, 7),
	"random": unix.Mkdev(1, 8), "urandom": unix.Mkdev(1, 9), "tty": unix.Mkdev(5, 0),
}

// fewDevices lays a folder with few devices over /dev. Shared memory, message queues
// and the socket of the system's log stay those of the host.
func (r *room) fewDevices(dev string) error {
	kept := make(map[string]int)
	for _, name := range []string{"shm", "mqueue", "hugepages", "log"} {
		fd, err := unix.Open(filepath.Join(dev, name), unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			continue // the host has none
		}
		defer unix.Close(fd)
		kept[name] = fd
	}
	if err := unix.Mount("tmpfs", dev, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=755,size=64k,nr_inodes=64"); err != nil {
		return err
	}
	old := unix.Umask(0)
	defer unix.Umask(old)
	for name, number := range devices {
		if err := unix.Mknod(filepath.Join(dev, name), unix.S_IFCHR|0o666, int(number)); err != nil {
			return fmt.Errorf("device %s: %w", name, err)
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx",
	} {
		if err := unix.Symlink(target, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	if err := os.Mkdir(filepath.Join(dev, "pts"), 0o755); err != nil {
		return err
	}
	if err := unix.Mount("devpts", filepath.Join(dev, "pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5"); err != nil {
		return fmt.Errorf("terminals: %w", err)
	}
	for name, fd := range kept {
		var st unix.Stat_t
		if err := unix.Fstat(fd, &st); err != nil {
			return err
		}
		path := filepath.Join(dev, name)
		if err := mountPoint(path, st.Mode&unix.S_IFMT == unix.S_IFDIR); err != nil {
			return err
		}
		if err := unix.Mount(fmt.Sprintf("/proc/self/fd/%d", fd), path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV)
		for _, m := range r.before {
			if m.path == path {
				flags = m.flags // a place above may have made it read-only
			}
		}
		if err := unix.Mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|flags, ""); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return unix.Mount("", dev, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_NOSUID|unix.MS_NOEXEC|unix.MS_RDONLY, "")
}

// giveFiles writes files for the process's user alone into memory that is never
// swapped out. They end with the mount, which ends with the last process that sees it.
func giveFiles(s setup) error {
	if err := mountPoint(s.FilesDir, true); err != nil {
		return err
	}
	uid, gid := os.Geteuid(), os.Getegid()
	if s.Credential != nil {
		uid, gid = int(s.Credential.UID), int(s.Credential.GID)
	}
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	if err := unix.Mount("ramfs", s.FilesDir, "ramfs", flags, "mode=700"); err != nil {
		return err
	}
	for name, text := range s.Files {
		path := filepath.Join(s.FilesDir, name)
		if err := os.WriteFile(path, text, 0o400); err != nil {
			return err
		}
		if err := os.Chown(path, uid, gid); err != nil {
			return err
		}
	}
	if err := os.Chown(s.FilesDir, uid, gid); err != nil {
		return err
	}
	if err := os.Chmod(s.FilesDir, 0o500); err != nil {
		return err
	}
	return unix.Mount("", s.FilesDir, "", unix.MS_REMOUNT|unix.MS_BIND|flags|unix.MS_RDONLY, "")
}
