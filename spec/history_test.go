package spec

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/fstest"
)

// versions are what files of one set may hold, one after the other; "" is none.
var versions = map[string][]string{
	"common.hcl": {
		"locals {\n  user = \"nobody\"\n  text = \"a.txt\"\n}\n",
		"locals {\n  user = \"root\"\n  text = \"b.txt\"\n}\n",
		"locals {\n  user = \"nobody\"\n  text = file(\"a.txt\")\n}\n", // no such file of that name
		"locals {\n  user = \n  text = \"a.txt\"\n}\n",
		"locals {\n  text = local.user\n  user = local.text\n}\n",
		"variable \"user\" {\n  default = \"x\"\n}\n",
		"",
	},
	"a.txt": {"one", "two", "b.txt", ""},
	"b.txt": {"one", "three", ""},
	"x/near.hcl": {
		"", "locals {\n  user = \"near\"\n}\n", "locals {\n  user = \"near\n}\n", "locals {\n  more = \"1\"\n}\n",
		"locals {\n  user = \"nobody\"\n  spare = 1\n}\n", "locals {\n  spare = 1 # svcctl:ignore SV0602 not yet read\n}\n",
	},
	"x/web.hcl": {
		"service \"web\" {\n  requires = [\"default/db\"]\n  app \"m\" {\n    command = [\"x\", local.user, file(\"../${local.text}\")]\n    env = { A = join(\",\", keys(local)) }\n  }\n}\n",
		"service \"web\" {\n  app \"m\" {\n    command = [\"x\", local.user]\n    env = { A = join(\",\", keys(local)) }\n  }\n}\n",
		"service \"web\" {\n  app \"m\" {\n    command = [\"x\", local.user\n  }\n  mount \"d\" {\n    device = \"/dev/x\"\n    path = \"/srv/x\"\n  }\n}\n",
		"service \"web\" {\n  namespace = \"default\"\n  app \"m\" {\n    command = [\"x\"]\n    env = { PASSWORD = local.user } # svcctl:ignore SV0402 a test\n  }\n}\n",
		"servce \"web\" {\n}\n", "\xff", "",
	},
	"db.hcl": {
		"service \"db\" {\n  mount \"d\" {\n    device = \"/dev/x\"\n    path = \"/srv/x\"\n  }\n}\n",
		"service \"db\" {\n  requires = [\"x/web\"]\n  mount \"d\" {\n    device = \"/dev/y\"\n    path = \"/srv/${node.name}\"\n  }\n}\n",
		"service \"db\" {\n  namespace = \"x\n  mount \"d\" {\n    device = \"/dev/x\"\n    path = \"/srv/x\"\n  }\n}\n",
		"service \"web\" {\n  with = [\"db\"]\n}\nservice \"d\n",
		"node {\n  name = \"n1\"\n}\n", "node {\n  name = \"n1\n}\nservice \"db\" {\n}\n",
		"assert {\n  condition = local.user != \"root\"\n  message = \"root\"\n}\nservice \"db\" {\n}\n",
		"",
	},
	"cluster.hcl": {"", "policy {\n}\n", "service \"q\" {\n}\n", "policy {\n"},
}

var sequence = []string{"a.txt", "b.txt", "cluster.hcl", "common.hcl", "db.hcl", "x/near.hcl", "x/web.hcl"}

// Whatever becomes of the files of a set, one change after the other: who has read it
// all along says what somebody says who reads it for the first time.
func TestALoaderThatSawEveryChangeAgreesWithAFreshOne(t *testing.T) {
	for name, options := range map[string]Options{
		"one node": testOptions,
		"nodes":    {Kinds: testKinds, Nodes: threeNodes[:2]},
		"part":     {Kinds: testKinds, Node: testOptions.Node, Part: true, Notes: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(40) {
				random := rand.New(rand.NewPCG(seed, 0))
				m := set()
				for _, p := range sequence {
					write(m, p, versions[p][0])
					if versions[p][0] == "" {
						delete(m, p)
					}
				}
				l := NewLoader(options)
				story := ""
				for range 15 {
					for range 1 + random.IntN(2) {
						p := sequence[random.IntN(len(sequence))]
						v := random.IntN(len(versions[p]))
						story += fmt.Sprintf(" %s:%d", p, v)
						if write(m, p, versions[p][v]); versions[p][v] == "" {
							delete(m, p)
						}
					}
					agree(t, l, NewLoader(options), m, fmt.Sprintf("seed %d:%s", seed, story))
				}
			}
		})
	}
}

func agree(t *testing.T, old, fresh *Loader, m fstest.MapFS, story string) {
	t.Helper()
	was, before := old.Load(m)
	is, now := fresh.Load(m)
	if printed(before) != printed(now) {
		t.Fatalf("%s\nit says\n%sa fresh one\n%s", story, printed(before), printed(now))
	}
	if was == nil {
		return
	}
	if was.Digest != is.Digest {
		t.Fatalf("%s: the set has another digest", story)
	}
	for _, n := range is.Names {
		if was.Services[n] == nil || was.Services[n].Digest != is.Services[n].Digest || was.Services[n].Range != is.Services[n].Range {
			t.Fatalf("%s: service %s is another", story, n)
		}
	}
}

// One mistake in the syntax is one finding, wherever in the file it is made: what stands
// in the rest, and what other files read of it, is not mistaken for that.
func TestACharacterTooManyHasNoConsequences(t *testing.T) {
	files := map[string]string{
		"common.hcl": "locals {\n  greeting = \"hello\"\n}\n",
		"web.hcl": "service \"web\" {\n  mount \"content\" {\n    device = \"/dev/x\"\n    path = \"/srv/${local.greeting}\"\n  }\n" +
			"  app \"main\" {\n    command = [\"x\", mount.content.path, local.greeting]\n    # svcctl:ignore SV0402 a test\n    env = { PASSWORD = \"x\" }\n  }\n}\n",
	}
	for p, whole := range files {
		for i := range whole {
			for _, more := range []string{`"`, "}"} {
				if p == "web.hcl" && more == "}" {
					continue // it ends a block early, and then there is more than one mistake
				}
				m := set("common.hcl", files["common.hcl"], "web.hcl", files["web.hcl"])
				write(m, p, whole[:i]+more+whole[i:])
				_, findings := NewLoader(testOptions).Load(m)
				if len(findings) == 0 || findings[0].Code != codeSyntax {
					continue // it is text
				}
				for _, f := range findings {
					if f.Code != codeSyntax {
						t.Errorf("%s with %s at %d (%q): %s %s", p, more, i, whole[max(0, i-8):i], f.Code, f.Summary)
					}
				}
			}
		}
	}
}
