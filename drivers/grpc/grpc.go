// Package grpc checks a resource by the health protocol of gRPC.
package grpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/http/httpguts"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/spec"
)

// Config is what a grpc check takes.
type Config struct {
	Address    string            `hcl:"address" doc:"Where to connect: \"host:port\", with brackets around an IPv6 address; hostport() writes both."`
	Service    string            `hcl:"health_service,optional" doc:"The service that is asked for, as the server calls it; default: the server as a whole."`
	TLS        bool              `hcl:"tls" default:"false" doc:"Whether the connection is encrypted."`
	CA         string            `hcl:"ca,optional" doc:"With tls: PEM certificates to trust instead of the host's: the text itself, as file(\"…\") reads it."`
	ServerName string            `hcl:"server_name,optional" doc:"With tls: the name that the certificate must have; default: the address's."`
	Insecure   bool              `hcl:"insecure" default:"false" doc:"With tls: accept any certificate."`
	Authority  string            `hcl:"authority,optional" doc:"What the request calls the server (:authority), where a proxy routes by it; default: the address."`
	Metadata   map[string]string `hcl:"metadata,optional" secret:"true" doc:"Sent with the request, such as authorization."`
}

// Validate implements spec.Validator.
func (c *Config) Validate() (found []spec.Problem) {
	problem := func(field, summary, format string, args ...any) {
		found = append(found, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	host, port, err := net.SplitHostPort(c.Address)
	if n, portErr := strconv.ParseUint(port, 10, 16); err != nil || host == "" || portErr != nil || n == 0 {
		problem("address", "Not a host and port", `%q must be "host:port", such as "10.0.0.10:50051" or "[2001:db8::10]:50051", with a port from 1 to 65535; hostport(host, port) writes the brackets.`, c.Address)
	}
	if c.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		problem("ca", "No certificate", `The text holds no PEM certificate; write ca = file("ca.pem").`)
	}
	if !c.TLS && (c.CA != "" || c.ServerName != "" || c.Insecure) {
		problem("tls", "No certificate is looked at", "ca, server_name and insecure are of use with tls = true only; write that, or leave them out.")
	}
	if c.Authority != "" && !httpguts.ValidHostHeader(c.Authority) {
		problem("authority", "Impossible authority", `%q is no host that can be sent; write "health.example:443".`, c.Authority)
	}
	for name, value := range c.Metadata {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) || strings.HasPrefix(name, ":") || strings.HasPrefix(strings.ToLower(name), "grpc-") {
			problem("metadata", "Impossible metadata", `%q can't be sent: a name has no blank or colon and does not start with "grpc-", a value has no line break.`, name)
		}
	}
	return found
}

//go:embed example.hcl
var example string

// Register adds the check to r.
func Register(r *drivers.Registry) {
	drivers.DefineCheck(r, "grpc", "Asks a server for its health by grpc.health.v1, over a new connection each time; SERVING passes.",
		func(o drivers.Opening, c *Config) (drivers.Prober, error) {
			return &prober{config: c, reveal: o.Reveal, security: c.security()}, nil
		}, drivers.WithExample(example))
}

func (c *Config) security() credentials.TransportCredentials {
	if !c.TLS {
		return insecure.NewCredentials()
	}
	host, _, _ := net.SplitHostPort(c.Address)
	t := &tls.Config{ServerName: host, InsecureSkipVerify: c.Insecure}
	if c.ServerName != "" {
		t.ServerName = c.ServerName
	}
	if c.CA != "" {
		t.RootCAs = x509.NewCertPool()
		t.RootCAs.AppendCertsFromPEM([]byte(c.CA))
	}
	return credentials.NewTLS(t)
}

// most bounds what is read of an answer: its headers, which hold the server's words, and
// its message, which is a number.
const most = 64 << 10

type prober struct {
	config   *Config
	reveal   func(string) (string, error) // nil: there are no secrets
	security credentials.TransportCredentials
	measured []drivers.Perf
}

// Measured implements drivers.Measurer.
func (p *prober) Measured() []drivers.Perf { return p.measured }

