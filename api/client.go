package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/svcctl/svcctl/engine"
	"github.com/svcctl/svcctl/spec"
)

// ErrNoAgent says that nobody answers at the server's address.
var ErrNoAgent = errors.New("no agent answers")

// maxAnswer bounds what a client reads of one document.
const maxAnswer = 256 << 20

// Client speaks to one agent. Safe for concurrent use.
type Client struct {
	server string // as given, for messages
	base   string
	http   *http.Client
}

// Dial returns a client for unix:///path/to.sock, http://host:port or
// https://host:port. It doesn't connect yet.
func Dial(server string) (*Client, error) {
	u, err := url.Parse(server)
	if err != nil {
		return nil, fmt.Errorf("cannot use server %q: %w", server, err)
	}
	t := &http.Transport{MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: answerWithin + writeWithin}
	c := &Client{server: server, http: &http.Client{Transport: t}}
	switch {
	case u.Scheme == "unix" && u.Host == "" && u.Path != "":
		c.base = "http://agent"
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: 5 * time.Second}
			return d.DialContext(ctx, "unix", u.Path)
		}
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		c.base = u.Scheme + "://" + u.Host
		t.DialContext = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	default:
		return nil, fmt.Errorf("cannot use server %q: write unix:///path/agent.sock or https://host:port", server)
	}
	return c, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks for the services by full name; none means all.
func (c *Client) Status(ctx context.Context, services ...string) (*Status, error) {
	var s Status
	return &s, c.call(ctx, http.MethodGet, "/v1/status", url.Values{"service": services}, nil, &s)
}

// Command asks for a verb on services. An answer without an error is a promise to
// try, not that it is done.
func (c *Client) Command(ctx context.Context, verb engine.CommandVerb, body CommandBody) error {
	body.Verb = string(verb)
	return c.call(ctx, http.MethodPost, "/v1/command", nil, body, &Accepted{})
}

// ShutDown asks the agent to stop all services of its node, until Resume or the next
// boot. An answer without an error is a promise to try.
func (c *Client) ShutDown(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/node/shutdown", nil, struct{}{}, &Accepted{})
}

// Resume ends a ShutDown.
func (c *Client) Resume(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/node/resume", nil, struct{}{}, &Accepted{})
}

// Apply sends a set of files as the new declaration. Mistakes come as a *Problem
// with findings.
func (c *Client) Apply(ctx context.Context, files map[string][]byte, prune bool) (*ApplyResult, error) {
	var r ApplyResult
	return &r, c.call(ctx, http.MethodPost, "/v1/apply", nil, FilesBody{Files: files, Prune: prune}, &r)
}

// Plan asks what would be done for files, or for the agent's directory where files
// is nil.
func (c *Client) Plan(ctx context.Context, files map[string][]byte) (*Plan, error) {
	var p Plan
	if files == nil {
		return &p, c.call(ctx, http.MethodGet, "/v1/plan", nil, nil, &p)
	}
	return &p, c.call(ctx, http.MethodPost, "/v1/plan", nil, FilesBody{Files: files}, &p)
}

func (c *Client) call(ctx context.Context, method, path string, query url.Values, body, into any) error {
	resp, err := c.send(ctx, method, path, query, nil, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(into); err != nil {
		return fmt.Errorf("cannot read the answer of %s: %w (do the versions of client and agent differ?)", c.server, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, method, path string, query url.Values, header http.Header, body any) (*http.Response, error) {
	var payload io.Reader
	if body != nil {
		doc, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("cannot write the request: %w", err)
		}
		payload = bytes.NewReader(doc)
	}
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, payload)
	if err != nil {
		return nil, fmt.Errorf("cannot ask %s: %w", c.server, err)
	}
	for k, v := range header {
		req.Header[k] = v
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }() // only read from
	var p Problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(&p); err != nil || p.Status == 0 {
		return nil, fmt.Errorf("%s answers %s, which is no answer of an agent (is the address right?)", c.server, resp.Status)
	}
	return nil, &p
}

// unreachable says in the user's words why there was no answer.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	hint := "is it running? see `svcctl agent`"
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, os.ErrNotExist):
		hint = "start it with `svcctl agent`, or name another with --server"
	case errors.Is(err, os.ErrPermission):
		hint = "this user may not open its socket"
	}
	return fmt.Errorf("%w at %s: %v (%s)", ErrNoAgent, c.server, err, hint)
}

// Logs opens the output of one resource; the caller closes it.
func (c *Client) Logs(ctx context.Context, a spec.Address, lines int, follow bool) (io.ReadCloser, error) {
	query := url.Values{"resource": {string(a)}, "lines": {fmt.Sprint(lines)}}
	stream := *c
	if follow {
		query.Set("follow", "true")
		stream.http = c.patient()
	}
	resp, err := stream.send(ctx, http.MethodGet, "/v1/logs", query, nil, nil)
	if err != nil {
		return nil, err
	}
	return resp.Body, nil
}

// patient is for streams whose first byte may be long in coming.
func (c *Client) patient() *http.Client {
	t := c.http.Transport.(*http.Transport).Clone()
	t.ResponseHeaderTimeout = 0
	t.DisableKeepAlives = true // nothing stays behind: nobody closes this one
	return &http.Client{Transport: t}
}

// IsProblem reports whether err is a Problem of this HTTP status.
func IsProblem(err error, status int) bool {
	var p *Problem
	return errors.As(err, &p) && p.Status == status
}
