package ip

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// announce tells the neighbours where the address is, now and by a timer again and
// again: a switch port that is just waking up swallows the first frames. The timer
// holds no goroutine, and Stop ends it.
func (d *driver) announce(l *link) error {
	d.mu.Lock()
	d.sequence++
	mine := d.sequence
	if d.pending != nil {
		d.pending.Stop()
	}
	d.mu.Unlock()
	err := tell(l, d.want.Addr())
	d.later(mine, 1)
	return err
}

// later plans announcement number told+1, or the next refresh.
func (d *driver) later(mine, told int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sequence != mine {
		return
	}
	d.pending = nil
	wait := time.Duration(told) * time.Second // at 1 s, 3 s, 6 s, …
	switch {
	case told < d.config.Announce:
	case d.config.Refresh > 0:
		wait = d.config.Refresh
	default:
		return
	}
	d.pending = time.AfterFunc(wait, func() { d.again(mine, told) })
}

// again announces if the address is still ours to announce.
func (d *driver) again(mine, told int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c := d.current()
	s, err := d.look(ctx, c.Interface)
	d.mu.Lock()
	ended := d.sequence != mine
	d.mu.Unlock()
	if ended {
		return
	}
	if err == nil && s.there && s.link.carrier() && s.link.neighbours() {
		// A lost announcement is what the next one is for.
		_ = tell(&s.link, d.want.Addr())
	}
	d.later(mine, told+1)
}

// silence ends the announcements.
func (d *driver) silence() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sequence++
	if d.pending != nil {
		d.pending.Stop()
		d.pending = nil
	}
}

// tell sends one round: for IPv4 as a request and as a reply, since some stacks heed
// only one of them; for IPv6 an advertisement that overrides what is cached.
func tell(l *link, a netip.Addr) error {
	var frames [][]byte
	if a.Is4() {
		frames = [][]byte{arp(arpRequest, l.mac, a, [6]byte{}, a), arp(arpReply, l.mac, a, l.mac, a)}
	} else {
		const override, router = 0x20, 0x80
		flags := byte(override)
		if f, err := os.ReadFile("/proc/sys/net/ipv6/conf/" + l.name + "/forwarding"); err == nil && bytes.HasPrefix(f, []byte("1")) {
			flags |= router // left out, the neighbours would drop us from their routers
		}
		everybody := netip.IPv6LinkLocalAllNodes()
		option := append([]byte{2, 1}, l.mac[:]...) // target link-layer address, 8 octets
		frames = [][]byte{neighbour(advertisement, l.mac, a, everybody, a, flags, option)}
	}
	socket, err := wire(l, unix.ETH_P_ALL, netip.Addr{})
	if err != nil {
		return err
	}
	defer socket.Close()
	for _, f := range frames {
		if _, err := socket.Write(f); err != nil {
			return fmt.Errorf("cannot send on %s: %w", l.name, err)
		}
	}
	return nil
}
