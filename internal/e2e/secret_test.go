package e2e

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// vault is the folder of a node's secrets. The core of each value is text that no
// spelling of it changes, and that nothing else holds.
type vault struct {
	n     *node
	cores map[string]string // core → the secret's name
}

func newVault(n *node) *vault {
	n.t.Helper()
	n.extra += "secrets {\n dir = \"secrets\"\n}\n"
	must(n.t, os.Mkdir(n.path("secrets"), 0o700))
	return &vault{n: n, cores: map[string]string{}}
}

// put gives a secret a new value and returns its core.
func (v *vault) put(name string) string {
	v.n.t.Helper()
	core := "Core" + rand.Text()
	v.cores[core] = name
	path := v.n.path("secrets", name)
	must(v.n.t, os.WriteFile(path+"~", []byte(`p"<w>/+ `+core+"\n"), 0o600))
	must(v.n.t, os.Rename(path+"~", path))
	return core
}

// clean looks for every value in some text.
func (v *vault) clean(where, text string) {
	v.n.t.Helper()
	for core, name := range v.cores {
		if i := strings.Index(text, core); i >= 0 {
			v.n.t.Errorf("%s holds the secret %s: %s", where, name, text[max(0, i-200):min(len(text), i+200)])
		}
	}
	for _, mark := range []string{"\uE0C0", "\uE0C1", `\ue0c0`} {
		if strings.Contains(text, mark) {
			v.n.t.Errorf("%s shows the mark of a secret", where)
		}
	}
}

// cleanFiles looks at every file of the node, but for the secrets and what programs
// themselves have written.
func (v *vault) cleanFiles() {
	v.n.t.Helper()
	must(v.n.t, filepath.WalkDir(v.n.dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(v.n.dir, path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // a draft of the keeper's
			return nil
		case err != nil:
			return err
		case rel == "secrets", strings.HasPrefix(rel, "state/log/"):
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(path)
		v.clean(rel, string(b))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}))
}

// cleanProcesses looks at the command lines of all processes.
func (v *vault) cleanProcesses() {
	v.n.t.Helper()
	for _, pid := range processes() {
		words, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // it may be gone
		v.clean(fmt.Sprintf("the command line of %d", pid), string(bytes.ReplaceAll(words, []byte{0}, []byte{' '})))
	}
}

// cleanAnswers asks everything that an operator may ask.
func (v *vault) cleanAnswers() {
	v.n.t.Helper()
	for _, line := range []string{
		"status", "status --json", "status -v", "why a", "why missing", "events", "events --json", "plan", "plan --json", "graph a",
		"plan " + v.n.services, "graph " + v.n.services, "validate " + v.n.services, "validate --format json " + v.n.services,
		"task list", "task history a/task.told", "logs a", "logs a/task.told", "logs a/app.chatty",
	} {
		out, _ := v.n.run(strings.Fields(line)...)
		v.clean("svcctl "+line, out)
	}
	for _, path := range []string{"/v1/status", "/v1/spec", "/v1/plan", "/v1/tasks", "/v1/events?follow=false", "/metrics"} {
		out, err := v.n.fetch(path)
		must(v.n.t, err)
		v.clean(path, string(out))
	}
}

const secretSet = `
service "a" {
  app "main" {
    command = ["/bin/sh", "-c", "printf %s \"$PASSWORD\" > main.$$; exec sleep 1000000"]
    env     = { PASSWORD = secret("env"), URL = "postgres://u:${secret("env")}@localhost/db" }
    cwd     = "CWD"

    check "exec" "in" {
      command = ["/bin/sh", "-c", "test -n \"$PASSWORD\" || { echo no password; exit 1; }"]
      env     = { PASSWORD = secret("check") }
      every   = "200ms"
      fall    = 100 # a slow machine is no failure
    }
  }
  app "chatty" {
    optional = true
    command  = ["/bin/sh", "-c", "echo \"my password is $PASSWORD\"; exit 3"]
    env      = { PASSWORD = secret("chatty") }
  }
  app "beside" {
    command = ["/bin/sleep", "1000000"]
  }
  task "told" {
    command = ["/bin/sh", "-c", "echo \"my token is $TOKEN\"; exit 4"]
    env     = { TOKEN = secret("task") }
  }
}
service "missing" {
  app "main" {
    command = ["/bin/sleep", "1000000"]
    env     = { PASSWORD = secret("missing") }
  }
}
service "open" {
  app "main" {
    command = ["/bin/sleep", "1000000"]
    env     = { PASSWORD = secret("open") }
  }
}
`

