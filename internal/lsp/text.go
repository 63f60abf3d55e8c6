package lsp

import (
	"slices"
	"unicode/utf8"
)

// encoding is what a client counts characters of a line in.
type encoding string

const (
	utf8Units  encoding = "utf-8"
	utf16Units encoding = "utf-16"
)

// span is a part of a file, in bytes.
type span struct{ from, to int }

func (s span) holds(at int) bool { return s.from <= at && at <= s.to }

// text is one version of a file. It is never changed.
type text struct {
	src   []byte
	lines []int // where each line begins
}

func newText(src []byte) *text {
	t := &text{src: src, lines: []int{0}}
	for i, c := range src {
		if c == '\n' || c == '\r' && (i+1 == len(src) || src[i+1] != '\n') {
			t.lines = append(t.lines, i+1)
		}
	}
	return t
}

// units is how many of the client's units a character of n bytes takes.
func (e encoding) units(c rune, n int) int {
	switch e {
	case utf8Units:
		return n
	case utf16Units:
		if c > 0xffff {
			return 2
		}
		return 1
	default:
		panic("internal error: encoding " + string(e))
	}
}

// lineEnd is where line i ends, its end of line left out.
func (t *text) lineEnd(i int) int {
	if i+1 >= len(t.lines) {
		return len(t.src)
	}
	end := t.lines[i+1] - 1
	if end > t.lines[i] && t.src[end] == '\n' && t.src[end-1] == '\r' {
		end--
	}
	return end
}

// offset is the byte that a position means. One behind the end of a line, or of the
// text, means the end.
func (t *text) offset(p position, e encoding) int {
	if p.Line < 0 {
		return 0
	}
	if p.Line >= len(t.lines) {
		return len(t.src)
	}
	at, end := t.lines[p.Line], t.lineEnd(p.Line)
	for left := p.Character; left > 0 && at < end; {
		c, n := utf8.DecodeRune(t.src[at:end])
		left -= e.units(c, n)
		if left < 0 { // inside a character
			break
		}
		at += n
	}
	return at
}

func (t *text) position(at int, e encoding) position {
	at = max(0, min(at, len(t.src)))
	line, found := slices.BinarySearch(t.lines, at)
	if !found {
		line--
	}
	p := position{Line: line}
	end := min(at, t.lineEnd(line))
	for i := t.lines[line]; i < end; {
		c, n := utf8.DecodeRune(t.src[i:end])
		p.Character += e.units(c, n)
		i += n
	}
	return p
}

func (t *text) span(r textRange, e encoding) span {
	from := t.offset(r.Start, e)
	return span{from, max(from, t.offset(r.End, e))}
}

func (t *text) rangeOf(s span, e encoding) textRange {
	return textRange{t.position(s.from, e), t.position(max(s.from, s.to), e)}
}

func (t *text) at(s span) string {
	from := max(0, min(s.from, len(t.src)))
	return string(t.src[from:max(from, min(s.to, len(t.src)))])
}
