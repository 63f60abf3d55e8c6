package spec

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// part is one struct that a block is decoded into. A resource's block has two: what
// every resource takes, and what its kind takes.
type part struct {
	schema  *Schema
	value   reflect.Value // of the struct, addressable
	unknown names
	failed  names // arguments and blocks that hold less than was written
	refused names // arguments that the struct finds mistaken
}

// names are a few of those of a schema. Most are none, which costs nothing.
type names []string

func (n names) has(name string) bool { return slices.Contains(n, name) }

func (n *names) add(name string) {
	if !n.has(name) {
		*n = append(*n, name)
	}
}

func (r *run) newPart(s *Schema) *part {
	v := reflect.New(s.Type).Elem()
	v.Set(r.factsOf(s).defaults) // slices and maps are shared: a Config is never changed
	return &part{schema: s, value: v}
}

// facts are what follows from a schema.
type facts struct {
	defaults reflect.Value // the struct as it is when nothing is written
	exports  []string
}

func (l *Loader) factsOf(s *Schema) *facts {
	l.shared.Lock()
	defer l.shared.Unlock()
	known := l.facts[s]
	if known == nil {
		known = &facts{defaultsOf(s), exportsOf(s)}
		l.facts[s] = known
	}
	return known
}

func defaultsOf(s *Schema) reflect.Value {
	v := reflect.New(s.Type).Elem()
	for i := range s.Fields {
		f := &s.Fields[i]
		if f.Default == "" {
			continue
		}
		if err := setDefault(v.FieldByIndex(f.Index), f); err != "" {
			panic(fmt.Sprintf("internal error: default %q of %s.%s: %s", f.Default, s.Name, f.Name, err))
		}
	}
	return v
}

// setDefault writes a field's default, which its tag holds as HCL without quotes.
func setDefault(rv reflect.Value, f *Field) string {
	v := cty.StringVal(f.Default)
	if f.Type.IsListType() || f.Type.IsMapType() {
		expr, diags := hclsyntax.ParseExpression([]byte(f.Default), f.Name, hcl.InitialPos)
		if diags.HasErrors() {
			return diags.Error()
		}
		if v, diags = expr.Value(nil); diags.HasErrors() {
			return diags.Error()
		}
	}
	if m := setValue(rv, f, v); m != nil {
		return m.detail
	}
	return ""
}

// decoding is one block to decode.
type decoding struct {
	what   string // for people: `mount`, `check "http"`
	body   *hclsyntax.Body
	at     hcl.Range // where a missing argument is reported
	parts  []*part
	may    access
	ctx    *hcl.EvalContext
	args   []string // arguments and blocks that the caller reads itself
	blocks []string
}

// decode fills the parts. It answers failed where something was reported, here or
// where the reason lies.
func (x *evaluation) decode(d *decoding) outcome {
	result := evaluated
	var explained names // missing arguments that a misspelt one explains
	for _, a := range sortedAttributes(d.body) {
		if slices.Contains(d.args, a.Name) {
			continue
		}
		p, f := d.field(a.Name)
		if f == nil {
			x.reportArgument(d, a, &explained)
			result = failed
			continue
		}
		x.deprecated(f, a)
		if x.decodeArgument(d, p, f, a) == failed {
			result = failed
			p.failed.add(f.Name)
		}
	}
	var seen []*hclsyntax.Block // the first of each that may be there once
	for _, b := range d.body.Blocks {
		if slices.Contains(d.blocks, b.Type) {
			continue
		}
		p, def := d.block(b.Type)
		if def == nil {
			x.reportBlock(d, b, &explained)
			result = failed
			continue
		}
		if !def.Many {
			if i := slices.IndexFunc(seen, func(first *hclsyntax.Block) bool { return first.Type == b.Type }); i >= 0 {
				x.report(codeBlockTwice, b.TypeRange, fmt.Sprintf("The first is at %s: write both into one.", place(seen[i].TypeRange)), d.what, b.Type)
				result = failed
				continue
			}
			seen = append(seen, b)
		}
		if x.decodeBlock(d, p, def, b) == failed {
			result = failed
			// The language's own blocks are judged apart from what is around them.
			if !slices.Contains(language, p.schema) {
				p.failed.add(def.Name)
			}
		}
	}
	for _, p := range d.parts {
		for i := range p.schema.Fields {
			f := &p.schema.Fields[i]
			if f.Required && d.body.Attributes[f.Name] == nil {
				if !explained.has(f.Name) {
					x.report(codeMissing, d.at, fmt.Sprintf("Add %s. %s", exampleOf(f), f.Doc), d.what, f.Name)
				}
				result = failed
				p.failed.add(f.Name)
			}
			if explained.has(f.Name) {
				p.failed.add(f.Name)
			}
		}
	}
	result = max(result, x.validate(d))
	x.doubts(d)
	if result != failed && x.run.options.Notes {
		x.notes(d)
	}
	return result
}

func (d *decoding) field(name string) (*part, *Field) {
	for _, p := range d.parts {
		if f := p.schema.Field(name); f != nil {
			return p, f
		}
	}
	return nil, nil
}

