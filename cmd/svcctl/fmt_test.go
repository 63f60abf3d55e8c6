package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/svcctl/svcctl/spec"
)

const untidy = "service \"a\" {\n  app \"x\" {\n    command=[\"/bin/true\"]\n  }\n}\n"

// typed runs one command line with something on standard input.
func typed(in string, args ...string) (int, string, string) {
	var out, err bytes.Buffer
	code := execute(context.Background(), &streams{in: strings.NewReader(in), out: &out, err: &err, width: plainWidth}, args)
	return code, out.String(), err.String()
}

// long is a file with mistakes of layout at its begin, in its middle and at its end.
func long(end string) string {
	var b strings.Builder
	b.WriteString("locals {\n")
	for i := range 40 {
		if i%13 == 0 {
			b.WriteString("      a" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + "=1\n\n")
			continue
		}
		b.WriteString("  a" + string(rune('a'+i%26)) + string(rune('a'+i/26)) + " = \"é\" # a\n\n")
	}
	return b.String() + " }" + end
}

// What --diff writes is what patch and git take, and makes of the file what fmt makes.
func TestTheDiffIsOneThatPatchAndGitApply(t *testing.T) {
	for _, tool := range []string{"patch", "git"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here", tool)
		}
	}
	for name, src := range map[string]string{
		"plain.hcl": untidy, "long.hcl": long("\n"), "no end.hcl": long(""), "crlf.hcl": strings.ReplaceAll(long("\n"), "\n", "\r\n"),
		"mark.hcl": "\uFEFF" + untidy, "one.hcl": "a =1", "first.hcl": "a=1\n" + strings.Repeat("\n", 20),
	} {
		for _, apply := range [][]string{{"patch", "-s", "-p0", "--binary"}, {"git", "apply", "-p0"}} {
			t.Run(name+" by "+apply[0], func(t *testing.T) {
				dir := t.TempDir()
				t.Chdir(dir)
				write(t, name, src)
				code, diff, stderr := runLine("fmt", "--diff", name)
				if code != exitDone || diff == "" {
					t.Fatalf("exit %d: %s%s", code, diff, stderr)
				}
				patch := exec.Command(apply[0], apply[1:]...)
				patch.Stdin = strings.NewReader(diff)
				if out, err := patch.CombinedOutput(); err != nil {
					t.Fatalf("%v: %v\n%s\n%s", apply, err, out, diff)
				}
				want, _ := spec.Format([]byte(src))
				if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%v: got\n%q\nwant\n%q\nby\n%s", err, got, want, diff)
				}
				if code, again, _ := runLine("fmt", "--check", "--diff", name); code != exitDone || again != "" {
					t.Errorf("a second time: exit %d\n%s", code, again)
				}
			})
		}
	}
}

