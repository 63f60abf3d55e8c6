package spec

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// evaluation is the work on one file, or on one definition.
type evaluation struct {
	run      *run
	file     *file
	stack    []*definition // definitions that wait for this one
	node     Node          // "": none in particular
	sees     nodeValues    // of the node
	findings []Finding
	onEach   distinct // what was found for single nodes
	vars     *hcl.EvalContext
	read     map[hclsyntax.Expression][]hcl.Traversal // what variables has answered
}

// variables lists what an expression reads. Several steps ask, and the answer costs
// a walk through the expression.
func (x *evaluation) variables(e hclsyntax.Expression) []hcl.Traversal {
	switch e := e.(type) {
	case *hclsyntax.LiteralValueExpr:
		return nil
	case *hclsyntax.TemplateExpr:
		if e.IsStringLiteral() {
			return nil
		}
	}
	out, known := x.read[e]
	if !known {
		if x.read == nil {
			x.read = map[hclsyntax.Expression][]hcl.Traversal{}
		}
		out = appendVariables(nil, e)
		x.read[e] = out
	}
	return out
}

// reading is an expression that reads something.
type reading struct {
	expr  hclsyntax.Expression
	names []hcl.Traversal
}

// readings lists the expressions that read something: those of a body, in the order of
// the text, and behind them those of the blocks in it.
func (x *evaluation) readings(body *hclsyntax.Body) []reading { return x.appendReadings(nil, body) }

func (x *evaluation) appendReadings(out []reading, body *hclsyntax.Body) []reading {
	own := len(out)
	for _, a := range body.Attributes {
		if names := x.variables(a.Expr); len(names) > 0 {
			out = append(out, reading{a.Expr, names})
		}
	}
	slices.SortFunc(out[own:], func(a, b reading) int { return a.expr.StartRange().Start.Byte - b.expr.StartRange().Start.Byte })
	for _, b := range body.Blocks {
		out = x.appendReadings(out, b.Body)
	}
	return out
}

// access says what an expression at its place may read beside var and local.
type access struct {
	node, each bool
	service    *serviceDraft // nil: neither service.name nor resources
	reader     *resourceDraft
}

type outcome int

const (
	evaluated outcome = iota
	failed            // the reason was reported, here or where it lies
)

func (x *evaluation) report(code string, at hcl.Range, detail string, args ...any) {
	x.findings = append(x.findings, newFinding(code, at, detail, args...))
}

