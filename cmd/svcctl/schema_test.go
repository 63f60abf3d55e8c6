package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/svcctl/svcctl/spec"
)

// inJSON writes a body of HCL in HCL's JSON structure: literals as they are, and what
// is to be evaluated as a text with ${ }.
func inJSON(body *hclsyntax.Body, src []byte) map[string]any {
	out := map[string]any{}
	for name, a := range body.Attributes {
		out[name] = valueInJSON(a.Expr, src, name == "after")
	}
	for _, b := range body.Blocks {
		var in any = inJSON(b.Body, src)
		for _, label := range slices.Backward(b.Labels) {
			in = map[string]any{label: in}
		}
		switch was := out[b.Type].(type) {
		case nil:
			out[b.Type] = in
		case []any:
			out[b.Type] = append(was, in)
		default:
			out[b.Type] = []any{was, in}
		}
	}
	return out
}

func valueInJSON(e hclsyntax.Expression, src []byte, reference bool) any {
	switch e := e.(type) {
	case *hclsyntax.TupleConsExpr:
		list := []any{}
		for _, x := range e.Exprs {
			list = append(list, valueInJSON(x, src, reference))
		}
		return list
	case *hclsyntax.ObjectConsExpr:
		object := map[string]any{}
		for _, item := range e.Items {
			key, diags := item.KeyExpr.Value(nil)
			if diags.HasErrors() || key.Type() != cty.String {
				return "${" + string(e.Range().SliceBytes(src)) + "}"
			}
			object[key.AsString()] = valueInJSON(item.ValueExpr, src, false)
		}
		return object
	}
	if v, diags := e.Value(nil); !diags.HasErrors() && v.IsWhollyKnown() {
		text, err := ctyjson.Marshal(v, v.Type())
		var out any
		if err == nil && json.Unmarshal(text, &out) == nil {
			return out
		}
	}
	text := string(e.Range().SliceBytes(src))
	if reference {
		return text
	}
	return "${" + text + "}"
}

