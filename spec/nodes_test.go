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
		{"wrong on all, and on one in another way", "", `node.name == "n2" ? null : ["/dev/a"]`, []string{"3 SV0302 []"}},
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

func TestWhatIsNotKnownOfANodeIsNoMistake(t *testing.T) {
	clusters := []Node{{Name: "n1", Cluster: "prod"}, {Name: "n2", Cluster: "test"}}
	for _, c := range []struct {
		name    string
		options Options
		nodes   string
		device  string
		want    []string
	}{
		{"the cluster of a node", Options{Node: Node{Name: "n1"}}, "", `{ prod = "/dev/a" }[cluster.name]`, nil},
		{"the labels of a node", Options{Node: Node{Name: "n1"}}, "", `{ paris = "/dev/a" }[node.labels.site]`, nil},
		{"that it has none", Options{Node: Node{Name: "n1", Labels: map[string]string{}}}, "", `{ paris = "/dev/a" }[node.labels.site]`, []string{"3 SV0301 []"}},
		{"the labels of one of two", Options{Nodes: []Node{{Name: "n1"}, threeNodes[0]}}, "", `{ paris = "/dev/a" }[node.labels.site]`, []string{"3 SV0301 [n3]"}},
		{"two clusters", Options{Nodes: clusters}, "", `{ prod = "/dev/a" }[cluster.name]`, []string{"3 SV0301 [n2]"}},
		{"candidates that are mistaken, for one", Options{Node: threeNodes[0]}, "nodes = local.gone", `{ n1 = "/dev/a" }[node.name]`, []string{"6 SV0207 []"}},
		{"candidates that are mistaken, for all", Options{Nodes: threeNodes}, "nodes = local.gone", `{ n1 = "/dev/a" }[node.name]`, []string{"6 SV0207 []"}},
		{"candidates that are not known", Options{Nodes: clusters}, `nodes = { prod = ["n1"], test = ["n2"] }[cluster.name]`, `{ n1 = "/dev/a" }[node.name]`, nil},
	} {
		c.options.Kinds = testKinds
		_, findings := NewLoader(c.options).Load(set("a.hcl", fmt.Sprintf("service \"s\" {\n  mount \"m\" {\n    device = %s\n    path = \"/srv\"\n  }\n  %s\n}\n", c.device, c.nodes)))
		if got := foundOn(findings); !slices.Equal(got, c.want) {
			t.Errorf("%s: found %q, want %q\n%s", c.name, got, c.want, printed(findings))
		}
	}
}

func TestFindingsThatSayTheSameAreOneAndTheirNumberIsBounded(t *testing.T) {
	about := func(text string, nodes ...string) Finding {
		return Finding{Code: codeAssert, Summary: text, Nodes: nodes}
	}
	var d distinct
	for _, f := range []Finding{about("a", "n2"), about("b", "n3"), about("a", "n1"), about("c"), about("b", "n4"), about("a", "n2"), about("c", "n1"), about("d", "n1"), about("d")} {
		d.add(f)
	}
	if got := foundOn(d.list); !slices.Equal(got, []string{"0 SV0310 [n1 n2]", "0 SV0310 [n3 n4]", "0 SV0310 []", "0 SV0310 []"}) {
		t.Errorf("%q", got)
	}
	for i := range maxDistinct + 10 {
		d.add(about(fmt.Sprint(i), "n1"))
	}
	d.add(about("b", "n5"))
	d.add(about("of every node"))
	if len(d.list) != maxDistinct+1 || len(d.list[1].Nodes) != 3 {
		t.Errorf("%d findings; the second %v", len(d.list), d.list[1])
	}
}

func TestWhatIsNotThereForANodeIsSaidWithWhatThereIs(t *testing.T) {
	for value, want := range map[string]string{
		`{ n1 = "/dev/a", n2 = "/dev/b" }[node.name]`: `no element for the node, on n3. The key is "n3" there, and there is: n1, n2. Add "n3" = …, or take lookup(…) with a default.`,
		`{ abc = "/dev/a" }["abd"]`:                   `no element "abd". Did you mean "abc"?`,
		`"/dev/${node.labels.rack}"`:                  `the node has no label "rack", on n3. Add it to the labels in agent.hcl, or read lookup(node.labels, "rack", "…").`,
		`"/dev/${node.labels["sites"]}"`:              `the node has no label "sites", on n3. Did you mean "node.labels.site"?`,
	} {
		_, findings := loadOn(t, threeNodes[:1], "service \"s\" {\n  mount \"m\" {\n    device = "+value+"\n    path = \"/srv\"\n  }\n}\n")
		if len(findings) != 1 || findings[0].message() != want {
			t.Errorf("%s:\n%s", value, printed(findings))
		}
	}
}

