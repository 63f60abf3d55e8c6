package dns

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/spec"
)

func opened(t testing.TB, c Config) drivers.Prober {
	t.Helper()
	for field, usual := range map[*string]string{&c.Type: "A", &c.Protocol: "udp", &c.Rcode: "NOERROR", &c.Recursion: "ask"} {
		if *field == "" {
			*field = usual
		}
	}
	if found := c.Validate(); len(found) > 0 {
		t.Fatal(found)
	}
	var r drivers.Registry
	Register(&r)
	p, err := r.OpenCheck(drivers.Opening{}, &spec.Check{Kind: "dns", Config: &c})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func status(t *testing.T, c Config, timeout time.Duration) drivers.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	p := opened(t, c)
	s, err := p.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if m := p.(drivers.Measurer).Measured(); s.State == drivers.Up && (len(m) != 2 || m[0].Value <= 0) {
		t.Errorf("measured %+v", m)
	}
	return s
}

var zone = []string{
	"a.test. 60 IN A 192.0.2.1", "a.test. 60 IN A 192.0.2.2", "a.test. 60 IN AAAA 2001:db8::1", "www.test. 60 IN CNAME a.test.",
	"test. 60 IN MX 10 mail.test.", `test. 60 IN TXT "v=spf1 " "-all"`, "test. 60 IN NS ns.test.", "test. 60 IN SOA ns.test. me.test. 7 1 1 1 1",
	"_x._tcp.test. 60 IN SRV 1 2 443 a.test.", "1.2.0.192.in-addr.arpa. 60 IN PTR a.test.",
}

