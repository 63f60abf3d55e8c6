package tcp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// connect opens a connection and resets it. It asks the kernel directly, since on
// one host or a quick network the handshake is over within microseconds: most
// checks then never reach the runtime's poller, which is the dearer half of a dial.
func connect(ctx context.Context, to netip.AddrPort) error {
	family, sa := unix.AF_INET, unix.Sockaddr(nil)
	if a := to.Addr().Unmap(); a.Is4() {
		sa = &unix.SockaddrInet4{Addr: a.As4(), Port: int(to.Port())}
	} else {
		family, sa = unix.AF_INET6, &unix.SockaddrInet6{Addr: a.As16(), Port: int(to.Port())}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open a socket: %w", err)
	}
	err = unix.Connect(fd, sa)
	if errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.EINTR) {
		err = outcome(fd)
		if errors.Is(err, unix.EINPROGRESS) {
			return await(ctx, fd)
		}
	}
	reset(fd)
	unix.Close(fd)
	return err
}

// outcome says how the handshake ended, or EINPROGRESS.
func outcome(fd int) error {
	ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
	if n, err := unix.Poll(ready, 0); err != nil || n == 0 {
		return unix.EINPROGRESS
	}
	number, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if number != 0 {
		return unix.Errno(number)
	}
	return notSelf(fd)
}

// notSelf refuses a socket that met itself: where nobody listens on a local port,
// the kernel may give that port to the client, and the handshake then succeeds.
func notSelf(fd int) error {
	local, err := unix.Getsockname(fd)
	if err != nil {
		return err
	}
	remote, err := unix.Getpeername(fd)
	if err != nil {
		return err
	}
	switch l := local.(type) {
	case *unix.SockaddrInet4:
		if r, ok := remote.(*unix.SockaddrInet4); ok && r.Port == l.Port && r.Addr == l.Addr {
			return unix.ECONNREFUSED
		}
	case *unix.SockaddrInet6:
		if r, ok := remote.(*unix.SockaddrInet6); ok && r.Port == l.Port && r.Addr == l.Addr {
			return unix.ECONNREFUSED
		}
	}
	return nil
}

// reset makes the close send RST, so that no TIME_WAIT stays behind each check.
func reset(fd int) {
	// A failure costs a TIME_WAIT and nothing else.
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
}

// await hands the socket to the runtime's poller until the handshake is over or
// ctx ends, and closes it.
func await(ctx context.Context, fd int) error {
	f := os.NewFile(uintptr(fd), "tcp check")
	defer f.Close()
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { f.SetWriteDeadline(time.Unix(1, 0)) })()
	var result error
	err = conn.Write(func(fd uintptr) bool {
		result = outcome(int(fd))
		if errors.Is(result, unix.EINPROGRESS) {
			return false
		}
		reset(int(fd))
		return true
	})
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return result
}
