// Package ip puts an address on a network interface, once no other host answers for it, and tells the neighbours.
package ip

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

// example is the one on the kind's page of the manual.
//
//go:embed example.hcl
var example string

// Register adds the kind to r. The resources that r opens share one netlink socket
// for requests and, while any of them is watched, one for events.
//
// The level is reset: today nothing but this process takes an address away, so a
// node that lost its right to it must be fenced. It becomes kernel with the guard's
// nftables deadline.
func Register(r *drivers.Registry) {
	k := newKernel()
	e := &events{}
	drivers.DefineKind(r, "ip", "An address on a network interface. The network is asked first whether another host has it, and the neighbours are told once it is there.",
		func(_ drivers.Opening, c *Config) (drivers.Driver, error) { return open(k, e, c) },
		drivers.WithLevel(spec.LevelReset), drivers.Transparent, drivers.WithExample(example))
}

type driver struct {
	kernel *kernel
	events *events
	want   netip.Prefix

	telling sync.Mutex // held while an announcement is sent; taken before mu

	mu       sync.Mutex // guards what follows
	config   Config
	pending  *time.Timer // the next announcement; nil: none
	sequence int         // of announcements: a timer of an older one does nothing
}

func open(k *kernel, e *events, c *Config) (*driver, error) {
	p, err := netip.ParsePrefix(c.Address)
	if err != nil {
		return nil, fmt.Errorf("cannot use %q: it is no address with a prefix length", c.Address)
	}
	return &driver{kernel: k, events: e, want: p, config: *c}, nil
}

func (d *driver) current() Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.config
}

// Update implements drivers.Updater.
func (d *driver) Update(ctx context.Context, config any) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cannot update %s: %w", d.want, err)
	}
	d.mu.Lock()
	d.config = *config.(*Config)
	d.mu.Unlock()
	return nil
}

// sight is what the kernel says of the address and its interface.
type sight struct {
	link   link
	absent bool   // there is no such interface
	there  bool   // the address is on the interface, with its prefix
	flags  uint32 // of the address
	other  int    // its prefix length, if the address is there with another; 0: it is not
}

func (d *driver) look(ctx context.Context, name string) (sight, error) {
	var s sight // no named result: where ctx ends, the question may still write to it
	err := d.kernel.converse(ctx, func() error { return d.see(name, &s) })
	if err != nil {
		return sight{}, fmt.Errorf("cannot see the addresses of %s: %w", name, err)
	}
	return s, nil
}

func (d *driver) see(name string, s *sight) error {
	l, err := d.kernel.link(name)
	if errors.Is(err, errNoLink) {
		s.absent = true
		return nil
	}
	if err != nil {
		return err
	}
	return d.kernel.entries(l.index, d.want.Addr().Is4(), func() { *s = sight{link: l} }, func(e entry) {
		switch {
		case e.addr == d.want:
			s.there, s.flags = true, e.flags
		case e.addr.Addr() == d.want.Addr():
			s.other = e.addr.Bits()
		}
	})
}