func TestHunksThatAreNearAreOne(t *testing.T) {
	before := strings.Repeat("a\n", 30)
	at := func(lines ...int) string {
		b := []byte(before)
		for _, l := range lines {
			b[2*l] = 'b'
		}
		return unifiedDiff("x", []byte(before), b)
	}
	for _, c := range []struct {
		diff  string
		hunks []string
	}{
		{at(0), []string{"@@ -1,4 +1,4 @@"}},
		{at(29), []string{"@@ -27,4 +27,4 @@"}},
		{at(10, 17), []string{"@@ -8,14 +8,14 @@"}},
		{at(10, 18), []string{"@@ -8,7 +8,7 @@", "@@ -16,7 +16,7 @@"}},
	} {
		var got []string
		for line := range strings.Lines(c.diff) {
			if strings.HasPrefix(line, "@@") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		if strings.Join(got, " ") != strings.Join(c.hunks, " ") {
			t.Errorf("got %q, want %q in\n%s", got, c.hunks, c.diff)
		}
	}
}

func TestFmtChangesTheLayoutAndKeepsTheMode(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "sub", "a.hcl")
	if err := os.Mkdir(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, file, untidy)
	write(t, filepath.Join(dir, ".hidden.hcl"), untidy)
	write(t, filepath.Join(dir, "notes.txt"), untidy)
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	code, out, _ := runLine("fmt", "--check", "--diff", dir)
	if want := "-    command=[\"/bin/true\"]\n+    command = [\"/bin/true\"]\n"; code != exitFailed || !strings.Contains(out, want) {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, out, _ = runLine("fmt", "--check", dir); code != exitFailed || out != file+"\n" {
		t.Errorf("exit %d: %s", code, out)
	}
	if code, out, _ = runLine("fmt", dir); code != exitDone || out != file+"\n" {
		t.Errorf("exit %d: %s", code, out)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if code, out, _ = runLine("fmt", "--check", dir); code != exitDone || out != "" {
		t.Errorf("a second time: exit %d: %s", code, out)
	}
	left, err := os.ReadDir(filepath.Dir(file))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestFmtRefusesWhatIsNoHCLAndFormatsTheRest(t *testing.T) {
	dir := t.TempDir()
	broken, good := filepath.Join(dir, "a.hcl"), filepath.Join(dir, "b.hcl")
	write(t, broken, "service \"a\" {\n")
	write(t, good, untidy)
	for _, args := range [][]string{{"fmt", "--check", broken}, {"fmt", broken}, {"fmt", dir}} {
		code, _, stderr := runLine(args...)
		if code != exitFailed || !strings.Contains(stderr, "cannot format "+broken+": its syntax is broken") {
			t.Errorf("%v: exit %d: %s", args, code, stderr)
		}
	}
	if code, out, _ := runLine("fmt", "--check", good); code != exitDone {
		t.Errorf("the file beside the broken one was not formatted: exit %d: %s", code, out)
	}
}

func TestFmtReadsStandardInputAsADash(t *testing.T) {
	want, _ := spec.Format([]byte(untidy))
	for _, c := range []struct {
		in   string
		args []string
		code int
		out  string
	}{
		{untidy, []string{"-"}, exitDone, string(want)},
		{string(want), []string{"-"}, exitDone, string(want)},
		{untidy, []string{"--check", "-"}, exitFailed, "standard input\n"},
		{string(want), []string{"--check", "-"}, exitDone, ""},
		{string(want), []string{"--diff", "-"}, exitDone, ""},
		{"service {", []string{"-"}, exitFailed, ""},
		{strings.Repeat("# a\n", spec.MaxFormat/4+1), []string{"-"}, exitFailed, ""},
	} {
		if code, out, stderr := typed(c.in, append([]string{"fmt"}, c.args...)...); code != c.code || out != c.out {
			t.Errorf("%v: exit %d: %s%s", c.args, code, out[:min(len(out), 500)], stderr)
		}
	}
}

func TestFmtKeepsTheEndsOfLinesAndLeavesAByteOrderMarkOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.hcl")
	text := strings.ReplaceAll(untidy, "\n", "\r\n")
	heredoc := "locals {\r\n  a   = <<EOT\r\n  x  \r\nEOT\r\n}\r\n"
	write(t, file, "\uFEFF"+text+heredoc)
	if code, _, stderr := runLine("fmt", file); code != exitDone {
		t.Fatal(stderr)
	}
	got, err := os.ReadFile(file)
	want := strings.Replace(text, "command=", "command = ", 1) + strings.Replace(heredoc, "a   =", "a =", 1)
	if err != nil || string(got) != want {
		t.Errorf("%v: got\n%q\nwant\n%q", err, got, want)
	}
}

func TestFmtFollowsLinksToFilesAndNotToFolders(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"set", "elsewhere", "set/odd.hcl"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "elsewhere", "far.hcl"), untidy)
	write(t, filepath.Join(dir, "linked.hcl"), untidy)
	write(t, filepath.Join(dir, "set", "agent.hcl"), "node {\n  name=\"n1\"\n}\n")
	write(t, filepath.Join(dir, "set", "a.svctest.hcl"), "test \"a\" {\n  x=1\n}\n")
	for link, to := range map[string]string{
		"set/file.hcl": "../linked.hcl", "set/folder": "../elsewhere", "set/loop": ".", "set/folder.hcl": "../elsewhere", "set/odd.hcl/up": "..", "entry": "set",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	code, out, stderr := runLine("fmt", filepath.Join(dir, "entry"))
	want := ""
	for _, name := range []string{"a.svctest.hcl", "agent.hcl", "file.hcl"} {
		want += filepath.Join(dir, "entry", name) + "\n"
	}
	if code != exitDone || out != want {
		t.Errorf("exit %d:\n%s%s\nwant\n%s", code, out, stderr, want)
	}
	if info, err := os.Lstat(filepath.Join(dir, "set", "file.hcl")); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is %v, %v", info.Mode(), err)
	}
	if code, out, _ := runLine("fmt", "--check", filepath.Join(dir, "linked.hcl")); code != exitDone {
		t.Errorf("what the link leads to is not formatted: exit %d: %s", code, out)
	}
	if code, _, _ := runLine("fmt", "--check", filepath.Join(dir, "elsewhere")); code != exitFailed {
		t.Errorf("a folder outside was formatted: exit %d", code)
	}
}

func TestFmtSaysWhatItCannotReadAndFormatsTheRest(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.hcl"), untidy)
	write(t, filepath.Join(dir, "big.hcl"), strings.Repeat("# a\n", spec.MaxFormat/4+1))
	if err := os.Symlink("nowhere", filepath.Join(dir, "gone.hcl")); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("mkfifo", filepath.Join(dir, "pipe.hcl")).Run(); err != nil {
		t.Fatal(err)
	}
	code, out, stderr := runLine("fmt", dir)
	if code != exitFailed || out != filepath.Join(dir, "a.hcl")+"\n" {
		t.Errorf("exit %d: %s", code, out)
	}
	for _, part := range []string{"big.hcl: it is larger than 1 MiB", "gone.hcl: ", "pipe.hcl: it is no regular file"} {
		if !strings.Contains(stderr, "cannot format "+dir+"/"+part) {
			t.Errorf("no %q in\n%s", part, stderr)
		}
	}
	if code, _, stderr := runLine("fmt", filepath.Join(dir, "no.hcl")); code != exitUsage || !strings.Contains(stderr, "is the path right?") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if os.Geteuid() == 0 {
		return // root reads everything
	}
	if err := os.Chmod(filepath.Join(dir, "a.hcl"), 0); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := runLine("fmt", dir); code != exitFailed || !strings.Contains(stderr, "a.hcl: ") {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
