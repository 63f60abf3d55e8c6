package e2e

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var networks atomic.Int64

// network is a switch with hosts on it: a namespace each, and one for the bridge.
// Nothing in it reaches the host's own network.
type network struct {
	t    *testing.T
	name string
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	w := &network{t: t, name: fmt.Sprintf("%sn%d", filepath.Base(root), networks.Add(1))}
	w.space("switch")
	w.ip("switch", "link", "add", "br0", "type", "bridge")
	w.ip("switch", "link", "set", "br0", "up")
	return w
}

// host is the namespace of one: its name for nsenter.
func (w *network) host(name string) string { return w.name + name }

func (w *network) space(name string) {
	w.t.Helper()
	sh(w.t, "ip", "netns", "add", w.host(name))
	w.t.Cleanup(func() { sh(w.t, "ip", "netns", "del", w.host(name)) })
	w.ip(name, "link", "set", "lo", "up")
}

// add plugs a host into the switch, its interface being eth0.
func (w *network) add(name string, addresses ...string) {
	w.t.Helper()
	w.space(name)
	w.ip("switch", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", w.host(name))
	w.ip("switch", "link", "set", name, "master", "br0", "up")
	w.ip(name, "link", "set", "eth0", "up")
	for _, a := range addresses {
		w.ip(name, "address", "add", a, "dev", "eth0")
	}
}

func (w *network) ip(host string, args ...string) string {
	w.t.Helper()
	return sh(w.t, "ip", append([]string{"-n", w.host(host)}, args...)...)
}

// in runs a command on a host. Only its network is another: `ip netns exec` would
// take a mount namespace of its own as well.
func (w *network) in(host string, args ...string) (string, error) {
	return command("/", "nsenter", append([]string{"--net=/run/netns/" + w.host(host), "--"}, args...)...)
}

// mac is that of a host's interface.
func (w *network) mac(host string) string {
	w.t.Helper()
	fields := strings.Fields(w.ip(host, "-o", "link", "show", "eth0"))
	for i, f := range fields {
		if f == "link/ether" {
			return fields[i+1]
		}
	}
	w.t.Fatalf("%s has no MAC: %v", host, fields)
	return ""
}

// believes is the MAC that a host's neighbour cache has for an address, or "".
func (w *network) believes(host, address string) string {
	fields := strings.Fields(w.ip(host, "neighbour", "show", address))
	for i, f := range fields {
		if f == "lladdr" {
			return fields[i+1]
		}
	}
	return ""
}

// listen hears ARP on a host's interface from now on. The channel yields who, by MAC,
// says unasked that an address is its own.
func (w *network) listen(host string, address netip.Addr) <-chan string {
	w.t.Helper()
	opened := make(chan int)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread stays in the namespace, and ends with us
		opened <- w.packetSocket(host)
	}()
	fd := <-opened
	if fd < 0 {
		w.t.Fatal("cannot listen to ARP")
	}
	heard := make(chan string, 64)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for b := make([]byte, 256); ; {
			size, _, err := unix.Recvfrom(fd, b, 0)
			switch {
			case err == unix.EAGAIN || err == unix.EINTR:
				continue
			case err != nil:
				return
			}
			if who := announces(b[:size], address); who != "" {
				select {
				case heard <- who:
				default: // enough were heard
				}
			}
		}
	}()
	w.t.Cleanup(func() {
		_ = unix.Shutdown(fd, unix.SHUT_RDWR) // has no meaning for packet sockets; the time-out ends the read
		_ = unix.Close(fd)
		<-done
	})
	return heard
}

func (w *network) packetSocket(host string) int {
	space, err := unix.Open("/run/netns/"+w.host(host), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	defer func() { _ = unix.Close(space) }() // only entered
	if unix.Setns(space, unix.CLONE_NEWNET) != nil {
		return -1
	}
	protocol := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ARP))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(protocol))
	if err != nil {
		return -1
	}
	often := unix.NsecToTimeval((100 * time.Millisecond).Nanoseconds())
	if unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &often) != nil {
		return -1
	}
	return fd
}

// announces returns the sender of a gratuitous ARP packet for an address, or "".
func announces(p []byte, address netip.Addr) string {
	if len(p) < 28 {
		return ""
	}
	sender, _ := netip.AddrFromSlice(p[14:18])
	target, _ := netip.AddrFromSlice(p[24:28])
	if sender != address || target != address {
		return ""
	}
	m := p[8:14]
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// step is a subtest in a world that stands. What fails in it is told as its own, and ends
// the test: a later step would not find what it needs.
func (n *node) step(w *network, name string, f func(t *testing.T)) {
	whole := n.t
	whole.Helper()
	passed := whole.Run(name, func(t *testing.T) {
		n.t, w.t = t, t
		defer func() { n.t, w.t = whole, whole }()
		f(t)
	})
	if !passed {
		whole.FailNow()
	}
}

// kill ends a process of ours.
func kill(t *testing.T, pid int) {
	t.Helper()
	if pid <= 1 {
		t.Fatalf("no process to kill: %d", pid)
	}
	must(t, syscall.Kill(pid, syscall.SIGKILL))
}
