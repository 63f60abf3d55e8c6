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

	"github.com/svcctl/svcctl/internal/rtnl"
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
func (d *driver) tryOnce(ctx context.Context, c Config, l *rtnl.Link) (holder string, conflict bool, err error) {
	kernelAsks := c.Probe == "rfc" && d.want.Addr().Is6()
	if c.Probe != "none" && l.Neighbours() && !kernelAsks {
		mac, found, err := d.question(ctx, c, l)
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

// question probes once the link sends, and again where it failed meanwhile.
func (d *driver) question(ctx context.Context, c Config, l *rtnl.Link) (mac [6]byte, found bool, err error) {
	for try := 1; ; try++ {
		fresh, err := d.settled(ctx, c)
		if err != nil {
			return mac, false, err
		}
		timing := fastTiming
		switch {
		case c.Probe == "rfc":
			timing = rfcTiming
		case fresh:
			timing = freshTiming
		}
		mac, found, err = probe(ctx, l, d.want.Addr(), timing())
		lost := errors.Is(err, unix.ENETDOWN) || errors.Is(err, unix.ENOBUFS)
		if !lost || try == maxLost {
			return mac, found, err
		}
	}
}

const (
	maxLost = 3               // probes that the link lost on their way
	young   = 2 * time.Second // a link is fresh for so long: RFC 4862 lets hosts join their groups a second late
)

// settled waits, as long as a link is fresh at most, until frames are sent. A link
// that has only just come up is fresh: switches and hosts on it may not hear yet.
func (d *driver) settled(ctx context.Context, c Config) (fresh bool, err error) {
	tick := time.NewTicker(10 * time.Millisecond) // the kernel needs some milliseconds: events would save nothing
	defer tick.Stop()
	limit := time.NewTimer(young)
	defer limit.Stop()
	for waited := false; ; waited = true {
		now, new, err := d.age(ctx, c.where())
		switch {
		case err != nil:
			return false, err
		case !now.Up() || !now.Carrier():
			return false, fmt.Errorf("%s went down while the network was asked (bring it up, or see to its cable)", c.where())
		case now.Running():
			return waited || new, nil
		}
		select {
		case <-tick.C:
		case <-limit.C:
			return true, nil // what waits for its 802.1X may still carry some frames
		case <-ctx.Done():
			return false, fmt.Errorf("%s does not send yet: %w", c.where(), ctx.Err())
		}
	}
}

// age looks at a link again. The kernel keeps no time of its coming up, but makes the
// link-local address then, and asks for that on each new carrier.
func (d *driver) age(ctx context.Context, name string) (rtnl.Link, bool, error) {
	type answer struct {
		rtnl.Link
		fresh bool
	}
	a := new(answer) // where ctx ends, the question may still write to it
	var since unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &since); err != nil {
		return rtnl.Link{}, false, err
	}
	oldest := since.Nano()/1e7 - int64(young/(10*time.Millisecond))
	err := d.kernel.Converse(ctx, func() (err error) {
		if a.Link, err = d.kernel.Find(name); err != nil {
			return err
		}
		// A host without IPv6 answers with an error, and has no such sign.
		_ = d.kernel.Addresses(a.Index, false, func() { a.fresh = false }, func(e rtnl.Address) {
			local := e.Prefix.Addr().Is6() && e.Prefix.Addr().IsLinkLocalUnicast() && e.Flags&unix.IFA_F_DADFAILED == 0
			a.fresh = a.fresh || local && (e.Flags&unix.IFA_F_TENTATIVE != 0 || int64(e.Born) > oldest)
		})
		return nil
	})
	if err != nil {
		return rtnl.Link{}, false, fmt.Errorf("cannot see whether %s sends: %w", name, err)
	}
	return a.Link, a.fresh, nil
}

// Each timing is a wait before the first probe, and the waits after each.

func fastTiming() []time.Duration {
	return []time.Duration{0, 20 * time.Millisecond, 20 * time.Millisecond, 20 * time.Millisecond}
}

// freshTiming asks for as long as hosts and switches may need to hear.
func freshTiming() []time.Duration {
	const ms = time.Millisecond
	return []time.Duration{0, 20 * ms, 20 * ms, 60 * ms, 100 * ms, 200 * ms, 300 * ms, 300 * ms, 200 * ms}
}

// rfcTiming has the constants of RFC 5227, section 1.1.
func rfcTiming() []time.Duration {
	apart := func() time.Duration { return time.Second + rand.N(time.Second) }
	return []time.Duration{rand.N(time.Second), apart(), apart(), 2 * time.Second}
}

// probe asks who has an address, without saying that we want it, and returns the
// MAC of the first host that answers, or that asks the same.
func probe(ctx context.Context, l *rtnl.Link, a netip.Addr, timing []time.Duration) (mac [6]byte, found bool, err error) {
	protocol, question := uint16(unix.ETH_P_ARP), []byte(nil)
	if a.Is4() {
		question = arp(arpRequest, l.MAC, netip.IPv4Unspecified(), [6]byte{}, a)
	} else {
		protocol = unix.ETH_P_IPV6
		question = neighbour(solicitation, l.MAC, netip.IPv6Unspecified(), solicitedNode(a), a, 0, nil)
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
		if mac, found, err = hear(ctx, socket, a, l.MAC, wait); found || err != nil {
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
