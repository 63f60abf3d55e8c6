package lsp

import (
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/svcctl/svcctl/spec"
)

// outline is what one file defines and what it names. It holds no source.
type outline struct {
	path, folder string
	agent        bool
	agentNodes   []string
	definitions  []definition
	services     []service
	uses         []use
	mentions     []mention
	includes     []mention
}

// definition is a variable or local.
type definition struct {
	name      string // "var.x" or "local.x"
	at, whole span
	bare      bool // its name has no quotes
}

type service struct {
	name, namespace string
	at, whole       span
	bare            bool
	description     string
	nodes           []string
	resources       []resource
}

type resource struct {
	kind, name string
	at, whole  span
	bare       bool
}

// use is where an expression reads a definition, or a resource of its service.
type use struct {
	name    string // "var.x", "local.x" or "kind.name"
	at      span   // of the name alone
	whole   span   // of all steps
	service int    // index; -1 outside a service
	rest    []step // behind the name
	index   bool   // written as kind["name"]
}

// mention is text that names another service, or a file.
type mention struct {
	service int
	name    string
	at      span
}

// step is one step of a traversal.
type step struct {
	name  string
	at    span
	index bool
}

func outlineOf(p, firstFolder string, t *tree) *outline {
	o := &outline{path: p, folder: path.Dir(p)}
	for _, b := range t.root.blocks {
		switch b.kind {
		case "node", "services", "state":
			o.agent = o.agent || p != clusterFile
			if a := b.attr("name"); a != nil && b.kind == "node" {
				for _, s := range t.strings(a) {
					o.agentNodes = append(o.agentNodes, s.name)
				}
			}
		case "variable":
			if len(b.labels) > 0 {
				l := b.labels[0]
				o.definitions = append(o.definitions, definition{"var." + l.name, l.at, b.whole, l.bare})
			}
		case "locals":
			for _, a := range b.attrs {
				o.definitions = append(o.definitions, definition{"local." + a.name, a.nameAt, span{a.nameAt.from, a.expr.to}, true})
			}
		case "service":
			o.service(t, b, firstFolder)
			continue
		}
		o.expressions(t, b, -1)
	}
	if o.agent {
		return &outline{path: p, folder: o.folder, agent: true, agentNodes: o.agentNodes}
	}
	return o
}

func (o *outline) service(t *tree, b *block, namespace string) {
	s := service{namespace: namespace, whole: b.whole}
	if len(b.labels) > 0 {
		s.name, s.at, s.bare = b.labels[0].name, b.labels[0].at, b.labels[0].bare
	}
	index := len(o.services)
	for _, a := range b.attrs {
		texts := t.strings(a)
		switch a.name {
		case "namespace":
			s.namespace = ""
			if len(texts) == 1 {
				s.namespace = texts[0].name
			}
		case "description":
			if len(texts) == 1 {
				s.description = texts[0].name
			}
		case "nodes":
			for _, n := range texts {
				s.nodes = append(s.nodes, n.name)
			}
		case "requires", "with", "apart":
			for _, n := range texts {
				o.mentions = append(o.mentions, mention{index, n.name, n.at})
			}
		}
	}
	for _, inner := range b.blocks {
		if len(inner.labels) > 0 && inner.kind != "drill" {
			l := inner.labels[0]
			s.resources = append(s.resources, resource{inner.kind, l.name, l.at, inner.whole, l.bare})
		}
	}
	o.services = append(o.services, s)
	o.expressions(t, b, index)
}

func (o *outline) expressions(t *tree, b *block, service int) {
	for _, a := range b.attrs {
		t.scan(a, func(steps []step) {
			if len(steps) < 2 {
				return
			}
			at := steps[1].at
			o.uses = append(o.uses, use{
				name: steps[0].name + "." + steps[1].name, at: at, whole: span{steps[0].at.from, steps[len(steps)-1].at.to},
				service: service, rest: steps[2:], index: steps[1].index,
			})
		}, func(function string, _ span, argument label) {
			if function == "file" && argument.name != "" {
				o.includes = append(o.includes, mention{service, argument.name, argument.at})
			}
		})
	}
	for _, inner := range b.blocks { // no deeper than maxDepth
		o.expressions(t, inner, service)
	}
}

// fullName is the name of a service as the set knows it.
func (s *service) fullName() string { return spec.FullName(s.namespace, s.name) }

// meant is the full name of the service that a mention inside s means.
func (s *service) meant(name string) string {
	if namespace, short, has := strings.Cut(name, "/"); has {
		return spec.FullName(namespace, short)
	}
	return spec.FullName(s.namespace, name)
}

