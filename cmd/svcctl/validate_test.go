package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// onDisks differs from node to node: n2 has no disk, and n3 no rack.
const onDisks = `service "s" {
  app "a" {
    command = ["/bin/true"]
    cwd     = { n1 = "/a", n3 = "/c" }[node.name]
    user    = "u${node.labels.rack}"
  }
}

assert {
  condition = node.labels.site != "lyon"
  message   = "${node.name} is in lyon"
}
`

// cluster writes a folder of three agents' configurations and one of services.
func cluster(t *testing.T) (agents, services string) {
	t.Helper()
	dir := t.TempDir()
	agents, services = filepath.Join(dir, "agents"), filepath.Join(dir, "services")
	for i, labels := range []string{`site = "paris", rack = "1"`, `site = "paris", rack = "2"`, `site = "lyon"`} {
		folder := filepath.Join(agents, fmt.Sprintf("n%d", i+1))
		mkdir(t, folder)
		write(t, filepath.Join(folder, "agent.hcl"), fmt.Sprintf("node {\n  name   = \"n%d\"\n  labels = { %s }\n}\ncluster {\n  name = \"prod\"\n}\nstate {\n  dir = env(\"SVCCTL_NOT_SET_HERE\")\n}\n", i+1, labels))
	}
	mkdir(t, services)
	write(t, filepath.Join(services, "s.hcl"), onDisks)
	return agents, services
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// foundJSON runs validate and lists findings that are no notes as "line code nodes".
func foundJSON(t *testing.T, stdin string, args ...string) (code int, found []string) {
	t.Helper()
	var out, errs bytes.Buffer
	s := &streams{in: strings.NewReader(stdin), out: &out, err: &errs, width: plainWidth}
	code = execute(context.Background(), s, append([]string{"validate", "--format", "json"}, args...))
	var all []struct {
		Code, Severity, File string
		Line                 int
		Nodes                []string
	}
	if err := json.Unmarshal(out.Bytes(), &all); err != nil || errs.Len() > 0 {
		t.Fatalf("%v: exit %d: %v\n%s%s", args, code, err, out.String(), errs.String())
	}
	for _, f := range all {
		if f.Nodes == nil {
			t.Errorf("%s:%d has nodes null", f.File, f.Line)
		}
		if f.Severity != "note" {
			found = append(found, fmt.Sprintf("%s:%d %s %v", filepath.Base(f.File), f.Line, f.Code, f.Nodes))
		}
	}
	return code, found
}

func TestValidateReadsASetForEveryNodeOfACluster(t *testing.T) {
	agents, services := cluster(t)
	everyNode := []string{"s.hcl:4 SV0301 [n2]", "s.hcl:5 SV0301 [n3]", "s.hcl:10 SV0310 [n3]"}
	n1, n2 := "name=n1,label=site=paris,label=rack=1", "name=n2,label=rack=a=b,label=site=paris,cluster=prod"
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"no node", nil, nil},
		{"a cluster", []string{"--cluster", agents}, everyNode},
		{"one of its files", []string{"--cluster", filepath.Join(agents, "n1", "agent.hcl")}, nil},
		{"and a node that is to come", []string{"--cluster", agents, "--node", "name=n4,label=site=lyon,label=rack=4"},
			[]string{"s.hcl:4 SV0301 [n2 n4]", "s.hcl:5 SV0301 [n3]", "s.hcl:10 SV0310 [n3 n4]"}},
		{"and one of whose labels nothing is known", []string{"--cluster", agents, "--node", "n4"},
			[]string{"s.hcl:4 SV0301 [n2 n4]", "s.hcl:5 SV0301 [n3]", "s.hcl:10 SV0310 [n3]"}},
		{"two by hand", []string{"--node", n1, "--node", n2}, []string{"s.hcl:4 SV0301 [n2]"}},
		{"one by its name", []string{"--node", "n1"}, nil},
		{"one with labels", []string{"--node", "name=n1,label=site=lyon"}, []string{"s.hcl:5 SV0301 []", "s.hcl:10 SV0310 []"}},
	} {
		code, got := foundJSON(t, "", append(c.args, services)...)
		if !slices.Equal(got, c.want) || (code == exitFailed) != (len(c.want) > 0) {
			t.Errorf("%s: exit %d: %q, want %q", c.name, code, got, c.want)
		}
	}
}

