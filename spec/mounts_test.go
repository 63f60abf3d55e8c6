package spec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestAMountUnderAnotherServicesMountIsReported(t *testing.T) {
	const finding = "inner.hcl:4 SV0507 mount point /srv/a/b lies under /srv/a of outer/mount.data"
	for _, c := range []struct {
		name, outer, inner string
		want               []string
	}{
		{"anywhere", "", "", []string{finding}},
		{"it starts behind it, on any node", "", `requires = ["outer"]`, []string{finding}},
		{"it is on its node, at any time", "", `with = ["outer"]`, []string{finding}},
		{"behind it and on its node", "", "requires = [\"outer\"]\n with = [\"outer\"]", nil},
		{"the outer one is on its node", `with = ["inner"]`, `requires = ["outer"]`, nil},
		{"behind it by another one", "", "requires = [\"middle\"]\n with = [\"outer\"]", nil},
		{"the outer one is everywhere", `topology = "everywhere"`, `requires = ["outer"]`, nil},
		{"the outer one is on some nodes", "topology = \"everywhere\"\n nodes = [\"n1\"]", `requires = ["outer"]`, []string{finding}},
		{"both on one node", `nodes = ["n1"]`, "nodes = [\"n1\"]\n requires = [\"outer\"]", nil},
		{"on different nodes", `nodes = ["n1"]`, `nodes = ["n2"]`, nil},
		{"apart", "", `apart = ["outer"]`, nil},
	} {
		inner := mountOf("inner", c.inner, `"/srv/a/b"`, `device = "/dev/y"`)
		got := collisions(t, "inner.hcl", inner,
			"outer.hcl", mountOf("outer", c.outer, `"/srv/a"`, `device = "/dev/x"`), "middle.hcl", "service \"middle\" {\n requires = [\"outer\"]\n app \"m\" {\n  command = [\"/bin/true\"]\n }\n}\n")
		expect(t, c.name, got, c.want...)
	}
	deep := mountOf("deep", "", `"/srv/ab"`, `device = "/dev/y"`)
	expect(t, "a name that begins alike", collisions(t, "deep.hcl", deep, "outer.hcl", mountOf("outer", "", `"/srv/a"`, `device = "/dev/x"`)))
	expect(t, "the nearest that may be there", collisions(t, "a.hcl", mountOf("a", "", `"/srv"`, `device = "/dev/x"`),
		"b.hcl", mountOf("b", `nodes = ["n2"]`, `"/srv/a"`, `device = "/dev/y"`), "c.hcl", mountOf("c", `nodes = ["n1"]`, `"/srv/a/b"`, `device = "/dev/z"`)),
		"b.hcl:4 SV0507 mount point /srv/a lies under /srv of a/mount.data",
		"c.hcl:4 SV0507 mount point /srv/a/b lies under /srv of a/mount.data")
	expect(t, "its own mount is between", collisions(t, "a.hcl", mountOf("a", "", `"/srv"`, `device = "/dev/x"`),
		"b.hcl", "service \"b\" {\n  mount \"x\" {\n    device = \"/dev/y\"\n    path = \"/srv/a\"\n  }\n  mount \"y\" {\n    device = \"/dev/z\"\n    path = \"${mount.x.path}/b\"\n  }\n}\n"),
		"b.hcl:4 SV0507 mount point /srv/a lies under /srv of a/mount.data")
}

// Where the outer mount point is claimed twice, that is the mistake.
func TestAMountUnderOneThatCollidesIsNoSecondMistake(t *testing.T) {
	const b = "service \"b\" {\n  mount \"x\" {\n    device = \"/dev/y\"\n    path = \"/srv/a\"\n  }\n  mount \"y\" {\n    device = \"/dev/z\"\n    path = \"${mount.x.path}/b\"\n  }\n}\n"
	expect(t, "its own is there, too", collisions(t, "a.hcl", mountOf("a", "", `"/srv/a"`, `device = "/dev/x"`), "b.hcl", b),
		"b.hcl:4 SV0503 mount point /srv/a is a/mount.data's too")
}

