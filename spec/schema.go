package spec

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
)

// Level says what still ends a resource when its node has lost the right to run it.
type Level string

// The safety levels, strongest first. A service's level is its weakest resource's.
const (
	LevelKernel Level = "kernel" // ends with no code of ours running
	LevelGuard  Level = "guard"  // needs the guard to run
	LevelReset  Level = "reset"  // needs a watchdog or a fence
	LevelNone   Level = "none"
)

// Bytes is a size in HCL: a number of bytes, or a string with a unit such as
// "64K", "512M", "10G" or "1T" (powers of 1024).
type Bytes int64

// Schema describes the arguments of one kind of resource, of one kind of check, or
// of a block inside these. It is read off the Config struct that the driver uses:
// one definition feeds decoding, diagnostics, the manual, explain and completion.
type Schema struct {
	Name   string
	Doc    string // one sentence, then as many as are useful
	Level  Level
	Type   reflect.Type // the Config struct
	Fields []Field      // in the order of the struct
	Blocks []Block

	// Transparent: dependents need not be restarted when this kind is lost and
	// healed. A socket bound to an address outlives the address's return.
	Transparent bool

	Task    bool   // it runs and ends, on a schedule or when asked
	Example string // a whole service file that shows it, for the manual
}

// Field is one argument.
type Field struct {
	Name     string
	Doc      string
	Default  string // as written in HCL without quotes; "" is no default
	OneOf    []string
	Required bool
	Secret   bool // may hold secret("…"), which is never shown in any output
	Export   bool // readable by siblings as kind.name.field
	Live     bool // changed by Update, without a stop
	Positive bool // zero is what it is when left out, and can't be written

	Deprecated string // what to write instead, a sentence; "" where it is not deprecated

	Type  cty.Type
	Index []int // for reflect.Value.FieldByIndex
}

// Block is a block inside a kind's block, decoded into a slice or pointer field.
type Block struct {
	Name   string
	Schema *Schema
	Many   bool // a slice: may be repeated; else at most once
	Live   bool
	Index  []int
}

// Problem is a mistake that only the kind can see. Its Field names the argument;
// Load adds the place.
type Problem struct {
	Field   string
	Summary string // terse, a statement
	Detail  string // what is wrong and what to write instead
}

// Validator is implemented by a *Config that checks more than its tags say. Where an
// argument is mistaken or not known yet it is called with several values in its place,
// and heard only in what it says of other arguments each time. So a rule about two
// arguments says nothing where one of them has its zero value.
type Validator interface{ Validate() []Problem }

// Noter is implemented by a *Config that has something to note which is no mistake:
// what it leaves open, mostly. Notes are findings of the severity note.
type Noter interface{ Notes() []Problem }

// Exporter is implemented by a *Config with values for its siblings beyond the
// fields tagged `export:""`; ip exports host, for one.
type Exporter interface{ Exports() map[string]cty.Value }

// ExportNames lists the names that Exports gives, for completion and for
// diagnostics when the values are not known. An Exporter implements it.
type ExportNames interface{ ExportNames() []string }

// Addressed is implemented by a *Config with defaults that come from the resource's
// address. It is told of it once its arguments are decoded, before anything is exported.
type Addressed interface{ SetAddress(a Address) }

// ReadyByChecker is implemented by a *Config whose start may be complete only when
// its checks pass.
type ReadyByChecker interface{ ReadyByChecks() bool }

// Kinds tells the loader which kinds there are. drivers.Registry is one.
type Kinds interface {
	Resource(kind string) *Schema // nil: no such kind
	Check(kind string) *Schema
	ResourceKinds() []string // sorted
	CheckKinds() []string
}

// SchemaOf reads the schema off a Config struct's tags:
//
//	hcl:"name"          the argument's name; ",optional" if it may be absent
//	hcl:"name,block"    a nested block: a slice of structs, or a pointer to one
//	doc:"…"             required: what it is, for the manual
//	default:"10s"       makes it optional
//	oneof:"a b c"       the allowed words
//	secret:"true"  export:"true"  reload:"live"
//	positive:"true"     0 can't be written: left out it means something else
//	deprecated:"Write x instead."
//
// The fields of an embedded struct are read as if they stood in its place.
// A field is a string, bool, int, int64, float64, Bytes, time.Duration, a slice of
// string, or a map of string. A wrong struct is a bug and panics.
func SchemaOf(name, doc string, t reflect.Type) *Schema {
	s := &Schema{Name: name, Doc: doc, Type: t}
	if doc == "" {
		panic(fmt.Sprintf("internal error: kind %s has no doc", name))
	}
	s.read(t, nil)
	return s
}

func (s *Schema) read(t reflect.Type, outer []int) {
	name := s.Name
	for i := range t.NumField() {
		f := t.Field(i)
		index := append(outer[:len(outer):len(outer)], i)
		if f.Anonymous {
			s.read(f.Type, index)
			continue
		}
		tag, ok := f.Tag.Lookup("hcl")
		if !ok {
			continue
		}
		argument, mode, _ := strings.Cut(tag, ",")
		if f.Tag.Get("doc") == "" {
			panic(fmt.Sprintf("internal error: %s.%s has no doc tag", name, f.Name))
		}
		live := f.Tag.Get("reload") == "live"
		if mode == "block" {
			many := f.Type.Kind() == reflect.Slice
			s.Blocks = append(s.Blocks, Block{
				Name: argument, Many: many, Live: live, Index: index,
				Schema: SchemaOf(argument, f.Tag.Get("doc"), f.Type.Elem()),
			})
			continue
		}
		def, hasDefault := f.Tag.Lookup("default")
		s.Fields = append(s.Fields, Field{
			Name: argument, Doc: f.Tag.Get("doc"), Default: def,
			OneOf:    strings.Fields(f.Tag.Get("oneof")),
			Required: mode != "optional" && !hasDefault,
			Secret:   f.Tag.Get("secret") == "true",
			Export:   f.Tag.Get("export") == "true",
			Live:     live,
			Positive: f.Tag.Get("positive") == "true", Deprecated: f.Tag.Get("deprecated"),
			Type:  typeOf(name, f),
			Index: index,
		})
	}
}

// Field returns the argument called name, or nil.
func (s *Schema) Field(name string) *Field {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return &s.Fields[i]
		}
	}
	return nil
}

func typeOf(kind string, f reflect.StructField) cty.Type {
	switch f.Type {
	case reflect.TypeFor[time.Duration](), reflect.TypeFor[Bytes](), reflect.TypeFor[Promise]():
		return cty.String // a bare number is accepted for Bytes: conversion makes it a string
	}
	switch f.Type.Kind() {
	case reflect.String:
		return cty.String
	case reflect.Bool:
		return cty.Bool
	case reflect.Int, reflect.Int64, reflect.Float64:
		return cty.Number
	case reflect.Slice:
		if f.Type.Elem().Kind() == reflect.String {
			return cty.List(cty.String)
		}
	case reflect.Map:
		if f.Type.Key().Kind() == reflect.String && f.Type.Elem().Kind() == reflect.String {
			return cty.Map(cty.String)
		}
	}
	panic(fmt.Sprintf("internal error: %s.%s has type %s, which the language can't hold", kind, f.Name, f.Type))
}
