package rtnl

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Route is one route. Invalid addresses and zeros are what it has not.
type Route struct {
	Destination netip.Prefix // the default route has length 0
	Gateway     netip.Addr
	Source      netip.Addr
	Index       int // of the interface that it leaves by
	Metric      uint32
	Table       uint32
	Type        byte // RTN_*
	Protocol    byte // RTPROT_*: who made it
	Several     bool // it has more next hops than one; Gateway and Index are empty
}

// Ours is the protocol number of the routes and addresses that svcctl makes, as
// "ip route" and "ip address" show it.
const Ours = 83

// ParseRoute reads the message of a route; false where it is none that a table holds.
func ParseRoute(body []byte) (r Route, ok bool) {
	if len(body) < unix.SizeofRtMsg || binary.NativeEndian.Uint32(body[8:])&unix.RTM_F_CLONED != 0 {
		return r, false
	}
	none := netip.IPv4Unspecified()
	switch body[0] {
	case unix.AF_INET:
	case unix.AF_INET6:
		none = netip.IPv6Unspecified()
	default:
		return r, false
	}
	r.Table, r.Protocol, r.Type = uint32(body[4]), body[5], body[7]
	destination := none
	attributes(body[unix.SizeofRtMsg:], func(kind uint16, value []byte) {
		switch kind {
		case unix.RTA_DST:
			destination, _ = netip.AddrFromSlice(value)
		case unix.RTA_GATEWAY:
			r.Gateway, _ = netip.AddrFromSlice(value)
		case unix.RTA_VIA: // a gateway of the other family: its first two bytes name it
			r.Gateway, _ = netip.AddrFromSlice(value[min(2, len(value)):])
		case unix.RTA_PREFSRC:
			r.Source, _ = netip.AddrFromSlice(value)
		case unix.RTA_MULTIPATH:
			r.Several = true
		case unix.RTA_OIF, unix.RTA_PRIORITY, unix.RTA_TABLE:
			if len(value) != 4 {
				return
			}
			switch n := binary.NativeEndian.Uint32(value); kind {
			case unix.RTA_OIF:
				r.Index = int(n)
			case unix.RTA_PRIORITY:
				r.Metric = n
			case unix.RTA_TABLE:
				r.Table = n
			}
		}
	})
	r.Destination = netip.PrefixFrom(destination, int(body[1]))
	return r, r.Destination.IsValid()
}

// Routes gives each route of a family in a table.
func (k *Kernel) Routes(v4 bool, table uint32, begin func(), each func(Route)) error {
	fixed := make([]byte, unix.SizeofRtMsg)
	fixed[0] = family(v4)
	m := attribute(message(unix.RTM_GETROUTE, unix.NLM_F_DUMP, fixed), unix.RTA_TABLE, number(int(table)))
	err := k.dump(m, begin, func(body []byte) {
		if r, ok := ParseRoute(body); ok && r.Table == table && r.Destination.Addr().Is4() == v4 {
			each(r)
		}
	})
	if errors.Is(err, unix.ENOENT) {
		return nil // a table without routes is none
	}
	return err
}

// AddRoute adds a route; one with the same destination and metric in the table is EEXIST.
func (k *Kernel) AddRoute(r Route) error {
	scope := byte(unix.RT_SCOPE_UNIVERSE)
	if r.Destination.Addr().Is4() && r.Type == unix.RTN_UNICAST && !r.Gateway.IsValid() {
		scope = unix.RT_SCOPE_LINK
	}
	return k.ask(r.message(unix.RTM_NEWROUTE, unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, scope), nil)
}

// RemoveRoute removes the route that has all that r has; ESRCH where there is none.
func (k *Kernel) RemoveRoute(r Route) error {
	return k.ask(r.message(unix.RTM_DELROUTE, unix.NLM_F_ACK, unix.RT_SCOPE_NOWHERE), nil)
}

func (r *Route) message(kind, flags uint16, scope byte) []byte {
	fixed := make([]byte, unix.SizeofRtMsg)
	fixed[0], fixed[1] = family(r.Destination.Addr().Is4()), byte(r.Destination.Bits())
	fixed[5], fixed[6], fixed[7] = r.Protocol, scope, r.Type
	m := message(kind, flags, fixed)
	m = attribute(m, unix.RTA_TABLE, number(int(r.Table)))
	if r.Destination.Bits() > 0 {
		m = attribute(m, unix.RTA_DST, r.Destination.Addr().AsSlice())
	}
	if r.Gateway.IsValid() {
		m = attribute(m, unix.RTA_GATEWAY, r.Gateway.AsSlice())
	}
	if r.Source.IsValid() {
		m = attribute(m, unix.RTA_PREFSRC, r.Source.AsSlice())
	}
	if r.Index != 0 {
		m = attribute(m, unix.RTA_OIF, number(r.Index))
	}
	if r.Metric != 0 {
		m = attribute(m, unix.RTA_PRIORITY, number(int(r.Metric)))
	}
	return m
}

// RoutesTo lists the routes that r would meet: those with its destination and metric
// in its table.
func (k *Kernel) RoutesTo(r Route) (met []Route, err error) {
	want := r.metric()
	err = k.Routes(r.Destination.Addr().Is4(), r.Table, func() { met = nil }, func(other Route) {
		if other.Destination == r.Destination && other.Metric == want {
			met = append(met, other)
		}
	})
	return met, err
}

// metric is how the kernel keeps it: an IPv6 route without one gets 1024.
func (r *Route) metric() uint32 {
	if r.Metric == 0 && r.Destination.Addr().Is6() {
		return 1024
	}
	return r.Metric
}

// Means tells whether a route of the kernel is what r asks for. What r leaves open
// may be anything.
func (r *Route) Means(other Route) bool {
	hop := r.Type != unix.RTN_UNICAST || // where nothing is sent, IPv6 names lo all the same
		r.Gateway == other.Gateway && (r.Index == 0 || r.Index == other.Index) && !other.Several
	return r.Destination == other.Destination && r.Table == other.Table && r.metric() == other.metric() &&
		r.Type == other.Type && hop && (!r.Source.IsValid() || r.Source == other.Source)
}
