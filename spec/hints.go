package spec

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// reportArgument says of an argument that there is not what was most likely meant. What
// it explains is not missing besides.
func (x *evaluation) reportArgument(d *decoding, a *hclsyntax.Attribute, explained *names) {
	if x.reportForTask(d, a.Name, a.NameRange) {
		return
	}
	args, blocks := d.names()
	if slices.Contains(blocks, a.Name) {
		x.report(codeIsBlock, a.NameRange, d.asBlock(a), a.Name)
		return
	}
	x.report(codeArgument, a.NameRange, x.instead(d, a.Name, args, blocks, explained), d.what, a.Name)
}

// reportBlock does so of a block.
func (x *evaluation) reportBlock(d *decoding, b *hclsyntax.Block, explained *names) {
	if x.reportForTask(d, b.Type, b.TypeRange) {
		return
	}
	args, blocks := d.names()
	if slices.Contains(args, b.Type) {
		explained.add(b.Type)
		x.report(codeIsArgument, b.TypeRange, fmt.Sprintf("Write %s = … with an equals sign.", b.Type), b.Type)
		return
	}
	detail := ""
	if n := Nearest(b.Type, blocks); n != "" {
		detail = fmt.Sprintf("Did you mean %q?", n)
	} else if n := meant(b.Type, blocks); n != "" {
		detail = fmt.Sprintf("Did you mean %q?", n)
	} else if n := meant(b.Type, args); n != "" {
		explained.add(n)
		detail = fmt.Sprintf("Did you mean %s = …?", n)
	} else if detail = x.elsewhere(d, b.Type, explained); detail == "" {
		detail = "Remove it."
		if len(blocks) > 0 {
			detail = didYouMean("", blocks)
		}
	}
	x.report(codeBlock, b.TypeRange, detail, d.what, b.Type)
}

// instead is what to write instead of an argument that there is not.
func (x *evaluation) instead(d *decoding, word string, args, blocks []string, explained *names) string {
	missing := args[:0:0]
	for _, n := range args {
		if _, written := d.body.Attributes[n]; !written {
			missing = append(missing, n)
		}
	}
	// A slip, or another program's word, is likelier than another kind's word, and this
	// likelier than a word that only looks a little like it.
	for _, close := range []bool{true, false} {
		for _, in := range [][]string{missing, blocks, args} {
			n := meant(word, in)
			if n == "" || close && !slip(word, n) && !known(word, n) {
				continue
			}
			switch {
			case slices.Contains(blocks, n):
				return fmt.Sprintf("Did you mean the block %s { … }?", n)
			case slices.Contains(missing, n):
				explained.add(n)
				return fmt.Sprintf("Did you mean %q?", n)
			}
			return fmt.Sprintf("Did you mean %q? That is set already.", n)
		}
		if detail := x.elsewhere(d, word, explained); close && detail != "" {
			return detail
		}
	}
	if len(args) == 0 {
		return "Remove it."
	}
	return allOf(args, d.explainedAs())
}

// explainedAs is what svcctl explain calls what is decoded, "" where it has no name there.
func (d *decoding) explainedAs() string {
	for _, p := range d.parts {
		if slices.Contains(Language(), p.schema) && len(d.parts) > 1 {
			return d.parts[0].schema.Name
		}
	}
	if d.takes(serviceSchema) {
		return serviceSchema.Name
	}
	return ""
}

