package keeper

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// confine moves the thread into the namespaces of its own that are asked for. Only this
// thread's view changes, and it is the one that runs the program.
func confine(s setup) error {
	c := s.Confine
	if c == nil {
		c = &Confinement{}
	}
	switch {
	case c.Netns != "":
		if err := enterNetwork(c.Netns); err != nil {
			return err
		}
	case c.OwnNetwork:
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("cannot make a network namespace: %w (only root may; sandbox.private_network)", err)
		}
		if err := raiseLoopback(); err != nil {
			return fmt.Errorf("cannot bring up lo in its own network namespace: %w", err)
		}
	}
	if len(c.Places) == 0 && len(s.Files) == 0 {
		return nil
	}
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("cannot make a mount namespace: %w (a sandbox and credentials need an agent that runs as root)", err)
	}
	// What the host mounts and unmounts is followed; nothing goes back.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("cannot part from the mounts of the host: %w", err)
	}
	places := c.Places
	if s.Ours != "" && len(places) > 0 {
		// The folder and not the sockets in it, which come and go. What is declared of it counts.
		ours := []Place{{Path: s.Ours, As: Empty, Because: ourSockets}}
		if s.Notify != "" {
			ours = append(ours, Place{Path: s.Notify, As: AsItIs, Because: "NOTIFY_SOCKET"})
		}
		places = append(ours, places...)
	}
	return furnish(s, places)
}

// ourSockets marks the place that nobody declared.
const ourSockets = "svcctl's own sockets"

func enterNetwork(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.EACCES) {
		return fmt.Errorf("cannot enter the network namespace %s: %w (only root may)", path, err)
	}
	if err != nil {
		return fmt.Errorf("cannot enter the network namespace %s: %w (is it there yet? A reference such as netns = netns.NAME.name makes the app wait for it)", path, err)
	}
	defer unix.Close(fd)
	if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
		if errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("cannot enter the network namespace %s: it is none (ip netns add makes one)", path)
		}
		return fmt.Errorf("cannot enter the network namespace %s: %w (only root may)", path, err)
	}
	return nil
}

func raiseLoopback() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}

// identify gives up the rights that are not kept and becomes the user. Capabilities are
// those of this thread only: the others end when the program runs.
func identify(s setup) error {
	var keep uint64
	drop := s.Confine != nil && s.Confine.DropOthers
	if drop {
		for _, n := range s.Confine.Capabilities {
			keep |= 1 << n
		}
		if err := dropBounds(keep); err != nil {
			return err
		}
	}
	c := s.Credential
	if c != nil {
		if keep != 0 && c.UID != 0 {
			if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
				return fmt.Errorf("cannot keep capabilities: %w", err)
			}
		}
		if err := impersonate(c); err != nil {
			return err
		}
	}
	if drop {
		if err := holdOnly(keep, c != nil && c.UID != 0 || c == nil && os.Geteuid() != 0); err != nil {
			return err
		}
	}
	if s.Confine != nil || len(s.Files) > 0 { // the mounts may have changed since the fork went there
		dir := s.Dir
		if dir == "" {
			dir = "/"
		}
		if err := unix.Chdir(dir); err != nil {
			return fmt.Errorf("cannot run %s in %s: %w (may its user enter it, is it there inside the sandbox? See cwd)", s.Path, dir, err)
		}
	}
	return nil
}

func impersonate(c *Credential) error {
	groups := make([]int, len(c.Groups))
	for i, g := range c.Groups {
		groups[i] = int(g)
	}
	if err := syscall.Setgroups(groups); err != nil {
		return fmt.Errorf("cannot set the groups: %w", err)
	}
	if err := syscall.Setgid(int(c.GID)); err != nil {
		return fmt.Errorf("cannot become group %d: %w", c.GID, err)
	}
	if err := syscall.Setuid(int(c.UID)); err != nil {
		return fmt.Errorf("cannot become user %d: %w", c.UID, err)
	}
	return nil
}

// dropBounds takes from the thread what no program of its tree may get back.
func dropBounds(keep uint64) error {
	for n := uintptr(0); n < 64; n++ {
		if _, _, e := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_READ, n, 0); e != 0 {
			return nil // the kernel knows no more
		}
		if keep&(1<<n) != 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, n, 0, 0, 0); err != nil {
			return fmt.Errorf("cannot drop capability %d: %w (a sandbox needs an agent that runs as root)", n, err)
		}
	}
	return nil
}

// holdOnly sets the capabilities of the thread, and has them survive the start of the
// program where its user is not root.
func holdOnly(keep uint64, ambient bool) error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	for i := range sets {
		half := uint32(keep >> (32 * i))
		sets[i] = unix.CapUserData{Effective: half, Permitted: half, Inheritable: half}
	}
	if err := unix.Capset(&head, &sets[0]); err != nil {
		return fmt.Errorf("cannot keep only the capabilities of sandbox.capabilities: %w (does the agent have them?)", err)
	}
	for n := uintptr(0); ambient && n < 64; n++ {
		if keep&(1<<n) == 0 {
			continue
		}
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, n, 0, 0); err != nil {
			return fmt.Errorf("cannot pass on capability %d: %w", n, err)
		}
	}
	return nil
}

// restrict comes last: from here on the stub itself is held to it.
func restrict(c *Confinement) error {
	if c == nil {
		return nil
	}
	if c.NoNewPrivileges || len(c.Filter) > 0 {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return fmt.Errorf("cannot refuse new privileges: %w", err)
		}
	}
	if len(c.Filter) == 0 {
		return nil
	}
	code := make([]unix.SockFilter, len(c.Filter)/8)
	for i := range code {
		at := c.Filter[8*i:]
		code[i] = unix.SockFilter{Code: binary.NativeEndian.Uint16(at), Jt: at[2], Jf: at[3], K: binary.NativeEndian.Uint32(at[4:])}
	}
	if len(code) == 0 {
		return errors.New("cannot set the seccomp filter: it has no instruction")
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	_, _, e := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program)))
	runtime.KeepAlive(code)
	if e != 0 {
		return fmt.Errorf("cannot set the seccomp filter: %w (has the kernel CONFIG_SECCOMP_FILTER? Else write seccomp = \"none\")", syscall.Errno(e))
	}
	return nil
}
