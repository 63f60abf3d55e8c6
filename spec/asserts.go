package spec

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// assert checks how an assertion is written, and what it says of each node.
func (x *evaluation) assert(b *hclsyntax.Block) {
	if !x.labels(b, 0, "no label") {
		return
	}
	d := &decoding{what: "assert", body: b.Body, args: []string{"condition", "message"}}
	var explained names
	for _, a := range sortedAttributes(b.Body) {
		if !slices.Contains(d.args, a.Name) {
			x.reportArgument(d, a, &explained)
		}
	}
	for _, inner := range b.Body.Blocks {
		x.reportBlock(d, inner, &explained)
	}
	for _, name := range d.args {
		if b.Body.Attributes[name] == nil && !explained.has(name) {
			x.report(codeMissing, b.TypeRange, "An assertion is a condition and what to say when it is false.", "assert", name)
		}
	}
	condition, message := b.Body.Attributes["condition"], b.Body.Attributes["message"]
	if condition == nil || message == nil {
		return
	}
	x.judge(condition.Expr, message.Expr)
	if x.differs(b.Body) {
		x.onNodes(x.run.options.Nodes, func(y *evaluation) { y.judge(condition.Expr, message.Expr) })
	}
}

// judge reports a condition that is false. One that is not known, as that of a node in
// particular where none is known, is neither.
func (x *evaluation) judge(condition, message hclsyntax.Expression) {
	ctx, may := x.serviceContext(nil, true), access{node: true}
	text, gotText := x.eval(message, may, ctx)
	v, got := x.eval(condition, may, ctx)
	if got == failed || gotText == failed {
		x.file.incomplete = true
		return
	}
	if !x.isOf(cty.Bool, v, condition, "condition", "true or false") || !x.isOf(cty.String, text, message, "message", "text") {
		return
	}
	switch {
	case !v.IsKnown() || v.True():
	case text.IsKnown():
		x.report(codeAssert, condition.Range(), text.AsString())
	case len(x.run.options.Nodes) == 0: // else it is said of each node, with what its message is there
		x.report(codeAssert, condition.Range(), "Its message differs from node to node.")
	}
}

// isOf reports a value of an assertion that can't be of its type. Of a value that is not
// known, the type may not be either.
func (x *evaluation) isOf(want cty.Type, v cty.Value, expr hclsyntax.Expression, argument, words string) bool {
	if v.Type() == cty.DynamicPseudoType && !v.IsKnown() {
		return false
	}
	if v.Type() != want || v.IsKnown() && v.IsNull() {
		x.report(codeType, expr.Range(), fmt.Sprintf("It is %s.", typeName(v.Type())), argument, words)
		return false
	}
	return true
}
