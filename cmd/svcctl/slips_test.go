package main

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/svcctl/svcctl/spec"
)

// A slip is one keystroke too few or too many. It must be found, or change nothing, or lie
// where anything may be written: in text, a number, or a name that is free to choose.

type slipped struct{ found, same, free int }

// slips are the ways to get one character wrong at place i. A lost character is tried in
// each place; of the others, which need not be found, only some are counted.
var slips = []struct {
	name  string
	every int
	at    func(text []rune, i int) []rune
}{
	{"removed", 1, func(text []rune, i int) []rune { return slices.Concat(text[:i], text[i+1:]) }},
	{"doubled", 11, func(text []rune, i int) []rune { return slices.Concat(text[:i+1], text[i:]) }},
	{"swapped with the next", 11, func(text []rune, i int) []rune {
		next := text[min(i+1, len(text)-1)]
		return slices.Concat(text[:i], []rune{next, text[i]}, text[min(i+2, len(text)):])
	}},
}

func TestASlipOfOneCharacterIsFoundOrChangesNothingOrIsInFreeText(t *testing.T) {
	sets := exampleSets(t)
	sets["the language"] = fstest.MapFS{"orders.hcl": {Data: []byte(everything)}}
	for name, set := range sets {
		for file := range set {
			if path.Ext(file) != ".hcl" {
				continue
			}
			t.Run(name+"/"+file, func(t *testing.T) {
				t.Parallel()
				for _, slip := range slips {
					s := slipped{}
					left := s.try(t, maps.Clone(set), file, slip.every, slip.at)
					t.Logf("one character %s: %d found, %d change nothing, %d in free text, numbers and names, %d left over", slip.name, s.found, s.same, s.free, len(left))
					for _, l := range left {
						if slip.every == 1 {
							t.Errorf("neither found nor without effect: %s", l)
						}
					}
					if s.found == 0 || s.same == 0 || s.free == 0 {
						t.Errorf("one character %s: %+v: that can't be", slip.name, s)
					}
				}
			})
		}
	}
}

// try makes the slips of one sort in a file, and answers which are none of the three.
func (s *slipped) try(t *testing.T, set fstest.MapFS, file string, every int, slip func([]rune, int) []rune) (left []string) {
	t.Helper()
	src := set[file].Data
	text, free, kinds := []rune(string(src)), freePlaces(src), newKinds(nil)
	want, found := evaluated(kinds, set)
	if want == "" {
		var text strings.Builder
		found.WriteText(&text, false)
		t.Fatalf("mistaken before anything was changed:\n%s", text.String())
	}
	at := 0
	for i, c := range text {
		start := at
		at += utf8.RuneLen(c)
		if i%every != 0 {
			continue
		}
		set[file] = &fstest.MapFile{Data: []byte(string(slip(text, i)))}
		switch got, _ := evaluated(kinds, set); {
		case got == "":
			s.found++
		case got == want:
			s.same++
		case free[start]:
			s.free++
		default:
			line := strings.Count(string(text[:i]), "\n")
			left = append(left, fmt.Sprintf("line %d: %q: %s", line+1, c, strings.Split(string(src), "\n")[line]))
		}
	}
	return left
}

// exampleSets are the files of the examples, by the folder of the set.
func exampleSets(t *testing.T) map[string]fstest.MapFS {
	t.Helper()
	dirs, err := filepath.Glob("../../examples/*/services")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	sets := map[string]fstest.MapFS{}
	for _, dir := range dirs {
		set := fstest.MapFS{}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			content, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			set[e.Name()] = &fstest.MapFile{Data: content}
		}
		sets[filepath.Base(filepath.Dir(dir))] = set
	}
	return sets
}

// evaluated is what a set means on a node, "" where validate refuses it.
func evaluated(kinds spec.Kinds, set fstest.MapFS) (string, spec.Findings) {
	if _, found := spec.NewLoader(spec.Options{Kinds: kinds}).Load(set); found.HasErrors() {
		return "", found
	}
	s, found := spec.NewLoader(spec.Options{Kinds: kinds, Node: spec.Node{Name: "n1", Cluster: "c"}}).Load(set)
	if found.HasErrors() {
		return "", found
	}
	var out []string
	for _, name := range s.Names {
		out = append(out, name, string(s.Services[name].Digest))
	}
	return strings.Join(out, " "), found
}

