package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"
)

const asProgram = "SVCCTL_TEST_AS_PROGRAM"

// The binary of the tests is the program where a script calls it: programInPath sees to that.
func init() {
	if os.Getenv(asProgram) != "" {
		main()
	}
}

// programInPath returns a folder with a command svcctl, for scripts to find.
func programInPath(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "svcctl"), fmt.Appendf(nil, "#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", asProgram, self), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

const mistaken = "service \"b\" {\n  ap \"x\" {\n    command = [\"/bin/true\"]\n  }\n}\n"

func TestColoursAreForTerminalsOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.hcl")
	write(t, file, mistaken)
	program := filepath.Join(programInPath(t), "svcctl")
	run := func(terminal bool, env ...string) string {
		c := exec.Command(program, "validate", file)
		// Another terminal would be asked for its background first, by the library of svcctl top.
		c.Env = append(os.Environ(), append([]string{"TERM=screen", "NO_COLOR="}, env...)...)
		if !terminal {
			out, _ := c.Output() // it ends with 1: there is a mistake
			return string(out)
		}
		screen, err := pty.Start(c)
		if err != nil {
			t.Fatal(err)
		}
		defer screen.Close()
		out, _ := io.ReadAll(screen) // ends in an error once the program has ended
		_ = c.Wait()                 // with 1, as above
		return string(out)
	}
	for _, step := range []struct {
		terminal, coloured bool
		env                string
	}{{true, true, "A=b"}, {true, false, "NO_COLOR=1"}, {true, false, "TERM=dumb"}, {false, false, "A=b"}, {false, false, "CLICOLOR_FORCE=1"}} {
		out := run(step.terminal, step.env)
		if !strings.Contains(out, "SV0205") || strings.Contains(out, "\x1b") != step.coloured {
			t.Errorf("%+v:\n%q", step, out)
		}
	}
}
