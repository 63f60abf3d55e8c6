package lab

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const diskSize = 512 << 20 // sparse

// opaque are the folders of which a node sees nothing of this machine's.
var opaque = []string{"etc/svcctl", "var/lib/svcctl", "srv"}

// format makes a node's disk, an ext4 image with the upper half of its root, and puts
// the files onto it.
func (l *Lab) format(n *Node, files map[string]string) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := os.MkdirAll(l.path(n, "disk"), 0o755); err != nil {
		return fmt.Errorf("cannot make the disk of %s: %w", n.Name, err)
	}
	image := l.path(n, "disk.img")
	f, err := os.Create(image)
	if err == nil {
		err = errors.Join(f.Truncate(diskSize), f.Close())
	}
	if err == nil {
		err = run(ctx, "mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", image)
	}
	if err == nil {
		err = run(ctx, "mount", "-o", "loop", image, l.path(n, "disk"))
	}
	if err != nil {
		return fmt.Errorf("cannot make the disk of %s: %w", n.Name, err)
	}
	defer func() { err = errors.Join(err, unix.Unmount(l.path(n, "disk"), 0)) }()
	for _, d := range append([]string{"../work", "../root"}, opaque...) {
		if err := os.MkdirAll(l.path(n, "disk", "upper", d), 0o755); err != nil {
			return err
		}
	}
	for _, d := range opaque {
		if err := unix.Setxattr(l.path(n, "disk", "upper", d), "trusted.overlay.opaque", []byte("y"), 0); err != nil {
			return fmt.Errorf("cannot hide this machine's /%s from %s: %w", d, n.Name, err)
		}
	}
	for to, from := range files {
		if err := copyFile(from, l.path(n, "disk", "upper", to)); err != nil {
			return err
		}
	}
	return os.WriteFile(l.path(n, "disk", "upper", "etc", "hostname"), []byte(n.Name+"\n"), 0o644)
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(to), 0o755)
	}
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Rename(to+".new", to) // one that runs is not written to
}

// Boot starts a node: its init, then the command that init keeps running; none: only
// init. The program that init runs is this one, by InitCommand.
func (l *Lab) Boot(n *Node, self []string, command ...string) error {
	if n.PID != 0 {
		return fmt.Errorf("cannot boot %s: it runs", n.Name)
	}
	if err := os.MkdirAll(l.group(n), 0o755); err != nil {
		return fmt.Errorf("cannot boot %s: %w", n.Name, err)
	}
	console, err := os.OpenFile(l.path(n, "console"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("cannot boot %s: %w", n.Name, err)
	}
	defer console.Close()
	ready, plugged, err := os.Pipe()
	if err != nil {
		return err
	}
	defer plugged.Close()
	defer ready.Close()
	args := slices.Concat(self, []string{"--dir", l.path(n), "--group", l.group(n), "--name", n.Name, "--"}, command)
	c := exec.Command(args[0], args[1:]...)
	c.Stdout, c.Stderr, c.ExtraFiles = console, console, []*os.File{ready}
	c.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=linux", "LANG=C.UTF-8", "HOME=/root"}
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true,
		Cloneflags: syscall.CLONE_NEWPID | syscall.CLONE_NEWNS | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET}
	if err := c.Start(); err != nil {
		return fmt.Errorf("cannot boot %s: %w", n.Name, err)
	}
	go func() { _ = c.Wait() }() // or it stays a zombie for as long as this program runs
	n.PID, n.Started = c.Process.Pid, startOf(c.Process.Pid)
	err = errors.Join(l.save(), l.connect(n))
	if err != nil {
		return errors.Join(fmt.Errorf("cannot boot %s: %w", n.Name, err), l.Crash(n))
	}
	return nil
}

// startOf is when a process began, in ticks since boot; 0: there is none.
func startOf(pid int) uint64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	if f := strings.Fields(rest); len(f) > 19 && f[0] != "Z" {
		n, _ := strconv.ParseUint(f[19], 10, 64)
		return n
	}
	return 0
}

