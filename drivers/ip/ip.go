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
	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/internal/rtnl"
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
	h := newShared()
	drivers.DefineKind(r, "ip", "An address on a network interface, of the host or in a network namespace. The network is asked first whether another host has it, and the neighbours are told once it is there.",
		func(o drivers.Opening, c *Config) (drivers.Driver, error) { return open(h, o.Address, c) },
		drivers.WithLevel(spec.LevelReset), drivers.Transparent, drivers.WithExample(example))
}

// shared is what all addresses of one program share.
type shared struct {
	kernel *rtnl.Kernel
	events *rtnl.Events // of the host's own network
	inside *rtnl.Events // of namespaces, their routes too
	marks  bool         // the kernel tells our addresses from those of others; else each is taken for ours
}

func newShared() *shared {
	return &shared{
		kernel: rtnl.New(""),
		events: rtnl.NewEvents(rtnl.OfLinksAndAddresses),
		inside: rtnl.NewEvents(rtnl.OfLinksAndAddresses | rtnl.OfRoutes),
		marks:  rtnl.KeepsMarks(),
	}
}

type driver struct {
	shared  *shared
	kernel  *rtnl.Kernel // of the network that the address is in
	events  *rtnl.Events // of the same
	netns   string       // its path; empty: the host's own
	want    netip.Prefix
	gateway netip.Addr   // invalid: no default route is ours
	address spec.Address // of the resource

	telling sync.Mutex // held while an announcement is sent; taken before mu

	mu       sync.Mutex // guards what follows
	config   Config
	pending  *time.Timer // the next announcement; nil: none
	sequence int         // of announcements: a timer of an older one does nothing
}

func open(h *shared, address spec.Address, c *Config) (*driver, error) {
	p, err := netip.ParsePrefix(c.Address)
	if err != nil {
		return nil, fmt.Errorf("cannot use %q: it is no address with a prefix length", c.Address)
	}
	d := &driver{shared: h, kernel: h.kernel, events: h.events, want: p, address: address, config: *c}
	if c.Netns != "" {
		d.netns = netns.Path(c.Netns)
		d.kernel, d.events = rtnl.New(d.netns), h.inside
	}
	if c.Gateway != "" {
		if d.gateway, err = netip.ParseAddr(c.Gateway); err != nil {
			return nil, fmt.Errorf("cannot use %q: it is no address of a router", c.Gateway)
		}
	}
	return d, nil
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
	link    rtnl.Link
	nowhere bool   // there is no such network namespace
	absent  bool   // there is no such interface
	routed  bool   // the default route is there, where one is declared
	there   bool   // the address is on the interface, with its prefix
	foreign bool   // and somebody else put it there
	flags   uint32 // of the address
	other   int    // its prefix length, if the address is there with another; 0: it is not
}

func (d *driver) look(ctx context.Context, name string) (sight, error) {
	var s sight // no named result: where ctx ends, the question may still write to it
	err := d.kernel.Converse(ctx, func() error { return d.see(name, &s) })
	if errors.Is(err, netns.ErrNone) {
		return sight{nowhere: true, absent: true}, nil
	}
	if err != nil {
		return sight{}, fmt.Errorf("cannot see the addresses of %s: %w", name, err)
	}
	return s, nil
}

