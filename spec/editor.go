package spec

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// What an editor asks beside findings: the names that there are, and their values.

// Definition is a variable or local as the last Load has evaluated it.
type Definition struct {
	Name   string // "var.x" or "local.x"
	Folder string // it is visible here and below
	At     hcl.Range
	Value  cty.Value // cty.NilVal where it has a mistake; text may hold secrets: Redact it
}

// Definitions lists the variables and locals of the set that Load has read last, sorted
// by folder and name.
func (l *Loader) Definitions() []Definition {
	var out []Definition
	for _, folder := range slices.Sorted(maps.Keys(l.table)) {
		for _, name := range slices.Sorted(maps.Keys(l.table[folder])) {
			d := l.table[folder][name]
			shown := Definition{Name: name, Folder: folder, At: d.at}
			if d.val != nil && d.val.ok {
				shown.Value = d.val.v
			}
			out = append(out, shown)
		}
	}
	return out
}

// Paths lists the files that the last Load has read, sorted; those that configure agents
// are among them.
func (l *Loader) Paths() []string { return slices.Sorted(maps.Keys(l.files)) }

// Functions returns what expressions may call, by name. file and secret, which depend on
// who calls them, are left out.
func Functions() map[string]function.Function { return maps.Clone(functions) }

// Exports lists the fields of a kind that siblings may read.
func Exports(s *Schema) []string { return exportsOf(s) }

// ValidName says whether a service, resource or check may be called so.
func ValidName(name string) bool { return validName(name, false) }

// InSet says whether a file of this name is read as part of a set.
func InSet(name string) bool {
	base := path.Base(name)
	return strings.HasSuffix(base, ".hcl") && !strings.HasPrefix(base, ".") && !strings.HasSuffix(base, ".svctest.hcl")
}

// Statement is the summary, with the nodes that it is true of.
func (f Finding) Statement() string { return f.statement() }
