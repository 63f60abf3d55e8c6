package lsp

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/svcctl/svcctl/spec"
)

// maxItems bounds one answer; who types on gets the rest.
const maxItems = 1000

// completion gathers what may be written at one place.
type completion struct {
	s     *server
	w     *world
	d     *document
	c     *cursor
	word  span // what it replaces
	items []completionItem
}

func (s *server) complete(w *world, d *document, at int, _ *placeParams) (any, error) {
	x := &completion{s: s, w: w, d: d, c: d.grown().cursor(at)}
	if !d.outlined().agent && !x.inComment() {
		x.gather()
	}
	list := completionList{Items: x.items}
	if len(list.Items) > maxItems {
		list.Incomplete, list.Items = true, list.Items[:maxItems]
	}
	if list.Items == nil {
		list.Items = []completionItem{}
	}
	return list, nil
}

func (x *completion) inComment() bool {
	t := x.c.tree
	i := t.before(x.c.at)
	if t.kind(i) != hclsyntax.TokenComment {
		return false
	}
	return x.c.at < t.to(i) || !t.endsLine(i)
}

func (x *completion) gather() {
	x.word = x.wordAt()
	if x.c.attr != nil {
		x.expression()
		return
	}
	for _, b := range x.c.block.blocks {
		if b.kindAt.holds(x.c.at) {
			x.statement(b.kindAt, b.bodied || len(b.labels) > 0)
			return
		}
		if b.whole.from < x.c.at && (x.c.at < b.body.from || !b.bodied && x.c.at <= b.whole.to) {
			x.label(b)
			return
		}
	}
	for _, a := range x.c.block.attrs {
		if a.nameAt.holds(x.c.at) {
			x.statement(a.nameAt, true)
			return
		}
	}
	if x.beginsStatement() {
		x.statement(x.word, false)
	}
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

func (x *completion) wordAt() span {
	src, s := x.c.tree.src, span{x.c.at, x.c.at}
	for s.from > 0 && isWord(src[s.from-1]) {
		s.from--
	}
	for s.to < len(src) && isWord(src[s.to]) {
		s.to++
	}
	return s
}

// beginsStatement says whether nothing but blanks stands between the word and the line's
// begin, or a brace.
func (x *completion) beginsStatement() bool {
	before := strings.TrimRight(string(x.c.tree.src[max(0, x.word.from-200):x.word.from]), " \t\ufeff")
	return before == "" && x.word.from < 200 || strings.HasSuffix(before, "\n") || strings.HasSuffix(before, "{") || strings.HasSuffix(before, "}")
}

// add offers text in place of the word. In a snippet the text holds places to fill in.
func (x *completion) add(label string, kind int, rank int, text, snippet, detail, doc string, tags ...int) {
	item := completionItem{Label: label, Kind: kind, Detail: detail, Sort: fmt.Sprintf("%d%04d", rank, len(x.items)), Filter: label, Format: plainText, Tags: tags}
	if doc != "" {
		item.Doc = markdown(doc)
	}
	if snippet != "" && x.s.client.TextDocument.Completion.Item.Snippets {
		text, item.Format = snippet, snippetFormat
	}
	item.Edit = &textEdit{x.d.text.rangeOf(x.word, x.s.encoding), text}
	x.items = append(x.items, item)
}

// statement offers arguments and blocks, those that are needed first. Where the rest of
// the statement is there already only its first word is replaced.
func (x *completion) statement(word span, rest bool) {
	x.word = word
	b := x.c.block
	sh := x.s.shapeOf(b, x.d.path)
	if sh == nil {
		return
	}
	for _, required := range []bool{true, false} {
		for i := range sh.args {
			a := &sh.args[i]
			written := b.attr(a.Name)
			if a.Required != required || written != nil && written.nameAt != word {
				continue
			}
			x.argument(a, rest)
		}
	}
	for i := range sh.blocks {
		in := &sh.blocks[i]
		if in.once && slices.ContainsFunc(b.blocks, func(o *block) bool { return o.kind == in.name && o.kindAt != word }) {
			continue
		}
		text, snippet := in.name, ""
		if !rest {
			text, snippet = in.text(), in.snippet(x.s)
		}
		x.add(in.name, itemClass, 3, text, snippet, "block", in.doc)
	}
}

func (x *completion) argument(a *argument, rest bool) {
	rank := 2
	switch {
	case a.Required:
		rank = 0
	case a.owner == "":
		rank = 1
	}
	var tags []int
	if a.Deprecated != "" {
		rank, tags = 4, []int{1}
	}
	text, snippet := a.Name, ""
	if !rest {
		text, snippet = a.Name+" = ", a.Name+" = "+a.value(1)
	}
	x.add(a.Name, itemProperty, rank, text, snippet, a.typeText(), a.page(), tags...)
}

// snippetText takes from text the meaning that its characters have in snippets.
var snippetText = strings.NewReplacer(`\`, `\\`, `$`, `\$`, `}`, `\}`, `,`, `\,`, `|`, `\|`)

// value is a place of a snippet for an argument's value.
func (a *argument) value(n int) string {
	shown := snippetText.Replace(a.Default)
	switch {
	case a.Index == nil && a.Name == "after":
		return fmt.Sprintf("[${%d}]", n)
	case a.Index == nil:
		return fmt.Sprintf("${%d}", n)
	case len(a.OneOf) > 0:
		return fmt.Sprintf(`"${%d|%s|}"`, n, strings.Join(a.OneOf, ","))
	case a.Type.IsListType():
		return fmt.Sprintf(`["${%d}"]`, n)
	case a.Type.IsMapType():
		return fmt.Sprintf("{ ${%d} }", n)
	case a.Type.FriendlyName() == "string":
		return fmt.Sprintf(`"${%d:%s}"`, n, shown)
	default:
		return fmt.Sprintf("${%d:%s}", n, shown)
	}
}

func (i *inner) text() string { return i.name + strings.Repeat(` ""`, i.labels) + " {\n}" }

// snippet is the block with its labels and the arguments that it needs.
func (i *inner) snippet(s *server) string {
	var b strings.Builder
	b.WriteString(i.name)
	n := 0
	next := func() int { n++; return n }
	if i.name == "check" {
		fmt.Fprintf(&b, ` "${%d|%s|}"`, next(), strings.Join(s.kinds.CheckKinds(), ","))
	}
	if i.labels > 0 {
		fmt.Fprintf(&b, ` "${%d:name}"`, next())
	}
	b.WriteString(" {\n")
	for _, schema := range i.schemas {
		for _, f := range schema.Fields {
			if a := (argument{Field: f}); f.Required {
				fmt.Fprintf(&b, "\t%s = %s\n", f.Name, a.value(next()))
			}
		}
	}
	return b.String() + "\t$0\n}"
}

// label offers the kinds of checks; other labels are names that the user makes up.
func (x *completion) label(b *block) {
	if b.kind != "check" || len(b.labels) == 0 || !b.labels[0].at.holds(x.c.at) {
		return
	}
	x.word = b.labels[0].at
	for _, kind := range x.s.kinds.CheckKinds() {
		x.add(kind, itemWord, 0, kind, "", "check", x.s.kinds.Check(kind).Doc)
	}
}

// expression offers what may be read or called, and the words that the argument knows.
func (x *completion) expression() {
	a := x.s.argumentOf(x.c.block, x.d.path, x.c.attr.name)
	if at, is := x.c.quoted(); is {
		x.word = at
		x.words(a, "")
		return
	}
	src := x.c.tree.src
	from := x.word.from
	for from > x.c.attr.expr.from && (isWord(src[from-1]) || src[from-1] == '.') {
		from--
	}
	if !x.beginsValue(from) {
		return
	}
	if chain := strings.Split(string(src[from:x.word.from]), "."); len(chain) > 1 {
		x.behindDot(chain[:len(chain)-1])
		return
	}
	x.words(a, `"`)
	if a != nil && a.Index != nil && a.Type.FriendlyName() == "bool" {
		x.add("true", itemKeyword, 0, "true", "", "", "")
		x.add("false", itemKeyword, 0, "false", "", "", "")
	}
	x.names(x.c.attr.name == "after" && x.inResource() != nil)
}

