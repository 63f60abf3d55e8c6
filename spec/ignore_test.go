package spec

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
)

const quiet = "    env = { TOKEN = \"hunter2\" }"

func TestACommentSilencesFindingsOfItsLine(t *testing.T) {
	for name, lines := range map[string]string{
		"behind the line":      quiet + " # svcctl:ignore SV0402 an example",
		"above it":             "# svcctl:ignore SV0402 an example\n" + quiet,
		"with two strokes":     "  // svcctl:ignore SV0402 an example\n" + quiet,
		"above other comments": "# svcctl:ignore SV0402 an example\n# more of it\n\n" + quiet,
		"without a blank":      "#svcctl:ignore SV0402: an example\r\n" + quiet,
		"two comments":         "# svcctl:ignore SV0402 an example\n# svcctl:ignore SV0514 asked slowly\ncheck \"tcp\" \"c\" {\naddress = \"a:1\"\n}\n" + quiet,
		"inside a map":         "    env = {\n # svcctl:ignore SV0402 an example\n TOKEN = \"hunter2\"\n}",
		"behind a multi-line":  "    env = merge({\n A = \"b\"\n}, { TOKEN = \"hunter2\" }) # svcctl:ignore SV0402 too late",
	} {
		got := found(testOptions, "a.hcl", app(lines))
		switch name {
		case "two comments": // they stand above the check, not above the variable
			wantFound(t, got, `4:1 SV0606 svcctl:ignore silences no SV0402`, `5:1 SV0606 svcctl:ignore silences no SV0514`, `9:21 SV0402 "TOKEN" stands in the file`)
		case "behind a multi-line":
			wantFound(t, got, `4:11 SV0402 "TOKEN" stands in the file`, `6:27 SV0606 svcctl:ignore silences no SV0402`)
		default:
			wantFound(t, got)
		}
	}
	several := "check \"tcp\" \"c\" {\naddress = \"tcp://a:b@c\" # svcctl:ignore SV0402 no password\nevery = \"1s\"\n# svcctl:ignore SV0514, SV0402 as slow as that\ntimeout = \"1s\"\n}"
	wantFound(t, found(testOptions, "a.hcl", app(several)), `7:1 SV0606 svcctl:ignore silences no SV0402`)
	wantFound(t, found(testOptions, "a.hcl", "# svcctl:ignore SV0601,SV0402 both\nlocals {\n}\n// svcctl:ignore SV0402,SV0601 read by nobody, and public\nvariable \"x\" {\n  default = \"hunter2\"\n}\n"+app("env = { TOKEN = var.x }")),
		`1:1 SV0606 svcctl:ignore silences no SV0601 or SV0402`, `4:1 SV0606 svcctl:ignore silences no SV0601`)
}

func TestWhatLooksLikeACommentSilencesNothing(t *testing.T) {
	const told = `SV0402 "TOKEN" stands in the file`
	for lines, want := range map[string]string{
		"user = \"# svcctl:ignore SV0402 no\"\n" + quiet:                                    "5:21 " + told,
		"user = <<-EOT\n  # svcctl:ignore SV0402 no\nEOT\n" + quiet:                         "7:21 " + told,
		"/* svcctl:ignore SV0402 no */\n" + quiet:                                           "5:21 " + told,
		"# see svcctl:ignore SV0402 no\n" + quiet:                                           "5:21 " + told,
		"# svcctl:ignored SV0402 no\n" + quiet:                                              "5:21 " + told,
		quiet + "\n# nothing below, and svcctl:ignore is only spoken of":                    "4:21 " + told,
		"# svcctl:ignore SV0402 above another line\nuser = \"x\"\n" + quiet + " # and more": "4:1 SV0606 svcctl:ignore silences no SV0402|6:21 " + told,
	} {
		wantFound(t, found(testOptions, "a.hcl", app(lines)), strings.Split(want, "|")...)
	}
}

