package lsp

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/svcctl/svcctl/spec"
)

// named is a set in which names stand wherever they can, and where they only seem to.
var named = map[string]string{
	"common.hcl": `variable "root" {
  default = "/srv"
}
variable "flag" {
  default = true
}
locals {
  user  = "nobody"
  key   = "user"
  size  = 4
  map   = { user = local.user, (local.key) = "x", key : var.root, "size" = "local.user" }
  list  = [for user in ["a", "b"] : "${user}-${local.map.user}"]
  pairs = { for key, local in { a = 1 } : key => key if key != "b" }
  text  = <<-EOT
    root = ${var.root} $${var.root} var.root
    %{ if var.flag ~}
    on ${local.map["key"]}
    %{ else ~}
    off ${local.user}
    %{ endif ~}
    %{ for user in local.list ~}
    ${user} %{ for local in [{ user = local.user }] }${local.user}%{ endfor } ${local.user} ${local.map[local.key]} ${lookup(local.map, "user", "")}
    %{ endfor ~}
  EOT
}
assert {
  condition = var.flag && length(local.list) > 0
  message   = "no list for ${local.user}"
}
`,
	"db.hcl": `service "db" {
  with = ["web/api"] # web/api, db and local.user
  mount "data" {
    device = "/dev/${local.key}"
    path   = "${var.root}/data"
    check "http" "data" {
      url = "http://localhost${var.root}"
    }
  }
  mount "disk" {
    for_each = { data = "/d1", disk = "/d2" }
    device   = "/dev${each.value}"
    path     = "${mount.data.path}/${each.key}"
  }
  app "data" {
    command = [
      "/bin/db", mount.data.path, # mount.data
      mount["data"].path, mount.disk["disk"].path, "${mount["disk"]["data"].path}x", "mount.data.path",
      join(" ", [for mount in ["data"] : mount]), join(" ", [for mount in [{ data = mount.data.path }] : mount.data]), mount.data.path,
      join(" ", [for m in mount.disk : m.path]),
    ]
    after = [
      mount.data,
      mount.disk["data"],
    ]
    user = (local.map).user
    env  = { mount = mount.data.type, data : mount.data.path, A = var.flag ? local.user : local.map.key, B = local.text, C = local.list[0], D = join(",", keys(local.pairs)) }
    limits { files = local.size }
  }
  task "dump" {
    command = ["/bin/dump", <<-EOT
      mount.data ${mount.data.path} $${mount.data.path} %{ if true }${ mount.data.path }%{ endif }
    EOT
    ]
  }
}
service "other" {
  requires = ["db"]
  app "data" {
    command = ["/bin/x", local.user]
  }
  app "late" {
    after   = [app.data]
    command = ["/bin/x", join(",", mount.data[*].path)]
  }
  mount "data" {
    device = "/dev/other"
    path   = "/other"
  }
}
`,
	"web/api.hcl": `variable "root" {
  default = "/web"
}
service "api" {
  requires = ["default/db"]
  apart    = ["db"]
  mount "data" {
    device = "/dev/api"
    path   = "${var.root}/api"
  }
  app "data" {
    command = ["/bin/api", mount.data.path, local.user]
    user    = { a = { user = local.user } }.a.user
  }
}
service "db" {
  requires = ["api"]
  with     = ["default/other"]
}
`,
	"web/deep/more.hcl": `locals {
  user = "near"
  far  = [local.user, var.root]
}
service "deep" {
  namespace = "default"
  requires  = ["other", "web/db"]
  app "user" {
    command = local.far
  }
}
`,
}

// opened is a server that has all files of a set open.
func opened(t *testing.T, files map[string]string) *server {
	t.Helper()
	root := t.TempDir()
	s := &server{kinds: kinds(), encoding: utf16Units, wake: make(chan struct{}, 1), ended: make(chan struct{}), logf: func(string, ...any) {},
		documents: map[string]*document{}, sets: map[string]*set{}, wide: map[string]bool{}, roots: []string{root}}
	in, hold := io.Pipe()
	t.Cleanup(func() { hold.Close() })
	s.conn = jsonrpc2.NewConn(t.Context(), newFrames(in, io.Discard), s)
	for p, src := range files {
		name := filepath.Join(root, p)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(src), 0o644); err != nil {
			t.Fatal(err)
		}
		s.keep(t.Context(), &document{uri: uriOf(name)}, []byte(src))
	}
	set, open := s.next()
	s.read(t.Context(), set, open)
	return s
}

// meaning is what a set says, service by service, without places.
func meaning(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	m := fstest.MapFS{}
	for p, src := range files {
		m[p] = &fstest.MapFile{Data: []byte(src)}
	}
	s, findings := spec.NewLoader(spec.Options{Kinds: kinds(), Node: spec.Node{Name: "n1"}}).Load(m)
	if s == nil {
		var b strings.Builder
		findings.WriteText(&b, false)
		t.Fatal(b.String())
	}
	out := map[string]string{}
	for name, v := range s.Services {
		v := *v
		text := fmt.Sprintln(v.Requires, v.With, v.Apart)
		for _, r := range slices.Concat(v.Resources, v.Tasks) {
			config, err := json.Marshal(r.Config)
			if err != nil {
				t.Fatal(err)
			}
			text += fmt.Sprintln(r.Address, r.After, string(config))
			for _, c := range r.Checks {
				config, err = json.Marshal(c.Config)
				text += fmt.Sprintln(c.Name, string(config), err)
			}
		}
		out[name] = text
	}
	return out
}

