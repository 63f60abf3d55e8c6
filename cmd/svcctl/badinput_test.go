package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"
)

const (
	generous = 768 << 10       // KiB that the process may take at its largest
	hung     = 5 * time.Minute // a bound for what never ends, not for what is slow
)

// validated runs the real command; it must end, without a panic, and within its memory.
func validated(t *testing.T, program string, attr *syscall.SysProcAttr, args ...string) (code int, out string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	defer cancel()
	c := exec.CommandContext(ctx, program, append([]string{"validate"}, args...)...)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr, c.SysProcAttr = &stdout, &stderr, attr
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%v: %v %s", args, err, stderr.String())
	}
	if usage := c.ProcessState.SysUsage().(*syscall.Rusage); usage.Maxrss > generous {
		t.Errorf("%v: it took %d MiB", args, usage.Maxrss>>10)
	}
	if strings.Contains(stderr.String(), "panic") || strings.Contains(stderr.String(), "goroutine ") || strings.Contains(stderr.String(), "fatal error") {
		t.Errorf("%v: %.2000s", args, stderr.String())
	}
	return c.ProcessState.ExitCode(), stdout.String() + stderr.String()
}

func inService(text string) string { return "service \"s\" {\n" + text + "\n}\n" }

func inApp(expr string) string { return inService("  app \"a\" {\n    command = [" + expr + "]\n  }") }

func inLocals(lines ...string) string {
	return "locals {\n  text = \"" + strings.Repeat("x", 900_000) + "\"\n  list = range(1000)\n  " + strings.Join(lines, "\n  ") + "\n}\n" + inApp(`"/x"`)
}

// numbered is a text repeated, each time with another number.
func numbered(n int, text string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(text, "%d", fmt.Sprint(i)))
	}
	return b.String()
}

