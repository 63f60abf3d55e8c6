package ip

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/drivers/drivertest"
	"github.com/svcctl/svcctl/internal/netns"
)

const insideMAC = "02:00:00:00:00:1a"

// inner names the network namespace on the host "here", which addInner makes. It is
// taken away with the world.
func (w world) inner() string { return w.prefix + "inner" }

func (w world) addInner(t *testing.T) {
	t.Helper()
	run(t, "ip", "netns", "add", w.inner())
	w.on(t, "inner", "link set lo up")
}

// plugged makes the bridge br0 on the host "here", eth1 in it.
func plugged(t *testing.T, w world) {
	t.Helper()
	w.on(t, "here", "link add br0 type bridge")
	w.on(t, "here", "link set eth1 master br0")
	w.on(t, "here", "link set br0 up")
}

func TestEveryPromiseIsKeptInsideANetworkNamespaceToo(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		w.addInner(t)
		plugged(t, w)
		for _, c := range []Config{
			{Address: families[0], Netns: w.inner(), Interface: "eth0", Gateway: "10.77.0.2", MAC: insideMAC},
			{Address: families[1], Netns: w.inner(), Bridge: "br0", Gateway: "fd77::2", Device: "net0"},
			{Address: "10.78.0.1/32", Netns: w.inner(), Device: "lo"},
		} {
			c.Probe, c.Announce = "none", 1
			drivertest.Run(t, drivertest.Harness{
				Open: func(t *testing.T) drivers.Driver { return opened(t, c) },
				Fingerprint: func(t *testing.T) string {
					outside := strings.Count(w.on(t, "here", "-oneline link show"), "\n")
					return w.on(t, "inner", "-brief address show") + w.on(t, "inner", "route show") + w.on(t, "inner", "-6 route show default") + strings.Repeat("|", outside)
				},
				Break: func(t *testing.T) { w.on(t, "inner", "address delete "+c.Address+" dev "+opened(t, c).config.where()) },
			})
		}
	})
}

func TestAnAddressInsideIsAskedForAndToldFromInside(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		w.addInner(t)
		plugged(t, w)
		for _, c := range []Config{
			{Address: families[0], Netns: w.inner(), Interface: "eth0", MAC: insideMAC, Announce: 1},
			{Address: families[1], Netns: w.inner(), Bridge: "br0", MAC: insideMAC, Announce: 1},
		} {
			w.on(t, "there", "address add "+c.Address+" dev eth0 nodad")
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			err := opened(t, c).Start(ctx)
			cancel()
			if err == nil || !strings.Contains(err.Error(), thereMAC) {
				t.Errorf("%v, want the MAC %s", err, thereMAC)
			}
			w.on(t, "there", "address delete "+c.Address+" dev eth0")
			w.on(t, "there", "neighbour replace "+host(c.Address)+" lladdr 02:00:00:00:00:99 nud stale dev eth0")
			d := opened(t, c)
			start(t, d)
			w.cached(t, host(c.Address), insideMAC)
			if shown := w.on(t, "here", "address show"); strings.Contains(shown, host(c.Address)) {
				t.Errorf("the address is outside: %s", shown)
			}
			stop(t, d)
			if shown := w.on(t, "inner", "link show"); strings.Contains(shown, "eth0") {
				t.Errorf("the interface stays: %s", shown)
			}
		}
	})
}

func TestWhatHappensInsideIsTold(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		d := opened(t, Config{Address: families[0], Netns: w.inner(), Interface: "eth0", Probe: "none", Gateway: "10.77.0.2"})
		gone := drivers.Status{State: drivers.Down, Detail: "there is no network namespace /run/netns/" + w.inner()}
		expect(t, d, gone.State, gone.Detail)
		if err := d.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "no such network namespace") {
			t.Error(err)
		}
		stop(t, d)
		told := watched(t, d)
		w.addInner(t)
		await(t, told, drivers.Status{State: drivers.Down, Detail: "there is no interface eth0"})
		start(t, d)
		await(t, told, drivers.Status{State: drivers.Up})
		w.on(t, "inner", "route delete default")
		await(t, told, drivers.Status{State: drivers.Failed, Detail: "the default route by 10.77.0.2 is gone"})
		start(t, d)
		await(t, told, drivers.Status{State: drivers.Up})
		w.on(t, "inner", "link delete eth0")
		await(t, told, drivers.Status{State: drivers.Down, Detail: "there is no interface eth0"})
		start(t, d)
		w.on(t, "switch", "link set port0 down")
		await(t, told, drivers.Status{State: drivers.Failed, Detail: "no carrier on eth0"})
		w.on(t, "switch", "link set port0 up")
		await(t, told, drivers.Status{State: drivers.Up})
		run(t, "ip", "netns", "delete", w.inner())
		await(t, told, gone)
		// Nothing of ours keeps it alive: what was in it is gone from the host too.
		w.addInner(t)
		start(t, d)
		await(t, told, drivers.Status{State: drivers.Up})
		stop(t, d)
	})
}

