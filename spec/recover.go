package spec

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// A mistake in the syntax moves every bracket and quote behind it, so that the parser
// is no help in finding out what else a file says. How the text is laid out is: a block
// of the top level begins in the first column and ends with a brace there. Each block
// is parsed by itself; in a service that can't be, each of its blocks. What can't be
// parsed is a gap, and a name that stands in one may be defined there.

// torn is what is known of a file that can't be parsed as a whole.
type torn struct {
	bodies  map[*hclsyntax.Body]bool // of services with a gap in them
	words   map[string]bool          // in the gaps, what may be a name
	unclear bool                     // a gap is too large, or too much out of shape, to tell what is in it
}

// maxGaps bounds the text in the gaps of a file whose words are remembered.
const maxGaps = 1 << 20

// mayHold says whether something of this name can be defined in what can't be read.
func (t *torn) mayHold(name string) bool { return t != nil && (t.unclear || t.words[name]) }

// piece is a part of a file: a block and what belongs to it, or what lies between blocks.
type piece struct {
	src   []byte
	pos   hcl.Pos
	block bool
}

var (
	topStart   = regexp.MustCompile(`^(?:service|variable|locals|assert)(?:[ \t]+["{A-Za-z_]|["{])`)
	cleanStart = regexp.MustCompile(`^\s*[A-Za-z_][\w-]*(?:[ \t]+"[\w.-]+")*[ \t]*\{[ \t]*(?:(?:#|//).*)?$`)
	innerStart = regexp.MustCompile(`^[A-Za-z_][\w-]*(?:[ \t]+["{A-Za-z_]|["{])`)
	endOfBlock = regexp.MustCompile(`^\}[ \t]*(?:(?:#|//).*)?$`)
	heredoc    = regexp.MustCompile(`<<-?([A-Za-z_][\w-]*)$`)
)

// recoverFile reads what can be read of a file with mistakes in its syntax. It returns
// the mistakes too, if it can tell them better than the parser of the whole file: nil
// where it can't.
func recoverFile(name string, src []byte) (*hclsyntax.Body, *torn, []Finding) {
	r := &recovery{name: name, src: src, torn: &torn{bodies: map[*hclsyntax.Body]bool{}, words: map[string]bool{}}, body: emptyBody(name)}
	text := bytes.TrimPrefix(src, []byte(byteOrderMark))
	all := piece{src: text, pos: hcl.Pos{Line: 1, Column: 1, Byte: len(src) - len(text)}}
	var wrong []Finding
	shaped := true
	for _, p := range divide(all, "", topStart) {
		body, mistakes := r.parse(p)
		switch {
		case len(mistakes) == 0:
			r.add(r.body, body)
		case bytes.HasPrefix(p.src, []byte("service")):
			wrong = append(wrong, r.service(p, mistakes)...)
		default:
			r.gap(p)
			r.torn.unclear = r.torn.unclear || !p.block || !cleanStart.Match(firstLine(p.src))
			wrong, shaped = append(wrong, mistakes...), shaped && p.block
		}
	}
	for _, b := range r.body.Blocks {
		switch b.Type {
		case "node", "services", "state": // an agent's own configuration
			return nil, nil, nil
		}
	}
	if !shaped {
		wrong = nil
	}
	return r.body, r.torn, wrong
}

// recovery is the work on one file.
type recovery struct {
	name string
	src  []byte
	torn *torn
	body *hclsyntax.Body
	size int // of the gaps
}

func emptyBody(name string) *hclsyntax.Body {
	at := hcl.Range{Filename: name, Start: hcl.InitialPos, End: hcl.InitialPos}
	return &hclsyntax.Body{Attributes: hclsyntax.Attributes{}, SrcRange: at, EndRange: at}
}

func (r *recovery) parse(p piece) (*hclsyntax.Body, []Finding) {
	if at, deep := tooDeep(r.name, p.src, p.pos); deep {
		return nil, []Finding{newFinding(codeTooDeep, at, "Divide it with locals.")}
	}
	if f, is := endlessText(r.name, p.src, p.pos); is {
		return nil, []Finding{f}
	}
	body, _, wrong := parseText(r.name, p.src, p.pos)
	return body, explainSyntax(wrong, r.src, p.src, p.pos)
}

func (r *recovery) add(to, from *hclsyntax.Body) {
	to.Blocks = append(to.Blocks, from.Blocks...)
	for name, a := range from.Attributes {
		if to.Attributes[name] == nil {
			to.Attributes[name] = a
		}
	}
}