// withMounts writes a service with two mounts, /srv/db/data and /var/lib/queue, and more.
func withMounts(more string) string {
	return `service "s" {
  mount "data" {
    device = "/dev/a"
    path   = "/srv/db/data"
  }
  mount "queue" {
    device = "/dev/b"
    path   = "/var/lib/queue"
  }
` + more + "}\n"
}

func appWith(command, more string) string {
	return fmt.Sprintf("  app \"main\" {\n    command = [%s]\n%s\n  }\n", command, more)
}

func TestWhoUsesAPathOnAMountIsAfterIt(t *testing.T) {
	const finding = "s.hcl:11 SV0508 %s lies in mount.%s, and app.main is not after it"
	for _, c := range []struct {
		name, more string
		want       []string
	}{
		{"a word", appWith(`"/bin/db", "/srv/db/data/x"`, ""), []string{fmt.Sprintf(finding, "/srv/db/data/x", "data")}},
		{"the mount point", appWith(`"/bin/db", "/srv/db/data/"`, ""), []string{fmt.Sprintf(finding, "/srv/db/data", "data")}},
		{"an option", appWith(`"/bin/db", "--data=/srv/db/data"`, ""), []string{fmt.Sprintf(finding, "/srv/db/data", "data")}},
		{"a letter", appWith(`"/bin/db", "-D/srv/db/data"`, ""), []string{fmt.Sprintf(finding, "/srv/db/data", "data")}},
		{"the program", appWith(`"/srv/db/data/bin/x"`, ""), []string{fmt.Sprintf(finding, "/srv/db/data/bin/x", "data")}},
		{"two mounts", appWith(`"/bin/db", "/srv/db/data:/var/lib/queue"`, ""), []string{
			fmt.Sprintf(finding, "/srv/db/data", "data"), fmt.Sprintf(finding, "/var/lib/queue", "queue")}},
		{"twice", appWith(`"/bin/db", "/srv/db/data/a", "/srv/db/data/b"`, ""), []string{fmt.Sprintf(finding, "/srv/db/data/a", "data")}},
		{"after it", appWith(`"/bin/db", "/srv/db/data/x"`, "after = [mount.data]"), nil},
		{"after both", appWith(`"/bin/db", "/srv/db/data", "/var/lib/queue"`, "after = [mount.data, mount.queue]"), nil},
		{"by a reference", appWith(`"/bin/db", "${mount.data.path}/x", "/srv/db/data"`, ""), nil},
		{"after one that is after it", appWith(`"/bin/db", "/srv/db/data"`, "after = [app.first]") +
			"  app \"first\" {\n    command = [\"/bin/first\"]\n    after = [mount.data]\n  }\n", nil},
		{"disabled", appWith(`"/bin/db", "/srv/db/data"`, "disabled = true"), nil},
		{"a script", appWith(`"/bin/sh", "-c", "ls /srv/db/data; exit 1"`, ""), nil},
		{"a URL", appWith(`"/bin/db", "http://x/srv/db/data", "--u=http://x/?q=/srv/db/data", "host:/srv/db/data", "//srv/db/data"`, ""), nil},
		{"a name that begins alike", appWith(`"/bin/db", "/srv/db/data.conf"`, ""), nil},
		{"a secret", appWith(`"/bin/db"`, `env = { A = "/srv/db/data/${secret("a")}" }`), nil},
	} {
		expect(t, c.name, collisions(t, "s.hcl", withMounts(c.more)), c.want...)
	}
	expect(t, "a variable", collisions(t, "s.hcl", withMounts(appWith(`"/bin/db"`, "    env = {\n      A = \"x\"\n      B = \"/srv/db/data\"\n    }"))),
		"s.hcl:14 SV0508 /srv/db/data lies in mount.data, and app.main is not after it")
	expect(t, "a task", collisions(t, "s.hcl", withMounts("  task \"t\" {\n    command = [\"/bin/backup\", \"/srv/db/data\"]\n  }\n")),
		"s.hcl:11 SV0508 /srv/db/data lies in mount.data, and task.t is not after it")
}