func TestNothingOfOursKeepsADeletedNamespaceAlive(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		w.addInner(t)
		plugged(t, w)
		d := opened(t, Config{Address: families[0], Netns: w.inner(), Bridge: "br0", Probe: "none"})
		watched(t, d)
		start(t, d)
		if shown := w.on(t, "here", "link show"); !strings.Contains(shown, d.outer(false)) {
			t.Fatalf("no end outside: %s", shown)
		}
		if err := netns.Remove(w.inner()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the end of the pair", func() bool { return !strings.Contains(w.on(t, "here", "link show"), d.outer(false)) })
	})
}

func TestAnInterfaceOfOthersIsLeftAloneAndUsedOnlyWhereDeclared(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		w.addInner(t)
		run(t, "ip", "link", "add", "mine", "link", "eth0", "netns", w.inner(), "type", "macvlan")
		d := opened(t, Config{Address: families[0], Netns: w.inner(), Interface: "eth0", Device: "mine", Probe: "none"})
		if err := d.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "not of this resource") {
			t.Error(err)
		}
		stop(t, d)
		w.on(t, "inner", "link set mine up")
		d = opened(t, Config{Address: families[0], Netns: w.inner(), Link: "none", Device: "mine", Probe: "none", Gateway: "10.77.0.2"})
		w.on(t, "inner", "route add default dev mine")
		if err := d.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "another default route is inside already") {
			t.Error(err)
		}
		w.on(t, "inner", "route delete default")
		start(t, d)
		stop(t, d)
		if shown := w.on(t, "inner", "link show"); !strings.Contains(shown, "mine") {
			t.Errorf("the interface is gone: %s", shown)
		}
		if shown := w.on(t, "inner", "route show"); strings.Contains(shown, "default") {
			t.Errorf("the default route stays: %s", shown)
		}
	})
}

func TestWhatAnAgentLeftHalfWayIsTakenAway(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		w.addInner(t)
		plugged(t, w)
		d := opened(t, Config{Address: families[0], Netns: w.inner(), Bridge: "br0", Probe: "none"})
		w.on(t, "here", "link add "+d.outer(false)+" type veth peer name "+d.outer(true))
		start(t, d)
		stop(t, d)
		w.on(t, "here", "link add "+d.outer(false)+" type veth peer name "+d.outer(true))
		stop(t, d)
		if shown := w.on(t, "here", "link show"); strings.Contains(shown, d.outer(true)) {
			t.Error(shown)
		}
		for base, want := range map[string]string{"nobr": "no such interface on the host: nobr", "eth0": "is it a bridge?"} {
			err := opened(t, Config{Address: families[0], Netns: w.inner(), Bridge: base}).Start(t.Context())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
	})
}

func TestMistakesOfNetworkNamespacesAreFoundAtLoad(t *testing.T) {
	good := Config{Address: "10.0.0.10/24", Netns: "inner", Interface: "eth0", Device: "eth0", MAC: insideMAC, Gateway: "10.0.0.1"}
	if found := good.Validate(); len(found) > 0 {
		t.Error(found)
	}
	for name, of := range map[string]struct {
		field  string
		change func(*Config)
	}{
		"a path with dots":           {"netns", func(c *Config) { c.Netns = "/run/../x" }},
		"a device with a slash":      {"device", func(c *Config) { c.Device = "a/b" }},
		"a macvlan over nothing":     {"interface", func(c *Config) { c.Link, c.Interface = "macvlan", "" }},
		"a pair without a bridge":    {"bridge", func(c *Config) { c.Link, c.Interface = "veth", "" }},
		"a macvlan with a bridge":    {"bridge", func(c *Config) { c.Link, c.Bridge = "macvlan", "br0" }},
		"a MAC of a group":           {"mac", func(c *Config) { c.MAC = "01:00:00:00:00:01" }},
		"a MAC of what is there":     {"mac", func(c *Config) { c.Link, c.Interface = "none", "" }},
		"a router of another family": {"gateway", func(c *Config) { c.Gateway = "fd00::1" }},
		"a router that is itself":    {"gateway", func(c *Config) { c.Gateway = "10.0.0.10" }},
		"no interface at all":        {"interface", func(c *Config) { *c = Config{Address: c.Address} }},
		"a gateway of the host":      {"gateway", func(c *Config) { c.Netns, c.MAC = "", "" }},
	} {
		c := good
		of.change(&c)
		if found := c.Validate(); len(found) != 1 || found[0].Field != of.field {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
