// Package dns checks a name server by asking it: the outcome, the records, and who answers.
package dns

import (
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/internal/netns"
)

//go:embed example.hcl
var example string

// Register adds the check to r.
func Register(r *drivers.Registry) {
	drivers.DefineCheck(r, "dns", "Asks a name server; passes when the outcome and the records are as declared.", open, drivers.WithExample(example))
}

// accepts is how long an answer by UDP may be: what passes every network in one piece.
const accepts = 1232

type prober struct {
	config     *Config
	host, port string
	question   dns.Question
	namespace  string      // a path; "": the agent's
	tls        *tls.Config // nil: plain
	expect     []string    // as canonical makes them
	measured   []drivers.Perf
}

func open(_ drivers.Opening, c *Config) (drivers.Prober, error) {
	usual := "53"
	if c.Protocol == "tls" {
		usual = "853"
	}
	p := &prober{config: c}
	var err error
	if p.host, p.port, err = splitServer(c.Server, usual); err != nil {
		return nil, fmt.Errorf("cannot ask the name server %q: it %w", c.Server, err)
	}
	if p.question, err = question(c.Name, c.Type); err != nil {
		return nil, fmt.Errorf("cannot ask %s: %w", c.Server, err)
	}
	if c.Protocol == "tls" {
		p.tls = c.tlsConfig(p.host)
	}
	if c.Netns != "" {
		p.namespace = netns.Path(c.Netns)
	}
	for _, e := range c.Expect {
		p.expect = append(p.expect, canonical(e, c.Type))
	}
	return p, nil
}

// Measured implements drivers.Measurer.
func (p *prober) Measured() []drivers.Perf { return p.measured }

func (p *prober) Status(ctx context.Context) (drivers.Status, error) {
	p.measured = nil
	began := time.Now()
	protocol, stage := p.config.Protocol, "the connection"
	answer, err := p.ask(ctx, protocol, &stage)
	if err == nil && answer.Truncated && protocol == "udp" {
		protocol = "tcp"
		answer, err = p.ask(ctx, protocol, &stage)
	}
	if err != nil {
		return drivers.Status{State: drivers.Down, Detail: p.reason(ctx, err, protocol, stage, time.Since(began))}, nil
	}
	p.measured = []drivers.Perf{{Label: "time", Value: time.Since(began).Seconds(), Unit: "seconds"}, {Label: "answers", Value: float64(len(answer.Answer))}}
	if why := p.judge(answer); why != "" {
		return drivers.Status{State: drivers.Down, Detail: fmt.Sprintf("%s answered %s for %s %s", p.where(), why, p.config.Type, p.config.Name)}, nil
	}
	return drivers.Status{State: drivers.Up}, nil
}

func (p *prober) where() string { return net.JoinHostPort(p.host, p.port) }

// ask sends the question and waits for its answer, past whatever else arrives.
func (p *prober) ask(ctx context.Context, protocol string, stage *string) (*dns.Msg, error) {
	*stage = "the connection"
	raw, err := p.dial(ctx, protocol)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	if deadline, ok := ctx.Deadline(); ok {
		raw.SetDeadline(deadline)
	}
	defer context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })()
	conn := raw
	if protocol == "tls" {
		*stage = "the TLS handshake"
		t := tls.Client(raw, p.tls)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = t
	}
	*stage = "the answer"
	m := &dns.Msg{Question: []dns.Question{p.question}}
	m.Id, m.RecursionDesired = dns.Id(), p.config.Recursion != "off"
	m.SetEdns0(accepts, false)
	c := &dns.Conn{Conn: conn, UDPSize: accepts}
	if err := c.WriteMsg(m); err != nil {
		return nil, err
	}
	for {
		answer, err := c.ReadMsg()
		if protocol == "udp" && err != nil && !errors.As(err, new(net.Error)) && (answer == nil || answer.Id != m.Id) {
			continue // a scrap that anybody may have sent
		}
		if err != nil && (answer == nil || !answer.Truncated) {
			return nil, err
		}
		if answer.Id == m.Id && answer.Response && (len(answer.Question) == 0 || sameQuestion(answer.Question[0], p.question)) {
			return answer, nil
		}
		if protocol != "udp" {
			return nil, errStranger
		}
	}
}

