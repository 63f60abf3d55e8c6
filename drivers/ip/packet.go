package ip

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/internal/rtnl"
)

var everyone = [6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ethernet starts a frame.
func ethernet(to, from [6]byte, kind uint16) []byte {
	f := make([]byte, 0, 86)
	f = append(f, to[:]...)
	f = append(f, from[:]...)
	return binary.BigEndian.AppendUint16(f, kind)
}

const (
	arpRequest = 1
	arpReply   = 2
)

// arp builds a packet of RFC 826, to every host of the link.
func arp(operation uint16, mac [6]byte, sender netip.Addr, targetMAC [6]byte, target netip.Addr) []byte {
	f := ethernet(everyone, mac, unix.ETH_P_ARP)
	f = append(f, 0, 1, 8, 0, 6, 4)
	f = binary.BigEndian.AppendUint16(f, operation)
	f = append(f, mac[:]...)
	f = append(f, sender.AsSlice()...)
	f = append(f, targetMAC[:]...)
	return append(f, target.AsSlice()...)
}

// solicitedNode is the multicast group of those who might have an address (RFC 4291, 2.7.1).
func solicitedNode(a netip.Addr) netip.Addr {
	b := a.As16()
	return netip.AddrFrom16([16]byte{0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, b[13], b[14], b[15]})
}

func groupMAC(group netip.Addr) [6]byte {
	b := group.As16()
	return [6]byte{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

const (
	solicitation  = 135
	advertisement = 136
)

// neighbour builds a message of RFC 4861 to a multicast group.
func neighbour(kind byte, mac [6]byte, from, to, target netip.Addr, flags byte, option []byte) []byte {
	icmp := []byte{kind, 0, 0, 0, flags, 0, 0, 0}
	icmp = append(icmp, target.AsSlice()...)
	icmp = append(icmp, option...)
	binary.BigEndian.PutUint16(icmp[2:], checksum(from, to, icmp))
	f := ethernet(groupMAC(to), mac, unix.ETH_P_IPV6)
	f = append(f, 0x60, 0, 0, 0)
	f = binary.BigEndian.AppendUint16(f, uint16(len(icmp)))
	f = append(f, unix.IPPROTO_ICMPV6, 255) // a neighbour's message that was routed has less, and is refused
	f = append(f, from.AsSlice()...)
	f = append(f, to.AsSlice()...)
	return append(f, icmp...)
}

func checksum(from, to netip.Addr, icmp []byte) uint16 {
	pseudo := append(from.AsSlice(), to.AsSlice()...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(icmp)))
	pseudo = append(pseudo, 0, 0, 0, unix.IPPROTO_ICMPV6)
	sum := uint32(0)
	for b := append(pseudo, icmp...); len(b) >= 2; b = b[2:] { // both have an even length
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// claim says who, by this frame, has the address or is about to take it.
func claim(frame []byte, a netip.Addr, own [6]byte) (mac [6]byte, yes bool) {
	if len(frame) < 14 {
		return mac, false
	}
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_ARP:
		p := frame[14:]
		if !a.Is4() || len(p) < 28 || p[4] != 6 || p[5] != 4 {
			return mac, false
		}
		mac = [6]byte(p[8:14])
		sender, target := netip.AddrFrom4([4]byte(p[14:18])), netip.AddrFrom4([4]byte(p[24:28]))
		probe := binary.BigEndian.Uint16(p[6:]) == arpRequest && sender.IsUnspecified() && target == a
		return mac, mac != own && (sender == a || probe)
	case unix.ETH_P_IPV6:
		p := frame[14:]
		if !a.Is6() || len(p) < 64 || p[6] != unix.IPPROTO_ICMPV6 || p[7] != 255 || netip.AddrFrom16([16]byte(p[48:64])) != a {
			return mac, false
		}
		mac = [6]byte(frame[6:12])
		probe := p[40] == solicitation && netip.AddrFrom16([16]byte(p[8:24])).IsUnspecified()
		return mac, mac != own && (p[40] == advertisement || probe)
	}
	return mac, false
}

// neighboursOnly lets through what claim understands, so that a busy link does
// not fill the socket's queue.
var neighboursOnly = []bpf.Instruction{
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.ETH_P_ARP, SkipTrue: 5},
	bpf.LoadAbsolute{Off: 20, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.IPPROTO_ICMPV6, SkipTrue: 4},
	bpf.LoadAbsolute{Off: 54, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: solicitation, SkipTrue: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: advertisement, SkipTrue: 1},
	bpf.RetConstant{Val: 256},
	bpf.RetConstant{Val: 0},
}

// wire opens a socket for the frames of one protocol on a link. The caller closes it.
func wire(l *rtnl.Link, protocol uint16, listen netip.Addr) (*os.File, error) {
	fd, err := netns.Socket(l.Netns, unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot open a packet socket: %w (it needs the capability NET_RAW)", err)
	}
	f := os.NewFile(uintptr(fd), "packets on "+l.Name)
	if listen.IsValid() {
		if err := filter(fd); err != nil {
			f.Close()
			return nil, err
		}
		if listen.Is6() {
			mac := groupMAC(solicitedNode(listen))
			r := unix.PacketMreq{Ifindex: int32(l.Index), Type: unix.PACKET_MR_MULTICAST, Alen: 6}
			copy(r.Address[:], mac[:])
			if err := unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &r); err != nil {
				f.Close()
				return nil, fmt.Errorf("cannot listen to %s: %w", net.HardwareAddr(mac[:]), err)
			}
		}
	} else {
		protocol = 0 // only sends: nothing is queued
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: l.Index}); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot open a packet socket on %s: %w", l.Name, err)
	}
	return f, nil
}

// send is bounded: a link whose queue stays full drops the frame.
func send(socket *os.File, frame []byte) error {
	if err := socket.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		return err
	}
	if _, err := socket.Write(frame); err != nil {
		return fmt.Errorf("cannot send: %w (is the interface up?)", err)
	}
	return nil
}

func filter(fd int) error {
	code, err := bpf.Assemble(neighboursOnly)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	program := make([]unix.SockFilter, len(code))
	for i, c := range code {
		program[i] = unix.SockFilter{Code: c.Op, Jt: c.Jt, Jf: c.Jf, K: c.K}
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}); err != nil {
		return fmt.Errorf("cannot filter packets: %w", err)
	}
	return nil
}