// status judges a sight. An address without carrier is Failed, not Up: it answers
// nobody, and whoever depends on it, or could move it elsewhere, must know.
func (d *driver) status(name string, s sight) drivers.Status {
	down := func(state drivers.State, format string, args ...any) drivers.Status {
		return drivers.Status{State: state, Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case s.absent:
		return down(drivers.Down, "there is no interface %s", name)
	case !s.there && s.other != 0:
		return down(drivers.Down, "%s is on %s with prefix length %d, not %d", d.want.Addr(), name, s.other, d.want.Bits())
	case !s.there:
		return down(drivers.Down, "")
	case s.flags&unix.IFA_F_DADFAILED != 0:
		return down(drivers.Failed, "another host on the network of %s has %s", name, d.want.Addr())
	case s.flags&unix.IFA_F_TENTATIVE != 0 && s.flags&unix.IFA_F_OPTIMISTIC == 0 && s.link.carrier():
		return down(drivers.Down, "the kernel is still asking whether another host has %s", d.want.Addr())
	case !s.link.up():
		return down(drivers.Failed, "%s is down", name)
	case !s.link.carrier():
		return down(drivers.Failed, "no carrier on %s", name)
	}
	return drivers.Status{State: drivers.Up}
}

// Status implements drivers.Prober.
func (d *driver) Status(ctx context.Context) (drivers.Status, error) {
	name := d.current().Interface
	s, err := d.look(ctx, name)
	if err != nil {
		return drivers.Status{}, err
	}
	return d.status(name, s), nil
}

// Start implements drivers.Driver. A conflict is waited for, within the budget of
// ctx, since the previous holder may be about to let go.
func (d *driver) Start(ctx context.Context) error {
	c := d.current()
	s, err := d.look(ctx, c.Interface)
	if err != nil {
		return d.failed(c, err)
	}
	if d.status(c.Interface, s).State != drivers.Up {
		if err := d.fit(ctx, c, s); err != nil {
			return d.failed(c, err)
		}
		if s.there { // half done by a call that was cut short, or refused by the network
			if err := d.drop(ctx, s.link.index); err != nil {
				return d.failed(c, err)
			}
		}
		if err := d.take(ctx, c, s); err != nil {
			return d.failed(c, err)
		}
		if s, err = d.look(ctx, c.Interface); err != nil {
			return d.failed(c, err)
		}
		if now := d.status(c.Interface, s); now.State != drivers.Up {
			return d.failed(c, fmt.Errorf("it was added and is not up: %s (is somebody else at work on %s?)", now.Detail, c.Interface))
		}
	}
	// Also an address that was there: whoever put it may not have come to telling.
	if c.Announce > 0 && s.link.neighbours() {
		if err := d.announce(&s.link); err != nil {
			return fmt.Errorf("cannot announce %s on %s: %w", c.Address, c.Interface, err)
		}
	}
	return nil
}

func (d *driver) failed(c Config, err error) error {
	return fmt.Errorf("cannot add %s to %s: %w", c.Address, c.Interface, err)
}

// fit says why the address can't be put there.
func (d *driver) fit(ctx context.Context, c Config, s sight) error {
	if s.absent {
		var all []link
		err := d.kernel.converse(ctx, func() (err error) { all, err = d.kernel.links(); return err })
		if err != nil {
			return errNoLink
		}
		names := make([]string, len(all))
		for i, l := range all {
			names[i] = l.name
		}
		slices.Sort(names)
		if len(names) > 20 {
			names = append(names[:20], "…")
		}
		return fmt.Errorf("%w (there are %s)", errNoLink, strings.Join(names, ", "))
	}
	if !s.link.up() {
		return fmt.Errorf("%s is down (bring it up: ip link set %s up)", c.Interface, c.Interface)
	}
	if !s.link.carrier() {
		return fmt.Errorf("no carrier on %s (is it plugged in, and its other side up?)", c.Interface)
	}
	if s.other != 0 {
		return fmt.Errorf("it is there with another prefix length (correct address, or remove it: ip address del %s/%d dev %s)", d.want.Addr(), s.other, c.Interface)
	}
	elsewhere := entry{}
	name := ""
	err := d.kernel.converse(ctx, func() error {
		err := d.kernel.entries(0, d.want.Addr().Is4(), func() { elsewhere = entry{} }, func(e entry) {
			if e.addr.Addr() == d.want.Addr() && e.index != s.link.index && !e.addr.Addr().IsLinkLocalUnicast() {
				elsewhere = e
			}
		})
		if err != nil || elsewhere.index == 0 {
			return err
		}
		all, err := d.kernel.links()
		for _, l := range all {
			if l.index == elsewhere.index {
				name = l.name
			}
		}
		return err
	})
	if err == nil && elsewhere.index != 0 {
		err = fmt.Errorf("this host has it on %s already (correct interface, or remove it: ip address del %s dev %s)", name, elsewhere.addr, name)
	}
	return err
}

// put adds the address and, where the kernel asks the network itself, waits for
// its verdict. Unless that is good the address is taken away again.
func (d *driver) put(ctx context.Context, c Config, l *link) (duplicate bool, err error) {
	flags := uint32(0)
	asks := c.Probe == "rfc" && d.want.Addr().Is6() && l.neighbours()
	if d.want.Addr().Is6() && !asks {
		flags = unix.IFA_F_NODAD
	}
	err = d.kernel.converse(ctx, func() error { return d.kernel.add(l.index, d.want, c.Label, flags) })
	switch {
	case errors.Is(err, unix.EEXIST):
	case errors.Is(err, unix.EACCES) && d.want.Addr().Is6():
		return false, fmt.Errorf("IPv6 is off there (sysctl net.ipv6.conf.%s.disable_ipv6=0)", c.Interface)
	case errors.Is(err, unix.EPERM):
		return false, fmt.Errorf("%w (it needs the capability NET_ADMIN)", err)
	case err != nil:
		return false, err
	}
	if !asks {
		return false, nil
	}
	duplicate, err = d.verdict(ctx, c)
	if duplicate || err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err = errors.Join(err, d.drop(undo, l.index))
	}
	return duplicate, err
}

