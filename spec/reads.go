package spec

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// checkReads reports what an expression reads that is not there. It answers false
// where the expression can't be evaluated, whoever is to blame.
func (x *evaluation) checkReads(expr hclsyntax.Expression, may access) bool {
	ok := true
	for _, t := range x.variables(expr) {
		ok = x.checkRead(t, may) && ok
	}
	return ok
}

func (x *evaluation) checkRead(t hcl.Traversal, may access) bool {
	switch root := t.RootName(); root {
	case "var", "local":
		return x.checkDefined(t)
	case "node":
		if !may.node {
			x.report(codeNodeInArg, t.SourceRange(), "Arguments of resources, and assertions, may read node.*: there it may differ from node to node.", "node.*")
			return false
		}
		return x.checkAttribute(t, "name", "labels")
	case "cluster":
		if len(x.stack) > 0 {
			x.report(codeNodeInArg, t.SourceRange(), "Variables and locals may not differ from cluster to cluster: read it where it is used, in a service or an assertion.", "cluster.*")
			return false
		}
		return x.checkAttribute(t, "name")
	case "service":
		if may.service == nil || may.reader == nil {
			x.report(codeNodeInArg, t.SourceRange(), "service.name can be read by the arguments of its resources.", "service.*")
			return false
		}
		return x.checkAttribute(t, "name")
	case "each":
		if !may.each {
			x.report(codeEach, t.SourceRange(), "Add for_each to the resource, or write the value itself.", "each.*")
			return false
		}
		return x.checkAttribute(t, "key", "value")
	default:
		if may.service != nil && may.reader != nil {
			if x.run.options.Kinds.Resource(root) != nil {
				_, _, ok := x.checkSibling(t, may, true)
				return ok
			}
		} else if x.run.options.Kinds.Resource(root) != nil {
			x.report(codeNodeInArg, t.SourceRange(), "Only the arguments of resources may read resources of their service.", root+".*")
			return false
		}
		if may.service == nil || !may.service.misnamed(root, second(t)) {
			x.report(codeRoot, t[0].SourceRange(), x.rootHint(root, may), root)
		}
		return false
	}
}

func (x *evaluation) rootHint(root string, may access) string {
	for _, prefix := range []string{"local.", "var."} {
		if x.run.resolve(x.file.folder, prefix+root) != nil {
			return fmt.Sprintf("Write %s%s.", prefix, root)
		}
	}
	if literal := literalWords[strings.ToLower(root)]; literal != "" {
		return fmt.Sprintf("Write %s. Text is written in quotes.", literal)
	}
	if root == "self" {
		return "A resource can't read its own arguments: put the value into locals and read it twice."
	}
	names := []string{"var", "local", "cluster"}
	if may.node {
		names = append(names, "node")
	}
	if may.each {
		names = append(names, "each")
	}
	if may.reader != nil {
		names = append(names, "service")
		for _, r := range may.service.resources {
			if !slices.Contains(names, r.kind) {
				names = append(names, r.kind)
			}
		}
	}
	if n := Nearest(root, names); n != "" {
		return fmt.Sprintf("Did you mean %q? Text is written in quotes.", n)
	}
	return "Text is written in quotes; a value of your own is read as var.name or local.name."
}

func (x *evaluation) checkDefined(t hcl.Traversal) bool {
	name := second(t)
	if name == "" {
		if len(t) == 1 {
			ok := true
			for _, n := range x.run.visible(x.file.folder, t.RootName()+".") {
				v := x.run.valueOf(x.file.folder, n, x.stack)
				ok = ok && v != nil && v.ok
			}
			return ok
		}
		x.report(codeUndefined, t.SourceRange(), "Write its name behind a dot.", t.RootName()+"[…]")
		return false
	}
	full := t.RootName() + "." + name
	v := x.run.valueOf(x.file.folder, full, x.stack)
	if v != nil {
		return v.ok
	}
	if x.run.uncertain(x.file.folder, name) {
		x.file.incomplete = true
		return false
	}
	x.report(codeUndefined, sourceRange(t, 2), x.undefinedHint(t.RootName(), name), full)
	return false
}

