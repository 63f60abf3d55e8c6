package ip

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"

	"github.com/svcctl/svcctl/spec"
)

// Config is what an ip resource takes.
type Config struct {
	Address   string        `hcl:"address" export:"true" doc:"The address with its prefix length: \"10.0.0.10/24\" or \"2001:db8::10/64\"."`
	Interface string        `hcl:"interface" export:"true" doc:"The network interface that carries it."`
	Probe     string        `hcl:"probe" default:"fast" oneof:"fast rfc none" reload:"live" doc:"How the network is asked whether another host has the address before it is added: fast sends three probes 20 ms apart, and goes on for 1.2 s in all where the interface came up less than 2 s ago, since other hosts may not hear yet; rfc keeps the timings of RFC 5227 and lets the kernel do duplicate address detection for IPv6 (seconds); none does not ask."`
	Announce  int           `hcl:"announce" default:"3" reload:"live" doc:"How often a new address is announced to the neighbours: at once, and then at growing distances of some seconds. 0: not at all; at most 10."`
	Refresh   time.Duration `hcl:"refresh" default:"0s" reload:"live" doc:"Announce again so often while the address is up, for networks whose switches forget; 0s: never; else at least 1s."`
	Label     string        `hcl:"label,optional" doc:"A label that old tools show (IPv4 only): the interface's name, a colon and a word, 15 characters in all."`
}

// Validate implements spec.Validator.
func (c *Config) Validate() (found []spec.Problem) {
	problem := func(field, summary, format string, args ...any) {
		found = append(found, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	if summary, why := wrongAddress(c.Address); summary != "" {
		problem("address", summary, "%s", why)
	}
	if n := c.Interface; n == "" || len(n) > 15 || n == "." || n == ".." || strings.ContainsAny(n, "/: \t\n") {
		problem("interface", "Impossible interface name", `No interface can be called %q: a name has 1 to 15 characters without blank, slash or colon; "ip link" lists them.`, n)
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
	case a.Is4() && p.Bits() < 31 && (a == p.Masked().Addr() || a == broadcast(p)):
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

// broadcast is the last address of an IPv4 network.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}
