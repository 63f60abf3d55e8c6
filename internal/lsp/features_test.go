package lsp

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

const half = "service \"web\" {\n  requires = [\"db\"]\n  mount \"data\" {\n    device = \"/dev/sdb\"\n    path = var.root\n  }\n  task \"backup\" {\n    command = [\"/bin/backup\"]\n  }\n"

// others stand beside the file with the mark.
var others = []string{
	"db.hcl", "variable \"root\" {\n  default = \"/srv\"\n}\nlocals {\n  user = \"nobody\"\n}\nservice \"db\" {\n  description = \"Holds it all\"\n  nodes = [\"n1\", \"n2\"]\n}\n",
	"far/x.hcl", "locals {\n  unseen = 1\n}\nservice \"x\" {}\n",
	"agent.hcl", "node {\n  name = \"n9\"\n}\n",
}

func TestCompletionOffersWhatMayBeWritten(t *testing.T) {
	for _, c := range []struct {
		name, src string
		first     string // label -> text of the first item
		has, not  []string
	}{
		{"blocks at the top level", "serv|", "service -> service \"${1:name}\" {\n\t$0\n}", []string{"variable", "locals", "assert"}, []string{"app", "fence"}},
		{"what a service takes", half + "  |\n}\n", "description -> description = \"${1:}\"", []string{"nodes", "app", "mount", "drill", "placement"}, []string{"requires", "command", "check"}},
		{"what an app takes, what it needs first", half + "  app \"a\" { us|", "command -> command = [\"${1}\"]", []string{"user", "limits", "check", "restart", "after", "for_each", "on_stuck"}, []string{"device", "nodes"}},
		{"not what is written", half + "  app \"a\" {\n    command = [\"x\"]\n    |\n  }\n}\n", "user -> user = \"${1:}\"", nil, []string{"command"}},
		{"what a task takes", half + "  task \"t\" {\n    |\n  }\n}\n", "command -> command = [\"${1}\"]", []string{"schedule"}, []string{"check", "on_stuck"}},
		{"what a block of a kind takes", half + "  app \"a\" {\n    limits {\n      |\n", "files -> files = ${1:}", nil, []string{"command"}},
		{"what a check takes", half + "  app \"a\" {\n    check \"http\" \"c\" {\n      |\n", "url -> url = \"${1:}\"", []string{"every", "on_fall"}, []string{"command"}},
		{"kinds of checks", half + "  app \"a\" {\n    check \"|\" \"c\" {\n", "http -> http", nil, []string{"app"}},
		{"the name alone where the rest is there", half + "  mo|unt \"a\" {\n  }\n", "description -> description", []string{"mount"}, nil},
		{"words in quotes", half + "  mount \"b\" {\n    type = \"|\"\n", "ext4 -> ext4", []string{"xfs"}, []string{"var.root"}},
		{"words without quotes", half + "  mount \"b\" {\n    type = |\n", "ext4 -> \"ext4\"", []string{"xfs", "var.root", "mount.data"}, []string{"task.backup", "mount.b"}},
		{"true and false", half + "  app \"a\" {\n    strict = |\n", "true -> true", []string{"false"}, nil},
		{"an open quote", half + "  mount \"b\" {\n    type = \"|\n    path = \"/\"\n  }\n}\n", "ext4 -> ext4", nil, nil},
		{"services", "service \"a\" {\n  requires = [|]\n}\n", "db -> \"db\"", []string{"far/x"}, []string{"a"}},
		{"services in quotes", "service \"a\" {\n  apart = [\"db\", \"|\"]\n}\n", "db -> db", nil, nil},
		{"nodes of services and agents", "service \"a\" {\n  nodes = [\"|\"]\n}\n", "n1 -> n1", []string{"n2", "n9"}, nil},
		{"resources for after", half + "  app \"a\" {\n    after = [|]\n", "mount.data -> mount.data", nil, []string{"var.root", "abs", "task.backup", "app.a"}},
		{"names behind a dot", half + "  app \"a\" {\n    command = [mount.|]\n", "data -> data", nil, []string{"backup"}},
		{"fields behind a name", half + "  app \"a\" {\n    command = [mount.data.p|]\n", "path -> path", []string{"type"}, []string{"device"}},
		{"variables, inside text", half + "  app \"a\" {\n    user = \"${var.|}\"\n", "root -> root", nil, []string{"user"}},
		{"inside text that is not closed", half + "  app \"a\" {\n    user = \"${var.|\n  }\n}\n", "root -> root", nil, nil},
		{"locals that can be seen", half + "  app \"a\" {\n    user = local.|\n", "user -> user", nil, []string{"unseen"}},
		{"each where there is for_each", half + "  app \"a\" {\n    for_each = [\"x\"]\n    user = each.|\n", "key -> key", []string{"value"}, nil},
		{"node.* in a resource", half + "  app \"a\" {\n    user = node.|\n", "name -> name", []string{"labels"}, nil},
		{"no node.* in a service", "service \"a\" {\n  description = |\n}\n", "var.root -> var.root", []string{"cluster.name", "join"}, []string{"node.name", "each.key"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := begin(t, snippets, others...)
			var list completionList
			if err := s.ask("textDocument/completion", "web.hcl", c.src, &list); err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(list.Items, func(a, b completionItem) int { return strings.Compare(a.Sort, b.Sort) })
			var labels []string
			for _, i := range list.Items {
				labels = append(labels, i.Label)
			}
			if len(list.Items) == 0 {
				t.Fatal("nothing is offered")
			}
			if got := list.Items[0].Label + " -> " + list.Items[0].Edit.Text; got != c.first {
				t.Errorf("first is %q, want %q; all are %q", got, c.first, labels)
			}
			for _, want := range c.has {
				if !slices.Contains(labels, want) {
					t.Errorf("%q is not among %q", want, labels)
				}
			}
			for _, not := range c.not {
				if slices.Contains(labels, not) {
					t.Errorf("%q is among %q", not, labels)
				}
			}
		})
	}
}

