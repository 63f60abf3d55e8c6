package spec

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxExplained bounds the work on one file: each costs a walk through its tokens.
const maxExplained = 100

// explainSyntax puts what the parser says about a file into words about what was meant,
// and its place where the mistake is, rather than where it was noticed. Places are those
// in src, the whole file, of which the piece that begins at pos was parsed.
func explainSyntax(findings []Finding, src, piece []byte, pos hcl.Pos) []Finding {
	if !slices.ContainsFunc(findings, func(f Finding) bool { return f.Code == codeSyntax && syntaxRules[f.Summary] != nil }) {
		return findings
	}
	tokens, _ := hclsyntax.LexConfig(piece, findings[0].File, pos)
	open, left := openQuote(piece, pos), maxExplained
	for i := range findings {
		f := &findings[i]
		rule := syntaxRules[f.Summary]
		if f.Code != codeSyntax || rule == nil || left == 0 {
			continue
		}
		left--
		t := &tear{f: f, src: src, tokens: tokens, open: open, i: len(tokens) - 1}
		for n, token := range tokens {
			if token.Range.End.Byte > f.Range.Start.Byte || token.Range.Start.Byte == f.Range.Start.Byte {
				t.i = n
				break
			}
		}
		rule(t)
	}
	return findings
}

// tear is a place at which the parser lost its way.
type tear struct {
	f      *Finding
	src    []byte
	tokens hclsyntax.Tokens
	open   int // the byte of the first quote that its line does not close
	i      int // the token at the place
}

func (t *tear) token(i int) hclsyntax.Token {
	if i < 0 || i >= len(t.tokens) {
		return hclsyntax.Token{Type: hclsyntax.TokenEOF}
	}
	return t.tokens[i]
}

func (t *tear) is(i int, types ...hclsyntax.TokenType) bool {
	return slices.Contains(types, t.token(i).Type)
}

func (t *tear) text(i int) string { return string(t.token(i).Bytes) }

func (t *tear) say(summary, detail string) { t.f.Summary, t.f.Detail = summary, detail }

func (t *tear) at(from, to int) {
	t.f.Range = hcl.RangeBetween(t.tokens[from].Range, t.tokens[to].Range)
}

const (
	saidNoEnd    = "text without its end"
	saidUnit     = "a number with a unit is text"
	saidOpenList = "%s without its end"
)

// syntaxRules explain a mistake, by what the parser calls it.
var syntaxRules map[string]func(*tear)

func init() { // some rules call others
	syntaxRules = map[string]func(*tear){
		"argument or block definition required":           (*tear).definition,
		"missing item separator":                          (*tear).separator,
		"missing argument separator":                      (*tear).separator,
		"missing attribute separator":                     (*tear).separator,
		"invalid block definition":                        (*tear).block,
		"invalid character":                               (*tear).character,
		"missing newline after argument":                  (*tear).newline,
		"missing newline after block definition":          (*tear).newline,
		"invalid expression":                              (*tear).expression,
		"invalid multi-line string":                       (*tear).openText,
		"unterminated template string":                    (*tear).openText,
		"extra characters after interpolation expression": (*tear).openText,
		"unclosed configuration block":                    (*tear).openBlock,
		"invalid single-argument block definition": func(t *tear) {
			t.f.Detail = "A block on one line has one argument: write each on a line of its own."
		},
		"invalid argument name": func(t *tear) {
			if t.is(t.i+2, hclsyntax.TokenCQuote) {
				t.at(t.i, t.i+2)
				t.f.Detail = fmt.Sprintf("Write %s = … without quotes.", t.text(t.i+1))
			}
		},
		"unexpected comma after argument": func(t *tear) {
			t.f.Detail = "Remove the comma: each argument stands on a line of its own."
		},
		"unclosed template interpolation sequence": func(t *tear) {
			t.f.Detail = "Write } behind the expression; $${ stands for ${ itself."
		},
		"invalid escape sequence": func(t *tear) {
			t.f.Detail = `Write \\ for a backslash; there are \n, \r, \t, \", \\ and \uNNNN.`
		},
		"missing false expression in conditional": func(t *tear) {
			t.f.Detail = "Write condition ? value : other value."
		},
	}
}

