package lsp

import (
	"fmt"
	"path"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/svcctl/svcctl/spec"
)

const maxShown = 2000 // bytes of a value or an expression

func (s *server) hover(w *world, d *document, at int, _ *placeParams) (any, error) {
	page, where := s.pageAt(w, d, at)
	if page == "" {
		return nil, nil
	}
	r := d.text.rangeOf(where, s.encoding)
	return hover{markdown(page), &r}, nil
}

// pageAt is what there is to say about the word at a place.
func (s *server) pageAt(w *world, d *document, at int) (string, span) {
	t := d.grown()
	c := t.cursor(at)
	for _, a := range c.block.attrs {
		if a.nameAt.holds(at) {
			if c.block.parent == nil || c.block.kind == "locals" {
				break // a value of the user's own
			}
			if found := s.shapeOf(c.block, d.path).arg(a.name); found != nil {
				return found.page(), a.nameAt
			}
			return "", span{}
		}
	}
	for _, b := range c.block.blocks {
		if b.kindAt.holds(at) {
			return s.blockPage(b, d.path), b.kindAt
		}
		if b.kind == "check" && len(b.labels) > 0 && b.labels[0].at.holds(at) {
			if schema := s.kinds.Check(b.labels[0].name); schema != nil {
				return s.shapeOf(b, d.path).page(), b.labels[0].at
			}
		}
	}
	if c.attr != nil {
		if page, where := s.namePage(c); page != "" {
			return page, where
		}
	}
	if found := w.thingAt(d, at); found != nil {
		return w.describe(found), found.at
	}
	return "", span{}
}

func (s *server) blockPage(b *block, file string) string {
	if sh := s.shapeOf(b, file); sh != nil {
		return sh.page()
	}
	if b.parent.parent == nil {
		for _, i := range clusterLevel {
			if i.name == b.kind {
				return fmt.Sprintf("**%s**\n\n%s", i.name, i.doc)
			}
		}
	}
	return ""
}

// What expressions may read beside the set's own names.
var given = map[string]string{
	"node.name":    "The name of the node that the expression is evaluated for. Arguments of resources may read it.",
	"node.labels":  "The labels of the node that the expression is evaluated for, by name.",
	"cluster.name": "The name of the cluster.",
	"service.name": "The name of the service that the resource belongs to.",
	"each.key":     "The key of this instance, in a resource with for_each.",
	"each.value":   "The value of this instance, in a resource with for_each.",
}

// namePage is about a function, or about a name that the language gives.
func (s *server) namePage(c *cursor) (page string, where span) {
	c.tree.scan(c.attr, func(steps []step) {
		if whole := (span{steps[0].at.from, steps[len(steps)-1].at.to}); len(steps) > 1 && whole.holds(c.at) {
			name := steps[0].name + "." + steps[1].name
			if doc := given[name]; doc != "" {
				page, where = fmt.Sprintf("**%s**\n\n%s", name, doc), whole
			}
		}
	}, func(name string, at span, _ label) {
		if at.holds(c.at) {
			if signature := signatureOf(name); signature != "" {
				page, where = "```hcl\n"+signature+"\n```", at
			}
		}
	})
	return page, where
}

func signatureOf(name string) string {
	switch name {
	case "file":
		return "file(path)"
	case "secret":
		return "secret(name)"
	}
	f, known := spec.Functions()[name]
	if !known {
		return ""
	}
	return name + "(" + strings.Join(parameters(f), ", ") + ")"
}

func parameters(f function.Function) []string {
	var out []string
	for _, p := range f.Params() {
		out = append(out, p.Name)
	}
	if v := f.VarParam(); v != nil {
		out = append(out, v.Name+"…")
	}
	return out
}

// describe is about a value, a service or a resource: where it is, and what it is worth.
func (w *world) describe(t *thing) string {
	switch {
	case t.include != "":
		return fmt.Sprintf("**%s**\n\nIts content is part of the set.", t.include)
	case t.definition != nil:
		return w.describeDefinition(t)
	case t.resource != nil:
		return w.describeResource(t)
	default:
		s := t.service
		page := fmt.Sprintf("**service %s**", s.fullName())
		if s.description != "" {
			page += "\n\n" + s.description
		}
		return page + "\n\n" + w.where(t)
	}
}

// where names the line of a definition.
func (w *world) where(t *thing) string {
	content := w.text(t.file.path)
	if content == nil {
		return t.file.path
	}
	return fmt.Sprintf("%s:%d", t.file.path, content.position(t.place().from, utf8Units).Line+1)
}

