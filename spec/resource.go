package spec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/svcctl/svcctl/internal/dag"
	"github.com/zclconf/go-cty/cty"
)

const maxInstances = 1000 // of one for_each

// resourceDraft is a resource, or all instances of one with for_each, while its
// service is evaluated.
type resourceDraft struct {
	block       *hclsyntax.Block
	kind, name  string
	local       string // kind.name
	schema      *Schema
	forEach     *hclsyntax.Attribute // nil: one instance with key ""
	reads       []reading
	edges       []edge   // in the order of their local addresses
	made        []made   // sorted by key
	keys        []string // of these, and of those with mistakes
	unknownKeys bool
	readsNode   bool            // its values may differ from node to node
	seen        cty.Value       // what object answers; cty.NilVal: not asked yet
	off         map[string]bool // by key, of what is never up: whether it is waited for
	broken      bool            // said why; what reads it is not looked at
}

// made is an instance without mistakes.
type made struct {
	key    string
	res    *Resource
	config *part
}

// instance is the one with a key, nil where there is none, or none without mistakes.
func (d *resourceDraft) instance(key string) *Resource {
	if i, there := slices.BinarySearchFunc(d.made, key, func(m made, key string) int { return strings.Compare(m.key, key) }); there {
		return d.made[i].res
	}
	return nil
}

// edge is a resource that another refers to, and where it first does.
type edge struct {
	to *resourceDraft
	at hcl.Range
}

// kindsIn lists the blocks of a service that are not its own: resources, or mistakes.
func (x *evaluation) kindsIn(body *hclsyntax.Body) []string {
	var out []string
	for _, b := range body.Blocks {
		if !slices.ContainsFunc(serviceSchema.Blocks, func(own Block) bool { return own.Name == b.Type }) {
			out = append(out, b.Type)
		}
	}
	return out
}

// resources evaluates all resources and tasks of a service, each behind those that it
// reads. Tasks are sorted by address: none waits for another.
func (x *evaluation) resources(s *serviceDraft, body *hclsyntax.Body) (out, tasks []*Resource) {
	for _, b := range body.Blocks {
		if b.Type != "drill" && b.Type != "placement" && b.Type != "reload" {
			x.draft(s, b)
		}
	}
	var graph dag.Graph[string]
	for _, d := range s.resources {
		d.reads = x.readings(d.block.Body)
		d.edges = edges(s, d)
		after := make([]string, len(d.edges))
		for i, e := range d.edges {
			after[i] = e.to.local
		}
		graph.Add(d.local, after...)
	}
	waves, left := graph.Waves()
	x.reportCycles(s, left)
	for _, wave := range waves {
		for _, local := range wave {
			d := s.byLocal[local]
			x.resource(s, d)
			s.broken = s.broken || d.broken
			for _, m := range d.made {
				if m.res.Task != nil {
					tasks = append(tasks, m.res)
				} else {
					out = append(out, m.res)
				}
			}
		}
	}
	for _, local := range left { // for the mistakes in them that have nothing to do with the loop
		x.resource(s, s.byLocal[local])
	}
	slices.SortFunc(tasks, func(a, b *Resource) int { return strings.Compare(string(a.Address), string(b.Address)) })
	return out, tasks
}

// draft notes a resource's kind and name.
func (x *evaluation) draft(s *serviceDraft, b *hclsyntax.Block) {
	schema := x.run.options.Kinds.Resource(b.Type)
	if schema == nil {
		x.reportKind(b)
		s.broken = true
		// What refers to it, by the kind that is written or by the one that was meant,
		// is no second mistake.
		for _, kind := range []string{b.Type, meant(b.Type, x.run.options.Kinds.ResourceKinds())} {
			if len(b.Labels) > 0 {
				s.brokenNames[kind+"."+b.Labels[0]] = true
			} else {
				s.brokenNames[kind] = true
			}
		}
		return
	}
	if !x.named(b, "resource") {
		s.broken = true
		s.brokenNames[b.Type] = true
		return
	}
	d := &resourceDraft{block: b, kind: b.Type, name: b.Labels[0], local: b.Type + "." + b.Labels[0], schema: schema, forEach: b.Body.Attributes["for_each"]}
	if first := s.byLocal[d.local]; first != nil {
		x.report(codeTwiceName, b.LabelRanges[0], fmt.Sprintf("The first is at %s: give one of them another name.", place(first.block.TypeRange)), d.local)
		s.broken = true
		return
	}
	s.byLocal[d.local] = d
	s.resources = append(s.resources, d)
}

