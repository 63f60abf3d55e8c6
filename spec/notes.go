package spec

import "github.com/hashicorp/hcl/v2"

// notes asks the structs for what is worth knowing and no mistake. What is mistaken, or
// not known yet, has nothing to tell.
func (x *evaluation) notes(d *decoding, places map[string]hcl.Range) {
	for _, p := range d.parts {
		noter, is := p.value.Addr().Interface().(Noter)
		if !is || len(p.failed) > 0 {
			continue
		}
		for _, n := range noter.Notes() {
			if p.missing(n.Field) {
				continue
			}
			at, written := places[n.Field]
			if !written {
				at = d.at
			}
			x.report(codeNote, at, n.Detail, n.Summary)
		}
	}
}