// freePlaces are the bytes of a file where anything may be written: within text and
// numbers, in names behind a dot, and in those of a map's keys and of locals.
func freePlaces(src []byte) map[int]bool {
	tokens, _ := hclsyntax.LexConfig(src, "", hcl.InitialPos)
	free := map[int]bool{}
	for i, token := range tokens {
		switch token.Type {
		case hclsyntax.TokenQuotedLit, hclsyntax.TokenStringLit, hclsyntax.TokenNumberLit, hclsyntax.TokenOHeredoc:
		case hclsyntax.TokenTemplateInterp, hclsyntax.TokenTemplateSeqEnd: // in the middle of text
		case hclsyntax.TokenIdent:
			if i == 0 || tokens[i-1].Type != hclsyntax.TokenDot {
				continue
			}
		default:
			continue
		}
		for at := token.Range.Start.Byte; at < token.Range.End.Byte; at++ {
			free[at] = true
		}
	}
	parsed, _ := hclsyntax.ParseConfig(src, "", hcl.InitialPos)
	name := func(r hcl.Range) {
		for at := r.Start.Byte; at < r.End.Byte; at++ {
			free[at] = true
		}
	}
	body := parsed.Body.(*hclsyntax.Body)
	hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		if key, is := n.(*hclsyntax.ObjectConsKeyExpr); is && !key.ForceNonLiteral {
			name(key.Range())
		}
		return nil
	})
	for _, b := range body.Blocks {
		for _, a := range b.Body.Attributes {
			if b.Type == "locals" {
				name(a.NameRange)
			}
		}
	}
	return free
}

// everything is the language's tour: each sort of block, comments behind and above, lists
// over several lines, and expressions.
const everything = `# Orders, in front of its database.

variable "vip" {
  default = "10.0.0.10/24" # of both
}

locals {
  port  = 8080                              # the front's
  nodes = ["n1", "n2"]                      # best first
  waits = { short = "1s", long = "30s" } # by name
}

assert {
  condition = local.port > 1024 && length(local.nodes) >= 2
  message   = "ports below 1024 are root's"
}

service "orders" {
  description = "Orders database"
  nodes       = local.nodes
  topology    = "failover" # the only one that makes sense here
  orchestrate = "auto"
  requires = [
    "queue", # what it reads
    "audit",
  ]

  # Where the data is.
  mount "data" {
    device = { n1 = "/dev/sdb1", n2 = "/dev/sdc1" }[node.name]
    path   = "/srv/orders"
    type   = "ext4"
  }

  ip "vip" {
    address   = var.vip
    interface = "eth0"
  }

  app "main" {
    # Everything is said on its command line.
    command = [
      "/usr/local/bin/orders",
      "--listen", hostport(ip.vip.host, local.port), # clients
      "--data", mount.data.path,
    ]
    user       = "orders"
    kill_after = local.waits["long"] # it writes much
    env = {
      LOG  = "info" # or debug
      HOME = mount.data.path
    }
    after = [mount.data] # said twice
    restart {
      attempts = 3 # then on_failure
      within   = "1m"
      backoff  = "500ms"
    }

    check "http" "ready" {
      url     = "http://${hostport(ip.vip.host, local.port)}/health"
      every   = "2s" # more often would be noise
      timeout = "1s"
      fall    = 3
      on_fall = "restart"
    }
  }

  app "side" {
    for_each = toset(["a", "b"])
    command  = ["/usr/local/bin/side", each.key, local.port > 80 ? "high" : "low"]
    optional = true # it only counts
  }

  task "backup" {
    schedule = "0 3 * * *" # at night
    command  = ["/usr/local/bin/backup", mount.data.path]
    timeout  = "1h"
  }
}

service "queue" {
  app "main" {
    command = ["/usr/local/bin/queue"]
  }
}

service "audit" {
  app "main" {
    command = ["/bin/sh", "-c", <<-EOT
      while sleep 1; do
        echo "${join(" ", [for n in local.nodes : upper(n) if n != "n3"])}"
      done
    EOT
    ]
  }
}
`