func TestNothingIsOfferedWhereAnythingMayStand(t *testing.T) {
	for _, src := range []string{
		"# ser|\n", half + "  description = \"a ser|vice\"\n}\n", half + "  app \"na|\" {\n", "service \"a\" {\n  nodes = [\"a\"] |\n}\n",
		"locals {\n  x = <<EOT\n var.|\nEOT\n}\n", "node {\n  |\n}\n", "locals {\n  |\n}\n",
	} {
		s := begin(t, "", others...)
		var list completionList
		if err := s.ask("textDocument/completion", "web.hcl", src, &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Items) > 0 {
			t.Errorf("%q: %q is offered", src, list.Items[0].Label)
		}
	}
}

func TestHoverSaysWhatAWordMeans(t *testing.T) {
	const rest = "  app \"a\" {\n    command = [\"x\", local.user, mount.data.path]\n  }\n}\n"
	for _, c := range []struct {
		name, src string
		want      []string
	}{
		{"a kind", strings.Replace(half, "mount", "mo|unt", 1) + "}\n", []string{"A mounted file system.", "Required: `device`, `path`"}},
		{"an argument", strings.Replace(half, "device", "dev|ice", 1) + "}\n", []string{"**device**: text, required", "What is mounted."}},
		{"an argument of every resource", half + "  app \"a\" {\n    on_st|uck = \"wait\"\n  }\n}\n", []string{"one of kill, reset, wait", "default `kill`", "every resource"}},
		{"a check", half + "  app \"a\" {\n    check \"ht|tp\" \"c\" {\n", []string{"Asks a web server."}},
		{"a variable", strings.Replace(half, "var.root", "var.ro|ot", 1) + "}\n", []string{`"/srv"`, "db.hcl:1"}},
		{"a local", half + strings.Replace(rest, "local.user", "local.u|ser", 1), []string{`"nobody"`, "db.hcl:5"}},
		{"a reference", half + strings.Replace(rest, "data.path", "data.pa|th", 1), []string{"web/mount.data", "path = var.root", `"/srv"`, "web.hcl:3"}},
		{"a service", strings.Replace(half, "\"db\"", "\"d|b\"", 1) + "}\n", []string{"service db", "Holds it all", "db.hcl:7"}},
		{"a function", half + "  app \"a\" {\n    user = upp|er(\"x\")\n", []string{"upper("}},
		{"what the language gives", half + "  app \"a\" {\n    user = node.na|me\n", []string{"The name of the node"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := begin(t, "", others...)
			var h hover
			if err := s.ask("textDocument/hover", "web.hcl", c.src, &h); err != nil {
				t.Fatal(err)
			}
			if h.Contents == nil {
				t.Fatal("nothing is said")
			}
			for _, want := range c.want {
				if !strings.Contains(h.Contents.Value, want) {
					t.Errorf("%q is missing in\n%s", want, h.Contents.Value)
				}
			}
		})
	}
}

