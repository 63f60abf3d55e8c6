package agent

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"

	"github.com/svcctl/svcctl/spec"
)

// configArgument takes the value of one argument, or says what is wrong with it.
type configArgument func(cty.Value) error

// configReader collects every mistake of an agent configuration.
type configReader struct {
	folder string
	blocks map[string]configBlock
	seen   map[string]hcl.Range // blocks, by name
	diags  hcl.Diagnostics
}

func (r *configReader) mistake(at hcl.Range, summary, format string, args ...any) {
	r.diags = append(r.diags, &hcl.Diagnostic{
		Severity: hcl.DiagError, Subject: &at, Summary: summary, Detail: fmt.Sprintf(format, args...),
	})
}

func (r *configReader) body(body *hclsyntax.Body) {
	known := slices.Sorted(maps.Keys(r.blocks))
	for _, a := range inOrder(body.Attributes) {
		hint := didYouMean(a.Name, known)
		if hasKey(r.blocks, a.Name) {
			hint = fmt.Sprintf("; write it as a block: %s { … }", a.Name)
		}
		r.mistake(a.NameRange, "Argument outside of a block", "An agent's configuration has no argument %q at its top level, only the blocks %s%s.", a.Name, strings.Join(known, ", "), hint)
	}
	for _, b := range body.Blocks {
		arguments, ok := r.blocks[b.Type]
		if !ok {
			r.mistake(b.TypeRange, "Unknown block", "An agent's configuration has no block %q; it has %s%s.", b.Type, strings.Join(known, ", "), didYouMean(b.Type, known))
			continue
		}
		if first, twice := r.seen[b.Type]; twice {
			r.mistake(b.TypeRange, "Block written twice", "The block %q may be written once; the first is in line %d. Put its arguments there.", b.Type, first.Start.Line)
			continue
		}
		r.seen[b.Type] = b.TypeRange
		if len(b.Labels) > 0 {
			r.mistake(b.LabelRanges[0], "Label not expected", "The block %q has no label: write %s { … }.", b.Type, b.Type)
		}
		r.block(b, arguments)
	}
}

func (r *configReader) block(b *hclsyntax.Block, arguments configBlock) {
	known := slices.Sorted(maps.Keys(arguments))
	for _, inner := range b.Body.Blocks {
		hint := didYouMean(inner.Type, known)
		if hasKey(arguments, inner.Type) {
			hint = fmt.Sprintf("; write it with an equals sign: %s = …", inner.Type)
		}
		r.mistake(inner.TypeRange, "Block not expected", "The block %q has no block %q in it; it has the arguments %s%s.", b.Type, inner.Type, strings.Join(known, ", "), hint)
	}
	ctx := &hcl.EvalContext{Functions: map[string]function.Function{"env": envFunction}}
	for _, a := range inOrder(b.Body.Attributes) {
		take, ok := arguments[a.Name]
		if !ok {
			r.mistake(a.NameRange, "Unknown argument", "The block %q has no argument %q; it has %s%s.", b.Type, a.Name, strings.Join(known, ", "), didYouMean(a.Name, known))
			continue
		}
		v, diags := a.Expr.Value(ctx)
		if diags.HasErrors() {
			r.diags = append(r.diags, diags...)
			continue
		}
		if v.IsNull() {
			continue // as if it was not written
		}
		if err := take(v); err != nil {
			r.mistake(a.Expr.Range(), "Wrong value", "%s.%s: %v.", b.Type, a.Name, err)
		}
	}
}

func inOrder(attributes hclsyntax.Attributes) []*hclsyntax.Attribute {
	return slices.SortedFunc(maps.Values(attributes), func(a, b *hclsyntax.Attribute) int {
		return a.NameRange.Start.Byte - b.NameRange.Start.Byte
	})
}

// didYouMean suggests the nearest of some words, or nothing where none is near.
func didYouMean(wrong string, words []string) string {
	near := spec.Nearest(wrong, words)
	if near == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", near)
}

// envFunction reads the agent's own environment. It exists in this file only: the
// meaning of a service may not differ with who started the agent.
var envFunction = function.New(&function.Spec{
	Params:   []function.Parameter{{Name: "name", Type: cty.String}},
	VarParam: &function.Parameter{Name: "default", Type: cty.String},
	Type:     function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if len(args) > 2 {
			return cty.NilVal, function.NewArgErrorf(2, "env takes a name and at most one default")
		}
		name := args[0].AsString()
		if v, ok := os.LookupEnv(name); ok {
			return cty.StringVal(v), nil
		}
		if len(args) == 2 {
			return args[1], nil
		}
		return cty.NilVal, function.NewArgErrorf(0, "the environment has no %q: set it, or give a default: env(%q, \"…\")", name, name)
	},
})

func wantString(to *string, check func(string) error) configArgument {
	return func(v cty.Value) error {
		if v.Type() != cty.String {
			return fmt.Errorf("a string is needed, not %s", v.Type().FriendlyName())
		}
		s := v.AsString()
		if err := check(s); err != nil {
			return err
		}
		*to = s
		return nil
	}
}

func wantPath(to *string, folder string) configArgument {
	return wantString(to, func(s string) error {
		if s == "" || strings.ContainsRune(s, 0) {
			return fmt.Errorf("a path is needed")
		}
		return nil
	}).then(func() {
		if !filepath.IsAbs(*to) {
			*to = filepath.Join(folder, *to)
		}
		*to = filepath.Clean(*to)
	})
}

// then does something more with a value that was taken.
func (a configArgument) then(more func()) configArgument {
	return func(v cty.Value) error {
		if err := a(v); err != nil {
			return err
		}
		more()
		return nil
	}
}

func wantBool(to *bool) configArgument {
	return func(v cty.Value) error {
		b, err := convert.Convert(v, cty.Bool)
		if err != nil || !b.IsKnown() || b.IsNull() {
			return fmt.Errorf("true or false is needed, not %s", v.Type().FriendlyName())
		}
		*to = b.True()
		return nil
	}
}

func wantLabels(to *map[string]string) configArgument {
	return func(v cty.Value) error {
		m, err := convert.Convert(v, cty.Map(cty.String))
		if err != nil {
			return fmt.Errorf("a map of strings is needed, as in { site = \"paris\" }, not %s", v.Type().FriendlyName())
		}
		out := map[string]string{}
		for name, value := range m.AsValueMap() {
			if value.IsNull() {
				return fmt.Errorf("the label %q has no value", name)
			}
			if err := checkNodeName(name); err != nil {
				return err
			}
			out[name] = value.AsString()
		}
		*to = out
		return nil
	}
}