func TestBadInputIsAFindingInBoundedMemory(t *testing.T) {
	program := filepath.Join(buildPrograms(t), "svcctl")
	for _, c := range []struct{ name, text, code string }{
		{"ten thousand lines", inService(numbered(10_000, "  # line %d\n")), ""},
		{"ten thousand mistakes", inService(numbered(10_000, "  wrong%d = 1\n")), "SV0104"},
		{"ten thousand mistakes in the syntax", numbered(10_000, "service \"s%d\" {\n  a = \n}\n"), "SV0101"},
		{"ten thousand missing resources", inService(numbered(10_000, "  app \"a%d\" {\n    command = [\"/x\"]\n    after = [app.b%d]\n  }\n")), "SV0209"},
		{"ten thousand missing services", numbered(10_000, "service \"s%d\" {\n  requires = [\"t%d\"]\n}\n"), "SV0211"},
		{"ten thousand missing locals", "locals {\n" + numbered(10_000, "  name%d = 1\n") + "}\n" + inApp(numbered(10_000, "local.nam%d, ")), "SV0207"},
		{"more mistakes than anybody reads", numbered(30_000, "x%d\n"), "SV0003"},
		{"50 MB", "# " + strings.Repeat("x", 50<<20), "SV0007"},
		{"brackets", inApp(strings.Repeat("[", 100_000)), "SV0006"},
		{"blocks", strings.Repeat("a {\n", 100_000), "SV0006"},
		{"templates", inApp(strings.Repeat("\"${", 50_000)), "SV0006"},
		{"conditions", inApp(strings.Repeat("true ? 1 : ", 50_000) + "1"), "SV0006"},
		{"loops", inApp(strings.Repeat("[for x in ", 5000)), "SV0006"},
		{"heredocs", inApp(strings.Repeat("<<A\n${<<B\n", 20_000)), "SV0006"},
		{"heredocs without an end", numbered(5000, "x = <<A%d\n"), "SV0101"},
		{"more heredocs without an end", numbered(250_000, "x = <<A%d\n"), "SV0007"},
		{"a heredoc of a million lines", inService("  description = <<A\n" + strings.Repeat("x\n", 1_000_000) + "A\n"), "SV0007"},
		{"many long heredocs", "locals {\n" + numbered(100, "  a%d = <<A\n"+strings.Repeat("\n", 9000)+"A\n") + "}\n", "SV0007"},
		{"a dollar in text, again and again", inService("  description = \"" + strings.Repeat("$a", 1_000_000) + "\""), "SV0007"},
		{"open quotes", numbered(5000, "service \"s%d\" {\n  description = \"x\n}\n"), "SV0101"},
		{"a long chain", "locals {\n" + numbered(20_000, "  a%d = local.a%d0\n") + "  b0 = 1\n" + numbered(20_000, "  c%d = 1\n") + "}\n" + inApp(`"/x"`), "SV0"},
		{"a long line", inService("  description = \"" + strings.Repeat("x", 1<<20) + "\"\n  rto = 1"), "SV0303"},
		{"a long line with many mistakes", inApp(numbered(10_000, "nope.x%d, ")), "SV0208"},
		{"a long label", "service \"" + strings.Repeat("x", 1<<20) + "\" {\n}\n", "SV0109"},
		{"a long number", inLocals("n = " + strings.Repeat("9", 1<<20)), "SV0007"},
		{"a large exponent", inLocals("n = 1e999999999"), "SV0007"},
		{"replace", inLocals(`r = replace(local.text, "x", local.text)`), "SV0007"},
		{"join", inLocals("r = join(local.text, local.list)"), "SV0007"},
		{"format", inLocals("r = format(\"" + strings.Repeat("%[1]s", 1000) + "\", local.text)"), "SV0007"},
		{"formatlist", inLocals(`r = formatlist("%s%s", local.list, local.text)`), "SV0007"},
		{"concat", inLocals("r = concat(" + strings.Repeat("local.list, ", 100_000) + "[])"), "SV0007"},
		{"flatten", inLocals("r = flatten([" + strings.Repeat("local.list, ", 10_000) + "])"), "SV0007"},
		{"setproduct", inLocals("r = setproduct(local.list, local.list)"), "SV0301"},
		{"split", inLocals(`r = split("", local.text)`), "SV0007"},
		{"range", inLocals("r = range(0, 1000000000)"), "SV0301"},
		{"csvdecode", inLocals("r = csvdecode(\"a,b\\n" + strings.Repeat(`1,2\n`, 200_000) + "\")"), "SV0007"},
		{"jsondecode, deep", inLocals("r = jsondecode(\"" + strings.Repeat("[", 10_000) + "\")"), "SV0301"},
		{"jsondecode, wide", inLocals("r = jsondecode(\"[" + strings.Repeat("0,", 100_000) + "0]\")"), "SV0007"},
		{"a pattern", inLocals(`r = regexall("((x{1,100}y?){1,9}z?)*w", local.text)`), "SV0301"},
		{"loops in loops", inLocals(`r = [for x in local.list : [for y in local.list : "${x}-${y}"]]`), "SV0003"},
		{"text in loops", inLocals(`r = [for x in local.list : "${local.text}${x}"]`), "SV0003"},
		{"templates with loops", inLocals(`r = "%{for x in local.list}${local.text}%{endfor}"`), "SV0003"},
		{"text again and again", inLocals("r = \"" + strings.Repeat("${local.text}", 10_000) + "\""), "SV0003"},
		{"text in instances", inLocals() + "service \"t\" {\n  app \"a\" {\n    for_each = formatlist(\"%d\", local.list)\n    command = [\"${local.text}${each.key}\"]\n  }\n}\n", "SV0003"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "a.hcl"), []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			code, out := validated(t, program, nil, dir)
			if c.code == "" && (code != 0 || out != "") || c.code != "" && (code != 1 || !strings.Contains(out, c.code)) {
				t.Errorf("exit %d, want %s; %.600s", code, c.code, out)
			}
			if len(out) > 16<<20 {
				t.Errorf("%d MiB of findings", len(out)>>20)
			}
		})
	}
}

