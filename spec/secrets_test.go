package spec

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
)

// prints are the fingerprints of secrets that a test knows.
type prints map[string]string

func (p prints) Fingerprint(name string) string { return p[name] }

func withSecrets(p prints) Options {
	o := testOptions
	o.Secrets = p
	return o
}

// revealed puts VALUE(name) where a secret stands.
func revealed(t *testing.T, text string) string {
	t.Helper()
	out, err := Reveal(text, func(name string) (string, error) { return "VALUE(" + name + ")", nil })
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestASecretPassesWholeThroughExpressions(t *testing.T) {
	s := mustLoad(t, NewLoader(withSecrets(prints{"db": "ab12"})), set("a.hcl", `
variable "pw" {
  default = secret("db")
}
locals {
  url  = "pg://u:${var.pw}@h"
  list = concat([var.pw], ["b"])
  map  = merge({ A = var.pw }, { for k, v in { X = local.list } : k => v[0] })
}
service "a" {
  app "main" {
    command = ["/bin/true", tostring(length(local.list))]
    env = merge(local.map, {
      URL    = local.url
      JOINED = join("-", local.list)
      FORMAT = format("%s=%[1]s %05d %%", var.pw, 7)
      TRY    = try({}.a, element(values({ a = var.pw }), 0))
      TRUE   = true ? "${secret("db")}${secret("other.x")}" : ""
      LOOKUP = lookup({ a = var.pw }, "a", "")
      DOC    = <<-EOT
        password = ${var.pw}
      EOT
    })
  }
  app "each" {
    for_each = { one = var.pw }
    command  = ["/bin/true", each.key]
    env      = { PW = each.value }
    check "http" "up" {
      url      = "http://localhost"
      password = var.pw
      tokens   = [var.pw, "x"]
    }
  }
  task "t" {
    command = ["/bin/true"]
    env     = { PW = var.pw }
  }
}`))
	env := resourceAt(t, s, "a/app.main").Config.(*appConfig).Env
	db := "VALUE(db)"
	for name, want := range map[string]string{
		"A": db, "X": db, "URL": "pg://u:" + db + "@h", "JOINED": db + "-b", "FORMAT": db + "=" + db + " 00007 %", "TRY": db,
		"TRUE": db + "VALUE(other.x)", "LOOKUP": db, "DOC": "password = " + db + "\n",
	} {
		if got := revealed(t, env[name]); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got, want := Redact(env["URL"]), `pg://u:${secret("db")}@h`; got != want {
		t.Errorf("shown as %s, want %s", got, want)
	}
	if got := SecretsIn(env["TRUE"] + env["A"]); !slices.Equal(got, []string{"db", "other.x"}) {
		t.Errorf("holds %v", got)
	}
	each := resourceAt(t, s, `a/app.each["one"]`)
	check := each.Checks[0].Config.(*httpConfig)
	if revealed(t, each.Config.(*appConfig).Env["PW"]) != db || revealed(t, check.Password) != db || revealed(t, check.Tokens[0]) != db {
		t.Errorf("for_each %+v, check %+v", each.Config, check)
	}
}

// countingFS counts how often each file is read.
type countingFS struct {
	fstest.MapFS
	reads map[string]int
	lock  *sync.Mutex // files are read on all processors
}

// Open implements fs.FS.
func (c countingFS) Open(name string) (fs.File, error) {
	c.lock.Lock()
	c.reads[name]++
	c.lock.Unlock()
	return c.MapFS.Open(name)
}

func TestAChangedSecretMakesAnotherDigestAndReadsOnlyWhatMentionsIt(t *testing.T) {
	env := func(name, value string) string {
		return fmt.Sprintf("service %q {\n  app \"main\" {\n    command = [\"/bin/true\"]\n    env = { A = %s }\n  }\n}\n", name, value)
	}
	files := countingFS{set("common.hcl", "locals {\n  far = secret(\"far\")\n}\n", "direct.hcl", env("direct", `secret("near")`),
		"indirect.hcl", env("indirect", "local.far"), "plain.hcl", env("plain", `"x"`)), map[string]int{}, &sync.Mutex{}}
	known := prints{"near": "01", "far": "02"}
	l := NewLoader(withSecrets(known))
	load := func() *Spec {
		s, findings := l.Load(files)
		if s == nil {
			t.Fatalf("refused:\n%s", printed(findings))
		}
		return s
	}
	before := load()
	for _, step := range []struct {
		secret  string
		changed []string
		read    []string
	}{
		{"", nil, nil},
		{"near", []string{"direct"}, []string{"direct.hcl"}},
		{"far", []string{"indirect"}, []string{"common.hcl", "indirect.hcl"}},
		{"", nil, nil},
	} {
		if step.secret != "" {
			known[step.secret] += "f"
		}
		clear(files.reads)
		after := load()
		if read := slices.Sorted(maps.Keys(files.reads)); !slices.Equal(read, step.read) {
			t.Errorf("%q changed: %v were read, want %v", step.secret, read, step.read)
		}
		for _, name := range after.Names {
			was, now := before.Services[name], after.Services[name]
			if changed := slices.Contains(step.changed, name); changed == (was == now) || changed == (was.Resources[0].Digest == now.Resources[0].Digest) ||
				changed == (was.Resources[0].Fixed == now.Resources[0].Fixed) {
				t.Errorf("%q changed: %s is new %v", step.secret, name, was != now)
			}
		}
		before = after
	}
}

func TestNoFindingShowsAMark(t *testing.T) {
	for _, text := range []string{
		`ready = secret("db")`, `command = secret("db")`, `nice = secret("db")`, `user = [secret("db")]`, `env = { A = [secret("db")] }`,
		`env = secret("db")`, `linger = secret("db")`, `env = { A = { a = secret("db") }["b"] }`, `env = { A = secret("db").b }`,
		`env = { A = file("${secret("db")}") }`, `env = { A = jsondecode(secret("db")) }`, `env = { A = secret("${secret("db")}") }`,
		"command = [\"a\"]\n check \"http\" \"c\" {\n url = \"u\"\n tokens = [\"${secret(\"db\")},\"]\n }", `for_each = { "${secret("db")}" = 1 }`, `for_each = secret("db")`, `env = { A = cidrhost("${secret("db")}/8", 1) }`,
	} {
		_, findings := NewLoader(withSecrets(prints{"db": "abcdef"})).Load(set("a.hcl", "service \"a\" {\n  app \"b\" {\n    "+text+"\n  }\n}\n"))
		if out := printed(findings); !findings.HasErrors() || holdsMark(out) || strings.Contains(out, "ue0c") || strings.Contains(out, "abcdef") {
			t.Errorf("%s: %q", text, out)
		}
	}
}

func TestWhatTakesSecretsIsNamed(t *testing.T) {
	_, findings := NewLoader(testOptions).Load(set("a.hcl", `service "a" {
  app "b" {
    command = ["/bin/true", "x", secret("db")]
    check "http" "c" {
      url = "http://${secret("db")}"
    }
  }
}`))
	var got []string
	for _, f := range findings {
		got = append(got, fmt.Sprintf("%d:%d %s %s", f.Range.Start.Line, f.Range.Start.Column, f.Code, f.Detail))
	}
	want := []string{
		"3:34 SV0316 Its value would be shown to all, as in the list of processes. What takes secrets here: env.",
		"5:13 SV0316 Its value would be shown to all, as in the list of processes. What takes secrets here: password, tokens.",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestMarksAreMadeBySecretAlone(t *testing.T) {
	for name, files := range map[string][]string{
		"in the source": {"a.hcl", "# " + markBegin + "\n" + appNamed("a", `"/a"`)},
		"by a file":     {"a.hcl", appNamed("a", `file("b.txt")`), "b.txt", secretMark("db", "")},
		"by JSON":       {"a.hcl", appNamed("a", `jsondecode("\"\\ue0c0db:\\ue0c1\"")`)},
	} {
		s, findings := NewLoader(testOptions).Load(set(files...))
		if s != nil || !strings.Contains(printed(findings), "svcctl keeps for itself") {
			t.Errorf("%s: %v\n%s", name, s, printed(findings))
		}
	}
}

func TestRevealSaysWhichSecretIsMissing(t *testing.T) {
	missing := errors.New("no secret db")
	if out, err := Reveal("a"+secretMark("db", "")+"b", func(string) (string, error) { return "half", missing }); out != "" || !errors.Is(err, missing) {
		t.Errorf("%q, %v", out, err)
	}
	for in, want := range map[string]string{
		secretMark("db", "ab") + "x": `${secret("db")}x`, markBegin + "db:a": `${secret("db")}`, fmt.Sprintf("%q", secretMark("db", "ab")): `"${secret("db")}"`, "plain": "plain",
	} {
		if got := Redact(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
}
