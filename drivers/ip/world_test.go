package ip

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/internal/rtnl"
	"github.com/svcctl/svcctl/spec"
)

// A world is two hosts at a switch, each a network namespace. The test itself runs
// on the host "here", whose eth0 and eth1 are plugged into the switch.
const (
	hereMAC   = "02:00:00:00:00:0a"
	secondMAC = "02:00:00:00:00:0c"
	thereMAC  = "02:00:00:00:00:0b"
)

type world struct{ prefix string }

var worlds atomic.Int64

// inWorld runs body in a world of its own: this test binary is started again
// inside the namespace of the host "here".
func inWorld(t *testing.T, body func(t *testing.T, w world)) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	if prefix := os.Getenv("TEST_WORLD"); prefix != "" {
		body(t, world{prefix})
		return
	}
	t.Parallel() // each has its own world
	w := world{fmt.Sprintf("svctest-%d-%d-", os.Getpid(), worlds.Add(1))}
	for _, host := range []string{"here", "there", "switch", "inner"} {
		t.Cleanup(func() { exec.Command("ip", "netns", "delete", w.prefix+host).Run() }) // gone already, or never made
		if host != "inner" {                                                             // a test makes that itself
			run(t, "ip", "netns", "add", w.prefix+host)
		}
	}
	w.on(t, "switch", "link add bridge type bridge")
	w.on(t, "switch", "link set bridge up")
	for _, plug := range []struct{ host, name, mac, port string }{
		{"here", "eth0", hereMAC, "port0"}, {"here", "eth1", secondMAC, "port1"}, {"there", "eth0", thereMAC, "port2"},
	} {
		w.on(t, "switch", "link add "+plug.port+" type veth peer name "+plug.name+" netns "+w.prefix+plug.host+" address "+plug.mac)
		w.on(t, "switch", "link set "+plug.port+" master bridge up")
		w.on(t, plug.host, "link set "+plug.name+" up")
		w.on(t, plug.host, "link set lo up")
	}
	for _, a := range []string{"10.77.0.2/24", "fd77::2/64 nodad"} {
		w.on(t, "there", "address add "+a+" dev eth0")
	}
	cmd := exec.Command("ip", "netns", "exec", w.prefix+"here", os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "3m")
	cmd.Env = append(os.Environ(), "TEST_WORLD="+w.prefix)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}

func run(t *testing.T, command ...string) string {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", command, err, out)
	}
	return string(out)
}

// on runs ip on a host.
func (w world) on(t *testing.T, host, command string) string {
	t.Helper()
	return run(t, append([]string{"ip", "-n", w.prefix + host}, strings.Fields(command)...)...)
}

// cached waits until the other host's neighbour cache has a MAC for the address.
func (w world) cached(t *testing.T, a, mac string) {
	t.Helper()
	eventually(t, a+" at "+mac, func() bool {
		return strings.Contains(w.on(t, "there", "neighbour show "+a+" dev eth0"), mac)
	})
}

// answered waits until somebody else claims the address on the wire.
func answered(t *testing.T, d *driver) {
	t.Helper()
	l := linkOf(t, d)
	protocol := uint16(unix.ETH_P_ARP)
	if d.want.Addr().Is6() {
		protocol = unix.ETH_P_IPV6
	}
	socket, err := wire(&l, protocol, d.want.Addr())
	if err != nil {
		t.Error(err)
		return
	}
	defer socket.Close()
	if _, found, err := hear(t.Context(), socket, d.want.Addr(), l.MAC, time.Minute); !found {
		t.Errorf("nobody answered for %s: %v", d.want, err)
	}
}

func linkOf(t *testing.T, d *driver) rtnl.Link {
	t.Helper()
	s, err := d.look(t.Context(), d.config.where())
	if err != nil {
		t.Error(err)
	}
	return s.link
}

var families = []string{"10.77.0.10/24", "fd77::10/64"}

func host(address string) string { return netip.MustParsePrefix(address).Addr().String() }

func opened(t testing.TB, c Config) *driver {
	t.Helper()
	if c.Interface == "" && c.Netns == "" {
		c.Interface = "eth0"
	}
	if c.Device == "" {
		c.Device = "eth0"
	}
	if c.Probe == "" {
		c.Probe = "fast"
	}
	if found := c.Validate(); len(found) > 0 {
		t.Fatal(found)
	}
	var r drivers.Registry
	Register(&r)
	d, err := r.Open(drivers.Opening{Address: "orders/ip.vip"}, &spec.Resource{Kind: "ip", Config: &c})
	if err != nil {
		t.Fatal(err)
	}
	return d.(*driver)
}

func start(t *testing.T, d *driver) {
	t.Helper()
	if err := d.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, d, drivers.Up, "")
}

func stop(t *testing.T, d *driver) {
	t.Helper()
	if err := d.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, d *driver, state drivers.State, detail string) {
	t.Helper()
	s, err := d.Status(t.Context())
	if err != nil || s.State != state || s.Detail != detail {
		t.Errorf("%+v, %v; want %s %q", s, err, state, detail)
	}
}

// watched gives what Watch tells.
func watched(t *testing.T, d *driver) chan drivers.Status {
	t.Helper()
	told := make(chan drivers.Status, 100)
	end, err := d.Watch(func(s drivers.Status) { told <- s })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(end)
	return told
}

func await(t *testing.T, told chan drivers.Status, want drivers.Status) {
	t.Helper()
	limit := time.NewTimer(time.Minute)
	defer limit.Stop()
	for {
		select {
		case s := <-told:
			if s == want {
				return
			}
		case <-limit.C:
			t.Fatalf("never told of %+v", want)
		}
	}
}

// eventually asks for a fact of the kernel that no event tells.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 3000 {
		if is() {
			return
		}
		<-tick.C
	}
	t.Fatalf("waited in vain for %s", what)
}
