package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"github.com/svcctl/svcctl/spec"
)

// The language as JSON Schema: the structure is that of HCL's JSON syntax, in which a
// block is an object under its type and its labels, and an expression a text with ${ }.

const dialect = "https://json-schema.org/draft/2020-12/schema"

// jsonSchema is a schema, or part of one. Keys are written in alphabetical order.
type jsonSchema = map[string]any

// simpleTypes are what arguments refer to.
func simpleTypes() jsonSchema {
	either := func(doc string, s jsonSchema) jsonSchema {
		return jsonSchema{"description": doc, "anyOf": []any{s, ref("expression")}}
	}
	return jsonSchema{
		"expression": jsonSchema{"type": "string", "pattern": `(^|[^$])\$\{|(^|[^%])%\{`, "description": `A text with an expression of HCL in it, as "${var.vip}".`},
		"text":       jsonSchema{"type": []string{"string", "number", "boolean"}, "description": "A text. A number or a truth value is made one."},
		"truth":      either("true or false.", jsonSchema{"type": "boolean"}),
		"number":     either("A number.", jsonSchema{"type": "number"}),
		"whole":      either("A number without a fraction.", jsonSchema{"type": "integer"}),
		"duration":   either(`A time such as "10s", "1m30s" or "500ms".`, jsonSchema{"type": "string", "pattern": `^\+?(0|(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`}),
		"size": either(`A number of bytes, or a text such as "512M".`,
			jsonSchema{"anyOf": []any{jsonSchema{"type": "integer", "minimum": 0}, jsonSchema{"type": "string", "pattern": `^[0-9]{1,18}(\.[0-9]{1,9})?[KMGTP]?(i?B)?$`}}}),
		"texts": either("A list of texts.", jsonSchema{"type": "array", "items": ref("text")}),
		"map":   either("A map of texts.", jsonSchema{"type": "object", "additionalProperties": ref("text")}),
		"name":  jsonSchema{"type": "string", "pattern": "^[A-Za-z0-9_-]{1,63}$", "description": "Letters, digits, - and _."},
		"references": jsonSchema{"type": "array", "description": "Resources of the same service.",
			"items": jsonSchema{"anyOf": []any{jsonSchema{"type": "string", "pattern": `^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+|\[.+\])+$`}, ref("expression")}}},
	}
}

func ref(name string) jsonSchema { return jsonSchema{"$ref": "#/$defs/" + name} }

// schemaName is what a kind is called among the definitions, and its file.
func schemaName(of, kind string) string {
	if of == kind {
		return kind
	}
	return of + "-" + kind
}

// definitions are all that a schema may refer to.
func definitions(kinds spec.Kinds) jsonSchema {
	defs := simpleTypes()
	language := map[string]*spec.Schema{}
	for _, s := range spec.Language() {
		language[s.Name] = s
	}
	checks := jsonSchema{}
	for _, k := range kinds.CheckKinds() {
		s := kinds.Check(k)
		defs[schemaName("check", k)] = body(s.Doc, s, language["check"])
		checks[k] = jsonSchema{"description": s.Doc, "type": "object", "propertyNames": ref("name"), "additionalProperties": ref(schemaName("check", k))}
	}
	defs["checks"] = jsonSchema{"type": "object", "description": "Checks, by kind and name.", "additionalProperties": false, "properties": checks}
	service := body(language["service"].Doc, language["service"])
	inside := service["properties"].(jsonSchema)
	for _, k := range kinds.ResourceKinds() {
		s, of := kinds.Resource(k), "resource"
		if s.Task {
			of = "task"
		}
		b := body(s.Doc, s, language[of])
		for _, a := range beside(of) {
			kind := ref("references")
			if a.Name == "for_each" {
				kind = jsonSchema{"anyOf": []any{ref("texts"), jsonSchema{"type": "object"}}}
			}
			b["properties"].(jsonSchema)[a.Name] = with(kind, jsonSchema{"description": a.Doc})
		}
		if !s.Task {
			b["properties"].(jsonSchema)["check"] = jsonSchema{"anyOf": []any{ref("checks"), many(ref("checks"))}}
		}
		defs[schemaName(of, k)] = b
		inside[k] = labelled(s.Doc, ref(schemaName(of, k)))
	}
	defs["drill"] = body(language["drill"].Doc, language["drill"])
	inside["drill"] = labelled(language["drill"].Doc, ref("drill"))
	defs["service"] = service
	return defs
}

// labelled is a block with one label: an object of them by name.
func labelled(doc string, b jsonSchema) jsonSchema {
	byName := jsonSchema{"type": "object", "propertyNames": ref("name"), "additionalProperties": b}
	return jsonSchema{"description": doc, "anyOf": []any{byName, many(byName)}}
}

func many(b jsonSchema) jsonSchema { return jsonSchema{"type": "array", "items": b} }

func with(s, more jsonSchema) jsonSchema {
	maps.Copy(s, more)
	return s
}