func TestWhatIsWrongWithACommentIsTold(t *testing.T) {
	for comment, want := range map[string]string{
		"SV0402":                 `4:1 SV0604 svcctl:ignore gives no reason`,
		"SV0402 ":                `4:1 SV0604 svcctl:ignore gives no reason`,
		"SV0402, sv0514 because": `4:25 SV0605 svcctl:ignore can't silence "sv0514"|Did you mean "SV0514"?`,
		"SV0402,SV0104 because":  `4:24 SV0605 svcctl:ignore can't silence "SV0104"|keeps the set from being read`,
		"SV0402,SV9999 because":  `4:24 SV0605 svcctl:ignore can't silence "SV9999"|such as SV0402`,
		"SV0402,é,SV0491 x":      `4:24 SV0605 svcctl:ignore can't silence "é"|`,
	} {
		src := app("# svcctl:ignore " + comment + "\n" + quiet)
		got := found(testOptions, "a.hcl", src)
		summary, detail, _ := strings.Cut(want, "|")
		if strings.Contains(comment, "0491") {
			wantFound(t, got, summary, `4:26 SV0605 svcctl:ignore can't silence "SV0491"`)
		} else {
			wantFound(t, got, summary)
		}
		if !strings.Contains(details("a.hcl", src), detail) {
			t.Errorf("%s: %q is not in\n%s", comment, detail, details("a.hcl", src))
		}
	}
	wantFound(t, found(testOptions, "a.hcl", app("# svcctl:ignore\n"+quiet)),
		`4:1 SV0605 svcctl:ignore can't silence findings without their code`, `5:21 SV0402 "TOKEN" stands in the file`)
	wantFound(t, found(testOptions, "a.hcl", app("# svcctl:ignore it is meant\n"+quiet)),
		`4:17 SV0605 svcctl:ignore can't silence "it"`, `5:21 SV0402 "TOKEN" stands in the file`)
	// The comment about a comment is one like any other.
	wantFound(t, found(testOptions, "a.hcl", app("user = \"x\" # svcctl:ignore SV0606,SV0402 generated")))
}

func TestErrorsOfTheWholeSetAreSilencedAtTheirPlaces(t *testing.T) {
	files := func(comment string) fstest.MapFS {
		return set("a.hcl", svc("a", `nodes = ["n1"]`, `with = ["b"]`+comment), "b.hcl", svc("b", `nodes = ["n2"]`))
	}
	l := NewLoader(testOptions)
	if s, findings := l.Load(files("")); s != nil || len(findings) != 1 {
		t.Fatalf("no error:\n%s", printed(findings))
	}
	m := files(" # svcctl:ignore SV0511 b moves next week")
	first, findings := l.Load(m)
	if first == nil || len(findings) != 0 {
		t.Fatalf("it is refused:\n%s", printed(findings))
	}
	if again, _ := l.Load(m); again.Services["a"] != first.Services["a"] {
		t.Error("nothing changed, and the service is new")
	}
	write(m, "b.hcl", svc("b", `nodes = ["n1"]`))
	if _, findings := l.Load(m); len(findings) != 1 || findings[0].Code != codeIgnoreUnused {
		t.Errorf("the comment is kept between loads, and silences nothing:\n%s", printed(findings))
	}
	write(m, "b.hcl", svc("b", `nodes = ["n1"]`, `topolgy = "everywhere"`))
	if _, findings := l.Load(m); len(findings) != 1 || findings[0].Code != codeArgument {
		t.Errorf("beside a mistake it may be needed:\n%s", printed(findings))
	}
}

