package ip

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/internal/rtnl"
)

// announce tells the neighbours where the address is, now and by a timer again and
// again: a switch port that is just waking up swallows the first frames. The timer
// holds no goroutine; it ends by itself, by the address's absence, or by Stop.
func (d *driver) announce(l *rtnl.Link) error {
	d.telling.Lock()
	defer d.telling.Unlock()
	err := tell(l, d.want.Addr())
	if errors.Is(err, unix.ENOBUFS) {
		err = nil // a full queue loses one announcement, and that is what the next is for
	}
	d.plan(d.begin(), 1)
	return err
}

// announceAgain starts another series without waiting for it.
func (d *driver) announceAgain() {
	mine := d.begin()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sequence == mine {
		d.pending = time.AfterFunc(0, func() { d.next(mine, 0) })
	}
}

// begin ends the series of announcements before, and returns the number of the next.
func (d *driver) begin() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sequence++
	if d.pending != nil {
		d.pending.Stop()
		d.pending = nil
	}
	return d.sequence
}

// plan sets the time of the announcement behind those that were told.
func (d *driver) plan(mine, told int) {
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
	d.pending = time.AfterFunc(wait, func() { d.next(mine, told) })
}

// next announces if the address is still there.
func (d *driver) next(mine, told int) {
	d.telling.Lock()
	defer d.telling.Unlock()
	d.mu.Lock()
	ended, name := d.sequence != mine, d.config.where()
	d.mu.Unlock()
	if ended {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s, err := d.look(ctx, name)
	if err == nil && !s.there {
		return
	}
	if err == nil && s.link.Carrier() && s.link.Neighbours() {
		// A lost announcement is what the next one is for.
		_ = tell(&s.link, d.want.Addr())
	}
	d.plan(mine, told+1)
}

// tell sends one round: for IPv4 as a request and as a reply, since some stacks heed
// only one of them; for IPv6 an advertisement that overrides what is cached.
func tell(l *rtnl.Link, a netip.Addr) error {
	var frames [][]byte
	if a.Is4() {
		frames = [][]byte{arp(arpRequest, l.MAC, a, [6]byte{}, a), arp(arpReply, l.MAC, a, l.MAC, a)}
	} else {
		const override, router = 0x20, 0x80
		flags := byte(override)
		var f []byte
		err := netns.Do(l.Netns, func() (err error) {
			f, err = os.ReadFile("/proc/sys/net/ipv6/conf/" + l.Name + "/forwarding")
			return err
		})
		if err == nil && bytes.HasPrefix(f, []byte("1")) {
			flags |= router // left out, the neighbours would drop us from their routers
		}
		everybody := netip.IPv6LinkLocalAllNodes()
		option := append([]byte{2, 1}, l.MAC[:]...) // target link-layer address, 8 octets
		frames = [][]byte{neighbour(advertisement, l.MAC, a, everybody, a, flags, option)}
	}
	socket, err := wire(l, unix.ETH_P_ALL, netip.Addr{})
	if err != nil {
		return err
	}
	defer socket.Close()
	for _, f := range frames {
		if err := send(socket, f); err != nil {
			return err
		}
	}
	return nil
}