// verdict waits for the kernel's duplicate address detection.
func (d *driver) verdict(ctx context.Context, c Config) (duplicate bool, err error) {
	tick := time.NewTicker(20 * time.Millisecond) // it takes a second: events would save nothing
	defer tick.Stop()
	for {
		s, err := d.look(ctx, c.Interface)
		switch {
		case err != nil:
			return false, err
		case !s.there:
			return false, errors.New("it was taken away while the network was asked (see the kernel's log)")
		case s.flags&unix.IFA_F_DADFAILED != 0:
			return true, nil
		case s.flags&unix.IFA_F_TENTATIVE == 0:
			return false, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false, fmt.Errorf("the kernel did not end asking the network: %w", ctx.Err())
		}
	}
}

// Stop implements drivers.Driver. Only the address with its own prefix is taken
// from its own interface; what is not there is not missed.
func (d *driver) Stop(ctx context.Context) error {
	d.begin()
	d.telling.Lock() // what is being sent is waited for (a second at most): nothing is announced behind the removal
	defer d.telling.Unlock()
	c := d.current()
	s, err := d.look(ctx, c.Interface)
	if err == nil && s.there {
		err = d.drop(ctx, s.link.index)
	}
	if err != nil {
		return fmt.Errorf("cannot remove %s from %s: %w", c.Address, c.Interface, err)
	}
	return nil
}

// drop removes the address and nothing else: by default the kernel takes the other
// addresses of a network away together with the first of them. It is told not to
// where it can be, and what it took is put back.
func (d *driver) drop(ctx context.Context, index int) error {
	return d.kernel.converse(ctx, func() error {
		var beside [][]byte
		if d.want.Addr().Is4() {
			var err error
			if beside, err = d.secondaries(index); err != nil {
				return err
			}
		}
		err := d.kernel.remove(index, d.want)
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) {
			return err
		}
		for _, body := range beside {
			if err := d.kernel.restore(body); err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENODEV) {
				return fmt.Errorf("it is gone, but %s went with it and can't be put back: %w", parseEntry(body).addr, err)
			}
		}
		return nil
	})
}

// secondaries lists what the kernel would remove together with the address, and
// asks it to promote one of them instead.
func (d *driver) secondaries(index int) (beside [][]byte, err error) {
	primary := false
	err = d.kernel.entries(index, true, func() { beside, primary = nil, false }, func(e entry) {
		switch {
		case e.addr == d.want:
			primary = e.flags&unix.IFA_F_SECONDARY == 0
		case e.flags&unix.IFA_F_SECONDARY != 0 && e.addr.Masked() == d.want.Masked():
			beside = append(beside, slices.Clone(e.body))
		}
	})
	if err != nil || !primary || len(beside) == 0 {
		return nil, err
	}
	name := d.current().Interface
	// Refused in a container with a read-only /proc: then they are put back behind it.
	_ = os.WriteFile("/proc/sys/net/ipv4/conf/"+name+"/promote_secondaries", []byte("1"), 0)
	return beside, nil
}