// body is what stands in a block that is read as several structs.
func body(doc string, parts ...*spec.Schema) jsonSchema {
	properties, required := jsonSchema{}, []string{}
	for _, s := range parts {
		for i := range s.Fields {
			f := &s.Fields[i]
			properties[f.Name] = argument(s, f)
			if f.Required {
				required = append(required, f.Name)
			}
		}
		for _, b := range s.Blocks {
			inner := body(b.Schema.Doc, b.Schema)
			if b.Many {
				inner = jsonSchema{"description": b.Schema.Doc, "anyOf": []any{inner, many(inner)}}
			}
			properties[b.Name] = inner
		}
	}
	out := jsonSchema{"type": "object", "description": doc, "additionalProperties": false, "properties": properties}
	if slices.Sort(required); len(required) > 0 {
		out["required"] = required
	}
	return out
}

func argument(s *spec.Schema, f *spec.Field) jsonSchema {
	out := jsonSchema{}
	switch t := s.Type.FieldByIndex(f.Index).Type; {
	case len(f.OneOf) > 0 && f.Type.IsListType():
		words := jsonSchema{"type": "array", "items": jsonSchema{"anyOf": []any{jsonSchema{"enum": f.OneOf}, ref("expression")}}}
		out["anyOf"] = []any{words, ref("expression")}
	case len(f.OneOf) > 0:
		out["anyOf"] = []any{jsonSchema{"enum": f.OneOf}, ref("expression")}
	default:
		out = ref(typeOfArgument(t, f))
	}
	if f.Positive && f.Type == cty.Number {
		out["exclusiveMinimum"] = 0
	}
	out["description"] = describeForSchema(f)
	if f.Default != "" {
		out["default"] = defaultOf(f)
	}
	if f.Deprecated != "" {
		out["deprecated"] = true
	}
	return out
}

func typeOfArgument(t reflect.Type, f *spec.Field) string {
	switch t.String() {
	case "time.Duration", "spec.Promise":
		return "duration"
	case "spec.Bytes":
		return "size"
	}
	switch {
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int64:
		return "whole"
	case f.Type == cty.Number:
		return "number"
	case f.Type == cty.String:
		return "text"
	case f.Type == cty.Bool:
		return "truth"
	case f.Type.IsListType():
		return "texts"
	case f.Type.IsMapType():
		return "map"
	}
	panic(fmt.Sprintf("internal error: no JSON schema of %s", f.Name))
}

func describeForSchema(f *spec.Field) string {
	doc := f.Doc
	if f.Deprecated != "" {
		doc = "Deprecated: " + f.Deprecated + " " + doc
	}
	if f.Live {
		doc += " Changed without a restart."
	}
	if f.Secret {
		doc += ` May hold "${secret("NAME")}".`
	}
	return doc
}

// defaultOf is a default as JSON has it; lists and maps are written alike in both.
func defaultOf(f *spec.Field) any {
	if f.Type == cty.String {
		return f.Default
	}
	var v any
	if err := json.Unmarshal([]byte(f.Default), &v); err != nil {
		panic(fmt.Sprintf("internal error: the default %q of %s is no JSON: %v", f.Default, f.Name, err))
	}
	return v
}

// schemaOfFiles describes a whole file of services.
func schemaOfFiles(kinds spec.Kinds) jsonSchema {
	defs := definitions(kinds)
	assert := jsonSchema{
		"type": "object", "description": "A condition that must be true, and what is said when it is not.",
		"additionalProperties": false, "required": []string{"condition", "message"},
		"properties": jsonSchema{"condition": ref("truth"), "message": ref("text")},
	}
	variable := jsonSchema{
		"type": "object", "additionalProperties": false, "required": []string{"default"},
		"properties": jsonSchema{"default": true, "description": ref("text")},
	}
	locals := jsonSchema{"type": "object", "description": "Values by name, read as local.NAME."}
	variables := jsonSchema{"type": "object", "additionalProperties": variable}
	return document("service", "svcctl: services", defs, jsonSchema{
		"type":                 "object",
		"description":          "What stands in a file of services, as HCL's JSON structure has it. What an expression gives, and what one argument means for another, svcctl validate looks at.",
		"additionalProperties": false,
		"properties": jsonSchema{
			"service":  labelled("A service: what lives and moves together.", ref("service")),
			"variable": jsonSchema{"description": "Values by name, read as var.NAME.", "anyOf": []any{variables, many(variables)}},
			"locals":   jsonSchema{"anyOf": []any{locals, many(locals)}},
			"assert":   jsonSchema{"anyOf": []any{assert, many(assert)}},
		},
	})
}

// document completes a schema with its name, the version, and what it refers to.
func document(name, title string, defs, s jsonSchema) jsonSchema {
	used := jsonSchema{}
	collect(s, defs, used)
	return with(maps.Clone(s), jsonSchema{
		"$schema": dialect, "$id": "urn:svcctl:schema:" + name, "$comment": "written by svcctl schema, version " + version(),
		"title": title, "$defs": used,
	})
}

// collect adds the definitions that a schema needs.
func collect(v any, defs, used jsonSchema) {
	switch v := v.(type) {
	case jsonSchema:
		if to, is := v["$ref"].(string); is {
			name := strings.TrimPrefix(to, "#/$defs/")
			if _, known := used[name]; !known {
				used[name] = defs[name]
				collect(defs[name], defs, used)
			}
		}
		for _, inner := range v {
			collect(inner, defs, used)
		}
	case []any:
		for _, inner := range v {
			collect(inner, defs, used)
		}
	}
}
