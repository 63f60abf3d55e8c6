package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Host is a machine of its own as far as its processes can see. Its disk outlives
// Boot and PowerOff, and ends with Close. Not safe for concurrent use.
type Host struct {
	Name string

	image, dir string // the disk: an overlay over the image, in dir
	group      string // control group of all its processes
	init       *exec.Cmd
	console    *os.File
	ended      chan error // of init
}

// NewHost prepares a host with an image's files; dir is for its disk. Close takes
// everything away.
func NewHost(name, image, dir string) (*Host, error) {
	unified, err := unifiedGroups()
	if err != nil {
		return nil, err
	}
	h := &Host{Name: name, image: image, dir: dir, group: filepath.Join(unified, fmt.Sprintf("svcctl-lab-%s-%d", name, os.Getpid()))}
	for _, d := range []string{"upper", "work", "root"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return nil, fmt.Errorf("cannot make the disk of %s: %w", name, err)
		}
	}
	return h, h.Write("/etc/hostname", name+"\n", 0o644)
}

func unifiedGroups() (string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(table)) {
		before, after, _ := strings.Cut(line, " - ")
		if f := strings.Fields(before); len(f) > 4 && strings.HasPrefix(after, "cgroup2 ") {
			return f[4], nil
		}
	}
	return "", errors.New("cannot boot a host: no cgroup2 file system is mounted")
}

// bootScript makes the view of the new host and becomes its init. It runs in the new
// namespaces; only the control group's one is made behind the move into the group.
const bootScript = `set -e
mount --make-rprivate /
echo 0 > "$GROUP/cgroup.procs"
exec unshare --cgroup bash -c '
set -e
mount -t overlay overlay -o "lowerdir=$IMAGE,upperdir=$DISK/upper,workdir=$DISK/work" "$DISK/root"
cd "$DISK/root"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for n in null zero full random urandom tty; do touch dev/$n; mount --bind /dev/$n dev/$n; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
hostname "$NAME"
mkdir run/old
pivot_root . run/old
exec env -i container=svcctl-lab PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=linux bash -c "umount -l /run/old; rmdir /run/old; exec /sbin/init --show-status=1"
'`

// Boot starts the host's init and waits until it says that the boot is over, whether
// every unit came up or not.
func (h *Host) Boot(ctx context.Context) (err error) {
	if err := os.MkdirAll(h.group, 0o755); err != nil {
		return fmt.Errorf("cannot boot %s: %w", h.Name, err)
	}
	if h.console, err = os.OpenFile(filepath.Join(h.dir, "console"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
		return fmt.Errorf("cannot boot %s: %w", h.Name, err)
	}
	c := exec.Command("bash", "-c", bootScript)
	c.Env = append(os.Environ(), "GROUP="+h.group, "IMAGE="+h.image, "DISK="+h.dir, "NAME="+h.Name)
	c.Stdout, c.Stderr = h.console, h.console
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET}
	if err := c.Start(); err != nil {
		return fmt.Errorf("cannot boot %s: %w", h.Name, err)
	}
	h.init, h.ended = c, make(chan error, 1)
	go func() { h.ended <- c.Wait() }()
	return h.await(ctx, "the end of the boot", func() bool {
		out, _ := h.Run(ctx, "systemctl", "is-system-running") // its exit code is about the units
		state := strings.TrimSpace(out)
		return state == "running" || state == "degraded"
	})
}

// await looks until a condition of a booting host holds: nothing tells of it.
func (h *Host) await(ctx context.Context, what string, holds func() bool) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if holds() {
			return nil
		}
		select {
		case <-tick.C:
		case err := <-h.ended:
			h.ended <- err
			return fmt.Errorf("%s ended before %s: %v\n%s", h.Name, what, err, h.Console())
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %s of %s: %w\n%s", what, h.Name, ctx.Err(), h.Console())
		}
	}
}

// PID is that of the host's init, as this machine sees it.
func (h *Host) PID() int { return h.init.Process.Pid }

// Run runs a command on the host as root and returns what it wrote.
func (h *Host) Run(ctx context.Context, command ...string) (string, error) {
	enter := []string{"--target", strconv.Itoa(h.PID()), "--all", "--", "env", "-i",
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "TERM=dumb"}
	c := exec.CommandContext(ctx, "nsenter", append(enter, command...)...)
	c.WaitDelay = time.Second // a daemon may keep the pipe
	out, err := c.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s on %s: %w\n%s", strings.Join(command, " "), h.Name, err, tail(string(out), 40))
	}
	return string(out), err
}

// Path is where a file of the host's disk lies on this machine; also of one that is
// off. What the host mounted over it is not seen.
func (h *Host) Path(path string) string { return filepath.Join(h.dir, "upper", path) }

// Write puts a file onto the disk, of a running host or of one that is off.
func (h *Host) Write(path, text string, mode fs.FileMode) error {
	file := h.Path(path)
	if h.running() {
		file = filepath.Join("/proc", strconv.Itoa(h.PID()), "root", path)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		return err
	}
	return os.Chmod(file, mode)
}

// Copy puts a file of this machine onto the disk.
func (h *Host) Copy(from, to string, mode fs.FileMode) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return h.Write(to, string(b), mode)
}

// Console is the end of what the host wrote to its console.
func (h *Host) Console() string {
	f, err := os.Open(filepath.Join(h.dir, "console"))
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // only read from
	if fi, err := f.Stat(); err == nil && fi.Size() > 8<<10 {
		_, _ = f.Seek(-8<<10, io.SeekEnd) // the beginning is no use then
	}
	b, _ := io.ReadAll(f)
	return tail(string(bytes.ToValidUTF8(b, []byte("?"))), 60)
}

func (h *Host) running() bool {
	if h.init == nil {
		return false
	}
	select {
	case err := <-h.ended:
		h.ended <- err
		return false
	default:
		return true
	}
}

// PowerOff asks init for an orderly end and waits for it.
func (h *Host) PowerOff(ctx context.Context) error {
	if _, err := h.Run(ctx, "systemctl", "poweroff"); err != nil && h.running() {
		return err
	}
	select {
	case err := <-h.ended:
		h.ended <- err
		return h.cleared()
	case <-ctx.Done():
		return fmt.Errorf("%s does not power off: %w\n%s", h.Name, ctx.Err(), h.Console())
	}
}

// PowerLoss ends every process of the host at once.
func (h *Host) PowerLoss() error {
	if !h.running() {
		return nil
	}
	if err := h.init.Process.Signal(unix.SIGKILL); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	err := <-h.ended // the kernel ends all others with it
	h.ended <- err
	return h.cleared()
}

// cleared removes the control groups that an init leaves.
func (h *Host) cleared() error {
	_ = h.console.Close() // every writer is gone
	var last error
	for range 50 {
		last = nil
		var groups []string
		err := filepath.WalkDir(h.group, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				groups = append(groups, path)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for i := len(groups) - 1; i >= 0; i-- {
			if err := os.Remove(groups[i]); err != nil && !errors.Is(err, fs.ErrNotExist) {
				last = err
			}
		}
		if last == nil {
			return nil
		}
		<-time.After(20 * time.Millisecond) // the last processes are being reaped
	}
	return fmt.Errorf("cannot remove the control groups of %s: %w", h.Name, last)
}

// Close ends the host and removes its disk.
func (h *Host) Close() error {
	err := h.PowerLoss()
	if h.init != nil {
		err = errors.Join(err, h.cleared())
	}
	return errors.Join(err, os.RemoveAll(h.dir))
}
