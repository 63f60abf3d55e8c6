package spec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/svcctl/svcctl/internal/cron"
)

// mention is another service that a service names. Whether it exists is known only
// when the whole set is.
type mention struct {
	from, argument, to string // full names
	at                 hcl.Range
}

// serviceDraft is a service while it is evaluated.
type serviceDraft struct {
	name        string
	fullName    string
	ctx         *hcl.EvalContext // var, local, service, node and cluster
	resources   []*resourceDraft // in the order of the text
	byLocal     map[string]*resourceDraft
	brokenNames map[string]bool // "kind.name" that has a misspelt kind; a kind, where the name is not known
	broken      bool
	torn        *torn // nil: all of its text can be read
	occupants   []*occupant
	holders     []holder
}

func (s *serviceDraft) find(kind, name string) *resourceDraft { return s.byLocal[kind+"."+name] }

func (s *serviceDraft) misnamed(kind, name string) bool {
	return s.brokenNames[kind] || s.brokenNames[kind+"."+name] || s.torn.mayHold(name) || name == "" && s.torn.mayHold(kind)
}

func (s *serviceDraft) resourceHint(kind, name string) string {
	var all, same []string
	if len(s.resources) > maxWords {
		return "The service has no resource of this name."
	}
	for _, r := range s.resources {
		all = append(all, r.kind+"."+r.name)
		if r.kind == kind {
			same = append(same, r.name)
		}
	}
	if n := Nearest(name, same); n != "" {
		return fmt.Sprintf("Did you mean %q?", kind+"."+n)
	}
	if n := Nearest(kind+"."+name, all); n != "" {
		return fmt.Sprintf("Did you mean %q?", n)
	}
	return didYouMean(kind+"."+name, all)
}

// evaluate reads all top-level blocks of a file.
func (r *run) evaluate(f *file, body *hclsyntax.Body) {
	x := &evaluation{run: r, file: f, node: r.options.Node, sees: r.sees}
	defer func() {
		x.settleNodes()
		f.findings = append(f.findings, x.findings...)
	}()
	all := x.readings(body)
	f.reads, f.varies = x.readNames(all), varies(all)
	x.vars = x.context(f.reads, f)
	for _, rd := range f.reads {
		if rd.val == nil || !rd.val.ok {
			f.incomplete = true
		}
	}
	for _, a := range sortedAttributes(body) {
		x.report(codeTopArgument, a.NameRange, "Put it into a service, or into locals.", a.Name)
	}
	for _, b := range body.Blocks {
		x.topLevel(b)
	}
	x.reportSwallowed(body)
}

var topLevelBlocks = []string{"variable", "locals", "service", "assert"}
var clusterBlocks = []string{"fence", "policy", "reload"}

func (x *evaluation) topLevel(b *hclsyntax.Block) {
	if x.file.path == clusterFile && (b.Type == "service") {
		x.report(codeMisplaced, b.TypeRange, "Put services into files of their own.", b.Type)
		return
	}
	switch b.Type {
	case "variable":
		x.variable(b)
	case "locals":
		x.labels(b, 0, "no label")
		for _, inner := range b.Body.Blocks {
			x.report(codeBlock, inner.TypeRange, fmt.Sprintf("Write %s = { … }.", inner.Type), "locals", inner.Type)
		}
	case "service":
		x.service(b)
	case "assert":
		x.assert(b)
	case "fence", "policy", "reload":
		if x.file.path != clusterFile {
			x.report(codeClusterFile, b.TypeRange, "Move it to cluster.hcl in the root of the set.", b.Type)
			return
		}
		x.report(codeNoEffect, b.TypeRange, "A cluster of one fences nobody and keeps no policy.", b.Type, "in a cluster of one")
	default:
		if len(b.Labels) == 1 && meant(b.Type, topLevelBlocks) == "service" { // who names it makes no second mistake
			x.file.lost = append(x.file.lost, b.Labels[0])
		}
		known := topLevelBlocks
		if x.file.path == clusterFile {
			known = clusterBlocks
		}
		detail := didYouMean(b.Type, known)
		if Nearest(b.Type, known) == "" && x.run.options.Kinds.Resource(b.Type) != nil {
			detail = "A resource stands inside a service: service \"name\" { … }."
		} else if wrapped := x.wrapped(b); wrapped != "" {
			detail = wrapped
		}
		x.report(codeTopLevel, b.TypeRange, detail, b.Type)
	}
}

