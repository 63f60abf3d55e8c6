package ip

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/internal/rtnl"
)

// mark is the alias of the interfaces that were made for the resource: by it they are
// known again, whoever made them.
func (d *driver) mark() string { return "svcctl " + string(d.address) }

// outer names the host's end of a pair, or (inner) what is about to be moved inside.
// The names hold on to the resource where an agent ended before it wrote the mark.
func (d *driver) outer(inner bool) string {
	sum := sha256.Sum256([]byte(d.address))
	if inner {
		return fmt.Sprintf("svi%x", sum[:6])
	}
	return fmt.Sprintf("svo%x", sum[:6])
}

// connect makes sure of the interface inside the namespace.
func (d *driver) connect(ctx context.Context, c Config) error {
	if d.netns == "" || c.link() == none {
		return nil
	}
	found := new(rtnl.Link) // where ctx ends, the question may still write to it
	err := d.kernel.Converse(ctx, func() (err error) { *found, err = d.kernel.Find(c.Device); return err })
	switch {
	case errors.Is(err, rtnl.ErrNoLink):
		if err := d.plug(ctx, c); err != nil {
			return err
		}
	case errors.Is(err, netns.ErrNone):
		return fmt.Errorf("%w (a resource of kind netns makes one)", err)
	case err != nil:
		return err
	case found.Alias != d.mark():
		return fmt.Errorf("an interface of that name is inside already, and not of this resource (choose another device, or write link = \"none\" to use it)")
	case found.Up():
		return nil
	}
	return d.kernel.Converse(ctx, func() error {
		l, err := d.kernel.Find(c.Device)
		if err != nil {
			return err
		}
		return d.kernel.SetUp(l.Index)
	})
}

// plug makes the interface outside, marks it, and moves it into the namespace. The
// order leaves nothing behind that the next call would not find.
func (d *driver) plug(ctx context.Context, c Config) error {
	var mac []byte
	if c.MAC != "" {
		var err error
		if mac, err = net.ParseMAC(c.MAC); err != nil {
			return err
		}
	}
	base := c.Interface
	if c.link() == veth {
		base = c.Bridge
	}
	k := d.shared.kernel
	return k.Converse(ctx, func() error {
		if err := d.unplug(); err != nil {
			return err
		}
		on, err := k.Find(base)
		if errors.Is(err, rtnl.ErrNoLink) {
			return fmt.Errorf("%w on the host: %s (\"ip link\" lists them)", err, base)
		}
		if err == nil && !on.Up() {
			err = fmt.Errorf("%s is down on the host (bring it up: ip link set %s up)", base, base)
		}
		if err != nil {
			return err
		}
		if c.link() == veth {
			if err = k.AddVeth(d.outer(false), d.outer(true), on.Index, mac); err != nil {
				return fmt.Errorf("no pair of interfaces at %s: %w (is it a bridge?)", base, err)
			}
		} else if err = k.AddMacvlan(d.outer(true), on.Index, mac); err != nil {
			return fmt.Errorf("no macvlan over %s: %w (is it an Ethernet interface, and no port of a bridge?)", base, err)
		}
		l, err := k.Find(d.outer(true))
		if err == nil {
			err = k.SetAlias(l.Index, d.mark())
		}
		if err == nil {
			err = k.MoveLink(l.Index, d.netns, c.Device)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("it can't be moved into %s: %w", d.netns, err), d.unplug())
		}
		return nil
	})
}

// unplug removes what is left outside. Call it inside Converse of the host's kernel.
func (d *driver) unplug() error {
	for _, inner := range []bool{true, false} {
		l, err := d.shared.kernel.Find(d.outer(inner))
		if errors.Is(err, rtnl.ErrNoLink) {
			continue
		}
		if err == nil {
			err = d.shared.kernel.RemoveLink(l.Index)
		}
		if err != nil {
			return fmt.Errorf("%s can't be removed: %w", d.outer(inner), err)
		}
	}
	return nil
}

// disconnect removes the interface that was made, and of one that was there only the
// default route.
func (d *driver) disconnect(ctx context.Context, c Config) error {
	if d.netns == "" {
		return nil
	}
	err := d.kernel.Converse(ctx, func() error {
		l, err := d.kernel.Find(c.Device)
		switch {
		case err != nil:
			return err
		case c.link() != none && l.Alias == d.mark():
			return d.kernel.RemoveLink(l.Index)
		case d.gateway.IsValid():
			err = d.kernel.RemoveRoute(d.defaultRoute(l.Index))
		}
		if errors.Is(err, unix.ESRCH) {
			return nil
		}
		return err
	})
	if err != nil && !errors.Is(err, rtnl.ErrNoLink) && !errors.Is(err, netns.ErrNone) {
		return err
	}
	if c.link() == none {
		return nil
	}
	return d.shared.kernel.Converse(ctx, d.unplug)
}

func (d *driver) defaultRoute(index int) rtnl.Route {
	all := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	if d.gateway.Is4() {
		all = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return rtnl.Route{Destination: all, Gateway: d.gateway, Index: index, Table: unix.RT_TABLE_MAIN, Type: unix.RTN_UNICAST, Protocol: rtnl.Ours}
}

// routed tells whether the default route is there. Call it inside Converse.
func (d *driver) routed(index int) (bool, error) {
	want := d.defaultRoute(index)
	met, err := d.kernel.RoutesTo(want)
	for _, r := range met {
		if want.Means(r) {
			return true, err
		}
	}
	return false, err
}

// route adds the default route where one is declared.
func (d *driver) route(ctx context.Context, index int) error {
	if !d.gateway.IsValid() {
		return nil
	}
	return d.kernel.Converse(ctx, func() error {
		if there, err := d.routed(index); there || err != nil {
			return err
		}
		err := d.kernel.AddRoute(d.defaultRoute(index))
		if errors.Is(err, unix.EEXIST) {
			return errors.New("another default route is inside already (remove it: ip " + d.option() + "route del default)")
		}
		if err != nil {
			return fmt.Errorf("no default route by %s: %w (is the gateway in the network of the address?)", d.gateway, err)
		}
		return nil
	})
}