func TestHoverTellsNoSecret(t *testing.T) {
	s := begin(t, "")
	var h hover
	if err := s.ask("textDocument/hover", "web.hcl", "locals {\n  dsn = \"postgres://x:${secret(\"pw\")}@db\"\n}\nservice \"a\" {\n  app \"b\" {\n    command = [local.ds|n]\n  }\n}\n", &h); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(h.Contents.Value, `secret(`) || strings.ContainsRune(h.Contents.Value, '\ue0c0') {
		t.Errorf("it says\n%s", h.Contents.Value)
	}
}

func TestDefinitionsAndReferencesAreFoundAcrossFiles(t *testing.T) {
	const web = "locals {\n  user = \"web\"\n}\n" + half + "  app \"a\" {\n    command = [local.user, file(\"db.hcl\"), mount[\"data\"].path, \"${mount.data.type}\", { mount = 1 }.mount]\n    after = [mount.data]\n    env = { for mount in [] : mount => mount.data }\n  }\n}\n"
	for _, c := range []struct {
		name, from, with string
		definition       string
		uses             int // without the definition
	}{
		{"a variable", "var.root", "var.r|oot", "db.hcl:1:11", 1},
		{"a resource", "[mount.data]", "[mount.da|ta]", "web/web.hcl:6:10", 3},
		{"a resource, from its label", "mount \"data", "mount \"da|ta", "web/web.hcl:6:10", 3},
		{"a service", "[\"default/db\"]", "[\"default/d|b\"]", "db.hcl:7:10", 1},
		{"the nearest local", "local.user", "local.u|ser", "web/web.hcl:2:3", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := begin(t, "", others...)
			src := strings.Replace(strings.Replace(web, "\"db\"]", "\"default/db\"]", 1), c.from, c.with, 1)
			var l location
			if err := s.ask("textDocument/definition", "web/web.hcl", src, &l); err != nil {
				t.Fatal(err)
			}
			if got := s.shown(l); got != c.definition {
				t.Errorf("defined at %s, want %s", got, c.definition)
			}
			var all []location
			if err := s.ask("textDocument/references", "web/web.hcl", src, &all); err != nil {
				t.Fatal(err)
			}
			if len(all) != c.uses {
				t.Errorf("%d references, want %d: %v", len(all), c.uses, all)
			}
		})
	}
	s := begin(t, "", others...)
	var l location
	if err := s.ask("textDocument/definition", "web.hcl", strings.Replace(web, "file(\"db", "file(\"d|b", 1), &l); err != nil || l.URI != s.uri("db.hcl") {
		t.Errorf("the file that is included is %v, %v", l, err)
	}
}

func (s *session) shown(l location) string {
	return strings.TrimPrefix(l.URI, uriOf(s.root)+"/") + ":" + strconv.Itoa(l.Range.Start.Line+1) + ":" + strconv.Itoa(l.Range.Start.Character+1)
}

// What is not saved yet, or hidden, is no part of a set, and is still written with help.
func TestAFileOfNoSetIsAskedAboutLikeAnyOther(t *testing.T) {
	const src = "locals {\n  user = \"x\"\n  both = local.user\n}\nservice \"a\" {\n  app \"b\" {}\n}\n"
	for _, uri := range []string{"untitled:1", "file:///.hidden/a.hcl", "file:///a.svctest.hcl"} {
		s := begin(t, "")
		s.notify("textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": uri, "version": 1, "text": src}})
		at := map[string]any{"textDocument": map[string]any{"uri": uri}, "position": position{2, 16}, "newName": "who"}
		var h hover
		s.must("textDocument/hover", at, &h)
		if h.Contents == nil || !strings.HasSuffix(h.Contents.Value, ":2") {
			t.Errorf("%s: it says %+v", uri, h.Contents)
		}
		var l location
		s.must("textDocument/definition", at, &l)
		if l.URI != uri || l.Range.Start != (position{1, 2}) {
			t.Errorf("%s: it is defined at %+v", uri, l)
		}
		var edit workspaceEdit
		s.must("textDocument/rename", at, &edit)
		if got, want := apply(t, src, edit.Changes[uri]), strings.NewReplacer("  user", "  who", "local.user", "local.who").Replace(src); got != want {
			t.Errorf("%s: it becomes\n%s", uri, got)
		}
		at["position"] = position{5, 7}
		s.must("textDocument/hover", at, &h)
	}
}
