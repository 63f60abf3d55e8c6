package grpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

func opened(t testing.TB, c Config) drivers.Prober {
	t.Helper()
	if found := c.Validate(); len(found) > 0 {
		t.Fatal(found)
	}
	var r drivers.Registry
	Register(&r)
	reveal := func(text string) (string, error) { return strings.ReplaceAll(text, "SECRET", "open-sesame"), nil }
	p, err := r.OpenCheck(drivers.Opening{Reveal: reveal}, &spec.Check{Kind: "grpc", Config: &c})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func asked(t *testing.T, c Config, timeout time.Duration) drivers.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	p := opened(t, c)
	s, err := p.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if m := p.(drivers.Measurer).Measured(); s.State == drivers.Up && (len(m) != 1 || m[0].Value <= 0) {
		t.Errorf("measured %+v", m)
	}
	return s
}

// serve runs a real server with the real health service.
func serve(t testing.TB, address string, options ...grpc.ServerOption) (string, *health.Server) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s, h := grpc.NewServer(options...), health.NewServer()
	grpc_health_v1.RegisterHealthServer(s, h)
	go s.Serve(l)
	t.Cleanup(s.Stop)
	return l.Addr().String(), h
}

func TestTheServersWordDecides(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "[::1]:0"} {
		at, h := serve(t, listen)
		h.SetServingStatus("ill", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		h.SetServingStatus("well", grpc_health_v1.HealthCheckResponse_SERVING)
		for service, want := range map[string]string{
			"": "", "well": "", "ill": at + ` says that service "ill" is NOT_SERVING`, "none": at + ` does not know service "none"`,
		} {
			s := asked(t, Config{Address: at, Service: service}, time.Minute)
			if (s.State == drivers.Up) != (want == "") || s.Detail != want {
				t.Errorf("%q: %+v, want %q", service, s, want)
			}
		}
		h.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		if s := asked(t, Config{Address: at}, time.Minute); s.Detail != at+" says that the server is NOT_SERVING" {
			t.Errorf("%+v", s)
		}
	}
}

func TestMetadataAndAuthorityAreSent(t *testing.T) {
	at, _ := serve(t, "127.0.0.1:0", grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		if strings.Join(md["authorization"], "") != "Bearer open-sesame" || strings.Join(md[":authority"], "") != "health.test" {
			return nil, status.Error(codes.Unauthenticated, "who are you")
		}
		return next(ctx, request)
	}))
	if s := asked(t, Config{Address: at, Authority: "health.test", Metadata: map[string]string{"authorization": "Bearer SECRET"}}, time.Minute); s.State != drivers.Up {
		t.Errorf("%+v", s)
	}
	if s := asked(t, Config{Address: at}, time.Minute); s.Detail != at+" answered Unauthenticated: who are you" {
		t.Errorf("%+v", s)
	}
	p := &prober{config: &Config{Metadata: map[string]string{"a": "b"}}, reveal: func(string) (string, error) { return "", errors.New("secret \"x\" is missing") }}
	if _, err := p.Status(t.Context()); err == nil || !strings.Contains(err.Error(), `the metadata a can't be set: secret "x" is missing`) {
		t.Error(err)
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, DNSNames: []string{"ledger.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	at, _ := serve(t, "127.0.0.1:0", grpc.Creds(credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})))
	plain, _ := serve(t, "127.0.0.1:0")
	for _, c := range []struct {
		config Config
		detail string
	}{
		{Config{Address: at, TLS: true, CA: ca}, ""},
		{Config{Address: at, TLS: true, CA: ca, ServerName: "ledger.test"}, ""},
		{Config{Address: at, TLS: true, Insecure: true}, ""},
		{Config{Address: at, TLS: true, CA: ca, ServerName: "other.test"}, "certificate"},
		{Config{Address: at, TLS: true}, "certificate"},
		{Config{Address: at}, at + " does not speak gRPC as declared (is tls right?): "},
		{Config{Address: plain, TLS: true, Insecure: true}, plain + " does not speak gRPC as declared (is tls right?): "},
	} {
		s := asked(t, c.config, time.Minute)
		if (s.State == drivers.Up) != (c.detail == "") || !strings.Contains(s.Detail, c.detail) {
			t.Errorf("%+v: %+v, want %q", c.config, s, c.detail)
		}
	}
}

func TestEachWayToFailHasItsOwnWords(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()
	if s := asked(t, Config{Address: closed}, time.Minute); s.State != drivers.Down || s.Detail != "connection refused at "+closed {
		t.Errorf("%+v", s)
	}
	if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(io.Discard, c) }()
		}
	}()
	mute := l.Addr().String()
	if s := asked(t, Config{Address: mute}, 2*time.Second); s.State != drivers.Down || !strings.HasPrefix(s.Detail, "timed out after ") || !strings.HasSuffix(s.Detail, "while waiting for the answer at "+mute) {
		t.Errorf("%+v", s)
	}
	long := strings.Repeat("x", 2*most)
	wordy, _ := serve(t, "127.0.0.1:0", grpc.UnaryInterceptor(func(context.Context, any, *grpc.UnaryServerInfo, grpc.UnaryHandler) (any, error) {
		return nil, status.Error(codes.Internal, long)
	}))
	if s := asked(t, Config{Address: wordy}, time.Minute); s.State != drivers.Down || len(s.Detail) > most {
		t.Errorf("%s with %d bytes", s.State, len(s.Detail))
	}
	bare, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer()
	go s.Serve(bare)
	defer s.Stop()
	if s := asked(t, Config{Address: bare.Addr().String()}, time.Minute); s.Detail != bare.Addr().String()+" does not speak the health protocol (grpc.health.v1)" {
		t.Errorf("%+v", s)
	}
}

func TestMistakesAreFoundAtLoad(t *testing.T) {
	for field, c := range map[string]Config{
		"address":   {Address: "host"},
		"ca":        {Address: "h:1", TLS: true, CA: "/etc/ca.pem"},
		"tls":       {Address: "h:1", Insecure: true},
		"authority": {Address: "h:1", Authority: "a b"},
		"metadata":  {Address: "h:1", Metadata: map[string]string{"a b": "c"}},
	} {
		if found := c.Validate(); len(found) != 1 || found[0].Field != field {
			t.Errorf("%s: %+v", field, found)
		}
	}
	if found := (&Config{Address: "[2001:db8::1]:50051", TLS: true, ServerName: "x", Authority: "y:1", Metadata: map[string]string{"a": "b"}}).Validate(); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

func BenchmarkCheck(b *testing.B) {
	at, _ := serve(b, "127.0.0.1:0")
	p := opened(b, Config{Address: at})
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

func TestASecretWithALineBreakIsNotSent(t *testing.T) {
	p := &prober{config: &Config{Metadata: map[string]string{"authorization": "SECRET"}}, reveal: func(string) (string, error) { return "open\nsesame", nil }}
	if _, err := p.metadata(); err == nil || !strings.Contains(err.Error(), "authorization can't be set: its secret has a line break") || strings.Contains(err.Error(), "sesame") {
		t.Errorf("%v", err)
	}
}