func compiled(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	code, out, stderr := runLine("schema", name)
	if code != exitDone {
		t.Fatalf("schema %s: exit %d: %s", name, code, stderr)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	meta, err := c.Compile(dialect)
	if err != nil {
		t.Fatal(err)
	}
	if err := meta.Validate(doc); err != nil {
		t.Errorf("%s is no schema: %v", name, err)
	}
	if err := c.AddResource(name+".json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name + ".json")
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return s
}

// judged is what a schema says of a file of HCL.
func judged(t *testing.T, s *jsonschema.Schema, src string) error {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(src), "", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	text, err := json.Marshal(inJSON(f.Body.(*hclsyntax.Body), []byte(src)))
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

// validSets are all files of services that the manual and the examples show.
func validSets(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, page := range handWritten(t) {
		for _, b := range fencedBlocks(readPage(t, page)) {
			if b.words == "hcl" {
				out[fmt.Sprintf("%s:%d", page, b.line)] = b.text
			}
		}
	}
	files, err := filepath.Glob("../../examples/*/services/*.hcl")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out[f] = string(src)
	}
	return out
}

func TestTheSchemaAcceptsWhatTheManualShows(t *testing.T) {
	s := compiled(t, "service")
	sets := validSets(t)
	if len(sets) < 30 {
		t.Errorf("only %d sets", len(sets))
	}
	for name, src := range sets {
		if err := judged(t, s, src); err != nil {
			t.Errorf("%s: %v\n%s", name, err, src)
		}
	}
}

// refused are mistakes inside an app.
var refused = map[string]string{
	"unknown argument":          `comand = ["/bin/true"]`,
	"unknown block":             "sandbx {}",
	"wrong word":                `on_stuck = "klll"`,
	"text for a list":           `tags = "a"`,
	"list for a text":           `user = ["a"]`,
	"map for a text":            `user = { a = "b" }`,
	"text for a truth value":    `optional = "maybe"`,
	"no duration":               "timeouts {\n start = \"10 seconds\"\n}",
	"days":                      "timeouts {\n start = \"1d\"\n}",
	"no size":                   `memory = "much"`,
	"a fraction":                "restart {\n attempts = 1.5\n}",
	"unknown argument in block": "restart {\n atempts = 1\n}",
	"unknown check":             "check \"htp\" \"a\" {\n}",
	"check without its url":     "check \"http\" \"a\" {\n}",
	"wrong word in a check":     "check \"tcp\" \"a\" {\n address = \"127.0.0.1:1\"\n on_fall = \"nothing\"\n}",
	"name of a check":           "check \"tcp\" \"a b\" {\n address = \"127.0.0.1:1\"\n}",
	"reference to nothing":      "after = [\"\"]",
}

func TestTheSchemaRefusesWhatTheLoaderRefuses(t *testing.T) {
	s := compiled(t, "service")
	around := func(inside string) string {
		return "service \"a\" {\n  app \"x\" {\n    command = [\"/bin/true\"]\n" + inside + "\n  }\n}\n"
	}
	whole := map[string]string{
		"missing command":     "service \"a\" {\n  app \"x\" {\n  }\n}\n",
		"unknown kind":        "service \"a\" {\n  ap \"x\" {\n    command = [\"/bin/true\"]\n  }\n}\n",
		"a service's word":    "service \"a\" {\n  topology = \"everywere\"\n}\n",
		"a service's name":    "service \"a b\" {\n}\n",
		"top level":           "servce \"a\" {\n}\n",
		"top argument":        "a = 1\n",
		"no message":          "service \"a\" {}\nassert {\n  condition = true\n}\n",
		"variable of no use":  "service \"a\" {}\nvariable \"a\" {\n}\n",
		"a task's restart":    "service \"a\" {\n  task \"x\" {\n    command = [\"/bin/true\"]\n    restart {\n    }\n  }\n}\n",
		"drill with no time":  "service \"a\" {\n  drill \"x\" {\n  }\n}\n",
		"block as argument":   "service \"a\" {\n  placement = \"order\"\n}\n",
		"no zero is accepted": "service \"a\" {\n  container \"x\" {\n    image = \"a\"\n    pids = 0\n  }\n}\n",
	}
	for name, inside := range refused {
		whole[name] = around(inside)
	}
	if err := judged(t, s, around("tags = [\"a\"]")); err != nil {
		t.Errorf("what the mistakes are put into: %v", err)
	}
	for name, src := range whole {
		if judged(t, s, src) == nil {
			t.Errorf("%s: the schema accepts\n%s", name, src)
		}
		l := spec.NewLoader(spec.Options{Kinds: newKinds(nil)})
		if _, found := l.Load(fstest.MapFS{"a.hcl": {Data: []byte(src)}}); !found.HasErrors() {
			t.Errorf("%s: the loader accepts\n%s", name, src)
		}
	}
}

func TestEachKindHasASchemaOfItsOwnThatKnowsItsExample(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "schemas")
	code, out, stderr := runLine("schema", "export", dir)
	if code != exitDone || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	first := map[string]string{}
	for _, file := range strings.Fields(out) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		first[file] = string(text)
		name, is := strings.CutSuffix(filepath.Base(file), ".schema.json")
		compiled(t, name)
		if code, printed, _ := runLine("schema", name); !is || code != exitDone || printed != string(text) || !strings.Contains(printed, version()) {
			t.Errorf("schema %s: exit %d, or another text than in its file", name, code)
		}
	}
	kinds := newKinds(nil)
	if want := 1 + len(kinds.ResourceKinds()) + len(kinds.CheckKinds()); len(first) != want {
		t.Errorf("%d files, want %d", len(first), want)
	}
	if code, _, _ := runLine("schema", "export", dir); code != exitDone {
		t.Errorf("a second time: exit %d", code)
	}
	for file, was := range first {
		if now, err := os.ReadFile(file); err != nil || string(now) != was {
			t.Errorf("%s: %v, or another text the second time", file, err)
		}
	}
	app := compiled(t, "app")
	for text, good := range map[string]bool{`{"command": ["/bin/true"]}`: true, `{"command": ["/bin/true"], "restart": {"attempts": "${var.n}"}}`: true, `{"comand": []}`: false} {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil || (app.Validate(doc) == nil) != good {
			t.Errorf("%s: %v, %v", text, err, app.Validate(doc))
		}
	}
	if code, _, stderr := runLine("schema", "ap"); code != exitUsage || !strings.Contains(stderr, "did you mean") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}

// Every argument that explain tells of is in the schema, with its words and its default.
func TestTheSchemaKnowsEveryArgument(t *testing.T) {
	defs := definitions(newKinds(nil))
	for _, d := range describeAll(newKinds(nil)) {
		if d.Of == "language" {
			continue
		}
		s := defs[schemaName(d.Of, d.Kind)].(jsonSchema)
		for _, a := range d.Arguments {
			at := s
			for _, step := range strings.Split(a.Name, ".") {
				in, is := at["properties"].(jsonSchema)
				if !is { // a block that may be repeated
					in = at["anyOf"].([]any)[0].(jsonSchema)["properties"].(jsonSchema)
				}
				next, is := in[step].(jsonSchema)
				if !is {
					t.Fatalf("%s.%s is missing", d.Kind, a.Name)
				}
				at = next
			}
			if !strings.Contains(at["description"].(string), a.Doc) || (a.Default != "") != (at["default"] != nil) {
				t.Errorf("%s.%s: %v", d.Kind, a.Name, at)
			}
		}
	}
}
