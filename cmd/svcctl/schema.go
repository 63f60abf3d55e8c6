package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/svcctl/svcctl/spec"
)

func (p *program) schemaCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "schema [KIND]", Short: "Write the language, or one kind, as JSON Schema",
		Long: "Write the language, or one kind, as JSON Schema (2020-12) of HCL's JSON structure. It is made from what the\n" +
			"program itself reads, for whatever writes specs, checks them elsewhere, or shows forms for them.",
		Args: cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return slices.Sorted(maps.Keys(schemas(newKinds(nil)))), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			name := "service"
			if len(args) > 0 {
				name = args[0]
			}
			return p.printSchema(name)
		},
	}
	c.AddCommand(&cobra.Command{
		Use: "export DIR", Short: "Write all of them into files of a directory, to be committed beside specs", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return p.exportSchemas(args[0]) },
	})
	return c
}

// schemas are the documents by their names: service for a whole file, and one of each kind.
func schemas(kinds spec.Kinds) map[string]jsonSchema {
	defs := definitions(kinds)
	out := map[string]jsonSchema{"service": schemaOfFiles(kinds)}
	add := func(of, kind string) {
		name := schemaName(of, kind)
		out[name] = document(name, "svcctl: "+of+" "+kind, defs, defs[name].(jsonSchema))
	}
	for _, k := range kinds.ResourceKinds() {
		if kinds.Resource(k).Task {
			add("task", k)
		} else {
			add("resource", k)
		}
	}
	for _, k := range kinds.CheckKinds() {
		add("check", k)
	}
	return out
}

func (p *program) printSchema(name string) error {
	all := schemas(newKinds(nil))
	for _, full := range []string{name, "resource-" + name, "check-" + name} {
		if s := all[full]; s != nil {
			_, err := p.out.Write(schemaText(s))
			return err
		}
	}
	return usage("there is no kind %s (%s)", name, suggestion(name, subjects(""), "`svcctl explain` lists the kinds"))
}

func schemaText(s jsonSchema) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(s); err != nil {
		panic(fmt.Sprintf("internal error: a schema is no JSON: %v", err))
	}
	return b.Bytes()
}

// exportSchemas writes a file for each schema, and names it.
func (p *program) exportSchemas(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot write schemas to %s: %w", dir, err)
	}
	all := schemas(newKinds(nil))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		file := filepath.Join(dir, name+".schema.json")
		if err := os.WriteFile(file, schemaText(all[name]), 0o644); err != nil {
			return fmt.Errorf("cannot write the schema %s: %w", name, err)
		}
		fmt.Fprintln(p.out, file)
	}
	return nil
}