var errStranger = errors.New("it answered another question")

func sameQuestion(a, b dns.Question) bool {
	return a.Qtype == b.Qtype && a.Qclass == b.Qclass && strings.EqualFold(a.Name, b.Name)
}

func (p *prober) dial(ctx context.Context, protocol string) (net.Conn, error) {
	if protocol != "udp" {
		if p.namespace != "" {
			return netns.Dial(ctx, p.namespace, p.where())
		}
		d := net.Dialer{KeepAlive: -1}
		return d.DialContext(ctx, "tcp", p.where())
	}
	to := p.host
	if _, err := netip.ParseAddr(to); err != nil {
		all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", to)
		if err != nil {
			return nil, err
		}
		to = all[0].Unmap().String()
	}
	var conn net.Conn
	err := netns.Do(p.namespace, func() (err error) {
		var d net.Dialer // an address alone is dialled on this thread
		conn, err = d.DialContext(ctx, "udp", net.JoinHostPort(to, p.port))
		return err
	})
	return conn, err
}

// judge returns what is wrong with an answer, or "".
func (p *prober) judge(m *dns.Msg) string {
	if rcode := dns.RcodeToString[m.Rcode]; rcode != p.config.Rcode {
		if rcode == "" {
			rcode = fmt.Sprintf("RCODE %d", m.Rcode)
		}
		return fmt.Sprintf("%s, wanted %s", rcode, p.config.Rcode)
	}
	switch {
	case p.config.Authoritative && !m.Authoritative:
		return "from a cache, wanted the zone's own answer"
	case p.config.Recursion == "require" && !m.RecursionAvailable:
		return "without offering recursion"
	case p.config.Rcode != "NOERROR":
		return ""
	}
	var got, shown []string
	for _, rr := range m.Answer {
		if rr.Header().Rrtype == p.question.Qtype {
			data := data(rr)
			got, shown = append(got, canonical(data, p.config.Type)), append(shown, data)
		}
	}
	if len(got) == 0 {
		return "without any record"
	}
	for i, e := range p.expect {
		if !slices.Contains(got, e) {
			return fmt.Sprintf("without %q, but with %s", p.config.Expect[i], excerpt(shown))
		}
	}
	return ""
}

// data is a record as in a zone file, without its name, age and type.
func data(rr dns.RR) string {
	if t, ok := rr.(*dns.TXT); ok {
		return strings.Join(t.Txt, "")
	}
	return strings.TrimPrefix(rr.String(), rr.Header().String())
}

// canonical makes two ways to write the same data equal.
func canonical(text, kind string) string {
	if kind == "TXT" {
		return text // where letters, blanks and dots count
	}
	if a, err := netip.ParseAddr(strings.TrimSpace(text)); err == nil {
		return a.String()
	}
	words := strings.Fields(strings.ToLower(text))
	for i, w := range words {
		if len(w) > 1 {
			words[i] = strings.TrimSuffix(w, ".")
		}
	}
	return strings.Join(words, " ")
}

func excerpt(all []string) string {
	more := ""
	if len(all) > 5 {
		all, more = all[:5], fmt.Sprintf(" and %d more", len(all)-5)
	}
	var quoted []string
	for _, s := range all {
		quoted = append(quoted, fmt.Sprintf("%.80q", s))
	}
	return strings.Join(quoted, ", ") + more
}

func (p *prober) reason(ctx context.Context, err error, protocol, stage string, took time.Duration) string {
	if took < time.Second {
		took = took.Round(time.Millisecond)
	} else {
		took = took.Round(100 * time.Millisecond)
	}
	where := p.where() + " by " + protocol
	var lookup *net.DNSError
	var network net.Error
	var number syscall.Errno
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Sprintf("cancelled after %s while waiting for %s of %s", took, stage, where)
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		return fmt.Sprintf("timed out after %s while waiting for %s of %s", took, stage, where)
	case errors.As(err, &lookup):
		return fmt.Sprintf("the name %s can't be looked up: %s", lookup.Name, lookup.Err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("%s closed the connection while waiting for %s", where, stage)
	case errors.As(err, &number):
		return fmt.Sprintf("%s at %s", number, where)
	}
	return fmt.Sprintf("no answer from %s: %v", where, err)
}
