package icmp

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

func opened(t testing.TB, c Config) drivers.Prober {
	t.Helper()
	if c.Count == 0 {
		c.Count = 1
	}
	if c.Size == 0 {
		c.Size = 56
	}
	if c.Interval == 0 {
		c.Interval = time.Millisecond
	}
	if found := c.Validate(); len(found) > 0 {
		t.Fatal(found)
	}
	var r drivers.Registry
	Register(&r)
	p, err := r.OpenCheck(drivers.Opening{}, &spec.Check{Kind: "icmp", Config: &c})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// asked runs the check once; without the right to send ICMP the test is skipped.
func asked(t *testing.T, c Config, timeout time.Duration) (drivers.Status, map[string]float64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	p := opened(t, c)
	s, err := p.Status(ctx)
	if errors.Is(err, errForbidden) && os.Geteuid() != 0 {
		t.Skip("needs root, or a group in net.ipv4.ping_group_range")
	}
	if err != nil {
		t.Fatal(err)
	}
	measured := map[string]float64{}
	for _, m := range p.(drivers.Measurer).Measured() {
		measured[m.Label+" "+m.Unit] = m.Value
	}
	return s, measured
}

func TestAHostThatAnswersPassesAndIsMeasured(t *testing.T) {
	for _, c := range []Config{
		{Host: "127.0.0.1"}, {Host: "::1"}, {Host: "localhost", Family: "ipv4"}, {Host: "127.0.0.1", Count: 5, Size: 20000},
		{Host: "127.0.0.9", Source: "127.0.0.8", Interface: "lo"}, {Host: "::ffff:127.0.0.1"},
	} {
		s, m := asked(t, c, time.Minute)
		if s.State != drivers.Up || m["loss percent"] != 0 || m["rtt seconds"] <= 0 || m["rtt_max seconds"] < m["rtt seconds"] {
			t.Errorf("%+v: %+v %v", c, s, m)
		}
	}
}

func TestManyChecksAtOnceTakeOnlyTheirOwnAnswers(t *testing.T) {
	asked(t, Config{Host: "127.0.0.1"}, time.Minute) // skips where it is not permitted
	var all sync.WaitGroup
	for i := range 200 {
		// So many at once make the kernel itself drop an answer now and then, also on loopback.
		p := opened(t, Config{Host: fmt.Sprintf("127.0.0.%d", 1+i%4), Count: 3, MaxLoss: 67})
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			s, err := p.Status(ctx)
			if m := p.(drivers.Measurer).Measured(); err != nil || s.State != drivers.Up || len(m) == 0 || m[0].Value < 0 {
				t.Errorf("%d: %+v %v %v", i, s, m, err)
			}
		})
	}
	all.Wait()
}

