package tcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

// The benchmark's server is a process of its own, so that only the check's cost is counted.
func TestMain(m *testing.M) {
	if os.Getenv("SERVE_TCP") != "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		fmt.Println(l.Addr())
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}
	os.Exit(m.Run())
}

func opened(t testing.TB, c Config) drivers.Prober {
	t.Helper()
	if found := c.Validate(); len(found) > 0 {
		t.Fatal(found)
	}
	var r drivers.Registry
	Register(&r)
	p, err := r.OpenCheck(drivers.Opening{}, &spec.Check{Kind: "tcp", Config: &c})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func status(t *testing.T, c Config, timeout time.Duration) drivers.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	s, err := opened(t, c).Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// serve answers each connection with talk.
func serve(t *testing.T, address string, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); talk(c) }()
		}
	}()
	return l.Addr().String()
}

func until(c net.Conn) { io.Copy(io.Discard, c) }

func TestAnAcceptedConnectionPasses(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		if s := status(t, Config{Address: serve(t, listen, until)}, time.Minute); s.State != drivers.Up {
			t.Errorf("%s: %+v", listen, s)
		}
	}
	_, port, _ := net.SplitHostPort(serve(t, "127.0.0.1:0", until))
	if s := status(t, Config{Address: "localhost:" + port}, time.Minute); s.State != drivers.Up {
		t.Errorf("by name: %+v", s)
	}
}

func TestAClosedPortIsRefusedByName(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		l.Close()
		for _, c := range []Config{{Address: address}, {Address: address, Send: "x"}} {
			s := status(t, c, time.Minute)
			if s.State != drivers.Down || s.Detail != "connection refused at "+address {
				t.Errorf("%+v: %+v", c, s)
			}
		}
	}
}

func TestAServerThatNoLongerAcceptsTimesOut(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	syscall.Listen(fd, 0)
	sa, _ := syscall.Getsockname(fd)
	address := fmt.Sprintf("127.0.0.1:%d", sa.(*syscall.SockaddrInet4).Port)
	for range 8 { // until its queue is full
		if c, err := net.DialTimeout("tcp", address, 50*time.Millisecond); err == nil {
			defer c.Close()
		}
	}
	s := status(t, Config{Address: address}, 100*time.Millisecond)
	if s.State != drivers.Down || !strings.HasPrefix(s.Detail, "timed out after ") || !strings.HasSuffix(s.Detail, "while waiting for the connection at "+address) {
		t.Errorf("%+v", s)
	}
}

func TestTheAnswerDecides(t *testing.T) {
	redis := serve(t, "127.0.0.1:0", func(c net.Conn) {
		if line, _ := bufio.NewReader(c).ReadString('\n'); line == "PING\r\n" {
			io.WriteString(c, "+PO")
			io.WriteString(c, "NG\r\n")
		} else {
			io.WriteString(c, "-ERR\r\n")
		}
	})
	if s := status(t, Config{Address: redis, Send: "PING\r\n", Expect: "+PONG"}, time.Minute); s.State != drivers.Up {
		t.Errorf("%+v", s)
	}
	s := status(t, Config{Address: redis, Send: "HELO\r\n", Expect: "+PONG"}, time.Minute)
	if want := redis + ` closed the connection without saying "+PONG"; it said "-ERR\r\n"`; s.State != drivers.Down || s.Detail != want {
		t.Errorf("%q, want %q", s.Detail, want)
	}
	mute := serve(t, "127.0.0.1:0", until)
	s = status(t, Config{Address: mute, Expect: "220"}, time.Second)
	if s.State != drivers.Down || !strings.Contains(s.Detail, "while waiting for the first byte at "+mute) {
		t.Errorf("%+v", s)
	}
	endless := serve(t, "127.0.0.1:0", func(c net.Conn) {
		for b := make([]byte, 4096); ; {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	})
	if s = status(t, Config{Address: endless, Expect: "220"}, time.Minute); s.State != drivers.Down || !strings.Contains(s.Detail, "said 64 KiB without") {
		t.Errorf("%+v", s)
	}
}

func TestACheckLeavesNoConnectionBehind(t *testing.T) {
	ended := make(chan error, 1)
	address := serve(t, "127.0.0.1:0", func(c net.Conn) { _, err := c.Read(make([]byte, 1)); ended <- err })
	status(t, Config{Address: address}, time.Minute)
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("the server saw %v, want a reset", err)
	}
}

func TestAWrongAddressIsFoundAtLoad(t *testing.T) {
	for _, a := range []string{"", "host", "2001:db8::1:80", "host:", ":80", "host:0", "host:99999", "host:http"} {
		if found := (&Config{Address: a}).Validate(); len(found) != 1 || found[0].Field != "address" {
			t.Errorf("%q: %+v", a, found)
		}
	}
	for _, a := range []string{"host:80", "[2001:db8::1]:80", "10.0.0.1:5432"} {
		if found := (&Config{Address: a}).Validate(); len(found) != 0 {
			t.Errorf("%q: %+v", a, found)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), "SERVE_TCP=1")
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	defer func() { server.Process.Kill(); server.Wait() }()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	p := opened(b, Config{Address: strings.TrimSpace(address)})
	var before, after syscall.Rusage
	b.ReportAllocs()
	syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for b.Loop() {
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

func TestASecretIsRevealedWhenItIsSent(t *testing.T) {
	server := serve(t, "127.0.0.1:0", func(c net.Conn) {
		if line, _ := bufio.NewReader(c).ReadString('\n'); line == "AUTH value\r\n" {
			io.WriteString(c, "+OK\r\n")
		}
	})
	var r drivers.Registry
	Register(&r)
	o := drivers.Opening{Reveal: func(text string) (string, error) { return strings.ReplaceAll(text, "MARK", "value"), nil }}
	c := &spec.Check{Kind: "tcp", Config: &Config{Address: server, Send: "AUTH MARK\r\n", Expect: "+OK"}}
	p, err := r.OpenCheck(o, c)
	if err != nil {
		t.Fatal(err)
	}
	if s, err := p.Status(t.Context()); err != nil || s.State != drivers.Up {
		t.Errorf("%+v, %v", s, err)
	}
	o.Reveal = func(string) (string, error) { return "", errors.New("secret pw is not there") }
	if p, err = r.OpenCheck(o, c); err != nil {
		t.Fatal(err)
	}
	if s, _ := p.Status(t.Context()); s.State != drivers.Down || s.Detail != server+" was not asked: secret pw is not there" {
		t.Errorf("without the secret: %+v", s)
	}
}

func TestWhatIsShownOfAnAnswerEndsInDotsWhereItIsCut(t *testing.T) {
	// What looks for secrets in it looks there, in front of the dots.
	server := serve(t, "127.0.0.1:0", func(c net.Conn) { io.WriteString(c, "no "+strings.Repeat("ä", 100)) })
	c := Config{Address: server, Expect: "+OK"}
	var r drivers.Registry
	Register(&r)
	p, err := r.OpenCheck(drivers.Opening{}, &spec.Check{Kind: "tcp", Config: &c})
	if err != nil {
		t.Fatal(err)
	}
	s, err := p.Status(t.Context())
	if err != nil || !strings.HasSuffix(s.Detail, `it said "no `+strings.Repeat("ä", 38)+`…"`) {
		t.Errorf("%+v, %v", s, err)
	}
}
