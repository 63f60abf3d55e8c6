package ip

import (
	"net/netip"

	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/spec"
)

// Claims implements spec.Claimer: one address is on one interface of a network namespace.
// A link-local address means another host on each link.
func (c *Config) Claims() []spec.Claim {
	p, err := netip.ParsePrefix(c.Address)
	if err != nil {
		return nil
	}
	domain := ""
	if c.Netns != "" {
		domain = netns.Domain(c.Netns)
	}
	if p.Addr().IsLinkLocalUnicast() {
		domain += " " + c.where()
	}
	return []spec.Claim{{Sort: spec.ClaimAddress, Value: p.Addr().String(), Field: "address", Domain: domain}}
}