// After a rename the set says the same, but for the name; and each place that names a
// thing knows the same places.
func TestARenamedSetDiffersByTheNameAlone(t *testing.T) {
	s := opened(t, named)
	before := meaning(t, named)
	const fresh = "fresh_name"
	for _, d := range s.documents {
		o := d.outlined()
		for i := range o.definitions {
			v := o.definitions[i]
			t.Run(d.path+" "+v.name, func(t *testing.T) {
				if after := meaning(t, renamed(t, s, d, v.at.from, fresh)); !reflect.DeepEqual(after, before) {
					t.Errorf("it says\n%v\nand before\n%v", after, before)
				}
			})
		}
		for i := range o.services {
			v := &o.services[i]
			t.Run(d.path+" "+v.fullName(), func(t *testing.T) {
				full := spec.FullName(v.namespace, fresh)
				want := map[string]string{}
				for name, text := range before {
					if name == v.fullName() {
						name = full
					}
					words := strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune("[] \n", c) })
					for _, w := range words {
						if w == v.fullName() || strings.HasPrefix(w, v.fullName()+"/") && strings.Contains(w, ".") {
							text = replaceWord(text, w, full+strings.TrimPrefix(w, v.fullName()))
						}
					}
					want[name] = text
				}
				if after := meaning(t, renamed(t, s, d, v.at.from, fresh)); !sameWords(after, want) {
					t.Errorf("it says\n%v\nand is to say\n%v", after, want)
				}
			})
			for _, r := range v.resources {
				t.Run(d.path+" "+v.fullName()+" "+r.kind+"."+r.name, func(t *testing.T) {
					want := maps.Clone(before)
					address := func(name string) string { return v.fullName() + "/" + r.kind + "." + name }
					text := want[v.fullName()]
					for _, end := range []string{" ", "]", "["} {
						text = strings.ReplaceAll(text, address(r.name)+end, address(fresh)+end)
					}
					want[v.fullName()] = text
					after := meaning(t, renamed(t, s, d, r.at.from, fresh))
					if !sameWords(after, want) {
						t.Errorf("it says\n%v\nand is to say\n%v", after, want)
					}
				})
			}
		}
	}
}

// sameWords compares without order: names say in which order resources are told.
func sameWords(a, b map[string]string) bool {
	sorted := func(m map[string]string) map[string][]string {
		out := map[string][]string{}
		for k, v := range m {
			out[k] = slices.Sorted(slices.Values(strings.FieldsFunc(v, func(c rune) bool { return strings.ContainsRune("[] \n", c) })))
		}
		return out
	}
	return reflect.DeepEqual(sorted(a), sorted(b))
}

func replaceWord(text, old, now string) string {
	for _, begin := range []string{"[", " ", "\n"} {
		for _, end := range []string{"]", " ", "\n", "["} {
			text = strings.ReplaceAll(text, begin+old+end, begin+now+end)
		}
	}
	if strings.HasPrefix(text, old) {
		text = now + text[len(old):]
	}
	return text
}

// renamed is the set in which what is named at a place is called otherwise.
func renamed(t *testing.T, s *server, d *document, at int, to string) map[string]string {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.worldOf(d)
	places := w.occurrences(w.thingAt(d, at))
	answer, err := s.rename(w, d, at, &placeParams{NewName: to})
	if err != nil {
		t.Fatal(err)
	}
	edits := answer.(workspaceEdit).Changes
	for _, o := range places {
		other := w.open[o.path]
		if same, err := s.rename(w, other, o.at.from, &placeParams{NewName: to}); err != nil || !reflect.DeepEqual(same, answer) {
			t.Errorf("from %s:%d it is another rename: %v %v", o.path, o.at.from, same, err)
		}
		t2 := w.thingAt(other, o.at.from)
		if t2 == nil || !reflect.DeepEqual(w.occurrences(t2), places) {
			t.Errorf("%s:%d knows other places", o.path, o.at.from)
		}
	}
	out := map[string]string{}
	for p, src := range named {
		out[p] = apply(t, src, edits[w.uri(p)])
	}
	return out
}

// Each name is looked for in the names of every bracket around it: brackets without end
// would take time without end.
func TestNamesInMoreBracketsThanAreAllowedAreNotLookedAt(t *testing.T) {
	for depth, want := range map[int]int{maxBrackets - 1: maxBrackets - 1, 5000: maxBrackets - 1} {
		src := "locals {\n  x = " + strings.Repeat("[var.a, ", depth) + strings.Repeat("]", depth) + "\n  y = var.b\n}\n"
		uses := outlineOf("a.hcl", spec.DefaultNamespace, grow([]byte(src))).uses
		if len(uses) != want+1 || uses[len(uses)-1].name != "var.b" {
			t.Errorf("%d brackets: %d names are found, want %d", depth, len(uses), want+1)
		}
	}
	scopes := "locals {\n  x = \"" + strings.Repeat("%{ for a in b }", 5000) + "${a.b}\"\n}\n"
	for _, u := range outlineOf("a.hcl", spec.DefaultNamespace, grow([]byte(scopes))).uses {
		if u.name == "a.b" {
			t.Error("a name of the loops around is none of theirs")
		}
	}
}
