package spec

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// value is what a variable or local is worth. A definition that is evaluated again
// to an equal value keeps its pointer, so that its readers see that nothing changed.
type value struct {
	v  cty.Value
	ok bool // false: its definition is mistaken, and said to be so at its place
}

// read is a name that a file or definition has read; a nil value is a missing name. Who
// reads var or local as a whole has read "var." or "local.", and its value are the names
// that there were.
type read struct {
	name string
	val  *value
}

func (x read) whole() bool { return strings.HasSuffix(x.name, ".") }

func namesOf(all []string) *value {
	return &value{v: cty.StringVal(strings.Join(all, " ")), ok: true}
}

// definition is one variable or local. It is visible in its folder and those below.
type definition struct {
	name     string // "var.x" or "local.x"
	file     *file
	at       hcl.Range
	val      *value
	reads    []read
	findings []Finding
	alias    string // the definition that it is equal to, where it is nothing but its name

	expr   hclsyntax.Expression // during a load, once the file was parsed
	lost   bool                 // it is there, and a mistake in it keeps its value from being known
	closed bool                 // during a load: val is up to date
	open   bool                 // during a load: being evaluated
}

// collectDefinitions lists the variables and locals of a file in the order of the text.
func collectDefinitions(f *file, body *hclsyntax.Body) []*definition {
	var out []*definition
	for _, b := range body.Blocks {
		switch b.Type {
		case "variable":
			if len(b.Labels) != 1 {
				continue
			}
			if a := b.Body.Attributes["default"]; a != nil {
				out = append(out, &definition{name: "var." + b.Labels[0], file: f, at: b.LabelRanges[0], expr: a.Expr, alias: definitionRead(a.Expr)})
			} else {
				out = append(out, lostDefinition(f, "var."+b.Labels[0], b.LabelRanges[0]))
			}
		case "locals":
			for _, a := range sortedAttributes(b.Body) {
				out = append(out, &definition{name: "local." + a.Name, file: f, at: a.NameRange, expr: a.Expr, alias: definitionRead(a.Expr)})
			}
		default:
			out = append(out, misnamedDefinitions(f, b)...)
		}
	}
	return out
}

// lostDefinition stands for one that is mistaken, so that its readers are not mistaken too.
func lostDefinition(f *file, name string, at hcl.Range) *definition {
	return &definition{name: name, file: f, at: at, val: &value{v: cty.DynamicVal}, lost: true}
}

// misnamedDefinitions are what a block would define if its word were the one that was meant.
func misnamedDefinitions(f *file, b *hclsyntax.Block) (out []*definition) {
	if slices.Contains(topLevelBlocks, b.Type) || slices.Contains(clusterBlocks, b.Type) {
		return nil
	}
	switch meant(b.Type, topLevelBlocks) {
	case "variable":
		if len(b.Labels) == 1 {
			out = append(out, lostDefinition(f, "var."+b.Labels[0], b.LabelRanges[0]))
		}
	case "locals":
		for _, a := range sortedAttributes(b.Body) {
			out = append(out, lostDefinition(f, "local."+a.Name, a.NameRange))
		}
	}
	return out
}

func sortedAttributes(body *hclsyntax.Body) []*hclsyntax.Attribute {
	out := make([]*hclsyntax.Attribute, 0, len(body.Attributes))
	for _, a := range body.Attributes {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b *hclsyntax.Attribute) int { return cmp.Compare(a.SrcRange.Start.Byte, b.SrcRange.Start.Byte) })
	return out
}

// define builds the table of all definitions and brings their values up to date.
func (r *run) define() {
	r.table = map[string]map[string]*definition{}
	var all []*definition
	for _, p := range r.paths {
		for _, d := range r.files[p].definitions {
			folder := r.table[d.file.folder]
			if folder == nil {
				folder = map[string]*definition{}
				r.table[d.file.folder] = folder
			}
			d.closed, d.open = false, false
			all = append(all, d)
			if first := folder[d.name]; first != nil {
				r.report(newFinding(codeTwiceDefined, d.at, fmt.Sprintf("The first is at %s: remove one of them.", place(first.at)), d.name))
				continue
			}
			folder[d.name] = d
		}
	}
	for _, d := range all {
		r.settle(d, nil)
	}
	for _, d := range all {
		d.expr = nil
	}
}

// resolve finds the definition that a name means in a folder.
func (r *run) resolve(folder, name string) *definition {
	for {
		if d := r.table[folder][name]; d != nil {
			return d
		}
		if folder == "." {
			return nil
		}
		folder = path.Dir(folder)
	}
}

// crowded says whether more names mean something in a folder than a misspelt one is compared with.
func (r *run) crowded(folder string) bool {
	for n := 0; ; folder = path.Dir(folder) {
		if n += len(r.table[folder]); n > maxWords || folder == "." {
			return n > maxWords
		}
	}
}

