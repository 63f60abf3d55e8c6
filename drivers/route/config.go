package route

import (
	"fmt"
	"math"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/internal/rtnl"
	"github.com/svcctl/svcctl/spec"
)

// Config is what a route resource takes.
type Config struct {
	Destination string `hcl:"destination" export:"true" doc:"The network that the route leads to, such as \"10.1.0.0/16\" or \"2001:db8::/32\", or \"default\"."`
	Gateway     string `hcl:"gateway,optional" export:"true" doc:"The address of the next router."`
	Interface   string `hcl:"interface,optional" export:"true" doc:"The interface that it leaves by. Without a gateway the destination is on that link itself."`
	Source      string `hcl:"source,optional" doc:"The address that packets of this host bear; it must be on the host, as an ip resource puts it there."`
	Metric      int    `hcl:"metric" default:"0" doc:"The lower, the rather it is taken. 0 is what the kernel takes: 0 for IPv4, 1024 for IPv6."`
	Table       int    `hcl:"table" default:"254" doc:"The number of the routing table; 254 is main."`
	Type        string `hcl:"type" default:"unicast" oneof:"unicast blackhole unreachable prohibit" doc:"unicast sends packets on; blackhole drops them, unreachable and prohibit answer with an error."`
	Netns       string `hcl:"netns,optional" doc:"The network namespace that the route is in: a name, as netns.NAME.name gives it, or a path. Default: the host's own."`
}

var types = map[string]byte{"unicast": unix.RTN_UNICAST, "blackhole": unix.RTN_BLACKHOLE, "unreachable": unix.RTN_UNREACHABLE, "prohibit": unix.RTN_PROHIBIT}

// Validate implements spec.Validator.
func (c *Config) Validate() (found []spec.Problem) {
	problem := func(field, summary, format string, args ...any) {
		found = append(found, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	to, err := netip.ParsePrefix(c.Destination)
	switch {
	case c.Destination == "default":
	case err != nil:
		problem("destination", "Not a network", `%q must be a network such as "10.1.0.0/16" or "2001:db8::/32", or "default"; a single host has the length 32 or 128.`, c.Destination)
	case to.Masked() != to:
		problem("destination", "Not the start of a network", `%s has bits behind its length; write "%s", or "%s/%d" for the host alone.`, to, to.Masked(), to.Addr(), to.Addr().BitLen())
	case to.Addr().IsMulticast(), to.Addr().Is4In6():
		problem("destination", "Not a network that is routed to", "%s is not for a route.", to)
	}
	family := to.Addr() // invalid where the destination doesn't say
	for _, of := range [][2]string{{"gateway", c.Gateway}, {"source", c.Source}} {
		if of[1] == "" {
			continue
		}
		a, err := netip.ParseAddr(of[1])
		switch {
		case err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast():
			problem(of[0], "Not an address of a host", `%q must be an address such as "10.0.0.1", without a length.`, of[1])
		case family.IsValid() && family.Is4() != a.Is4():
			problem(of[0], "Address of another family", "%s is not of the family of %s.", a, c.Destination)
		default:
			family = a
		}
	}
	if n := c.Interface; n != "" && (len(n) > 15 || n == "." || n == ".." || strings.ContainsAny(n, "/: \t\n")) {
		problem("interface", "Impossible interface name", `No interface can be called %q: a name has 1 to 15 characters without blank, slash or colon; "ip link" lists them.`, n)
	}
	switch onward := c.Gateway != "" || c.Interface != ""; {
	case c.Type == "unicast" && !onward:
		problem("gateway", "The route leads nowhere", "Write a gateway, an interface or both.")
	case c.Type != "unicast" && c.Type != "" && onward:
		problem("type", "Nothing is sent on", "A route of type %s has neither gateway nor interface; remove them.", c.Type)
	}
	if c.Metric < 0 || c.Metric > math.MaxInt32 {
		problem("metric", "Out of range", "%d is not between 0 and %d.", c.Metric, math.MaxInt32)
	}
	if c.Table < 1 || c.Table > math.MaxInt32 || c.Table == unix.RT_TABLE_LOCAL {
		problem("table", "Out of range", "%d is no table for routes of services: write a number from 1 to %d, but 255, which is the kernel's own.", c.Table, math.MaxInt32)
	}
	if why := netns.Wrong(c.Netns); c.Netns != "" && why != "" {
		problem("netns", "Impossible network namespace", "%q %s.", c.Netns, why)
	}
	return found
}

// route is what the kernel is asked for, but for the interface's index.
func (c *Config) route() (r rtnl.Route, err error) {
	r = rtnl.Route{Metric: uint32(c.Metric), Table: uint32(c.Table), Type: types[c.Type], Protocol: rtnl.Ours}
	for _, of := range []struct {
		text string
		into *netip.Addr
	}{{c.Gateway, &r.Gateway}, {c.Source, &r.Source}} {
		if of.text != "" {
			if *of.into, err = netip.ParseAddr(of.text); err != nil {
				return r, fmt.Errorf("cannot use %q: it is no address", of.text)
			}
		}
	}
	if c.Destination != "default" {
		r.Destination, err = netip.ParsePrefix(c.Destination)
		return r, err
	}
	r.Destination = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	if r.Gateway.Is6() || r.Source.Is6() {
		r.Destination = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return r, nil
}
