package spec

// notes asks the structs for what is worth knowing and no mistake. What is mistaken, or
// not known yet, has nothing to tell.
func (x *evaluation) notes(d *decoding) {
	for _, p := range d.parts {
		noter, is := p.value.Addr().Interface().(Noter)
		if !is || len(p.failed) > 0 {
			continue
		}
		for _, n := range noter.Notes() {
			if p.missing(n.Field) {
				continue
			}
			x.report(codeNote, d.placeOf(n.Field), n.Detail, n.Summary)
		}
	}
}
