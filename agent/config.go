package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/svcctl/svcctl/spec"
)

// DefaultConfigPath is where the agent's own configuration lies.
const DefaultConfigPath = "/etc/svcctl/agent.hcl"

// Config is the agent's own configuration, agent.hcl. Paths in it are absolute.
type Config struct {
	Path     string // of the file; "" for the defaults
	Node     NodeConfig
	Services ServicesConfig
	State    StateConfig
	Secrets  SecretsConfig
	Cluster  ClusterConfig
	Metrics  MetricsConfig
	Logs     LogsConfig
}

// NodeConfig names this node.
type NodeConfig struct {
	Name    string // letters, digits, "-", "." and "_"; the host's name by default
	Address string // host:port for peers and clients; "" for none
	Labels  map[string]string
}

// ServicesConfig says where the services are declared.
type ServicesConfig struct {
	Dir    string
	Prune  bool // stop a service at once when its declaration disappears
	Mirror bool // write accepted revisions into Dir, unless it is a git work tree
}

// StateConfig says where the agent keeps what it must remember.
type StateConfig struct {
	Dir string // outlives a reboot
	Run string // sockets and pid files
}

// SecretsConfig says where the values of secrets lie, a file each.
type SecretsConfig struct{ Dir string }

// ClusterConfig names the cluster. Declared is false for a cluster of one that nobody named.
type ClusterConfig struct {
	Declared bool
	Name     string
	Profile  string
}

// MetricsConfig says where metrics are served; "" is nowhere.
type MetricsConfig struct{ Listen string }

// LogsConfig says what the agent writes to standard error.
type LogsConfig struct {
	Level  string // trace, debug, info, warn or error
	Format string // text or json
}

// ConfigError is every mistake in an agent configuration.
type ConfigError struct {
	Diagnostics hcl.Diagnostics
	Files       map[string]*hcl.File // for snippets
}

// Error gives a line for each mistake, with its place.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Diagnostics))
	for i, d := range e.Diagnostics {
		lines[i] = d.Error()
	}
	return strings.Join(lines, "\n")
}

// DefaultConfig is what an absent file means.
func DefaultConfig() Config {
	name, err := os.Hostname()
	if err != nil || !nodeName.MatchString(name) {
		name = "localhost"
	}
	return Config{
		Node:     NodeConfig{Name: name, Labels: map[string]string{}},
		Services: ServicesConfig{Dir: "/etc/svcctl/services", Mirror: true},
		State:    StateConfig{Dir: "/var/lib/svcctl", Run: "/run/svcctl"},
		Secrets:  SecretsConfig{Dir: "/etc/svcctl/secrets"},
		Cluster:  ClusterConfig{Name: "default", Profile: "default"},
		Logs:     LogsConfig{Level: "info", Format: "text"},
	}
}

// LoadConfig reads an agent configuration. Relative paths in it are taken from the
// folder of the file. The error is a *ConfigError with every mistake, unless the
// file could not be read.
func LoadConfig(path string) (Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Config{}, fmt.Errorf("cannot read %s: %w", path, err)
	}
	src, err := readConfig(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return Config{}, fmt.Errorf("cannot read the agent's configuration %s: it does not exist (name another with --config)", path)
	}
	if err != nil {
		return Config{}, fmt.Errorf("cannot read the agent's configuration: %w", err)
	}
	return parseConfig(path, filepath.Dir(abs), src)
}

func readConfig(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	src, err := io.ReadAll(io.LimitReader(f, maxConfigSize+1))
	if err == nil && len(src) > maxConfigSize {
		err = fmt.Errorf("%s is larger than %d MiB: is it another file?", path, maxConfigSize>>20)
	}
	return src, err
}

// parseText parses what the parser can bear. The file has no body where nothing was parsed.
func parseText(path string, src []byte) (*hcl.File, hcl.Diagnostics) {
	if f, is := spec.Unparsable(path, src); is {
		return &hcl.File{Bytes: src}, hcl.Diagnostics{{
			Severity: hcl.DiagError, Subject: &f.Range, Summary: strings.ToUpper(f.Summary[:1]) + f.Summary[1:], Detail: f.Detail,
		}}
	}
	return hclsyntax.ParseConfig(src, path, hcl.InitialPos)
}

func parseConfig(path, folder string, src []byte) (Config, error) {
	file, diags := parseText(path, src)
	c := DefaultConfig()
	c.Path = path
	if file != nil && !diags.HasErrors() {
		r := configReader{folder: folder, blocks: c.blocks(folder), seen: map[string]hcl.Range{}}
		r.body(file.Body.(*hclsyntax.Body))
		diags = r.diags
		c.Cluster.Declared = hasKey(r.seen, "cluster")
	}
	if diags.HasErrors() {
		return Config{}, &ConfigError{Diagnostics: diags, Files: map[string]*hcl.File{path: file}}
	}
	return c, nil
}

func hasKey[V any](m map[string]V, key string) bool { _, ok := m[key]; return ok }

// configBlock is the arguments of one block, each with what takes its value.
type configBlock map[string]configArgument

// blocks is the shape of the file: it writes into c.
func (c *Config) blocks(folder string) map[string]configBlock {
	return map[string]configBlock{
		"node": {
			"name":    wantString(&c.Node.Name, checkNodeName),
			"address": wantString(&c.Node.Address, checkHostPort),
			"labels":  wantLabels(&c.Node.Labels),
		},
		"services": {
			"dir":    wantPath(&c.Services.Dir, folder),
			"prune":  wantBool(&c.Services.Prune),
			"mirror": wantBool(&c.Services.Mirror),
		},
		"state": {
			"dir": wantPath(&c.State.Dir, folder),
			"run": wantPath(&c.State.Run, folder),
		},
		"secrets": {
			"dir": wantPath(&c.Secrets.Dir, folder),
		},
		"cluster": {
			"name":    wantString(&c.Cluster.Name, checkNodeName),
			"profile": wantString(&c.Cluster.Profile, oneOf("default", "fast", "aggressive", "relaxed", "wan")),
		},
		"metrics": {
			"listen": wantString(&c.Metrics.Listen, checkHostPort),
		},
		"logs": {
			"level":  wantString(&c.Logs.Level, oneOf("trace", "debug", "info", "warn", "error")),
			"format": wantString(&c.Logs.Format, oneOf("text", "json")),
		},
	}
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// ValidNodeName says whether a node, a cluster or a label may be called so.
func ValidNodeName(s string) bool { return nodeName.MatchString(s) }

func checkNodeName(s string) error {
	if !ValidNodeName(s) {
		return fmt.Errorf("%q is not a name: write at most 63 letters, digits, \"-\", \".\" and \"_\", the first a letter or digit", s)
	}
	return nil
}

func checkHostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return fmt.Errorf("%q is not an address with a port: write for example \"10.0.0.1:1215\" or \"[fd00::1]:1215\"", s)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return fmt.Errorf("%q has no port between 1 and 65535", s)
	}
	if strings.ContainsAny(host, " /") {
		return fmt.Errorf("%q has no host name or address before its port", s)
	}
	return nil
}

func oneOf(words ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(words, s) {
			return nil
		}
		return fmt.Errorf("%q is not one of %s%s", s, strings.Join(words, ", "), didYouMean(s, words))
	}
}
