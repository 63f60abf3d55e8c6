package spec

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func appNamed(name, command string) string {
	return fmt.Sprintf("service %q {\n  app \"main\" {\n    command = [%s]\n  }\n}\n", name, command)
}

func commandOf(t *testing.T, s *Spec, service string) []string {
	t.Helper()
	return resourceAt(t, s, Address(service+"/app.main")).Config.(*appConfig).Command
}

func TestOnlyTheServicesOfAChangedFileAreNew(t *testing.T) {
	m := set("a.hcl", appNamed("a", `"/a"`), "b.hcl", appNamed("b", `"/b"`))
	l := NewLoader(testOptions)
	before := mustLoad(t, l, m)
	same := mustLoad(t, l, m)
	if same.Services["a"] != before.Services["a"] || same.Digest != before.Digest {
		t.Error("nothing changed, and something is new")
	}
	write(m, "b.hcl", appNamed("b", `"/b2"`))
	after := mustLoad(t, l, m)
	if after.Services["a"] != before.Services["a"] {
		t.Error("a did not change, and is new")
	}
	if after.Services["b"] == before.Services["b"] || commandOf(t, after, "b")[0] != "/b2" {
		t.Error("b changed, and is old")
	}
	if after.Digest == before.Digest {
		t.Error("the digest of the set is the same")
	}
	write(m, "b.hcl", "# a comment at the end changes no service\n"[:0]+appNamed("b", `"/b2"`)+"# more\n")
	if again := mustLoad(t, l, m); again.Services["b"] != after.Services["b"] {
		t.Error("a comment made a service new")
	}
}

func TestAServiceOutlivesAMistakeInItsFile(t *testing.T) {
	m := set("a.hcl", appNamed("a", `"/a"`))
	l := NewLoader(testOptions)
	before := mustLoad(t, l, m)
	write(m, "a.hcl", "service \"a\" {")
	if s, findings := l.Load(m); s != nil || len(findings) != 1 || findings[0].Code != codeSyntax {
		t.Fatalf("a half-written file: %v\n%s", s, printed(findings))
	}
	write(m, "a.hcl", appNamed("a", `"/a"`))
	if after := mustLoad(t, l, m); after.Services["a"] != before.Services["a"] {
		t.Error("the mistake is gone, nothing changed, and the service is new")
	}
}

func TestAChangedVariableReachesItsReadersOnly(t *testing.T) {
	m := set(
		"common.hcl", `variable "port" { default = 80 }
locals { user = "nobody" }`,
		"prod/web.hcl", appNamed("web", `"/web", "${var.port}"`),
		"prod/db.hcl", appNamed("db", `local.user`),
		"test/common.hcl", `variable "port" { default = 8080 }`,
		"test/web.hcl", appNamed("web", `"/web", "${var.port}"`),
		"test/deep/er/web.hcl", appNamed("deeper", `"${var.port}"`),
	)
	l := NewLoader(testOptions)
	before := mustLoad(t, l, m)
	if want := []string{"prod/db", "prod/web", "test/deeper", "test/web"}; !slices.Equal(before.Names, want) {
		t.Fatalf("names %v, want %v", before.Names, want)
	}
	if got := commandOf(t, before, "test/web")[1]; got != "8080" {
		t.Errorf("the deeper definition hides the one above: %s", got)
	}
	write(m, "common.hcl", `variable "port" { default = 81 }
locals { user = "nobody" }`)
	after := mustLoad(t, l, m)
	if got := commandOf(t, after, "prod/web")[1]; got != "81" {
		t.Errorf("the reader has %s", got)
	}
	for _, n := range []string{"prod/db", "test/web", "test/deeper"} {
		if after.Services[n] != before.Services[n] {
			t.Errorf("%s does not read the changed value, and is new", n)
		}
	}
	delete(m, "test/common.hcl")
	last := mustLoad(t, l, m)
	if got := commandOf(t, last, "test/web")[1]; got != "81" {
		t.Errorf("what no longer hides the definition above still counts: %s", got)
	}
	if last.Services["prod/web"] != after.Services["prod/web"] {
		t.Error("prod/web is new")
	}
}

