package agent

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestAConfigurationIsReadWhole(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("SVCCTL_TEST_SITE", "paris")
	path := filepath.Join(dir, "agent.hcl")
	put(t, path, `
node {
  name    = "n1"
  address = "[fd00::1]:1215"
  labels  = { site = env("SVCCTL_TEST_SITE"), rack = env("SVCCTL_TEST_NONE", "r1"), row = 3 }
}
services {
  dir    = "services"
  prune  = true
  mirror = false
}
state {
  dir = "./state/../state"
  run = "/run/other"
}
secrets {
  dir = "secrets"
}
cluster {
  name    = "prod"
  profile = "fast"
}
metrics {
  listen = "127.0.0.1:9120"
}
logs {
  level  = "debug"
  format = "json"
}
`)
	c, err := LoadConfig(path)
	must(t, err)
	want := Config{
		Path:     path,
		Node:     NodeConfig{Name: "n1", Address: "[fd00::1]:1215", Labels: map[string]string{"site": "paris", "rack": "r1", "row": "3"}},
		Services: ServicesConfig{Dir: filepath.Join(dir, "services"), Prune: true},
		State:    StateConfig{Dir: filepath.Join(dir, "state"), Run: "/run/other"},
		Secrets:  SecretsConfig{Dir: filepath.Join(dir, "secrets")},
		Cluster:  ClusterConfig{Declared: true, Name: "prod", Profile: "fast"},
		Metrics:  MetricsConfig{Listen: "127.0.0.1:9120"},
		Logs:     LogsConfig{Level: "debug", Format: "json"},
	}
	if !reflect.DeepEqual(c, want) {
		t.Fatalf("read\n%+v, not\n%+v", c, want)
	}
}

func TestAnEmptyConfigurationMeansTheDefaults(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.hcl")
	put(t, path, "")
	c, err := LoadConfig(path)
	must(t, err)
	want := DefaultConfig()
	want.Path = path
	if !reflect.DeepEqual(c, want) {
		t.Fatalf("read\n%+v, not\n%+v", c, want)
	}
	host, _ := os.Hostname()
	if c.Node.Name != host || c.Services.Dir != "/etc/svcctl/services" || !c.Services.Mirror || c.Services.Prune || c.State.Dir != "/var/lib/svcctl" || c.State.Run != "/run/svcctl" {
		t.Fatalf("defaults: %+v", c)
	}
}

func TestEveryMistakeInAConfigurationIsToldWithItsPlace(t *testing.T) {
	for _, c := range []struct {
		name, src string
		want      []string // one of each line of the error
	}{
		{"a near miss of an argument", "node {\n  nam = \"n1\"\n}", []string{`:2,3-6: Unknown argument; The block "node" has no argument "nam"`, `did you mean "name"?`}},
		{"a near miss of a block", "servces {\n}", []string{`:1,1-8: Unknown block`, `did you mean "services"?`}},
		{"two mistakes", "node {\n  name = 7\n}\nlogs {\n  level = \"debgu\"\n}", []string{`:2,10-11: Wrong value; node.name: a string is needed, not number`, `:5,11-18: Wrong value; logs.level: "debgu" is not one of`, `did you mean "debug"?`}},
		{"a name with a slash", "node {\n  name = \"a/b\"\n}", []string{`"a/b" is not a name`}},
		{"an address without a port", "metrics {\n  listen = \"localhost\"\n}", []string{`"localhost" is not an address with a port`}},
		{"a port out of range", "metrics {\n  listen = \":70000\"\n}", []string{`no port between 1 and 65535`}},
		{"a block twice", "node {\n}\nnode {\n}", []string{`:3,1-5: Block written twice`, `line 1`}},
		{"a label", "node \"x\" {\n}", []string{`:1,6-9: Label not expected`}},
		{"an argument as a block", "node {\n  labels {\n  }\n}", []string{`labels = …`}},
		{"a block as an argument", "node = {}", []string{`node { … }`}},
		{"an environment that lacks it", "node {\n  name = env(\"SVCCTL_TEST_NONE\")\n}", []string{`:2,`, `the environment has no "SVCCTL_TEST_NONE"`}},
		{"a function of services", "node {\n  name = file(\"x\")\n}", []string{`:2,`, `file`}},
		{"not a boolean", "services {\n  prune = \"perhaps\"\n}", []string{`true or false is needed`}},
		{"an empty path", "state {\n  dir = \"\"\n}", []string{`a path is needed`}},
		{"labels that are a list", "node {\n  labels = [\"a\"]\n}", []string{`a map of strings is needed`}},
		{"not HCL", "node {", []string{`:1,`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "agent.hcl")
			put(t, path, c.src)
			_, err := LoadConfig(path)
			var mistakes *ConfigError
			if !errors.As(err, &mistakes) {
				t.Fatalf("%v is no ConfigError", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s\ndoes not say\n%s", err, want)
				}
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%s does not name its file", err)
			}
		})
	}
}

func TestAMissingConfigurationIsAnError(t *testing.T) {
	_, err := LoadConfig(filepath.Join(t.TempDir(), "agent.hcl"))
	if err == nil || !strings.Contains(err.Error(), "--config") {
		t.Fatal(err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("node {\n  name = env(\"A\", \"b\")\n}\n")
	f.Add("services {\n  dir = null\n  prune = [for x in [1]: x]\n}\n")
	f.Fuzz(func(t *testing.T, src string) {
		c, err := parseConfig("agent.hcl", "/etc", []byte(src))
		if err == nil && (!filepath.IsAbs(c.State.Dir) || !nodeName.MatchString(c.Node.Name)) {
			t.Fatalf("accepted: %+v", c)
		}
	})
}

func TestAConfigurationThatTheParserCannotBearIsRefusedBeforeIt(t *testing.T) {
	lines := "node {\n  name = <<EOT\n" + strings.Repeat("a\n", 200_000) + "EOT\n}\n"
	for want, src := range map[string]string{
		"The text is too large":    lines,
		"Nested too deeply":        "node {\n  name = " + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + "\n}\n",
		"The number is too large":  "node {\n  name = " + strings.Repeat("1", 500_000) + "\n}\n",
		"is larger than 1 MiB: is": strings.Repeat("# a\n", maxConfigSize/4) + "#",
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "agent.hcl")
		put(t, path, src)
		if _, err := LoadConfig(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %.200v", want, err)
		}
		if strings.HasPrefix(want, "is larger") {
			continue
		}
		if _, err := DeclaredNodes(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("of a declared node, %s: %.200v", want, err)
		}
		must(t, os.Rename(path, filepath.Join(dir, "other.hcl"))) // what it is can't be told
		if n, err := DeclaredNodes(dir); err != nil || len(n) > 0 {
			t.Errorf("of another file, %s: %v, %.200v", want, n, err)
		}
	}
}