// elsewhere says where a word stands that means nothing here, "" where it stands nowhere.
// A word of another kind says that the kind is the mistake: what this one needs is not
// missed then.
func (x *evaluation) elsewhere(d *decoding, word string, explained *names) string {
	for _, p := range d.parts {
		for _, b := range p.schema.Blocks {
			if b.Schema.Field(word) != nil {
				return fmt.Sprintf("It stands in a block: %s { %s = … }.", b.Name, word)
			}
		}
	}
	kinds, has := x.run.options.Kinds, func(s *Schema) bool {
		return s.Field(word) != nil || slices.ContainsFunc(s.Blocks, func(b Block) bool { return b.Name == word })
	}
	var owners []string
	switch {
	case d.takes(checkSchema):
		for _, k := range kinds.CheckKinds() {
			if has(kinds.Check(k)) {
				owners = append(owners, fmt.Sprintf("check %q", k))
			}
		}
	case d.takes(resourceSchema), d.takes(taskSchema), d.takes(serviceSchema):
		for _, k := range kinds.ResourceKinds() {
			if has(kinds.Resource(k)) {
				owners = append(owners, k)
			}
		}
	}
	inside := d.takes(resourceSchema) || d.takes(taskSchema)
	switch {
	case inside && has(serviceSchema):
		return fmt.Sprintf("%q belongs to the service around it.", word)
	case len(owners) == 0 && inside && has(taskSchema):
		return "What runs on a schedule is a task: task \"name\" { … }."
	case len(owners) == 0 && d.takes(resourceSchema) && has(checkSchema):
		return fmt.Sprintf("%q belongs to a check: check \"…\" \"name\" { … }.", word)
	case len(owners) == 0 && d.takes(serviceSchema) && has(resourceSchema):
		return fmt.Sprintf("%q belongs to the resources of the service.", word)
	case len(owners) == 0:
		return ""
	case d.takes(serviceSchema):
		return fmt.Sprintf("%q belongs to a resource of the service: %s.", word, strings.Join(owners, ", "))
	}
	for _, p := range d.parts {
		for i := range p.schema.Fields {
			if p.schema.Fields[i].Required {
				explained.add(p.schema.Fields[i].Name)
			}
		}
	}
	return fmt.Sprintf("%q belongs to another kind: %s.", word, strings.Join(owners, ", "))
}

// asBlock shows the block that was written as an argument.
func (d *decoding) asBlock(a *hclsyntax.Attribute) string {
	if _, is := a.Expr.(*hclsyntax.ObjectConsExpr); is {
		return fmt.Sprintf("Write %s { … } without an equals sign.", a.Name)
	}
	_, b := d.block(a.Name)
	if b == nil || len(b.Schema.Fields) == 0 {
		return fmt.Sprintf("Write %s { … } without an equals sign.", a.Name)
	}
	doc, _, _ := strings.Cut(b.Schema.Doc, ". ")
	return fmt.Sprintf("Write %s { %s }, or leave it out. %s.", a.Name, filledIn(&b.Schema.Fields[0]), strings.TrimSuffix(doc, "."))
}

// filledIn is an argument with a value that may stand there.
func filledIn(f *Field) string {
	switch {
	case f.Default != "" && f.Type == cty.String:
		return fmt.Sprintf("%s = %q", f.Name, f.Default)
	case f.Default != "":
		return f.Name + " = " + f.Default
	case f.Type == cty.Number:
		return f.Name + " = 3"
	case f.Type == cty.Bool:
		return f.Name + " = true"
	}
	return exampleOf(f)
}

// elementAt is the place of a kind's problem with an argument: that of the element of a
// list, or value of a map, that the problem quotes.
func elementAt(expr hclsyntax.Expression, p Problem) hcl.Range {
	var parts []hclsyntax.Expression
	switch e := expr.(type) {
	case *hclsyntax.TupleConsExpr:
		parts = e.Exprs
	case *hclsyntax.ObjectConsExpr:
		for _, item := range e.Items {
			parts = append(parts, item.ValueExpr)
		}
	}
	place, first, said := expr.Range(), math.MaxInt, p.Summary+" "+p.Detail
	for _, part := range parts {
		if text, literal := literalText(part); literal {
			// What is wrong is quoted before what is right; of two that are the same the
			// second is too much.
			if at := strings.Index(said, strconv.Quote(text)); at >= 0 && at <= first {
				place, first = part.Range(), at
			}
		}
	}
	return place
}

func literalText(e hclsyntax.Expression) (string, bool) {
	t, is := e.(*hclsyntax.TemplateExpr)
	if !is || !t.IsStringLiteral() {
		return "", false
	}
	v, diags := t.Value(nil)
	if diags.HasErrors() || v.Type() != cty.String {
		return "", false
	}
	return v.AsString(), true
}
