package lsp

import (
	"slices"
	"sort"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// A file that is being written is seldom valid HCL, and the parser gives up where an
// editor is asked most. So this tree is grown from tokens: what is not closed ends where
// the next statement begins, and nothing is refused.

const (
	maxTree     = 1 << 20 // bytes; a larger file has findings and no more
	maxDepth    = 16      // blocks in each other; what is deeper is passed over
	maxBrackets = 64      // in each other in an expression; what is deeper is refused anyway, and not looked at
	maxRestart  = 16      // open quotes in one file that are closed at the end of their lines
)

type tree struct {
	src    []byte
	tokens []hclsyntax.Token
	root   *block
}

type label struct {
	name string
	at   span // inside the quotes
	bare bool // without quotes
}

// block is a block, or the file as a whole.
type block struct {
	kind   string
	kindAt span
	labels []label
	whole  span
	body   span // between the braces; to the end of the file where it is not closed
	bodied bool // false: a header alone
	attrs  []*attribute
	blocks []*block
	parent *block
}

type attribute struct {
	name        string
	nameAt      span
	expr        span
	first, last int // its tokens
}

func grow(src []byte) *tree {
	t := &tree{src: src}
	if len(src) <= maxTree {
		t.tokens = lex(src)
	}
	t.root = &block{whole: span{0, len(src)}, body: span{0, len(src)}, bodied: true}
	cur, depth := t.root, 0
	for i := 0; i < len(t.tokens); {
		switch t.tokens[i].Type {
		case hclsyntax.TokenIdent:
			if t.kind(i+1) == hclsyntax.TokenEqual {
				a := t.attribute(i)
				cur.attrs = append(cur.attrs, a)
				i = a.last
				continue
			}
			b, next := t.header(i)
			b.parent = cur
			if b.bodied && depth >= maxDepth {
				i = t.expressionEnd(next - 1)
				continue
			}
			cur.blocks = append(cur.blocks, b)
			if i = next; b.bodied {
				cur, depth = b, depth+1
			}
		case hclsyntax.TokenCBrace:
			if cur.parent != nil {
				cur.body.to, cur.whole.to = t.from(i), t.to(i)
				cur, depth = cur.parent, depth-1
			}
			i++
		default:
			i++
		}
	}
	return t
}

func (t *tree) kind(i int) hclsyntax.TokenType {
	if i < 0 || i >= len(t.tokens) {
		return hclsyntax.TokenEOF
	}
	return t.tokens[i].Type
}

func (t *tree) from(i int) int { return t.tokens[i].Range.Start.Byte }
func (t *tree) to(i int) int   { return t.tokens[i].Range.End.Byte }

func (t *tree) spanOf(i int) span { return span{t.from(i), t.to(i)} }

// endsLine says whether a token stands for the end of a line; a comment takes it with it.
func (t *tree) endsLine(i int) bool {
	switch t.kind(i) {
	case hclsyntax.TokenNewline:
		return true
	case hclsyntax.TokenComment:
		b := t.tokens[i].Bytes
		return len(b) > 0 && b[len(b)-1] == '\n'
	default:
		return false
	}
}

// header reads a block's type and labels. It returns the index behind its brace, or
// behind what there is of it.
func (t *tree) header(i int) (*block, int) {
	b := &block{kind: string(t.tokens[i].Bytes), kindAt: t.spanOf(i)}
	j := i + 1
	for {
		if t.kind(j) == hclsyntax.TokenIdent {
			b.labels = append(b.labels, label{string(t.tokens[j].Bytes), t.spanOf(j), true})
			j++
			continue
		}
		name, at, next := t.literal(j)
		if next < 0 {
			break
		}
		b.labels = append(b.labels, label{name, at, false})
		j = next
	}
	b.whole = span{t.from(i), t.to(j - 1)}
	b.body = span{b.whole.to, b.whole.to}
	if t.kind(j) == hclsyntax.TokenOBrace {
		b.bodied, b.whole.to, b.body = true, len(t.src), span{t.to(j), len(t.src)}
		j++
	}
	return b, j
}

// literal reads text in quotes without templates, and returns the index behind it, or -1.
func (t *tree) literal(i int) (string, span, int) {
	if t.kind(i) != hclsyntax.TokenOQuote {
		return "", span{}, -1
	}
	j := i + 1
	for t.kind(j) == hclsyntax.TokenQuotedLit {
		j++
	}
	if t.kind(j) != hclsyntax.TokenCQuote {
		return "", span{}, -1
	}
	at := span{t.to(i), t.from(j)}
	return string(t.src[at.from:at.to]), at, j + 1
}

func (t *tree) attribute(i int) *attribute {
	a := &attribute{name: string(t.tokens[i].Bytes), nameAt: t.spanOf(i), first: i + 2}
	a.last = t.expressionEnd(a.first)
	a.expr = span{t.to(i + 1), t.to(i + 1)}
	if a.last < len(t.tokens) {
		a.expr.to = max(a.expr.to, t.from(a.last))
	} else {
		a.expr.to = len(t.src)
	}
	return a
}

var closes = map[hclsyntax.TokenType]hclsyntax.TokenType{
	hclsyntax.TokenCBrace: hclsyntax.TokenOBrace, hclsyntax.TokenCBrack: hclsyntax.TokenOBrack,
	hclsyntax.TokenCParen: hclsyntax.TokenOParen, hclsyntax.TokenCQuote: hclsyntax.TokenOQuote,
	hclsyntax.TokenCHeredoc: hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateSeqEnd: hclsyntax.TokenTemplateInterp,
}

// opening is the sort of bracket that a token opens; ${ and %{ end alike.
func opening(k hclsyntax.TokenType) (hclsyntax.TokenType, bool) {
	switch k {
	case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOQuote, hclsyntax.TokenOHeredoc, hclsyntax.TokenTemplateInterp:
		return k, true
	case hclsyntax.TokenTemplateControl:
		return hclsyntax.TokenTemplateInterp, true
	default:
		return 0, false
	}
}

// expressionEnd is the index of the token that ends the expression which begins at i: an
// end of line outside brackets, or what can't be inside the brackets that are open.
func (t *tree) expressionEnd(i int) int {
	var open []hclsyntax.TokenType
	for ; t.kind(i) != hclsyntax.TokenEOF; i++ {
		if t.endsLine(i) && (len(open) == 0 || t.beginsStatement(i+1, open[len(open)-1])) {
			return i
		}
		k := t.kind(i)
		if o, is := opening(k); is {
			open = append(open, o)
			continue
		}
		o, is := closes[k]
		if !is {
			continue
		}
		switch {
		case len(open) > 0 && open[len(open)-1] == o:
			open = open[:len(open)-1]
		case k == hclsyntax.TokenCBrace:
			return i
		}
	}
	return min(i, len(t.tokens))
}

// beginsStatement says whether an argument or a block begins at i, so that the bracket
// before it was not closed. Inside braces an argument looks like a key.
func (t *tree) beginsStatement(i int, inside hclsyntax.TokenType) bool {
	if t.kind(i) != hclsyntax.TokenIdent {
		return false
	}
	switch inside {
	case hclsyntax.TokenOBrack, hclsyntax.TokenOParen:
		if t.kind(i+1) == hclsyntax.TokenEqual {
			return true
		}
	case hclsyntax.TokenOBrace:
	default:
		return false
	}
	b, _ := t.header(i)
	return b.bodied && len(b.labels) > 0
}

// lex is the tokens of a file, with quotes that are open at the end of a line closed there.
func lex(src []byte) []hclsyntax.Token {
	var out []hclsyntax.Token
	at := hcl.InitialPos
	for tries := 0; ; tries++ {
		tokens, _ := hclsyntax.LexConfig(src[at.Byte:], "", at)
		cut, open := openAtLineEnd(tokens)
		if cut <= 0 || tries == maxRestart {
			return append(out, tokens...)
		}
		out = append(out, tokens[:cut]...)
		at = tokens[cut].Range.Start
		here := hcl.Range{Start: at, End: at}
		for _, o := range slices.Backward(open) {
			switch o {
			case hclsyntax.TokenOQuote:
				out = append(out, hclsyntax.Token{Type: hclsyntax.TokenCQuote, Range: here})
			case hclsyntax.TokenTemplateInterp:
				out = append(out, hclsyntax.Token{Type: hclsyntax.TokenTemplateSeqEnd, Range: here})
			}
		}
	}
}

// openAtLineEnd is the index of the first end of a line that lies in quotes, and what is
// open there, from the outermost quote on.
func openAtLineEnd(tokens []hclsyntax.Token) (int, []hclsyntax.TokenType) {
	var open []hclsyntax.TokenType
	for i, token := range tokens {
		if o, is := opening(token.Type); is {
			if open = append(open, o); len(open) > maxBrackets {
				return -1, nil
			}
			continue
		}
		top := hclsyntax.TokenNil
		if len(open) > 0 {
			top = open[len(open)-1]
		}
		if o, is := closes[token.Type]; is && o == top {
			open = open[:len(open)-1]
			continue
		}
		interrupted := token.Type == hclsyntax.TokenQuotedNewline ||
			token.Type == hclsyntax.TokenNewline && top == hclsyntax.TokenTemplateInterp && !slices.Contains(open, hclsyntax.TokenOHeredoc)
		if interrupted {
			return i, open[max(0, slices.Index(open, hclsyntax.TokenOQuote)):]
		}
	}
	return -1, nil
}

// blockAt is the innermost block whose body holds a place.
func (t *tree) blockAt(at int) *block {
	cur := t.root
	for {
		i := slices.IndexFunc(cur.blocks, func(b *block) bool { return b.bodied && b.body.holds(at) })
		if i < 0 {
			return cur
		}
		cur = cur.blocks[i]
	}
}

// before is the index of the last token that begins before a place, or -1.
func (t *tree) before(at int) int {
	return sort.Search(len(t.tokens), func(i int) bool { return t.from(i) >= at }) - 1
}

func (b *block) attr(name string) *attribute {
	for _, a := range b.attrs {
		if a.name == name {
			return a
		}
	}
	return nil
}

// strings lists the texts without templates in an expression.
func (t *tree) strings(a *attribute) []label {
	var out []label
	for i := a.first; i < a.last; {
		name, at, next := t.literal(i)
		if next < 0 {
			i++
			continue
		}
		out = append(out, label{name: name, at: at})
		i = next
	}
	return out
}