func (p *prober) Status(ctx context.Context) (drivers.Status, error) {
	p.measured = nil
	began := time.Now()
	sent, err := p.metadata()
	if err != nil {
		return drivers.Status{}, fmt.Errorf("cannot ask %s: %w", p.config.Address, err)
	}
	health, dialled, err := p.ask(metadata.NewOutgoingContext(ctx, sent))
	if err != nil {
		return drivers.Status{State: drivers.Down, Detail: p.reason(ctx, err, dialled, time.Since(began))}, nil
	}
	p.measured = []drivers.Perf{{Label: "time", Value: time.Since(began).Seconds(), Unit: "seconds"}}
	if health != grpc_health_v1.HealthCheckResponse_SERVING {
		return drivers.Status{State: drivers.Down, Detail: fmt.Sprintf("%s says that %s is %s", p.config.Address, p.asked(), health)}, nil
	}
	return drivers.Status{State: drivers.Up}, nil
}

func (p *prober) asked() string {
	if p.config.Service == "" {
		return "the server"
	}
	return fmt.Sprintf("service %q", p.config.Service)
}

func (p *prober) metadata() (metadata.MD, error) {
	md := metadata.MD{}
	for k, v := range p.config.Metadata {
		if p.reveal != nil {
			var err error
			if v, err = p.reveal(v); err != nil {
				return nil, fmt.Errorf("the metadata %s can't be set: %w", k, err)
			}
		}
		if !httpguts.ValidHeaderFieldValue(v) {
			return nil, fmt.Errorf("the metadata %s can't be set: its secret has a line break or another character that can't be sent (write it on one line)", k)
		}
		md.Set(k, v)
	}
	return md, nil
}

// connection keeps what the first dial came to: the library's own error is wrapped in
// three others.
type connection struct {
	mu   sync.Mutex
	done bool
	err  error
}

func (c *connection) dial(ctx context.Context, address string) (net.Conn, error) {
	d := net.Dialer{KeepAlive: -1}
	conn, err := d.DialContext(ctx, "tcp", address)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done {
		c.done, c.err = true, err
	}
	return conn, err
}

func (c *connection) outcome() (done bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done, c.err
}

func (p *prober) ask(ctx context.Context) (grpc_health_v1.HealthCheckResponse_ServingStatus, *connection, error) {
	dialled := &connection{}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(p.security), grpc.WithContextDialer(dialled.dial), grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(), grpc.WithDisableRetry(), grpc.WithUserAgent("svcctl"),
		grpc.WithMaxHeaderListSize(most), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(most)),
	}
	if p.config.Authority != "" {
		options = append(options, grpc.WithAuthority(p.config.Authority))
	}
	conn, err := grpc.NewClient("passthrough:///"+p.config.Address, options...)
	if err != nil {
		return 0, dialled, err
	}
	defer conn.Close()
	answer, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: p.config.Service})
	return answer.GetStatus(), dialled, err
}

func (p *prober) reason(ctx context.Context, err error, dialled *connection, took time.Duration) string {
	if took < time.Second {
		took = took.Round(time.Millisecond)
	} else {
		took = took.Round(100 * time.Millisecond)
	}
	at := p.config.Address
	connected, failed := dialled.outcome()
	stage := "the answer"
	if !connected || failed != nil {
		stage = "the connection"
	}
	var lookup *net.DNSError
	var number syscall.Errno
	said := status.Convert(err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Sprintf("cancelled after %s while waiting for %s at %s", took, stage, at)
	case ctx.Err() != nil, said.Code() == codes.DeadlineExceeded:
		return fmt.Sprintf("timed out after %s while waiting for %s at %s", took, stage, at)
	case errors.As(failed, &lookup):
		return fmt.Sprintf("the name %s can't be looked up: %s", lookup.Name, lookup.Err)
	case errors.As(failed, &number):
		return fmt.Sprintf("%s at %s", number, at)
	case failed != nil:
		return fmt.Sprintf("no connection to %s: %v", at, failed)
	case said.Code() == codes.NotFound:
		return fmt.Sprintf("%s does not know %s", at, p.asked())
	case said.Code() == codes.Unimplemented:
		return fmt.Sprintf("%s does not speak the health protocol (grpc.health.v1)", at)
	case said.Code() == codes.Unavailable:
		return fmt.Sprintf("%s does not speak gRPC as declared (is tls right?): %s", at, said.Message())
	}
	return fmt.Sprintf("%s answered %s: %s", at, said.Code(), said.Message())
}