func TestLocalsMadeOfLocalsFollowAcrossFiles(t *testing.T) {
	m := set(
		"a.hcl", `locals { base = "/srv" }`,
		"b.hcl", `locals { path = "${local.base}/b" }`,
		"c.hcl", appNamed("c", `local.path`),
	)
	l := NewLoader(testOptions)
	mustLoad(t, l, m)
	write(m, "a.hcl", `locals { base = "/opt" }`)
	if got := commandOf(t, mustLoad(t, l, m), "c")[0]; got != "/opt/b" {
		t.Errorf("c reads %s", got)
	}
	write(m, "a.hcl", `locals { base = local.path }`)
	s, findings := l.Load(m)
	if s != nil || len(findings) != 1 || findings[0].Code != codeLocalCycle || !strings.Contains(findings[0].Detail, "b.hcl:1") {
		t.Fatalf("a loop through two files:\n%s", printed(findings))
	}
	_, fresh := NewLoader(testOptions).Load(m)
	if printed(fresh) != printed(findings) {
		t.Errorf("a loader that knew the set before says\n%sand a new one\n%s", printed(findings), printed(fresh))
	}
	write(m, "a.hcl", `locals { base = "/opt" }`)
	if got := commandOf(t, mustLoad(t, l, m), "c")[0]; got != "/opt/b" {
		t.Errorf("after the loop c reads %s", got)
	}
}

func TestAnIncludedFileIsPartOfTheSet(t *testing.T) {
	m := set("web/web.hcl", appNamed("web", `file("motd.txt"), file("../shared.txt")`), "web/motd.txt", "hello", "shared.txt", "all")
	l := NewLoader(testOptions)
	before := mustLoad(t, l, m)
	if got := commandOf(t, before, "web/web"); !slices.Equal(got, []string{"hello", "all"}) {
		t.Errorf("included %q", got)
	}
	if files := l.Files(); files["web/motd.txt"] == "" || files["shared.txt"] == "" || len(files) != 3 {
		t.Errorf("files %v", files)
	}
	write(m, "web/motd.txt", "good bye")
	after := mustLoad(t, l, m)
	if got := commandOf(t, after, "web/web")[0]; got != "good bye" {
		t.Errorf("still %q", got)
	}
	if after.Digest == before.Digest {
		t.Error("the set's digest does not see the included file")
	}
	write(m, "web/web.hcl", appNamed("web", `file("/etc/passwd"), file("../../x")`))
	if _, findings := l.Load(m); len(findings) != 2 {
		t.Errorf("files outside the set:\n%s", printed(findings))
	}
}

func TestInstancesOfForEach(t *testing.T) {
	src := `service "pool" {
  app "worker" {
    for_each = { b = "2", a = "1" }
    command  = ["/worker", each.key, each.value]
    port     = tonumber(each.value)
  }
  app "proxy" {
    command = ["/proxy", "${app.worker["a"].port}"]
  }
  app "all" {
    for_each = toset(["x"])
    command  = concat(["/all"], [for k, w in app.worker : "${k}=${w.port}"])
  }
  app "pairs" {
    for_each = ["a", "b"]
    command  = ["/pair"]
    after    = [app.worker[each.key], app.proxy]
  }
}`
	s := mustLoad(t, NewLoader(testOptions), set("pool.hcl", src))
	for address, want := range map[Address][]Address{
		`pool/app.proxy`:      {`pool/app.worker["a"]`},
		`pool/app.all["x"]`:   {`pool/app.worker["a"]`, `pool/app.worker["b"]`},
		`pool/app.pairs["b"]`: {`pool/app.proxy`, `pool/app.worker["b"]`},
	} {
		if got := resourceAt(t, s, address).After; !slices.Equal(got, want) {
			t.Errorf("%s is after %v, want %v", address, got, want)
		}
	}
	if got := resourceAt(t, s, `pool/app.all["x"]`).Config.(*appConfig).Command; !slices.Equal(got, []string{"/all", "a=1", "b=2"}) {
		t.Errorf("command %q", got)
	}
}

func TestNamespacesComeFromTheArgumentOrTheFolder(t *testing.T) {
	m := set(
		"a.hcl", appNamed("a", `"/a"`),
		"prod/x/b.hcl", appNamed("b", `"/b"`),
		"prod/c.hcl", `service "c" {
  namespace = "other"
  requires  = ["prod/b", "default/a"]
}`,
		"prod/d.hcl", `service "d" { requires = ["b"] }`,
	)
	s := mustLoad(t, NewLoader(testOptions), m)
	if want := []string{"a", "other/c", "prod/b", "prod/d"}; !slices.Equal(s.Names, want) {
		t.Errorf("names %v, want %v", s.Names, want)
	}
	if got := s.Services["other/c"].Requires; !slices.Equal(got, []string{"a", "prod/b"}) {
		t.Errorf("requires %v", got)
	}
	if got := s.Services["prod/d"].Requires; !slices.Equal(got, []string{"prod/b"}) {
		t.Errorf("a name without namespace means the service's own: %v", got)
	}
	write(m, "prod/d.hcl", `service "d" { requires = ["a"] }`)
	if _, findings := NewLoader(testOptions).Load(m); len(findings) != 1 || !strings.Contains(findings[0].Detail, `"default/a"`) {
		t.Errorf("the right name in the wrong namespace:\n%s", printed(findings))
	}
}