// labels checks how many labels a block has.
func (x *evaluation) labels(b *hclsyntax.Block, n int, what string) bool {
	if len(b.Labels) == n {
		return true
	}
	at := b.TypeRange
	if len(b.Labels) > n {
		at = b.LabelRanges[n]
	}
	example := b.Type + strings.Repeat(` "…"`, n) + " { … }"
	x.report(codeLabels, at, fmt.Sprintf("Write %s.", example), b.Type, what)
	return false
}

// named checks a block with one label that is a name.
func (x *evaluation) named(b *hclsyntax.Block, what string) bool {
	if !x.labels(b, 1, "one label, its name") {
		return false
	}
	if !validName(b.Labels[0], false) {
		x.report(codeName, b.LabelRanges[0], "Names are made of letters, digits, - and _, at most 63.", b.Labels[0], what)
		return false
	}
	return true
}

func (x *evaluation) variable(b *hclsyntax.Block) {
	if !x.labels(b, 1, "one label, its name") {
		return
	}
	if !hclsyntax.ValidIdentifier(b.Labels[0]) {
		x.report(codeName, b.LabelRanges[0], "A variable is read as var.name: letters, digits, - and _, not beginning with a digit.", b.Labels[0], "variable")
	}
	d := &decoding{what: "variable", body: b.Body, args: []string{"default", "description"}}
	for _, a := range sortedAttributes(b.Body) {
		if !slices.Contains(d.args, a.Name) {
			var explained names
			x.reportArgument(d, a, &explained)
			if explained.has("default") {
				return
			}
		}
	}
	for _, inner := range b.Body.Blocks {
		x.reportBlock(d, inner, &names{})
	}
	if b.Body.Attributes["default"] == nil {
		x.report(codeMissing, b.TypeRange, "Add default = …: nothing else gives it a value.", "variable", "default")
	}
}

// serviceContext adds to the file's names what the place may read. What differs from
// node to node has a value only where the place is on the node.
func (x *evaluation) serviceContext(s *serviceDraft, onNode bool) *hcl.EvalContext {
	vars := map[string]cty.Value{"cluster": x.sees.cluster}
	if s != nil {
		own := cty.UnknownVal(cty.String)
		if validName(s.name, false) {
			own = cty.StringVal(s.name)
		}
		vars["service"] = cty.ObjectVal(map[string]cty.Value{"name": own})
	}
	if onNode {
		vars["node"] = x.sees.node
	} else if s != nil {
		vars["node"] = someNode
	}
	ctx := x.vars.NewChild()
	ctx.Variables = vars
	return ctx
}