// service reads a service whose text is mistaken somewhere. It returns the mistakes.
func (r *recovery) service(p piece, mistakes []Finding) []Finding {
	first, rest, _ := bytes.Cut(p.src, []byte("\n"))
	header := hclsyntax.Blocks{}
	if cleanStart.Match(firstLine(p.src)) {
		code := append(bytes.Clone(first[:bytes.IndexByte(first, '{')+1]), '}')
		if parsed, _, wrong := parseText(r.name, code, p.pos); len(wrong) == 0 {
			header = parsed.Blocks
		}
	}
	if len(header) != 1 {
		r.gap(p)
		r.torn.unclear = true
		return mistakes
	}
	b, inner := header[0], piece{src: rest, pos: hcl.Pos{Line: p.pos.Line + 1, Column: 1, Byte: p.pos.Byte + len(first) + 1}}
	if end := lastLine(inner.src); end >= 0 && endOfBlock.Match(bytes.TrimSpace(inner.src[end:])) && inner.src[end] == '}' {
		inner.src = inner.src[:end]
	}
	r.torn.bodies[b.Body] = true
	b.CloseBraceRange.Start.Byte = p.pos.Byte + len(p.src)
	b.CloseBraceRange.End = b.CloseBraceRange.Start
	r.body.Blocks = append(r.body.Blocks, b)
	for _, label := range b.Labels {
		r.torn.words[label] = true // whether its namespace is right is not known
	}
	var wrong []Finding
	shaped := true
	for _, p := range divide(inner, indentation(inner.src), innerStart) {
		body, found := r.parse(p)
		if len(found) == 0 {
			r.add(b.Body, body)
			continue
		}
		r.gap(p)
		wrong, shaped = append(wrong, found...), shaped && p.block
	}
	if !shaped || len(wrong) == 0 {
		return mistakes
	}
	return wrong
}

// gap notes what may be defined in a piece that can't be read.
func (r *recovery) gap(p piece) {
	if r.size += len(p.src); r.size > maxGaps {
		r.torn.unclear, r.torn.words = true, nil
		return
	}
	last, end := []byte(nil), -2
	for at := 0; at < len(p.src); {
		n := bytes.IndexFunc(p.src[at:], notInName)
		if n < 0 {
			n = len(p.src) - at
		}
		if n == 0 {
			at++
			continue
		}
		word := p.src[at : at+n]
		r.torn.words[string(word)] = true
		if end+1 == at && bytes.IndexByte([]byte(`"'{}[]()`), p.src[end]) >= 0 { // what does not belong there may stand inside a name
			r.torn.words[string(last)+string(word)] = true
		}
		last, end, at = word, at+n, at+n
	}
}

func notInName(c rune) bool {
	return c < 0x80 && c != '-' && c != '_' && !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z')
}

// divide cuts a text into blocks, which begin on a line that has the indentation and
// looks like a start, and what lies between them.
func divide(all piece, indent string, start *regexp.Regexp) (out []piece) {
	current := piece{pos: all.pos}
	cut := func(at int, line int, block bool) {
		from := current.pos.Byte - all.pos.Byte
		if current.src = all.src[from:at]; len(current.src) > 0 {
			out = append(out, current)
		}
		current = piece{pos: hcl.Pos{Line: line, Column: 1, Byte: all.pos.Byte + at}, block: block}
	}
	skip := outOfSight(all.src)
	line, at := all.pos.Line, 0
	for at < len(all.src) {
		next := len(all.src)
		if i := bytes.IndexByte(all.src[at:], '\n'); i >= 0 {
			next = at + i + 1
		}
		if text, has := strings.CutPrefix(string(bytes.TrimRight(all.src[at:next], "\r\n")), indent); has && !skip[line-all.pos.Line] {
			switch {
			case start.MatchString(text):
				cut(at, line, true)
			case current.block && endOfBlock.MatchString(text):
				cut(next, line+1, false)
			}
		}
		line, at = line+1, next
	}
	cut(len(all.src), line, false)
	return out
}

// outOfSight are the lines, counted from 0, whose beginning lies in text or a comment.
func outOfSight(src []byte) map[int]bool {
	hidden := map[int]bool{}
	lines := strings.Split(string(src), "\n")
	last, closed := make(map[string]int, len(lines)), -1
	for i, line := range lines {
		last[strings.TrimSpace(line)] = i
		if strings.Contains(line, "*/") {
			closed = i
		}
	}
	for i := 0; i < len(lines); i++ {
		text := strings.TrimSpace(lines[i])
		var ends func(line string) bool
		// Without an end, what is behind it may be anything: most likely it is code.
		if m := heredoc.FindStringSubmatch(text); m != nil && last[m[1]] > i {
			ends = func(line string) bool { return strings.TrimSpace(line) == m[1] }
		} else if strings.HasPrefix(text, "/*") && !strings.Contains(text, "*/") && closed > i {
			ends = func(line string) bool { return strings.Contains(line, "*/") }
		} else {
			continue
		}
		for i++; ; i++ {
			hidden[i] = true
			if ends(lines[i]) {
				break
			}
		}
	}
	return hidden
}

// indentation is that of the first line that says something.
func indentation(src []byte) string {
	for line := range bytes.Lines(src) {
		if text := bytes.TrimLeft(line, " \t"); len(bytes.TrimSpace(text)) > 0 {
			return string(line[:len(line)-len(text)])
		}
	}
	return ""
}

func firstLine(src []byte) []byte {
	line, _, _ := bytes.Cut(src, []byte("\n"))
	return bytes.TrimRight(line, "\r")
}

// lastLine is where the last line begins that is not empty, -1 where there is none.
func lastLine(src []byte) int {
	text := bytes.TrimRight(src, " \t\r\n")
	if len(text) == 0 {
		return -1
	}
	return bytes.LastIndexByte(text, '\n') + 1
}