// readNames notes the variables and locals that expressions read, and their values.
func (x *evaluation) readNames(all []reading) []read {
	var names []string
	var whole map[string]*value // by prefix
	for _, r := range all {
		for _, t := range r.names {
			prefix := t.RootName() + "."
			if prefix != "var." && prefix != "local." {
				continue
			}
			if name := second(t); name != "" {
				names = append(names, prefix+name)
			} else if len(t) == 1 {
				all := x.run.visible(x.file.folder, prefix)
				if whole == nil {
					whole = map[string]*value{}
				}
				whole[prefix] = namesOf(all)
				names = append(names, all...)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	reads := make([]read, 0, len(names)+len(whole))
	for _, prefix := range slices.Sorted(maps.Keys(whole)) {
		reads = append(reads, read{prefix, whole[prefix]})
	}
	for _, n := range names {
		reads = append(reads, read{n, x.run.valueOf(x.file.folder, n, x.stack)})
	}
	return reads
}

// second is the name behind a traversal's root, "" where there is none.
func second(t hcl.Traversal) string { return stepName(t, 1) }

// stepName is the name or literal key that step i of a traversal takes.
func stepName(t hcl.Traversal, i int) string {
	if i >= len(t) {
		return ""
	}
	switch s := t[i].(type) {
	case hcl.TraverseAttr:
		return s.Name
	case hcl.TraverseIndex:
		if s.Key.Type() == cty.String && s.Key.IsKnown() && !s.Key.IsNull() {
			return s.Key.AsString()
		}
	}
	return ""
}

// context makes the names that were read readable.
func (x *evaluation) context(reads []read, f *file) *hcl.EvalContext {
	vars, locals := map[string]cty.Value{}, map[string]cty.Value{}
	for _, rd := range reads {
		if rd.val == nil || !rd.val.ok || rd.whole() {
			continue
		}
		if name, isVar := strings.CutPrefix(rd.name, "var."); isVar {
			vars[name] = rd.val.v
		} else {
			locals[strings.TrimPrefix(rd.name, "local.")] = rd.val.v
		}
	}
	ctx := x.run.base.NewChild()
	ctx.Variables = map[string]cty.Value{"var": objectOf(vars), "local": objectOf(locals)}
	ctx.Functions = map[string]function.Function{"file": x.fileFunction(), "secret": x.secretFunction()}
	return ctx
}

func objectOf(values map[string]cty.Value) cty.Value {
	if len(values) == 0 {
		return cty.EmptyObjectVal
	}
	return cty.ObjectVal(values)
}

// eval evaluates an expression. Its value may be unknown, or hold unknown parts.
func (x *evaluation) eval(expr hclsyntax.Expression, may access, ctx *hcl.EvalContext) (cty.Value, outcome) {
	if v, ok := asWritten(expr); ok {
		return v, evaluated
	}
	if !x.checkReads(expr, may) {
		return cty.DynamicVal, failed
	}
	v, diags := expr.Value(ctx)
	if diags.HasErrors() {
		for _, d := range diags {
			if d.Severity == hcl.DiagError && d.Summary != "Call to unknown function" { // that was found while parsing
				if spent, tooMuch := spentBy(d); spent || tooMuch {
					x.report(codeTooLarge, rangeOf(d, x.file.path), "One call takes and gives at most 4 MiB of text and 65536 elements.", "what is computed here")
					continue
				}
				if secretTrouble(d) {
					x.reportSecretUse(rangeOf(d, x.file.path))
					continue
				}
				summary, detail := said(d)
				x.report(codeEvaluation, x.exact(rangeOf(d, x.file.path)), detail, summary)
			}
		}
		return cty.DynamicVal, failed
	}
	return v, evaluated
}

// exact is a place without the dot, brackets or parenthesis around what is meant.
func (x *evaluation) exact(r hcl.Range) hcl.Range {
	src := x.file.source
	if r.Start.Line != r.End.Line || r.End.Byte-r.Start.Byte < 2 || r.End.Byte > len(src) {
		return r
	}
	first, last := src[r.Start.Byte], src[r.End.Byte-1]
	if first == '.' || first == '[' && last == ']' {
		r.Start.Byte, r.Start.Column = r.Start.Byte+1, r.Start.Column+1
	}
	if last == '(' || first == '[' && last == ']' {
		r.End.Byte, r.End.Column = r.End.Byte-1, r.End.Column-1
	}
	return r
}

func (x *evaluation) reportSecretUse(at hcl.Range) {
	x.report(codeSecretUse, at, "Its value is only known on the node, when it is used: pass it on whole, or put it into text with ${ }.")
}

// said takes the reason out of what HCL says about an operator that fails, and says
// what there is where something is not.
func said(d *hcl.Diagnostic) (summary, detail string) {
	if summary, detail, is := absent(d); is {
		return summary, detail
	}
	if why, is := strings.CutPrefix(d.Detail, "Error during operation: "); is {
		if summary, detail, is = strings.Cut(why, ": "); is {
			return summary, strings.ToUpper(detail[:1]) + detail[1:]
		}
	}
	if rest, is := strings.CutPrefix(d.Detail, "Call to function "); is && d.Summary == "Error in function call" {
		if name, reason, is := strings.Cut(rest, " failed: "); is {
			if reason == "EOF." || reason == "unexpected EOF." {
				reason = "the text ends too soon."
			}
			return strings.Trim(name, `"`) + "() has no result", strings.ToUpper(reason[:1]) + reason[1:]
		}
	}
	return lowerFirst(d.Summary), d.Detail
}

// include reads a file for file("…"), once a load.
func (r *run) include(p string) *included {
	r.shared.Lock()
	defer r.shared.Unlock()
	if have := r.included[p]; have != nil {
		return have
	}
	in := &included{}
	r.included[p] = in
	info, err := fs.Stat(r.fsys, p)
	switch {
	case err != nil:
		in.err = err
	case !info.Mode().IsRegular():
		in.err = fmt.Errorf("%s is not a regular file", p)
	case info.Size() > maxText:
		in.err = fmt.Errorf("%s is larger than 1 MiB", p)
	default:
		var b []byte
		if b, in.err = readFile(r.fsys, p, maxText); in.err == nil {
			in.text, in.hash = string(b), sha256.Sum256(b)
		}
	}
	return in
}

// fileFunction reads a file of the set, relative to the file that calls it.
func (x *evaluation) fileFunction() function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{stringArg("path")},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			unknown := cty.UnknownVal(cty.String)
			if holdsMark(args[0].AsString()) {
				return unknown, errSecret
			}
			p := path.Join(x.file.folder, args[0].AsString())
			if path.IsAbs(args[0].AsString()) || !fs.ValidPath(p) {
				return unknown, fmt.Errorf("%q lies outside the set; write a path relative to this file", args[0].AsString())
			}
			in := x.run.include(p)
			if in.err != nil {
				x.file.incomplete = true
				return unknown, fmt.Errorf("cannot read %s: %w", p, in.err)
			}
			var by *definition
			if n := len(x.stack); n > 0 {
				by = x.stack[n-1]
			}
			if !slices.ContainsFunc(x.file.includes, func(i include) bool { return i.path == p && i.by == by }) {
				x.file.includes = append(x.file.includes, include{p, in.hash, by})
			}
			if holdsMark(in.text) {
				return unknown, errForged
			}
			return cty.StringVal(in.text), nil
		},
	})
}

