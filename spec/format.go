package spec

import "github.com/hashicorp/hcl/v2/hclwrite"

const maxPasses = 4

// Format lays a file out as everybody's looks. Formatting again changes nothing. A
// file that is not HCL comes back as it was, and not ok.
func Format(src []byte) (tidy []byte, ok bool) {
	if _, _, broken := parseSource("", src); broken {
		return src, false
	}
	out := hclwrite.Format(src)
	for range maxPasses { // a pass may move what the next one aligns
		next := hclwrite.Format(out)
		if string(next) == string(out) {
			return out, true
		}
		out = next
	}
	return src, true
}
