package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// A service in a network of its own: an address over the host's interface, a route, and
// a program that is looked at from inside.
func innerService(space string) string {
	return fmt.Sprintf(`service "inner" {
  netns "own" {
    name = %q
  }
  ip "vip" {
    address   = "10.77.0.10/24"
    netns     = netns.own.name
    interface = "eth0"
    gateway   = "10.77.0.1"
  }
  route "branch" {
    destination = "10.99.0.0/16"
    gateway     = "10.77.0.2"
    source      = ip.vip.host
    netns       = netns.own.name
  }
  app "main" {
    command = ["/usr/bin/perl", "-MIO::Socket::INET", "-e", "$s = IO::Socket::INET->new(LocalAddr => $ARGV[0], Listen => 9, ReuseAddr => 1) or die $@; while ($c = $s->accept) { print $c qq(hello\n); close $c }", hostport(ip.vip.host, 8080)]
    netns   = netns.own.name
    after   = [route.branch]
    check "tcp" "greets" {
      address = hostport(ip.vip.host, 8080)
      expect  = "hello"
      netns   = netns.own.name
      every   = "1s"
      timeout = "1s"
      fall    = 30 # a slow machine is no failure
    }
  }
}
`, space)
}

func TestAServiceInANetworkOfItsOwnIsHealedFromEveryLoss(t *testing.T) {
	needsRoot(t)
	needs(t, "ip", "nsenter", "perl")
	t.Parallel()
	w := newNetwork(t)
	w.add("node", "10.77.0.1/24")
	w.add("client", "10.77.0.2/24")
	n := newNode(t, map[string]string{"inner.hcl": innerService(w.host("inner"))})
	n.space = w.host("node")
	n.start()
	n.isUp("inner")
	answered := func() {
		n.t.Helper()
		n.until("the check from inside passes", func(s *status) string {
			if r := s.resource("inner/app.main"); r == nil || len(r.Checks) != 1 || r.Checks[0].State != "up" {
				return fmt.Sprintf("%+v", r)
			}
			return ""
		})
		n.await("the client is greeted", func() string {
			out, err := w.in("client", "timeout", "5", "perl", "-MIO::Socket::INET", "-e",
				`$s = IO::Socket::INET->new(PeerAddr => "10.77.0.10:8080", Timeout => 3) or die $@; print <$s>`)
			if err != nil || out != "hello\n" {
				return fmt.Sprintf("%q, %v", out, err)
			}
			return ""
		})
	}
	answered()
	inside := func(args ...string) string { n.t.Helper(); return w.ip("inner", args...) }
	if r := inside("route"); !strings.Contains(r, "default via 10.77.0.1") || !strings.Contains(r, "10.99.0.0/16 via 10.77.0.2") {
		t.Errorf("the routes inside are %s", r)
	}
	if a := w.ip("node", "address"); strings.Contains(a, "10.77.0.10") {
		t.Errorf("the address is outside: %s", a)
	}
	for _, fault := range []struct {
		name   string
		what   string // is down then
		inject func()
		app    bool // another process behind it
	}{
		{"the program is killed", "inner/app.main", func() { kill(n.t, n.pids()["inner/app.main"]) }, true},
		{"the address is removed inside", "inner/ip.vip", func() { inside("address", "del", "10.77.0.10/24", "dev", "eth0") }, false},
		{"the interface is removed inside", "inner/ip.vip", func() { inside("link", "del", "eth0") }, false},
		{"the route is removed inside", "inner/route.branch", func() { inside("route", "del", "10.99.0.0/16") }, false},
		{"the namespace is deleted by hand", "inner/netns.own", func() {
			out, err := command("/", "ip", "netns", "del", w.host("inner"))
			// It unmounts and then unlinks: in between the agent may have made another, or be at it.
			if err != nil && !strings.Contains(out, "Device or resource busy") && !strings.Contains(out, "No such file") {
				n.t.Fatalf("ip netns del: %v: %s", err, out)
			}
		}, true},
	} {
		n.step(w, fault.name, func(t *testing.T) {
			before, times := n.pids(), n.count(fault.what, "up")
			fault.inject()
			await(t, fault.what+" is up again", func() string {
				if n.count(fault.what, "up") == times {
					return "it was not healed yet"
				}
				return ""
			})
			if fault.app {
				n.another(before, "inner/app.main")
			}
			n.isUp("inner")
			answered()
		})
	}
	n.step(w, "the service is stopped and nothing is left of it", func(t *testing.T) {
		n.wants(0, "stop", "inner", "--timeout", "90s")
		if out := sh(t, "ip", "netns", "list"); strings.Contains(out, w.host("inner")) {
			t.Errorf("the namespace is still there: %s", out)
		}
		if links := w.ip("node", "-o", "link"); strings.Contains(links, "svi") || strings.Contains(links, "svo") {
			t.Errorf("interfaces are left: %s", links)
		}
	})
}
