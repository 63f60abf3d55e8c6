package dns

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/svcctl/svcctl/internal/netns"
	"github.com/svcctl/svcctl/spec"
)

// Config is what a dns check takes.
type Config struct {
	Server        string   `hcl:"server" doc:"Whom to ask: an address or a name, with a port where it is not the usual one (53, or 853 by TLS): \"10.0.0.53\", \"[2001:db8::53]:5353\"."`
	Name          string   `hcl:"name" doc:"What to ask for; for PTR an address will do."`
	Type          string   `hcl:"type" default:"A" oneof:"A AAAA CNAME MX TXT SOA SRV NS PTR" doc:"The type of record."`
	Protocol      string   `hcl:"protocol" default:"udp" oneof:"udp tcp tls" doc:"How to ask. An answer that is too long for udp is asked for again by tcp."`
	Expect        []string `hcl:"expect,optional" doc:"Records that must be in the answer, as in a zone file: \"192.0.2.1\", \"10 mail.example.com\"; a dot at the end may be left out. Default: any record of the type."`
	Rcode         string   `hcl:"rcode" default:"NOERROR" oneof:"NOERROR NXDOMAIN REFUSED SERVFAIL" doc:"The outcome that passes. With another than NOERROR no record is wanted."`
	Recursion     string   `hcl:"recursion" default:"ask" oneof:"off ask require" doc:"Whether the server is asked to find out elsewhere; require: it must offer that."`
	Authoritative bool     `hcl:"authoritative" default:"false" doc:"The answer must come from the zone itself, not from a cache."`
	ServerName    string   `hcl:"server_name,optional" doc:"With tls: the name that the certificate must have; default: the server's."`
	CA            string   `hcl:"ca,optional" doc:"With tls: PEM certificates to trust instead of the host's: the text itself, as file(\"…\") reads it."`
	Insecure      bool     `hcl:"insecure" default:"false" doc:"With tls: accept any certificate."`
	Netns         string   `hcl:"netns,optional" doc:"The network namespace to ask from: a name in /run/netns, as a netns resource gives it, or a path; default: the agent's."`
}

// Validate implements spec.Validator.
func (c *Config) Validate() (found []spec.Problem) {
	problem := func(field, summary, format string, args ...any) {
		found = append(found, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	if _, _, err := splitServer(c.Server, ""); err != nil {
		problem("server", "Not a server", `%q %v; write "10.0.0.53", "dns.example" or "[2001:db8::53]:5353".`, c.Server, err)
	}
	if _, err := question(c.Name, "A"); c.Name == "" || err != nil {
		problem("name", "Not a domain name", `%q can't be asked for: parts of up to 63 characters, joined by dots.`, c.Name)
	}
	if len(c.Expect) > 0 && c.Rcode != "" && c.Rcode != "NOERROR" {
		problem("expect", "Records of an answer without any", "An answer with %s has no records; leave expect or rcode out.", c.Rcode)
	}
	for _, e := range c.Expect {
		if strings.TrimSpace(e) == "" {
			problem("expect", "Empty record", "An empty record is in no answer; leave expect out where any will do.")
			break
		}
	}
	if c.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		problem("ca", "No certificate", `The text holds no PEM certificate; write ca = file("ca.pem").`)
	}
	for field, set := range map[string]bool{"ca": c.CA != "", "server_name": c.ServerName != "", "insecure": c.Insecure} {
		if set && c.Protocol != "" && c.Protocol != "tls" {
			problem(field, "No certificate is looked at", `Only tls has certificates; write protocol = "tls", or leave %s out.`, field)
			break
		}
	}
	if c.Netns != "" {
		if why := netns.Wrong(c.Netns); why != "" {
			problem("netns", "Not a network namespace", "%q %s.", c.Netns, why)
		}
	}
	return found
}

// splitServer reads host[:port]; an IPv6 address alone needs no brackets.
func splitServer(server, usual string) (host, port string, err error) {
	if a, err := netip.ParseAddr(server); err == nil {
		return a.String(), usual, nil
	}
	host, port = server, usual
	if strings.ContainsAny(server, ":[]") {
		if host, port, err = net.SplitHostPort(server); err != nil {
			if !strings.HasPrefix(server, "[") || !strings.HasSuffix(server, "]") || net.ParseIP(strings.Trim(server, "[]")) == nil {
				return "", "", fmt.Errorf("is no host with or without a port")
			}
			return strings.Trim(server, "[]"), usual, nil
		}
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", "", fmt.Errorf("has a port that is not from 1 to 65535")
		}
	}
	if _, ok := dns.IsDomainName(host); host == "" || !ok && net.ParseIP(host) == nil || strings.ContainsAny(host, "/ ") {
		return "", "", fmt.Errorf("names no host")
	}
	return host, port, nil
}

// question builds what is sent.
func question(name, kind string) (dns.Question, error) {
	if kind == "PTR" {
		if a, err := netip.ParseAddr(name); err == nil {
			name, _ = dns.ReverseAddr(a.Unmap().String())
		}
	}
	if _, ok := dns.IsDomainName(name); !ok {
		return dns.Question{}, fmt.Errorf("%q is no domain name", name)
	}
	return dns.Question{Name: dns.Fqdn(name), Qtype: dns.StringToType[kind], Qclass: dns.ClassINET}, nil
}

func (c *Config) tlsConfig(host string) *tls.Config {
	t := &tls.Config{ServerName: host, InsecureSkipVerify: c.Insecure}
	if c.ServerName != "" {
		t.ServerName = c.ServerName
	}
	if c.CA != "" {
		t.RootCAs = x509.NewCertPool()
		t.RootCAs.AppendCertsFromPEM([]byte(c.CA))
	}
	return t
}
