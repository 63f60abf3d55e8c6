package lsp

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/svcctl/svcctl/spec"
)

// shape is what may be written in a block.
type shape struct {
	title  string
	level  spec.Level
	doc    string
	args   []argument
	blocks []inner
}

type argument struct {
	spec.Field
	owner string // "" for its own, else who takes it too: "every resource"
}

type inner struct {
	name, doc string
	labels    int
	once      bool
	schemas   []*spec.Schema // what must be written in it
}

func field(name, doc string, required bool) argument {
	return argument{Field: spec.Field{Name: name, Doc: doc, Required: required}}
}

// What the language has beside what schemas describe.
var (
	topLevel = []inner{
		{name: "service", doc: "What lives and moves together: resources, and what is true of all of them.", labels: 1},
		{name: "variable", doc: "A named value with a default, read as var.name in its folder and below.", labels: 1},
		{name: "locals", doc: "Named values made of others, read as local.name in their folder and below."},
		{name: "assert", doc: "A condition that must be true of the set, and what to say where it is false."},
	}
	clusterLevel = []inner{
		{name: "fence", doc: "How a node is cut off from what it shares.", labels: 1},
		{name: "policy", doc: "What is true of every service of the cluster."},
		{name: "reload", doc: "When a changed set is kept."},
	}
	after   = field("after", "Resources that must be up before this one starts, as references: [mount.data]. A reference in a value implies one.", false)
	forEach = field("for_each", "One instance for each element of a list of texts, or of a map; each.key and each.value can be read.", false)
	check   = inner{name: "check", doc: "A question that is asked again and again while the resource is up.", labels: 2}
)

func (s *server) schema(name string) *spec.Schema {
	for _, l := range spec.Language() {
		if l.Name == name {
			return l
		}
	}
	panic("internal error: the language has no " + name)
}

func (sh *shape) take(schema *spec.Schema, owner string) {
	for _, f := range schema.Fields {
		sh.args = append(sh.args, argument{f, owner})
	}
	for _, b := range schema.Blocks {
		sh.blocks = append(sh.blocks, inner{name: b.Name, doc: b.Schema.Doc, once: !b.Many, schemas: []*spec.Schema{b.Schema}})
	}
}

// shapeOf is what may be written in a block of a file; nil where that is not known.
func (s *server) shapeOf(b *block, file string) *shape {
	if b.parent == nil {
		if file == clusterFile {
			return &shape{blocks: clusterLevel}
		}
		return &shape{blocks: topLevel}
	}
	if b.parent.parent == nil {
		return s.topShape(b)
	}
	outer := s.shapeOf(b.parent, file) // no deeper than maxDepth
	if outer == nil {
		return nil
	}
	inService := b.parent.parent.parent == nil && b.parent.kind == "service"
	switch {
	case inService && b.kind == "drill":
		sh := &shape{title: "drill", doc: s.schema("drill").Doc}
		sh.take(s.schema("drill"), "")
		return sh
	case inService && s.kinds.Resource(b.kind) != nil:
		return s.resourceShape(s.kinds.Resource(b.kind))
	case b.kind == "check" && slices.ContainsFunc(outer.blocks, func(i inner) bool { return i.name == "check" }):
		sh := &shape{title: "check", doc: check.doc}
		if len(b.labels) > 0 {
			if schema := s.kinds.Check(b.labels[0].name); schema != nil {
				sh.title, sh.doc = fmt.Sprintf("check %q", schema.Name), schema.Doc
				sh.take(schema, "")
			}
		}
		sh.take(s.schema("check"), "every check")
		return sh
	}
	for _, i := range outer.blocks {
		if i.name == b.kind {
			sh := &shape{title: b.kind, doc: i.doc}
			for _, schema := range i.schemas {
				sh.take(schema, "")
			}
			return sh
		}
	}
	return nil
}

func (s *server) topShape(b *block) *shape {
	switch b.kind {
	case "service":
		sh := &shape{title: "service", doc: topLevel[0].doc}
		sh.take(s.schema("service"), "")
		for _, kind := range s.kinds.ResourceKinds() {
			schema := s.kinds.Resource(kind)
			sh.blocks = append(sh.blocks, inner{name: kind, doc: schema.Doc, labels: 1, schemas: []*spec.Schema{schema}})
		}
		drill := s.schema("drill")
		sh.blocks = append(sh.blocks, inner{name: "drill", doc: drill.Doc, labels: 1, schemas: []*spec.Schema{drill}})
		return sh
	case "variable":
		return &shape{title: "variable", doc: topLevel[1].doc, args: []argument{
			field("default", "Its value.", true), field("description", "What it is for, for people.", false)}}
	case "locals":
		return &shape{title: "locals", doc: topLevel[2].doc}
	case "assert":
		return &shape{title: "assert", doc: topLevel[3].doc, args: []argument{
			field("condition", "What must be true.", true), field("message", "What to say where it is false.", true)}}
	default:
		return nil
	}
}

