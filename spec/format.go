package spec

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// MaxFormat bounds a file that is formatted, in bytes: a pass takes 300 times as much memory.
const MaxFormat = 1 << 20

const (
	maxPasses = 4
	maxSwell  = 32 << 20 // bytes that aligned lines may become
)

// Format lays a file out as everybody's looks. It moves blanks inside lines, leaves out a
// byte order mark, and keeps everything else, the ends of lines too. Formatting again
// changes nothing. A file that can't be formatted comes back as it was, with the reason.
func Format(src []byte) (tidy []byte, err error) {
	if len(src) > MaxFormat {
		return src, fmt.Errorf("it is larger than %d MiB (divide it)", MaxFormat>>20)
	}
	if _, _, broken := parseSource("", src); broken {
		return src, errors.New("its syntax is broken (`svcctl validate` says where)")
	}
	if at, is := swells(src); is {
		return src, fmt.Errorf("line %d is so long that the lines aligned with it would take more than %d MiB (put a blank line around it)", at, maxSwell>>20)
	}
	out := hclwrite.Format(src)
	for range maxPasses { // a pass may move what the next one aligns
		next := hclwrite.Format(out)
		if bytes.Equal(next, out) {
			if !sameTokens(src, out) { // as 0 .1, which would become another number
				return src, nil
			}
			return out, nil
		}
		out = next
	}
	return src, nil
}

func sameTokens(a, b []byte) bool {
	was, _ := hclsyntax.LexConfig(a, "", hcl.InitialPos)
	is, _ := hclsyntax.LexConfig(b, "", hcl.InitialPos)
	return slices.EqualFunc(was, is, func(x, y hclsyntax.Token) bool {
		return x.Type == y.Type && bytes.Equal(x.Bytes, y.Bytes)
	})
}

// swells finds the longest line of a run that is aligned with each other, where padding
// all of them to its length would make gigabytes of a small file. Signs of equality and
// comments are aligned; a line with neither ends a run.
func swells(src []byte) (line int, is bool) {
	tokens, _ := hclsyntax.LexConfig(src, "", hcl.InitialPos)
	total, count, widest, width, aligned := 0, 0, 0, 0, false
	for _, t := range tokens {
		width += len(t.Bytes) + 1
		aligned = aligned || t.Type == hclsyntax.TokenEqual || t.Type == hclsyntax.TokenComment
		if t.Type != hclsyntax.TokenNewline && !bytes.HasSuffix(t.Bytes, []byte("\n")) || inText(t) {
			continue
		}
		if !aligned {
			total, count, widest = total+count*widest, 0, 0
		} else if count++; width > widest {
			widest, line = width, t.Range.Start.Line
		}
		if total+count*widest > maxSwell {
			return line, true
		}
		width, aligned = 0, false
	}
	return 0, false
}

// inText says whether a token is part of a text, whose line breaks end no line of the layout.
func inText(t hclsyntax.Token) bool {
	switch t.Type {
	case hclsyntax.TokenStringLit, hclsyntax.TokenQuotedLit, hclsyntax.TokenOHeredoc, hclsyntax.TokenCHeredoc:
		return true
	default:
		return false
	}
}
