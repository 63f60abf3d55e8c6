package app

import (
	"strings"
	"testing"
)

func TestAnAppRunsInANetworkNamespaceByNameAndByPath(t *testing.T) {
	name := newNetns(t) // before the keeper, which does not follow the mounts of this machine
	h := newConfinedHost(t)
	for _, netns := range []string{name, "/run/netns/" + name} {
		h.tries(nil, func(c *Config) { c.Netns = netns }, map[string]string{"links": "lo down", "status NoNewPrivs": "0"})
	}
	c := trying(t, nil, "links")
	c.Netns = "no-such-namespace"
	err := h.open(c).Start(h.ctx())
	if err == nil || !strings.Contains(err.Error(), "cannot enter the network namespace /run/netns/no-such-namespace") {
		t.Errorf("start in a missing one: %v", err)
	}
	c.Netns = "/etc/hostname"
	if err = h.open(c).Start(h.ctx()); err == nil || !strings.Contains(err.Error(), "it is none") {
		t.Errorf("start in a file: %v", err)
	}
}