func (x *evaluation) service(b *hclsyntax.Block) {
	named := x.named(b, "service")
	args := x.run.newPart(serviceSchema)
	kinds := x.kindsIn(b.Body)
	got := x.decode(&decoding{
		what: "service", body: b.Body, at: b.TypeRange, parts: []*part{args},
		ctx: x.serviceContext(nil, false), blocks: append(kinds, "drill"),
	})
	a := args.value.Addr().Interface().(*serviceArguments)
	svc := x.newService(b, a)
	at := b.DefRange()
	var gaps *torn
	if x.file.torn != nil && x.file.torn.bodies[b.Body] {
		gaps, got = x.file.torn, failed
	}
	if !validName(svc.Namespace, false) {
		place := b.TypeRange
		if attr := b.Body.Attributes["namespace"]; attr != nil {
			place = attr.Expr.Range()
		}
		x.report(codeName, place, "Names are made of letters, digits, - and _, at most 63. Without the argument it is the folder's.", svc.Namespace, "namespace")
		args.failed.add("namespace")
	}
	declared := named && !args.failed.has("namespace") && gaps == nil
	switch {
	case gaps != nil: // its name is among those that may be anything
	case declared:
		x.file.declared = append(x.file.declared, declaration{svc.FullName, b.LabelRanges[0], standingOf(svc, args)})
	default: // it is there, under a name that is not known
		got = failed
		x.file.lost = append(x.file.lost, svc.Name)
	}
	x.mentions(b, svc, a, args.failed.has("namespace") || gaps.mayHold("namespace"))
	if gaps == nil {
		x.serviceWarnings(b, svc)
	}
	svc.Range = at
	// A node that is no candidate never runs the service, and expressions such as
	// { n1 = …, n2 = … }[node.name] have no value for it: what differs from node to
	// node is unknown there.
	certain := !args.missing("nodes") && !(svc.Nodes == nil && gaps.mayHold("nodes"))
	draft := x.body(b, svc, gaps, certain && (svc.Nodes == nil || slices.Contains(svc.Nodes, x.node.Name)))
	if declared {
		x.file.declared[len(x.file.declared)-1].idle = draft.idle()
	}
	if certain {
		x.checkCandidates(b, svc)
		if x.differs(b.Body) {
			x.onNodes(x.candidates(svc), func(y *evaluation) {
				there := *svc
				y.body(b, &there, gaps, true)
			})
		}
	}
	if !named || args.unplaced() || gaps != nil { // it can't be compared with others
		x.file.forgetHolding(at)
	}
	if got == failed || draft.broken {
		x.file.incomplete = true
		return
	}
	x.run.digestService(svc)
	if before := x.run.before(svc.FullName); before != nil && before.Digest == svc.Digest && samePlaces(before, svc) {
		svc = before
	}
	x.file.services = append(x.file.services, svc)
}

// body evaluates what is in a service: on the evaluation's node, or for no node in
// particular.
func (x *evaluation) body(b *hclsyntax.Block, s *Service, gaps *torn, onNode bool) *serviceDraft {
	draft := &serviceDraft{name: s.Name, fullName: s.FullName, byLocal: map[string]*resourceDraft{}, brokenNames: map[string]bool{}, torn: gaps}
	draft.ctx = x.serviceContext(draft, onNode)
	s.Resources, s.Tasks = x.resources(draft, b.Body)
	x.keep(s, draft, b.DefRange())
	return draft
}

func (r *run) before(fullName string) *Service {
	if r.last == nil {
		return nil
	}
	return r.last.Services[fullName]
}

// samePlaces says whether two equal services also stand at the same lines, so that
// the older one can be kept.
func samePlaces(a, b *Service) bool {
	if a.Range != b.Range {
		return false
	}
	for i, t := range a.Tasks {
		if t.Range != b.Tasks[i].Range {
			return false
		}
	}
	for i, r := range a.Resources {
		if r.Range != b.Resources[i].Range {
			return false
		}
		for j, c := range r.Checks {
			if c.Range != b.Resources[i].Checks[j].Range {
				return false
			}
		}
	}
	return true
}

func (x *evaluation) newService(b *hclsyntax.Block, a *serviceArguments) *Service {
	name := ""
	if len(b.Labels) > 0 {
		name = b.Labels[0]
	}
	s := &Service{
		Name: name, Namespace: a.Namespace, Description: a.Description, Nodes: a.Nodes,
		Topology: Topology(a.Topology), Orchestrate: Orchestrate(a.Orchestrate), OnFailure: OnFailure(a.OnFailure),
		Count: a.Count, MaxPerNode: a.MaxPerNode, Memory: int64(a.Memory), CPU: a.CPU,
		RTO: a.RTO, RPO: a.RPO, MaximumLag: a.MaximumLag, Placement: Placement{By: "order"},
	}
	if s.Namespace == "" {
		s.Namespace = x.run.namespaceOf(x.file)
	}
	s.FullName = FullName(s.Namespace, s.Name)
	if p := a.Placement; p != nil {
		s.Placement = Placement{By: p.By, Failback: p.Failback, Budget: p.Budget}
	}
	if r := a.Reload; r != nil {
		s.Reload = &ReloadPolicy{Confirm: r.Confirm, Health: r.Health}
	}
	for _, inner := range b.Body.Blocks {
		if inner.Type == "drill" {
			x.drill(s, inner)
		}
	}
	return s
}

