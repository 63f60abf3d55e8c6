package ip

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/drivers/drivertest"
)

func TestEveryPromiseOfADriverIsKept(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		for _, c := range []Config{
			{Address: families[0], Interface: "eth0", Probe: "fast", Announce: 3},
			{Address: families[1], Interface: "eth0", Probe: "fast", Announce: 3},
			{Address: "10.78.0.1/32", Interface: "lo", Probe: "fast", Announce: 3},
		} {
			live := c
			live.Announce = 1
			drivertest.Run(t, drivertest.Harness{
				Open:        func(t *testing.T) drivers.Driver { return opened(t, c) },
				Fingerprint: func(t *testing.T) string { return w.on(t, "here", "-brief address show dev "+c.Interface) },
				Break:       func(t *testing.T) { w.on(t, "here", "address delete "+c.Address+" dev "+c.Interface) },
				Live:        &live,
			})
		}
	})
}

func TestTheNeighboursFollow(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		for _, a := range families {
			w.on(t, "there", "neighbour replace "+host(a)+" lladdr 02:00:00:00:00:99 nud stale dev eth0")
			d := opened(t, Config{Address: a, Announce: 3})
			start(t, d)
			w.cached(t, host(a), hereMAC)
			// A later announcement reaches whom the first did not.
			w.on(t, "there", "neighbour replace "+host(a)+" lladdr 02:00:00:00:00:99 nud stale dev eth0")
			w.cached(t, host(a), hereMAC)
			stop(t, d)
			if d.pending != nil {
				t.Error("announcements go on after Stop")
			}
		}
	})
}

func TestAnAdoptedAddressIsRefreshedToo(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		start(t, opened(t, Config{Address: "10.77.0.10/24", Label: "eth0:vip"})) // by an agent that ended, and announced nothing
		d := opened(t, Config{Address: "10.77.0.10/24", Label: "eth0:vip", Announce: 1, Refresh: time.Second})
		watched(t, d)
		for range 2 {
			w.on(t, "there", "neighbour replace 10.77.0.10 lladdr 02:00:00:00:00:99 nud stale dev eth0")
			w.cached(t, "10.77.0.10", hereMAC)
		}
		stop(t, d)
		start(t, d)
		if shown := w.on(t, "here", "address show dev eth0"); !strings.Contains(shown, "eth0:vip") {
			t.Errorf("no label: %s", shown)
		}
	})
}

func TestAConflictIsNamedByItsMAC(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		for _, a := range families {
			w.on(t, "there", "address add "+a+" dev eth0 nodad")
			for _, probe := range []string{"fast", "rfc"} {
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				d := opened(t, Config{Address: a, Probe: probe})
				err := d.Start(ctx)
				cancel()
				for _, part := range []string{"cannot add " + a + " to eth0", thereMAC} {
					if err == nil || !strings.Contains(err.Error(), part) {
						t.Errorf("%s: %v, want %q", probe, err, part)
					}
				}
				expect(t, d, drivers.Down, "")
			}
		}
	})
}

func TestAConflictThatGoesAwayIsWaitedFor(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		for _, a := range families {
			w.on(t, "there", "address add "+a+" dev eth0 nodad")
			d := opened(t, Config{Address: a})
			released := make(chan bool)
			go func() {
				defer close(released)
				answered(t, opened(t, Config{Address: a}))
				w.on(t, "there", "address delete "+a+" dev eth0")
			}()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			err := d.Start(ctx)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			<-released
			expect(t, d, drivers.Up, "")
		}
	})
}

func TestTheTimingsOfTheRFCEndInAnAddress(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		for _, a := range families {
			d := opened(t, Config{Address: a, Probe: "rfc"})
			start(t, d)
			stop(t, d)
		}
	})
}

