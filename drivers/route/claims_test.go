package route

import (
	"slices"
	"testing"

	"github.com/svcctl/svcctl/spec"
)

func TestARouteClaimsItsDestinationWithMetricAndTable(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		value  string
		domain string
	}{
		{"the usual one", Config{Destination: "10.1.0.0/16", Gateway: "10.0.0.1", Table: 254}, "route to 10.1.0.0/16", ""},
		{"another router, still one route", Config{Destination: "10.1.0.0/16", Gateway: "10.0.0.2", Table: 254}, "route to 10.1.0.0/16", ""},
		{"with a metric", Config{Destination: "10.1.0.0/16", Interface: "eth0", Metric: 7, Table: 254}, "route to 10.1.0.0/16 with metric 7", ""},
		{"in a table", Config{Destination: "10.1.0.0/16", Interface: "eth0", Table: 100}, "route to 10.1.0.0/16 in table 100", ""},
		{"in a namespace", Config{Destination: "10.1.0.0/16", Interface: "eth0", Table: 254, Netns: "blue"}, "route to 10.1.0.0/16", "/run/netns/blue"},
		{"the default", Config{Destination: "default", Gateway: "10.0.0.1", Table: 254}, "route to 0.0.0.0/0", ""},
		{"the default of IPv6", Config{Destination: "default", Gateway: "fd00::1", Table: 254}, "route to ::/0 with metric 1024", ""},
		{"the kernel's own metric", Config{Destination: "fd00:1::/64", Interface: "eth0", Metric: 1024, Table: 254}, "route to fd00:1::/64 with metric 1024", ""},
		{"left out", Config{Destination: "fd00:1::/64", Interface: "eth0", Table: 254}, "route to fd00:1::/64 with metric 1024", ""},
	} {
		want := []spec.Claim{{Sort: spec.ClaimName, Value: c.value, Field: "destination", Domain: c.domain}}
		if got := c.config.Claims(); !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
	}
	if got := (&Config{Destination: "somewhere"}).Claims(); got != nil {
		t.Errorf("what is no network claims %+v", got)
	}
}
