package spec

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// A line break that gets lost behind a comment makes the next line part of it. What stood
// there is known by its indentation, which stands in the middle of the comment now, and by
// being complete: an argument that the block takes and does not have, an element of a list
// or map. A comment that begins with code was meant to.

// swallowedLine is a comment with something in it that may have been a line of its own.
type swallowedLine struct {
	at      hcl.Range // of what may be code
	code    []byte
	comment hcl.Range
	block   *hclsyntax.Block     // the innermost around it
	takes   *decoding            // what that block takes; nil: not known
	inside  hclsyntax.Expression // the list, map or call around it, if there is one
}

var blanks = regexp.MustCompile(`[ \t]+`)

const (
	maxComment = 500 // characters of a comment that is looked into
	maxRuns    = 16  // of blanks in one comment that are looked behind
)

// mayGoOn says whether there seems to be a comment that goes on behind several blanks. Few
// files have one; only those pay for a closer look.
func mayGoOn(src []byte) bool {
	for at := 0; at < len(src); {
		i := bytes.IndexAny(src[at:], "#/")
		if i < 0 {
			return false
		}
		at += i + 1
		if src[at-1] == '/' && (at >= len(src) || src[at] != '/') {
			continue
		}
		end := len(src)
		if i := bytes.IndexByte(src[at:], '\n'); i >= 0 {
			end = at + i
		}
		rest := bytes.TrimSpace(bytes.TrimLeft(src[at:end], "#/"))
		if bytes.Contains(rest, []byte("  ")) || bytes.IndexByte(rest, '\t') >= 0 {
			return true
		}
		at = end
	}
	return false
}

// reportSwallowed finds comments that go on into what was a line of its own.
func (x *evaluation) reportSwallowed(body *hclsyntax.Body) {
	src := x.file.source
	if x.file.torn != nil || !mayGoOn(src) {
		return
	}
	var lines []*swallowedLine
	tokens, _ := hclsyntax.LexConfig(src, x.file.path, hcl.InitialPos)
	for _, t := range tokens {
		if t.Type == hclsyntax.TokenComment && !bytes.HasPrefix(t.Bytes, []byte("/*")) && len(t.Bytes) <= maxComment && mayGoOn(t.Bytes) {
			lines = append(lines, swallowedIn(t, src)...)
		}
	}
	for _, b := range body.Blocks {
		x.around(lines, b, nil)
	}
	var done hcl.Range
	for _, l := range lines {
		if l.comment != done && l.takes != nil && l.reportIn(x) {
			done = l.comment
		}
	}
}

// swallowedIn lists what may be code in a comment: behind as many blanks as its line begins
// with. What ends with a colon announces an example.
func swallowedIn(t hclsyntax.Token, src []byte) (out []*swallowedLine) {
	start := t.Range.Start.Byte
	line := src[bytes.LastIndexByte(src[:start], '\n')+1 : start]
	indent := line[:len(line)-len(bytes.TrimLeft(line, " \t"))]
	opens := bytes.Count(line, []byte("{"))+bytes.Count(line, []byte("["))+bytes.Count(line, []byte("(")) >
		bytes.Count(line, []byte("}"))+bytes.Count(line, []byte("]"))+bytes.Count(line, []byte(")"))
	comment := bytes.TrimRight(t.Bytes, " \t\r\n")
	words := bytes.TrimLeft(comment, "#/ \t")
	for _, run := range blanks.FindAllIndex(comment, maxRuns) {
		before, gap, code := comment[len(comment)-len(words):max(run[0], len(comment)-len(words))], comment[run[0]:run[1]], comment[run[1]:]
		if len(before) == 0 || before[len(before)-1] == ':' || len(gap) < 2 && gap[0] != '\t' || !begins(gap, indent, opens) || itself(before) {
			continue
		}
		at := t.Range
		at.Start.Byte += run[1]
		at.Start.Column += len([]rune(string(comment[:run[1]])))
		at.End = at.Start
		at.End.Byte += len(code)
		at.End.Column += len([]rune(string(code)))
		out = append(out, &swallowedLine{at: at, code: code, comment: t.Range})
	}
	return out
}

// begins says whether blanks are those that the next line begins with: as many as this one's,
// or a step more behind what it opens.
func begins(gap, indent []byte, opens bool) bool {
	more, is := bytes.CutPrefix(gap, indent)
	return is && (len(more) == 0 || opens && len(more) <= 8)
}

// itself says whether a comment begins with code: then all of it was meant to be one.
func itself(text []byte) bool {
	body, _, wrong := parseText("", text, hcl.InitialPos)
	return len(wrong) == 0 && len(body.Attributes)+len(body.Blocks) > 0 || len(elements(text)) > 0
}

// around notes of the lines in a block what is around them.
func (x *evaluation) around(lines []*swallowedLine, b *hclsyntax.Block, above *decoding) {
	lines = linesIn(lines, hcl.RangeBetween(b.OpenBraceRange, b.CloseBraceRange))
	if len(lines) == 0 {
		return
	}
	takes := x.takenBy(b, above)
	for _, l := range lines {
		l.block, l.takes, l.inside = b, takes, nil
	}
	for _, a := range b.Body.Attributes {
		inner := linesIn(lines, a.SrcRange)
		if len(inner) == 0 {
			continue
		}
		hclsyntax.VisitAll(a.Expr, func(n hclsyntax.Node) hcl.Diagnostics {
			switch n := n.(type) {
			case *hclsyntax.ObjectConsExpr:
				note(inner, n)
			case *hclsyntax.TupleConsExpr:
				note(inner, n)
			case *hclsyntax.FunctionCallExpr:
				note(inner, n)
			}
			return nil
		})
		for _, l := range inner {
			if l.inside == nil { // between the operands of an expression: nothing is lost there without a mistake
				l.takes = nil
			}
		}
	}
	for _, inner := range b.Body.Blocks {
		x.around(lines, inner, takes)
	}
}