func (s *service) find(kind, name string) *resource {
	i := slices.IndexFunc(s.resources, func(r resource) bool { return r.kind == kind && r.name == name })
	if i < 0 {
		return nil
	}
	return &s.resources[i]
}

// scope is a bracket of an expression, with the names that a for inside it gives.
type scope struct {
	open  hclsyntax.TokenType
	names []string
	next  []string   // names behind the colon: what a for walks through is outside of it
	loops [][]string // names of the %{ for } that are open in a template
}

func (s *scope) hides(word string) bool {
	return slices.Contains(s.names, word) || slices.ContainsFunc(s.loops, func(names []string) bool { return slices.Contains(names, word) })
}

// scan calls read for each name that an expression reads, with its steps, and called for
// each function that it calls, with its argument where that is one plain text.
func (t *tree) scan(a *attribute, read func([]step), called func(name string, at span, argument label)) {
	scopes := []scope{{}}
	previous := hclsyntax.TokenNil // ends of lines count as commas
	for i := a.first; i < a.last; {
		k := t.kind(i)
		if o, is := opening(k); is {
			scopes = append(scopes, scope{open: o})
		} else if o, is := closes[k]; is && len(scopes) > 1 && scopes[len(scopes)-1].open == o {
			closed := scopes[len(scopes)-1]
			if scopes = scopes[:len(scopes)-1]; closed.next != nil { // a %{ for }
				in := &scopes[len(scopes)-1]
				in.loops = append(in.loops, closed.next)
				in.loops = in.loops[max(0, len(in.loops)-maxBrackets):]
			}
		}
		if in := &scopes[len(scopes)-1]; k == hclsyntax.TokenColon && in.next != nil {
			in.names, in.next = append(in.names, in.next...), nil
		}
		if k != hclsyntax.TokenIdent {
			if !t.endsLine(i) || previous != hclsyntax.TokenOBrack && previous != hclsyntax.TokenOBrace {
				previous = k
			}
			i++
			continue
		}
		word, in := string(t.tokens[i].Bytes), &scopes[len(scopes)-1]
		begins := previous == hclsyntax.TokenOBrace || previous == hclsyntax.TokenComma || previous == hclsyntax.TokenNewline || previous == hclsyntax.TokenComment
		next := t.kind(i + 1)
		switch {
		case word == "for" && (previous == hclsyntax.TokenOBrack || previous == hclsyntax.TokenOBrace || previous == hclsyntax.TokenTemplateControl):
			for i++; i < a.last && string(t.tokens[i].Bytes) != "in"; i++ {
				if t.kind(i) == hclsyntax.TokenIdent && len(in.next) < 2 { // it has a key and a value at most
					in.next = append(in.next, string(t.tokens[i].Bytes))
				}
			}
			i++
		case word == "endfor" && previous == hclsyntax.TokenTemplateControl:
			if around := &scopes[max(0, len(scopes)-2)]; len(around.loops) > 0 {
				around.loops = around.loops[:len(around.loops)-1]
			}
			i++
		case next == hclsyntax.TokenOParen:
			name, at, _ := t.literal(i + 2)
			called(word, t.spanOf(i), label{name: name, at: at})
			i++
		case in.open == hclsyntax.TokenOBrace && begins && (next == hclsyntax.TokenEqual || next == hclsyntax.TokenColon):
			i++
		default:
			var steps []step
			steps, i = t.steps(i)
			if len(scopes) <= maxBrackets && !slices.ContainsFunc(scopes, func(s scope) bool { return s.hides(word) }) {
				read(steps)
			}
		}
		previous = hclsyntax.TokenIdent
	}
}

// steps reads a traversal: names behind dots, and plain texts in brackets.
func (t *tree) steps(i int) ([]step, int) {
	steps := []step{{name: string(t.tokens[i].Bytes), at: t.spanOf(i)}}
	for i++; ; {
		switch t.kind(i) {
		case hclsyntax.TokenDot:
			if t.kind(i+1) != hclsyntax.TokenIdent {
				return steps, i + 1
			}
			steps = append(steps, step{name: string(t.tokens[i+1].Bytes), at: t.spanOf(i + 1)})
			i += 2
		case hclsyntax.TokenOBrack:
			name, at, next := t.literal(i + 1)
			if next < 0 || t.kind(next) != hclsyntax.TokenCBrack {
				return steps, i
			}
			steps = append(steps, step{name: name, at: at, index: true})
			i = next + 1
		default:
			return steps, i
		}
	}
}
