package ip

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/internal/rtnl"
	"github.com/svcctl/svcctl/spec"
)

// Config is what an ip resource takes.
type Config struct {
	Address   string        `hcl:"address" export:"true" doc:"The address with its prefix length: \"10.0.0.10/24\" or \"2001:db8::10/64\"."`
	Interface string        `hcl:"interface,optional" export:"true" doc:"The network interface that carries it. With netns: the host's interface that a macvlan of the namespace's own is made over."`
	Probe     string        `hcl:"probe" default:"fast" oneof:"fast rfc none" reload:"live" doc:"How the network is asked whether another host has the address before it is added: fast sends three probes 20 ms apart, and goes on for 1.2 s in all where the interface came up less than 2 s ago, since other hosts may not hear yet; rfc keeps the timings of RFC 5227 and lets the kernel do duplicate address detection for IPv6 (seconds); none does not ask."`
	Announce  int           `hcl:"announce" default:"3" reload:"live" doc:"How often a new address is announced to the neighbours: at once, and then at growing distances of some seconds. 0: not at all; at most 10."`
	Refresh   time.Duration `hcl:"refresh" default:"0s" reload:"live" doc:"Announce again so often while the address is up, for networks whose switches forget; 0s: never; else at least 1s."`
	Label     string        `hcl:"label,optional" doc:"A label that old tools show (IPv4 only): the interface's name, a colon and a word, 15 characters in all."`
	Netns     string        `hcl:"netns,optional" export:"true" doc:"The network namespace that the address is in: a name, as netns.NAME.name gives it, or a path. Default: the host's own. Neighbours are asked and told from inside."`
	Link      string        `hcl:"link,optional" oneof:"macvlan veth none" doc:"How the namespace gets the interface: macvlan makes one over interface, with a MAC of its own, which the host itself can't reach; veth makes a pair, its other end plugged into bridge; none takes one that is inside already, as for the second address. Stop removes what was made. Default: veth where a bridge is given, macvlan where an interface is, else none."`
	Bridge    string        `hcl:"bridge,optional" doc:"The host's bridge for link = \"veth\"."`
	Device    string        `hcl:"device" default:"eth0" doc:"The interface's name inside the namespace."`
	MAC       string        `hcl:"mac,optional" doc:"The MAC of the interface that is made, such as \"02:00:00:00:00:01\". Default: a random one."`
	Gateway   string        `hcl:"gateway,optional" doc:"The address of the router that the default route inside the namespace leads to."`
}

// The ways in which a namespace gets an interface.
const (
	macvlan = "macvlan"
	veth    = "veth"
	none    = "none"
)

// link is how the namespace gets its interface.
func (c *Config) link() string {
	switch {
	case c.Link != "":
		return c.Link
	case c.Bridge != "":
		return veth
	case c.Interface != "":
		return macvlan
	}
	return none
}

// where is the interface that carries the address.
func (c *Config) where() string {
	if c.Netns != "" {
		return c.Device
	}
	return c.Interface
}