func (s *server) resourceShape(schema *spec.Schema) *shape {
	sh := &shape{title: schema.Name, doc: schema.Doc, level: schema.Level}
	sh.take(schema, "")
	if schema.Task {
		sh.take(s.schema("task"), "every task")
	} else {
		sh.take(s.schema("resource"), "every resource")
		sh.blocks = append(sh.blocks, check)
	}
	sh.args = append(sh.args, after, forEach)
	return sh
}

func (sh *shape) arg(name string) *argument {
	if sh == nil {
		return nil
	}
	for i := range sh.args {
		if sh.args[i].Name == name {
			return &sh.args[i]
		}
	}
	return nil
}

// typeText is what an argument holds, in words.
func (a *argument) typeText() string {
	switch {
	case a.Name == "after" && a.owner == "" && a.Index == nil:
		return "list of resources"
	case a.Index == nil: // of the language itself
		return "any value"
	case len(a.OneOf) > 0:
		return "one of " + strings.Join(a.OneOf, ", ")
	default:
		return strings.ReplaceAll(a.Type.FriendlyNameForConstraint(), "string", "text")
	}
}

// page is what an argument's documentation says.
func (a *argument) page() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**: %s", a.Name, a.typeText())
	switch {
	case a.Required:
		b.WriteString(", required")
	case a.Default != "":
		fmt.Fprintf(&b, ", default `%s`", a.Default)
	}
	fmt.Fprintf(&b, "\n\n%s", a.Doc)
	if a.owner != "" {
		fmt.Fprintf(&b, "\n\nWhat %s takes.", a.owner)
	}
	if a.Deprecated != "" {
		fmt.Fprintf(&b, "\n\n**Deprecated.** %s", a.Deprecated)
	}
	if a.Secret {
		b.WriteString("\n\nIt may hold a secret: `secret(\"name\")`.")
	}
	if a.Live {
		b.WriteString("\n\nA change of it needs no restart.")
	}
	return b.String()
}

// page is what a block's documentation says, with its arguments, required ones first.
func (sh *shape) page() string {
	var b strings.Builder
	fmt.Fprintf(&b, "**%s**\n\n%s", sh.title, sh.doc)
	if sh.level != "" {
		fmt.Fprintf(&b, "\n\nSafety level: %s.", sh.level)
	}
	var required, rest []string
	for _, a := range sh.args {
		switch {
		case a.Required:
			required = append(required, "`"+a.Name+"`")
		case a.owner == "":
			rest = append(rest, "`"+a.Name+"`")
		}
	}
	if len(required) > 0 {
		fmt.Fprintf(&b, "\n\nRequired: %s.", strings.Join(required, ", "))
	}
	if len(rest) > 0 {
		fmt.Fprintf(&b, "\n\nArguments: %s.", strings.Join(rest, ", "))
	}
	return b.String()
}

// cursor is the place in a tree that a request is about.
type cursor struct {
	tree  *tree
	at    int
	block *block
	attr  *attribute // whose expression holds the place; nil outside of one
}

func (t *tree) cursor(at int) *cursor {
	c := &cursor{tree: t, at: at, block: t.blockAt(at)}
	for _, a := range c.block.attrs {
		if a.expr.holds(at) {
			c.attr = a
		}
	}
	return c
}

// quoted is the text in quotes that holds the place, if it is one without templates.
func (c *cursor) quoted() (span, bool) {
	t := c.tree
	i := t.before(c.at)
	if i < 0 {
		return span{}, false
	}
	open := i
	for t.kind(open) == hclsyntax.TokenQuotedLit {
		open--
	}
	if t.kind(open) != hclsyntax.TokenOQuote || c.at < t.to(open) {
		return span{}, false
	}
	end := open + 1
	for t.kind(end) == hclsyntax.TokenQuotedLit {
		end++
	}
	if t.kind(end) != hclsyntax.TokenCQuote || c.at > t.from(end) {
		return span{}, false
	}
	return span{t.to(open), t.from(end)}, true
}