func (d *driver) see(name string, s *sight) error {
	l, err := d.kernel.Find(name)
	if errors.Is(err, rtnl.ErrNoLink) {
		s.absent = true
		return nil
	}
	if err != nil {
		return err
	}
	routed := true
	if d.gateway.IsValid() {
		if routed, err = d.routed(l.Index); err != nil {
			return err
		}
	}
	return d.kernel.Addresses(l.Index, d.want.Addr().Is4(), func() { *s = sight{link: l, routed: routed} }, func(e rtnl.Address) {
		switch {
		case e.Prefix == d.want:
			s.there, s.flags = true, e.Flags
			s.foreign = e.Protocol != rtnl.Ours && d.shared.marks
		case e.Prefix.Addr() == d.want.Addr():
			s.other = e.Prefix.Bits()
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
	case s.nowhere:
		return down(drivers.Down, "there is no network namespace %s", d.netns)
	case s.absent:
		return down(drivers.Down, "there is no interface %s", name)
	case !s.there && s.other != 0:
		return down(drivers.Down, "%s is on %s with prefix length %d, not %d", d.want.Addr(), name, s.other, d.want.Bits())
	case !s.there:
		return down(drivers.Down, "")
	case s.foreign:
		return down(drivers.Down, "%s is on %s already, and was not put there by svcctl", d.want, name)
	case s.flags&unix.IFA_F_DADFAILED != 0:
		return down(drivers.Failed, "another host on the network of %s has %s", name, d.want.Addr())
	case s.flags&unix.IFA_F_TENTATIVE != 0 && s.flags&unix.IFA_F_OPTIMISTIC == 0 && s.link.Carrier():
		return down(drivers.Down, "the kernel is still asking whether another host has %s", d.want.Addr())
	case !s.link.Up():
		return down(drivers.Failed, "%s is down", name)
	case !s.link.Carrier():
		return down(drivers.Failed, "no carrier on %s", name)
	case !s.routed:
		return down(drivers.Failed, "the default route by %s is gone", d.gateway)
	}
	return drivers.Status{State: drivers.Up}
}

// Status implements drivers.Prober.
func (d *driver) Status(ctx context.Context) (drivers.Status, error) {
	c := d.current()
	name := c.where()
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
	if err := d.connect(ctx, c); err != nil {
		return d.failed(c, err)
	}
	s, err := d.look(ctx, c.where())
	if err != nil {
		return d.failed(c, err)
	}
	if d.status(c.where(), s).State != drivers.Up {
		if err := d.fit(ctx, c, s); err != nil {
			return d.failed(c, err)
		}
		if s.there { // half done by a call that was cut short, or refused by the network
			if err := d.drop(ctx, s.link.Index); err != nil {
				return d.failed(c, err)
			}
		}
		if err := d.take(ctx, c, s); err != nil {
			return d.failed(c, err)
		}
		if err := d.route(ctx, s.link.Index); err != nil {
			return d.failed(c, err)
		}
		if s, err = d.look(ctx, c.where()); err != nil {
			return d.failed(c, err)
		}
		if now := d.status(c.where(), s); now.State != drivers.Up {
			return d.failed(c, fmt.Errorf("it was added and is not up: %s (is somebody else at work on %s?)", now.Detail, c.where()))
		}
	}
	// Also an address that was there: whoever put it may not have come to telling.
	if c.Announce > 0 && s.link.Neighbours() {
		if err := d.announce(&s.link); err != nil {
			return fmt.Errorf("cannot announce %s on %s: %w", c.Address, c.where(), err)
		}
	}
	return nil
}

func (d *driver) failed(c Config, err error) error {
	return fmt.Errorf("cannot add %s to %s: %w", c.Address, c.where(), err)
}

// option is what ip(8) must be told to act where the address is.
func (d *driver) option() string {
	if d.netns == "" {
		return ""
	}
	return "-n " + strings.TrimPrefix(d.netns, netns.Dir+"/") + " "
}

// fit says why the address can't be put there.
func (d *driver) fit(ctx context.Context, c Config, s sight) error {
	if s.nowhere {
		return fmt.Errorf("%w: %s (a resource of kind netns makes one)", netns.ErrNone, d.netns)
	}
	if s.absent {
		var all []rtnl.Link
		err := d.kernel.Converse(ctx, func() (err error) { all, err = d.kernel.Links(); return err })
		if err != nil {
			return rtnl.ErrNoLink
		}
		names := make([]string, len(all))
		for i, l := range all {
			names[i] = l.Name
		}
		slices.Sort(names)
		if len(names) > 20 {
			names = append(names[:20], "…")
		}
		return fmt.Errorf("%w (there are %s)", rtnl.ErrNoLink, strings.Join(names, ", "))
	}
	if !s.link.Up() {
		return fmt.Errorf("%s is down (bring it up: ip %slink set %s up)", c.where(), d.option(), c.where())
	}
	if !s.link.Carrier() {
		return fmt.Errorf("no carrier on %s (is it plugged in, and its other side up?)", c.where())
	}
	if s.other != 0 {
		return fmt.Errorf("it is there with another prefix length (correct address, or remove it: ip %saddress del %s/%d dev %s)", d.option(), d.want.Addr(), s.other, c.where())
	}
	if s.foreign {
		return fmt.Errorf("it is there already, and was not put there by svcctl (whoever did may count on it; else remove it: ip %saddress del %s dev %s)", d.option(), d.want, c.where())
	}
	elsewhere := rtnl.Address{}
	name := ""
	err := d.kernel.Converse(ctx, func() error {
		err := d.kernel.Addresses(0, d.want.Addr().Is4(), func() { elsewhere = rtnl.Address{} }, func(e rtnl.Address) {
			if e.Prefix.Addr() == d.want.Addr() && e.Index != s.link.Index && !e.Prefix.Addr().IsLinkLocalUnicast() {
				elsewhere = e
			}
		})
		if err != nil || elsewhere.Index == 0 {
			return err
		}
		all, err := d.kernel.Links()
		for _, l := range all {
			if l.Index == elsewhere.Index {
				name = l.Name
			}
		}
		return err
	})
	if err == nil && elsewhere.Index != 0 {
		err = fmt.Errorf("this host has it on %s already (correct interface, or remove it: ip address del %s dev %s)", name, elsewhere.Prefix, name)
	}
	return err
}

// put adds the address and, where the kernel asks the network itself, waits for
// its verdict. Unless that is good the address is taken away again.
func (d *driver) put(ctx context.Context, c Config, l *rtnl.Link) (duplicate bool, err error) {
	flags := uint32(0)
	asks := c.Probe == "rfc" && d.want.Addr().Is6() && l.Neighbours()
	if d.want.Addr().Is6() && !asks {
		flags = unix.IFA_F_NODAD
	}
	err = d.kernel.Converse(ctx, func() error { return d.kernel.AddAddress(l.Index, d.want, c.Label, flags) })
	switch {
	case errors.Is(err, unix.EEXIST):
	case errors.Is(err, unix.EACCES) && d.want.Addr().Is6():
		return false, fmt.Errorf("IPv6 is off there (sysctl net.ipv6.conf.%s.disable_ipv6=0)", c.where())
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
		err = errors.Join(err, d.drop(undo, l.Index))
	}
	return duplicate, err
}

// verdict waits for the kernel's duplicate address detection.
func (d *driver) verdict(ctx context.Context, c Config) (duplicate bool, err error) {
	tick := time.NewTicker(20 * time.Millisecond) // it takes a second: events would save nothing
	defer tick.Stop()
	for {
		s, err := d.look(ctx, c.where())
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
// from its own interface, where svcctl put it there; what is not there is not missed.
func (d *driver) Stop(ctx context.Context) error {
	d.begin()
	d.telling.Lock() // what is being sent is waited for (a second at most): nothing is announced behind the removal
	defer d.telling.Unlock()
	c := d.current()
	s, err := d.look(ctx, c.where())
	if err == nil && s.there && !s.foreign {
		err = d.drop(ctx, s.link.Index)
	}
	if err == nil {
		err = d.disconnect(ctx, c)
	}
	if err != nil {
		return fmt.Errorf("cannot remove %s from %s: %w", c.Address, c.where(), err)
	}
	return nil
}

// drop removes the address and nothing else: by default the kernel takes the other
// addresses of a network away together with the first of them. It is told not to
// where it can be, and what it took is put back.
func (d *driver) drop(ctx context.Context, index int) error {
	return d.kernel.Converse(ctx, func() error {
		var beside [][]byte
		if d.want.Addr().Is4() {
			var err error
			if beside, err = d.secondaries(index); err != nil {
				return err
			}
		}
		err := d.kernel.RemoveAddress(index, d.want)
		if err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) && !errors.Is(err, unix.ENODEV) {
			return err
		}
		for _, body := range beside {
			if err := d.kernel.RestoreAddress(body); err != nil && !errors.Is(err, unix.EEXIST) && !errors.Is(err, unix.ENODEV) {
				return fmt.Errorf("it is gone, but %s went with it and can't be put back: %w", rtnl.ParseAddress(body).Prefix, err)
			}
		}
		return nil
	})
}

// secondaries lists what the kernel would remove together with the address, and
// asks it to promote one of them instead.
func (d *driver) secondaries(index int) (beside [][]byte, err error) {
	primary := false
	err = d.kernel.Addresses(index, true, func() { beside, primary = nil, false }, func(e rtnl.Address) {
		switch {
		case e.Prefix == d.want:
			primary = e.Flags&unix.IFA_F_SECONDARY == 0
		case e.Flags&unix.IFA_F_SECONDARY != 0 && e.Prefix.Masked() == d.want.Masked():
			beside = append(beside, slices.Clone(e.Body))
		}
	})
	if err != nil || !primary || len(beside) == 0 {
		return nil, err
	}
	c := d.current()
	name := c.where()
	// Refused in a container with a read-only /proc: then they are put back behind it.
	_ = os.WriteFile("/proc/sys/net/ipv4/conf/"+name+"/promote_secondaries", []byte("1"), 0)
	return beside, nil
}