func TestWhatHappensToAnAddressIsTold(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		for _, a := range families {
			d := opened(t, Config{Address: a, Announce: 1})
			told := watched(t, d)
			start(t, d)
			await(t, told, drivers.Status{State: drivers.Up})
			w.on(t, "here", "address delete "+a+" dev eth0")
			await(t, told, drivers.Status{State: drivers.Down})
			start(t, d)
			await(t, told, drivers.Status{State: drivers.Up})
			w.on(t, "switch", "link set port0 down")
			await(t, told, drivers.Status{State: drivers.Failed, Detail: "no carrier on eth0"})
			w.on(t, "there", "neighbour replace "+host(a)+" lladdr 02:00:00:00:00:99 nud stale dev eth0")
			w.on(t, "switch", "link set port0 up")
			await(t, told, drivers.Status{State: drivers.Up})
			w.cached(t, host(a), hereMAC)
			stop(t, d)
			w.on(t, "here", "link set eth0 down")
			if err := d.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "eth0 is down") {
				t.Errorf("started on an interface that is down: %v", err)
			}
			w.on(t, "here", "link set eth0 up")
			eventually(t, "carrier", func() bool { l := linkOf(t, d); return l.Carrier() })
		}
	})
}

func TestOtherAddressesAreLeftAlone(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		d := opened(t, Config{Address: families[0]})
		start(t, d)
		w.on(t, "here", "address add 10.77.0.20/24 dev eth0") // secondary: goes with the first, by default
		w.on(t, "here", "address add 10.77.0.10/32 dev eth1")
		stop(t, d)
		left := w.on(t, "here", "-4 -brief address show")
		for _, a := range []string{"10.77.0.20/24", "10.77.0.10/32"} {
			if !strings.Contains(left, a) {
				t.Errorf("%s is gone: %s", a, left)
			}
		}
		stop(t, d)
		err := d.Start(t.Context())
		if err == nil || !strings.Contains(err.Error(), "this host has it on eth1 already") {
			t.Errorf("%v", err)
		}
		w.on(t, "here", "address delete 10.77.0.10/32 dev eth1")
		w.on(t, "here", "address add 10.77.0.10/32 dev eth0")
		expect(t, d, drivers.Down, "10.77.0.10 is on eth0 with prefix length 32, not 24")
		if err := d.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "another prefix length") {
			t.Errorf("%v", err)
		}
	})
}

func TestAnAddressThatSomebodyElsePutThereIsNamedAndStays(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		for _, a := range families {
			w.on(t, "here", "address add "+a+" dev eth0 nodad")
			d := opened(t, Config{Address: a})
			expect(t, d, drivers.Down, a+" is on eth0 already, and was not put there by svcctl")
			if err := d.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot add "+a+" to eth0: it is there already") {
				t.Error(err)
			}
			stop(t, d)
			if left := w.on(t, "here", "-brief address show dev eth0"); !strings.Contains(left, a) {
				t.Errorf("%s is gone: %s", a, left)
			}
			w.on(t, "here", "address delete "+a+" dev eth0")
			start(t, d)
			later := opened(t, Config{Address: a})
			expect(t, later, drivers.Up, "")
			d.shared.marks = false // an older kernel tells nobody's from another's
			expect(t, d, drivers.Up, "")
			stop(t, later)
			if left := w.on(t, "here", "-brief address show dev eth0"); strings.Contains(left, a) {
				t.Errorf("our own stays: %s", left)
			}
		}
	})
}

func TestAMissingInterfaceIsAnswered(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		d := opened(t, Config{Address: families[0], Interface: "eth7"})
		stop(t, d)
		expect(t, d, drivers.Down, "there is no interface eth7")
		err := d.Start(t.Context())
		if want := "cannot add 10.77.0.10/24 to eth7: no such interface (there are eth0, eth1, lo)"; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
		gone := opened(t, Config{Address: families[0], Interface: "eth1"})
		start(t, gone)
		w.on(t, "here", "link delete eth1")
		expect(t, gone, drivers.Down, "there is no interface eth1")
		stop(t, gone)
	})
}

func TestAKernelThatHangsHoldsNoCallBeyondItsTime(t *testing.T) {
	d := opened(t, Config{Address: families[0]})
	ended, waits := make(chan struct{}), make(chan struct{})
	go d.kernel.Converse(t.Context(), func() error { close(waits); <-ended; return nil }) // as a request does that gets no answer
	<-waits
	defer close(ended)
	for name, call := range map[string]func(context.Context) error{
		"Status": func(ctx context.Context) error { _, err := d.Status(ctx); return err },
		"Start":  d.Start,
		"Stop":   d.Stop,
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if err := call(ctx); err == nil || !strings.Contains(err.Error(), "the kernel does not answer") {
			t.Errorf("%s: %v", name, err)
		}
		cancel()
	}
}

