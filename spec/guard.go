package spec

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// A secret goes through expressions as text with a mark in it. Whatever would look at
// that text, instead of passing it on whole, is guarded: functions, operators, conditions
// and keys.

// What stands before the colon is the summary of a finding.
var (
	errSecret = errors.New("a secret can't be computed with: its value is only known on the node, when it is used. Pass it on whole, or put it into text with ${ }")
	errForged = errors.New("the text has a character that svcctl keeps for itself: U+E0C0 and U+E0C1 stand for secrets")
)

func holdsMark(s string) bool { return strings.Contains(s, markBegin) || strings.Contains(s, markEnd) }

// holdsSecret says whether there is a secret anywhere in a value.
func holdsSecret(v cty.Value) bool {
	if !v.IsKnown() || v.IsNull() {
		return false // nothing to look into: what differs from node to node, for one
	}
	t := v.Type()
	if t == cty.String {
		return holdsMark(v.AsString())
	}
	if t.IsPrimitiveType() || t.IsCollectionType() && t.ElementType() != cty.String && t.ElementType().IsPrimitiveType() || !v.CanIterateElements() {
		return false
	}
	keyed := t.IsMapType() || t.IsObjectType()
	for it := v.ElementIterator(); it.Next(); {
		k, e := it.Element()
		if keyed && holdsMark(k.AsString()) || holdsSecret(e) {
			return true
		}
	}
	return false
}

// passing are the functions that leave the text in their arguments whole. An argument
// whose number is given is not among that text.
var passing = map[string][]int{
	"join": {}, "format": {}, "formatlist": {}, "concat": {}, "merge": {}, "keys": {}, "values": {}, "lookup": {1},
	"element": {}, "zipmap": {0}, "flatten": {}, "reverse": {}, "slice": {}, "chunklist": {}, "coalescelist": {},
	"tostring": {}, "tolist": {}, "tomap": {}, "length": {},
}

// guardFunctions keeps functions from looking at secrets. try and can are left as they
// are: they take expressions, and evaluate them.
func guardFunctions(all map[string]function.Function) map[string]function.Function {
	out := make(map[string]function.Function, len(all))
	for name, f := range all {
		if name == "try" || name == "can" {
			out[name] = f
			continue
		}
		looks := func(i int) bool { return true }
		if not, is := passing[name]; is {
			looks = func(i int) bool { return slices.Contains(not, i) }
		}
		out[name] = guarded(f, looks, name)
	}
	return out
}

func guarded(f function.Function, looks func(argument int) bool, name string) function.Function {
	return function.New(&function.Spec{
		Params:   f.Params(),
		VarParam: f.VarParam(),
		Type: func(args []cty.Value) (cty.Type, error) {
			secrets := false
			for i, a := range args {
				if !holdsSecret(a) {
					continue
				}
				secrets = true
				if looks(i) || name == "length" && a.Type() == cty.String {
					return cty.DynamicPseudoType, function.NewArgError(i, errSecret)
				}
			}
			if secrets && (name == "format" || name == "formatlist") && !plainFormat(args[0]) {
				return cty.DynamicPseudoType, function.NewArgError(0, errSecret)
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, err := f.Call(args)
			if err == nil && holdsSecret(v) && !slices.ContainsFunc(args, holdsSecret) {
				return cty.DynamicVal, errForged
			}
			return v, err
		},
	})
}

var formatVerb = regexp.MustCompile(`%(?:\[[0-9]+\])?([^a-zA-Z%]*)([a-zA-Z%])`) // what stands between an argument's number and the verb

// plainFormat says whether each verb of a format that takes text puts it there as it is.
func plainFormat(form cty.Value) bool {
	if !form.IsKnown() || form.IsNull() || form.Type() != cty.String || holdsMark(form.AsString()) {
		return false
	}
	for _, m := range formatVerb.FindAllStringSubmatch(form.AsString(), -1) {
		switch m[2] {
		case "s", "v":
			if m[1] != "" {
				return false
			}
		case "q":
			return false
		}
	}
	return true
}

// guardOperator keeps an operator from looking at secrets.
func guardOperator(op *hclsyntax.Operation) *hclsyntax.Operation {
	out := *op
	out.Impl = guarded(op.Impl, func(int) bool { return true }, "")
	return &out
}

// guard stands around what decides and is not an operator: conditions and keys. It looks
// like an operator, so that whoever walks through the expression finds what is in it.
var guard = &hclsyntax.Operation{Type: cty.DynamicPseudoType, Impl: function.New(&function.Spec{
	Params: []function.Parameter{{Name: "value", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true, AllowDynamicType: true}},
	Type: func(args []cty.Value) (cty.Type, error) {
		if holdsSecret(args[0]) {
			return cty.DynamicPseudoType, errSecret
		}
		return args[0].Type(), nil
	},
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return args[0], nil },
})}

func guardedExpr(e hclsyntax.Expression) hclsyntax.Expression {
	switch e := e.(type) {
	case nil:
		return nil
	case *hclsyntax.LiteralValueExpr, *hclsyntax.BinaryOpExpr: // an operator has a guard of its own
		return e
	case *hclsyntax.TemplateExpr:
		if e.IsStringLiteral() {
			return e
		}
	}
	return &hclsyntax.UnaryOpExpr{Op: guard, Val: e, SrcRange: e.Range(), SymbolRange: e.StartRange()}
}

