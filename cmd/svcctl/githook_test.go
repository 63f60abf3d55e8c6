package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// commits is a repository whose hook is that of examples/ci, and how to commit there.
func commits(t *testing.T) (dir string, commit func(script string) (string, bool)) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git here")
	}
	dir = checkout(t, tidy)
	hook, err := os.ReadFile(filepath.Join(ciExamples, "pre-commit"))
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, ".git", "hooks", "pre-commit")
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, at, string(hook))
	if err := os.Chmod(at, 0o755); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"PATH": programInPath(t) + ":" + os.Getenv("PATH")}
	return dir, func(script string) (string, bool) { return inRepository(t, dir, env, script) }
}

func TestTheHookOfGitLooksAtWhatIsStaged(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir()) // where the hook may leave nothing
	dir, commit := commits(t)
	set := filepath.Join(dir, "services")
	for _, step := range []struct {
		what, file, staged, unstaged string
		script                       string
		accepted                     bool
		says                         string
	}{
		{what: "a good file", file: "b.hcl", staged: strings.Replace(tidy, `"a"`, `"b"`, 1), accepted: true},
		{what: "a mistake", file: "c.hcl", staged: mistaken, says: "services/c.hcl:2:3: error SV0205"},
		{what: "a warning", file: "c.hcl", staged: strings.Replace(strings.Replace(tidy, `"a"`, `"c"`, 1), "{\n", "{\n  count = 2\n\n", 1), says: "warning SV0311"},
		{what: "a mistake that is mended, but not staged", file: "c.hcl", staged: mistaken, unstaged: strings.Replace(tidy, `"a"`, `"c"`, 1), says: "services/c.hcl:2:3: error SV0205"},
		{what: "a good file that got a mistake since", file: "c.hcl", staged: strings.Replace(tidy, `"a"`, `"c"`, 1), unstaged: mistaken, accepted: true},
		{what: "another layout", file: "d.hcl", staged: strings.Replace(strings.Replace(tidy, `"a"`, `"d"`, 1), " = ", "=", 1), says: "-    command=[\"/bin/true\"]\n+    command = [\"/bin/true\"]\n"},
		{what: "a service that is there already, in another file", file: "e.hcl", staged: tidy, says: "services/e.hcl:1:9: error SV0201"},
		{what: "a file elsewhere", file: "../notes", staged: "a\n", accepted: true},
		{what: "some files of several", file: "f.hcl", staged: mistaken, script: "echo b >>notes; git commit -qm partly notes", accepted: true},
		{what: "the same mistake without the hook", file: "f.hcl", staged: mistaken, script: "git commit --no-verify -qm x", accepted: true},
		{what: "the whole set gone", script: "git rm -qr --cached services && git commit -qm gone", accepted: true},
	} {
		script := "git commit -qm x"
		if step.script != "" {
			script = step.script
		}
		if step.file != "" {
			write(t, filepath.Join(set, step.file), step.staged)
			if out, ok := commit("git add -- 'services/" + step.file + "'"); !ok {
				t.Fatal(out)
			}
		}
		if step.unstaged != "" {
			write(t, filepath.Join(set, step.file), step.unstaged)
		}
		out, ok := commit(script)
		if ok != step.accepted || !strings.Contains(out, step.says) {
			t.Errorf("%s: accepted %v\n%s", step.what, ok, out)
		}
		if step.unstaged != "" {
			if now, err := os.ReadFile(filepath.Join(set, step.file)); err != nil || string(now) != step.unstaged {
				t.Errorf("%s: the work tree was changed: %v\n%s", step.what, err, now)
			}
		}
		if !ok {
			commit("git rm -qf --cached -- 'services/" + step.file + "'")
			if err := os.Remove(filepath.Join(set, step.file)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if left, err := filepath.Glob(filepath.Join(os.TempDir(), "tmp.*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestTheHookOfGitRefusesWhatItCannotCheck(t *testing.T) {
	dir, _ := commits(t)
	write(t, filepath.Join(dir, "services", "b.hcl"), strings.Replace(tidy, `"a"`, `"b"`, 1))
	bin := t.TempDir() // svcctl may be installed beside what a hook needs
	for _, tool := range []string{"bash", "sh", "git", "mktemp", "rm"} {
		at, err := exec.LookPath(tool)
		if err == nil {
			err = os.Symlink(at, filepath.Join(bin, tool))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	out, ok := inRepository(t, dir, map[string]string{"PATH": bin}, "git add . && git commit -qm x")
	if ok || !strings.Contains(out, "cannot check services: svcctl is not installed") {
		t.Errorf("accepted %v\n%s", ok, out)
	}
}

func TestTheHookOfGitKnowsAnotherDirectory(t *testing.T) {
	dir, commit := commits(t)
	if err := os.MkdirAll(filepath.Join(dir, "deploy", "my set"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "deploy", "my set", "b.hcl"), mistaken)
	if out, ok := commit("git config svcctl.specs 'deploy/my set' && git add . && git commit -qm x"); ok || !strings.Contains(out, "deploy/my set/b.hcl:2:3: error SV0205") {
		t.Errorf("accepted %v\n%s", ok, out)
	}
	if out, ok := commit("git config svcctl.specs . && git commit -qm x"); ok || !strings.Contains(out, "SV0205") {
		t.Errorf("the top of the repository: accepted %v\n%s", ok, out)
	}
}

// The framework builds hooks of language golang from the repository, for which it needs
// the network; their commands are tried here with the program of this test.
func TestTheHooksOfPreCommitAreOnesThatItTakes(t *testing.T) {
	tool, err := exec.LookPath("pre-commit")
	if err != nil {
		t.Skip("no pre-commit here")
	}
	manifest := filepath.Join("..", "..", ".pre-commit-hooks.yaml")
	if out, err := exec.Command(tool, "validate-manifest", manifest).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var hooks []map[string]any
	readYAML(t, manifest, &hooks)
	var config strings.Builder
	config.WriteString("repos:\n  - repo: local\n    hooks:\n")
	for _, h := range hooks {
		args := ""
		if list, is := h["args"].([]any); is {
			for _, a := range list {
				args += "'" + a.(string) + "', "
			}
		}
		pass := h["pass_filenames"] != false
		config.WriteString("      - {id: " + h["id"].(string) + ", name: " + h["name"].(string) + ", entry: " + h["entry"].(string) +
			", language: system, files: '" + h["files"].(string) + "', args: [" + args + "]")
		if !pass {
			config.WriteString(", pass_filenames: false")
		}
		config.WriteString("}\n")
	}
	env := map[string]string{"PATH": programInPath(t) + ":" + os.Getenv("PATH")}
	for _, set := range sets {
		dir := checkout(t, set.src)
		write(t, filepath.Join(dir, ".pre-commit-config.yaml"), config.String())
		out, ok := inRepository(t, dir, env, "git add . && pre-commit run --all-files --verbose")
		if good := set.layout && set.code == ""; ok != good || !strings.Contains(out, set.code) {
			t.Errorf("%s: %v\n%s", set.name, ok, out)
		}
	}
}