func (x *evaluation) reportKind(b *hclsyntax.Block) {
	if serviceSchema.Field(b.Type) != nil {
		x.report(codeIsArgument, b.TypeRange, fmt.Sprintf("Write %s = … with an equals sign.", b.Type), b.Type)
		return
	}
	words := append(x.run.options.Kinds.ResourceKinds(), "placement", "reload", "drill")
	detail := didYouMean(b.Type, words)
	if wrapped := x.wrapped(b); wrapped != "" {
		detail = wrapped
	} else if slices.Contains(x.run.options.Kinds.CheckKinds(), b.Type) {
		detail = fmt.Sprintf("%q is a check: write check %q \"name\" { … } inside a resource.", b.Type, b.Type)
	}
	switch b.Type {
	case "variable", "locals", "assert", "service":
		detail = fmt.Sprintf("%s stands at the top level of a file.", b.Type)
	case "check", "restart", "timeouts":
		detail = fmt.Sprintf("%s stands inside a resource.", b.Type)
	}
	x.report(codeKind, b.TypeRange, detail, b.Type)
}

// wrapped says what to write for a block whose first label is a kind, as in the language
// of Terraform.
func (x *evaluation) wrapped(b *hclsyntax.Block) string {
	if len(b.Labels) != 2 || x.run.options.Kinds.Resource(b.Labels[0]) == nil {
		return ""
	}
	return fmt.Sprintf("Write %s %q { … } inside a service: the kind is the block's own word.", b.Labels[0], b.Labels[1])
}

// edges lists the resources that a resource refers to, whether in after or in a value.
func edges(s *serviceDraft, d *resourceDraft) (out []edge) {
	for _, r := range d.reads {
		for _, t := range r.names {
			if target := s.find(t.RootName(), second(t)); target != nil && !target.schema.Task {
				out = append(out, edge{target, t.SourceRange()})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b edge) int { return strings.Compare(a.to.local, b.to.local) })
	return slices.CompactFunc(out, func(a, b edge) bool { return a.to == b.to })
}

// reportCycles says which resources wait for each other. What is on a loop or behind
// one counts as broken: that nothing can be read of it is no second mistake.
func (x *evaluation) reportCycles(s *serviceDraft, left []string) {
	if len(left) == 0 {
		return
	}
	s.broken = true
	told := map[string]bool{}
	for {
		var rest dag.Graph[string]
		for _, local := range left {
			d := s.byLocal[local]
			d.broken = true
			for _, next := range d.edges {
				if !told[local] && !told[next.to.local] {
					rest.Add(local, next.to.local)
				}
			}
		}
		loop := rest.Cycle()
		if loop == nil {
			return
		}
		x.reportCycle(s, loop)
		for _, local := range loop {
			told[local] = true
		}
	}
}

func (x *evaluation) reportCycle(s *serviceDraft, loop []string) {
	var lines []string
	edgeAt := func(i int) hcl.Range {
		all, next := s.byLocal[loop[i]].edges, loop[(i+1)%len(loop)]
		return all[slices.IndexFunc(all, func(e edge) bool { return e.to.local == next })].at
	}
	for i, local := range loop {
		lines = append(lines, fmt.Sprintf("%s is after %s at %s", local, loop[(i+1)%len(loop)], place(edgeAt(i))))
	}
	x.report(codeCycle, edgeAt(0), strings.Join(lines, "; ")+". Remove one of these references.", strings.Join(append(loop, loop[0]), " → "))
}

// resource evaluates one resource, or its instances.
func (x *evaluation) resource(s *serviceDraft, d *resourceDraft) {
	d.seen = cty.NilVal // of a resource on a loop, something may have been read before it was evaluated
	elements := []element{{}}
	if d.forEach != nil {
		var ok bool
		if elements, ok = x.elements(s, d); !ok {
			d.broken = true
			return
		}
	}
	for _, e := range elements {
		d.keys = append(d.keys, e.key)
		if !x.instance(s, d, e) {
			d.broken = true
		}
	}
	if d.forEach != nil && len(elements) == 0 { // the arguments are checked even where there is no instance
		d.unknownKeys = false
		probe := *d
		d.broken = !x.instance(s, &probe, element{value: cty.DynamicVal, unknown: true})
	}
}

// element is one element of for_each.
type element struct {
	key     string
	value   cty.Value
	unknown bool
}

func (x *evaluation) elements(s *serviceDraft, d *resourceDraft) ([]element, bool) {
	expr := d.forEach.Expr
	may := access{node: true, service: s, reader: d}
	v, got := x.eval(expr, may, x.run.siblingContext(s, d, cty.NilVal))
	if got == failed {
		return nil, false
	}
	t := v.Type()
	mapLike := t.IsMapType() || t.IsObjectType()
	if v.IsKnown() && v.IsNull() || t != cty.DynamicPseudoType && !mapLike && !t.IsListType() && !t.IsSetType() && !t.IsTupleType() {
		x.report(codeForEach, expr.Range(), `Write a list of texts, such as ["a", "b"], or a map.`, "for_each takes a list of texts or a map")
		return nil, false
	}
	if !v.IsKnown() || (t.IsSetType() && !v.IsWhollyKnown()) {
		d.unknownKeys = true
		return []element{{value: cty.DynamicVal, unknown: true}}, true
	}
	if v.LengthInt() > maxInstances {
		x.report(codeForEach, expr.Range(), fmt.Sprintf("At most %d instances.", maxInstances), "for_each has too many elements")
		return nil, false
	}
	var out []element
	seen := map[string]bool{}
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if !mapLike {
			k = e
		}
		switch {
		case holdsSecret(k):
			x.reportSecretUse(expr.Range())
			return nil, false
		case !k.IsKnown():
			d.unknownKeys = true
			return []element{{value: cty.DynamicVal, unknown: true}}, true
		case k.IsNull() || k.Type() != cty.String:
			x.report(codeForEach, expr.Range(), "Each element must be text: it becomes part of an address. tostring() makes text of a number.", "for_each has an element that is not text")
			return nil, false
		case !validName(k.AsString(), true):
			x.report(codeForEach, expr.Range(), "Keys are made of letters, digits, -, _ and dots, at most 63.", fmt.Sprintf("%q is no key for an instance", k.AsString()))
			return nil, false
		case seen[k.AsString()]:
			x.report(codeForEach, expr.Range(), "Remove one, or use distinct().", fmt.Sprintf("for_each has %q twice", k.AsString()))
			return nil, false
		}
		seen[k.AsString()] = true
		out = append(out, element{key: k.AsString(), value: e})
	}
	slices.SortFunc(out, func(a, b element) int { return strings.Compare(a.key, b.key) })
	return out, true
}

