package spec

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	byteOrderMark = "\ufeff"

	maxNesting   = 64   // brackets in brackets
	maxOperators = 1000 // in one expression
	maxLoops     = 2    // for in for
	maxChain     = 1000 // values that are made of each other
	maxDigits    = 1100 // of a number
	maxTextLines = 10_000
)

// mayDefine says whether a file can hold variables or locals, without parsing it. What
// begins a line and is no service may be meant as one of them.
func mayDefine(src []byte) bool {
	for line := range bytes.Lines(bytes.TrimPrefix(src, []byte(byteOrderMark))) {
		if bytes.IndexByte([]byte(" \t\r\n#/})]"), line[0]) < 0 && !bytes.HasPrefix(line, []byte("service ")) && !bytes.HasPrefix(line, []byte("assert ")) {
			return true
		}
	}
	return bytes.Contains(src, []byte("variable")) || bytes.Contains(src, []byte("locals"))
}

// parse looks at the content of a file. It touches nothing but f.
func (f *file) parse(src []byte) *hclsyntax.Body {
	f.parsed = true
	body, findings, broken := parseSource(f.path, src)
	f.findings, f.broken = findings, broken
	f.ignores = ignoresIn(f.path, src)
	if broken {
		f.incomplete, f.ignores = true, ignoresInTorn(f.path, src)
		if body = f.recover(src, body != nil); body == nil {
			return nil
		}
	} else if isAgentFile(f, body) {
		f.agent, f.findings, f.ignores = true, nil, nil
		return nil
	}
	f.findings = append(f.findings, checkCalls(body)...)
	if slices.ContainsFunc(f.findings, func(x Finding) bool { return x.Code == codeTooLarge }) {
		f.broken, f.incomplete, f.torn = true, true, nil
		return nil
	}
	if at, deep := deepLoop(body, src); deep {
		f.findings = append(f.findings, newFinding(codeTooDeep, at, fmt.Sprintf("At most %d for expressions in each other.", maxLoops)))
		f.broken, f.incomplete, f.torn = true, true, nil
		return nil
	}
	f.definitions = collectDefinitions(f, body)
	return body
}

// recover reads what can be read of a file that is not HCL, if it is text at all.
func (f *file) recover(src []byte, text bool) (body *hclsyntax.Body) {
	var better []Finding
	if text {
		body, f.torn, better = recoverFile(f.path, src)
	}
	if better == nil {
		f.findings = explainSyntax(f.findings, src, src, hcl.InitialPos)
		return body
	}
	f.findings = append(slices.DeleteFunc(f.findings, func(x Finding) bool { return x.Code == codeSyntax }), better...)
	return body
}

// reparse reads the tree of a file again whose content was looked at before.
func (r *run) reparse(f *file) *hclsyntax.Body {
	if f.body != nil {
		return f.body
	}
	src := f.source
	if src == nil {
		var err error
		if src, err = readFile(r.fsys, f.path, maxFileSize); err != nil || sha256.Sum256(src) != f.hash {
			f.incomplete = true
			r.reportFile(codeUnreadable, f.path, "It changed while the set was read: load the set again.", "the file")
			return nil
		}
	}
	body, _, _ := parseSource(f.path, src)
	if f.torn != nil {
		body, f.torn, _ = recoverFile(f.path, src)
	}
	f.body, f.source = body, src
	for i, d := range collectDefinitions(f, body) { // same content, so that the order is the same
		f.definitions[i].expr = d.expr
	}
	return body
}

func parseSource(name string, src []byte) (*hclsyntax.Body, []Finding, bool) {
	if f, is := notText(name, src); is {
		return nil, []Finding{f}, true
	}
	if at := max(bytes.Index(src, []byte(markBegin)), bytes.Index(src, []byte(markEnd))); at >= 0 {
		return nil, []Finding{newFinding(codeMark, rangeAt(name, src, at, len(markBegin)),
			"U+E0C0 and U+E0C1 stand for secrets: remove it, and write secret(\"name\").")}, true
	}
	if f, is := Unparsable(name, src); is {
		return nil, []Finding{f}, true
	}
	body, findings, wrong := parseText(name, src, hcl.InitialPos)
	return body, append(findings, wrong...), len(wrong) > 0 || body == nil
}

