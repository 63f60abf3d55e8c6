package ip

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds how long a conflict is waited for when the caller sets no deadline.
const patience = 30 * time.Second

// take asks the network for other holders, waits for them to let go, and adds the
// address.
func (d *driver) take(ctx context.Context, c Config, s sight) error {
	began := time.Now()
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = began.Add(patience)
	}
	pause := 100 * time.Millisecond
	last := ""
	for tries := 1; ; tries++ {
		asked := time.Now()
		holder, conflict, err := d.tryOnce(ctx, c, &s.link)
		switch {
		case err != nil && ctx.Err() != nil && last != "":
			return fmt.Errorf("%s had it when asked last: %w (is the service still up on another host?)", last, err)
		case err != nil || !conflict:
			return err
		}
		last = holder
		// A random part keeps two hosts that want the same address from asking in step for ever.
		wait := pause + rand.N(pause)
		if time.Now().Add(wait + time.Since(asked)).After(deadline) {
			return fmt.Errorf("%s has it, after asking %d times in %s (is the service still up on another host?)",
				holder, tries, time.Since(began).Round(time.Millisecond))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%s has it: %w", holder, ctx.Err())
		}
		pause = min(2*pause, time.Second)
	}
}

// tryOnce names the host that has the address, or adds it.
func (d *driver) tryOnce(ctx context.Context, c Config, l *link) (holder string, conflict bool, err error) {
	kernelAsks := c.Probe == "rfc" && d.want.Addr().Is6()
	if c.Probe != "none" && l.neighbours() && !kernelAsks {
		timing := fastTiming
		if c.Probe == "rfc" {
			timing = rfcTiming
		}
		mac, found, err := probe(ctx, l, d.want.Addr(), timing())
		if err != nil || found {
			return "the host with MAC " + net.HardwareAddr(mac[:]).String(), found, err
		}
	}
	duplicate, err := d.put(ctx, c, l)
	if err != nil || !duplicate {
		return "", false, err
	}
	// The kernel says that there is another, not who.
	if mac, found, err := probe(ctx, l, d.want.Addr(), fastTiming()); err == nil && found {
		return "the host with MAC " + net.HardwareAddr(mac[:]).String(), true, nil
	}
	return "another host", true, nil
}

// Each timing is a wait before the first probe, and the waits after each.

func fastTiming() []time.Duration {
	return []time.Duration{0, 20 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond}
}

// rfcTiming has the constants of RFC 5227, section 1.1.
func rfcTiming() []time.Duration {
	apart := func() time.Duration { return time.Second + rand.N(time.Second) }
	return []time.Duration{rand.N(time.Second), apart(), apart(), 2 * time.Second}
}

// probe asks who has an address, without saying that we want it, and returns the
// MAC of the first host that answers, or that asks the same.
func probe(ctx context.Context, l *link, a netip.Addr, timing []time.Duration) (mac [6]byte, found bool, err error) {
	protocol, question := uint16(unix.ETH_P_ARP), []byte(nil)
	if a.Is4() {
		question = arp(arpRequest, l.mac, netip.IPv4Unspecified(), [6]byte{}, a)
	} else {
		protocol = unix.ETH_P_IPV6
		question = neighbour(solicitation, l.mac, netip.IPv6Unspecified(), solicitedNode(a), a, 0, nil)
	}
	socket, err := wire(l, protocol, a)
	if err != nil {
		return mac, false, err
	}
	defer socket.Close()
	for i, wait := range timing {
		if i > 0 {
			if err := send(socket, question); err != nil {
				return mac, false, err
			}
		}
		if mac, found, err = hear(ctx, socket, a, l.mac, wait); found || err != nil {
			return mac, found, err
		}
	}
	return mac, false, nil
}

// hear listens for a claim of the address for a while.
func hear(ctx context.Context, socket *os.File, a netip.Addr, own [6]byte, wait time.Duration) (mac [6]byte, found bool, err error) {
	if err := socket.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return mac, false, err
	}
	defer context.AfterFunc(ctx, func() { socket.SetReadDeadline(time.Unix(1, 0)) })()
	frame := make([]byte, 256)
	for {
		n, err := socket.Read(frame)
		switch {
		case ctx.Err() != nil:
			return mac, false, fmt.Errorf("the network was not asked to the end: %w", ctx.Err())
		case errors.Is(err, os.ErrDeadlineExceeded):
			return heard(socket, a, own)
		case err != nil:
			return mac, false, fmt.Errorf("cannot listen: %w", err)
		}
		if mac, yes := claim(frame[:n], a, own); yes {
			return mac, true, nil
		}
	}
}

// heard looks through what came in by now. A busy machine may let us run only after
// the wait is over: an answer that is there counts, whoever was late.
func heard(socket *os.File, a netip.Addr, own [6]byte) (mac [6]byte, found bool, err error) {
	if err := socket.SetReadDeadline(time.Time{}); err != nil {
		return mac, false, err
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return mac, false, err
	}
	frame := make([]byte, 256)
	err = raw.Read(func(fd uintptr) bool {
		for range maxHeard {
			n, err := unix.Read(int(fd), frame)
			if err != nil || n <= 0 {
				break // nothing more to read
			}
			if mac, found = claim(frame[:n], a, own); found {
				break
			}
		}
		return true
	})
	return mac, found, err
}

const maxHeard = 1000 // frames
