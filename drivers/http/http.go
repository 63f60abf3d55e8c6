// Package http checks a resource by an HTTP request: its status code, and what the body says.
package http

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/internal/netns"
)

// example is the one on the kind's page of the manual.
//
//go:embed example.hcl
var example string

// Register adds the check to r.
func Register(r *drivers.Registry) {
	drivers.DefineCheck(r, "http", "Asks an HTTP server, over a new connection each time; passes when the status code and the body are as declared. Redirects are not followed.", open, drivers.WithExample(example))
}

const (
	reads   = 64 << 10 // of a body
	headers = 64 << 10 // of an answer, before its body
)

// prober asks one URL. What does not change from check to check is made once.
type prober struct {
	config  *Config
	opening drivers.Opening
	url     *url.URL
	address string
	request *http.Request // for ReadResponse, which must know the method
	bytes   []byte        // nil: made for each check, since there is a secret in it
	tls     *tls.Config   // nil: plain
	passes  []span
	match   *regexp.Regexp // nil: none
}

func open(o drivers.Opening, c *Config) (drivers.Prober, error) {
	u, why := target(c.URL)
	if why != "" {
		return nil, fmt.Errorf("cannot check %q: it %s", c.URL, why)
	}
	passes, err := parseStatus(c.Status)
	if err != nil {
		return nil, fmt.Errorf("cannot check %s: %w", c.URL, err)
	}
	p := &prober{config: c, opening: o, url: u, address: address(u), tls: c.tlsConfig(u), passes: passes}
	if !c.secret() {
		if p.bytes, err = c.request(u, o); err != nil {
			return nil, fmt.Errorf("cannot check %s: %w", c.URL, err)
		}
	}
	p.request = &http.Request{Method: c.Method}
	if c.Match != "" {
		if p.match, err = regexp.Compile(c.Match); err != nil {
			return nil, fmt.Errorf("cannot check %s: %w", c.URL, err)
		}
	}
	return p, nil
}

// readers are shared by all checks: only those that wait for an answer hold one.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 2<<10) }}

func (p *prober) Status(ctx context.Context) (drivers.Status, error) {
	began := time.Now()
	stage := "the connection"
	why, err := p.ask(ctx, &stage)
	if err != nil {
		why = p.reason(ctx, err, stage, time.Since(began))
	}
	if why != "" {
		return drivers.Status{State: drivers.Down, Detail: why}, nil
	}
	return drivers.Status{State: drivers.Up}, nil
}

// ask returns why the answer does not pass, or an error where there was none. It
// keeps in stage what it waits for.
func (p *prober) ask(ctx context.Context, stage *string) (why string, err error) {
	request := p.bytes
	if request == nil {
		if request, err = p.config.request(p.url, p.opening); err != nil {
			return err.Error(), nil
		}
	}
	conn, err := p.dial(ctx)
	if err != nil {
		return "", err
	}
	raw := conn
	defer raw.Close()
	if deadline, ok := ctx.Deadline(); ok {
		raw.SetDeadline(deadline)
	}
	defer context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) })()
	if p.tls != nil {
		*stage = "the TLS handshake"
		t := tls.Client(raw, p.tls)
		if err := t.HandshakeContext(ctx); err != nil {
			return "", err
		}
		conn = t
	}
	*stage = "the server to take the request"
	if _, err := conn.Write(request); err != nil {
		return "", err
	}
	*stage = "the first byte"
	limited := &io.LimitedReader{R: conn, N: headers + reads}
	r := readers.Get().(*bufio.Reader)
	r.Reset(limited)
	defer func() { r.Reset(nil); readers.Put(r) }()
	if _, err := r.Peek(1); err != nil {
		return "", err
	}
	*stage = "the end of the answer's head"
	answer, err := p.head(r)
	if err != nil {
		if limited.N <= 0 {
			return fmt.Sprintf("answered with a head of more than %d KiB at %s", headers>>10, p.address), nil
		}
		return "", err
	}
	if !p.passing(answer.StatusCode) {
		return p.refused(answer), nil
	}
	if p.config.Body == "" && p.match == nil {
		return "", nil
	}
	*stage = "the body"
	return p.search(answer)
}

func (p *prober) dial(ctx context.Context) (net.Conn, error) {
	if p.config.Netns != "" {
		return netns.Dial(ctx, netns.Path(p.config.Netns), p.address)
	}
	d := net.Dialer{KeepAlive: -1}
	return d.DialContext(ctx, "tcp", p.address)
}

// head reads an answer's head, past those that only announce the real one.
func (p *prober) head(r *bufio.Reader) (*http.Response, error) {
	for range 5 {
		answer, err := http.ReadResponse(r, p.request)
		if err != nil || answer.StatusCode >= 200 || answer.StatusCode == http.StatusSwitchingProtocols {
			return answer, err
		}
	}
	return nil, errors.New("five answers with a status below 200")
}

func (p *prober) passing(code int) bool {
	for _, s := range p.passes {
		if s.from <= code && code <= s.to {
			return true
		}
	}
	return false
}

func (p *prober) refused(answer *http.Response) string {
	why := fmt.Sprintf("answered %d, wanted %s", answer.StatusCode, p.config.Status)
	if to := answer.Header.Get("Location"); to != "" {
		why += fmt.Sprintf(" (redirects to %q, which is not followed)", to)
	}
	return why
}

func (p *prober) search(answer *http.Response) (string, error) {
	body, err := io.ReadAll(io.LimitReader(answer.Body, reads))
	// What was heard before the connection broke may say enough.
	if bytes.Contains(body, []byte(p.config.Body)) && (p.match == nil || p.match.Match(body)) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	wanted := fmt.Sprintf("%q", p.config.Body)
	if bytes.Contains(body, []byte(p.config.Body)) {
		wanted = "a match of " + p.config.Match
	}
	where := "its body"
	if len(body) == reads {
		where = fmt.Sprintf("the first %d KiB of its body", reads>>10)
	}
	start := string(body)
	if len(start) > 80 {
		start = strings.ToValidUTF8(start[:80], "") + "…" // where it is cut: a secret is looked for there
	}
	shown := fmt.Sprintf("starts with %q", start)
	if len(body) == 0 {
		shown = "is empty"
	}
	return fmt.Sprintf("answered %d without %s in %s, which %s", answer.StatusCode, wanted, where, shown), nil
}

func (p *prober) reason(ctx context.Context, err error, stage string, took time.Duration) string {
	if took < time.Second {
		took = took.Round(time.Millisecond)
	} else {
		took = took.Round(100 * time.Millisecond)
	}
	var lookup *net.DNSError
	var network net.Error
	var number syscall.Errno
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Sprintf("cancelled after %s while waiting for %s at %s", took, stage, p.address)
	case ctx.Err() != nil, errors.As(err, &network) && network.Timeout():
		return fmt.Sprintf("timed out after %s while waiting for %s at %s", took, stage, p.address)
	case errors.As(err, &lookup):
		return fmt.Sprintf("the name %s can't be looked up: %s", lookup.Name, lookup.Err)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("the connection to %s was closed while waiting for %s", p.address, stage)
	case errors.As(err, &number):
		if stage == "the connection" {
			return fmt.Sprintf("%s at %s", number, p.address)
		}
		return fmt.Sprintf("%s at %s while waiting for %s", number, p.address, stage)
	case strings.Contains(err.Error(), "malformed HTTP"):
		return fmt.Sprintf("%s does not speak HTTP/1: %v", p.address, err)
	}
	return fmt.Sprintf("no answer from %s: %v", p.address, err)
}