// namespaceOf is the namespace of a file's services that name none: its first
// folder below the root of the set. Folders below that only hold variables apart.
func (r *run) namespaceOf(f *file) string {
	if r.options.Namespace != "" {
		return r.options.Namespace
	}
	first, _, _ := strings.Cut(f.folder, "/")
	if first == "." {
		return DefaultNamespace
	}
	return first
}

func (x *evaluation) drill(s *Service, b *hclsyntax.Block) {
	if !x.named(b, "drill") {
		return
	}
	if slices.ContainsFunc(s.Drills, func(d Drill) bool { return d.Name == b.Labels[0] }) {
		x.report(codeTwiceName, b.LabelRanges[0], "Drills of a service need names of their own.", fmt.Sprintf("drill %q", b.Labels[0]))
		return
	}
	p := x.run.newPart(drillSchema)
	if x.decode(&decoding{what: "drill", body: b.Body, at: b.TypeRange, parts: []*part{p}, ctx: x.serviceContext(nil, false)}) == failed {
		x.file.incomplete = true
		return
	}
	d := p.value.Addr().Interface().(*drillArguments)
	var mistake *cron.Error
	if _, err := cron.Parse(d.Schedule, time.Local); errors.As(err, &mistake) && !p.unknown.has("schedule") {
		x.report(codeSchedule, b.Body.Attributes["schedule"].Expr.Range(), mistake.Write, mistake.Wrong)
	}
	s.Drills = append(s.Drills, Drill{Name: b.Labels[0], Schedule: d.Schedule, Action: d.Action, Window: d.Window})
	x.report(codeNoEffect, b.TypeRange, "A drill moves a service to another node.", "drill", "in this version")
}

func (x *evaluation) serviceWarnings(b *hclsyntax.Block, s *Service) {
	for _, inner := range b.Body.Blocks {
		if inner.Type == "reload" {
			x.report(codeNoEffect, inner.TypeRange, "A changed spec is kept at once.", "reload", "in this version")
		}
	}
	for _, name := range []string{"count", "max_per_node"} {
		if a := b.Body.Attributes[name]; a != nil && s.Topology != Scaled {
			x.report(codeUnused, a.NameRange, fmt.Sprintf("Write topology = \"scaled\", or remove %s.", name), name, fmt.Sprintf("on topology %q", s.Topology))
		}
	}
}

// mentions notes the other services that a service names, with full names. Where its
// own namespace is lost, the full names of its neighbours are too.
func (x *evaluation) mentions(b *hclsyntax.Block, s *Service, a *serviceArguments, lost bool) {
	for _, m := range []struct {
		argument string
		names    []string
		full     *[]string
	}{{"requires", a.Requires, &s.Requires}, {"with", a.With, &s.With}, {"apart", a.Apart, &s.Apart}} {
		for i, n := range m.names {
			attr := b.Body.Attributes[m.argument]
			at := at(attr.Expr, &mistake{element: i})
			full := FullName(s.Namespace, n)
			if ns, name, has := strings.Cut(n, "/"); has {
				full = FullName(ns, name)
			} else if lost {
				continue
			}
			if slices.Contains(*m.full, full) {
				continue
			}
			*m.full = append(*m.full, full)
			x.file.mentions = append(x.file.mentions, mention{s.FullName, m.argument, full, at})
		}
		slices.Sort(*m.full)
	}
}
