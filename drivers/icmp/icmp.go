// Package icmp checks a host by ICMP echo requests: how many come back, and how soon.
package icmp

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/spec"
)

// Config is what an icmp check takes.
type Config struct {
	Host      string        `hcl:"host" doc:"Whom to ask: an address, without brackets, or a name."`
	Family    string        `hcl:"family" default:"any" oneof:"any ipv4 ipv6" doc:"Which addresses of a name are asked; any takes the first that the resolver gives."`
	Count     int           `hcl:"count" default:"1" doc:"How many requests are sent, up to 100."`
	Size      int           `hcl:"size" default:"56" doc:"Bytes of data in each request, from 16 to 65000."`
	Interval  time.Duration `hcl:"interval" default:"200ms" doc:"Time between two requests. All of them must fit in the check's timeout."`
	MaxLoss   int           `hcl:"max_loss" default:"0" doc:"How many percent of the requests may stay without an answer."`
	MaxRTT    time.Duration `hcl:"max_rtt,optional" positive:"true" doc:"How long the answers may take on average; default: as long as the timeout."`
	Source    string        `hcl:"source,optional" doc:"The address of this host to ask from; default: what the route says."`
	Interface string        `hcl:"interface,optional" doc:"The interface that requests leave by; default: what the route says."`
	Netns     string        `hcl:"netns,optional" doc:"The network namespace to ask from: a name in /run/netns, as a netns resource gives it, or a path; default: the agent's."`
}

const (
	mostRequests = 100
	tokenSize    = 16 // of the data: what makes a request our own
	largest      = 65000
)

//go:embed example.hcl
var example string

// Register adds the check to r.
func Register(r *drivers.Registry) {
	drivers.DefineCheck(r, "icmp", "Asks a host by ICMP echo (ping); passes when enough answers come, and soon enough. It needs root, or a group in net.ipv4.ping_group_range.",
		func(_ drivers.Opening, c *Config) (drivers.Prober, error) {
			p := &prober{config: c}
			if c.Netns != "" {
				p.namespace = netns.Path(c.Netns)
			}
			p.literal, _ = netip.ParseAddr(c.Host)
			p.source, _ = netip.ParseAddr(c.Source)
			return p, nil
		}, drivers.WithExample(example))
}

