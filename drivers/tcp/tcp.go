// Package tcp checks a resource by connecting to an address, and by what is said there.
package tcp

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/spec"
)

// Config is what a tcp check takes.
type Config struct {
	Address string `hcl:"address" doc:"Where to connect: \"host:port\", with brackets around an IPv6 address; hostport() writes both."`
	Send    string `hcl:"send,optional" secret:"true" doc:"Sent once connected."`
	Expect  string `hcl:"expect,optional" doc:"Must occur in the first 64 KiB of the answer; default: a connection is enough."`
	Netns   string `hcl:"netns,optional" doc:"The network namespace to connect from: a name, as netns.NAME.name gives it, or a path. A name in the address is looked up on the host. Default: the host's own."`
}

// Validate implements spec.Validator.
func (c *Config) Validate() (found []spec.Problem) {
	if why := netns.Wrong(c.Netns); c.Netns != "" && why != "" {
		found = append(found, spec.Problem{Field: "netns", Summary: "Impossible network namespace", Detail: fmt.Sprintf("%q %s.", c.Netns, why)})
	}
	host, port, err := net.SplitHostPort(c.Address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || host == "" || portErr != nil || n == 0 {
		found = append(found, spec.Problem{Field: "address", Summary: "Not a host and port",
			Detail: fmt.Sprintf(`%q must be "host:port", such as "10.0.0.10:5432" or "[2001:db8::10]:5432", with a port from 1 to 65535; hostport(host, port) writes the brackets.`, c.Address)})
	}
	return found
}

// example is the one on the kind's page of the manual.
//
//go:embed example.hcl
var example string

// Register adds the check to r.
func Register(r *drivers.Registry) {
	drivers.DefineCheck(r, "tcp", "Connects to an address; passes when the connection is accepted and the expected answer comes.",
		func(o drivers.Opening, c *Config) (drivers.Prober, error) {
			p := &prober{config: c, opening: o}
			if literal, err := netip.ParseAddrPort(c.Address); err == nil && literal.Addr().Zone() == "" && c.Send == "" && c.Expect == "" && c.Netns == "" {
				p.literal = literal
			}
			return p, nil
		}, drivers.WithExample(example))
}

// listens bounds how much of an answer is searched.
const listens = 64 << 10

type prober struct {
	config  *Config
	opening drivers.Opening
	literal netip.AddrPort // set: connecting is all there is to do, and no name needs a look-up
}

func (p *prober) Status(ctx context.Context) (drivers.Status, error) {
	began := time.Now()
	stage := "the connection"
	var err error
	if p.literal.IsValid() {
		err = connect(ctx, p.literal)
	} else {
		err = p.converse(ctx, &stage)
	}
	if err == nil {
		return drivers.Status{State: drivers.Up}, nil
	}
	return drivers.Status{State: drivers.Down, Detail: p.reason(ctx, err, stage, time.Since(began))}, nil
}

// converse connects the way that knows names, and says and hears what is declared.
func (p *prober) converse(ctx context.Context, stage *string) error {
	conn, err := p.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if t, ok := conn.(*net.TCPConn); ok {
		t.SetLinger(0) // leaves no TIME_WAIT behind
	}
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if p.config.Send != "" {
		*stage = "the other side to take what is sent"
		send, err := p.opening.Plain(p.config.Send)
		if err != nil {
			return answer("was not asked: " + err.Error())
		}
		if _, err := io.WriteString(conn, send); err != nil {
			return err
		}
	}
	if p.config.Expect == "" {
		return nil
	}
	*stage = "the first byte"
	want := []byte(p.config.Expect)
	heard := make([]byte, 0, 512)
	for len(heard) < listens {
		if len(heard) == cap(heard) {
			heard = append(heard, make([]byte, len(heard))...)[:len(heard)]
		}
		n, err := conn.Read(heard[len(heard):cap(heard)])
		heard = heard[:len(heard)+n]
		if bytes.Contains(heard, want) {
			return nil
		}
		if n > 0 {
			*stage = fmt.Sprintf("%q, after %s", p.config.Expect, excerpt(heard))
		}
		if errors.Is(err, io.EOF) {
			return answer(fmt.Sprintf("closed the connection without saying %q; it said %s", p.config.Expect, excerpt(heard)))
		}
		if err != nil {
			return err
		}
	}
	return answer(fmt.Sprintf("said 64 KiB without %q, starting with %s", p.config.Expect, excerpt(heard)))
}

func (p *prober) dial(ctx context.Context) (net.Conn, error) {
	if p.config.Netns != "" {
		return netns.Dial(ctx, netns.Path(p.config.Netns), p.config.Address)
	}
	d := net.Dialer{KeepAlive: -1}
	return d.DialContext(ctx, "tcp", p.config.Address)
}

// answer is a reason given by what the other side said.
type answer string

func (a answer) Error() string { return string(a) }

func excerpt(b []byte) string {
	if len(b) == 0 {
		return "nothing"
	}
	if len(b) > 80 {
		return fmt.Sprintf("%q", string(bytes.ToValidUTF8(b[:80], nil))+"…") // the dots where it is cut: a secret is looked for there
	}
	return fmt.Sprintf("%q", b)
}

func (p *prober) reason(ctx context.Context, err error, stage string, took time.Duration) string {
	var said answer
	var lookup *net.DNSError
	var network net.Error
	var number syscall.Errno
	switch {
	case errors.As(err, &said):
		return p.config.Address + " " + string(said)
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Sprintf("cancelled after %s while waiting for %s at %s", round(took), stage, p.config.Address)
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		return fmt.Sprintf("timed out after %s while waiting for %s at %s", round(took), stage, p.config.Address)
	case errors.As(err, &lookup):
		return fmt.Sprintf("the name %s can't be looked up: %s", lookup.Name, lookup.Err)
	case errors.As(err, &number):
		return fmt.Sprintf("%s at %s", number, p.config.Address)
	}
	return fmt.Sprintf("%v at %s", err, p.config.Address)
}

func round(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}