// endless says whether a number would take seconds and megabytes to become text.
func endless(v cty.Value) bool {
	if v.Type() != cty.Number || !v.IsKnown() || v.IsNull() {
		return false
	}
	n := v.AsBigFloat()
	e := n.MantExp(nil)
	return n.IsInf() || e > 4096 || e < -4096
}

// checkCalls finds calls to functions that do not exist, and endless numbers.
func checkCalls(body *hclsyntax.Body) (found []Finding) {
	visit(body, func(n hclsyntax.Node) {
		if lit, ok := n.(*hclsyntax.LiteralValueExpr); ok && endless(lit.Val) {
			found = append(found, newFinding(codeTooLarge, lit.SrcRange, "Write at most a thousand digits.", "the number"))
		}
		call, ok := n.(*hclsyntax.FunctionCallExpr)
		if !ok {
			return
		}
		if len(call.Args) > maxGiven {
			found = append(found, newFinding(codeTooLarge, call.NameRange, fmt.Sprintf("It takes at most %d arguments.", maxGiven), "the call"))
		}
		if _, known := functions[call.Name]; known || call.Name == countName || call.Name == "file" || call.Name == "secret" {
			return
		}
		if call.Name == "env" {
			found = append(found, newFinding(codeNotHere, call.NameRange,
				"env() can be called in agent.hcl only. Write node.labels, or a variable, for what differs.", "env()"))
			return
		}
		names := append(slices.Collect(maps.Keys(functions)), "file", "secret")
		detail := "The functions are in the manual."
		if n := Nearest(call.Name, names); n != "" {
			detail = fmt.Sprintf("Did you mean %q?", n)
		}
		found = append(found, newFinding(codeFunction, call.NameRange, detail, call.Name))
	})
	return found
}

// loops counts for expressions in each other.
type loops struct {
	depth int
	at    *hcl.Range
}

func (l *loops) Enter(n hclsyntax.Node) hcl.Diagnostics {
	if f, ok := n.(*hclsyntax.ForExpr); ok {
		if l.depth++; l.depth > maxLoops && l.at == nil {
			l.at = &f.SrcRange
		}
	}
	return nil
}

func (l *loops) Exit(n hclsyntax.Node) hcl.Diagnostics {
	if _, ok := n.(*hclsyntax.ForExpr); ok {
		l.depth--
	}
	return nil
}

func deepLoop(body *hclsyntax.Body, src []byte) (hcl.Range, bool) {
	if bytes.Count(src, []byte("for")) <= maxLoops {
		return hcl.Range{}, false
	}
	var l loops
	hclsyntax.Walk(body, &l)
	if l.at == nil {
		return hcl.Range{}, false
	}
	return *l.at, true
}