// visible lists the names that begin with prefix and mean something in a folder.
func (r *run) visible(folder, prefix string) []string {
	var out []string
	for {
		for name := range r.table[folder] {
			if strings.HasPrefix(name, prefix) {
				out = append(out, name)
			}
		}
		if folder == "." {
			break
		}
		folder = path.Dir(folder)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// uncertain says whether a name that seems missing in a folder may be defined in a
// file that is not HCL.
func (r *run) uncertain(folder, name string) bool {
	for {
		if r.badIn[folder] || slices.ContainsFunc(r.tornIn[folder], func(t *torn) bool { return t.mayHold(name) }) {
			return true
		}
		if folder == "." {
			return false
		}
		folder = path.Dir(folder)
	}
}

// settle brings the value of a definition up to date; stack are those waiting for it.
func (r *run) settle(d *definition, stack []*definition) *value {
	if d.closed || d.lost {
		return d.val
	}
	if d.open {
		r.reportLoop(d, stack)
		return &value{v: cty.DynamicVal}
	}
	if len(stack) >= maxChain {
		r.report(newFinding(codeTooDeep, d.at, fmt.Sprintf("At most %d values may be made of each other.", maxChain)))
		return &value{v: cty.DynamicVal}
	}
	d.open = true
	stack = append(stack, d)
	changed := d.val == nil || !d.val.ok
	for i := 0; i < len(d.reads) && !changed; i++ {
		changed = r.readChanged(d.file.folder, d.reads[i], stack)
	}
	if changed && (d.expr != nil || r.reparse(d.file) != nil) && d.expr != nil {
		r.redefine(d, stack)
	}
	d.open, d.closed = false, true
	if d.val == nil {
		d.val = &value{v: cty.DynamicVal}
	}
	return d.val
}

func (r *run) redefine(d *definition, stack []*definition) {
	before := d.val
	if before == nil {
		if p := r.previous[d.file.folder][d.name]; p != nil {
			before = p.val
		}
	}
	x := &evaluation{run: r, file: d.file, stack: stack}
	d.file.forgetIncludes(d)
	d.reads = x.readNames([]reading{{d.expr, x.variables(d.expr)}})
	v, state := x.eval(d.expr, access{}, x.context(d.reads, d.file))
	if state == evaluated {
		if why := tooBig(v); why != "" {
			x.report(codeTooLarge, d.expr.Range(), why, d.name)
			state = failed
		}
	}
	d.findings = x.findings
	now := &value{v: v, ok: state != failed}
	if before != nil && before.ok && now.ok && before.v.RawEquals(now.v) {
		now = before
	}
	d.val = now
}

// reportLoop says once, at its first definition, that values are made of each other.
func (r *run) reportLoop(d *definition, stack []*definition) {
	loop := slices.Clone(stack[slices.Index(stack, d):])
	first := 0
	for i, m := range loop {
		if m.at.Filename < loop[first].at.Filename || m.at.Filename == loop[first].at.Filename && m.at.Start.Byte < loop[first].at.Start.Byte {
			first = i
		}
	}
	var names, lines []string
	for i := range loop {
		m := loop[(first+i)%len(loop)]
		next := loop[(first+i+1)%len(loop)]
		names = append(names, m.name)
		lines = append(lines, fmt.Sprintf("%s reads %s at %s", m.name, next.name, place(m.at)))
	}
	names = append(names, names[0])
	r.report(newFinding(codeLocalCycle, loop[first].at, strings.Join(lines, "; ")+". Remove one of these reads.", strings.Join(names, " → ")))
}

// valueOf is the value of a name in a folder, nil where it has none.
func (r *run) valueOf(folder, name string, stack []*definition) *value {
	d := r.resolve(folder, name)
	if d == nil {
		return nil
	}
	return r.settle(d, stack)
}

func (r *run) readsChanged(folder string, reads []read) bool {
	return slices.ContainsFunc(reads, func(x read) bool { return r.readChanged(folder, x, nil) })
}

func (r *run) readChanged(folder string, x read, stack []*definition) bool {
	if x.whole() {
		return !namesOf(r.visible(folder, x.name)).v.RawEquals(x.val.v)
	}
	return r.valueOf(folder, x.name, stack) != x.val
}

// tooBig keeps values made of values from growing without a bound.
func tooBig(v cty.Value) string {
	elements, text := 0, 0
	cty.Walk(v, func(_ cty.Path, v cty.Value) (bool, error) {
		elements++
		if v.IsKnown() && !v.IsNull() && v.Type() == cty.String {
			text += len(v.AsString())
		}
		return elements <= maxElements && text <= maxText, nil
	})
	if elements > maxElements || text > maxText {
		return fmt.Sprintf("A value has at most %d elements and 1 MiB of text.", maxElements)
	}
	return ""
}
