package spec

import (
	"errors"
	"regexp/syntax"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// What expressions may cost. A few lines can ask for more memory and time than there
// is: text in loops in loops, a pattern with repeats of repeats, a list of lists.
const (
	maxArguments = 1 << 16   // elements in the arguments of one call
	maxResult    = 4 << 20   // bytes of text that goes into or comes out of one call
	maxHeld      = 64 << 20  // bytes that the values of loops and long templates of one load take, about
	maxKept      = 256 << 20 // and those of all arguments
	maxWork      = 1 << 30   // bytes of text that one load looks at, or what takes as long
	maxParts     = 16        // of a template that are not counted
	maxGiven     = 1000      // arguments of one call
	maxMatching  = 64 << 20  // steps of a pattern times bytes of text
	maxJSONDepth = 100

	workPerByte = 1 << 10 // more of these for each byte of a set
	heldPerByte = 64
	keptPerByte = 64

	callCost    = 256
	stepCost    = 4096 // of a loop
	elementCost = 256
	elementSize = 64 // in memory
)

var (
	errSpent   = errors.New("the set computes too much")
	errTooMuch = errors.New("it takes or gives more than 4 MiB of text, or a list of more than 65536 elements")
)

// budget is what the expressions of one load have cost. Safe for concurrent use. Once it
// is spent every call fails, and the load has one finding that says so.
type budget struct {
	work, held, kept atomic.Int64
	source           int64 // bytes of the set, once for each time that they are evaluated
}

// spent says whether more was computed than there is for a set of its size: many services
// with a few loops each are many loops.
func (b *budget) spent() bool {
	return b.work.Load() > maxWork+workPerByte*b.source || b.held.Load() > maxHeld+heldPerByte*b.source || b.kept.Load() > maxKept+keptPerByte*b.source
}

// reset begins another load, of so many bytes that are evaluated for so many nodes.
func (b *budget) reset(source int64, nodes int) {
	b.source = min(source, maxSetSize) * int64(1+nodes)
	b.work.Store(0)
	b.held.Store(0)
	b.kept.Store(0)
}

// hold counts a value: among those that expressions make, or those that are kept.
func (b *budget) hold(v cty.Value, among *atomic.Int64) error {
	elements, text := 0, 0
	measure(v, &elements, &text)
	return b.holdMeasured(elements, text, among)
}

func (b *budget) holdMeasured(elements, text int, among *atomic.Int64) error {
	among.Add(int64(text) + int64(elements)*elementSize)
	if b.spent() {
		return errSpent
	}
	return nil
}

// measure counts what is in a value, no further than matters.
func measure(v cty.Value, elements, text *int) {
	*elements++
	if !v.IsKnown() || v.IsNull() || *elements > maxArguments || *text > maxResult {
		return
	}
	t := v.Type()
	if t == cty.String {
		*text += len(v.AsString())
		return
	}
	if t.IsPrimitiveType() || !v.CanIterateElements() {
		return
	}
	for it := v.ElementIterator(); it.Next() && *elements <= maxArguments && *text <= maxResult; {
		_, e := it.Element()
		measure(e, elements, text)
	}
}

// counted keeps a function from being asked for more than there is.
func (b *budget) counted(f function.Function, name string) function.Function {
	return function.New(&function.Spec{
		Params:   f.Params(),
		VarParam: f.VarParam(),
		Type: func(args []cty.Value) (cty.Type, error) {
			elements, text := 0, 0
			for _, a := range args {
				measure(a, &elements, &text)
			}
			cost := int64(callCost + text + elements*elementCost)
			if name == "distinct" { // compares each with each
				cost += elementCost * int64(elements) * int64(elements)
			}
			if b.work.Add(cost); b.spent() {
				return cty.DynamicPseudoType, errSpent
			}
			if elements > maxArguments || text > maxResult || result(name, args, elements, text) > maxResult {
				return cty.DynamicPseudoType, errTooMuch
			}
			if err := readable(name, args); err != nil {
				return cty.DynamicPseudoType, err
			}
			return f.ReturnTypeForValues(args)
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, err := f.Call(args)
			elements, text := 0, 0
			measure(v, &elements, &text)
			b.work.Add(int64(text + elements*elementCost))
			return v, err
		},
	})
}

// word is an argument's text, "" where it is none.
func word(a cty.Value) string {
	if a.Type() != cty.String || !a.IsKnown() || a.IsNull() {
		return ""
	}
	return a.AsString()
}

func longest(args []cty.Value) (n int) {
	for _, a := range args {
		n = max(n, len(word(a)))
	}
	return n
}

// result is how much text a function makes at most, where that is more than it is given.
func result(name string, args []cty.Value, elements, text int) int {
	w := func(i int) string { return word(args[i]) }
	switch name {
	case "join":
		return text + len(w(0))*elements
	case "replace":
		if w(1) == "" {
			return len(w(0)) + len(w(2))*(len(w(0))+1)
		}
		return len(w(0)) + len(w(2))*strings.Count(w(0), w(1))
	case "format":
		return len(w(0)) + strings.Count(w(0), "%")*(longest(args[1:])+1000)
	case "formatlist":
		verbs, rows := strings.Count(w(0), "%"), max(1, elements-len(args))
		return rows*(len(w(0))+verbs*longest(args[1:])) + verbs*text
	case "split":
		return elementSize * strings.Count(w(1), w(0))
	case "csvdecode":
		return elementSize * (strings.Count(w(0), ",") + strings.Count(w(0), "\n"))
	case "jsondecode":
		return elementSize * (strings.Count(w(0), ",") + strings.Count(w(0), "["))
	}
	return 0
}

// readable says why a function would take too long over a text.
func readable(name string, args []cty.Value) error {
	w := func(i int) string { return word(args[i]) }
	switch name {
	case "jsondecode":
		depth := 0
		for _, c := range []byte(w(0)) {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth--
			}
			if depth > maxJSONDepth {
				return errors.New("the text has more than 100 brackets in each other")
			}
		}
	case "regex", "regexall":
		if len(w(0)) > 1<<12 {
			return errors.New("the pattern has more than 4096 characters")
		}
		parsed, err := syntax.Parse(w(0), syntax.Perl)
		if err != nil {
			return nil // the function says it better
		}
		if steps, err := syntax.Compile(parsed.Simplify()); err == nil && len(steps.Inst)*max(len(w(1)), 1) > maxMatching {
			return errors.New("the pattern has too many repeats for so long a text")
		}
	}
	return nil
}

