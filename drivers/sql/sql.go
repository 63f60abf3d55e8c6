// Package sql checks a database: that it lets a client in, what it answers, and what role it has.
package sql

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/svcctl/svcctl/drivers"
)

//go:embed example.hcl
var example string

// Register adds the check to r.
func Register(r *drivers.Registry) {
	drivers.DefineCheck(r, "sql", "Connects to a database, asks a query, and looks at its role. Each run has a connection of its own, as a new client would: nothing is kept that could be dead, and a database that is full of connections fails.",
		func(o drivers.Opening, c *Config) (drivers.Prober, error) {
			return &prober{config: c, reveal: o.Reveal}, nil
		}, drivers.WithExample(example))
}

type prober struct {
	config   *Config
	reveal   func(string) (string, error) // nil: there are no secrets
	measured []drivers.Perf
}

// Measured implements drivers.Measurer.
func (p *prober) Measured() []drivers.Perf { return p.measured }

// most is what a server may send in one run: a row is kept whole by the libraries, and
// one that is meant for a check is short.
const most = 8 << 20

// dial connects to a server that is read from no further than most.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{KeepAlive: -1}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &bounded{Conn: conn, left: most}, nil
}

type bounded struct {
	net.Conn
	left int // of one reader
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errFlood
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

var errFlood = errors.New("it sent more than 8 MiB (have the query give a single short row)")

// session is a connection to one of the engines.
type session interface {
	// first returns the text of the first column of the first row.
	first(ctx context.Context, query string) (text string, rows bool, err error)
	replica(ctx context.Context) (bool, error)
	// lag says how far a replica is behind, and why it does not replicate, if so.
	lag(ctx context.Context) (behind time.Duration, stopped string, err error)
	close()
}

func (p *prober) Status(ctx context.Context) (drivers.Status, error) {
	p.measured = nil
	began := time.Now()
	t, err := p.config.target(p.reveal)
	if err != nil {
		return drivers.Status{}, fmt.Errorf("cannot check the database: %w", err)
	}
	stage := "the connection"
	why, err := p.run(ctx, t, &stage)
	if err != nil {
		why = reason(ctx, t, err, stage, time.Since(began))
	}
	if why == "" {
		return drivers.Status{State: drivers.Up}, nil
	}
	return drivers.Status{State: drivers.Down, Detail: t.scrub(why)}, nil
}

// run returns why the database does not pass, or an error where it gave no answer.
func (p *prober) run(ctx context.Context, t *target, stage *string) (why string, err error) {
	began := time.Now()
	connect := connectPostgres
	if p.config.Engine == engineMySQL {
		connect = connectMySQL
	}
	s, err := connect(ctx, t)
	if err != nil {
		return "", err
	}
	defer s.close()
	p.measure("connect", time.Since(began))
	if why, err := p.role(ctx, s, stage); why != "" || err != nil {
		return why, err
	}
	*stage = "the answer to the query"
	began = time.Now()
	text, rows, err := s.first(ctx, p.config.Query)
	if err != nil {
		return "", err
	}
	p.measure("query", time.Since(began))
	if v, err := strconv.ParseFloat(text, 64); err == nil && p.config.Query != defaultQuery && v-v == 0 {
		p.measured = append(p.measured, drivers.Perf{Label: "value", Value: v})
	}
	switch {
	case p.config.Expect == "" || rows && text == p.config.Expect:
		return "", nil
	case !rows:
		return fmt.Sprintf("the query gave no row, wanted %q", p.config.Expect), nil
	}
	return fmt.Sprintf("the query gave %s, wanted %q", excerpt(text), p.config.Expect), nil
}

func (p *prober) role(ctx context.Context, s session, stage *string) (why string, err error) {
	if p.config.Role == roleAny && p.config.MaxLag == 0 {
		return "", nil
	}
	*stage = "the role"
	replica, err := s.replica(ctx)
	switch {
	case err != nil:
		return "", err
	case replica && p.config.Role == rolePrimary:
		return "it is a replica, wanted the primary", nil
	case !replica && p.config.Role == roleReplica:
		return "it is the primary, wanted a replica", nil
	case !replica || p.config.MaxLag == 0:
		return "", nil
	}
	*stage = "the replica's lag"
	behind, stopped, err := s.lag(ctx)
	if err != nil {
		return "", err
	}
	if stopped != "" {
		return "it does not replicate: " + stopped, nil
	}
	p.measure("lag", behind)
	if behind > p.config.MaxLag {
		return fmt.Sprintf("it is %s behind the primary, wanted at most %s", behind.Round(time.Millisecond), p.config.MaxLag), nil
	}
	return "", nil
}

func (p *prober) measure(label string, d time.Duration) {
	p.measured = append(p.measured, drivers.Perf{Label: label, Value: d.Seconds(), Unit: "seconds"})
}

func reason(ctx context.Context, t *target, err error, stage string, took time.Duration) string {
	if took < time.Second {
		took = took.Round(time.Millisecond)
	} else {
		took = took.Round(100 * time.Millisecond)
	}
	var lookup *net.DNSError
	var number syscall.Errno
	var network net.Error
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Sprintf("cancelled after %s while waiting for %s at %s", took, stage, t.where())
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		return fmt.Sprintf("timed out after %s while waiting for %s at %s", took, stage, t.where())
	case errors.As(err, &lookup):
		return fmt.Sprintf("the name %s can't be looked up: %s", lookup.Name, lookup.Err)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Sprintf("there is no socket at %s (does the database run?)", t.where())
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("the connection to %s was closed while waiting for %s", t.where(), stage)
	case errors.As(err, &number):
		return fmt.Sprintf("%s at %s", number, t.where())
	}
	if errors.Is(err, errFlood) {
		return fmt.Sprintf("no answer from %s while waiting for %s: %v", t.where(), stage, errFlood)
	}
	if said := refused(err); said != "" {
		return fmt.Sprintf("refused at %s while waiting for %s: %s", t.where(), stage, said)
	}
	return fmt.Sprintf("no answer from %s while waiting for %s: %s", t.where(), stage, strings.Join(strings.Fields(err.Error()), " "))
}

// refused returns the database's own words, where the error holds some.
func refused(err error) string {
	if said := refusedByPostgres(err); said != "" {
		return said
	}
	return refusedByMySQL(err)
}

func excerpt(text string) string {
	if len(text) > 80 {
		return fmt.Sprintf("%q", strings.ToValidUTF8(string(text[:80]), "")+"…") // the dots where it is cut: a secret is looked for there
	}
	return fmt.Sprintf("%q", text)
}
