package sql

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/svcctl/svcctl/spec"
)

// The words that arguments may be.
const (
	enginePostgres = "postgres"
	engineMySQL    = "mysql"

	roleAny     = "any"
	rolePrimary = "primary"
	roleReplica = "replica"

	tlsOff     = "off"
	tlsPrefer  = "prefer"
	tlsRequire = "require"
	tlsVerify  = "verify"

	defaultQuery = "SELECT 1"
)

// Config is what a sql check takes.
type Config struct {
	Engine   string        `hcl:"engine" oneof:"postgres mysql" doc:"The database: mysql stands for MariaDB too."`
	URL      string        `hcl:"url,optional" secret:"true" doc:"Where and as whom, in one: \"postgres://user:password@host:5432/database\", with special characters percent-encoded."`
	Host     string        `hcl:"host,optional" doc:"A name or an address, without port and brackets; default, without socket: 127.0.0.1."`
	Port     int           `hcl:"port,optional" positive:"true" doc:"Default: 5432 or 3306, as the engine has it."`
	Socket   string        `hcl:"socket,optional" doc:"The unix socket, instead of a host; for PostgreSQL its directory will do."`
	User     string        `hcl:"user,optional" secret:"true" doc:"As whom to log in."`
	Password string        `hcl:"password,optional" secret:"true" doc:"The user's password: secret(\"…\")."`
	Database string        `hcl:"database,optional" doc:"Which database; default: the user's own, or none."`
	TLS      string        `hcl:"tls" default:"prefer" oneof:"off prefer require verify" doc:"Whether the connection is encrypted; verify also wants a certificate for that host, from ca or an authority of the system. A unix socket never is."`
	CA       string        `hcl:"ca,optional" doc:"PEM certificates to trust instead of the host's: the text itself, as file(\"…\") reads it."`
	Query    string        `hcl:"query" default:"SELECT 1" doc:"What is asked. A number that it gives is measured."`
	Expect   string        `hcl:"expect,optional" doc:"What the first column of the first row must be, as text; default: any answer."`
	Role     string        `hcl:"role" default:"any" oneof:"any primary replica" doc:"The role that the database must have: for PostgreSQL whether it is in recovery, for MariaDB and MySQL whether it is read_only."`
	MaxLag   time.Duration `hcl:"max_lag,optional" positive:"true" doc:"How far a replica may be behind. MariaDB's user needs the privilege SLAVE MONITOR or REPLICATION CLIENT for it."`
}

// Validate implements spec.Validator.
func (c *Config) Validate() (found []spec.Problem) {
	problem := func(field, summary, format string, args ...any) {
		found = append(found, spec.Problem{Field: field, Summary: summary, Detail: fmt.Sprintf(format, args...)})
	}
	if c.URL != "" && len(spec.SecretsIn(c.URL)) == 0 && c.Engine != "" {
		if _, err := parse(c.Engine, c.URL); err != nil {
			problem("url", "Not a database's URL", "It %v.", err)
		}
	}
	for field, set := range map[string]bool{"host": c.Host != "", "port": c.Port != 0, "socket": c.Socket != "", "user": c.User != "", "password": c.Password != "", "database": c.Database != ""} {
		if set && c.URL != "" {
			problem(field, "Said twice", "The URL says it too; write url alone, or %s and its likes.", field)
			break
		}
	}
	if c.Host != "" && (strings.ContainsAny(c.Host, "/[] ") || strings.Contains(c.Host, ":") && net.ParseIP(c.Host) == nil) {
		problem("host", "Not a host", `%q must be a name or an address alone; the port has an argument of its own.`, c.Host)
	}
	if c.Port < 0 || c.Port > 65535 {
		problem("port", "Not a port", "%d: a port is from 1 to 65535.", c.Port)
	}
	if c.Socket != "" && !filepath.IsAbs(c.Socket) {
		problem("socket", "Path is not absolute", "%q depends on where the agent was started; write the path from /.", c.Socket)
	}
	if c.Socket != "" && c.Host != "" {
		problem("socket", "Socket and host", "The database is reached by a socket or by a host; leave one out.")
	}
	if c.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		problem("ca", "No certificate", `The text holds no PEM certificate; write ca = file("ca.pem").`)
	}
	if c.CA != "" && c.TLS != "" && c.TLS != tlsVerify {
		problem("tls", "Certificates that nobody looks at", `ca is used with tls = "verify" only; write that, or leave ca out.`)
	}
	if c.MaxLag > 0 && c.Role == rolePrimary {
		problem("max_lag", "Lag of a primary", `A primary has no lag; leave max_lag out, or write role = "replica".`)
	}
	return found
}

