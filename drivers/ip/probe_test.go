package ip

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/internal/rtnl"
)

// deaf answers for an address from the fifth question on.
func deaf(t *testing.T, l rtnl.Link, a netip.Addr, socket *os.File) {
	claimed := arp(arpReply, l.MAC, a, everyone, a)
	if a.Is6() {
		claimed = neighbour(advertisement, l.MAC, a, netip.MustParseAddr("ff02::1"), a, 0x20, nil)
	}
	frame := make([]byte, 256)
	for asked := 0; ; {
		n, err := socket.Read(frame)
		if err != nil {
			return // closed behind the test
		}
		if _, yes := claim(frame[:n], a, l.MAC); yes {
			asked++
		}
		if asked == 5 {
			if err := send(socket, claimed); err != nil {
				t.Error(err)
			}
			return
		}
	}
}

func TestALinkThatHasJustComeUpIsAskedForLonger(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		// Its link-local address is asked for as long as the test may last.
		if err := os.WriteFile("/proc/sys/net/ipv6/conf/eth0/dad_transmits", []byte("100"), 0); err != nil {
			t.Fatal(err)
		}
		w.on(t, "here", "link set eth0 down")
		w.on(t, "here", "link set eth0 up")
		second := linkOf(t, opened(t, Config{Address: families[0], Interface: "eth1"}))
		for _, a := range families {
			d := opened(t, Config{Address: a})
			protocol := uint16(unix.ETH_P_ARP)
			if d.want.Addr().Is6() {
				protocol = unix.ETH_P_IPV6
			}
			socket, err := wire(&second, protocol, d.want.Addr())
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan struct{})
			go func() { defer close(ended); deaf(t, second, d.want.Addr(), socket) }()
			eventually(t, "carrier on eth0", func() bool { l := linkOf(t, d); return l.Carrier() })
			l := linkOf(t, d)
			mac, found, err := d.question(t.Context(), d.config, &l)
			if err != nil || !found || mac != second.MAC {
				t.Errorf("%s: found %v at %x, %v", a, found, mac, err)
			}
			socket.Close()
			<-ended
		}
	})
}

func TestALinkThatHasBeenUpIsAskedShortly(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		d := opened(t, Config{Address: families[0]})
		eventually(t, "a link that is not fresh", func() bool {
			fresh, err := d.settled(t.Context(), d.config)
			return err == nil && !fresh
		})
	})
}

func TestALinkThatGoesDownWhileItIsAskedIsNamed(t *testing.T) {
	inWorld(t, func(t *testing.T, w world) {
		d := opened(t, Config{Address: families[0]})
		l := linkOf(t, d)
		w.on(t, "here", "link set eth0 down")
		_, _, err := d.question(t.Context(), d.config, &l)
		if err == nil || !strings.Contains(err.Error(), "eth0 went down") {
			t.Error(err)
		}
	})
}
