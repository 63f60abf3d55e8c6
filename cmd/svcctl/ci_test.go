package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	junit "github.com/joshdk/go-junit"
	"go.yaml.in/yaml/v3"
)

// The recipes of examples/ci are run as they stand, step by step in bash as the runners do,
// in a repository of a test. Nothing is left out: the package that they fetch is one
// with the program of this test in it, on a server of this test.

const ciExamples = "../../examples/ci"

// packaged serves a package, and returns what the recipes' users set.
func packaged(t *testing.T) map[string]string {
	t.Helper()
	for _, tool := range []string{"curl", "dpkg", "dpkg-deb", "git", "sha256sum"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here", tool)
		}
	}
	root, program := t.TempDir(), filepath.Join(programInPath(t), "svcctl")
	bin := filepath.Join(root, "usr", "bin")
	for _, dir := range []string{bin, filepath.Join(root, "DEBIAN")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(root, "DEBIAN", "control"), "Package: svcctl\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: a test\n")
	write(t, filepath.Join(bin, "svcctl"), "#!/bin/sh\nexec '"+program+"' \"$@\"\n")
	if err := os.Chmod(filepath.Join(bin, "svcctl"), 0o755); err != nil {
		t.Fatal(err)
	}
	deb := filepath.Join(t.TempDir(), "svcctl_1_all.deb")
	if out, err := exec.Command("dpkg-deb", "--root-owner-group", "--build", root, deb).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
	content, err := os.ReadFile(deb)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, deb) }))
	t.Cleanup(server.Close)
	return map[string]string{"SVCCTL_DEB_URL": server.URL + "/svcctl.deb", "SVCCTL_DEB_SHA256": fmt.Sprintf("%x", sha256.Sum256(content))}
}

const tidy = "service \"a\" {\n  app \"x\" {\n    command = [\"/bin/true\"]\n  }\n}\n"

// sets are what the recipes meet: whether their layout is right, and the code of what is wrong.
var sets = []struct {
	name, src, code string
	layout          bool
}{
	{name: "good", src: tidy, layout: true},
	{name: "mistaken", src: mistaken, layout: true, code: "SV0205"},
	{name: "warned of", src: strings.Replace(tidy, "{\n", "{\n  count = 2\n\n", 1), layout: true, code: "SV0311"},
	{name: "untidy", src: strings.Replace(tidy, " = ", "=", 1)},
}

// checkout is a repository with one set in it, committed.
func checkout(t *testing.T, src string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "services"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "services", "a b.hcl"), src)
	inRepository(t, dir, nil, "git init -q && git add . && git commit -qm first")
	return dir
}