func (s *server) argumentOf(b *block, file, name string) *argument {
	return s.shapeOf(b, file).arg(name)
}

// beginsValue says whether a value may begin at a place, by what stands before it.
func (x *completion) beginsValue(at int) bool {
	t := x.c.tree
	i := t.before(at)
	if i < x.c.attr.first {
		return true
	}
	switch t.kind(i) {
	case hclsyntax.TokenIdent:
		return slices.Contains([]string{"in", "if"}, string(t.tokens[i].Bytes))
	case hclsyntax.TokenCQuote, hclsyntax.TokenCBrack, hclsyntax.TokenCBrace, hclsyntax.TokenCParen, hclsyntax.TokenNumberLit, hclsyntax.TokenDot,
		hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit, hclsyntax.TokenTemplateSeqEnd, hclsyntax.TokenCHeredoc, hclsyntax.TokenOHeredoc:
		return false
	default:
		return true
	}
}

// words offers the texts that the argument knows, with or without their quotes.
func (x *completion) words(a *argument, quote string) {
	offer := func(kind int, detail string, words []string) {
		for _, word := range words {
			x.add(word, kind, 0, quote+word+quote, "", detail, "")
		}
	}
	if a != nil {
		offer(itemWord, "", a.OneOf)
	}
	if x.c.block.kind != "service" || x.c.block.parent == nil || x.c.block.parent.parent != nil {
		return
	}
	switch x.c.attr.name {
	case "requires", "with", "apart":
		if s := x.inService(); s != nil {
			for _, l := range x.w.services(s) {
				x.add(l.name, itemModule, 0, quote+l.name+quote, "", "service", "")
			}
		}
	case "nodes":
		offer(itemWord, "node", x.w.nodes(x.d.text.at(x.word)))
	}
}

