package lsp

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/svcctl/svcctl/spec"
)

// thing is what the word at a place means: a definition, a service, or a resource.
type thing struct {
	at         span // of the word that names it here
	file       *outline
	definition *definition
	service    *service
	resource   *resource
	include    string   // a file of the set
	use        *use     // where the place is one
	reader     *outline // the file of the use
}

// thingAt finds what the word at a place of an open file means; nil where it means
// nothing that can be found.
func (w *world) thingAt(d *document, at int) *thing {
	o := d.outlined()
	for i := range o.definitions {
		if f := &o.definitions[i]; f.at.holds(at) {
			return &thing{at: f.at, file: o, definition: f}
		}
	}
	for i := range o.services {
		s := &o.services[i]
		if s.at.holds(at) && s.name != "" {
			return &thing{at: s.at, file: o, service: s}
		}
		for j := range s.resources {
			if r := &s.resources[j]; r.at.holds(at) {
				return &thing{at: r.at, file: o, service: s, resource: r}
			}
		}
	}
	for _, m := range o.mentions {
		if m.at.holds(at) {
			if file, s := w.service(o.services[m.service].meant(m.name)); s != nil {
				return &thing{at: m.nameAt(), file: file, service: s}
			}
		}
	}
	for _, m := range o.includes {
		if m.at.holds(at) {
			return &thing{at: m.at, include: path.Join(o.folder, m.name)}
		}
	}
	for i := range o.uses {
		if u := &o.uses[i]; u.whole.holds(at) {
			if t := w.used(o, u); t != nil {
				return t
			}
		}
	}
	return nil
}

// nameAt is where the name of a service stands in a mention, behind its namespace.
func (m *mention) nameAt() span {
	return span{m.at.from + strings.LastIndexByte(m.name, '/') + 1, m.at.to}
}

// used is what a use of a file means.
func (w *world) used(o *outline, u *use) *thing {
	root, name, _ := strings.Cut(u.name, ".")
	if root == "var" || root == "local" {
		file, f := w.resolve(o.folder, u.name)
		if f == nil {
			return nil
		}
		return &thing{at: u.at, file: file, definition: f, use: u, reader: o}
	}
	if u.service < 0 {
		return nil
	}
	s := &o.services[u.service]
	r := s.find(root, name)
	if r == nil {
		return nil
	}
	return &thing{at: u.at, file: o, service: s, resource: r, use: u, reader: o}
}

// place is where a thing is defined.
func (t *thing) place() span {
	switch {
	case t.definition != nil:
		return t.definition.at
	case t.resource != nil:
		return t.resource.at
	default:
		return t.service.at
	}
}

func (s *server) define(w *world, d *document, at int, _ *placeParams) (any, error) {
	t := w.thingAt(d, at)
	if t == nil {
		return nil, nil
	}
	if t.include != "" {
		if w.set == nil || readText(w.set.absolute(t.include)) == nil {
			return nil, nil
		}
		return location{URI: w.uri(t.include)}, nil
	}
	if l, ok := w.location(t.file.path, t.place()); ok {
		return l, nil
	}
	return nil, nil
}

// occurrence is one place that names a thing.
type occurrence struct {
	path  string
	at    span
	index bool // in brackets and quotes
	bare  bool // a label, or the name of a local, without quotes
	named bool // its definition
}