// inRepository runs a script as a runner does, and says whether it succeeded.
func inRepository(t *testing.T, dir string, env map[string]string, script string) (string, bool) {
	t.Helper()
	c := exec.Command("bash", "--noprofile", "--norc", "-e", "-c", script)
	c.Dir = dir
	for _, name := range []string{"PATH", "TMPDIR"} {
		c.Env = append(c.Env, name+"="+os.Getenv(name))
	}
	c.Env = append(c.Env, "HOME="+dir, "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.org")
	for k, v := range env {
		c.Env = append(c.Env, k+"="+v)
	}
	out, err := c.CombinedOutput()
	return string(out), err == nil
}

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	src, err := os.ReadFile(name)
	if err == nil {
		err = yaml.Unmarshal(src, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

type workflow struct {
	Env  map[string]string
	Jobs map[string]struct {
		Steps []struct {
			Name, Run, Uses, If string
			Env                 map[string]string
			With                map[string]string
		}
	}
}

var expression = regexp.MustCompile(`\$\{\{ *vars\.([A-Z0-9_]+) *\}\}`)

// job runs the steps of a job and says which of them failed, and what they printed. What
// other people's actions do is told to uses.
func (w workflow) job(t *testing.T, name, dir string, vars map[string]string, uses func(action string, with map[string]string)) (failed []string, output string) {
	t.Helper()
	temp := t.TempDir()
	path := filepath.Join(temp, "path")
	write(t, path, "")
	for _, s := range w.Jobs[name].Steps {
		if s.If != "" && s.If != "${{ !cancelled() }}" {
			t.Fatalf("%s: nothing is known of the condition %s", s.Name, s.If)
		}
		if len(failed) > 0 && s.If == "" {
			continue
		}
		if s.Uses != "" {
			uses(s.Uses, s.With)
			continue
		}
		added, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		env := map[string]string{"RUNNER_TEMP": temp, "GITHUB_PATH": path, "PATH": strings.Join(append(strings.Fields(string(added)), os.Getenv("PATH")), ":")}
		for _, more := range []map[string]string{w.Env, s.Env} {
			for k, v := range more {
				env[k] = expression.ReplaceAllStringFunc(v, func(m string) string { return vars[expression.FindStringSubmatch(m)[1]] })
				if strings.Contains(env[k], "${{") {
					t.Fatalf("nothing is known of %s", env[k])
				}
			}
		}
		out, ok := inRepository(t, dir, env, s.Run)
		if output += out; !ok {
			failed = append(failed, s.Name)
		}
	}
	return failed, output
}

func TestTheRecipeForGitHubDoesWhatItSays(t *testing.T) {
	vars := packaged(t)
	var w workflow
	readYAML(t, filepath.Join(ciExamples, "github", "svcctl.yml"), &w)
	for _, set := range sets {
		t.Run(set.name, func(t *testing.T) {
			dir := checkout(t, set.src)
			failed, out := w.job(t, "lines", dir, vars, func(action string, _ map[string]string) {
				if !strings.HasPrefix(action, "actions/checkout@") {
					t.Errorf("uses %s", action)
				}
			})
			var want []string
			if !set.layout {
				want = append(want, "Layout")
			}
			if set.code != "" {
				want = append(want, "Mistakes")
			}
			if fmt.Sprint(failed) != fmt.Sprint(want) || set.code != "" && !strings.Contains(out, " file=services/a b.hcl,") {
				t.Errorf("%v failed, want %v:\n%s", failed, want, out)
			}
			t.Run("code scanning", func(t *testing.T) { codeScanning(t, w, vars, dir, set.code) })
		})
	}
}

// codeScanning runs the job that hands SARIF over, whether or not something is found.
func codeScanning(t *testing.T, w workflow, vars map[string]string, dir, code string) {
	handed := false
	failed, out := w.job(t, "code-scanning", dir, vars, func(action string, with map[string]string) {
		if !strings.HasPrefix(action, "github/codeql-action/upload-sarif@") {
			return
		}
		handed = true
		text, err := os.ReadFile(filepath.Join(dir, with["sarif_file"]))
		var log struct {
			Runs []struct {
				Results []struct{ RuleID, Level string }
			}
		}
		if err == nil {
			err = json.Unmarshal(text, &log)
		}
		if err != nil || len(log.Runs) != 1 {
			t.Fatalf("%v in\n%s", err, text)
		}
		found := ""
		for _, r := range log.Runs[0].Results {
			if r.Level != "note" {
				found += r.RuleID
			}
		}
		if found != code {
			t.Errorf("found %q, want %q", found, code)
		}
	})
	if wantFailed := code == "SV0205"; !handed || len(failed) > 0 != wantFailed {
		t.Errorf("handed over: %v, failed: %v\n%s", handed, failed, out)
	}
}

// actionlint is a tool of packaging/go.mod: what it needs is not what svcctl needs.
func TestTheRecipeForGitHubIsAWorkflow(t *testing.T) {
	lint := filepath.Join(t.TempDir(), "actionlint")
	build := exec.Command("go", "build", "-modfile=packaging/go.mod", "-o", lint, "github.com/rhysd/actionlint/cmd/actionlint")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Skipf("actionlint can't be built here: %v\n%s", err, out)
	}
	if out, err := exec.Command(lint, "-shellcheck=", "-pyflakes=", filepath.Join(ciExamples, "github", "svcctl.yml")).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

type gitlabJob struct {
	Extends   string
	Before    []string `yaml:"before_script"`
	Script    []string
	Variables map[string]string
	Artifacts struct {
		When    string
		Paths   []string
		Reports struct{ Junit string }
	}
}

func TestTheRecipeForGitLabDoesWhatItSays(t *testing.T) {
	vars := packaged(t)
	var jobs map[string]gitlabJob
	readYAML(t, filepath.Join(ciExamples, "gitlab-ci.yml"), &jobs)
	run := func(t *testing.T, name, dir string) (string, bool) {
		base := jobs[jobs[name].Extends]
		env := map[string]string{}
		for _, more := range []map[string]string{vars, base.Variables} {
			for k, v := range more {
				env[k] = v
			}
		}
		script := strings.Join(append(base.Before[:len(base.Before):len(base.Before)], jobs[name].Script...), "\n")
		return inRepository(t, dir, env, strings.ReplaceAll(script, "/tmp/", t.TempDir()+"/"))
	}
	for _, set := range sets {
		t.Run(set.name, func(t *testing.T) {
			dir := checkout(t, set.src)
			if out, ok := run(t, "svcctl-layout", dir); ok != set.layout {
				t.Errorf("layout: %v\n%s", ok, out)
			}
			out, ok := run(t, "svcctl-validate", dir)
			if ok != (set.code == "") || set.code != "" && !strings.Contains(out, "services/a b.hcl:2:3: ") {
				t.Errorf("validate: %v\n%s", ok, out)
			}
			report := jobs["svcctl-validate"].Artifacts
			suites, err := junit.IngestFile(filepath.Join(dir, report.Reports.Junit))
			if err != nil || len(suites) != 1 || report.When != "always" || report.Paths[0] != report.Reports.Junit {
				t.Fatalf("%v, %d suites, %+v", err, len(suites), report)
			}
			told := ""
			for _, test := range suites[0].Tests {
				if test.Status == junit.StatusFailed {
					told += test.Classname
				}
			}
			if told != set.code {
				t.Errorf("failed in the report: %q, want %q", told, set.code)
			}
		})
	}
}
