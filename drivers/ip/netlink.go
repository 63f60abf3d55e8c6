package ip

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// kernel is the one netlink socket by which all resources of the kind ask and act.
// It is safe for concurrent use. It belongs to the network namespace of whoever
// asks first.
type kernel struct {
	turn chan struct{} // holds one token while a conversation goes on
	fd   int
	seq  uint32
	buf  []byte
}

func newKernel() *kernel { return &kernel{turn: make(chan struct{}, 1), fd: -1} }

// link is what is known of an interface.
type link struct {
	index  int
	name   string
	flags  uint32 // IFF_*
	family uint16 // ARPHRD_*
	mac    [6]byte
}

// neighbours says whether hosts on the link are found by ARP or neighbour
// discovery: not on loopback, tunnels and point-to-point links.
func (l *link) neighbours() bool {
	return l.family == unix.ARPHRD_ETHER && l.flags&(unix.IFF_NOARP|unix.IFF_LOOPBACK) == 0
}

func (l *link) up() bool { return l.flags&unix.IFF_UP != 0 }

// running: the kernel knows of the carrier; before, it drops each frame and tells nobody.
func (l *link) running() bool { return l.flags&unix.IFF_RUNNING != 0 }

func (l *link) carrier() bool { return l.flags&unix.IFF_LOWER_UP != 0 }

// entry is one address of an interface.
type entry struct {
	index int
	addr  netip.Prefix
	flags uint32 // IFA_F_*
	born  uint32 // in hundredths of a second since the host came up
	body  []byte // of its message, good until the callback returns
}

// errNoLink: there is no interface of that name.
var errNoLink = errors.New("no such interface")