// Validate implements spec.Validator.
func (c *Config) Validate() (found []spec.Problem) {
	problem := func(field, summary, format string, args ...any) {
		found = append(found, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	if summary, why := wrongAddress(c.Address); summary != "" {
		problem("address", summary, "%s", why)
	}
	for _, of := range [][2]string{{"interface", c.Interface}, {"bridge", c.Bridge}, {"device", c.Device}} {
		if of[1] != "" && impossible(of[1]) {
			problem(of[0], "Impossible interface name", `No interface can be called %q: a name has 1 to 15 characters without blank, slash or colon; "ip link" lists them.`, of[1])
		}
	}
	if c.Announce < 0 || c.Announce > 10 {
		problem("announce", "Out of range", "%d is not between 0 and 10.", c.Announce)
	}
	if c.Refresh != 0 && c.Refresh < time.Second {
		problem("refresh", "Out of range", `%s would flood the network; write "1s" or more, or "0s" for never.`, c.Refresh)
	}
	if c.Label != "" {
		p, err := netip.ParsePrefix(c.Address)
		switch {
		case err == nil && !p.Addr().Is4():
			problem("label", "Label of an IPv6 address", "The kernel keeps labels of IPv4 addresses only; remove it.")
		case len(c.Label) > 15 || c.Interface != "" && !strings.HasPrefix(c.Label, c.Interface+":"):
			problem("label", "Impossible label", `%q must be at most 15 characters and start with "%s:".`, c.Label, c.Interface)
		}
	}
	return append(found, c.network()...)
}

func impossible(name string) bool {
	return len(name) > 15 || name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n")
}

// network finds what does not go together of the arguments for network namespaces.
func (c *Config) network() (found []spec.Problem) {
	problem := func(field, summary, format string, args ...any) {
		found = append(found, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	if c.Netns == "" {
		if c.Interface == "" {
			problem("interface", "Interface is missing", `Write the interface that carries the address, such as "eth0"; "ip link" lists them.`)
		}
		for _, of := range [][2]string{{"link", c.Link}, {"bridge", c.Bridge}, {"mac", c.MAC}, {"gateway", c.Gateway}} {
			if of[1] != "" {
				problem(of[0], "Only inside a network namespace", "Write netns beside it, or remove it; the host's own routes are of kind route.")
			}
		}
		return found
	}
	if why := netns.Wrong(c.Netns); why != "" {
		problem("netns", "Impossible network namespace", "%q %s.", c.Netns, why)
	}
	switch link := c.link(); {
	case link == macvlan && c.Interface == "":
		problem("interface", "Interface is missing", `A macvlan is made over an interface of the host, such as "eth0".`)
	case link == veth && c.Bridge == "":
		problem("bridge", "Bridge is missing", "One end of the pair is plugged into a bridge of the host: write its name.")
	case link != macvlan && c.Interface != "":
		problem("interface", "No use for an interface", `link = %q takes none; the name inside the namespace is device.`, link)
	case link != veth && c.Bridge != "":
		problem("bridge", "No use for a bridge", `Only link = "veth" takes one.`)
	}
	if c.MAC != "" {
		mac, err := net.ParseMAC(c.MAC)
		switch {
		case err != nil || len(mac) != 6 || mac[0]&1 != 0:
			problem("mac", "Not a MAC of an interface", `%q must be six bytes such as "02:00:00:00:00:01", the first of them even.`, c.MAC)
		case c.link() == none:
			problem("mac", "No interface is made", "The interface that is there has its own.")
		}
	}
	if c.Gateway != "" {
		a, err := netip.ParseAddr(c.Gateway)
		p, wrong := netip.ParsePrefix(c.Address)
		switch {
		case err != nil || a.Zone() != "" || a.IsUnspecified() || a.IsMulticast():
			problem("gateway", "Not an address of a router", `%q must be an address such as "10.0.0.1".`, c.Gateway)
		case wrong == nil && a.Is4() != p.Addr().Is4():
			problem("gateway", "Gateway of another family", "%s is not reached from %s.", a, p.Addr())
		case wrong == nil && a == p.Addr():
			problem("gateway", "Gateway is the address itself", "Write the router's address.")
		}
	}
	return found
}

func wrongAddress(text string) (summary, why string) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
			near, alone := 24, 32
			if a.Is6() {
				near, alone = 64, 128
			}
			return "Prefix length is missing", fmt.Sprintf(`%q does not say how large its network is; write "%s/%d" where the network has that size, or "%s/%d" for an address on its own.`, text, a, near, a, alone)
		}
		return "Not an address", fmt.Sprintf(`%q must be an address with its prefix length, such as "10.0.0.10/24" or "2001:db8::10/64".`, text)
	}
	a := p.Addr()
	switch {
	case a.Is4In6():
		return "Not an address of one family", fmt.Sprintf("%s is an IPv4 address written as IPv6; write %s.", a, a.Unmap())
	case a.IsUnspecified(), a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return "Not an address of a host", fmt.Sprintf("%s can't belong to one interface.", a)
	case a.Is4() && p.Bits() < 31 && (a == p.Masked().Addr() || a == rtnl.Broadcast(p)):
		return "Not an address of a host", fmt.Sprintf("%s is the first or last of %s, which stand for the network itself and for all its hosts.", a, p.Masked())
	}
	return "", ""
}

// Exports implements spec.Exporter.
func (c *Config) Exports() map[string]cty.Value {
	p, err := netip.ParsePrefix(c.Address)
	if err != nil {
		return nil // Validate has said so
	}
	return map[string]cty.Value{
		"host":    cty.StringVal(p.Addr().String()),
		"prefix":  cty.NumberIntVal(int64(p.Bits())),
		"network": cty.StringVal(p.Masked().String()),
	}
}

// ExportNames implements spec.ExportNames.
func (c *Config) ExportNames() []string { return []string{"host", "network", "prefix"} }