const credentialSet = `
service "file" {
  app "main" {
    command     = ["/bin/sh", "-c", "test -s $CREDENTIALS_DIRECTORY/password && exec sleep 1000000"]
    credentials = { password = "user:${secret("credential")}" }
  }
}
`

func TestNoByteOfASecretIsFoundAnywhere(t *testing.T) {
	t.Parallel()
	n := newNode(t, nil)
	out := n.path("out")
	must(t, os.Mkdir(out, 0o700))
	v := newVault(n)
	set := strings.Replace(secretSet, "CWD", out, 1)
	if os.Geteuid() == 0 { // it has a view of files of its own
		set += credentialSet
		v.put("credential")
	}
	n.write("all.hcl", set)
	first := v.put("env")
	for _, name := range []string{"check", "chatty", "task", "open"} {
		v.put(name)
	}
	must(t, os.Chmod(n.path("secrets", "open"), 0o644))
	n.start()
	n.until("a is up but for what fails, and two do not start", func(s *status) string {
		for address, want := range map[string]string{"a/app.main": "up", "a/app.beside": "up", "missing/app.main": "failed", "open/app.main": "failed"} {
			if r := s.resource(address); r == nil || r.State != want {
				return address + fmt.Sprintf(" is %+v", r)
			}
		}
		return ""
	})
	for address, want := range map[string]string{
		"missing/app.main": "cannot use the secret \"missing\": it is missing: " + n.path("secrets", "missing") + " does not exist",
		"open/app.main":    "chmod 0600 " + n.path("secrets", "open"),
	} {
		if r := n.resource(address); !strings.Contains(*r.Error, want) {
			t.Errorf("%s says: %s", address, *r.Error)
		}
	}
	if os.Geteuid() == 0 {
		n.isUpIn("file/app.main")
	}
	n.await("the app has its secret", func() string { // it is up before it has written it down
		if got := given(t, out); len(got) != 1 || !strings.HasSuffix(got[0], first) {
			return fmt.Sprintf("it was given %q", got)
		}
		return ""
	})
	if told := n.wants(1, "task", "run", "a/task.told"); !strings.Contains(told, `my token is ${secret("task")}`) {
		t.Errorf("the run showed: %s", told)
	}
	n.until("what a program printed is told", func(s *status) string {
		if r := s.resource("a/app.chatty"); !strings.Contains(*r.Error, "my password is") {
			return r.State + " " + *r.Error
		}
		return ""
	})
	v.cleanAnswers()
	v.cleanProcesses()
	before := n.pids()

	second := v.put("env") // another value restarts what uses it
	n.another(before, "a/app.main")
	n.await("the app has the new one", func() string {
		if got := given(t, out); len(got) != 2 || !strings.HasSuffix(got[0]+got[1], second) && !strings.HasSuffix(got[1]+got[0], second) {
			return fmt.Sprint(got)
		}
		return ""
	})
	n.same(before, "a/app.beside")
	if all := n.wants(0, "events"); !strings.Contains(all, "the secret env has another value: revision 1 is applied anew") {
		t.Error("no event tells of the new value")
	}

	n.isUpIn("a/app.main")
	before = n.pids()
	must(t, os.Remove(n.path("secrets", "env"))) // a missing one touches nothing that runs
	n.signal(syscall.SIGKILL)
	n.start()
	n.isUpIn("a/app.main")
	n.same(before, "a/app.main", "a/app.beside")
	v.put("missing")
	n.isUpIn("missing/app.main")
	must(t, os.Chmod(n.path("secrets", "open"), 0o600))
	n.isUpIn("open/app.main")
	v.cleanAnswers()
	v.cleanProcesses()
	must(t, os.RemoveAll(out)) // what the app itself has written
	n.signal(syscall.SIGTERM)
	v.cleanFiles()
	n.start()
	n.isUpIn("a/app.main")
}

// given are the values that the app wrote down, one for each of its runs.
func given(t *testing.T, dir string) (values []string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "main.*"))
	must(t, err)
	for _, name := range names {
		b, err := os.ReadFile(name)
		must(t, err)
		values = append(values, string(b))
	}
	return values
}

// isUpIn waits for one resource.
func (n *node) isUpIn(address string) {
	n.t.Helper()
	n.until(address+" is up", func(s *status) string {
		if r := s.resource(address); r == nil || r.State != "up" {
			return fmt.Sprintf("%+v", r)
		}
		return ""
	})
}
