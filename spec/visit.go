package spec

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// visit does something with every part of every expression of a body, from the outside in.
// The common kinds of expressions are gone through here, since hclsyntax.VisitAll makes
// garbage at each step, and every file is visited several times.
func visit(body *hclsyntax.Body, do func(hclsyntax.Node)) {
	for _, a := range body.Attributes {
		visitExpression(a.Expr, do)
	}
	for _, b := range body.Blocks {
		visit(b.Body, do)
	}
}

func visitExpression(e hclsyntax.Expression, do func(hclsyntax.Node)) {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr, *hclsyntax.ScopeTraversalExpr:
		do(e)
	case *hclsyntax.TemplateExpr:
		do(e)
		for _, part := range e.Parts {
			visitExpression(part, do)
		}
	case *hclsyntax.TemplateWrapExpr:
		do(e)
		visitExpression(e.Wrapped, do)
	case *hclsyntax.TupleConsExpr:
		do(e)
		for _, element := range e.Exprs {
			visitExpression(element, do)
		}
	case *hclsyntax.FunctionCallExpr:
		do(e)
		for _, argument := range e.Args {
			visitExpression(argument, do)
		}
	default:
		hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
			do(n)
			return nil
		})
	}
}

// appendVariables adds what an expression reads, in the order of the text.
func appendVariables(out []hcl.Traversal, e hclsyntax.Expression) []hcl.Traversal {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		return out
	case *hclsyntax.ScopeTraversalExpr:
		return append(out, e.Traversal)
	case *hclsyntax.TemplateExpr:
		for _, part := range e.Parts {
			out = appendVariables(out, part)
		}
		return out
	case *hclsyntax.TemplateWrapExpr:
		return appendVariables(out, e.Wrapped)
	case *hclsyntax.TupleConsExpr:
		for _, element := range e.Exprs {
			out = appendVariables(out, element)
		}
		return out
	case *hclsyntax.FunctionCallExpr:
		for _, argument := range e.Args {
			out = appendVariables(out, argument)
		}
		return out
	default:
		return append(out, e.Variables()...)
	}
}

// asWritten is the value of an expression that is text, a number or a list of these, as it
// stands there.
func asWritten(e hclsyntax.Expression) (cty.Value, bool) {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		return e.Val, true
	case *hclsyntax.TemplateExpr:
		if len(e.Parts) == 1 {
			if text, is := e.Parts[0].(*hclsyntax.LiteralValueExpr); is && text.Val.Type() == cty.String && !text.Val.IsNull() {
				return text.Val, true
			}
		}
	case *hclsyntax.TupleConsExpr:
		values := make([]cty.Value, len(e.Exprs))
		for i, element := range e.Exprs {
			v, is := asWritten(element)
			if !is {
				return cty.NilVal, false
			}
			values[i] = v
		}
		return cty.TupleVal(values), true
	}
	return cty.NilVal, false
}
