package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// maxGuests bounds the connections of those who may only read, so that they can't
// shut out the ones who may act.
const maxGuests = 256

// peer is who is at the other end of a connection.
type peer struct {
	uid   uint32
	known bool // false: not a unix socket
}

// mayAct reports whether the peer may change anything: root, and the agent's own user.
func (p peer) mayAct() bool { return p.known && (p.uid == 0 || p.uid == uint32(os.Getuid())) }

// name says who the peer is, for the event that its command leaves.
func (p peer) name() string {
	if !p.known {
		return "network"
	}
	if u, err := user.LookupId(strconv.FormatUint(uint64(p.uid), 10)); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", p.uid)
}

type peerKey struct{}

func peerOf(ctx context.Context) peer {
	p, _ := ctx.Value(peerKey{}).(peer)
	return p
}

// peerConn is a connection whose peer the kernel has named.
type peerConn struct {
	*net.UnixConn
	peer  peer
	close func()
}

func (c *peerConn) Close() error {
	c.close()
	return c.UnixConn.Close()
}

// Listener accepts connections on a unix socket and knows the peer of each.
type Listener struct {
	*net.UnixListener
	path   string
	guests atomic.Int64
}

// Listen makes the agent's socket at path, for everybody to connect. A socket that a
// dead agent left is replaced; a living one is an error.
func Listen(path string) (*Listener, error) {
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("cannot listen on %s: another agent answers there (stop it first)", path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	// Made under another name and renamed: nobody meets a socket without its mode.
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cannot listen on %s: %w", path, err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w (is the path shorter than 104 bytes, and its directory writable?)", path, err)
	}
	l.SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(fresh, 0o666), os.Rename(fresh, path)); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot listen on %s: %w", path, err), l.Close())
	}
	return &Listener{UnixListener: l, path: path}, nil
}

// Addr is where clients find the socket, not the name that it was made under.
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close ends listening and removes the socket.
func (l *Listener) Close() error {
	err := l.UnixListener.Close()
	if rm := os.Remove(l.path); rm != nil && !errors.Is(rm, os.ErrNotExist) && err == nil {
		err = rm
	}
	return err
}

// Accept returns the next connection whose peer is known and has room.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		p, err := credentials(c)
		if err != nil {
			_ = c.Close()
			continue
		}
		if p.mayAct() {
			return &peerConn{UnixConn: c, peer: p, close: func() {}}, nil
		}
		if l.guests.Add(1) > maxGuests {
			l.guests.Add(-1)
			_ = c.Close()
			continue
		}
		return &peerConn{UnixConn: c, peer: p, close: sync.OnceFunc(func() { l.guests.Add(-1) })}, nil
	}
}

func credentials(c *net.UnixConn) (peer, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return peer{}, err
	}
	var cred *unix.Ucred
	var sockErr error
	if err := raw.Control(func(fd uintptr) {
		cred, sockErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return peer{}, err
	}
	if sockErr != nil {
		return peer{}, sockErr
	}
	return peer{uid: cred.Uid, known: true}, nil
}