// converse runs f with the socket. When ctx ends it returns though f may go on, so
// the caller reads what f writes only where there was no error: the
// kernel answers within microseconds unless its network lock hangs, and then all
// others wait for their turn, each only as long as its own context.
func (k *kernel) converse(ctx context.Context, f func() error) error {
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
		err := k.open()
		if err == nil {
			err = f()
		}
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

func (k *kernel) open() error {
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
	k.fd, k.buf = fd, make([]byte, 64<<10)
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
func (k *kernel) ask(m []byte, each func(body []byte)) error {
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
			kind, body := binary.NativeEndian.Uint16(rest[4:]), rest[unix.NLMSG_HDRLEN:length]
			ours := binary.NativeEndian.Uint32(rest[8:]) == k.seq
			changed = changed || ours && binary.NativeEndian.Uint16(rest[6:])&unix.NLM_F_DUMP_INTR != 0
			rest = rest[min(len(rest), (length+3)&^3):]
			switch {
			case !ours: // of a request that was given up
			case kind == unix.NLMSG_DONE || kind == unix.NLMSG_ERROR:
				if number := int32(binary.NativeEndian.Uint32(body)); number < 0 {
					return unix.Errno(-number)
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

// dump asks again when what is listed changed meanwhile.
func (k *kernel) dump(m []byte, begin func(), each func([]byte)) error {
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

func parseLink(body []byte) (l link) {
	if len(body) < unix.SizeofIfInfomsg {
		return l
	}
	l.family = binary.NativeEndian.Uint16(body[2:])
	l.index = int(binary.NativeEndian.Uint32(body[4:]))
	l.flags = binary.NativeEndian.Uint32(body[8:])
	attributes(body[unix.SizeofIfInfomsg:], func(kind uint16, value []byte) {
		switch kind {
		case unix.IFLA_IFNAME:
			l.name = string(value[:max(0, len(value)-1)])
		case unix.IFLA_ADDRESS:
			copy(l.mac[:], value)
		}
	})
	return l
}

func parseEntry(body []byte) (e entry) {
	if len(body) < unix.SizeofIfAddrmsg {
		return e
	}
	e.flags = uint32(body[2])
	e.index = int(binary.NativeEndian.Uint32(body[4:]))
	e.body = body
	var local, address netip.Addr
	attributes(body[unix.SizeofIfAddrmsg:], func(kind uint16, value []byte) {
		switch kind {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(value)
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(value) // the peer's, where there is a local one beside it
		case unix.IFA_CACHEINFO:
			if len(value) >= 12 {
				e.born = binary.NativeEndian.Uint32(value[8:])
			}
		case unix.IFA_FLAGS:
			if len(value) == 4 {
				e.flags = binary.NativeEndian.Uint32(value)
			}
		}
	})
	if !local.IsValid() {
		local = address
	}
	e.addr = netip.PrefixFrom(local, int(body[1]))
	return e
}

// noStatistics keeps the kernel from adding counters to each reply.
var noStatistics = binary.NativeEndian.AppendUint32(nil, 1<<3) // RTEXT_FILTER_SKIP_STATS

// link finds an interface by its name. Call it inside converse, as all below.
func (k *kernel) link(name string) (l link, err error) {
	m := message(unix.RTM_GETLINK, unix.NLM_F_ACK, make([]byte, unix.SizeofIfInfomsg))
	m = attribute(m, unix.IFLA_EXT_MASK, noStatistics)
	m = attribute(m, unix.IFLA_IFNAME, append([]byte(name), 0))
	err = k.ask(m, func(body []byte) { l = parseLink(body) })
	if errors.Is(err, unix.ENODEV) {
		return l, errNoLink
	}
	return l, err
}

// links lists all interfaces.
func (k *kernel) links() (all []link, err error) {
	m := message(unix.RTM_GETLINK, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfInfomsg))
	m = attribute(m, unix.IFLA_EXT_MASK, noStatistics)
	err = k.dump(m, func() { all = nil }, func(body []byte) { all = append(all, parseLink(body)) })
	return all, err
}

// entries gives each address of a family, on one interface or (0) on all.
func (k *kernel) entries(index int, v4 bool, begin func(), each func(entry)) error {
	fixed := make([]byte, unix.SizeofIfAddrmsg)
	fixed[0] = family(v4)
	binary.NativeEndian.PutUint32(fixed[4:], uint32(index))
	return k.dump(message(unix.RTM_GETADDR, unix.NLM_F_DUMP, fixed), begin, func(body []byte) {
		if e := parseEntry(body); (index == 0 || e.index == index) && e.addr.IsValid() {
			each(e)
		}
	})
}

func (k *kernel) add(index int, p netip.Prefix, label string, flags uint32) error {
	m := message(unix.RTM_NEWADDR, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, fixedPart(index, p))
	m = attribute(m, unix.IFA_LOCAL, p.Addr().AsSlice())
	m = attribute(m, unix.IFA_ADDRESS, p.Addr().AsSlice())
	if p.Addr().Is4() && p.Bits() < 31 && !p.Addr().IsLoopback() {
		m = attribute(m, unix.IFA_BROADCAST, broadcast(p).AsSlice())
	}
	if label != "" {
		m = attribute(m, unix.IFA_LABEL, append([]byte(label), 0))
	}
	if flags != 0 {
		m = attribute(m, unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, flags))
	}
	return k.ask(m, nil)
}

// restore adds an address again as its message described it.
func (k *kernel) restore(body []byte) error {
	return k.ask(message(unix.RTM_NEWADDR, unix.NLM_F_ACK|unix.NLM_F_CREATE, body), nil)
}

func (k *kernel) remove(index int, p netip.Prefix) error {
	m := message(unix.RTM_DELADDR, unix.NLM_F_ACK, fixedPart(index, p))
	m = attribute(m, unix.IFA_LOCAL, p.Addr().AsSlice())
	return k.ask(attribute(m, unix.IFA_ADDRESS, p.Addr().AsSlice()), nil)
}

func fixedPart(index int, p netip.Prefix) []byte {
	fixed := make([]byte, unix.SizeofIfAddrmsg)
	fixed[0], fixed[1] = family(p.Addr().Is4()), byte(p.Bits())
	switch {
	case p.Addr().IsLoopback():
		fixed[3] = unix.RT_SCOPE_HOST
	case p.Addr().IsLinkLocalUnicast():
		fixed[3] = unix.RT_SCOPE_LINK
	}
	binary.NativeEndian.PutUint32(fixed[4:], uint32(index))
	return fixed
}

func family(v4 bool) byte {
	if v4 {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