func TestAnAnswerToAnotherRunIsNotOurs(t *testing.T) {
	to := netip.MustParseAddr("127.0.0.1")
	one, err := dial("", to, netip.Addr{}, "")
	if errors.Is(err, errForbidden) && os.Geteuid() != 0 {
		t.Skip("needs root, or a group in net.ipv4.ping_group_range")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer one.close()
	two, err := dial("", to, netip.Addr{}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer two.close()
	one.buf, two.buf = make([]byte, 200), make([]byte, 200)
	request, err := two.request(7, 16)
	if err != nil {
		t.Fatal(err)
	}
	if err := two.send(request); err != nil {
		t.Fatal(err)
	}
	n, err := two.read()
	if err != nil {
		t.Fatal(err)
	}
	answer := two.buf[:n]
	if seq, ours := two.ours(answer); !ours || seq != 7 {
		t.Errorf("its own answer is not taken: %v, number %d", ours, seq)
	}
	if _, ours := one.ours(answer); ours {
		t.Errorf("an answer to run %d is taken by run %d", two.run, one.run)
	}
	one.raw.Control(func(fd uintptr) { n, _, err = unix.Recvfrom(int(fd), one.buf, unix.MSG_DONTWAIT) })
	if !errors.Is(err, unix.EAGAIN) { // loopback has answered by now
		t.Errorf("the other run's answer is in its queue: %d bytes, %v", n, err)
	}
	for _, b := range [][]byte{nil, {0x4f}, make([]byte, 20), make([]byte, 48)} {
		if _, ours := one.ours(b); ours {
			t.Errorf("%x is taken for an answer", b)
		}
	}
}

// namespaces makes two that are joined by a cable: 10.78.0.1 here, 10.78.0.2 there.
func namespaces(t *testing.T) (here, there string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	here, there = fmt.Sprintf("svctest-%d-icmp-a", os.Getpid()), fmt.Sprintf("svctest-%d-icmp-b", os.Getpid())
	for _, n := range []string{here, there} {
		t.Cleanup(func() { exec.Command("ip", "netns", "delete", n).Run() })
		run(t, "ip netns add "+n)
	}
	run(t, "ip -n "+here+" link add eth0 type veth peer name eth0 netns "+there)
	for i, n := range []string{here, there} {
		run(t, fmt.Sprintf("ip -n %s address add 10.78.0.%d/24 dev eth0", n, i+1))
		run(t, fmt.Sprintf("ip -n %s address add fd78::%d/64 dev eth0 nodad", n, i+1))
		run(t, "ip -n "+n+" link set eth0 up")
	}
	return here, there
}

func run(t *testing.T, command string) {
	t.Helper()
	words := strings.Fields(command)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

func TestLossIsCountedAndHeldAgainstItsLimit(t *testing.T) {
	here, there := namespaces(t)
	for _, host := range []string{"10.78.0.2", "fd78::2"} {
		if s, m := asked(t, Config{Host: host, Netns: here, Interface: "eth0", Count: 3}, time.Minute); s.State != drivers.Up || m["loss percent"] != 0 {
			t.Errorf("%s: %+v %v", host, s, m)
		}
	}
	if s, _ := asked(t, Config{Host: "10.78.0.2", Netns: here, MaxRTT: time.Nanosecond}, time.Minute); s.State != drivers.Down || !strings.Contains(s.Detail, "on average, wanted at most 1ns") {
		t.Errorf("too slow: %+v", s)
	}
	run(t, "ip netns exec "+there+" nft add table inet lossy")
	run(t, "ip netns exec "+there+" nft add chain inet lossy in { type filter hook input priority 0 ; }")
	run(t, "ip netns exec "+there+" nft add rule inet lossy in icmp type echo-request numgen inc mod 4 == 0 drop")
	c := Config{Host: "10.78.0.2", Netns: here, Count: 8, MaxLoss: 25}
	if s, m := asked(t, c, 2*time.Second); s.State != drivers.Up || m["loss percent"] != 25 {
		t.Errorf("a quarter is lost: %+v %v", s, m)
	}
	c.MaxLoss = 24
	if s, m := asked(t, c, 2*time.Second); s.State != drivers.Down || s.Detail != "10.78.0.2 left 25 % of 8 requests unanswered, wanted at most 24 %" {
		t.Errorf("more than allowed: %+v %v", s, m)
	}
	run(t, "ip netns exec "+there+" nft add rule inet lossy in icmp type echo-request drop")
	if s, m := asked(t, c, 2*time.Second); s.State != drivers.Down || s.Detail != "10.78.0.2 did not answer" || m["loss percent"] != 100 {
		t.Errorf("all is lost: %+v %v", s, m)
	}
}

func TestWhatTheKernelSaysIsTheReason(t *testing.T) {
	here, there := namespaces(t)
	run(t, "ip -n "+there+" link set lo up")
	for _, c := range []struct {
		config Config
		detail string
	}{
		{Config{Host: "192.0.2.1", Netns: here}, "192.0.2.1 can't be reached: network is unreachable"},
		{Config{Host: "2001:db8::1", Netns: here}, "2001:db8::1 can't be reached: network is unreachable"},
		{Config{Host: "10.78.0.2", Netns: here, Interface: "eth7"}, "10.78.0.2 can't be reached: there is no interface eth7 (see ip link)"},
		{Config{Host: "10.78.0.2", Netns: here, Source: "10.78.0.9"}, "10.78.0.2 can't be reached: it can't be asked from 10.78.0.9: cannot assign requested address (is the address on this host?)"},
		{Config{Host: "10.78.0.2", Netns: "svctest-none"}, "10.78.0.2 can't be reached: no such network namespace: /run/netns/svctest-none"},
	} {
		if s, _ := asked(t, c.config, time.Minute); s.State != drivers.Down || !strings.HasPrefix(s.Detail, c.detail) {
			t.Errorf("%+v: %+v, want %q", c.config, s, c.detail)
		}
	}
}

func TestACheckThatIsCancelledReturnsAtOnce(t *testing.T) {
	here, there := namespaces(t)
	run(t, "ip netns exec "+there+" nft add table inet lossy")
	run(t, "ip netns exec "+there+" nft add chain inet lossy in { type filter hook input priority 0 ; }")
	run(t, "ip netns exec "+there+" nft add rule inet lossy in icmp type echo-request drop")
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	p := opened(t, Config{Host: "10.78.0.2", Netns: here})
	result := make(chan drivers.Status, 1)
	go func() { s, _ := p.Status(ctx); result <- s }()
	cancel()
	select {
	case s := <-result:
		if !strings.HasPrefix(s.Detail, "cancelled after ") {
			t.Errorf("%+v", s)
		}
	case <-time.After(time.Minute):
		t.Fatal("it still waits for an answer")
	}
}

func TestRequestsThatDoNotFitInTheTimeoutAreSaid(t *testing.T) {
	s, _ := asked(t, Config{Host: "127.0.0.1", Count: 5, Interval: time.Hour}, 50*time.Millisecond)
	if s.State != drivers.Down || !strings.HasPrefix(s.Detail, "only 1 of 5 requests to 127.0.0.1 could be sent within the check's timeout") {
		t.Errorf("%+v", s)
	}
}

func TestMistakesAreFoundAtLoad(t *testing.T) {
	good := Config{Host: "10.0.0.1", Family: "any", Count: 1, Size: 56, Interval: time.Second}
	if found := good.Validate(); len(found) > 0 {
		t.Errorf("%+v", found)
	}
	for _, c := range []struct {
		field  string
		change func(*Config)
	}{
		{"host", func(c *Config) { c.Host = "" }},
		{"host", func(c *Config) { c.Host = "10.0.0.1:80" }},
		{"host", func(c *Config) { c.Host = "[::1]" }},
		{"family", func(c *Config) { c.Family = "ipv6" }},
		{"count", func(c *Config) { c.Count = 0 }},
		{"count", func(c *Config) { c.Count = 101 }},
		{"size", func(c *Config) { c.Size = 8 }},
		{"interval", func(c *Config) { c.Interval = 0 }},
		{"max_loss", func(c *Config) { c.MaxLoss = 100 }},
		{"source", func(c *Config) { c.Source = "eth0" }},
		{"source", func(c *Config) { c.Source = "fd00::1" }},
		{"interface", func(c *Config) { c.Interface = "a/b" }},
		{"netns", func(c *Config) { c.Netns = "a b" }},
	} {
		changed := good
		c.change(&changed)
		if found := changed.Validate(); len(found) != 1 || found[0].Field != c.field {
			t.Errorf("%s of %+v: %+v", c.field, changed, found)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	p := opened(b, Config{Host: "127.0.0.1"})
	var before, after syscall.Rusage
	b.ReportAllocs()
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for b.Loop() {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		s, err := p.Status(ctx)
		if errors.Is(err, errForbidden) {
			b.Skip("needs root, or a group in net.ipv4.ping_group_range")
		}
		if err != nil || s.State != drivers.Up {
			b.Fatal(s, err)
		}
		cancel()
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/float64(b.N)/1e3, "cpu-µs/op")
}