func TestAnAssertionIsJudgedForEveryNode(t *testing.T) {
	for _, c := range []struct {
		name, condition, message string
		want                     []string
	}{
		{"true everywhere", `node.labels.site != ""`, `"a"`, nil},
		{"false on two", `node.labels.site == "lyon"`, `"a"`, []string{"2 SV0310 [n1 n2]"}},
		{"false for all", `1 > 2`, `"a"`, []string{"2 SV0310 []"}},
		{"false for all, which reads the node", `node.name == ""`, `"a"`, []string{"2 SV0310 [n1 n2 n3]"}},
		{"false for all, and told differently", `1 > 2`, `"not on ${node.name}"`, []string{"2 SV0310 [n1 n2 n3]"}},
		{"the cluster", `cluster.name == "test"`, `"a"`, []string{"2 SV0310 []"}},
		{"no truth", `"true"`, `"a"`, []string{"2 SV0302 []"}},
		{"no truth on one", `node.name == "n2" ? "yes" : true`, `"a"`, []string{"2 SV0302 []"}},
		{"null", `null`, `"a"`, []string{"2 SV0302 []"}},
		{"null on one", `node.name == "n2" ? null : true`, `"a"`, []string{"2 SV0302 [n2]"}},
		{"a message that is no text", `false`, `["a"]`, []string{"3 SV0302 []"}},
		{"a message that is null", `false`, `null`, []string{"3 SV0302 []"}},
		{"a label that one lacks", `node.labels.rack != "3"`, `"a"`, []string{"2 SV0301 [n3]"}},
		{"a resource", `mount.m.path == "/srv"`, `"a"`, []string{"2 SV0218 []"}},
		{"what nobody defines", `local.a`, `"a"`, []string{"2 SV0207 []"}},
	} {
		src := fmt.Sprintf("assert {\n  condition = %s\n  message = %s\n}\nservice \"s\" {}\n", c.condition, c.message)
		_, findings := loadOn(t, threeNodes, src)
		if got := foundOn(findings); !slices.Equal(got, c.want) {
			t.Errorf("%s: found %q, want %q\n%s", c.name, got, c.want, printed(findings))
		}
	}
}

func TestAnAssertionIsNotJudgedWithoutWhatItReads(t *testing.T) {
	src := "assert {\n  condition = node.labels.site == \"paris\"\n  message = \"${node.name} is in ${node.labels.site}\"\n}\nservice \"s\" {}\n"
	load := func(n Node) Findings {
		_, findings := NewLoader(Options{Kinds: testKinds, Node: n}).Load(set("a.hcl", src))
		return findings
	}
	for _, n := range []Node{{}, {Name: "n1"}, {Name: "n1", Labels: map[string]string{"site": "paris"}}} {
		if found := load(n); len(found) > 0 {
			t.Errorf("%+v: %s", n, printed(found))
		}
	}
	found := load(threeNodes[0])
	if len(found) != 1 || found[0].Code != codeAssert || found[0].Detail != "n3 is in lyon" || found[0].Nodes != nil {
		t.Errorf("%s", printed(found))
	}
	_, found = NewLoader(Options{Kinds: testKinds}).Load(set("a.hcl", "assert {\n  condition = false\n  message = node.name\n}\nservice \"s\" {}\n"))
	if len(found) != 1 || found[0].Code != codeAssert || found[0].Detail == "" {
		t.Errorf("false whatever the node is: %s", printed(found))
	}
}