// Unparsable says what keeps a text from being given to HCL's parser, which would use up
// its stack, or take minutes.
func Unparsable(name string, src []byte) (f Finding, is bool) {
	if at, is := endlessDigits(name, src); is {
		return newFinding(codeTooLarge, at, "Write at most a thousand digits.", "the number"), true
	}
	if at, deep := tooDeep(name, src, hcl.InitialPos); deep {
		return newFinding(codeTooDeep, at,
			fmt.Sprintf("At most %d brackets in each other and %d operators in one expression: divide it, in the files of a set with locals.", maxNesting, maxOperators)), true
	}
	return endlessText(name, src, hcl.InitialPos)
}

// parseText parses a file, or a piece of one that begins at pos: what is set twice, and
// the mistakes in the syntax.
func parseText(name string, src []byte, pos hcl.Pos) (body *hclsyntax.Body, findings, wrong []Finding) {
	parsed, diags := hclsyntax.ParseConfig(src, name, pos)
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		at := rangeOf(d, name)
		if d.Summary == "Attribute redefined" {
			if len(findings) > maxFindings {
				continue // the rest is not shown
			}
			word := string(src[at.Start.Byte-pos.Byte : at.End.Byte-pos.Byte])
			findings = append(findings, newFinding(codeSetTwice, at, setTwice(d.Detail), word))
			continue
		}
		wrong = append(wrong, newFinding(codeSyntax, at, d.Detail, lowerFirst(d.Summary)))
	}
	if body, _ = parsed.Body.(*hclsyntax.Body); body != nil {
		for _, at := range guardTree(body, bytes.Contains(src, []byte("\r\n"))) {
			findings = append(findings, newFinding(codeMark, at, "U+E0C0 and U+E0C1 stand for secrets: write secret(\"name\")."))
		}
	}
	return body, findings, withoutConsequences(wrong, src, pos)
}

// setTwice takes the place of the first argument out of what the parser says.
func setTwice(detail string) string {
	_, first, _ := strings.Cut(detail, "was already set at ")
	if place, _, found := strings.Cut(first, ","); found {
		return fmt.Sprintf("The first is at %s: remove one of them.", place)
	}
	return "Remove one of them."
}

// rangeAt is the place of one character of n bytes.
func rangeAt(name string, src []byte, at, n int) hcl.Range {
	line := 1 + bytes.Count(src[:at], []byte{'\n'})
	column := at - bytes.LastIndexByte(src[:at], '\n')
	return hcl.Range{
		Filename: name,
		Start:    hcl.Pos{Line: line, Column: column, Byte: at},
		End:      hcl.Pos{Line: line, Column: column + 1, Byte: at + n},
	}
}

// What an open quote, or an open ${ inside quotes, is called. Behind it text is taken
// for code and code for text, up to the end of the file.
var openQuotes = []string{
	"invalid multi-line string", "unterminated template string", "unterminated string literal", "invalid string literal",
	"extra characters after interpolation expression", "unclosed template interpolation sequence",
}

// withoutConsequences keeps the first mistake of each line, and of those in and behind
// an open quote the first.
func withoutConsequences(wrong []Finding, src []byte, pos hcl.Pos) []Finding {
	slices.SortStableFunc(wrong, func(a, b Finding) int { return a.Range.Start.Byte - b.Range.Start.Byte })
	open := pos.Byte + len(src) + 1
	if slices.ContainsFunc(wrong, func(f Finding) bool { return f.Summary == openQuotes[0] }) {
		open = openQuote(src, pos)
	}
	var kept []Finding
	for _, f := range wrong {
		if n := len(kept); n > 0 {
			last := kept[n-1]
			if last.Range.Start.Line == f.Range.Start.Line || slices.Contains(openQuotes, last.Summary) || last.Range.Start.Byte >= open {
				continue
			}
		}
		kept = append(kept, f)
	}
	return kept
}

// openQuote is where the first text begins that does not end on its line. The mistake
// may lie inside its ${ }, where a missing quote moves all others.
func openQuote(src []byte, pos hcl.Pos) int {
	tokens, _ := hclsyntax.LexConfig(src, "", pos)
	var open []int
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOQuote:
			open = append(open, t.Range.Start.Byte)
		case hclsyntax.TokenCQuote:
			open = open[:max(0, len(open)-1)]
		case hclsyntax.TokenQuotedNewline:
			if len(open) > 0 {
				return open[len(open)-1]
			}
		}
	}
	return pos.Byte + len(src) + 1
}

func rangeOf(d *hcl.Diagnostic, name string) hcl.Range {
	if d.Subject != nil {
		return *d.Subject
	}
	return hcl.Range{Filename: name, Start: hcl.InitialPos, End: hcl.InitialPos}
}

