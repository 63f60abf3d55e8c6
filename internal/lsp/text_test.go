package lsp

import (
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"
)

func TestPositionsAreCountedInTheUnitsOfTheClient(t *testing.T) {
	const src = "aä𝔒b\r\nc\rd\n\n𝔒"
	for _, c := range []struct {
		at            int
		line, u8, u16 int
	}{
		{0, 0, 0, 0}, {1, 0, 1, 1}, {3, 0, 3, 2}, {7, 0, 7, 4}, {8, 0, 8, 5}, {9, 0, 8, 5}, {10, 1, 0, 0}, {11, 1, 1, 1},
		{12, 2, 0, 0}, {14, 3, 0, 0}, {15, 4, 0, 0}, {19, 4, 4, 2}, {99, 4, 4, 2}, {-3, 0, 0, 0},
	} {
		text := newText([]byte(src))
		if got := text.position(c.at, utf8Units); got != (position{c.line, c.u8}) {
			t.Errorf("byte %d is at %v in UTF-8", c.at, got)
		}
		if got := text.position(c.at, utf16Units); got != (position{c.line, c.u16}) {
			t.Errorf("byte %d is at %v in UTF-16", c.at, got)
		}
	}
	for _, c := range []struct {
		p  position
		at int
	}{{position{0, 3}, 3}, {position{0, 99}, 8}, {position{-1, 4}, 0}, {position{7, 0}, 19}, {position{2, -5}, 12}} {
		if got := newText([]byte(src)).offset(c.p, utf16Units); got != c.at {
			t.Errorf("%v is byte %d, want %d", c.p, got, c.at)
		}
	}
}

func TestEveryPositionLeadsBackToItsCharacter(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var b strings.Builder
		for range random.IntN(40) {
			b.WriteString([]string{"a", "ä", "€", "𝔒", "\n", "\r\n", "\r", "\xff"}[random.IntN(8)])
		}
		text := newText([]byte(b.String()))
		for at := range b.String() {
			if at > 0 && text.src[at-1] == '\r' && text.src[at] == '\n' {
				continue // inside the end of a line
			}
			for _, e := range []encoding{utf8Units, utf16Units} {
				if back := text.offset(text.position(at, e), e); back != at {
					t.Fatalf("%q in %s: byte %d leads back to %d", b.String(), e, at, back)
				}
			}
		}
		last := b.String()[text.lines[len(text.lines)-1]:]
		if got := text.position(len(text.src), utf16Units).Character; utf8.ValidString(last) && got != len(utf16.Encode([]rune(last))) {
			t.Fatalf("%q is %d units long, not %d", last, len(utf16.Encode([]rune(last))), got)
		}
	}
}
