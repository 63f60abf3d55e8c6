// Package route puts a route into a routing table of the host or of a network namespace.
package route

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/internal/rtnl"
	"github.com/svcctl/svcctl/spec"
)

//go:embed example.hcl
var example string

// Register adds the kind to r.
//
// The level is reset: the kernel keeps a route when every process of ours is gone.
func Register(r *drivers.Registry) {
	kernel, events := rtnl.New(""), rtnl.NewEvents(rtnl.OfLinksAndAddresses|rtnl.OfRoutes)
	drivers.DefineKind(r, "route", "A route of the host or in a network namespace, IPv4 or IPv6. A route of somebody else to the same destination, with the same metric in the same table, is never replaced.",
		func(_ drivers.Opening, c *Config) (drivers.Driver, error) {
			want, err := c.route()
			if err != nil {
				return nil, err
			}
			d := &driver{config: c, kernel: kernel, events: events, want: want}
			if c.Netns != "" {
				d.netns = netns.Path(c.Netns)
				d.kernel = rtnl.New(d.netns)
			}
			return d, nil
		},
		drivers.WithLevel(spec.LevelReset), drivers.Transparent, drivers.WithExample(example))
}

// driver is safe for concurrent use.
type driver struct {
	config *Config
	kernel *rtnl.Kernel
	events *rtnl.Events
	netns  string     // its path; empty: the host's own
	want   rtnl.Route // without the interface's index, which may change
}

func (d *driver) String() string {
	words := []string{d.config.Destination}
	if d.config.Type != "unicast" {
		words = []string{d.config.Type, d.config.Destination}
	}
	for _, of := range [][2]string{{"via", d.config.Gateway}, {"dev", d.config.Interface}, {"in", d.config.Netns}} {
		if of[1] != "" {
			words = append(words, of[0], of[1])
		}
	}
	return strings.Join(words, " ")
}

// sight is what the kernel says.
type sight struct {
	nowhere bool // there is no such network namespace
	absent  bool // there is no such interface
	want    rtnl.Route
	there   *rtnl.Route // as declared, and made by svcctl
	other   *rtnl.Route // in its place, perhaps the same one made by others
	device  string      // of other
}

func (d *driver) look(ctx context.Context) (sight, error) {
	s := new(sight) // where ctx ends, the question may still write to it
	err := d.kernel.Converse(ctx, func() error { return d.see(s) })
	if errors.Is(err, netns.ErrNone) {
		return sight{nowhere: true}, nil
	}
	if err != nil {
		return sight{}, fmt.Errorf("cannot see the route %s: %w", d, err)
	}
	return *s, nil
}

func (d *driver) see(s *sight) error {
	s.want = d.want
	if d.config.Interface != "" {
		l, err := d.kernel.Find(d.config.Interface)
		if errors.Is(err, rtnl.ErrNoLink) {
			s.absent = true
			return nil
		}
		if err != nil {
			return err
		}
		s.want.Index = l.Index
	}
	met, err := d.kernel.RoutesTo(s.want)
	if err != nil {
		return err
	}
	for _, r := range met {
		if s.want.Means(r) && r.Protocol == rtnl.Ours {
			s.there = &r
		} else if s.other == nil {
			s.other = &r
		}
	}
	if s.other == nil || s.other.Index == 0 {
		return nil
	}
	all, err := d.kernel.Links()
	for _, l := range all {
		if l.Index == s.other.Index {
			s.device = l.Name
		}
	}
	return err
}

func (d *driver) status(s sight) drivers.Status {
	switch {
	case s.nowhere:
		return drivers.Status{State: drivers.Down, Detail: "there is no network namespace " + d.netns}
	case s.absent:
		return drivers.Status{State: drivers.Down, Detail: "there is no interface " + d.config.Interface}
	case s.there != nil:
		return drivers.Status{State: drivers.Up}
	case s.other != nil:
		return drivers.Status{State: drivers.Failed, Detail: "another route is there: " + s.describe()}
	}
	return drivers.Status{State: drivers.Down}
}

var words = map[byte]string{unix.RTN_BLACKHOLE: "blackhole", unix.RTN_UNREACHABLE: "unreachable", unix.RTN_PROHIBIT: "prohibit"}

// describe writes the other route as ip-route(8) does.
func (s *sight) describe() string {
	r := s.other
	text := strings.TrimSpace(words[r.Type] + " " + r.Destination.String())
	if r.Several {
		text += " by several hops"
	}
	if r.Gateway.IsValid() {
		text += " via " + r.Gateway.String()
	}
	if s.device != "" {
		text += " dev " + s.device
	}
	if r.Source.IsValid() {
		text += " src " + r.Source.String()
	}
	return text + " proto " + protocol(r.Protocol)
}

