package spec

import (
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// after lists the instances that an instance comes after: those that after names,
// and those that its values refer to.
func (x *evaluation) after(s *serviceDraft, d *resourceDraft, may access, ctx *hcl.EvalContext) ([]Address, bool) {
	var out []Address
	ok := true
	written := d.block.Body.Attributes["after"]
	for _, r := range d.reads {
		if written != nil && r.expr == written.Expr {
			continue
		}
		for _, t := range r.names {
			target := s.find(t.RootName(), second(t))
			if target == nil {
				d.readsNode = d.readsNode || t.RootName() == "node"
				continue
			}
			d.readsNode = d.readsNode || target.readsNode
			out = append(out, target.addresses(stepKey(target, t))...)
		}
	}
	if written != nil {
		list, isList := written.Expr.(*hclsyntax.TupleConsExpr)
		if !isList {
			detail := "Write after = [kind.name]."
			if t, is := written.Expr.(*hclsyntax.ScopeTraversalExpr); is {
				detail = fmt.Sprintf("Write after = [%s].", traversalText(t.Traversal))
			}
			x.report(codeAfter, written.Expr.Range(), detail, "after")
			return nil, false
		}
		for _, e := range list.Exprs {
			addresses, good := x.afterOne(s, e, may, ctx)
			out, ok = append(out, addresses...), ok && good
		}
	}
	slices.Sort(out)
	return slices.Compact(out), ok
}

// stepKey is the key of the instance that a reference means, "" for all.
func stepKey(target *resourceDraft, t hcl.Traversal) string {
	if target.forEach == nil || len(t) < 3 {
		return ""
	}
	if _, isIndex := t[2].(hcl.TraverseIndex); !isIndex {
		return ""
	}
	return stepName(t, 2)
}

// addresses are those of one instance, or of all where key is "".
func (d *resourceDraft) addresses(key string) []Address {
	var out []Address
	for _, m := range d.made {
		if key == "" || m.key == key {
			out = append(out, m.res.Address)
		}
	}
	return out
}

// afterOne reads one element of after.
func (x *evaluation) afterOne(s *serviceDraft, e hclsyntax.Expression, may access, ctx *hcl.EvalContext) ([]Address, bool) {
	switch e := e.(type) {
	case *hclsyntax.ScopeTraversalExpr:
		return x.afterTraversal(s, e.Traversal, may)
	case *hclsyntax.IndexExpr: // app.web[each.key]
		if t, is := e.Collection.(*hclsyntax.ScopeTraversalExpr); is {
			if _, ok := x.afterTraversal(s, t.Traversal, may); !ok {
				return nil, false
			}
			v, got := x.eval(e.Key, may, ctx)
			if got == failed {
				return nil, false
			}
			target := s.find(t.Traversal.RootName(), second(t.Traversal))
			if !v.IsKnown() {
				return target.addresses(""), true
			}
			if v.Type() == cty.String && !v.IsNull() {
				key := v.AsString()
				if target.instance(key) != nil || target.unknownKeys {
					return target.addresses(key), true
				}
				x.report(codeKey, e.Key.Range(), didYouMean(key, target.keys), fmt.Sprintf("%s has no instance %q", target.local, key))
				return nil, false
			}
		}
	case *hclsyntax.TemplateExpr:
		if v, diags := e.Value(nil); !diags.HasErrors() && v.Type() == cty.String {
			x.report(codeAfterQuoted, e.Range(), fmt.Sprintf("Write %s without quotes.", v.AsString()))
			return nil, false
		}
	}
	x.report(codeAfter, e.Range(), `Write each as kind.name, or kind.name["key"] for an instance of for_each.`, "after")
	return nil, false
}

func (x *evaluation) afterTraversal(s *serviceDraft, t hcl.Traversal, may access) ([]Address, bool) {
	kind := t.RootName()
	if x.run.options.Kinds.Resource(kind) == nil {
		if !s.misnamed(kind, second(t)) {
			x.report(codeAfter, t.SourceRange(), s.afterHint(t), "after")
		}
		return nil, false
	}
	target, key, ok := x.checkSibling(t, may, false)
	if !ok {
		return nil, false
	}
	steps := 2
	if target.forEach != nil {
		steps = 3
	}
	if len(t) > steps {
		x.report(codeAfter, t.SourceRange(), fmt.Sprintf("A resource is meant, not a field: write %s.", target.local), "after")
		return nil, false
	}
	return target.addresses(key), true
}

// afterHint is what to write instead of what names no resource.
func (s *serviceDraft) afterHint(t hcl.Traversal) string {
	var called []string
	for _, r := range s.resources {
		if r.name == t.RootName() && !r.schema.Task {
			called = append(called, r.local)
		}
	}
	if len(t) == 1 && len(called) == 1 {
		return fmt.Sprintf("Write %s.", called[0])
	}
	return `Write each as kind.name, or kind.name["key"] for an instance of for_each.`
}

func traversalText(t hcl.Traversal) string {
	s := ""
	for i, step := range t {
		switch step := step.(type) {
		case hcl.TraverseRoot:
			s = step.Name
		case hcl.TraverseAttr:
			s += "." + step.Name
		default:
			s += fmt.Sprintf("[%q]", stepName(t, i))
		}
	}
	return s
}