func (w *world) describeDefinition(t *thing) string {
	page := fmt.Sprintf("**%s**", t.definition.name)
	for _, d := range w.view.definitions {
		if d.Name != t.definition.name || d.Folder != t.file.folder {
			continue
		}
		if shown := showValue(d.Value); shown != "" {
			page += "\n\n```hcl\n" + shown + "\n```"
		} else if d.Value == cty.NilVal {
			page += "\n\nIt has no value: there is a mistake in it."
		} else {
			page += "\n\nIts value is known on the node only."
		}
	}
	return page + "\n\n" + w.where(t)
}

// showValue writes a value as HCL, without secrets; "" where it is not known.
func showValue(v cty.Value) string {
	if v == cty.NilVal || !v.IsWhollyKnown() {
		return ""
	}
	v, _ = v.UnmarkDeep()
	shown := spec.Redact(string(hclwrite.TokensForValue(v).Bytes()))
	if len(shown) > maxShown {
		shown = strings.ToValidUTF8(shown[:maxShown], "") + " …"
	}
	return shown
}

// describeResource shows a resource's address and kind, and of a field that is read what
// is written there.
func (w *world) describeResource(t *thing) string {
	r := t.resource
	page := fmt.Sprintf("**%s/%s.%s**", t.service.fullName(), r.kind, r.name)
	schema := w.s.kinds.Resource(r.kind)
	if schema != nil {
		page += "\n\n" + schema.Doc
	}
	if t.use != nil && schema != nil {
		rest := t.use.rest
		if len(rest) > 1 && rest[0].index {
			rest = rest[1:]
		}
		if len(rest) > 0 && !rest[0].index {
			page += w.describeField(t, schema, rest[0].name)
		}
	}
	return page + "\n\n" + w.where(t)
}

func (w *world) describeField(t *thing, schema *spec.Schema, name string) string {
	f := schema.Field(name)
	if f == nil {
		return ""
	}
	page := fmt.Sprintf("\n\n`%s`: %s", name, f.Doc)
	content := w.text(t.file.path)
	if content == nil {
		return page
	}
	tree := grow(content.src)
	a := tree.blockAt(t.resource.at.to).find(t.resource).attr(name)
	if a == nil {
		if f.Default != "" {
			page += fmt.Sprintf("\n\n```hcl\n%s = %s # the default\n```", name, f.Default)
		}
		return page
	}
	written := strings.TrimSpace(content.at(a.expr))
	if len(written) > maxShown {
		return page
	}
	page += fmt.Sprintf("\n\n```hcl\n%s = %s\n```", name, written)
	if shown := w.evaluate(tree, a, t.file.folder, written); shown != "" && shown != written {
		page += fmt.Sprintf("\n\n```hcl\n# is\n%s\n```", shown)
	}
	return page
}

// find is the resource's block inside its service's, an empty one where it is gone.
func (b *block) find(r *resource) *block {
	for _, inner := range b.blocks {
		if len(inner.labels) > 0 && inner.labels[0].at == r.at {
			return inner
		}
	}
	return &block{}
}

// evaluate is what an expression that reads nothing but variables and locals is worth.
func (w *world) evaluate(t *tree, a *attribute, folder, written string) string {
	values := map[string]map[string]cty.Value{"var": {}, "local": {}}
	plain, reads := true, false
	t.scan(a, func(steps []step) {
		reads = true
		if len(steps) < 2 || values[steps[0].name] == nil {
			plain = false
			return
		}
		name := steps[0].name + "." + steps[1].name
		v := w.valueOf(folder, name)
		if v == cty.NilVal {
			plain = false
			return
		}
		values[steps[0].name][steps[1].name] = v
	}, func(string, span, label) { plain = false })
	if !plain || !reads {
		return ""
	}
	expr, diags := hclsyntax.ParseExpression([]byte(written), "", hcl.InitialPos)
	if diags.HasErrors() {
		return ""
	}
	v, diags := expr.Value(&hcl.EvalContext{Variables: map[string]cty.Value{
		"var": cty.ObjectVal(values["var"]), "local": cty.ObjectVal(values["local"]),
	}})
	if diags.HasErrors() {
		return ""
	}
	return showValue(v)
}

// valueOf is the value of a name in a folder as it was read last.
func (w *world) valueOf(folder, name string) cty.Value {
	for {
		for _, d := range w.view.definitions {
			if d.Folder == folder && d.Name == name {
				return d.Value
			}
		}
		if folder == "." {
			return cty.NilVal
		}
		folder = path.Dir(folder)
	}
}