func TestAClusterOfOneNodeHasNoOther(t *testing.T) {
	agents, services := cluster(t)
	write(t, filepath.Join(services, "s.hcl"), "service \"s\" {\n  nodes = [\"n1\", \"n2\"]\n  app \"a\" {\n    command = { prod = [\"/bin/true\"] }[cluster.name]\n  }\n}\n")
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"--cluster", filepath.Join(agents, "n1")}, []string{"s.hcl:2 SV0510 []"}},
		{[]string{"--cluster", filepath.Join(agents, "n1"), "--node", "n2"}, nil},
		{[]string{"--node", "n1"}, nil},
		{[]string{"--node", "n2", "--node", "name=n1,cluster=test"}, []string{"s.hcl:4 SV0301 []"}},
	} {
		if _, got := foundJSON(t, "", append(c.args, services)...); !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, want %q", c.args, got, c.want)
		}
	}
}

func TestEveryFormatNamesTheNodesOfAFinding(t *testing.T) {
	agents, services := cluster(t)
	for format, part := range map[string]string{
		"text":   "s.hcl:4:40: error SV0301: no element for the node, on n2\n",
		"json":   "\"nodes\": [\n      \"n2\"\n    ]",
		"sarif":  "no element for the node, on n2. The key",
		"junit":  `message="no element for the node, on n2"`,
		"github": "::no element for the node, on n2. The key",
	} {
		code, out, stderr := runLine("validate", "--format", format, "--cluster", agents, services)
		if code != exitFailed || !strings.Contains(out, part) || stderr != "" || strings.Contains(out, "\x1b") {
			t.Errorf("%s: exit %d, no %q in\n%s%s", format, code, part, out, stderr)
		}
	}
	_, out, _ := runLine("validate", "--format", "sarif", "--cluster", agents, services)
	var log struct {
		Runs []struct {
			Results []struct {
				Properties struct{ Nodes []string }
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &log); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(log.Runs[0].Results, func(r struct{ Properties struct{ Nodes []string } }) bool {
		return slices.Equal(r.Properties.Nodes, []string{"n2"})
	}) {
		t.Errorf("no property names a node:\n%s", out)
	}
}

func TestValidateRefusesNodesThatItCannotTellApart(t *testing.T) {
	agents, services := cluster(t)
	empty, twice, other, nameless, broken := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	write(t, filepath.Join(empty, "service.hcl"), "service \"a\" {}\n")
	write(t, filepath.Join(empty, "half.hcl"), "service \"b\" {\n")
	for _, name := range []string{"a.hcl", "b.hcl"} {
		write(t, filepath.Join(twice, name), "node {\n  name = \"n1\"\n}\n")
		write(t, filepath.Join(other, name), fmt.Sprintf("node {\n  name = %q\n}\ncluster {\n  name = %q\n}\n", "n-"+name, "c-"+name))
	}
	write(t, filepath.Join(nameless, "agent.hcl"), "metrics {\n  listen = \"127.0.0.1:9120\"\n}\n")
	write(t, filepath.Join(broken, "agent.hcl"), "node {\n  name = 7\n}\n")
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"no folder", []string{"--cluster", filepath.Join(empty, "x")}, []string{"cannot read the nodes in", "is the path right?"}},
		{"no agent in it", []string{"--cluster", empty}, []string{"cannot find a node in " + empty}},
		{"one name twice", []string{"--cluster", twice}, []string{filepath.Join(twice, "a.hcl"), filepath.Join(twice, "b.hcl"), `both name "n1"`}},
		{"two clusters", []string{"--cluster", other}, []string{`a.hcl is in "c-a.hcl"`, `b.hcl in "c-b.hcl"`}},
		{"a node without a name", []string{"--cluster", nameless}, []string{filepath.Join(nameless, "agent.hcl") + " names no node"}},
		{"a mistaken configuration", []string{"--cluster", broken}, []string{filepath.Join(broken, "agent.hcl") + ":2,", "a string is needed"}},
		{"a node of the cluster again", []string{"--cluster", agents, "--node", "n1"}, []string{"agent.hcl and --node n1"}},
		{"a node of another cluster", []string{"--cluster", agents, "--node", "name=n9,cluster=test"}, []string{`in "prod"`, `in "test"`}},
		{"a node twice", []string{"--node", "n1", "--node", "name=n1"}, []string{`both name "n1"`}},
		{"two names", []string{"--node", "n1,n2"}, []string{`"n1,n2" is a list: write --node once for each`}},
		{"no name", []string{"--node", "label=a=b"}, []string{"it has no name"}},
		{"an empty one", []string{"--node", ""}, []string{"is not a name"}},
		{"no such word", []string{"--node", "name=n1,labels=a"}, []string{`"labels=a" is none of`}},
		{"no value", []string{"--node", "name=n1,label=a"}, []string{`"label=a" is no label`}},
		{"a label twice", []string{"--node", "name=n1,label=a=b,label=a=c"}, []string{`"label=a=c" is no label`}},
		{"a comma", []string{"--node", "name=n1,label=a=b,c"}, []string{`"c" is none of`, "holds no comma"}},
	} {
		code, out, stderr := runLine(append(append([]string{"validate"}, c.args...), services)...)
		if code != exitUsage || out != "" {
			t.Errorf("%s: exit %d: %s", c.name, code, out)
		}
		for _, part := range c.want {
			if !strings.Contains(stderr, part) {
				t.Errorf("%s: no %q in %s", c.name, part, stderr)
			}
		}
	}
}