// siblingContext makes readable the resources that d refers to.
func (l *Loader) siblingContext(s *serviceDraft, d *resourceDraft, each cty.Value) *hcl.EvalContext {
	if len(d.edges) == 0 && each == cty.NilVal {
		return s.ctx
	}
	ctx := s.ctx.NewChild()
	ctx.Variables = map[string]cty.Value{}
	for left := d.edges; len(left) > 0; { // those of a kind are beside each other
		kind, names := left[0].to.kind, map[string]cty.Value{}
		for ; len(left) > 0 && left[0].to.kind == kind; left = left[1:] {
			names[left[0].to.name] = left[0].to.object(l)
		}
		ctx.Variables[kind] = cty.ObjectVal(names)
	}
	if each != cty.NilVal {
		ctx.Variables["each"] = each
	}
	return ctx
}

// object is what expressions see of a resource.
func (d *resourceDraft) object(l *Loader) cty.Value {
	if d.seen != cty.NilVal {
		return d.seen
	}
	switch {
	case d.forEach == nil:
		d.seen = cty.EmptyObjectVal
		if len(d.made) > 0 {
			d.seen = cty.ObjectVal(l.exported(d.made[0].config))
		}
	case d.unknownKeys || d.broken:
		return cty.DynamicVal
	default:
		all := make(map[string]cty.Value, len(d.made))
		for _, m := range d.made {
			all[m.key] = cty.ObjectVal(l.exported(m.config))
		}
		d.seen = cty.ObjectVal(all)
	}
	return d.seen
}

