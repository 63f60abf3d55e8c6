package route

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/drivers/drivertest"
	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/spec"
)

// room is a network namespace with a pair of interfaces, and addresses on the first.
type room struct{ name string }

func newRoom(t *testing.T) room {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	r := room{fmt.Sprintf("svctest-%d-%s", os.Getpid(), strings.ToLower(t.Name()))}
	t.Cleanup(func() {
		if err := netns.Remove(r.name); err != nil {
			t.Error(err)
		}
	})
	if err := netns.Make(r.name); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"link add eth0 type veth peer name peer",
		"link set eth0 addrgenmode none", "link set peer addrgenmode none", // an address of the kernel's own comes at any time
		"link set peer up", "link set eth0 up",
		"address add 10.9.0.1/24 dev eth0", "address add fd09::1/64 dev eth0 nodad"} {
		r.ip(t, command)
	}
	return r
}

func (r room) ip(t *testing.T, command string) string {
	t.Helper()
	out, err := exec.Command("ip", append([]string{"-n", r.name}, strings.Fields(command)...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v\n%s", command, err, out)
	}
	return string(out)
}

func opened(t *testing.T, c Config) drivers.Driver {
	t.Helper()
	if c.Type == "" {
		c.Type = "unicast"
	}
	if c.Table == 0 {
		c.Table = 254
	}
	if found := c.Validate(); len(found) > 0 {
		t.Fatal(found)
	}
	var r drivers.Registry
	Register(&r)
	d, err := r.Open(drivers.Opening{}, &spec.Resource{Kind: "route", Config: &c})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func expect(t *testing.T, d drivers.Driver, state drivers.State, detail string) {
	t.Helper()
	s, err := d.Status(t.Context())
	if err != nil || s.State != state || s.Detail != detail {
		t.Errorf("%+v, %v; want %s %q", s, err, state, detail)
	}
}

func expectError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%v, want %q", err, part)
		}
	}
}

func TestEveryPromiseOfADriverIsKept(t *testing.T) {
	r := newRoom(t)
	for _, c := range []Config{
		{Destination: "10.20.0.0/16", Gateway: "10.9.0.2", Source: "10.9.0.1", Metric: 7},
		{Destination: "default", Gateway: "10.9.0.2", Interface: "eth0"},
		{Destination: "10.21.0.0/16", Interface: "eth0", Table: 1000},
		{Destination: "fd20::/16", Gateway: "fd09::2"},
		{Destination: "default", Gateway: "fd09::2", Metric: 9},
		{Destination: "10.20.0.0/16", Type: "blackhole"},
		{Destination: "fd21::/16", Type: "unreachable", Table: 77},
		{Destination: "10.22.0.1/32", Type: "prohibit"},
	} {
		c.Netns = r.name
		drivertest.Run(t, drivertest.Harness{
			Open:        func(t *testing.T) drivers.Driver { return opened(t, c) },
			Fingerprint: func(t *testing.T) string { return r.ip(t, "route show table all") + r.ip(t, "-6 route show table all") },
			Break: func(t *testing.T) {
				family, table := "", c.Table
				if strings.Contains(c.Destination+c.Gateway, ":") {
					family = "-6 "
				}
				if table == 0 {
					table = 254
				}
				kind := c.Type // of a route that sends nothing on, ip wants the type
				r.ip(t, fmt.Sprintf("%sroute delete %s %s table %d", family, kind, c.Destination, table))
			},
		})
	}
}