func (x *completion) inService() *service {
	o := x.d.outlined()
	for i := range o.services {
		if o.services[i].whole.holds(x.c.at) {
			return &o.services[i]
		}
	}
	return nil
}

func (x *completion) inResource() *resource {
	if s := x.inService(); s != nil {
		for i := range s.resources {
			if s.resources[i].whole.holds(x.c.at) {
				return &s.resources[i]
			}
		}
	}
	return nil
}

// siblings are the resources that the one at the cursor may read.
func (x *completion) siblings() []resource {
	s, own := x.inService(), x.inResource()
	if own == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(s.resources), func(r resource) bool {
		schema := x.s.kinds.Resource(r.kind)
		return r == *own || schema == nil || schema.Task
	})
}

// values lists the variables or locals that can be read in the document.
func (x *completion) values(prefix string) []string {
	names := map[string]bool{}
	here := x.d.outlined().folder
	for _, p := range x.w.paths {
		o := x.w.outlines[p]
		if o.folder != "." && o.folder != here && !strings.HasPrefix(here, o.folder+"/") {
			continue
		}
		for _, f := range o.definitions {
			if strings.HasPrefix(f.name, prefix) {
				names[f.name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// given are the names that the language gives at the cursor.
func (x *completion) given() []string {
	names := []string{"cluster.name"}
	if x.inResource() == nil {
		return names
	}
	names = append(names, "node.name", "node.labels", "service.name")
	for b := x.c.block; b != nil; b = b.parent {
		if b.attr("for_each") != nil {
			return append(names, "each.key", "each.value")
		}
	}
	return names
}

// names offers what can be read, and functions.
func (x *completion) names(resourcesOnly bool) {
	for _, r := range x.siblings() {
		x.add(r.kind+"."+r.name, itemReference, 1, r.kind+"."+r.name, "", "resource", "")
	}
	if resourcesOnly {
		return
	}
	for _, prefix := range []string{"var.", "local."} {
		for _, name := range x.values(prefix) {
			x.add(name, itemVariable, 1, name, "", "", "")
		}
	}
	for _, name := range x.given() {
		x.add(name, itemVariable, 2, name, "", "", given[name])
	}
	calls := append(slices.Collect(maps.Keys(spec.Functions())), "file", "secret")
	slices.Sort(calls)
	for _, name := range calls {
		x.add(name, itemFunction, 3, name+"(", name+"(${1})", signatureOf(name), "")
	}
}

// behindDot offers the next step of what is written.
func (x *completion) behindDot(steps []string) {
	root := steps[0]
	if len(steps) == 1 {
		if root == "var" || root == "local" {
			for _, name := range x.values(root + ".") {
				x.add(strings.TrimPrefix(name, root+"."), itemVariable, 0, strings.TrimPrefix(name, root+"."), "", name, "")
			}
			return
		}
		for _, name := range x.given() {
			if short, is := strings.CutPrefix(name, root+"."); is {
				x.add(short, itemField, 0, short, "", name, given[name])
			}
		}
	}
	for _, r := range x.siblings() {
		schema := x.s.kinds.Resource(r.kind)
		switch {
		case r.kind != root:
		case len(steps) == 1:
			x.add(r.name, itemReference, 0, r.name, "", r.kind+"."+r.name, schema.Doc)
		case len(steps) == 2 && r.name == steps[1]:
			for _, name := range spec.Exports(schema) {
				doc := ""
				if f := schema.Field(name); f != nil {
					doc = f.Doc
				}
				x.add(name, itemField, 0, name, "", r.kind+"."+r.name+"."+name, doc)
			}
		}
	}
}