func (x *evaluation) undefinedHint(root, name string) string {
	other := map[string]string{"var": "local.", "local": "var."}[root]
	if x.run.resolve(x.file.folder, other+name) != nil {
		return fmt.Sprintf("Did you mean %q?", other+name)
	}
	var visible []string
	if !x.run.crowded(x.file.folder) {
		visible = x.run.visible(x.file.folder, root+".")
	}
	for i := range visible {
		visible[i] = strings.TrimPrefix(visible[i], root+".")
	}
	if n := Nearest(name, visible); n != "" {
		return fmt.Sprintf("Did you mean %q?", root+"."+n)
	}
	if root == "var" {
		return fmt.Sprintf("Add to this folder or one above: variable %q { default = … }", name)
	}
	return fmt.Sprintf("Add to this folder or one above: locals { %s = … }", name)
}

func (x *evaluation) checkAttribute(t hcl.Traversal, names ...string) bool {
	if len(t) == 1 {
		return true
	}
	name := second(t)
	if slices.Contains(names, name) {
		return true
	}
	x.report(codeAttribute, stepRange(t, 1), didYouMean(name, names), t.RootName(), name)
	return false
}

// sourceRange covers the first n steps of a traversal.
func sourceRange(t hcl.Traversal, n int) hcl.Range {
	return hcl.RangeBetween(t[0].SourceRange(), t[min(n, len(t))-1].SourceRange())
}

// stepRange covers the name or key of a step, without its dot or brackets.
func stepRange(t hcl.Traversal, i int) hcl.Range {
	r, before, behind := t[i].SourceRange(), 1, 1
	if a, is := t[i].(hcl.TraverseAttr); is {
		before, behind = r.End.Byte-r.Start.Byte-len(a.Name), 0
	}
	if r.Start.Line != r.End.Line || r.End.Byte-r.Start.Byte <= before+behind {
		return r
	}
	r.Start.Byte, r.Start.Column = r.Start.Byte+before, r.Start.Column+before
	r.End.Byte, r.End.Column = r.End.Byte-behind, r.End.Column-behind
	return r
}

// checkSibling checks a reference to a resource of the same service: kind.name, an
// instance's key where there is for_each, and a field where one is read.
func (x *evaluation) checkSibling(t hcl.Traversal, may access, field bool) (target *resourceDraft, key string, ok bool) {
	kind, name := t.RootName(), second(t)
	if name == "" {
		x.report(codeResource, t.SourceRange(), fmt.Sprintf("Write %s.name: a reference says which one is meant, so that it is started first.", kind), kind, may.service.name)
		return nil, "", false
	}
	target = may.service.find(kind, name)
	if target == nil {
		if !may.service.misnamed(kind, name) {
			x.report(codeResource, sourceRange(t, 2), may.service.resourceHint(kind, name), kind+"."+name, may.service.name)
		}
		return nil, "", false
	}
	if target.schema.Task {
		detail := "A task runs now and then, so that nothing can be read of it: put the value into locals."
		if !field {
			detail = "A task runs now and then, so that nothing can start behind it: name a resource."
		}
		x.report(codeIsTask, sourceRange(t, 2), detail, target.local)
		return target, "", false
	}
	if target.broken {
		return target, "", false
	}
	rest := 2
	if target.forEach != nil {
		if len(t) == 2 {
			return target, "", true
		}
		if _, isIndex := t[2].(hcl.TraverseIndex); !isIndex {
			if _, isSplat := t[2].(hcl.TraverseSplat); isSplat {
				return target, "", true
			}
			x.report(codeKey, t.SourceRange(), fmt.Sprintf("Write %s.%s[\"key\"] and then the field.", kind, name),
				fmt.Sprintf("%s.%s has for_each: which instance is meant", kind, name))
			return target, "", false
		}
		key = stepName(t, 2)
		if target.instance(key) == nil && !target.unknownKeys {
			x.report(codeKey, stepRange(t, 2), didYouMean(key, target.keys), fmt.Sprintf("%s.%s has no instance %q", kind, name, key))
			return target, key, false
		}
		rest = 3
	}
	if !field || len(t) <= rest {
		return target, key, true
	}
	names := x.run.factsOf(target.schema).exports
	fieldName := stepName(t, rest)
	if slices.Contains(names, fieldName) {
		return target, key, true
	}
	detail := didYouMean(fieldName, names)
	if target.forEach == nil {
		if _, isIndex := t[rest].(hcl.TraverseIndex); isIndex {
			detail = fmt.Sprintf("%s.%s has no for_each, so it has no instances.", kind, name)
		}
	}
	if len(names) == 0 {
		detail = fmt.Sprintf("A %s has no fields that can be read.", kind)
	}
	x.report(codeField, stepRange(t, rest), detail, kind+"."+name, fieldName)
	return target, key, false
}
