package ip

import (
	"slices"
	"testing"

	"github.com/svcctl/svcctl/spec"
)

func TestAnIPClaimsItsAddressInItsNetworkNamespace(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		value  string
		domain string
	}{
		{"the host's", Config{Address: "10.0.0.10/24", Interface: "eth0"}, "10.0.0.10", ""},
		{"another spelling", Config{Address: "2001:DB8:0::10/64", Interface: "eth0"}, "2001:db8::10", ""},
		{"in a namespace", Config{Address: "10.0.0.10/24", Netns: "blue"}, "10.0.0.10", "/run/netns/blue"},
		{"in a namespace by its path", Config{Address: "10.0.0.10/24", Netns: "/run/netns/blue"}, "10.0.0.10", "/run/netns/blue"},
		{"in a namespace by another path", Config{Address: "10.0.0.10/24", Netns: "/var/run/netns/blue"}, "10.0.0.10", "/run/netns/blue"},
		{"of a link", Config{Address: "fe80::1/64", Interface: "eth1"}, "fe80::1", " eth1"},
	} {
		want := []spec.Claim{{Sort: spec.ClaimAddress, Value: c.value, Field: "address", Domain: c.domain}}
		if got := c.config.Claims(); !slices.Equal(got, want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, want)
		}
	}
	if got := (&Config{Address: "10.0.0.10"}).Claims(); got != nil {
		t.Errorf("what is no address claims %+v", got)
	}
}