func TestWhatIsNotPartOfASet(t *testing.T) {
	m := set(
		"a.hcl", appNamed("a", `"/a"`),
		".hidden.hcl", "not hcl {",
		".git/x.hcl", "not hcl {",
		"a.svctest.hcl", "not hcl {",
		"README.md", "not hcl {",
		"agent.hcl", "node {\n  name = \"n1\"\n}\nservices {\n  dir = \".\"\n}\n",
	)
	l := NewLoader(testOptions)
	mustLoad(t, l, m)
	if files := l.Files(); len(files) != 1 {
		t.Errorf("files %v", files)
	}
	write(m, "cluster.hcl", "fence \"n1\" {\n  kind = \"ipmi\"\n}\npolicy {\n}\n")
	s, findings := l.Load(m)
	if s == nil || len(findings) != 2 || findings[0].Severity != Warning {
		t.Errorf("cluster.hcl:\n%s", printed(findings))
	}
}

func TestAnEmptySetIsAMistake(t *testing.T) {
	for name, m := range map[string]map[string]string{
		"nothing":    {},
		"other":      {"README.md": "x"},
		"no service": {"a.hcl": "locals { a = 1 }"},
	} {
		files := set()
		for p, c := range m {
			write(files, p, c)
		}
		if s, findings := NewLoader(testOptions).Load(files); s != nil || len(findings) != 1 || findings[0].Code != codeNoService {
			t.Errorf("%s:\n%s", name, printed(findings))
		}
	}
	if s, findings := NewLoader(testOptions).Load(os.DirFS(filepath.Join(t.TempDir(), "gone"))); s != nil || len(findings) != 1 || findings[0].Code != codeNoSet {
		t.Errorf("a missing directory:\n%s", printed(findings))
	}
}

func TestASyntaxErrorHidesNothingInOtherFiles(t *testing.T) {
	m := set(
		"broken.hcl", "locals {\n  a = \n}\nservice \"x\" {}\n",
		"a.hcl", "service \"a\" {\n  requires = [\"x\"]\n  rto = 10\n  description = local.a\n}\n",
		"other/b.hcl", "service \"b\" {\n  nodse = []\n}\n",
	)
	_, findings := NewLoader(testOptions).Load(m)
	var got []string
	for _, f := range findings {
		got = append(got, fmt.Sprintf("%s:%d %s", f.File, f.Range.Start.Line, f.Code))
	}
	want := []string{"a.hcl:3 SV0303", "broken.hcl:2 SV0101", "other/b.hcl:2 SV0104"}
	if !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}

