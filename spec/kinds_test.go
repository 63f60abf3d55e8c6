package spec

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// Kinds that look like real ones: this package can't know those of the drivers.

type mountConfig struct {
	Device string   `hcl:"device" doc:"What is mounted." export:"true"`
	Path   string   `hcl:"path" doc:"Where." export:"true"`
	Type   string   `hcl:"type" default:"ext4" oneof:"ext4 xfs btrfs" doc:"The file system." export:"true"`
	Option []string `hcl:"options,optional" doc:"Mount options." reload:"live"`
	Size   Bytes    `hcl:"size,optional" positive:"true" doc:"The size."`
	MkFS   bool     `hcl:"mkfs,optional" doc:"Make a file system on a blank device."`
}

func (m *mountConfig) Validate() (out []Problem) {
	if !strings.HasPrefix(m.Path, "/") {
		out = append(out, Problem{"path", "a mount point is an absolute path", "Write \"/" + m.Path + "\"."})
	}
	if m.MkFS && m.Type != "xfs" {
		out = append(out, Problem{"mkfs", "mkfs is for xfs", "Write type = \"xfs\"."})
	}
	return out
}

type ipConfig struct {
	Address   string `hcl:"address" doc:"With its prefix length." export:"true"`
	Interface string `hcl:"interface" doc:"Where it is added."`
	Probe     string `hcl:"probe" default:"fast" oneof:"fast rfc none" doc:"How duplicates are looked for."`
}

func (c *ipConfig) ExportNames() []string { return []string{"host"} }

func (c *ipConfig) Exports() map[string]cty.Value {
	host, _, _ := strings.Cut(c.Address, "/")
	return map[string]cty.Value{"host": cty.StringVal(host)}
}

func (c *ipConfig) Validate() []Problem {
	if _, err := netip.ParsePrefix(c.Address); err != nil {
		return []Problem{{"address", "not an address with a prefix length", "Write an address such as \"10.0.0.1/24\"."}}
	}
	return nil
}

type appConfig struct {
	Command []string          `hcl:"command" doc:"The program and its arguments."`
	User    string            `hcl:"user,optional" doc:"Who it runs as."`
	Env     map[string]string `hcl:"env,optional" secret:"true" doc:"Its environment."`
	Ready   string            `hcl:"ready" default:"at_once" oneof:"at_once notify check" doc:"When it is up."`
	Nice    int               `hcl:"nice,optional" doc:"Its priority."`
	Weight  float64           `hcl:"weight,optional" doc:"Its share."`
	Port    int               `hcl:"port,optional" doc:"Its port." export:"true"`
	Memory  Bytes             `hcl:"memory_max,optional" doc:"Its limit." reload:"live"`
	Linger  time.Duration     `hcl:"linger" default:"1s" doc:"How long it may go on."`
	Limits  []limitConfig     `hcl:"limit,block" doc:"A limit."`
	Log     *logConfig        `hcl:"log,block" doc:"Where its output goes."`
}

func (c *appConfig) Notes() []Problem {
	if c.User != "root" {
		return nil
	}
	return []Problem{{"user", "it may do anything", "Give it a user of its own."}, {"nice", "it may not be nice", "Set it."}}
}

func (c *appConfig) ReadyByChecks() bool { return c.Ready == "check" }

type limitConfig struct {
	Name string `hcl:"name" doc:"Which one."`
	Soft int    `hcl:"soft,optional" doc:"How many."`
}

type logConfig struct {
	Files int `hcl:"files" default:"5" doc:"How many are kept."`
}

type taskConfig struct {
	Command []string          `hcl:"command" doc:"What." export:"true"`
	Env     map[string]string `hcl:"env,optional" secret:"true" doc:"Its environment."`
}

type httpConfig struct {
	URL      string   `hcl:"url" doc:"What is asked for."`
	Password string   `hcl:"password,optional" secret:"true" reload:"live" doc:"Who asks."`
	Tokens   []string `hcl:"tokens,optional" secret:"true" doc:"More of them."`
}

func (c *httpConfig) Validate() (out []Problem) {
	for _, token := range c.Tokens {
		if strings.Contains(token, ",") {
			out = append(out, Problem{"tokens", fmt.Sprintf("%q is no token", token), fmt.Sprintf("%s holds a comma, %.5s.", token, token)})
		}
	}
	return out
}

type tcpConfig struct {
	Address string `hcl:"address" doc:"Where."`
}

type fakeKinds struct{ resources, checks map[string]*Schema }

func (k fakeKinds) Resource(kind string) *Schema { return k.resources[kind] }
func (k fakeKinds) Check(kind string) *Schema    { return k.checks[kind] }
func (k fakeKinds) ResourceKinds() []string      { return sortedKeys(k.resources) }
func (k fakeKinds) CheckKinds() []string         { return sortedKeys(k.checks) }

func sortedKeys(m map[string]*Schema) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func task(s *Schema) *Schema {
	s.Task = true
	return s
}

var testKinds = fakeKinds{
	resources: map[string]*Schema{
		"mount": SchemaOf("mount", "A file system.", reflect.TypeFor[mountConfig]()),
		"ip":    SchemaOf("ip", "An address.", reflect.TypeFor[ipConfig]()),
		"app":   SchemaOf("app", "A process.", reflect.TypeFor[appConfig]()),
		"task":  task(SchemaOf("task", "A scheduled command.", reflect.TypeFor[taskConfig]())),
	},
	checks: map[string]*Schema{
		"http": SchemaOf("http", "Asks for a page.", reflect.TypeFor[httpConfig]()),
		"tcp":  SchemaOf("tcp", "Connects.", reflect.TypeFor[tcpConfig]()),
	},
}

var testOptions = Options{Kinds: testKinds, Node: Node{Name: "n1", Labels: map[string]string{"site": "paris"}, Cluster: "prod"}}

// set makes a file system of pairs of path and content.
func set(files ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		m[files[i]] = &fstest.MapFile{Data: []byte(files[i+1]), Mode: 0o644, ModTime: time.Unix(1e9, 0)}
	}
	return m
}

// write changes a file the way a file system would.
func write(m fstest.MapFS, path, content string) {
	at := time.Unix(1e9, 0)
	if old := m[path]; old != nil {
		at = old.ModTime.Add(time.Second)
	}
	m[path] = &fstest.MapFile{Data: []byte(content), Mode: 0o644, ModTime: at}
}

func printed(f Findings) string {
	var b strings.Builder
	f.WriteText(&b, false)
	return b.String()
}

// mustLoad loads a set that has no mistakes.
func mustLoad(t testing.TB, l *Loader, m fstest.MapFS) *Spec {
	t.Helper()
	s, findings := l.Load(m)
	if s == nil {
		t.Fatalf("the set was refused:\n%s", printed(findings))
	}
	return s
}

func resourceAt(t testing.TB, s *Spec, a Address) *Resource {
	t.Helper()
	if svc := s.Services[a.Service()]; svc != nil {
		for _, r := range slices.Concat(svc.Resources, svc.Tasks) {
			if r.Address == a {
				return r
			}
		}
	}
	t.Fatalf("no resource %s", a)
	return nil
}
