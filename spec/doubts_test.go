package spec

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// found lists the findings of a set by place, code and summary.
func found(o Options, files ...string) (out []string) {
	_, findings := NewLoader(o).Load(set(files...))
	for _, f := range findings {
		at := fmt.Sprintf("%d:%d", f.Range.Start.Line, f.Range.Start.Column)
		if len(files) > 2 {
			at = f.File + ":" + at
		}
		out = append(out, at+" "+f.Code+" "+f.Summary)
	}
	return out
}

func wantFound(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("found\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// app is a service with one app whose block holds lines.
func app(lines string) string {
	return "service \"a\" {\n  app \"b\" {\n    command = [\"/bin/true\"]\n" + lines + "\n  }\n}\n"
}

func TestACheckThatIsAskedWithoutAPauseIsDoubted(t *testing.T) {
	check := func(lines string) string { return app("check \"tcp\" \"c\" {\naddress = \"h:1\"\n" + lines + "\n}") }
	wantFound(t, found(testOptions, "a.hcl", check("every = \"2s\"\ntimeout = \"2000ms\"")), `7:11 SV0514 "timeout" is as long as "every"`)
	wantFound(t, found(testOptions, "a.hcl", check(`timeout = "10s"`)), `6:11 SV0514 "timeout" is as long as "every"`)
	for _, lines := range []string{
		`every = "1s"`, // the default of timeout is as long then, and nobody wrote it
		"every = \"2s\"\ntimeout = \"1999ms\"",
		"every = \"2s\"\ntimeout = null",
	} {
		wantFound(t, found(testOptions, "a.hcl", check(lines)))
	}
	wantFound(t, found(Options{Kinds: testKinds}, "a.hcl", check("every = node.name\ntimeout = \"10s\"")))
	wantFound(t, found(Options{Kinds: testKinds}, "a.hcl", check("every = \"10s\"\ntimeout = node.labels.x")))
	wantFound(t, found(testOptions, "a.hcl", check("every = \"1s\"\ntimeout = \"2s\"")), `7:11 SV0309 "timeout" is longer than "every"`)
	wantFound(t, found(testOptions, "a.hcl", check("every = 10\ntimeout = \"10s\"")), `6:9 SV0303 "10" is no duration`)
}

func TestAttemptsThatCannotBeUsedUpAreDoubted(t *testing.T) {
	restart := func(lines string) string { return app("restart {\n" + lines + "\n}") }
	wantFound(t, found(testOptions, "a.hcl", restart("attempts = 3\nbackoff = \"30s\"")), `5:12 SV0515 3 attempts within 1m0s can't be used up`)
	wantFound(t, found(testOptions, "a.hcl", restart("attempts = 12")), `5:12 SV0515 12 attempts within 1m0s can't be used up`)
	_, findings := NewLoader(testOptions).Load(set("a.hcl", restart("attempts = 12")))
	if want := "at most 10 restarts fit in"; !strings.Contains(printed(findings), want) {
		t.Errorf("%q is not in\n%s", want, printed(findings))
	}
	for _, lines := range []string{
		"attempts = 10", "attempts = 0", `backoff = "30s"`, "attempts = 1\nbackoff = \"30s\"", "attempts = 2\nbackoff = \"30s\"",
		"attempts = 3\nbackoff = \"30s\"\nwithin = \"90001ms\"\nmax = \"1m\"\nreset = \"2m\"",
		"attempts = 100000\nbackoff = \"0s\"",
		"attempts = 5\nbackoff = \"30s\"\nreset = \"5s\"", // up for 5 s again and again, it fails 6 times within 25 s
		"attempts = 50\nreset = \"0s\"",
	} {
		wantFound(t, found(testOptions, "a.hcl", restart(lines)))
	}
	wantFound(t, found(testOptions, "a.hcl", restart("attempts = 3\nbackoff = \"30s\"\nwithin = \"90s\"\nmax = \"1m\"\nreset = \"2m\"")),
		`5:12 SV0515 3 attempts within 1m30s can't be used up`) // the third restart is put off by all of the window
	wantFound(t, found(Options{Kinds: testKinds}, "a.hcl", restart("attempts = 30\nreset = node.name")))
	wantFound(t, found(testOptions, "a.hcl", restart("attempts = 30\nwithin = \"0s\"")), `6:10 SV0309 "within" must be longer than 0s`)
	wantFound(t, found(testOptions, "a.hcl", restart("attempts = 30\nbackoff = \"2m\"")), `6:11 SV0309 "backoff" is longer than "max"`)
	wantFound(t, found(testOptions, "a.hcl", restart("attempts = 30\nmax = 7")), `6:7 SV0303 "7" is no duration`)
}

type oldConfig struct {
	Path string   `hcl:"path" doc:"Where."`
	Dir  string   `hcl:"dir,optional" doc:"Where, as it was called." deprecated:"Write path instead."`
	Part *oldPart `hcl:"part,block" doc:"A part."`
}

type oldPart struct {
	Size int `hcl:"size,optional" doc:"Its size." deprecated:"Leave it out."`
}

func TestADeprecatedArgumentIsNamedWithWhatToWriteInstead(t *testing.T) {
	o := testOptions
	o.Kinds = fakeKinds{resources: map[string]*Schema{"old": SchemaOf("old", "An old kind.", reflect.TypeFor[oldConfig]())}}
	src := `service "a" {
  old "b" {
    for_each = ["x", "y"]
    path     = "/x"
    dir      = "/y"
    part {
      size = 1
    }
  }
  old "c" {
    path = "/x"
    part {}
  }
}
`
	wantFound(t, found(o, "a.hcl", src), `5:5 SV0603 "dir" is deprecated`, `7:7 SV0603 "size" is deprecated`)
	s, findings := NewLoader(o).Load(set("a.hcl", src))
	if s == nil || findings[0].Detail != "Write path instead." || findings[0].Severity != Warning {
		t.Errorf("%+v", findings)
	}
}

func TestWhatWaitsForADisabledResourceIsToldSo(t *testing.T) {
	two := func(first, second string) string {
		return "service \"a\" {\n  app \"one\" {\n    command = [\"/bin/true\"]\n    port = 80\n" + first + "\n  }\n  app \"two\" {\n" + second + "\n  }\n}\n"
	}
	command := "command = [\"/bin/true\"]\n"
	wantFound(t, found(testOptions, "a.hcl", two("disabled = true", command+"after = [app.one]")), `9:10 SV0513 app.one is disabled`)
	wantFound(t, found(testOptions, "a.hcl", two("disabled = true", "command = [\"${app.one.port}\"]\nafter = [app.one]")), `8:15 SV0513 app.one is disabled`)
	wantFound(t, found(testOptions, "a.hcl", two("disabled = true", command+"for_each = [\"x\", \"y\"]\noptional = true\nafter = [app.one]")),
		`11:10 SV0513 app.one is disabled`)
	wantFound(t, found(testOptions, "a.hcl", two("for_each = [\"x\", \"y\"]\ndisabled = each.key == \"x\"", command+"after = [app.one]")),
		`10:10 SV0513 app.one["x"] is disabled`)
	task := strings.Replace(two("disabled = true", command+"after = [app.one]"), "app \"two\"", "task \"two\"", 1)
	wantFound(t, found(testOptions, "a.hcl", task), `9:10 SV0513 app.one is disabled`)
	for _, c := range [][2]string{
		{"disabled = true", command},
		{"disabled = true", command + "after = [app.one]\ndisabled = true"},
		{"disabled = false", command + "after = [app.one]"},
		{"disabled = true\noptional = true", command + "after = [app.one]"}, // it is not waited for
		{"for_each = [\"x\", \"y\"]\ndisabled = each.key == \"x\"", command + "after = [app.one[\"y\"]]"},
		{"for_each = [\"x\", \"y\"]\ndisabled = each.key == \"x\"", command + "for_each = [\"x\", \"y\"]\ndisabled = each.key == \"x\"\nafter = [app.one[each.key]]"},
	} {
		wantFound(t, found(testOptions, "a.hcl", two(c[0], c[1])))
	}
	wantFound(t, found(testOptions, "a.hcl", strings.Replace(two("disabled = true", command+"after = [app.one]\ndisabled = true"), "app \"two\"", "task \"two\"", 1)))
	for _, c := range [][2]string{ // what differs from node to node
		{"disabled = node.name == \"n1\"", command + "after = [app.one]"},
		{"disabled = true\noptional = node.name == \"n1\"", command + "after = [app.one]"},
		{"disabled = true", command + "after = [app.one]\ndisabled = node.name == \"n1\""},
	} {
		wantFound(t, found(Options{Kinds: testKinds}, "a.hcl", two(c[0], c[1])))
	}
	chain := two("disabled = true", command+"after = [app.one]")
	chain = strings.TrimSuffix(chain, "}\n") + "  app \"three\" {\n command = [\"/bin/true\"]\n after = [app.two]\n}\n}\n"
	wantFound(t, found(testOptions, "a.hcl", chain), `9:10 SV0513 app.one is disabled`) // app.three waits only because app.two does
}