func protocol(n byte) string {
	switch n {
	case unix.RTPROT_KERNEL:
		return "kernel"
	case unix.RTPROT_BOOT:
		return "boot"
	case unix.RTPROT_STATIC:
		return "static"
	case unix.RTPROT_DHCP:
		return "dhcp"
	case unix.RTPROT_RA:
		return "ra"
	}
	return fmt.Sprint(n)
}

// Status implements drivers.Prober.
func (d *driver) Status(ctx context.Context) (drivers.Status, error) {
	s, err := d.look(ctx)
	if err != nil {
		return drivers.Status{}, err
	}
	return d.status(s), nil
}

// Start implements drivers.Driver.
func (d *driver) Start(ctx context.Context) error {
	s, err := d.look(ctx)
	if err != nil {
		return err
	}
	switch {
	case s.nowhere:
		err = fmt.Errorf("%w: %s (a resource of kind netns makes one)", netns.ErrNone, d.netns)
	case s.absent:
		err = fmt.Errorf("%w: %s (\"ip link\" lists them)", rtnl.ErrNoLink, d.config.Interface)
	case s.there != nil:
		return nil
	case s.other != nil:
		err = d.occupied(s)
	default:
		err = d.add(ctx, s)
	}
	if err != nil {
		return fmt.Errorf("cannot add the route %s: %w", d, err)
	}
	return nil
}

func (d *driver) occupied(s sight) error {
	return fmt.Errorf("another route is there, %s, and is not ours to replace (remove it, or declare another metric)", s.describe())
}

func (d *driver) add(ctx context.Context, s sight) error {
	err := d.kernel.Converse(ctx, func() error { return d.kernel.AddRoute(s.want) })
	switch {
	case errors.Is(err, unix.EEXIST): // since we looked
		if s, err = d.look(ctx); err != nil || s.there != nil {
			return err
		}
		if s.other != nil {
			return d.occupied(s)
		}
		return unix.EEXIST
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH):
		return fmt.Errorf("the gateway %s is in no network of this host: %w (is its ip resource up, and the route after it?)", d.config.Gateway, err)
	case errors.Is(err, unix.ENETDOWN):
		return fmt.Errorf("%w (bring the interface up: ip link set %s up)", err, d.config.Interface)
	case errors.Is(err, unix.EINVAL) && s.want.Source.IsValid():
		return fmt.Errorf("%w (is the source %s an address of this host, and the route after its ip resource?)", err, d.config.Source)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w (it needs the capability NET_ADMIN)", err)
	}
	return err
}

// Stop implements drivers.Driver. Only the route as it was declared is removed, where
// svcctl made it: a route of others in its place stays.
func (d *driver) Stop(ctx context.Context) error {
	s, err := d.look(ctx)
	if err != nil || s.there == nil {
		return err
	}
	err = d.kernel.Converse(ctx, func() error { return d.kernel.RemoveRoute(*s.there) })
	if err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, netns.ErrNone) {
		return fmt.Errorf("cannot remove the route %s: %w", d, err)
	}
	return nil
}

// watch is one resource's wish to be told.
type watch struct {
	driver  *driver
	changed func(drivers.Status)

	mu      sync.Mutex // held while changed runs, so that nothing comes after stop
	stopped bool
	told    drivers.Status
}

// Watch implements drivers.Watcher.
func (d *driver) Watch(changed func(drivers.Status)) (stop func(), err error) {
	w := &watch{driver: d, changed: changed}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	w.mu.Lock() // what is heard meanwhile is looked at behind this
	leave, err := d.events.Listen(d.netns, w.hear)
	if err != nil {
		w.mu.Unlock()
		return nil, fmt.Errorf("cannot watch the route %s: %w", d, err)
	}
	w.told, err = d.Status(ctx)
	w.mu.Unlock()
	stop = func() {
		leave()
		w.mu.Lock()
		w.stopped = true
		w.mu.Unlock()
	}
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// hear looks where the news may concern the route: with an interface that goes down,
// or an address, the kernel takes IPv4 routes away and says nothing of them.
func (w *watch) hear(n *rtnl.News) {
	if !n.All && len(n.Links) == 0 && len(n.Addrs) == 0 && !n.Routes[w.driver.want.Destination] {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	w.mu.Lock()
	defer w.mu.Unlock()
	now, err := w.driver.Status(ctx)
	if err == nil && !w.stopped && now != w.told { // else the slow probe will tell
		w.told = now
		w.changed(now)
	}
}
