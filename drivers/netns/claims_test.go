package netns

import (
	"slices"
	"testing"

	"github.com/svcctl/svcctl/spec"
)

func TestANetworkNamespaceClaimsItsName(t *testing.T) {
	c := &Config{}
	if got := c.Claims(); got != nil {
		t.Errorf("without a name it claims %+v", got)
	}
	c.SetAddress("prod/orders/netns.inner")
	want := []spec.Claim{{Sort: spec.ClaimName, Value: "network namespace prod.orders.inner", Field: "name"}}
	if got := c.Claims(); !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}
