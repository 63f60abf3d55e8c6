package spec

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

const (
	maxNodes  = 1000 // that expressions are evaluated for
	maxListed = 20   // in a text that says what there is
)

// forNodes are a loader's options with its nodes in order. Where all are of one
// cluster, its name does not differ from node to node.
func (o Options) forNodes() Options {
	if len(o.Nodes) == 0 {
		return o
	}
	o.Nodes = slices.SortedFunc(slices.Values(o.Nodes), func(a, b Node) int { return cmp.Compare(a.Name, b.Name) })
	o.Node = Node{Cluster: o.Nodes[0].Cluster}
	if slices.ContainsFunc(o.Nodes, func(n Node) bool { return n.Cluster != o.Node.Cluster }) {
		o.Node.Cluster = ""
	}
	return o
}

// value is what expressions see of a node.
func (n Node) value() cty.Value {
	name, labels := cty.UnknownVal(cty.String), cty.UnknownVal(cty.Map(cty.String))
	if n.Name != "" {
		name = cty.StringVal(n.Name)
	}
	switch {
	case n.Name == "" || n.Labels == nil:
	case len(n.Labels) == 0:
		labels = cty.MapValEmpty(cty.String)
	default:
		m := make(map[string]cty.Value, len(n.Labels))
		for k, v := range n.Labels {
			m[k] = cty.StringVal(v)
		}
		labels = cty.MapVal(m)
	}
	return cty.ObjectVal(map[string]cty.Value{"name": name, "labels": labels})
}

// nodeValues are what expressions see of a node and its cluster.
type nodeValues struct{ node, cluster cty.Value }

func (n Node) values() nodeValues {
	cluster := cty.UnknownVal(cty.String)
	if n.Cluster != "" {
		cluster = cty.StringVal(n.Cluster)
	}
	return nodeValues{n.value(), cty.ObjectVal(map[string]cty.Value{"name": cluster})}
}

// someNode is what expressions see of a node that is not known.
var someNode = Node{}.value()

// on is the evaluation of the same file for one node.
func (x *evaluation) on(n Node) *evaluation {
	return &evaluation{run: x.run, file: x.file, node: n, sees: n.values(), vars: x.vars, read: x.read}
}

// differs says whether what a block reads may differ between the nodes that are known.
func (x *evaluation) differs(body *hclsyntax.Body) bool {
	if len(x.run.options.Nodes) == 0 {
		return false
	}
	for _, r := range x.readings(body) {
		for _, t := range r.names {
			if root := t.RootName(); root == "node" || root == "cluster" && x.node.Cluster == "" {
				return true
			}
		}
	}
	return false
}

// onNodes does something for each of some nodes, and keeps what is found there.
func (x *evaluation) onNodes(nodes []Node, do func(*evaluation)) {
	for _, n := range nodes {
		y := x.on(n)
		do(y)
		for _, f := range y.findings {
			f.Nodes = []string{n.Name}
			x.onEach.add(f)
		}
	}
}

// settleNodes adds what was found for single nodes to what was found for all. A mistake
// may have another text once the node is known: it is one, at its place.
func (x *evaluation) settleNodes() {
	if len(x.onEach.list) == 0 {
		return
	}
	var all distinct
	mistaken := map[hcl.Range]bool{}
	for _, f := range x.findings {
		mistaken[f.Range] = mistaken[f.Range] || f.Severity == Error
		all.add(f)
	}
	for _, f := range x.onEach.list {
		if !mistaken[f.Range] {
			f.Nodes = slices.Clip(f.Nodes) // kept between loads: nothing may grow into it
			all.add(f)
		}
	}
	x.findings, x.onEach = all.list, distinct{}
}

// maxDistinct bounds the findings that differ from node to node in one file.
const maxDistinct = 10_000

// distinct are findings of which no two say the same. One that was found for several
// nodes names them; one that has nothing to do with the node stands for all.
type distinct struct {
	list  []Finding
	index map[saying]int
}

// saying is what a finding says, and where.
type saying struct {
	file, code, summary string
	at                  hcl.Range
}

func (d *distinct) add(f Finding) {
	if d.index == nil {
		d.index = map[saying]int{}
	}
	what := saying{f.File, f.Code, f.Summary, f.Range}
	i, known := d.index[what]
	switch {
	case known:
		d.list[i].Nodes = bothNodes(d.list[i].Nodes, f.Nodes)
	case f.Nodes == nil || len(d.list) < maxDistinct:
		d.index[what] = len(d.list)
		d.list = append(d.list, f)
	}
}