// definition: what stands where an argument or a block begins is none.
func (t *tear) definition() {
	word := t.text(t.i)
	switch {
	case t.is(t.i, hclsyntax.TokenIdent) && t.blank(t.i+1), t.blank(t.i):
		return
	case t.is(t.i, hclsyntax.TokenIdent) && t.is(t.i+1, hclsyntax.TokenColon):
		t.at(t.i+1, t.i+1)
		t.say("a colon in the place of an equals sign", fmt.Sprintf("Write %s = ….", word))
	case t.is(t.i, hclsyntax.TokenIdent) && t.is(t.i+1, hclsyntax.TokenDot):
		t.say("a dot in the name of an argument", fmt.Sprintf("Write the block %s { … }, and the argument in it.", word))
	case t.is(t.i, hclsyntax.TokenIdent) && curly(t.text(t.i+1)):
		t.at(t.i+1, t.i+1)
		t.say("invalid character", `Write straight quotes: "…".`)
	case t.is(t.i, hclsyntax.TokenIdent) && t.text(t.i+1) == "'":
		t.at(t.i+1, t.i+1)
		t.character()
	case t.is(t.i, hclsyntax.TokenIdent) && t.is(t.i+1, hclsyntax.TokenNewline, hclsyntax.TokenEOF):
		t.say("a word without a value", fmt.Sprintf("Write %s = … for an argument, or %s { … } for a block.", word, word))
	case t.is(t.i, hclsyntax.TokenCBrace):
		t.say("a brace that closes nothing", "Remove it, or look above for a { that is missing.")
	case t.is(t.i, hclsyntax.TokenOQuote) && t.is(t.i+2, hclsyntax.TokenCQuote):
		t.at(t.i, t.i+2)
		t.say("the name of an argument is written without quotes", fmt.Sprintf("Write %s = ….", t.text(t.i+1)))
	case t.is(t.i, hclsyntax.TokenMinus) && t.is(t.i+1, hclsyntax.TokenMinus):
		t.at(t.i, t.i+1)
		t.say("no comment begins so", "Write # before a comment.")
	case t.is(t.i, hclsyntax.TokenMinus):
		t.say("a list is written in brackets", `Write name = ["…", "…"].`)
	default:
		t.f.Detail = "Write name = … for an argument, or name { … } for a block."
	}
}

// separator: two elements, or what follows a bracket that was left open.
func (t *tear) separator() {
	if t.is(t.i, hclsyntax.TokenEqual) && t.is(t.i-1, hclsyntax.TokenIdent) {
		t.i--
	}
	starts := t.is(t.i, hclsyntax.TokenIdent) && (t.is(t.i+1, hclsyntax.TokenEqual, hclsyntax.TokenOBrace) || t.is(t.i+1, hclsyntax.TokenOQuote) && t.is(t.i+3, hclsyntax.TokenCQuote))
	if open := t.openBracket(); open >= 0 && (starts || t.is(t.i, hclsyntax.TokenCBrace, hclsyntax.TokenEOF)) {
		what, end := "a list", "]"
		if t.is(open, hclsyntax.TokenOParen) {
			what, end = "a call", ")"
		}
		if t.openQuoted() {
			return
		}
		t.at(open, open)
		t.say(fmt.Sprintf(saidOpenList, what), fmt.Sprintf("Write %s behind its last element.", end))
		return
	}
	t.f.Detail = "Write a comma before it."
}

// openBracket is the innermost bracket or parenthesis that is open at the place.
func (t *tear) openBracket() int {
	var open []int
	for i := 0; i < t.i; i++ {
		switch t.tokens[i].Type {
		case hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenOBrace, hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateControl:
			open = append(open, i)
		case hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenCBrace, hclsyntax.TokenTemplateSeqEnd:
			open = open[:max(0, len(open)-1)]
		}
	}
	if len(open) == 0 || !t.is(open[len(open)-1], hclsyntax.TokenOBrack, hclsyntax.TokenOParen) {
		return -1
	}
	return open[len(open)-1]
}

func (t *tear) block() {
	first := t.i
	for first > 0 && !t.is(first-1, hclsyntax.TokenNewline) {
		first--
	}
	head := strings.TrimSpace(string(t.src[t.token(first).Range.Start.Byte:t.token(t.i).Range.Start.Byte]))
	switch {
	case t.is(t.i, hclsyntax.TokenEqual):
		t.f.Detail = fmt.Sprintf("A block has no equals sign: write %s { … }.", head)
	case t.is(t.i, hclsyntax.TokenNewline):
		t.f.Detail = fmt.Sprintf("Write its brace on the same line: %s {", head)
	default:
		t.f.Detail = fmt.Sprintf("Write %s { … }.", head)
	}
}

// blank: a character that looks like a blank, as is copied from web pages, and is none.
func (t *tear) blank(i int) bool {
	c, _ := utf8.DecodeRuneInString(t.text(i))
	if c < utf8.RuneSelf || !unicode.In(c, unicode.Zs, unicode.Cf) {
		return false
	}
	t.at(i, i)
	t.say("invalid character", fmt.Sprintf("It looks like a blank and is U+%04X: write a blank.", c))
	return true
}

func curly(s string) bool { return strings.HasPrefix(s, "“") || strings.HasPrefix(s, "”") }

func (t *tear) character() {
	start := t.f.Range.Start
	line, _, _ := bytes.Cut(t.src[start.Byte:], []byte("\n"))
	switch c, _ := utf8.DecodeRune(line); c {
	case '\'':
		if end := bytes.IndexByte(line[1:], '\''); end >= 0 {
			inside := line[1 : 1+end]
			t.f.Range.End = hcl.Pos{Line: start.Line, Column: start.Column + utf8.RuneCount(inside) + 2, Byte: start.Byte + end + 2}
			t.say("invalid character", fmt.Sprintf("Write double quotes: \"%s\".", inside))
			return
		}
		t.say("invalid character", `Write double quotes: "…".`)
	case '“', '”':
		t.f.Detail = `Write straight quotes: "…".`
	case '`':
		t.f.Detail = `Write double quotes: "…".`
	case ';':
		t.f.Detail = "Remove it: a line ends without it."
	}
}