// countName is a function that nobody can write: it counts what loops and templates make.
const countName = " count"

func (b *budget) count() function.Function {
	anything := function.Parameter{Name: "value", Type: cty.DynamicPseudoType, AllowNull: true, AllowUnknown: true, AllowDynamicType: true, AllowMarked: true}
	return function.New(&function.Spec{
		Params: []function.Parameter{anything},
		Type: func(args []cty.Value) (cty.Type, error) {
			b.work.Add(stepCost)
			if err := b.hold(args[0], &b.held); err != nil {
				return cty.DynamicPseudoType, err
			}
			return args[0].Type(), nil
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) { return args[0], nil },
	})
}

// countedExpr is an expression whose value is counted.
func countedExpr(e hclsyntax.Expression) hclsyntax.Expression {
	switch e.(type) {
	case nil, *hclsyntax.LiteralValueExpr:
		return e
	}
	r := e.Range()
	return &hclsyntax.FunctionCallExpr{
		Name: countName, Args: []hclsyntax.Expression{e},
		NameRange: r, OpenParenRange: r, CloseParenRange: r,
	}
}

// countParts counts the parts of a template: all of a long one, and those that may be long.
func countParts(t *hclsyntax.TemplateExpr) {
	for i, part := range t.Parts {
		switch part.(type) {
		case *hclsyntax.LiteralValueExpr:
		case *hclsyntax.ScopeTraversalExpr, *hclsyntax.FunctionCallExpr:
			if len(t.Parts) > maxParts {
				t.Parts[i] = countedExpr(part)
			}
		default:
			t.Parts[i] = countedExpr(part)
		}
	}
}

// spentBy says whether an evaluation failed since the budget is spent, or one call too large.
func spentBy(d *hcl.Diagnostic) (spent, tooMuch bool) {
	return strings.Contains(d.Detail, errSpent.Error()), strings.Contains(d.Detail, errTooMuch.Error())
}