func TestStrangeFilesAreFindingsAndHoldNothingUp(t *testing.T) {
	program, dir := filepath.Join(buildPrograms(t), "svcctl"), t.TempDir()
	write := func(name, text string) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("good.hcl", inApp(`"/x"`))
	write("a/b/self.hcl", "service \"self\" {\n  description = file(\"self.hcl\")\n}\n")
	outside := filepath.Join(t.TempDir(), "outside.hcl")
	for _, err := range []error{
		os.WriteFile(outside, []byte("service \"outside\" {\n}\n"), 0o644),
		os.Symlink("..", filepath.Join(dir, "a", "loop")), os.Symlink("../..", filepath.Join(dir, "a", "b", "loop")),
		os.Symlink(outside, filepath.Join(dir, "outside.hcl")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if code, out := validated(t, program, nil, dir); code != 0 || out != "" {
		t.Errorf("loops of links, and a link to a file elsewhere: exit %d\n%s", code, out)
	}
	for _, err := range []error{
		os.Symlink("nowhere", filepath.Join(dir, "dangling.hcl")), os.Symlink("itself.hcl", filepath.Join(dir, "itself.hcl")),
		os.Symlink("/dev/zero", filepath.Join(dir, "zero.hcl")), os.Symlink("/dev/zero", filepath.Join(dir, "zero")),
		syscall.Mkfifo(filepath.Join(dir, "fifo.hcl"), 0o644), syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	write("evil\x1b[2J\n.hcl", inService("  x = \"\x1b]0;y\a\""))
	write("evil\xff.hcl", "")
	write("reads.hcl", "service \"reads\" {\n  description = file(\"zero\")\n  nodes = [file(\"fifo\")]\n  rto = file(\"../../etc/passwd\")\n}\n")
	for _, format := range formats {
		code, out := validated(t, program, nil, "--format", format, dir)
		if code != 1 || strings.ContainsAny(out, "\x1b\a") || !utf8.ValidString(out) {
			t.Errorf("%s: exit %d, or an escape in\n%q", format, code, out)
		}
		for _, name := range []string{"dangling.hcl", "itself.hcl", "zero.hcl", "fifo.hcl", "reads.hcl", "evil"} {
			if !strings.Contains(out, name) {
				t.Errorf("%s: nothing is said of %s in\n%s", format, name, out)
			}
		}
	}
	for _, name := range []string{"fifo.hcl", "zero.hcl", "dangling.hcl"} {
		if code, out := validated(t, program, nil, filepath.Join(dir, name)); code == 0 || out == "" {
			t.Errorf("%s alone: exit %d, %s", name, code, out)
		}
	}
}

func TestWhatMayNotBeReadIsAFinding(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	program, dir := filepath.Join(buildPrograms(t), "svcctl"), t.TempDir()
	for p := dir; p != os.TempDir() && p != "/"; p = filepath.Dir(p) { // the other user must get that far
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "good.hcl"), []byte(inApp(`"/x"`)), 0o644),
		os.WriteFile(filepath.Join(dir, "secret.hcl"), []byte(inApp(`"/x"`)), 0o600),
		os.Mkdir(filepath.Join(dir, "closed"), 0o700),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	code, out := validated(t, program, nobody, dir)
	for _, want := range []string{"secret.hcl: error SV0004", "closed: error SV0004", "permission denied"} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("exit %d without %q in\n%s", code, want, out)
		}
	}
}

func TestManyFilesAreBounded(t *testing.T) {
	program, dir := filepath.Join(buildPrograms(t), "svcctl"), t.TempDir()
	for i := range 10_000 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%05d.hcl", i)), []byte(inService("  wrong = 1")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("in each format", func(t *testing.T) {
		for _, format := range formats {
			t.Run(format, func(t *testing.T) {
				t.Parallel()
				if code, out := validated(t, program, nil, "--format", format, dir); code != 1 || len(out) > 64<<20 || !strings.Contains(out, "09999.hcl") {
					t.Errorf("exit %d, %d bytes", code, len(out))
				}
			})
		}
	})
	for i := range 10_001 {
		if err := os.Link(filepath.Join(dir, "00000.hcl"), filepath.Join(dir, fmt.Sprintf("more%05d.hcl", i))); err != nil {
			t.Fatal(err)
		}
	}
	if code, out := validated(t, program, nil, dir); code != 1 || !strings.Contains(out, "more than 20000 files") {
		t.Errorf("exit %d: %.300s", code, out)
	}
}

// The pages' and the examples' sets once more, by the command itself.
func TestTheCommandFindsNothingInTheExamplesAndInTheManual(t *testing.T) {
	var paths []string
	examples, err := filepath.Glob("../../examples/*/services")
	if err != nil || len(examples) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	paths = append(paths, examples...)
	for _, page := range handWritten(t) {
		for i, b := range fencedBlocks(readPage(t, page)) {
			if b.words != "hcl" {
				continue
			}
			dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
			if err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "example.hcl"), []byte(b.text), 0o644)); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, dir)
		}
	}
	for _, p := range paths {
		if code, out, stderr := runLine("validate", p); code != 0 || out != "" || stderr != "" {
			t.Errorf("%s: exit %d\n%s%s", p, code, out, stderr)
		}
	}
}
