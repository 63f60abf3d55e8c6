package spec

import "github.com/hashicorp/hcl/v2/hclwrite"

const maxPasses = 4

// Format lays a file out as everybody's looks. Formatting again changes nothing. A
// file that is not HCL comes back as it was.
func Format(src []byte) []byte {
	if _, _, broken := parseSource("", src); broken {
		return src
	}
	out := hclwrite.Format(src)
	for range maxPasses { // a pass may move what the next one aligns
		next := hclwrite.Format(out)
		if string(next) == string(out) {
			return out
		}
		out = next
	}
	return src
}