func (d *decoding) block(name string) (*part, *Block) {
	for _, p := range d.parts {
		for i := range p.schema.Blocks {
			if p.schema.Blocks[i].Name == name {
				return p, &p.schema.Blocks[i]
			}
		}
	}
	return nil, nil
}

// placeOf is where an argument is written, or else should be.
func (d *decoding) placeOf(argument string) hcl.Range {
	if a := d.body.Attributes[argument]; a != nil {
		return a.Expr.Range()
	}
	return d.at
}

func (d *decoding) names() (args, blocks []string) {
	args, blocks = slices.Clone(d.args), slices.Clone(d.blocks)
	for _, p := range d.parts {
		for i := range p.schema.Fields {
			args = append(args, p.schema.Fields[i].Name)
		}
		for i := range p.schema.Blocks {
			blocks = append(blocks, p.schema.Blocks[i].Name)
		}
	}
	return args, blocks
}

func (d *decoding) takes(s *Schema) bool {
	return slices.ContainsFunc(d.parts, func(p *part) bool { return p.schema == s })
}

// reportForTask says of what only resources take why a task does not.
func (x *evaluation) reportForTask(d *decoding, name string, at hcl.Range) bool {
	instead, is := notForTasks[name]
	if is = is && d.takes(taskSchema); is {
		x.report(codeNotForTask, at, instead, name)
	}
	return is
}

func (x *evaluation) decodeArgument(d *decoding, p *part, f *Field, a *hclsyntax.Attribute) outcome {
	v, got := x.eval(a.Expr, d.may, d.ctx)
	if got == failed {
		return failed
	}
	if v.IsKnown() && v.IsNull() { // null is as good as not written
		if f.Required {
			x.report(codeMissing, a.Expr.Range(), fmt.Sprintf("The expression is null. Add %s.", exampleOf(f)), d.what, f.Name)
			return failed
		}
		return evaluated
	}
	field := p.value.FieldByIndex(f.Index)
	if field.Kind() == reflect.Slice {
		if texts, are := textsOf(v); are {
			return x.decodeTexts(d, f, field, texts, a)
		}
	}
	if v.IsMarked() {
		v, _ = v.UnmarkDeep()
	}
	if x.run.budget.hold(v, &x.run.budget.kept) != nil {
		return failed
	}
	if holdsSecret(v) {
		if m := d.placeSecret(f, v); m != nil {
			x.report(m.code, at(a.Expr, m), m.detail, m.args...)
			return failed
		}
	}
	if !v.IsWhollyKnown() {
		if m := checkType(f, v); m != nil {
			x.report(m.code, at(a.Expr, m), m.detail, m.args...)
			return failed
		}
		p.unknown.add(f.Name)
		return evaluated
	}
	if m := setValue(field, f, v); m != nil {
		x.report(m.code, at(a.Expr, m), m.detail, m.args...)
		return failed
	}
	x.exposed(d, f, field, a)
	return evaluated
}

// decodeTexts decodes a list of which nothing is left to be found out.
func (x *evaluation) decodeTexts(d *decoding, f *Field, field reflect.Value, texts []string, a *hclsyntax.Attribute) outcome {
	size := 0
	for _, t := range texts {
		size += len(t)
	}
	if x.run.budget.holdMeasured(1+len(texts), size, &x.run.budget.kept) != nil {
		return failed
	}
	if m := setTexts(field, f, texts); m != nil {
		x.report(m.code, at(a.Expr, m), m.detail, m.args...)
		return failed
	}
	x.exposed(d, f, field, a)
	return evaluated
}

// at is the place of a mistake: that of an element where one is to blame.
func at(expr hclsyntax.Expression, m *mistake) hcl.Range {
	if t, ok := expr.(*hclsyntax.TupleConsExpr); ok && m.element >= 0 && m.element < len(t.Exprs) {
		return t.Exprs[m.element].Range()
	}
	if m.key != "" {
		return keyRange(expr, m.key)
	}
	return expr.Range()
}

func (x *evaluation) decodeBlock(d *decoding, p *part, def *Block, b *hclsyntax.Block) outcome {
	if len(b.Labels) > 0 {
		x.report(codeLabels, b.LabelRanges[0], fmt.Sprintf("Write %s { … }.", b.Type), b.Type, "no label")
		return failed
	}
	inner := x.run.newPart(def.Schema)
	result := x.decode(&decoding{what: b.Type, body: b.Body, at: b.TypeRange, parts: []*part{inner}, may: d.may, ctx: d.ctx})
	if len(inner.unknown) > 0 {
		p.unknown.add(def.Name)
	}
	field := p.value.FieldByIndex(def.Index)
	if def.Many {
		field.Set(reflect.Append(field.Slice3(0, field.Len(), field.Len()), inner.value))
	} else {
		field.Set(inner.value.Addr())
	}
	return result
}

// validate asks the structs for what their tags don't say.
func (x *evaluation) validate(d *decoding) outcome {
	result := evaluated
	for _, p := range d.parts {
		for _, problem := range p.problems() {
			at := d.at
			if a := d.body.Attributes[problem.Field]; a != nil {
				at = elementAt(a.Expr, problem)
			}
			x.report(codeInvalid, at, problem.Detail, problem.Summary)
			result = failed
			p.refused.add(problem.Field)
		}
	}
	return result
}