func note(lines []*swallowedLine, e hclsyntax.Expression) {
	for _, l := range linesIn(lines, e.Range()) {
		l.inside = e
	}
}

// linesIn are those of the lines, which are in the order of the text, that lie in a range.
func linesIn(lines []*swallowedLine, r hcl.Range) []*swallowedLine {
	order := func(l *swallowedLine, at int) int { return cmp.Compare(l.at.Start.Byte, at) }
	from, _ := slices.BinarySearchFunc(lines, r.Start.Byte, order)
	to, _ := slices.BinarySearchFunc(lines, r.End.Byte, order)
	return lines[from:max(from, to)]
}

// takenBy is what may stand in a block, nil where that is not known or anything may.
func (x *evaluation) takenBy(b *hclsyntax.Block, above *decoding) *decoding {
	of := func(schemas ...*Schema) *decoding {
		d := &decoding{body: b.Body}
		for _, s := range schemas {
			if s == nil {
				return nil
			}
			d.parts = append(d.parts, &part{schema: s})
		}
		return d
	}
	switch {
	case above == nil && b.Type == "service":
		return of(serviceSchema)
	case above == nil:
		return nil // without what they need, variable and assert are found to be mistaken; of locals any name is right
	case b.Type == "check" && len(b.Labels) > 0:
		return of(checkSchema, x.run.options.Kinds.Check(b.Labels[0]))
	case above.takes(serviceSchema) && b.Type == "drill":
		return of(drillSchema)
	}
	if _, def := above.block(b.Type); def != nil {
		return of(def.Schema)
	}
	kind := x.run.options.Kinds.Resource(b.Type)
	if !above.takes(serviceSchema) || kind == nil {
		return nil
	}
	common := resourceSchema
	if kind.Task {
		common = taskSchema
	}
	d := of(kind, common)
	d.args = []string{"after", "for_each"}
	return d
}

// reportIn says that a line was swallowed, if it was.
func (l *swallowedLine) reportIn(x *evaluation) bool {
	what := ""
	switch e := l.inside.(type) {
	case nil:
		what = l.argument()
		x.findings = slices.DeleteFunc(x.findings, func(f Finding) bool { // it is not missing, but out of sight
			return what != "" && f.Code == codeMissing && f.Range == l.block.TypeRange && strings.HasSuffix(f.Summary, fmt.Sprintf(" needs %q", what))
		})
	case *hclsyntax.ObjectConsExpr:
		what = l.item(e)
	default:
		if found := elements(l.code); len(found) > 0 {
			what = found[0]
		}
	}
	if what == "" {
		return false
	}
	x.report(codeSwallowed, l.at, "Put it on a line of its own; or, if it is part of the comment, let one blank stand before it.", what)
	return true
}

// argument is the name of the argument, or block, that the code is.
func (l *swallowedLine) argument() string {
	body, _, wrong := parseText("", l.code, hcl.InitialPos)
	if len(wrong) > 0 || len(body.Attributes)+len(body.Blocks) != 1 {
		return ""
	}
	for _, b := range body.Blocks {
		_, def := l.takes.block(b.Type)
		there := slices.ContainsFunc(l.block.Body.Blocks, func(other *hclsyntax.Block) bool { return other.Type == b.Type })
		if def != nil && len(b.Labels) == 0 && !there {
			return b.Type
		}
	}
	for _, a := range body.Attributes {
		_, f := l.takes.field(a.Name)
		if (f != nil || slices.Contains(l.takes.args, a.Name)) && l.block.Body.Attributes[a.Name] == nil && !prose(a.Expr) {
			return a.Name
		}
	}
	return ""
}

// item is the key in a map that the code is.
func (l *swallowedLine) item(object *hclsyntax.ObjectConsExpr) string {
	e, diags := hclsyntax.ParseExpression(slices.Concat([]byte("{"), l.code, []byte("\n}")), "", hcl.InitialPos)
	parsed, is := e.(*hclsyntax.ObjectConsExpr)
	if diags.HasErrors() || !is || len(parsed.Items) != 1 || prose(parsed.Items[0].ValueExpr) {
		return ""
	}
	key, diags := parsed.Items[0].KeyExpr.Value(nil)
	if diags.HasErrors() || !knownText(key) {
		return ""
	}
	for _, item := range object.Items {
		if other, diags := item.KeyExpr.Value(nil); !diags.HasErrors() && knownText(other) && other.AsString() == key.AsString() {
			return ""
		}
	}
	return key.AsString()
}

func knownText(v cty.Value) bool { return v.Type() == cty.String && v.IsKnown() && !v.IsNull() }

// elements are those of a list that the code is: texts, or references with a comma.
func elements(code []byte) (out []string) {
	e, diags := hclsyntax.ParseExpression(slices.Concat([]byte("["), code, []byte("\n]")), "", hcl.InitialPos)
	list, is := e.(*hclsyntax.TupleConsExpr)
	if diags.HasErrors() || !is {
		return nil
	}
	for _, e := range list.Exprs {
		switch e.(type) {
		case *hclsyntax.TemplateExpr, *hclsyntax.TemplateWrapExpr:
		default:
			if prose(e) || !bytes.HasSuffix(code, []byte(",")) {
				return nil
			}
		}
		out = append(out, string(code[e.Range().Start.Byte-1:e.Range().End.Byte-1]))
	}
	return out
}

// prose says whether an expression looks like a word of a sentence.
func prose(e hclsyntax.Expression) bool {
	t, is := e.(*hclsyntax.ScopeTraversalExpr)
	return is && len(t.Traversal) == 1
}
