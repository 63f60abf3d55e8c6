package systemd

import (
	"slices"
	"testing"

	"github.com/svcctl/svcctl/spec"
)

func TestAUnitIsClaimedByWhoStartsIt(t *testing.T) {
	for _, c := range []struct {
		config Config
		domain string
	}{
		{Config{Unit: "nginx.service", Scope: "system"}, ""},
		{Config{Unit: "nginx.service", Scope: "user"}, "user "},
		{Config{Unit: "nginx.service", Scope: "user", User: "web"}, "user web"},
	} {
		want := []spec.Claim{{Sort: spec.ClaimName, Value: "unit nginx.service", Field: "unit", Domain: c.domain}}
		if got := c.config.Claims(); !slices.Equal(got, want) {
			t.Errorf("%+v: %+v, want %+v", c.config, got, want)
		}
	}
}
