package spec

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

const spare = "variable \"x\" {\n  default = \"y\"\n}\n"

func TestWhatNothingReadsIsToldOnceAtItsRoot(t *testing.T) {
	wantFound(t, found(testOptions, "a.hcl", spare+appNamed("a", `"/a"`)), `1:10 SV0601 nothing reads var.x`)
	wantFound(t, found(testOptions, "a.hcl", "locals {\n  a = local.b\n  b = local.c + 1\n  c = 2\n}\n"+appNamed("a", `"/a"`)), `2:3 SV0602 nothing reads local.a`)
	wantFound(t, found(testOptions, "a.hcl", spare+appNamed("a", `"/a"`), "below/b.hcl", appNamed("b", `"/b", local.x`)+"locals {\n  x = 1\n}\n"),
		`a.hcl:1:10 SV0601 nothing reads var.x`) // the local is another
	wantFound(t, found(testOptions, "below/x.hcl", spare, "a.hcl", appNamed("a", `"/a"`)), `below/x.hcl:1:10 SV0601 nothing reads var.x`)
	wantFound(t, found(testOptions, "x.hcl", spare, "below/x.hcl", spare, "below/a.hcl", appNamed("a", `"/a", var.x`)), `x.hcl:1:10 SV0601 nothing reads var.x`)
	if text := details("x.hcl", spare, "below/x.hcl", spare, "below/a.hcl", appNamed("a", `"/a", var.x`)); !strings.Contains(text, "below/x.hcl:1") {
		t.Errorf("the definition that is read is not named:\n%s", text)
	}
	wantFound(t, found(testOptions, "below/x.hcl", spare, "a.hcl", appNamed("a", `"/a", join(",", keys(var))`)), `below/x.hcl:1:10 SV0601 nothing reads var.x`)
}

func TestWhatIsReadAnywhereIsUsed(t *testing.T) {
	for name, files := range map[string][]string{
		"in another file":     {"x.hcl", spare, "a.hcl", appNamed("a", `"/a", var.x`)},
		"in a folder below":   {"x.hcl", spare, "b/c/a.hcl", appNamed("a", `"/a", var.x`)},
		"in a text":           {"x.hcl", spare + appNamed("a", `"/${var.x}"`)},
		"as an index":         {"x.hcl", spare + appNamed("a", `var["x"]`)},
		"by an assertion":     {"x.hcl", spare + "assert {\n condition = var.x != \"\"\n message = \"m\"\n}\n" + appNamed("a", `"/a"`)},
		"by a local":          {"x.hcl", spare + "locals {\n a = var.x\n}\n" + appNamed("a", `local.a`)},
		"by for_each":         {"x.hcl", spare + "service \"a\" {\n app \"b\" {\n for_each = [var.x]\n command = [each.key]\n}\n}\n"},
		"in a check":          {"x.hcl", spare + app("check \"tcp\" \"c\" {\n address = var.x\n}")},
		"by a service":        {"x.hcl", spare + svc("a", "description = var.x")},
		"whole":               {"x.hcl", spare + appNamed("a", `join(",", values(var))`)},
		"whole, from below":   {"x.hcl", spare, "b/a.hcl", appNamed("a", `join(",", values(var))`)},
		"in a splat":          {"x.hcl", "locals {\n x = [{ a = 1 }]\n}\n" + appNamed("a", `join(",", local.x[*].a)`)},
		"inside try":          {"x.hcl", spare + appNamed("a", `try(var.x, "y")`)},
		"by a disabled one":   {"x.hcl", spare + app("disabled = true\nuser = var.x")},
		"in a loop of locals": {"x.hcl", "locals {\n a = [\"/a\"]\n b = [for x in local.a : x]\n}\n" + appNamed("a", `local.b[0]`)},
	} {
		if got := found(testOptions, files...); len(got) > 0 {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestNothingIsCalledUnusedWhereAReaderMayBeOutOfSight(t *testing.T) {
	wantFound(t, found(testOptions, "a.hcl", spare+appNamed("a", `"/a"`), "b.hcl", "service \"b\" {"), `b.hcl:1:13 SV0101 a block without its end`)
	wantFound(t, found(testOptions, "a.hcl", spare+appNamed("a", `"/a", var.y`)), `6:22 SV0207 var.y is not defined`) // it may be what was meant
	wantFound(t, found(testOptions, "a.hcl", spare+appNamed("a", `"/a", x`)), `6:22 SV0208 nothing is called "x"`)
	wantFound(t, found(testOptions, "a.hcl", spare+"locals {\n y = var.z\n}\n"+appNamed("a", `local.y`)), `5:6 SV0207 var.z is not defined`)
	wantFound(t, found(testOptions, "a.hcl", spare+svc("a", `nodes = ["n1"]`, `with = ["b"]`)+svc("b", `nodes = ["n2"]`)),
		`1:10 SV0601 nothing reads var.x`, `6:11 SV0511 services "a" and "b" have no node in common`) // that is no mistake in reading
	part := testOptions
	part.Part = true
	wantFound(t, found(part, "a.hcl", spare+appNamed("a", `"/a"`)))
	m := set("a.hcl", spare+appNamed("a", `"/a"`), "b/c.hcl", "# more\n")
	if _, findings := NewLoader(testOptions).Load(unreadable{m, "b"}); len(findings) != 1 || findings[0].Code != codeUnreadable {
		t.Errorf("with a folder that can't be read:\n%s", printed(findings))
	}
	wantFound(t, found(testOptions, "a.hcl", spare+spare+appNamed("a", `"/a", var.x`)), `4:10 SV0204 var.x is defined twice in this folder`)
	wantFound(t, found(testOptions, "a.hcl", "locals {\n a = local.b\n b = local.a\n}\n"+appNamed("a", `"/a"`)), `2:2 SV0215 values are made of each other: local.a → local.b → local.a`)
}

// unreadable is a file system with a folder that can't be listed.
type unreadable struct {
	fstest.MapFS
	folder string
}

func (u unreadable) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == u.folder {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrPermission}
	}
	return u.MapFS.ReadDir(name)
}

func TestAReaderThatComesOrGoesIsSeenByTheNextLoad(t *testing.T) {
	m := set("x.hcl", spare, "a.hcl", appNamed("a", `"/a", var.x`))
	l := NewLoader(testOptions)
	for i, c := range []struct{ command, want string }{
		{`"/a", var.x`, ""}, {`"/a"`, "SV0601"}, {`"/a"`, "SV0601"}, {`"/a", var.x`, ""},
	} {
		write(m, "a.hcl", appNamed("a", c.command))
		_, findings := l.Load(m)
		got := ""
		for _, f := range findings {
			got += f.Code
		}
		if got != c.want {
			t.Errorf("load %d: found %q, want %q", i, got, c.want)
		}
	}
}
