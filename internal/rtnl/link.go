package rtnl

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Link is what is known of an interface.
type Link struct {
	Index  int
	Name   string
	Flags  uint32 // IFF_*
	Family uint16 // ARPHRD_*
	MAC    [6]byte
	Alias  string
	Netns  string // the path of its namespace; empty: the program's
}

// Neighbours says whether hosts on the link are found by ARP or neighbour
// discovery: not on loopback, tunnels and point-to-point links.
func (l *Link) Neighbours() bool {
	return l.Family == unix.ARPHRD_ETHER && l.Flags&(unix.IFF_NOARP|unix.IFF_LOOPBACK) == 0
}

// Up: somebody has switched it on.
func (l *Link) Up() bool { return l.Flags&unix.IFF_UP != 0 }

// Running: the kernel knows of the carrier; before, it drops each frame and tells nobody.
func (l *Link) Running() bool { return l.Flags&unix.IFF_RUNNING != 0 }

// Carrier: its other side is there.
func (l *Link) Carrier() bool { return l.Flags&unix.IFF_LOWER_UP != 0 }

// ErrNoLink: there is no interface of that name.
var ErrNoLink = errors.New("no such interface")

func parseLink(body []byte) (l Link) {
	if len(body) < unix.SizeofIfInfomsg {
		return l
	}
	l.Family = binary.NativeEndian.Uint16(body[2:])
	l.Index = int(binary.NativeEndian.Uint32(body[4:]))
	l.Flags = binary.NativeEndian.Uint32(body[8:])
	attributes(body[unix.SizeofIfInfomsg:], func(kind uint16, value []byte) {
		switch kind {
		case unix.IFLA_IFNAME:
			l.Name = string(value[:max(0, len(value)-1)])
		case unix.IFLA_ADDRESS:
			copy(l.MAC[:], value)
		case unix.IFLA_IFALIAS:
			l.Alias = string(bytes.TrimRight(value, "\x00"))
		}
	})
	return l
}

// noStatistics keeps the kernel from adding counters to each reply.
var noStatistics = binary.NativeEndian.AppendUint32(nil, 1<<3) // RTEXT_FILTER_SKIP_STATS

// Find looks for an interface by its name. Call it inside Converse, as all below.
func (k *Kernel) Find(name string) (l Link, err error) {
	m := message(unix.RTM_GETLINK, unix.NLM_F_ACK, make([]byte, unix.SizeofIfInfomsg))
	m = attribute(m, unix.IFLA_EXT_MASK, noStatistics)
	m = attribute(m, unix.IFLA_IFNAME, append([]byte(name), 0))
	err = k.ask(m, func(body []byte) { l = parseLink(body) })
	l.Netns = k.netns
	if errors.Is(err, unix.ENODEV) {
		return l, ErrNoLink
	}
	return l, err
}

// Links lists all interfaces.
func (k *Kernel) Links() (all []Link, err error) {
	m := message(unix.RTM_GETLINK, unix.NLM_F_DUMP, make([]byte, unix.SizeofIfInfomsg))
	m = attribute(m, unix.IFLA_EXT_MASK, noStatistics)
	err = k.dump(m, func() { all = nil }, func(body []byte) { all = append(all, parseLink(body)) })
	return all, err
}

// AddMacvlan makes an interface with a MAC of its own over parent; an empty mac is a random one.
func (k *Kernel) AddMacvlan(name string, parent int, mac []byte) error {
	const mode, bridge = 1, 4 // IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE: siblings hear each other
	m := newLink(name, mac)
	m = attribute(m, unix.IFLA_LINK, number(parent))
	return k.ask(kindOf(m, "macvlan", attribute(nil, mode, number(bridge))), nil)
}

// AddVeth makes a pair of interfaces. The first is up and plugged into bridge; the peer
// has the mac, or a random one.
func (k *Kernel) AddVeth(name, peer string, bridge int, mac []byte) error {
	const vethPeer = 1 // VETH_INFO_PEER
	other := append(make([]byte, unix.SizeofIfInfomsg), attribute(nil, unix.IFLA_IFNAME, append([]byte(peer), 0))...)
	if len(mac) > 0 {
		other = attribute(other, unix.IFLA_ADDRESS, mac)
	}
	m := newLink(name, nil)
	switchOn(m[unix.NLMSG_HDRLEN:])
	m = attribute(m, unix.IFLA_MASTER, number(bridge))
	return k.ask(kindOf(m, "veth", attribute(nil, vethPeer, other)), nil)
}

func newLink(name string, mac []byte) []byte {
	m := message(unix.RTM_NEWLINK, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, make([]byte, unix.SizeofIfInfomsg))
	m = attribute(m, unix.IFLA_IFNAME, append([]byte(name), 0))
	if len(mac) > 0 {
		m = attribute(m, unix.IFLA_ADDRESS, mac)
	}
	return m
}

func kindOf(m []byte, kind string, details []byte) []byte {
	about := attribute(nil, unix.IFLA_INFO_KIND, append([]byte(kind), 0))
	return attribute(m, unix.IFLA_LINKINFO|unix.NLA_F_NESTED, attribute(about, unix.IFLA_INFO_DATA|unix.NLA_F_NESTED, details))
}

func number(n int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(n)) }

func switchOn(fixed []byte) {
	binary.NativeEndian.PutUint32(fixed[8:], unix.IFF_UP)
	binary.NativeEndian.PutUint32(fixed[12:], unix.IFF_UP) // the flags to change
}

func change(kind uint16, index int) []byte {
	fixed := make([]byte, unix.SizeofIfInfomsg)
	binary.NativeEndian.PutUint32(fixed[4:], uint32(index))
	return message(kind, unix.NLM_F_ACK, fixed)
}

// SetAlias writes a text to an interface that stays with it, also in another namespace.
func (k *Kernel) SetAlias(index int, alias string) error {
	return k.ask(attribute(change(unix.RTM_SETLINK, index), unix.IFLA_IFALIAS, []byte(alias)), nil)
}

// SetUp switches an interface on.
func (k *Kernel) SetUp(index int) error {
	m := change(unix.RTM_SETLINK, index)
	switchOn(m[unix.NLMSG_HDRLEN:])
	return k.ask(m, nil)
}

// MoveLink moves an interface into the namespace at path, where it has another name.
func (k *Kernel) MoveLink(index int, path, name string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open the network namespace %s: %w", path, err)
	}
	defer unix.Close(fd)
	m := attribute(change(unix.RTM_NEWLINK, index), unix.IFLA_NET_NS_FD, number(fd))
	return k.ask(attribute(m, unix.IFLA_IFNAME, append([]byte(name), 0)), nil)
}

// RemoveLink removes an interface, a pair of which it is an end too. What is not there is not missed.
func (k *Kernel) RemoveLink(index int) error {
	err := k.ask(change(unix.RTM_DELLINK, index), nil)
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
