package agent

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/svcctl/svcctl/spec"
)

func TestASetWithAFalseAssertionIsRefusedAndSaysItsMessage(t *testing.T) {
	s := newSite(t)
	s.config = func(c *Config) { c.Node.Labels = map[string]string{"site": "lyon"} }
	assert := "assert {\n  condition = node.labels.site != SITE\n  message   = \"${node.name} in ${cluster.name} is in ${node.labels.site}\"\n}\n"
	s.write("web.hcl", strings.Replace(assert, "SITE", `"paris"`, 1)+things("web", "a"))
	s.boot()
	s.untilUp("web/thing.t0")
	s.write("web.hcl", strings.Replace(assert, "SITE", `"lyon"`, 1)+things("web", "b"))
	s.untilReload("assertion failed: n1 in default is in lyon")
	st := s.agent.Spec()
	if st.State != SpecInvalid || len(st.Findings) != 1 || st.Findings[0].Code != "SV0310" || st.Findings[0].Detail != "n1 in default is in lyon" {
		t.Errorf("status: %+v", st)
	}
	if got := s.calls("web/thing.t0"); got != "start" {
		t.Errorf("calls: %s", got)
	}
}

func TestNodesAreReadOutOfTheirAgentsConfigurations(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"b/agent.hcl":      "node {\n  name = \"n2\"\n  labels = { site = \"paris\", row = 3 }\n}\ncluster {\n  name = \"prod\"\n}\nstate {\n  dir = env(\"SVCCTL_TEST_NONE\")\n}\n",
		"a/whatever.hcl":   "node {\n  name = \"n1\"\n}\n",
		"a/services.hcl":   "service \"a\" {}\n",
		"a/half.hcl":       "service \"a\" {\n",
		"a/cluster.hcl":    "policy {}\n",
		".git/agent.hcl":   "node {\n  name = \"n9\"\n}\n",
		"a/.agent.hcl":     "node {\n  name = \"n8\"\n}\n",
		"a/agent.hcl.orig": "node {\n  name = \"n7\"\n}\n",
	} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		put(t, filepath.Join(dir, name), content)
	}
	must(t, os.Symlink("nowhere", filepath.Join(dir, "agent.hcl")))
	must(t, os.Symlink("..", filepath.Join(dir, "a", "loop")))
	got, err := DeclaredNodes(dir)
	must(t, err)
	want := []DeclaredNode{
		{spec.Node{Name: "n1", Labels: map[string]string{}, Cluster: "default"}, filepath.Join(dir, "a", "whatever.hcl")},
		{spec.Node{Name: "n2", Labels: map[string]string{"site": "paris", "row": "3"}, Cluster: "prod"}, filepath.Join(dir, "b", "agent.hcl")},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("read\n%+v, not\n%+v", got, want)
	}
}

func TestANodeThatIsMistakenIsNotLeftOut(t *testing.T) {
	for content, want := range map[string]string{
		"node {\n  labels = {}\n}\n":                              "agent.hcl names no node",
		"metrics {\n  listen = \"127.0.0.1:1\"\n}\n":              "agent.hcl names no node",
		"node {\n  name = env(\"SVCCTL_TEST_NONE\")\n}\n":         "the environment has no",
		"node {\n  name = \"n 1\"\n}\n":                           "is not a name",
		"node {\n  name = \"n1\"\n":                               "agent.hcl:",
		"state {\n  dir = \"/x\"\n}\nnode {\n  nam = \"n1\"\n}\n": `did you mean "name"?`,
	} {
		dir := t.TempDir()
		put(t, filepath.Join(dir, "agent.hcl"), content)
		if got, err := DeclaredNodes(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v", content, got, err)
		}
	}
}