func TestACandidateThatIsNotThereIsPointedAt(t *testing.T) {
	for _, c := range []struct {
		name, nodes string
		known       []Node
		want        []string
	}{
		{"all are there", `["n1", "n3"]`, threeNodes, nil},
		{"one is not", `["n1", "n4"]`, threeNodes, []string{`3:19 there is no node "n4". Did you mean "n1"? There is: n1, n2, n3.`}},
		{"nothing like it", `["n1", "database-east"]`, threeNodes, []string{`3:19 there is no node "database-east". There is: n1, n2, n3.`}},
		{"twice", `["n4", "n4"]`, threeNodes, []string{`3:13 there is no node "n4". Did you mean "n1"? There is: n1, n2, n3.`, `3:19 node "n4" is named twice. Remove one of them.`}},
		{"from a value", `local.all`, threeNodes, []string{`3:12 there is no node "m9". There is: n1, n2, n3.`}},
		{"nobody knows the nodes", `["n1", "n4"]`, nil, nil},
		{"no names", `["n 4"]`, threeNodes, []string{`3:13 "n 4" is no name of a node. Letters, digits, -, _ and dots, at most 63.`}},
	} {
		src := "locals { all = [\"n1\", \"m9\"] }\nservice \"s\" {\n  nodes  = " + c.nodes + "\n  mount \"m\" {\n    device = { n1 = \"/dev/a\", m9 = \"\" }[local.all[0]]\n    path = \"/srv\"\n  }\n}\n"
		_, findings := loadOn(t, c.known, src)
		var got []string
		for _, f := range findings {
			got = append(got, fmt.Sprintf("%d:%d %s", f.Range.Start.Line, f.Range.Start.Column, f.message()))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestASetIsReadForABoundedNumberOfNodes(t *testing.T) {
	var many []Node
	for i := range maxNodes + 1 {
		many = append(many, Node{Name: fmt.Sprintf("n%04d", i)})
	}
	src := "service \"s\" {\n  mount \"m\" {\n    device = { n0001 = \"/dev/a\" }[node.name]\n    path = \"/srv\"\n  }\n}\n"
	if s, findings := loadOn(t, many, src); s != nil || len(findings) != 1 || findings[0].Code != codeTooMany {
		t.Errorf("more nodes than are allowed: %s", printed(findings))
	}
	if _, findings := loadOn(t, many[1:], src); len(findings) != 1 || len(findings[0].Nodes) != maxNodes-1 {
		t.Errorf("found %d", len(findings))
	}
}

func TestAValueCannotReadTheClusterOrANode(t *testing.T) {
	_, findings := loadOn(t, threeNodes, "locals {\n  a = cluster.name\n  b = node.name\n}\nservice \"s\" {\n  description = \"${local.a} ${cluster.name}\"\n}\n")
	if got := foundOn(findings); !slices.Equal(got, []string{"2 SV0218 []", "3 SV0218 []"}) {
		t.Errorf("%s", printed(findings))
	}
}

// What is kept of a file between loads holds for the nodes too.
func TestALoaderForNodesSaysTheSameAfterAChange(t *testing.T) {
	l := NewLoader(Options{Kinds: testKinds, Nodes: threeNodes})
	bad := "service \"s\" {\n  mount \"m\" {\n    device = { n1 = \"/dev/a\" }[node.name]\n    path = local.path\n  }\n}\n"
	m := set("a.hcl", bad, "b.hcl", "locals {\n  path = \"/srv\"\n}\n", "c.hcl", "service \"t\" {\n  app \"x\" {\n    command = [\"/bin/true\", node.name]\n  }\n}\n")
	_, first := l.Load(m)
	if got := foundOn(first); !slices.Equal(got, []string{"3 SV0301 [n2 n3]"}) {
		t.Fatalf("%s", printed(first))
	}
	write(m, "b.hcl", "locals {\n  path = \"/other\"\n}\n")
	_, again := l.Load(m)
	if got := foundOn(again); !slices.Equal(got, []string{"3 SV0301 [n2 n3]"}) {
		t.Errorf("after a value changed: %s", printed(again))
	}
	write(m, "a.hcl", "service \"s\" {\n  mount \"m\" {\n    device = \"/dev/${node.name}\"\n    path = local.path\n  }\n}\n")
	s, mended := l.Load(m)
	if s == nil {
		t.Fatalf("%s", printed(mended))
	}
	if after, _ := l.Load(m); after.Services["s"] != s.Services["s"] || after.Services["t"] != s.Services["t"] {
		t.Error("services are new, and nothing changed")
	}
}
