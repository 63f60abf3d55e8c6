package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// InitOptions are what Boot tells a node's init.
type InitOptions struct {
	Dir     string // of the node, on this machine
	Group   string // its control group, as this machine sees it
	Name    string
	Command []string // kept running; none: nothing is
}

// Init is the first process of a node: it makes the node's view of the world, keeps
// the command running, and reaps what is left to it. It returns when the node is
// switched off by SIGTERM, once the command has ended, or when the view can't be made.
func Init(o InitOptions) error {
	// A control group's namespace is a thread's own: what is started must come from here.
	runtime.LockOSThread()
	if os.Getpid() != 1 {
		return errors.New("cannot be the init of a lab's node: svcctl lab boot starts one")
	}
	plugged := os.NewFile(3, "plugged")
	if err := view(o); err != nil {
		return fmt.Errorf("cannot boot %s: %w", o.Name, err)
	}
	_, _ = io.Copy(io.Discard, plugged) // ends when the network is there
	plugged.Close()
	fmt.Printf("%s is booted\n", o.Name)
	return attend(o.Command)
}

// view makes the mounts of a node: its disk over this machine's root, and file systems
// of its own for what the kernel shows.
func view(o InitOptions) error {
	disk, root := filepath.Join(o.Dir, "disk"), filepath.Join(o.Dir, "root")
	if err := os.WriteFile(filepath.Join(o.Group, "cgroup.procs"), []byte("0"), 0o644); err != nil {
		return err
	}
	if err := unix.Unshare(unix.CLONE_NEWCGROUP); err != nil {
		return fmt.Errorf("no control group of its own: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	if out, err := exec.Command("mount", "-o", "loop", filepath.Join(o.Dir, "disk.img"), disk).CombinedOutput(); err != nil {
		return fmt.Errorf("its disk can't be mounted: %w: %s", err, strings.TrimSpace(string(out)))
	}
	for _, d := range []string{"upper", "work"} {
		if err := os.MkdirAll(filepath.Join(disk, d), 0o755); err != nil {
			return err
		}
	}
	halves := fmt.Sprintf("lowerdir=/,upperdir=%s/upper,workdir=%s/work", disk, disk)
	if err := unix.Mount("overlay", root, "overlay", 0, halves); err != nil {
		return fmt.Errorf("its root can't be laid over this machine's: %w", err)
	}
	for _, m := range []struct {
		what, at, kind string
		flags          uintptr
		data           string
	}{
		{"proc", "proc", "proc", 0, ""},
		{"sysfs", "sys", "sysfs", 0, ""},
		{"cgroup2", "sys/fs/cgroup", "cgroup2", 0, ""},
		{"/dev", "dev", "", unix.MS_BIND | unix.MS_REC, ""},
		{"tmpfs", "run", "tmpfs", 0, "mode=755"},
		{"tmpfs", "tmp", "tmpfs", 0, "mode=1777"},
	} {
		if err := unix.Mount(m.what, filepath.Join(root, m.at), m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("cannot mount /%s: %w", m.at, err)
		}
	}
	boot := filepath.Join(root, "run", "boot_id")
	if err := os.WriteFile(boot, []byte(newBootID()), 0o444); err != nil {
		return err
	}
	if err := unix.Mount(boot, filepath.Join(root, "proc/sys/kernel/random/boot_id"), "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("no boot id of its own: %w", err)
	}
	if err := unix.Sethostname([]byte(o.Name)); err != nil {
		return err
	}
	old := filepath.Join(root, "run", "old")
	if err := os.Mkdir(old, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(root, old); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/run/old", unix.MNT_DETACH); err != nil {
		return err
	}
	return os.Remove("/run/old")
}

const restartAfter = 100 * time.Millisecond

// attend keeps a command running and reaps every process that ends.
func attend(command []string) error {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGCHLD, syscall.SIGTERM)
	main := 0
	leaving := false
	again := time.NewTimer(0)
	for {
		if leaving && main == 0 {
			return nil
		}
		select {
		case <-again.C:
			if len(command) == 0 || leaving {
				continue
			}
			p, err := os.StartProcess(command[0], command, &os.ProcAttr{Dir: "/", Env: os.Environ(), Files: []*os.File{nil, os.Stdout, os.Stderr},
				Sys: &syscall.SysProcAttr{Setsid: true}})
			if err != nil {
				fmt.Printf("cannot start %s: %v\n", command[0], err)
				again.Reset(time.Second)
				continue
			}
			main = p.Pid
			_ = p.Release() // it is waited for below, with all others
		case s := <-signals:
			if s == syscall.SIGTERM {
				leaving = true
				if main != 0 {
					_ = syscall.Kill(main, syscall.SIGTERM)
				}
				continue
			}
			for {
				var status syscall.WaitStatus
				pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
				if err != nil || pid <= 0 {
					break
				}
				if pid == main {
					fmt.Printf("%s ended: exit code %d, signal %v\n", command[0], status.ExitStatus(), status.Signal())
					main = 0
					again.Reset(restartAfter)
				}
			}
		}
	}
}
