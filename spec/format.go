package spec

import (
	"bytes"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

const maxPasses = 4

// MaxFileSize bounds a file of services, in bytes.
const MaxFileSize = maxFileSize

// Format lays a file out as everybody's looks. It moves blanks inside lines, leaves out a
// byte order mark, and keeps everything else, the ends of lines too. Formatting again
// changes nothing. A file that is not HCL comes back as it was, and not ok.
func Format(src []byte) (tidy []byte, ok bool) {
	if _, _, broken := parseSource("", src); broken {
		return src, false
	}
	out := hclwrite.Format(src)
	for range maxPasses { // a pass may move what the next one aligns
		next := hclwrite.Format(out)
		if bytes.Equal(next, out) {
			if !sameTokens(src, out) { // as 0 .1, which would become another number
				return src, true
			}
			return out, true
		}
		out = next
	}
	return src, true
}

func sameTokens(a, b []byte) bool {
	was, _ := hclsyntax.LexConfig(a, "", hcl.InitialPos)
	is, _ := hclsyntax.LexConfig(b, "", hcl.InitialPos)
	return slices.EqualFunc(was, is, func(x, y hclsyntax.Token) bool {
		return x.Type == y.Type && bytes.Equal(x.Bytes, y.Bytes)
	})
}