func TestARouteOfOthersIsNamedAndStays(t *testing.T) {
	r := newRoom(t)
	for _, c := range []struct{ there, want string }{
		{"route add 10.20.0.0/16 via 10.9.0.3 proto static", "10.20.0.0/16 via 10.9.0.3 dev eth0 proto static"},
		{"route add 10.20.0.0/16 via 10.9.0.2 proto static", "10.20.0.0/16 via 10.9.0.2 dev eth0 proto static"}, // the same as ours, but for who made it
		{"route add blackhole 10.20.0.0/16", "blackhole 10.20.0.0/16 proto boot"},
		{"route add 10.20.0.0/16 nexthop via 10.9.0.3 nexthop via 10.9.0.4", "by several hops"},
	} {
		r.ip(t, c.there)
		d := opened(t, Config{Destination: "10.20.0.0/16", Gateway: "10.9.0.2", Netns: r.name})
		expectError(t, d.Start(t.Context()), "cannot add the route 10.20.0.0/16 via 10.9.0.2", "another route is there", c.want, "not ours to replace")
		if s, err := d.Status(t.Context()); err != nil || s.State != drivers.Failed || !strings.Contains(s.Detail, c.want) {
			t.Errorf("%+v, %v", s, err)
		}
		if err := d.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if left := r.ip(t, "route show 10.20.0.0/16"); left == "" {
			t.Error("the route of others is gone")
		}
		r.ip(t, "route flush 10.20.0.0/16")
	}
	// Another metric stands beside it.
	r.ip(t, "route add 10.20.0.0/16 via 10.9.0.3")
	d := opened(t, Config{Destination: "10.20.0.0/16", Gateway: "10.9.0.2", Metric: 5, Netns: r.name})
	if err := d.Start(t.Context()); err != nil {
		t.Error(err)
	}
	expect(t, d, drivers.Up, "")
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	r := newRoom(t)
	for _, c := range []struct {
		Config
		want string
	}{
		{Config{Destination: "10.20.0.0/16", Gateway: "10.8.0.2"}, "the gateway 10.8.0.2 is in no network of this host"},
		{Config{Destination: "fd20::/16", Gateway: "fd08::2"}, "the gateway fd08::2 is in no network of this host"},
		{Config{Destination: "10.20.0.0/16", Interface: "eth7"}, "no such interface: eth7"},
		{Config{Destination: "10.20.0.0/16", Gateway: "10.9.0.2", Source: "10.8.0.1"}, "is the source 10.8.0.1 an address of this host"},
		{Config{Destination: "10.20.0.0/16", Gateway: "10.9.0.2", Netns: "svctest-none"}, "no such network namespace"},
	} {
		if c.Netns == "" {
			c.Netns = r.name
		}
		d := opened(t, c.Config)
		expectError(t, d.Start(t.Context()), "cannot add the route", c.want)
		if s, err := d.Status(t.Context()); err != nil || s.State != drivers.Down {
			t.Errorf("%+v, %v", s, err)
		}
		if err := d.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestALossThatTheKernelDoesNotTellIsTold(t *testing.T) {
	r := newRoom(t)
	d := opened(t, Config{Destination: "10.20.0.0/16", Gateway: "10.9.0.2", Netns: r.name})
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := make(chan drivers.Status, 100)
	stop, err := d.(drivers.Watcher).Watch(func(s drivers.Status) { told <- s })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	await := func(state drivers.State) {
		t.Helper()
		limit := time.NewTimer(time.Minute)
		defer limit.Stop()
		for {
			select {
			case s := <-told:
				if s.State == state {
					return
				}
			case <-limit.C:
				t.Fatalf("never told of %s", state)
			}
		}
	}
	r.ip(t, "link set eth0 down") // takes IPv4 routes away without a word
	await(drivers.Down)
	r.ip(t, "link set eth0 up")
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(drivers.Up)
	r.ip(t, "route replace 10.20.0.0/16 via 10.9.0.3")
	await(drivers.Failed)
	if err := netns.Remove(r.name); err != nil {
		t.Fatal(err)
	}
	await(drivers.Down)
}

func TestMistakesAreFoundAtLoad(t *testing.T) {
	good := Config{Destination: "10.1.0.0/16", Gateway: "10.0.0.1", Type: "unicast", Table: 254}
	if found := good.Validate(); len(found) > 0 {
		t.Error(found)
	}
	for name, of := range map[string]struct {
		field  string
		change func(*Config)
	}{
		"no network":             {"destination", func(c *Config) { c.Destination = "10.1.0.0" }},
		"bits behind the length": {"destination", func(c *Config) { c.Destination = "10.1.0.1/16" }},
		"a multicast network":    {"destination", func(c *Config) { c.Destination = "224.0.0.0/4" }},
		"no gateway's address":   {"gateway", func(c *Config) { c.Gateway = "10.0.0.1/24" }},
		"another family":         {"gateway", func(c *Config) { c.Gateway = "fd00::1" }},
		"a source of another":    {"source", func(c *Config) { c.Destination, c.Source = "default", "fd00::1" }},
		"an interface's name":    {"interface", func(c *Config) { c.Interface = "a/b" }},
		"leads nowhere":          {"gateway", func(c *Config) { c.Gateway = "" }},
		"a blackhole that sends": {"type", func(c *Config) { c.Type = "blackhole" }},
		"a negative metric":      {"metric", func(c *Config) { c.Metric = -1 }},
		"the local table":        {"table", func(c *Config) { c.Table = 255 }},
		"a wrong namespace":      {"netns", func(c *Config) { c.Netns = "a/b" }},
	} {
		c := good
		of.change(&c)
		if found := c.Validate(); len(found) != 1 || found[0].Field != of.field {
			t.Errorf("%s: %+v", name, found)
		}
	}
}
