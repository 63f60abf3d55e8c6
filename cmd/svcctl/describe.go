package main

import (
	"reflect"

	"github.com/zclconf/go-cty/cty"

	"github.com/svcctl/svcctl/spec"
)

// kindDoc is a kind as JSON tells it, and as the manual is made from.
type kindDoc struct {
	Kind  string     `json:"kind"`
	Of    string     `json:"of"` // resource, task or check; language: what all of these take
	Doc   string     `json:"doc"`
	Level spec.Level `json:"level,omitempty"`

	// Transparent: what is after it is not restarted when it was lost and came back.
	Transparent bool `json:"transparent,omitempty"`

	Arguments []argumentDoc `json:"arguments"`
	Reads     []string      `json:"reads,omitempty"` // what others may read of it beyond its arguments
	Example   string        `json:"example,omitempty"`
}

type argumentDoc struct {
	Name     string   `json:"name"` // with the block that it is in: "block.argument"
	Type     string   `json:"type"`
	Doc      string   `json:"doc"`
	Required bool     `json:"required"`
	Repeated bool     `json:"repeated,omitempty"` // a block that may be there more than once
	Default  string   `json:"default,omitempty"`
	OneOf    []string `json:"one_of,omitempty"`
	Live     bool     `json:"live"`
	Secret   bool     `json:"secret"` // may hold secret("…")
	Export   bool     `json:"export"`
}

// describeAll describes every kind, and what the language gives to all of them.
func describeAll(kinds spec.Kinds) []kindDoc {
	var out []kindDoc
	for _, k := range kinds.ResourceKinds() {
		s := kinds.Resource(k)
		of := "resource"
		if s.Task {
			of = "task"
		}
		out = append(out, describe(s, of))
	}
	for _, k := range kinds.CheckKinds() {
		out = append(out, describe(kinds.Check(k), "check"))
	}
	for _, s := range spec.Language() {
		d := describe(s, "language")
		if s.Name == "resource" || s.Name == "task" {
			d.Arguments = append(beside(s.Name), d.Arguments...)
		}
		out = append(out, d)
	}
	return out
}

// beside are the arguments that are references, or are read before all others.
func beside(of string) []argumentDoc {
	what := "Resources to start behind, and to be stopped before: after = [mount.data]. A value that refers to a resource says the same."
	if of == "task" {
		what = "Resources that must be up for a run to begin: after = [mount.data]. A value that refers to a resource says the same."
	}
	return []argumentDoc{
		{Name: "after", Type: "list of references", Doc: what},
		{Name: "for_each", Type: "list or map of text", Doc: "One " + of + " for each element; its arguments read each.key and each.value."},
	}
}

func describe(s *spec.Schema, of string) kindDoc {
	d := kindDoc{Kind: s.Name, Of: of, Doc: s.Doc, Arguments: describeArguments(s, ""), Example: s.Example}
	if of == "resource" || of == "task" {
		d.Level, d.Transparent = s.Level, s.Transparent
	}
	for i := range d.Arguments {
		d.Arguments[i].Export = d.Arguments[i].Export && of != "task" // nothing is read of a task
	}
	if e, ok := reflect.New(s.Type).Interface().(spec.ExportNames); ok {
		for _, name := range e.ExportNames() {
			d.Reads = append(d.Reads, s.Name+".NAME."+name)
		}
	}
	return d
}

func describeArguments(s *spec.Schema, prefix string) []argumentDoc {
	out := []argumentDoc{}
	for i := range s.Fields {
		f := &s.Fields[i]
		out = append(out, argumentDoc{
			Name: prefix + f.Name, Type: argumentType(s, f), Doc: f.Doc, Required: f.Required, Default: f.Default,
			OneOf: f.OneOf, Live: f.Live, Secret: f.Secret, Export: f.Export,
		})
	}
	for _, b := range s.Blocks {
		out = append(out, argumentDoc{Name: prefix + b.Name, Type: "block", Doc: b.Schema.Doc, Repeated: b.Many, Live: b.Live})
		out = append(out, describeArguments(b.Schema, prefix+b.Name+".")...)
	}
	return out
}

// argumentType tells durations and sizes, which the language writes as texts, apart from texts.
func argumentType(s *spec.Schema, f *spec.Field) string {
	switch s.Type.FieldByIndex(f.Index).Type.String() {
	case "time.Duration", "spec.Promise":
		return "duration"
	case "spec.Bytes":
		return "size"
	}
	return typeWord(f.Type)
}

func typeWord(t cty.Type) string {
	switch {
	case t.IsListType():
		return "list of " + t.ElementType().FriendlyName()
	case t.IsMapType():
		return "map of " + t.ElementType().FriendlyName()
	default:
		return t.FriendlyName()
	}
}