// occurrences are all places of the set that name a thing, in order.
func (w *world) occurrences(t *thing) []occurrence {
	out := []occurrence{{path: t.file.path, at: t.place(), named: true, bare: t.bare()}}
	for _, p := range w.paths {
		o := w.outlines[p]
		switch {
		case t.definition != nil:
			for _, u := range o.uses {
				if u.name != t.definition.name {
					continue
				}
				if _, f := w.resolve(o.folder, u.name); f == t.definition {
					out = append(out, occurrence{path: p, at: u.at, index: u.index})
				}
			}
		case t.resource != nil:
			if o != t.file {
				continue
			}
			for _, u := range o.uses {
				if u.service >= 0 && &o.services[u.service] == t.service && u.name == t.resource.kind+"."+t.resource.name {
					out = append(out, occurrence{path: p, at: u.at, index: u.index})
				}
			}
		default:
			for _, m := range o.mentions {
				if o.services[m.service].meant(m.name) == t.service.fullName() {
					out = append(out, occurrence{path: p, at: m.nameAt(), index: true})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b occurrence) int {
		return cmp.Or(strings.Compare(a.path, b.path), cmp.Compare(a.at.from, b.at.from))
	})
	return out
}

func (t *thing) bare() bool {
	switch {
	case t.definition != nil:
		return t.definition.bare
	case t.resource != nil:
		return t.resource.bare
	default:
		return t.service.bare
	}
}

func (s *server) references(w *world, d *document, at int, p *placeParams) (any, error) {
	out := []location{}
	t := w.thingAt(d, at)
	if t == nil || t.include != "" {
		return out, nil
	}
	for _, o := range w.occurrences(t) {
		if o.named && !p.Context.Declaration {
			continue
		}
		if l, ok := w.location(o.path, o.at); ok {
			out = append(out, l)
		}
	}
	return out, nil
}

// symbols are the services of a file with their resources, and its values.
func (s *server) symbols(d *document) (any, error) {
	o := d.outlined()
	entry := func(name, detail string, kind int, whole, at span) symbol {
		if at.to > whole.to || at.from < whole.from { // an outline without a name
			at = span{whole.from, whole.from}
		}
		return symbol{Name: cmp.Or(name, "…"), Detail: detail, Kind: kind, Range: d.text.rangeOf(whole, s.encoding), Selection: d.text.rangeOf(at, s.encoding)}
	}
	out := []symbol{}
	for _, f := range o.definitions {
		kind := symbolConstant
		if strings.HasPrefix(f.name, "var.") {
			kind = symbolVariable
		}
		out = append(out, entry(f.name, "", kind, f.whole, f.at))
	}
	for _, v := range o.services {
		one := entry(v.name, "service", symbolModule, v.whole, v.at)
		for _, r := range v.resources {
			kind := symbolObject
			if schema := s.kinds.Resource(r.kind); schema != nil && schema.Task {
				kind = symbolEvent
			}
			one.Children = append(one.Children, entry(r.kind+"."+r.name, "", kind, r.whole, r.at))
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b symbol) int {
		return cmp.Or(cmp.Compare(a.Range.Start.Line, b.Range.Start.Line), cmp.Compare(a.Range.Start.Character, b.Range.Start.Character))
	})
	if s.client.TextDocument.Symbols.Nested {
		return out, nil
	}
	flat := []flatSymbol{}
	for _, one := range out {
		flat = append(flat, flatSymbol{Name: one.Name, Kind: one.Kind, Location: location{d.uri, one.Range}})
		for _, c := range one.Children {
			flat = append(flat, flatSymbol{c.Name, c.Kind, location{d.uri, c.Range}, one.Name})
		}
	}
	return flat, nil
}

// nodes lists the nodes that the set names: agents' own, and candidates of services. The
// word at the cursor is none by being there.
func (w *world) nodes(typed string) []string {
	var out []string
	for _, p := range w.paths {
		o := w.outlines[p]
		out = append(out, o.agentNodes...)
		for _, s := range o.services {
			out = append(out, s.nodes...)
		}
	}
	for _, n := range w.s.nodes {
		out = append(out, n.Name)
	}
	if i := slices.Index(out, typed); i >= 0 {
		out = slices.Delete(out, i, i+1)
	}
	slices.Sort(out)
	return slices.Compact(slices.DeleteFunc(out, func(n string) bool { return n == "" }))
}

// services lists what other services of the set are called from inside a service.
func (w *world) services(from *service) []label {
	var out []label
	for _, p := range w.paths {
		for _, s := range w.outlines[p].services {
			if s.name == "" || s.fullName() == from.fullName() {
				continue
			}
			name := s.name
			if s.namespace != from.namespace {
				name = cmp.Or(s.namespace, spec.DefaultNamespace) + "/" + s.name
			}
			out = append(out, label{name: name})
		}
	}
	slices.SortFunc(out, func(a, b label) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(out, func(a, b label) bool { return a.name == b.name })
}