func (t *tear) newline() {
	switch word := t.text(t.i); {
	case t.unit():
	case word == "and":
		t.f.Detail = "Write && for and."
	case word == "or":
		t.f.Detail = "Write || for or."
	case t.text(t.i-1) == "not":
		t.at(t.i-1, t.i-1)
		t.f.Detail = "Write ! for not."
	case t.is(t.i, hclsyntax.TokenColon):
		t.f.Detail = "Text is written in quotes."
	case t.is(t.i, hclsyntax.TokenEqual):
		t.f.Detail = "Write == to compare, or begin a new line before the next argument."
	case t.blank(t.i):
	default:
		t.f.Detail = "Begin a new line before it, or look for a quote or an operator that is missing."
	}
}

// unit: a number and what stands directly behind it.
func (t *tear) unit() bool {
	number := t.i - 1
	if t.is(number, hclsyntax.TokenPercent) {
		number--
	}
	if !t.is(number, hclsyntax.TokenNumberLit) || t.token(number).Range.End.Byte != t.token(number+1).Range.Start.Byte {
		return false
	}
	last := max(number+1, min(t.i, number+1))
	if !t.is(last, hclsyntax.TokenIdent, hclsyntax.TokenPercent) {
		return false
	}
	t.at(number, last)
	t.say(saidUnit, fmt.Sprintf("Write %q.", t.text(number)+t.text(last)))
	return true
}

func (t *tear) expression() {
	switch {
	case t.unit():
	case t.is(t.i, hclsyntax.TokenNewline, hclsyntax.TokenEOF):
		t.f.Detail = "Write a value behind it."
	case t.is(t.i, hclsyntax.TokenQuestion) && t.is(t.i-1, hclsyntax.TokenQuestion):
		t.f.Detail = "There is no operator ??: write coalesce(a, b)."
	default:
		t.f.Detail = "A value is expected here: text in quotes, a number, true, false, a list, a map or a reference."
	}
}

// openText: a quote, or the mark of text of several lines, that nothing closes.
func (t *tear) openText() {
	if t.openQuoted() {
		return
	}
	open := -1
	for i, token := range t.tokens {
		switch token.Type {
		case hclsyntax.TokenOHeredoc:
			open = i
		case hclsyntax.TokenCHeredoc:
			open = -1
		}
	}
	if open < 0 || t.tokens[open].Range.Start.Byte > t.f.Range.Start.Byte {
		return
	}
	opening := strings.TrimRight(t.text(open), "\r\n")
	start := t.tokens[open].Range.Start
	end := start
	end.Byte, end.Column = start.Byte+len(opening), start.Column+utf8.RuneCountInString(opening)
	t.f.Range.Start, t.f.Range.End = start, end
	t.say(saidNoEnd, fmt.Sprintf("Write %s on a line of its own behind the text.", strings.TrimLeft(opening, "<-")))
}

// openQuoted moves the finding to a quote before it that its line does not close.
func (t *tear) openQuoted() bool {
	at := t.open
	if at > t.f.Range.Start.Byte || at >= len(t.src) {
		return false
	}
	for _, token := range t.tokens {
		if token.Range.Start.Byte != at {
			continue
		}
		line, _, _ := bytes.Cut(t.src[at:], []byte("\n"))
		line = bytes.TrimRight(line, "\r")
		t.f.Range = token.Range
		t.f.Range.End = hcl.Pos{Line: token.Range.Start.Line, Column: token.Range.Start.Column + utf8.RuneCount(line), Byte: at + len(line)}
		t.say(saidNoEnd, "Write the quote that closes it; text of several lines stands between <<-EOT and EOT.")
		return true
	}
	return false
}

// openBlock: of the braces that are open the one whose lines are indented as if it were
// closed.
func (t *tear) openBlock() {
	type brace struct{ token, indent int }
	var open []brace
	first, indent := true, 0 // whether a token is the first of its line, and where it begins
	culprit := -1
	for i, token := range t.tokens {
		if first {
			indent = token.Range.Start.Column
		}
		switch token.Type {
		case hclsyntax.TokenOBrace:
			open = append(open, brace{i, indent})
		case hclsyntax.TokenCBrace:
			if n := len(open); n > 0 {
				if first && indent < open[n-1].indent && culprit < 0 {
					culprit = open[n-1].token
				}
				open = open[:n-1]
			}
		}
		first = token.Type == hclsyntax.TokenNewline
	}
	if culprit < 0 && len(open) > 0 {
		culprit = open[len(open)-1].token
	}
	if culprit >= 0 {
		t.at(culprit, culprit)
	}
	t.say("a block without its end", "Write } behind its last argument.")
}
