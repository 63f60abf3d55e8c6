package http

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/svcctl/svcctl/drivers"
	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/spec"
)

// Config is what an http check takes.
type Config struct {
	URL      string            `hcl:"url" doc:"What to ask for: http:// or https://, with brackets around an IPv6 address."`
	Method   string            `hcl:"method" default:"GET" doc:"The request's method."`
	Status   string            `hcl:"status" default:"200-399" doc:"The status codes that pass: numbers and ranges, such as \"200,204,300-399\"."`
	Body     string            `hcl:"body,optional" doc:"Must occur in the first 64 KiB of the answer's body."`
	Match    string            `hcl:"match,optional" doc:"A regular expression (RE2) that must match the first 64 KiB of the answer's body."`
	Headers  map[string]string `hcl:"headers,optional" secret:"true" doc:"Headers of the request; Host is sent as the request's host."`
	CA       string            `hcl:"ca,optional" doc:"PEM certificates to trust instead of the host's: the text itself, as file(\"…\") reads it."`
	Insecure bool              `hcl:"insecure" default:"false" doc:"Accept any certificate."`
	Netns    string            `hcl:"netns,optional" doc:"The network namespace to ask from: a name, as netns.NAME.name gives it, or a path. Names in the URL are looked up on the host. Default: the host's own."`
}

// Validate implements spec.Validator.
func (c *Config) Validate() (found []spec.Problem) {
	problem := func(field, summary, format string, args ...any) {
		found = append(found, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	if _, why := target(c.URL); why != "" {
		problem("url", "Not a URL that can be asked", "%q %s", c.URL, why)
	}
	if !httpguts.ValidHeaderFieldName(c.Method) { // a method is a token, as a header's name is
		problem("method", "Not a method", `%q is not an HTTP method; write "GET", "HEAD" or "POST".`, c.Method)
	}
	if _, err := parseStatus(c.Status); err != nil {
		problem("status", "Not a list of status codes", `%v; write for instance "200", "200-399" or "200,204".`, err)
	}
	if c.Match != "" {
		if _, err := regexp.Compile(c.Match); err != nil {
			problem("match", "Not a regular expression", "%v.", err)
		}
	}
	for name, value := range c.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			problem("headers", "Impossible header", "%q can't be sent as a header: a name has no blank or colon, a value no line break.", name)
		}
	}
	if c.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		problem("ca", "No certificate", `The text holds no PEM certificate; write ca = file("ca.pem").`)
	}
	if why := netns.Wrong(c.Netns); c.Netns != "" && why != "" {
		problem("netns", "Impossible network namespace", "%q %s.", c.Netns, why)
	}
	return found
}

// target reads a URL, or says why it can't be asked and what to write.
func target(text string) (*url.URL, string) {
	u, err := url.Parse(text)
	switch {
	case err != nil && strings.Count(text, ":") > 2 && !strings.Contains(text, "["):
		return nil, `has an IPv6 address without brackets; write "http://${hostport(host, port)}/".`
	case err != nil:
		return nil, fmt.Sprintf(`is not a URL (%v); write "http://host:port/path".`, err)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, `must start with http:// or https://.`
	case u.Hostname() == "":
		return nil, `names no host; write "http://host:port/path".`
	case strings.Contains(u.Hostname(), ":") && !strings.HasPrefix(u.Host, "["):
		return nil, `has an IPv6 address without brackets; write "http://${hostport(host, port)}/".`
	case u.User != nil:
		return nil, `holds a user name or password, which would be shown in the status; send them in headers.`
	}
	if p := u.Port(); p != "" {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n == 0 {
			return nil, `has a port that is not from 1 to 65535.`
		}
	}
	return u, ""
}

// span is an inclusive range of status codes.
type span struct{ from, to int }

func parseStatus(text string) ([]span, error) {
	var spans []span
	for part := range strings.SplitSeq(text, ",") {
		from, to, ranged := strings.Cut(strings.TrimSpace(part), "-")
		if !ranged {
			to = from
		}
		a, errA := strconv.Atoi(strings.TrimSpace(from))
		b, errB := strconv.Atoi(strings.TrimSpace(to))
		if errA != nil || errB != nil || a < 100 || b > 599 || a > b {
			return nil, fmt.Errorf("%q is neither a code from 100 to 599 nor a range of them", part)
		}
		spans = append(spans, span{a, b})
	}
	return spans, nil
}

// request builds the bytes that every check of the kind sends, with the values of secrets
// in the headers.
func (c *Config) request(u *url.URL, o drivers.Opening) ([]byte, error) {
	var b bytes.Buffer
	host := u.Host
	names := make([]string, 0, len(c.Headers))
	agent := "User-Agent: svcctl\r\n"
	for n := range c.Headers {
		switch http.CanonicalHeaderKey(n) {
		case "Host":
			var err error
			if host, err = header(o, n, c.Headers[n]); err != nil {
				return nil, err
			}
			continue
		case "Connection":
			continue // each check has its own connection, whatever is declared
		case "User-Agent":
			agent = ""
		}
		names = append(names, n)
	}
	slices.Sort(names)
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n%sConnection: close\r\n", c.Method, u.RequestURI(), host, agent)
	for _, n := range names {
		value, err := header(o, n, c.Headers[n])
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "%s: %s\r\n", n, value)
	}
	if c.Method != http.MethodGet && c.Method != http.MethodHead {
		b.WriteString("Content-Length: 0\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes(), nil
}

// header is a header's value with its secrets, which no one has looked at before.
func header(o drivers.Opening, name, value string) (string, error) {
	plain, err := o.Plain(value)
	if err == nil && !httpguts.ValidHeaderFieldValue(plain) {
		err = fmt.Errorf("the secret in header %s has a line break or another character that can't be sent (write it on one line)", name)
	}
	return plain, err
}

// secret says whether a header holds a secret, so that a request is made for each check
// rather than kept.
func (c *Config) secret() bool {
	for _, v := range c.Headers {
		if len(spec.SecretsIn(v)) > 0 {
			return true
		}
	}
	return false
}

func (c *Config) tlsConfig(u *url.URL) *tls.Config {
	if u.Scheme != "https" {
		return nil
	}
	t := &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: c.Insecure, NextProtos: []string{"http/1.1"}}
	if c.CA != "" {
		t.RootCAs = x509.NewCertPool()
		t.RootCAs.AppendCertsFromPEM([]byte(c.CA))
	}
	return t
}

func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