// Validate implements spec.Validator.
func (c *Config) Validate() (found []spec.Problem) {
	problem := func(field, summary, format string, args ...any) {
		found = append(found, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	host, err := netip.ParseAddr(c.Host)
	literal := err == nil
	if c.Host == "" || !literal && (net.ParseIP(c.Host) != nil || hasAny(c.Host, " /:[]\x00")) {
		problem("host", "Not a host", `%q is neither an address nor a name; write "10.0.0.1", "2001:db8::1" or "gateway.example", without port and brackets.`, c.Host)
	}
	if literal && (c.Family == "ipv4" && !host.Unmap().Is4() || c.Family == "ipv6" && host.Unmap().Is4()) {
		problem("family", "Address of the other family", "%s is not an address of %s; leave family out.", c.Host, c.Family)
	}
	if c.Count < 1 || c.Count > mostRequests {
		problem("count", "Number out of range", "%d requests can't be sent: from 1 to %d.", c.Count, mostRequests)
	}
	if c.Size < tokenSize || c.Size > largest {
		problem("size", "Size out of range", "%d bytes can't be sent: from %d, which tell our requests from others', to %d.", c.Size, tokenSize, largest)
	}
	if c.Interval < time.Millisecond {
		problem("interval", "Interval too short", "%s between two requests is a flood; write at least 1ms.", c.Interval)
	}
	if c.MaxLoss < 0 || c.MaxLoss > 99 {
		problem("max_loss", "Loss out of range", "%d percent: from 0 to 99, since a host without any answer is lost.", c.MaxLoss)
	}
	if c.Source != "" {
		source, err := netip.ParseAddr(c.Source)
		switch {
		case err != nil:
			problem("source", "Not an address", `%q is not an address of this host; write "10.0.0.5", or name the interface instead.`, c.Source)
		case literal && source.Unmap().Is4() != host.Unmap().Is4():
			problem("source", "Address of the other family", "Nothing is sent from %s to %s: one is IPv4, the other IPv6.", c.Source, c.Host)
		}
	}
	if len(c.Interface) >= syscall.IFNAMSIZ || hasAny(c.Interface, "/ \x00") {
		problem("interface", "Impossible interface name", "No interface is called %q: a name has up to 15 characters, without blanks and slashes.", c.Interface)
	}
	if c.Netns != "" {
		if why := netns.Wrong(c.Netns); why != "" {
			problem("netns", "Not a network namespace", "%q %s.", c.Netns, why)
		}
	}
	return found
}

func hasAny(text, chars string) bool {
	for _, c := range text {
		for _, bad := range chars {
			if c == bad {
				return true
			}
		}
	}
	return false
}

type prober struct {
	config          *Config
	literal, source netip.Addr // zero: none
	namespace       string     // a path; "": the agent's
	measured        []drivers.Perf
}

// Measured implements drivers.Measurer.
func (p *prober) Measured() []drivers.Perf { return p.measured }

// Status sends the requests and hears the answers. It ends a tenth before its time is
// over, so that a lost answer is told as a loss.
func (p *prober) Status(ctx context.Context) (drivers.Status, error) {
	p.measured = nil
	began := time.Now()
	end := began.Add(time.Duration(p.config.Count)*p.config.Interval + time.Second)
	if d, ok := ctx.Deadline(); ok {
		end = d.Add(-time.Until(d) / 10)
	}
	to, err := p.target(ctx)
	if err != nil {
		return p.down(ctx, err, began)
	}
	e, err := dial(p.namespace, to, p.source, p.config.Interface)
	if err != nil {
		return p.down(ctx, err, began)
	}
	defer e.close()
	defer context.AfterFunc(ctx, e.interrupt)()
	t, err := e.ask(ctx, p.config.Count, p.config.Size, p.config.Interval, end)
	if err != nil && (t.heard == 0 || ctx.Err() != nil) {
		return p.down(ctx, err, began)
	}
	return p.verdict(to, t, err), nil
}

func (p *prober) verdict(to netip.Addr, t tally, err error) drivers.Status {
	loss := 100 * float64(p.config.Count-t.heard) / float64(p.config.Count)
	p.measured = append(p.measured, drivers.Perf{Label: "loss", Value: loss, Unit: "percent"})
	host := p.config.Host
	if !p.literal.IsValid() {
		host += " (" + to.String() + ")"
	}
	var mean time.Duration
	if t.heard > 0 {
		mean = t.sum / time.Duration(t.heard)
		p.measured = append(p.measured,
			drivers.Perf{Label: "rtt", Value: mean.Seconds(), Unit: "seconds"},
			drivers.Perf{Label: "rtt_max", Value: t.longest.Seconds(), Unit: "seconds"})
	}
	because := ""
	if err != nil {
		because = ": " + words(err)
	}
	switch {
	case t.sent < p.config.Count:
		return drivers.Status{State: drivers.Down, Detail: fmt.Sprintf("only %d of %d requests to %s could be sent within the check's timeout (shorten interval, or raise timeout)%s", t.sent, p.config.Count, host, because)}
	case t.heard == 0:
		return drivers.Status{State: drivers.Down, Detail: fmt.Sprintf("%s did not answer%s", host, because)}
	case loss > float64(p.config.MaxLoss):
		return drivers.Status{State: drivers.Down, Detail: fmt.Sprintf("%s left %.0f %% of %d requests unanswered, wanted at most %d %%%s", host, loss, p.config.Count, p.config.MaxLoss, because)}
	case p.config.MaxRTT > 0 && mean > p.config.MaxRTT:
		return drivers.Status{State: drivers.Down, Detail: fmt.Sprintf("%s answered after %s on average, wanted at most %s", host, short(mean), p.config.MaxRTT)}
	}
	return drivers.Status{State: drivers.Up}
}

// target is the address that is asked.
func (p *prober) target(ctx context.Context) (netip.Addr, error) {
	if p.literal.IsValid() {
		return p.literal, nil
	}
	network := map[string]string{"ipv4": "ip4", "ipv6": "ip6"}[p.config.Family]
	if p.source.IsValid() && network == "" {
		if network = "ip6"; p.source.Unmap().Is4() {
			network = "ip4"
		}
	}
	if network == "" {
		network = "ip"
	}
	all, err := net.DefaultResolver.LookupNetIP(ctx, network, p.config.Host)
	if err != nil {
		return netip.Addr{}, err
	}
	if len(all) == 0 {
		return netip.Addr{}, &net.DNSError{Name: p.config.Host, Err: "it has no address"}
	}
	return all[0].Unmap(), nil
}

func (p *prober) down(ctx context.Context, err error, began time.Time) (drivers.Status, error) {
	took := short(time.Since(began))
	var lookup *net.DNSError
	why := ""
	switch {
	case errors.Is(err, errForbidden):
		return drivers.Status{}, err
	case errors.Is(ctx.Err(), context.Canceled):
		why = fmt.Sprintf("cancelled after %s while waiting for %s", took, p.config.Host)
	case errors.As(err, &lookup):
		why = fmt.Sprintf("the name %s can't be looked up: %s", lookup.Name, lookup.Err)
	case ctx.Err() != nil:
		why = fmt.Sprintf("timed out after %s while waiting for %s", took, p.config.Host)
	default:
		why = fmt.Sprintf("%s can't be reached: %s", p.config.Host, words(err))
	}
	return drivers.Status{State: drivers.Down, Detail: why}, nil
}

// words are those of the kernel, where the error has any.
func words(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) && err.Error() == number.Error() {
		return number.Error()
	}
	return err.Error()
}

func short(d time.Duration) time.Duration {
	switch {
	case d < time.Millisecond:
		return d.Round(time.Microsecond)
	case d < time.Second:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(100 * time.Millisecond)
}