// answer is a small zone: it follows a CNAME, and is too long for UDP at big.test.
func answer(w dns.ResponseWriter, q *dns.Msg) {
	m := new(dns.Msg).SetReply(q)
	m.Authoritative = true
	name := q.Question[0].Name
	switch name {
	case "refused.test.":
		m.Rcode = dns.RcodeRefused
	case "cached.test.":
		m.Authoritative, m.RecursionAvailable = false, true
		name = "a.test."
	case "scraps.test.":
		if w.LocalAddr().Network() == "udp" {
			w.Write([]byte("scrap"))
			other := m.Copy()
			other.Id++
			w.WriteMsg(other)
		}
		name = "a.test."
	case "silent.test.":
		return
	}
	if name == "big.test." {
		for i := range 100 {
			m.Answer = append(m.Answer, record(fmt.Sprintf("big.test. 60 IN A 192.0.2.%d", i)))
		}
		if w.LocalAddr().Network() == "udp" {
			m.Truncate(512)
		}
	}
	for range 2 {
		next := name
		for _, text := range zone {
			rr := record(text)
			if !strings.EqualFold(rr.Header().Name, name) {
				continue
			}
			if c, ok := rr.(*dns.CNAME); ok && q.Question[0].Qtype != dns.TypeCNAME {
				m.Answer, next = append(m.Answer, rr), c.Target
			}
			if rr.Header().Rrtype == q.Question[0].Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		if next == name {
			break
		}
		name = next
	}
	if strings.HasPrefix(name, "nobody.") {
		m.Rcode = dns.RcodeNameError
	}
	w.WriteMsg(m)
}

func record(text string) dns.RR {
	rr, err := dns.NewRR(text)
	if err != nil {
		panic(err)
	}
	return rr
}

// serve runs the server at one port of address by UDP and TCP, and by TLS at another.
func serve(t testing.TB, address string) (plain, secure, ca string) {
	t.Helper()
	tcp, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	udp, err := net.ListenPacket("udp", tcp.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	cert, pem := certificate(t)
	enc, err := tls.Listen("tcp", net.JoinHostPort(address, "0"), &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{Listener: tcp}, {PacketConn: udp}, {Listener: enc}} {
		up := make(chan struct{})
		s.Handler, s.NotifyStartedFunc = dns.HandlerFunc(answer), func() { close(up) }
		go s.ActivateAndServe()
		<-up
		t.Cleanup(func() { s.Shutdown() })
	}
	return tcp.Addr().String(), enc.Addr().String(), pem
}

func certificate(t testing.TB) (tls.Certificate, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, DNSNames: []string{"dns.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestTheAnswerDecides(t *testing.T) {
	for _, listen := range []string{"127.0.0.1", "::1"} {
		server, secure, ca := serve(t, listen)
		for _, c := range []struct {
			config Config
			detail string // "": passes
		}{
			{Config{Name: "a.test"}, ""},
			{Config{Name: "A.TEST.", Protocol: "tcp"}, ""},
			{Config{Name: "a.test", Expect: []string{"192.0.2.2", "192.0.2.1"}}, ""},
			{Config{Name: "a.test", Expect: []string{"192.0.2.3"}}, `without "192.0.2.3", but with "192.0.2.1", "192.0.2.2" for A a.test`},
			{Config{Name: "a.test", Type: "AAAA", Expect: []string{"2001:DB8:0::1"}}, ""},
			{Config{Name: "www.test", Expect: []string{"192.0.2.1"}}, ""},
			{Config{Name: "www.test", Type: "CNAME", Expect: []string{"a.test"}}, ""},
			{Config{Name: "test", Type: "MX", Expect: []string{"10 Mail.test."}}, ""},
			{Config{Name: "test", Type: "TXT", Expect: []string{"v=spf1 -all"}}, ""},
			{Config{Name: "test", Type: "SOA", Expect: []string{"ns.test me.test 7 1 1 1 1"}}, ""},
			{Config{Name: "test", Type: "NS", Expect: []string{"ns.test"}}, ""},
			{Config{Name: "_x._tcp.test", Type: "SRV", Expect: []string{"1 2 443 a.test"}}, ""},
			{Config{Name: "192.0.2.1", Type: "PTR", Expect: []string{"a.test"}}, ""},
			{Config{Name: "empty.test"}, "answered without any record for A empty.test"},
			{Config{Name: "nobody.test"}, "answered NXDOMAIN, wanted NOERROR"},
			{Config{Name: "nobody.test", Rcode: "NXDOMAIN"}, ""},
			{Config{Name: "refused.test"}, "answered REFUSED, wanted NOERROR"},
			{Config{Name: "a.test", Authoritative: true}, ""},
			{Config{Name: "cached.test", Authoritative: true}, "from a cache, wanted the zone's own answer"},
			{Config{Name: "a.test", Recursion: "require"}, "without offering recursion"},
			{Config{Name: "big.test", Expect: []string{"192.0.2.99"}}, ""},   // by TCP, since UDP is cut off
			{Config{Name: "scraps.test", Expect: []string{"192.0.2.1"}}, ""}, // past what is no answer to it
			{Config{Name: "a.test", Protocol: "tls", CA: ca}, ""},
			{Config{Name: "a.test", Protocol: "tls", CA: ca, ServerName: "dns.test"}, ""},
			{Config{Name: "a.test", Protocol: "tls", CA: ca, ServerName: "other.test"}, "certificate"},
			{Config{Name: "a.test", Protocol: "tls"}, "certificate"},
			{Config{Name: "a.test", Protocol: "tls", Insecure: true}, ""},
		} {
			c.config.Server = server
			if c.config.Protocol == "tls" {
				c.config.Server = secure
			}
			s := status(t, c.config, time.Minute)
			if (s.State == drivers.Up) != (c.detail == "") || !strings.Contains(s.Detail, c.detail) {
				t.Errorf("%+v: %+v, want %q", c.config, s, c.detail)
			}
		}
	}
}

func TestASilentOrAbsentServerIsSaid(t *testing.T) {
	server, _, _ := serve(t, "127.0.0.1")
	for _, protocol := range []string{"udp", "tcp"} {
		s := status(t, Config{Server: server, Name: "silent.test", Protocol: protocol}, time.Second)
		if s.State != drivers.Down || !strings.HasPrefix(s.Detail, "timed out after ") || !strings.HasSuffix(s.Detail, "while waiting for the answer of "+server+" by "+protocol) {
			t.Errorf("%+v", s)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	for _, protocol := range []string{"udp", "tcp", "tls"} {
		if s := status(t, Config{Server: closed, Name: "a.test", Protocol: protocol}, time.Minute); s.State != drivers.Down || s.Detail != "connection refused at "+closed+" by "+protocol {
			t.Errorf("%+v", s)
		}
	}
}

func TestAServerInANetworkNamespaceIsAskedFromInside(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to make network namespaces")
	}
	name := fmt.Sprintf("svctest-%d-dns", os.Getpid())
	t.Cleanup(func() { exec.Command("ip", "netns", "delete", name).Run() })
	for _, args := range [][]string{{"netns", "add", name}, {"-n", name, "link", "set", "lo", "up"}} {
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	var udp net.PacketConn
	var tcp net.Listener
	err := netns.Do(netns.Path(name), func() (err error) {
		if udp, err = net.ListenPacket("udp", "127.0.0.1:5353"); err == nil {
			tcp, err = net.Listen("tcp", "127.0.0.1:5353")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: udp}, {Listener: tcp}} {
		up := make(chan struct{})
		s.Handler, s.NotifyStartedFunc = dns.HandlerFunc(answer), func() { close(up) }
		go s.ActivateAndServe()
		<-up
		t.Cleanup(func() { s.Shutdown() })
	}
	for _, protocol := range []string{"udp", "tcp"} {
		c := Config{Server: "127.0.0.1:5353", Name: "a.test", Protocol: protocol, Netns: name}
		if s := status(t, c, time.Minute); s.State != drivers.Up {
			t.Errorf("%s: %+v", protocol, s)
		}
	}
}

func TestMistakesAreFoundAtLoad(t *testing.T) {
	good := Config{Server: "10.0.0.53", Name: "a.test", Type: "A", Protocol: "udp", Rcode: "NOERROR", Recursion: "ask"}
	for _, s := range []string{"10.0.0.53", "10.0.0.53:5353", "2001:db8::53", "[2001:db8::53]", "[2001:db8::53]:53", "dns.example", "dns.example:53"} {
		c := good
		c.Server = s
		if found := c.Validate(); len(found) > 0 {
			t.Errorf("%q: %+v", s, found)
		}
	}
	for _, c := range []struct {
		field  string
		change func(*Config)
	}{
		{"server", func(c *Config) { c.Server = "" }},
		{"server", func(c *Config) { c.Server = "a:b:c" }},
		{"server", func(c *Config) { c.Server = "[x]" }},
		{"server", func(c *Config) { c.Server = "a:0" }},
		{"server", func(c *Config) { c.Server = ":53" }},
		{"name", func(c *Config) { c.Name = "" }},
		{"name", func(c *Config) { c.Name = strings.Repeat("x", 64) + ".test" }},
		{"expect", func(c *Config) { c.Expect, c.Rcode = []string{"x"}, "NXDOMAIN" }},
		{"expect", func(c *Config) { c.Expect = []string{" "} }},
		{"ca", func(c *Config) { c.CA, c.Protocol = "x", "tls" }},
		{"insecure", func(c *Config) { c.Insecure = true }},
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
	server, _, _ := serve(b, "127.0.0.1")
	p := opened(b, Config{Server: server, Name: "a.test"})
	var before, after syscall.Rusage
	b.ReportAllocs()
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for b.Loop() { // the server's cost is counted too
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		if s, err := p.Status(ctx); err != nil || s.State != drivers.Up {
			b.Fatal(s, err)
		}
		cancel()
	}
	syscall.Getrusage(syscall.RUSAGE_SELF, &after)
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/float64(b.N)/1e3, "cpu-µs/op")
}