// bothNodes are the nodes of two findings. It may use a's array.
func bothNodes(a, b []string) []string {
	if a == nil || b == nil {
		return nil
	}
	if len(b) == 1 && a[len(a)-1] < b[0] { // the next node, as they are evaluated in order
		return append(a, b[0])
	}
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// candidates are the known nodes that may run a service, in order.
func (x *evaluation) candidates(s *Service) []Node {
	known := x.run.options.Nodes
	if s.Nodes == nil {
		return known
	}
	var out []Node
	for _, name := range slices.Sorted(slices.Values(s.Nodes)) {
		if i, there := findNode(known, name); there {
			out = append(out, known[i])
		}
	}
	return out
}

func findNode(known []Node, name string) (int, bool) {
	return slices.BinarySearchFunc(known, name, func(n Node, name string) int { return strings.Compare(n.Name, name) })
}

// checkCandidates reports nodes that a service names and that are not there.
func (x *evaluation) checkCandidates(b *hclsyntax.Block, s *Service) {
	known := x.run.options.Nodes
	attr := b.Body.Attributes["nodes"]
	if len(known) == 0 || attr == nil {
		return
	}
	var names []string
	for i, n := range s.Nodes {
		if _, there := findNode(known, n); there || !validName(n, true) || slices.Index(s.Nodes, n) < i {
			continue
		}
		if names == nil {
			for _, k := range known {
				names = append(names, k.Name)
			}
		}
		var detail string
		near := Nearest(n, names)
		switch {
		case len(names) <= maxListed && near != "":
			detail = fmt.Sprintf("Did you mean %q? There is: %s.", near, strings.Join(names, ", "))
		case len(names) <= maxListed || near != "":
			detail = didYouMean(n, names)
		default:
			detail = fmt.Sprintf("None of the %d nodes has a name like it.", len(names))
		}
		x.report(codeNoSuchNode, at(attr.Expr, &mistake{element: i}), detail, n)
	}
}

// absent explains an element or label that is not there. Of what differs from node to
// node the mistake is one, whatever the nodes are called.
func absent(d *hcl.Diagnostic) (summary, detail string, is bool) {
	if d.EvalContext == nil {
		return "", "", false
	}
	switch e := d.Expression.(type) {
	case *hclsyntax.IndexExpr:
		of, _ := e.Collection.Value(d.EvalContext)
		k, _ := e.Key.Value(d.EvalContext)
		if !keyed(of) || !k.IsKnown() || k.IsNull() || k.Type() != cty.String || hasKey(of, k.AsString()) || holdsMark(k.AsString()) {
			return "", "", false
		}
		if slices.ContainsFunc(e.Key.Variables(), func(t hcl.Traversal) bool { return t.RootName() == "node" }) {
			return "no element for the node", absentForNode(k.AsString(), keysOf(of)), true
		}
		return fmt.Sprintf("no element %q", k.AsString()), didYouMean(k.AsString(), keysOf(of)), true
	case *hclsyntax.RelativeTraversalExpr:
		of, _ := e.Source.Value(d.EvalContext)
		return absentStep(of, e.Traversal)
	case *hclsyntax.ScopeTraversalExpr:
		t := e.Traversal
		if t.RootName() != "node" || second(t) != "labels" || len(t) < 3 {
			of, _ := t[:1].TraverseAbs(d.EvalContext)
			return absentStep(of, t[1:])
		}
		of, _ := t[:2].TraverseAbs(d.EvalContext)
		label := stepName(t, 2)
		if label == "" || !keyed(of) || hasKey(of, label) {
			return "", "", false
		}
		detail = fmt.Sprintf("Add it to the labels in agent.hcl, or read lookup(node.labels, %q, \"…\").", label)
		if n := Nearest(label, keysOf(of)); n != "" {
			detail = fmt.Sprintf("Did you mean %q?", "node.labels."+n)
		}
		return fmt.Sprintf("the node has no label %q", label), detail, true
	default:
		return "", "", false
	}
}

func absentForNode(key string, have []string) string {
	there := ""
	if len(have) > 0 && len(have) <= maxListed {
		there = ", and there is: " + strings.Join(have, ", ")
	}
	return fmt.Sprintf("The key is %q there%s. Add %q = …, or take lookup(…) with a default.", key, there, key)
}

// absentStep finds the first step of a traversal that leads to nothing.
func absentStep(of cty.Value, t hcl.Traversal) (summary, detail string, is bool) {
	for i := range t {
		name := stepName(t, i)
		if name == "" || !keyed(of) || holdsMark(name) {
			return "", "", false
		}
		if !hasKey(of, name) {
			return fmt.Sprintf("no element %q", name), didYouMean(name, keysOf(of)), true
		}
		of = of.AsValueMap()[name]
	}
	return "", "", false
}

func keyed(v cty.Value) bool {
	return !v.IsMarked() && v.IsKnown() && !v.IsNull() && (v.Type().IsObjectType() || v.Type().IsMapType())
}

func keysOf(v cty.Value) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(v.AsValueMap())), holdsMark)
}

func hasKey(v cty.Value, key string) bool { _, has := v.AsValueMap()[key]; return has }
