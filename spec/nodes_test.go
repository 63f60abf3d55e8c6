package spec

import (
	"fmt"
	"slices"
	"testing"
)

// threeNodes are a cluster's; the last has no rack.
var threeNodes = []Node{
	{Name: "n3", Labels: map[string]string{"site": "lyon"}, Cluster: "prod"},
	{Name: "n1", Labels: map[string]string{"site": "paris", "rack": "1"}, Cluster: "prod"},
	{Name: "n2", Labels: map[string]string{"site": "paris", "rack": "2"}, Cluster: "prod"},
}

// foundOn lists findings as "line code [nodes]".
func foundOn(findings Findings) (out []string) {
	for _, f := range findings {
		out = append(out, fmt.Sprintf("%d %s %v", f.Range.Start.Line, f.Code, f.Nodes))
	}
	return out
}

func loadOn(t *testing.T, nodes []Node, src string, notes ...bool) (*Spec, Findings) {
	t.Helper()
	return NewLoader(Options{Kinds: testKinds, Nodes: nodes, Notes: len(notes) > 0}).Load(set("a.hcl", src))
}

func TestAnExpressionIsEvaluatedForEachCandidateAndItsMistakeIsOne(t *testing.T) {
	for _, c := range []struct {
		name, nodes, device string
		want                []string
	}{
		{"all have one", "", `{ n1 = "/dev/a", n2 = "/dev/b", n3 = "/dev/c" }[node.name]`, nil},
		{"two have none", "", `{ n1 = "/dev/a" }[node.name]`, []string{"3 SV0301 [n2 n3]"}},
		{"who is no candidate needs none", `nodes = ["n2", "n1"]`, `{ n1 = "/dev/a", n2 = "/dev/b" }[node.name]`, nil},
		{"a label that one lacks", "", `"/dev/${node.labels.rack}"`, []string{"3 SV0301 [n3]"}},
		{"a default for it", "", `"/dev/${lookup(node.labels, "rack", "0")}"`, nil},
		{"what is wrong on every node", "", `["/dev/${node.name}"]`, []string{"3 SV0302 []"}},
		{"what only a known value shows", "", `node.name == "n2" ? null : "/dev/a"`, []string{"3 SV0105 [n2]"}},
		{"the cluster does not differ", "", `{ prod = "/dev/a" }[cluster.name]`, nil},
		{"the cluster has another name", "", `{ test = "/dev/a" }[cluster.name]`, []string{"3 SV0301 []"}},
	} {
		src := fmt.Sprintf("service \"s\" {\n  mount \"m\" {\n    device = %s\n    path = \"/srv\"\n  }\n  %s\n}\n", c.device, c.nodes)
		s, findings := loadOn(t, threeNodes, src)
		if got := foundOn(findings); !slices.Equal(got, c.want) || (s == nil) != (len(c.want) > 0) {
			t.Errorf("%s: found %q, want %q\n%s", c.name, got, c.want, printed(findings))
		}
	}
}

func TestWhatIsNotThereForANodeIsSaidWithWhatThereIs(t *testing.T) {
	for value, want := range map[string]string{
		`{ n1 = "/dev/a", n2 = "/dev/b" }[node.name]`: `no element for the node. The key is "n3" there, and there is: n1, n2. Add "n3" = …, or take lookup(…) with a default.`,
		`{ abc = "/dev/a" }["abd"]`:                   `no element "abd". Did you mean "abc"?`,
		`"/dev/${node.labels.rack}"`:                  `the node has no label "rack". Add it to the labels in agent.hcl, or read lookup(node.labels, "rack", "…").`,
		`"/dev/${node.labels["sites"]}"`:              `the node has no label "sites". Did you mean "node.labels.site"?`,
	} {
		_, findings := loadOn(t, threeNodes[:1], "service \"s\" {\n  mount \"m\" {\n    device = "+value+"\n    path = \"/srv\"\n  }\n}\n")
		if len(findings) != 1 || findings[0].message() != want {
			t.Errorf("%s:\n%s", value, printed(findings))
		}
	}
}