func TestAMountInAMountIsAfterIt(t *testing.T) {
	inner := "  mount \"inner\" {\n    device = \"/dev/c\"\n    path = \"/srv/db/data/x/y\"\n%s\n  }\n"
	expect(t, "not after it", collisions(t, "s.hcl", withMounts(fmt.Sprintf(inner, ""))),
		"s.hcl:12 SV0508 /srv/db/data/x/y lies in mount.data, and mount.inner is not after it")
	expect(t, "after it", collisions(t, "s.hcl", withMounts(fmt.Sprintf(inner, "after = [mount.data]"))))
	user := appWith(`"/bin/db", "/srv/db/data/x/y/z"`, "after = [mount.inner]")
	expect(t, "after the inner one", collisions(t, "s.hcl", withMounts(fmt.Sprintf(inner, "after = [mount.data]")+user)))
	user = appWith(`"/bin/db", "/srv/db/data/x/y/z"`, "after = [mount.data]")
	expect(t, "after the outer one only", collisions(t, "s.hcl", withMounts(fmt.Sprintf(inner, "after = [mount.data]")+user)),
		"s.hcl:16 SV0508 /srv/db/data/x/y/z lies in mount.inner, and app.main is not after it")
}

// A program that makes what is mounted afterwards is before the mount on purpose.
func TestAMountMayWaitForWhoUsesItsPath(t *testing.T) {
	src := strings.Replace(withMounts(appWith(`"/bin/fuse", "/srv/db/data"`, "")), `"/dev/a"`, "\"/dev/a\"\n    after = [app.main]", 1)
	expect(t, "the mount waits", collisions(t, "s.hcl", src))
}

func TestInstancesAreLookedAtOneByOne(t *testing.T) {
	const src = `service "s" {
  mount "m" {
    for_each = ["a", "b"]
    device   = "/dev/${each.key}"
    path     = "/srv/m/${each.key}"
  }
  app "x" {
    for_each = ["a", "b"]
    command  = ["/bin/x", "/srv/m/%s"]
    after    = [mount.m[each.key]]
  }
}
`
	expect(t, "each its own", collisions(t, "s.hcl", fmt.Sprintf(src, "${each.key}")))
	expect(t, "all the first", collisions(t, "s.hcl", fmt.Sprintf(src, "a")),
		`s.hcl:9 SV0508 /srv/m/a lies in mount.m["a"], and app.x["b"] is not after it`)
}

// However much is written, what is said of it is bounded.
func TestAThousandMistakesWithPathsOfOneServiceAreNotAllListed(t *testing.T) {
	const src = `service "s" {
  mount "m" {
    for_each = [for i in range(300) : "m${i}"]
    device   = "/dev/${each.key}"
    path     = "/srv/m/${each.key}"
  }
  app "x" {
    command = concat(["/bin/x"], [for i in range(300) : "/srv/m/%sm${i}"])
  }
}
`
	for prefix, code := range map[string]string{"": codeNotAfter, "x": codeNoMount} {
		_, findings := NewLoader(testOptions).Load(set("s.hcl", fmt.Sprintf(src, prefix)))
		if len(findings) != 100 || findings[0].Code != code {
			t.Errorf("%d findings, want 100 of %s, as\n%s", len(findings), code, printed(findings[:1]))
		}
	}
}

