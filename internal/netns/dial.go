package netns

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Socket opens a socket inside the namespace at path.
func Socket(path string, domain, kind, protocol int) (fd int, err error) {
	err = Do(path, func() (err error) {
		fd, err = unix.Socket(domain, kind|unix.SOCK_CLOEXEC, protocol)
		return err
	})
	return fd, err
}

// Dial connects by TCP from inside the namespace at path to "host:port". A name is
// looked up outside, by the program's own resolver; its addresses are tried in turn.
// No thread waits inside.
func Dial(ctx context.Context, path, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	number, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return nil, err
	}
	addrs := make([]netip.Addr, 1)
	if addrs[0], err = netip.ParseAddr(host); err != nil {
		if addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host); err != nil {
			return nil, err
		}
	}
	var first error
	for _, a := range addrs {
		conn, err := dial(ctx, path, netip.AddrPortFrom(a.Unmap(), uint16(number)))
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

func dial(ctx context.Context, path string, to netip.AddrPort) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	family, sa := unix.AF_INET, unix.Sockaddr(nil)
	if a := to.Addr(); a.Is4() {
		sa = &unix.SockaddrInet4{Addr: a.As4(), Port: int(to.Port())}
	} else {
		family, sa = unix.AF_INET6, &unix.SockaddrInet6{Addr: a.As16(), Port: int(to.Port())}
	}
	fd, err := Socket(path, family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), to.String())
	defer f.Close() // net keeps its own
	if err := unix.Connect(fd, sa); errors.Is(err, unix.EINPROGRESS) || errors.Is(err, unix.EINTR) {
		err = connected(ctx, f)
		if err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	if local, err := unix.Getsockname(fd); err == nil {
		if remote, err := unix.Getpeername(fd); err == nil && same(local, remote) {
			return nil, unix.ECONNREFUSED // a free local port met itself
		}
	}
	return net.FileConn(f)
}

// connected waits by the runtime's poller until the handshake is over.
func connected(ctx context.Context, f *os.File) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := f.SetWriteDeadline(deadline); err != nil {
			return err
		}
	}
	defer context.AfterFunc(ctx, func() { f.SetWriteDeadline(time.Unix(1, 0)) })()
	var outcome error
	err = raw.Write(func(fd uintptr) bool {
		ready := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		if n, err := unix.Poll(ready, 0); err != nil || n == 0 {
			return false
		}
		number, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if outcome = err; err == nil && number != 0 {
			outcome = unix.Errno(number)
		}
		return true
	})
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ctx.Err(), err)
	}
	return errors.Join(err, outcome)
}

func same(local, remote unix.Sockaddr) bool {
	switch l := local.(type) {
	case *unix.SockaddrInet4:
		r, ok := remote.(*unix.SockaddrInet4)
		return ok && r.Port == l.Port && r.Addr == l.Addr
	case *unix.SockaddrInet6:
		r, ok := remote.(*unix.SockaddrInet6)
		return ok && r.Port == l.Port && r.Addr == l.Addr
	}
	return false
}
