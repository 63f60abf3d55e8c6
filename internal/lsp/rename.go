package lsp

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/svcctl/svcctl/spec"
)

func (s *server) prepareRename(w *world, d *document, at int, _ *placeParams) (any, error) {
	t := w.thingAt(d, at)
	if t == nil || t.include != "" {
		return nil, errors.New("cannot rename this: services, resources, variables and locals have names to change")
	}
	if t.use != nil && !t.use.at.holds(at) {
		return nil, errors.New("cannot rename this: put the cursor on the name")
	}
	return prepared{d.text.rangeOf(t.at, s.encoding), t.name()}, nil
}

// name is the short name of a thing.
func (t *thing) name() string {
	switch {
	case t.definition != nil:
		_, name, _ := strings.Cut(t.definition.name, ".")
		return name
	case t.resource != nil:
		return t.resource.name
	default:
		return t.service.name
	}
}

func (s *server) rename(w *world, d *document, at int, p *placeParams) (any, error) {
	if _, err := s.prepareRename(w, d, at, p); err != nil {
		return nil, err
	}
	t := w.thingAt(d, at)
	places := w.occurrences(t)
	if p.NewName == t.name() {
		return workspaceEdit{map[string][]textEdit{}}, nil
	}
	if err := w.allows(t, p.NewName, places); err != nil {
		return nil, err
	}
	edit := workspaceEdit{map[string][]textEdit{}}
	for _, o := range places {
		content := w.text(o.path)
		if content == nil || content.at(o.at) != t.name() {
			return nil, fmt.Errorf("cannot rename %s: %s has changed since it was read; try again", t.name(), o.path)
		}
		written := p.NewName
		if o.bare && t.definition == nil && !hclsyntax.ValidIdentifier(written) {
			written = fmt.Sprintf("%q", written) // a label without quotes gets some
		}
		edit.Changes[w.uri(o.path)] = append(edit.Changes[w.uri(o.path)], textEdit{content.rangeOf(o.at, s.encoding), written})
	}
	return edit, nil
}

// allows says why a thing can't get a name, nil where it can.
func (w *world) allows(t *thing, name string, places []occurrence) error {
	switch {
	case t.definition != nil:
		return w.allowsValue(t, name, places)
	case !spec.ValidName(name):
		return fmt.Errorf("cannot use the name %.80q: names are made of letters, digits, - and _, at most 63", name)
	case t.resource != nil:
		if t.service.find(t.resource.kind, name) != nil {
			return fmt.Errorf("cannot use the name %q: service %q has %s.%s already", name, t.service.name, t.resource.kind, name)
		}
		for _, o := range places {
			if !o.named && !o.index && !hclsyntax.ValidIdentifier(name) {
				return fmt.Errorf("cannot use the name %q: it is referred to as %s.%s, where a name begins with a letter", name, t.resource.kind, name)
			}
		}
		return nil
	default:
		if file, other := w.service(spec.FullName(t.service.namespace, name)); other != nil {
			return fmt.Errorf("cannot use the name %q: there is such a service in %s", name, file.path)
		}
		return nil
	}
}

func (w *world) allowsValue(t *thing, name string, places []occurrence) error {
	if !hclsyntax.ValidIdentifier(name) {
		return fmt.Errorf("cannot use the name %.80q: letters, digits, - and _, not beginning with a digit", name)
	}
	root, _, _ := strings.Cut(t.definition.name, ".")
	for _, o := range places {
		if file, other := w.resolve(w.outlines[o.path].folder, root+"."+name); other != nil {
			return fmt.Errorf("cannot use the name %q: %s.%s is defined in %s", name, root, name, file.path)
		}
	}
	// Who reads the new name below the definition's folder would read this one instead.
	for _, p := range w.paths {
		o := w.outlines[p]
		if o.folder != t.file.folder && t.file.folder != "." && !strings.HasPrefix(o.folder, t.file.folder+"/") {
			continue
		}
		for _, f := range o.definitions {
			if f.name == root+"."+name {
				return fmt.Errorf("cannot use the name %q: %s.%s is defined in %s", name, root, name, p)
			}
		}
	}
	return nil
}