func TestValidateLooksAtABoundedNumberOfNodes(t *testing.T) {
	_, services := cluster(t)
	args := []string{"validate", services}
	for i := range maxNodes + 1 {
		args = append(args, "--node", fmt.Sprintf("m%d", i))
	}
	if code, out, stderr := runLine(args...); code != exitUsage || out != "" || !strings.Contains(stderr, "cannot look at 1001 nodes: 1000 are the most") {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
	if code, out, stderr := runLine(args[:len(args)-2]...); code != exitFailed || !strings.Contains(out, "on m0, m1, m10, m100 and 996 more") {
		t.Errorf("exit %d: %s%s", code, out, stderr)
	}
}

func TestWhatCanBeSaidOfANodeIsCompleted(t *testing.T) {
	for _, c := range []struct{ flag, typed, want string }{
		{"--node", "", "name=\n"}, {"--node", "name=n1,", "name=n1,label=\nname=n1,cluster=\n"}, {"--node", "name=n1,label=a=b,l", "name=n1,label=a=b,label=\n"},
		{"--format", "", "text\njson\nsarif\n"},
	} {
		if _, out, _ := runLine("__complete", "validate", c.flag, c.typed); !strings.HasPrefix(out, c.want) {
			t.Errorf("%s %s: %q", c.flag, c.typed, out)
		}
	}
}

func TestStrictMakesWarningsFailAndNotNotes(t *testing.T) {
	dir := t.TempDir()
	noted, warned := filepath.Join(dir, "noted.hcl"), filepath.Join(dir, "warned.hcl")
	write(t, noted, "service \"a\" {\n  app \"x\" {\n    command = [\"/bin/true\"]\n  }\n}\n")
	write(t, warned, "service \"a\" {\n  reload {\n    confirm = \"1m\"\n  }\n  app \"x\" {\n    command = [\"/bin/true\"]\n  }\n}\n")
	for _, c := range []struct {
		path   string
		strict bool
		want   int
	}{{noted, false, exitDone}, {noted, true, exitDone}, {warned, false, exitDone}, {warned, true, exitFailed}} {
		for _, format := range formats {
			args := []string{"validate", "--format", format, c.path}
			if c.strict {
				args = append(args, "--strict")
			}
			if code, out, _ := runLine(args...); code != c.want {
				t.Errorf("%v: exit %d, want %d\n%s", args, code, c.want, out)
			}
		}
	}
	if _, out, _ := runLine("validate", "--notes", noted); !strings.Contains(out, "note SV0401") {
		t.Errorf("there is no note to be strict about:\n%s", out)
	}
}

func TestStandardInputIsAFile(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "motd", "hello")
	good := "service \"a\" {\n  app \"x\" {\n    command = [\"/bin/echo\", file(\"motd\")]\n  }\n}\n"
	if code, got := foundJSON(t, good, "-"); code != exitDone || got != nil {
		t.Errorf("exit %d: %q", code, got)
	}
	if code, got := foundJSON(t, strings.Repeat(good, 2), "-", "-"); code != exitFailed || !slices.Equal(got, []string{"<stdin>:6 SV0201 []"}) {
		t.Errorf("exit %d: %q", code, got)
	}
	var out bytes.Buffer
	s := &streams{in: strings.NewReader(strings.Repeat(good, 2)), out: &out, err: &out, width: plainWidth}
	if execute(context.Background(), s, []string{"validate", "-"}); !strings.Contains(out.String(), "The first is at <stdin>:1") || !strings.Contains(out.String(), "    6 | service \"a\" {\n") {
		t.Errorf("%s", out.String())
	}
	if code, out, stderr := typed(good, "plan", "--cold", "-"); code != exitDone || !strings.Contains(out, "start   a/app.x") {
		t.Errorf("a plan of it: exit %d: %s%s", code, out, stderr)
	}
	if code, got := foundJSON(t, "", "-"); code != exitFailed || !slices.Equal(got, []string{"<stdin>:0 SV0002 []"}) {
		t.Errorf("nothing: exit %d: %q", code, got)
	}
	if code, got := foundJSON(t, strings.Repeat("#", 4<<20+1), "-"); code != exitFailed || !slices.Equal(got, []string{"<stdin>:0 SV0007 []"}) {
		t.Errorf("too much: exit %d: %q", code, got)
	}
}

