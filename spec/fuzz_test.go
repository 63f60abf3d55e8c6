package spec

import (
	"io/fs"
	"strings"
	"testing"
	"unicode/utf8"
)

func seeds(f *testing.F) {
	for _, m := range markedSets(f) {
		for _, file := range m.Files {
			f.Add([]byte(file.Text))
		}
	}
	f.Add([]byte(orders))
	f.Add([]byte("locals {\n  a = local.b\n}\nservice \"s\" {\n  requires = [\"t\", \"u\"]\n  app \"m\" {\n    command = [local.c\n-- x/y/t.hcl --\nlocals {\n  b = 1\n}\nservice \"t\" {\n  requires = [\"x/s\"]\n}\n-- u.hcl --\nvariable \"c\" {\n"))
	f.Add([]byte("service \"s\" {\n  # why  rto = \"1s\"\n  app \"m\" {\n    command = [\"x\", # a    \"b\",\n    ]\n  }\n}\n-- x/file.txt --\n\xff\r\n-- cluster.hcl --\nfence \"n\" {\n}\n"))
	f.Add([]byte("service \"a\" {\n  app \"b\" {\n    for_each = { x = range(9) }\n    command = [for i in each.value : \"${i}\"]\n  }\n}\n"))
	f.Add([]byte("locals {\n  a = jsondecode(\"{}\")\n  b = try(local.a.b, cidrhost(\"10.0.0.0/8\", -1))\n}\n"))
	f.Add([]byte("locals {\n  a = secret(\"a\")\n  b = [for k, v in { x = \"${local.a}-\" } : v if k == try(upper(v), v)]\n  c = { (local.b[0]) = 1 }[local.a] ? 1 : can(local.a[\"x\"])\n}\nservice \"s\" {\n  app \"m\" {\n    for_each = { a = local.a }\n    command = [each.value]\n    env = merge({ A = format(\"%s\", each.value) }, zipmap(keys({ b = 1 }), [local.a]))\n  }\n}\n"))
	f.Add([]byte("assert {\n  condition = node.name != \"n1\"\n  message = node.labels.rack\n}\nservice \"s\" {\n  nodes = [\"n1\", \"n2\"]\n  mount \"m\" {\n    device = { n1 = \"/dev/a\" }[node.name]\n    path = \"/srv/${node.labels[\"site\"]}\"\n  }\n}\n"))
	f.Add([]byte("locals {\n  a = <<-EOT\n    x ${1e9}\n  EOT\n}\n"))
}

// manyFiles divides an input at lines such as "-- folder/name.hcl --"; what stands before
// the first is a file too.
func manyFiles(src []byte) (pairs []string) {
	name, text := "x/a.hcl", ""
	for line := range strings.Lines(string(src)) {
		rest, is := strings.CutPrefix(strings.TrimRight(line, "\n"), "-- ")
		next, ends := strings.CutSuffix(rest, " --")
		if is && ends && fs.ValidPath(next) && next != "b.hcl" && next != "." && len(pairs) < 2*8 {
			pairs = append(pairs, name, text)
			name, text = next, ""
			continue
		}
		text += line
	}
	return append(pairs, name, text)
}

// FuzzLoad: whatever a file holds, loading ends, says the same twice, also when the
// loader knew another set before, and gives either a set or a reason. That holds for
// one node, for the candidates of a cluster, and for a part of a set.
func FuzzLoad(f *testing.F) {
	seeds(f)
	cluster := Options{Kinds: testKinds, Nodes: threeNodes[:2]}
	part := Options{Kinds: testKinds, Node: Node{Name: "n1"}, Part: true, Notes: true}
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 1<<14 {
			return
		}
		fuzzLoad(t, testOptions, src)
		fuzzLoad(t, cluster, src)
		fuzzLoad(t, part, src)
	})
}

func fuzzLoad(t *testing.T, options Options, src []byte) {
	files := manyFiles(src)
	m := set(append(files, "b.hcl", "locals {\n  user = \"nobody\"\n}\n")...)
	one := NewLoader(options)
	s, findings := one.Load(m)
	if (s == nil) != findings.HasErrors() {
		t.Fatalf("set %v with findings\n%s", s != nil, printed(findings))
	}
	for _, x := range findings { // what stands around them are lines of the file
		if holdsMark(x.Summary + x.Detail) {
			t.Errorf("a mark is shown: %q %q", x.Summary, x.Detail)
		}
	}
	if !utf8.ValidString(printed(findings)) {
		t.Error("findings are not printable")
	}
	again, repeated := one.Load(m)
	two := NewLoader(options)
	other := set("x/a.hcl", "service \"other\" {}\n")
	two.Load(other)
	for i := 0; i < len(files); i += 2 {
		write(other, files[i], files[i+1])
	}
	other["b.hcl"] = m["b.hcl"]
	fresh, changed := two.Load(other)
	if printed(repeated) != printed(findings) || printed(changed) != printed(findings) {
		t.Fatalf("first\n%sagain\n%safter another set\n%s", printed(findings), printed(repeated), printed(changed))
	}
	if s == nil {
		return
	}
	for _, n := range s.Names {
		if again.Services[n] != s.Services[n] {
			t.Errorf("service %s is new, and nothing changed", n)
		}
		if fresh.Services[n].Digest != s.Services[n].Digest {
			t.Errorf("service %s has another digest", n)
		}
	}
}