// target is where and as whom, with the values of secrets: it lives for one run.
type target struct {
	engine, host, port, socket     string
	user, password, database, mode string
	ca                             string
	secret                         []string // what no output may hold
}

// target reveals the secrets.
func (c *Config) target(reveal func(string) (string, error)) (*target, error) {
	if reveal == nil {
		reveal = func(text string) (string, error) { return text, nil }
	}
	t := &target{engine: c.Engine, host: c.Host, socket: c.Socket, database: c.Database, mode: c.TLS, ca: c.CA}
	if c.Port != 0 {
		t.port = strconv.Itoa(c.Port)
	}
	var err error
	if t.user, err = reveal(c.User); err != nil {
		return nil, err
	}
	if t.password, err = reveal(c.Password); err != nil {
		return nil, err
	}
	if t.user != c.User {
		t.secret = append(t.secret, t.user)
	}
	if c.URL != "" {
		whole, err := reveal(c.URL)
		if err != nil {
			return nil, err
		}
		u, err := parse(c.Engine, whole)
		if err != nil {
			return nil, fmt.Errorf("its url %w", err)
		}
		t.host, t.port, t.database = u.Hostname(), u.Port(), strings.TrimPrefix(u.Path, "/")
		t.user = u.User.Username()
		t.password, _ = u.User.Password()
		if whole != c.URL {
			t.secret = append(t.secret, whole)
		}
		t.secret = append(t.secret, url.QueryEscape(t.password), url.PathEscape(t.password))
	}
	t.secret = append(t.secret, t.password)
	if t.host == "" && t.socket == "" {
		t.host = "127.0.0.1"
	}
	if t.port == "" {
		t.port = map[string]string{enginePostgres: "5432", engineMySQL: "3306"}[c.Engine]
	}
	return t, nil
}

// parse reads a URL. Its errors hold nothing of it.
func parse(engine, text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fmt.Errorf(`can't be read; write "%s://user:password@host:port/database", with special characters percent-encoded`, engine)
	case u.Scheme != engine && (engine != enginePostgres || u.Scheme != "postgresql") && (engine != engineMySQL || u.Scheme != "mariadb"):
		return nil, fmt.Errorf("must start with %s://", engine)
	case u.Hostname() == "":
		return nil, fmt.Errorf(`names no host; write "%s://user:password@host:port/database", or socket and its likes instead`, engine)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("must end with the database; what stands behind ? has arguments of its own, such as tls")
	}
	return u, nil
}

// where is for people.
func (t *target) where() string {
	if t.socket != "" {
		return t.socket
	}
	return net.JoinHostPort(t.host, t.port)
}

// scrub takes out what must not be seen, whoever put it into the text.
func (t *target) scrub(text string) string {
	for _, s := range t.secret {
		if s != "" {
			text = strings.ReplaceAll(text, s, "(secret)")
		}
	}
	return text
}

// encryption is nil for plain; optional allows to go on without.
func (t *target) encryption() (c *tls.Config, optional bool) {
	if t.socket != "" || t.mode == tlsOff {
		return nil, false
	}
	if t.mode != tlsVerify {
		return &tls.Config{InsecureSkipVerify: true}, t.mode == tlsPrefer
	}
	c = &tls.Config{ServerName: t.host}
	if t.ca != "" {
		c.RootCAs = x509.NewCertPool()
		c.RootCAs.AppendCertsFromPEM([]byte(t.ca))
	}
	return c, false
}
