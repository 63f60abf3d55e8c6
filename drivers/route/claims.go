package route

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/spec"
)

// Claims implements spec.Claimer: the kernel keeps one route to a destination with one
// metric in one table, and of two resources the first that stops would remove it.
func (c *Config) Claims() []spec.Claim {
	r, err := c.route()
	if err != nil || !r.Destination.IsValid() {
		return nil
	}
	metric := c.Metric
	if metric == 0 && r.Destination.Addr().Is6() {
		metric = 1024 // what the kernel makes of it
	}
	value := "route to " + r.Destination.Masked().String()
	if metric != 0 {
		value += fmt.Sprintf(" with metric %d", metric)
	}
	if c.Table != unix.RT_TABLE_MAIN {
		value += fmt.Sprintf(" in table %d", c.Table)
	}
	domain := ""
	if c.Netns != "" {
		domain = netns.Domain(c.Netns)
	}
	return []spec.Claim{{Sort: spec.ClaimName, Value: value, Field: "destination", Domain: domain}}
}