func lowerFirst(s string) string {
	if s == "" {
		return s
	}
	return strings.ToLower(s[:1]) + s[1:]
}

func invalidUTF8(src []byte) int {
	if utf8.Valid(src) {
		return -1
	}
	for i := 0; i < len(src); {
		c, n := utf8.DecodeRune(src[i:])
		if c == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
	return -1
}

// tooDeep finds what would make the parser, which is recursive, use up its stack.
// Most files have too few brackets and operators for that; only the others pay for
// a look at their tokens.
func tooDeep(name string, src []byte, pos hcl.Pos) (hcl.Range, bool) {
	if len(src) < maxOperators {
		return hcl.Range{}, false
	}
	suspects := 0
	for _, c := range src {
		switch c {
		case '(', '[', '{', '?', '!', '-', '+', '*', '/', '%', '&', '|', '<', '>', '=':
			suspects++
		}
	}
	if suspects < maxOperators {
		return hcl.Range{}, false
	}
	tokens, _ := hclsyntax.LexConfig(src, name, pos)
	depth, inner, operators := 0, 0, 0 // inner counts the open brackets in which a newline ends nothing
	for _, t := range tokens {
		switch t.Type {
		case hclsyntax.TokenOBrace:
			depth++
		case hclsyntax.TokenCBrace:
			depth--
		case hclsyntax.TokenOParen, hclsyntax.TokenOBrack, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			depth++
			inner++
		case hclsyntax.TokenCParen, hclsyntax.TokenCBrack, hclsyntax.TokenTemplateSeqEnd:
			depth--
			inner--
		case hclsyntax.TokenNewline:
			if inner <= 0 {
				operators = 0
			}
		case hclsyntax.TokenComma:
			if inner <= 1 {
				operators = 0
			}
		case hclsyntax.TokenQuestion, hclsyntax.TokenBang, hclsyntax.TokenMinus, hclsyntax.TokenPlus, hclsyntax.TokenStar,
			hclsyntax.TokenSlash, hclsyntax.TokenPercent, hclsyntax.TokenAnd, hclsyntax.TokenOr, hclsyntax.TokenEqualOp,
			hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq, hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq:
			operators++
		}
		if depth > maxNesting || operators > maxOperators {
			return t.Range, true
		}
	}
	return hcl.Range{}, false
}

// endlessDigits finds a number so long that parsing it takes seconds.
func endlessDigits(name string, src []byte) (hcl.Range, bool) {
	if len(src) <= maxDigits {
		return hcl.Range{}, false
	}
	run := 0
	for _, c := range src {
		if '0' <= c && c <= '9' || c == '.' {
			if run++; run > maxDigits {
				break
			}
			continue
		}
		run = 0
	}
	if run <= maxDigits {
		return hcl.Range{}, false
	}
	tokens, _ := hclsyntax.LexConfig(src, name, hcl.InitialPos)
	for _, t := range tokens {
		if t.Type == hclsyntax.TokenNumberLit && len(t.Bytes) > maxDigits {
			return t.Range, true
		}
	}
	return hcl.Range{}, false
}

// endlessText finds text of so many lines that parsing it takes minutes: the parser puts
// it together line by line, and copies all that is left of it each time. Of several in one
// file the squares are what counts.
func endlessText(name string, src []byte, pos hcl.Pos) (f Finding, is bool) {
	// A lone $ or % begins a new part, too.
	if bytes.Count(src, []byte("\n"))+bytes.Count(src, []byte("$"))+bytes.Count(src, []byte("%")) < maxTextLines {
		return f, false
	}
	tokens, _ := hclsyntax.LexConfig(src, name, pos)
	parts, cost := 0, 0
	for i, t := range tokens {
		if t.Type != hclsyntax.TokenStringLit && t.Type != hclsyntax.TokenQuotedLit {
			parts = 0
			continue
		}
		parts++
		if cost += parts; cost > maxTextLines*maxTextLines/2 {
			return newFinding(codeTooLarge, tokens[max(0, i-parts)].Range, fmt.Sprintf(
				"Keep it in a file of its own that the program reads: text here has at most %d lines.", maxTextLines), "the text"), true
		}
	}
	return f, false
}

// isAgentFile recognises an agent's own configuration, which may lie beside services.
func isAgentFile(f *file, body *hclsyntax.Body) bool {
	if f.path == clusterFile {
		return false
	}
	for _, b := range body.Blocks {
		switch b.Type {
		case "node", "services", "state":
			return true
		}
	}
	return false
}