// instance decodes one instance; false where it has a mistake.
func (x *evaluation) instance(s *serviceDraft, d *resourceDraft, e element) bool {
	each := cty.NilVal
	if d.forEach != nil {
		key := cty.StringVal(e.key)
		if e.unknown {
			key = cty.UnknownVal(cty.String)
		}
		each = cty.ObjectVal(map[string]cty.Value{"key": key, "value": e.value})
	}
	ctx := x.run.siblingContext(s, d, each)
	may := access{node: true, each: d.forEach != nil, service: s, reader: d}
	common := resourceSchema
	if d.schema.Task {
		common = taskSchema
	}
	own, config := x.run.newPart(common), x.run.newPart(d.schema)
	decoding := &decoding{
		what: d.kind, body: d.block.Body, at: d.block.TypeRange, parts: []*part{config, own},
		may: may, ctx: ctx, args: []string{"after", "for_each"},
	}
	if !d.schema.Task {
		decoding.blocks = []string{"check"}
	}
	got := x.decode(decoding)
	after, ok := x.after(s, d, may, ctx)
	var res *Resource
	switch a := own.value.Addr().Interface().(type) {
	case *taskArguments:
		res = newTask(s, d, e.key, a)
		ok = x.schedule(res.Task, own, d.block.Body) && ok
	case *resourceArguments:
		res = newResource(s, d, e.key, a)
		var good bool
		res.Checks, good = x.checks(d, may, ctx)
		ok = ok && good
	}
	res.After = after
	d.notStarted(e.key, own)
	x.afterOff(d, own, after)
	complete := got != failed && ok
	if complete {
		res.Config = config.value.Addr().Interface()
		if a, is := res.Config.(Addressed); is {
			a.SetAddress(res.Address)
		}
	}
	x.hold(s, d, e, config, own, res, complete)
	if !complete {
		return false
	}
	if rc, is := res.Config.(ReadyByChecker); is {
		res.ReadyByChecks = rc.ReadyByChecks()
	}
	x.run.digestResource(res, config.value)
	d.made = append(d.made, made{e.key, res, config})
	return true
}

func newResource(s *serviceDraft, d *resourceDraft, key string, a *resourceArguments) *Resource {
	address := s.fullName + "/" + d.local
	if key != "" {
		address += fmt.Sprintf("[%q]", key)
	}
	res := &Resource{
		Address: Address(address), Service: s.fullName, Kind: d.kind, Name: d.name, Key: key, Schema: d.schema,
		Restart: DefaultRestart, Timeouts: Timeouts{Start: time.Minute, Stop: 30 * time.Second},
		OnStuck: a.OnStuck, Optional: a.Optional, Standby: a.Standby, Monitor: a.Monitor, Disabled: a.Disabled, Tags: a.Tags,
		Hooks: Hooks{BeforeStart: a.BeforeStart, AfterStart: a.AfterStart, BeforeStop: a.BeforeStop, AfterStop: a.AfterStop},
		Range: d.block.DefRange(),
	}
	if r := a.Restart; r != nil {
		res.Restart = Restart(*r)
	}
	if t := a.Timeouts; t != nil {
		res.Timeouts = Timeouts(*t)
	}
	return res
}

// checks decodes the checks of a resource.
func (x *evaluation) checks(d *resourceDraft, may access, ctx *hcl.EvalContext) (out []*Check, ok bool) {
	ok = true
	var places map[string]hcl.Range
	for _, b := range d.block.Body.Blocks {
		if b.Type != "check" {
			continue
		}
		if places == nil {
			places = map[string]hcl.Range{}
		}
		c, good := x.check(b, places, may, ctx)
		if !good {
			ok = false
			continue
		}
		out = append(out, c)
	}
	return out, ok
}

func (x *evaluation) check(b *hclsyntax.Block, places map[string]hcl.Range, may access, ctx *hcl.EvalContext) (*Check, bool) {
	if !x.labels(b, 2, "two labels, its kind and its name") {
		return nil, false
	}
	kind, name := b.Labels[0], b.Labels[1]
	if !validName(name, false) {
		x.report(codeName, b.LabelRanges[1], "Names are made of letters, digits, - and _, at most 63.", name, "check")
		return nil, false
	}
	if first, twice := places[name]; twice {
		x.report(codeTwiceCheck, b.LabelRanges[1], fmt.Sprintf("The first is at %s: give one of them another name.", place(first)), name)
		return nil, false
	}
	places[name] = b.LabelRanges[1]
	schema := x.run.options.Kinds.Check(kind)
	if schema == nil {
		x.report(codeCheckKind, b.LabelRanges[0], didYouMean(kind, x.run.options.Kinds.CheckKinds()), kind)
		return nil, false
	}
	own, config := x.run.newPart(checkSchema), x.run.newPart(schema)
	if x.decode(&decoding{what: "check " + strconv.Quote(kind), body: b.Body, at: b.TypeRange, parts: []*part{config, own}, may: may, ctx: ctx}) == failed {
		return nil, false
	}
	a := own.value.Addr().Interface().(*checkArguments)
	c := &Check{
		Name: name, Kind: kind, Config: config.value.Addr().Interface(), Schema: schema,
		Every: a.Every, Timeout: min(2*time.Second, a.Every), Fall: a.Fall, Rise: a.Rise, OnFall: OnFall(a.OnFall), Range: b.DefRange(),
	}
	if a.Timeout.Set {
		c.Timeout = a.Timeout.D
	}
	x.run.digestCheck(c, config.value)
	return c, true
}