func TestAPathBesideAMountIsReportedWhereNoMountProvidesIt(t *testing.T) {
	const finding = "s.hcl:11 SV0509 no mount provides %s"
	for _, c := range []struct {
		command string
		want    string
	}{
		{`"/bin/db", "/srv/db/wal"`, "/srv/db/wal"},
		{`"/bin/db", "/srv/db/wal/x/y.z"`, "/srv/db/wal/x/y.z"},
		{`"/bin/db", "/srv/db/dta/x"`, "/srv/db/dta/x"},
		{`"/bin/db", "/var/lib/queu/x"`, "/var/lib/queu/x"},
		{`"/bin/db", "/var/lib/Queue"`, "/var/lib/Queue"},
		{`"/bin/db", "/var/lib/quuee"`, "/var/lib/quuee"},
		{`"/bin/db", "/var/lib/other"`, ""},   // beside a mount, as everything is
		{`"/bin/db", "/var/lib/queue2"`, ""},  // numbered on purpose
		{`"/bin/db", "/srv/db/x.conf"`, ""},   // a file
		{`"/bin/db", "/srv/db/bin/tool"`, ""}, // comes with the program
		{`"/srv/db/server"`, ""},              // the program
		{`"/bin/db", "/srv/db"`, ""},          // the folder of the mount points
		{`"/bin/db", "/srv/other/wal"`, ""},
		{`"/bin/db", "/srv/dbs"`, ""}, // no mount is beside it
		{`"/bin/db", "/etc/db/data"`, ""},
		{`"/bin/db", "/srv/db/*"`, ""},
	} {
		var want []string
		if c.want != "" {
			want = []string{fmt.Sprintf(finding, c.want)}
		}
		expect(t, c.command, collisions(t, "s.hcl", withMounts(appWith(c.command, ""))), want...)
	}
}

func TestAPathBesideAMountMayBeSomebodyElses(t *testing.T) {
	s := withMounts(appWith(`"/bin/db", "/srv/db/wal/x"`, ""))
	expect(t, "another service mounts it", collisions(t, "s.hcl", s, "w.hcl", mountOf("w", "", `"/srv/db/wal"`, `device = "/dev/w"`)))
	expect(t, "a mount above it", collisions(t, "s.hcl", s, "w.hcl", mountOf("w", `apart = ["s"]`, `"/srv/db"`, `device = "/dev/w"`)))
	unknown := strings.Replace(s, `"/var/lib/queue"`, `"/srv/db/${node.name}"`, 1)
	o := testOptions
	o.Node = Node{}
	expect(t, "a mount point that is not known", collisionsFor(t, o, "s.hcl", unknown))
	expect(t, "a mount that is disabled", collisions(t, "s.hcl", strings.Replace(withMounts(appWith(`"/bin/db", "/var/lib/queue/x"`, "")), `"/dev/b"`, "\"/dev/b\"\n    disabled = true", 1)))
	expect(t, "what is mounted", collisions(t, "s.hcl", strings.Replace(s, `"/dev/b"`, `"/srv/db/wal"`, 1)), "s.hcl:11 SV0509 no mount provides /srv/db/wal/x")
	expect(t, "no mount at all", collisions(t, "s.hcl", "service \"s\" {\n"+appWith(`"/bin/db", "/srv/db/wal"`, "")+"}\n"))
}

func TestAStrayPathSaysWhatMayBeMeant(t *testing.T) {
	for path, want := range map[string]string{
		"/var/lib/queu": `Did you mean "/var/lib/queue"? That is mount.queue at s.hcl:6.`,
		"/srv/db/wal":   `/srv/db/data is mounted beside it, by mount.data at s.hcl:2. Declare a mount for it, or take a folder below that one.`,
	} {
		_, findings := NewLoader(testOptions).Load(set("s.hcl", withMounts(appWith(`"/bin/db", "`+path+`"`, ""))))
		if len(findings) != 1 || findings[0].Detail != want || findings[0].Range.Start.Column != 27 {
			t.Errorf("%s:\n%s", path, printed(findings))
		}
	}
}

