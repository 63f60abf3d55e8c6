package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// Make makes the namespace of a name, its loopback interface up, as "ip netns add"
// does. A file that was left where one should be bound is taken away first; a namespace
// that is there is an error that is os.ErrExist. What is given as first runs inside, on
// one thread, before anybody can find the namespace by its name.
func Make(name string, first ...func() error) error {
	path := Path(name)
	if err := shared(); err != nil {
		return fmt.Errorf("cannot make %s: %w", Dir, err)
	}
	if _, err := Identify(path); err == nil {
		return fmt.Errorf("cannot make the network namespace %s: %w", name, os.ErrExist)
	}
	if info, err := os.Lstat(path); err == nil {
		if !info.Mode().IsRegular() || info.Size() > 0 {
			return fmt.Errorf("cannot make the network namespace %s: %s is something else (move it away)", name, path)
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("cannot make the network namespace %s: %w", name, err)
		}
	}
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0)
	if err != nil {
		return fmt.Errorf("cannot make the network namespace %s: %w", name, err)
	}
	f.Close()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked where it can't go back: the thread is thrown away
		leave, err := wayBack()
		if err == nil {
			err = fresh(path, first)
		}
		if leave != nil && leave() == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		return errors.Join(fmt.Errorf("cannot make the network namespace %s: %w", name, err), os.Remove(path))
	}
	return nil
}

// fresh binds a new namespace over the file, with its loopback up by then.
func fresh(path string, first []func() error) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("%w (it needs the capability SYS_ADMIN, and room below the sysctl user.max_net_namespaces)", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("its loopback interface does not come up: %w", err)
	}
	for _, f := range first {
		if err := f(); err != nil {
			return err
		}
	}
	return unix.Mount("/proc/thread-self/ns/net", path, "", unix.MS_BIND, "")
}

// shared makes Dir a mount that is shared with other mount namespaces, or names that
// are removed here would live on there.
func shared() error {
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return err
	}
	err := unix.Mount("", Dir, "", unix.MS_SHARED|unix.MS_REC, "")
	if !errors.Is(err, unix.EINVAL) {
		return err
	}
	if err := unix.Mount(Dir, Dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	return unix.Mount("", Dir, "", unix.MS_SHARED|unix.MS_REC, "")
}

// Remove takes the name away, as "ip netns del" does. The namespace ends with its last
// user. What is not there is not missed.
func Remove(name string) error {
	path := Path(name)
	if filepath.Dir(path) != Dir {
		return fmt.Errorf("cannot remove %s: it is not in %s", path, Dir)
	}
	for range maxStacked {
		err := unix.Unmount(path, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
			break // not mounted any more
		}
		if err != nil {
			return fmt.Errorf("cannot remove the network namespace %s: %w", name, err)
		}
	}
	if info, err := os.Lstat(path); err == nil && (!info.Mode().IsRegular() || info.Size() > 0) {
		return nil // no name of a namespace: somebody else's file
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot remove the network namespace %s: %w", name, err)
	}
	return nil
}

const maxStacked = 16 // namespaces bound over each other