// guardTree makes the operators of a tree ours, and guards its conditions and keys. It
// answers where text is written that holds a character of our own.
func guardTree(body *hclsyntax.Body, crlf bool) (forged []hcl.Range) {
	visit(body, func(n hclsyntax.Node) {
		switch n := n.(type) {
		case *hclsyntax.BinaryOpExpr:
			if ours := operators[n.Op]; ours != nil {
				n.Op = ours
			}
		case *hclsyntax.UnaryOpExpr:
			if ours := operators[n.Op]; ours != nil {
				n.Op = ours
			}
		case *hclsyntax.ConditionalExpr:
			n.Condition = guardedExpr(n.Condition)
		case *hclsyntax.IndexExpr:
			n.Key = guardedExpr(n.Key)
		case *hclsyntax.TemplateExpr:
			countParts(n)
		case *hclsyntax.ForExpr:
			n.CollExpr, n.ValExpr = countedExpr(n.CollExpr), countedExpr(n.ValExpr)
			n.KeyExpr, n.CondExpr = guardedExpr(n.KeyExpr), guardedExpr(n.CondExpr)
		case *hclsyntax.ObjectConsKeyExpr:
			if _, word := n.Wrapped.(*hclsyntax.ScopeTraversalExpr); !word || n.ForceNonLiteral {
				n.Wrapped = guardedExpr(n.Wrapped)
			}
		case *hclsyntax.LiteralValueExpr:
			if n.Val.Type() != cty.String || n.Val.IsNull() {
				break
			}
			if holdsMark(n.Val.AsString()) {
				forged = append(forged, n.SrcRange)
			}
			if crlf && n.SrcRange.End.Line > n.SrcRange.Start.Line { // text over several lines is the same in a file from Windows
				n.Val = cty.StringVal(strings.ReplaceAll(n.Val.AsString(), "\r\n", "\n"))
			}
		}
	})
	return forged
}

// secretUse is a secret that a file's expressions have named, with the fingerprint
// that it had then.
type secretUse struct{ name, fingerprint string }

// fingerprint asks for a secret's, once a load.
func (r *run) fingerprint(name string) string {
	r.shared.Lock()
	defer r.shared.Unlock()
	f, asked := r.fingerprints[name]
	if !asked && r.options.Secrets != nil {
		f = r.options.Secrets.Fingerprint(name)
		r.fingerprints[name] = f
	}
	return f
}

func (r *run) secretsChanged(f *file) bool {
	return slices.ContainsFunc(f.secrets, func(u secretUse) bool { return r.fingerprint(u.name) != u.fingerprint })
}

// secretFunction is secret("name"): a mark in the place of a value.
func (x *evaluation) secretFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{stringArg("name")},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			name := args[0].AsString()
			if holdsMark(name) {
				return cty.UnknownVal(cty.String), errSecret
			}
			if !validName(name, true) || name[0] == '.' {
				return cty.UnknownVal(cty.String), fmt.Errorf("%q is no name of a secret: write letters, digits, -, _ and dots, at most 63, not beginning with a dot", name)
			}
			use := secretUse{name, x.run.fingerprint(name)}
			if !slices.Contains(x.file.secrets, use) {
				x.file.secrets = append(x.file.secrets, use)
			}
			return cty.StringVal(secretMark(name, use.fingerprint)), nil
		},
	})
}

// secretTrouble says whether an evaluation failed over a secret, rather than over what
// it complains of.
func secretTrouble(d *hcl.Diagnostic) bool {
	if strings.Contains(d.Detail, errSecret.Error()) {
		return true
	}
	if d.Expression == nil || d.EvalContext == nil {
		return false
	}
	v, diags := d.Expression.Value(d.EvalContext)
	return !diags.HasErrors() && v.Type() == cty.String && holdsSecret(v)
}

// placeSecret says why the secret in a value can't stand in an argument, nil if it can.
func (d *decoding) placeSecret(f *Field, v cty.Value) *mistake {
	if t := f.Type; f.Secret && (t == cty.String || t.IsListType() || t.IsMapType()) {
		return nil // a map's keys hold none: they are guarded where they are made
	}
	var takers []string
	for _, p := range d.parts {
		takers = append(takers, takesSecrets(p.schema, "")...)
	}
	detail := "Nothing in it takes secrets: give it to the arguments of a resource, task or check that do (svcctl explain shows them)."
	if len(takers) > 0 {
		detail = fmt.Sprintf("Its value would be shown to all, as in the list of processes. What takes secrets here: %s.", strings.Join(takers, ", "))
	}
	m := wrong(codeSecretPlace, detail, f.Name)
	if t := v.Type(); t.IsTupleType() || t.IsListType() {
		for it := v.ElementIterator(); it.Next(); {
			m.element++
			if _, e := it.Element(); holdsSecret(e) {
				break
			}
		}
	}
	return m
}

// takesSecrets lists the arguments of a schema, and of the blocks in it, that do.
func takesSecrets(s *Schema, prefix string) (names []string) {
	for i := range s.Fields {
		if s.Fields[i].Secret {
			names = append(names, prefix+s.Fields[i].Name)
		}
	}
	for i := range s.Blocks {
		names = append(names, takesSecrets(s.Blocks[i].Schema, prefix+s.Blocks[i].Name+".")...)
	}
	return names
}
