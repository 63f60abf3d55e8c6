package rtnl

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// addressProtocol is IFA_PROTO, which x/sys does not have.
const addressProtocol = 11

// Address is one address of an interface.
type Address struct {
	Index    int
	Prefix   netip.Prefix
	Flags    uint32 // IFA_F_*
	Born     uint32 // in hundredths of a second since the host came up
	Protocol byte   // who made it: Ours, or another's number; 0: nobody says
	Body     []byte // of its message, good until the callback returns
}

// ParseAddress reads the message of an address.
func ParseAddress(body []byte) (e Address) {
	if len(body) < unix.SizeofIfAddrmsg {
		return e
	}
	e.Flags = uint32(body[2])
	e.Index = int(binary.NativeEndian.Uint32(body[4:]))
	e.Body = body
	var local, address netip.Addr
	attributes(body[unix.SizeofIfAddrmsg:], func(kind uint16, value []byte) {
		switch kind {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(value)
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(value) // the peer's, where there is a local one beside it
		case unix.IFA_CACHEINFO:
			if len(value) >= 12 {
				e.Born = binary.NativeEndian.Uint32(value[8:])
			}
		case addressProtocol:
			if len(value) == 1 {
				e.Protocol = value[0]
			}
		case unix.IFA_FLAGS:
			if len(value) == 4 {
				e.Flags = binary.NativeEndian.Uint32(value)
			}
		}
	})
	if !local.IsValid() {
		local = address
	}
	e.Prefix = netip.PrefixFrom(local, int(body[1]))
	return e
}

// Addresses gives each address of a family, on one interface or (0) on all.
func (k *Kernel) Addresses(index int, v4 bool, begin func(), each func(Address)) error {
	fixed := make([]byte, unix.SizeofIfAddrmsg)
	fixed[0] = family(v4)
	binary.NativeEndian.PutUint32(fixed[4:], uint32(index))
	return k.dump(message(unix.RTM_GETADDR, unix.NLM_F_DUMP, fixed), begin, func(body []byte) {
		if e := ParseAddress(body); (index == 0 || e.Index == index) && e.Prefix.IsValid() {
			each(e)
		}
	})
}

// KeepsMarks tells whether the kernel remembers who made an address: since 5.18. An older
// one takes the number and forgets it.
func KeepsMarks() bool {
	var u unix.Utsname
	var major, minor int
	if unix.Uname(&u) != nil {
		return false
	}
	n, _ := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	return n == 2 && (major > 5 || major == 5 && minor >= 18)
}

// AddAddress adds an address, marked as Ours; one that is there is EEXIST. The label, for
// IPv4, may be empty.
func (k *Kernel) AddAddress(index int, p netip.Prefix, label string, flags uint32) error {
	m := message(unix.RTM_NEWADDR, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, fixedPart(index, p))
	m = attribute(m, unix.IFA_LOCAL, p.Addr().AsSlice())
	m = attribute(m, unix.IFA_ADDRESS, p.Addr().AsSlice())
	if p.Addr().Is4() && p.Bits() < 31 && !p.Addr().IsLoopback() {
		m = attribute(m, unix.IFA_BROADCAST, Broadcast(p).AsSlice())
	}
	if label != "" {
		m = attribute(m, unix.IFA_LABEL, append([]byte(label), 0))
	}
	m = attribute(m, addressProtocol, []byte{Ours})
	if flags != 0 {
		m = attribute(m, unix.IFA_FLAGS, binary.NativeEndian.AppendUint32(nil, flags))
	}
	return k.ask(m, nil)
}

// RestoreAddress adds an address again as its message described it.
func (k *Kernel) RestoreAddress(body []byte) error {
	return k.ask(message(unix.RTM_NEWADDR, unix.NLM_F_ACK|unix.NLM_F_CREATE, body), nil)
}

// RemoveAddress removes an address with its prefix length.
func (k *Kernel) RemoveAddress(index int, p netip.Prefix) error {
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

// Broadcast is the last address of an IPv4 network.
func Broadcast(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}