func TestAFileThatTwoPathsNameIsReadOnce(t *testing.T) {
	dir := t.TempDir()
	sub, beside := filepath.Join(dir, "sub"), dir+"-beside"
	mkdir(t, sub)
	mkdir(t, beside)
	t.Cleanup(func() { os.RemoveAll(beside) })
	a, b, hidden, c := filepath.Join(dir, "a.hcl"), filepath.Join(sub, "b.hcl"), filepath.Join(dir, ".d", "h.hcl"), filepath.Join(beside, "c.hcl")
	mkdir(t, filepath.Dir(hidden))
	write(t, filepath.Join(dir, "values.hcl"), "locals {\n  cmd = [\"/bin/true\"]\n}\n")
	for i, path := range []string{a, b, hidden, c} {
		write(t, path, fmt.Sprintf("service \"s%d\" {\n  app \"x\" {\n    command = local.cmd\n    sure    = 1\n  }\n}\n", i))
	}
	if err := os.Symlink(dir, filepath.Join(beside, "link")); err != nil {
		t.Fatal(err)
	}
	both := []string{"a.hcl:4 SV0104 []", "b.hcl:4 SV0104 []"}
	for _, paths := range [][]string{
		{dir}, {dir, dir}, {dir, a}, {a, dir}, {sub, dir, b, a}, {dir + "/", dir + "/sub/.."}, {dir, filepath.Join(beside, "link")},
	} {
		if _, got := foundJSON(t, "", paths...); !slices.Equal(got, both) {
			t.Errorf("%q: %q", paths, got)
		}
	}
	if _, got := foundJSON(t, "", b, a, b); !slices.Equal(got, []string{"a.hcl:3 SV0207 []", "a.hcl:4 SV0104 []", "b.hcl:3 SV0207 []", "b.hcl:4 SV0104 []"}) {
		t.Errorf("files alone: %q", got)
	}
	if _, got := foundJSON(t, "", dir, hidden); !slices.Equal(got, []string{"h.hcl:3 SV0207 []", "h.hcl:4 SV0104 []", both[0], both[1]}) {
		t.Errorf("what is hidden is read when it is named: %q", got)
	}
	one, two := runOut(t, dir, c), runOut(t, c, dir)
	if one != two || !strings.Contains(one, c) {
		t.Errorf("the order of the paths matters:\n%s\n%s", one, two)
	}
	if code, out, stderr := runLine("validate", dir, filepath.Join(dir, "gone.hcl")); code != exitUsage || out != "" || !strings.Contains(stderr, "gone.hcl") {
		t.Errorf("a path that is not there: exit %d: %s%s", code, out, stderr)
	}
}

func runOut(t *testing.T, paths ...string) string {
	t.Helper()
	_, out, _ := runLine(append([]string{"validate"}, paths...)...)
	return out
}

// What is read along with the findings is told to people at a terminal only.
func TestASumIsWrittenForWhoWatches(t *testing.T) {
	_, services := cluster(t)
	for watched, want := range map[bool]string{true: "2 errors, 0 warnings in 1 file\n", false: ""} {
		var out, errs bytes.Buffer
		s := &streams{in: strings.NewReader(""), out: &out, err: &errs, width: plainWidth, watched: watched}
		execute(context.Background(), s, []string{"validate", "--node", "name=n1,label=site=lyon", services})
		if errs.String() != want || strings.Contains(out.String(), "errors") {
			t.Errorf("watched %v: %q", watched, errs.String())
		}
	}
}

func TestColourIsForTerminals(t *testing.T) {
	_, services := cluster(t)
	for colour, want := range map[bool]bool{true: true, false: false} {
		var out, errs bytes.Buffer
		s := &streams{in: strings.NewReader(""), out: &out, err: &errs, width: plainWidth, colour: colour}
		execute(context.Background(), s, []string{"validate", "--node", "name=n1", services})
		if got := strings.Contains(out.String(), "\x1b["); got != want {
			t.Errorf("colour %v: %q", colour, out.String())
		}
	}
}
