// Package rtnl asks the kernel of links, addresses and routes, changes them, and hears what becomes of them.
package rtnl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/internal/netns"
)

// Kernel is a netlink socket by which any number of resources ask and act in one
// network namespace. It is safe for concurrent use.
type Kernel struct {
	netns string        // its path; empty: the namespace of whoever asks first
	turn  chan struct{} // holds one token while a conversation goes on
	fd    int
	seq   uint32
	buf   []byte
}

// New returns the kernel as seen from the network namespace at a path; empty: the program's.
func New(netns string) *Kernel {
	return &Kernel{netns: netns, turn: make(chan struct{}, 1), fd: -1}
}

// Converse runs f with the socket, on a thread inside the namespace where that is not
// the program's. When ctx ends it returns though f may go on, so the caller reads what
// f writes only where there was no error: the kernel answers within microseconds unless
// its network lock hangs, and then all others wait for their turn, each only as long as
// its own context.
func (k *Kernel) Converse(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("the kernel does not answer: %w", ctx.Err())
	}
	done := make(chan error, 1)
	go func() {
		err := k.inside(f)
		<-k.turn
		done <- err
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("the kernel does not answer: %w", ctx.Err())
	}
}

// Here runs f with a socket of its own, on the calling thread and in the namespace that
// the thread is in.
func Here(f func(*Kernel) error) error {
	k := New("")
	if err := k.open(); err != nil {
		return err
	}
	defer unix.Close(k.fd)
	return f(k)
}

// inside keeps the socket to the program's own namespace, and no other: a socket would
// keep a namespace alive, with its links and addresses, that was deleted meanwhile.
func (k *Kernel) inside(f func() error) error {
	if k.netns == "" {
		if err := k.open(); err != nil {
			return err
		}
		return f()
	}
	return netns.Do(k.netns, func() error {
		if err := k.open(); err != nil {
			return err
		}
		defer func() {
			unix.Close(k.fd)
			k.fd, k.buf = -1, nil // a host may have hundreds of these
		}()
		return f()
	})
}

func (k *Kernel) open() error {
	if k.fd >= 0 {
		return nil
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("cannot open a netlink socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return fmt.Errorf("cannot bind a netlink socket: %w", err)
	}
	// An older kernel answers with all interfaces; the replies are filtered anyway.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	// And one that is older still refuses without words.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	k.fd = fd
	if k.buf == nil {
		k.buf = make([]byte, 64<<10)
	}
	return nil
}

// message starts a request of a kind with its fixed part.
func message(kind, flags uint16, fixed []byte) []byte {
	m := make([]byte, unix.NLMSG_HDRLEN, 128)
	binary.NativeEndian.PutUint16(m[4:], kind)
	binary.NativeEndian.PutUint16(m[6:], flags|unix.NLM_F_REQUEST)
	return append(m, fixed...)
}

func attribute(m []byte, kind uint16, value []byte) []byte {
	m = binary.NativeEndian.AppendUint16(m, uint16(4+len(value)))
	m = binary.NativeEndian.AppendUint16(m, kind)
	m = append(m, value...)
	for len(m)%4 != 0 {
		m = append(m, 0)
	}
	return m
}

// ask sends a request and gives each reply to each, until its end. A request that
// is no dump asks for an acknowledgement.
func (k *Kernel) ask(m []byte, each func(body []byte)) error {
	k.seq++
	binary.NativeEndian.PutUint32(m, uint32(len(m)))
	binary.NativeEndian.PutUint32(m[8:], k.seq)
	if err := unix.Sendto(k.fd, m, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	changed := false // while it was dumped: the answer may lack something
	for {
		n, _, err := unix.Recvfrom(k.fd, k.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		for rest := k.buf[:n]; len(rest) >= unix.NLMSG_HDRLEN; {
			length := int(binary.NativeEndian.Uint32(rest))
			if length < unix.NLMSG_HDRLEN || length > len(rest) {
				return errors.New("a netlink reply is cut off")
			}
			kind, flags := binary.NativeEndian.Uint16(rest[4:]), binary.NativeEndian.Uint16(rest[6:])
			body := rest[unix.NLMSG_HDRLEN:length]
			ours := binary.NativeEndian.Uint32(rest[8:]) == k.seq
			changed = changed || ours && flags&unix.NLM_F_DUMP_INTR != 0
			rest = rest[min(len(rest), (length+3)&^3):]
			switch {
			case !ours: // of a request that was given up
			case kind == unix.NLMSG_DONE || kind == unix.NLMSG_ERROR:
				if number := int32(binary.NativeEndian.Uint32(body)); number < 0 {
					return refusal(unix.Errno(-number), kind, flags, body)
				}
				if changed {
					return unix.EINTR
				}
				return nil
			case each != nil:
				each(body)
			}
		}
	}
}

// refusal adds the kernel's own words to an error, where it has some.
func refusal(number unix.Errno, kind, flags uint16, body []byte) error {
	words := ""
	if at := 4 + unix.NLMSG_HDRLEN; kind == unix.NLMSG_ERROR && flags&unix.NLM_F_ACK_TLVS != 0 && flags&unix.NLM_F_CAPPED != 0 && len(body) > at {
		attributes(body[at:], func(kind uint16, value []byte) {
			if kind == unix.NLMSGERR_ATTR_MSG && len(value) > 1 {
				words = string(value[:len(value)-1])
			}
		})
	}
	if words == "" {
		return number
	}
	return fmt.Errorf("%w: %s", number, words)
}

// dump asks again when what is listed changed meanwhile.
func (k *Kernel) dump(m []byte, begin func(), each func([]byte)) error {
	for range 10 {
		begin()
		if err := k.ask(m, each); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
	return errors.New("the kernel's list changes faster than it can be read")
}

func attributes(b []byte, each func(kind uint16, value []byte)) {
	for len(b) >= 4 {
		length := int(binary.NativeEndian.Uint16(b))
		if length < 4 || length > len(b) {
			return
		}
		each(binary.NativeEndian.Uint16(b[2:])&^uint16(unix.NLA_F_NESTED), b[4:length])
		b = b[min(len(b), (length+3)&^3):]
	}
}

func family(v4 bool) byte {
	if v4 {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