func TestACommentIsNotCalledUselessWhereARuleDidNotLook(t *testing.T) {
	nodes := Options{Kinds: testKinds, Nodes: []Node{{Name: "n1"}, {Name: "n2"}}}
	part := testOptions
	part.Part = true
	notes := testOptions
	notes.Notes = true
	fits := func(code, line string) string { return fmt.Sprintf("# svcctl:ignore %s it is meant\n%s", code, line) }
	varying := app("user = node.name\n" + fits("SV0402", `env = { TOKEN = "$T" }`))
	elsewhere := "locals {\n a = 1\n}\n" + app(fits("SV0402", "nice = local.a"))
	for i, c := range []struct {
		o      Options
		files  []string
		silent bool
	}{
		{testOptions, []string{"a.hcl", app(fits("SV0401", "nice = 1"))}, true}, // nobody asked for notes
		{notes, []string{"a.hcl", app(fits("SV0401", "nice = 1"))}, false},
		{testOptions, []string{"a.hcl", app(fits("SV0510", "nice = 1"))}, true},
		{nodes, []string{"a.hcl", app(fits("SV0510", "nice = 1"))}, false},
		{testOptions, []string{"a.hcl", varying}, true},
		{Options{Kinds: testKinds}, []string{"a.hcl", varying}, true},
		{nodes, []string{"a.hcl", varying}, false},
		{testOptions, []string{"a.hcl", elsewhere, "b.hcl", svc("b", "description = cluster.name")}, false},
		{testOptions, []string{"a.hcl", app(fits("SV0502", "nice = 1")), "b.hcl", svc("b", "description = cluster.name")}, true},
		{nodes, []string{"a.hcl", app(fits("SV0502", "nice = 1")), "b.hcl", svc("b", "description = cluster.name")}, false},
		{testOptions, []string{"a.hcl", app(fits("SV0502", "nice = 1"))}, false},
		{part, []string{"a.hcl", app(fits("SV0502", "nice = 1"))}, true},
		{part, []string{"a.hcl", app(fits("SV0601", "nice = 1"))}, true},
		{part, []string{"a.hcl", app(fits("SV0514", "nice = 1"))}, false},
	} {
		got := found(c.o, c.files...)
		if c.silent && len(got) > 0 || !c.silent && (len(got) != 1 || !strings.Contains(got[0], codeIgnoreUnused)) {
			t.Errorf("%d: silent %v, found %v", i, c.silent, got)
		}
	}
	wantFound(t, found(testOptions, "a.hcl", app(fits("SV0402", "nice = 1")), "b.hcl", "service \"b\" {"), `b.hcl:1:13 SV0101 a block without its end`)
	wantFound(t, found(testOptions, "a.hcl", "service \"a\" {\n # svcctl:ignore SV0402 x\n"), `1:13 SV0101 a block without its end`)
}

func TestASetWithoutCommentsOfItsOwnIsNotCopied(t *testing.T) {
	r := &run{Loader: NewLoader(testOptions), paths: []string{"a.hcl"}}
	r.files = map[string]*file{"a.hcl": {path: "a.hcl"}}
	all := make([]Finding, 1000)
	if n := testing.AllocsPerRun(10, func() { r.silence(all) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Each of many findings is compared with the comments of its line, not with all of them:
// with all, this is minutes.
func TestManyCommentsSilenceInLinearTime(t *testing.T) {
	var b strings.Builder
	for s := range 2 {
		for k := range 3 {
			fmt.Fprintf(&b, "service \"s%d-%d\" {\n  app \"m\" {\n    command = [\"x\"]\n    env = {\n", s, k)
			for i := range 1000 {
				fmt.Fprintf(&b, "      A%d_PASSWORD = \"x\" # svcctl:ignore SV0402 a test\n", i)
			}
			b.WriteString("    }\n  }\n}\n")
		}
	}
	b.WriteString(strings.Repeat("# svcctl:ignore SV0402 nothing follows\n", 2_000))
	l := NewLoader(testOptions)
	l.Load(set("a.hcl", b.String()))
	near := 0
	for line := range strings.Count(b.String(), "\n") {
		near += len(l.files["a.hcl"].near(line + 1))
	}
	if near != 6_000 {
		t.Errorf("%d comments are compared with a finding on each line", near)
	}
}