func TestFilesOnDiskAreReadAgainWhenTheyMayHaveChanged(t *testing.T) {
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("a.hcl", appNamed("a", `"/a"`))
	if err := os.Symlink("a.hcl", filepath.Join(dir, ".link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(".", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	l := NewLoader(testOptions)
	for i := range 50 { // same size, same tick of the clock
		put("a.hcl", appNamed("a", fmt.Sprintf("%q", string(rune('A'+i)))))
		s, findings := l.Load(os.DirFS(dir))
		if s == nil {
			t.Fatal(printed(findings))
		}
		if got := commandOf(t, s, "a")[0]; got != string(rune('A'+i)) {
			t.Fatalf("write %d: the loader still has %q", i, got)
		}
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "gone.hcl")); err != nil {
		t.Fatal(err)
	}
	if s, findings := l.Load(os.DirFS(dir)); s != nil || findings[0].Code != codeUnreadable {
		t.Errorf("a link to nowhere:\n%s", printed(findings))
	}
}

func TestAFindingShowsItsLineAndToken(t *testing.T) {
	_, findings := NewLoader(testOptions).Load(set("a.hcl", "service \"a\" {\n  nodse = [\"n1\"]\n}\n"))
	want := `a.hcl:2:3: error SV0104: service has no argument "nodse"
    2 |   nodse = ["n1"]
      |   ^^^^^
      Did you mean "nodes"?
`
	if got := printed(findings); got != want {
		t.Errorf("printed\n%swant\n%s", got, want)
	}
	var b strings.Builder
	findings.WriteJSON(&b)
	if !strings.Contains(b.String(), `"line": 2`) || !strings.Contains(b.String(), `"code": "SV0104"`) {
		t.Errorf("JSON %s", b.String())
	}
}

func TestEveryCodeIsInTheTableOnce(t *testing.T) {
	last := ""
	for _, c := range Codes() {
		if c.Code <= last || len(c.Code) != 6 || c.Why == "" {
			t.Errorf("code %+v behind %s", c, last)
		}
		last = c.Code
	}
}

func TestFilesInOtherEncodings(t *testing.T) {
	src := appNamed("a", `"/a"`)
	mustLoad(t, NewLoader(testOptions), set("a.hcl", "\ufeff"+src))
	mustLoad(t, NewLoader(testOptions), set("a.hcl", strings.ReplaceAll(src, "\n", "\r\n")))
	_, findings := NewLoader(testOptions).Load(set("a.hcl", "# caf\xe9\n"+src))
	if len(findings) != 1 || findings[0].Code != codeEncoding || findings[0].Range.Start.Column != 6 {
		t.Errorf("latin-1:\n%s", printed(findings))
	}
	for _, deep := range []string{
		"locals {\n  a = " + strings.Repeat("[", 2e4) + "\n}\n",
		"locals {\n  a = " + strings.Repeat("-", 5e3) + "1\n}\n",
		"locals {\n  a = 1" + strings.Repeat("+1", 2e4) + "\n}\n",
		"locals {\n  a = " + strings.Repeat("true ? 1 : ", 5e3) + "1\n}\n",
		strings.Repeat("a {\n", 5e3),
		"locals {\n  a = " + strings.Repeat("\"${", 5e3) + "\n}\n",
	} {
		_, findings := NewLoader(testOptions).Load(set("a.hcl", deep))
		if len(findings) != 1 || findings[0].Code != codeTooDeep {
			t.Errorf("%.20q: %d findings", deep, len(findings))
		}
	}
}

func TestWhatDependsOnAnUnknownValueIsNotJudged(t *testing.T) {
	mount := func(path string) string {
		return fmt.Sprintf("service \"x\" {\n  mount \"m\" {\n    device = \"/dev/sdb\"\n    path = %q\n    mkfs = true\n    type = node.name == \"n1\" ? \"xfs\" : \"ext4\"\n  }\n}\n", path)
	}
	l := NewLoader(Options{Kinds: testKinds})
	m := set("a.hcl", mount("/srv"))
	mustLoad(t, l, m)
	write(m, "a.hcl", mount("srv"))
	if _, findings := l.Load(m); len(findings) != 1 || findings[0].Summary != "a mount point is an absolute path" {
		t.Errorf("the path is mistaken whatever the type is:\n%s", printed(findings))
	}
}

func TestAServiceWithAMistakenNameComesBackWithItsName(t *testing.T) {
	m := set("a.hcl", "service \"a b\" {\n}\n", "b.hcl", "service \"b\" {\n  requires = [\"a b\", \"a\"]\n}\n")
	l := NewLoader(testOptions)
	if _, findings := l.Load(m); len(findings) != 2 || findings[0].Code != codeName || findings[1].Code != codeService {
		t.Fatalf("one bad name, one missing service:\n%s", printed(findings))
	}
	write(m, "a.hcl", "service \"a\" {\n}\n")
	if _, findings := l.Load(m); len(findings) != 1 || findings[0].Code != codeService {
		t.Errorf("the bad name is gone, so that who requires it is mistaken:\n%s", printed(findings))
	}
	write(m, "b.hcl", "service \"b\" {\n  requires = [\"a\"]\n}\n")
	if s := mustLoad(t, l, m); len(s.Names) != 2 {
		t.Errorf("services %v", s.Names)
	}
}

func TestAnArgumentThatThereIsNotIsExplainedOnce(t *testing.T) {
	for lines, want := range map[string]string{
		"device = \"/d\"":                     `"device" belongs to another kind: mount.`, // that of the command is the same mistake
		"command = [\"/x\"]\n zzzqq = \"/d\"": "`svcctl explain app` says what it takes.",
	} {
		_, findings := NewLoader(testOptions).Load(set("a.hcl", "service \"a\" {\n app \"x\" {\n "+lines+"\n }\n}\n"))
		if len(findings) != 1 || findings[0].Code != codeArgument || findings[0].Detail != want {
			t.Errorf("%s\n%s", lines, printed(findings))
		}
	}
}