// Crash is a loss of power: the link goes down first, then every process at once.
func (l *Lab) Crash(n *Node) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if n.PID == 0 {
		return nil
	}
	_ = l.link(ctx, n, false) // the kernel may have taken it away with its host
	fd, err := unix.PidfdOpen(n.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		n.PID, n.Started = 0, 0
		return l.save()
	}
	if err != nil {
		return fmt.Errorf("cannot end %s: %w", n.Name, err)
	}
	defer unix.Close(fd)
	err = os.WriteFile(filepath.Join(l.group(n), "cgroup.kill"), []byte("1"), 0o200)
	if err != nil { // no such file before Linux 5.14; the end of a namespace's init ends all in it
		err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
	if err != nil {
		return fmt.Errorf("cannot end %s: %w", n.Name, err)
	}
	if err := awaitEnd(ctx, fd); err != nil {
		return fmt.Errorf("cannot end %s: %w", n.Name, err)
	}
	n.PID, n.Started = 0, 0
	return l.save()
}

// awaitEnd waits until a process, and with an init its whole namespace, is gone.
func awaitEnd(ctx context.Context, pidfd int) error {
	for ctx.Err() == nil {
		k, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 1000)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if k > 0 {
			return nil
		}
	}
	return ctx.Err()
}

// Command runs a program on a node, in its namespaces, root and control group.
func (l *Lab) Command(ctx context.Context, n *Node, args ...string) (*exec.Cmd, error) {
	if n.PID == 0 {
		return nil, fmt.Errorf("%s is off (svcctl lab boot %s)", n.Name, n.Name)
	}
	// The shell joins the group from outside, where its path is known.
	all := append([]string{"-c", `echo 0 > "$0/cgroup.procs"; exec nsenter --target "$1" --mount --uts --ipc --net --pid --cgroup --root --wd -- "${@:2}"`,
		l.group(n), strconv.Itoa(n.PID)}, args...)
	return exec.CommandContext(ctx, "bash", all...), nil
}

// Run runs a program on a node and returns what it wrote.
func (l *Lab) Run(ctx context.Context, n *Node, args ...string) (string, error) {
	c, err := l.Command(ctx, n, args...)
	if err != nil {
		return "", err
	}
	out, err := c.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s on %s: %w: %s", strings.Join(args, " "), n.Name, err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// Write puts a file onto the disk of a node that runs.
func (l *Lab) Write(n *Node, path, text string) error {
	if n.PID == 0 {
		return fmt.Errorf("cannot write %s: %s is off", path, n.Name)
	}
	whole := fmt.Sprintf("/proc/%d/root%s", n.PID, path)
	if err := os.MkdirAll(filepath.Dir(whole), 0o755); err != nil {
		return fmt.Errorf("cannot write %s on %s: %w", path, n.Name, err)
	}
	if err := os.WriteFile(whole+".new", []byte(text), 0o644); err != nil {
		return fmt.Errorf("cannot write %s on %s: %w", path, n.Name, err)
	}
	return os.Rename(whole+".new", whole)
}

// Signal sends a signal to every process of a node whose command contains a word; ""
// is all but its init. It tells how many there were.
func (l *Lab) Signal(n *Node, word string, s syscall.Signal) (count int, err error) {
	pids, err := groupMembers(l.group(n))
	if err != nil {
		return 0, fmt.Errorf("cannot signal on %s: %w", n.Name, err)
	}
	for _, pid := range pids {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if pid == n.PID || !strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), word) {
			continue
		}
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return count, fmt.Errorf("cannot signal %d on %s: %w", pid, n.Name, err)
		}
		count++
	}
	return count, nil
}

// groupMembers lists the processes of a control group and of those below it.
func groupMembers(dir string) (pids []int, err error) {
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		b, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil {
			return nil // it was removed meanwhile
		}
		for word := range strings.FieldsSeq(string(b)) {
			if pid, err := strconv.Atoi(word); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids, err
}

func newBootID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x\n", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