func TestPathsAreFoundInWords(t *testing.T) {
	for word, want := range map[string][]string{
		"/a/b/":         {"/a/b"},
		"/a/../b":       {"/b"},
		"--x=/a":        {"/a"},
		"X=/a":          {"/a"},
		"-x/a":          {"/a"},
		"/a:/b,/c:ro":   {"/a", "/b", "/c"},
		"/":             nil,
		"":              nil,
		"a/b":           nil,
		"--x":           nil,
		"-x":            nil,
		"-/a":           nil,
		"--/a":          nil,
		"https://h/=/a": nil,
		"/a b":          nil,
		"/a{1..3}":      nil,
		"$HOME/a":       nil,
		"//h/share":     nil,
		"k=v=/a":        nil,
	} {
		if got := pathsIn(word); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

// What is evaluated for each node is compared there; what is the same everywhere is said
// once.
func TestCollisionsNameTheNodesThatTheyConcern(t *testing.T) {
	o := Options{Kinds: testKinds, Nodes: []Node{{Name: "n1"}, {Name: "n2"}, {Name: "n3"}}}
	each := `{ n1 = "10.0.0.1/24", n2 = "10.0.0.2/24", n3 = "10.0.0.1/24" }[node.name]`
	for _, c := range []struct {
		name, a, b, nodes string
		want              []string
	}{
		{"on two nodes", ipOf("a", "", `"10.0.0.1/24"`), ipOf("b", "", each), "[n1 n3]", []string{"b.hcl:4 SV0501 address 10.0.0.1 is a/ip.vip's too"}},
		{"on the one that is a candidate", ipOf("a", `nodes = ["n2", "n3"]`, `"10.0.0.1/24"`), ipOf("b", "", each), "[n3]",
			[]string{"b.hcl:4 SV0501 address 10.0.0.1 is a/ip.vip's too"}},
		{"the same everywhere, and not the first there", ipOf("a", `nodes = ["n2"]`, `"10.0.0.1/24"`) + ipOf("a2", `nodes = ["n1"]`, `"10.0.0.1/24"`),
			strings.Replace(ipOf("b", "", `"10.0.0.1/24"`), `"eth0"`, "node.name", 1), "[]", []string{"b.hcl:4 SV0501 address 10.0.0.1 is a/ip.vip's too"}},
		{"on none", ipOf("a", `nodes = ["n2"]`, `"10.0.0.1/24"`), ipOf("b", "", each), "", nil},
		{"the same everywhere", ipOf("a", "", `"10.0.0.1/24"`), strings.Replace(ipOf("b", "", `"10.0.0.1/24"`), `"eth0"`, "node.name", 1), "[]",
			[]string{"b.hcl:4 SV0501 address 10.0.0.1 is a/ip.vip's too"}},
		{"both differ and never meet", ipOf("a", "", `{ n1 = "10.0.0.2/24", n2 = "10.0.0.1/24", n3 = "10.0.0.3/24" }[node.name]`), ipOf("b", "", each), "", nil},
	} {
		expect(t, c.name, collisionsFor(t, o, "a.hcl", c.a, "b.hcl", c.b), c.want...)
		_, findings := NewLoader(o).Load(set("a.hcl", c.a, "b.hcl", c.b))
		if len(findings) == 1 && fmt.Sprint(findings[0].Nodes) != c.nodes {
			t.Errorf("%s: on %v, want %s", c.name, findings[0].Nodes, c.nodes)
		}
	}
	s := withMounts(appWith(`"/bin/db", "/srv/db/${node.name == "n2" ? "data" : "wal"}"`, ""))
	_, findings := NewLoader(o).Load(set("s.hcl", s))
	if got := foundOn(findings); !slices.Equal(got, []string{"11 SV0508 [n2]", "11 SV0509 [n1 n3]"}) {
		t.Errorf("paths: %q", got)
	}
}

func TestNamesThatDifferInAWordOfTheirOwnAreNoSlips(t *testing.T) {
	for _, pair := range [][2]string{
		{"site-a", "site-b"}, {"web_us", "web_eu"}, {"node-west", "node-east"}, {"log", "blog"}, {"mysqld", "mysql"}, {"a.test", "a.rest"}, {"data2", "data1"}, {"v1.2", "v1.3"}, {"web-oders-dat", "web-orders-data"},
	} {
		if misspelt(pair[0], pair[1]) {
			t.Errorf("%s is taken for a slip of %s", pair[0], pair[1])
		}
	}
	for _, pair := range [][2]string{{"oders", "orders"}, {"Orders", "orders"}, {"ordres", "orders"}, {"order", "orders"}, {"web-oders", "web-orders"}, {"datas", "data"}, {"weborders", "web-orders"}} {
		if !misspelt(pair[0], pair[1]) {
			t.Errorf("%s is not taken for a slip of %s", pair[0], pair[1])
		}
	}
}