func TestOnlyClaimsOfOthersCount(t *testing.T) {
	own, other := [6]byte{2, 0, 0, 0, 0, 1}, [6]byte{2, 0, 0, 0, 0, 2}
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	none, six := netip.IPv4Unspecified(), netip.MustParseAddr("fd77::1")
	group, every := solicitedNode(six), netip.IPv6LinkLocalAllNodes()
	for name, c := range map[string]struct {
		frame []byte
		of    netip.Addr
		yes   bool
	}{
		"a reply":                        {arp(arpReply, other, a, own, none), a, true},
		"our own reply":                  {arp(arpReply, own, a, own, a), a, false},
		"a probe for the same":           {arp(arpRequest, other, none, [6]byte{}, a), a, true},
		"our own probe":                  {arp(arpRequest, own, none, [6]byte{}, a), a, false},
		"a question of somebody else":    {arp(arpRequest, other, b, [6]byte{}, a), a, false},
		"a reply for another address":    {arp(arpReply, other, b, own, a), a, false},
		"an advertisement":               {neighbour(advertisement, other, six, every, six, 0x20, nil), six, true},
		"our own advertisement":          {neighbour(advertisement, own, six, every, six, 0x20, nil), six, false},
		"a solicitation by who wants it": {neighbour(solicitation, other, netip.IPv6Unspecified(), group, six, 0, nil), six, true},
		"a solicitation by who asks":     {neighbour(solicitation, other, netip.MustParseAddr("fd77::2"), group, six, 0, nil), six, false},
		"a stump":                        {arp(arpReply, other, a, own, a)[:20], a, false},
	} {
		if mac, yes := claim(c.frame, c.of, own); yes != c.yes || yes && mac != other {
			t.Errorf("%s: %x, %v", name, mac, yes)
		}
	}
}

func TestMistakesAreFoundAtLoad(t *testing.T) {
	good := Config{Address: "10.0.0.10/24", Interface: "eth0", Announce: 3}
	if found := good.Validate(); len(found) > 0 {
		t.Error(found)
	}
	for _, a := range []string{"", "host", "10.0.0.10", "2001:db8::1", "10.0.0.0/24", "10.0.0.255/24", "10.0.0.1/33", "224.0.0.1/24", "0.0.0.0/0", "::ffff:10.0.0.1/120", "fe80::1%eth0/64"} {
		c := good
		c.Address = a
		if found := c.Validate(); len(found) != 1 || found[0].Field != "address" {
			t.Errorf("%q: %+v", a, found)
		}
	}
	if found := (&Config{Address: "10.0.0.10", Interface: "eth0"}).Validate(); !strings.Contains(found[0].Detail, `"10.0.0.10/24"`) {
		t.Errorf("does not say what to write: %+v", found)
	}
	for field, change := range map[string]func(*Config){
		"interface": func(c *Config) { c.Interface = "a/b" },
		"announce":  func(c *Config) { c.Announce = 11 },
		"refresh":   func(c *Config) { c.Refresh = time.Millisecond },
		"label":     func(c *Config) { c.Label = "vip" },
	} {
		c := good
		change(&c)
		if found := c.Validate(); len(found) != 1 || found[0].Field != field {
			t.Errorf("%s: %+v", field, found)
		}
	}
}

func TestSiblingsReadTheHost(t *testing.T) {
	c := Config{Address: "2001:db8::a/64"}
	e := c.Exports()
	names := make([]string, 0, len(e))
	for n := range e {
		names = append(names, n)
	}
	slices.Sort(names)
	if !slices.Equal(names, c.ExportNames()) {
		t.Errorf("exports %v, names %v", names, c.ExportNames())
	}
	if e["host"].AsString() != "2001:db8::a" || e["network"].AsString() != "2001:db8::/64" {
		t.Errorf("%#v", e)
	}
}

// An address that every host has: the probe changes nothing.
func BenchmarkStatus(b *testing.B) {
	d := opened(b, Config{Address: "127.0.0.1/8", Interface: "lo"})
	var before, after syscall.Rusage
	b.ReportAllocs()
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for b.Loop() {
		if s, err := d.Status(b.Context()); err != nil || s.State != drivers.Up {
			b.Fatal(s, err)
		}
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/float64(b.N)/1e3, "cpu-µs/op")
}
